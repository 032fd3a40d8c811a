"""Learning anew from what a model learned and what arrived since: the ratings, the check, the new file.

python -m palate.serving.learning JOB runs as a process of its own, at low priority. It prints its outcome as JSON.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

import palate
from palate.data.ratings import Ratings
from palate.data.rows import row_codes
from palate.errors import PalateError
from palate.models.model import Model
from palate.recommender import Recommender
from palate.serving.catalogue import with_catalogue
from palate.serving.people import label_in
from palate.serving.served import Served
from palate.serving.store import Event, Store, open_store

if TYPE_CHECKING:
    import polars as pl

HELD_OUT = 0.1  # share of the new ratings, the last ones, on which both models are measured
MIN_HELD_OUT, MAX_HELD_OUT = 20, 10_000  # fewer say nothing; more say no more
MUCH_WORSE = 0.02  # a new model that is worse by a larger part is refused


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
    old = palate.load(job.model)
    store = open_store(job.store)
    try:
        old = with_catalogue(Served(old, "", ""), store.items()).recommender
        base, new = _known(old, store, job), _arrived(old.model, store, job)
    finally:
        store.close()
    if not len(new):
        return Outcome(accepted=False, reason="nothing has arrived that the model could learn.")
    n_held_out = min(int(HELD_OUT * len(new)), MAX_HELD_OUT)
    measured: dict[str, Any] = {}
    recipe = recipe_of(old.model)
    if n_held_out >= MIN_HELD_OUT:
        first = recipe.fit(_together(old.model, base, new[:-n_held_out]), progress=False)
        held_out = _read(old.model, new[-n_held_out:])
        measured = _measured(old, first, held_out) | {"n_held_out": n_held_out}
        if _is_much_worse(measured):
            return Outcome(
                accepted=False, reason=f"the new model is worse on the last feedback{_shown(measured)}.", **measured
            )
    ratings = _together(old.model, base, new)
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
    """The recipe that a model was fitted with."""
    options = dict(model.recipe)
    return getattr(palate, options.pop("name"))(**options)


# ---- ratings


def _known(old: Recommender, store: Store, job: Job) -> pl.DataFrame:
    """The training ratings, without those of users who have been forgotten."""
    import polars as pl

    model = old.model
    table = _learned(model) if job.ratings is None else palate.read(job.ratings, kind=model.kind).to_frame()
    labels = table["user"].unique().to_list()
    gone = [label for label, forgotten in zip(labels, store.is_forgotten(map(str, labels)), strict=True) if forgotten]
    return table.filter(~pl.col("user").is_in(gone)) if gone else table


def ratings_of(model: Model) -> Ratings:
    """The ratings that a model learned from."""
    return _read(model, _learned(model))


def _learned(model: Model) -> pl.DataFrame:
    """The same as a frame of user, item, and rating, weight or both."""
    import polars as pl

    users, items, history = model.user_vocabulary.labels, model.item_vocabulary.labels, model.history
    columns = {"user": users[row_codes(history)].tolist(), "item": items[history.indices].tolist()}
    return pl.DataFrame(columns | _values(model, history.values, history.weights))


def _values(model: Model, values: Any, weights: Any) -> dict[str, Any]:
    """The columns of ratings and weights, or of counts."""
    columns = {"rating": np.full(len(values), model.like_threshold)} if model.like_threshold is not None else {}
    columns = {"rating": values} if model.kind == "explicit" else columns
    return columns if weights is None else columns | {"weight": weights}


def _arrived(model: Model, store: Store, job: Job) -> pl.DataFrame:
    """The events that the model can learn, in the order in which they came."""
    import polars as pl

    after = int(model.training.get("learned_up_to", 0))
    rows = list(_learnable(model, (stored.event for stored in store.since(after, job.up_to))))
    name = "rating" if _has_ratings(model) else "weight"
    kinds = [pl.Int64 if v.kind == "integer" else pl.String for v in (model.user_vocabulary, model.item_vocabulary)]
    return pl.DataFrame(rows, {"user": kinds[0], "item": kinds[1], name: pl.Float64}, orient="row")


def _learnable(model: Model, events: Iterator[Event]) -> Iterator[tuple[Any, Any, float]]:
    """User, item and rating or count of each event that says anything to the model."""
    low, high = model.limits
    for event in events:
        try:
            user, item = label_in(model.user_vocabulary, event.user), label_in(model.item_vocabulary, event.item)
        except PalateError:
            continue
        value = event.value
        if model.kind == "explicit":
            if value is not None and low <= value <= high:
                yield user, item, value
        elif model.like_threshold is None:
            if value is None or value > 0:
                yield user, item, 1.0 if value is None else value
        elif value is None or value >= model.like_threshold:
            yield user, item, model.like_threshold


def _has_ratings(model: Model) -> bool:
    """True unless the model learned from choices. Likes are ratings of the threshold."""
    return model.kind == "explicit" or model.like_threshold is not None


def _together(model: Model, base: pl.DataFrame, new: pl.DataFrame) -> Ratings:
    """Old and new ratings; a later rating of a pair takes the place of one before, counts add up."""
    import polars as pl

    return _read(model, pl.concat([base, new], how="diagonal"))


def _read(model: Model, table: pl.DataFrame) -> Ratings:
    """Ratings of the model's kind, with its tables."""
    import polars as pl

    names = set(table.columns)
    if "weight" in names:
        table = table.with_columns(pl.col("weight").fill_null(1.0))
    as_ratings = {"kind": "explicit", "duplicates": "last"} if _has_ratings(model) else {"kind": "implicit"}
    ratings = palate.read(table, **as_ratings)
    for what, attributes, vocabulary in (
        ("user", model.user_table, model.user_vocabulary),
        ("item", model.item_table, model.item_vocabulary),
    ):
        if attributes is not None:
            labels = pl.Series(what, vocabulary.labels.tolist())
            whole = attributes if what in attributes.columns else attributes.with_columns(labels)
            ratings = ratings.with_users(whole) if what == "user" else ratings.with_items(whole)
    return ratings if model.like_threshold is None else ratings.likes(model.like_threshold)


# ---- measuring


def _measured(old: Recommender, new: Recommender, held_out: Ratings) -> dict[str, Any]:
    """Both models on the last feedback."""
    measure = "ndcg@10" if held_out.is_implicit else "rmse"
    before, after = (palate.evaluate(rec, held_out).measures[measure].value for rec in (old, new))
    return {"measure": measure, "before": before, "after": after}


def _is_much_worse(measured: dict[str, Any]) -> bool:
    before, after = measured["before"], measured["after"]
    return after > before * (1 + MUCH_WORSE) if measured["measure"] == "rmse" else after < before * (1 - MUCH_WORSE)


def _shown(measured: dict[str, Any]) -> str:
    if not measured:
        return ""
    return f": {measured['measure']} {measured['after']:.4f}, before {measured['before']:.4f}"


def main() -> None:
    """Do the job in the first argument."""
    job = msgspec.json.decode(sys.argv[1], type=Job)
    try:
        outcome = learn(job)
    except PalateError as error:
        outcome = Outcome(accepted=False, reason=str(error))
    if not outcome.accepted:
        Path(job.out).unlink(missing_ok=True)
    sys.stdout.write(msgspec.json.encode(outcome).decode())


if __name__ == "__main__":
    main()
