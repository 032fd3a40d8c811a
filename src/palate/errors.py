"""The errors palate raises on purpose. Each message says what was found, where, and what to do about it.

Every error is a `PalateError` and one of Python's own errors too, so `except ValueError` works as expected.
"""

from __future__ import annotations


class PalateError(Exception):
    """The base class of all errors that palate raises on purpose.

    Catch it to catch every error below; the message says what to change.

    Example:
        >>> import palate
        >>> try:
        ...     palate.read("no-such-file.csv")
        ... except palate.errors.PalateError as error:
        ...     print(error)
        there is no file no-such-file.csv.
    """


class DataError(PalateError, ValueError):
    """Ratings or tables that cannot be read, or cannot be used as they are.

    Raised for a missing or empty file, a column that is not there, a row that is not a rating, a shape that does not
    fit, or ratings of the wrong kind for a method. The message names the source and, for a bad row, its line.
    Correct the data, name the column, or pass the option that the message suggests. Also a ValueError.
    """


class OptionError(PalateError, ValueError):
    """An option whose value is not valid, or options that exclude each other.

    The message names the option and its valid values: pass one of those. Also a ValueError.
    """


class UnknownLabelError(PalateError, LookupError):
    """A user or item that the model or the data does not contain.

    Raised when a label has no code. The message shows a few known labels: check the spelling and the type, or fold the
    user in from a few ratings with `rec.fold_in(...)`. Also a LookupError.
    """


class LabelTypeError(PalateError, TypeError):
    """A label of the wrong type: 1 where labels are strings, or "1" where they are integers.

    Raised too when the ids of one column mix strings and integers, or are floats. Give all ids of a column one type,
    and ask with labels of that type. Also a TypeError.
    """


class DatasetError(PalateError, OSError):
    """A named data set that is neither on this machine nor can be downloaded.

    Raised by `palate.datasets.load`. The message says why each source failed. Download the archive by hand, unpack it,
    and set the environment variable PALATE_DATA to the folder above it. Also an OSError.
    """


class ForkError(PalateError, RuntimeError):
    """Work that would hang in this process, since it was forked after polars had begun its threads.

    Raised in the forked process alone. Start processes with `multiprocessing.get_context("spawn")`, or fork before
    palate is first used. Also a RuntimeError.
    """


class BlocksError(PalateError, ValueError):
    """A folder of ratings on disk that cannot be opened or written.

    Raised when there is no such folder, when writing it was not finished, when a file in it is damaged, or when the
    disk refuses. The message names the file: write the blocks again, or copy the folder again. Also a ValueError.
    """


class ClusterError(PalateError, RuntimeError):
    """A cluster that work cannot be spread over.

    Raised when no worker starts, when a worker has another version of palate or of NumPy, or when the same piece of
    work has ended several workers. The message names the node and what to change. Also a RuntimeError.
    """


class ExportError(PalateError, RuntimeError):
    """Vectors that cannot be written to a file or a database.

    Raised when the disk refuses, or when the database cannot be reached or refuses. What was there before is unchanged.
    Check the path, the address and the rights, then write again. Also a RuntimeError.
    """


class ModelFileError(PalateError, ValueError):
    """A model file that cannot be loaded or saved.

    Raised itself when there is no such file, when the disk refuses, or when palate wrote the file for another purpose
    (a training checkpoint). Its subclasses say what is wrong with the content. Check the path and the free space. Also
    a ValueError.
    """


class NotAModelError(ModelFileError):
    """A file that is not a palate model.

    Raised when the file does not begin like one, or another program wrote it. Give the path of a file that `rec.save`
    wrote.
    """


class TruncatedModelError(ModelFileError):
    """A model file that ends too early.

    Raised after an interrupted copy or download. Copy the file again.
    """


class TamperedModelError(ModelFileError):
    """A model file whose content does not match its checksum, or contradicts itself.

    Raised for damage as well as for changes made on purpose. Do not trust the file: take it from its source again, or
    fit and save the model again.
    """


class OversizedModelError(ModelFileError):
    """A model file whose header is larger than palate accepts.

    Raised when loading such a file, before any memory is taken for it, and when saving labels that need such a header.
    Load only files that `rec.save` wrote.
    """


class ModelVersionError(ModelFileError):
    """A model file in a format that this version of palate does not know.

    Raised for files written by a newer palate. Upgrade palate, or save the model again with this version.
    """


class StoreError(PalateError, RuntimeError):
    """A store of feedback that cannot be opened, read or written.

    Raised when the database is not palate's, is newer or damaged, when the disk is full or may not be written, and when
    the server of PostgreSQL cannot be reached. What was acknowledged before is kept. Also a RuntimeError.
    """


class StoreBusyError(StoreError):
    """A store that has too much to do just now.

    Raised when too many events wait for their commit, or another process has locked the database for too long. Nothing
    is wrong with the events: send them again a little later.
    """


class FeedbackError(StoreError, ValueError):
    """An event, an item or a key that a store cannot keep as it is.

    Raised for texts that no database keeps (NUL, half a surrogate pair), values that are not finite, and a name that is
    taken. The message names the event and what to change. Also a ValueError.
    """


def __dir__() -> list[str]:
    return sorted(name for name, found in globals().items() if isinstance(found, type))
