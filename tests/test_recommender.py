"""The recommender against brute force: rankings, similarities, tables, and arguments in every shape."""

import inspect
import subprocess
import sys
import typing
from statistics import NormalDist

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from palate import options as option_checks
from palate import recommender
from palate.answers import arguments, fold_in
from palate.answers.ranking import memory, recommending
from palate.errors import DataError, LabelTypeError, OptionError
from palate.models.forecasts import Forecast

N_USERS, N_ITEMS = 40, 25
users = st.sampled_from([f"u{n}" for n in range(N_USERS)])
items = st.lists(st.sampled_from([f"i{n}" for n in range(N_ITEMS)]), max_size=30)


@pytest.fixture(scope="module")
def data():
    return palate.datasets.synthetic(N_USERS, N_ITEMS, 350, n_factors=2, seed=6)


@pytest.fixture(scope="module", params=["Bayes", "ALS", "Popularity"])
def rec(request, data):
    recipes = {
        "Bayes": palate.Bayes(n_factors=2, n_sweeps=20),
        "ALS": palate.ALS(n_factors=2),
        "Popularity": palate.Popularity(),
    }
    return recipes[request.param].fit(data)


@pytest.fixture(scope="module")
def bayes(data):
    return palate.Bayes(n_factors=2, n_sweeps=20).fit(data)


@given(user=users, n=st.integers(0, 40), wanted=st.one_of(st.none(), items), exclude=items, keep_seen=st.booleans())
@settings(deadline=None)
def test_recommend_is_a_sorted_table(rec, user, n, wanted, exclude, keep_seen):
    known = rec.cross_tab([user], rec.model.item_vocabulary)
    scores = rec.model.factors.scores(rec.model.user_rows(np.array([int(user[1:])], np.int32)).vectors)[0]
    allowed = [
        (-score, code)
        for code, (item, seen) in enumerate(zip(known.items, ~np.isnan(known.known[0]), strict=True))
        if (wanted is None or item in wanted) and item not in exclude and (keep_seen or not seen)
        for score in scores[[code]]
    ]
    expected = [known.items[code] for _, code in sorted(allowed)[:n]]
    answer = rec.recommend(user, n, items=wanted, exclude=exclude, keep_seen=keep_seen)
    assert answer["item"].to_list() == expected
    assert answer["rank"].to_list() == list(range(1, len(expected) + 1))


@given(st.lists(st.one_of(users, st.just("nobody")), max_size=12), st.integers(1, 6))
@settings(deadline=None)
def test_any_mix_of_users_in_any_order(rec, asked, n):
    answer = rec.recommend(asked, n)
    singles = [rec.recommend(user, n) for user in asked]
    expected = pl.concat(singles) if singles else answer
    assert answer["user"].to_list() == expected["user"].to_list()
    assert answer["item"].to_list() == expected["item"].to_list()
    np.testing.assert_allclose(answer["score"], expected["score"], rtol=1e-5)


def test_labels_may_come_in_any_container(rec):
    asked = ["u3", "nobody", "u1"]
    expected = rec.recommend(asked, n=3)
    pandas = pytest.importorskip("pandas")
    for given_as in (
        tuple(asked), np.array(asked), np.array(asked, object), pl.Series(asked), pandas.Series(asked), iter(asked),
        pl.Series(asked, dtype=pl.Categorical), dict.fromkeys(asked),
    ):  # fmt: skip
        with palate.set_output("polars"):
            assert rec.recommend(given_as, n=3).equals(expected)
    answer = rec.predict(asked, ["i1", "i2", "i3"])
    for make in (tuple, np.array, pl.Series, pandas.Series, iter):
        with palate.set_output("polars"):
            assert rec.predict(make(asked), make(["i1", "i2", "i3"])).equals(answer, null_equal=True)
    assert rec.recommend("u1", items=iter(["i1", "i2"]), keep_seen=True).height == 2
    assert rec.recommend(np.str_("u1"), n=2).equals(rec.recommend("u1", n=2))


