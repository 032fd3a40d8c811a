"""A fit that the tests of pictures share."""

from types import SimpleNamespace

import pytest

import palate


@pytest.fixture(scope="session")
def parts():
    """A Bayes fit on train, its sweeps, and what it was tested on."""
    train, test = palate.split_random(palate.datasets.synthetic(150, 80, 6000, seed=1), test=0.2, seed=0)
    sweeps = []
    rec = palate.Bayes(n_factors=3, n_sweeps=30).fit(train, test, callback=sweeps.append)
    comparison = palate.compare(train, test, ["Mean", "Bias", "ALS"], progress=False)
    tuning = palate.tune(palate.ALS(), train, trials=4, progress=False)
    return SimpleNamespace(train=train, test=test, rec=rec, sweeps=sweeps, comparison=comparison, tuning=tuning)
