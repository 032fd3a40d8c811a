"""The command line as a process: every command, its JSON and files, exit codes, one-line errors, hostile input."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palate as library
from helpers.command_line import answer, ask, many, palate, parsed, refusal, refused
from palate.cli import lists as _lists
from palate.cli import printing as _printing
from palate.cli.messages import as_typed
from palate.errors import OptionError
from palate.showing.lines import one_line, printable

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals, terminals and pipes")
TITLES = [
    "Star Wars (1977)",
    "Alien (1979)",
    "Aliens (1986)",
    "Matrix, The (1999)",
    "1984 (1984)",
    "Amélie (2001)",
    "七人の侍 (1954)",
    "A [bold]b[/] = \x1b[31mred\x1b[0m (2000)",
    *(f"Film {letter}" for letter in "ABCDEFGHIJKLMNOPQRST"),
]
COMMANDS = [
    "fit",
    "update",
    "forget",
    "evaluate",
    "compare",
    "tune",
    "card",
    "predict",
    "recommend",
    "similar",
    "explain",
    "show",
    "check",
    "datasets",
    "demo",
]


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with ratings by text ids, titles of the items, and a model of them that the command line made."""
    folder = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(0)
    taste, kind = rng.normal(size=(40, 2)), rng.normal(size=(len(TITLES), 2))
    rows = [
        (user + 1, item + 1, int(np.clip(np.round(3 + taste[user] @ kind[item]), 1, 5)), 1000 * user + item)
        for user in range(40)
        for item in range(len(TITLES))
        if rng.random() < 0.6
    ]
    order = rng.permutation(len(rows))
    with (folder / "ratings.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("userId", "movieId", "rating", "timestamp"), *(rows[at] for at in order)])
    with (folder / "movies.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("movieId", "title"), *enumerate(TITLES, 1)])
    (folder / "pairs.csv").write_text("movieId,userId\n3,1\n5,2\n3,1\n")
    told = answer("fit", "ratings.csv", "--items", "movies.csv", "-o", "m.palate", "--n-sweeps", 30, cwd=folder)
    assert told.startswith("Bayes(n_sweeps=30")
    return folder


@pytest.fixture(scope="module")
def rec(here):
    return library.load(here / "m.palate")


@pytest.fixture(scope="module")
def numbered(here):
    """A model whose labels are integers."""
    frame = pl.read_csv(here / "ratings.csv")
    library.Bias().fit(library.read(frame)).save(here / "numbers.palate")
    return here / "numbers.palate"


# ---- fit and evaluate


def test_fit_holds_out_and_reports(here):
    told = parsed("fit", "ratings.csv", "-o", "t.palate", "--recipe", "als", "--n-factors", 3, "--test", 0.2, cwd=here)
    ratings = library.read(here / "ratings.csv")
    train, test = library.split_random(ratings, test=0.2, seed=0)
    assert told["n_ratings"] == len(train)
    assert told["recipe"]["name"] == "ALS"
    assert told["n_factors"] == 3
    expected = library.evaluate(library.ALS(n_factors=3).fit(train), test)
    assert told["metrics"]["measures"]["rmse"]["value"] == pytest.approx(expected["rmse"], abs=1e-4)
    assert library.load(here / "t.palate").model.metrics["n"] == len(test)


def test_fit_is_the_same_as_in_python(here, rec):
    ratings = library.read(here / "ratings.csv", items=here / "movies.csv")
    same = library.Bayes(n_sweeps=30).fit(ratings)
    assert same.model.fingerprint == rec.model.fingerprint
    np.testing.assert_array_equal(same.item_factors, rec.item_factors)


def test_users_and_items_come_from_files_of_their_own(here):
    (here / "people.txt").write_text("1|24|cook\n2|53|smith\n99|30|cook\n")
    (here / "more.csv").write_text("movieId,title\n1,One\n2,Two\n77,New\n")
    files = ["--users", "people.txt", "--items", "more.csv"]
    for unrated, n_users, n_items in (("drop", 40, len(TITLES)), ("keep", 41, len(TITLES) + 1)):
        told = ask("fit", "ratings.csv", *files, "--unrated", unrated, "--recipe", "Bias", "-o", "f.palate", cwd=here)
        assert told.returncode == 0, told.stderr
        assert ("1 row for users without ratings left out" in told.stderr) == (unrated == "drop")
        model = library.load(here / "f.palate")
        assert (model.n_users, model.n_items) == (n_users, n_items)
    found = parsed("recommend", "f.palate", "99", "-n", 99, cwd=here)
    assert "77" in {row["item"] for row in found}
    assert "--unrated all is not valid" in refused(
        "fit", "ratings.csv", *files, "--unrated", "all", "-o", "g.palate", cwd=here
    )
    (here / "people.txt").write_text("98|24|cook\n99|30|cook\n")
    assert "none of the 40 users" in refused("fit", "ratings.csv", *files, "-o", "g.palate", cwd=here)


def test_fit_reads_as_told(tmp_path):
    (tmp_path / "odd.txt").write_bytes("3;Zoë;x;é\n4;Zoë;x;ü\nbad;Bob;y;é\n2;Bob;z;ü\n".encode("latin-1"))
    options = ["--separator", ";", "--no-header", "--encoding", "latin-1", "--user", 1, "--item", 3, "--rating", 0]
    done = ask("fit", "odd.txt", *options, "--time", "false", "--on-bad-rows", "report", "--duplicates", "mean",
                  "--recipe", "Mean", "-o", "m.palate", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("palate: 4 rows read, 1 left out")
    assert library.load(tmp_path / "m.palate").model.user_vocabulary.labels.tolist() == ["Bob", "Zoë"]
    assert "line 3" in refused("fit", "odd.txt", *options, "-o", "m.palate", cwd=tmp_path)


def test_evaluate(here, numbered):
    report = parsed("evaluate", "m.palate", "ratings.csv", cwd=here)
    assert set(report["measures"]) >= {"rmse", "mae", "coverage_90"}
    assert "Bias" in report["baselines"]
    text = answer("evaluate", "m.palate", "ratings.csv", cwd=here)
    assert f"{report['measures']['rmse']['value']:.4f}" in text
    # Integer labels in the model, text in the file: the same people.
    assert list(parsed("evaluate", numbered, "ratings.csv", cwd=here)["groups"]) == ["learned from"]
    assert "trained on: errors there say nothing about new ratings" in text


def test_evaluate_by_inverse_propensities(here):
    frame = pl.read_csv(here / "ratings.csv").with_columns(chance=1 / (1 + pl.col("movieId")))
    twice = pl.concat(
        [frame, frame[:9].with_columns(chance=pl.lit(7.0), timestamp=pl.lit(1, pl.Int64))]
    )  # older: left out
    twice.write_csv(here / "shown.csv")
    rec = library.load(here / "m.palate")
    test = library.read(frame.drop("chance").cast({"userId": pl.String, "movieId": pl.String}))
    for option, propensity in (("chance", frame["chance"]), ("popularity", "popularity")):
        told = parsed("evaluate", "m.palate", "shown.csv", "--propensity", option, cwd=here)
        expected = library.evaluate(rec, test, propensity=propensity)
        assert told["n_effective"] == pytest.approx(expected.n_effective)
        for name in ("rmse", "snips_rmse", "snips_coverage_90"):
            assert told["measures"][name]["value"] == pytest.approx(expected[name], abs=1e-5)
    liked = parsed("evaluate", "m.palate", "shown.csv", "--likes", 4, "--propensity", "chance", cwd=here)
    expected = library.evaluate(rec, test.likes(4), propensity=frame["chance"].to_numpy()[test.values >= 4])
    assert liked["measures"]["snips_dcg@5"]["value"] == pytest.approx(expected["snips_dcg@5"], abs=1e-5)
    assert liked["n_effective"] == pytest.approx(expected.n_effective)
    text = answer("evaluate", "m.palate", "shown.csv", "--propensity", "popularity", cwd=here)
    assert "model, snips" in text and "of equal weight" in text
    (here / "bad.csv").write_text("userId,movieId,rating,chance\n1,1,3,0.5\n1,2,3,\n2,2,3,0\n")
    begun = ("evaluate", "m.palate")
    assert "--propensity no: " in refused(*begun, "ratings.csv", "--propensity", "no", cwd=here)
    assert "line 3: '1,2,3,' cannot be used" in refused(*begun, "bad.csv", "--propensity", "chance", cwd=here)
    lenient = ask(*begun, "bad.csv", "--propensity", "chance", "--on-bad-rows", "report", cwd=here)
    assert lenient.returncode == 1 and "must hold a number above 0 for each rating" in lenient.stderr
    assert "is a data set" in refused(*begun, "ml-100k", "--propensity", "chance", cwd=here)
    (here / "bad.csv").write_text("userId,movieId,rating,chance\n1,1,3,0.5\n2,2,3,0\n")
    assert "number 1 is 0" in refused(*begun, "bad.csv", "--propensity", "chance", cwd=here)


def test_evaluate_choices_by_inverse_propensities(tmp_path):
    rng = np.random.default_rng(1)
    pairs = sorted({(int(u), int(i)) for u, i in zip(rng.integers(0, 30, 400), rng.integers(0, 15, 400), strict=True)})
    rows = [(u, i, int(rng.integers(1, 9)), float(rng.uniform(0.1, 1))) for u, i in pairs]
    frame = pl.DataFrame(rows, schema=["user", "item", "count", "chance"], orient="row")
    frame[:200].drop("chance").write_csv(tmp_path / "train.csv")
    frame[200:].write_csv(tmp_path / "test.csv")
    answer("fit", "train.csv", "--kind", "implicit", "--recipe", "Popularity", "-o", "p.palate", cwd=tmp_path)
    told = parsed("evaluate", "p.palate", "test.csv", "--propensity", "chance", cwd=tmp_path)
    test = library.read(tmp_path / "test.csv", kind="implicit")
    expected = library.evaluate(library.load(tmp_path / "p.palate"), test, propensity=frame["chance"][200:])
    assert told["measures"]["snips_recall@5"]["value"] == pytest.approx(expected["snips_recall@5"], abs=1e-5)


# ---- asking


def test_predict(here, rec):
    prediction, low, high = rec.predict("1", "3")
    told = parsed("predict", "m.palate", "1", "3", cwd=here)
    assert (told["user"], told["item"]) == ("1", "3")
    assert [told["prediction"], told["low"], told["high"]] == pytest.approx([prediction, low, high], rel=1e-6)
    narrow = parsed("predict", "m.palate", "1", "aliens", "--level", 0.5, cwd=here)
    assert narrow["prediction"] == told["prediction"]
    assert narrow["high"] - narrow["low"] < told["high"] - told["low"]
    assert f"{prediction:.2f}" in answer("predict", "m.palate", "1", "3", cwd=here)


def test_predict_a_file_of_pairs(here, rec, numbered):
    rows = parsed("predict", "m.palate", "--pairs", "pairs.csv", cwd=here)
    assert [(row["user"], row["item"]) for row in rows] == [("1", "3"), ("2", "5"), ("1", "3")]
    assert rows[1]["prediction"] == pytest.approx(rec.predict("2", "5").prediction, rel=1e-6)
    (here / "bare.tsv").write_text("1\t3\n2\t5\n")
    bare = parsed("predict", numbered, "--pairs", "bare.tsv", cwd=here)
    assert [(row["user"], row["item"]) for row in bare] == [(1, 3), (2, 5)]
    answer("predict", "m.palate", "--pairs", "pairs.csv", "--out", "p.parquet", cwd=here)
    assert pl.read_parquet(here / "p.parquet").height == 3


def test_recommend(here, rec):
    rows = parsed("recommend", "m.palate", "1", "--n", 4, cwd=here)
    expected = rec.recommend("1", n=4)
    assert [row["item"] for row in rows] == expected["item"].to_list()
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]
    lines = answer("recommend", "m.palate", "1", "-n", 4, cwd=here).splitlines()
    assert lines[0].split() == ["rank", "item", "title", "score"]
    assert len(lines) == 5
    everything = rec.recommend("1", n=99)["item"].to_list()
    kept = parsed("recommend", "m.palate", "1", "-n", 99, "--exclude", everything[0], "--keep-seen", cwd=here)
    assert {row["item"] for row in kept} == set(map(str, range(1, len(TITLES) + 1))) - {everything[0]}
    only = parsed("recommend", "m.palate", "1", "2", "--items", "alien", "--items", "5", "--keep-seen", cwd=here)
    assert sorted((row["user"], row["item"]) for row in only) == [("1", "2"), ("1", "5"), ("2", "2"), ("2", "5")]


READERS = {"csv": pl.read_csv, "parquet": pl.read_parquet, "jsonl": pl.read_ndjson}


@pytest.mark.parametrize("ending", READERS)
def test_recommend_everyone_into_a_file(here, rec, ending):
    answer("recommend", "m.palate", "--everyone", "-n", 3, "--out", f"all.{ending}", cwd=here)
    frame = READERS[ending](here / f"all.{ending}")
    expected = rec.recommend(n=3)
    assert frame.height == expected.height
    assert frame["item"].cast(pl.String).to_list() == expected["item"].to_list()
    assert frame["title"].to_list() == expected["title"].to_list()
    assert not list(here.glob("*.part"))


def test_recommend_to_somebody_new(here, rec):
    rows = parsed("recommend", "m.palate", "--like", "star wars=5", "--like", "2=4.5", cwd=here)
    expected = rec.fold_in({"1": 5, "2": 4.5}).recommend()
    assert [row["item"] for row in rows] == expected["item"].to_list()
    assert "ITEM=RATING" in refused("recommend", "m.palate", "--like", "star wars", cwd=here)
    assert "'good' is not a number" in refused("recommend", "m.palate", "--like", "alien=good", cwd=here)
    twice = refused("recommend", "m.palate", "--like", "Star Wars=5", "--like", "1=2", cwd=here)
    assert "--like '1=2': item '1' has a rating already, 5" in twice
    assert "on another scale: 50 for item '2'" in refused("recommend", "m.palate", "--like", "alien=50", cwd=here)


def test_similar(here, rec):
    rows = parsed("similar", "m.palate", "Matrix", "-n", 3, cwd=here)
    assert [row["item"] for row in rows] == rec.similar_items("4", 3)["item"].to_list()
    users = parsed("similar", "m.palate", "7", "--users", "-n", 3, cwd=here)
    assert [row["user"] for row in users] == rec.similar_users("7", 3)["user"].to_list()


def test_explain(here, rec):
    told = parsed("explain", "m.palate", "1", "the matrix", cwd=here)
    assert told["item"] == "4"
    assert sum(told["parts"].values()) == pytest.approx(told["prediction"], abs=1e-3)
    text = answer("explain", "m.palate", "1", "the matrix", cwd=here)
    assert text.startswith("Matrix, The (1999) for 1: ")


def test_titles_and_their_candidates(here):
    assert "'alie' fits 2 titles: 2 Alien (1979); 3 Aliens (1986)" in refused("similar", "m.palate", "alie", cwd=here)
    assert "Did you mean 'Amélie (2001)'" in refused("similar", "m.palate", "Ameliee", cwd=here)


def test_accents_and_articles_do_not_hide_a_title(rec):
    assert [_lists.item_of(text, rec) for text in ("AMELIE", "the matrix", "Matrix", "alien", "1984")] == list("64425")


def test_unknown_users_and_items(here, numbered):
    done = ask("recommend", "m.palate", "nobody", "--json", cwd=here)
    assert done.returncode == 0
    assert "does not know user 'nobody'" in done.stderr
    assert len(json.loads(done.stdout)) == 10
    assert "'nobody'" in refused("explain", "m.palate", "nobody", "1", cwd=here)
    assert "'nobody' is not a number" in refused("recommend", numbered, "nobody")
    assert parsed("predict", "m.palate", "1", "999", "--on-unknown", "nan", cwd=here)["prediction"] is None
    if os.name == "posix":
        assert "not readable text" in refused("recommend", "m.palate", "\udcff", cwd=here)


def test_edges_of_n(here):
    all_out = [part for item in range(1, len(TITLES) + 1) for part in ("--exclude", item)]
    ask = ["recommend", "m.palate", "1"]
    none, all_there, nothing_left, no_rows, negative = many(
        [*ask, "-n", 0, "--json"],
        [*ask, "-n", 10**6, "--json"],
        [*ask, *all_out, "--json"],
        [*ask, *all_out],
        [*ask, "-n", -1],
        cwd=here,
    )
    assert json.loads(none.stdout) == json.loads(nothing_left.stdout) == []
    assert 0 < len(json.loads(all_there.stdout)) < len(TITLES)
    assert no_rows.stdout.split() == ["rank", "item", "title", "score"]
    assert "n must be" in refusal(negative)


# ---- looking


def test_show(here, rec):
    told = parsed("show", "m.palate", cwd=here)
    assert told["fingerprint"] == rec.model.fingerprint
    best = int(np.argmax(rec.item_bias))
    assert told["best_items"][0]["item"] == rec.model.item_vocabulary.labels[best]
    text = answer("show", "m.palate", cwd=here)
    assert rec.model.fingerprint in text
    assert "Bayes(n_sweeps=30" in text


def test_check(here):
    told = parsed("check", "ratings.csv", cwd=here)
    assert told["findings"][0]["name"] == "columns"
    assert "40 users" in answer("check", "ratings.csv", cwd=here)


def test_check_says_by_its_exit_code_what_it_found(tmp_path):
    (tmp_path / "few.csv").write_text("user,item,rating\nann,tea,5\nbob,jam,3\n")  # few ratings are a warning
    (tmp_path / "equal.csv").write_text("user,item,rating\nann,tea,5\nbob,jam,5\n")
    codes = [ask("check", *words, cwd=tmp_path).returncode for words in (["few.csv"], ["few.csv", "--strict"])]
    assert codes == [0, 1]
    told = ask("check", "equal.csv", "--json", cwd=tmp_path)
    assert (told.returncode, json.loads(told.stdout)["worst"]) == (1, "problem")


def test_fit_show_and_json_say_which_column_was_taken(tmp_path):
    (tmp_path / "r.csv").write_text("when,userId,movieId,stars\nnow,1,2,5\nthen,2,2,3\n")
    line = "read: user = userId, item = movieId, rating = stars; not used: when (names or ids); read with separator"
    assert line in answer("fit", "r.csv", "--recipe", "Bias", "-o", "m.palate", cwd=tmp_path)
    assert line.removeprefix("read: ") in answer("show", "m.palate", cwd=tmp_path)
    told = parsed("show", "m.palate", cwd=tmp_path)["training"]["read"]
    assert told["columns"] == {"user": "userId", "item": "movieId", "rating": "stars"}
    assert told["unused"] == {"when": "names or ids"}
    assert parsed("fit", "r.csv", "--recipe", "Bias", "-o", "m.palate", cwd=tmp_path)["read"] == told


def test_events_are_typed_one_by_one(tmp_path):
    (tmp_path / "log.csv").write_text("user,item,event\nann,tea,view\nann,tea,buy\nbob,jam,view\n")
    asked = refused("check", "log.csv", "--kind", "implicit", cwd=tmp_path)
    assert "--event view=1 --event buy=10" in asked
    assert "--event false" in asked
    words = ("check", "log.csv", "--kind", "implicit", "--event")
    assert "from 1 to 11, median 6, 12 in all" in answer(*words, "view=1", "--event", "buy=10", cwd=tmp_path)
    assert "--event view: give EVENT=WORTH" in refused(*words, "view", cwd=tmp_path)


def test_datasets(tmp_path):
    told = parsed("datasets", env={"PALATE_DATA": str(tmp_path), "PALATE_CACHE": str(tmp_path)})
    assert {"ml-100k", "ml-1m"} <= {row["name"] for row in told}
    assert all(row["here"] is None and "Research use" in row["licence"] for row in told)


@pytest.mark.parametrize(
    "words", ["show m.palate", "recommend m.palate 1 --json", "recommend m.palate nobody", "fit none.csv", "nonsense"]
)
def test_the_process_that_stays_says_what_a_process_of_its_own_says(here, words):
    own, staying = palate(*words.split(), cwd=here), ask(*words.split(), cwd=here)
    names = re.compile(r"[^\s']*python\S* -m palate|palate")  # how the command was typed, which its usage repeats
    assert own.returncode == staying.returncode
    assert names.sub("", own.stdout) == names.sub("", staying.stdout)
    assert names.sub("", own.stderr) == names.sub("", staying.stderr)


def test_help_of_every_command():
    text = answer("--help")
    assert all(command in text for command in COMMANDS)
    assert "--n-factors" in answer("fit", "--help", env={"COLUMNS": "100"})
    assert answer("--version").strip() == f"palate {library.__version__}"


# ---- ratings that arrive or go


def test_update_and_forget(here, rec, tmp_path):
    (tmp_path / "new.csv").write_text("userId,movieId,rating\nlate-comer,2,5\nlate-comer,4,1\n1,new-film,3\n")
    more, less = tmp_path / "more.palate", tmp_path / "less.palate"
    told = answer("update", here / "m.palate", tmp_path / "new.csv", "-o", more)
    assert f"{rec.n_users + 1:,} users, {rec.n_items + 1:,} items" in told
    assert library.load(more).history("late-comer")["item"].to_list() == ["2", "4"]
    answer("forget", more, "--user", "late-comer", "--item", "new-film", "-o", less)
    assert b"late-comer" in more.read_bytes()
    assert b"late-comer" not in less.read_bytes()
    assert library.load(less).model.fingerprint == rec.model.fingerprint
    answer("forget", less, "--item", "Star Wars (1977)", "-o", less)  # onto itself
    assert library.load(less).n_items == rec.n_items - 1
    assert "late-comer" in refused("forget", less, "--user", "late-comer", "-o", less)
    assert "name a user with --user" in refused("forget", less, "-o", less)
    assert "the file to learn from" in refused("update", less, tmp_path / "new.csv", "-o", tmp_path / "new.csv")


# ---- wrong and hostile input


def test_wrong_usage_is_code_2(here):
    lines = ["nonsense", "fit ratings.csv", "predict m.palate 1", "predict m.palate 1 2 --pairs x"]
    lines += ["recommend m.palate", "recommend m.palate 1 -n many", "recommend m.palate 1 --everyone"]
    for line, done in zip(lines, many(*lines, cwd=here), strict=True):
        assert done.returncode == 2, line
        assert done.stdout == ""
        assert "Usage:" in done.stderr
    assert ask("nonsense").returncode == 2


def test_files_that_are_no_models(here, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "noise").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "cut").write_bytes((here / "m.palate").read_bytes()[:3000])
    (tmp_path / "folder").mkdir()
    names = ("absent", "empty", "noise", "cut", "folder")
    for name, done in zip(names, many(*(["show", name] for name in names), cwd=tmp_path), strict=True):
        assert name in refusal(done)


NO_RATINGS = {
    "absent": (None, "no file"),
    "empty": (b"", "empty"),
    "noise": (np.random.default_rng(1).bytes(3000), ""),
    "header": (b"user,item,rating\n", "no ratings"),
    "text": (b"user,item,rating\na,b,good\n", "line 2"),
    "columns": (b"who,what\na,b\n", ""),
    "nul": (b"user,item,rating\na,b\0,3\n", "line 2"),
}


def test_files_that_are_no_ratings(tmp_path):
    for name, (content, _) in NO_RATINGS.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
    commands = [["fit", name, "-o", "m.palate"] for name in NO_RATINGS]
    for (_, word), done in zip(NO_RATINGS.values(), many(*commands, cwd=tmp_path), strict=True):
        assert word in refusal(done)
    assert not (tmp_path / "m.palate").exists()


def test_every_recipe_can_be_fitted_by_name():
    from palate.cli.names import RECIPES
    from palate.recipes import RECIPES as THERE_ARE

    assert set(RECIPES) == set(THERE_ARE)


def test_sgd_takes_its_options(here):
    options = ["--y-range", 0, 6, "--n-epochs", 5, "--lr", 0.02, "--no-bias", "--schedule", "constant"]
    told = parsed("fit", "ratings.csv", "-o", "s.palate", "--recipe", "sgd", *options, cwd=here)
    recipe = told["recipe"]
    assert (recipe["name"], recipe["n_epochs"], recipe["bias"], recipe["y_range"]) == ("SGD", 5, False, [0.0, 6.0])
    assert "5 epochs in" in answer("show", "s.palate", cwd=here)


def test_wrong_options_are_named(here):
    said = {
        "fit ratings.csv -o x --recipe SVD": "no recipe 'SVD'; there are Bayes",
        "fit ratings.csv -o x --recipe Mean --n-factors 3": "Mean has no --n-factors",
        "fit ratings.csv -o x --recipe SGD --optimizer adam": "--optimizer adam is not valid; use one of 'sgd'",
        "fit ratings.csv -o x --recipe SGD --y-range 5 1": "--y-range must rise",
        "fit ratings.csv -o x --recipe SGD --lr 1000": "diverged in epoch 1: give a smaller lr than 1000",
        "fit ratings.csv -o x --recipe Popularity --test 0.1": "predicts no ratings",
        "fit ratings.csv -o x --test 2": "--test 2.0",
        "fit ratings.csv -o x --test 0.00001": "not a single rating",
        "fit ratings.csv -o x --user nobody": "no column 'nobody'",
        "fit ratings.csv -o no/m.palate": "there is no folder no",
        "fit ratings.csv -o .": "is a folder",
        "fit ml-100k --user 0 -o x": "leave out --user",
        "recommend m.palate 1 --out x.txt": "the ending must be",
        "recommend m.palate 1 --by mood": "--by mood",
        "recommend m.palate --like alien=nan": "NaN",
        "predict m.palate 1 2 --level 2": "level",
        "predict m.palate --pairs absent.csv": "no file absent.csv",
        "predict m.palate --pairs movies.csv": "no user column",
    }
    for (line, word), done in zip(said.items(), many(*said, cwd=here), strict=True):
        assert word in refusal(done), line
    assert not (here / "x").exists()


@POSIX
def test_what_must_not_be_overwritten(here, tmp_path):
    os.mkfifo(tmp_path / "pipe.palate")
    os.mkfifo(tmp_path / "pipe.csv")
    before = (here / "ratings.csv").read_bytes()
    assert "a device or a pipe" in refused("fit", "ratings.csv", "-o", tmp_path / "pipe.palate", cwd=here)
    assert "a device or a pipe" in refused("recommend", "m.palate", "1", "--out", tmp_path / "pipe.csv", cwd=here)
    assert "the file to learn from" in refused("fit", "ratings.csv", "-o", "./ratings.csv", cwd=here)
    assert (tmp_path / "pipe.palate").is_fifo()
    assert (here / "ratings.csv").read_bytes() == before


@POSIX
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write everywhere")
def test_folders_one_may_not_write_to(here, tmp_path):
    tmp_path.chmod(0o500)
    assert "cannot be written to" in refused("fit", here / "ratings.csv", "-o", tmp_path / "m.palate")


@POSIX
def test_a_reader_that_leaves_early(here):
    command = [sys.executable, "-m", "palate", "recommend", "m.palate", "--everyone"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=here) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 141


@POSIX
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_on_standard_output(here):
    with Path("/dev/full").open("w") as full:
        assert "No space left" in refusal(palate("recommend", "m.palate", "1", cwd=here, stdout=full))


# ---- terminals and signals


def in_terminal(args, cwd, env, *, until=None):
    """Run with a terminal as output; what it showed and the exit code. Sends SIGINT once `until` is shown."""
    import pty

    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    environment |= {"TERM": "xterm-256color", "COLUMNS": "100"} | env
    command = [sys.executable, "-m", "palate", *map(str, args)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=environment)
    os.close(theirs)
    shown, sent, start = b"", False, time.monotonic()
    while time.monotonic() - start < 60:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
        if until is not None and not sent and until in shown:
            process.send_signal(signal.SIGINT)
            sent = True
    os.close(ours)
    return shown.decode("utf-8", "replace"), process.wait(30)


@POSIX
def test_colours_on_a_terminal_only(here):
    shown, code = in_terminal(["recommend", "m.palate", "1", "-n", 30], here, {})
    assert code == 0
    assert "\x1b[" in shown
    assert "Recommended for 1" in shown
    assert "\x1b[31m" not in shown  # a title's own escapes do nothing
    shown, code = in_terminal(["recommend", "m.palate", "1", "-n", 30], here, {"NO_COLOR": "1"})
    assert code == 0
    assert "\x1b" not in shown


@POSIX
def test_ctrl_c_during_a_fit_keeps_what_was_learned(here, tmp_path):
    args = ["fit", here / "ratings.csv", "-o", tmp_path / "m.palate", "--n-sweeps", 10**7]
    args += ["--checkpoint", "kept"]
    shown, code = in_terminal(args, tmp_path, {}, until=b"train 0.")
    assert code == 0, shown
    assert "what was learned until then is saved in" in re.sub(r"\s+", " ", shown)
    assert "The same command with --resume goes on from kept." in re.sub(r"\s+", " ", shown)
    assert "Traceback" not in shown
    rec = library.load(tmp_path / "m.palate")
    assert 0 < rec.model.training["n_sweeps"] < 10**7
    assert rec.recommend("1").height > 0


def test_a_fit_goes_on_from_its_checkpoint(here, tmp_path):
    def end(sweep):
        if sweep.number == 6:
            raise SystemExit

    recipe, kept = library.ALS(n_factors=2, n_sweeps=8), tmp_path / "kept"
    with pytest.raises(SystemExit):
        recipe.fit(library.read(here / "ratings.csv"), progress=False, callback=end, checkpoint=kept)
    args = ["fit", here / "ratings.csv", "-o", tmp_path / "m.palate", "--recipe", "ALS", "--n-sweeps", 8]
    args += ["--n-factors", 2, "--checkpoint", kept]
    assert "go on from it with --resume, or remove the folder" in refused(*args)
    assert "going on after sweep 5" in ask(*args, "--resume").stderr
    assert library.load(tmp_path / "m.palate").model.training["n_sweeps"] == 8
    assert not kept.exists()


@POSIX
def test_ctrl_c_elsewhere_is_130(tmp_path):
    os.mkfifo(tmp_path / "endless.csv")
    command = [sys.executable, "-m", "palate", "check", "endless.csv"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
    with (tmp_path / "endless.csv").open("wb"):  # opens when the process reads it
        process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in said
    assert out == b""


def test_startup_imports_little(here):
    command = [sys.executable, "-X", "importtime", "-m", "palate", "recommend", "m.palate", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=here, check=True)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "polars" in imported
    assert not imported & {"pandas", "pyarrow", "scipy", "torch", "matplotlib", "rich", "platformdirs"}


# ---- the parts, without a process


def test_plain_tables_are_aligned():
    lines = _printing.plain_lines({"title": ["七人", "Amélie", "x"], "n": ["1", "22", "333"]}, {"n"})
    assert lines == ["title     n", "七人      1", "Amélie   22", "x       333"]


@given(st.text())
def test_printed_text_cannot_steer_a_terminal(text):
    shown = one_line(text)
    assert shown.isprintable()
    assert printable(shown) == shown


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20))  # fmt: skip
def test_anything_becomes_json(value):
    clean = _printing._for_json(value)
    assert json.loads(json.dumps(clean, allow_nan=False)) == clean


