"""Splits lose nothing, double nothing, and are what their sentence says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.data.ratings import Ratings
from palate.data.splitting import (
    split_folds,
    split_folds_within_users,
    split_last,
    split_random,
    split_rows,
    split_time,
    split_users,
    split_within_users,
)
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError, OptionError


def make(n, n_users, n_items, seed, *, times=True, n_timestamps=5):
    """Ratings whose values are their row numbers, so that every row can be followed."""
    rng = np.random.default_rng(seed)
    return Ratings(
        rng.integers(0, n_users, n),
        rng.integers(0, n_items, n),
        np.arange(n),
        user_vocabulary=Vocabulary(np.arange(n_users + 1), what="user"),  # one user without ratings
        item_vocabulary=Vocabulary(np.arange(n_items + 1), what="item"),
        times=rng.integers(100, 100 + n_timestamps, n) if times else None,
        weights=rng.random(n),
    )


def rows(part):
    return part.values.astype(int).tolist()


def check_partition(whole, train, test):
    assert sorted(rows(train) + rows(test)) == list(range(len(whole)))
    for part in (train, test):
        assert part.user_vocabulary is whole.user_vocabulary
        assert part.item_vocabulary is whole.item_vocabulary
        at = np.array(rows(part), dtype=int)
        for name in ("user_codes", "item_codes", "weights", "times"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[at])


whole_ratings = st.builds(
    make, n=st.integers(0, 80), n_users=st.integers(1, 12), n_items=st.integers(1, 12), seed=st.integers(0, 999)
)
shares = st.floats(0.01, 0.99)
seeds = st.integers(0, 2**40)


@given(whole_ratings, shares, seeds, st.booleans())
def test_every_split_is_a_partition(whole, test, seed, keep_all):
    n = len(whole)
    splits = [
        split_random(whole, test, seed, keep_all),
        split_users(whole, test, seed),
        split_last(whole, 2),
        split_within_users(whole, test, seed),
        split_time(whole, test=test),
        split_time(whole, at=102),
        split_rows(whole, np.arange(n) % 3 == 0),
        split_rows(whole, np.arange(0, n, 4)[::-1]),
    ]
    if n >= 3:
        splits += split_folds(whole, 3, seed)
    for train, held_out in splits:
        check_partition(whole, train, held_out)


@given(whole_ratings, shares, seeds)
def test_random_is_the_stated_permutation(whole, test, seed):
    train, held_out = split_random(whole, test, seed)
    perm = np.random.default_rng(seed).permutation(len(whole)).tolist()
    n_test = int(len(whole) * test)
    assert rows(held_out) == perm[:n_test]
    assert rows(train) == perm[n_test:]


@given(whole_ratings, st.sampled_from([0.1, 0.2, 0.25, 0.5]), seeds)
def test_within_users_is_the_stated_protocol(whole, test, seed):
    train, held_out = split_within_users(whole, test, seed)
    keys = np.random.default_rng(seed).random(len(whole))
    expected = set()
    for user in range(whole.n_users):
        own = np.flatnonzero(whole.user_codes == user)
        expected |= set(own[np.argsort(keys[own])][: len(own) // round(1 / test)].tolist())
    assert rows(held_out) == sorted(expected)
    assert rows(train) == sorted(set(range(len(whole))) - expected)


@given(st.integers(0, 10**9))
def test_a_fifth_of_each_user_is_the_whole_fifth(n):
    assert np.floor(np.int64(n) * 0.2) == n // 5


@given(st.integers(0, 10**9))
def test_a_tenth_is_the_whole_tenth(n):
    assert int(n * 0.1) == n // 10


@given(whole_ratings, st.floats(0.3, 0.95), seeds)
def test_keep_all_keeps_every_user_and_item_in_train_and_moves_no_more_than_needed(whole, test, seed):
    plain_train, plain_test = split_random(whole, test, seed)
    train, held_out = split_random(whole, test, seed, keep_all=True)
    assert set(train.user_codes) == set(whole.user_codes)
    assert set(train.item_codes) == set(whole.item_codes)
    missing = len(set(whole.user_codes) - set(plain_train.user_codes))
    missing += len(set(whole.item_codes) - set(plain_train.item_codes))
    assert len(plain_test) - missing <= len(held_out) <= len(plain_test)
    assert set(rows(held_out)) <= set(rows(plain_test))


@given(whole_ratings.filter(lambda whole: len(whole) >= 2), st.data(), seeds)
def test_folds_test_every_rating_once_in_parts_of_equal_size(whole, data, seed):
    folds = data.draw(st.integers(2, len(whole)))
    splits = split_folds(whole, folds, seed)
    tested = [row for _, held_out in splits for row in rows(held_out)]
    assert len(splits) == folds
    assert sorted(tested) == list(range(len(whole)))
    sizes = [len(held_out) for _, held_out in splits]
    assert max(sizes) - min(sizes) <= 1


@given(whole_ratings, st.data(), seeds)
def test_folds_within_users_hold_an_equal_part_of_each(whole, data, seed):
    counts = np.bincount(whole.user_codes, minlength=whole.n_users)
    several = counts[whole.user_codes] > 1
    if several.sum() < 2:
        with pytest.raises(DataError, match="no user has two"):
            split_folds_within_users(whole, 2, seed)
        return
    folds = data.draw(st.integers(2, int(several.sum())))
    splits = split_folds_within_users(whole, folds, seed)
    tested = sorted(row for _, held_out in splits for row in rows(held_out))
    assert tested == np.flatnonzero(several).tolist()
    sizes = [len(held_out) for _, held_out in splits]
    assert max(sizes) - min(sizes) <= 1
    for train, held_out in splits:
        check_partition(whole, train, held_out)
        own = np.bincount(held_out.user_codes, minlength=whole.n_users)
        assert ((own == counts // folds) | (own == -(-counts // folds)))[counts > 1].all()
        assert set(held_out.user_codes) <= set(train.user_codes)
    again = split_folds_within_users(whole, folds, seed)
    assert [rows(held_out) for _, held_out in again] == [rows(held_out) for _, held_out in splits]


def test_which_choices_go_to_which_fold_is_a_matter_of_chance():
    whole = make(400, 20, 40, 0)
    tested = [frozenset(rows(split_folds_within_users(whole, 4, seed)[0][1])) for seed in range(200)]
    assert len(set(tested)) == 200
    often = np.bincount([row for fold in tested for row in fold], minlength=400)
    assert abs(often - 50).max() < 35  # 200 draws of a chance of 1/4, six standard deviations


@given(whole_ratings, st.integers(1, 6))
def test_last_is_what_sorting_each_user_gives(whole, n):
    expected = []
    for user in range(whole.n_users):
        own = sorted((time, row) for row, time in enumerate(whole.times) if whole.user_codes[row] == user)
        expected += [row for _, row in own[-n:]] if len(own) > n else []
    train, held_out = split_last(whole, n)
    assert rows(held_out) == sorted(expected)
    assert rows(train) == sorted(rows(train))
    assert set(held_out.user_codes) <= set(train.user_codes)


@given(whole_ratings.map(lambda whole: make(len(whole), whole.n_users, 5, len(whole), times=False)), st.integers(1, 6))
def test_last_without_times_is_by_the_order_of_rows(whole, n):
    own = [[row for row in range(len(whole)) if whole.user_codes[row] == user] for user in range(whole.n_users)]
    train, held_out = split_last(whole, n)
    assert rows(held_out) == sorted(row for one in own if len(one) > n for row in one[-n:])
    assert rows(train) == sorted(set(range(len(whole))) - set(rows(held_out)))


@given(whole_ratings, st.one_of(st.integers(98, 107), st.floats(98, 107)))
def test_time_cuts_at_the_moment(whole, at):
    train, held_out = split_time(whole, at=at)
    assert all(time < at for time in train.times)
    assert all(time >= at for time in held_out.times)


@given(whole_ratings, shares)
def test_time_share_is_the_smallest_suffix_of_moments_that_is_large_enough(whole, test):
    train, held_out = split_time(whole, test=test)
    wanted = int(len(whole) * test)
    assert len(held_out) >= wanted
    assert not (set(train.times.tolist()) & set(held_out.times.tolist()))
    if len(held_out):
        first_moment = (held_out.times == held_out.times.min()).sum()
        assert len(held_out) - first_moment < wanted
        assert len(train) == 0 or train.times.max() < held_out.times.min()


@given(whole_ratings, shares, seeds)
def test_users_are_held_out_whole(whole, test, seed):
    train, held_out = split_users(whole, test, seed)
    assert not set(train.user_codes) & set(held_out.user_codes)
    assert len(set(held_out.user_codes)) == int(len(set(whole.user_codes)) * test)


@settings(max_examples=20)
@given(whole_ratings.filter(lambda whole: len(whole) > 20), seeds)
def test_same_seed_same_split_and_another_seed_another(whole, seed):
    for split in (split_random, split_users):
        assert rows(split(whole, 0.5, seed)[1]) == rows(split(whole, 0.5, seed)[1])
    assert rows(split_random(whole, 0.5, seed)[1]) != rows(split_random(whole, 0.5, seed + 1)[1])
    assert rows(split_folds(whole, 2, seed)[0][1]) != rows(split_folds(whole, 2, seed + 1)[0][1])


def test_what_is_held_out_where_nothing_is_said():
    whole = make(200, 6, 9, 0)
    for default, said in (
        (split_random(whole), split_random(whole, 0.1, 0, keep_all=False)),
        (split_users(whole, 0.5), split_users(whole, 0.5, 0)),
        (split_within_users(whole), split_within_users(whole, 0.2, 0)),
        (split_last(whole), split_last(whole, 1)),
        *zip(split_folds(whole), split_folds(whole, 5, 0), strict=True),
        *zip(split_folds_within_users(whole), split_folds_within_users(whole, 5, 0), strict=True),
    ):
        assert rows(default[0]) == rows(said[0]) and rows(default[1]) == rows(said[1])
    many = make(200, 40, 9, 0)
    assert len(set(split_users(many)[1].user_codes)) == int(0.1 * len(set(many.user_codes)))


def test_the_first_held_out_rating_of_a_user_or_item_moves_back():
    """In the order of the draw; whoever has a rating in train needs none."""
    whole = Ratings(
        np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 2]), np.arange(5),
        user_vocabulary=Vocabulary(range(3), what="user"), item_vocabulary=Vocabulary(range(3), what="item"),
    )  # fmt: skip
    for seed in range(20):
        drawn = rows(split_random(whole, 0.8, seed)[1])
        kept = {row for row in range(5) if row not in drawn}
        for codes in (whole.user_codes, whole.item_codes):
            before = {int(codes[row]) for row in kept}
            for row in drawn:
                if row not in kept and int(codes[row]) not in before | {int(codes[other]) for other in kept}:
                    kept.add(row)
        assert rows(split_random(whole, 0.8, seed, keep_all=True)[1]) == [row for row in drawn if row not in kept]


def test_no_global_random_state_is_touched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    split_random(make(50, 5, 5, 0), seed=3)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("test", [0, 1, -0.1, 1.5, float("nan"), "0.1", None, True])
@pytest.mark.parametrize("split", [split_random, split_users, lambda whole, test: split_time(whole, test=test)])
def test_a_share_outside_0_to_1_is_refused(split, test):
    with pytest.raises(OptionError, match=r"between 0 and 1"):
        split(make(20, 3, 3, 0), test)


@pytest.mark.parametrize("seed", [-1, 1.5, "0", None, True])
def test_a_bad_seed_is_refused(seed):
    with pytest.raises(OptionError, match="seed must be a whole number, 0 or more"):
        split_random(make(20, 3, 3, 0), seed=seed)


@pytest.mark.parametrize("folds", [0, 1, 21, 2.0, "5", True])
def test_bad_folds_name_the_valid_ones(folds):
    with pytest.raises(OptionError, match="from 2 to 20"):
        split_folds(make(20, 3, 3, 0), folds)


@pytest.mark.parametrize(
    ("test_rows", "sentence"),
    [
        ([0, 20], r"valid row numbers are 0\.\.19"),
        ([-1, 3], r"valid row numbers are 0\.\.19"),
        (np.array([2**64 - 1], np.uint64), r"valid row numbers are 0\.\.19"),
        ([3, 4, 3], "1 rows more than once"),
        ([True, False], "one bool for each of 20"),
        ([[1, 2]], "row numbers"),
        ([0.5], "row numbers"),
        (["a"], "row numbers"),
    ],
)
def test_bad_rows_are_refused(test_rows, sentence):
    with pytest.raises(OptionError, match=sentence):
        split_rows(make(20, 3, 3, 0), test_rows)


def test_given_rows_may_be_none_and_keep_their_order():
    whole = make(6, 2, 2, 0)
    assert rows(split_rows(whole, [])[0]) == list(range(6))
    assert rows(split_rows(whole, [4, 0])[1]) == [4, 0]


@pytest.mark.parametrize("n", [0, -1, 1.0, "1", True])
def test_a_bad_n_is_refused(n):
    with pytest.raises(OptionError, match="n must be a whole number, 1 or more"):
        split_last(make(20, 3, 3, 0), n)


@pytest.mark.parametrize("options", [{}, {"at": 3, "test": 0.1}, {"at": np.datetime64("NaT")}, {"at": float("nan")}])
def test_bad_moments_are_refused(options):
    with pytest.raises(OptionError, match=r"at="):
        split_time(make(20, 3, 3, 0), **options)


def test_splits_by_time_need_times():
    timeless = make(20, 3, 3, 0, times=False)
    for split in (lambda whole: split_time(whole, at=3), lambda whole: split_time(whole, test=0.5)):
        with pytest.raises(DataError, match="no times"):
            split(timeless)
