"""A comparison: entries of recipes side by side, as a table, a frame, a page or a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.answers.shapes import aligned
from palate.data.ratings import Kind, Ratings
from palate.errors import OptionError
from palate.evaluation.predictions import Report
from palate.evaluation.rankings import RankingReport, main_measure
from palate.evaluation.resampling import Measure, Resample

if TYPE_CHECKING:
    import polars as pl

MB = 1e6


@dataclass(frozen=True)
class Entry:
    """What one recipe made of the ratings: its report and what it cost, or in `failed` why there is none.

    seconds: of fit(); memory: bytes that the process grew by meanwhile, None where that cannot be known; size: bytes of
    the saved model.
    """

    name: str
    recipe: str
    report: Report | RankingReport | None = None
    seconds: float = math.nan
    memory: int | None = None
    size: int | None = None
    failed: str = ""

    def measure(self, name: str) -> Measure:
        """A measure of the report, nan where there is none."""
        return Measure(math.nan) if self.report is None else self.report.measures.get(name, Measure(math.nan))

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON."""
        return {
            "name": self.name,
            "recipe": self.recipe,
            "seconds": None if math.isnan(self.seconds) else self.seconds,
            "memory": self.memory,
            "size": self.size,
            "failed": self.failed or None,
            "report": None if self.report is None else self.report.to_dict(),
        }


