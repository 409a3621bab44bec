"""Build the package; what pyproject.toml cannot say is that the wheel carries ``config``."""

from pathlib import Path
from shutil import copytree

from setuptools import setup
from setuptools.command.build_py import build_py


class WithConfig(build_py):
    """Lay suites and experiments beside the code, where commands outside a checkout find them."""

    def run(self) -> None:
        """Copy the package, and ``config`` into it; an editable one reads the checkout's own."""
        super().run()
        if not self.editable_mode:
            packaged = Path(self.build_lib) / "reconpatch" / "config"
            copytree("config", packaged, dirs_exist_ok=True)


setup(cmdclass={"build_py": WithConfig})
