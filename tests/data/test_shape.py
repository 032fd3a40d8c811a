"""The shape of ratings: what a check keeps for its picture."""

import numpy as np
import pytest

import palate
from palate.data.shape import MAX_VALUES, Shape
from palate.errors import OptionError


def test_sizes_and_values_are_counted():
    ratings = palate.read({"user": ["a", "a", "b", "c"], "item": ["x", "y", "x", "x"], "rating": [1, 5, 5, 4]})
    shape = Shape.of(ratings)
    assert [part.tolist() for part in shape.values] == [[1, 4, 5], [1, 1, 2]]
    assert [part.tolist() for part in shape.users] == [[1, 2], [2, 1]]
    assert [part.tolist() for part in shape.items] == [[1, 3], [1, 1]]
    assert (shape.n, shape.mean, shape.times) == (4, 3.75, None)


def test_many_values_are_counted_in_ranges():
    rng = np.random.default_rng(0)
    for values in (rng.random(500), 10 ** rng.uniform(0, 6, 500)):
        ratings = palate.Ratings(
            np.arange(500), np.zeros(500, int), values.astype(np.float32),
            user_vocabulary=palate.Vocabulary(range(500)), item_vocabulary=palate.Vocabulary(["x"]),
        )  # fmt: skip
        bounds, counts = Shape.of(ratings).values
        assert len(bounds) == MAX_VALUES + 1 == len(counts) + 1 and counts.sum() == 500


def test_likes_have_no_values_and_counts_have():
    likes = palate.read({"user": ["a", "b"], "item": ["x", "x"]}, kind="implicit")
    assert Shape.of(likes).values is None
    counted = palate.read({"user": ["a", "b"], "item": ["x", "x"], "plays": [3, 9]}, kind="implicit")
    assert [part.tolist() for part in Shape.of(counted).values] == [[3, 9], [1, 1]]


@pytest.mark.parametrize("times", [[5, 5], [0, 10**9], [10**12, 10**15], [-(10**9), 7], [86400, 86410]])
@pytest.mark.parametrize("kind", ["explicit", "implicit"])
def test_a_check_draws_ratings_of_any_kind(times, kind):
    pytest.importorskip("matplotlib")
    from helpers.pictures import assert_legible

    ratings = palate.Ratings(
        np.array([0, 1]), np.array([0, 0]), np.ones(2, np.float32), times=np.array(times), kind=kind,
        user_vocabulary=palate.Vocabulary(["千", "$"]), item_vocabulary=palate.Vocabulary(["x"]),
    )  # fmt: skip
    found = palate.check(ratings, order=False)
    figure = found.plot()
    figure.canvas.draw()
    assert len(figure.axes) == (4 if kind == "explicit" else 3)
    assert_legible(found.plot("times"))


def test_a_check_of_nothing_says_so_or_draws_empty_axes():
    pytest.importorskip("matplotlib")
    none = palate.datasets.synthetic(5, 5, 20, seed=1)[:0]
    palate.check(none).plot().canvas.draw()
    with pytest.raises(OptionError, match="could not be read"):
        palate.data.checking.Check(()).plot()
