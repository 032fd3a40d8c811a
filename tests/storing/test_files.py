"""Saving and loading: everything comes back, inconsistent files are refused in words, old files stay readable."""

import contextlib
import json
import math
import mmap
import os
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from helpers.parts import assert_same_parts
from palate import storing
from palate.errors import ModelFileError, OptionError, TamperedModelError
from palate.storing import container

FILES = Path(__file__).parent.parent / "files"
some = settings(max_examples=40, deadline=None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


def ratings_of(users, items, cells, user_table=None, item_table=None, weights=None):
    """Ratings of every (user position, item position, value) in cells."""
    vocabularies = {
        "user_vocabulary": palate.Vocabulary(users, what="user"),
        "item_vocabulary": palate.Vocabulary(items, what="item"),
    }
    codes = np.array([cell[:2] for cell in cells])
    values = [cell[2] for cell in cells]
    tables = {"user_table": user_table, "item_table": item_table}
    return palate.Ratings(codes[:, 0], codes[:, 1], values, **vocabularies, **tables, weights=weights)


def round_trip(rec, folder):
    rec.save(folder / "model.palate")
    return palate.load(folder / "model.palate")


def small(folder=None, recipe=None, **tables):
    cells = [(u, i, float(1 + (u * i) % 5)) for u in range(4) for i in range(3)]
    ratings = ratings_of(["ann", "bob", "cy", "dee"], ["jam", "milk", "tea"], cells, **tables)
    return (recipe or palate.Bayes(n_factors=2, n_sweeps=6)).fit(ratings)


# ---- round trips

labels = st.one_of(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), min_size=1, max_size=8, unique=True),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8, unique=True),
)
COLUMNS = {
    "text": (pl.String, st.text(st.characters(exclude_categories=["Cs"]), max_size=8)),
    "lists": (pl.List(pl.String), st.lists(st.one_of(st.none(), st.text("aé|,\n😀", max_size=3)), max_size=4)),
    "vectors": (pl.List(pl.Float32), st.lists(st.floats(width=32, allow_nan=False), max_size=3)),
    "long vectors": (pl.List(pl.Float64), st.just([0.1, 2.5, -1e300])),
    "booleans": (pl.Boolean, st.booleans()),
    "whole": (pl.Int64, st.integers(-(2**63), 2**63 - 1)),
    "reals": (pl.Float64, st.floats(allow_nan=True, allow_infinity=True)),
    "dates": (pl.Date, st.dates()),
    "moments": (pl.Datetime("us"), st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 1, 1))),
    "spans": (pl.Duration("us"), st.timedeltas(timedelta(days=-9999), timedelta(days=9999))),
    "clock": (pl.Time, st.times()),
}


@st.composite
def tables(draw, height):
    names = draw(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=4, unique=True))
    if not names:
        return None
    columns = []
    for name in names:
        dtype, values = COLUMNS[draw(st.sampled_from(sorted(COLUMNS)))]
        cells = draw(st.lists(st.one_of(st.none(), values), min_size=height, max_size=height))
        columns.append(pl.Series(name, cells, dtype=dtype))
    return pl.DataFrame(columns)


@st.composite
def everything(draw):
    users, items = draw(labels), draw(labels)
    cell = st.tuples(st.integers(0, len(users) - 1), st.integers(0, len(items) - 1), st.floats(-1e6, 1e6, width=32))
    cells = draw(st.lists(cell, min_size=1, max_size=12))
    weights = draw(st.one_of(st.none(), st.just(np.linspace(0.5, 2, len(cells)))))
    return ratings_of(users, items, cells, draw(tables(len(users))), draw(tables(len(items))), weights)


