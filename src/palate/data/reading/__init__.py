"""Reading: files, frames, arrays and SQL queries -> Ratings."""

from palate.data.reading.reader import read

__all__ = ["read"]
