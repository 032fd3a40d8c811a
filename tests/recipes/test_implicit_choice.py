"""The width and the weight decay of ImplicitALS: which trials are made, what they measure, and what real data get."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import palate
from palate.models.implicit import Sweep, default_problem, start, sweeps
from palate.recipes import implicit_choice
from palate.recipes.hidden import DOUBT, Hidden, is_better

DATA = os.environ.get("PALATE_DATA")


def likes(n_users=300, n_items=60, n=6000, seed=1):
    return palate.datasets.synthetic(n_users, n_items, n, seed=seed).likes(at_least=4)


def chosen(data, ndcg_of, monkeypatch, n_factors=16, in_use=False, chooses_decay=True):
    """The width, the decay as a multiple of the usual one, and what was tried, if lists are as good as ndcg_of says."""
    usual, tried = default_problem(data.by_user(), data.n_items), []

    def of(_, width, times):
        tried.append((width, times))
        ndcg = np.full(200, ndcg_of(width, times)) + np.random.default_rng(len(tried)).normal(0, 0.01, 200)
        return implicit_choice.Trial(ndcg, None)

    monkeypatch.setattr(implicit_choice._Trials, "of", of)
    monkeypatch.setattr(implicit_choice, "is_in_use", lambda _: in_use)
    choice = implicit_choice.choose(
        data.by_user(), data.n_items, usual, n_factors=n_factors, chooses_decay=chooses_decay, confidence="equal",
        seed=0,
    )  # fmt: skip
    return choice.n_factors, choice.weight_decay / usual.weight_decay, tried


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
    found = chosen(likes(), lambda _, times: 0.5 - 0.02 * abs(np.log2(times / best)), monkeypatch)
    assert found == (16, pytest.approx(expected), [(16, times) for times in tried])


def test_what_may_be_chance_changes_nothing(monkeypatch):
    found = chosen(likes(), lambda _, times: 0.3 + 0.0001 * (times < 1), monkeypatch)
    assert found == (16, 1.0, [(16, 1), (16, 0.5), (16, 2)])


def test_trials_of_the_decay_have_128_factors_at_most(monkeypatch):
    width, _, tried = chosen(likes(), lambda *_: 0.3, monkeypatch, n_factors=200)
    assert width == 200
    assert {width for width, _ in tried} == {128}


@pytest.mark.parametrize(
    ("gain", "best_decay", "expected", "more"),
    [
        (0.1, 1.0, (256, 1.0), [(256, 1), (256, 0.5)]),
        (0.1, 0.25, (256, 0.25), [(256, 1), (256, 0.5), (256, 0.25), (256, 0.125)]),
        (0.0, 1.0, (128, 1.0), [(256, 1)]),
        (-0.1, 1.0, (128, 1.0), [(256, 1)]),
    ],
)
def test_256_factors_are_taken_if_lists_get_better_with_them(gain, best_decay, expected, more, monkeypatch):
    def ndcg(width, times):
        return 0.5 + (gain - 0.02 * abs(np.log2(times / best_decay)) if width == 256 else -0.02 * abs(np.log2(times)))

    *found, tried = chosen(likes(), ndcg, monkeypatch, n_factors=None, in_use=True)
    assert tuple(found) == expected
    assert tried == [(128, 1), (128, 0.5), (128, 2), *more]


def test_256_factors_are_not_tried_where_128_are_not_in_use(monkeypatch):
    width, _, tried = chosen(likes(), lambda width, _: float(width), monkeypatch, n_factors=None)
    assert width == 128
    assert {width for width, _ in tried} == {128}


def test_a_given_decay_stays_while_the_width_is_chosen(monkeypatch):
    found = chosen(
        likes(), lambda width, _: float(width), monkeypatch, n_factors=None, in_use=True, chooses_decay=False
    )
    assert found == (256, 1.0, [(128, 1), (256, 1)])


def test_nothing_is_tried_if_both_are_given(monkeypatch):
    assert chosen(likes(), lambda *_: 0.3, monkeypatch, chooses_decay=False) == (16, 1.0, [])


@pytest.mark.parametrize(("tail", "expected"), [(0.021, True), (0.019, False)])
def test_factors_are_in_use_if_the_spectrum_does_not_end(tail, expected):
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(n, 16)))[0] for n in (90, 60))
    values = np.array([50.0, 3, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3 * tail, 0.0])
    turn = rng.normal(size=(16, 16))
    users, items = (left * values) @ turn, right @ np.linalg.inv(turn).T
    assert implicit_choice.is_in_use(Sweep(users.astype(np.float32), items.astype(np.float32))) is expected


def test_doubt_is_two_standard_errors_of_the_differences():
    rng = np.random.default_rng(0)
    before, gains = rng.random(400), rng.normal(size=400)
    gains = (gains - gains.mean()) / gains.std(ddof=1)
    for errors, better in ((DOUBT - 0.01, False), (DOUBT + 0.01, True)):
        assert is_better(before + gains + errors / 20, before) is better


def test_few_users_with_enough_choices_get_the_usual_decay(monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr(implicit_choice._Trials, "of", never)
    data = likes(90, 40, 3000)
    recipe = palate.ImplicitALS(n_factors=8)
    assert recipe.resolved(data).weight_decay == default_problem(data.by_user(), data.n_items).weight_decay
    assert palate.ImplicitALS().resolved(data).n_factors == 128


def test_a_trial_measures_the_lists_of_a_fit():
    data = likes()
    usual = default_problem(data.by_user(), data.n_items)
    hidden = Hidden.of(data.by_user(), None)
    trials = implicit_choice._Trials(hidden, data.n_items, usual, "equal", 3, 0)
    found, made = trials.of(8, 1.0)
    passes = sweeps(usual, trials.by_user, trials.by_item, start(data.n_users, data.n_items, 8, 3))
    for _ in range(implicit_choice.N_SWEEPS):
        state = next(passes)
    assert made.items.tobytes() == state.items.tobytes()
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


def test_the_fit_tells_what_it_took_and_gives_the_bytes_of_a_fit_with_it():
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
