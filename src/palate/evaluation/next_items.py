"""Evaluate next items: for each test event in order, how high its item stands in the list made just before it.

The user's history then is what the model learned of the user, and the user's test events up to that one. So a test part
of several events a user rolls: each event is asked about, and is known when the next one is. One item is right, so with
its rank r among all candidates

    hit_rate@k = [r <= k]        ndcg@k = [r <= k] / log2(1 + r)        mrr = 1 / r

and all are 0 for an item that cannot be recommended. Means are over events: each is one question, and counts once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.data.ratings import Ratings
from palate.data.rows import CompressedRows, row_codes
from palate.errors import OptionError
from palate.evaluation.breakdowns import OWN, Breakdown, breakdown, one_hot
from palate.evaluation.events import Events, Integers, Mask, blocks_of, events_of, session_starts
from palate.evaluation.groups import by_activity, by_popularity
from palate.evaluation.hindsight import hindsight_note, n_older_than_learned
from palate.evaluation.matching import training_ratings
from palate.evaluation.rank_metrics import UNREACHABLE
from palate.evaluation.rank_tables import table
from palate.evaluation.rankings import BASELINE, verdict_on
from palate.evaluation.ranks import ranks_of
from palate.evaluation.resampling import Doubles, Measure, Measured, PerUser, Resample, measures_of, plain_measures
from palate.evaluation.user_measures import KCurves, curve_ks, main_measure
from palate.models.factors import Codes
from palate.models.model import Model
from palate.recipes import Popularity
from palate.recommender import Recommender
from palate.showing.events import within
from palate.showing.pictures import check_matplotlib

if TYPE_CHECKING:
    from palate.showing.pictures.canvas import Figure

NEXT_KS = (1, 5, 10, 20)
NEXT_AT_K = ("hit_rate", "ndcg")  # the measures that have a list length
FIRST, WITHIN = "first of a session", "within a session"
UNITS = ((86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


@dataclass(frozen=True, repr=False)
class NextItemReport(Measured):
    """The result of evaluate(..., next_item=True). report["ndcg@10"] is a number; print(report) prints a table.

    An unknown measure name raises OptionError, which lists the valid ones. Means are over events, and intervals over
    users.

    Attributes:
        n (int): The number of test events.
        n_users (int): The number of users who have some.
        n_items (int): The number of items that are ranked: the catalogue of the model.
        k (tuple of int): The list lengths at which measures are given, in ascending order.
        measures (dict of str to Measure): "hit_rate@k" and "ndcg@k" for each k, and "mrr".
        baselines (dict of str to dict, default empty): The measures of each baseline, by its name.
        sessions (dict of str to dict, default empty): The measures of the events that begin a session and of those
            within one ("first of a session", "within a session"); empty if training or test has no times.
        session_sizes (dict of str to int, default empty): The number of events in each of these groups.
        session_gap (float or None, default None): A session ends where the user pauses for longer, in seconds.
        verdict (str, default ""): A sentence if the model is not significantly better than the baseline.
        keep_seen (bool, default False): Whether items that the user has had before are candidates.
        ordered_by (str, default "time"): What says which event comes first: "time", or "row" for ratings without times.
        n_missed (int, default 0): The number of events whose item cannot be recommended: the model does not know it, or
            the user has had it before and keep_seen is False. They count as misses.
        n_new (int, default 0): The number of events whose item has no training events at all.
        n_repeated (int, default 0): The number of events whose item the user has had before.
        n_unknown (int, default 0): The number of users without training events. They are answered by their own test
            events, and before the first of these as any unknown user.
        n_older (int, default 0): The number of events that are older than a training event of the same user.
        per_user (PerUser or None, default None): The measure that models are compared by, split by user.
        breakdowns (tuple of Breakdown, default empty): The measure that models are compared by, by the number of
            training events of the user; and the hit rate by that of the item.
        curves (KCurves or None, default None): Hit rate and NDCG at more k.

    Example:
        >>> import palate
        >>> likes = palate.datasets.synthetic(60, 40, 1200, seed=1).likes(at_least=4)
        >>> train, test = palate.split_last(likes)
        >>> report = palate.evaluate(palate.EASE().fit(train), test, next_item=True)
        >>> 0 < report["ndcg@10"] <= report["hit_rate@10"] < 1
        True
    """

    n: int
    n_users: int
    n_items: int
    k: tuple[int, ...]
    measures: dict[str, Measure]
    baselines: dict[str, dict[str, Measure]] = field(default_factory=dict)
    sessions: dict[str, dict[str, Measure]] = field(default_factory=dict)
    session_sizes: dict[str, int] = field(default_factory=dict)
    session_gap: float | None = None
    verdict: str = ""
    keep_seen: bool = False
    ordered_by: str = "time"
    n_missed: int = 0
    n_new: int = 0
    n_repeated: int = 0
    n_unknown: int = 0
    n_older: int = 0
    per_user: PerUser | None = field(default=None, repr=False, compare=False)
    breakdowns: tuple[Breakdown, ...] = field(default=(), repr=False, compare=False)
    curves: KCurves | None = field(default=None, repr=False, compare=False)

    def plot(self, what: str | None = None, *, ax: Any = None) -> Figure:
        """Draw hit rate and NDCG against the length of the list, and by activity of users and popularity of items.

        "hit_rate" and "ndcg" are curves over k, with 95% intervals at the k that were asked for; "activity" is the NDCG
        by the number of training events of the user, and "popularity" the hit rate by that of the item that came next.
        The gray baseline is Popularity.

        Parameters:
            what (str or None, default None): One of these four; None draws all.
            ax (matplotlib Axes or list of Axes, default None): Where to draw, one for each drawing; None makes a figure
                of its own.

        Returns:
            matplotlib.figure.Figure: The figure.

        Raises:
            OptionError: matplotlib is not installed, there is no such drawing, or ax does not fit.
        """
        check_matplotlib("NextItemReport.plot")
        from palate.evaluation.pictures import plot_lists

        return plot_lists(self, what, ax, NEXT_AT_K)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON.

        Returns:
            dict: All attributes but per_user, breakdowns and curves. Each measure is a dict of value, low and high; nan
                becomes None. Each group of sessions holds its size as n.
        """
        counts = {name: value for name, value in vars(self).items() if isinstance(value, bool | int | float | str)}
        return {
            **counts,
            "k": list(self.k),
            "session_gap": self.session_gap,
            "measures": plain_measures(self.measures),
            "baselines": {name: plain_measures(measures) for name, measures in self.baselines.items()},
            "sessions": {n: {"n": self.session_sizes[n], **plain_measures(rows)} for n, rows in self.sessions.items()},
        }

    def _heading(self) -> str:
        seen = "those had before included" if self.keep_seen else "but those the user had had before"
        return (
            f"{self.n:,} next items of {self.n_users:,} users in the order of {self.ordered_by}s, ranked among all "
            f"{self.n_items:,} items {seen};\nmeans over events; in brackets, 95% bootstrap intervals over users"
        )

    def _table(self) -> list[list[str]]:
        groups = {f"{name} ({self.session_sizes[name]:,})": rows for name, rows in self.sessions.items()}
        return table(self.measures, self.k, {**self.baselines, **groups})

    def _notes(self) -> list[str]:
        """Return what a reader should know beside the table, in lines."""
        notes = []
        if self.session_gap is not None:
            notes.append(f"A session ends where the user pauses for longer than {_duration(self.session_gap)}.")
        if self.n_missed:
            notes.append(f"{self.n_missed:,} items cannot be recommended, as unknown or had before: they are misses.")
        if self.n_new:
            notes.append(f"{self.n_new:,} items are new: nobody had them in training.")
        if self.n_repeated:
            kept = "" if self.keep_seen else "; keep_seen=True makes them candidates"
            notes.append(f"{self.n_repeated:,} items are ones that the user had had before{kept}.")
        if self.n_unknown:
            notes.append(f"{self.n_unknown:,} users are unknown to the model: their own test events answer for them.")
        notes += hindsight_note(self.n_older)
        return [*notes, self.verdict] if self.verdict else notes


