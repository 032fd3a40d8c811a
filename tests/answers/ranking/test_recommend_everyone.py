"""Top-n for everyone against brute force: filters, lists per user, limits per category, memory, kills."""

import dataclasses
import json
import re
import signal
import subprocess
import sys
import time
import tracemalloc
from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palate
from palate.answers.ranking import RecommendOptions, files, max_per, memory, query_of
from palate.errors import DataError, OptionError, UnknownLabelError

N_USERS, N_ITEMS = 40, 60
GENRES = ["Action", "Comedy", "Drama", "Horror"]


def item_table():
    rng = np.random.default_rng(3)
    genres = ["|".join(g for g in GENRES if rng.random() < 0.4) or None for _ in range(N_ITEMS)]
    years = [None if n % 11 == 0 else 1980 + n % 30 for n in range(N_ITEMS)]
    flags = {f"tag_{name}": rng.integers(0, 2, N_ITEMS) for name in "abc"}
    return pl.DataFrame({"item": [f"i{n}" for n in range(N_ITEMS)], "year": years, "genres": genres, **flags})


def rated():
    ratings = palate.datasets.synthetic(N_USERS, N_ITEMS, 700, n_factors=3, seed=4)
    return ratings.with_items(item_table())


RECIPES = {
    "Bayes": palate.Bayes(n_sweeps=20),
    "ordinal": palate.Bayes(n_sweeps=20, likelihood="ordinal"),
    "sigmoid": palate.SGD(n_epochs=5, y_range=(0.5, 5.5)),
    "Popularity": palate.Popularity(),
}


@pytest.fixture(scope="module")
def fits():
    return {name: recipe.fit(rated()) for name, recipe in RECIPES.items()}


@pytest.fixture(scope="module", params=RECIPES)
def rec(request, fits):
    return fits[request.param]


@pytest.fixture(scope="module")
def bayes(fits):
    return fits["Bayes"]


def table_of(rec):
    labels = pl.Series("item", list(rec.model.item_vocabulary))
    return {row["item"]: row for row in rec.model.item_table.with_columns(labels).to_dicts()}


def whole(rec, user, **options):
    """Everything there is for one user, best first."""
    return rec.recommend(user, n=10**6, **options)["item"].to_list()


def by_user(frame):
    return {user: rows["item"].to_list() for (user,), rows in frame.group_by("user", maintain_order=True)}


# ---- filters on columns


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ("year >= 1990", lambda row: row["year"] is not None and row["year"] >= 1990),
        ("year < 1990 OR tag_a = 1", lambda row: (row["year"] or 9999) < 1990 or row["tag_a"] == 1),
        ("genres LIKE '%Drama%'", lambda row: "Drama" in (row["genres"] or "")),
        ("NOT genres LIKE '%Drama%'", lambda row: row["genres"] is not None and "Drama" not in row["genres"]),
        ("genres IS NULL", lambda row: row["genres"] is None),
        ("item IN ('i3', 'i4')", lambda row: row["item"] in ("i3", "i4")),
        (pl.col("year").is_between(1985, 1995), lambda row: row["year"] is not None and 1985 <= row["year"] <= 1995),
    ],
    ids=["from", "or", "like", "not like", "null", "in", "expression"],
)
def test_where_keeps_what_it_says(rec, where, holds):
    table = table_of(rec)
    for user in ("u1", "nobody"):
        kept = [item for item in whole(rec, user) if holds(table[item])]
        assert whole(rec, user, where=where) == kept
        assert rec.recommend(user, n=3, where=where)["item"].to_list() == kept[:3]
    new = rec.fold_in({"i1": 5, "i2": 1})
    assert new.recommend(99, where=where)["item"].to_list() == [
        item for item in new.recommend(99)["item"] if holds(table[item])
    ]


