"""The kind of frame of every answer: set, or that of the question, or that of the training ratings, or polars."""

import contextvars
import pickle
import sys
import threading
from functools import cache

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import palate
from palate.data.output import kind_of, output_kind, output_of
from palate.errors import DataError, OptionError

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")

KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.Table}
each_kind = pytest.mark.parametrize("kind", KINDS)
USERS = [f"u{u}" for u in range(12) for _ in range(4)]
RATED = [f"i{(u + step) % 7}" for u in range(12) for step in range(4)]
STARS = [float(1 + (u * 7 + step * 3) % 5) for u in range(12) for step in range(4)]
COLUMNS = {"user": USERS, "item": RATED, "rating": STARS}
TITLES = {"item": [f"i{i}" for i in range(7)], "title": [f"Film {i}" for i in range(7)]}


@pytest.fixture(autouse=True)
def nothing_set():
    yield
    palate.set_output(None)


def frame_of(kind, columns):
    return {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}[kind](columns)


def column_of(kind, values):
    return {"pandas": pd.Series, "polars": pl.Series, "pyarrow": pa.chunked_array}[kind](
        [values] if kind == "pyarrow" else values
    )


@cache
def learned(kind=None, recipe=palate.Bias()):  # noqa: B008 - a recipe is a value
    source = COLUMNS if kind is None else frame_of(kind, COLUMNS)
    return recipe.fit(palate.read(source, items=TITLES), progress=False)


def every_answer(rec):
    """{name: frame} of everything that gives a frame and is asked with labels and lists."""
    new = rec.fold_in({"i1": 5.0, "i2": 1.0})
    many = rec.fold_in({"ann": {"i1": 5.0}, "bob": {"i2": 3.0}})
    return {
        "recommend": rec.recommend("u1", n=2),
        "recommend to all": rec.recommend(n=2),
        "predict": rec.predict(["u1", "u2"], "i3"),
        "find": rec.find("film", 3),
        "history": rec.history("u1"),
        "similar items": rec.similar_items("i1", 3),
        "similar users": rec.similar_users(["u1", "u2"], 3),
        "cross tab": rec.cross_tab().to_frame(),
        "ask": rec.ask(2),
        "new, predict": new.predict(["i3", "i4"]),
        "new, recommend": new.recommend(2),
        "new, ask": new.ask(2),
        "new, similar users": new.similar_users(2),
        "many, predict": many.predict(["ann", "bob"], "i3"),
        "many, recommend": many.recommend(2),
        "one of many": many["ann"].recommend(2),
        "updated": rec.update({"user": ["u1"], "item": ["i6"], "rating": [3.0]}).recommend("u1", 1),
        "without somebody": rec.forget(users="u3").recommend("u1", 1),
        "compacted": rec.compact().recommend("u1", 1),
        "with metrics": rec.with_metrics({"rmse": 1.0}).recommend("u1", 1),
    }


@each_kind
def test_a_model_answers_in_the_kind_that_its_ratings_came_in(kind):
    rec = learned(kind, palate.ALS(n_factors=2, n_sweeps=2))
    assert {name: type(frame) for name, frame in every_answer(rec).items()} == dict.fromkeys(
        every_answer(rec), KINDS[kind]
    )


def test_without_frames_anywhere_answers_are_polars_frames():
    rec = learned(None, palate.ALS(n_factors=2, n_sweeps=2))
    assert {type(frame) for frame in every_answer(rec).values()} == {pl.DataFrame}


@each_kind
@pytest.mark.parametrize("trained", [None, *KINDS])
def test_what_is_set_counts_before_all_else(kind, trained):
    rec = learned(trained, palate.ALS(n_factors=2, n_sweeps=2))
    palate.set_output(kind)
    assert {type(frame) for frame in every_answer(rec).values()} == {KINDS[kind]}
    asked = (rec.recommend(frame_of(other, {"user": ["u1"]}), 1) for other in KINDS)
    assert {type(frame) for frame in asked} == {KINDS[kind]}


