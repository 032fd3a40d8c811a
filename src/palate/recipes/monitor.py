"""What happens around each sweep of a fit: errors, callbacks, the progress line, and a note of how the fit ended.

A recipe calls `Monitor.after_sweep` once a sweep (or epoch), and `Monitor.interrupted` on Ctrl-C.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from palate.data.ratings import Ratings
from palate.data.rows import Floats, weighted_mean
from palate.distributed.exchange import Exchange
from palate.recipes.checkpoints import Checkpoint, Saved
from palate.showing.events import is_quiet, tell
from palate.showing.live import Bar, Progress
from palate.showing.texts import Fielded, with_short_numbers


@dataclass(frozen=True, repr=False)
class Sweep(Fielded):
    """What a callback of fit() gets after each sweep or epoch.

    Attributes:
        number (int): The number of the sweep, from 1 on.
        total (int or None): How many sweeps the fit will make; None if it decides that itself.
        seconds (float): Seconds since the fit began.
        train_rmse (float): The training error: the RMSE of the ratings on their scale for SGD, ALS and Bayes; the root
            of the mean of (1 - score)^2 over choices for ImplicitALS; the mean loss for BPR.
        valid_rmse (float or None): RMSE of the validation ratings; None without them, or if not measured yet.
        average_rmse (float or None, default None): Of Bayes, whose model is the average of its draws: the RMSE of the
            average of the draws so far, on up to 4,096 of the training ratings. train_rmse is that of the last draw.

    Example:
        >>> import palate
        >>> sweeps = []
        >>> _ = palate.Bias(n_sweeps=3).fit(palate.datasets.synthetic(60, 40, 1200, seed=1), callback=sweeps.append)
        >>> [sweep.number for sweep in sweeps]
        [1, 2, 3]
    """

    number: int
    total: int | None
    seconds: float
    train_rmse: float
    valid_rmse: float | None
    average_rmse: float | None = None


Callback = Callable[[Sweep], bool | None]


@dataclass
class Monitor:
    """Observes one fit: times sweeps, draws the progress line, calls the callback, notes how the fit ended.

    limits: the range of the ratings; kept: the index of the sweep that the model is made of, None for the last one;
    taken: values that the recipe chose by the data, by name of the option; checkpoint: where the fit keeps its state;
    saved: the state that it goes on from; on: the workers that the fit is spread over.
    """

    STATE: ClassVar = ("record", "taken")

    label: str
    valid: Ratings | None
    limits: tuple[float, float]
    progress: Progress
    callback: Callback | None
    unit: str = "sweep"
    ended: str = "finished"
    sweeps: list[Sweep] = field(default_factory=list)
    kept: int | None = None
    taken: dict[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    saved: Saved | None = None
    on: Exchange | None = None

    @property
    def kept_sweep(self) -> Sweep | None:
        """The sweep that the model is made of; None before the first."""
        return self.sweeps[-1 if self.kept is None else self.kept] if self.sweeps else None

    @property
    def noise(self) -> float:
        """The validation RMSE of that sweep, for prediction intervals; nan without validation ratings."""
        kept = self.kept_sweep
        return float("nan") if kept is None or kept.valid_rmse is None else kept.valid_rmse

    def __enter__(self) -> Monitor:
        self._start = time.perf_counter()
        self._line = ProgressLine(self.label, self.progress, self.unit)
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close(self.ended if self.ended != "finished" else "", len(self.sweeps), self.seconds)

    @property
    def seconds(self) -> float:
        """Seconds since the fit began."""
        return time.perf_counter() - self._start

    def note(self, text: str) -> None:
        """Print a note in the progress line until the first sweep ends."""
        self._line.note(text)

    def announce(self, text: str) -> None:
        """Print a line before a long fit if no progress line is shown; nothing with progress=False."""
        if self.progress == "auto" and not self._line.is_shown and not is_quiet():
            print(text, file=sys.stderr)  # noqa: T201

    # ---- checkpoints

    @property
    def record(self) -> NDArray[np.float64]:
        """The sweeps as numbers, (n_sweeps, 5): total, seconds and the errors, nan for None.

        Setting it also sets the clock back by the seconds they took.
        """
        rows = [(one.total, one.seconds, one.train_rmse, one.valid_rmse, one.average_rmse) for one in self.sweeps]
        return np.array(rows, np.float64).reshape(-1, 5)

    @record.setter
    def record(self, sweeps: NDArray[np.float64]) -> None:
        for number, (total, seconds, train, *others) in enumerate(sweeps.tolist(), 1):
            whole, errors = (None if np.isnan(total) else int(total)), [None if np.isnan(e) else e for e in others]
            self.sweeps.append(Sweep(number, whole, seconds, train, *errors))
        self._start -= self.sweeps[-1].seconds if self.sweeps else 0.0

    def begin(self, *, resume: bool) -> None:
        """Look for a checkpoint to go on from, and say what was found. Raises OptionError; see Checkpoint.saved()."""
        if self.checkpoint is None:
            return
        folder, self.saved = self.checkpoint.folder, self.checkpoint.saved(resume=resume)
        if self.saved is not None:
            self.saved.restore(0, self)
            self._say(f"going on after {self.unit} {len(self.sweeps)}, from the checkpoint in {folder}")
            about: dict[str, Any] = {"recipe": self.label, f"{self.unit}s": len(self.sweeps), "checkpoint": str(folder)}
            tell("fit_resumed", "the fit goes on from its checkpoint", **about)
        elif resume:
            self._say(f"there is no checkpoint in {folder}: the fit begins anew")
            about = {"recipe": self.label, "checkpoint": str(folder)}
            tell("checkpoint_missing", "there is no checkpoint: the fit begins anew", level=logging.WARNING, **about)

    def _say(self, text: str) -> None:
        self.note(text)
        self.announce(text)

    def resume(self, state: object) -> bool:
        """Set the state of the fit to that of the checkpoint it goes on from; False if it began anew."""
        if self.saved is None:
            return False
        self.saved.restore(1, state)
        self.saved = None  # closes the file
        return True

    def keep(self, state: object) -> None:
        """Write a checkpoint, if it is time and the fit goes on."""
        n = len(self.sweeps)
        is_last = n > 0 and self.sweeps[-1].total == n
        if self.checkpoint is not None and n % self.checkpoint.every == 0 and not is_last:
            self.checkpoint.write(self, state)
            about = {"recipe": self.label, f"{self.unit}s": n, "checkpoint": str(self.checkpoint.folder)}
            tell("checkpoint_written", "the state of the fit is on the disk", level=logging.DEBUG, **about)

    def end(self) -> None:
        """Remove the checkpoint, unless Ctrl-C ended the fit: then it can go on later."""
        if self.checkpoint is not None and not self.is_interrupted:
            self.checkpoint.remove()

    def tell_end(self, n_ratings: int) -> None:
        """Log that the fit has ended: a warning if Ctrl-C ended it."""
        kept = self.kept_sweep
        level = logging.WARNING if self.is_interrupted else logging.INFO
        about: dict[str, Any] = {"recipe": self.label, "ratings": n_ratings, f"{self.unit}s": len(self.sweeps) or None}
        about |= {"seconds": round(self.seconds, 3), "ended": self.ended}
        if kept is not None:
            about |= {"train_rmse": kept.train_rmse, "valid_rmse": kept.valid_rmse}
        tell("fit_finished", "the fit has ended", level=level, **about)

    @property
    def is_interrupted(self) -> bool:
        """True if Ctrl-C ended the fit."""
        return self.ended.startswith("interrupted")

    def part(self, label: str) -> Monitor:
        """Return the monitor of a fit within this fit: it shows no line of its own, and its notes stand in this one."""
        return _PartMonitor(label, None, self.limits, False, None, self.unit, whole=self)

    def after_sweep(
        self,
        total: int | None,
        train_rmse: float,
        valid_rmse: float | None = None,
        average_rmse: float | None = None,
    ) -> bool:
        """Record a sweep and show it. True if the callback asks to end the fit here."""
        sweep = Sweep(len(self.sweeps) + 1, total, self.seconds, train_rmse, valid_rmse, average_rmse)
        self.sweeps.append(sweep)
        self._line.update(sweep.number, total, train_rmse, valid_rmse)
        if self.callback is None:
            return False
        try:
            ends_here = bool(self.callback(sweep))
        except KeyboardInterrupt:
            self.interrupted()
            return True
        if ends_here:
            self.ended = f"ended by the callback after {sweep.number} {self.unit}s"
        return ends_here

    def interrupted(self) -> None:
        """Record that Ctrl-C ended the fit."""
        self.ended = f"interrupted after {len(self.sweeps)} {self.unit}s; the model is what they give"

    def valid_rmse(self, predictions: NDArray[Any]) -> float:
        """RMSE of predictions for the validation ratings, clipped to the rating range."""
        assert self.valid is not None
        return rmse(np.clip(predictions, *self.limits), self.valid.values, self.valid.weights)

    def summary(self) -> dict[str, Any]:
        """What a model file stores of the fit. Its errors are those of the sweep that the model is made of."""
        kept = self.kept_sweep
        return {
            f"n_{self.unit}s": len(self.sweeps),
            "seconds": round(self.seconds, 3),
            "ended": self.ended,
            **({} if self.kept is None else {f"kept_{self.unit}": self.kept + 1}),
            **self.taken,
            "train_rmse": None if kept is None else kept.train_rmse,
            "valid_rmse": None if kept is None else kept.valid_rmse,
            f"{self.unit}s": [
                {"number": sweep.number, "train_rmse": sweep.train_rmse, "valid_rmse": sweep.valid_rmse}
                | ({} if sweep.average_rmse is None else {"average_rmse": sweep.average_rmse})
                for sweep in self.sweeps
            ],
        }


@dataclass
class _PartMonitor(Monitor):
    """The monitor of a fit within another fit."""

    whole: Monitor | None = None

    def note(self, text: str) -> None:
        """Print a note in the progress line of the whole fit."""
        assert self.whole is not None
        self.whole.note(f"{self.label}: {text}" if text else self.label)

    def announce(self, text: str) -> None:
        """Print a line as the whole fit would."""
        assert self.whole is not None
        self.whole.announce(text)


class ProgressLine:
    """The progress line of a fit. It does nothing where it is not shown."""

    def __init__(self, label: str, show: Progress, unit: str = "sweep") -> None:
        self._label, self._unit, self._errors = with_short_numbers(label), unit, ""
        self._bar = Bar(show, ("label", "bar", "count", f"{unit}s, left", "left", "text"))
        self.is_shown = self._bar.is_shown
        self._bar.update(label=self._label)

    def update(self, number: int, total: int | None, train_rmse: float, valid_rmse: float | None) -> None:
        """Show a finished sweep with its errors."""
        if self.is_shown:
            self._errors = f"train {train_rmse:.4f}" + ("" if valid_rmse is None else f"  valid {valid_rmse:.4f}")
            self._bar.update(done=number, total=total, text=self._errors)

    def note(self, text: str) -> None:
        """Show a note where the errors will stand."""
        self._bar.update(text=text)

    def close(self, ended: str, n_sweeps: int, seconds: float) -> None:
        """End the line. If the fit ended early, print how, even if no line was shown."""
        self._bar.update(done=n_sweeps, total=n_sweeps or 1)
        passes = f"{n_sweeps:,} {self._unit}{'s' * (n_sweeps != 1)} in " if n_sweeps else ""
        errors = f", {self._errors.replace('  ', ', ')}" if self._errors else ""
        has_said = self._bar.close(f"{self._label}: {passes}{seconds:.1f} s{errors}{f'; {ended}' if ended else ''}")
        if ended and not has_said and not is_quiet():
            print(f"fit {ended} ({seconds:.1f} s).", file=sys.stderr)  # noqa: T201


def rmse(predictions: NDArray[Any], values: NDArray[Any], weights: Floats | None = None) -> float:
    """Root mean squared error, sqrt(mean (prediction - value)^2); weights: of the values, None if all are 1."""
    return float(np.sqrt(weighted_mean((predictions.astype(np.float64) - values) ** 2, weights)))