@pytest.mark.parametrize(
    ("where", "error", "match"),
    [
        ("yaer >= 1990", DataError, "no column 'yaer'. The columns are .*'year', 'genres'"),
        ('genres = "Drama"', DataError, "no column 'Drama'.*single quotes"),
        ("year", DataError, "gives Int64, not true or false"),
        ("year >=", DataError, "no condition in SQL"),
        ("genres > 3", DataError, "a text cannot be compared with a number"),
        ("", OptionError, "give a condition in SQL"),
        (7, OptionError, "give a condition in SQL"),
        ("__import__('os').system('true')", DataError, "where="),
        ("year > 1; DROP TABLE items", DataError, "where="),
        ("year IN (SELECT 1)", DataError, "where="),
        ("year > avg(SELECT", DataError, "no condition in SQL"),
        ("(" * 3000 + "1" + ")" * 3000, OptionError, r"\.\.\. nests deeper"),
        ("genres ~ '('", DataError, "fails: regex"),
        (pl.col("year").filter(pl.col("year") > 1) > 1, DataError, "fails"),
        (pl.all() > 1, DataError, "fails"),
        ("read_csv('x') = 1", DataError, "where="),
        (pl.col("nothing") > 1, DataError, "no column 'nothing'"),
    ],
    ids=str,
)
def test_a_where_that_is_none(bayes, where, error, match):
    with pytest.raises(error, match=match):
        bayes.recommend("u1", where=where)


def test_filters_need_a_table():
    rec = palate.Popularity().fit(palate.datasets.synthetic(9, 9, 40, seed=1))
    with pytest.raises(DataError, match="needs a table of items"):
        rec.recommend(where="year > 1")
    with pytest.raises(DataError, match="max_per needs a table of items"):
        rec.recommend(max_per={"genre": 1})


# ---- lists for each user


def test_a_list_for_each_user(rec):
    exclude = {"u1": ["i1", "i2", "i3"], "u2": whole(rec, "u2")[:4], "nobody": ["i5"], "u9": []}
    only = {"u1": ["i1", "i2", "i40", "i41"], "u3": whole(rec, "u3")[5:9], "nobody": ["i7", "i5"]}
    asked = ["u3", "u1", "nobody", "u2", "u1"]
    free = rec.recommend(asked, n=99)
    denied = rec.recommend(asked, n=99, exclude=exclude)
    assert denied.equals(rec.recommend(asked, n=99, exclude=pd.DataFrame(pairs_of(exclude))))
    for user, items in by_user(free.unique(["user", "item"], maintain_order=True)).items():
        left = [item for item in items if item not in exclude.get(user, [])]
        assert by_user(denied.unique(["user", "item"], maintain_order=True))[user] == left
        kept = [item for item in left if item in only.get(user, [])]
        both = rec.recommend([user], n=99, exclude=exclude, items={user: only.get(user, [])})
        assert both["item"].to_list() == kept
    allowed = rec.recommend(asked, n=99, items=only)
    assert set(allowed["user"]) == {"u1", "u3", "nobody"}  # users without a list get nothing
    everyone = by_user(rec.recommend(n=4, items={k: v for k, v in only.items() if k != "nobody"}))
    assert set(everyone) == {"u1", "u3"} and everyone["u3"] == only["u3"]


def pairs_of(lists):
    pairs = [(user, item) for user, items in lists.items() for item in items]
    return {"user": [user for user, _ in pairs], "item": [item for _, item in pairs]}


def test_blocks_do_not_show_in_lists(rec, monkeypatch):
    options = {"exclude": {f"u{n}": [f"i{n}", f"i{n + 1}"] for n in range(30)}, "max_per": {"genres": 2}}
    options |= {"where": "year > 1984"}
    at_once = rec.recommend(n=5, **options)
    monkeypatch.setattr(memory, "MAX_USERS", 7)
    monkeypatch.setattr(max_per, "MAX_COUNTERS", 50)
    in_blocks = rec.recommend(n=5, **options)
    assert in_blocks.drop("score").equals(at_once.drop("score"))
    np.testing.assert_allclose(in_blocks["score"], at_once["score"], rtol=1e-5)


