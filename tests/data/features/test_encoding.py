"""Encoding rows as features: rows one by one, groups, knots, titles, the stored form; and real tables."""

import datetime
import json
import os
import re
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from palate.data.features import Features
from palate.errors import DataError, OptionError

few = settings(max_examples=60, deadline=None)

# ---- rows one by one

TABLE = {
    "age": [20 + n % 35 for n in range(60)],
    "job": ["cook", "smith", "nurse"] * 20,
    "likes": ["tea|jam", "tea", ""] * 20,
    "tags": ["['new', 'red']", "['new']", "[]"] * 20,
    "born": [f"19{60 + n % 30}-01-01" for n in range(60)],
    "title": [f"Film {n} ({1950 + n})" for n in range(60)],
    "code": [f"x{n}" for n in range(60)],
    "genre_Action": [1, 0, 1] * 20,
    "genre_Drama": [0, 1, 1] * 20,
    "genre_War": [0, 0, 1] * 20,
}


@pytest.fixture(scope="module")
def features():
    return Features.learned(TABLE)


def test_rows_encoded_one_by_one_are_the_rows_of_the_table(features):
    rows = [{name: values[row] for name, values in TABLE.items()} for row in range(60)]
    whole, told = features.encode(TABLE), features.encode_rows(rows)
    for name in ("indptr", "indices", "values"):
        np.testing.assert_array_equal(getattr(told, name), getattr(whole, name))
    kinds = {"genre": ["Action", "War"], "genre_Drama": 1}
    for row in ({"genre": ["Action", "Drama", "War"]}, {"genre": "Action|Drama|War"}, kinds, {"genre_Action": True,
                "genre_Drama": "1", "genre_War": 1.0}):  # fmt: skip
        dense = features.encode_rows(row).to_dense()[0]
        filled = {features.names[at]: dense[at] for at in np.flatnonzero(dense)}
        assert filled == pytest.approx(dict.fromkeys(("genre=Action", "genre=Drama", "genre=War"), 3**-0.5))
    lists = features.encode_rows({"likes": ("jam", "tea"), "tags": {"red", "new"}}).to_dense()
    np.testing.assert_array_equal(lists, features.encode_rows({"likes": "tea|jam", "tags": "[new, red]"}).to_dense())
    by_day = features.encode_rows([{"born": datetime.date(1975, 1, 1)}, {"born": "01-Jan-1975"}]).to_dense()
    assert by_day[0].any()
    np.testing.assert_array_equal(by_day[0], by_day[1])


def test_absent_values_are_missing_and_unknown_ones_are_counted(features):
    assert features.encode_rows({}).shape == (1, features.n_features)
    assert len(features.encode_rows([{}, {"age": None, "job": "", "likes": [], "code": "x1"}]).values) == 0
    assert features.encode_rows([]).shape == (0, features.n_features)
    unknown = features.encode_rows(
        [{"job": "king", "likes": ["beer", "tea"]}, {"age": "old", "genre": ["Noir"]}]
    ).unknown
    assert unknown == {"age": 1, "job": 1, "likes": 1, "genre": 1}
    assert Features.learned({"a": [None]}).encode_rows([{"a": 1}, {}]).shape == (2, 0)


@pytest.mark.parametrize(
    ("rows", "error", "says"),
    [
        (
            [{}, {"ag": 3}],
            OptionError,
            r"row 1 \(from 0\): there is no field 'ag'. The fields are 'age', 'job', 'likes'",
        ),
        ({"age": 3, 5: 1}, OptionError, "no field 5"),
        ([5], OptionError, r"row 0 \(from 0\) is 5; a row is a mapping"),
        ("age", OptionError, "is 'a'; a row is a mapping"),
        ({"age": float("inf")}, DataError, r"column 'age', row 0 .*infinite"),
        ({"age": [1, 2]}, DataError, "'age' holds List"),
        ({"job": ["cook"]}, DataError, "'job' holds List"),
        ({"genre_War": 7}, DataError, r"column 'genre_War', row 0 \(from 0\): 7 is neither 0 nor 1"),
    ],
)
def test_rows_that_cannot_be_are_refused(features, rows, error, says):
    with pytest.raises(error, match=says):
        features.encode_rows(rows)


anything = (
    st.none() | st.text(max_size=4) | st.text(st.characters(), max_size=3) | st.booleans() | st.integers()
    | st.floats() | st.dates() | st.datetimes() | st.binary(max_size=2) | st.lists(st.text(max_size=2), max_size=3)
    | st.sampled_from([10**400, 1 + 2j, object(), {"a": 1}, {1, 2}, ("tea", None), [[1]], np.float32(3), "1e999", "١٢"])
)  # fmt: skip


