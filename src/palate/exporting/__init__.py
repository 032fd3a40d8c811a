"""Exporting: what leaves palate for other systems. export() writes vectors into files, indexes and databases."""

from palate.exporting.export import FORMATS, Format, export

__all__ = ["FORMATS", "Format", "export"]
