"""drift(): whether new ratings are still like those that a model learned from, and what to do if they are not.

Each shift is a difference with its 95% interval, beside a limit below which it does not matter. Drift is what lies
beyond its limit with the whole interval, so ratings drawn from the same source show none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.results import aligned
from palate.data.ratings import Ratings, with_positive_weights
from palate.data.rows import row_codes
from palate.errors import DataError, OptionError
from palate.evaluation.evaluating import evaluate
from palate.evaluation.matching import check_type, codes_in_model
from palate.evaluation.predictions import Report
from palate.evaluation.resampling import N_BOOTSTRAP, Doubles, Measure, Resample, measure_of
from palate.options import check_seed, check_whole
from palate.recommender import Recommender
from palate.showing import html
from palate.showing.events import tell, within

MIN_USERS, MIN_RATINGS = 30, 100  # fewer new ones say nothing
SHARE_LIMIT = 0.10  # of ratings, by which users, items and their popularity may shift
MEAN_LIMIT, SPREAD_LIMIT = 0.15, 0.15  # in standard deviations of the training ratings
COVERAGE_LIMIT = 0.04  # as palate serve --refit drift has it
RMSE_LIMIT, NDCG_LIMIT = 0.05, 0.20  # of the measure on the file's own test
DRAWS, MANY_ITEMS, FEW_DRAWS = 100, 200_000, 20  # random parts that popularity is compared with
HALF_WIDTH = 1.96  # standard errors on each side of a 95% interval
LEVEL = 0.9
HEAD = ["", "then", "now", "change (95% interval)", "limit", ""]

UPDATE = "palate.Recommender.update (palate update) learns them"
REFIT = "fit again, with the new ratings"
WHAT_TO_DO = {
    "new_users": f"many ratings are of users that the model does not know: {UPDATE}",
    "new_items": f"many ratings are of items that the model does not know: {UPDATE}",
    "mean": f"ratings are higher or lower than they were: see whether their scale has changed, then {REFIT}",
    "spread": f"ratings lie further apart, or closer together, than they did: {REFIT}",
    "popularity": f"other items are rated than before: {REFIT}",
    "coverage_90": f"90% intervals hold too few or too many of the new ratings: {REFIT}",
    "rmse": f"errors are larger than on the file's own test: {REFIT}",
    "ndcg": f"lists find less than on the file's own test: {REFIT}",
}
NO_TEST = (
    "The file holds no test of its own, so errors are not compared: palate fit --test 0.1 stores one, and so does "
    "rec.with_metrics(report.to_dict())."
)


@dataclass(frozen=True, repr=False)
class Shift:
    """One way in which new ratings may differ from those that were learned from.

    Attributes:
        name (str): What shifts, such as "mean".
        then (float): Its value where the model learned, or what is to be expected there by chance.
        now (float): Its value on the new ratings.
        change (Measure): The difference with its 95% interval.
        limit (float): A change up to this size does not matter.
        signs (str, default "both"): Which changes matter: "up", "down" or "both".
        is_judged (bool, default True): False where there are too few new ratings to say anything.

    Example:
        >>> from palate.evaluation import Measure, Shift
        >>> Shift("mean", 3.5, 3.9, Measure(0.4, 0.3, 0.5), 0.15).is_drift
        True
    """

    name: str
    then: float
    now: float
    change: Measure
    limit: float
    signs: str = "both"
    is_judged: bool = True

    @property
    def is_drift(self) -> bool:
        """True if the whole interval of the change lies beyond the limit."""
        up = self.signs != "down" and self.change.low > self.limit
        down = self.signs != "up" and self.change.high < -self.limit
        return bool(self.is_judged and (up or down))

    def __repr__(self) -> str:
        return " ".join(cell for cell in _row(self) if cell)

    def _repr_html_(self) -> str:
        return html.page("", _table([self]))


@dataclass(frozen=True, repr=False)
class Drift:
    """What drift() found. print(drift) prints a table; drift["mean"] is a Shift.

    Attributes:
        n (int): The number of new ratings.
        n_users (int): The number of users who gave them.
        n_new_users (int): Users among them without training ratings.
        n_new_items (int): Items among them without training ratings.
        shifts (tuple of Shift): All that was compared.
        notes (tuple of str, default empty): What else a reader should know, a sentence each.
        is_judged (bool, default True): False where there are too few new ratings to say anything.

    Example:
        >>> import palate
        >>> train, new = palate.split_random(palate.datasets.synthetic(200, 60, 6000, seed=1), test=0.2, seed=0)
        >>> found = palate.drift(palate.Bias().fit(train), new)
        >>> found.drifted, abs(found["mean"].change.value) < 0.1
        ((), True)
    """

    n: int
    n_users: int
    n_new_users: int
    n_new_items: int
    shifts: tuple[Shift, ...]
    notes: tuple[str, ...] = ()
    is_judged: bool = True

    def __getitem__(self, name: str) -> Shift:
        for shift in self.shifts:
            if shift.name == name:
                return shift
        raise OptionError(f"no shift {name!r}; there are {', '.join(shift.name for shift in self.shifts)}.")

    @property
    def drifted(self) -> tuple[str, ...]:
        """The names of the shifts that lie beyond their limits."""
        return tuple(shift.name for shift in self.shifts if shift.is_drift)

    @property
    def verdict(self) -> str:
        """What was found, and what to do about it, in words."""
        if not self.is_judged:
            return (
                f"Too few new ratings to tell: {self.n:,} of {self.n_users:,} users; it takes {MIN_RATINGS} of "
                f"{MIN_USERS}."
            )
        if not self.drifted:
            return "No drift: every change may lie within its limit."
        told = [f"{name}: {WHAT_TO_DO[name.partition('@')[0]]}." for name in self.drifted]
        return "\n".join([f"Drift in {_listed(self.drifted)}.", *told])

    def to_dict(self) -> dict[str, Any]:
        """Return what was found as plain values, ready for JSON.

        Returns:
            dict: The counts, drifted (how many shifts are drift), verdict, notes, and measures: for each shift its
                value now, then, change with change_low and change_high, limit and is_drift; nan becomes None.
        """
        return {
            "n": self.n,
            "n_users": self.n_users,
            "n_new_users": self.n_new_users,
            "n_new_items": self.n_new_items,
            "drifted": len(self.drifted),
            "is_judged": self.is_judged,
            "verdict": self.verdict,
            "notes": list(self.notes),
            "measures": {shift.name: _plain(shift) for shift in self.shifts},
        }

    def __str__(self) -> str:
        rows = [HEAD, *(_row(shift) for shift in self.shifts)]
        return "\n".join([self._counts, *aligned(rows), *self.notes, self.verdict])

    def _repr_html_(self) -> str:
        return html.page(self._counts, _table(self.shifts), html.notes(*self.notes), html.paragraph(self.verdict))

    @property
    def _counts(self) -> str:
        return (
            f"{self.n:,} new ratings of {self.n_users:,} users, {self.n_new_users:,} of them new; "
            f"{self.n_new_items:,} new items"
        )

    def __repr__(self) -> str:
        return f"Drift({self.n:,} ratings; {'drift in ' + _listed(self.drifted) if self.drifted else 'no drift'})"


def drift(recommender: Recommender, ratings: Ratings, *, n_bootstrap: int = N_BOOTSTRAP, seed: int = 0) -> Drift:
    """Compare new ratings with those that a model learned from: users, items, values, intervals, errors.

    Seven shifts of explicit ratings: "new_users" and "new_items", the share of ratings by users and of items without
    training ratings, beside the share to expect by chance (the number of those with one rating, over all ratings);
    "mean" and "spread", the standard deviation; "popularity", the total variation distance between the shares that
    items have in the ratings, beside that of random parts of both together; "coverage_90", the share of ratings within
    their 90% intervals; "rmse", the error on known users and items, beside that of the file's own test. Of implicit
    ratings: new users and items, popularity, and the NDCG of lists beside that of the file's own test, which compares
    like with like where both have about as many items a user.

    Intervals are from a bootstrap over users; that of popularity from random parts. Each shift has a limit below which
    it does not matter: 0.10 of the ratings for the shares, 0.15 training standard deviations for mean and spread, 0.04
    for coverage, 5 percent for the error, 20 percent for NDCG. What lies beyond with its whole interval is drift.

    Parameters:
        recommender (Recommender): The trained model. What its own test gave is in the file if `palate fit --test` or
            `rec.with_metrics` put it there.
        ratings (Ratings): New ratings of the same kind, with labels as the model has them.
        n_bootstrap (int, default 1000): The number of bootstrap resamplings of users; 1 or more.
        seed (int, default 0): Seed of the bootstrap and of random parts; 0 or more.

    Returns:
        Drift: All shifts, which of them are drift, and what to do.

    Raises:
        DataError: There are no ratings.
        OptionError: The ratings are of another kind than the model, or an option is out of range.
        LabelTypeError: The labels have another type than those of the model.

    Source:
        The share to expect of items without ratings: Good (1953), The Population Frequencies of Species and the
        Estimation of Population Parameters.

    Example:
        >>> import palate
        >>> ratings = palate.datasets.synthetic(200, 60, 6000, seed=1)
        >>> train, new = palate.split_random(ratings, test=0.2, seed=0)
        >>> rec = palate.Bias().fit(train)
        >>> palate.drift(rec, new).drifted
        ()
        >>> shifted = palate.read({"user": ["u1"] * 40, "item": [f"n{n}" for n in range(40)], "rating": [5.0] * 40})
        >>> palate.drift(rec, shifted)["new_items"].now
        1.0
    """
    check_type("recommender", recommender, Recommender, "as a recipe's fit() or palate.load() returns")
    check_type("ratings", ratings, Ratings, "as palate.read() returns")
    check_whole(1, n_bootstrap=n_bootstrap)
    check_seed(seed)
    if ratings.kind != recommender.model.kind:
        raise OptionError(
            f"the ratings are {ratings.kind}, and the model learned from {recommender.model.kind} ones: read them with "
            f'kind="{recommender.model.kind}", or take ratings.likes(at_least=4).'
        )
    new = _New.of(recommender, with_positive_weights(ratings), n_bootstrap, seed)
    with within("drift"):
        shifts = [*_shares(new), *([] if new.ratings.is_implicit else _values(new)), _popularity(new)]
        measured, notes = _measured(new)
    found = Drift(
        n=len(new.ratings),
        n_users=len(np.unique(new.ratings.user_codes)),
        n_new_users=len(np.unique(new.ratings.user_codes[new.is_new_user])),
        n_new_items=len(np.unique(new.ratings.item_codes[new.is_new_item])),
        shifts=(*shifts, *measured),
        notes=(*_of_times(new), *notes),
        is_judged=new.is_judged,
    )
    about: dict[str, Any] = {"ratings": found.n, "users": found.n_users, "drifted": list(found.drifted)}
    tell("drift", "new ratings are compared with those learned from", **about)
    return found


@dataclass(frozen=True)
class _New:
    """New ratings in the codes of the model. users, items: of each rating, -1 for unknown ones."""

    rec: Recommender
    ratings: Ratings
    users: NDArray[np.int32]
    items: NDArray[np.int32]
    is_new_user: NDArray[np.bool_]
    is_new_item: NDArray[np.bool_]
    n_bootstrap: int
    seed: int
    is_judged: bool = field(default=True)

    @classmethod
    def of(cls, rec: Recommender, ratings: Ratings, n_bootstrap: int, seed: int) -> _New:
        """Raises DataError if there are none."""
        if len(ratings) == 0:
            raise DataError("there are no new ratings (of a weight above 0) to compare.")
        ratings = ratings[:]
        users, items = codes_in_model(rec, ratings)
        is_new = rec.model.rated_users(users) < 0, rec.model.rated_items(items) < 0
        enough = len(ratings) >= MIN_RATINGS and len(np.unique(ratings.user_codes)) >= MIN_USERS
        return cls(rec, ratings, users, items, *is_new, n_bootstrap, seed, enough)

    def shift(self, name: str, then: float, now: float, change: Measure, limit: float, signs: str = "both") -> Shift:
        return Shift(name, then, now, change, limit, signs, self.is_judged)


# ---- users, items, values


def _shares(new: _New) -> list[Shift]:
    """How many ratings are of new users and of new items, beside what is to be expected."""
    model = new.rec.model
    counts = {"new_users": model.history.counts, "new_items": model.item_counts}
    owners, n_users = np.unique(new.ratings.user_codes, return_inverse=True)[1], new.ratings.n_users
    resample = Resample(min(n_users, int(owners.max()) + 1), new.n_bootstrap, new.seed)
    found = []
    for name, is_new in (("new_users", new.is_new_user), ("new_items", new.is_new_item)):
        expected = float((counts[name] == 1).sum() / max(len(model.history.indices), 1))
        sums, totals = (np.bincount(owners, weights).astype(np.float64) for weights in (is_new, None))
        sample = resample.ratios(sums[:, None], totals[:, None])[:, 0]
        now = float(is_new.mean())
        found.append(
            new.shift(name, expected, now, measure_of(now - expected, sample - expected), SHARE_LIMIT, signs="up")
        )
    return found


def _values(new: _New) -> list[Shift]:
    """How mean and standard deviation have changed, on one bootstrap over all users."""
    history, ratings = new.rec.model.history, new.ratings
    center, scale = float(history.values.mean(dtype=np.float64)), float(history.values.std(dtype=np.float64))
    scale = scale or max(float(ratings.values.std(dtype=np.float64)), 1e-12)
    n_known = history.n_rows
    now_users = np.where(new.users >= 0, new.users, n_known + ratings.user_codes)
    then = _moments(row_codes(history), (history.values - center) / scale, history.weights)
    now = _moments(now_users, (ratings.values - center) / scale, ratings.weights)
    n = max(len(then), len(now))
    columns = np.hstack([np.pad(part, ((0, n - len(part)), (0, 0))) for part in (then, now)])
    columns = columns[(columns[:, 0] > 0) | (columns[:, 3] > 0)]
    whole = columns.sum(axis=0)[None]
    samples = Resample(len(columns), new.n_bootstrap, new.seed).totals(columns)
    found = []
    for name, of, limit in (("mean", _mean, MEAN_LIMIT), ("spread", _spread, SPREAD_LIMIT)):
        before, after = (float(of(part)[0]) for part in (whole[:, :3], whole[:, 3:]))
        change = measure_of((after - before) * scale, (of(samples[:, 3:]) - of(samples[:, :3])) * scale)
        at = center if name == "mean" else 0.0
        found.append(new.shift(name, before * scale + at, after * scale + at, change, limit * scale))
    return found


def _moments(users: NDArray[Any], values: NDArray[Any], weights: NDArray[Any] | None) -> Doubles:
    """Of each user the sum of the weights, of the values and of their squares, (n_users, 3)."""
    ones = np.ones(len(values)) if weights is None else weights.astype(np.float64)
    values = values.astype(np.float64)
    return np.stack([np.bincount(users, ones * part) for part in (np.ones(len(values)), values, values**2)], axis=1)


def _mean(moments: Doubles) -> Doubles:
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Doubles = moments[:, 1] / moments[:, 0]
    return found


def _spread(moments: Doubles) -> Doubles:
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = moments[:, 2] / moments[:, 0] - _mean(moments) ** 2
    found: Doubles = np.sqrt(np.maximum(squares, 0.0))
    return found


def _popularity(new: _New) -> Shift:
    """How far the shares of known items have moved, beside random parts of all ratings together."""
    then = new.rec.model.item_counts
    now = np.bincount(new.items[~new.is_new_item], minlength=len(then)).astype(np.int64)
    if now.sum() == 0 or then.sum() == 0:
        return new.shift("popularity", math.nan, math.nan, Measure(math.nan), SHARE_LIMIT, signs="up")
    pooled, n_now = then + now, int(now.sum())
    rng = np.random.Generator(np.random.Philox(new.seed))
    n_draws = DRAWS if len(then) <= MANY_ITEMS else FEW_DRAWS
    drawn = (_part_of(rng, pooled, n_now) for _ in range(n_draws))
    by_chance = np.array([_distance(part, pooled - part) for part in drawn])
    found, expected = _distance(now, then), float(by_chance.mean())
    error = HALF_WIDTH * float(by_chance.std())
    change = Measure(found - expected, found - expected - error, found - expected + error)
    return new.shift("popularity", expected, found, change, SHARE_LIMIT, signs="up")


def _part_of(rng: np.random.Generator, counts: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """The counts of n ratings drawn at random from these, without putting any back."""
    if counts.sum() < 10**9:
        drawn: NDArray[np.int64] = rng.multivariate_hypergeometric(counts, n, method="marginals")
        return drawn
    return np.minimum(rng.binomial(counts, n / counts.sum()), counts)


def _distance(counts: NDArray[np.int64], others: NDArray[np.int64]) -> float:
    """The total variation distance between the shares of two arrays of counts, from 0 to 1."""
    return float(0.5 * np.abs(counts / counts.sum() - others / max(int(others.sum()), 1)).sum())


# ---- intervals and errors


def _measured(new: _New) -> tuple[list[Shift], list[str]]:
    """Intervals and errors on known users and items, beside the file's own test; and what is to be said of it."""
    rec, known = new.rec, ~(new.is_new_user | new.is_new_item)
    stored = rec.model.metrics
    if not known.any():
        return [], ["No rating is of a known user and a known item, so errors and intervals are not compared."]
    if not new.ratings.is_implicit and not rec.model.predicts_ratings:
        return [], ["The model ranks items and predicts no ratings, so errors are not compared."]
    options: dict[str, Any] = {"baselines": False, "n_bootstrap": new.n_bootstrap, "seed": new.seed}
    part = new.ratings[known]
    if not new.ratings.is_implicit:
        report = evaluate(rec, part, **options)
        assert isinstance(report, Report)
        notes = [NO_TEST] if _stored(stored, "rmse") is None else []
        learned = report.n_learned / len(part)
        notes += [f"{learned:.0%} of these ratings were learned from; their errors are too small."] * (learned > 0)
        return [*_coverage(new, report.measures, stored), *_beside(new, "rmse", report.measures, stored)], notes
    name = next((name for name in ("ndcg@10", *_measures(stored)) if _stored(stored, name) and "ndcg@" in name), None)
    if name is None or name.startswith(("cold", "snips")):
        return [], [NO_TEST.replace("errors are", "lists are")]
    options |= {"k": int(name.partition("@")[2]), "next_item": stored.get("next_item") is True}
    return _beside(new, name, evaluate(rec, part, **options).measures, stored), []


