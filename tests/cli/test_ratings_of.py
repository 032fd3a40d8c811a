"""`palate recommend MODEL --ratings-of FILE`: recommendations for one person's own file."""

import polars as pl
import pytest

import palate as library
from helpers.command_line import ask, parsed, refused

FILMS = ["Matrix, The (1999)", "Up (2009)", "Heat (1995)", "Emma (1996)", "Dune (2021)", "Alien (1979)"]
OWN = """Date,Name,Year,Letterboxd URI,Rating
2024-01-01,The Matrix,1999,https://boxd.it/a,5
2024-01-01,Up,2009,https://boxd.it/b,
2024-01-01,Unheard Of,2020,https://boxd.it/c,4
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    rows = [(user, str(item), 1 + (user * item) % 5) for user in range(8) for item in range(6) if (user + item) % 3]
    table = pl.DataFrame({"item": [str(item) for item in range(6)], "title": FILMS})
    ratings = library.read(pl.DataFrame(rows, schema=["user", "item", "rating"], orient="row")).with_items(table)
    library.ALS(n_factors=2, n_sweeps=3).fit(ratings, progress=False).save(folder / "m.palate")
    library.Popularity().fit(ratings.likes(4), progress=False).save(folder / "likes.palate")
    (folder / "own.csv").write_text(OWN)
    (folder / "views.csv").write_text("Title,Date\nUp,1/1/20\n")
    (folder / "unknown.csv").write_text("title,rating\nNothing,5\n")
    (folder / "many.csv").write_text("user,item,rating\nann,1,5\nbob,1,4\n")
    return folder


def test_seen_items_are_left_out_and_the_report_goes_to_standard_error(here):
    done = ask("recommend", "m.palate", "--ratings-of", "own.csv", cwd=here)
    assert done.returncode == 0
    assert "Matrix" not in done.stdout
    assert "Up (2009)" not in done.stdout
    lines = done.stderr.splitlines()
    assert lines[0] == "palate: 2 of 3 items matched: 2 by title and year."
    assert any("1 not in the model: 'Unheard Of (2020)'" in line for line in lines)
    assert all(line.startswith("palate: ") for line in lines)


def test_the_same_as_in_python(here):
    answer = parsed("recommend", "m.palate", "--ratings-of", "own.csv", "-n", 3, cwd=here)
    rec = library.load(here / "m.palate")
    found = rec.match(here / "own.csv")
    frame = rec.fold_in(found.ratings).recommend(3, exclude=found.seen)
    assert [row["item"] for row in answer["recommendations"]] == frame["item"].to_list()
    assert answer["match"]["n_matched"] == 2
    assert answer["match"]["unmatched"] == ["Unheard Of (2020)"]
    assert answer["match"]["by"] == {"title and year": 2}


def test_options_of_recommend_go_with_it(here):
    def items(*options):
        answer = parsed("recommend", "m.palate", "--ratings-of", "own.csv", *options, cwd=here)
        return {row["title"] for row in answer["recommendations"]}

    assert items("--keep-seen") == set(FILMS)
    assert items() == set(FILMS) - {"Matrix, The (1999)", "Up (2009)"}
    assert items("--exclude", "Heat") == items() - {"Heat (1995)"}
    assert items("--items", "Heat") == {"Heat (1995)"}
    parsed("recommend", "m.palate", "--ratings-of", "own.csv", "--out", "best.csv", cwd=here)
    assert pl.read_csv(here / "best.csv").height == 4


def test_models_of_likes_take_views_too(here):
    answer = parsed("recommend", "likes.palate", "--ratings-of", "views.csv", cwd=here)
    assert answer["match"]["by"] == {"title": 1}
    assert "Up (2009)" not in {row["title"] for row in answer["recommendations"]}


def test_what_does_not_go(here):
    told = {
        "recommend m.palate --ratings-of views.csv": "a Netflix viewing history, which has no ratings",
        "recommend m.palate --ratings-of unknown.csv": "nothing to recommend by. 0 of 1 items matched",
        "recommend m.palate --ratings-of many.csv": "2 users, not one person",
        "recommend m.palate --ratings-of missing.csv": "there is no file missing.csv",
        "fit own.csv -o x.palate": "--user me",
    }
    for line, words in told.items():
        assert words in refused(*line.split(" "), cwd=here), line
    assert ask("recommend", "m.palate", "1", "--ratings-of", "own.csv", cwd=here).returncode == 2


def test_predict_and_explain_for_that_person(here):
    rec = library.load(here / "m.palate")
    person = rec.fold_in(rec.match(here / "own.csv").ratings)
    answer = parsed("predict", "m.palate", "Dune (2021)", "--ratings-of", "own.csv", cwd=here)
    assert answer["prediction"] == pytest.approx(person.predict("4").prediction)
    explained = parsed("explain", "m.palate", "4", "--ratings-of", "own.csv", cwd=here)
    assert explained["prediction"] == pytest.approx(person.explain("4").prediction)
    assert [reason["item"] for reason in explained["because"]] == ["0"]


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_predict_and_explain_take_one_item_for_that_person(here, command):
    for typed in (["0", "4"], []):
        done = ask(command, "m.palate", *typed, "--ratings-of", "own.csv", cwd=here)
        assert done.returncode == 2
        assert "name an ITEM" in done.stderr
    assert ask(command, "m.palate", "4", cwd=here).returncode == 2
