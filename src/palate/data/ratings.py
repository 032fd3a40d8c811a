"""Ratings: the one data object. Who rated what, how high, and perhaps when; as codes, with the labels beside them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import Codes, CompressedRows, Floats, read_only
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError, OptionError
from palate.options import is_number

if TYPE_CHECKING:
    import polars as pl

    from palate.data.reading.tables import Joined

Unrated = Literal["drop", "keep"]
Kind = Literal["explicit", "implicit"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class ReadReport:
    """What reading did besides reading: rows left out and duplicates joined, counted by reason.

    table_notes: what was left out of the tables of items and users, a sentence each; no rating is concerned.
    """

    rows_read: int = 0
    bad_rows: dict[str, int] = field(default_factory=dict)
    bad_examples: tuple[str, ...] = ()
    duplicates: int = 0
    source: str = ""
    contradictions: int = 0  # (user, item) pairs given more than once with different values
    summed: int = 0  # rows of implicit ratings added to the count of another with the same (user, item)
    table_notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{self.rows_read:,} rows read"]
        parts += [f"{count:,} left out ({reason})" for reason, count in self.bad_rows.items()]
        if self.summed:
            parts.append(f"{self.summed:,} added to the count of their (user, item)")
        if self.duplicates:
            parts.append(f"{self.duplicates:,} duplicates of a (user, item) joined")
        told = ", ".join(parts) + (f" from {self.source}" if self.source else "")
        return " ".join(f"{sentence}." for sentence in (told, *self.table_notes))

    @property
    def is_clean(self) -> bool:
        """Whether reading left out and joined nothing at all."""
        return not (self.bad_rows or self.duplicates or self.table_notes)


class Ratings:
    """Immutable ratings: codes, values, optional times and weights, two vocabularies, and what is known of each side.

    user_codes, item_codes: (n,) int32; values: (n,) float32, all finite; times: (n,) int64 or None (seconds since 1970
    in the usual files); weights: (n,) float32 >= 0 or None. user_table and item_table are polars frames with one row
    per code (titles, anything) or None. Given arrays are copied. With times and both orientations built, a rating
    takes 32 bytes.

    kind: "explicit" where values say how high somebody rated, "implicit" where all that is known is that they did
    (liked, bought, played): then every value is 1, and weights are the counts, where there are any.

    Raises DataError when shapes differ, codes or times are no integers, a value is not finite, a weight is negative, a
    code is out of range or a value of implicit ratings is not 1.

    >>> import palate
    >>> ratings = palate.read({"user": ["ann", "ann", "bob"], "item": ["tea", "jam", "tea"], "rating": [5, 3, 4]})
    >>> len(ratings), ratings.n_users, ratings.n_items
    (3, 2, 2)
    >>> ratings.classes
    {'user': ['ann', 'bob'], 'item': ['jam', 'tea']}
    """

    def __init__(
        self,
        user_codes: NDArray[Any],
        item_codes: NDArray[Any],
        values: NDArray[Any],
        *,
        user_vocabulary: Vocabulary,
        item_vocabulary: Vocabulary,
        times: NDArray[Any] | None = None,
        weights: NDArray[Any] | None = None,
        user_table: pl.DataFrame | None = None,
        item_table: pl.DataFrame | None = None,
        report: ReadReport | None = None,
        kind: Kind = "explicit",
    ) -> None:
        self.kind: Kind = kind
        self.user_vocabulary = user_vocabulary.named("user")
        self.item_vocabulary = item_vocabulary.named("item")
        self.user_codes = _codes("user_codes", user_codes, self.user_vocabulary)
        self.item_codes = _codes("item_codes", item_codes, self.item_vocabulary)
        self.values = _floats("values", values)
        self.weights = None if weights is None else _floats("weights", weights)
        self._time_start, self._time_offsets = _pack_times(times)
        self.user_table = user_table
        self.item_table = item_table
        self.report = report or ReadReport(rows_read=len(self.values))
        self._check()

    def _check(self) -> None:
        n = len(self.values)
        for name in ("values", "user_codes", "item_codes", "times", "weights"):
            column = self._time_offsets if name == "times" else getattr(self, name)
            if column is not None and column.shape != (n,):
                raise DataError(f"{name} has shape {column.shape}, but there are {n} values.")
        if not np.isfinite(self.values).all():
            raise DataError("a rating is NaN or infinite (or too large for float32).")
        if self.weights is not None and not ((self.weights >= 0) & np.isfinite(self.weights)).all():
            raise DataError("a weight is negative, NaN or infinite.")
        if self.kind not in KINDS:
            raise OptionError(f"kind={self.kind!r} is none of {', '.join(map(repr, KINDS))}.")
        if self.is_implicit and not (self.values == 1).all():
            raise DataError("a value of implicit ratings is not 1; what was counted belongs in weights.")
        for table, vocabulary in (
            (self.user_table, self.user_vocabulary),
            (self.item_table, self.item_vocabulary),
        ):
            if table is not None and table.height != len(vocabulary):
                raise DataError(
                    f"the {vocabulary.what} table has {table.height} rows for {len(vocabulary)} labels, and no labels "
                    f"to join it by: call the column of labels {vocabulary.what!r}."
                )

    @property
    def times(self) -> NDArray[np.int64] | None:
        """When each rating was given, (n,) int64, or None. Kept inside as 4-byte offsets where they fit."""
        return None if self._time_offsets is None else self._time_offsets.astype(np.int64) + self._time_start

    @property
    def is_implicit(self) -> bool:
        """Whether all that is known is who chose what, and perhaps how often."""
        return self.kind == "implicit"

    @property
    def n_users(self) -> int:
        """Users in the vocabulary, also those without a rating here."""
        return len(self.user_vocabulary)

    @property
    def n_items(self) -> int:
        """Items in the vocabulary, also those without a rating here."""
        return len(self.item_vocabulary)

    @property
    def classes(self) -> dict[str, list[Any]]:
        """Field name -> its distinct labels, in the order of their codes."""
        return {"user": list(self.user_vocabulary), "item": list(self.item_vocabulary)}

    @cached_property
    def range(self) -> tuple[float, float]:
        """Lowest and highest rating, (nan, nan) when there are none."""
        if len(self) == 0:
            return (float("nan"), float("nan"))
        return (float(self.values.min()), float(self.values.max()))

    @cached_property
    def _by_user(self) -> CompressedRows:
        return CompressedRows.of(self.user_codes, self.item_codes, self.values, self.weights, self.n_users)

    @cached_property
    def _by_item(self) -> CompressedRows:
        return CompressedRows.of(self.item_codes, self.user_codes, self.values, self.weights, self.n_items)

    def by_user(self) -> CompressedRows:
        """Ratings grouped by user: one row per user code, in it the items. Built once."""
        return self._by_user

    def by_item(self) -> CompressedRows:
        """Ratings grouped by item: one row per item code, in it the users. Built once."""
        return self._by_item

    def __getitem__(self, rows: slice | NDArray[Any]) -> Ratings:
        """Some rows (a slice, positions or a mask), under the same vocabularies and tables."""
        taken: dict[str, Any] = {}
        for name in COLUMNS:
            column = getattr(self, name)
            taken[name] = None if column is None else np.ascontiguousarray(column[rows])
        return self._with(**taken)

    def same_vocabulary(self, other: Ratings) -> bool:
        """Whether a code means the same user or item in both."""
        return self.user_vocabulary == other.user_vocabulary and self.item_vocabulary == other.item_vocabulary

    def likes(self, at_least: float) -> Ratings:
        """Implicit ratings: those of `at_least` or more (of implicit ratings: counted so often), each one a like.

        The vocabularies and tables stay, also for users and items that nothing is left of. Weights of explicit ratings
        stay as they are; counts too. Raises OptionError for no number, DataError where no rating is so high.

        >>> import palate
        >>> ratings = palate.read({"user": ["ann", "ann", "bob"], "item": ["tea", "jam", "tea"], "rating": [5, 3, 4]})
        >>> ratings.likes(at_least=4)
        Ratings(2 implicit ratings, 2 users, 2 items)
        """
        if not is_number(at_least) or np.isnan(at_least):
            raise OptionError(f"at_least must be a number, got {at_least!r}.")
        measure = self.values if not self.is_implicit or self.weights is None else self.weights
        high = measure >= np.float32(at_least)
        if not high.any():
            largest = f"; the highest is {measure.max():g}" if len(self) else ""
            raise DataError(f"no rating is {at_least:g} or more{largest}.")
        taken = self[high]
        return taken._with(kind="implicit", values=np.ones(len(taken), np.float32))

    def with_weights(self, weights: NDArray[Any] | None) -> Ratings:
        """The same ratings with other weights, (n,), or None."""
        return self._with(weights=None if weights is None else _floats("weights", weights))

    def with_items(self, table: Any, *, item: str | int | None = None, unrated: Unrated = "drop") -> Ratings:
        """The same ratings with another table of items: a file, a frame of any kind or a mapping, joined by label.

        item: the column of labels, by name or position; if not given, the one that `palate.read` would take: called
        item, movie_id, id or the like, or else the first. A polars frame without labels, with one row per item code in
        that order, is taken as it is. unrated: "drop" the items that nobody has rated, or "keep" them in a larger
        vocabulary; all codes may then be others. Rows left out are told in `report.table_notes`. Raises DataError when
        not one label is known, LabelTypeError for labels of mixed types; both name the column. None takes the table
        away.

        >>> import palate
        >>> ratings = palate.read({"user": ["ann", "bob"], "item": ["tea", "jam"], "rating": [5, 3]})
        >>> table = {"item": ["tea", "jam", "bun"], "kind": ["drink", "spread", "bread"]}
        >>> ratings.with_items(table).item_table["kind"].to_list()
        ['spread', 'drink']
        >>> ratings.with_items(table, unrated="keep").classes["item"]
        ['bun', 'jam', 'tea']
        """
        return self._with_table(table, self.item_vocabulary, item, unrated)

    def with_users(self, table: Any, *, user: str | int | None = None, unrated: Unrated = "drop") -> Ratings:
        """The same ratings with another table of users, as `with_items` does it for items."""
        return self._with_table(table, self.user_vocabulary, user, unrated)

    def _with_table(self, table: Any, vocabulary: Vocabulary, label: str | int | None, unrated: str) -> Ratings:
        from palate.data.reading.tables import Joined, is_in_order, joined_table

        if label is None and is_in_order(table, vocabulary):
            return self.joined(Joined(table, vocabulary))
        return self.joined(joined_table(table, vocabulary, strict=True, label=label, unrated=unrated))

    def joined(self, join: Joined) -> Ratings:
        """With the table of a join in place of the one there was, and the codes of the join's vocabulary."""
        what = join.vocabulary.what
        others = tuple(note for note in self.report.table_notes if not note.startswith(f"{what}s: "))
        changed: dict[str, Any] = {
            f"{what}_table": join.table,
            "report": replace(self.report, table_notes=(*others, *join.notes)),
        }
        former = getattr(self, f"{what}_vocabulary")
        if join.vocabulary is not former:
            codes = join.vocabulary.encode(former.labels)[getattr(self, f"{what}_codes")]
            changed |= {f"{what}_vocabulary": join.vocabulary, f"{what}_codes": codes}
        return self._with(**changed)

    def _with(self, **changed: Any) -> Ratings:
        other = _restored(self._state() | changed)
        other._check()
        return other

    def _state(self) -> dict[str, Any]:
        """All but what is computed when first asked for."""
        return {name: value for name, value in self.__dict__.items() if name not in CACHED}

    def to_frame(self) -> pl.DataFrame:
        """A polars frame of labels: user, item, rating (but not of implicit ones), time and weight where there are."""
        import polars as pl

        columns: dict[str, Any] = {
            "user": self.user_vocabulary.decode(self.user_codes),
            "item": self.item_vocabulary.decode(self.item_codes),
        }
        if not self.is_implicit:
            columns["rating"] = self.values
        if self.times is not None:
            columns["time"] = self.times
        if self.weights is not None:
            columns["weight"] = self.weights
        kinds = {"user": self.user_vocabulary.kind, "item": self.item_vocabulary.kind}
        schema = {name: pl.String if kind == "string" else pl.Int64 for name, kind in kinds.items()}
        return pl.DataFrame(columns, schema_overrides=schema)

    def describe(self) -> str:
        """A few lines: how many, between what, how dense, when."""
        if len(self) == 0:
            return "No ratings."
        low, high = self.range
        density = len(self) / (self.n_users * self.n_items)
        lines = [
            f"{len(self):,} {self._noun} of {self.n_items:,} items by {self.n_users:,} users, {density:.2%} of pairs",
        ]
        if not self.is_implicit:
            lines.append(f"values from {low:g} to {high:g}, mean {self.values.mean(dtype=np.float64):.3f}")
        elif self.weights is not None:
            lines.append(
                f"counts from {self.weights.min():g} to {self.weights.max():g}, {self.weights.sum():,.0f} in all"
            )
        times = self.times
        if times is not None:
            lines.append(f"times from {times.min()} to {times.max()}")
        if not self.report.is_clean:
            lines.append(str(self.report))
        return "\n".join(lines)

    @property
    def _noun(self) -> str:
        return "implicit ratings" if self.is_implicit else "ratings"

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        extras = [name for name in ("times", "weights", "user_table", "item_table") if getattr(self, name) is not None]
        with_extras = f", with {', '.join(extras)}" if extras else ""
        return f"Ratings({len(self):,} {self._noun}, {self.n_users:,} users, {self.n_items:,} items{with_extras})"

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__:
            raise AttributeError(f"Ratings are immutable; {name} cannot be set again.")
        object.__setattr__(self, name, value)

    def __reduce__(self) -> Any:
        return (_restored, (self._state(),))