def _duration(seconds: float) -> str:
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size), UNITS[-1])
    return f"{seconds / size:.3g} {unit}"


def check_next_item(test: Ratings, recommender: Recommender | None = None, **others: Any) -> None:
    """Raise OptionError unless test ratings and model are implicit, and no other option of lists is given."""
    given = [f"{name}=" for name, value in others.items() if value is not None]
    if given:
        raise OptionError(
            f"next_item=True ranks the whole catalogue in the order of the model: leave out {', '.join(given)}, or "
            "next_item=True."
        )
    if not test.is_implicit:
        raise OptionError(
            "next_item=True ranks what users choose next, and these are ratings: take test.likes(at_least=4), or "
            'read them with kind="implicit".'
        )
    if recommender is not None and recommender.model.kind != "implicit":
        raise OptionError(
            "next_item=True needs a model of choices, and this one learned from ratings: fit it to "
            'train.likes(at_least=4), or read the ratings with kind="implicit".'
        )


@within("evaluate")
def evaluate_next_items(
    recommender: Recommender,
    test: Ratings,
    ks: tuple[int, ...],
    *,
    keep_seen: bool | None,
    baselines: bool,
    n_bootstrap: int,
    seed: int,
) -> NextItemReport:
    """Return the report on the next items of implicit test ratings; see evaluate()."""
    model = recommender.model
    keeps = model.factors.keeps_seen if keep_seen is None else keep_seen
    events = events_of(recommender, test)
    resample = Resample(len(events.users), n_bootstrap, seed)
    ranks, was_seen = rank_next(model, events, keep_seen=keeps)
    own, every = EventMeasures.of(events, ranks, ks), {OWN: EventMeasures.of(events, ranks, curve_ks(ks))}
    baseline = None
    if baselines:
        popularity = Popularity().fit(training_ratings(recommender), progress=False)
        others = rank_next(popularity.model, events, keep_seen=keeps)[0]
        baseline, every[BASELINE] = (EventMeasures.of(events, others, some) for some in (ks, curve_ks(ks)))
    starts = session_starts(model, events)
    groups = {} if starts is None else {FIRST: starts[1], WITHIN: ~starts[1]}
    groups = {name: mask for name, mask in groups.items() if mask.any()}
    return NextItemReport(
        n=len(events),
        n_users=len(events.users),
        n_items=recommender.n_items,
        k=ks,
        measures=own.measures(resample),
        baselines={} if baseline is None else {BASELINE: baseline.measures(resample)},
        sessions={name: own.measures(resample, mask) for name, mask in groups.items()},
        session_sizes={name: int(mask.sum()) for name, mask in groups.items()},
        session_gap=None if starts is None else starts[0],
        verdict="" if baseline is None else _verdict(own, baseline, resample, main_measure(ks)),
        keep_seen=keeps,
        ordered_by="row" if events.times is None else "time",
        n_missed=int((ranks == UNREACHABLE).sum()),
        n_new=int((np.append(model.item_counts, 0)[events.items] == 0).sum()),
        n_repeated=int(was_seen.sum()),
        n_unknown=int((model.rated_users(events.users) < 0).sum()),
        n_older=n_older_than_learned(model, events.users[events.owners], events.times),
        per_user=PerUser(own.sums(main_measure(ks)), events.sums(np.ones(len(events)))),
        breakdowns=_breakdowns(model, every, main_measure(ks), resample),
        curves=KCurves(curve_ks(ks), {name: one.curves(curve_ks(ks)) for name, one in every.items()}),
    )


