"""The command line: `palate fit`, `palate recommend` and the rest say the same words as the library."""

from palate.cli.commands import main

__all__ = ["main"]
