"""The best n of each of a block of people, without what they have seen and may not get."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palate.answers.ranking.categories import Fetch, limited
from palate.answers.ranking.products import top_of_products, top_of_scores
from palate.answers.ranking.queries import Query
from palate.answers.ranking.scoring import ranks_by_products, ratings_of_products, scores_of
from palate.data.rows import CompressedRows, row_codes, take_rows
from palate.models.factors import Codes, Floats
from palate.models.model import Model, UserRows


def best(model: Model, user_rows: UserRows, query: Query, rows: slice = slice(None)) -> tuple[Codes, Floats]:
    """Codes and scores (m, n) of the best items, best first; code -1 where there are no more.

    rows: where the people stand among all who are asked for. Ties go to the lower code.
    """
    unseen = hidden(user_rows, query, rows)
    fused = ranks_by_products(model, query)
    fetch = (
        _of_products(model, user_rows, query, unseen) if fused else _of_scores(model, user_rows, query, unseen, rows)
    )
    if query.limits:
        return limited(fetch, len(user_rows), query.n, len(query.allowed), query.limits)
    return fetch(np.arange(len(user_rows)), query.n)


def hidden(user_rows: UserRows, query: Query, rows: slice) -> CompressedRows | None:
    """The items that each of some people may not get besides those that nobody may; None: there are none."""
    lists = [] if query.keep_seen else [user_rows.history]
    lists += [] if query.never is None else [query.never.of(rows)]
    return _joined(*lists) if lists else None


def _joined(first: CompressedRows, second: CompressedRows | None = None) -> CompressedRows:
    """The entries of both, row by row."""
    if second is None:
        return first
    rows = np.concatenate([row_codes(first), row_codes(second)])
    indices = np.concatenate([first.indices, second.indices])
    return CompressedRows.of(rows, indices, np.ones(len(rows), np.float32), None, first.n_rows)


def _of_products(model: Model, user_rows: UserRows, query: Query, unseen: CompressedRows | None) -> Fetch:
    """The best by p . q + c, whose scores never stand side by side in memory."""

    def fetch(rows: NDArray[np.int64], n: int) -> tuple[Codes, Floats]:
        factors, users, lists = model.factors, user_rows.vectors[rows], _some(unseen, rows)
        if query.index is None:
            codes, products = top_of_products(users, factors.items, n, lists, query.allowed)
        else:
            codes, products = query.index.top(users, n, lists, query.allowed)
        return codes, ratings_of_products(factors, products)

    return fetch


def _of_scores(model: Model, user_rows: UserRows, query: Query, unseen: CompressedRows | None, rows: slice) -> Fetch:
    """The best by scores of every item."""
    scores = np.ascontiguousarray(scores_of(model, user_rows, query), np.float32)
    if query.only is not None:
        scores = _only(scores, query.only.of(rows))

    def fetch(rows: NDArray[np.int64], n: int) -> tuple[Codes, Floats]:
        whole = scores if len(rows) == len(scores) else scores[rows]
        return top_of_scores(whole, n, _some(unseen, rows), query.allowed)

    return fetch


def _only(scores: Floats, lists: CompressedRows) -> Floats:
    """The scores of what is on each person's list, -inf elsewhere."""
    kept = np.full_like(scores, -np.inf)
    rows = row_codes(lists)
    kept[rows, lists.indices] = scores[rows, lists.indices]
    return kept


def _some(lists: CompressedRows | None, rows: NDArray[np.int64]) -> CompressedRows | None:
    return lists if lists is None or len(rows) == lists.n_rows else take_rows(lists, rows)