@given(
    everything(),
    st.sampled_from([palate.Bayes(n_factors=1, n_sweeps=4, features=False), palate.ALS(n_factors=1), palate.Mean()]),
)
@some
def test_everything_comes_back(folder, ratings, recipe):
    model = recipe.fit(ratings).model
    storing.save(model, folder / "round.palate")
    loaded = storing.load(folder / "round.palate")
    for one, two in ((model.user_vocabulary, loaded.user_vocabulary), (model.item_vocabulary, loaded.item_vocabulary)):
        assert one == two
        assert (one.kind, one.what) == (two.kind, two.what)
    for one, two in ((model.user_table, loaded.user_table), (model.item_table, loaded.item_table)):
        assert (one is None) == (two is None)
        if one is not None:
            assert one.schema == two.schema
            assert one.equals(two)
    assert_same_parts(model, loaded)
    assert loaded.limits == model.limits
    assert loaded.fingerprint == model.fingerprint


def test_other_columns_become_their_nearest_kind(folder):
    table = pl.DataFrame(
        {
            "small": pl.Series([1, None, 3], dtype=pl.UInt8),
            "half": pl.Series([0.5, None, 1.5], dtype=pl.Float32),
            "kind": pl.Series(["a", "b", None], dtype=pl.Categorical),
            "years": pl.Series([[1990, 1991], [], None], dtype=pl.List(pl.Int32)),
            "nothing": pl.Series([None, None, None], dtype=pl.Null),
            "moment": pl.Series([datetime(2020, 1, 2, 3), None, None], dtype=pl.Datetime("ms")),
        }
    )
    loaded = round_trip(small(item_table=table), folder).model.item_table
    assert loaded.to_dict(as_series=False) == {
        "small": [1, None, 3],
        "half": [0.5, None, 1.5],
        "kind": ["a", "b", None],
        "years": [["1990", "1991"], [], None],
        "nothing": [None, None, None],
        "moment": [datetime(2020, 1, 2, 3), None, None],
    }
    with pytest.raises(OptionError, match="column 'odd'"):
        small(item_table=pl.DataFrame({"odd": pl.Series([object(), object(), object()], dtype=pl.Object)})).save(
            folder / "never.palate"
        )


def test_titles_stay_the_same_after_saving(folder):
    table = pl.DataFrame({"since": [date(2000, 1, 1)] * 3, "tags": [["x"]] * 3, "film name": ["Jam", "Milk", "Tea"]})
    rec = small(item_table=table)
    assert set(rec.recommend("ann", keep_seen=True)["title"]) == {"Jam", "Milk", "Tea"}
    loaded = round_trip(rec, folder)
    assert loaded.recommend(keep_seen=True).equals(rec.recommend(keep_seen=True))


def test_training_recipe_and_metrics_are_kept(folder):
    rec = small().with_metrics({"rmse": 0.5, "n": 3})
    loaded = round_trip(rec, folder)
    assert loaded.model.metrics == {"rmse": 0.5, "n": 3}
    assert loaded.model.recipe == rec.model.recipe
    assert loaded.model.recipe["n_factors"] == 2
    assert loaded.model.training == rec.model.training
    assert loaded.model.training["n_sweeps"] == 6
    with pytest.raises(OptionError, match="JSON"):
        rec.with_metrics({"rmse": math.nan}).save(folder / "never.palate")


def test_the_fingerprint_is_that_of_the_ratings():
    whole = palate.datasets.synthetic(30, 20, 300, seed=1)
    rng = np.random.default_rng(0)
    first = palate.Mean().fit(whole).model.fingerprint
    assert palate.Mean().fit(whole[rng.permutation(300)]).model.fingerprint == first
    assert palate.ALS(n_factors=2).fit(whole).model.fingerprint == first
    assert palate.Mean().fit(whole[:-1]).model.fingerprint != first
    other = whole.values.copy()
    other[7] += 1
    sides = {"user_vocabulary": whole.user_vocabulary, "item_vocabulary": whole.item_vocabulary}
    changed = palate.Ratings(whole.user_codes, whole.item_codes, other, **sides)
    assert palate.Mean().fit(changed).model.fingerprint != first


