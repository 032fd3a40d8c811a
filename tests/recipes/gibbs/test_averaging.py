"""The probe: when a chain has arrived and its average is good enough."""

import numpy as np
import pytest

from palate.data.datasets import synthetic
from palate.recipes.gibbs.averaging import Probe

RATINGS = synthetic(30, 20, 300, seed=0)


def settled_after(draws, train_errors, noise_variance=1.0):
    """The number of draws after which the probe is settled; None if it never is."""
    probe = Probe(RATINGS, seed=0)
    for number, (draw, error) in enumerate(zip(draws, train_errors, strict=True), 1):
        probe.add(draw, error)
        if probe.is_settled(noise_variance):
            return number
    return None


def steady_draws(n, spread=0.1, seed=0):
    """Independent draws around one mean, (n, pairs)."""
    return spread * np.random.default_rng(seed).standard_normal((n, Probe.SIZE))


def test_steady_draws_with_steady_errors_settle_at_the_first_chance():
    assert settled_after(steady_draws(200), np.full(200, 0.7)) == Probe.MIN_DRAWS


@pytest.mark.parametrize("direction", [-1, 1])
def test_a_chain_whose_training_error_still_moves_goes_on_however_steady_its_predictions(direction):
    errors = 0.7 * np.exp(direction * 5e-4 * np.arange(400))  # 1% from quarter to quarter of 80 draws
    assert settled_after(steady_draws(400), errors) is None


def test_a_chain_that_arrives_late_settles_after_it_has_arrived():
    errors = np.concatenate([np.linspace(0.9, 0.7, 100), np.full(200, 0.7)])
    assert 120 < settled_after(steady_draws(300), errors) <= 220


def test_draws_that_wander_far_beside_the_noise_are_averaged_for_longer():
    wandering = np.cumsum(steady_draws(200, spread=0.3), axis=0)
    assert settled_after(wandering, np.full(200, 0.7)) is None
    assert settled_after(wandering, np.full(200, 0.7), noise_variance=1e6) == Probe.MIN_DRAWS
