"""Explanations, distributions and tables draw what they hold."""

import numpy as np
import pytest

import palate
from helpers.pictures import assert_legible, words

pytest.importorskip("matplotlib")


def ends_of_bars(ax):
    return [bar.get_x() + bar.get_width() for bar in ax.patches]


@pytest.fixture(scope="module")
def rec():
    return palate.ALS(n_factors=4, n_threads=1).fit(palate.datasets.synthetic(60, 40, 1200, seed=1), progress=False)


def test_both_sums_of_an_explanation_are_exact(rec):
    why = rec.explain("u1", "i2")
    parts, reasons = why.plot(n=3).axes
    assert ends_of_bars(parts)[-1] == pytest.approx(why.prediction)
    assert ends_of_bars(reasons)[-1] == pytest.approx(why.parts["user"] + why.parts["factors"], abs=1e-6)
    assert len(reasons.patches) == 3 + 1 + len(why.known) + 1 + 1  # reasons, the others, side information, prior, sum
    own = [bar.get_width() for bar in reasons.patches[:3]]
    assert own == [reason.contribution for reason in why.because[:3]]
    assert any(f"{why.prediction:.3f}" in word for word in words(why.plot("parts")))
    with pytest.raises(palate.errors.OptionError, match="n must be"):
        why.plot(n=0)


@pytest.mark.parametrize("recipe", [
    palate.EASE(), palate.ImplicitALS(n_factors=4, n_threads=1), palate.Neighbors(), palate.Sequence(),
    palate.Blend([palate.EASE(), palate.Popularity()]),
], ids=lambda recipe: type(recipe).__name__)  # fmt: skip
def test_scores_are_explained_by_choices(recipe):
    likes = palate.datasets.synthetic(60, 40, 1200, seed=1).likes(at_least=3)
    fitted = recipe.fit(likes, progress=False)
    why = fitted.explain("u1", "i2")
    figure = why.plot()
    assert_legible(figure)
    total = sum(reason.contribution for reason in why.because) + sum(why.known.values()) + why.rest
    assert ends_of_bars(figure.axes[-1])[-1] == pytest.approx(total, abs=1e-6)
    if why.blend:
        assert ends_of_bars(figure.axes[0])[-1] == pytest.approx(why.prediction, abs=1e-6)


def test_odd_labels_and_one_rating_are_drawn():
    odd = {"user": ["<b>$x", "🎬"], "item": ["千と千尋", "a\nb"], "rating": [4, 2]}
    fitted = palate.Bias().fit(palate.read(odd), progress=False)
    assert_legible(fitted.explain("<b>$x", "a\nb").plot())
    assert_legible(fitted.cross_tab().plot())


def test_a_table_is_drawn_cell_by_cell(rec):
    tab = rec.cross_tab(["u1", "u2"], ["i1", "i2", "i3"])
    left, right = tab.plot().axes
    np.testing.assert_array_equal(left.images[0].get_array().filled(np.nan), tab.known)
    np.testing.assert_array_equal(right.images[0].get_array(), tab.predicted)
    assert right.images[0].get_clim() == tab.limits == rec.model.score_limits
    likes = palate.Popularity().fit(palate.datasets.synthetic(60, 40, 1200, seed=1).likes(at_least=3), progress=False)
    assert [ax.get_title(loc="left") for ax in likes.cross_tab().plot().axes] == ["how often chosen", "scores"]


def test_chances_are_the_bars():
    found = palate.answers.results.Distribution(3.1, 1.0, 5.0, {1.0: 0.001, 3.0: 0.6, 5.0: 0.399})
    (ax,) = found.plot().axes
    assert [bar.get_height() for bar in ax.patches] == [0.001, 0.6, 0.399]
    assert {"<1%", "60%", "40%"} <= set(words(ax.figure))
