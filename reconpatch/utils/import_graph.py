"""Which modules of the package a module imports, read from their text without running any.

An import counts wherever in a module it stands, save under ``if TYPE_CHECKING``. A name that a
package's ``__init__`` only passes on leads to the module that it comes from, and not to all else
that the ``__init__`` imports. A module that is imported by ``importlib`` is not seen; whoever wants
it to count names it beside the others.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

Named = tuple[str, str | None]
"""A module as an import statement writes it, and the name taken from it, if one is."""


@dataclass(frozen=True)
class Code:
    """What of a module's text can change a result.

    Attributes:
        text: the code without docstrings, comments and formatting.
        imports: all that its import statements name.
        passed_on: where the names come from that it only imports, by the name that it gives them.
        defined: the names that it gives a value itself, or imports under a condition.
    """

    text: str
    imports: frozenset[Named]
    passed_on: dict[str, Named]
    defined: frozenset[str]


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
        >>> imported_modules("reconpatch.detection.coreset")
        ('reconpatch.detection.coreset',)
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
    inside = module if _is_init(file) else module.rpartition(".")[0]
    for named, name in code_of(module, package).imports:
        if target := _target(resolve_name(named, inside), name, package):
            yield target


def _target(module: str, name: str | None, package: Path) -> str | None:
    """The module that ``from module import name`` depends on; None where it is another package's.

    Without a name it is the statement ``import module``.
    """
    file = _file(module, package)
    if name and _is_init(file):
        code = code_of(module, package)
        if origin := code.passed_on.get(name):
            named = resolve_name(origin[0], module)
            # ``from . import name`` in the __init__ itself names a submodule.
            if (named, origin[1]) != (module, name) and (
                target := _target(named, origin[1], package)
            ):
                return target
        if name not in code.defined and _file(f"{module}.{name}", package):
            return f"{module}.{name}"
    return module if file else None


def _file(module: str, package: Path) -> Path | None:
    top, *rest = module.split(".")
    if top != package.name:
        return None
    place = package.joinpath(*rest)
    candidates = (place / "__init__.py", place.with_name(f"{place.name}.py"))
    return next((file for file in candidates if file.is_file()), None)


def _is_init(file: Path | None) -> bool:
    return file is not None and file.name == "__init__.py"


@cache
def _read(text: str) -> Code:
    tree = _Essence().visit(ast.parse(text))
    nodes = list(ast.walk(tree))
    passing_on = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    passed_on = {
        alias.asname or alias.name: (_module(statement), alias.name)
        for statement in passing_on
        for alias in statement.names
        if alias.name != "*"
    }
    defined = {name for node in nodes if node not in passing_on for name in _bound(node)}
    return Code(
        ast.unparse(tree),
        frozenset(named for node in nodes for named in _named(node)),
        {name: origin for name, origin in passed_on.items() if name not in defined},
        frozenset(defined),
    )


def _named(node: ast.AST) -> Iterator[Named]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, None
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield _module(node), alias.name


def _module(statement: ast.ImportFrom) -> str:
    return "." * statement.level + (statement.module or "")


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that get a value here."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in node.names)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id


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