def test_a_small_model_is_copied_and_a_large_one_mapped(folder, monkeypatch):
    path = folder / "model.palate"
    small().save(path)
    for copy in (None, True, False):
        loaded = palate.load(path, copy=copy).model
        for array in (loaded.factors.users, loaded.posterior.items.vectors, loaded.history.indices):
            assert is_mapped(array) == (copy is False)
            assert not array.flags.writeable
    monkeypatch.setattr(container, "MAX_COPIED_BYTES", path.stat().st_size - 1)
    assert is_mapped(palate.load(path).model.factors.users)
    with pytest.raises(OptionError, match="copy='yes'"):
        palate.load(path, copy="yes")


def is_mapped(array):
    while isinstance(array.base, np.ndarray):
        array = array.base
    return isinstance(getattr(array.base, "obj", array.base), mmap.mmap)


def test_a_copied_model_does_not_care_for_its_file(folder):
    path = folder / "model.palate"
    rec = small()
    rec.save(path)
    loaded = palate.load(path)
    before = loaded.predict("ann", "tea")
    path.write_bytes(bytes(path.stat().st_size))
    assert loaded.predict("ann", "tea") == before
    os.truncate(path, 10)
    assert loaded.predict("ann", "tea") == before == rec.predict("ann", "tea")


# ---- inconsistent files: written by palate's own container, so that nothing but the contents is wrong


def replaced(tensors, **changes):
    """The tensors with some replaced; the name's dots written as double underscores, None for one left out."""
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return {name: value for name, value in (tensors | named).items() if value is not None}


