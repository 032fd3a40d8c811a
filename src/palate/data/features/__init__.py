"""Features: a table of user or item attributes -> a sparse design matrix, with the classes of every field."""

from palate.data.features.design import Design, Features

__all__ = ["Design", "Features"]