@dataclass(frozen=True)
class Comparison:
    """What compare() found. comparison["Bayes"] is an Entry; print(comparison) is a table, the best first.

    kind: of the ratings; measure: the one that entries are sorted by, "rmse" or "ndcg@10"; n_train, n_test: ratings;
    verdict: which recipe is best, and which others are as good as far as these test ratings can tell.
    """

    entries: tuple[Entry, ...]
    kind: Kind
    measure: str
    k: tuple[int, ...]
    n_train: int
    n_test: int
    n_users: int
    n_items: int
    verdict: str

    @classmethod
    def of(
        cls, entries: Sequence[Entry], train: Ratings, test: Ratings, ks: tuple[int, ...], n_bootstrap: int, seed: int
    ) -> Comparison:
        """Entries of recipes that were fitted on train and measured on test, sorted."""
        measure = main_measure(ks) if train.is_implicit else "rmse"
        sign = -1 if train.is_implicit else 1
        ordered = sorted(entries, key=lambda entry: (bool(entry.failed), sign * entry.measure(measure).value))
        return cls(
            entries=tuple(ordered),
            kind=train.kind,
            measure=measure,
            k=ks,
            n_train=len(train),
            n_test=len(test),
            n_users=train.n_users,
            n_items=train.n_items,
            verdict=_verdict(ordered, measure, n_bootstrap, seed),
        )

    def __getitem__(self, name: str) -> Entry:
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise OptionError(f"no recipe {name!r} was compared; there are {', '.join(e.name for e in self.entries)}.")

    @property
    def best(self) -> Entry:
        """The entry with the best quality. Raises OptionError when all recipes failed."""
        if self.entries[0].failed:
            raise OptionError(f"every recipe failed; {self.entries[0].name}: {self.entries[0].failed}")
        return self.entries[0]

    @property
    def heading(self) -> str:
        """What was compared on what."""
        what = "likes" if self.kind == "implicit" else "ratings"
        return (
            f"{self.n_train:,} {what} to learn from, {self.n_test:,} to test on; {self.n_users:,} users, "
            f"{self.n_items:,} items"
        )

    @property
    def notes(self) -> list[str]:
        """What is to be said below the table: the verdict, and why some recipes failed."""
        failed = [f"{entry.name} failed: {entry.failed}" for entry in self.entries if entry.failed]
        return [*([self.verdict] if self.verdict else []), *failed]

    @property
    def shown(self) -> tuple[str, ...]:
        """The measures that the table shows."""
        if self.kind == "explicit":
            return "rmse", "mae"
        near = {at: min(self.k, key=lambda k: (abs(k - at), k)) for at in (10, 20)}
        return f"ndcg@{near[10]}", f"recall@{near[20]}", f"coverage@{near[10]}"

    def columns(self) -> dict[str, list[str | float | None]]:
        """The table by columns: measures in words, seconds, and memory and size in MB, None for what is not known."""
        there = [None if entry.failed else entry for entry in self.entries]
        quality: dict[str, list[str | float | None]] = {
            name: [None if entry is None else str(entry.measure(name)) for entry in there] for name in self.shown
        }
        return {
            "recipe": [entry.name for entry in self.entries],
            **quality,
            "seconds": [None if entry is None else entry.seconds for entry in there],
            "memory MB": [None if entry is None or entry.memory is None else entry.memory / MB for entry in there],
            "size MB": [None if entry is None or entry.size is None else entry.size / MB for entry in there],
        }

    def cells(self) -> list[list[str]]:
        """The table by rows, the first one its head."""
        columns = [[name, *map(_cell, values)] for name, values in self.columns().items()]
        return [list(row) for row in zip(*columns, strict=True)]

    def __str__(self) -> str:
        return "\n".join([self.heading, *aligned(self.cells()), *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON."""
        plain = {name: getattr(self, name) for name in ("kind", "measure", "n_train", "n_test", "n_users", "n_items")}
        entries = [entry.to_dict() for entry in self.entries]
        return {**plain, "k": list(self.k), "verdict": self.verdict, "entries": entries}

    def to_frame(self) -> pl.DataFrame:
        """One row per recipe, the best first: what it cost, failed, and each measure with its bounds."""
        import polars as pl

        names = dict.fromkeys(name for entry in self.entries if entry.report for name in entry.report.measures)
        columns: dict[str, pl.Series] = {
            "recipe": pl.Series([entry.name for entry in self.entries], dtype=pl.String),
            "seconds": pl.Series([entry.seconds for entry in self.entries], dtype=pl.Float64).fill_nan(None),
            "memory": pl.Series([entry.memory for entry in self.entries], dtype=pl.Int64),
            "size": pl.Series([entry.size for entry in self.entries], dtype=pl.Int64),
            "failed": pl.Series([entry.failed or None for entry in self.entries], dtype=pl.String),
        }
        for name in names:
            measures = [entry.measure(name) for entry in self.entries]
            for part, end in (("value", ""), ("low", "_low"), ("high", "_high")):
                values = [getattr(measure, part) for measure in measures]
                columns[name + end] = pl.Series(values, dtype=pl.Float64).fill_nan(None)
        return pl.DataFrame(columns)


def told(entry: Entry, measure: str) -> str:
    """An entry in a line."""
    if entry.failed:
        return f"{entry.name} failed: {entry.failed}"
    return f"{entry.name}, {measure} {entry.measure(measure)} in {entry.seconds:.2f} s"


def _cell(value: str | float | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.2f}"


def _verdict(ordered: Sequence[Entry], measure: str, n_bootstrap: int, seed: int) -> str:
    """Which recipe is the best one, and which others chance could have put in its place."""
    ranked = [entry for entry in ordered if entry.report is not None]
    if len(ranked) < 2:
        return ""
    close = [entry.name for entry in ranked[1:] if _is_close(ranked[0], entry, n_bootstrap, seed)]
    chance = (
        f"; within what chance can explain of it: {', '.join(close)}" if close else ", by more than chance explains"
    )
    return f"Best by {measure}: {ranked[0].name}{chance}."


def _is_close(best: Entry, other: Entry, n_bootstrap: int, seed: int) -> bool:
    """Whether 95% of the resamplings of users leave open which of the two is better; both of the same users."""
    assert best.report is not None and other.report is not None
    own, rival = best.report.per_user, other.report.per_user
    assert own is not None and rival is not None
    resample = Resample(len(own.sums), n_bootstrap, seed)
    gaps = resample.ratios((own.sums - rival.sums)[:, None], own.counts[:, None])
    low, high = np.nanquantile(gaps, (0.025, 0.975))
    return bool(low <= 0 <= high)
