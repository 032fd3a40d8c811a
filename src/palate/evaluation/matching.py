"""Match test ratings with a model: the test rows, and each user's held-out items, in the codes of the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.data.blocks.mapped import Blocks
from palate.data.ratings import Ratings
from palate.data.rows import distinct, pointers_of, row_codes, take_rows
from palate.errors import DataError, OptionError
from palate.models.factors import Codes
from palate.recommender import Recommender


def check_type(name: str, given: Any, expected: type, hint: str) -> None:
    """Raise OptionError if a value is not of the expected type; hint: where to get one."""
    if not isinstance(given, expected):
        raise OptionError(f"{name} must be a {expected.__name__}, {hint}, not {type(given).__name__}.")


def training_ratings(recommender: Recommender) -> Ratings:
    """Return the ratings that a recommender was trained on.

    Parameters:
        recommender (Recommender): A trained model.

    Returns:
        Ratings: The training ratings, grouped by user; with times only if they are implicit. Of a fit to Blocks these
            Blocks, as long as their folder is there.

    Example:
        >>> import palate
        >>> ratings = palate.datasets.synthetic(60, 40, 1200, seed=1)
        >>> len(palate.evaluation.training_ratings(palate.Bias().fit(ratings)))
        1200
    """
    model = recommender.model
    blocks = model.learned_blocks
    if isinstance(blocks, Blocks) and blocks.path.is_dir():
        return blocks
    return Ratings(
        row_codes(model.history),
        model.history.indices,
        model.history.values,
        times=model.history.times,
        weights=model.history.weights,
        user_vocabulary=model.user_vocabulary,
        item_vocabulary=model.item_vocabulary,
        kind=model.kind,
        like_threshold=model.like_threshold,
    )


def code_maps(recommender: Recommender, test: Ratings) -> tuple[Codes, Codes]:
    """Return the model's code of each user and of each item of the test ratings, -1 for labels unknown to the model."""
    model = recommender.model
    sides = ((model.user_vocabulary, test.user_vocabulary), (model.item_vocabulary, test.item_vocabulary))
    users, items = (
        np.arange(len(own), dtype=np.int32)
        if own is other or own == other
        else own.encode(other.labels, on_unknown="mark")
        for own, other in sides
    )
    return users, items


def codes_in_model(recommender: Recommender, test: Ratings) -> tuple[Codes, Codes]:
    """Return the model's user and item code of each test row, -1 for labels unknown to the model."""
    users, items = code_maps(recommender, test)
    return users[test.user_codes], items[test.item_codes]


def learned_from(recommender: Recommender, users: Codes, items: Codes) -> NDArray[np.bool_]:
    """Return for which pairs of the model's codes (n,), -1 for unknown, the model holds a training rating, (n,)."""
    known = (users >= 0) & (items >= 0)
    if not known.any():
        return known
    owners = np.flatnonzero(np.bincount(users[known])).astype(np.int32)
    history, n_items = take_rows(recommender.model.history, owners), recommender.n_items
    cells = np.sort(owners[row_codes(history)].astype(np.int64) * n_items + history.indices)
    if len(cells) == 0:
        return np.zeros(len(users), bool)
    pairs = users.astype(np.int64) * n_items + items
    found: NDArray[np.bool_] = cells[np.minimum(np.searchsorted(cells, pairs), len(cells) - 1)] == pairs
    return known & found


@dataclass(frozen=True)
class HeldOut:
    """Held-out items in the codes of a model: each pair once, grouped by user.

    users: (n_users,); indptr: (n_users + 1,), where each user's items begin; items: (n,). Codes are -1 for users and
    items unknown to the model. weights: 1 / propensity of each item, (n,), where these are known.
    """

    users: Codes
    indptr: NDArray[np.int64]
    items: Codes
    weights: NDArray[np.float64] | None = None

    def part(self, first: int, last: int) -> HeldOut:
        """Return the held-out items of the users from first to last (exclusive)."""
        at = slice(int(self.indptr[first]), int(self.indptr[last]))
        weights = None if self.weights is None else self.weights[at]
        return HeldOut(self.users[first:last], self.indptr[first : last + 1] - at.start, self.items[at], weights)

    @property
    def owners(self) -> Codes:
        """The user of each held-out item, (n,)."""
        return np.repeat(self.users, np.diff(self.indptr))


def among(held_out: HeldOut, allowed: NDArray[np.bool_]) -> HeldOut:
    """Return only the held-out items that are allowed, (n_items,), and the users that have some. DataError if none."""
    keep = (held_out.items >= 0) & allowed[held_out.items]
    if not keep.any():
        raise DataError("none of the held-out items is among the items to rank (items=, where=).")
    counts = np.diff(pointers_of(keep)[held_out.indptr])
    has_some = counts > 0
    weights = None if held_out.weights is None else held_out.weights[keep]
    return HeldOut(held_out.users[has_some], pointers_of(counts[has_some]), held_out.items[keep], weights)


def held_out_of(recommender: Recommender, test: Ratings, weights: NDArray[np.float64] | None = None) -> HeldOut:
    """Return the test ratings as held-out items; a repeated (user, item) pair counts once, with its first weight."""
    users, items = code_maps(recommender, test)
    rows = distinct(test.by_user(), test.n_items)
    owners = np.flatnonzero(rows.counts)
    assert len(owners) > 0
    found = HeldOut(users[owners], pointers_of(rows.counts[owners]), items[rows.indices])
    if weights is None:
        return found
    pairs = row_codes(rows).astype(np.int64) * test.n_items + rows.indices
    known, first = np.unique(test.user_codes.astype(np.int64) * test.n_items + test.item_codes, return_index=True)
    return replace(found, weights=weights[first[np.searchsorted(known, pairs)]])
