"""The fingerprint of the ratings that a model learned from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from palate.data.rows import CompressedRows, rows_between, with_rising_columns
from palate.data.vocabulary import Vocabulary


def fingerprint_of(history: CompressedRows, vocabularies: Sequence[Vocabulary]) -> str:
    """SHA-256 of ratings in any order: labels of users and of items, codes, values and weights.

    history: the ratings by user. They are sorted by item within each user, a block of the plan at a time.
    """
    digest, n_items = hashlib.sha256(), len(vocabularies[-1])
    for vocabulary in vocabularies:
        digest.update(repr(vocabulary.labels.tolist()).encode())
    history = replace(history, times=None)
    digest.update(np.ascontiguousarray(history.indptr).data)
    for name in ("indices", "values", "weights"):
        for block in () if getattr(history, name) is None else history.plan.blocks:
            digest.update(getattr(with_rising_columns(rows_between(history, block), n_items), name).data)
    return digest.hexdigest()
