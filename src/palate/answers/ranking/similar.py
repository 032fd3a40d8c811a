"""Similar users and items: by the cosine of factors, or by histories in models that have no factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import is_many, labels_of
from palate.answers.frames import is_frame, label_columns, series_of_labels
from palate.answers.names import Names
from palate.answers.ranking.filters import allowed_rows
from palate.answers.ranking.top_n import top_of_products
from palate.data.rows import CompressedRows, pointers_of
from palate.errors import OptionError
from palate.models.factors import Codes, Floats
from palate.models.history_factors import HistoryFactors, TransposedHistory
from palate.models.model import Model, UserRows
from palate.options import check_count

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class SimilarOptions:
    """The options of similar_users() and similar_items(). Raises OptionError unless n is a count."""

    n: int = 10
    among: Any = None
    exclude: Any = ()
    where: Any = None

    def __post_init__(self) -> None:
        check_count(self.n)


def similar(model: Model, users: Any, options: SimilarOptions) -> pl.DataFrame:
    """The users of a model most similar to one user, or to each of several; these get a column `to`.

    In a transposed model the users are items.
    """
    names = Names.of_users(model)
    labels = names.labels(labels_of(users, model.user_vocabulary.what))
    rows = model.user_rows(model.user_vocabulary.encode(labels))
    return similar_rows(model, rows, labels if is_many(users) or is_frame(users) else None, options)


def similar_rows(model: Model, user_rows: UserRows, labels: Any, options: SimilarOptions) -> pl.DataFrame:
    """The users of a model most similar to each of some user rows, without the rows' own users.

    Similarity is the cosine of factors, or the measure of a model of histories. Rows of which nothing is known are not
    among the answers. labels: of the rows, for the column `to`; None leaves the column out.
    """
    names = Names.of_users(model)
    allowed = allowed_rows(names, model.user_table, options.among, options.exclude, options.where)
    n = min(int(options.n), len(allowed))
    if isinstance(model.factors, HistoryFactors | TransposedHistory):
        return _frame(model, *_of_histories(model.factors, user_rows, n, allowed), labels)
    if model.factors.n_factors == 0:
        name = model.recipe.get("name", "this model")
        raise OptionError(f"{name} has no factors to compare; fit a model that has some, such as Bayes.")
    own = user_rows.vectors[:, model.compared_columns]
    allowed &= model.comparable_users
    has_direction = (user_rows.history.counts > 0) | own.any(axis=1)
    top, products = top_of_products(
        unit_vectors(own), compared_vectors(model), n, _own_codes(user_rows), allowed, bias=False
    )
    top = np.where(has_direction[:, None], top, np.int32(-1))
    return _frame(model, top, np.clip(products, -1, 1), "cosine", labels)


def _of_histories(
    factors: HistoryFactors | TransposedHistory, user_rows: UserRows, n: int, allowed: NDArray[np.bool_]
) -> tuple[Codes, Floats, str]:
    """Codes and similarities of the n most similar allowed rows, (m, n) each, and the name of the measure."""
    if allowed.all():
        return factors.most_similar(user_rows.history, user_rows.codes, n)
    top, measure, name = factors.most_similar(user_rows.history, user_rows.codes, len(allowed))
    excluded = (top < 0) | ~allowed[top]
    first = np.argsort(excluded, axis=1, kind="stable")[:, :n]  # allowed rows first, in their order
    kept = np.where(excluded, -1, top)
    return np.take_along_axis(kept, first, 1), np.take_along_axis(measure, first, 1), name


def compared_vectors(model: Model) -> Floats:
    """The compared columns of all users, each row scaled to length 1; made once for each model."""
    return model.once(_compared_vectors)


def _compared_vectors(model: Model) -> Floats:
    return unit_vectors(model.factors.users[:, model.compared_columns])


def unit_vectors(factors: Floats) -> Floats:
    """Vectors, (n, k), each scaled to length 1; zeros stay."""
    length = np.linalg.norm(factors, axis=1, keepdims=True)
    unit: Floats = (factors / np.where(length > 0, length, 1)).astype(np.float32)
    return unit


def _own_codes(user_rows: UserRows) -> CompressedRows:
    """The own code of each known user, as lists of what to leave out."""
    known = user_rows.codes >= 0
    codes = user_rows.codes[known].astype(np.int32)
    return CompressedRows(pointers_of(known), codes, np.ones(len(codes), np.float32), None)


def _named(model: Model) -> dict[str, pl.Series]:
    """The label and, of items, title columns of all users."""
    return label_columns(model.user_vocabulary, model.user_table if model.user_vocabulary.what == "item" else None)


def _frame(model: Model, top: Codes, measure: Floats, name: str, labels: Any) -> pl.DataFrame:
    import polars as pl

    is_row, vocabulary = top >= 0, model.user_vocabulary
    columns = {}
    if labels is not None:
        given = series_of_labels(np.asarray(labels, dtype=vocabulary.labels.dtype), "to")
        columns["to"] = given.gather(np.repeat(np.arange(len(top)), is_row.sum(axis=1)))
    at = pl.Series(top[is_row].astype(np.uint32))
    columns |= {name: column[at] for name, column in model.once(_named).items()}
    ranks = np.broadcast_to(np.arange(1, top.shape[1] + 1, dtype=np.int32), top.shape)
    return pl.DataFrame(columns | {name: pl.Series(measure[is_row]), "rank": pl.Series(ranks[is_row])})
