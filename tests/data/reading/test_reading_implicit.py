"""Reading who chose what: no values, counts as weights, repeats summed; from every source."""

import io
import sqlite3

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palate
from helpers.command_line import many, refused
from palate.errors import DataError, OptionError


def counts_of(ratings):
    """{(user, item): count}, 1 where there are no counts."""
    with palate.set_output("polars"):
        frame = ratings.to_frame()
    weights = frame["weight"] if "weight" in frame.columns else [1.0] * frame.height
    return {(user, item): count for user, item, count in zip(frame["user"], frame["item"], weights, strict=True)}


def read_text(text, **options):
    return palate.read(io.BytesIO(text.encode()), kind="implicit", **options)


PLAYS = {("ann", "tea"): 3.0, ("ann", "jam"): 1.0, ("bob", "tea"): 7.0}
FRAME = {"user": ["ann", "ann", "bob"], "item": ["tea", "jam", "tea"], "plays": [3, 1, 7]}


def test_who_chose_what_needs_no_values():
    ratings = palate.read({"user": ["ann", "bob"], "item": ["tea", "tea"]}, kind="implicit")
    assert (ratings.kind, ratings.weights, ratings.values.tolist()) == ("implicit", None, [1, 1])
    assert repr(ratings) == "Ratings(2 implicit ratings, 2 users, 1 items)"


def _sql(frame):
    connection = sqlite3.connect(":memory:")
    connection.execute("create table plays (user text, item text, plays int)")
    connection.executemany("insert into plays values (?, ?, ?)", list(zip(*frame.values(), strict=True)))
    return connection


def test_counts_are_weights_whatever_the_source(tmp_path):
    frame = pl.DataFrame(FRAME)
    frame.write_csv(tmp_path / "plays.csv")
    frame.write_parquet(tmp_path / "plays.parquet")
    frame.write_ndjson(tmp_path / "plays.jsonl")
    connection = _sql(FRAME)
    sources = [FRAME, frame, frame.to_arrow(), tuple(FRAME.values()), *map(tmp_path.joinpath, ("plays.csv",
               "plays.parquet", "plays.jsonl"))]  # fmt: skip
    read = [palate.read(source, kind="implicit") for source in sources]
    read.append(palate.read("select * from plays", kind="implicit", connection=connection))
    connection.close()
    for ratings in read:
        assert counts_of(ratings) == PLAYS
        assert (ratings.values == 1).all()


def test_arrays_and_sparse_matrices():
    pairs = np.array([[1, 7], [2, 7], [2, 8]])
    assert counts_of(palate.read(pairs, kind="implicit")) == {(1, 7): 1, (2, 7): 1, (2, 8): 1}
    assert counts_of(palate.read(np.column_stack([pairs, [4, 5, 6]]), kind="implicit")) == {
        (1, 7): 4, (2, 7): 5, (2, 8): 6,
    }  # fmt: skip
    with pytest.raises(DataError, match=r'no column found for rating.*kind="implicit"'):
        palate.read(pairs)
    with pytest.raises(DataError, match=r"\(n, 2\)"):
        palate.read(pairs[:, :1], kind="implicit")
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.coo_matrix(([2.0, 3.0], ([0, 1], [1, 0])), shape=(2, 2))
    assert counts_of(palate.read(matrix, kind="implicit")) == {(0, 1): 2, (1, 0): 3}
    assert counts_of(palate.read(matrix.astype(bool), kind="implicit")) == {(0, 1): 1, (1, 0): 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ann,tea\nbob,jam\n", {("ann", "tea"): 1, ("bob", "jam"): 1}),
        ("ann\tred tea\nbob\tstrawberry jam\n", {("ann", "red tea"): 1, ("bob", "strawberry jam"): 1}),
        ("1 7\n1 8\n", {("1", "7"): 1, ("1", "8"): 1}),
        ("user;item\nann;tea\n", {("ann", "tea"): 1}),
        ("who,artist\nann,abba\n", {("ann", "abba"): 1}),
        ("ann,tea,3\nbob,jam,2\n", {("ann", "tea"): 3, ("bob", "jam"): 2}),
        ("ann,tea,874965758\nbob,jam,874965759\n", {("ann", "tea"): 1, ("bob", "jam"): 1}),
    ],
)
def test_files_with_and_without_a_header(text, expected):
    options = {"user": "who"} if text.startswith("who") else {}
    ratings = read_text(text, **options)
    assert counts_of(ratings) == expected
    assert (ratings.times is not None) == ("874965758" in text)