def _breakdowns(
    model: Model, measured: dict[str, EventMeasures], main: str, resample: Resample
) -> tuple[Breakdown, ...]:
    """The main measure by activity of users, and the hit rate by popularity of items."""
    events, hit_rate = measured[OWN].events, f"hit_rate@{main.partition('@')[2]}"
    n_events = events.sums(np.ones(len(events)))
    activity = by_activity(model, events.users, n_events.astype(np.int64))
    n_items = len(model.item_vocabulary)
    rows = np.bincount(np.where(events.items < 0, n_items, events.items), minlength=n_items + 1)
    popularity = by_popularity(model, rows)
    of_items, n = popularity.of[events.items], len(popularity.names)

    def by_group(values: Doubles) -> Doubles:
        found: Doubles = np.bincount(events.owners * n + of_items, values, len(events.users) * n).astype(np.float64)
        return found.reshape(-1, n)

    counts, held = one_hot(n_events, activity), by_group(np.ones(len(events)))
    by_user = {name: (one_hot(one.sums(main), activity), counts) for name, one in measured.items()}
    by_item = {name: (by_group(one.values[hit_rate]), held) for name, one in measured.items()}
    return (
        breakdown("user", main, activity, counts.sum(axis=0), by_user, resample),
        breakdown("item", hit_rate, popularity, held.sum(axis=0), by_item, resample),
    )


