import ast
from pathlib import Path

import pytest

from reconpatch.utils.import_graph import PACKAGE, imported_modules
from reconpatch.utils.steps import STEPS

# A room imports those before it, and none after it; the command line stands above all.
ROOMS = (
    "utils",
    "settings",
    "datasets",
    "fetching",
    "features",
    "representation",
    "detection",
    "methods",
    "refinement",
    "evaluation",
    "suites",
    "runs",
    "setup",
    "reporting",
    "estimation",
    "planning",
)


def imported_rooms(file: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            modules |= {node.module or "", *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Import):
            modules |= {name.name for name in node.names}
    parts = [module.split(".") for module in modules]
    return {part[1] for part in parts if part[0] == PACKAGE.name and len(part) > 1}


def test_every_room_has_its_place() -> None:
    assert {init.parent.name for init in PACKAGE.glob("*/__init__.py")} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_never_run_back_up(room: str) -> None:
    # What is fetched is known by its hash, so that any room may use fetching.
    below = {*ROOMS[: ROOMS.index(room) + 1], "fetching"}
    for file in (PACKAGE / room).rglob("*.py"):
        assert imported_rooms(file) <= below, file


def test_a_rooms_init_holds_nothing() -> None:
    """So that an import names the module that a step depends on."""
    for init in PACKAGE.glob("*/**/__init__.py"):
        (docstring,) = ast.parse(init.read_text()).body
        assert isinstance(docstring, ast.Expr), init


TOY = {
    "__init__.py": "",
    "base.py": "x = 1",
    "main.py": "",
    "pkg/__init__.py": "",
    "pkg/mod.py": "from toy.base import x",
    "pkg/other.py": "from . import sub",
    "pkg/sub.py": "",
}


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    package = tmp_path_factory.mktemp("imports") / "toy"
    for name, text in TOY.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return package


@pytest.mark.parametrize(
    ("statement", "modules"),
    [
        ("import toy.base", "base"),
        ("import toy.pkg.mod as m", "base pkg.mod"),
        ("from toy import base", "base"),
        ("from toy.base import x", "base"),
        ("from . import base", "base"),
        ("from .pkg.mod import x", "base pkg.mod"),
        ("from toy.pkg import sub", "pkg.sub"),
        ("from toy.pkg import other as o, mod", "base pkg.mod pkg.other pkg.sub"),
        ("import toy.pkg", "pkg"),
        ("def f():\n    from toy.base import x", "base"),
        ("try:\n    import toy.base\nexcept ImportError:\n    import toy.pkg.sub", "base pkg.sub"),
        ("if TYPE_CHECKING:\n    from toy.base import x", ""),
        ("if typing.TYPE_CHECKING:\n    import toy.base", ""),
        ("if TYPE_CHECKING:\n    import toy.pkg.sub\nelse:\n    import toy.base", "base"),
        ("if TYPE_CHECKING:\n    import toy.base\ndef f():\n    import toy.base", "base"),
        ("import os\nfrom torch import Tensor\nimport toyota.base", ""),
    ],
)
def test_what_an_import_leads_to(toy: Path, statement: str, modules: str) -> None:
    (toy / "main.py").write_text(statement)
    found = imported_modules("toy.main", package=toy)
    assert found == tuple(sorted(["toy.main", *(f"toy.{name}" for name in modules.split())]))


@pytest.mark.parametrize("module", ["toy.nothing", "toy.base.x", "other.base"])
def test_a_module_that_is_not_there(toy: Path, module: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=f"no module {module}"):
        imported_modules(module, package=toy)


def test_the_code_of_the_features_knows_no_reader_of_data_sets() -> None:
    modules = imported_modules(*STEPS["extract"])
    assert "reconpatch.features.augmentation" in modules
    rooms = {name.removeprefix("reconpatch.datasets.") for name in modules if ".datasets" in name}
    assert rooms == {"category", "images"}


POSIX_ONLY = {"resource", "fcntl", "pwd", "grp", "termios", "pty"}


def test_nothing_is_imported_at_once_that_windows_lacks() -> None:
    for file in PACKAGE.rglob("*.py"):
        modules: set[str] = set()
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.Import):
                modules |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add(node.module or "")
        assert POSIX_ONLY.isdisjoint(modules), file