@each_kind
@pytest.mark.parametrize("trained", [None, *KINDS])
def test_the_kind_of_the_question_counts_before_that_of_the_training(kind, trained):
    rec = learned(trained, palate.ALS(n_factors=2, n_sweeps=2))
    users, rated = column_of(kind, ["u1", "u2"]), column_of(kind, ["i1", "i2"])
    pairs = frame_of(kind, {"user": ["u1", "u2"], "item": ["i1", "i2"]})
    answers = [
        *(rec.recommend(asked, 2) for asked in (users, pairs)),
        *(rec.similar_users(asked, 2) for asked in (users, pairs)),
        *(rec.similar_items(asked, 2) for asked in (rated, pairs)),
        *(rec.predict(pairs), rec.predict(users, rated), rec.predict("u1", rated), rec.predict(users, "i1")),
        rec.fold_in({"i1": 4.0}).predict(rated),
        rec.fold_in(frame_of(kind, {"item": ["i1"], "rating": [4.0]})).recommend(2),
        rec.fold_in(frame_of(kind, {"user": ["new"], "item": ["i1"], "rating": [4.0]})).recommend(2),
        rec.ask(2, given=frame_of(kind, {"item": ["i1"], "rating": [4.0]})),
    ]
    assert {type(frame) for frame in answers} == {KINDS[kind]}


@each_kind
def test_all_kinds_say_the_same(kind):
    rec = learned(None, palate.ALS(n_factors=2, n_sweeps=2))
    expected = every_answer(rec)
    with palate.set_output(kind):
        found = every_answer(rec)
    for name, frame in found.items():
        as_polars = pl.from_pandas(frame, nan_to_null=False) if kind == "pandas" else pl.DataFrame(frame)
        assert_frame_equal(as_polars, expected[name], check_exact=True, check_dtypes=kind == "pyarrow")


def test_rows_of_a_pandas_question_keep_their_index():
    rec = learned()
    pairs = pd.DataFrame({"user": ["u1", "u2", "u3"], "item": ["i1", "i2", "i3"]}, index=["x", "y", "z"])
    for answer in (
        rec.predict(pairs),
        rec.predict(pairs["user"], pairs["item"]),
        rec.predict(pairs["user"], "i1"),
        rec.predict("u1", pairs["item"]),
        rec.predict(pairs["user"], ["i1", "i2", "i3"]),
        rec.fold_in({"i1": 4.0}).predict(pairs["item"]),
        rec.fold_in({user: {"i1": 4.0} for user in ("a", "b", "c")}).predict(
            pd.Series(["a", "b", "c"], index=pairs.index), pairs["item"]
        ),
    ):
        assert list(answer.index) == ["x", "y", "z"]
    kept = pairs.join(rec.predict(pairs)[["prediction", "low", "high"]])
    assert kept["prediction"].notna().all()
    other = pairs["item"].set_axis(["z", "y", "x"])
    assert list(rec.predict(pairs["user"], other).index) == [0, 1, 2]
    assert list(rec.predict(pairs["user"], other)["item"]) == ["i1", "i2", "i3"]
    assert list(rec.recommend(pairs["user"], 2).index) == [*range(6)]
    with palate.set_output("polars"):
        assert isinstance(rec.predict(pairs), pl.DataFrame)


def test_pandas_columns_of_other_types_are_read():
    numbered = palate.Bias().fit(
        palate.read(pd.DataFrame({"user": [1, 1, 2], "item": [7, 8, 7], "rating": [5, 3, 1]})), progress=False
    )
    assert list(numbered.recommend(pd.Series([1, 2], dtype="int32"), 1)["user"]) == [2]
    assert list(numbered.predict(pd.Series([2, 1]), pd.Series([7, 8]))["item"]) == [7, 8]
    rec = learned()
    for asked in (pd.Series(["u1", "u2"], dtype="category"), pd.Index(["u1", "u2"]), pd.array(["u1", "u2"])):
        assert list(rec.recommend(asked, 1)["user"]) == ["u1", "u2"]
    assert rec.recommend(pa.array(["u1"]), 1)["user"].to_pylist() == ["u1"]
    assert rec.recommend(pl.Series(["u1"], dtype=pl.Categorical), 1)["user"].to_list() == ["u1"]


