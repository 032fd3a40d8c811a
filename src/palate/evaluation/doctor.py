"""The data doctor: palate.check(), with what only fits can tell: whether the order of events matters in these ratings.

Each user's last event is held out, of a sample of users small enough to take seconds. A recipe that reads order ranks
it, and so do recipes that do not. Order matters if the first is better beyond doubt: by more than two standard errors
of the users' differences.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from palate.data.blocks.mapped import Blocks
from palate.data.checking import Check, checked
from palate.data.findings import Finding
from palate.data.ratings import Ratings
from palate.data.splitting import split_last
from palate.errors import OptionError, PalateError
from palate.evaluation.budget import of_some_users
from palate.evaluation.next_items import evaluate_next_items
from palate.evaluation.resampling import Doubles
from palate.options import check_flags
from palate.recipes import EASE, Popularity, Sequence, SparseEASE
from palate.recipes.base import Recipe
from palate.showing.events import within

SAMPLED = 5_000_000  # of more ratings on disk than this, so many are looked at
EVENTS = 100_000  # of the users whose last events are looked at
MIN_USERS = 100  # with a last event; with fewer nothing is said
MAX_DENSE = 3000  # items of a dense EASE that takes no more than a second or two
DOUBT = 2.0  # standard errors by which the other must be better


def check(source: Any, *, order: bool | None = None, **options: Any) -> Check:
    """Check ratings for problems, and say what each means and what to do about it.

    Looks at the size and density, bad rows and duplicates, the scale or the counts, labels that differ only in case or
    blanks, users who always give the same rating, users and items with one rating or none, the cold rows to expect in a
    random split, and times. Bad rows and duplicates are known only while reading: pass the file, or ratings that still
    carry their report.

    Of more than 5,000,000 ratings on disk it looks at those of some users, drawn at random, and says so.

    Of implicit ratings with times it also says whether the order of events matters: how well each user's last event is
    foreseen by a recipe that reads order, and by the best that does not (NDCG@10 among all items). That takes a few
    fits to a sample of the users, seconds in all.

    Parameters:
        source (Ratings, or a source for `palate.read`): What to look at. Bad rows are reported, not raised.
        order (bool or None, default None): Whether to look at the order of events. None: of implicit ratings with
            times; True: of implicit ratings without times too, by the order of their rows; False: no.
        options (keyword arguments): Options of `palate.read`, such as kind=. Not used if the source is Ratings.

    Returns:
        Check: All findings. Prints as a table.

    Raises:
        DataError: The source cannot be read at all.
        OptionError: An option of `palate.read` is not valid, or order=True is given for explicit ratings.

    Example:
        >>> import palate
        >>> found = palate.check({"user": ["ann", "ann", "bob"], "item": ["tea", "jam", "tea"], "rating": [5, 3, 5]})
        >>> found["scale"].says
        '2 different values from 3 to 5 in steps of 2, mean 4.33.'
    """
    check_flags(order=False if order is None else order)
    if isinstance(source, Blocks) and len(source) > SAMPLED:
        sample = of_some_users(source, SAMPLED)._with(report=source.report)
        found = check(sample, order=order)
        return replace(found, findings=(_sampled(source, sample), *found.findings))
    found, ratings = checked(source, options)
    if ratings is None or order is False:
        return found
    if not ratings.is_implicit:
        if order:
            raise OptionError(
                'order=True looks at the order of choices, and these are ratings: read them with kind="implicit", or '
                "take ratings.likes(at_least=4)."
            )
        return found
    if not order and ratings.times is None:
        return found
    finding = order_finding(ratings)
    return found if finding is None else replace(found, findings=(*found.findings, finding))


def _sampled(whole: Ratings, sample: Ratings) -> Finding:
    says = (
        f"{len(whole):,} ratings lie on disk: what follows is of {len(sample):,} of them, all those of "
        f"{sample.n_users:,} users drawn at random."
    )
    return Finding("sample", "info", says)


class Foreseen(NamedTuple):
    """How well a recipe foresees last events: its name, and the NDCG@10 of each user, (n_users,)."""

    name: str
    ndcg: Doubles


@within("check")
def order_finding(ratings: Ratings, aware: Recipe | None = None) -> Finding | None:
    """Whether order matters in implicit ratings; None where too few users have a last event to tell.

    aware: a recipe that reads order; Sequence() by default.
    """
    aware = Sequence() if aware is None else aware
    inner, last = split_last(of_some_users(ratings, EVENTS))
    if len(last) < MIN_USERS:
        return None
    dense: Recipe = EASE() if inner.n_items <= MAX_DENSE else SparseEASE()
    try:
        with_order, keep_seen = _foreseen(aware, inner, last)
        others = [_foreseen(recipe, inner, last, keep_seen=keep)[0]
                  for recipe in (dense, Popularity()) for keep in {False, keep_seen}]  # fmt: skip
    except PalateError:  # ratings that no recipe learns from are the business of other findings
        return None
    return _told(with_order, max(others, key=lambda other: float(other.ndcg.mean())))


def _foreseen(recipe: Recipe, inner: Ratings, last: Ratings, *, keep_seen: bool | None = None) -> tuple[Foreseen, bool]:
    """How well a recipe foresees the last events, and whether its lists hold items that users have had before."""
    rec = recipe.fit(inner, progress=False)
    report = evaluate_next_items(rec, last, (10,), keep_seen=keep_seen, baselines=False, n_bootstrap=1, seed=0)
    assert report.per_user is not None
    return Foreseen(type(recipe).__name__, report.per_user.sums), report.keep_seen


def _told(aware: Foreseen, blind: Foreseen) -> Finding:
    gains = aware.ndcg - blind.ndcg
    gain, error = float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains)))
    says = (
        f"order-aware {aware.ndcg.mean():.3f}, order-blind {blind.ndcg.mean():.3f} NDCG@10 on the last items of "
        f"{len(gains):,} users ({aware.name} and {blind.name}; difference {gain:.3f}, standard error {error:.3f})."
    )
    if gain > DOUBT * error:
        return Finding("order", "info", f"Order matters: {says}", f"palate.{aware.name}() learns from it.")
    return Finding("order", "info", f"Order does not matter here: {says}")
