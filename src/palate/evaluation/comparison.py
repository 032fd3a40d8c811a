"""The result of compare(): an Entry for each recipe, and the Comparison of them, as table, frame and plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from palate.answers.results import aligned
from palate.data.output import in_kind
from palate.data.ratings import Kind
from palate.errors import OptionError
from palate.evaluation.hindsight import hindsight_note
from palate.evaluation.next_items import NextItemReport
from palate.evaluation.predictions import Report
from palate.evaluation.rankings import RankingReport
from palate.evaluation.resampling import Measure
from palate.showing import html
from palate.showing.pictures import check_matplotlib
from palate.showing.texts import Printed, with_short_numbers

if TYPE_CHECKING:
    import polars as pl

    from palate.showing.pictures.canvas import Figure

MB = 1e6
NUMBERS = (
    *("kind", "measure", "n_train", "n_test", "n_users", "n_items", "n_tested", "next_item", "n_older"),
)  # plain values
MAIN = ("rmse", "ndcg@10", "mrr")  # the first of these that a report has stands in the repr of an entry


@dataclass(frozen=True, repr=False)
class Entry:
    """The result of one recipe in a comparison: its report and what it cost, or why it failed or was left out.

    Attributes:
        name (str): The name in the comparison.
        recipe (str): The recipe with its options, as text.
        report (Report, RankingReport, NextItemReport or None, default None): What evaluate() returned; None for a
            failed recipe.
        seconds (float, default nan): The duration of fit().
        memory (int or None, default None): How far the resident memory of the process rose during fit(), in bytes; None
            where the system does not report it.
        size (int or None, default None): The size of the saved model in bytes.
        failed (str, default ""): The error of a failed recipe; else empty.
        left_out (str, default ""): Why the recipe was not fitted: there was no time or memory for it; else empty.

    Example:
        >>> import palate
        >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
        >>> entry = palate.compare(train, test, ["Bias"])["Bias"]
        >>> entry.recipe, entry.failed
        ('Bias()', '')
    """

    name: str
    recipe: str
    report: Report | RankingReport | NextItemReport | None = None
    seconds: float = math.nan
    memory: int | None = None
    size: int | None = None
    failed: str = ""
    left_out: str = ""

    @property
    def is_measured(self) -> bool:
        """True if the recipe was fitted and measured."""
        return not self.failed and not self.left_out

    def measure(self, name: str) -> Measure:
        """Return a measure of the report.

        Parameters:
            name (str): A measure, such as "rmse" or "ndcg@10".

        Returns:
            Measure: The measure with its interval; nan if the recipe was not measured, or the report has no such
                measure.
        """
        return Measure(math.nan) if self.report is None else self.report.measures.get(name, Measure(math.nan))

    def __repr__(self) -> str:
        if self.report is None:
            return f"<Entry: {self.recipe}; {f'failed: {self.failed}' if self.failed else self.left_out}>"
        shown = [name for name in MAIN if name in self.report.measures] or list(self.report.measures)[:1]
        recipe = with_short_numbers(self.recipe)
        return f"<Entry: {recipe}; {shown[0]} {self.measure(shown[0])}, fitted in {self.seconds:.2f} s>"

    def _repr_html_(self) -> str:
        facts = {"recipe": with_short_numbers(self.recipe), "failed": self.failed, "left out": self.left_out}
        if self.is_measured:
            facts |= {"seconds": f"{self.seconds:.2f}"}
            sizes = {"memory": self.memory, "size": self.size}
            facts |= {name: f"{size / MB:,.2f} MB" for name, size in sizes.items() if size is not None}
        report = "" if self.report is None else self.report._repr_html_()
        return html.page(self.name, html.facts(facts), report)

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as plain values, ready for JSON.

        Returns:
            dict: All attributes; the report as its to_dict(), and None for what is missing.
        """
        return {
            "name": self.name,
            "recipe": self.recipe,
            "seconds": None if math.isnan(self.seconds) else self.seconds,
            "memory": self.memory,
            "size": self.size,
            "failed": self.failed or None,
            "left_out": self.left_out or None,
            "report": None if self.report is None else self.report.to_dict(),
        }