@each_kind
def test_a_missing_label_in_a_column_is_an_error(kind):
    rec = learned()
    for asked in (
        lambda: rec.recommend(column_of(kind, ["u1", None])),
        lambda: rec.predict(column_of(kind, ["u1", None]), "i1"),
    ):
        with pytest.raises(DataError, match="1 of 2 users are missing"):
            asked()


@each_kind
def test_columns_and_frames_of_ratings_are_remembered_through_splits(kind):
    ratings = palate.read(frame_of(kind, COLUMNS))
    columns = {name: column_of(kind, values) for name, values in COLUMNS.items()}
    for some in (
        ratings,
        ratings[:9],
        ratings.with_items(TITLES),
        palate.read(columns),
        palate.read(tuple(columns.values())),
    ):
        assert isinstance(some.to_frame(), KINDS[kind])
    for part in (*palate.split_random(ratings), *palate.split_last(ratings), ratings.likes(at_least=3)):
        assert isinstance(part.to_frame(), KINDS[kind])
    assert isinstance(pickle.loads(pickle.dumps(ratings)).to_frame(), KINDS[kind])
    assert isinstance(palate.read(COLUMNS).to_frame(), pl.DataFrame)


@pytest.mark.parametrize(
    "recipe",
    [palate.EASE(), palate.ImplicitALS(n_factors=2), palate.BPR(n_factors=2, n_epochs=1), palate.Sequence(),
     palate.Blend(["EASE", "Popularity"])],
    ids=lambda recipe: type(recipe).__name__,
)  # fmt: skip
def test_models_of_choices_remember_it_too(recipe):
    played = pd.DataFrame({"user": USERS + USERS[:9], "item": RATED + RATED[:9]})
    rec = recipe.fit(palate.read(played, kind="implicit", duplicates="keep"), progress=False)
    assert isinstance(rec.recommend("u1", 2), pd.DataFrame)
    assert isinstance(rec.recommend(session=["i1"], n=2), pd.DataFrame)
    assert isinstance(rec.fold_in(["i1", "i3"]).recommend(2), pd.DataFrame)


def test_a_loaded_model_knows_no_kind(tmp_path):
    learned("pandas").save(tmp_path / "m.palate")
    rec = palate.load(tmp_path / "m.palate")
    assert isinstance(rec.recommend("u1", 1), pl.DataFrame)
    assert isinstance(rec.recommend(pd.Series(["u1"]), 1), pd.DataFrame)
    with palate.set_output("pyarrow"):
        assert isinstance(rec.recommend("u1", 1), pa.Table)


def test_comparisons_have_the_kind_of_the_training_ratings():
    train, test = palate.split_random(palate.read(pd.DataFrame(COLUMNS)), test=0.3, seed=0)
    comparison = palate.compare(train, test, ["Mean", "Bias"])
    assert isinstance(comparison.to_frame(), pd.DataFrame)
    assert "frame_kind" not in comparison.to_dict()
    with palate.set_output("polars"):
        assert isinstance(comparison.to_frame(), pl.DataFrame)


def test_tunings_have_the_kind_of_the_training_ratings():
    from palate.tuning import Trial, Tuning

    trials = (Trial(0, 0, {}, passes=None, value=0.9, seconds=0.1, state="finished"),)
    assert isinstance(Tuning(palate.Bias(), "rmse", trials, frame_kind="pandas").trials, pd.DataFrame)
    assert isinstance(Tuning(palate.Bias(), "rmse", trials).trials, pl.DataFrame)


def test_a_block_sets_the_kind_for_its_code_alone():
    rec = learned()
    palate.set_output("pandas")
    with palate.set_output("pyarrow"):
        assert isinstance(rec.recommend("u1", 1), pa.Table)
        with palate.set_output(None):
            assert isinstance(rec.recommend("u1", 1), pl.DataFrame)
        assert isinstance(rec.recommend("u1", 1), pa.Table)
    assert isinstance(rec.recommend("u1", 1), pd.DataFrame)
    with pytest.raises(RuntimeError, match="on purpose"), palate.set_output("polars"):
        raise RuntimeError("on purpose")
    assert isinstance(rec.recommend("u1", 1), pd.DataFrame)
    palate.set_output(None)
    assert isinstance(rec.recommend("u1", 1), pl.DataFrame)


