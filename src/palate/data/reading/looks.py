"""Looks: what the values of a column look like. Ids, numbers of a scale, counts, times, categories, texts, ...

A column is taken for a field by its name only if its values can be that; a column without a name is taken by its values
and its position. What is not used is named in the report with its look, so that a wrong reading can be seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from palate.data.features.values import is_word_for_missing
from palate.data.reading.moments import are_moments, looks_like_date
from palate.data.reading.numbers import are_flags

if TYPE_CHECKING:
    import polars as pl

N_SAMPLED = 1000  # rows that are looked at
MANY_STEPS = 101  # more different numbers than a scale of ratings has
LONG_TEXT = 40  # characters of a typical value; ids and titles are shorter
FEW_WORDS = 12  # different values of a category
SECONDS_OF_1973, SECONDS_OF_2100 = 1e8, 4.2e9
EPOCH_UNITS = (1.0, 1e3, 1e6, 1e9)  # seconds, milliseconds, microseconds, nanoseconds
CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?( ?[ap]m)?", re.IGNORECASE)
LINK = re.compile(r"(https?|ftp)://\S+|www\.\S+", re.IGNORECASE)
ASIN, AMAZON_REVIEWER = re.compile(r"B0[0-9A-Z]{8}|\d{9}[\dX]"), re.compile(r"A[0-9A-Z]{9,20}")


@dataclass(frozen=True)
class Column:
    """A sample of a column's values, and what they look like.

    Attributes:
        name (str): Its name, or column_1, column_2, ... where it has none.
        values (polars series): The sample.
    """

    name: str
    values: pl.Series

    @cached_property
    def texts(self) -> list[str]:
        """The values that are not missing, as texts."""
        import polars as pl

        series = self.values
        if series.dtype in (pl.Categorical, pl.Enum):
            series = series.cast(pl.String)
        texts = (str(value).strip() for value in series.drop_nulls().to_list())
        return [text for text in texts if text and not is_word_for_missing(text)]

    @cached_property
    def is_blank(self) -> bool:
        """True if no value is there."""
        return not self.texts

    @cached_property
    def is_moment(self) -> bool:
        """True for dates and datetimes by their type."""
        import polars as pl

        return self.values.dtype in (pl.Date, pl.Datetime, pl.Time, pl.Duration)

    @cached_property
    def is_list(self) -> bool:
        """True for a column of lists or records."""
        import polars as pl

        return isinstance(self.values.dtype, pl.List | pl.Array | pl.Struct)

    @cached_property
    def numbers(self) -> NDArray[np.float64] | None:
        """The values as numbers; None if one is none, or if there are none."""
        import polars as pl

        if self.is_blank or self.is_moment or self.is_list or self.values.dtype == pl.Boolean:
            return None
        if self.values.dtype.is_numeric():
            numbers: NDArray[np.float64] = self.values.drop_nulls().cast(pl.Float64).to_numpy()
            return numbers[~np.isnan(numbers)]
        try:
            return np.array([float(text) for text in self.texts])
        except ValueError:
            return None

    @cached_property
    def is_whole(self) -> bool:
        """True if all are whole numbers, written with a fraction of 0 or without one."""
        numbers = self.numbers
        return numbers is not None and bool((np.isfinite(numbers) & (numbers == np.floor(numbers))).all())

    @cached_property
    def n_distinct(self) -> int:
        """The number of different values."""
        return len(set(self.texts))

    @cached_property
    def is_counted(self) -> bool:
        """True for the numbers of rows: 0, 1, 2, ... or 1, 2, 3, ..."""
        numbers = self.numbers
        if numbers is None or not self.is_whole or len(numbers) < 2:
            return False
        return bool(numbers[0] in (0, 1) and (np.diff(numbers) == 1).all())

    @cached_property
    def are_times(self) -> bool:
        """True for dates, for texts that look like dates, and for whole numbers that are times since 1973."""
        if self.is_moment:
            return True
        if self.numbers is not None:
            low, high = (float(limit) for limit in (self.numbers.min(), self.numbers.max()))
            units = [unit for unit in EPOCH_UNITS if SECONDS_OF_1973 * unit <= low and high <= SECONDS_OF_2100 * unit]
            return bool(units) and (self.is_whole or units == [1.0])
        return not self.is_blank and (all(map(looks_like_date, self.texts)) or are_moments(self.texts))

    @cached_property
    def are_clocks(self) -> bool:
        """True for times of a day, without the day."""
        return self.matches(CLOCK)

    @cached_property
    def are_mostly_times(self) -> bool:
        """True if half the texts or more are numbers or look like dates."""
        read = [
            text for text in self.texts if looks_like_date(text) or text.lstrip("-").replace(".", "", 1).isdecimal()
        ]
        return self.is_moment or 2 * len(read) >= len(self.texts)

    @cached_property
    def are_ratings(self) -> bool:
        """True for numbers as ratings are: few different ones, or a small range; and not the numbers of rows."""
        numbers = self.numbers
        if numbers is None or not np.isfinite(numbers).all() or self.are_times:
            return False
        is_small = bool(np.abs(numbers).max() <= 100)
        return is_small and (self.n_distinct < len(numbers) or len(numbers) < 10 or not self.is_whole)

    @cached_property
    def are_counts(self) -> bool:
        """True for whole numbers of 0 or more, most of them small."""
        numbers = self.numbers
        return numbers is not None and self.is_whole and bool(numbers.min() >= 0 and np.median(numbers) < 5000)

    @cached_property
    def are_flags(self) -> bool:
        """True for 1 and 0, 1 and -1, True and False, and words such as yes and no."""
        if self.numbers is not None:
            return set(self.numbers.tolist()) <= {-1.0, 0.0, 1.0}
        return not self.is_blank and not self.is_list and are_flags(self.texts)

    @cached_property
    def can_be_ids(self) -> bool:
        """True unless no value is there, or values are fractions, dates, lists or long texts."""
        if self.is_blank or self.is_moment or self.is_list or (self.numbers is not None and not self.is_whole):
            return False
        return self.numbers is not None or not (self.are_times or self.are_long)

    @cached_property
    def are_long(self) -> bool:
        """True for long texts."""
        return self.numbers is None and float(np.median([len(text) for text in self.texts] or [0])) > LONG_TEXT

    def matches(self, pattern: re.Pattern[str]) -> bool:
        """True if every value that is there is of a pattern."""
        return not self.is_blank and all(pattern.fullmatch(text) for text in self.texts)

    @cached_property
    def look(self) -> str:
        """What the values look like, in a word or two."""
        if self.is_blank:
            return "no values"
        if self.is_list:
            return "lists"
        if self.are_times:
            return "times"
        if self.numbers is not None:
            return self._look_of_numbers
        if self.are_flags:
            return "yes or no"
        if self.matches(LINK):
            return "links"
        if self.are_long:
            return "texts"
        if self.n_distinct == 1 and len(self.texts) > 1:
            return f"always {self.texts[0][:30]!r}"
        if self.n_distinct <= FEW_WORDS and 3 * self.n_distinct <= len(self.texts):
            return "categories"
        return "names or ids"

    @property
    def _look_of_numbers(self) -> str:
        numbers = self.numbers
        assert numbers is not None
        if self.is_counted and len(numbers) > 2:
            return "row numbers"
        if self.n_distinct == 1 and len(numbers) > 1:
            return f"always {numbers[0]:g}"
        if not self.is_whole:
            places = [len(text.partition(".")[2]) for text in self.texts]
            within = np.abs(numbers).max() <= 180
            return "coordinates" if within and np.median(places) >= 4 else "numbers with fractions"
        if set(numbers.tolist()) <= {0.0, 1.0}:
            return "yes or no"
        return "numbers of a scale" if self.are_ratings and self.n_distinct < MANY_STEPS else "whole numbers or ids"
