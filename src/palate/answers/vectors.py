"""Vectors for other systems: the nearest neighbours that a vector store finds with them are palate's own ranking.

recommend() ranks by p . q + c (models/factors.py), which is the inner product of a user's [p, 1] and an item's [q, c].
Stores that know only cosines or Euclidean distances get the same ranking from one more column. With r the largest
length of an item's [q, c], the points [q, c, sqrt(r^2 - |q|^2 - c^2)] all have the length r, so that

    cosine([p, 1, 0], item) = (p . q + c) / (r |[p, 1]|)
    |[p, 1, 0] - item|^2 = |[p, 1]|^2 + r^2 - 2 (p . q + c)

put the items in the same order (Bachrach et al. 2014). similar_items() and similar_users() rank by a cosine already:
their vectors have the length 1, by which all three metrics agree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from palate.answers.frames import Frame, series_of_labels
from palate.answers.ranking.similar import compared_vectors, unit_vectors
from palate.answers.ranking.top_n import is_product
from palate.data.output import in_kind
from palate.errors import OptionError
from palate.models.factors import Doubles, Factors, Floats
from palate.models.history_factors import HistoryFactors, TransposedHistory
from palate.models.model import Model, UserRows
from palate.models.row_blocks import row_blocks
from palate.options import check_choice

Side = Literal["items", "users"]
Metric = Literal["ip", "cosine", "l2"]
Question = Literal["recommend", "similar"]
SIDES: tuple[Side, ...] = get_args(Side)
METRICS: tuple[Metric, ...] = get_args(Metric)
QUESTIONS: tuple[Question, ...] = get_args(Question)


@dataclass(frozen=True, repr=False)
class Vectors:
    """The vectors of all items or users, for another system. Made by Recommender.vectors.

    Attributes:
        side (str): "items" or "users".
        metric (str): "ip" (inner product), "cosine" or "l2" (Euclidean distance): what neighbours are to be found by.
        question (str): "recommend" if the neighbours of a user's vector are the items that recommend() ranks first,
            "similar" if those of an item's are what similar_items() ranks first, and likewise for users.
        labels (array): The labels, (n,): int64, or object holding str.
        vectors (array): The vectors, (n, d) float32, in the order of the labels.
        titles (list of str or None, default None): The titles of items; None without any.
        offsets (array or None, default None): Of users, with metric="ip" and question="recommend": what to add to the
            inner product with an item for the score, (n,) float64. In models of SGD(y_range=...) and
            Bayes(likelihood="ordinal") a curve makes the rating of that sum, which leaves the order as it is.
        frame_kind (str or None, default None): The kind of frame that the training ratings came in.

    Source:
        Bachrach et al. (2014), Speeding Up the Xbox Recommender System Using a Euclidean Transformation for
        Inner-Product Spaces, section 4.

    Example:
        >>> import palate
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> items, users = rec.vectors("items"), rec.vectors("users")
        >>> best = (items.vectors @ users.vectors[0]).argsort()[::-1][:3]
        >>> items.labels[best].tolist() == rec.recommend(users.labels[0], n=3, keep_seen=True)["item"].to_list()
        True
    """

    side: Side
    metric: Metric
    question: Question
    labels: NDArray[Any]
    vectors: Floats
    titles: list[str | None] | None = None
    offsets: Doubles | None = None
    frame_kind: str | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def n_dimensions(self) -> int:
        """The length of each vector."""
        return int(self.vectors.shape[1])

    def __repr__(self) -> str:
        return (
            f"<Vectors: {len(self):,} {self.side} in {self.n_dimensions} dimensions, metric {self.metric!r}, "
            f"question {self.question!r}>"
        )

    def to_frame(self) -> Frame:
        """Return labels and vectors as a frame.

        Returns:
            Frame: Columns item or user, (title,) vector, and offset where there are offsets. In a polars frame a vector
                is an Array of float32, in an Arrow table a list of fixed size, in a pandas frame a NumPy array.

        Example:
            >>> import palate
            >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
            >>> rec.vectors("users").to_frame().columns
            ['user', 'vector', 'offset']
        """
        return in_kind(self.polars_frame(), None, self.frame_kind)

    def polars_frame(self) -> Any:
        """Return the same as a polars frame, whatever kind is set.

        Returns:
            polars.DataFrame: As to_frame() describes it.
        """
        import polars as pl

        columns = [series_of_labels(self.labels, self.side.removesuffix("s"))]
        if self.titles is not None:
            columns.append(pl.Series("title", self.titles, dtype=pl.String))
        kind = pl.Array(pl.Float32, self.n_dimensions)
        columns.append(pl.Series("vector", self.vectors, dtype=kind) if len(self) else pl.Series("vector", [], kind))
        if self.offsets is not None:
            columns.append(pl.Series("offset", self.offsets))
        return pl.DataFrame(columns)


def vectors_of(model: Model, side: Side, metric: Metric, question: Question) -> Vectors:
    """The vectors of all items or users; see Recommender.vectors. Raises OptionError."""
    check_options(side, metric, question)
    if question == "similar":
        return _to_compare(model.transposed() if side == "items" else model, side, metric)
    check_ranks_by_products(model)
    if side == "users":
        vectors, offsets = queries_of(model, _all_user_vectors(model), metric)
        labels = model.user_vocabulary.labels
        return Vectors("users", metric, question, labels, vectors, None, offsets, model.frame_kind)
    titles = model.item_titles
    texts = None if titles is None else [titles[code] for code in range(len(model.item_vocabulary))]
    vectors = with_rest(_products_of(model.factors), metric)
    return Vectors("items", metric, question, model.item_vocabulary.labels, vectors, texts, None, model.frame_kind)


def query_vector(model: Model, user_rows: UserRows, metric: Metric, question: Question) -> Floats:
    """The vectors of new users, whose neighbours are to be found, (m, d). Raises OptionError."""
    check_options("users", metric, question)
    if question == "similar":
        _check_has_factors(model)
        return unit_vectors(user_rows.vectors[:, model.compared_columns])
    if model.user_vocabulary.what == "item":
        raise OptionError(
            "a new item is what others look for: its vector for a store comes from rec.update(...).vectors(), and "
            'question="similar" gives the one that finds items like it.'
        )
    check_ranks_by_products(model)
    return queries_of(model, user_rows.vectors, metric)[0]


def check_options(side: str, metric: str, question: str) -> None:
    """Raise OptionError for a value that is none of the options."""
    check_choice("side", side, SIDES)
    check_choice("metric", metric, METRICS)
    check_choice("question", question, QUESTIONS)


def check_ranks_by_products(model: Model) -> None:
    """Raise OptionError for a model whose ranking is no inner product of a user's and an item's vector."""
    if is_product(model.factors):
        return
    name = model.recipe.get("name", "this model")
    why = "is a neural net" if not isinstance(model.factors, HistoryFactors) else "ranks by the histories of users"
    raise OptionError(
        f"{name} {why}, not by a vector for each user and item, so that no vectors give its ranking. Fit Bayes, ALS, "
        'SGD, ImplicitALS or BPR for vectors, or let recommend(out="lists/") write the lists themselves.'
    )


def _check_has_factors(model: Model) -> None:
    """Raise OptionError for a model that compares users or items by something else than vectors."""
    is_history = isinstance(model.factors, HistoryFactors | TransposedHistory)
    if is_history or model.factors.n_factors == 0:
        name = model.recipe.get("name", "this model")
        raise OptionError(f"{name} has no factors to compare; fit a model that has some, such as Bayes.")


def _to_compare(model: Model, side: Side, metric: Metric) -> Vectors:
    """The vectors by which the users of a model, which are items in a transposed one, are compared."""
    _check_has_factors(model)
    vectors = compared_vectors(model)
    rows = np.flatnonzero(model.comparable_users & vectors.any(axis=1))
    titles = model.user_titles
    texts = None if titles is None else [titles[code] for code in rows.tolist()]
    labels = model.user_vocabulary.labels[rows]
    return Vectors(side, metric, "similar", labels, vectors[rows], texts, None, model.frame_kind)


def _all_user_vectors(model: Model) -> Floats:
    """The vectors that answer for the users in recommend(), (n_users, k)."""
    codes = np.arange(len(model.user_vocabulary), dtype=np.int32)
    parts = [model.user_rows(codes[rows]).vectors for rows in row_blocks(len(codes))]
    return np.concatenate(parts) if parts else model.factors.users


def queries_of(model: Model, users: Floats, metric: Metric) -> tuple[Floats, Doubles | None]:
    """[p, 1] of users [p, b] (m, k), in rating units, and a 0 where items have one more column; and their offsets."""
    factors = model.factors
    queries = users * np.float32(np.sqrt(factors.scale))
    queries[:, -1] = 1
    if metric != "ip":
        return np.pad(queries, ((0, 0), (0, 1))).astype(np.float32), None
    offsets: Doubles = factors.mean + factors.scale * users[:, -1].astype(np.float64)
    return queries.astype(np.float32), offsets


def _products_of(factors: Factors) -> Floats:
    """[q, c] of all items, (n_items, k), in rating units."""
    items = factors.items * np.float32(np.sqrt(factors.scale))
    items[:, -1] = factors.items[:, -1] * np.float32(factors.scale)
    return items


def with_rest(items: Floats, metric: Metric) -> Floats:
    """Vectors as they are for inner products; for other metrics one more column, which makes them equally long."""
    if metric == "ip":
        return items.astype(np.float32)
    squares = np.einsum("nk,nk->n", items, items, dtype=np.float64)
    largest = squares.max(initial=0) or 1.0  # items that are all alike still need a direction
    rest = np.sqrt(np.maximum(largest - squares, 0))
    return np.column_stack([items, rest]).astype(np.float32)