def test_like_takes_the_last_equals_sign():
    ratings = library.read({"user": ["u", "u"], "item": ["id0", "id1"], "rating": [1, 2]})
    titles = {"item": ["id0", "id1"], "title": ["a=b", "c"]}
    rec = library.Bias().fit(ratings.with_items(titles), progress=False)
    assert _lists.given_ratings(["a=b=4", "C=2.5"], rec) == {"id0": 4.0, "id1": 2.5}
    with pytest.raises(OptionError, match="ITEM=RATING"):
        _lists.given_ratings(["=4"], rec)


# ---- real data


@pytest.fixture
def movielens():
    given = os.environ.get("PALATE_DATA")
    if not given or not (Path(given) / "ml-100k").is_dir():
        pytest.skip("PALATE_DATA holds no ml-100k")
    return Path(given) / "ml-100k"


@pytest.mark.long
@pytest.mark.data
def test_demo_fits_one_screen(movielens, tmp_path):
    text = palate("demo", cwd=tmp_path).stdout  # as the process of a shell, which the last lines are for
    lines = text.splitlines()
    assert len(lines) <= 45
    next_at = lines.index("Try next")
    assert max(map(len, lines[:next_at])) <= 100
    rows = {
        name: float(re.search(rf"^  {name} +([0-9.]+)", text, re.MULTILINE)[1]) for name in ("Mean", "Bias", "Bayes")
    }
    assert rows["Bayes"] < 0.885 < rows["Bias"] < rows["Mean"]
    inside = float(re.search(r"([0-9.]+)% of them lie inside", text)[1])
    assert 88 < inside < 92
    assert "Star Wars (1977)" in text
    assert library.load(tmp_path / "demo.palate").n_users == 943
    for line in lines[next_at + 1 : -1]:
        command = line.strip().partition(" -m palate ")[2]
        done = subprocess.run(f"{sys.executable} -m palate {command}", shell=True, cwd=tmp_path, capture_output=True)
        assert done.returncode == 0, line


