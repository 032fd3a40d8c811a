"""What is similar: rows whose factors point the same way, the biases left out. The best by products of unit vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.answers import Frame
from palate.asking import check_count
from palate.compressed import CompressedRows
from palate.errors import OptionError
from palate.factors import Codes, Floats
from palate.model import Model
from palate.ranking.filters import allowed_items, where_mask
from palate.ranking.products import top_of_products
from palate.ranking.writing import series_of_labels, told_of

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Alike:
    """The options of a similar_users() or similar_items() call, as they were given."""

    n: Any = 10
    among: Any = None
    exclude: Any = ()
    where: Any = None


def similar_rows(model: Model, vectors: Floats, codes: Codes | None, labels: Any, wishes: Alike) -> Frame:
    """The users of a model whose factors have the largest cosine with each vector's; `codes` are not their own.

    labels: whose vectors these are, for a column `to`; None without one.
    """
    check_count(wishes.n)
    if model.factors.n_factors == 0:
        name = model.recipe.get("name", "this model")
        raise OptionError(f"{name} has no factors, so nothing is similar to anything; fit one that has, like Bayes.")
    allowed = allowed_items(model.user_vocabulary, wishes.among, wishes.exclude)
    if wishes.where is not None:
        allowed &= where_mask(wishes.where, model.user_table, model.user_vocabulary)
    everybody, wanted = _unit(model.factors.users[:, :-1]), _unit(vectors[:, :-1])
    n = min(int(wishes.n), len(everybody))
    own = None if codes is None else _one_each(codes)
    top, cosine = top_of_products(wanted, everybody, n, own, allowed, bias=False)
    return _frame(model, top, cosine, labels)


def _unit(factors: Floats) -> Floats:
    length = np.linalg.norm(factors, axis=1, keepdims=True)
    unit: Floats = (factors / np.where(length > 0, length, 1)).astype(np.float32)
    return unit


def _one_each(codes: Codes) -> CompressedRows:
    """Rows with one entry each."""
    codes = codes.astype(np.int32)
    return CompressedRows(np.arange(len(codes) + 1, dtype=np.int64), codes, np.ones(len(codes), np.float32), None)


def _frame(model: Model, top: Codes, cosine: Floats, labels: Any) -> pl.DataFrame:
    import polars as pl

    there, vocabulary = top >= 0, model.user_vocabulary
    columns = {}
    if labels is not None:
        given = series_of_labels(np.asarray(labels, dtype=vocabulary.labels.dtype), "to")
        columns["to"] = given.gather(np.repeat(np.arange(len(top)), there.sum(axis=1)))
    known = told_of(vocabulary, model.user_table if vocabulary.what == "item" else None)
    columns |= {name: column.gather(top[there]) for name, column in known.items()}
    ranks = np.broadcast_to(np.arange(1, top.shape[1] + 1, dtype=np.int32), top.shape)
    return pl.DataFrame(columns | {"cosine": pl.Series(cosine[there]), "rank": pl.Series(ranks[there])})
