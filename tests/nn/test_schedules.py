"""Schedules of the learning rate, and the search for a good one."""

import math

import numpy as np
import pytest
import torch

from helpers.training import learner, net, plain_sgd, same_state
from palate.errors import OptionError
from palate.nn import schedules
from palate.nn.models import DotProductBias


def test_one_cycle_starts_peaks_and_ends_where_it_says():
    rates = [schedules.one_cycle_lr(0.5, at / 1000) for at in range(1001)]
    assert rates[0] == pytest.approx(0.02)
    assert max(rates) == rates[250] == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(5e-6)
    assert (np.diff(rates[:251]) > 0).all()
    assert (np.diff(rates[250:]) < 0).all()
    assert [schedules.one_cycle_momentum(at) for at in (0, 0.25, 1)] == pytest.approx([0.95, 0.85, 0.95])


def test_smoothing_starts_without_bias_and_follows():
    assert schedules.smoothed([3.0] * 5) == pytest.approx([3.0] * 5)
    assert schedules.smoothed([0.0] * 100 + [1.0] * 200)[-1] == pytest.approx(1, abs=1e-4)


def test_the_suggestion_is_a_tenth_of_the_lowest():
    lrs = [10.0**power for power in range(-5, 3)]
    assert schedules.suggested_lr(lrs, [5, 5, 4.9, 4, 3.5, 3.4, 3.6, 20]) == pytest.approx(0.1)
    assert schedules.suggested_lr(lrs, [5, 5, 4.9, 4, math.nan]) == pytest.approx(1e-3)
    assert math.isnan(schedules.suggested_lr(lrs, [1, 2, 3, 4, 5, 6, 7, 8]))
    assert math.isnan(schedules.suggested_lr(lrs, [math.nan]))


def test_the_suggestion_is_not_led_astray_by_noise():
    at = np.linspace(0, 1, 200)
    fall = 2 - np.clip((at - 0.5) * 4, 0, 1) + np.clip((at - 0.8) * 20, 0, None)  # lowest from 0.75 to 0.8
    lrs = [schedules.exponential(1e-7, 10.0, progress) for progress in at]
    for seed in range(5):
        noisy = (fall + np.random.default_rng(seed).normal(0, 0.3, 200)).tolist()
        noisy[3] = 0.5
        assert 1e-3 < schedules.suggested_lr(lrs, noisy) * 10 < 1


@pytest.mark.parametrize("rates", [(0, 0.1), (1, 0.1), (0.1, 0.1), (-1, 1), (0.1, math.inf), ("low", 1)])
def test_a_search_that_makes_no_sense_is_refused(rates):
    with pytest.raises(OptionError, match=r"lowest|highest"):
        learner().lr_find(*rates)


@pytest.mark.parametrize("trained", [False, True])
def test_lr_find_leaves_everything_as_it_was(trained):
    one, other = learner(net()), learner(net())
    if trained:
        one.fit(1)
        other.fit(1)
    one.model.eval()
    one.lr_find(n_batches=30)
    assert not one.model.training
    same_state(one, other)
    assert all(parameter.grad is None for parameter in one.model.parameters())
    same_state(one.fit(1), other.fit(1))


def test_lr_find_rises_and_stops_when_diverged():
    model = DotProductBias(30, 20, 4, generator=torch.Generator().manual_seed(0))
    found = learner(model, optimizer=plain_sgd).lr_find(1e-4, 1e4, n_batches=200)
    assert len(found.lrs) == len(found.losses) == len(found.smoothed) < 200
    assert found.lrs[0] == 1e-4
    assert np.diff(np.log(found.lrs)) == pytest.approx(math.log(1e8) / 199)
    assert found.lrs[0] < found.suggestion < found.lrs[-1]
    assert found.smoothed[-1] > 4 * min(found.smoothed) or not math.isfinite(found.losses[-1])
    assert all(type(value) is float for value in found.losses + found.lrs)