def test_lists_that_make_no_sense(bayes):
    with pytest.raises(UnknownLabelError, match="unknown item 'what'"):
        bayes.recommend("u1", exclude={"u1": ["what"]}, on_unknown="raise")
    assert bayes.recommend("u1", exclude={"who": ["i1"]}).equals(bayes.recommend("u1"))  # of no user here
    with pytest.raises(OptionError, match=r"'u1' has 'i1', where a list is expected; write \['i1'\]"):
        bayes.recommend("u1", items={"u1": "i1"})
    with pytest.raises(DataError, match="no item column"):
        bayes.recommend("u1", items=pl.DataFrame({"user": ["u1"], "thing": ["i1"]}))
    with pytest.raises(OptionError, match="one user only"):
        bayes.fold_in({"i1": 5}).recommend(exclude={"u1": ["i2"]})


# ---- at most k of a category


def greedy(ranking, table, limits, n):
    """The list by hand; limits: {column: (k, how to cut a value)}."""
    taken, counts = [], Counter()
    for item in ranking:
        here = [(name, value) for name, (_, cut) in limits.items() for value in cut(table[item])]
        if all(counts[at] < limits[at[0]][0] for at in here) and len(taken) < n:
            counts.update(here)
            taken.append(item)
    return taken


CUTS = {
    "genres": lambda row: (row["genres"] or "").split("|") if row["genres"] else [],
    "year": lambda row: [] if row["year"] is None else [row["year"]],
    "tag": lambda row: [name for name in "abc" if row[f"tag_{name}"]],
}


@pytest.mark.parametrize("max_per", [{"genres": 2}, {"genres": 0}, {"year": 1}, {"tag": 3}, {"genres": 3, "year": 2}])
@pytest.mark.parametrize("n", [1, 10, 60])
def test_no_category_takes_more_than_its_share(rec, max_per, n):
    table = table_of(rec)
    limits = {name: (k, CUTS[name]) for name, k in max_per.items()}
    found = rec.recommend(["u1", "u5", "nobody"], n=n, max_per=max_per)
    for user in ("u1", "u5", "nobody"):
        assert found.filter(user=user)["item"].to_list() == greedy(whole(rec, user), table, limits, n)
    new = rec.fold_in({"i1": 5})
    assert new.recommend(n, max_per=max_per)["item"].to_list() == greedy(
        new.recommend(99)["item"].to_list(), table, limits, n
    )


def test_a_list_fills_from_far_down():
    """Everything that is popular is of one kind: what fills the list is asked for deeper and deeper."""
    n = 300
    kinds = ["pop"] * (n - 3) + ["jazz", "folk", "rock"]
    frame = [(f"u{u}", item) for item in range(n) for u in range(n - item)]
    ratings = palate.read(
        {"user": [u for u, _ in frame], "item": [i for _, i in frame], "rating": [5.0 - (i % 2) for _, i in frame]}
    ).with_items(pl.DataFrame({"item": range(n), "kind": kinds}))
    rec = palate.Popularity().fit(ratings)
    best = rec.recommend(["nobody"], n=5, max_per={"kind": 2})
    assert best["item"].to_list() == [0, 1, n - 3, n - 2, n - 1]
    assert best["rank"].to_list() == [1, 2, 3, 4, 5]


def test_a_max_per_that_is_none(bayes):
    with pytest.raises(DataError, match=r"no column 'gender'\. The columns are 'year', 'genres'.*'tag'"):
        bayes.recommend("u1", max_per={"gender": 2})
    for wrong in (-1, 1.5, "2", True, None):
        with pytest.raises(OptionError, match="give a whole number, 0 or more"):
            bayes.recommend("u1", max_per={"genres": wrong})
    with pytest.raises(OptionError, match="of each value of a column"):
        bayes.recommend("u1", max_per="genres")