@dataclass(frozen=True, repr=False)
class Comparison(Printed):
    """The result of compare(), the best recipe first.

    comparison["Bayes"] is an Entry; print(comparison) prints a table. A name that was not compared raises
    OptionError. comparison.plot() draws a comparison; palate.plotting.write_page writes it as an HTML page.

    Attributes:
        entries (tuple of Entry): One entry for each recipe, the best first, those that were not measured last.
        kind (str): The kind of the ratings, "explicit" or "implicit".
        measure (str): The measure that entries are sorted by: "rmse", or "ndcg@10" (ndcg at the k nearest to 10).
        k (tuple of int): The list lengths at which measures are given.
        n_train (int): The number of training ratings.
        n_test (int): The number of test ratings.
        n_users (int): The number of users.
        n_items (int): The number of items.
        verdict (str): Which recipe is best, and which others are not significantly worse.
        read (dict, default empty): Which column of the source became what, and how it was read: ReadReport.reading.
        n_tested (int or None, default None): The number of test users who were drawn, where not all are measured.
        next_item (bool, default False): Whether recipes are compared by what users choose next.
        n_older (int, default 0): The number of test ratings that are older than a training rating of the same user; 0
            too if they have no times.
        frame_kind (str or None, default None): The kind of frame that the training ratings came in.

    Example:
        >>> import palate
        >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
        >>> comparison = palate.compare(train, test, ["Mean", "Bias"])
        >>> comparison.best.name, comparison.measure
        ('Bias', 'rmse')
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
    read: dict[str, Any] = field(default_factory=dict)
    n_tested: int | None = None
    next_item: bool = False
    n_older: int = 0
    frame_kind: str | None = field(default=None, compare=False, repr=False)

    def __getitem__(self, name: str) -> Entry:
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise OptionError(f"no recipe {name!r} was compared; there are {', '.join(e.name for e in self.entries)}.")

    @property
    def best(self) -> Entry:
        """The entry with the best quality; OptionError if no recipe was measured."""
        first = self.entries[0]
        if first.failed:
            raise OptionError(f"every recipe failed; {first.name}: {first.failed}")
        if first.left_out:
            raise OptionError(f"every recipe was left out; {first.name}: {first.left_out}")
        return first

    @property
    def heading(self) -> str:
        """The line above the table: the sizes of the data."""
        noun = "likes" if self.kind == "implicit" else "ratings"
        of_users = "" if self.n_tested is None else f" (of {self.n_tested:,} users, drawn at random)"
        return (
            f"{self.n_train:,} {noun} to learn from, {self.n_test:,} to test on{of_users}; {self.n_users:,} users, "
            f"{self.n_items:,} items"
        )

    @property
    def notes(self) -> list[str]:
        """The lines below the table: the verdict, why recipes failed or were left out, and what the split allows."""
        failed = [f"{entry.name} failed: {entry.failed}" for entry in self.entries if entry.failed]
        left_out = [f"{entry.name} was left out: {entry.left_out}" for entry in self.entries if entry.left_out]
        verdict = [self.verdict] if self.verdict else []
        return [*verdict, *failed, *left_out, *hindsight_note(self.n_older)]

    @property
    def shown(self) -> tuple[str, ...]:
        """The names of the measures in the table."""
        if self.kind == "explicit":
            return "rmse", "mae"
        nearest = {wanted: min(self.k, key=lambda k: (abs(k - wanted), k)) for wanted in (10, 20)}
        if self.next_item:
            return f"ndcg@{nearest[10]}", f"hit_rate@{nearest[10]}", "mrr"
        return f"ndcg@{nearest[10]}", f"recall@{nearest[20]}", f"coverage@{nearest[10]}"

    def columns(self) -> dict[str, list[str | float | None]]:
        """Return the table by columns.

        Returns:
            dict of str to list: The recipes' names, the measures as text, seconds, and memory and size in MB; None for
                unknown values.
        """
        fitted = [entry if entry.is_measured else None for entry in self.entries]
        quality: dict[str, list[str | float | None]] = {
            name: [None if entry is None else str(entry.measure(name)) for entry in fitted] for name in self.shown
        }
        return {
            "recipe": [entry.name for entry in self.entries],
            **quality,
            "seconds": [None if entry is None else entry.seconds for entry in fitted],
            "memory MB": [None if entry is None or entry.memory is None else entry.memory / MB for entry in fitted],
            "size MB": [None if entry is None or entry.size is None else entry.size / MB for entry in fitted],
        }

    def cells(self) -> list[list[str]]:
        """Return the table by rows, as text.

        Returns:
            list of list of str: The head row, then one row for each recipe.
        """
        columns = [[name, *map(_cell, values)] for name, values in self.columns().items()]
        return [list(row) for row in zip(*columns, strict=True)]

    def __str__(self) -> str:
        return "\n".join([self.heading, *aligned(self.cells()), *self.notes])

    def _repr_html_(self) -> str:
        head, *rows = self.cells()
        numbers = range(len(head) - 3, len(head))
        return html.page(self.heading, html.table(rows, head=head, numbers=numbers), html.notes(*self.notes))

    def plot(self, *, ax: Any = None) -> Figure:
        """Draw each recipe's error, with its interval, against the seconds of its fit.

        The best recipes stand at the lower left. The orange line joins those that no other recipe beats in both error
        and time.

        Parameters:
            ax (matplotlib Axes, default None): Where to draw; None makes a figure of its own.

        Returns:
            matplotlib.figure.Figure: RMSE of explicit ratings, or 1 - NDCG of implicit feedback, over a logarithmic
                time axis.

        Raises:
            OptionError: Every recipe failed or was left out, matplotlib is not installed, or ax is something else.
        """
        check_matplotlib("Comparison.plot")
        from palate.evaluation.pictures import plot_comparison

        return plot_comparison(self, ax)

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain values, ready for JSON.

        Returns:
            dict: All attributes; each entry as its to_dict().
        """
        plain = {name: getattr(self, name) for name in NUMBERS}
        entries = [entry.to_dict() for entry in self.entries]
        return {**plain, "k": list(self.k), "verdict": self.verdict, "read": self.read, "entries": entries}

    def to_frame(self) -> Any:
        """Return the comparison as a frame.

        Returns:
            Frame: One row for each recipe, the best first. Columns: recipe, seconds, memory and size in
                bytes, failed, left_out, and for each measure its value and interval (rmse, rmse_low, rmse_high).
        """
        import polars as pl

        names = dict.fromkeys(name for entry in self.entries if entry.report for name in entry.report.measures)
        columns: dict[str, pl.Series] = {
            "recipe": pl.Series([entry.name for entry in self.entries], dtype=pl.String),
            "seconds": pl.Series([entry.seconds for entry in self.entries], dtype=pl.Float64).fill_nan(None),
            "memory": pl.Series([entry.memory for entry in self.entries], dtype=pl.Int64),
            "size": pl.Series([entry.size for entry in self.entries], dtype=pl.Int64),
            "failed": pl.Series([entry.failed or None for entry in self.entries], dtype=pl.String),
            "left_out": pl.Series([entry.left_out or None for entry in self.entries], dtype=pl.String),
        }
        for name in names:
            measures = [entry.measure(name) for entry in self.entries]
            for part, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
                values = [getattr(measure, part) for measure in measures]
                columns[name + suffix] = pl.Series(values, dtype=pl.Float64).fill_nan(None)
        return in_kind(pl.DataFrame(columns), None, self.frame_kind)


def _cell(value: str | float | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.2f}"
