"""Sizes of memory in words, and how many users fit into one."""

from dataclasses import replace

import numpy as np
import pytest

import palate
from helpers.data import rows_of
from palate.answers.ranking import memory as memories
from palate.answers.ranking.files import Parts
from palate.answers.ranking.filters import Lists
from palate.answers.ranking.index import N_EXTRA
from palate.answers.ranking.max_per import MAX_COUNTERS
from palate.answers.ranking.memory import (
    ANSWER_BYTES,
    DEFAULT_MEMORY,
    FOUND_BYTES,
    MAX_USERS,
    QUANTILE_BYTES,
    RATING_BYTES,
    SCORE_COPIES,
    WRITER_BYTES,
    _bytes_of_user,
    _fixed_bytes,
    _listed_counts,
    bytes_of,
    users_at_once,
)
from palate.answers.ranking.queries import RecommendOptions, query_of
from palate.answers.ranking.scoring import ranks_by_products
from palate.errors import OptionError


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("3", 3),
        ("7B", 7),
        ("1k", 1000),
        ("2KB", 2000),
        ("256MB", 256_000_000),
        (" 1.5 GiB ", 3 * 2**29),
        ("2kib", 2048),
        ("1TiB", 2**40),
        ("1T", 10**12),
        (5000, 5000),
        (np.int64(1), 1),
    ],
)
def test_sizes_in_words_and_numbers(given, expected):
    assert bytes_of(given) == expected


@pytest.mark.parametrize("given", [0, -5, 2.5, True, "0MB", "0", "-1MB", "1XB", "GB", "1 2", "", None, ["1GB"]])
def test_what_is_no_size(given):
    with pytest.raises(OptionError, match="give a size such as"):
        bytes_of(given)


def test_the_more_memory_the_more_users():
    """The error names a minimum, which is enough for one."""
    data = palate.datasets.synthetic(50, 40, 900, seed=1)
    rec = palate.ALS(n_factors=2, n_sweeps=2).fit(data, progress=False)
    query, codes = query_of(rec.model, RecommendOptions(5)), np.arange(50, dtype=np.int32)
    sizes = range(100_000, 40_000_000, 300_000)

    def users(memory):
        try:
            return users_at_once(rec.model, query, codes, memory)
        except OptionError:
            return 0

    found = [users(size) for size in sizes]
    assert found == sorted(found)
    assert found[0] == 0
    assert found[-1] >= 50
    first = next(size for size, n in zip(sizes, found, strict=True) if n)
    with pytest.raises(OptionError, match="at least ") as told:
        users_at_once(rec.model, query, codes, 1)
    least = int(str(told.value).partition("at least ")[2].partition("MB")[0]) * 10**6
    assert users_at_once(rec.model, query, codes, least) >= 1
    assert least - 10**6 <= first <= least + 300_000


@pytest.fixture(scope="module")
def bayes():
    """A model of stars with draws, whose users have very different numbers of ratings."""
    data = palate.datasets.synthetic(40, 30, 500, seed=2)
    recipe = palate.Bayes(n_factors=2, n_sweeps=8, n_samples=4, history=False)
    return recipe.fit(data, progress=False).model


def needed(model, query, codes, step):
    """Bytes that blocks of this many users take at most, by the parts that the file names."""
    n_given = np.append(model.history.counts, 0)[codes]
    blocks = [n_given[start : start + step].sum() for start in range(0, len(codes), step)]
    return _fixed_bytes(model, query) + step * _bytes_of_user(model, query) + RATING_BYTES * max(blocks, default=0)


def test_a_block_fills_its_memory_exactly_and_one_byte_less_is_too_little(bayes):
    """Wherever a step is possible at all, it is taken if the memory is just enough, and a smaller one if not."""
    query, codes = query_of(bayes, RecommendOptions(5)), np.arange(40, dtype=np.int32)
    for n in (40, 17, 2):
        some = codes[:n]
        enough = int(needed(bayes, query, some, n))
        assert users_at_once(bayes, query, some, enough) == n
        assert users_at_once(bayes, query, some, 10 * enough) == n
        assert users_at_once(bayes, query, some, enough - 1) < n
    assert users_at_once(bayes, query, codes[:0], "1GB") == 1


