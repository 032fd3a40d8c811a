"""What leaves palate: vectors into files, indexes and databases; model cards; models in MLflow."""

from palate.exporting.export import FORMATS, Format, export

__all__ = ["FORMATS", "Format", "export"]


def __dir__() -> list[str]:
    return sorted(__all__)
