"""Wide tables, a row for each user and a column for each item: none is misread, and each is read when it is said."""

import io
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import palate
from helpers.command_line import ask as run
from palate.data.reading.frames import Table
from palate.data.reading.wide import (
    _check_columns,
    _check_scale,
    _counts_rated,
    _is_text,
    _label_position,
    _what_rows_are,
    check_wide,
    long_table,
)
from palate.data.reading.wide_looks import looks_wide
from palate.errors import DataError, OptionError, PalateError

MATRIX = np.array([[5, 3, 0, 1], [4, 0, 0, 1], [1, 1, 0, 5]])
HOLES = np.where(MATRIX == 0, np.nan, MATRIX)
RATED = {(u, i, float(MATRIX[u, i])) for u, i in zip(*np.nonzero(MATRIX), strict=True)}
USERS, ITEMS = ["ann", "bob", "cid"], ["Dune", "Heat", "Alien", "Up"]
NAMED = {(USERS[u], ITEMS[i], value) for u, i, value in RATED}
COLUMNS = {"user": USERS} | {item: [None if x == 0 else int(x) for x in MATRIX[:, at]] for at, item in enumerate(ITEMS)}
REFUSED = r"pass(ing)? wide=True|Pass wide=True"


def triples(ratings):
    with palate.set_output("polars"):
        frame = ratings.to_frame()
    return set(zip(frame["user"], frame["item"], frame["rating"], strict=True))


def pandas_pivot(items, name="item"):
    long = pd.DataFrame([(user, items[ITEMS.index(item)], value) for user, item, value in NAMED])
    return long.set_axis(["user", name, "rating"], axis=1).pivot(index="user", columns=name, values="rating")


def written(tmp_path, kind, frame):
    path = tmp_path / f"wide.{kind}"
    if kind == "parquet":
        frame.write_parquet(path)
    elif kind == "arrow":
        frame.write_ipc(path)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dicts()))
    else:
        frame.write_csv(path, separator={"csv": ",", "tsv": "\t", "txt": ";"}[kind])
    return path


# ---- none is misread


@pytest.mark.parametrize("kind", ["explicit", "implicit"])
@pytest.mark.parametrize("source", [MATRIX, MATRIX.astype(float), HOLES, MATRIX.tolist(), MATRIX.astype(np.int8)])
def test_arrays_and_lists_are_recognised(source, kind):
    with pytest.raises(DataError, match=r"looks like a wide table.* wide=True.* wide=False"):
        palate.read(source, kind=kind)


def test_frames_with_numbers_for_names_are_recognised():
    frames = [pd.DataFrame(MATRIX), pandas_pivot([1, 2, 3, 4]), pandas_pivot([0, 1, 2, 3]), pandas_pivot([7, 50, 8, 9])]
    frames += [pl.DataFrame(MATRIX, schema=["0", "1", "2", "3"]), pl.DataFrame(MATRIX, schema=["11", "45", "9", "10"])]
    for frame in frames:
        with pytest.raises(DataError, match=REFUSED):
            palate.read(frame)


@pytest.mark.parametrize("kind", ["csv", "tsv", "txt", "parquet", "arrow", "jsonl"])
def test_files_and_frames_with_names_are_recognised(tmp_path, kind):
    frame = pl.DataFrame(COLUMNS)
    for source in (written(tmp_path, kind, frame), frame, frame.to_arrow(), COLUMNS):
        with pytest.raises(DataError, match=REFUSED):
            palate.read(source)


@pytest.mark.parametrize(
    "text",
    [
        "5,3,0,1\n4,0,0,1\n1,1,0,5\n2,4,4,1\n",  # no names
        "user,1,2,3\n7,5,,3\n8,,,1\n",  # numbers for items, as pandas writes a pivot
        ",10,20,30\n7,5,,3\n8,,,1\n",
        "ann,,4,4\nbob,5,,3\ncid,,3,\n",
        "3\t7.8\t99\t-9.7\t4.1\n2\t99\t99\t4.4\t-2.5\n4\t1.2\t-3.3\t0.5\t8.8\n",
        "1,2,3,4,5,5\n5,5,1,2,2,1\n3,3,1,1,4,5\n",
    ],
)
def test_texts_are_recognised(tmp_path, text):
    path = tmp_path / "wide.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=REFUSED):
        palate.read(path)
    assert len(palate.read(path, wide=True, blank=False)) > 0


