"""Gathering: the ratings of the next fit, out of what a model learned and what arrived since.

In the frames here a row is a rating or a choice: user, item, rating (1 for a choice), weight (the count of a choice),
and time where the training ratings have times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.answers.new_items import with_values
from palate.data.order import joined
from palate.data.output import output_of
from palate.data.ratings import Ratings
from palate.data.reading import read
from palate.data.reading.duplicates import Duplicates
from palate.data.rows import row_codes
from palate.data.vocabulary import Label, Vocabulary
from palate.errors import OptionError, PalateError
from palate.models.model import Model
from palate.serving.people import adds_up, code_of, label_in, says_something
from palate.serving.store import Event, Item, Store

if TYPE_CHECKING:
    import polars as pl

PAIR = ["user", "item"]


@dataclass(frozen=True)
class Gathered:
    """What a fit can learn.

    Attributes:
        model (Model): The model in use.
        base (polars frame): What it learned, without users who have been forgotten.
        new (polars frame): What it can learn of what arrived since, in order.
        forgotten (set of labels): Users of the model who have been forgotten, and have not come back.
        items (list of Item): What the store says of items.
    """

    model: Model
    base: pl.DataFrame
    new: pl.DataFrame
    forgotten: frozenset[Label]
    items: Sequence[Item] = ()

    def ratings(self, n_left_out: int = 0) -> Ratings:
        """Everything, or all but the last few that arrived."""
        import polars as pl

        return self._read(pl.concat([self.base, self.new[: len(self.new) - n_left_out]], how="diagonal_relaxed"))

    def last(self, n: int) -> Ratings:
        """The last few that arrived."""
        return self._read(self.new[-n:])

    def _read(self, table: pl.DataFrame) -> Ratings:
        """Ratings of the model's kind, with its tables. A later rating of a pair counts; counts add up."""
        model = self.model
        if not adds_up(model):
            table = table.unique(PAIR, keep="last", maintain_order=True)
        users = Vocabulary({*model.user_vocabulary.labels.tolist(), *table["user"]} - self.forgotten)
        items = Vocabulary({*model.item_vocabulary.labels.tolist(), *table["item"]})
        weights = table["weight"].to_numpy()
        ratings = Ratings(
            users.encode(table["user"].to_list()),
            items.encode(table["item"].to_list()),
            table["rating"].to_numpy(),
            user_vocabulary=users,
            item_vocabulary=items,
            times=table["time"].to_numpy() if "time" in table.columns else None,
            weights=None if (weights == 1).all() else weights,
            user_table=_table_of(model.user_table, model.user_vocabulary, users),
            item_table=_table_of(model.item_table, model.item_vocabulary, items, self.items),
            kind="implicit" if adds_up(model) else "explicit",
        )
        if model.like_threshold is not None:
            return ratings.likes(model.like_threshold)
        return joined(ratings) if adds_up(model) and not model.factors.reads_order else ratings


def gather(model: Model, store: Store, up_to: int, file: str | None) -> Gathered:
    """What to learn, up to a sequence number. file: of training ratings; None takes those in the model.

    Raises PalateError for a file that cannot be read, or if the recipe needs times and there is no file.
    """
    import polars as pl

    if file is None and model.recipe.get("time"):
        raise OptionError("this model learned from times, which its file does not keep: serve it with --ratings FILE.")
    learned = int(model.training.get("learned_up_to", 0))
    base = _of_model(model) if file is None else _of_file(model, file)
    labels = sorted({*base["user"], *model.user_vocabulary.labels.tolist()})
    flags = store.is_forgotten(map(str, labels))
    gone = frozenset(label for label, is_gone in zip(labels, flags, strict=True) if is_gone)
    base = base.filter(~pl.col("user").is_in(list(gone))) if gone else base
    unused = [] if "time" in base.columns else ["time"]
    if file is not None and learned:  # the model learned these too, but the file does not have them
        earlier = _arrived(model, store, 0, min(learned, up_to)).drop(unused)
        base = pl.concat([base, earlier], how="diagonal_relaxed")
    new = _arrived(model, store, learned, up_to).drop(unused)
    return Gathered(model, base, new, gone - {*base["user"], *new["user"]}, store.items())


