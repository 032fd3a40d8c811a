"""The data doctor: each problem is found where it is, and only there."""

import json

import numpy as np
import pytest

from palate.data.checking import check
from palate.data.reading import read
from palate.errors import DataError


def healthy(seed=0, n_users=60, n_items=40, share=0.4):
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((n_users, n_items)) < share)
    return {
        "user": users,
        "item": items,
        "rating": rng.integers(1, 6, len(users)).astype(float),
        "time": rng.integers(10**9, 10**9 + 10**6, len(users)),
    }


def test_the_healthy_are_left_in_peace():
    found = check(healthy())
    assert found.worst == "info"
    assert found["scale"].says.startswith("5 different values from 1 to 5 in steps of 1")
    assert "constant raters" not in found
    assert "duplicates" not in found
    assert "bad rows" not in found
    assert found["times"].says.startswith("from 2001-09-0")
    n = len(healthy()["user"])
    assert f"{n:,} ratings, 60 users, 40 items" in found["size"].says
    assert f"{n / 2400:.3%}" in found["density"].says


def test_bad_rows_duplicates_and_contradictions(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("user,item,rating\na,x,1\na,x,2\nb,x,3\nb,x,3\nc,y,oops\n,y,1\n", encoding="utf-8")
    found = check(path)
    assert found["bad rows"].severity == "problem"
    assert "2 of 6 rows (33.33%)" in found["bad rows"].says
    assert "line 6: 'c,y,oops'" in found["bad rows"].do
    assert "2 rows repeat" in found["duplicates"].says
    assert "1 pairs have ratings that contradict" in found["duplicates"].says
    assert found["duplicates"].severity == "warning"
    assert found.worst == "problem"


def test_tables_and_ratings_are_separate_findings():
    items = {"item": ["x", *["y"] * 300, "z"], "title": ["Tea", *map(str, range(300)), "Jam"]}
    found = check({"user": ["a", "b", "a"], "item": ["x", "x", "y"], "rating": [1, 2, 3]}, items=items)
    assert "bad rows" not in found
    assert found["tables"].says == (
        "items: 1 row for items without ratings left out; items: 299 rows with a repeated id, the last kept."
    )
    assert found["tables"].severity == "info"
    assert "tables" not in check({"user": ["a"], "item": ["x"], "rating": [1]}, items={"item": ["x"], "title": ["T"]})


def test_options_of_read_pass_through(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("x,y,z\n1,2,3\n", encoding="utf-8")
    with pytest.raises(DataError, match="no column found"):
        check(path)
    assert "1 ratings" in check(path, user="x", item="y", rating="z")["size"].says
    with pytest.raises(DataError, match="line 1: 'x,y,z'"):
        check(path, user=0, item=1, rating=2, header=False, on_bad_rows="raise")


def test_mixed_label_types_are_a_finding():
    found = check({"user": [1, "1"], "item": [1, 2], "rating": [1, 2]})
    assert found.worst == "problem"
    assert "int, str" in found["labels"].says


def test_labels_that_are_nearly_the_same():
    data = healthy() | {"user": [f"u{user}" for user in healthy()["user"]]}
    assert "user labels" not in check(data)
    data["user"] = [f"U{user}" if row % 2 else f"u{user}" for row, user in enumerate(healthy()["user"])]
    assert "differ only in blanks, case or leading zeros" in check(data)["user labels"].says


def test_numbers_and_names_in_one_column():
    users = [str(user) if user else "total" for user in healthy()["user"]]
    finding = check(healthy() | {"user": users})["user labels"]
    assert "59 users are numbers and 1 are not, like 'total'" in finding.says


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([0.5, 1.0, 5.0], "in steps of 0.5"),
        ([1, 2, 3], "in steps of 1"),
        ([0, 20, 100], "in steps of 20"),
        ([-10, -9.9, 10], "in steps of 0.1"),
        ([2, 5, 9], "in steps of 1"),
        ([0, np.sqrt(2), np.pi], "without a common step"),
    ],
)
def test_the_step_of_the_scale(values, says):
    data = healthy()
    data["rating"] = np.resize(np.array(values, float), len(data["user"]))
    assert says in check(data)["scale"].says


def test_scales_that_are_no_ratings():
    n = len(healthy()["user"])
    rng = np.random.default_rng(0)
    assert check(healthy() | {"rating": np.full(n, 3.0)})["scale"].severity == "problem"
    counts = np.round(np.exp(rng.normal(3, 2, n)))
    assert "counts" in check(healthy() | {"rating": counts})["scale"].do
    assert "Very large" in check(healthy() | {"rating": rng.normal(0, 1e9, n)})["scale"].do
    assert "missing=0" in check(healthy() | {"rating": rng.choice([0, 0, 0, 5, 6, 7, 8], n)})["missing"].do


def test_constant_raters():
    data = healthy()
    data["rating"][data["user"] < 6] = 5.0
    finding = check(data)["constant raters"]
    assert finding.says.startswith("6 of the 60 users")
    assert finding.severity == "warning"


def test_one_rating_users_and_items_and_unrated_ones():
    ratings = read({"user": [1, 1, 2, 3], "item": [1, 2, 2, 2], "rating": [1, 2, 3, 4]})
    found = check(ratings)
    assert found["one-rating users"].says.startswith("2 of 3 users")
    assert found["one-rating items"].says.startswith("1 of 2 items")
    assert check(ratings[:2])["unrated users"].says.startswith("2 of 3 users")


def test_cold_rows_are_predicted():
    data = healthy(n_users=200, n_items=300, share=0.01)
    says = check(data)["cold rows"].says
    expected = float(says.split("split, ")[1].split("%")[0]) / 100
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(200):
        test = rng.random(len(data["user"])) < 0.1
        cold = ~np.isin(data["user"][test], data["user"][~test]) | ~np.isin(data["item"][test], data["item"][~test])
        shares.append(cold.sum() / test.sum())
    assert expected == pytest.approx(np.mean(shares), abs=0.02)


@pytest.mark.parametrize(
    ("times", "says"),
    [(5, "Every rating has the time"), (10**13 // 2, "milliseconds"), (10**10, "future"), (-(10**9), "before 1970")],
)
def test_odd_times(times, says):
    data = healthy()
    data["time"] = np.full(len(data["user"]), times) + (np.arange(len(data["user"])) if times != 5 else 0)
    finding = check(data)["times"]
    assert finding.severity == "warning"
    assert says in finding.says + finding.do


def test_extremes_do_not_crash():
    assert check({"user": [], "item": [], "rating": []}).worst == "problem"
    assert check({"user": [1], "item": [1], "rating": [3]})["size"].severity == "problem"
    everything = {"user": [1, 1, 2, 2], "item": [1, 2, 1, 2], "rating": [1, 2, 3, 4]}
    assert "no item is left" in check(everything)["density"].do
    assert check({"user": [1, 1], "item": [1, 2], "rating": [-3e38, 3e38]})["scale"]
    assert check({"user": [1, 2], "item": [1, 2], "rating": [1, 2], "time": [-(2**62), 2**62]})["times"]


def test_print_and_json():
    found = check({"user": ["a", "a"], "item": ["x", "y"], "rating": [3, 3]})
    text = str(found)
    assert text.startswith("Check of the mapping")
    assert all(finding.name in text and finding.says in text for finding in found.findings)
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["worst"] == "problem"
    assert set(plain["findings"][0]) == {"name", "severity", "says", "do"}
    with pytest.raises(KeyError, match="there are columns, size"):
        found["nothing"]
