"""Of very many choices, settings are chosen on whole users at random; of others, on all of them."""

from dataclasses import replace

import numpy as np
import pytest

import palate
from palate.models.implicit import default_problem
from palate.recipes import hidden, implicit
from palate.recipes.hidden import some_users
from palate.recipes.implicit_choice import Choice

LIKES = palate.datasets.synthetic(300, 60, 6000, seed=1).likes(at_least=3)
ROWS = LIKES.by_user()
SIGNALS = np.random.default_rng(0).random(len(LIKES)).astype(np.float32)


@pytest.mark.parametrize("signals", [None, SIGNALS])
def test_users_are_taken_whole_until_there_are_choices_enough(signals, monkeypatch):
    monkeypatch.setattr(hidden, "MANY", 1000)
    rows, own = some_users(ROWS, signals)
    assert 1000 <= len(rows.indices) < 1000 + ROWS.counts.max()
    users = [next(u for u in range(300) if np.array_equal(rows.row(r)[0], ROWS.row(u)[0])) for r in range(rows.n_rows)]
    assert users == sorted(set(users))
    spread = np.array(users)
    assert spread.min() < 30 and spread.max() > 270, "from all users alike"
    if signals is None:
        assert own is None
    else:
        expected = [signals[ROWS.indptr[u] : ROWS.indptr[u + 1]] for u in users]
        np.testing.assert_array_equal(own, np.concatenate(expected))
    again, _ = some_users(ROWS, signals)
    np.testing.assert_array_equal(again.indices, rows.indices)


def test_up_to_the_limit_choices_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(hidden, "MANY", len(LIKES))
    rows, signals = some_users(ROWS, SIGNALS)
    assert rows is ROWS and signals is SIGNALS


def test_a_fit_takes_as_many_times_the_usual_decay_as_is_best_for_some_users(monkeypatch):
    """The usual decay follows from the counts, so that of some users is not that of all."""
    monkeypatch.setattr(hidden, "MANY", 2000)
    sample, _ = some_users(ROWS, None)
    usual, usual_of_some = default_problem(ROWS, 60), default_problem(sample, 60)
    asked = []

    def choose(rows, n_items, problem, **options):
        asked.append((len(rows.indices), n_items, problem, options["n_factors"]))
        return Choice(12, 0.5 * problem.weight_decay)

    monkeypatch.setattr(implicit, "choose", choose)
    found = palate.ImplicitALS().data_defaults(LIKES)
    assert asked == [(len(sample.indices), 60, usual_of_some, None)]
    assert usual.weight_decay != pytest.approx(usual_of_some.weight_decay, rel=0.01)
    assert found["weight_decay"] == pytest.approx(0.5 * usual.weight_decay)
    assert found["unobserved_weight"] == usual.unobserved_weight and found["n_factors"] == 12


@pytest.mark.parametrize(
    ("recipe", "given"),
    [
        (palate.ImplicitALS(n_factors=4, n_sweeps=2), {"weight_decay": 1.0}),
        (palate.SparseEASE(k=10), {"weight_decay": 40.0, "user_exponent": 0.5, "item_exponent": 0.0}),
    ],
)
def test_a_fit_to_very_many_choices_learns_from_all_of_them(recipe, given, monkeypatch):
    """The limit plays no part where nothing is chosen, and the settings are all that it can change."""
    fixed = replace(recipe, **given).fit(LIKES, progress=False)
    monkeypatch.setattr(hidden, "MANY", 3000)
    assert recipe.fit(LIKES, progress=False).model.history is ROWS
    found = replace(recipe, **given).fit(LIKES, progress=False)
    assert found.recommend(n=5)["score"].to_list() == fixed.recommend(n=5)["score"].to_list()
