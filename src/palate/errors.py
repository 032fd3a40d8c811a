"""The errors a user can meet. Each message says what is wrong, where, and what to do."""

from __future__ import annotations


class PalateError(Exception):
    """Anything palate refuses to do. Catch this one to catch them all."""


class DataError(PalateError, ValueError):
    """The ratings cannot be read or used as they are."""


class OptionError(PalateError, ValueError):
    """An option has a value that makes no sense; the message names the valid ones."""


class UnknownLabelError(PalateError, LookupError):
    """A user or an item that the model or the data has never seen."""


class LabelTypeError(PalateError, TypeError):
    """A label of another type than the vocabulary's: 1 where labels are strings, or "1" where they are integers."""


class DatasetError(PalateError, OSError):
    """A named data set cannot be had: not here, not in the cache, not from the network."""


class ModelFileError(PalateError, ValueError):
    """A model file cannot be loaded. Its subclasses say why."""


class NotAModelError(ModelFileError):
    """The file is something else than a palate model."""


class TruncatedModelError(ModelFileError):
    """The file ends too early: an interrupted copy or download."""


class TamperedModelError(ModelFileError):
    """The content does not match its own checksum, or says things that cannot be true."""


class OversizedModelError(ModelFileError):
    """The header claims a size that no honest model has."""


class ModelVersionError(ModelFileError):
    """The file was written by a newer palate, in a format this one does not know."""
