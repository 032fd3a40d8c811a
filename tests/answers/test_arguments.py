"""What is one label and what are many, and which column of a frame is meant."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import palate
from palate.answers.arguments import (
    _column_name,
    check_range,
    choices_of,
    frame_columns,
    frame_times,
    history_of,
    is_many,
    label_array,
    labels_of,
    marking,
    ratings_of,
    rows_of_frame,
    same_length,
    timestamps_of,
)
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError, OptionError


@pytest.mark.parametrize("one", ["a", b"a", "", 5, 2.5, None, np.int64(3), np.array("a"), np.array(7)])
def test_one_label(one):
    assert not is_many(one)


@pytest.mark.parametrize(
    "many", [["a"], [], ("a", "b"), {"a"}, np.array(["a"]), np.zeros(0), pl.Series(["a"]), range(2)]
)
def test_many_labels(many):
    assert is_many(many)


def test_the_column_of_a_field_is_the_one_with_its_name_or_the_first_with_a_common_name():
    assert _column_name(["rating", "user_id", "user", "userid"], "user") == "user"
    assert _column_name(["rating", "user_id", "userid"], "user") == "user_id"
    assert _column_name(["rating", "userid", "user_id"], "user") == "userid"
    assert _column_name(["rating", "score"], "user") is None
    with pytest.raises(DataError, match="2 columns of the frame are called 'user'"):
        _column_name(["user", "item", "user"], "user")


def test_several_users_and_items_have_a_column_that_says_whose_answer_it_is():
    rec = palate.ALS(n_factors=2, n_sweeps=3).fit(palate.datasets.synthetic(20, 15, 200, seed=2), progress=False)
    for ask, what, label in ((rec.similar_users, "user", "u1"), (rec.similar_items, "item", "i1")):
        one = ask(label, n=2)
        assert "to" not in one.columns
        for many in ([label], np.array([label]), pl.Series([label]), pl.DataFrame({what: [label]})):
            several = ask(many, n=2)
            assert several["to"].to_list() == [label] * 2
            assert several.drop("to").equals(one)


ITEMS = Vocabulary(["jam", "milk", "tea"], what="item")


@pytest.mark.parametrize("count", [0, -1, -0.5, [2, 0]])
def test_a_count_is_above_zero(count):
    given = {"jam": 2, "tea": count[1]} if isinstance(count, list) else {"tea": count}
    with pytest.raises(DataError, match="a count is 0 or negative; leave out what was not chosen"):
        choices_of(ITEMS, given)


def test_choices_with_and_without_counts():
    for given, counts in (
        (["tea", "jam"], None), ({"tea": 3, "jam": 0.25}, [3, 0.25]),
        (pl.DataFrame({"item": ["tea", "jam"]}), None),
        (pl.DataFrame({"item": ["tea", "jam"], "weight": [3.0, 0.25]}), [3, 0.25]),
    ):  # fmt: skip
        row = choices_of(ITEMS, given)
        assert row.indices.tolist() == ITEMS.encode(["tea", "jam"]).tolist()
        assert row.indptr.tolist() == [0, 2] and row.values.tolist() == [1, 1]
        assert (row.weights is None) if counts is None else (row.weights.tolist() == counts)
    assert choices_of(ITEMS, {"tea": None, "jam": 3}).weights.tolist() == [1, 3]
    assert choices_of(ITEMS, {"tea": None}).weights is None
    assert choices_of(ITEMS, []).counts.tolist() == history_of(ITEMS, {}).counts.tolist() == [0]


def test_an_item_that_is_listed_twice_counts_twice_at_its_last_place():
    row = choices_of(ITEMS, ["tea", "jam", "tea", "milk"])
    assert ITEMS.decode(row.indices).tolist() == ["jam", "tea", "milk"]
    assert row.weights.tolist() == [1, 2, 1]
    as_events = choices_of(ITEMS, ["tea", "jam", "tea"], each_once=False)
    assert ITEMS.decode(as_events.indices).tolist() == ["tea", "jam", "tea"] and as_events.weights is None
    assert choices_of(ITEMS, ["tea", "jam", "tea"], 4.0).weights is None  # likes have no counts
    frame = pl.DataFrame({"item": ["tea", "jam", "tea"], "weight": [3.0, 1.0, 0.5], "time": [1, 2, 3]})
    row = choices_of(ITEMS, frame)
    assert (row.weights.tolist(), row.times.tolist()) == ([1, 3.5], [2, 3])


def test_times_put_choices_in_order():
    row = choices_of(ITEMS, ["tea", "jam", "milk"], times=[30, 10.9, 30])
    assert (ITEMS.decode(row.indices).tolist(), row.times.tolist()) == (["jam", "tea", "milk"], [10, 30, 30])
    assert choices_of(ITEMS, ["tea", "jam"]).times is None


def test_a_model_of_likes_takes_lists_alone():
    assert choices_of(ITEMS, ["tea"], 4.0).counts.tolist() == [1]
    with pytest.raises(OptionError, match=r"learned from likes, ratings of 4 or more, .* a list of the items"):
        choices_of(ITEMS, {"tea": 5}, 4.0)


def test_ratings_of_weight_zero_are_left_out():
    frame = pl.DataFrame({"item": ["tea", "jam", "milk"], "rating": [5, 1, 3], "weight": [0.5, 0, 2]})
    row = history_of(ITEMS, frame)
    assert row.indices.tolist() == ITEMS.encode(["tea", "milk"]).tolist()
    assert (row.values.tolist(), row.weights.tolist(), row.indptr.tolist()) == ([5, 3], [0.5, 2], [0, 2])
    assert history_of(ITEMS, {"tea": 0, "jam": -1}).values.tolist() == [0, -1]
    assert history_of(ITEMS, {"tea": 0}).weights is None
    with pytest.raises(DataError, match="a weight is negative"):
        history_of(ITEMS, frame.with_columns(weight=pl.Series([1.0, -0.1, 1.0])))


@pytest.mark.parametrize(
    ("limits", "inside", "outside"),
    [((1, 5), [-3, 9], [-3.5, 9.5]), ((3, 3), [0, 6], [-0.5, 6.5]), ((0, 0), [-1, 1], [-1.5, 1.5]),
     ((-2, -2), [-4, 0], [-4.5, 0.5])],
)  # fmt: skip
def test_a_rating_may_lie_as_far_outside_as_the_range_is_wide(limits, inside, outside):
    vocabulary = Vocabulary(["jam", "tea"], what="item")
    check_range(vocabulary, np.array([0, 1]), np.array(inside, np.float32), limits)
    for value in outside:
        with pytest.raises(DataError, match="for item 'tea', where the model learned"):
            check_range(vocabulary, np.array([0, 1]), np.array([inside[0], value], np.float32), limits)


def test_labels_of_one_many_or_a_frame():
    assert labels_of("ab", "user") == ["ab"] and labels_of(("a", 1), "user") == ["a", 1]
    array = np.array([1, 2])
    assert labels_of(array, "user") is array
    assert labels_of(pl.DataFrame({"item": [1], "user": ["a"]}), "user").tolist() == ["a"]
    assert (marking("raise"), marking("nan"), marking("fallback")) == ("raise", "mark", "mark")
    numbers = Vocabulary([5, 7], what="item")
    assert label_array(np.array([7, 5]), numbers).tolist() == [7, 5] == label_array([7, 5], numbers).tolist()
    assert label_array(np.array([7.0]), numbers).dtype == np.int64
    assert label_array([1, "b"], ITEMS).tolist() == ["1", "b"]


def test_a_single_label_stands_beside_each_of_many():
    assert same_length("a", ["x", "y"]) == (["a", "a"], ["x", "y"])
    assert same_length(["a", "b"], "x") == (["a", "b"], ["x", "x"])
    assert same_length("a", "x") == (["a"], ["x"]) and same_length([], "x") == ([], [])
    for users, items in ((["a", "b"], ["x"]), (["a"], ["x", "y"])):
        with pytest.raises(OptionError, match=f"got {len(users)} users and {len(items)} items"):
            same_length(users, items)


def test_a_time_for_all_or_one_for_each():
    day = 86_400.0
    assert timestamps_of(None, 3) is None
    assert timestamps_of(5, 2).tolist() == [5, 5] and timestamps_of("1970-01-02", 2).tolist() == [day, day]
    assert timestamps_of(["1970-01-02", "1970-01-03"], 2).tolist() == [day, 2 * day]
    np.testing.assert_array_equal(timestamps_of([1.0, None], 2), [1, np.nan])
    for times in ([1.0], [1.0, 2.0, 3.0]):
        with pytest.raises(OptionError, match=f"when has {len(times)} times for 2 rows"):
            timestamps_of(times, 2)


def test_times_of_a_frame():
    assert frame_times(pl.DataFrame({"user": [1], "item": [2]})) is None
    assert frame_times(pl.DataFrame({"user": [1, 2], "timestamp": ["1970-01-02", "1970-01-03"]})).tolist() == [
        86_400,
        172_800,
    ]
    assert frame_times(pl.DataFrame({"time": [1_600_000_000_000]})).tolist() == [1.6e9]  # of milliseconds
    with pytest.raises(DataError, match="1 of 2 values in the time column are missing"):
        frame_times(pl.DataFrame({"time": [1.0, None]}))


def test_columns_of_a_frame_are_complete_and_there():
    frame = pl.DataFrame({"item_id": ["x", "y"], "rating": [1.5, 2.5]})
    names, values = frame_columns(frame, ["item", "rating"], "")
    assert (names.tolist(), names.dtype, values.tolist()) == (["x", "y"], object, [1.5, 2.5])
    with pytest.raises(DataError, match="the frame has no user column"):
        frame_columns(frame, ["item", "user"], "")
    with pytest.raises(DataError, match="1 of 2 values in the rating column are missing"):
        frame_columns(frame.with_columns(rating=pl.Series([None, 1.0])), ["rating"], "")
    with pytest.raises(OptionError, match="a frame, please"):
        frame_columns({"item": 1}, ["item"], "a frame, please")


def test_ratings_are_finite_numbers():
    found = ratings_of(["1.5", 2, np.float32(3), True])
    assert (found.tolist(), found.dtype) == ([1.5, 2, 3, 1], np.float32)
    assert ratings_of([]).shape == (0,)
    for wrong, words in (
        ([1, np.nan], "a count is NaN or infinite"), ([1e39], "too large"), (["a"], "must be a number"),
        ([None], "must be a number"), ([np.complex128(1)], "some are complex"), ([10**400], "must be a number"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=words):
            ratings_of(wrong, "count")


def rows_in(columns, owners, kind="explicit", like_threshold=None, labels=("a", "b", "c")):
    factors = SimpleNamespace(reads_order=False)
    model = SimpleNamespace(item_vocabulary=ITEMS, kind=kind, like_threshold=like_threshold, factors=factors)
    rows = rows_of_frame(model, pl.DataFrame(columns), list(owners), list(labels))
    return [
        dict(zip(ITEMS.decode(codes).tolist(), zip(*parts, strict=True), strict=True))
        for codes, *parts in (
            [part[begin:end] for part in (rows.indices, rows.values, *([] if rows.weights is None else [rows.weights]))]
            for begin, end in zip(rows.indptr[:-1], rows.indptr[1:], strict=True)
        )
    ]


def test_a_frame_of_many_has_a_row_for_each():
    rated = {"item": ["tea", "jam", "milk", "tea"], "rating": [5, 4, 3, 2]}
    expected = [{"milk": (3,)}, {}, {"tea": (5,), "jam": (4,)}, {"tea": (2,)}]
    assert rows_in(rated, "ccab", labels="a-cb") == expected
    weighted = rated | {"weight": [1.0, 0.0, 2.0, 0.5]}
    assert rows_in(weighted, "ccab", labels="a-cb") == [{"milk": (3, 2)}, {}, {"tea": (5, 1)}, {"tea": (2, 0.5)}]
    assert rows_in(rated | {"weight": [1.0, 1.0, 1.0, 1.0]}, "ccab")[1] == {"tea": (2, 1)}
    with pytest.raises(DataError, match="a weight or count is negative"):
        rows_in(rated | {"weight": [1.0, -1.0, 1.0, 1.0]}, "ccab")
    with pytest.raises(DataError, match="a weight is NaN"):
        rows_in(rated | {"weight": [1.0, np.nan, 1.0, 1.0]}, "ccab")
    with pytest.raises(DataError, match="a count is NaN"):
        rows_in({"item": ["tea"], "weight": [np.nan]}, "a", "implicit")
    with pytest.raises(DataError, match="'c': item 'tea' is rated 2 times"):
        rows_in(rated, "cabc")


def test_a_frame_of_many_choices_may_have_counts():
    chosen = {"item": ["tea", "jam", "tea"]}
    assert rows_in(chosen, "aab", "implicit") == [{"tea": (1,), "jam": (1,)}, {"tea": (1,)}, {}]
    assert rows_in(chosen | {"weight": [2, 3, 4]}, "aab", "implicit")[0] == {"tea": (1, 2), "jam": (1, 3)}
    assert rows_in(chosen | {"rating": [2, 3, 4]}, "aab", "implicit")[1] == {"tea": (1, 4)}
    assert rows_in(chosen, "aab", "implicit", 4.0)[1] == {"tea": (1,)}
    with pytest.raises(OptionError, match="learned from likes, ratings of 4 or more"):
        rows_in(chosen | {"rating": [2, 3, 4]}, "aab", "implicit", 4.0)
    with pytest.raises(DataError, match="a count is 0; leave out what was not chosen"):
        rows_in(chosen | {"weight": [2, 0, 4]}, "aab", "implicit")
