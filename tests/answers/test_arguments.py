"""What is one label and what are many, and which column of a frame is meant."""

import numpy as np
import polars as pl
import pytest

import palate
from palate.answers.arguments import _column_name, check_range, choices_of, history_of, is_many
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
    with pytest.raises(DataError, match="is chosen 2 times; give counts instead"):
        choices_of(ITEMS, ["tea", "tea"])


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
