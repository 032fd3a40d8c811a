"""The command line: palate fit, palate recommend and the others, with the same option names as the library."""

from palate.cli.commands import main

__all__ = ["main"]