COLUMNS = ("user_codes", "item_codes", "values", "weights", "_time_offsets")
CACHED = ("range", "_by_user", "_by_item")


def _restored(state: dict[str, Any]) -> Ratings:
    """Ratings from the fields of others (a slice, a copy, what pickle made of them), their columns read-only."""
    ratings = object.__new__(Ratings)
    ratings.__dict__.update(state)
    for name in COLUMNS:
        if state[name] is not None:
            read_only(state[name])
    return ratings


def titles(table: pl.DataFrame | None) -> list[str | None] | None:
    """The text column of a table called title or name, or ending so ("movie_title"); None without one."""
    if table is None:
        return None
    import polars as pl

    texts = [name for name, kind in table.schema.items() if kind == pl.String]
    plain = [re.sub(r"[^a-z0-9]", "", name.lower().partition(":")[0]) for name in texts]
    for pattern in ("title", "name", ".*title", ".*name"):
        for name, simple in zip(texts, plain, strict=True):
            if re.fullmatch(pattern, simple):
                return table[name].to_list()
    return None


def _codes(name: str, given: Any, vocabulary: Vocabulary) -> Codes:
    array = _of_kind(name, given, "iu", "integers")
    if array.size and (array.min() < 0 or array.max() >= len(vocabulary)):
        raise DataError(f"a {vocabulary.what} code lies outside 0..{len(vocabulary) - 1}.")
    return _own(array, np.int32)


