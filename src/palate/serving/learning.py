"""Learning anew from what a model learned and what arrived since: the fit, the check, the new file.

python -m palate.serving.learning runs as a process of its own, at low priority. It reads its job from standard input,
since a store's address may have a password in it, and prints its outcome as JSON.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from palate.data.ratings import Ratings
from palate.errors import OptionError, PalateError
from palate.evaluation import evaluate
from palate.models.model import Model
from palate.recipes import RECIPES
from palate.recommender import Recommender, load
from palate.serving.gathering import gather
from palate.serving.store import open_store

LOW_PRIORITY = 15  # added to the niceness of the process
HELD_OUT = 0.1  # share of the new ratings, the last ones, on which both models are measured
MIN_HELD_OUT, MAX_HELD_OUT = 20, 10_000  # fewer say nothing; more say no more
MUCH_WORSE = 0.02  # a new model that is worse by a larger part, and beyond the old one's 95% interval, is refused


class Job(msgspec.Struct, kw_only=True):
    """What to learn.

    Attributes:
        model (str): The file of the model in use.
        store (str): Where the feedback is.
        up_to (int): The sequence number of the last event to learn.
        out (str): The file to write.
        ratings (str or None): The file of training ratings; None takes those in the model.
    """

    model: str
    store: str
    up_to: int
    out: str
    ratings: str | None = None


class Outcome(msgspec.Struct, kw_only=True):
    """What came of it.

    Attributes:
        accepted (bool): The new model is in the file.
        reason (str): Why, or why not.
        measure (str or None): What both models were measured by on the last feedback, such as "rmse".
        before, after (float or None): Of the model in use, and of the new one.
        n_ratings (int): What the new model learned from.
        n_held_out (int): Ratings that both were measured on.
        seconds (float): The fit's.
    """

    accepted: bool
    reason: str
    measure: str | None = None
    before: float | None = None
    after: float | None = None
    n_ratings: int = 0
    n_held_out: int = 0
    seconds: float = 0.0


def learn(job: Job) -> Outcome:
    """Fit the model's recipe to all ratings up to the job's event. Raises PalateError."""
    old = load(job.model)
    recipe = recipe_of(old.model)
    store = open_store(job.store)
    try:
        gathered = gather(old.model, store, job.up_to, job.ratings)
    finally:
        store.close()
    n_new = len(gathered.new)
    if n_new == 0:
        return Outcome(accepted=False, reason="nothing has arrived that the model could learn.")
    n_held_out = min(int(HELD_OUT * n_new), MAX_HELD_OUT)
    measured: dict[str, Any] = {}
    if n_held_out >= MIN_HELD_OUT:
        first = recipe.fit(gathered.ratings(n_held_out), progress=False)
        measured = _measured(old, first, gathered.last(n_held_out)) | {"n_held_out": n_held_out}
        if measured.pop("is_worse"):
            return Outcome(
                accepted=False, reason=f"the new model is worse on the last feedback{_shown(measured)}.", **measured
            )
    ratings = gathered.ratings()
    rec = recipe.fit(ratings, progress=False)
    model = replace(rec.model, training=rec.model.training | {"learned_up_to": job.up_to})
    Recommender(model).save(job.out)
    reason = (
        f"measured on the last {n_held_out:,} ratings{_shown(measured)}."
        if measured
        else "too little to measure it on."
    )
    return Outcome(
        accepted=True, reason=reason, n_ratings=len(ratings), seconds=model.training.get("seconds", 0.0), **measured
    )


def recipe_of(model: Model) -> Any:
    """The recipe that a model was fitted with. Raises OptionError for one that is no recipe of palate."""
    options = dict(model.recipe)
    name = options.pop("name", None)
    if name not in RECIPES:
        raise OptionError(f"this model cannot be fitted again: its recipe {name!r} is none of palate.")
    return RECIPES[name](**options)


# ---- measuring


def _measured(old: Recommender, new: Recommender, held_out: Ratings) -> dict[str, Any]:
    """Both models on the last feedback, and whether the new one is worse by more than chance explains."""
    measure = "ndcg@10" if held_out.is_implicit else "rmse"
    before, after = (evaluate(rec, held_out).measures[measure] for rec in (old, new))
    if measure == "rmse":
        is_worse = after.value > np.nanmax([before.value * (1 + MUCH_WORSE), before.high])
    else:
        is_worse = after.value < np.nanmin([before.value * (1 - MUCH_WORSE), before.low])
    return {"measure": measure, "before": before.value, "after": after.value, "is_worse": bool(is_worse)}


def _shown(measured: dict[str, Any]) -> str:
    if not measured:
        return ""
    return f": {measured['measure']} {measured['after']:.4f}, before {measured['before']:.4f}"


def main() -> None:
    """Do the job on standard input."""
    if hasattr(os, "nice"):
        os.nice(LOW_PRIORITY)
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    try:
        outcome = learn(job)
    except PalateError as error:
        outcome = Outcome(accepted=False, reason=str(error))
    if not outcome.accepted:
        Path(job.out).unlink(missing_ok=True)
    sys.stdout.write(msgspec.json.encode(outcome).decode())


if __name__ == "__main__":
    main()
