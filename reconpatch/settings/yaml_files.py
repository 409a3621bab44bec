"""YAML files that people write: read without surprises, however odd they are."""

from pathlib import Path
from typing import Any

import yaml

from reconpatch.utils.errors import InputError

LIMIT = 100_000
"""How many values a file may come to, anchors counted wherever they are used."""


class _Loader(yaml.SafeLoader):
    """Refuses what YAML allows and nobody means: a name given twice, anchors that multiply."""

    def compose_document(self) -> yaml.Node | None:
        document = super().compose_document()
        if document:
            _check(document, {})
        return document


def _check(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Return how many values a node comes to.

    Raises:
        yaml.YAMLError: they are too many, a mapping has a name twice, or a text is no Unicode.
    """
    if id(node) not in sizes:
        inner: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            for name in names:
                if names.count(name) > 1 and name != "<<":
                    raise yaml.YAMLError(
                        f"{name!r} stands twice in the mapping that begins in line "
                        f"{node.start_mark.line + 1}; only one of them could count"
                    )
            inner = [each for pair in node.value for each in pair]
        elif isinstance(node, yaml.SequenceNode):
            inner = node.value
        elif any("\ud800" <= letter <= "\udfff" for letter in node.value):
            raise yaml.YAMLError(f"line {node.start_mark.line + 1} holds half a character")
        # One that holds itself comes to more than any limit.
        sizes[id(node)] = LIMIT
        sizes[id(node)] = 1 + sum(_check(each, sizes) for each in inner)
        if sizes[id(node)] > LIMIT:
            raise yaml.YAMLError(f"it comes to more than {LIMIT:,} values")
    return sizes[id(node)]


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds.

    Raises:
        InputError: it cannot be read, or is not YAML; or a name stands twice in a mapping, or its
            anchors come to more than ``LIMIT`` values.
    """
    try:
        return yaml.load(path.read_text("utf-8"), _Loader)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 (byte {error.start + 1}); save it as UTF-8."
        ) from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply to be meant.") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {error}") from None