def test_four_columns_without_a_header_have_counts_and_times():
    ratings = read_text("ann,tea,3,874965758\nbob,jam,2,874965759\n")
    assert counts_of(ratings) == {("ann", "tea"): 3, ("bob", "jam"): 2}
    assert ratings.times.tolist() == [874965758, 874965759]


def test_columns_of_another_name_without_numbers_are_no_header_unless_said():
    assert len(read_text("fan,band\nann,abba\n")) == 2
    assert len(read_text("fan,band\nann,abba\n", header=True, user=0, item=1)) == 1
    assert len(read_text("fan,band,n\nann,abba,2\n", user=0, item=1, rating=2)) == 1


@pytest.mark.parametrize("name", ["rating", "count", "plays", "listens", "quantity", "weight", "confidence", "Views"])
def test_the_usual_names_of_counts(name):
    frame = {"user": ["ann"], "item": ["tea"], name: [4]}
    assert counts_of(palate.read(frame, kind="implicit")) == {("ann", "tea"): 4}


@pytest.mark.parametrize("name", ["count", "plays", "Play_Count", "listens", "quantity", "weight", "clicks:float"])
def test_counts_are_not_taken_for_ratings_without_a_word(name, tmp_path):
    frame = {"user": ["ann"], "item": ["tea"], name: [4], "title": ["Tea"]}
    path = tmp_path / "plays.csv"
    pl.DataFrame(frame).write_csv(path)
    for source in (frame, pl.DataFrame(frame), path):
        with pytest.raises(DataError) as error:
            palate.read(source)
        assert f"the column {name!r} says how often" in str(error.value)
        assert f'kind="implicit"; if these are ratings, pass rating={name!r}' in str(error.value)
        assert palate.read(source, rating=name).values.tolist() == [4.0]
        assert counts_of(palate.read(source, kind="implicit")) == {("ann", "tea"): 4}
    both = palate.read(frame | {"rating": [5]})
    assert both.values.tolist() == [5.0]


def test_other_columns_are_not_said_to_be_counts():
    with pytest.raises(DataError, match="no column found for rating") as error:
        palate.read({"user": ["ann"], "item": ["tea"], "how": [4]})
    assert "how often" not in str(error.value)
    with pytest.raises(DataError, match="no column found for item and rating"):
        palate.read({"user": ["ann"], "plays": [4]})


def test_counts_at_the_command_line(tmp_path):
    (tmp_path / "plays.csv").write_text("user,item,plays\n" + "".join(f"u{n % 9},i{n % 7},{n}\n" for n in range(1, 60)))
    tail = "".join(f"u{n % 9},i{n % 7},{10000 if n == 3 else 1 + n % 5}\n" for n in range(60))
    (tmp_path / "unnamed.csv").write_text(tail)
    fit = ["fit", "plays.csv", "-o", "m.palate", "--recipe"]
    assert "the column 'plays' says how often" in refused(*fit, "Bias", cwd=tmp_path)
    done = many(
        [*fit, "Popularity", "--kind", "implicit"],
        [*fit, "Bias", "--rating", "plays"],
        "fit unnamed.csv -o m.palate --recipe Bias",
        "fit unnamed.csv -o m.palate --recipe Bias --kind explicit",
        "check plays.csv",
        cwd=tmp_path,
    )
    assert [one.returncode for one in done] == [0, 0, 0, 0, 1]
    assert "range from 1 to 10000 with a long tail: if they are counts, pass --kind implicit" in done[2].stderr
    assert "long tail" not in done[1].stderr + done[3].stderr
    assert "the column 'plays' says how often" in done[4].stderr


def test_a_count_beside_a_rating_is_the_count_and_either_can_be_named():
    frame = {"user": ["ann"], "item": ["tea"], "rating": [5], "plays": [40]}
    assert palate.read(frame, kind="implicit").weights.tolist() == [40]
    assert palate.read(frame, kind="implicit", rating="rating").weights.tolist() == [5]
    assert palate.read(frame, kind="implicit", weight="rating").weights.tolist() == [5]
    assert palate.read(frame, kind="implicit", rating=False).weights is None
    with pytest.raises(OptionError, match="both name the column of counts"):
        palate.read(frame, kind="implicit", rating="rating", weight="plays")


def test_options_that_make_no_sense():
    with pytest.raises(OptionError, match="'explicit', 'implicit'"):
        palate.read(FRAME, kind="plays")
    with pytest.raises(OptionError, match="'sum', 'last', 'keep', 'error'"):
        palate.read(FRAME, kind="implicit", duplicates="mean")
    with pytest.raises(OptionError, match="'last', 'mean', 'error'"):
        palate.read(FRAME, duplicates="sum")