def test_other_threads_see_what_the_process_has_set_and_not_what_a_block_has():
    rec, found = learned(), {}

    def ask(name):
        found[name] = type(rec.recommend("u1", 1))

    def in_thread(name):
        thread = threading.Thread(target=contextvars.Context().run, args=(ask, name))
        thread.start()
        thread.join()

    palate.set_output("pandas")
    in_thread("process")
    with palate.set_output("pyarrow"):
        in_thread("block")
        ask("here")
    assert found == {"process": pd.DataFrame, "block": pd.DataFrame, "here": pa.Table}


def test_each_block_needs_a_call_of_its_own():
    again = palate.set_output("pandas")
    assert repr(again) == "<palate.set_output('pandas')>"
    with again, pytest.raises(OptionError, match="begun already"), again:
        pass


def test_kinds_that_do_not_exist_are_refused(monkeypatch):
    with pytest.raises(OptionError, match=r"kind='dask' is not valid; use one of 'pandas', 'polars', 'pyarrow'"):
        palate.set_output("dask")
    monkeypatch.setattr("palate.data.output.find_spec", lambda _: None)
    with pytest.raises(OptionError, match=r"pip install 'palate\[pandas\]'"):
        palate.set_output("pandas")
    palate.set_output("polars")


def test_code_that_reads_answers_itself_gets_the_kind_it_needs():
    rec = learned("pandas")
    palate.set_output("pyarrow")
    with output_of("polars"):
        assert isinstance(rec.recommend("u1", 1), pl.DataFrame)


def test_only_frames_and_columns_have_a_kind():
    for value in ("u1", 3, None, ["u1"], {"i1": 5}, {}, (), pd.Timestamp("2026-01-01"), pa.scalar("u1"), palate.Bias()):
        assert kind_of(value) is None, value
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert kind_of(twice) == "pandas"

    class Own(pd.DataFrame):
        pass

    Own.__module__ = "somewhere"
    assert kind_of(Own({"user": ["u1"]})) == "pandas"


def test_frames_of_lists_become_what_each_library_has_for_them():
    from palate.data.output import as_kind

    frame = pl.DataFrame(
        {"item": ["a", "b"], "vector": pl.Series([[1.0, 2.0], [3.0, 4.0]], dtype=pl.Array(pl.Float32, 2))}
    )
    assert [list(row) for row in as_kind(frame, "pandas")["vector"]] == [[1.0, 2.0], [3.0, 4.0]]
    assert as_kind(frame, "pyarrow")["vector"].to_pylist() == [[1.0, 2.0], [3.0, 4.0]]


def test_pictures_and_commands_read_polars_frames_whatever_is_set(monkeypatch, tmp_path):
    from palate.cli.commands import app
    from palate.cli.guarding import guarded

    learned("pandas").save(tmp_path / "m.palate")
    palate.set_output("pandas")
    monkeypatch.setattr(sys, "argv", ["palate", "recommend", str(tmp_path / "m.palate"), "u1", "--n", "2"])
    assert guarded(app) == 0
    pytest.importorskip("matplotlib")
    from palate import plotting

    assert plotting.neighbors(learned("pandas", palate.ALS(n_factors=2, n_sweeps=2)), "i1", n=2).axes


def test_blocks_that_begin_at_the_same_time_leave_nothing_set():
    """As threads may: each has called before the other begins its block."""
    one, other = palate.set_output("pandas"), palate.set_output("pyarrow")
    with one:
        assert output_kind(None) == "pandas"
        with other:
            assert output_kind(None) == "pyarrow"
    assert output_kind(None) == "polars"
    try:
        palate.set_output("pandas")
        one, other = palate.set_output("pyarrow"), palate.set_output("polars")
        with other, one:
            assert output_kind(None) == "pyarrow"
        assert output_kind(None) == "pandas"
    finally:
        palate.set_output(None)
    assert output_kind(None) == "polars"