@few
@given(st.lists(st.dictionaries(st.sampled_from([*TABLE, "genre"]), anything), max_size=4))
def test_any_row_is_encoded_or_refused_in_words(rows):
    features = Features.learned(TABLE)
    try:
        design = features.encode_rows(rows)
    except (DataError, OptionError) as error:
        assert any(f"'{name}'" in str(error) for name in (*TABLE, "genre"))
        return
    assert design.shape == (len(rows), features.n_features)
    assert np.isfinite(design.values).all()


@few
@given(st.dictionaries(st.text(string.printable, max_size=5), st.lists(anything, min_size=3, max_size=3), max_size=4))
def test_any_table_is_learned_or_refused_in_words(table):
    try:
        features = Features.learned(table, min_rows=1)
        assert features.encode(table).shape == (3 * bool(table), features.n_features)
        assert Features.from_dict(json.loads(json.dumps(features.to_dict(), allow_nan=False))) == features
    except DataError as error:
        assert "column" in str(error) or "cannot" in str(error)


# ---- groups, knots, titles


def test_features_are_grouped_by_field(features):
    assert features.group_names == ["age", "job", "likes", "tags", "born", "title year", "genre"]
    assert features.groups.dtype == np.int32
    by_field = [[name for name, of in zip(features.names, features.groups, strict=True) if of == group]
                for group in range(7)]  # fmt: skip
    assert by_field[1] == ["job=cook", "job=nurse", "job=smith"]
    assert by_field[5][0] == "title year"
    assert len(Features.learned({}).groups) == 0


def test_a_curve_is_followed_where_a_line_is_not():
    x = np.random.default_rng(0).normal(size=400)
    curve = np.cos(3 * x)
    errors = []
    for n_knots in (0, 7):
        features = Features.learned({"x": x}, n_knots=n_knots)
        assert features.n_features == n_knots + 1
        design = np.column_stack([np.ones(400), features.encode({"x": x}).to_dense()])
        errors.append(np.square(curve - design @ np.linalg.lstsq(design, curve)[0]).mean())
    assert errors[1] < 0.2 * errors[0]
    beyond = features.encode({"x": [1e9, -1e9, 99.0]}).to_dense()[:, 1:]
    np.testing.assert_array_equal(beyond, np.eye(7)[[6, 0, 6]])


@pytest.mark.parametrize(
    ("values", "n_knots"),
    [
        (range(29), 0), (range(30), 3), (range(45), 4), (range(1000), 7), ([1.5, 2.5, 3.5, 4.5] * 50, 0),
        ([0.5] * 190 + [n / 3 for n in range(10)], 0), ([1e6 + n / 1e6 for n in range(99)], 0),
        ([*range(29), *[None] * 99], 0),
    ],
)  # fmt: skip
def test_knots_are_where_there_are_enough_rows_and_values(values, n_knots):
    features = Features.learned({"x": list(values)}, continuous=["x"])
    assert sum("near" in name for name in features.names) == n_knots
    assert len(set(features.names)) == len(features.names)


def test_titles_give_their_years_and_nothing_else():
    texts = ["Alien (1979)", "Up (2009) ", "M (1931)", "2001: A Space | Odyssey (1968)", "Dallas (1978-1991) (TV)",
             "Untitled", "Blade Runner (2049) (1982)", None]  # fmt: skip
    for name in ("title", "anything"):
        features = Features.learned({name: texts})
        assert features.report[name].startswith("year in the title, about 1974")
        assert features.names == [f"{name} year", f"{name} year missing"]
    years = np.array([1979, 2009, 1931, 1968, 1978, 1982])
    dense = features.encode({"anything": texts}).to_dense()
    expected = (years - years.mean()) / years.std()
    np.testing.assert_allclose(dense[[0, 1, 2, 3, 4, 6], 0], expected, rtol=1e-5)
    assert dense[:, 1].tolist() == [0, 0, 0, 0, 0, 1, 0, 1]
    assert features.encode({"anything": ["no year", "(12)", "Metropolis (1927)"]}).unknown == {}
    assert Features.learned({"title": ["Up", "M", "M", "It", "It", "Z"]}).report["title"].startswith("left out")
    assert Features.learned({"title": ["a", "b|c", *"defghijklm"]}).report["title"].startswith("left out")
    assert Features.learned({"title": ["Mr", "Ms", "Mr"] * 9}).classes == {"title": ["Mr", "Ms"]}
    told = Features.learned({"title": texts}, categorical=["title"], min_rows=1)
    assert "title=M (1931)" in told.names
    assert Features.learned({"title": ["Up", "M (1931)", "Z (1969)"]}, continuous=["title"]).names == ["title year"]