def test_frames_of_any_make_up(bayes):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"user": ["u1", "u2"], "item": ["i1", "i2"]}, index=[7, 3])
    expected = bayes.predict(["u1", "u2"], ["i1", "i2"])
    for given_as in (frame, frame.astype("category"), frame.astype(object), frame[["item", "user"]]):
        answer = bayes.predict(given_as)
        assert isinstance(answer, pandas.DataFrame)
        assert answer["prediction"].tolist() == expected["prediction"].to_list()
        assert answer["user"].tolist() == ["u1", "u2"]
    missing = pandas.DataFrame({"user": ["u1", None], "item": ["i1", "i2"]})
    with pytest.raises(DataError, match="missing"):
        bayes.predict(missing)
    with pytest.raises(DataError, match="no item column"):
        bayes.predict(frame[["user"]])
    with pytest.raises(OptionError, match="a frame with both columns"):
        bayes.predict("u1")
    with pytest.raises(DataError, match="no user column"):
        bayes.recommend(pl.DataFrame({"who": ["u1"]}))
    with pytest.raises(LabelTypeError):
        bayes.predict(pl.DataFrame({"user": [1], "item": [2]}))


def test_similarity_is_the_cosine_of_factors(bayes):
    for factors, ask, what in (
        (bayes.user_factors, bayes.similar_users, "u"),
        (bayes.item_factors, bayes.similar_items, "i"),
    ):
        unit = factors / np.linalg.norm(factors, axis=1, keepdims=True)
        cosine = unit @ unit.T
        for code in (0, 7, 24):
            answer = ask(f"{what}{code}", n=99)
            order = np.array([int(label[1:]) for label in answer.to_series(0)])
            assert sorted([*order.tolist(), code]) == list(range(len(factors)))
            np.testing.assert_allclose(answer["cosine"], cosine[code, order], atol=1e-5)
            assert (np.diff(answer["cosine"]) <= 0).all()
    assert bayes.similar_users("u1", n=0).height == 0
    many = bayes.similar_items(["i1", "i2"], n=2)
    assert many.columns == ["to", "item", "cosine", "rank"]
    with pytest.raises(OptionError, match="n must be"):
        bayes.similar_users("u1", n=-1)


@pytest.mark.parametrize(
    "level", [None, "a", "0.5", 0, 1, -1, 2, np.nan, np.array([0.5, 0.9]), np.array(0.5), True, 1j]
)
def test_a_level_is_a_probability(rec, level):
    new = rec.fold_in({"i1": 5})
    for ask in (lambda: rec.predict("u1", "i1", level=level), lambda: new.predict("i1", level=level),
                lambda: rec.recommend("u1", level=level)):  # fmt: skip
        with pytest.raises(OptionError, match="level must lie between 0 and 1"):
            ask()


def test_an_array_without_dimensions_is_a_label(rec):
    expected = rec.predict("u1", "i2").prediction
    assert rec.predict(np.array("u1"), "i2").prediction == expected
    assert rec.predict("u1", np.array("i2", object)).prediction == expected
    assert rec.predict(np.array("u1"), ["i2"])["prediction"].to_list() == [expected]
    assert rec.predict("u1", iter(["i2", "i3"])).height == 2
    with pytest.raises(DataError, match=r"users have shape \(\)"):
        rec.recommend(np.array("u1"))
    new = rec.fold_in({"i1": 5})
    assert new.predict(np.array("i2")).prediction == new.predict("i2").prediction


@pytest.mark.parametrize("n", [2**31, 2**63, 2**80, -1, 2.0, None, "a", True])
def test_a_number_of_answers_is_one_that_can_be_counted(rec, bayes, n):
    for ask in (lambda: rec.recommend("u1", n), lambda: bayes.similar_items("i1", n),
                lambda: rec.fold_in({"i1": 5}).recommend(n)):  # fmt: skip
        with pytest.raises(OptionError, match=rf"n must be (a whole number, 0 or more|at most {2**31 - 1}), got"):
            ask()
    assert rec.recommend("u1", 2**31 - 1, keep_seen=True).height <= N_ITEMS


@pytest.mark.parametrize("seed", [-1, "a", None, 1.5, True])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(OptionError, match="seed must be a whole number, 0 or more"):
        option_checks.check_seed(seed)
    option_checks.check_seed(0)
    option_checks.check_seed(2**70)


@pytest.mark.parametrize("value", [3e38, -3e38, 50, 1e6])
def test_ratings_on_another_scale_are_not_folded_in(rec, value):
    low, high = rec.model.limits
    shown = f"{value:g} for item 'i2', where the model learned from ratings between {low:g} and {high:g}"
    with pytest.raises(DataError, match=shown.replace("+", r"\+")):
        rec.fold_in({"i1": 3, "i2": value})
    with pytest.raises(DataError, match=r"on another scale: .* for user 'u2'"):
        rec.fold_in({"u2": value}, side="item")