def _coverage(new: _New, measures: Mapping[str, Measure], stored: Mapping[str, Any]) -> list[Shift]:
    name = f"coverage_{LEVEL * 100:.0f}"
    if name not in measures:
        return []
    own, then = measures[name], (_stored(stored, name) or Measure(LEVEL)).value
    change = Measure(own.value - then, own.low - then, own.high - then)
    return [new.shift(name, then, own.value, change, COVERAGE_LIMIT)]


def _beside(new: _New, name: str, measures: Mapping[str, Measure], stored: Mapping[str, Any]) -> list[Shift]:
    """A measure beside that of the file's own test; the errors of both count."""
    then, now = _stored(stored, name), measures[name]
    if then is None:
        return []
    error = math.hypot(*((one.high - one.low) / 2 for one in (then, now) if not math.isnan(one.high - one.low)))
    difference = now.value - then.value
    change = Measure(difference, difference - error, difference + error)
    limit, signs = (RMSE_LIMIT, "up") if name == "rmse" else (NDCG_LIMIT, "down")
    return [new.shift(name, then.value, now.value, change, limit * then.value, signs)]


def _measures(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """The measures in what a file holds: a report in plain values, or plain numbers by name."""
    found = stored.get("measures", stored)
    return found if isinstance(found, Mapping) else {}


def _stored(stored: Mapping[str, Any], name: str) -> Measure | None:
    """A measure in a file; None if it is not there."""
    found = _measures(stored).get(name)
    if isinstance(found, Mapping):
        parts = [found.get(part) for part in ("value", "low", "high")]
        if not isinstance(parts[0], int | float):
            return None
        return Measure(*(float(part) if isinstance(part, int | float) else math.nan for part in parts))
    return Measure(float(found)) if isinstance(found, int | float) and not isinstance(found, bool) else None


# ---- times, and how it is shown


def _of_times(new: _New) -> list[str]:
    """From when the new ratings are, and how many are older than what was learned from."""
    span, history = new.ratings.time_range, new.rec.model.history
    until = new.rec.model.training.get("until") if history.times is None else int(history.times.max(initial=0))
    if span is None or not isinstance(until, int):
        return []
    assert new.ratings.times is not None
    older = float((new.ratings.times < until).mean())
    first, last, newest = (_day(one) for one in (*span, until))
    return [
        f"New ratings are from {first} to {last}, {older:.0%} of them older than the newest learned from, {newest}."
    ]


def _day(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
    except (OverflowError, OSError, ValueError):
        return str(seconds)


def _table(shifts: Sequence[Shift]) -> html.Raw:
    return html.table([_row(shift) for shift in shifts], head=HEAD, numbers=range(1, 5))


def _row(shift: Shift) -> list[str]:
    mark = "drift" if shift.is_drift else ""
    limit = {"up": f"+{shift.limit:.3f}", "down": f"-{shift.limit:.3f}"}.get(shift.signs, f"{shift.limit:.3f}")
    change = "-" if math.isnan(shift.change.value) else _signed(shift.change)
    return [
        shift.name,
        *("-" if math.isnan(one) else f"{one:.3f}" for one in (shift.then, shift.now)),
        change,
        limit,
        mark,
    ]


def _signed(change: Measure) -> str:
    ends = "" if math.isnan(change.low) else f" ({change.low:+.3f} .. {change.high:+.3f})"
    return f"{change.value:+.3f}{ends}"


def _plain(shift: Shift) -> dict[str, Any]:
    numbers = {"value": shift.now, "then": shift.then, "change": shift.change.value}
    numbers |= {"change_low": shift.change.low, "change_high": shift.change.high, "limit": shift.limit}
    return {name: None if math.isnan(one) else one for name, one in numbers.items()} | {"is_drift": shift.is_drift}


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