def _floats(name: str, given: Any) -> Floats:
    return _own(_of_kind(name, given, "iufb", "numbers"), np.float32)


def _of_kind(name: str, given: Any, kinds: str, wanted: str) -> NDArray[Any]:
    """The given as an array; DataError unless it has one dimension and its type is one of `kinds` (or it is empty)."""
    array = np.asarray(given)
    if array.ndim != 1:
        raise DataError(f"{name} has shape {array.shape}; it should have one dimension.")
    if array.size and array.dtype.kind not in kinds:
        raise DataError(f"{name} must be {wanted}, not {array.dtype} (first: {array[0]!r}).")
    return array


def _own(array: NDArray[Any], dtype: type) -> NDArray[Any]:
    """A copy of the given type that nobody can write to; what does not fit float32 becomes infinite."""
    with np.errstate(over="ignore"):
        return read_only(np.array(array, dtype=dtype, order="C"))


def _pack_times(times: NDArray[Any] | None) -> tuple[int, NDArray[Any] | None]:
    """Times as (start, offsets): offsets in 4 bytes when the span fits, else in 8."""
    if times is None:
        return 0, None
    whole = _of_kind("times", times, "iu", "integers, such as seconds since 1970")
    if len(whole) == 0:
        return 0, _own(whole, np.int64)
    first, last = int(whole.min()), int(whole.max())
    if last >= 2**63:
        raise DataError(f"times has {last}, which is beyond 64 bits.")
    if last - first > np.iinfo(np.int32).max:
        return 0, _own(whole, np.int64)
    return first, _own(whole.astype(np.int64, copy=False) - first, np.int32)