def test_ratings_a_little_outside_are_folded_in(rec):
    low, high = rec.model.limits
    for value in (2 * high - low, 2 * low - high):
        assert np.isfinite(rec.fold_in({"i1": value}).predict("i2").prediction)
    for value in (2 * high - low + 0.01, 2 * low - high - 0.01):
        with pytest.raises(DataError, match="on another scale"):
            rec.fold_in({"i1": value})


@pytest.mark.parametrize(("only", "inside", "outside"), [(4, (0, 8), (-0.1, 8.1)), (0, (-1, 1), (-1.1, 1.1))])
def test_where_all_ratings_are_equal_there_is_a_range_too(only, inside, outside):
    rec = palate.Mean().fit(palate.read({"user": ["a", "b"], "item": ["x", "y"], "rating": [only, only]}))
    for value in inside:
        rec.fold_in({"x": value})
    for value in outside:
        with pytest.raises(DataError, match="on another scale"):
            rec.fold_in({"x": value})


def test_a_history_from_a_mapping_or_a_frame(rec):
    vocabulary = rec.model.item_vocabulary
    row = arguments.history_of(vocabulary, {"i3": 5, "i1": 2})
    assert (row.indptr.tolist(), row.indices.tolist(), row.values.tolist()) == ([0, 2], [3, 1], [5, 2])
    assert row.weights is None
    frame = pl.DataFrame({"movie_id": ["i3", "i1"], "stars": [5, 2], "weight": [1.0, 0.5]})
    weighted = arguments.history_of(vocabulary, frame)
    assert (weighted.indices.tolist(), weighted.values.tolist()) == ([3, 1], [5, 2])
    assert weighted.weights.tolist() == [1.0, 0.5]
    assert arguments.history_of(vocabulary, {}).indices.tolist() == []
    with pytest.raises(DataError, match="item 'i1' is rated 2 times"):
        arguments.history_of(vocabulary, pl.DataFrame({"item": ["i3", "i1", "i1"], "rating": [5, 2, 2]}))
    for weight, said in ((-1.0, "a weight is negative"), (np.nan, "a weight is NaN"), ("x", "a weight must be a num")):
        with pytest.raises(DataError, match=said):
            arguments.history_of(vocabulary, pl.DataFrame({"item": ["i1"], "rating": [5], "weight": [weight]}))
    with pytest.raises(DataError, match="1 of 1 values in the weight column are missing"):
        arguments.history_of(vocabulary, pl.DataFrame({"item": ["i1"], "rating": [5], "weight": [None]}))


def test_weights_of_a_history_count(bayes):
    def answer(weights):
        frame = pl.DataFrame({"item": ["i1", "i2"], "rating": [5, 1], "weight": weights})
        return fold_in.FoldIn(bayes.model, arguments.history_of(bayes.model.item_vocabulary, frame)).vector

    without = bayes.fold_in({"i1": 5, "i2": 1}).vector
    np.testing.assert_array_equal(answer([1.0, 1.0]), without)
    np.testing.assert_allclose(answer([1.0, 0.0]), bayes.fold_in({"i1": 5}).vector, atol=1e-5)
    assert np.abs(answer([1.0, 0.1]) - without).max() > 1e-4


def test_a_new_user_is_similar_to_users_like_it(bayes, data):
    rows = data.to_frame()
    busy = rows["user"].value_counts(sort=True)["user"][0]
    own = rows.filter(user=busy)
    new = bayes.fold_in(own.select("item", "rating"))
    assert busy in new.similar_users(n=8)["user"].to_list()
    item = bayes.fold_in({"u1": 5.0, "u2": 1.0}, side="item")
    assert item.similar_users(n=3).columns == ["item", "cosine", "rank"]


def test_cross_tab_becomes_a_frame(bayes, data):
    table = bayes.cross_tab(["u1", "u2"], ["i3", "i4", "i5"])
    assert table.to_frame().columns == ["user", "i3", "i4", "i5"]
    assert table.to_frame()["user"].to_list() == ["u1", "u2"]
    np.testing.assert_array_equal(table.to_frame("known").drop("user").to_numpy(), table.known)
    known = {(user, item): rating for user, item, rating in data.to_frame().iter_rows()}
    for row, user in enumerate(table.users):
        for column, item in enumerate(table.items):
            assert known.get((user, item), np.nan) == pytest.approx(table.known[row, column], nan_ok=True)
    assert "observed rating, and the predicted one in brackets" in str(table)
    most = bayes.cross_tab()
    counts = data.to_frame()["user"].value_counts()
    assert dict(counts.iter_rows())[most.users[0]] == counts["count"].max()