F, I4, I8 = np.float32, np.int32, np.int64
BAD_TENSORS = {
    "no factors": {"user__factors": None},
    "factors of one dimension": {"user__factors": np.zeros(12, F)},
    "factors without columns": {"user__factors": np.zeros((4, 0), F), "item__factors": np.zeros((3, 0), F)},
    "factors of too few users": {"user__factors": np.zeros((3, 6), F)},
    "factors of doubles": {"item__factors": np.zeros((3, 6))},
    "factors of another width": {"item__factors": np.zeros((3, 5), F)},
    "prior of another width": {"user__precision": np.eye(2, dtype=F)},
    "no prior": {"item__mean": None},
    "history of unknown items": {"history__indices": np.full(12, 3, I4)},
    "history of negative items": {"history__indices": np.full(12, -1, I4)},
    "history of long codes": {"history__indices": np.zeros(12, I8)},
    "history too short": {"history__values": np.zeros(11, F)},
    "history in two dimensions": {"history__values": np.zeros((12, 1), F), "history__indices": np.zeros((12, 1), I4)},
    "history that falls": {"history__indptr": np.array([0, 9, 3, 6, 12])},
    "history that starts late": {"history__indptr": np.array([3, 3, 6, 9, 12])},
    "history that ends late": {"history__indptr": np.array([0, 3, 6, 9, 13])},
    "history of too many users": {"history__indptr": np.array([0, 3, 6, 9, 12, 12])},
    "no row pointers": {"history__indptr": np.zeros(0, I8)},
    "weights too short": {"history__weights": np.ones(3, F)},
    "no labels": {"user__labels__text": None},
    "labels that end beyond the text": {"user__labels__ends": np.array([3, 6, 8, 99])},
    "labels that end before they begin": {"user__labels__ends": np.array([3, 1, 8, 11])},
    "labels that end far below zero": {"user__labels__ends": np.array([-7, 6, 8, 11])},
    "a missing label": {"user__labels__ends": np.array([3, 6, 8, -1])},
    "labels that are no text": {"user__labels__text": np.full(11, 255, np.uint8)},
    "ends in two dimensions": {"user__labels__ends": np.array([[3, 6], [8, 11]])},
    "ends of doubles": {"user__labels__ends": np.array([3.0, 6, 8, 11])},
    "posterior of too few users": {"posterior__user__vectors": np.zeros((4, 3, 3), F)},
    "posterior of two dimensions": {"posterior__user__vectors": np.zeros((4, 4), F)},
    "posterior without draws": {
        "posterior__alpha": np.zeros(0, F),
        **{f"posterior__{side}__vectors": np.zeros((0, n, 3), F) for side, n in (("user", 4), ("item", 3))},
        **{f"posterior__{side}__precision": np.zeros((0, 3, 3), F) for side in ("user", "item")},
        **{f"posterior__{side}__mean": np.zeros((0, 3), F) for side in ("user", "item")},
    },
    "posterior with negative noise": {"posterior__alpha": np.array([1, -1, 1, 1], F)},
    "posterior with nan for noise": {"posterior__alpha": np.array([1, np.nan, 1, 1], F)},
    "posterior half missing": {"posterior__item__mean": None},
    "no link": {"posterior__user__link": None},
    "link of too few features": {"posterior__user__link": np.zeros((4, 2, 3), F)},
    "link of another width": {"posterior__item__link": np.zeros((4, 4, 2), F)},
    "link of too few draws": {"posterior__item__link": np.zeros((3, 4, 3), F)},
    "link of doubles": {"posterior__user__link": np.zeros((4, 3, 3))},
    "link beyond what ratings give": {"posterior__user__link": np.full((4, 3, 3), 1e25, F)},
    "a prior mean beyond what ratings give": {"posterior__item__mean": np.full((4, 3), -1e25, F)},
    "a cold start beyond what ratings give": {"posterior__user__strangers__mean": np.full((4, 3), 1e25, F)},
    "no cold start": {"posterior__user__strangers__mean": None},
    "cold start without covariance": {"posterior__user__strangers__covariance": None},
    "cold start of another width": {"posterior__item__strangers__mean": np.zeros((4, 2), F)},
    "cold-start covariance of one dimension": {"posterior__item__strangers__covariance": np.zeros((4, 3), F)},
    "cold-start covariance below zero": {
        "posterior__item__strangers__covariance": np.tile(-np.eye(3, dtype=F), (4, 1, 1))
    },
    "cold-start covariance that is nan": {"posterior__user__strangers__covariance": np.full((4, 3, 3), np.nan, F)},
    "cold-start link without attributes": {"posterior__user__strangers__link": np.zeros((4, 0, 3), F)},
    "cold-start intercept without attributes": {"posterior__user__strangers__intercept": np.zeros((4, 3), F)},
    "a table too short": {"item_table__0": np.zeros(2, I8)},
    "a table in two dimensions": {"item_table__0": np.zeros((3, 2), I8)},
    "a table's nulls of another length": {"item_table__0__null": np.zeros(2, bool)},
    "a table's nulls that are numbers": {"item_table__0__null": np.zeros(3, I8)},
    "a table column missing": {"item_table__1__text": None},
    "a table's lists too long": {"item_table__2__lengths": np.array([1, 1, 9])},
    "a table's lists too many": {"item_table__2__lengths": np.array([1, 1, 0, 1])},
    "a table's lists of doubles": {"item_table__2__lengths": np.array([1.0, 1, 1])},
    "a table's date out of range": {"item_table__3": np.array([0, 2**62, 0])},
    "a table's lists of lengths that wrap around": {"item_table__2__lengths": np.array([2**63 - 1, 2**63 - 1, 5])},
    "a table's lists of a negative length": {"item_table__2__lengths": np.array([4, -2, -1])},
    "a label twice": {"user__labels__text": np.frombuffer(b"annanncydee", np.uint8)},
    "labels of half a pair of surrogates": {"user__labels__text": np.frombuffer(b"\xed\xa0\x80bobcydee", np.uint8)},
    "labels that leave text over": {"user__labels__ends": np.array([3, 6, 8, 10])},
    "history with an item twice in a row": {"history__indices": np.tile(np.array([0, 1, 1], I4), 4)},
    "history of a weight below zero": {"history__weights": np.full(12, -1, F)},
}
BAD_HEADERS = {
    "no limits": {"limits": None},
    "a word of half a pair of surrogates": {"item": {"kind": "string", "what": "\ud800"}},
    "limits of words": {"limits": ["low", "high"]},
    "limits the wrong way": {"limits": [5, 1]},
    "one limit": {"limits": [1]},
    "limits beyond a float": {"limits": [1, 10**400]},
    "limits beyond a float of 32 bits": {"limits": [1, 1e39]},
    "noise beyond a float of 32 bits": {"noise": 1e300},
    "noise below zero": {"noise": -1.0},
    "a scale that is 0 in 32 bits": {"factors": {"mean": 3.0, "scale": 1e-320}},
    "a scale beyond 32 bits": {"factors": {"mean": 3.0, "scale": 1e308}},
    "a posterior's scale that is 0 in 32 bits": {"posterior": {"center": 3.0, "scale": 1e-320, "strangers": True}},
    "a posterior's center beyond 32 bits": {"posterior": {"center": -1e39, "scale": 1.0, "strangers": True}},
    "a prior beyond 32 bits": {"user_prior": {"alpha": 1e39, "ridge": 0.0, "count_exponent": 0.0}},
    "no mean": {"factors": {}},
    "mean of words": {"factors": {"mean": "three", "scale": 1.0}},
    "no scale": {"factors": {"mean": 3.0, "scale": 0.0}},
    "factors a list": {"factors": [1, 2]},
    "no prior": {"user_prior": None},
    "no vocabulary": {"user": None},
    "vocabulary of an unknown kind": {"user": {"kind": "tensor", "what": "user"}},
    "vocabulary of numbers": {"user": {"kind": "integer", "what": "user"}},
    "vocabulary a word": {"item": "tea"},
    "recipe a number": {"recipe": 3},
    "metrics a word": {"metrics": "good"},
    "posterior without a scale": {"posterior": {"center": 3.0}},
    "posterior a number": {"posterior": 7},
    "posterior of scale zero": {"posterior": {"center": 3.0, "scale": 0.0}},
    "noise of words": {"noise": "loud"},
    "a link without side information": {"user_info": None},
    "features without a posterior": {"posterior": None},
    "history of too few items": {"user_info": {"n_history": 2, "attributes": None}},
    "history of items below zero": {"user_info": {"n_history": -3, "attributes": None}},
    "history of too many users": {"item_info": {"n_history": 10**400, "attributes": None}},
    "no history": {"item_info": {"n_history": 0, "attributes": None}},
    "history of words": {"user_info": {"n_history": "all", "attributes": None}},
    "side information without attributes": {"user_info": {"n_history": 3}},
    "side information a number": {"user_info": 3},
    "attributes a word": {"user_info": {"n_history": 3, "attributes": "age"}},
    "attributes of an unknown kind": {"user_info": {"n_history": 3, "attributes": {"n_rows": 4, "fields": [
        {"kind": "tensor"}]}}},
    "attributes without a table": {"user_info": {"n_history": 3, "attributes": {"n_rows": 4, "fields": [
        {"kind": "classes", "name": "a", "labels": ["x", "y"]}]}}},
    "table a number": {"item_table": 3},
    "table of an unknown kind": {"item_table": [{"name": "x", "kind": "object"}] * 4},
    "table without names": {"item_table": [{"kind": "integer"}]},
    "table with a name twice": {"item_table": [{"name": "x", "kind": "integer"}, {"name": "x", "kind": "text"}]},
    "table of too many columns": {"item_table": [{"name": str(n), "kind": "integer"} for n in range(9)]},
    "table without columns": {"user_table": []},
    "table of words": {"item_table": ["x", "y"]},
}  # fmt: skip