@given(st.data())
def test_greedy_is_greedy(data):
    n_items, depth = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    owned = [data.draw(st.sets(st.integers(0, 3), max_size=3)) for _ in range(n_items)]
    most, n = data.draw(st.integers(0, 3)), data.draw(st.integers(1, 5))
    indptr = np.cumsum([0, *map(len, owned), 0])
    limit = max_per.Limit(most, indptr, np.array([c for own in owned for c in sorted(own)], np.int32), 4)
    order = np.array([data.draw(st.permutations(range(n_items))) for _ in range(3)], np.int32)

    def fetch(rows, wanted):
        return order[rows, :wanted], -np.arange(wanted, dtype=np.float32) * np.ones((len(rows), 1), np.float32)

    codes, scores = max_per.limited(fetch, 3, min(n, n_items), n_items, (limit,))
    for row, ranking in zip(codes, order, strict=True):
        table = {code: owned[code] for code in range(n_items)}
        expected = greedy(ranking.tolist(), table, {"c": (most, lambda own: own)}, min(n, n_items))
        assert [code for code in row.tolist() if code >= 0] == expected
    assert np.isneginf(scores[codes < 0]).all()
    assert depth  # any depth is reached


# ---- ties


def test_ties_go_to_the_lower_code_on_every_path(tmp_path):
    ratings = palate.datasets.synthetic(30, 50, 400, seed=2).with_items(
        pl.DataFrame({"item": [f"i{n}" for n in range(50)], "kind": ["a", "b"] * 25})
    )
    rec = palate.Mean().fit(ratings)
    order = {label: code for code, label in enumerate(rec.model.item_vocabulary)}
    asked = [{}, {"where": "kind = 'a'"}, {"max_per": {"kind": 4}}, {"exclude": {"u1": ["i1"]}}]
    for options in [*asked, {"items": {f"u{n}": [f"i{m}" for m in range(9, -1, -1)] for n in range(30)}}]:
        for items in by_user(rec.recommend(n=7, **options)).values():
            assert [order[item] for item in items] == sorted(order[item] for item in items)


# ---- memory


def test_sizes_of_memory():
    assert memory.bytes_of("256MB") == memory.bytes_of(" 256 mb ") == memory.bytes_of(256_000_000) == 256_000_000
    assert memory.bytes_of("1.5GiB") == 3 * 2**29 and memory.bytes_of("10") == 10
    for wrong in ("", "MB", "256 apples", "-1GB", "0", 0, -5, 1.5, None, True, "1e9", [1]):
        with pytest.raises(OptionError, match="give a size such as"):
            memory.bytes_of(wrong)


