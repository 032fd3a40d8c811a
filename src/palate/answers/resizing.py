"""Resizing: the same model with rows for more users and items, or for fewer. No vector is solved here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import columns_where, take_rows
from palate.data.vocabulary import Vocabulary
from palate.models.factors import Factors, Floats
from palate.models.history_factors import HistoryFactors
from palate.models.model import Model
from palate.models.posterior import SideSamples
from palate.models.side_information import SideInfo

if TYPE_CHECKING:
    import polars as pl

Mask = NDArray[np.bool_]


def add_rows(model: Model, users: Vocabulary, items: Vocabulary, tables: tuple[Any, Any] = (None, None)) -> Model:
    """The model with rows for the labels at the ends of longer vocabularies: vectors of zeros, no ratings.

    tables: attributes of the new users and of the new items, polars frames with one row per new label; or None.
    """
    n_new = len(users) - len(model.user_vocabulary), len(items) - len(model.item_vocabulary)
    posterior, history = model.posterior, model.history
    if posterior is not None:
        sides = (
            _with_new_samples(posterior.users, n_new, model.user_info),
            _with_new_samples(posterior.items, n_new[::-1], model.item_info),
        )
        posterior = replace(posterior, users=sides[0], items=sides[1])
    ends = np.full(n_new[0], history.indptr[-1])
    return replace(
        model,
        factors=_resized(model.factors, _padded(model.factors.users, n_new[0]), _padded(model.factors.items, n_new[1])),
        posterior=posterior,
        user_vocabulary=users,
        item_vocabulary=items,
        history=replace(history, indptr=np.concatenate([history.indptr, ends])),
        user_table=_with_new_records(model.user_table, tables[0], n_new[0]),
        item_table=_with_new_records(model.item_table, tables[1], n_new[1]),
        user_info=_with_others(model.user_info, n_new[1]),
        item_info=_with_others(model.item_info, n_new[0]),
        user_noise=_with_new_noise(model.user_noise, n_new[0], model.noise),
        item_noise=_with_new_noise(model.item_noise, n_new[1], model.noise),
    )


def keep_rows(model: Model, users: Mask, items: Mask) -> Model:
    """The model with the users and items of these masks only, and nothing of the others."""
    posterior, effects = model.posterior, model.effects
    if posterior is not None:
        sides = (
            _kept_samples(posterior.users, users, items, model.user_info),
            _kept_samples(posterior.items, items, users, model.item_info),
        )
        posterior = replace(posterior, users=sides[0], items=sides[1])
    history = take_rows(model.history, np.flatnonzero(users).astype(np.int32))
    return replace(
        model,
        factors=_resized(model.factors, model.factors.users[users], model.factors.items[items], items),
        posterior=posterior,
        user_vocabulary=_kept_labels(model.user_vocabulary, users),
        item_vocabulary=_kept_labels(model.item_vocabulary, items),
        history=columns_where(history, items),
        user_table=None if model.user_table is None else model.user_table.filter(users),
        item_table=None if model.item_table is None else model.item_table.filter(items),
        user_info=_kept_others(model.user_info, items),
        item_info=_kept_others(model.item_info, users),
        effects=None if effects is None else effects.subset(users, items),
        user_noise=None if model.user_noise is None else model.user_noise[users],
        item_noise=None if model.item_noise is None else model.item_noise[items],
    )


def _resized(factors: Factors, users: Floats, items: Floats, kept: Mask | None = None) -> Factors:
    """Factors with other rows. kept: which of the former items these are; None if new items were added at the end."""
    if isinstance(factors, HistoryFactors):
        return factors.resized(users, items, kept)
    return replace(factors, users=users, items=items)


def _padded(vectors: Floats, n_new: int) -> Floats:
    """Vectors (..., n, k) with n_new rows of zeros at the end: (..., n + n_new, k)."""
    shape = (*vectors.shape[:-2], n_new, vectors.shape[-1])
    return np.concatenate([vectors, np.zeros(shape, np.float32)], axis=-2) if n_new else vectors


def _with_new_noise(levels: Floats | None, n_new: int, noise: float) -> Floats | None:
    """Noise levels of rows with the model's noise for new ones."""
    return None if levels is None else np.concatenate([levels, np.full(n_new, noise, np.float32)])


def _with_new_samples(samples: SideSamples, n_new: tuple[int, int], info: SideInfo | None) -> SideSamples:
    """Draws with new rows. n_new: on this side and on the other.

    Each new row of the other side is one more history column here, unless only some rows have one.
    """
    link = samples.link
    if link is not None and info is not None and info.columns is None and info.n_history and n_new[1]:
        link = np.concatenate([_padded(link[:, : info.n_history], n_new[1]), link[:, info.n_history :]], axis=1)
    return replace(samples, vectors=_padded(samples.vectors, n_new[0]), link=link)


def _kept_samples(samples: SideSamples, own: Mask, others: Mask, info: SideInfo | None) -> SideSamples:
    link = samples.link
    if link is not None and info is not None and info.n_history:
        attributes = np.ones(info.n_features - info.n_history, bool)
        history = others if info.columns is None else others[info.columns >= 0]
        link = np.compress(np.concatenate([history, attributes]), link, axis=1)
    return replace(samples, vectors=np.compress(own, samples.vectors, axis=1), link=link)


def _kept_labels(vocabulary: Vocabulary, mask: Mask) -> Vocabulary:
    return Vocabulary.in_order(vocabulary.labels[mask], what=vocabulary.what)


def _with_others(info: SideInfo | None, n_new: int) -> SideInfo | None:
    """Side information with n_new more rows on the other side. They have no history column if only some rows have."""
    if info is None:
        return None
    if info.columns is None:
        return replace(info, n_history=info.n_history + n_new if info.n_history else 0)
    return replace(info, columns=np.concatenate([info.columns, np.full(n_new, -1, np.int32)]))


def _kept_others(info: SideInfo | None, others: Mask) -> SideInfo | None:
    """Side information with the rows of this mask on the other side."""
    if info is None:
        return None
    if info.columns is None:
        return replace(info, n_history=int(others.sum()) if info.n_history else 0)
    return info.with_columns(info.columns[others] >= 0)


def _with_new_records(table: pl.DataFrame | None, new: pl.DataFrame | None, n_new: int) -> pl.DataFrame | None:
    """A table with records for new labels, from a table of these; null where it has no such column."""
    if table is None or n_new == 0:
        return table
    import polars as pl

    rows = {
        name: pl.Series(name, [None] * n_new, dtype=kind)
        if new is None or name not in new.columns
        else new[name].tail(n_new).cast(kind, strict=False)
        for name, kind in table.schema.items()
    }
    return pl.concat([table, pl.DataFrame(rows, schema=table.schema)])
