"""Answers that are no frames, as they print and as plain values: every line, and what decides whether it is there."""

from dataclasses import replace

import numpy as np
import pytest

from palate.answers.results import CrossTab, Distribution, Explanation, Reason, aligned
from palate.models.forecasts import Forecast
from palate.models.ordinal import OrderedSteps
from palate.models.step_distribution import TAILS, StepDistribution

REASONS = [Reason(f"i{at}", None, 3.5, 0.5 / at) for at in range(1, 12)]
WHY = Explanation(
    *("u1", "i0", "A Film", 4.25),
    {"mean": 3.5, "user": 0.25, "limit": -0.005},
    [Reason("i9", "Nine", 5, -1.5), REASONS[0]],
    0.0625,
    {"history": 0.5, "age": -0.25},
)


def test_an_explanation_prints_its_parts_and_reasons():
    assert str(WHY).splitlines() == [
        "A Film for u1: 4.25",
        "      mean +3.50",
        "      user +0.25",
        "     limit -0.01",
        "because of",
        "  -1.500  rated Nine 5",
        "  +0.500  rated i1 3.5",
        "  +0.500  history: which items were rated",
        "  -0.250  age",
        "  +0.062  prior, the same for all users",
    ]
    bare = Explanation("u1", "i0", None, 4.25, {"mean": 4.25, "limit": 0.0049}, [], 0.0)
    assert str(bare).splitlines() == ["i0 for u1: 4.25", "      mean +4.25", "  +0.000  prior, the same for all users"]
    assert bare.to_dict() == {
        "user": "u1", "item": "i0", "title": None, "prediction": 4.25, "parts": {"mean": 4.25, "limit": 0.0049},
        "because": [], "known": {}, "rest": 0.0, "kind": "explicit", "blend": {},
    }  # fmt: skip
    assert WHY.to_dict()["because"][0] == {"item": "i9", "title": "Nine", "rating": 5, "contribution": -1.5}


def test_eight_reasons_are_listed_and_the_others_summed_up():
    eight = str(replace(WHY, because=REASONS[:8])).splitlines()
    assert sum(" rated i" in line for line in eight) == 8 and not any("other" in line for line in eight)
    eleven = str(replace(WHY, because=REASONS)).splitlines()
    assert sum(" rated i" in line for line in eleven) == 8
    assert f"  {0.5 / 9 + 0.5 / 10 + 0.5 / 11:+.3f}  the 3 other ratings" in eleven


def test_choices_print_their_counts_if_any_is_not_one():
    reasons = [Reason("a", "A", 1, 0.25), Reason("b", None, 1, 0.125)]
    chosen = Explanation("u1", "i0", None, 0.5, {}, reasons, 0.0, {}, "implicit")
    assert str(chosen).splitlines() == [
        "i0 for u1: score 0.500",
        "because of",
        "  +0.250  chose A",
        "  +0.125  chose b",
    ]
    counted = replace(chosen, because=[chosen.because[0], Reason("b", None, 2, 0.125)])
    assert str(counted).splitlines()[2:] == ["  +0.250  chose A (1)", "  +0.125  chose b (2)"]
    many = replace(chosen, because=[Reason("a", None, 1, 0.25)] * 9)
    assert str(many).splitlines()[-1] == "  +0.250  the other choice"


def test_a_cross_table_prints_what_is_known_beside_what_is_predicted():
    known, predicted = np.float32([[4, np.nan], [2.5, 1]]), np.float32([[3.14, 2.72], [1, 0.06]])
    table = CrossTab([1, 2], ["a", "b"], ["A title of many letters", None], known, predicted)
    assert str(table).splitlines() == [
        "   A title of m        b",
        "1       4 (3.1)  - (2.7)",
        "2     2.5 (1.0)  1 (0.1)",
        "observed rating, and the predicted one in brackets",
    ]
    implicit = str(replace(table, kind="implicit")).splitlines()
    assert implicit[1].split() == ["1", "4", "(3.14)", "-", "(2.72)"] and implicit[-1].startswith("how often")
    frame = table.to_frame()
    assert frame.columns == ["user", "a", "b"] and frame["user"].to_list() == [1, 2]
    np.testing.assert_array_equal(frame["b"], predicted[:, 1])
    np.testing.assert_array_equal(table.to_frame("known")["a"], known[:, 0])
    odd = replace(table, users=["x", "y"], items=["user", "b"]).to_frame()
    assert odd.columns == ["user label", "user", "b"] and odd["user label"].to_list() == ["x", "y"]
    assert aligned([["a", "bb"], ["ccc"]]) == ["a    bb", "ccc"]


def test_a_distribution_adds_up_what_is_high_enough():
    stars = Distribution(3.0, 1.0, 5.0, {1.0: 0.25, 3.1: 0.5, 5.0: 0.125})
    assert [stars.at_least(value) for value in (0, 1, 1.1, 3.1, 5, 6)] == [0.875, 0.875, 0.625, 0.625, 0.125, 0]
    single = Distribution(3.0, 1.0, 5.0, {float(np.float32(3.1)): 0.5})
    assert single.at_least(3.1) == 0.5


@pytest.mark.parametrize("has_latent", [False, True])
def test_an_interval_holds_its_mean(has_latent):
    mean, deviation = np.array([2.0, 4.0]), np.array([0.5, 1.0])
    plain = Forecast(mean, deviation, deviation)
    low, high = plain.interval(0.95)
    np.testing.assert_allclose([mean - low, high - mean], 1.959964 * np.stack([deviation] * 2), rtol=1e-5)
    assert plain.probabilities is None
    steps = StepDistribution(OrderedSteps([1, 2, 3, 4, 5], [1.5, 2.5, 3.5, 4.5]), np.stack([TAILS] * 3))
    latent = (mean + 1, deviation / 2) if has_latent else None
    stars = Forecast(mean, deviation, deviation, steps, latent)
    own = latent or (mean, deviation)
    np.testing.assert_array_equal(stars.probabilities, steps.probabilities(*own))
    low, high = steps.interval(0.5, *own)
    found = stars.interval(0.5)
    np.testing.assert_array_equal(found, [np.minimum(low, mean), np.maximum(high, mean)])
    assert (found[0] <= mean).all() and (found[1] >= mean).all() and (has_latent == bool((low > mean).any()))
    without = replace(stars, steps=StepDistribution(steps.steps)).interval(0.95)
    np.testing.assert_array_equal(without, plain.interval(0.95))