def test_too_little_memory_says_what_works(rec, monkeypatch):
    with pytest.raises(OptionError, match=r"too little for this model: at least [0-9]+MB") as caught:
        rec.recommend(memory="1MB")
    least = re.search(r"at least ([0-9]+MB)", str(caught.value))[1]
    assert rec.recommend(n=3, memory=least).drop("score").equals(rec.recommend(n=3).drop("score"))
    monkeypatch.setattr(memory, "DEFAULT_MEMORY", "1MB")
    assert rec.recommend(n=3).drop("score").equals(rec.recommend(n=3, memory=least).drop("score"))


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        (palate.ALS(n_factors=20, n_sweeps=1), {}),
        (palate.ALS(n_factors=20, n_sweeps=1), {"max_per": {"kind": 3}}),
        (palate.SGD(n_factors=4, n_epochs=1, y_range=(0, 6)), {"items": {"u1": ["i1"]}}),
        (palate.Bayes(n_factors=4, n_sweeps=6, n_samples=4), {"by": "lower"}),
    ],
    ids=["products", "limits", "lists", "draws"],
)
def test_blocks_keep_within_the_memory(recipe, options, tmp_path):
    n_users, n_items, memory = 3000, 5000, 90_000_000
    table = pl.DataFrame({"item": [f"i{n}" for n in range(n_items)], "kind": [f"k{n % 50}" for n in range(n_items)]})
    data = palate.datasets.synthetic(n_users, n_items, 60_000, seed=1).with_items(table, unrated="drop")
    rec = recipe.fit(data)
    rec.recommend(["u1"], n=5, **options)  # what is made once is there
    tracemalloc.start()
    rec.recommend(n=5, out=tmp_path / "best.csv", memory=memory, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < memory


# ---- files, kills


READERS = {"parquet": pl.read_parquet, "csv": pl.read_csv, "jsonl": pl.read_ndjson}

CHILD = """
import os, signal, sys, palate
from palate.answers.ranking import files, memory
memory.MAX_USERS = 7
model, out, die_at = sys.argv[1], sys.argv[2], int(sys.argv[3])
put, kept = files.Parts.put, []
def dying(self, at, codes, scores):
    if len(kept) == die_at:
        with open(self._part(at).with_suffix(".new"), "wb") as torn:
            torn.write(b"PK")
        os.kill(os.getpid(), signal.SIGKILL)
    put(self, at, codes, scores)
    kept.append(at)
files.Parts.put = dying
palate.load(model).recommend(n=4, out=out, resume=True)
print(*kept)
"""


@pytest.mark.parametrize("ending", READERS)
def test_a_killed_run_goes_on_where_it_stood(bayes, tmp_path, monkeypatch, ending):
    bayes.save(tmp_path / "m.palate")
    files = {name: tmp_path / f"{name}.{ending}" for name in ("undisturbed", "killed")}

    def run(name, die_at):
        command = [sys.executable, "-c", CHILD, str(tmp_path / "m.palate"), str(files[name]), str(die_at)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    monkeypatch.setattr(memory, "MAX_USERS", 7)
    palate.load(tmp_path / "m.palate").recommend(n=4, out=files["undisturbed"])
    dead = run("killed", 3)
    assert dead.returncode == -signal.SIGKILL and not files["killed"].exists()
    parts = tmp_path / f"killed.{ending}.parts"
    assert sorted(path.name for path in parts.glob("*.npz")) == [f"{at:08}.npz" for at in range(3)]
    torn = parts / "00000001.npz"
    torn.write_bytes(torn.read_bytes()[:-40])
    again = run("killed", 99)
    assert again.stdout.split() == ["1", "3", "4", "5"], again.stderr
    assert files["killed"].read_bytes() == files["undisturbed"].read_bytes()
    assert not parts.exists()
    expected = bayes.recommend(n=4)
    found = READERS[ending](files["killed"]).cast(dict(expected.schema))
    assert found.drop("score").equals(expected.drop("score"))


@pytest.mark.long
def test_killed_at_any_moment(bayes, tmp_path):
    """A child that goes slowly is killed by the clock, again and again, until it is through."""
    bayes.save(tmp_path / "m.palate")
    slow = CHILD.replace("    put(self", "    import time; time.sleep(0.05)\n    put(self")
    out = tmp_path / "best.csv"
    command = [sys.executable, "-c", slow, str(tmp_path / "m.palate"), str(out), "99"]
    for _ in range(2):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        before, parts = time.monotonic(), tmp_path / "best.csv.parts"
        had = len(list(parts.glob("*.npz")))
        while len(list(parts.glob("*.npz"))) <= had and child.poll() is None and time.monotonic() < before + 30:
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        child.wait()
    bayes.recommend(n=4, out=tmp_path / "alone.csv")
    palate.load(tmp_path / "m.palate").recommend(n=4, out=tmp_path / "best2.csv")
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == 0
    assert out.read_bytes() == (tmp_path / "best2.csv").read_bytes()


def begin(rec, out, monkeypatch, **options):
    """A run that ended after two blocks; the folder of its parts."""
    put = files.Parts.put

    def failing(self, at, *found):
        if at == 2:
            raise KeyboardInterrupt
        put(self, at, *found)

    with monkeypatch.context() as patch:
        patch.setattr(files.Parts, "put", failing)
        with pytest.raises(BaseException):  # noqa: B017  polars may wrap it
            rec.recommend(n=4, out=out, resume=True, **options)
    parts = out.with_name(out.name + ".parts")
    assert len(list(parts.glob("*.npz"))) == 2 and not out.exists()
    return parts


@pytest.fixture
def begun(bayes, tmp_path, monkeypatch):
    """A run that ended after two blocks."""
    monkeypatch.setattr(memory, "MAX_USERS", 7)
    return tmp_path / "best.csv", begin(bayes, tmp_path / "best.csv", monkeypatch)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": 5}, "n=4, which is 5 now"),
        ({"keep_seen": True}, "keep_seen=False, which is True now"),
        ({"users": ["u1", "u2"]}, "other users"),
        ({"exclude": ["i1"]}, r"other items \(items, exclude or where\)"),
        ({"where": "year > 1990"}, r"other items \(items, exclude or where\)"),
        ({"exclude": {"u1": ["i1"]}}, "other lists of items for users"),
        ({"max_per": {"genres": 1}}, "another max_per"),
        ({"by": "lower"}, "by='mean', which is 'lower' now|another model"),
    ],
    ids=str,
)
def test_parts_of_another_query_are_refused(bayes, begun, options, said):
    out, parts = begun
    with pytest.raises(OptionError, match=f"was begun with .*({said}).*begin anew"):
        bayes.recommend(**({"n": 4, "out": out, "resume": True} | options))
    assert len(list(parts.glob("*.npz"))) == 2
    bayes.recommend(**({"n": 4, "out": out} | options))  # without resume=True it begins anew
    assert not parts.exists()


