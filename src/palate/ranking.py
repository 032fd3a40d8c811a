"""Ranking: scores of blocks of users, what they may not see masked, the best n picked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from palate.answers import Frame, as_kind, make_frame
from palate.asking import check_choice, check_count, check_level, check_seed, z_of
from palate.errors import OptionError
from palate.factors import Codes, Floats
from palate.itemwise import HistoryFactors, Turned
from palate.kernels import select_top
from palate.model import Model, People
from palate.ratings import titles
from palate.rows import row_codes

if TYPE_CHECKING:
    import polars as pl

By = Literal["mean", "lower", "thompson", "chance"]

MAX_RATING = float(np.finfo(np.float32).max)
BLOCK_SCORES = 4_000_000  # scores held at once: 16 MB of float32, a few times that while they are made


@dataclass(frozen=True)
class Query:
    """What is asked: how many, which items are allowed, and by which score."""

    n: int
    allowed: NDArray[np.bool_]  # (n_items,)
    keep_seen: bool
    by: By
    z: float
    seed: int
    at_least: float | None = None  # the rating whose chance, or that of more, by="chance" ranks by


def query_of(
    model: Model,
    n: int,
    items: Any,
    exclude: Any,
    keep_seen: bool,
    by: By,
    level: float,
    seed: int,
    at_least: float | None = None,
) -> Query:
    """The options of a recommend() call, checked and in codes."""
    check_choice("by", by, ("mean", "lower", "thompson", "chance"))
    _check_chance(model, by, at_least)
    check_level(level)
    check_count(n)
    check_seed(seed)
    if by != "mean" and model.posterior is None:
        raise OptionError(f'by="{by}" needs the draws of a Bayes fit, which this model does not have; use by="mean".')
    n_items = len(model.item_vocabulary)
    allowed = np.ones(n_items, bool) if items is None else np.zeros(n_items, bool)
    if items is not None:
        allowed[model.item_vocabulary.encode(items)] = True
    allowed[model.item_vocabulary.encode(exclude)] = False
    return Query(int(n), allowed, keep_seen, by, z_of(level), seed, at_least)


def _check_chance(model: Model, by: By, at_least: float | None) -> None:
    """OptionError for chances of ratings that have none, or without the rating whose chance is asked for."""
    if (by == "chance") != (at_least is not None):
        raise OptionError('by="chance" and at_least= go together: at_least=4 ranks by the chance of a 4 or more.')
    if at_least is None:
        return
    if model.factors.steps is None:
        raise OptionError('by="chance" needs ordered ratings, which have a chance each: Bayes(likelihood="ordinal").')
    is_number = isinstance(at_least, int | float | np.number) and not isinstance(at_least, bool)
    if not is_number or not abs(at_least) <= MAX_RATING:
        raise OptionError(f"at_least must be a rating, got {at_least!r}.")


def rank(
    model: Model,
    people: Callable[[slice], People],
    labels: NDArray[Any] | None,
    query: Query,
    *,
    like: Frame = None,
    out: str | PathLike[str] | None = None,
) -> Frame:
    """The best items of everybody: a frame, or the path when written to a file. labels: of the people, None for one."""
    count = 1 if labels is None else len(labels)
    step = _people_at_once(model, query)
    names = titles(model.item_table)

    def blocks() -> Iterator[pl.DataFrame]:
        for start in range(0, max(count, 1), step):
            rows = slice(start, min(start + step, count))
            codes, scores = best(model, people(rows), query)
            limits = (0.0, 1.0) if query.by == "chance" else model.score_limits
            there = None if labels is None else labels[rows]
            yield _block_frame(model, there, codes, np.clip(scores, *limits), names)

    if out is not None:
        return _write(blocks(), Path(out))
    import polars as pl

    frame = pl.concat(list(blocks()))
    return frame if like is None else as_kind(frame, like)


def _people_at_once(model: Model, query: Query) -> int:
    """How many people make one block: as many as their scores, and their draws where those are needed, have room."""
    floats = len(model.item_vocabulary)
    if query.by != "mean" and model.posterior is not None:
        floats = max(floats, int(model.posterior.users.vectors[:, 0].size))
    return max(1, BLOCK_SCORES // max(floats, model.factors.n_factors + 1))


def best(model: Model, people: People, query: Query) -> tuple[Codes, Floats]:
    """Codes and scores (m, n) of the best items, best first; code -1 where there are no more."""
    scores = _scores(model, people, query)
    scores[:, ~query.allowed] = -np.inf
    if not query.keep_seen:
        scores[row_codes(people.history), people.history.indices] = -np.inf
    return select_top(np.ascontiguousarray(scores, np.float32), query.n)


def _scores(model: Model, people: People, query: Query) -> Floats:
    """What to rank by, (m, n_items)."""
    if query.by == "mean" or model.posterior is None or people.draws is None:
        return model.scores(people)
    if query.by == "thompson":
        return _thompson(model, people, query)
    doubt = model.posterior.score_variance(people.draws)
    steps = model.factors.steps
    if steps is None:
        own = model.noise_of(people.codes)[:, None] if model.item_noise is None else model.item_noise
        spread = np.sqrt(doubt + np.square(own, dtype=np.float32))
        lower: Floats = (model.scores(people) - np.float32(query.z) * spread).astype(np.float32)
        return lower
    scores = model.factors.raw_scores(people.vectors)
    doubt += np.float32(0.0 if model.effects is None else model.effects.unknown_variance)
    if query.by == "chance" and query.at_least is not None:
        return steps.at_least(scores, query.at_least, doubt)
    mean, variance = steps.moments(scores, doubt)
    return (mean - np.float32(query.z) * np.sqrt(variance)).astype(np.float32)


def _thompson(model: Model, people: People, query: Query) -> Floats:
    """The ratings expected under one draw of each person, (m, n_items)."""
    assert model.posterior is not None and people.draws is not None
    # Whose draw it is depends on the seed and the person, not on who else is asked for; the last one is a stranger's.
    rng = np.random.Generator(np.random.Philox(query.seed))
    draw_of = rng.integers(len(model.posterior), size=len(model.user_vocabulary) + 1)[people.codes]
    scores = np.empty((len(people), len(model.item_vocabulary)), np.float32)
    for s in np.unique(draw_of):
        rows = draw_of == s
        scores[rows] = model.posterior.draw_scores(people.draws[s][rows], int(s))
    return model.factors.ratings_at(scores)


def _block_frame(
    model: Model, labels: NDArray[Any] | None, codes: Codes, scores: Floats, names: list[str | None] | None
) -> pl.DataFrame:
    there = codes >= 0
    flat = codes[there]
    columns: dict[str, Any] = {}
    if labels is not None:
        columns[model.user_vocabulary.what] = np.repeat(labels, there.sum(axis=1))
    columns[model.item_vocabulary.what] = model.item_vocabulary.decode(flat)
    if names is not None:
        columns["title"] = [names[code] for code in flat]
    columns["score"] = scores[there].astype(np.float32)
    ranks = np.broadcast_to(np.arange(1, codes.shape[1] + 1, dtype=np.int32), codes.shape)
    frame: pl.DataFrame = make_frame(columns | {"rank": ranks[there]})
    return frame


def similar_rows(model: Model, people: People, labels: Any, n: int, *, named: bool) -> Frame:
    """The n users of a model most like each of some people, these themselves left out; labels: of the people."""
    check_count(n)
    top, measure, name = _most_similar(model, people, int(n))
    there = top >= 0
    what = model.user_vocabulary.what
    columns: dict[str, Any] = {}
    if named:
        columns["to"] = np.repeat(np.asarray(labels, dtype=model.user_vocabulary.labels.dtype), there.sum(axis=1))
    columns[what] = model.user_vocabulary.decode(top[there])
    names = titles(model.user_table) if what == "item" else None
    if names is not None:
        columns["title"] = [names[code] for code in top[there]]
    ranks = np.broadcast_to(np.arange(1, top.shape[1] + 1, dtype=np.int32), top.shape)
    return make_frame(columns | {name: measure[there], "rank": ranks[there]})


def _most_similar(model: Model, people: People, n: int) -> tuple[Codes, Floats, str]:
    """Codes of the n most similar users and how similar they are, (m, n) each, -1 for no more; and the measure's name.

    By what the model has of both: the cosine of factors, or what a model of histories compares.
    """
    if isinstance(model.factors, HistoryFactors | Turned):
        return model.factors.likeness(people.history, people.codes, n)
    if model.factors.n_factors == 0:
        name = model.recipe.get("name", "this model")
        raise OptionError(f"{name} has no factors, so nothing is similar to anything; fit one that has, like Bayes.")
    everybody = _unit(model.factors.users[:, :-1]).T
    step = max(1, BLOCK_SCORES // max(everybody.shape[1], 1))
    found = []
    for start in range(0, max(len(people), 1), step):
        similarity = _unit(people.vectors[start : start + step, :-1]) @ everybody
        codes = people.codes[start : start + step]
        known = np.flatnonzero(codes >= 0)
        similarity[known, codes[known]] = -np.inf
        found.append(select_top(np.ascontiguousarray(similarity, np.float32), n))
    top, cosine = (np.concatenate(blocks) for blocks in zip(*found, strict=True))
    return top, cosine, "cosine"


def _unit(factors: Floats) -> Floats:
    length = np.linalg.norm(factors, axis=1, keepdims=True)
    unit: Floats = (factors / np.where(length > 0, length, 1)).astype(np.float32)
    return unit


WRITERS = {".parquet": "sink_parquet", ".csv": "sink_csv", ".jsonl": "sink_ndjson", ".ndjson": "sink_ndjson"}


def _write(blocks: Iterator[pl.DataFrame], path: Path) -> Path:
    """Blocks into one file as they come, through polars' streaming writers; written beside and renamed."""
    from polars.io.plugins import register_io_source

    if path.suffix not in WRITERS:
        raise OptionError(f"out={str(path)!r}: the ending must be one of {', '.join(WRITERS)}.")
    first = next(blocks)

    def source(*_: Any) -> Iterator[pl.DataFrame]:
        yield first
        yield from blocks

    if path.exists() and not path.is_file():
        raise OptionError(f"out={str(path)!r} is there and is no regular file.")
    beside = path.with_name(path.name + ".part")
    try:
        getattr(register_io_source(source, schema=first.schema), WRITERS[path.suffix])(beside)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return path
