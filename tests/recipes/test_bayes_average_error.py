"""What a sweep of Bayes tells of its training error: that of the average of the draws, which the model is."""

import numpy as np
import pytest

import palate
from palate.recipes.gibbs import averaging

WORLD = palate.datasets.synthetic(60, 40, 1200, seed=1)


def with_times(ratings):
    labels = {f"{side}_vocabulary": getattr(ratings, f"{side}_vocabulary") for side in ("user", "item")}
    times = np.arange(len(ratings)) * 100_000
    return palate.Ratings(ratings.user_codes, ratings.item_codes, ratings.values, times=times, **labels)


@pytest.mark.parametrize(
    ("ratings", "options"),
    [(WORLD, {"likelihood": "ordinal"}), (WORLD, {}), (with_times(WORLD), {"time": True}),
     (WORLD._with(weights=np.linspace(1, 3, len(WORLD)).astype(np.float32)), {})],
    ids=["steps", "numbers", "times", "weights"],
)  # fmt: skip
def test_the_average_of_the_draws_is_measured(ratings, options):
    seen = []
    recipe = palate.Bayes(n_factors=3, n_sweeps=25, n_threads=1, **options)
    rec = recipe.fit(ratings, callback=seen.append, progress=False)
    assert seen[0].average_rmse is None  # no draw has been kept yet
    predicted = rec.predict_codes(ratings.user_codes, ratings.item_codes, when=ratings.times)
    predicted = predicted[0] if isinstance(predicted, tuple) else predicted
    weights = np.ones(len(ratings)) if ratings.weights is None else ratings.weights
    error = np.sqrt(np.average((np.asarray(predicted, float) - ratings.values) ** 2, weights=weights))
    assert seen[-1].average_rmse == pytest.approx(error, rel=0.03)
    record = rec.model.training["sweeps"]
    assert record[-1]["average_rmse"] == seen[-1].average_rmse and "average_rmse" not in record[0]


def test_many_ratings_are_measured_on_some_whatever_their_order(monkeypatch):
    monkeypatch.setattr(averaging, "N_MEASURED", 50)
    timed = with_times(WORLD)
    for ratings, flag in ((WORLD, False), (timed, True)):
        users = np.random.default_rng(0).permutation(ratings.n_users)
        moved = ratings[np.argsort(users[ratings.user_codes], kind="stable")]
        one, other = (averaging.some_of(some, 7, with_times=flag) for some in (ratings, moved))
        assert len(one) == 50
        for name in ("user_codes", "item_codes", "values", *(["times"] if flag else [])):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_other_recipes_have_no_average():
    seen = []
    palate.ALS(n_threads=1, n_sweeps=2).fit(WORLD, callback=seen.append, progress=False)
    assert [sweep.average_rmse for sweep in seen] == [None, None]
