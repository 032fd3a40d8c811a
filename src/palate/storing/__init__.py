"""A model as one file: save and load. files.py says what a file holds, container.py how its bytes are laid out."""

from palate.storing.files import load, save

__all__ = ["load", "save"]