def test_parts_of_another_model_are_refused(bayes, begun):
    out, _ = begun
    for other in (palate.Bayes(n_sweeps=20, seed=9).fit(rated()), palate.Popularity().fit(rated())):
        with pytest.raises(OptionError, match="begun with another model"):
            other.recommend(n=4, out=out, resume=True)
    bayes.recommend(n=4, out=out, resume=True)


@pytest.mark.parametrize("name", palate.recipes.RECIPES)
def test_a_model_that_was_saved_is_the_same_one(name, tmp_path):
    recipe = palate.recipes.RECIPES[name]()
    known = {option for option in ("n_sweeps", "n_epochs") if hasattr(recipe, option)}
    recipe = dataclasses.replace(recipe, **dict.fromkeys(known, 5))
    rec = recipe.fit(rated() if "explicit" in recipe.kinds else rated().likes(at_least=3))
    rec.save(tmp_path / "m.palate")
    again = palate.load(tmp_path / "m.palate")
    for by in ("mean", "lower") if rec.has_posterior else ("mean",):
        digests = [
            files.manifest_of(one.model, query_of(one.model, RecommendOptions(by=by)), np.arange(3), 7)
            for one in (rec, again)
        ]
        assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("at", "code", "score", "said"),
    [
        ((0, 0), 99_999, 1.0, "items 0 to 99999 of a catalogue that ends at"),
        ((3, 2), -2, 1.0, "items -2 to"),
        ((6, 3), 2**31 - 1, 1.0, "to 2147483647 of a catalogue"),
        ((1, 0), 1, 1.0, "items that no user may get"),
        ((2, 1), 2, np.nan, "scores that are no numbers"),
        ((4, 1), 0, 1.0, "an item twice in a list"),
        ((4, 0), -1, -np.inf, "lists with a gap"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_part_that_is_no_answer_is_told(bayes, tmp_path, monkeypatch, at, code, score, said, ending):
    monkeypatch.setattr(memory, "MAX_USERS", 7)
    out = tmp_path / f"best.{ending}"
    lie = begin(bayes, out, monkeypatch, exclude=["i1"]) / "00000001.npz"
    with np.load(lie) as part:
        codes, scores = part["codes"].copy(), part["scores"].copy()
    codes[4, 0] = 0
    codes[at], scores[at] = code, score
    np.savez(lie, codes=codes, scores=scores)
    with pytest.raises(DataError, match=said) as error:
        bayes.recommend(n=4, out=out, resume=True, exclude=["i1"])
    assert str(error.value).startswith(f"{lie} has ")
    assert "Remove that file" in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"best.{ending}.parts"]
    lie.unlink()
    bayes.recommend(n=4, out=out, resume=True, exclude=["i1"])
    alone = bayes.recommend(n=4, out=tmp_path / f"alone.{ending}", exclude=["i1"])
    assert out.read_bytes() == alone.read_bytes()


def test_a_part_that_lies_is_made_again(bayes, begun, tmp_path):
    out, parts = begun
    alone = bayes.recommend(n=4, out=tmp_path / "alone.csv").read_bytes()
    first, second = sorted(parts.glob("*.npz"))
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 1  # one bit
    first.write_bytes(content)
    second.write_bytes(b"")
    assert bayes.recommend(n=4, out=out, resume=True).read_bytes() == alone


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"block": "x"}', b'{"block": -1}', b"\xff", b"[" * 200_000])
def test_a_manifest_that_is_none_begins_anew(bayes, begun, tmp_path, content):
    out, parts = begun
    (parts / "manifest.json").write_bytes(content)
    bayes.recommend(n=4, out=tmp_path / "alone.csv")
    assert bayes.recommend(n=4, out=out, resume=True).read_bytes() == (tmp_path / "alone.csv").read_bytes()


