"""The command line: commands for one's own images, for suites and results, and the steps."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from reconpatch import __version__, own_parts, preparing, reading, workflow_steps
from reconpatch.utils.errors import InputError, disk_trouble, memory_trouble

app = typer.Typer(
    help="Measure ReConPatch beside PatchCore and its rivals, or use them on images of your own.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for commands in (own_parts, preparing, reading, workflow_steps):
    app.add_typer(commands.app)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"reconpatch {__version__}")
        raise typer.Exit


@app.callback()
def options_of_all(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that come before a command."""


def main() -> None:
    """Run the command line; after an InputError print its message alone and exit with code 2."""
    try:
        app()
    except Exception as error:
        error = memory_trouble(error) or error
        if isinstance(error, OSError):
            error = disk_trouble(error) or error
        if not isinstance(error, InputError):
            raise
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"[bold red]Error:[/] {escape(str(error))}")
        sys.exit(2)


if __name__ == "__main__":
    main()
