"""The shapes of answers: frames of the kind that was asked with, and the few answers that are not frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Kind

if TYPE_CHECKING:
    import polars as pl

Frame = Any  # a pandas, polars or arrow frame: the kind the question came in


class Prediction(NamedTuple):
    """An expected rating, and the interval in which the real one lies with the probability that was asked for."""

    prediction: float
    low: float
    high: float


class Distribution(NamedTuple):
    """A prediction, and the chance of each rating: {rating: probability}, from the lowest on."""

    prediction: float
    low: float
    high: float
    chances: dict[float, float]

    def at_least(self, rating: float) -> float:
        """The chance of this rating or more; ratings are told apart as float32 tells them."""
        least = np.float32(rating)
        return sum(chance for value, chance in self.chances.items() if np.float32(value) >= least)


def make_frame(columns: Mapping[str, Any], like: Frame = None) -> Frame:
    """A frame of columns, of the same kind as `like`; a polars frame where that is not a frame."""
    import polars as pl

    frame = pl.DataFrame({name: _column(name, values) for name, values in columns.items()})
    return frame if like is None else as_kind(frame, like)


def as_kind(frame: pl.DataFrame, like: Frame) -> Frame:
    """A polars frame turned into the kind of `like`."""
    import narwhals as nw

    backend = nw.from_native(like, eager_only=True).implementation
    if backend.is_polars():
        return frame
    if backend.is_pandas():
        import pandas as pd

        return pd.DataFrame({name: frame[name].to_numpy() for name in frame.columns})
    return nw.from_dict(frame.to_dict(), backend=backend).to_native()


def is_frame(value: Any) -> bool:
    """Whether narwhals knows this as a frame."""
    if type(value).__module__.partition(".")[0] in ("builtins", "numpy"):
        return False  # most questions are a label or a list: they need not wait for narwhals to load
    import narwhals as nw

    return isinstance(nw.from_native(value, eager_only=True, pass_through=True), nw.DataFrame)


def _column(name: str, values: Any) -> pl.Series:
    import polars as pl

    if isinstance(values, list) or values.dtype.kind == "O":
        return pl.Series(name, list(values), dtype=pl.String)
    return pl.Series(name, values)


class Reason(NamedTuple):
    """One of somebody's own ratings, and by how much it moved the prediction. For a new item, `item` is the user.

    rating: of a choice, where there are no ratings, how often it was made (1 where that is not known).
    """

    item: Any
    title: str | None
    rating: float
    contribution: float


KNOWN = {"history": "which they rated at all"}  # how an explanation prints what else is known


@dataclass(frozen=True)
class Explanation:
    """Where a prediction comes from. `parts` add up to it; `because`, `known` and `rest` to its user and factors part.

    parts: mean, user, item, factors, and limit (what clipping to the rating range took away, most often 0).
    because: the own ratings that pulled it up or down, the strongest first. known: what else is known of the user, by
    name: "history" (what was rated at all, whatever the rating) and the columns of the user table. rest: what the prior
    of everybody and the averaging over draws contribute. kind: of the ratings learned from; where it is "implicit", the
    prediction is the score of a choice.
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

    def __str__(self) -> str:
        name = self.title or str(self.item)
        if self.kind == "implicit":
            return "\n".join([f"{name} for {self.user}: score {self.prediction:.3f}", *self._reasons()])
        lines = [f"{name} for {self.user}: {self.prediction:.2f}"]
        lines += [
            f"  {part:>8} {value:+.2f}" for part, value in self.parts.items() if part != "limit" or abs(value) >= 0.005
        ]
        lines += self._reasons()
        lines += [f"  {share:+.3f}  {KNOWN.get(name, name)}" for name, share in self.known.items()]
        lines.append(f"  {self.rest:+.3f}  what holds for everybody")
        return "\n".join(lines)

    def _reasons(self) -> list[str]:
        """The own ratings that did most, a line each, and the others in one."""
        lines = ["because of"] if self.because else []
        lines += [f"  {reason.contribution:+.3f}  {self._told(reason)}" for reason in self.because[:8]]
        others = sum(reason.contribution for reason in self.because[8:])
        if self.because[8:]:
            noun = "choices" if self.kind == "implicit" else "ratings"
            lines.append(f"  {others:+.3f}  the {len(self.because) - 8} other {noun}")
        return lines

    def _told(self, reason: Reason) -> str:
        name = reason.title or reason.item
        if self.kind == "explicit":
            return f"rated {name} {reason.rating:g}"
        has_counts = any(other.rating != 1 for other in self.because)
        return f"chose {name} ({reason.rating:g})" if has_counts else f"chose {name}"

    def to_dict(self) -> dict[str, Any]:
        """The explanation as plain values, ready for JSON."""
        return {
            "user": self.user,
            "item": self.item,
            "title": self.title,
            "prediction": self.prediction,
            "parts": self.parts,
            "because": [reason._asdict() for reason in self.because],
            "known": self.known,
            "rest": self.rest,
            "kind": self.kind,
        }


@dataclass(frozen=True)
class CrossTab:
    """Users x items: what is known (nan where nothing is) beside what is predicted; both (n_users, n_items).

    kind: of the ratings learned from; where it is "implicit", known is how often (1 where that is not known) and
    predicted the score.
    """

    users: list[Any]
    items: list[Any]
    titles: list[str | None]
    known: NDArray[np.float32]
    predicted: NDArray[np.float32]
    kind: Kind = "explicit"

    def to_frame(self, what: str = "predicted") -> pl.DataFrame:
        """One row per user, one column per item, of "predicted" or "known" ratings."""
        table = self.known if what == "known" else self.predicted
        first = "user" if "user" not in map(str, self.items) else "user label"
        columns: dict[str, Any] = {first: np.array(self.users, dtype=object if _texts(self.users) else np.int64)}
        frame: pl.DataFrame = make_frame(columns | {str(i): table[:, at] for at, i in enumerate(self.items)})
        return frame

    def __str__(self) -> str:
        decimals, below = (1, "known rating, and the predicted one in brackets")
        if self.kind == "implicit":
            decimals, below = (2, "what was chosen and how often, and the score in brackets")
        head = [""] + [(title or str(item))[:12] for item, title in zip(self.items, self.titles, strict=True)]
        rows = [head] + [
            [str(user)] + [_cell(known, predicted, decimals) for known, predicted in zip(*pair, strict=True)]
            for user, *pair in zip(self.users, self.known, self.predicted, strict=True)
        ]
        return "\n".join([*aligned(rows, str.rjust), below])


def aligned(rows: Sequence[Sequence[str]], just: Callable[[str, int], str] = str.ljust) -> list[str]:
    """Rows of cells, the first row having the most, as lines of text in which columns stand below each other."""
    widths = [max(len(row[at]) for row in rows if at < len(row)) for at in range(len(rows[0]))]
    return ["  ".join(map(just, row, widths)).rstrip() for row in rows]


def _texts(labels: list[Any]) -> bool:
    return any(isinstance(label, str) for label in labels)


def _cell(known: float, predicted: float, decimals: int) -> str:
    return f"{'-' if np.isnan(known) else format(known, 'g')} ({predicted:.{decimals}f})"