def test_titles_travel_along(data, tmp_path):
    titles = pl.DataFrame(
        {"year": list(range(N_ITEMS)), "name": [None if n == 3 else f"Film {n}" for n in range(N_ITEMS)]}
    )
    rec = palate.ALS(n_factors=2).fit(data.with_items(titles))
    best = rec.recommend("u1", n=N_ITEMS, keep_seen=True)
    assert best.columns == ["user", "item", "title", "score", "rank"]
    assert dict(best.select("item", "title").iter_rows()) == {
        f"i{n}": None if n == 3 else f"Film {n}" for n in range(N_ITEMS)
    }
    assert rec.similar_items("i1", n=2)["title"].to_list() == [
        f"Film {item[1:]}" if item != "i3" else None for item in rec.similar_items("i1", n=2)["item"]
    ]
    assert rec.similar_users("u1", n=2).columns == ["user", "cosine", "rank"]
    assert rec.fold_in({"i1": 5}).recommend(n=1).columns == ["item", "title", "score", "rank"]
    rec.recommend(n=2, out=tmp_path / "best.jsonl")
    assert pl.read_ndjson(tmp_path / "best.jsonl").columns == best.columns


# ---- files of recommendations


def test_a_failed_file_leaves_the_old_one(bayes, tmp_path, monkeypatch):
    path = tmp_path / "best.csv"
    path.write_text("the old one")
    monkeypatch.setattr(memory, "MAX_USERS", 3)
    whole, calls = recommending.best_items, []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) > 4:
            raise MemoryError("no more")
        return whole(*arguments)

    monkeypatch.setattr(recommending, "best_items", failing)
    with pytest.raises(Exception, match="no more"):
        bayes.recommend(out=path)
    assert path.read_text() == "the old one"
    assert [file.name for file in tmp_path.iterdir()] == ["best.csv"]


def test_blocks_are_bounded(bayes, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "MAX_USERS", 7)
    sizes, whole = [], recommending.best_items

    def watching(model, user_rows, *rest):
        sizes.append(len(user_rows))
        return whole(model, user_rows, *rest)

    monkeypatch.setattr(recommending, "best_items", watching)
    bayes.recommend(out=str(tmp_path / "best.parquet"))
    assert sizes == [7, 7, 7, 7, 7, 5]


def test_writing_where_there_is_no_folder(bayes, tmp_path):
    with pytest.raises(OptionError, match=r"there is no folder .*nowhere"):
        bayes.recommend(out=tmp_path / "nowhere" / "best.csv")


# ---- the small parts


@given(st.floats(0.01, 0.99), st.floats(-5, 5), st.floats(0, 5))
def test_intervals_hold_their_share_of_a_normal(level, center, spread):
    forecast = Forecast(np.array([center]), np.array([spread]), np.zeros(1))
    low, high = (float(end[0]) for end in forecast.interval(level))
    assert low <= center <= high
    if spread > 1e-3:
        law = NormalDist(center, spread)
        assert law.cdf(high) - law.cdf(low) == pytest.approx(level, abs=1e-6)


def test_intervals_end_with_the_range(bayes):
    for level in (0.5, 0.999):
        told = bayes.predict(["u1"] * 9, [f"i{code}" for code in range(9)], level=level)
        lowest, highest = bayes.model.limits
        assert (told["low"] >= lowest).all() and (told["high"] <= highest).all()
        assert (told["low"] <= told["prediction"]).all() and (told["prediction"] <= told["high"]).all()


def test_names_have_one_home_each():
    assert recommender.FoldIn is fold_in.FoldIn
    assert palate.load is recommender.load
    for owner in (palate.Recommender, fold_in.FoldIn):
        for name, member in inspect.getmembers(owner, inspect.isfunction):
            if not name.startswith("_"):
                assert member.__doc__, f"{owner.__name__}.{name} is not documented"
                assert "return" in typing.get_type_hints(member), name


def test_options_have_one_name_everywhere():
    options = set(inspect.signature(palate.Recommender.recommend).parameters)
    assert options >= {"n", "items", "exclude", "keep_seen", "by", "level", "seed", "out", "on_unknown"}
    assert set(inspect.signature(fold_in.FoldIn.recommend).parameters) <= options