@pytest.fixture(scope="module")
def valid(folder):
    table = pl.DataFrame(
        {
            "year": [1999, 2000, 2001],
            "title": ["Jam", "Milk", "Tea"],
            "tags": [["a"], ["b"], ["c"]],
            "day": [date(2020, 1, 1)] * 3,
        }
    )
    small(item_table=table).save(folder / "valid.palate")
    return container.read(folder / "valid.palate")


def refuse(path, tensors, header):
    container.write(path, tensors, header)
    with pytest.raises(TamperedModelError, match="its parts do not fit together"):
        palate.load(path)


@pytest.mark.parametrize("name", BAD_TENSORS)
def test_tensors_that_contradict_each_other_are_refused(name, valid, folder):
    tensors, header = valid
    refuse(folder / "bad.palate", replaced(tensors, **BAD_TENSORS[name]), header)


@pytest.mark.parametrize("columns", [[0, 1], [0, 1, 3], [1, 0, 2], [0, 0, 1], [-2, 0, 1], [0.0, 1.0, 2.0], [[0, 1, 2]]])
def test_columns_of_history_that_do_not_rise_are_refused(columns, valid, folder):
    tensors, header = valid
    given = np.array(columns, np.int32 if isinstance(columns[0], int) else None)
    refuse(folder / "bad.palate", tensors | {"user.history_columns": given}, header)


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_headers_that_contradict_the_tensors_are_refused(name, valid, folder):
    tensors, header = valid
    refuse(folder / "bad.palate", tensors, header | BAD_HEADERS[name])


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_refused_in_every_tensor(number, valid, folder):
    tensors, header = valid
    floats = [name for name, tensor in tensors.items() if tensor.dtype.kind == "f" and tensor.size]
    assert len(floats) > 10
    for name in floats:
        changed = tensors[name].copy()
        changed.flat[changed.size // 2] = number
        refuse(folder / "bad.palate", tensors | {name: changed}, header)


RECIPES = {
    "ImplicitALS": ("implicit", {"unobserved_weight": 1e308}, {"unobserved_weight": 1e-320}),
    "EASE": ("histories", {"damping": 1e300}),
    "Neighbors": ("histories", {"damping": -1e300}),
}


@pytest.mark.parametrize("name", RECIPES)
def test_numbers_beyond_32_bits_are_refused_for_every_recipe(name, folder):
    part, *changes = RECIPES[name]
    cells = [(u, i, 5.0) for u in range(4) for i in range(3) if u != i]
    likes = ratings_of(["ann", "bob", "cy", "dee"], ["jam", "milk", "tea"], cells).likes(at_least=4)
    getattr(palate, name)().fit(likes).save(folder / "likes.palate")
    tensors, header = container.read(folder / "likes.palate")
    for change in changes:
        factors = header["factors"] | {part: header["factors"][part] | change}
        refuse(folder / "bad.palate", tensors, header | {"factors": factors})


def test_pairs_that_stand_twice_in_ratings_made_by_hand_come_back(folder):
    cells = [(0, 0, 3.0), (0, 0, 5.0), (1, 1, 4.0)]
    rec = palate.Bias().fit(ratings_of(["ann", "bob"], ["jam", "tea"], cells))
    assert round_trip(rec, folder).history("ann").equals(rec.history("ann"))


def test_labels_that_are_no_text_are_not_saved(folder):
    rec = palate.Mean().fit(ratings_of(["ann", "\ud800"], ["jam", "tea"], [(0, 0, 3.0), (1, 1, 4.0)]))
    with pytest.raises(OptionError, match="half a pair"):
        rec.save(folder / "surrogates.palate")
    assert not (folder / "surrogates.palate").exists()


def test_every_part_is_needed(valid, folder):
    tensors, header = valid
    for name in tensors:
        refuse(folder / "bad.palate", {key: value for key, value in tensors.items() if key != name}, header)
    for name in header:
        is_optional = name in ("fingerprint", "levels", "ratings_kind", "step_distribution")
        with contextlib.nullcontext() if is_optional else pytest.raises(ModelFileError):
            write_and_load(folder / "bad.palate", tensors, {key: header[key] for key in header if key != name})


def write_and_load(path, tensors, header):
    container.write(path, tensors, header)
    palate.load(path)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_inconsistency_raises_anything_else(valid, folder, data):
    """Replace any tensor by another, or by one of another shape, type or content: a model or a clear error."""
    tensors, header = dict(valid[0]), valid[1]
    name = data.draw(st.sampled_from(sorted(tensors)))
    original = tensors[name]
    tensors[name] = data.draw(
        st.one_of(
            st.sampled_from([tensors[other] for other in sorted(tensors)]),
            st.sampled_from(
                [original[:-1], original[None], original.reshape(-1), original.astype(F), original.astype(I8)]
            ),
            st.integers(-3, 3).map(lambda number: np.full(original.shape, number).astype(original.dtype)),
        )
    )
    container.write(folder / "fuzz.palate", tensors, header)
    try:
        rec = palate.load(folder / "fuzz.palate")
    except ModelFileError:
        return
    rec.predict("ann", "tea", on_unknown="nan")  # a model that loads can predict


def test_a_file_that_is_a_model_of_nothing(folder):
    container.write(folder / "nothing.palate", {"x": np.zeros(3)}, {})
    with pytest.raises(TamperedModelError, match=r"nothing\.palate is a palate file, but"):
        palate.load(folder / "nothing.palate")


# ---- old files


def answers_of(rec):
    """The answers that the stored model must keep giving."""
    new = rec.fold_in({"i1": 5.0, "i3": 1.0, "i5": 4.0})
    return {
        "repr": repr(rec),
        "fingerprint": rec.model.fingerprint,
        "predict": rec.predict(["u1", "u2", "nobody", "u3"], ["i1", "i7", "i2", "nothing"]).rows(),
        "recommend": rec.recommend(["u1", "nobody"], n=4).rows(),
        "lower": rec.recommend("u2", n=4, by="lower").rows(),
        "similar": rec.similar_items("i1", n=4).rows(),
        "explain": rec.explain("u1", "i1").to_dict(),
        "history": rec.history("u4").rows(),
        "new": new.predict(["i1", "i2"]).rows() + new.recommend(n=3).rows(),
        "table": rec.model.item_table.rows(),
        "training": rec.model.training,
        "metrics": rec.model.metrics,
    }


def assert_close(one, two):
    if isinstance(one, dict):
        assert one.keys() >= two.keys()  # newer answers may have more keys
        for key in two:
            assert_close(one[key], two[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(two)
        for a, b in zip(one, two, strict=True):
            assert_close(a, b)
    elif isinstance(one, float):
        assert one == pytest.approx(two, abs=2e-3)
    else:
        assert one == two


def write_model_v1():
    """How the file of format 1 was made. Do not run it again; a new format gets a new file."""
    ratings = palate.datasets.synthetic(40, 25, 450, n_factors=2, seed=9)
    table = pl.DataFrame(
        {
            "title": [f"Film {n} 🎬" if n % 5 else None for n in range(25)],
            "year": [1950 + n if n % 7 else None for n in range(25)],
            "genres": [["Drama"] * (n % 3) for n in range(25)],
            "colour": [bool(n % 2) for n in range(25)],
            "released": [date(1999, 1, 1 + n) for n in range(25)],
        }
    )
    rec = palate.Bayes(n_factors=2, n_sweeps=30, n_samples=6).fit(ratings.with_items(table))
    rec = rec.with_metrics({"rmse": 0.75})
    rec.save(FILES / "model-v1.palate")
    (FILES / "model-v1.json").write_text(json.dumps(answers_of(rec), indent=1, default=str) + "\n", encoding="utf-8")


def test_a_model_of_format_1_still_answers_the_same():
    path = FILES / "model-v1.palate"
    assert path.stat().st_size < 60_000
    known = json.loads((FILES / "model-v1.json").read_text(encoding="utf-8"))
    answers = json.loads(json.dumps(answers_of(palate.load(path)), default=str))
    assert_close(answers, known)
    assert container.FORMAT >= 1


def test_an_invalid_history_is_found_before_a_model_uses_it(tmp_path):
    path = tmp_path / "ease.palate"
    palate.EASE().fit(palate.datasets.synthetic(20, 10, 100, seed=1).likes(at_least=2)).save(path)
    tensors, header = container.read(path)
    indices = tensors["history.indices"].copy()
    indices[0] = 2**31 - 1
    container.write(path, {**tensors, "history.indices": indices}, header)
    with pytest.raises(TamperedModelError, match="history: an item code out of range"):
        palate.load(path)
