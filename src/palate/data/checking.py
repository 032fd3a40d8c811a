"""Check ratings for problems before learning from them: what was found, what it means and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from palate.data.findings import Finding, Severity, find, findings_table
from palate.data.ratings import Ratings
from palate.data.reading import read
from palate.data.shape import Shape
from palate.errors import LabelTypeError, OptionError
from palate.showing import html
from palate.showing.pictures import check_matplotlib
from palate.showing.texts import Printed

if TYPE_CHECKING:
    from palate.showing.pictures.canvas import Figure

MARKS = {"info": " ", "warning": "!", "problem": "X"}


@dataclass(frozen=True, repr=False)
class Check(Printed):
    """What `check` found. Prints as a table; `to_dict()` is fit for JSON.

    `found["scale"]` is the finding of that name (KeyError names those there are), and `"scale" in found` is True if
    there is one.

    Attributes:
        findings (tuple of Finding): All findings, in a fixed order.
        source (str, default ""): File name, or the kind of source.
        shape (Shape or None, default None): What the picture shows; None if the source could not be read.

    Example:
        >>> import palate
        >>> found = palate.check(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> found.worst
        'info'
        >>> [finding.name for finding in found.findings][:3]
        ['size', 'density', 'scale']
    """

    findings: tuple[Finding, ...]
    source: str = ""
    shape: Shape | None = field(default=None, repr=False, compare=False)

    @property
    def worst(self) -> Severity:
        """The highest severity found: "info", "warning" or "problem"."""
        order: tuple[Severity, ...] = ("problem", "warning")
        found = {finding.severity for finding in self.findings}
        return next((severity for severity in order if severity in found), "info")

    def __getitem__(self, name: str) -> Finding:
        """The finding of this name; KeyError names those there are."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(f"no finding {name!r}; there are {', '.join(finding.name for finding in self.findings)}")

    def __contains__(self, name: object) -> bool:
        return any(finding.name == name for finding in self.findings)

    def plot(self, what: str | None = None, *, ax: Any = None) -> Figure:
        """Draw what the ratings are like.

        "values" shows how often each rating, or each count, comes; "items" the number of ratings of each item, the most
        rated first; "users" how many users have how many ratings; "times" the ratings over time. Implicit feedback
        without counts has no "values", ratings without times no "times".

        Parameters:
            what (str or None, default None): One of these; None draws all there are.
            ax (matplotlib Axes or list of Axes, default None): Where to draw, one for each drawing; None makes a figure
                of its own.

        Returns:
            matplotlib.figure.Figure: The figure.

        Raises:
            OptionError: The source could not be read, matplotlib is not installed, there is no such drawing, or ax does
                not fit.

        Example:
            >>> import palate
            >>> found = palate.check(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> found.plot("items").axes[0].get_title(loc="left")
            'Long tail: 40 items'
        """
        check_matplotlib("Check.plot")
        if self.shape is None:
            raise OptionError("the source could not be read as ratings, so there is nothing to draw; print the check.")
        from palate.data.pictures import plot_shape

        return plot_shape(self.shape, what, ax)

    def to_dict(self) -> dict[str, Any]:
        """Return the check as plain data, fit for JSON.

        Returns:
            dict: source (str), worst (str) and findings, a list of dicts with name, severity, says and do.
        """
        return {
            "source": self.source,
            "worst": self.worst,
            "findings": [asdict(finding) for finding in self.findings],
        }

    def __str__(self) -> str:
        width = max((len(finding.name) for finding in self.findings), default=0)
        lines = [f"Check of {self.source}"] if self.source else []
        for finding in self.findings:
            lines.append(f"{MARKS[finding.severity]} {finding.name:<{width}}  {finding.says}")
            if finding.do:
                lines.append(f"  {'':<{width}}  -> {finding.do}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = f"Check of {self.source}" if self.source else "Check"
        return html.page(head, findings_table(self.findings))


def check(source: Any, **options: Any) -> Check:
    """What palate.check finds without fitting anything: see there."""
    return checked(source, options)[0]


def checked(source: Any, options: Mapping[str, Any]) -> tuple[Check, Ratings | None]:
    """The check of a source for palate.read, and the ratings in it; None if they cannot be told apart by their ids."""
    if isinstance(source, Ratings):
        return Check(find(source), source.report.source, Shape.of(source)), source
    try:
        ratings = read(source, **{"on_bad_rows": "report", **options})
    except LabelTypeError as error:
        return Check((Finding("labels", "problem", str(error), "Give all ids of a column one type."),)), None
    return Check(find(ratings), ratings.report.source, Shape.of(ratings)), ratings
