"""The blocked inverse against its definition."""

import numpy as np
import pytest

from palate.recipes.inverse import invert


@pytest.mark.parametrize("n", [1, 2, 127, 128, 129, 300, 1100])
def test_invert_is_the_inverse_at_any_number_of_threads(n):
    rng = np.random.default_rng(n)
    Z = rng.standard_normal((n, n // 2 + 1)).astype(np.float32)
    S = Z @ Z.T + 10 * np.eye(n, dtype=np.float32)
    found = []
    for n_threads in (1, 2, 3):
        found.append(S.copy())
        invert(found[-1], n_threads)
    np.testing.assert_allclose(found[0].astype(np.float64) @ S, np.eye(n), atol=1e-4)
    np.testing.assert_array_equal(found[0], found[0].T)
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()
