"""Comparisons and tunings as pictures: every recipe has its name, and no name covers another or an interval."""

from types import SimpleNamespace

import numpy as np
import pytest

from helpers.pictures import assert_legible, boxes_meet, ticks, words

pytest.importorskip("matplotlib")

from palate import plotting
from palate.showing.pictures.tradeoff import drawn_lines


def comparison(seconds, errors):
    """What compared() reads of a comparison, its intervals 0.06 wide."""
    entries = [
        SimpleNamespace(
            name=f"Recipe {at}",
            seconds=second,
            is_measured=True,
            measure=lambda _, error=error: SimpleNamespace(value=error, low=error - 0.03, high=error + 0.03),
        )
        for at, (second, error) in enumerate(zip(seconds, errors, strict=True))
    ]
    return SimpleNamespace(entries=entries, kind="explicit", measure="rmse")


@pytest.mark.parametrize("seed", range(5))
def test_every_recipe_has_its_name(seed):
    rng = np.random.default_rng(seed)
    figure = plotting.compared(comparison(10 ** rng.uniform(-2, 0, 9), 0.9 + 0.05 * rng.random(9)))
    assert_legible(figure)
    written = [text for text in figure.axes[0].texts if text.get_text()]
    assert {text.get_text() for text in written} == {f"Recipe {at}" for at in range(9)}
    boxes = [text.get_window_extent().extents for text in written]
    assert not any(boxes_meet(one, other) for at, one in enumerate(boxes) for other in boxes[:at])


@pytest.mark.parametrize("seconds", [[0.002], [0.002, 0.0025, 0.004], [0.01, 1.0, 60.0, 4000.0], [3.0, 3.1, 3.2]])
def test_seconds_are_plain_numbers(seconds):
    figure = plotting.compared(comparison(seconds, np.linspace(0.9, 1, len(seconds))))
    assert_legible(figure)
    assert len([float(text.replace(",", "")) for text in ticks(figure, "x")]) >= 2


def test_the_lines_to_avoid_lie_on_intervals_and_on_the_front():
    points, bounds = np.array([[1.0, 0.9], [10.0, 0.8], [5.0, 0.95]]), np.full((2, 3), 0.1)
    drawn = drawn_lines(points, bounds)
    for at, low, high in ((1.0, 0.8, 1.0), (10.0, 0.7, 0.9), (5.0, 0.85, 1.05)):
        on_it = drawn[drawn[:, 0] == at][:, 1]
        assert (on_it.min(), on_it.max()) == pytest.approx((low, high))
    front = drawn[150:]
    np.testing.assert_allclose(front[:, 1], 0.9 - 0.1 * np.log10(front[:, 0]))  # from recipe 0 straight to recipe 1


def test_the_colors_of_trials_are_explained(parts):
    assert {"best", "complete", "stopped early"} <= set(words(plotting.tuned(parts.tuning)))
