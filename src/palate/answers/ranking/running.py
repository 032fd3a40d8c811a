"""Recommending: from a question to a frame, or to a file that is written block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palate.answers.arguments import OnUnknown, check_choice, encode, frame_columns, is_many, label_array
from palate.answers.ranking import selecting
from palate.answers.ranking.blocks import users_at_once
from palate.answers.ranking.queries import Query, Wishes, query_of
from palate.answers.ranking.resuming import Parts, manifest_of
from palate.answers.ranking.writing import Answers, check_place, write
from palate.answers.shapes import Frame, as_kind, is_frame
from palate.errors import OptionError
from palate.models.factors import Codes, Floats
from palate.models.model import Model, UserRows

if TYPE_CHECKING:
    import polars as pl

Block = tuple[slice, Codes, Floats]  # which of the people, their items and the scores, (m, n) each


@dataclass(frozen=True)
class Job:
    """How an answer is made: into which file, in how much memory, and whether it goes on where it was killed."""

    out: Any = None
    memory: Any = None
    resume: bool = False


def recommend(model: Model, users: Any, wishes: Wishes, on_unknown: OnUnknown, job: Job) -> Frame:
    """The best items of users (None: everyone), a frame of the kind asked with, or the path of the file written."""
    check_choice("on_unknown", on_unknown, ("fallback", "nan", "raise"))
    labels, codes = _asked(model, users, on_unknown)
    query = query_of(model, wishes, (labels, codes))
    like = users if is_frame(users) else None
    return rank(model, lambda rows: model.user_rows(codes[rows]), labels, codes, query, like=like, job=job)


def _asked(model: Model, users: Any, on_unknown: OnUnknown) -> tuple[NDArray[Any], Codes]:
    """Labels and codes of those who are asked for, (m,) each; -1 for strangers."""
    vocabulary = model.user_vocabulary
    if users is None:
        return vocabulary.labels, np.arange(len(vocabulary), dtype=np.int32)
    given = labels_of(users, vocabulary.what)
    codes, labels = encode(vocabulary, given, on_unknown), label_array(given, vocabulary)
    known = codes >= 0
    return (labels[known], codes[known]) if on_unknown == "nan" else (labels, codes)


def labels_of(given: Any, what: str) -> Any:
    """One label, several, or those in a frame's column as something to go through."""
    if is_frame(given):
        return frame_columns(given, [what], "")[0]
    if isinstance(given, np.ndarray):
        return given
    return list(given) if is_many(given) else [given]


def rank(
    model: Model,
    user_rows: Callable[[slice], UserRows],
    labels: NDArray[Any] | None,
    codes: Codes,
    query: Query,
    *,
    like: Frame = None,
    job: Job | None = None,
) -> Frame:
    """The best items of everybody: a frame, or the path when written to a file.

    labels, codes: of the people, (m,); no labels for one person who has none.
    """
    job = job or Job()
    if job.resume and job.out is None:
        raise OptionError("resume=True goes on with a file: say which with out=.")
    path = None if job.out is None else check_place(job.out)
    step = users_at_once(model, query, codes, job.memory)
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
    if not job.resume:
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
