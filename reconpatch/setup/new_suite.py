"""Write the file of a suite for somebody's own data set."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from reconpatch.datasets.mvtec_layout import find_categories
from reconpatch.fetching.catalogue import load_catalogue
from reconpatch.methods.registry import METHODS
from reconpatch.settings.yaml_files import read_yaml
from reconpatch.suites.suite import load_suite
from reconpatch.utils.errors import InputError
from reconpatch.utils.files import atomic_write

ALWAYS = ("PatchCore", "ReConPatch")
"""The methods that the tables of ``own.yaml`` set side by side."""

SHORT = "mvtec-lite"
"""The suite whose settings of methods a CPU bears."""


def write_suite(name: str, root: Path, methods: Sequence[str], config: Path) -> Path:
    """Write ``config/suites/NAME.yaml`` like ``own.yaml``, and return its path.

    Args:
        name: of the suite, and of its data set.
        root: the folder of the categories in MVTec AD's layout, or of one such category.
        methods: besides PatchCore and ReConPatch.
        config: the folder of suites.

    Raises:
        InputError: the folder holds no category, a method is unknown, or the suite exists.
    """
    path = config / "suites" / f"{name}.yaml"
    if path.exists():
        raise InputError(f"{path} exists; delete it, or give another name.")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is no folder; a suite runs in a checkout: go there first.")
    if not name.replace("-", "").replace("_", "").isalnum():
        raise InputError(f"Call a suite by letters, digits, - and _, not {name!r}.")
    if name in load_catalogue(config):
        raise InputError(f"{name} is a published data set's name; give another.")
    if unknown := [method for method in methods if method not in METHODS]:
        raise InputError(f"There is no method {unknown[0]}; there are: {', '.join(METHODS)}.")
    categories: list[str] | str = "found"
    if (root / "train").is_dir():
        root, categories = root.parent, [root.name]
    find_categories(root)
    short = read_yaml(config / "suites" / f"{SHORT}.yaml")["methods"]
    chosen = {method: short.get(method, {}) for method in dict.fromkeys((*ALWAYS, *methods))}
    suite = {
        "title": f"{', '.join(chosen)} on {name}, seen whole, EfficientNet-Lite0 at 224 px",
        "experiments": "own.yaml",
        "datasets": [
            {
                "source": {"layout": "mvtec", "dataset": name, "root": str(root.absolute())},
                "categories": categories,
            }
        ],
        "seeds": [0, 1, 2],
        "keep_features": True,
        "recipe": {
            "features": {
                "backbone": "efficientnet_lite0",
                "resize": 224,
                "resize_to": "square",
                "crop": "none",
            }
        },
        "methods": chosen,
        "models": {"single": {"label": "Lite0, 224"}},
    }
    with atomic_write(path) as aside:
        aside.write_text(
            yaml.safe_dump(suite, sort_keys=False, allow_unicode=True, width=1000), "utf-8"
        )
        # Whatever is amiss is said now, and nothing is left behind.
        load_suite(aside, Path("data"), config)
    return path