def test_asking_a_saved_model_needs_no_training_code(bayes, tmp_path):
    bayes.save(tmp_path / "model.palate")
    source = (
        "import sys, palate; rec = palate.load(sys.argv[1]); rec.recommend('u1'); rec.predict('u1', 'i1'); "
        "print([name for name in ('palate.recipes', 'pandas', 'scipy', 'rich') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, str(tmp_path / "model.palate")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("recipe", [palate.Bias(), palate.Bayes(n_sweeps=40)], ids=["Bias", "compact Bayes"])
def test_cold_start_users_get_honest_intervals_without_draws_too(recipe):
    """Without draws, the variance of a cold-start user comes from the prior: wider intervals, with true coverage."""
    ratings = palate.datasets.synthetic(300, 120, 12_000, seed=4)
    train, held_out = palate.split_users(ratings, test=0.2, seed=0)
    rec = recipe.fit(train).compact()
    label = next(iter(rec.model.user_vocabulary.decode(train.user_codes[:1])))
    known, new_user, both = rec.predict(label, "i0"), rec.predict("nobody", "i0"), rec.predict("nobody", "nothing")
    free = rec.model.factors.unknown_variance
    minus = np.array([-1], np.int32)
    assert free(minus, np.zeros(1, np.int32))[0] > 0
    assert both.high - both.low >= new_user.high - new_user.low
    assert min(known) >= ratings.range[0]
    assert 0.85 <= palate.evaluate(rec, held_out, baselines=False)["coverage_90"] <= 0.95


def test_a_thompson_draw_depends_on_the_user_not_on_the_others():
    rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(40, 60, 1200, seed=2))
    users = ["u3", "u7", "nobody", "u1"]
    together = rec.recommend(users, n=5, by="thompson", seed=4)
    for user in users:
        alone = rec.recommend(user, n=5, by="thompson", seed=4)
        assert together.filter(pl.col("user") == user)["item"].to_list() == alone["item"].to_list()
    assert not together.equals(rec.recommend(users, n=5, by="thompson", seed=5))


def test_blocks_do_not_show(monkeypatch):
    rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(40, 60, 1200, seed=2))
    asked = {by: {"by": by} for by in ("mean", "lower", "thompson")}
    whole = {by: rec.recommend(n=4, **options) for by, options in asked.items()}
    similar = rec.similar_users([f"u{n}" for n in range(40)], n=3)
    monkeypatch.setattr(memory, "MAX_USERS", 5)
    for by, options in asked.items():
        found = rec.recommend(n=4, **options)
        assert found["item"].to_list() == whole[by]["item"].to_list()
    again = rec.similar_users([f"u{n}" for n in range(40)], n=3)
    np.testing.assert_allclose(again["cosine"], similar["cosine"], atol=1e-5)


def test_an_explanation_of_a_new_item_names_its_parts_after_what_they_are():
    rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(40, 60, 1200, seed=2))
    why = rec.fold_in({"u1": 5, "u2": 1}, side="item").explain("u5")
    assert (why.user, why.item) == ("u5", "new")
    assert why.parts["user"] == pytest.approx(
        float(rec.user_bias[rec.model.user_vocabulary.encode_one("u5")]), abs=1e-5
    )
    assert {reason.item for reason in why.because} == {"u1", "u2"}


def test_folding_in_a_frame_refuses_duplicates_and_heeds_weights():
    rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(40, 60, 1200, seed=2))
    frame = pl.DataFrame({"item": ["i1", "i2"], "rating": [5.0, 1.0], "weight": [3.0, 0.0]})
    only = rec.fold_in({"i1": 5.0}).predict("i3").prediction
    assert rec.fold_in(frame.with_columns(weight=pl.Series([1.0, 0.0]))).predict("i3").prediction == pytest.approx(only)
    assert rec.fold_in(frame).predict("i3").prediction != pytest.approx(only, abs=1e-6)
    with pytest.raises(DataError, match="i1"):
        rec.fold_in(pl.concat([frame, frame]))


@pytest.mark.parametrize("given", ["", 3, b"file", ["file"]], ids=repr)
def test_what_is_no_path_is_refused_wherever_one_is_asked_for(given, data, tmp_path, monkeypatch):
    """An empty text, as of a shell variable that is not set, must not fill the current folder."""
    monkeypatch.chdir(tmp_path)
    rec = palate.Bias().fit(data, progress=False)
    places = {
        "load": lambda: palate.load(given),
        "save": lambda: rec.save(given),
        "card": lambda: palate.card(rec).save(given),
        "lists": lambda: rec.recommend(n=1, out=given),
        "blocks": lambda: palate.blocks.write(given, data, progress=False),
    }
    for write in places.values():
        with pytest.raises(OptionError, match=r"(out|path)(='' is no path| must be a path, )"):
            write()
    assert list(tmp_path.iterdir()) == []
