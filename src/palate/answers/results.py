"""Answers that are no frames: Prediction, Distribution, Explanation with its Reasons, CrossTab. And how they print."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.answers.frames import Frame, make_frame
from palate.data.output import in_kind
from palate.data.ratings import Kind
from palate.showing import html, texts
from palate.showing.pictures import check_matplotlib
from palate.showing.texts import Printed

if TYPE_CHECKING:
    from palate.showing.pictures.canvas import Figure

N_REASONS = 8  # own ratings that a printed explanation lists one by one
MAX_TAB = 20  # users, and items, of a cross tab in a notebook
SHOWN = 0.0005  # smaller contributions would print as 0.000
SIDE_INFORMATION = {"history": "history: which items were rated"}  # as printed; columns of tables print as they are


class Prediction(NamedTuple):
    """A predicted rating with an interval; shown as "4.13 (2.5 .. 5.0)".

    Attributes:
        prediction (float): The predicted mean of the rating, within the rating range.
        low (float): The lower end of the interval; nan where the model has no intervals.
        high (float): The upper end of the interval; nan where the model has no intervals.

    Example:
        >>> import palate
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> prediction, low, high = rec.predict("u1", "i2", level=0.5)
        >>> low < prediction < high
        True
    """

    prediction: float
    low: float
    high: float

    def __repr__(self) -> str:
        return texts.interval(self.prediction, self.low, self.high)

    def _repr_html_(self) -> str:
        return html.page(repr(self))


class Distribution(NamedTuple):
    """A predicted rating with an interval and the probability of each rating, from a model of ratings in steps.

    Attributes:
        prediction (float): The predicted mean of the rating, within the rating range.
        low (float): The lower end of the interval.
        high (float): The upper end of the interval.
        chances (dict): {rating: probability}, the lowest rating first; the probabilities add up to 1.

    Example:
        >>> import palate
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> abs(sum(rec.predict("u1", "i2", distribution=True).chances.values()) - 1) < 1e-6
        True
    """

    prediction: float
    low: float
    high: float
    chances: dict[float, float]

    def at_least(self, rating: float) -> float:
        """Return the probability of this rating or a higher one.

        Ratings are compared as float32, so that 3.1 is the 3.1 of the training ratings.

        Parameters:
            rating (float): A rating; it need not be one of the steps.

        Returns:
            float: The probability, between 0 and 1.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> 0 < rec.predict("u1", "i2", distribution=True).at_least(4) < 1
            True
        """
        threshold = np.float32(rating)
        return sum(chance for value, chance in self.chances.items() if np.float32(value) >= threshold)

    def __repr__(self) -> str:
        chances = ", ".join(f"{value:g}: {chance:.0%}" for value, chance in self.chances.items())
        return f"{texts.interval(self.prediction, self.low, self.high)}; {chances}"

    def _repr_html_(self) -> str:
        rows = [(chance, (f"{value:g}", f"{chance:.1%}")) for value, chance in self.chances.items()]
        head = texts.interval(self.prediction, self.low, self.high)
        return html.page(head, html.bars(rows, head=("rating", "chance"), numbers=(0, 1)))

    def plot(self, *, ax: Any = None) -> Figure:
        """Draw the probability of each rating as bars.

        Parameters:
            ax (matplotlib Axes, default None): Where to draw; None makes a figure of its own.

        Returns:
            matplotlib.figure.Figure: The figure.

        Raises:
            OptionError: matplotlib is not installed, or ax is something else.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> rec.predict("u1", "i2", distribution=True).plot().axes[0].get_ylabel()
            'probability'
        """
        check_matplotlib("Distribution.plot")
        from palate.answers.pictures import plot_distribution

        return plot_distribution(self, ax)


class Reason(NamedTuple):
    """One of the user's own ratings, and how far it moves the explained prediction.

    When a new item is explained, a reason is one of the ratings it got, and `item` holds the user who gave it.

    Attributes:
        item (label): The rated or chosen item.
        title (str or None): Its title, where the model has titles.
        rating (float): The rating. Of implicit feedback, how often the item was chosen (1 where there are no counts).
        contribution (float): How far this rating moves the prediction, in units of the prediction.
        later (int or None, default None): In models that weigh events by their order or age: how many later events the
            user has; 0 for the last.
    """

    item: Any
    title: str | None
    rating: float
    contribution: float
    later: int | None = None

    def __repr__(self) -> str:
        return f"{self.contribution:+.3f} {texts.name(self.title or self.item)} ({self.rating:g})"

    def _repr_html_(self) -> str:
        return html.page(repr(self))


@dataclass(frozen=True, repr=False)
class Explanation(Printed):
    """Where a prediction comes from; prints as a short table.

    Two sums hold. `parts` add up to `prediction`. The contributions in `because`, the shares in `known` and `rest` add
    up to the user's part plus the factors' part. In a model of implicit feedback the prediction is a score.

    Attributes:
        user (label): The user.
        item (label): The item.
        title (str or None): The title of the item, where the model has titles.
        prediction (float): The predicted rating or score.
        parts (dict): {name: share} of mean, user, item and factors; of time, if a time was asked about; and of limit,
            which is what clipping to the rating range changed, most often 0.
        because (list of Reason): The user's own ratings or choices, largest contribution (in size) first.
        rest (float): What neither ratings nor side information explain: the prior that all users share, and the
            difference between the factors and the mean over the posterior draws.
        known (dict): {name: share} of the user's side information: "history" (which items were rated, whatever the
            ratings) and the columns of the user table. CrossTab.known is something else: observed ratings.
        kind (str): "explicit" or "implicit", as the training ratings were.
        blend (dict): Of a blend: {name: share} of its parts, which add up to the prediction. Empty for other models.

    Example:
        >>> import palate
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> why = rec.explain("u1", "i2")
        >>> shares = sum(reason.contribution for reason in why.because) + sum(why.known.values()) + why.rest
        >>> abs(shares - why.parts["user"] - why.parts["factors"]) < 1e-6
        True
    """

    user: Any
    item: Any
    title: str | None
    prediction: float
    parts: dict[str, float]
    because: list[Reason]
    rest: float
    known: dict[str, float] = field(default_factory=dict)
    kind: Kind = "explicit"
    blend: dict[str, float] = field(default_factory=dict)

    def plot(self, what: str | None = None, *, n: int = N_REASONS, ax: Any = None) -> Figure:
        """Draw the explanation as two waterfalls: the parts of the prediction, and the reasons behind user and factors.

        Both sums are exact, and the picture says what they come to. Of implicit feedback the parts are those of a
        blend, or of a score that has several; otherwise the reasons stand alone.

        Parameters:
            what (str or None, default None): "parts" or "reasons"; None draws both.
            n (int, default 8): Own ratings that get a row of their own, 1 or more; the others are one row.
            ax (matplotlib Axes or list of Axes, default None): Where to draw, one for each waterfall; None makes a
                figure of its own.

        Returns:
            matplotlib.figure.Figure: The figure.

        Raises:
            OptionError: matplotlib is not installed, there is no such drawing, or ax does not fit.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> [ax.get_xlabel() for ax in rec.explain("u1", "i2").plot().axes]
            ['predicted rating', 'share of the predicted rating']
        """
        check_matplotlib("Explanation.plot")
        from palate.answers.pictures import plot_explanation

        return plot_explanation(self, what, n, ax)

    def __str__(self) -> str:
        name, user = texts.name(self.title or self.item), texts.name(self.user)
        reasons = [f"  {share:+.3f}  {text}" for share, text in self._reasons()]
        lines = ["because of", *reasons] if reasons else []
        if self.because and not reasons:
            lines = [f"no {self._noun} of this user moves it"]
        if self.kind == "implicit":
            shares = ", ".join(f"{part} {share:+.3f}" for part, share in self.blend.items())
            score = f"score {self.prediction:.3f}" + (f" ({shares})" if shares else "")
            return "\n".join([f"{name} for {user}: {score}", *lines])
        parts = [f"  {part:>8} {value:+.2f}" for part, value in self._parts().items()]
        lines += [f"  {share:+.3f}  {text}" for share, text in self._others()]
        return "\n".join([f"{name} for {user}: {self.prediction:.2f}", *parts, *lines])

    def _repr_html_(self) -> str:
        is_score = self.kind == "implicit"
        name, decimals = texts.name(self.title or self.item), 3 if is_score else 2
        score = f"{'score ' if is_score else ''}{self.prediction:.{decimals}f}"
        parts = self.blend if is_score else self._parts()
        shares = {part: value for part, value in parts.items() if part != "mean"}  # it is far larger than the others
        rows = [(shares.get(part, np.nan), (part, f"{value:+.{decimals}f}")) for part, value in parts.items()]
        reasons = [*self._reasons(), *([] if is_score else self._others())]
        return html.page(
            f"{name} for {texts.name(self.user)}: {score}",
            html.bars(rows, caption="Parts of the score" if is_score else "Parts of the prediction", numbers=(1,)),
            html.bars(
                [(share, (f"{share:+.3f}", text)) for share, text in reasons],
                caption="Because of",
                numbers=(0,),
                wide=(1,),
            ),
        )

    def _parts(self) -> dict[str, float]:
        """The parts that are shown: what clipping changed only if it changed something."""
        return {part: value for part, value in self.parts.items() if part != "limit" or abs(value) >= 0.005}

    def _others(self) -> list[tuple[float, str]]:
        """What side information and the prior explain, with their shares."""
        known = [(share, SIDE_INFORMATION.get(name, texts.name(name))) for name, share in self.known.items()]
        return [*known, (self.rest, "prior, the same for all users")]

    def _reasons(self) -> list[tuple[float, str]]:
        """The first N_REASONS own ratings whose shares show, and all others together."""
        shown = [reason for reason in self.because[:N_REASONS] if abs(reason.contribution) >= SHOWN]
        others = self.because[len(shown) :]  # the largest come first
        share = sum(reason.contribution for reason in others)
        if not shown and abs(share) < SHOWN:
            return []
        reasons = [(reason.contribution, self._text_of(reason)) for reason in shown]
        if others:
            noun = self._noun
            reasons.append((share, f"the {len(others)} other {noun}s" if len(others) > 1 else f"the other {noun}"))
        return reasons

    @property
    def _noun(self) -> str:
        return "choice" if self.kind == "implicit" else "rating"

    def _text_of(self, reason: Reason) -> str:
        name = texts.name(reason.title or reason.item)
        if self.kind == "explicit":
            return f"rated {name} {reason.rating:g}"
        has_counts = any(other.rating != 1 for other in self.because)
        chose = f"chose {name} ({reason.rating:g})" if has_counts else f"chose {name}"
        return chose if reason.later is None else f"{chose}, {_place(reason.later)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as plain values, ready for JSON.

        Returns:
            dict: The attributes by name; `because` is a list of dicts.

        Example:
            >>> import json, palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> json.loads(json.dumps(rec.explain("u1", "i2").to_dict()))["item"]
            'i2'
        """
        return {
            "user": self.user,
            "item": self.item,
            "title": self.title,
            "prediction": self.prediction,
            "parts": self.parts,
            "because": [
                {name: value for name, value in reason._asdict().items() if name != "later" or value is not None}
                for reason in self.because
            ],
            "known": self.known,
            "rest": self.rest,
            "kind": self.kind,
            "blend": self.blend,
        }


