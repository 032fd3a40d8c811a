"""Recommending, from the call to the frame or file.

recommend() turns labels into codes. rank() goes through the users in blocks that fit into memory (memory.py) and makes
a frame, or a file (files.py). best_items() ranks the items of one block: scores (scoring.py), without the items that
each user has seen or may not get (filters.py), the best n of them (top_n.py; ties go to the item with the lower code),
within the limits of max_per (max_per.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import OnUnknown, encode, label_array, labels_of
from palate.answers.frames import Frame, as_kind, is_frame, label_columns, series_of_labels
from palate.answers.ranking.files import Parts, check_path, errors_in_words, manifest_of, write
from palate.answers.ranking.index import ItemIndex
from palate.answers.ranking.max_per import Fetch, limited
from palate.answers.ranking.memory import users_at_once
from palate.answers.ranking.queries import Query, RecommendOptions, query_of
from palate.answers.ranking.scoring import ranks_by_products, ratings_of_products, scores_of
from palate.answers.ranking.top_n import top_of_products, top_of_scores
from palate.data.rows import CompressedRows, row_codes, take_rows
from palate.models.factors import Codes, Floats
from palate.models.model import Model, UserRows

if TYPE_CHECKING:
    import polars as pl

Block = tuple[slice, Codes, Floats]  # which of the users, their items and the scores, (m, n) each


def recommend(model: Model, users: Any, options: RecommendOptions, index: ItemIndex | None) -> Frame:
    """The best items of users (None: of all): a frame of the kind the users came in, or the path of a file."""
    labels, codes = _labels_and_codes(model, users, options.on_unknown)
    query = query_of(model, options, (labels, codes), index=index)
    like = users if is_frame(users) else None
    return rank(model, lambda rows: model.user_rows(codes[rows]), labels, codes, query, options, like=like)


def _labels_and_codes(model: Model, users: Any, on_unknown: OnUnknown) -> tuple[NDArray[Any], Codes]:
    """Labels and codes of the users, (m,) each; -1 for unknown users."""
    vocabulary = model.user_vocabulary
    if users is None:
        return vocabulary.labels, np.arange(len(vocabulary), dtype=np.int32)
    given = labels_of(users, vocabulary.what)
    codes, labels = encode(vocabulary, given, on_unknown), label_array(given, vocabulary)
    known = codes >= 0
    return (labels[known], codes[known]) if on_unknown == "nan" else (labels, codes)


def rank(
    model: Model,
    user_rows: Callable[[slice], UserRows],
    labels: NDArray[Any] | None,
    codes: Codes,
    query: Query,
    options: RecommendOptions,
    *,
    like: Frame = None,
) -> Frame:
    """The best items of each user: a frame, or the path of the file written.

    user_rows: returns the rows of a slice of the users. labels, codes: of the users, (m,) each; labels is None for one
    fold-in user. like: a frame whose kind the answer takes.
    """
    path = None if options.out is None else check_path(options.out)
    step = users_at_once(model, query, codes, options.memory)
    frames = FrameMaker(model, labels)

    def ranked(rows: slice) -> tuple[Codes, Floats]:
        found, scores = best_items(model, user_rows(rows), query, rows)
        limits = (0.0, 1.0) if query.by in ("chance", "likely") else model.score_limits
        return found, np.clip(scores, *limits).astype(np.float32, copy=False)

    if path is None:
        import polars as pl

        frame = pl.concat([frames.make(rows, *ranked(rows)) for rows in _slices(len(codes), step)])
        return frame if like is None else as_kind(frame, like)
    parts = Parts.beside(path)
    with errors_in_words(path), parts.held(make=options.resume):
        if options.resume:
            step = parts.begin(manifest_of(model, query, labels, step))
            blocks = _finished_or_ranked(parts, ranked, _slices(len(codes), step), query)
        else:
            parts.clear()
            blocks = ((rows, *ranked(rows)) for rows in _slices(len(codes), step))
        write((frames.make(*block) for block in blocks), path)
        parts.clear()
    return path


def _slices(count: int, step: int) -> Iterator[slice]:
    for start in range(0, max(count, 1), step):
        yield slice(start, min(start + step, count))


def _finished_or_ranked(
    parts: Parts, ranked: Callable[[slice], tuple[Codes, Floats]], slices: Iterator[slice], query: Query
) -> Iterator[Block]:
    """The blocks of an earlier run as they were kept; all other blocks are ranked now, and kept."""
    for at, rows in enumerate(slices):
        finished = parts.get(at, rows.stop - rows.start, query)
        found = ranked(rows) if finished is None else finished
        if finished is None:
            parts.put(at, *found)
        yield rows, *found


@dataclass(frozen=True)
class FrameMaker:
    """Makes frames of codes and scores: user, item, (title,) score, rank. labels: of all users, None for one user."""

    model: Model
    labels: NDArray[Any] | None

    def make(self, rows: slice, codes: Codes, scores: Floats) -> pl.DataFrame:
        """The frame of a slice of the users from their items (m, n), best first, -1 where there are no more."""
        import polars as pl

        is_item = codes >= 0
        columns = {}
        if self.labels is not None:
            what = self.model.user_vocabulary.what
            users = series_of_labels(self.labels[rows], what)
            columns[what] = users.gather(np.repeat(np.arange(len(users)), is_item.sum(axis=1)))
        columns |= {name: column.gather(codes[is_item]) for name, column in self._items.items()}
        columns["score"] = pl.Series(scores[is_item].astype(np.float32, copy=False))
        ranks = np.broadcast_to(np.arange(1, codes.shape[1] + 1, dtype=np.int32), codes.shape)
        return pl.DataFrame(columns | {"rank": pl.Series(ranks[is_item])})

    @cached_property
    def _items(self) -> dict[str, pl.Series]:
        """The label and title columns of all items, in the order of their codes."""
        return label_columns(self.model.item_vocabulary, self.model.item_table)


# ---- one block -------------------------------------------------------------------------------------------------------


def best_items(model: Model, user_rows: UserRows, query: Query, rows: slice = slice(None)) -> tuple[Codes, Floats]:
    """Codes and scores (m, n) of each user's best items, best first; code -1 where there are no more.

    rows: where these users stand among all users of the query. Ties go to the lower code.
    """
    hidden = hidden_items(user_rows, query, rows)
    if ranks_by_products(model, query):
        fetch = _by_products(model, user_rows, query, hidden)
    else:
        fetch = _by_scores(model, user_rows, query, hidden, rows)
    if query.limits:
        return limited(fetch, len(user_rows), query.n, len(query.allowed), query.limits)
    return fetch(np.arange(len(user_rows)), query.n)


def hidden_items(user_rows: UserRows, query: Query, rows: slice) -> CompressedRows | None:
    """The items that each user may not get: seen ones and the user's own exclusions; None if there are none."""
    lists = [] if query.keep_seen else [user_rows.history]
    lists += [] if query.excluded_lists is None else [query.excluded_lists.of(rows)]
    return _merged(*lists) if lists else None