@given(st.integers(12, 60), st.integers(3, 40), st.sampled_from([5, 10]), st.floats(0, 0.95), st.integers(0, 99))
@example(58, 4, 5, 0.9375, 0)  # nearly all cells are 0
@example(12, 4, 5, 0.9375, 0)  # an item that nobody rated
@settings(max_examples=60, deadline=None)
def test_no_matrix_of_ratings_reads_as_triples(n, m, top, share, seed):
    rng = np.random.default_rng(seed)
    ratings = rng.integers(1, top + 1, (n, m)).astype(float)
    if m == 3:  # these can be told apart only where there are more rows than pairs
        ratings = np.repeat(ratings, 10, axis=0)
    empty = rng.random(ratings.shape) < share
    for none in (0, np.nan):
        with pytest.raises(PalateError, match="wide"):
            palate.read(np.where(empty, none, ratings))
    wide = palate.read(np.where(empty, np.nan, ratings), wide=True, blank=False) if not empty.all() else None
    if wide is not None:
        assert triples(wide) == {(u, i, ratings[u, i]) for u, i in zip(*np.nonzero(~empty), strict=True)}


# ---- and no triples as a matrix


@given(st.integers(3, 60), st.integers(1, 30), st.sampled_from([2, 5, 10]), st.booleans(), st.integers(0, 999))
@settings(max_examples=100, deadline=None)
def test_no_triples_are_taken_for_a_matrix(n_users, n_items, top, timed, seed):
    """All users and items have small numbers, as in toys, and each pair stands once."""
    rng = np.random.default_rng(seed)
    pairs = np.argwhere(rng.random((n_users, n_items)) < 0.7)
    if len(pairs) == 0:
        return
    columns = [pairs, rng.integers(1, top + 1, (len(pairs), 1))]
    if timed:
        columns.append(10**9 + rng.integers(0, 10**6, (len(pairs), 1)))
    rows = np.hstack(columns)
    assert triples(palate.read(rows)) == {(u, i, float(r)) for u, i, r in rows[:, :3].tolist()}
    assert len(palate.read(rows.tolist())) == len(palate.read(rows.astype(float))) == len(rows)


def test_small_and_odd_triples_are_read(tmp_path):
    toys = [[[1, 1, 5], [1, 2, 3]], [[0, 0, 5, 1], [0, 1, 3, 2], [1, 0, 4, 3]], [[5, 3, 1], [4, 2, 1], [1, 1, 5]]]
    for toy in toys:
        assert len(palate.read(np.array(toy))) == len(toy)
        assert len(palate.read(pd.DataFrame(toy))) == len(toy)
    assert len(palate.read([("ann", "tea", 5), ("bob", "jam", 3)])) == 2
    assert len(palate.read(pd.DataFrame([[1, 1, 0, 5], [1, 2, 0, 3]])[[0, 1, 3]])) == 2
    plays = np.column_stack([np.repeat([0, 1], 20), np.tile([0, 1, 2, 3], 10), np.ones(40, int)])
    assert len(palate.read(plays, kind="implicit")) == 8  # repeats are added up
    path = tmp_path / "six.txt"
    path.write_text("1 1 1 5 1 1298876400\n1 2 1 4 2 1288940400\n2 1 6 3 2 1286262000\n")
    assert len(palate.read(path, user=0, item=1, rating=3, time=5)) == 3


def test_whoever_names_the_columns_or_says_no_is_believed():
    assert len(palate.read(MATRIX, wide=False)) == 3
    assert len(palate.read(MATRIX, user=0, item=1, rating=3)) == 3


# ---- reading them


def test_every_kind_of_array():
    for source in (HOLES, HOLES.tolist(), [[None if np.isnan(x) else x for x in row] for row in HOLES.tolist()]):
        assert triples(palate.read(source, wide=True)) == RATED
    assert triples(palate.read(MATRIX, wide=True, blank=0)) == RATED
    likes = palate.read(MATRIX, wide=True, kind="implicit")  # a count of 0 is no choice
    assert triples_of_counts(likes) == RATED
    assert len(palate.read(MATRIX, wide=True, blank=False)) == MATRIX.size


