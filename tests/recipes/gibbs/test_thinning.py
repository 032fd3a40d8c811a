"""Thinning: which draws are kept."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data import rows_of
from palate.recipes.gibbs.thinning import Draw, SideDraw, Thinned


@given(st.integers(2, 9), st.integers(1, 200))
@settings(deadline=None)
def test_kept_draws_are_evenly_spaced(limit, n):
    thinned = Thinned(limit)
    for number in range(n):
        vectors = np.full((2, 1), number, np.float32)
        side = SideDraw(vectors, np.zeros(1, np.float32), np.eye(1, dtype=np.float32), None)
        thinned.add(Draw(float(number), side, side))
    rows = (rows_of([[0], [1]]), 0.0, 1.0), None, 0
    kept = thinned.posterior(0.0, 1.0, rows, rows)
    assert min(n, (limit + 1) // 2) <= len(kept) <= limit
    assert kept.alpha[0] == 0
    assert len(set(np.diff(kept.alpha).tolist())) <= 1
    np.testing.assert_array_equal(kept.users.vectors[:, 0, 0], kept.alpha)


@given(st.integers(2, 9), st.integers(1, 200))
@settings(deadline=None)
def test_a_known_number_of_draws_is_spaced_for_it(limit, n):
    thinned = Thinned(limit, n)
    kept = []
    for number in range(n):
        before = len(thinned)
        vectors = np.full((2, 1), number, np.float32)
        side = SideDraw(vectors, np.zeros(1, np.float32), np.eye(1, dtype=np.float32), None)
        thinned.add(Draw(float(number), side, side))
        assert len(thinned) >= before  # none is dropped again
        kept += [number] * (len(thinned) - before)
    assert kept == list(range(0, n, -(-n // limit)))