def rank_next(model: Model, events: Events, *, keep_seen: bool) -> tuple[Integers, Mask]:
    """Return the rank of each event's item, (n,), and whether the user had had it before, (n,)."""
    ranks, was_seen = np.empty(len(events), np.int64), np.empty(len(events), bool)
    for block, user_rows in blocks_of(model, events):
        history = user_rows.history
        hidden = CompressedRows.empty(len(block)) if keep_seen else history
        ranks[block] = ranks_of(model, user_rows, events.items[block], hidden)
        was_seen[block] = _holds(history, events.items[block])
    return ranks, was_seen


def _holds(rows: CompressedRows, items: Codes) -> Mask:
    """Whether each row holds one item, (n_rows,)."""
    found = rows.indices == np.repeat(items, rows.counts)
    return np.bincount(row_codes(rows)[found], minlength=rows.n_rows) > 0


@dataclass(frozen=True)
class EventMeasures:
    """The measures of one model, event by event: {measure: (n,)}."""

    events: Events
    values: dict[str, Doubles]

    @classmethod
    def of(cls, events: Events, ranks: Integers, ks: tuple[int, ...]) -> EventMeasures:
        """The measures of these ranks, (n,)."""
        gains = 1 / np.log2(1.0 + ranks)
        hits = {f"hit_rate@{k}": (ranks <= k).astype(np.float64) for k in ks}
        ndcgs = {f"ndcg@{k}": np.where(ranks <= k, gains, 0.0) for k in ks}
        return cls(events, {**hits, **ndcgs, "mrr": np.where(ranks < UNREACHABLE, 1.0 / ranks, 0.0)})

    def sums(self, name: str) -> Doubles:
        """The sums of a measure over each user's events, (n_users,)."""
        return self.events.sums(self.values[name])

    def curves(self, ks: tuple[int, ...]) -> dict[str, tuple[float, ...]]:
        """The means over events at each of these k, by measure."""
        return {name: tuple(float(self.values[f"{name}@{k}"].mean()) for k in ks) for name in NEXT_AT_K}

    def measures(self, resample: Resample, among: Mask | None = None) -> dict[str, Measure]:
        """The means over events (among: over some of them, (n,)), with intervals over users."""
        kept = np.ones(len(self.events), bool) if among is None else among
        sums = np.stack([self.events.sums(values * kept) for values in self.values.values()], axis=1)
        counts = np.repeat(self.events.sums(kept)[:, None], sums.shape[1], axis=1)
        means = sums.sum(axis=0) / counts.sum(axis=0)
        return dict(zip(self.values, measures_of(means, resample.ratios(sums, counts)), strict=True))


def _verdict(own: EventMeasures, baseline: EventMeasures, resample: Resample, name: str) -> str:
    gains, counts = own.sums(name) - baseline.sums(name), own.events.sums(np.ones(len(own.events)))
    return verdict_on(name, float(gains.sum() / counts.sum()), resample.ratios(gains[:, None], counts[:, None]))
