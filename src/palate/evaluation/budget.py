"""What a comparison has time and memory for: which recipes are left out, and on which users the others are tested.

How long a fit takes follows from the ratings, the recipe and the machine. Some recipes can tell. The others are first
fitted to two samples of the users and their items, one twice as large as the other; a straight line through both times,
over the number of ratings, says how long the whole fit would take. That is rather too long, since there are not as many
times more items as there are ratings. Fits to so few ratings that nobody would wait for them are not estimated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from palate.data.blocks.parting import counts_of_users, of_users
from palate.data.ratings import Ratings
from palate.data.vocabulary import Vocabulary
from palate.recipes import Blend
from palate.recipes.base import Recipe
from palate.recipes.costs import Needs, as_bytes, as_time, available_memory
from palate.showing.events import within

SAMPLES = 20_000, 40_000  # ratings of the users whose fits are timed
FEW = 400_000  # ratings to learn from: with no more than these, no fit is left out beforehand
ESTIMATING = 0.25  # of the time: no more of it goes into estimates
MAX_SCORES = 2_000_000_000  # pairs of a test user and an item that are ranked for each recipe
MIN_TESTED = 1000  # users, whatever the number of items
SMALL_SHARE = 0.02  # of the time: a fit that takes no more, in proportion to one sample, needs no other
SECONDS_PER_SCORE = 1e-8  # of ranking, with everything around it


@dataclass
class Budget:
    """The time of a comparison, from now on; and what is known of each recipe's needs.

    Attributes:
        seconds (float): How long it may take.
        n_scores (int): Pairs of a test user and an item that are ranked for each recipe.
        needs (dict): What the fit of each recipe, and measuring it, needs; by its name.
    """

    seconds: float
    n_scores: int
    needs: dict[str, Needs] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def left(self) -> float:
        """The seconds that are left, perhaps below 0."""
        return self.seconds - (time.perf_counter() - self._start)

    def plan(self, recipes: Mapping[str, Recipe], train: Ratings, show: Callable[[str], None]) -> dict[str, str]:
        """Return why recipes are left out, by name: as many as there is time for are compared, the quickest first."""
        left_out: dict[str, str] = {}
        for name, recipe in recipes.items():
            show(f"how long {name} takes")
            reason = self._estimate(name, recipe, train)
            if reason:
                left_out[name] = reason
        left = self.left
        wanted = [name for name in recipes if name not in left_out]
        for name in sorted(wanted, key=lambda name: self.needs[name].seconds):
            if self.needs[name].seconds > left:
                left_out[name] = self._too_long(name, left)
            else:
                left -= self.needs[name].seconds
        return left_out

    def has_run_out(self, name: str) -> str:
        """Return why a recipe is left out after all, because those before it took longer than estimated; or ""."""
        return self._too_long(name, self.left) if self.left < self.needs[name].seconds else ""

    def _too_long(self, name: str, left: float) -> str:
        needed, rest, whole = map(as_time, (self.needs[name].seconds, max(left, 0), self.seconds))
        return (
            f"it would take about {needed}, and there is time for {rest} more, of {whole} in all; give more seconds, "
            "or compare fewer recipes."
        )

    def _estimate(self, name: str, recipe: Recipe, train: Ratings) -> str:
        """Estimate what a recipe needs. Returns why it cannot be compared, or an empty text."""
        n_bytes, free = recipe.bytes_needed(train), available_memory()
        measuring = self.n_scores * SECONDS_PER_SCORE
        if free is not None and n_bytes > free:
            self.needs[name] = Needs(n_bytes, measuring)
            return f"it would need about {as_bytes(n_bytes)}, and this machine has {as_bytes(free)} free."
        seconds = 0.0 if len(train) <= FEW else self._seconds_of(recipe, train)
        self.needs[name] = Needs(n_bytes, measuring + seconds)
        if seconds < np.inf:
            return ""
        return f"a quarter of the {as_time(self.seconds)} in all was over before it was estimated; give more seconds."

    def _seconds_of(self, recipe: Recipe, train: Ratings) -> float:
        """About how many seconds a fit takes; infinity where there is no time left to find out."""
        if isinstance(recipe, Blend):
            return 2 * sum(self._seconds_of(part, train) for part in recipe.recipes.values())
        if self.seconds - self.left > ESTIMATING * self.seconds:
            return np.inf
        told = recipe.seconds_needed(train)
        if told is not None:
            return told
        timed = [_timed(recipe, of_some_users(train, SAMPLES[0]))]
        if in_proportion(timed[0], len(train)) >= SMALL_SHARE * self.seconds:  # otherwise it needs no closer look
            timed.append(_timed(recipe, of_some_users(train, SAMPLES[1])))
        return extrapolated(timed, len(train))


def in_proportion(timed: tuple[int, float], n_ratings: int) -> float:
    """The seconds of a fit to n_ratings, if they grew with the ratings: more than they do, as some work is the same."""
    few, seconds = timed
    return seconds * n_ratings / max(few, 1)


def extrapolated(timed: list[tuple[int, float]], n_ratings: int) -> float:
    """The seconds of a fit to n_ratings: a straight line through two (ratings, seconds), and never below the larger.

    In proportion if there is only one.
    """
    if len(timed) == 1:
        return in_proportion(timed[0], n_ratings)
    (few, quick), (more, slow) = timed
    slope = max(slow - quick, 0.0) / max(more - few, 1)
    return max(quick, slow) + slope * (n_ratings - more)


def drawn(test: Ratings, n_items: int, *, each_event: bool = False) -> Ratings:
    """The test ratings of as many users as MAX_SCORES allows, drawn at random, always the same; all where it can be.

    each_event: every test event is a list of its own, not only every user.
    """
    users = np.flatnonzero(counts_of_users(test))
    n = max(MIN_TESTED, MAX_SCORES // max(n_items, 1))
    if each_event and len(users):
        n = max(1, n * len(users) // len(test))
    if not test.is_implicit or len(users) <= n:
        return test
    kept = np.zeros(test.n_users, bool)
    kept[np.random.Generator(np.random.Philox(0)).permutation(users)[:n]] = True
    return test[of_users(test, kept)]


def of_some_users(ratings: Ratings, size: int) -> Ratings:
    """All ratings of random users, who have about `size` ratings together; no other users, and no items but theirs."""
    order = np.random.Generator(np.random.Philox(0)).permutation(ratings.n_users)
    counts = counts_of_users(ratings)[order]
    kept = np.zeros(ratings.n_users, bool)
    kept[order[: 1 + int(np.searchsorted(np.cumsum(counts), size))]] = True
    some = ratings[of_users(ratings, kept)]
    chosen = np.bincount(some.item_codes, minlength=ratings.n_items) > 0
    return Ratings(
        (np.cumsum(kept) - 1)[some.user_codes],
        (np.cumsum(chosen) - 1)[some.item_codes],
        some.values,
        user_vocabulary=Vocabulary.in_order(ratings.user_vocabulary.labels[kept], what="user"),
        item_vocabulary=Vocabulary.in_order(ratings.item_vocabulary.labels[chosen], what="item"),
        times=some.times,
        weights=some.weights,
        user_table=None if ratings.user_table is None else ratings.user_table.filter(kept),
        item_table=None if ratings.item_table is None else ratings.item_table.filter(chosen),
        kind=ratings.kind,
        like_threshold=ratings.like_threshold,
    )


def _timed(recipe: Recipe, ratings: Ratings) -> tuple[int, float]:
    """The number of ratings and the seconds of a fit; one that fails fails in the comparison too, and takes none."""
    start = time.perf_counter()
    try:
        with within("compare"):
            recipe.fit(ratings, progress=False)
    except Exception:  # the comparison reports it, whatever it is
        return len(ratings), 0.0
    return len(ratings), time.perf_counter() - start