def test_what_is_no_count_is_a_bad_row():
    text = (
        "user,item,plays\nann,tea,3\nann,jam,0\nann,bun,-2\nann,egg,\nann,ham,nan\nann,fig,many\nann,oat,inf\n,tea,1\n"
    )
    with pytest.raises(DataError, match=r"line 3.*the count is 0 or negative"):
        read_text(text)
    ratings = read_text(text, on_bad_rows="report")
    assert counts_of(ratings) == {("ann", "tea"): 3}
    assert ratings.report.bad_rows == {
        "the count is 0 or negative": 2,
        "no count": 1,
        "the count is NaN": 1,
        "the count is not a number": 1,
        "the count is infinite": 1,
        "no user": 1,
    }


def test_a_count_that_float32_takes_for_nothing_is_a_bad_row():
    with pytest.raises(DataError, match="0 or negative"):
        palate.read({"user": ["ann"], "item": ["tea"], "plays": [1e-60]}, kind="implicit")


def test_counts_that_add_up_beyond_float32_are_refused():
    with pytest.raises(DataError, match="infinite"):
        palate.read({"user": ["ann"] * 2, "item": ["tea"] * 2, "plays": [3e38, 3e38]}, kind="implicit")


def test_repeats_become_counts_and_the_last_time_stays():
    log = {"user": ["ann", "bob", "ann"], "item": ["tea", "tea", "tea"], "time": [30, 20, 10]}
    ratings = palate.read(log, kind="implicit")
    assert counts_of(ratings) == {("ann", "tea"): 2, ("bob", "tea"): 1}
    assert sorted(ratings.times.tolist()) == [20, 30]
    assert (ratings.report.summed, ratings.report.duplicates, ratings.report.is_clean) == (1, 0, True)
    assert "1 added to the count of their (user, item)" in str(ratings.report)


def test_repeats_can_be_dropped_or_refused():
    twice = {"user": ["ann", "ann"], "item": ["tea", "tea"], "plays": [3, 4]}
    assert palate.read(twice, kind="implicit").weights.tolist() == [7]
    assert palate.read(twice, kind="implicit", duplicates="last").weights.tolist() == [4]
    with pytest.raises(DataError, match="more than once"):
        palate.read(twice, kind="implicit", duplicates="error")


rows = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(1, 9), st.integers(0, 5)), min_size=1
)


@given(rows, st.booleans(), st.randoms())
def test_no_count_is_lost_and_the_order_of_rows_does_not_matter(rows, with_counts, random):
    def read(rows):
        names = ("user", "item", "plays", "time")
        frame = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        return palate.read(frame if with_counts else {n: frame[n] for n in names if n != "plays"}, kind="implicit")

    ratings = read(rows)
    assert sum(counts_of(ratings).values()) == sum(row[2] for row in rows) if with_counts else len(rows)
    shuffled = list(rows)
    random.shuffle(shuffled)
    again = read(shuffled)
    assert counts_of(again) == counts_of(ratings)
    assert sorted(again.to_frame().rows()) == sorted(ratings.to_frame().rows())
    last = {(user, item): max(r[3] for r in rows if r[:2] == (user, item)) for user, item, _, _ in rows}
    times = ratings.to_frame()
    assert dict(zip(zip(times["user"], times["item"], strict=True), times["time"], strict=True)) == last


@given(rows)
def test_to_frame_and_back(rows):
    columns = dict(zip(("user", "item", "plays", "time"), map(list, zip(*rows, strict=True)), strict=True))
    ratings = palate.read(columns, kind="implicit")
    again = palate.read(ratings.to_frame(), kind="implicit")
    assert again.to_frame().equals(ratings.to_frame())


def test_tables_stand_beside_implicit_ratings():
    titles = {"item": ["tea", "jam"], "title": ["Tea", "Jam"]}
    assert palate.read(FRAME, kind="implicit", items=titles).item_table["title"].to_list() == ["Jam", "Tea"]


def test_splits_keep_the_kind_and_the_counts():
    rng = np.random.default_rng(0)
    frame = {"user": rng.integers(0, 20, 300), "item": rng.integers(0, 30, 300), "time": np.arange(300)}
    ratings = palate.read(frame, kind="implicit")
    splits = [
        palate.split_random(ratings, keep_all=True),
        palate.split_last(ratings),
        palate.split_time(ratings, test=0.2),
        palate.split_users(ratings),
        palate.split_rows(ratings, np.arange(9)),
        *palate.split_folds(ratings, 3),
    ]
    for parts in splits:
        assert {part.kind for part in parts} == {"implicit"}
        assert sum(part.weights.sum() for part in parts) == 300
