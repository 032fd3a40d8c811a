"""Sizes of memory in words, and how many users fit into one."""

import numpy as np
import pytest

import palate
from palate.answers.ranking.files import Parts
from palate.answers.ranking.memory import bytes_of, users_at_once
from palate.answers.ranking.queries import RecommendOptions, query_of
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
