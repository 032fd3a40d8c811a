"""Features: a table of what is known of users or items -> a sparse design matrix, with the classes of every field."""

from palate.data.features.design import Design, Features

__all__ = ["Design", "Features"]