def test_missing_is_marked_if_it_is_on_two_rows():
    values = [n / 7 for n in range(20)]
    assert Features.learned({"x": [None, *values]}).names == ["x"]
    assert Features.learned({"x": [None, None, *values]}).names == ["x", "x missing"]


@pytest.mark.parametrize("options", [{"n_knots": -1}, {"n_knots": 2.5}, {"n_knots": True}, {"min_rows": "2"}])
def test_limits_are_whole_numbers(options):
    with pytest.raises(OptionError, match=f"{next(iter(options))} must be a whole number"):
        Features.learned(TABLE, **options)


# ---- the stored form

GOOD = {"n_rows": 4, "fields": [{"kind": "classes", "name": "a", "labels": ["x", "y"]}]}


@pytest.mark.parametrize(
    "stored",
    [
        {}, [], None, {"n_rows": 1, "fields": 5}, {"n_rows": "1", "fields": []}, {"n_rows": 1, "fields": ["x"]},
        *({"n_rows": 1, "fields": [{"kind": "classes", "name": "a"} | wrong]}
          for wrong in ({"kind": "object"}, {"name": 1}, {"labels": ["x", "x"]}, {"labels": [1]}, {"labels": 5},
                        {"separator": "x"}, {"odd": 1}, {"n_rare": 1.5}, {"kind": ["x"]})),
        *({"n_rows": 1, "fields": [{"kind": "scale", "name": "a"} | wrong]}
          for wrong in ({"deviation": 0.0}, {"deviation": float("nan")}, {"mean": float("inf")}, {"mean": "1"},
                        {"mean": 10**400}, {"mean": True}, {"knots": [1.0]}, {"knots": [1.0, 1.0]}, {"knots": "12"},
                        {"knots": [2.0, 1.0]}, {"knots": [0.0, float("nan")]}, {"knots": {"a": 1}}, {"reads": "x"},
                        {"reads": ["date"]}, {"marks_missing": 1}, {"name": None}, {"deviation": -1.0})),
        {"n_rows": -1, "fields": []}, {"n_rows": True, "fields": []}, {"n_rows": 1, "fields": "ab"},
        {"n_rows": 1, "fields": [{"kind": "left out", "name": "a"}] * 2}, {"n_rows": 1, "fields": [{"name": "a"}]},
        {"n_rows": 1, "fields": [{"kind": "left out", "name": "a"},
                                 {"kind": "classes", "name": "g", "columns": ["a"]}]},
        {"n_rows": 1, "fields": [{"kind": "classes", "name": "g", "columns": ["a", "a"]}]}, "ab", 5,
        {"n_rows": 1, "fields": [{"kind": "classes", "name": "g", "columns": ["a"], "separator": "|"}]},
    ],
)  # fmt: skip
def test_a_stored_form_that_cannot_be_is_refused(stored):
    assert Features.from_dict(GOOD).names == ["a=x", "a=y"]
    with pytest.raises(ValueError, match="not a description of features"):
        Features.from_dict(stored)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=3)
    | st.sampled_from([10**400, "scale", "classes", "left out", "|", "[", "date", "year in title", "age", "job"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=5,
)  # fmt: skip


@few
@given(st.data())
def test_a_stored_form_with_a_wrong_part_is_refused_or_encodes(data):
    stored = Features.learned(TABLE).to_dict()
    where = data.draw(st.sampled_from(stored["fields"]))
    where[data.draw(st.sampled_from([*where, "odd"]))] = data.draw(json_values)
    try:
        features = Features.from_dict(stored)
        assert "features, learned from" in str(features)
        assert len(features.groups) == len(features.names)
        assert np.isfinite(features.encode(TABLE).values).all()
        features.encode_rows({})
    except DataError as error:
        assert "features" in str(error) or "column" in str(error)


def test_hostile_but_possible_forms_still_encode():
    scale = {"kind": "scale", "name": "x", "mean": 1e308, "deviation": 5e-324, "knots": [-1e308, 0, 1.5e308]}
    features = Features.from_dict({"n_rows": 0, "fields": [scale]})
    assert np.isfinite(features.encode({"x": [-1e308, 1e308, 0, None]}).values).all()
    for mean, deviation in ((-1e308, 1e308), (0, 1), (5, 5e-324)):
        scaled = Features.from_dict({"n_rows": 0, "fields": [scale | {"mean": mean, "deviation": deviation}]})
        assert np.isfinite(scaled.encode({"x": [-1e308, 1e308, 5, 1e-320]}).values).all()


# ---- real data


def folder_of(name):
    folder = Path(os.environ.get("PALATE_DATA", "/nonexistent")) / name
    if not folder.is_dir():
        pytest.skip(f"PALATE_DATA holds no {name}")
    return folder


def filled(features, table, row):
    """{feature: value} of a row."""
    dense = features.encode(table[row]).to_dense()[0]
    return {features.names[at]: round(float(dense[at]), 3) for at in np.flatnonzero(dense)}


@pytest.mark.data
def test_ml_100k(ml_100k):
    users, items = Features.learned(ml_100k.user_table), Features.learned(ml_100k.item_table)
    assert users.group_names == ["age", "gender", "occupation"]
    assert [len(users.classes[name]) for name in ("gender", "occupation")] == [2, 21]
    assert users.report["zip"].startswith("left out: 795 different")
    assert items.group_names == ["title year", "genres"]
    assert len(items.classes["genres"]) == 19
    goldeneye = filled(items, ml_100k.item_table, ml_100k.item_vocabulary.encode_one("2"))
    assert list(goldeneye)[:2] == ["title year", "title year near 1995.0"]
    assert dict.fromkeys(("genres=Action", "genres=Adventure", "genres=Thriller"), 0.577).items() < goldeneye.items()
    ages = users.encode(ml_100k.user_table).to_dense()[:, 0]
    np.testing.assert_allclose([ages.mean(), ages.std()], [0, 1], atol=1e-5)
    student = users.encode_rows({"age": 24, "occupation": "student"})
    assert [users.names[at] for at in student.indices] == ["age", "age near 24", "occupation=student"]


@pytest.mark.data
def test_the_files_of_ml_100k_as_they_are(ml_100k):
    folder = folder_of("ml-100k")
    if not ((folder / "u.item").is_file() and (folder / "u.user").is_file()):
        pytest.skip("PALATE_DATA holds no u.item and u.user")
    ratings = ml_100k.with_items(folder / "u.item").with_users(folder / "u.user")
    items, usual = Features.learned(ratings.item_table), Features.learned(ml_100k.item_table)
    became = {name: text.split(":")[0].split(",")[0] for name, text in items.report.items()}
    assert became == {
        "title": "year in the title",
        "column_3": "date",
        "column_4": "left out",
        "column_5": "left out",
        "column": "multi-valued",
    }
    genres = items.encode(ratings.item_table).to_dense()[:, items.groups == 2]
    by_bars = usual.encode(ml_100k.item_table).to_dense()[:, usual.groups == 1]
    assert sorted(map(tuple, genres.T.tolist())) == sorted(map(tuple, by_bars.T.tolist()))
    released = items.encode(ratings.item_table).to_dense()[:, items.names.index("column_3")]
    assert released[ratings.item_vocabulary.encode_one("267")] == 0  # the one film without a date
    assert np.count_nonzero(released) == 1681
    users = Features.learned(ratings.user_table)
    np.testing.assert_array_equal(
        users.encode(ratings.user_table).to_dense(),
        Features.learned(ml_100k.user_table).encode(ml_100k.user_table).to_dense(),
    )


@pytest.mark.data
def test_the_files_of_ml_1m_as_they_are():
    folder = folder_of("ml-1m")
    files = {"users": folder / "users.dat", "items": folder / "movies.dat"}
    if not all(file.is_file() for file in files.values()):
        pytest.skip("PALATE_DATA holds no users.dat and movies.dat")
    ratings = palate.read(folder / "ratings.parquet", **files, unrated="keep")
    assert (ratings.n_items, ratings.by_item().counts.astype(bool).sum()) == (3883, 3706)
    users, items = Features.learned(ratings.user_table), Features.learned(ratings.item_table)
    assert [list(users.groups).count(group) for group in range(3)] == [2, 7, 21]  # gender, age, occupation
    assert items.group_names == ["title year", "column_3"]
    assert len(items.classes["column_3"]) == 18
    jumanji = filled(items, ratings.item_table, ratings.item_vocabulary.encode_one(2))
    assert {f"column_3={kind}": 0.577 for kind in ("Adventure", "Children's", "Fantasy")}.items() < jumanji.items()
    assert items.encode(ratings.item_table).unknown == {}


@pytest.mark.data
def test_the_files_of_ml_latest_small_as_they_are():
    folder = folder_of("ml-latest-small")
    ratings = palate.read(folder / "ratings.csv", items=folder / "movies.csv", unrated="keep")
    assert ratings.n_items == 9742
    items = Features.learned(ratings.item_table)
    assert items.group_names == ["title year", "genres"]
    assert len(items.classes["genres"]) == 20
    missing = items.encode(ratings.item_table).to_dense()[:, items.names.index("title year missing")]
    assert missing.sum() == sum(not re.search(r"\((19|20)\d\d", title) for title in ratings.item_table["title"])