def triples_of_counts(ratings):
    users, items = ratings.user_vocabulary.labels, ratings.item_vocabulary.labels
    return set(zip(users[ratings.user_codes], items[ratings.item_codes], ratings.weights.tolist(), strict=True))


@pytest.mark.parametrize("kind", ["csv", "tsv", "txt", "parquet", "arrow", "jsonl"])
def test_every_kind_of_file_and_frame(tmp_path, kind):
    frame = pl.DataFrame(COLUMNS)
    for source in (written(tmp_path, kind, frame), frame, frame.to_arrow(), COLUMNS):
        ratings = palate.read(source, wide=True)
        assert triples(ratings) == NAMED
        assert (ratings.report.rows_read, ratings.report.blank_cells) == (8, 4)
        assert "8 cells of a wide table read, 4 without a rating" in str(ratings.report)
        assert ratings.report.is_clean
    renamed = frame.rename({"user": "who"})
    assert triples(palate.read(written(tmp_path, kind, renamed), wide=True, user="who")) == NAMED


def test_pandas_pivots():
    expected = {(user, 7 + ITEMS.index(item), value) for user, item, value in NAMED}
    assert triples(palate.read(pandas_pivot([7, 8, 9, 10]), wide=True)) == expected
    assert triples(palate.read(pandas_pivot(ITEMS), wide=True)) == NAMED
    assert triples(palate.read(pandas_pivot(ITEMS).reset_index(), wide=True)) == NAMED
    unnamed = pandas_pivot(ITEMS).rename_axis(index=None, columns=None)
    assert triples(palate.read(unnamed, wide=True)) == NAMED


def test_a_text_without_names_has_users_first_and_positions_for_items(tmp_path):
    path = tmp_path / "jester.csv"
    path.write_text("u3,7.8,99,-9.7\nu2,99,99,4.4\n")
    with pytest.raises(DataError, match=r"99 stands apart.*blank=99.*blank=False"):
        palate.read(path, wide=True)
    expected = {("u3", "0", 7.8), ("u3", "2", -9.7), ("u2", "2", 4.4)}
    found = palate.read(path, wide=True, blank=99)
    assert {(u, i, round(r, 3)) for u, i, r in triples(found)} == expected


def test_bad_cells_are_named_or_counted(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("user,Dune,Heat\nann,4,x\nbob,,3\ncid,NA,2\n")
    with pytest.raises(DataError, match=r"row 0 .*column 'Heat': 'x' cannot be used: the rating is not a number"):
        palate.read(path, wide=True)
    assert triples(palate.read(path, wide=True, on_bad_rows="report")) == {
        ("ann", "Dune", 4.0), ("bob", "Heat", 3.0), ("cid", "Heat", 2.0)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "options", "error", "told"),
    [
        (MATRIX, {"wide": True}, DataError, "0 stands apart"),
        (MATRIX, {"wide": "yes"}, OptionError, "wide must be True, False or None"),
        (MATRIX, {"wide": True, "blank": "0"}, OptionError, "blank must be a number"),
        (MATRIX, {"wide": True, "blank": [0]}, OptionError, "blank must be a number"),
        (MATRIX, {"wide": True, "blank": True}, OptionError, "blank must be a number"),
        (MATRIX, {"blank": 0}, OptionError, "pass wide=True too"),
        (HOLES, {"wide": True, "rating": 2}, OptionError, "no rating=2"),
        (([1], [2], [3]), {"wide": True}, OptionError, "a tuple is"),
        ({"user": ["a", "a"], "x": [1, 2], "y": [2, 3]}, {"wide": True}, DataError, "'a' has several"),
        (pl.DataFrame({"n": [1, 2], "x": [1, 2], "y": [2, 3]}), {"wide": True}, DataError, "no column is called user"),
        ({"user": ["a", "b"]}, {"wide": True}, DataError, "has no column of an item"),
    ],
)
def test_what_is_refused(source, options, error, told):
    with pytest.raises(error, match=told):
        palate.read(source, **options)