@dataclass(frozen=True, repr=False)
class CrossTab(Printed):
    """A table of users and items: observed ratings beside predictions; prints as text.

    Attributes:
        users (list of labels): The rows.
        items (list of labels): The columns.
        titles (list of str or None): The titles of the columns, None where an item has none.
        known (array): Observed ratings, (n_users, n_items) float32, nan where a user has not rated an item. Of implicit
            feedback the counts, 1 where there are none. Explanation.known is something else: side information.
        predicted (array): Predicted ratings, or scores of implicit feedback, (n_users, n_items) float32.
        kind (str): "explicit" or "implicit", as the training ratings were.
        limits (tuple of float): The range of ratings; infinite for scores.
        frame_kind (str or None): The kind of frame that the training ratings came in; None if in none.

    Example:
        >>> import palate
        >>> rec = palate.Bias().fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> rec.cross_tab(["u1", "u2"], ["i1", "i2", "i3"]).predicted.shape
        (2, 3)
    """

    users: list[Any]
    items: list[Any]
    titles: list[str | None]
    known: NDArray[np.float32]
    predicted: NDArray[np.float32]
    kind: Kind = "explicit"
    limits: tuple[float, float] = (-np.inf, np.inf)
    frame_kind: str | None = field(default=None, compare=False, repr=False)

    def plot(self, *, ax: Any = None) -> Figure:
        """Draw the two tables as heat maps: observed ratings at the left, all predictions at the right.

        Parameters:
            ax (list of two matplotlib Axes, default None): Where to draw; None makes a figure of its own.

        Returns:
            matplotlib.figure.Figure: Two heat maps of one color scale; what was not observed stays white.

        Raises:
            OptionError: matplotlib is not installed, or ax is something else.

        Example:
            >>> import palate
            >>> rec = palate.Bias().fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> [ax.get_title(loc="left") for ax in rec.cross_tab().plot().axes]
            ['observed ratings', 'predictions']
        """
        check_matplotlib("CrossTab.plot")
        from palate.answers.pictures import plot_cross_tab

        return plot_cross_tab(self, ax)

    def to_frame(self, what: str = "predicted") -> Frame:
        """Return one of the two tables as a frame.

        Parameters:
            what (str, default "predicted"): "predicted", or "known" for the observed ratings.

        Returns:
            Frame: One row per user and one column per item, after a column of user labels.

        Example:
            >>> import palate
            >>> rec = palate.Bias().fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> rec.cross_tab(["u1", "u2"], ["i1", "i2"]).to_frame("known").columns
            ['user', 'i1', 'i2']
        """
        table = self.known if what == "known" else self.predicted
        first = "user" if "user" not in map(str, self.items) else "user label"
        is_text = any(isinstance(label, str) for label in self.users)
        columns: dict[str, Any] = {first: np.array(self.users, dtype=object if is_text else np.int64)}
        frame = make_frame(columns | {str(item): table[:, at] for at, item in enumerate(self.items)})
        return in_kind(frame, None, self.frame_kind)

    def _format(self) -> tuple[int, str]:
        """How many decimals predictions have, and what stands below the table."""
        if self.kind == "implicit":
            return 2, "how often the item was chosen, and the score in brackets"
        return 1, "observed rating, and the predicted one in brackets"

    def _repr_html_(self) -> str:
        decimals, legend = self._format()
        n = min(len(self.items), MAX_TAB)
        names = [texts.name(title or item, 24) for title, item in zip(self.titles[:n], self.items, strict=False)]
        rows = [
            [texts.name(user, 40), *(_cell(*pair, decimals) for pair in zip(known[:n], predicted[:n], strict=True))]
            for user, known, predicted in zip(self.users[:MAX_TAB], self.known, self.predicted, strict=False)
        ]
        more = f"The first {n} of {len(self.items):,} items." if n < len(self.items) else ""
        table = html.table(rows, head=["", *names], numbers=range(1, n + 1), n_rows=len(self.users))
        size = f"{len(self.users):,} users and {len(self.items):,} items"
        return html.page(size, table, html.notes(legend, more))

    def __str__(self) -> str:
        decimals, legend = self._format()
        shown = ((title or str(item))[:12] for item, title in zip(self.items, self.titles, strict=True))
        head = ["", *map(texts.name, shown)]
        rows = [head] + [
            [texts.name(user)] + [_cell(known, predicted, decimals) for known, predicted in zip(*pair, strict=True)]
            for user, *pair in zip(self.users, self.known, self.predicted, strict=True)
        ]
        return "\n".join([*aligned(rows, str.rjust), legend])


def aligned(rows: Sequence[Sequence[str]], just: Callable[[str, int], str] = str.ljust) -> list[str]:
    """Lines of text in which the cells of each column stand below each other. No row is longer than the first."""
    widths = [max(len(row[at]) for row in rows if at < len(row)) for at in range(len(rows[0]))]
    return ["  ".join(map(just, row, widths)).rstrip() for row in rows]


def _place(later: int) -> str:
    """Where an event stands that so many have followed."""
    return f"{later} before the last" if later else "the last"


def _cell(known: float, predicted: float, decimals: int) -> str:
    return f"{'-' if np.isnan(known) else format(known, 'g')} ({predicted:.{decimals}f})"
