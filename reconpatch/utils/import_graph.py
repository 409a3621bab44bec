"""Which modules of the package a module imports, read from their text without running any.

An import counts wherever in a module it stands, save under ``if TYPE_CHECKING``. The rooms'
``__init__`` files hold nothing, so that whoever imports a name says which module it comes from. A
module that is imported by ``importlib`` is not seen; whoever wants it to count names it beside the
others.
"""

import ast
from collections.abc import Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1]


class Code(NamedTuple):
    """What of a module's text can change a result.

    Attributes:
        text: the code without docstrings, comments and formatting.
        imports: the modules, and the names taken from them, that its import statements name.
    """

    text: str
    imports: tuple[tuple[str, str | None], ...]


def imported_modules(*modules: str, package: Path = PACKAGE) -> tuple[str, ...]:
    """Return the modules, and all of the package that they import, directly or through others.

    Args:
        modules: full names, such as ``reconpatch.features.images``.
        package: the folder of the package, whose name is the folder's.

    Returns:
        Full names, sorted.

    Raises:
        ModuleNotFoundError: the package has no such module.

    Example:
        >>> imported_modules("reconpatch.detection.represent")
        ('reconpatch.detection.represent',)
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += _imported_by(module, package)
    return tuple(sorted(found))


def code_of(module: str, package: Path = PACKAGE) -> Code:
    """Return what of a module's text can change a result.

    Raises:
        ModuleNotFoundError: the package has no such module.
    """
    file = _file(module, package)
    if file is None:
        raise ModuleNotFoundError(f"{package} has no module {module}")
    return _read(file.read_text())


def _imported_by(module: str, package: Path) -> Iterator[str]:
    file = _file(module, package)
    inside = module if file and file.name == "__init__.py" else module.rpartition(".")[0]
    for named, name in code_of(module, package).imports:
        source = resolve_name(named, inside)
        for target in (f"{source}.{name}", source):
            if _file(target, package):
                yield target
                break


def _file(module: str, package: Path) -> Path | None:
    top, *rest = module.split(".")
    if top != package.name:
        return None
    place = package.joinpath(*rest)
    candidates = (place / "__init__.py", place.with_name(f"{place.name}.py"))
    return next((file for file in candidates if file.is_file()), None)


@cache
def _read(text: str) -> Code:
    tree = _Essence().visit(ast.parse(text))
    return Code(ast.unparse(tree), tuple(named for n in ast.walk(tree) for named in _named(n)))


def _named(node: ast.AST) -> Iterator[tuple[str, str | None]]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, None) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        yield from ((module, alias.name) for alias in node.names)


class _Essence(ast.NodeTransformer):
    """Takes out what no result can depend on: docstrings, and what only type checkers read."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node

    def visit_Pass(self, node: ast.Pass) -> None:
        """A block may need ``pass`` only until it has a docstring."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        name = getattr(node.test, "id", getattr(node.test, "attr", None))
        return node.orelse if name == "TYPE_CHECKING" else node
