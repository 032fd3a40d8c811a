"""The weight decay of ImplicitALS: which trials are made, what they measure, and what real data get."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import palate
from palate.models.implicit import default_problem, start, sweeps
from palate.recipes import implicit_decay
from palate.recipes.hidden import DOUBT, Hidden, is_better

DATA = os.environ.get("PALATE_DATA")


def likes(n_users=300, n_items=60, n=6000, seed=1):
    return palate.datasets.synthetic(n_users, n_items, n, seed=seed).likes(at_least=4)


def chosen(data, ndcg_of, monkeypatch, n_factors=16):
    """The decay chosen, as a multiple of the usual one, and those tried, if lists are as good as ndcg_of says."""
    usual, tried = default_problem(data.by_user(), data.n_items), []

    def ndcg(_, begun, problem):
        times = problem.weight_decay / usual.weight_decay
        tried.append((round(times, 6), begun.items.shape[1]))
        return np.full(200, ndcg_of(times)) + np.random.default_rng(len(tried)).normal(0, 0.01, 200)

    monkeypatch.setattr(implicit_decay._Trial, "ndcg", ndcg)
    decay = implicit_decay.choose_decay(
        data.by_user(), data.n_items, usual, n_factors=n_factors, confidence="equal", seed=0
    )
    assert {width for _, width in tried} <= {min(n_factors, 128)}
    return decay / usual.weight_decay, [times for times, _ in tried]


@pytest.mark.parametrize(
    ("best", "expected", "tried"),
    [
        (1.0, 1.0, [1, 0.5, 2]),
        (0.5, 0.5, [1, 0.5, 0.25]),
        (0.25, 0.25, [1, 0.5, 0.25, 0.125]),
        (4.0, 4.0, [1, 0.5, 2, 4, 8]),
        (1e-6, 0.125, [1, 0.5, 0.25, 0.125]),
        (1e6, 8.0, [1, 0.5, 2, 4, 8]),
    ],
)
def test_decays_are_tried_as_long_as_lists_get_better(best, expected, tried, monkeypatch):
    found = chosen(likes(), lambda times: 0.5 - 0.02 * abs(np.log2(times / best)), monkeypatch)
    assert found == (pytest.approx(expected), tried)


def test_what_may_be_chance_changes_nothing(monkeypatch):
    assert chosen(likes(), lambda times: 0.3 + 0.0001 * (times < 1), monkeypatch) == (1.0, [1, 0.5, 2])


def test_trials_have_128_factors_at_most(monkeypatch):
    chosen(likes(), lambda _: 0.3, monkeypatch, n_factors=200)


def test_doubt_is_two_standard_errors_of_the_differences():
    rng = np.random.default_rng(0)
    before, gains = rng.random(400), rng.normal(size=400)
    gains = (gains - gains.mean()) / gains.std(ddof=1)
    for errors, better in ((DOUBT - 0.01, False), (DOUBT + 0.01, True)):
        assert is_better(before + gains + errors / 20, before) is better


def test_few_users_with_enough_choices_get_the_usual_decay(monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr(implicit_decay._Trial, "ndcg", never)
    data = likes(90, 40, 3000)
    recipe = palate.ImplicitALS(n_factors=8)
    assert recipe.problem(data).weight_decay == default_problem(data.by_user(), data.n_items).weight_decay


def test_a_trial_measures_the_lists_of_a_fit():
    data = likes()
    usual = default_problem(data.by_user(), data.n_items)
    hidden = Hidden.of(data.by_user(), None)
    trial = implicit_decay._Trial(hidden, data.n_items, "equal", 0)
    begun = start(data.n_users, data.n_items, 8, 3)
    found = trial.ndcg(begun, usual)
    passes = sweeps(usual, trial.by_user, trial.by_item, begun)
    for _ in range(implicit_decay.N_SWEEPS):
        state = next(passes)
    items = state.items.astype(float)
    for at in range(0, len(hidden.users), 17):
        seen, targets = hidden.rest.row(int(hidden.users[at]))[0], hidden.targets.row(at)[0]
        A = usual.unobserved_weight * items.T @ items + items[seen].T @ items[seen]
        A += float(usual.ridge(len(seen), data.n_items)) * np.eye(8)
        scores = items @ np.linalg.solve(A, items[seen].sum(axis=0))
        scores[seen] = -np.inf
        best = np.argsort(-scores, kind="stable")[:20].tolist()
        gain = sum(1 / np.log2(2 + best.index(item)) for item in targets if item in best)
        assert found[at] == pytest.approx(gain / sum(1 / np.log2(2 + n) for n in range(len(targets))), abs=1e-6)


def test_the_fit_tells_the_decay_and_gives_the_bytes_of_a_fit_with_it():
    data = likes()
    recipe = palate.ImplicitALS(n_factors=8, n_sweeps=2)
    rec = recipe.fit(data, progress=False)
    decay = rec.model.training["weight_decay"]
    assert decay == recipe.data_defaults(data)["weight_decay"]
    given = replace(recipe, weight_decay=decay).fit(data, progress=False)
    assert given.model.factors.items.tobytes() == rec.model.factors.items.tobytes()
    assert rec.model.recipe["weight_decay"] is None


@pytest.mark.long
@pytest.mark.skipif(DATA is None, reason="PALATE_DATA is not set")
def test_shops_with_little_structure_get_more_decay():
    folder = Path(DATA) / "yelp-hin"
    frame = pl.read_parquet(folder / "ratings.parquet")
    visits = palate.read(frame.select(frame.columns[:2]), kind="implicit")
    train, test = palate.split_within_users(visits, test=0.2, seed=0)
    recipe = palate.ImplicitALS(n_factors=64)
    usual = default_problem(train.by_user(), train.n_items).weight_decay
    rec = recipe.fit(train, progress=False)
    assert rec.model.training["weight_decay"] >= 2 * usual
    before = replace(recipe, weight_decay=usual).fit(train, progress=False)
    ndcg = [palate.evaluate(each, test, k=20)["ndcg@20"] for each in (rec, before)]
    assert ndcg[0] > 1.05 * ndcg[1]
