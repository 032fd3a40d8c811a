"""What was chosen last counts: `--recency`, `--half-life`, `--recent`, `--session` and `--duplicates keep`."""

import numpy as np
import polars as pl
import pytest

import palate as library
from helpers.command_line import answer, ask, parsed, refused

DAY = 86_400


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with dated choices, some of them made twice, of items whose names have commas."""
    folder = tmp_path_factory.mktemp("order")
    rng = np.random.default_rng(0)
    names = ["jam", "tea, green", "milk", 'the "best" bread, sliced', "egg", "oats", "rice", "salt"]
    columns = {
        "user": [f"u{code}" for code in rng.integers(0, 30, 200)],
        "item": [names[code] for code in rng.integers(0, len(names), 200)],
        "time": 1_600_000_000 + rng.integers(0, 60 * DAY, 200),
    }
    pl.DataFrame(columns).write_csv(folder / "log.csv")
    told = answer("fit", "log.csv", "--kind", "implicit", "--duplicates", "keep", "--recipe", "ease", "--weight-decay",
                  5, "--recency", 4, "--half-life", "30d", "--out", "m.palate", cwd=folder)  # fmt: skip
    assert "recency=4" in told and "half_life=30d" in told
    return folder


@pytest.fixture(scope="module")
def rec(here):
    return library.load(here / "m.palate")


def same(rows, frame):
    assert [row["item"] for row in rows] == frame["item"].to_list()
    np.testing.assert_allclose([row["score"] for row in rows], frame["score"], rtol=1e-5)


def test_the_command_fits_what_python_fits(here, rec):
    ratings = library.read(here / "log.csv", kind="implicit", duplicates="keep")
    python = library.EASE(weight_decay=5, recency=4, half_life="30d").fit(ratings, progress=False)
    assert python.recommend(n=3).equals(rec.recommend(n=3))


def test_seconds_may_be_typed(here, rec):
    fit = ("fit", "log.csv", "--kind", "implicit", "--recipe", "popularity", "--half-life", 30 * DAY)
    answer(*fit, "--out", "p.palate", cwd=here)
    assert library.load(here / "p.palate").model.factors.fading.half_life == rec.model.factors.fading.half_life


@pytest.mark.parametrize(
    ("typed", "session"),
    [
        (["jam,milk"], ["jam", "milk"]),
        (["jam, milk , egg"], ["jam", "milk", "egg"]),
        (["tea, green"], ["tea, green"]),
        (["tea, green", "jam"], ["tea, green", "jam"]),
        (['jam,"tea, green",milk'], ["jam", "tea, green", "milk"]),
        (['jam,"the ""best"" bread, sliced"'], ["jam", 'the "best" bread, sliced']),
        (["jam,milk,jam"], ["jam", "milk", "jam"]),
        ([""], []),
    ],
)
def test_a_session_is_typed_oldest_first(here, rec, typed, session):
    options = [word for text in typed for word in ("--session", text)]
    same(parsed("recommend", "m.palate", *options, "-n", 3, cwd=here), rec.recommend(session=session, n=3))


def test_titles_and_numbers_are_items_too(here, tmp_path):
    films = pl.DataFrame({"item": [1, 2, 3, 4], "title": ["Alien", "Matrix, The", "Fargo", "Heat"]})
    log = {"user": [1, 1, 2, 2, 3, 3], "item": [1, 2, 2, 3, 3, 4]}
    rec = library.EASE().fit(library.read(log, kind="implicit", items=films), progress=False)
    rec.save(tmp_path / "films.palate")
    want = rec.recommend(session=[1, 2])
    for typed in (["1,2"], ["Alien", "Matrix, The"], ["alien", "2"], ['1,"matrix, the"']):
        options = [word for text in typed for word in ("--session", text)]
        same(parsed("recommend", "films.palate", *options, cwd=tmp_path), want)


@pytest.mark.parametrize(("typed", "recent"), [("2", 2), ("2.5", 2.5), ("20d", "20d"), ("36h", "36h")])
def test_recent_weighs_when_a_question_is_asked(here, rec, typed, recent):
    same(parsed("recommend", "m.palate", "u3", "--recent", typed, cwd=here), rec.recommend("u3", recent=recent))
    found = parsed("recommend", "m.palate", "--session", "jam,egg", "--recent", "2", cwd=here)
    same(found, rec.recommend(session=["jam", "egg"], recent=2))


def test_a_file_of_new_users_is_in_order_of_its_times(here, rec):
    new = pl.DataFrame({"user": ["new"] * 3, "item": ["jam", "egg", "milk"], "time": [3 * DAY, DAY, 2 * DAY]})
    new.write_csv(here / "new.csv")
    found = parsed("recommend", "m.palate", "--new", "new.csv", cwd=here)
    same(found, rec.fold_in(["jam", "egg", "milk"], times=[3 * DAY, DAY, 2 * DAY]).recommend())


def test_what_cannot_be_is_told(here):
    told = refused("recommend", "m.palate", "u3", "--recent", "soon", cwd=here)
    assert "--recent soon: give a number of events above 0" in told
    assert "unknown item 'jem'" in refused("recommend", "m.palate", "--session", "jem", cwd=here)
    assert ask("recommend", "m.palate", "u3", "--session", "jam", cwd=here).returncode == 2
    assert ask("recommend", "m.palate", "--session", "jam", "--index", "ann", cwd=here).returncode == 2
    fit = ("fit", "log.csv", "--kind", "implicit", "--recipe", "ease", "--out", "x.palate", "--half-life")
    assert "no times" in refused(*fit, "3d", "--time", "false", cwd=here)
    assert "--half-life 3x is no length of time" in refused(*fit, "3x", cwd=here)


def test_the_doctor_takes_kept_repeats(here):
    assert "each an event of its own" in answer(
        "check", "log.csv", "--kind", "implicit", "--duplicates", "keep", cwd=here
    )
    assert "events of its own" not in answer("check", "log.csv", "--kind", "implicit", cwd=here)