def _merged(first: CompressedRows, second: CompressedRows | None = None) -> CompressedRows:
    """The entries of both, row by row."""
    if second is None:
        return first
    rows = np.concatenate([row_codes(first), row_codes(second)])
    indices = np.concatenate([first.indices, second.indices])
    return CompressedRows.of(rows, indices, np.ones(len(rows), np.float32), None, first.n_rows)


def _by_products(model: Model, user_rows: UserRows, query: Query, hidden: CompressedRows | None) -> Fetch:
    """The best by p . q + c. The scores of all items are never in memory side by side."""

    def fetch(rows: NDArray[np.int64], n: int) -> tuple[Codes, Floats]:
        factors, users, lists = model.factors, user_rows.vectors[rows], _rows_of(hidden, rows)
        if query.index is None:
            codes, products = top_of_products(users, factors.items, n, lists, query.allowed)
        else:
            codes, products = query.index.top(users, n, lists, query.allowed)
        return codes, ratings_of_products(factors, products)

    return fetch


def _by_scores(model: Model, user_rows: UserRows, query: Query, hidden: CompressedRows | None, rows: slice) -> Fetch:
    """The best by the scores of every item, computed once."""
    scores = np.ascontiguousarray(scores_of(model, user_rows, query), np.float32)
    if query.included_lists is not None:
        scores = _listed_only(scores, query.included_lists.of(rows))

    def fetch(rows: NDArray[np.int64], n: int) -> tuple[Codes, Floats]:
        own = scores if len(rows) == len(scores) else scores[rows]
        return top_of_scores(own, n, _rows_of(hidden, rows), query.allowed)

    return fetch


def _listed_only(scores: Floats, lists: CompressedRows) -> Floats:
    """The scores of the items on each user's list, -inf for all others."""
    kept = np.full_like(scores, -np.inf)
    rows = row_codes(lists)
    kept[rows, lists.indices] = scores[rows, lists.indices]
    return kept


def _rows_of(lists: CompressedRows | None, rows: NDArray[np.int64]) -> CompressedRows | None:
    return lists if lists is None or len(rows) == lists.n_rows else take_rows(lists, rows)
