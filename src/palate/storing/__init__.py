"""A model as one file: save and load. What goes in is in files.py, the container itself in container.py."""

from palate.storing.files import load, save

__all__ = ["load", "save"]
