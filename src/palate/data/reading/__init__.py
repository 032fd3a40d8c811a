"""Reading: files, frames, arrays and SQL -> Ratings. Every row that is not a rating is named or counted."""

from palate.data.reading.reader import read

__all__ = ["read"]
