"""Recommending: from a question to a frame, or to a file that is written block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import OnUnknown, encode, label_array, labels_of
from palate.answers.ranking import selecting
from palate.answers.ranking.blocks import users_at_once
from palate.answers.ranking.index import ItemIndex
from palate.answers.ranking.queries import Query, RecommendOptions, query_of
from palate.answers.ranking.resuming import Parts, manifest_of
from palate.answers.ranking.writing import Answers, check_place, write
from palate.answers.shapes import Frame, as_kind, is_frame
from palate.models.factors import Codes, Floats
from palate.models.model import Model, UserRows

if TYPE_CHECKING:
    import polars as pl

Block = tuple[slice, Codes, Floats]  # which of the people, their items and the scores, (m, n) each


def recommend(model: Model, users: Any, options: RecommendOptions, index: ItemIndex | None) -> Frame:
    """The best items of users (None: all of them): a frame of the kind asked with, or the path of the file written."""
    labels, codes = _asked(model, users, options.on_unknown)
    query = query_of(model, options, (labels, codes), index=index)
    like = users if is_frame(users) else None
    return rank(model, lambda rows: model.user_rows(codes[rows]), labels, codes, query, options, like=like)


def _asked(model: Model, users: Any, on_unknown: OnUnknown) -> tuple[NDArray[Any], Codes]:
    """Labels and codes of the users asked for, (m,) each; -1 for unknown users."""
    vocabulary = model.user_vocabulary
    if users is None:
        return vocabulary.labels, np.arange(len(vocabulary), dtype=np.int32)
    given = labels_of(users, vocabulary.what)
    codes, labels = encode(vocabulary, given, on_unknown), label_array(given, vocabulary)
    known = codes >= 0
    return (labels[known], codes[known]) if on_unknown == "nan" else (labels, codes)


def rank(
    model: Model,
    user_rows: Callable[[slice], UserRows],
    labels: NDArray[Any] | None,
    codes: Codes,
    query: Query,
    options: RecommendOptions,
    *,
    like: Frame = None,
) -> Frame:
    """The best items of each user: a frame, or the path when written to a file.

    user_rows: gives the rows of a slice of the users. labels, codes: of the users, (m,); labels is None for one fold-in
    user.
    """
    path = None if options.out is None else check_place(options.out)
    step = users_at_once(model, query, codes, options.memory)
    answers = Answers(model, labels)

    def computed(rows: slice) -> tuple[Codes, Floats]:
        found, scores = selecting.best(model, user_rows(rows), query, rows)
        limits = (0.0, 1.0) if query.by in ("chance", "likely") else model.score_limits
        return found, np.clip(scores, *limits).astype(np.float32, copy=False)

    if path is None:
        import polars as pl

        frame = pl.concat([answers.frame(rows, *computed(rows)) for rows in _slices(len(codes), step)])
        return frame if like is None else as_kind(frame, like)
    parts = Parts.beside(path)
    if not options.resume:
        parts.clear()
        blocks = ((rows, *computed(rows)) for rows in _slices(len(codes), step))
        return write(_frames(answers, blocks), path)
    step = parts.begin(manifest_of(model, query, labels, step))
    write(_frames(answers, _kept(parts, computed, _slices(len(codes), step), query)), path)
    parts.clear()
    return path


def _slices(count: int, step: int) -> Iterator[slice]:
    for start in range(0, max(count, 1), step):
        yield slice(start, min(start + step, count))


def _kept(
    parts: Parts, computed: Callable[[slice], tuple[Codes, Floats]], slices: Iterator[slice], query: Query
) -> Iterator[Block]:
    """The blocks that are there already, and the others computed and kept."""
    for at, rows in enumerate(slices):
        there = parts.get(at, rows.stop - rows.start, query)
        found = computed(rows) if there is None else there
        if there is None:
            parts.put(at, *found)
        yield rows, *found


def _frames(answers: Answers, blocks: Iterator[Block]) -> Iterator[pl.DataFrame]:
    for rows, codes, scores in blocks:
        yield answers.frame(rows, codes, scores)
