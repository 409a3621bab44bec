"""``python -m reconpatch`` is the command line."""

from reconpatch.cli import main

main()