def test_the_command_line_speaks_its_own_words(tmp_path):
    path = tmp_path / "jester.csv"
    path.write_text("3,7.8,99,-9.7,4.1\n2,99,99,4.4,-2.5\n4,1.2,-3.3,0.5,8.8\n")
    refused = run("check", path)
    assert refused.returncode == 1
    assert "--wide" in refused.stderr
    assert "wide=" not in refused.stderr
    asked = run("check", path, "--wide")
    assert "--blank 99" in asked.stderr
    assert run("check", path, "--wide", "--blank", "99").returncode == 0
    assert "must be a number" in run("check", path, "--wide", "--blank", "x").stderr


# ---- rows of items


MOVIES = pd.DataFrame({"movie": ["Dune", "Heat", "Up"], "ann": [5, np.nan, 1], "bob": [3, 2.0, np.nan]})
OF_MOVIES = {("ann", "Dune", 5), ("ann", "Up", 1), ("bob", "Dune", 3), ("bob", "Heat", 2)}


@pytest.mark.parametrize(
    ("frame", "options"),
    [
        (MOVIES, {}),
        (MOVIES.set_index("movie"), {}),
        (MOVIES.rename(columns={"movie": "what"}), {"rows": "items"}),
        (MOVIES.rename(columns={"movie": "what"}), {"item": "what"}),
        (MOVIES.set_index("movie").T.rename_axis("reader"), {"rows": "users"}),
        (MOVIES.set_index("movie").T.rename_axis("reader"), {}),
    ],
)
def test_rows_may_be_items(frame, options):
    ratings = palate.read(frame, wide=True, **options)
    assert triples(ratings) == OF_MOVIES
    assert ratings.report.columns["rating"] == "the cells"


def test_rows_of_items_in_a_file(tmp_path):
    MOVIES.to_csv(tmp_path / "m.csv", index=False)
    ratings = palate.read(tmp_path / "m.csv", wide=True)
    assert set(ratings.to_frame().select("user", "item", "rating").rows()) == OF_MOVIES
    assert ratings.report.how["wide"] == "a row for each item"


def test_a_first_column_that_counts_the_ratings_of_each_row_has_no_labels():
    table = np.array([[2, 7.5, 99, -3.25], [3, 1, -2, 9.5], [2, 99, 4.5, -9]])
    ratings = palate.read(_file(table), wide=True, blank=99)
    assert (ratings.n_users, ratings.n_items, len(ratings)) == (3, 3, 7)
    assert ratings.values.max() == 9.5
    assert ratings.report.how["first column"] == "the number of ratings of each row"


def _file(table):
    return io.BytesIO("\n".join(",".join(map(str, row)) for row in table.tolist()).encode())


@pytest.mark.parametrize("options", [{"rows": "people", "wide": True}, {"rows": "items"}])
def test_rows_are_users_or_items(options):
    with pytest.raises(OptionError, match="rows"):
        palate.read(MOVIES, **options)


# ---- where the limits lie

NAN = float("nan")


def alike(*columns, kind="explicit"):
    """Whether columns of numbers, or of texts (None), look wide."""
    return looks_wide([None if column is None else np.array(column, float) for column in columns], kind)


LABELS = [101, 102, 103, 104, 105, 106]
STARS = [[5, 3, 4, 1, 5, 2], [4, 2, 3, 1, 4, 4], [1, 1, 5, 4, 2, 2], [3, 4, 4, 1, 5, 5]]


def test_a_scale_has_at_most_21_values():
    def matrix(n):
        return [np.arange(n) + 500.0, *(np.roll(np.arange(n), shift) for shift in range(5))]

    assert alike(*matrix(21))
    assert not alike(*matrix(22))


def test_a_scale_reaches_at_most_twice_as_far_in_one_column_as_in_another():
    for largest, expected in ((10, True), (11, False)):
        assert alike(LABELS, *STARS, [largest, 1, 1, 2, 3, 3]) is expected
        assert alike(LABELS, *STARS, [-largest, 1, 1, 2, 3, 3]) is expected
        assert alike(LABELS, [largest, 1, 1, 2, 3, 3], *STARS) is expected


def test_rows_of_a_matrix_have_labels_of_their_own_or_are_ratings_throughout():
    assert alike(LABELS, *STARS)
    assert alike(None, *STARS)
    assert alike([5, 3, 4, 1, 5, 5], *STARS)  # no labels: the first column is on the scale too
    assert not alike([101, 101, 102, 103, 104, 105], *STARS)
    assert not alike(LABELS, None, *STARS)
    assert not alike(LABELS, STARS[0])