def learned_ratings(model: Model) -> Ratings:
    """The ratings that a model learned from."""
    base = _of_model(model)
    return Gathered(model, base, base.clear(), frozenset()).ratings()


def _of_model(model: Model) -> pl.DataFrame:
    """The ratings that a model keeps."""
    import polars as pl

    history, ones = model.history, np.ones(len(model.history.indices), np.float32)
    rating = ones * np.float32(model.like_threshold) if model.like_threshold is not None else history.values
    columns = {
        "user": model.user_vocabulary.labels[row_codes(history)].tolist(),
        "item": model.item_vocabulary.labels[history.indices].tolist(),
        "rating": rating,
        "weight": ones if history.weights is None else history.weights,
    }
    return _frame(model, pl.DataFrame(columns | ({} if history.times is None else {"time": history.times})))


def _of_file(model: Model, file: str) -> pl.DataFrame:
    """The ratings of a file."""
    import polars as pl

    duplicates: Duplicates | None = "keep" if adds_up(model) and model.factors.reads_order else None
    with output_of("polars"):
        table = read(file, kind="implicit" if adds_up(model) else "explicit", duplicates=duplicates).to_frame()
    ones = [pl.lit(1.0).alias(name) for name in ("rating", "weight") if name not in table.columns]
    return _frame(model, table.with_columns(ones))


def _frame(model: Model, table: pl.DataFrame) -> pl.DataFrame:
    """A frame with the types that all frames here have."""
    import polars as pl

    kinds = zip(PAIR, (model.user_vocabulary, model.item_vocabulary), strict=True)
    types: dict[str, Any] = {name: pl.Int64 if one.kind == "integer" else pl.String for name, one in kinds}
    types |= {"rating": pl.Float64, "weight": pl.Float64, "time": pl.Int64}
    try:
        return table.select(pl.col(name).cast(to) for name, to in types.items() if name in table.columns)
    except pl.exceptions.InvalidOperationError:
        raise OptionError("the ratings have labels that are texts, where those of the model are numbers.") from None


def _arrived(model: Model, store: Store, after: int, up_to: int) -> pl.DataFrame:
    """The events that a model can learn, in the order in which they came."""
    import polars as pl

    rows = list(_learnable(model, (stored.event for stored in store.since(after, up_to))))
    kinds = [pl.Int64 if v.kind == "integer" else pl.String for v in (model.user_vocabulary, model.item_vocabulary)]
    numbers = {"rating": pl.Float64, "weight": pl.Float64, "time": pl.Int64}
    return pl.DataFrame(rows, {"user": kinds[0], "item": kinds[1], **numbers}, orient="row")


def _learnable(model: Model, events: Iterator[Event]) -> Iterator[tuple[Any, Any, float, float, int]]:
    """A row of each event that says anything to the model. A rating below the threshold takes a like back."""
    for event in events:
        if not says_something(model, event.value):
            continue
        try:
            user, item = label_in(model.user_vocabulary, event.user), label_in(model.item_vocabulary, event.item)
        except PalateError:
            continue
        if adds_up(model):
            yield user, item, 1.0, 1.0 if event.value is None else event.value, event.time
        else:
            yield user, item, model.like_threshold if event.value is None else event.value, 1.0, event.time  # type: ignore[misc]


def _table_of(
    attributes: pl.DataFrame | None, old: Vocabulary, new: Vocabulary, put: Sequence[Item] = ()
) -> pl.DataFrame | None:
    """A table of the old labels as one of the new labels; what the store says of a label takes its place there."""
    import polars as pl

    if attributes is None:
        return None
    codes = old.encode(new.labels, on_unknown="mark")
    table = attributes[np.maximum(codes, 0)]
    is_new = pl.Series("", codes < 0)
    names = attributes.columns
    table = table.with_columns(pl.when(is_new).then(None).otherwise(pl.col(name)).alias(name) for name in names)
    said = [(code_of(new, one.label), one.attributes) for one in put]
    return with_values(table, [(code, values) for code, values in said if code >= 0])
