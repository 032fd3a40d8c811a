"""Many new users or items in one fold-in: each answer is the same, up to rounding, as for that one alone."""

import numpy as np
import polars as pl
import pytest

import palate
from helpers.command_line import answer
from helpers.command_line import ask as run
from palate.errors import DataError, OptionError, UnknownLabelError

STARS = {
    "Bayes": palate.Bayes(n_factors=3, n_sweeps=12),
    "Bayes, ordinal": palate.Bayes(n_factors=3, n_sweeps=12, likelihood="ordinal"),
    "ALS": palate.ALS(n_factors=3),
    "SGD": palate.SGD(n_factors=3),
    "SGD in a range": palate.SGD(n_factors=3, y_range=(0.0, 6.0)),
    "Bias": palate.Bias(),
    "Mean": palate.Mean(),
    "Neighbors": palate.Neighbors(),
}
CHOICES = {
    "ImplicitALS": palate.ImplicitALS(n_factors=3),
    "EASE": palate.EASE(),
    "BPR": palate.BPR(n_factors=3, n_epochs=3),
    "Popularity": palate.Popularity(),
    "Neighbors of choices": palate.Neighbors(),
}
GIVEN = {"ann": {"i2": 5, "i7": 1}, "bob": {"i3": 4}, "cid": {}, "dan": {"i1": 2, "i2": 3, "i9": 5, "i4": 4}}
LISTS = {who: list(own) for who, own in GIVEN.items()}


@pytest.fixture(scope="module")
def data():
    return palate.datasets.synthetic(60, 40, 1200, seed=1)


@pytest.fixture(scope="module", params=[*STARS, *CHOICES])
def case(request, data):
    """A model, and what it folds in for many."""
    if request.param in STARS:
        return STARS[request.param].fit(data, progress=False), GIVEN
    return CHOICES[request.param].fit(data.likes(at_least=4), progress=False), LISTS


def test_each_answer_is_that_of_one_alone(case):
    rec, given = case
    many = rec.fold_in(given)
    assert list(many) == list(given)
    assert len(many) == many.vectors.shape[0] == 4
    recommended = many.recommend(n=5)
    predicted = many.predict(list(given), "i5")
    for at, (who, own) in enumerate(given.items()):
        alone = rec.fold_in(own)
        np.testing.assert_allclose(many.vectors[at], alone.vector, atol=1e-6)
        np.testing.assert_array_equal(many[who].vector, many.vectors[at])
        assert_same(recommended.filter(user=who).drop("user"), alone.recommend(n=5))
        assert_same(many[who].recommend(n=5, keep_seen=True), alone.recommend(n=5, keep_seen=True))
        for now, was in zip(predicted.row(at)[2:], alone.predict("i5"), strict=True):
            assert now == pytest.approx(was, nan_ok=True, abs=1e-5)
        one, other = many.explain(who, "i5"), alone.explain("i5")
        assert one.prediction == pytest.approx(other.prediction, abs=1e-5)
        for reason, known in zip(one.because, other.because, strict=True):
            assert (reason.item, reason.contribution) == (known.item, pytest.approx(known.contribution, abs=1e-5))


def assert_same(one, other):
    assert one.columns == other.columns
    assert one["item"].to_list() == other["item"].to_list()
    np.testing.assert_allclose(one["score"], other["score"], atol=1e-5)


def test_draws_are_those_of_one_alone(data):
    rec = STARS["Bayes"].fit(data, progress=False)
    many = rec.fold_in(GIVEN)
    for by in ("lower", "thompson"):
        lists = many.recommend(n=4, by=by, seed=3)
        for who, own in GIVEN.items():
            alone = rec.fold_in(own).recommend(n=4, by=by, seed=3)
            if by == "lower" or who == "ann":  # random choices of draws go by the place in the list
                assert lists.filter(user=who)["item"].to_list() == alone["item"].to_list()
    pairs = {"user": ["dan", "ann", "dan"], "item": ["i5", "i6", "nothing"]}
    frame = many.predict(pl.DataFrame(pairs))
    for who, item, *told in frame.iter_rows():
        np.testing.assert_allclose(told, rec.fold_in(GIVEN[who]).predict(item), atol=1e-5)


def rows_of(given):
    return {
        "user": [who for who, own in given.items() for _ in own],
        "item": [item for own in given.values() for item in own],
        "rating": [float(value) for own in given.values() for value in own.values()],
    }


def test_lists_and_every_kind_of_frame(data):
    rec = STARS["ALS"].fit(data, progress=False)
    expected = rec.fold_in(GIVEN)
    by_place = rec.fold_in(list(GIVEN.values()))
    assert list(by_place) == [0, 1, 2, 3]
    np.testing.assert_array_equal(by_place.vectors, expected.vectors)
    frame = pl.DataFrame(rows_of(GIVEN))
    shuffled = frame.sample(fraction=1, shuffle=True, seed=1)
    for one in (frame, frame.to_arrow(), shuffled):
        many = rec.fold_in(one)
        assert set(many) == {"ann", "bob", "dan"}  # who has no rating is in no row
        for who in many:
            np.testing.assert_allclose(many[who].vector, expected[who].vector, atol=1e-6)
    pd = pytest.importorskip("pandas")
    np.testing.assert_array_equal(rec.fold_in(pd.DataFrame(rows_of(GIVEN)))["dan"].vector, expected["dan"].vector)
    heavy = rec.fold_in(frame.with_columns(weight=pl.lit(2.0)))
    alone = rec.fold_in(frame.filter(user="dan").drop("user").with_columns(weight=pl.lit(2.0)))
    np.testing.assert_array_equal(heavy["dan"].vector, alone.vector)


