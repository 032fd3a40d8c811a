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
    report, check = palate.evaluate(rec, test, n_bootstrap=100), palate.check(train)
    likes, held_out = palate.split_within_users(train.likes(at_least=4), test=0.2, seed=0)
    lists = palate.EASE().fit(likes)
    ranking = palate.evaluate(lists, held_out, n_bootstrap=100)
    next_item = palate.evaluate(lists, held_out, next_item=True, n_bootstrap=100)
    folds = palate.cross_validate(palate.Bias(), train, folds=3)
    return SimpleNamespace(
        train=train, test=test, rec=rec, sweeps=sweeps, comparison=comparison, tuning=tuning, report=report,
        check=check, lists=lists, ranking=ranking, next_item=next_item, folds=folds,
    )  # fmt: skip