def test_demo_takes_any_ratings(here):
    text = answer("demo", "--data", "ratings.csv", "--out", "own.palate", cwd=here)
    assert "Try next" in text
    assert library.load(here / "own.palate").n_users == 40


@pytest.mark.data
def test_a_data_set_by_its_name(movielens, tmp_path):
    answer("fit", "ml-100k", "-o", "m.palate", "--recipe", "Bias", cwd=tmp_path)
    told = parsed("show", "m.palate", cwd=tmp_path)
    assert (told["n_users"], told["n_items"], told["n_ratings"]) == (943, 1682, 100_000)
    best = parsed("recommend", "m.palate", "196", cwd=tmp_path)
    assert len(best) == 10
    assert all(row["title"] for row in best)


def test_messages_name_options_as_they_are_typed():
    options = {"kind": "--kind", "with_time": "--with-time", "time": "--time", "y_range": "--y-range", "n": "--n"}
    said = {
        'pass kind="implicit".': "pass --kind implicit.",
        "kind='two words' is not valid": "--kind 'two words' is not valid",
        'time=True needs times: palate.read(..., time="...").': "--with-time needs times: --time NAME.",
        "the ends of y_range=(4.0, 5.5).": "the ends of --y-range 4.0 5.5.",
        "n must be a whole number": "--n must be a whole number",
        "say which with time= (a name)": "say which with --time (a name)",
        "seed=3 stays, as 'kind=x' does": "seed=3 stays, as 'kind=x' does",
    }
    assert {text: as_typed(text, options) for text in said} == said
