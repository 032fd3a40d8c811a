"""Ratings: the data object that everything takes: users, items, values, perhaps times and weights, all as codes.

Labels stand beside the codes in two vocabularies; tables of user and item attributes may be attached. Ratings never
change: every method that changes something returns new ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from palate.data.arrays import (
    check_at_least,
    checked_codes,
    checked_floats,
    checked_weights,
    divided_by,
    no_likes,
    pack_times,
)
from palate.data.features.values import with_nulls
from palate.data.output import in_kind
from palate.data.overview import overview
from palate.data.plan import chunks
from palate.data.rows import CompressedRows, distinct, read_only, transpose_rows, weighted_mean
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError
from palate.kernels import has_repeats
from palate.options import check_choice
from palate.showing import html
from palate.showing.texts import brief

if TYPE_CHECKING:
    import polars as pl

    from palate.data.reading.tables import Joined

Unrated = Literal["drop", "keep"]
Kind = Literal["explicit", "implicit"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MAX_UNUSED = 8  # unused columns that a report names


@dataclass(frozen=True, repr=False)
class ReadReport:
    """What happened while ratings were read: rows left out and duplicates merged, counted by reason.

    Prints as a sentence.

    Attributes:
        rows_read (int, default 0): Rows in the source, bad ones included.
        bad_rows (dict, default empty): Reason -> number of rows left out for it.
        bad_examples (tuple of str, default empty): Up to five bad rows, each with its place and reason.
        duplicates (int, default 0): Rows dropped or averaged because their (user, item) pair was repeated.
        source (str, default ""): File name, or the kind of source.
        contradictions (int, default 0): Pairs that were given more than once with different values.
        summed (int, default 0): Rows of implicit ratings whose count was added to that of the same pair.
        table_notes (tuple of str, default empty): What was left out of the user and item tables; no rating is affected.
        blank_cells (int, default 0): Cells of a wide table that hold no rating; rows_read counts the others.
        lacking (dict, default empty): user or item, where there is a table of them -> how many of them have no row in
            it, of how many, and what may be why; absent if all have one.
        left_out (dict, default empty): Reason -> number of rows that hold no rating, which is no error: a value of
            missing=, or a 0 among yes and no.
        columns (dict, default empty): Field (user, item, rating, time, weight) -> name of the column taken for it.
            Columns without names are column_1, column_2, ...
        unused (dict, default empty): Name of each column that was not used -> what its values look like.
        how (dict, default empty): How the source was read, what there is to tell: separator, header, encoding,
            compression, quotes, decimal mark, ratings ("up 1, down 0", "stars"), times ("day/month/year", or why they
            were left out).

    Example:
        >>> import palate
        >>> columns = {"user": ["ann", "ann", "bob"], "item": ["tea", "tea", "jam"], "rating": [5, 4, None]}
        >>> print(palate.read(columns, on_bad_rows="report").report)
        3 rows read, 1 left out (no rating), 1 duplicates of a (user, item) joined from the mapping.
    """

    rows_read: int = 0
    bad_rows: dict[str, int] = field(default_factory=dict)
    bad_examples: tuple[str, ...] = ()
    duplicates: int = 0
    source: str = ""
    contradictions: int = 0
    summed: int = 0
    table_notes: tuple[str, ...] = ()
    blank_cells: int = 0
    lacking: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)
    how: dict[str, str] = field(default_factory=dict)

    @property
    def reading(self) -> dict[str, dict[str, str]]:
        """Columns taken, columns not used, and how the source was read, fit for JSON; empty if nothing is known."""
        return {"columns": self.columns, "unused": self.unused, "how": self.how} if self.columns else {}

    @property
    def taken(self) -> str:
        """Which column became what, which were not used and what they look like, and how the source was read."""
        parts = [", ".join(f"{field} = {name}" for field, name in self.columns.items())] if self.columns else []
        if self.unused:
            looks = {name: "times?" if look == "times" else look for name, look in self.unused.items()}
            shown = [f"{name or repr('')} ({look})" for name, look in list(looks.items())[:MAX_UNUSED]]
            more = f", and {len(self.unused) - MAX_UNUSED} more" if len(self.unused) > MAX_UNUSED else ""
            parts.append(f"not used: {', '.join(shown)}{more}")
        if self.how:
            parts.append("read with " + ", ".join(f"{what} {value}" for what, value in self.how.items()))
        return "; ".join(parts)

    def __str__(self) -> str:
        parts = [f"{self.rows_read:,} {'cells of a wide table' if self.blank_cells else 'rows'} read"]
        parts += [f"{self.blank_cells:,} without a rating"] if self.blank_cells else []
        parts += [f"{count:,} left out ({reason})" for reason, count in (self.bad_rows | self.left_out).items()]
        if self.summed:
            parts.append(f"{self.summed:,} added to the count of their (user, item)")
        if self.duplicates:
            parts.append(f"{self.duplicates:,} duplicates of a (user, item) joined")
        ratings_note = ", ".join(parts) + (f" from {self.source}" if self.source else "")
        return " ".join(f"{note}." for note in (ratings_note, *self.table_notes))

    def __repr__(self) -> str:
        return brief("\n".join([str(self), self.taken] if self.taken else [str(self)]))

    def _repr_html_(self) -> str:
        return html.page("", html.notes(str(self), *self.bad_examples, self.taken))

    @property
    def is_clean(self) -> bool:
        """True if no row was left out or dropped as a duplicate, in the ratings or in the tables."""
        return not (self.bad_rows or self.left_out or self.duplicates or self.table_notes)


class Ratings:
    """Immutable ratings of items by users, explicit (values) or implicit (choices, perhaps with counts).

    `palate.read` makes them from files and frames; call this class only for codes of your own. Arrays are copied and
    cannot be written to. `len(ratings)` is their number; `ratings[rows]` selects some by a slice, positions or a mask,
    and keeps the vocabularies and tables. A rating takes 32 bytes with times and both groupings built, an
    implicit one 40. A pair may have several ratings; implicit ones are then events of their own (duplicates="keep" of
    `palate.read`).

    Parameters:
        user_codes (int array): User code of each rating, shape (n,), between 0 and n_users - 1.
        item_codes (int array): Item code of each rating, shape (n,), between 0 and n_items - 1.
        values (array of numbers): The ratings, shape (n,), all finite; all 1 for implicit ratings.
        user_vocabulary (Vocabulary): Labels of the users; code i is its i-th label.
        item_vocabulary (Vocabulary): Labels of the items.
        times (int array or None, default None): When each rating was given, shape (n,), such as seconds since 1970.
        weights (array of numbers or None, default None): Weight of each rating, shape (n,), 0 or more; counts for
            implicit ratings. None means that all are 1.
        user_table (polars frame or None, default None): Attributes of users, one row per user code.
        item_table (polars frame or None, default None): Attributes of items, such as titles, one row per item code.
        report (ReadReport or None, default None): What happened while they were read.
        kind ("explicit" or "implicit", default "explicit"): "explicit" if values say how high a user rated an item,
            "implicit" if only choices are known (clicks, plays, purchases).
        like_threshold (float or None, default None): The lowest rating that is a like, if these are likes().

    Attributes:
        user_codes (int32 array): User code of each rating, shape (n,).
        item_codes (int32 array): Item code of each rating, shape (n,).
        values (float32 array): The ratings, shape (n,).
        weights (float32 array or None): Weight or count of each rating, shape (n,).
        user_vocabulary (Vocabulary): Labels of the users.
        item_vocabulary (Vocabulary): Labels of the items.
        user_table (polars frame or None): Attributes of users, one row per user code.
        item_table (polars frame or None): Attributes of items, one row per item code.
        report (ReadReport): Rows left out and duplicates merged while reading.
        kind (str): "explicit" or "implicit".
        like_threshold (float or None): The lowest rating that is a like, if these are likes().

    Raises:
        DataError: Shapes differ, codes or times are not integers, a code is out of range, a value is not finite, a
            weight is negative or not finite, a value of implicit ratings is not 1, or a table has the wrong height.
        OptionError: The kind is neither "explicit" nor "implicit".

    Example:
        >>> import palate
        >>> ratings = palate.read({"user": ["ann", "ann", "bob"], "item": ["tea", "jam", "tea"], "rating": [5, 3, 4]})
        >>> len(ratings), ratings.n_users, ratings.n_items
        (3, 2, 2)
        >>> ratings.classes
        {'user': ['ann', 'bob'], 'item': ['jam', 'tea']}
        >>> ratings[ratings.values >= 4].to_frame()["item"].to_list()
        ['tea', 'tea']
    """

    frame_kind: str | None = None  # of the frame they came in: that of answers, unless another is asked for

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
        like_threshold: float | None = None,
    ) -> None:
        self.kind: Kind = kind
        self.like_threshold = like_threshold
        self.user_vocabulary = user_vocabulary.named("user")
        self.item_vocabulary = item_vocabulary.named("item")
        self.user_codes = checked_codes("user_codes", user_codes, self.user_vocabulary)
        self.item_codes = checked_codes("item_codes", item_codes, self.item_vocabulary)
        self.values = checked_floats("values", values)
        self.weights = None if weights is None else checked_floats("weights", weights)
        self._time_start, self._time_offsets = pack_times(times)
        self.user_table = with_nulls(user_table)
        self.item_table = with_nulls(item_table)
        self.report = report or ReadReport(rows_read=len(self.values))
        self._check()

    def _check(self) -> None:
        n = len(self.values)
        for name in ("values", "user_codes", "item_codes", "times", "weights"):
            column = self._time_offsets if name == "times" else getattr(self, name)
            if column is not None and column.shape != (n,):
                raise DataError(f"{name} has shape {column.shape}, but there are {n:,} values: give one for each.")
        if not np.isfinite(self.values).all():
            raise DataError("a rating is NaN or infinite, or too large for float32: leave such rows out.")
        if self.weights is not None:
            checked_weights(self.weights)
        check_choice("kind", self.kind, KINDS)
        if self.is_implicit and not (self.values == 1).all():
            raise DataError("a value of implicit ratings is not 1: pass ones as values, and counts as weights.")
        self._check_tables()

    def _check_tables(self) -> None:
        for table, vocabulary in (
            (self.user_table, self.user_vocabulary),
            (self.item_table, self.item_vocabulary),
        ):
            if table is not None and table.height != len(vocabulary):
                what = vocabulary.what
                raise DataError(
                    f"the {what} table has {table.height:,} rows for {len(vocabulary):,} {what}s, and no column of "
                    f"labels to join it by: name that column {what!r}."
                )

    @property
    def times(self) -> NDArray[np.int64] | None:
        """When each rating was given, int64, shape (n,), usually seconds since 1970; None if unknown."""
        # kept as 4-byte offsets if they fit
        return None if self._time_offsets is None else self._time_offsets.astype(np.int64) + self._time_start

    @property
    def is_implicit(self) -> bool:
        """True for implicit ratings: only choices are known, perhaps with counts."""
        return self.kind == "implicit"

    @property
    def n_users(self) -> int:
        """Number of users in the vocabulary, those without a rating here included."""
        return len(self.user_vocabulary)

    @property
    def n_items(self) -> int:
        """Number of items in the vocabulary, those without a rating here included."""
        return len(self.item_vocabulary)

    @cached_property
    def classes(self) -> dict[str, list[Any]]:
        """Labels in the order of their codes: {"user": [...], "item": [...]}. Built once; copy a list to change it."""
        return {"user": list(self.user_vocabulary), "item": list(self.item_vocabulary)}

    @cached_property
    def range(self) -> tuple[float, float]:
        """Lowest and highest value of a weight above 0, as (low, high); (nan, nan) without such ratings."""
        low, high = float("inf"), -float("inf")
        for some in chunks(len(self)):
            values = self.values[some] if self.weights is None else self.values[some][self.weights[some] > 0]
            low = min(low, float(values.min(initial=np.inf)))
            high = max(high, float(values.max(initial=-np.inf)))
        return (low, high) if low <= high else (float("nan"), float("nan"))

    @property
    def time_range(self) -> tuple[int, int] | None:
        """Earliest and latest time, as (first, last); None without times or ratings."""
        offsets = self._time_offsets
        if offsets is None or len(offsets) == 0:
            return None
        return self._time_start + int(offsets.min()), self._time_start + int(offsets.max())

    @cached_property
    def _by_user(self) -> CompressedRows:
        times = self.times if self.is_implicit else None
        return CompressedRows.of(self.user_codes, self.item_codes, self.values, self.weights, self.n_users, times)

    @cached_property
    def _by_item(self) -> CompressedRows:
        # from the users' rows, so that ratings of different users may stand in any order
        by_item = transpose_rows(replace(self.by_user(), times=None), self.n_items)
        for array in (by_item.indptr, by_item.indices, by_item.values, by_item.weights):
            if array is not None:
                read_only(array)
        return by_item

    def by_user(self) -> CompressedRows:
        """Return the ratings grouped by user. Built once, then kept.

        Returns:
            CompressedRows: One row per user code; its indices are item codes. Rows of implicit ratings have times, if
                the ratings do.

        Example:
            >>> import palate
            >>> ratings = palate.read({"user": ["ann", "ann"], "item": ["tea", "jam"], "rating": [5, 3]})
            >>> ratings.by_user().counts.tolist()
            [2]
        """
        return self._by_user

    def by_item(self) -> CompressedRows:
        """Return the ratings grouped by item. Built once, then kept.

        Returns:
            CompressedRows: One row per item code; its indices are user codes, which rise in each row.

        Example:
            >>> import palate
            >>> ratings = palate.read({"user": ["ann", "ann"], "item": ["tea", "jam"], "rating": [5, 3]})
            >>> ratings.by_item().counts.tolist()
            [1, 1]
        """
        return self._by_item

    def __getitem__(self, rows: slice | NDArray[Any]) -> Ratings:
        """Some ratings, by a slice, positions or a mask, with the same vocabularies and tables."""
        selected: dict[str, Any] = {}
        for name in COLUMNS:
            column = getattr(self, name)
            selected[name] = None if column is None else np.ascontiguousarray(column[rows])
        return self._with(**selected)

    def same_vocabulary(self, other: Ratings) -> bool:
        """Return True if every code means the same user or item in both.

        Parameters:
            other (Ratings): The ratings to compare with.

        Returns:
            bool: True if the user vocabularies are equal, and the item vocabularies too.

        Example:
            >>> import palate
            >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> train.same_vocabulary(test)
            True
        """
        return self.user_vocabulary == other.user_vocabulary and self.item_vocabulary == other.item_vocabulary

    def likes(self, at_least: float) -> Ratings:
        """Return the ratings of at_least or more as implicit ratings, each one a like.

        Vocabularies, tables, times and weights stay, also for users and items without a like. Of implicit ratings,
        those with a count of at_least or more are kept (without counts, each counts 1).

        Parameters:
            at_least (float): The lowest value that is a like.

        Returns:
            Ratings: Implicit ratings; their weights, if any, are those of the ratings.

        Raises:
            OptionError: at_least is not a number, or is NaN.
            DataError: No rating is that high.

        Example:
            >>> import palate
            >>> ratings = palate.read({"user": ["ann", "ann"], "item": ["tea", "jam"], "rating": [5, 3]})
            >>> ratings.likes(at_least=4)
            Ratings(1 implicit ratings, 1 users, 2 items)
        """
        check_at_least(at_least)
        measure = self.values if not self.is_implicit or self.weights is None else self.weights
        is_like = measure >= np.float32(at_least)
        if not is_like.any():
            raise no_likes(at_least, measure)
        liked = self[is_like]
        threshold = self.like_threshold if self.is_implicit else float(at_least)
        return liked._with(kind="implicit", values=np.ones(len(liked), np.float32), like_threshold=threshold)

    def with_weights(self, weights: NDArray[Any] | None) -> Ratings:
        """Return the same ratings with other weights. Likes with weights are choices with counts.

        Parameters:
            weights (array of numbers or None): One weight per rating, shape (n,), finite and 0 or more; None for none.

        Returns:
            Ratings: With these weights.

        Raises:
            DataError: The shape is not (n,), or a weight is negative or not finite.

        Example:
            >>> import palate
            >>> ratings = palate.read({"user": ["ann", "bob"], "item": ["tea", "tea"], "rating": [5, 4]})
            >>> ratings.with_weights([1, 2])
            Ratings(2 ratings, 2 users, 1 items, with weights)
        """
        if weights is None:
            return self._with(weights=None)
        threshold = None if self.is_implicit else self.like_threshold
        return self._with(weights=checked_floats("weights", weights), like_threshold=threshold)

    def with_weights_divided(self, by: float) -> Ratings:
        """Return the same ratings with their weights divided by a number.

        Parameters:
            by (float): A number above 0.

        Returns:
            Ratings: With these weights; as they are if they have none.
        """
        return self._with(weights=None if self.weights is None else divided_by(self.weights, by))

    def with_items(self, table: Any, *, item: str | int | None = None, unrated: Unrated = "drop") -> Ratings:
        """Return the same ratings with a table of item attributes, joined by label.

        Rows of the table that are left out are noted in `report.table_notes`. Items that the table lacks get nulls.

        Parameters:
            table (path, frame, mapping or None): A file, a frame of any kind or a mapping of columns. A polars frame
                without labels, with one row per item code in that order, is taken as it is. None removes the table.
            item (str or int, default None): Column of labels, by name or position from 0. By default a column with a
                common name for it (item, movie_id, id, ...), or else the first.
            unrated ("drop" or "keep", default "drop"): What to do with items of the table that have no rating. "keep"
                adds them to the vocabulary, which may change all item codes.

        Returns:
            Ratings: With `item_table` set.

        Raises:
            DataError: No label of the table is an item here, or a row of a text file cannot be read.
            LabelTypeError: The column of labels mixes types.
            OptionError: `unrated` or `item` is not valid.

        Example:
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
        """Return the same ratings with a table of user attributes, joined by label.

        Rows of the table that are left out are noted in `report.table_notes`. Users that the table lacks get nulls.

        Parameters:
            table (path, frame, mapping or None): A file, a frame of any kind or a mapping of columns. A polars frame
                without labels, with one row per user code in that order, is taken as it is. None removes the table.
            user (str or int, default None): Column of labels, by name or position from 0. By default a column with a
                common name for it (user, user_id, id, ...), or else the first.
            unrated ("drop" or "keep", default "drop"): What to do with users of the table that have no rating. "keep"
                adds them to the vocabulary, which may change all user codes.

        Returns:
            Ratings: With `user_table` set.

        Raises:
            DataError: No label of the table is a user here, or a row of a text file cannot be read.
            LabelTypeError: The column of labels mixes types.
            OptionError: `unrated` or `user` is not valid.

        Example:
            >>> import palate
            >>> ratings = palate.read({"user": ["ann", "bob"], "item": ["tea", "jam"], "rating": [5, 3]})
            >>> ratings.with_users({"user": ["bob", "ann"], "age": [31, 44]}).user_table["age"].to_list()
            [44, 31]
        """
        return self._with_table(table, self.user_vocabulary, user, unrated)

    def _with_table(self, table: Any, vocabulary: Vocabulary, label: str | int | None, unrated: str) -> Ratings:
        from palate.data.reading.tables import Joined, is_in_order, joined_table, plain_columns

        if label is None and is_in_order(table, vocabulary):
            return self._joined(Joined(plain_columns(table), vocabulary))
        return self._joined(joined_table(table, vocabulary, strict=True, label=label, unrated=unrated))

    def _joined(self, join: Joined) -> Ratings:
        """The same ratings with the table and the vocabulary of a join."""
        what = join.vocabulary.what
        others = tuple(note for note in self.report.table_notes if not note.startswith(f"{what}s: "))
        lacking = {side: found for side, found in self.report.lacking.items() if side != what}
        lacking |= {what: join.lacking} if join.lacking[0] else {}
        changed: dict[str, Any] = {
            f"{what}_table": with_nulls(join.table),
            "report": replace(self.report, table_notes=(*others, *join.notes), lacking=lacking),
        }
        if join.vocabulary is getattr(self, f"{what}_vocabulary"):
            return self._with(**changed)
        return self._recoded(what, join.vocabulary, **changed)

    def _recoded(self, what: str, vocabulary: Vocabulary, **changed: Any) -> Ratings:
        """The same ratings in the codes of another vocabulary, with what else changes."""
        codes = vocabulary.encode(getattr(self, f"{what}_vocabulary").labels)[getattr(self, f"{what}_codes")]
        return self._with(**changed, **{f"{what}_vocabulary": vocabulary, f"{what}_codes": codes})

    def _with(self, **changed: Any) -> Ratings:
        """The same ratings with other fields; times are not one of them, since they are kept packed."""
        state = self._state()
        assert changed.keys() <= state.keys(), f"no fields of Ratings: {changed.keys() - state.keys()}"
        other = _restored(state | changed)
        other._check()
        return other

    def _state(self) -> dict[str, Any]:
        """All fields except the cached ones."""
        return {name: value for name, value in self.__dict__.items() if name not in CACHED}

    def to_frame(self) -> Any:
        """Return the ratings as a frame with labels, of the kind they came in or that palate.set_output() sets.

        Returns:
            Frame: Columns user and item, rating (only if explicit), and time and weight if there are any;
                one row per rating.

        Example:
            >>> import palate
            >>> palate.read({"user": ["ann"], "item": ["tea"], "rating": [5]}).to_frame().rows()
            [('ann', 'tea', 5.0)]
        """
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
        return in_kind(pl.DataFrame(columns, schema_overrides=schema), None, self.frame_kind)

    def describe(self) -> str:
        """Return a summary: how many ratings, how dense, which values and times, and what was left out in reading.

        Returns:
            str: A few lines of text.

        Example:
            >>> import palate
            >>> print(palate.datasets.synthetic(60, 40, 1200, seed=1).describe())
            1,200 ratings of 40 items by 60 users, 50.00% of pairs
            values from 1 to 5, mean 3.478
        """
        if len(self) == 0:
            return "No ratings."
        low, high = self.range
        size = f"{len(self):,} {self._noun} of {self.n_items:,} items by {self.n_users:,} users"
        lines = [f"{size}, {self._density():.2%} of pairs"]
        if not self.is_implicit:
            mean = float("nan") if np.isnan(low) else weighted_mean(self.values, self.weights)
            lines.append(f"values from {low:g} to {high:g}, mean {mean:.3f}")
        elif self.weights is not None:
            lines.append(
                f"counts from {self.weights.min():g} to {self.weights.max():g}, {self.weights.sum():,.0f} in all"
            )
        if self.time_range is not None:
            lines.append("times from {} to {}".format(*self.time_range))
        if not self.report.is_clean:
            lines.append(str(self.report))
        return "\n".join(lines)

    def _density(self) -> float:
        """The share of all pairs of a user and an item that are rated or chosen."""
        rows, n_pairs = self.by_user(), len(self)
        if self.is_implicit and has_repeats(rows.indptr, rows.indices, self.n_items):
            n_pairs = len(distinct(rows, self.n_items).indices)
        return n_pairs / (self.n_users * self.n_items)

    @property
    def _noun(self) -> str:
        return "implicit ratings" if self.is_implicit else "ratings"

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        extras = [name for name in ("times", "weights", "user_table", "item_table") if getattr(self, name) is not None]
        with_extras = f", with {', '.join(extras)}" if extras else ""
        return f"Ratings({len(self):,} {self._noun}, {self.n_users:,} users, {self.n_items:,} items{with_extras})"

    def _repr_html_(self) -> str:
        return overview(self)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__:
            raise AttributeError(f"Ratings are immutable: {name} cannot be set again. Make new ones.")
        object.__setattr__(self, name, value)

    def __reduce__(self) -> Any:
        return (_restored, (self._state(),))


COLUMNS = ("user_codes", "item_codes", "values", "weights", "_time_offsets")
CACHED = ("classes", "range", "_by_user", "_by_item")


def _restored(state: dict[str, Any]) -> Ratings:
    """Ratings from all their fields, without checks; marks the columns read-only."""
    ratings = object.__new__(Ratings)
    ratings.__dict__.update(state)
    for name in COLUMNS:
        if state[name] is not None:
            read_only(state[name])
    return ratings


def of_frame(ratings: Ratings, kind: str | None) -> Ratings:
    """Note the kind of frame that new ratings came in, and return the same object."""
    if kind is not None:
        ratings.frame_kind = kind
    return ratings


def with_positive_weights(ratings: Ratings) -> Ratings:
    """The ratings of a weight above 0: a rating of weight 0 counts as none. The same object if all are."""
    if ratings.weights is None or ratings.weights.all():
        return ratings
    return ratings[ratings.weights > 0]
