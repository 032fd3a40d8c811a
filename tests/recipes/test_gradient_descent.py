"""Gradient descent: the learning rates of every schedule."""

import numpy as np
import pytest

from palate.recipes.gradient_descent import learning_rates


def test_learning_rates_follow_their_schedule():
    epochs = np.arange(0, 12, 0.5)
    one_cycle = learning_rates("one-cycle", 0.4, epochs, 12)
    assert one_cycle[0] == pytest.approx(0.016)
    assert one_cycle.max() == pytest.approx(0.4) and one_cycle.argmax() == 6
    assert (np.diff(one_cycle[:7]) > 0).all() and (np.diff(one_cycle[6:]) < 0).all()
    assert learning_rates("one-cycle", 0.4, np.array([12.0]), 12)[0] == pytest.approx(0, abs=1e-7)
    np.testing.assert_allclose(learning_rates("1/t", 0.4, np.array([0.0, 1.0, 3.0]), 12), [0.4, 0.2, 0.1])
    np.testing.assert_allclose(learning_rates("constant", 0.4, epochs, 12), 0.4)
