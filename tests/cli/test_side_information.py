"""Side information at the command line: attributes, history, ordered steps, timestamps."""

import csv

import numpy as np
import polars as pl
import pytest

import palate as library
from helpers.command_line import answer, ask, many, parsed, refusal, refused

START = 946_684_800  # 2000-01-01
N_ITEMS = 30
TABLES = ["--users", "people.csv", "--items", "things.csv", "--unrated", "keep"]


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Ratings in sessions, tables of users and items, a model of all of it and a model of ids alone."""
    folder = tmp_path_factory.mktemp("known")
    rng = np.random.default_rng(0)
    taste, kind = rng.normal(size=(40, 2)), rng.normal(size=(N_ITEMS, 2))
    rows = []
    for user in range(40):
        moods = rng.normal(size=4)
        for at, item in enumerate(rng.permutation(N_ITEMS)[:20]):
            value = int(np.clip(np.round(3 + taste[user] @ kind[item] + moods[at // 5]), 1, 5))
            rows.append((user + 1, item + 1, value, START + (user + 50 * (at // 5)) * 86_400 + 7 * at))
    write(folder / "ratings.csv", [("user", "item", "rating", "time"), *rows])
    write(
        folder / "people.csv",
        [("user", "age", "job"), *((u, 20 + u // 2, ["cook", "smith"][u % 2]) for u in range(1, 45))],
    )
    genres = ["tea|jam", "tea", "jam"]
    write(
        folder / "things.csv", [("item", "title", "kinds"), *((i, f"Thing {i}", genres[i % 3]) for i in range(1, 36))]
    )
    write(
        folder / "pairs.csv", [("item", "when_rated", "user", "timestamp"), (3, 0, 1, START), (5, 0, 2, "2000-01-03")]
    )
    fit = ["fit", "ratings.csv", "--n-sweeps", 15]
    answer(*fit, *TABLES, "--likelihood", "ordinal", "--with-time", "-o", "all.palate", cwd=folder)
    answer(*fit, "--no-history", "--no-features", *TABLES, "-o", "ids.palate", cwd=folder)
    answer("fit", "ratings.csv", "--recipe", "Bias", "-o", "bias.palate", cwd=folder)
    return folder


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def test_texts_and_vectors_of_a_file_are_used_and_told(here, tmp_path):
    rng = np.random.default_rng(0)
    words = [first + middle + last for first in "bdg" for middle in "aeiou" for last in ("lan", "mor", "net")]
    rows = [
        (item, " ".join(rng.permutation(words)[:11]), rng.normal(size=4).round(3).tolist()) for item in range(1, 31)
    ]
    write(tmp_path / "told.csv", [("item", "plot", "embedding"), *rows])
    fit = ["fit", here / "ratings.csv", "--items", tmp_path / "told.csv", "--n-sweeps", 5]
    answer(*fit, "-o", "told.palate", cwd=tmp_path)
    used = parsed("show", "told.palate", cwd=tmp_path)["features"]["item"]
    assert used == {"plot": "text, 3 dimensions of 45 words", "embedding": "vectors of 4 numbers, 3 dimensions"}


@pytest.fixture(scope="module")
def rec(here):
    return library.load(here / "all.palate")


# ---- learning


def test_fit_is_the_same_as_in_python(here, rec):
    ratings = library.read(here / "ratings.csv", users=here / "people.csv", items=here / "things.csv", unrated="keep")
    same = library.Bayes(n_sweeps=15, likelihood="ordinal", time=True).fit(ratings)
    assert same.model.recipe == rec.model.recipe
    assert same.model.fingerprint == rec.model.fingerprint
    np.testing.assert_array_equal(same.item_factors, rec.item_factors)
    ids = library.Bayes(n_sweeps=15, history=False, features=False).fit(ratings)
    np.testing.assert_array_equal(ids.item_factors, library.load(here / "ids.palate").item_factors)


def test_update_takes_tables_of_what_is_new_with_ratings_and_without(here, rec, tmp_path):
    write(tmp_path / "new.csv", [("item", "title", "kinds"), (901, "Thing 901", "tea"), (902, "Thing 902", "jam")])
    write(tmp_path / "more.csv", [("user", "item", "rating"), (1, 901, 5)])
    model, items = str(here / "all.palate"), ["--items", "new.csv"]
    answer("update", model, *items, "-o", "tables.palate", cwd=tmp_path)
    told = library.load(tmp_path / "tables.palate")
    assert set(told.model.item_vocabulary.labels.tolist()) >= {"901", "902"}
    np.testing.assert_array_equal(told.item_factors, rec.update(items=tmp_path / "new.csv").item_factors)
    answer("update", model, "more.csv", *items, "-o", "both.palate", cwd=tmp_path)
    both = library.load(tmp_path / "both.palate")
    assert len(both.model.history.indices) == len(told.model.history.indices) + 1
    assert both.n_items == told.n_items
    assert "--items" in refused("update", model, "-o", "none.palate", cwd=tmp_path)
    assert "table alone" in refused("update", str(here / "bias.palate"), *items, "-o", "none.palate", cwd=tmp_path)


def test_what_a_fit_cannot_learn_is_refused(here):
    (here / "untimed.csv").write_text("user,item,rating\n1,1,3\n1,2,4\n2,1,5\n")
    fine = "\n".join(f"{user},{item},{1 + (user * 7 + item) / 100}" for user in range(9) for item in range(9))
    (here / "fine.csv").write_text(f"user,item,rating\n{fine}\n")
    said = {
        "fit untimed.csv --with-time -o x": "--with-time needs times",
        "fit ratings.csv --time false --with-time -o x": "--with-time needs times",
        "fit ratings.csv --likelihood normal -o x": "--likelihood normal is not valid; use one of 'gaussian'",
        "fit fine.csv --likelihood ordinal -o x": "20",
        "fit ratings.csv --recipe ALS --with-time --no-history -o x": "ALS has no --history, --with-time; its options",
        "fit ratings.csv --recipe Mean --with-time -o x": "Mean has no --with-time",
    }
    for (line, word), done in zip(said.items(), many(*said, cwd=here), strict=True):
        assert word in refusal(done), line
    bayes_has = refused("fit", "ratings.csv", "--lr", 1, "-o", "x", cwd=here)
    assert all(f"--{name}" in bayes_has for name in ("features", "history", "likelihood", "with-time"))
    assert not (here / "x").exists()


def test_evaluate_uses_the_timestamps_of_the_test_file(here, rec):
    told = parsed("evaluate", "all.palate", "ratings.csv", cwd=here)
    blind = parsed("evaluate", "all.palate", "ratings.csv", "--time", "false", cwd=here)
    expected = library.evaluate(rec, library.read(here / "ratings.csv"))
    assert told["measures"]["rmse"]["value"] == pytest.approx(expected["rmse"], abs=1e-6)
    assert told["measures"]["rmse"]["value"] < blind["measures"]["rmse"]["value"] - 0.05
    frame = pl.read_csv(here / "ratings.csv")  # labels that are integers: another way into the command
    numbers = library.read(frame)
    library.Bayes(n_sweeps=15, time=True).fit(numbers).save(here / "numbers.palate")
    told = parsed("evaluate", "numbers.palate", "ratings.csv", cwd=here)
    expected = library.evaluate(library.load(here / "numbers.palate"), numbers)
    assert told["measures"]["rmse"]["value"] == pytest.approx(expected["rmse"], abs=1e-6)


# ---- asking


def test_predict_at_a_time_with_probabilities(here, rec):
    there = {"prediction": 0.0, "low": 0.0, "high": 0.0}
    for timestamp, when in (("2000-01-02T00:00:10", START + 86_410), (START, START), (None, None)):
        options = ["--when", timestamp] if timestamp else []
        told = parsed("predict", "all.palate", "1", "3", "--distribution", *options, cwd=here)
        expected = rec.predict("1", "3", when=when, distribution=True)
        assert [told[name] for name in there] == pytest.approx(list(expected[:3]), rel=1e-6)
        assert [told[f"chance_{step}"] for step in range(1, 6)] == pytest.approx(
            list(expected.chances.values()), rel=1e-5
        )
    for model in ("all.palate", "ids.palate"):
        assert "chance_5" in answer("predict", model, "1", "3", "--distribution", cwd=here)


def test_pairs_may_have_timestamps(here, rec):
    rows = parsed("predict", "all.palate", "--pairs", "pairs.csv", cwd=here)
    expected = rec.predict(["1", "2"], ["3", "5"], when=[START, START + 2 * 86_400])
    assert [row["prediction"] for row in rows] == pytest.approx(expected["prediction"].to_list(), rel=1e-6)
    assert rows[0]["prediction"] != pytest.approx(rec.predict("1", "3").prediction, rel=1e-3)
    for_all = parsed("predict", "all.palate", "--pairs", "pairs.csv", "--when", START, cwd=here)
    expected = rec.predict(["1", "2"], ["3", "5"], when=START)
    assert [row["prediction"] for row in for_all] == pytest.approx(expected["prediction"].to_list(), rel=1e-6)
    write(here / "odd.csv", [("user", "item", "time"), (1, 3, START), (2, 5, "yesterday")])
    assert "odd.csv: time 'yesterday' is no time" in refused("predict", "all.palate", "--pairs", "odd.csv", cwd=here)
    assert len(parsed("predict", "ids.palate", "--pairs", "odd.csv", cwd=here)) == 2  # no time effects: not read


def test_recommend_by_chance(here, rec):
    rows = parsed("recommend", "all.palate", "1", "--by", "chance", "--at-least", 4, "-n", 4, cwd=here)
    expected = rec.recommend("1", 4, by="chance", at_least=4)
    assert [row["item"] for row in rows] == expected["item"].to_list()
    assert [row["score"] for row in rows] == pytest.approx(expected["score"].to_list(), rel=1e-5)
    new = parsed("recommend", "all.palate", "--like", "3=5", "--by", "chance", "--at-least", 4, "-n", 4, cwd=here)
    expected = rec.fold_in({"3": 5}).recommend(4, by="chance", at_least=4)
    assert [row["item"] for row in new] == expected["item"].to_list()
    answer("recommend", "all.palate", "--everyone", "--by", "chance", "--at-least", 5, "-o", "c.csv", cwd=here)
    assert pl.read_csv(here / "c.csv")["score"].is_between(0, 1).all()


def test_explain_at_a_time(here, rec):
    told = parsed("explain", "all.palate", "1", "thing 3", "--when", START, cwd=here)
    expected = rec.explain("1", "3", when=START)
    assert told["parts"] == pytest.approx(expected.parts, abs=1e-5)
    assert told["parts"]["time"] != 0
    assert set(told["known"]) == {"history", "age", "job"}
    assert sum(told["parts"].values()) == pytest.approx(told["prediction"], abs=1e-4)
    assert "history: which items were rated" in answer("explain", "all.palate", "1", "3", cwd=here)
    assert "time" not in parsed("explain", "all.palate", "1", "3", cwd=here)["parts"]


def test_questions_a_model_cannot_answer(here):
    said = {
        "predict bias.palate 1 3 --distribution": "2 to 20 different values",
        "predict all.palate 1 3 --when soon": "--when soon is no time",
        "predict all.palate 1 3 --when nan": "is no time",
        "explain all.palate 1 3 --when 2000-13-01": "is no time",
        "recommend bias.palate 1 --by chance --at-least 4": "ratings in 2 to 20 steps",
        "recommend all.palate 1 --by chance": "go together",
        "recommend all.palate 1 --at-least 4": "go together",
        "recommend all.palate 1 --by chance --at-least nan": "--at-least must be a rating",
    }
    for (line, word), done in zip(said.items(), many(*said, cwd=here), strict=True):
        assert word in refusal(done), line
    assert many("recommend all.palate 1 --by chance --at-least four", cwd=here)[0].returncode == 2


def test_a_time_that_changes_nothing_is_noted(here):
    done = ask("predict", "ids.palate", "1", "3", "--when", "2000-01-01", "--json", cwd=here)
    assert done.returncode == 0
    assert "has no time effects" in done.stderr
    assert "has no time effects" not in ask("predict", "all.palate", "1", "3", "--when", START, cwd=here).stderr


# ---- looking


def test_show_describes_what_was_learned_from(here, rec):
    told = parsed("show", "all.palate", cwd=here)
    assert told["history"] == ["user", "item"]
    assert told["features"]["user"] == rec.model.user_info.attributes.report
    assert set(told["features"]["item"]) == {"title", "kinds"}
    assert (told["likelihood"], told["steps"]) == ("ordinal", [1, 2, 3, 4, 5])
    assert told["time"]["n_days"] == len(rec.model.effects.days.keys)
    assert len(told["time"]["session_gaps"]) == len(rec.model.effects.sessions)
    lines = answer("show", "all.palate", cwd=here).splitlines()
    by_name = {line.split()[0]: line for line in lines if line.strip()}
    assert by_name["history"].endswith("of users and of items")
    assert "ordinal, 5 steps" in by_name["likelihood"]
    assert "sessions with gaps up to" in by_name["time"]
    assert "categorical: 2 classes" in by_name["job"]
    assert "multi-valued" in by_name["kinds"]


def test_show_leaves_out_what_was_not_learned_from(here, rec):
    told = parsed("show", "ids.palate", cwd=here)
    assert (told["history"], told["features"], told["steps"], told["time"]) == ([], {}, None, None)
    assert told["likelihood"] == "gaussian"
    text = answer("show", "ids.palate", cwd=here)
    assert "Side information" not in text
    assert not {"history", "features", "time"} & {line.split(" ")[0] for line in text.splitlines()}
    rec.compact().save(here / "small.palate")  # leaves the links behind
    told = parsed("show", "small.palate", cwd=here)
    assert (told["history"], told["features"], told["likelihood"]) == ([], {}, "ordinal")


# ---- likes


def test_likes_learn_from_tables_and_an_update_brings_items_that_only_a_table_names(here):
    fit = [
        "fit",
        "ratings.csv",
        "--likes",
        3,
        "--recipe",
        "ImplicitALS",
        "--n-factors",
        4,
        "--weight-decay",
        0.1,
        *TABLES,
    ]
    answer(*fit, "-o", "likes.palate", cwd=here)
    answer(*fit, "--no-features", "-o", "plain.palate", cwd=here)
    ratings = library.read(here / "ratings.csv", users=here / "people.csv", items=here / "things.csv", unrated="keep")
    same = library.ImplicitALS(n_factors=4, weight_decay=0.1).fit(ratings.likes(at_least=3))
    told, plain = (library.load(here / name) for name in ("likes.palate", "plain.palate"))
    np.testing.assert_array_equal(told.item_factors, same.item_factors)
    assert told.model.item_info is not None and plain.model.item_info is None
    assert set(told.recommend("44", n=35)["item"]) == {str(n) for n in range(1, 36)}  # 44 and 31 to 35: no ratings
    assert told.recommend("44", n=35)["score"].n_unique() > 3
    write(here / "later.csv", [("user", "item", "rating"), (1, 3, 5), (1, 30, 4)])
    write(here / "new things.csv", [("item", "title", "kinds"), (3, "Thing 3", "jam"), (99, "Thing 99", "tea")])
    update = ["update", "likes.palate", "later.csv", "--likes", 3, "--items", "new things.csv", "--unrated", "keep"]
    answer(*update, "-o", "later.palate", cwd=here)
    later = library.load(here / "later.palate")
    assert later.n_items == told.n_items + 1
    at = later.model.item_vocabulary.encode(["99"])[0]
    assert np.abs(later.item_factors[at]).max() > 0
