"""Bars of item biases and of the nearest items."""

from dataclasses import replace

import numpy as np
import pytest

import palate
from helpers.pictures import assert_legible, random_factors, ticks, title, with_factors, words
from palate.errors import OptionError, UnknownLabelError
from palate.recommender import Recommender

matplotlib = pytest.importorskip("matplotlib")
from palate import plotting  # noqa: E402
from palate.showing.pictures import canvas  # noqa: E402

# ---- biases


def test_biases_are_shown_best_first(parts):
    rec = parts.rec
    figure = plotting.item_biases(rec, n=6)
    labels, order = np.array(list(rec.model.item_vocabulary)), np.argsort(-rec.item_bias)
    assert ticks(figure) == [*labels[order[:6]], *labels[order[-6:]]]
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(widths, rec.item_bias[[*order[:6], *order[-6:]]])
    top = figure.axes[0].patches[0].get_window_extent()
    assert top.y0 > figure.axes[0].patches[-1].get_window_extent().y1  # the best is above
    counts = np.bincount(rec.model.history.indices)
    assert str(counts[order[0]]) in words(figure)


def test_rarely_rated_items_can_be_left_out():
    rec = with_factors(random_factors(6), biases=[5, 4, 3, -3, -4, -5], counts=[1, 9, 9, 9, 9, 1])
    assert ticks(plotting.item_biases(rec, n=1)) == ["i0", "i5"]
    figure = plotting.item_biases(rec, n=1, min_ratings=2)
    assert ticks(figure) == ["i1", "i4"]
    assert title(figure) == "Best and worst of 4 items with 2 ratings or more"
    with pytest.raises(OptionError, match="min_ratings=10: no item has that many ratings; the most rated has 9"):
        plotting.item_biases(rec, min_ratings=10)


def test_color_says_better_or_worse():
    figure = plotting.item_biases(with_factors(random_factors(3), biases=[1.0, -1.0, 2.0]))
    blue, orange = (matplotlib.colors.to_rgba(color) for color in (canvas.BLUE, canvas.ORANGE))
    assert [bar.get_facecolor() for bar in figure.axes[0].patches] == [blue, blue, orange]


def test_biases_before_a_sigmoid_are_called_so():
    rec = with_factors(random_factors(5))
    model = replace(rec.model, factors=replace(rec.model.factors, y_range=(0.0, 5.5)))
    assert plotting.item_biases(rec).axes[0].get_xlabel() == "item bias: above or below the mean"
    label = plotting.item_biases(Recommender(model)).axes[0].get_xlabel()
    assert label == "item bias: above or below the mean, before the sigmoid"


def test_models_without_biases_say_so(parts):
    with pytest.raises(OptionError, match="Mean has no item biases"):
        plotting.item_biases(palate.Mean().fit(parts.train))
    popular = plotting.item_biases(palate.Popularity().fit(parts.train))
    assert popular.axes[0].get_xlabel() == "item bias: its part in the ranking score"
    assert_legible(popular)


# ---- neighbors


def test_neighbors_are_those_of_similar_items(parts):
    rec = parts.rec
    figure = plotting.neighbors(rec, "i3", n=7)
    frame = rec.similar_items("i3", 7)
    assert ticks(figure) == frame["item"].to_list()
    np.testing.assert_allclose([bar.get_width() for bar in figure.axes[0].patches], frame["cosine"])
    with pytest.raises(UnknownLabelError):
        plotting.neighbors(rec, "nothing")


def test_rare_neighbors_can_be_left_out():
    factors = np.array([[1, 0], [1, 0.1], [1, 0.2], [1, 0.3], [-1, 0.0]])
    rec = with_factors(factors, counts=[9, 1, 9, 9, 9])
    assert ticks(plotting.neighbors(rec, "i0", n=2)) == ["i1", "i2"]
    assert ticks(plotting.neighbors(rec, "i0", n=3, min_ratings=2)) == ["i2", "i3", "i4"]


def test_one_item_has_no_neighbors():
    assert "There are no other items to compare with." in words(plotting.neighbors(with_factors([[1.0, 2.0]]), "i0"))