def test_the_last_of_four_columns_may_be_times():
    assert alike(LABELS, *STARS[:2], [5, 4, 3, 1, 2, 2])
    assert not alike(LABELS, *STARS[:2], [5, 4, 3, 1, 2, 6])  # 6 is beyond the others
    assert not alike(LABELS, *STARS[:2], [5, 4, 3, 1, 2, 0])
    assert not alike(LABELS, *STARS[:2], [1, 2, 3, 4, 5, NAN])  # each stands once, as times do
    assert alike(LABELS, *STARS[:2], [1, 2, 3, 4, 4, NAN])
    assert not alike([5, 3, 4, 1, 5, 5], *STARS[:2], [1, 2, 3, 4, 5, 2.5])
    assert alike(LABELS, *STARS, [1, 2, 3, 4, 5, 6])  # six columns are more than ratings with times have
    assert not alike(LABELS, *STARS[:3], [1, 2, 3, 4, 5, 6])
    assert alike([5, 3, 4, 1, 5, 5], *STARS[:3], [1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize(
    ("n_rows", "n_blank", "expected"),
    [(10, (0, 1, 1), True), (9, (0, 1, 1), False), (11, (0, 1, 1), False),
     (20, (0, 2, 2), True), (10, (0, 1, 0), False), (10, (0, 0, 1), False), (10, (1, 0, 1), True),
     (10, (1, 1, 0), True)],
)  # fmt: skip
def test_blank_cells_in_a_tenth_of_an_id_column_and_of_another_are_a_matrix(n_rows, n_blank, expected):
    def column(at, n):
        return [NAN] * n + [1000.0 * at + row for row in range(n_rows - n)]

    assert alike(*(column(at, n) for at, n in enumerate(n_blank))) is expected


def test_texts_first_and_blank_cells_behind():
    blank, full = [NAN, *range(9)], list(range(10, 20))
    assert alike(None, blank, full, blank)
    assert not alike(None, full, blank, [1000 * number for number in full])
    assert alike(None, blank[:5], full[:5], blank[:5])  # four columns may be few rows
    assert not alike(None, [*range(7), NAN], [NAN, *range(10, 17)])  # three may not


def test_fractions_where_items_would_be_are_ratings():
    halves, whole = [0.5, 9.25, 3, 8.75], [100, 900, 300, 500]
    distinct = [11, 12, 13, 14]
    assert alike(distinct, halves, [7.25, 1, 2, 3])
    assert not alike(distinct, [100, 900, 300, 400], [7.25, 1, 2, 3])
    assert not alike(distinct, halves, whole)
    assert not alike(None, halves, [7.25, 1, 2, 3])  # a name, a weight and a rating may be
    assert alike(distinct, [14.5, 1, 2, 3], [7.25, 1, 2, 3])
    assert not alike(distinct, [14.75, 1, 2, 3], [7.25, 1, 2, 3])
    assert alike(distinct, [NAN, 1.5, 2, 3], [NAN, 7.25, 2, 3])


def test_three_or_four_columns_of_one_scale_are_a_matrix_if_most_pairs_repeat():
    def rows(n_pairs, n_rows, top):
        pair = np.arange(n_rows) % n_pairs
        return pair % 2, pair // 2, np.arange(n_rows) % (top + 1)

    assert alike(*rows(4, 10, 5))
    assert not alike(*rows(5, 10, 5))
    assert not alike(*rows(4, 9, 5))
    assert alike(*rows(4, 10, 5), [9, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    assert not alike(*rows(5, 10, 5), [9, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    assert alike(*rows(4, 60, 20))
    assert not alike(*rows(4, 60, 21))
    assert not alike(None, *rows(4, 10, 5)[1:])
    assert alike(*rows(4, 10, 1), kind="implicit")
    assert not alike(*rows(4, 10, 2), kind="implicit")  # people choose the same thing again


@pytest.mark.parametrize(
    ("names", "expected"),
    [("3 7 9 11 13", True), ("3 7 9 31", True), ("3 7 9 30", False), ("3 7 31", True), ("7 31", False),
     ("0 1 2 3 4 5", False), ("1 2 3 4 5 6", False), ("0 2 3 4 5", True), ("3 7 9 11 x", False)],
)  # fmt: skip
def test_numbers_for_names_are_labels_but_not_few_small_ones_nor_positions(names, expected):
    """Frames of triples, so that nothing but the names can tell."""
    names = names.split()
    values = [[1001, 1002, 1003], [2001, 2002, 2003], [5, 3, 4]] + [[10.0**at, 2, 3] for at in range(9, 18)]
    frame = pl.DataFrame(dict(zip(names, values, strict=False)))
    try:
        told = palate.read(frame).report
    except PalateError as error:
        told = error
    assert ("looks like a wide table" in str(told)) is expected


@pytest.mark.parametrize(
    ("values", "apart"),
    [([0, 1, 2], 0), ([1, 2, 3, 99], 99), ([-99, 1, 2, 3], -99), ([1, 2, 3, 6], 6), ([1, 2, 3, 5], None),
     ([1, 4, 5, 6], 1), ([1, 3, 4, 5], None), ([1, 2, 9], None), ([4, 4, 4], None), ([-3, 0, 3, 1], None)],
)  # fmt: skip
def test_a_number_further_off_than_the_others_from_each_other_is_asked_about(values, apart):
    matrix = np.array([values, values[::-1]])
    if apart is None:
        assert len(palate.read(matrix, wide=True)) == matrix.size
        return
    with pytest.raises(DataError, match=f"{apart} stands apart"):
        palate.read(matrix, wide=True)
    blank = int((matrix == apart).sum())
    assert len(palate.read(matrix, wide=True, blank=apart)) == matrix.size - blank


def test_a_blank_cell_says_what_means_no_rating():
    matrix = np.array([[0, 1, 2], [np.nan, 4, 5]])
    assert triples(palate.read(matrix, wide=True)) == {(0, 0, 0), (0, 1, 1), (0, 2, 2), (1, 1, 4), (1, 2, 5)}


def test_labels_of_rows_are_the_column_that_is_called_so():
    frame = {"note": [1.5, 2.5, 3.5], "user": [7, 8, 9], "x": [1, 2, 3]}
    assert triples(palate.read(frame, wide=True)) == {
        (user, item, float(frame[item][at])) for at, user in enumerate(frame["user"]) for item in ("note", "x")
    }
    indexed = {"index": [7, 8, 9], "x": [1, 2, 4], "y": [2, 4, 4]}
    assert {user for user, _, _ in triples(palate.read(indexed, wide=True))} == {7, 8, 9}
    assert palate.read(indexed, wide=True).report.columns == {
        "user": "index", "item": "the names of the columns", "rating": "the cells"
    }  # fmt: skip


def test_an_index_called_like_items_makes_rows_items_whatever_the_columns_are_called():
    numbered = MOVIES.set_index("movie").set_axis([11, 12], axis=1)
    expected = {({"ann": 11, "bob": 12}[user], movie, rating) for user, movie, rating in OF_MOVIES}
    assert triples(palate.read(numbered, wide=True)) == expected


# ---- one decision at a time


def table(columns, **options):
    """A Table of these columns, with names unless it is said otherwise."""
    series = [pl.Series(name, values) for name, values in columns.items()]
    options = {"height": len(series[0])} | options
    return Table("it", list(columns), series.__getitem__, series.__getitem__, **options)


GIVEN = dict.fromkeys(("user", "item", "rating", "time", "weight"))


def cells(table, kind="explicit", blank=None, **options):
    """(the long table's rows, the LongTable)."""
    long = long_table(table, GIVEN | options, blank, kind)
    return list(zip(*(long.table.column(at).to_list() for at in range(3)), strict=True)), long


@pytest.mark.parametrize(
    ("options", "told"),
    [({"wide": 1}, "wide must be"), ({"wide": 0}, "wide must be"), ({"wide": True, "blank": True}, "blank must be"),
     ({"wide": False, "blank": 0}, "blank= is for wide"), ({"wide": False, "blank": False}, "blank= is for wide"),
     ({"rows": "items"}, "rows= is for wide"), ({"wide": True, "rows": "user"}, "rows must be"),
     ({"wide": True, "source": ([1], [2])}, "a tuple is"), ({"wide": True, "blank": 0, "rows": "users"}, None),
     ({"wide": True, "blank": False}, None), ({"wide": False, "source": ([1], [2])}, None), ({}, None),
     ({"wide": True, "blank": -1.5}, None)],
)  # fmt: skip
def test_which_options_go_together(options, told):
    options = {"wide": None, "blank": None, "rows": None, "source": "it"} | options
    if told is None:
        check_wide(**options)
    else:
        with pytest.raises(OptionError, match=told):
            check_wide(**options)


def test_a_column_beyond_five_times_half_the_others_is_no_item():
    """Texts and columns without a value say nothing of the scale."""
    texts, none = pl.Series(["ten", "x"]), pl.Series([None, None], dtype=pl.Float64)

    def check(*largest):
        columns = [texts, none, *(pl.Series([float(most), None, 1.0]) for most in largest)]
        _check_scale(columns, ["text", "none", *"abcde"[: len(largest)]], "it")

    for fine in ((4, 4, 20), (4, 4, -20), (1, 100), (100,), (), (4, 30, 20, 20), (1, 1, 5)):
        check(*fine)
    for odd, told in (
        ((4, 21, 4), "'b' goes up to 21, and half the others stay at 4 or"),
        ((4, 4, -21), "'c' goes up to 21"),
        ((30, 1, 40, 2), "'a' goes up to 30, and half the others stay at 2 or"),
    ):
        with pytest.raises(DataError, match=told):
            check(*odd)
    _check_scale([pl.Series([0.0]), pl.Series([0.0]), pl.Series([7.0])], ["a", "b", "c"], "it")


def test_a_column_that_counts_the_rated_cells_of_each_row():
    rated = [pl.Series([True, True, False]), pl.Series([True, False, False])]
    for column, expected in (([2, 1, 0], True), ([2, 1, 1], False), (["2", "1", "0"], True), (["a", "b", "c"], False)):
        assert _counts_rated(pl.Series(column), rated) is expected
    assert not _counts_rated(pl.Series([1, 1, 0]), rated[:1])  # of one item each count is a flag


@pytest.mark.parametrize(
    ("values", "expected"),
    [(["ann", "bob"], True), (["ann", "3"], False), (["yes", "no"], False), (["", "NA", None], False), ([1, 2], False),
     (["ann", None, "NA", " "], True), (["3,5", "4"], False), ([1.5], False)],
)  # fmt: skip
def test_columns_of_texts_are_those_without_any_number(values, expected):
    assert _is_text(pl.Series(values)) is expected
    assert _is_text(pl.Series(["2020-01-01"]).str.to_date()) is True


@pytest.mark.parametrize(
    ("names", "options", "expected"),
    [("movie a b", {}, "item"), ("user a b", {}, "user"), ("movie user b", {}, "user"), ("x movie b", {}, "user"),
     ("movie a b", {"named": False}, "user"), ("x a b", {"index": pl.Series("movie", [1, 2])}, "item"),
     ("movie a b", {"index": pl.Series("x", [1, 2])}, "user"),
     ("x a b", {"index": pl.Series("movie", [1, 2]), "named": False}, "item")],
)  # fmt: skip
def test_rows_are_items_if_their_labels_are_called_so_and_no_column_has_users(names, options, expected):
    made = table({name: [1, 2] for name in names.split()}, **options)
    assert _what_rows_are(made, GIVEN, None) == expected
    assert [_what_rows_are(made, GIVEN, rows) for rows in ("users", "items")] == ["user", "item"]
    assert _what_rows_are(made, GIVEN | {"item": 1}, None) == "item"
    assert _what_rows_are(made, GIVEN | {"item": 1, "user": 0}, None) == expected


def test_where_the_labels_of_rows_are():
    numbers = {"n": [1, 2], "x": [3, 4], "y": [5, 6]}
    index = pl.Series("who", ["a", "b"])
    for made, expected in (
        (table(numbers, named=False, is_text=True), 0),
        (table(numbers, named=False), None),
        (table({"n": [1], "user": [2], "member": [3]}), 1),
        (table({"n": [1], "user": [2]}, index=index), 1),
        (table(numbers, index=index), None),
        (table(numbers, is_text=True), 0),
        (table({" Index": [1, 2], "x": [3, 4]}), 0),
        (table({"n": ["a", "b"], "x": [3, 4]}), 0),
    ):
        assert _label_position(made, "user", None) == expected
    assert _label_position(table(numbers), "user", -1) == 2
    with pytest.raises(DataError, match="no column is called user"):
        _label_position(table(numbers), "user", None)
    with pytest.raises(DataError, match="the first column, 'n', has times"):
        _label_position(table({"n": ["2020-01-31", "2021-02-28"], "x": [1, 2]}, is_text=True), "user", None)
    times = {"n": ["1400000000", "1400000100"], "x": ["1", "2"]}  # numbers may be ids
    assert _label_position(table(times, is_text=True), "user", None) == 0


def test_each_rated_cell_is_a_row_that_says_where_it_is():
    wide = {"user": ["a", "b", "c"], "x": [5.0, None, 4.0], "y": ["1", "bad", "NA"], "z": [2, 1, 3]}
    rows, long = cells(table(wide))
    assert rows == [
        ("a", "x", "5.0"), ("c", "x", "4.0"), ("a", "y", "1"), ("b", "y", "bad"), ("a", "z", "2.0"), ("b", "z", "1.0"),
        ("c", "z", "3.0"),
    ]  # fmt: skip
    told = [long.table.where(row) for row in range(len(rows))]
    assert [text.partition(": ")[0] for text in told] == [
        f"row {row} (from 0), column {column!r}"
        for row, column in ((0, "x"), (2, "x"), (0, "y"), (1, "y"), (0, "z"), (1, "z"), (2, "z"))
    ]
    assert told[3].endswith(": 'bad'")
    assert (long.n_blank, long.table.height) == (2, 7)
    assert long.how == {"wide": "a row for each user"}
    assert long.columns == {"user": "user", "item": "the names of the columns", "rating": "the cells"}


def test_what_means_no_rating_is_left_out_and_told():
    wide = {"user": ["a", "b"], "x": [5, 0], "y": [0, 1], "z": [-1, -1]}
    _, long = cells(table(wide), blank=0)
    assert (long.table.height, long.n_blank, long.how["blank"]) == (4, 2, "0")
    assert cells(table(wide), blank=-1)[1].n_blank == 2
    assert cells(table(wide), blank=False)[1].how == {"wide": "a row for each user"}
    rows, long = cells(table({"user": ["a", "b"], "x": [5, 0], "y": [0, 1]}), kind="implicit")
    assert rows == [("a", "x", 5.0), ("b", "y", 1.0)] and long.n_blank == 2
    with pytest.raises(DataError, match="0 stands apart"):
        cells(table({"user": ["a", "b"], "x": [5, 0], "y": [0, 1]}))


def test_labels_of_rows_are_a_column_an_index_or_positions():
    numbers = {0: [5.0, None], 1: [4.0, 3.0]}
    columns = {str(name): values for name, values in numbers.items()}
    for options, users, told in (
        ({"index": pl.Series("who", ["a", "b"])}, ["a", "a", "b"], "the index"),
        ({}, [0, 0, 1], "the position of the row"),
    ):
        rows, long = cells(table(columns, named=False, **options))
        assert [user for user, _, _ in rows] == users
        assert [item for _, item, _ in rows] == [0, 1, 1]
        assert long.columns == {"user": told, "item": "the position of the column", "rating": "the cells"}
    rows, _ = cells(table({"a": ["u", "v"], "b": ["5", None], "c": ["4", "3"]}, named=False, is_text=True))
    assert rows == [("u", "0", 5.0), ("u", "1", 4.0), ("v", "1", 3.0)]
    with pytest.raises(DataError, match="'u' has several"):
        cells(table({"user": ["u", "v", "u"], "b": [5, None, 1], "c": [4, 3, 1]}))
    assert len(cells(table({"user": ["u", None, None], "b": [5, None, 1], "c": [4, 3, 1]}))[0]) == 5
    with pytest.raises(DataError, match="several columns are called 'b'"):
        _check_columns(["a", "b", "b"], "it", "item")


def test_columns_of_texts_are_unused_unless_all_are():
    wide = {"user": ["a", "b"], "note": ["good", "so so"], "x": [1, None], "y": [2, 1]}
    rows, long = cells(table(wide))
    assert [item for _, item, _ in rows] == ["x", "y", "y"] and list(long.unused) == ["note"]
    rows, _ = cells(table({"user": ["a", "b"], "x": ["good", "bad"], "y": ["bad", None]}))
    assert len(rows) == 3
