"""Ratings: immutable, checked, small, and grouped both ways like SciPy would."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import palate
from palate.data.features import Features
from palate.data.ratings import Ratings, ReadReport
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError, LabelTypeError, OptionError

USERS = Vocabulary(["ann", "bob", "eve"], what="user")
ITEMS = Vocabulary([10, 20], what="item")


def make(users=(0, 1, 0), items=(0, 0, 1), values=(5, 3, 1), **more):
    return Ratings(
        np.array(users), np.array(items), np.array(values), user_vocabulary=USERS, item_vocabulary=ITEMS, **more
    )


def make_exactly(users=(0, 1, 0), items=(0, 0, 1), values=(5, 3, 1), **more):
    """As make(), without a conversion to an array on the way."""
    return Ratings(users, items, values, user_vocabulary=USERS, item_vocabulary=ITEMS, **more)


@st.composite
def some_ratings(draw):
    n_users, n_items, n = draw(st.integers(1, 6)), draw(st.integers(1, 6)), draw(st.integers(0, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    pairs = rng.permutation(n_users * n_items)[:n]
    return Ratings(
        pairs // n_items,
        pairs % n_items,
        rng.normal(size=len(pairs)),
        user_vocabulary=Vocabulary(range(n_users), what="user"),
        item_vocabulary=Vocabulary(range(n_items), what="item"),
        times=rng.integers(0, 10**9, len(pairs)) if draw(st.booleans()) else None,
        weights=rng.random(len(pairs)) if draw(st.booleans()) else None,
    )


@given(some_ratings())
@settings(max_examples=60, deadline=None)
def test_rows_both_ways_equal_scipys(ratings):
    matrix = sp.csr_matrix(
        (ratings.values, (ratings.user_codes, ratings.item_codes)), shape=(ratings.n_users, ratings.n_items)
    )
    for rows, expected in ((ratings.by_user(), matrix), (ratings.by_item(), matrix.T.tocsr())):
        ours = sp.csr_matrix((rows.values, rows.indices, rows.indptr), shape=expected.shape)
        assert (ours != expected).nnz == 0
        assert rows.n_rows == expected.shape[0]
        assert rows.counts.tolist() == np.diff(expected.indptr).tolist()
        assert (np.diff(rows.counts[rows.order]) <= 0).all()
        for code in range(rows.n_rows):
            indices, values = rows.row(code)
            assert np.array_equal(expected[code].toarray().ravel()[indices], values)


@given(some_ratings())
@settings(max_examples=30, deadline=None)
def test_weights_travel_with_their_rows(ratings):
    if ratings.weights is None:
        assert ratings.by_user().weights is None
        return
    weight_of = dict(zip(zip(ratings.user_codes, ratings.item_codes, strict=True), ratings.weights, strict=True))
    rows = ratings.by_user()
    owners = np.repeat(np.arange(rows.n_rows), rows.counts)
    pairs = zip(owners, rows.indices, strict=True)
    assert [weight_of[pair] for pair in pairs] == rows.weights.tolist()


@given(some_ratings(), st.data())
@settings(max_examples=40, deadline=None)
def test_slicing_takes_rows_of_every_column(ratings, data):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(ratings), max_size=len(ratings))), bool)
    part = ratings[mask]
    assert len(part) == mask.sum()
    assert part.user_vocabulary is ratings.user_vocabulary
    assert part.to_frame().equals(ratings.to_frame().filter(pl.Series(mask, dtype=pl.Boolean)))
    positions = np.flatnonzero(mask)
    assert ratings[positions].to_frame().equals(part.to_frame())
    assert ratings[: len(ratings) // 2].to_frame().equals(ratings.to_frame().head(len(ratings) // 2))


def test_types_and_sizes():
    ratings = make(times=[3, 2, 1], weights=[1, 2, 0])
    assert (ratings.user_codes.dtype, ratings.values.dtype) == (np.int32, np.float32)
    assert (ratings.times.dtype, ratings.weights.dtype) == (np.int64, np.float32)
    assert (len(ratings), ratings.n_users, ratings.n_items) == (3, 3, 2)
    assert ratings.classes == {"user": ["ann", "bob", "eve"], "item": [10, 20]}
    assert ratings.range == (1.0, 5.0)
    assert repr(ratings) == "Ratings(3 ratings, 3 users, 2 items, with times, weights)"
    assert "3 ratings of 2 items by 3 users, 50.00% of pairs" in ratings.describe()


def test_none_at_all():
    ratings = make((), (), ())
    assert np.isnan(ratings.range).all()
    assert ratings.describe() == "No ratings."
    assert ratings.by_user().counts.tolist() == [0, 0, 0]
    assert ratings.to_frame().height == 0
    empty = Ratings(
        np.zeros(0), np.zeros(0), np.zeros(0), user_vocabulary=Vocabulary([]), item_vocabulary=Vocabulary([])
    )
    assert empty.by_item().n_rows == 0
    assert empty.describe() == "No ratings."


def test_no_more_than_32_bytes_a_rating():
    n = 10_000
    vocabulary = Vocabulary(range(100))
    ratings = Ratings(
        np.arange(n) % 100,
        np.arange(n) // 100,
        np.ones(n),
        user_vocabulary=vocabulary,
        item_vocabulary=vocabulary,
        times=np.arange(n) + 10**9,
    )
    held = [value for value in vars(ratings).values() if isinstance(value, np.ndarray)]
    for rows in (ratings.by_user(), ratings.by_item()):
        held += [rows.indices, rows.values]
    assert sum(array.nbytes for array in held) <= 32 * n


@pytest.mark.parametrize("times", [[0, 1, 2], [-(2**62), 0, 2**62], [5, 5, 5], [-9, -8, -7], [0, 2**31, 2**40]])
def test_times_come_back_exactly(times):
    assert make(times=times).times.tolist() == times


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"users": [0, 1]}, "user_codes has shape"),
        ({"users": [0, 1, 3]}, r"user code lies outside 0\.\.2"),
        ({"items": [0, -1, 0]}, r"item code lies outside 0\.\.1"),
        ({"values": [1, np.nan, 2]}, "NaN or infinite"),
        ({"values": [1, np.inf, 2]}, "NaN or infinite"),
        ({"values": [1, 1e39, 2]}, "too large for float32"),
        ({"times": [1, 2]}, "times has shape"),
        ({"weights": [1, 2]}, "weights has shape"),
        ({"users": np.array([0, 2**32, 1])}, r"user code lies outside 0\.\.2"),
        ({"items": np.array([0, 2**63, 1], np.uint64)}, r"item code lies outside 0\.\.1"),
        ({"users": [0, 0.7, 1]}, r"user_codes must be integers, not float64 \(first: .*0\.0"),
        ({"items": ["0", "1", "0"]}, "item_codes must be integers, not <U1"),
        ({"items": [True, False, True]}, "item_codes must be integers, not bool"),
        ({"users": [[0, 1, 0]]}, r"user_codes has shape \(1, 3\); it should have one dimension"),
        ({"values": [[5], [3], [1]]}, r"values has shape \(3, 1\)"),
        ({"values": 5}, r"values has shape \(\)"),
        ({"values": ["5", "3", "1"]}, "values must be numbers"),
        ({"values": [1j, 2, 3]}, "values must be numbers, not complex128"),
        ({"values": [5, None, 3]}, "values must be numbers, not object"),
        ({"weights": [[1, 2, 3]]}, r"weights has shape \(1, 3\)"),
        ({"weights": ["1", "2", "3"]}, "weights must be numbers"),
        ({"times": np.array([1, np.nan, 2])}, "times must be integers, such as seconds since 1970, not float64"),
        ({"times": np.array(["1999", "2000", "2001"], "datetime64[s]")}, "times must be integers"),
        ({"times": np.array([1, 2**63, 2], np.uint64)}, "times has 9223372036854775808, which is beyond 64 bits"),
        ({"times": [[1, 2, 3]]}, r"times has shape \(1, 3\)"),
        ({"weights": [1, 2, -1]}, "weight is negative"),
        ({"weights": [1, 2, np.nan]}, "weight is negative, NaN"),
        ({"item_table": pl.DataFrame({"title": ["a"]})}, "item table has 1 rows for 2 items"),
        ({"user_table": pl.DataFrame({"name": ["a"]})}, "user table has 1 rows for 3 users"),
    ],
)
def test_what_cannot_be_is_refused(wrong, message):
    with pytest.raises(DataError, match=message):
        make(**wrong)


def test_immutable():
    ratings = make()
    with pytest.raises(ValueError, match="read-only"):
        ratings.values[0] = 9
    with pytest.raises(AttributeError, match="immutable"):
        ratings.values = np.zeros(3)


def test_the_callers_arrays_stay_writeable():
    values = np.array([5, 3, 1], np.float32)
    Ratings(np.zeros(3, int), np.zeros(3, int), values, user_vocabulary=USERS, item_vocabulary=ITEMS)
    values[0] = 1


@pytest.mark.parametrize("name", ["users", "items", "values", "times", "weights"])
def test_a_view_of_the_callers_array_is_copied(name):
    mine = np.array([1, 0, 1], np.float32 if name in ("values", "weights") else np.int32)
    view = mine[:]
    view.setflags(write=False)
    columns = {"users": "user_codes", "items": "item_codes"}
    ratings = make_exactly(**{name: view})
    mine[0] = 0
    assert getattr(ratings, columns.get(name, name)).tolist() == [1, 0, 1]


@given(some_ratings())
@settings(max_examples=20, deadline=None)
def test_nothing_of_it_can_be_written_to(ratings):
    ratings.by_user()
    for each in (ratings, ratings[::2], ratings[np.arange(len(ratings))], pickle.loads(pickle.dumps(ratings))):
        grouped = [vars(rows).values() for rows in (each.by_user(), each.by_item())]
        held = [*vars(each).values(), *grouped[0], *grouped[1]]
        held += [each.user_vocabulary.labels, each.item_vocabulary.labels]
        arrays = [array for array in held if isinstance(array, np.ndarray)]
        assert len(arrays) >= 11
        assert not any(array.flags.writeable for array in arrays if array is not each.by_user().__dict__.get("counts"))


def test_a_slice_shares_memory_with_the_whole():
    ratings = make(times=[3, 2, 1], weights=[1, 2, 0])
    assert np.shares_memory(ratings[1:].values, ratings.values)
    assert ratings[1:].times.tolist() == [2, 1]
    assert ratings[2].to_frame().equals(ratings[2:].to_frame())
    with pytest.raises(DataError, match=r"values has shape \(1, 2\)"):
        ratings[np.array([[0, 1]])]


def test_tables_travel():
    table = pl.DataFrame({"title": ["tea", "jam"]})
    ratings = make().with_items(table).with_users(pl.DataFrame({"age": [1, 2, 3]}))
    assert ratings[:1].item_table.equals(table)
    assert ratings[:1].user_table.height == 3
    assert make().item_table is None
    with pytest.raises(DataError, match="item table"):
        ratings.with_items(table.head(1))


KINDS = {
    "polars": lambda columns: pl.DataFrame(columns),
    "lazy": lambda columns: pl.LazyFrame(columns),
    "pandas": lambda columns: pd.DataFrame(columns),
    "arrow": lambda columns: pl.DataFrame(columns).to_arrow(),
    "mapping": lambda columns: columns,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["user", "userId", "id", "person"])
def test_tables_are_joined_by_label(kind, name):
    users = KINDS[kind]({"age": [30, 20, 90], name: ["bob", "ann", "zoe"]} if name != "person" else {
        name: ["bob", "ann", "zoe"], "age": [30, 20, 90]})  # fmt: skip
    ratings = make().with_users(users)
    assert ratings.user_table.rows() == [(20,), (30,), (None,)]
    assert ratings.report.table_notes == ("users: 1 row for users without ratings left out",)
    items = KINDS[kind]({"movie_id": [20, 10], "title": ["jam", "tea"]})
    assert ratings.with_items(items).item_table.rows() == [("tea",), ("jam",)]
    assert ratings.with_items(items).report.table_notes == ratings.report.table_notes


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=6, unique=True), st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_order_of_a_table_is_irrelevant(order, absent, as_text):
    rows = [row for row in order if row not in absent[:-1]]
    labels = Vocabulary([str(row) for row in range(6)] if as_text else range(6), what="user")
    ratings = Ratings(np.zeros(0), np.zeros(0), np.zeros(0), user_vocabulary=labels, item_vocabulary=ITEMS)
    table = ratings.with_users({"user": rows, "square": [row**2 for row in rows]}).user_table
    assert table["square"].to_list() == [row**2 if row in rows else None for row in range(6)]


def test_repeated_and_missing_labels_of_a_table_are_noted():
    users = {"user": ["ann", "ann", None, "zoe"], "age": [1, 2, 3, 4]}
    ratings = make().with_users(users)
    assert ratings.user_table.rows() == [(2,), (None,), (None,)]
    assert len(ratings.report.table_notes) == 3
    assert "users: 1 row with a repeated id, the last kept" in ratings.report.table_notes
    assert ratings.with_users({"user": ["ann"], "age": [1]}).report.table_notes == ()
    assert ratings.with_users(None).user_table is None


def test_a_table_from_a_file(tmp_path):
    path = tmp_path / "users.csv"
    path.write_text("user,age\nbob,30\nann,20\n")
    assert make().with_users(path).user_table.rows() == [(20,), (30,), (None,)]
    path.write_text("user,age\nbob,30\nann,20,7\n")
    with pytest.raises(DataError, match=r"users.csv, line 3"):
        make().with_users(path)


@pytest.mark.parametrize(
    ("table", "error", "says"),
    [
        ({"user": ["zoe"], "age": [1]}, DataError, "none of the 3 users.*column 'user' are like .*zoe"),
        ({"age": [1], "user": [1.5]}, LabelTypeError, "user ids are floats"),
        ({"age": [1, 2], "user": [1, "ann"]}, LabelTypeError, "column 'user' must be all strings or all integers"),
        ({"age": [1, 2], "user": ["ann"]}, DataError, "different lengths: age 2, user 1"),
        (
            pl.DataFrame({"age": [1, 2]}),
            DataError,
            "user table has 2 rows for 3 users.*name that column 'user'",
        ),
        (5, DataError, "from this int"),
    ],
)
def test_a_table_that_cannot_be_joined_is_refused(table, error, says):
    with pytest.raises(error, match=says):
        make().with_users(table)


@pytest.mark.parametrize("kind", [*KINDS, "file"])
def test_unrated_rows_of_a_table_can_be_kept(kind, tmp_path):
    columns = {"age": [30, 20, 5, 90, 7], "user": ["bob", "ann", "aaa", "zoe", None]}
    if kind == "file":
        users = tmp_path / "users.csv"
        pl.DataFrame(columns).write_csv(users)
    else:
        users = KINDS[kind](columns)
    plain, ratings = make(times=[3, 2, 1]), make(times=[3, 2, 1]).with_users(users, unrated="keep")
    assert ratings.classes["user"] == ["aaa", "ann", "bob", "eve", "zoe"]
    assert ratings.user_table.rows() == [(5,), (20,), (30,), (None,), (90,)]
    assert ratings.report.table_notes == ("users: 1 row without a usable id left out",)
    assert ratings.to_frame().equals(plain.to_frame())
    assert ratings.by_user().counts.tolist() == [0, *plain.by_user().counts, 0]
    again = ratings.with_users({"user": ["ann", "zed"], "age": [1, 2]})
    assert again.classes == ratings.classes
    assert again.user_table.rows() == [(None,), (1,), (None,), (None,), (None,)]
    with pytest.raises(DataError, match="none of the 3 users"):
        plain.with_users({"user": ["zoe"], "age": [1]}, unrated="keep")
    with pytest.raises(OptionError, match="unrated='all' is not valid; use one of 'drop', 'keep'"):
        plain.with_users(users, unrated="all")


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12, unique=True), st.lists(st.integers(0, 30), max_size=12),
       st.booleans())  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_keeping_unrated_items_changes_no_rating(rated, listed, as_text):
    kind = str if as_text else int
    labels = [kind(label) for label in rated]
    plain = palate.read({"user": ["u"] * len(labels), "item": labels, "rating": [1 + label % 5 for label in rated]})
    listed = [kind(label) for label in dict.fromkeys([*listed, rated[0]])]
    table = {"item": listed, "same": listed}
    kept = plain.with_items(table, unrated="keep")
    assert kept.to_frame().equals(plain.to_frame())
    assert kept.item_vocabulary == Vocabulary([*labels, *listed])
    known = [label if label in listed else None for label in kept.item_vocabulary]
    assert kept.item_table["same"].to_list() == known
    assert plain.with_items(table).item_vocabulary is plain.item_vocabulary
    columns = {"user": ["u"] * len(labels), "item": labels, "rating": plain.values}
    read = palate.read(columns, items=table, unrated="keep")
    assert read.item_table.equals(kept.item_table)
    assert read.item_codes.tolist() == kept.item_codes.tolist()


def test_the_column_of_labels_can_be_named(tmp_path):
    columns = {"id": [1, 2], "film": [20, 10], "price": [2, 1], "code": [10, 20]}
    for table in (columns, pl.DataFrame(columns), pd.DataFrame(columns)):
        assert make().with_items(table, item="code").item_table["price"].to_list() == [2, 1]
        assert make().with_items(table).item_table["price"].to_list() == [1, 2]
        with pytest.raises(DataError, match=r"no column 'kode' for item=.*'price', 'code'"):
            make().with_items(table, item="kode")
    path = tmp_path / "prices.txt"
    path.write_text("price,code\n2,10\n1,20\n")
    assert make().with_items(path, item="code").item_table["price"].to_list() == [2, 1]
    path.write_text("2,10\n1,20\n")
    assert make().with_items(path, item=1).item_table["column_1"].to_list() == [2, 1]
    with pytest.raises(DataError, match="none of the 2 items"):
        make().with_items(path)
    assert make().with_users({"who": ["bob"], "age": [3]}, user="who").user_table.rows() == [(None,), (3,), (None,)]


def test_kept_items_and_users_are_answered_for():
    rng = np.random.default_rng(0)
    columns = {"user": rng.integers(0, 20, 200), "item": rng.integers(0, 15, 200), "rating": rng.integers(1, 6, 200)}
    ratings = palate.read(
        columns, items={"item": range(-2, 17)}, users={"user": [3, 40], "age": [1, 2]}, unrated="keep"
    )
    assert (ratings.n_users, ratings.n_items) == (21, 19)
    rec = palate.Bayes(n_sweeps=5).fit(ratings)
    prediction = rec.predict([40, 3], [-2, 16])
    assert np.isfinite(prediction["prediction"].to_numpy()).all()
    assert set(rec.recommend(40, n=19)["item"].to_list()) == set(range(-2, 17))
    palate.check(ratings)


def test_frame_and_copy_across_processes():
    ratings = make(times=[3, 2, 1])
    again = pickle.loads(pickle.dumps(ratings))
    assert again.to_frame().equals(ratings.to_frame())
    assert ratings.to_frame().rows() == [("ann", 10, 5.0, 3), ("bob", 10, 3.0, 2), ("ann", 20, 1.0, 1)]


def test_the_report_says_what_happened():
    report = ReadReport(1000, {"no user": 2}, ("line 3",), 5, "x.csv", 1)
    assert str(report) == "1,000 rows read, 2 left out (no user), 5 duplicates of a (user, item) joined from x.csv."
    assert not report.is_clean
    notes = ("items: 2 rows without a usable id left out", "users: 1 row for users without ratings left out")
    report = ReadReport(10, source="x.csv", table_notes=notes)
    assert str(report) == f"10 rows read from x.csv. {notes[0]}. {notes[1]}."
    assert not report.is_clean
    assert ReadReport(10).is_clean
    assert notes[0] in make(report=report).describe()


def test_what_is_made_of_labels_is_made_once():
    """Also after pickling; no list or mapping of a property is built anew at every access."""
    ratings = make_with_table()
    for thing in (ratings, pickle.loads(pickle.dumps(ratings)), Features.learned(ratings.item_table, min_rows=1)):
        names = [name for name in dir(type(thing)) if not name.startswith("_")]
        made = {name: getattr(thing, name) for name in names}
        lasting = {name for name in names if isinstance(made[name], list | dict)}
        assert "classes" in lasting
        for name in lasting:
            assert getattr(thing, name) is made[name], name
    assert ratings[:1].classes == ratings.classes


def make_with_table():
    ratings = palate.read({"user": ["ann", "bob"], "item": ["tea", "jam"], "rating": [5, 3]})
    return ratings.with_items({"item": ["tea", "jam"], "kind": ["drink", "spread"]})
