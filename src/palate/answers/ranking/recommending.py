"""Recommending, from the call to the frame or file.

rank() goes through the users in blocks that fit into memory (memory.py) and makes
a frame, or a file (files.py). ranked() answers for one block, without frames: this is what a server calls. best_items()
ranks the items: scores (scoring.py), without the items that each user has seen or may not get (filters.py), the best n
of them (top_n.py; ties go to the item with the lower code), within the limits of max_per (max_per.py), in the order
that the dials give them (dials/).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.frames import item_series, rank_series, series_of_labels
from palate.answers.ranking.dials import depth_of, with_dials
from palate.answers.ranking.files import Parts, check_path, errors_in_words, manifest_of, write
from palate.answers.ranking.max_per import Fetch, limited
from palate.answers.ranking.memory import users_at_once
from palate.answers.ranking.queries import Query, RecommendOptions, query_of
from palate.answers.ranking.scoring import ranks_by_products, ratings_of_products, scores_of
from palate.answers.ranking.top_n import packed_items, top_of_products, top_of_scores
from palate.answers.recent import asked, seen_by
from palate.data.rows import CompressedRows, row_codes, take_rows
from palate.errors import OptionError
from palate.models.factors import Codes, Floats
from palate.models.model import Model, UserRows

if TYPE_CHECKING:
    import polars as pl

Block = tuple[slice, Codes, Floats]  # which of the users, their items and the scores, (m, n) each


def recommend_new(model: Model, user_rows: UserRows, options: RecommendOptions) -> pl.DataFrame | Path:
    """The best items of one new user: a polars frame without a column of users, or the path of a file."""
    return rank(model, lambda _: user_rows, None, user_rows.codes, query_of(model, options), options)


def rank(
    model: Model,
    user_rows: Callable[[slice], UserRows],
    labels: NDArray[Any] | None,
    codes: Codes,
    query: Query,
    options: RecommendOptions,
) -> pl.DataFrame | Path:
    """The best items of each user: a polars frame, or the path of the file written.

    user_rows: returns the rows of a slice of the users. labels, codes: of the users, (m,) each; labels is None for one
    fold-in user.
    """
    if options.on is not None or options.overwrite:
        raise OptionError('on= and overwrite= go with a folder of known users: out="lists/".')
    if options.recent is not None:
        model, as_they_were = asked(model, options.recent), user_rows
        user_rows = lambda rows: seen_by(model, as_they_were(rows))  # noqa: E731
    path = None if options.out is None else check_path(options.out)
    step = users_at_once(model, query, codes, options.memory)
    frames = FrameMaker(model, labels)

    def answers(rows: slice) -> tuple[Codes, Floats]:
        return ranked(model, user_rows(rows), query, rows)

    if path is None:
        import polars as pl

        made = [frames.make(rows, *answers(rows)) for rows in _slices(len(codes), step)]
        return made[0] if len(made) == 1 else pl.concat(made)
    parts = Parts.beside(path)
    with errors_in_words(path), parts.held(make=options.resume):
        if options.resume:
            step = parts.begin(manifest_of(model, query, labels, step))
            blocks = _finished_or_ranked(parts, answers, _slices(len(codes), step), query)
        else:
            parts.clear()
            blocks = ((rows, *answers(rows)) for rows in _slices(len(codes), step))
        write((frames.make(*block) for block in blocks), path)
        parts.clear()
    return path


def _slices(count: int, step: int) -> Iterator[slice]:
    for start in range(0, max(count, 1), step):
        yield slice(start, min(start + step, count))


def _finished_or_ranked(
    parts: Parts, answers: Callable[[slice], tuple[Codes, Floats]], slices: Iterator[slice], query: Query
) -> Iterator[Block]:
    """The blocks of an earlier run as they were kept; all other blocks are ranked now, and kept."""
    for at, rows in enumerate(slices):
        finished = parts.get(at, rows.stop - rows.start, query)
        found = answers(rows) if finished is None else finished
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
        counts, at = is_item.sum(axis=1), pl.Series(codes[is_item].astype(np.uint32))
        columns = []
        if self.labels is not None:
            users = series_of_labels(self.labels[rows], self.model.user_vocabulary.what)
            is_one = len(users) == 1
            columns.append(
                users.new_from_index(0, len(at))
                if is_one
                else users[pl.Series(np.repeat(np.arange(len(users)), counts))]
            )
        columns += [column[at] for column in self.model.once(item_series).values()]
        columns.append(pl.Series("score", scores[is_item].astype(np.float32, copy=False)))
        ranks = self.model.once(rank_series)
        if len(codes) > 1:
            ranks = ranks[pl.Series(np.broadcast_to(np.arange(codes.shape[1]), codes.shape)[is_item])]
        return pl.DataFrame([*columns, ranks.head(len(at))])


# ---- one block -------------------------------------------------------------------------------------------------------


def ranked(model: Model, user_rows: UserRows, query: Query, rows: slice = slice(None)) -> tuple[Codes, Floats]:
    """Codes and scores (m, n) as best_items() finds them, the scores within their limits: an answer without a frame.

    rows: where these users stand among all users of the query.
    """
    found, scores = best_items(model, user_rows, query, rows)
    low, high = (0.0, 1.0) if query.by in ("chance", "likely") else model.score_limits
    return found, np.minimum(np.maximum(scores, low), high).astype(np.float32, copy=False)


def best_items(model: Model, user_rows: UserRows, query: Query, rows: slice = slice(None)) -> tuple[Codes, Floats]:
    """Codes and scores (m, n) of each user's best items, best first; code -1 where there are no more.

    rows: where these users stand among all users of the query. Ties go to the lower code.
    """
    hidden = hidden_items(user_rows, query, rows)
    if ranks_by_products(model, query):
        fetch = _by_products(model, user_rows, query, hidden)
    else:
        fetch = _by_scores(model, user_rows, query, hidden, rows)
    sizes = len(user_rows), query.n, len(query.allowed)
    if query.dials is not None:
        choose = with_dials(query.dials, user_rows.history, query.n, query.limits)
        depth, at_once = depth_of(query.n, query.limits), query.dials.users_at_once
        return limited(fetch, *sizes, query.limits, choose=choose, depth=depth, at_once=at_once)
    if query.limits:
        return limited(fetch, *sizes, query.limits)
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
        if query.index is None and query.allowed is model.every_item:
            codes, products = top_of_products(users, factors.items, n, lists, None, packed=packed_items(model))
        elif query.index is None:
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