def test_new_items(data):
    rec = STARS["Bayes"].fit(data, progress=False)
    given = {"tea": {"u1": 5, "u2": 4}, "jam": {"u3": 1}}
    many = rec.fold_in(given, side="item")
    for who, own in given.items():
        np.testing.assert_allclose(many[who].vector, rec.fold_in(own, side="item").vector, atol=1e-6)
    assert many.recommend(n=2).columns[:2] == ["item", "user"]
    frame = {"item": ["tea", "tea", "jam"], "user": ["u1", "u2", "u3"], "rating": [5, 4, 1]}
    np.testing.assert_array_equal(rec.fold_in(pl.DataFrame(frame), side="item").vectors, many.vectors)


def test_choices_with_counts(data):
    rec = CHOICES["ImplicitALS"].fit(palate.read(data.to_frame(), kind="implicit"), progress=False)
    given = {"ann": {"i2": 5, "i7": 1}, "bob": {"i3": 4}}
    many = rec.fold_in(given)
    for who, own in given.items():
        np.testing.assert_array_equal(many[who].vector, rec.fold_in(own).vector)
    np.testing.assert_array_equal(rec.fold_in(pl.DataFrame(rows_of(given))).vectors, many.vectors)


def test_features_of_each(data):
    users = pl.DataFrame({"user": list(data.user_vocabulary), "age": [20 + at % 50 for at in range(60)]})
    rec = STARS["Bayes"].fit(data.with_users(users), progress=False)
    ages = {"ann": {"age": 24}, "cid": {"age": 60}}
    many = rec.fold_in(GIVEN, features=ages)
    for who, own in GIVEN.items():
        alone = rec.fold_in(own, features=ages.get(who, {}))
        np.testing.assert_allclose(many[who].vector, alone.vector, atol=1e-6)
        np.testing.assert_allclose(many[who].predict("i5"), alone.predict("i5"), atol=1e-5)
    listed = rec.fold_in(list(GIVEN.values()), features=[ages.get(who, {}) for who in GIVEN])
    np.testing.assert_array_equal(listed.vectors, many.vectors)
    for wrong in ({"eve": {"age": 3}}, {"age": 3}, [{}], "age"):
        with pytest.raises(OptionError, match="features of many"):
            rec.fold_in(GIVEN, features=wrong)


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"u1": {"i2": 5}, "ann": {"i2": 4}}, DataError, "knows user 'u1' already"),
        ({"ann": {"i2": 5}, "bob": {"nothing": 4}}, UnknownLabelError, "'bob': .*nothing"),
        ({"ann": {"i2": 5}, "bob": {"i2": float("nan")}}, DataError, "'bob': a rating is NaN"),
        ({"ann": {"i2": 500}}, DataError, "another scale"),
        (
            pl.DataFrame({"user": ["a", "a"], "item": ["i1", "i1"], "rating": [5, 4]}),
            DataError,
            "'i1' is rated 2 times",
        ),
        (pl.DataFrame({"user": ["a", None], "item": ["i1", "i2"], "rating": [5, 4]}), DataError, "missing"),
    ],
)
def test_refusals(data, given, error, told):
    rec = STARS["ALS"].fit(data, progress=False)
    with pytest.raises(error, match=told):
        rec.fold_in(given)


def test_who_is_not_among_them(data):
    many = STARS["ALS"].fit(data, progress=False).fold_in(GIVEN)
    assert "ann" in many
    assert "u1" not in many
    for ask in (lambda: many["u1"], lambda: many.predict("u1", "i2"), lambda: many.explain("u1", "i2")):
        with pytest.raises(UnknownLabelError, match="u1"):
            ask()
    assert many.predict("ann", ["i2", "nothing"], on_unknown="nan")["prediction"].is_nan().to_list() == [False, True]


def test_the_command_line_takes_a_file_of_new_users(data, tmp_path):
    rec, likes = (recipe.fit(ratings, progress=False) for recipe, ratings in (
        (STARS["ALS"], data), (CHOICES["EASE"], data.likes(at_least=4))
    ))  # fmt: skip
    rec.save(tmp_path / "stars.palate")
    likes.save(tmp_path / "likes.palate")
    pl.DataFrame(rows_of(GIVEN)).write_csv(tmp_path / "new.csv")
    pl.DataFrame(rows_of(GIVEN)).drop("rating").write_csv(tmp_path / "liked.csv")
    answer("recommend", tmp_path / "stars.palate", "--new", tmp_path / "new.csv", "-n", 2, "-o", tmp_path / "a.csv")
    answer("recommend", tmp_path / "likes.palate", "--new", tmp_path / "liked.csv", "-n", 2, "-o", tmp_path / "b.csv")
    given = {who: own for who, own in GIVEN.items() if own}
    for name, expected in (("a", rec.fold_in(given)), ("b", likes.fold_in({who: LISTS[who] for who in given}))):
        found = pl.read_csv(tmp_path / f"{name}.csv").sort("user", "rank")["item"].to_list()
        assert found == expected.recommend(n=2).sort("user", "rank")["item"].to_list()
    refused = run("recommend", tmp_path / "likes.palate", "--new", tmp_path / "new.csv")
    assert "learned from likes" in refused.stderr