def test_whatever_the_memory_a_block_fits_and_wastes_less_than_half(bayes):
    codes = np.random.default_rng(0).integers(-1, 40, 90).astype(np.int32)
    for options in (RecommendOptions(5), RecommendOptions(3, by="thompson"), RecommendOptions(9, by="likely")):
        query = query_of(bayes, options)
        each = _bytes_of_user(bayes, query) + RATING_BYTES * int(bayes.history.counts.max())
        least = _fixed_bytes(bayes, query) + each
        for memory in range(least, least + 95 * each, each // 3):
            step = users_at_once(bayes, query, codes, memory)
            assert needed(bayes, query, codes, step) <= memory
            larger = step * 4 // 3 + 2  # the next larger step that is tried
            assert step == 90 or needed(bayes, query, codes, larger) > memory or larger > 90


def test_a_block_has_a_maximum_and_a_default(bayes):
    query, codes = query_of(bayes, RecommendOptions(1)), np.zeros(3 * MAX_USERS, np.int32)
    assert users_at_once(bayes, query, codes, "100GB") == MAX_USERS
    assert users_at_once(bayes, query, codes, None) == users_at_once(bayes, query, codes, DEFAULT_MEMORY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memories, "DEFAULT_MEMORY", 1)  # less than one user needs
        assert users_at_once(bayes, query, codes, None) == 1


def test_what_a_call_is_taken_to_need_grows_with_what_it_computes(bayes):
    """Each kind of answer has its tables: scores, draws of all users' vectors, quantiles of steps, counters."""
    n_items, width = bayes.factors.items.shape
    query = query_of(bayes, RecommendOptions(5))
    assert ranks_by_products(bayes, query)
    own = 16 * width + ANSWER_BYTES * 5
    scores, draws = 4 * SCORE_COPIES * n_items, 8 * int(bayes.posterior.users.vectors[:, 0].size)
    assert draws > 0 and bayes.step_distribution is not None
    extra = {
        "mean": 0,
        "lower": scores + draws + QUANTILE_BYTES * n_items,
        "thompson": scores + draws,
        "chance": scores + draws,
        "likely": scores + draws + 12 * n_items,
    }
    numbers = replace(bayes, step_distribution=None)
    assert numbers.step_distribution is None
    for by, more in extra.items():
        at_least = 4 if by in ("chance", "likely") else None
        query = query_of(bayes, RecommendOptions(5, by=by, at_least=at_least))
        assert _bytes_of_user(bayes, query) == own + more
        if by != "likely":
            assert _bytes_of_user(numbers, query) == own + more - (QUANTILE_BYTES * n_items if by == "lower" else 0)
    bare = replace(bayes, posterior=None)
    assert _bytes_of_user(bare, replace(query, by="thompson")) == own + scores
    indexed = replace(query, by="mean", index=object())
    assert _bytes_of_user(bayes, indexed) == own + FOUND_BYTES * (5 + N_EXTRA)
    packed = 4 * n_items * (width + 2)
    assert _fixed_bytes(bayes, replace(query, by="mean")) == WRITER_BYTES + packed
    assert _fixed_bytes(bayes, query) == WRITER_BYTES
    assert _fixed_bytes(bayes, replace(query, limits=(object(),))) == WRITER_BYTES + 32 * MAX_COUNTERS


def test_lists_of_items_take_memory_like_ratings(bayes):
    codes = np.arange(3, dtype=np.int32)
    query = query_of(bayes, RecommendOptions(5))
    rows = rows_of([[1, 2, 3], [], [4]])
    lists = Lists(rows, np.array([0, 2, 1], np.int64))
    for given, total in (
        (replace(query, included_lists=lists), [3, 1, 0]),
        (replace(query, excluded_lists=lists), [3, 1, 0]),
        (replace(query, included_lists=lists, excluded_lists=lists), [6, 2, 0]),
    ):
        assert _listed_counts(given).tolist() == total
        enough = needed(bayes, given, codes, 3) + RATING_BYTES * sum(total)
        assert users_at_once(bayes, given, codes, int(enough)) == 3
        assert users_at_once(bayes, given, codes, int(enough) - 1) < 3
    assert _listed_counts(query) == 0


def test_a_part_of_another_type_is_made_again(tmp_path):
    rec = palate.Popularity().fit(palate.datasets.synthetic(20, 15, 200, seed=2), progress=False)
    query = query_of(rec.model, RecommendOptions(2))
    codes, scores = np.array([[3, 1], [2, -1]], np.int32), np.array([[2, 1], [1, -np.inf]], np.float32)
    parts = Parts(tmp_path)
    for at, (stored_codes, stored_scores) in enumerate(
        [(codes, scores), (codes.astype(np.int64), scores), (codes, scores.astype(np.float64)), (codes[:1], scores[:1])]
    ):
        parts.put(at, stored_codes, stored_scores)
        assert (parts.get(at, 2, query) is None) == (at > 0)
    assert parts.get(9, 2, query) is None