def test_going_on_in_less_memory(bayes, begun, monkeypatch):
    out, parts = begun
    assert json.loads((parts / "manifest.json").read_text())["block"] == 7
    monkeypatch.setattr(memory, "MAX_USERS", 3)
    with pytest.raises(OptionError, match="in blocks of 7 users, and memory= has room for 3"):
        bayes.recommend(n=4, out=out, resume=True)
    monkeypatch.setattr(memory, "MAX_USERS", 20)
    bayes.recommend(n=4, out=out, resume=True)


def test_files_of_others_in_the_folder_stay(bayes, begun):
    out, parts = begun
    (parts / "mine.txt").write_text("mine")
    bayes.recommend(n=4, out=out)
    assert [path.name for path in parts.iterdir()] == ["mine.txt"]


def test_resuming_needs_a_file(bayes):
    with pytest.raises(OptionError, match="name it with out="):
        bayes.recommend(resume=True)


# ---- similar


def test_similar_through_the_same_filters(bayes):
    alike = bayes.similar_items("i1", n=99)
    table = table_of(bayes)
    old = [item for item in alike["item"] if (table[item]["year"] or 9999) < 1990]
    assert bayes.similar_items("i1", n=99, where="year < 1990")["item"].to_list() == old
    assert bayes.similar_items("i1", 2, items=["i5", "i6", "i1"])["item"].to_list() == [
        item for item in alike["item"] if item in ("i5", "i6")
    ]
    assert (
        bayes.similar_users("u1", 5, exclude=["u2"])["user"].to_list()
        == [user for user in bayes.similar_users("u1", 6)["user"] if user != "u2"][:5]
    )
    new = bayes.fold_in({"i1": 5, "i2": 2})
    assert set(new.similar_users(2, users=["u3", "u4"])["user"]) == {"u3", "u4"}
    assert new.similar_users(39, exclude=["u3"])["user"].to_list() == [
        user for user in new.similar_users(40)["user"] if user != "u3"
    ]


def test_similar_is_the_cosine(bayes):
    factors = bayes.item_factors.astype(np.float64)
    unit = factors / np.linalg.norm(factors, axis=1, keepdims=True)
    frame = bayes.similar_items(["i3", "i4"], n=7)
    code = bayes.model.item_vocabulary.encode_one
    for row in frame.iter_rows(named=True):
        assert row["cosine"] == pytest.approx(unit[code(row["to"])] @ unit[code(row["item"])], abs=1e-5)
