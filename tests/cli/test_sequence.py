"""`--recipe Sequence`: its options, events that repeat, and what `show`, `compare` and `tune` say of it."""

import numpy as np
import polars as pl
import pytest

import palate as library
from helpers.command_line import answer, ask, parsed, refused

IMPLICIT = ("--kind", "implicit")


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with the events of people who go round a ring of items, and come back to them."""
    folder = tmp_path_factory.mktemp("sequence")
    rng = np.random.default_rng(0)
    steps = rng.choice([1, 1, 1, 2, 0], (120, 9))
    items = (rng.integers(0, 12, (120, 1)) + steps.cumsum(axis=1)) % 12
    columns = {
        "user": [f"u{user}" for user in np.repeat(np.arange(120), 9)],
        "item": [f"i{item}" for item in items.ravel()],
        "time": 1_600_000_000 + 60 * np.arange(items.size),
    }
    events = pl.DataFrame(columns)
    events.write_csv(folder / "events.csv")
    events.unique(["user", "item"], maintain_order=True).write_csv(folder / "once.csv")
    answer("fit", "events.csv", *IMPLICIT, "--recipe", "sequence", "-o", "m.palate", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def events(here):
    return library.read(here / "events.csv", kind="implicit", duplicates="keep")


def same(rows, frame):
    assert [row["item"] for row in rows] == frame["item"].to_list()
    np.testing.assert_allclose([row["score"] for row in rows], frame["score"], rtol=1e-5)


def test_the_command_fits_what_python_fits(here, events):
    rec = library.Sequence().fit(events, progress=False)
    want = rec.recommend(session=["i3", "i4"], n=4)
    same(parsed("recommend", "m.palate", "--session", "i3,i4", "-n", 4, cwd=here), want)
    assert want["item"][0] == "i5"
    same(parsed("recommend", "m.palate", "u7", "-n", 4, cwd=here), rec.recommend("u7", n=4))


def test_every_option_can_be_typed(here, events):
    typed = ("--recency", 3, "--weight-decay", 50, "--similarity", 0.3, "--dropout", 0.2, "--k", 5)
    options = {"recency": 3.0, "weight_decay": 50.0, "similarity": 0.3, "dropout": 0.2, "k": 5}
    for word, keep_seen in (("--keep-seen", True), ("--leave-out-seen", False)):
        fit = ("fit", "events.csv", *IMPLICIT, "--recipe", "Sequence", *typed, word, "-o", "t.palate")
        recipe = parsed(*fit, cwd=here)["recipe"]
        python = library.Sequence(**options, keep_seen=keep_seen)
        assert {name: recipe[name] for name in (*options, "keep_seen")} == {**options, "keep_seen": keep_seen}
        same(
            parsed("recommend", "t.palate", "u7", "-n", 3, cwd=here),
            python.fit(events, progress=False).recommend("u7", n=3),
        )
    assert "Sequence" in ask("fit", "--help", cwd=here).stdout


def test_repeated_choices_stay_events_unless_it_is_said_otherwise(here, events):
    fit = (
        "fit",
        "events.csv",
        *IMPLICIT,
        "--recipe",
        "Sequence",
        "--recency",
        2,
        "--weight-decay",
        50,
        "--similarity",
        0,
        "-o",
        "r.palate",
    )
    once = pl.read_csv(here / "once.csv").height
    told = ask(*fit, cwd=here)
    assert f"{len(events) - once} choices repeat an earlier one of their user; each stays an event" in told.stderr
    assert f"{len(events):,} choices" in told.stdout
    told = ask(*fit, "--duplicates", "sum", cwd=here)
    assert f"{once:,} choices" in told.stdout and "repeat" not in told.stderr
    told = ask("fit", "once.csv", *IMPLICIT, "--recipe", "Sequence", "-o", "r.palate", cwd=here)
    assert told.returncode == 0 and told.stderr == ""
    told = ask("fit", "events.csv", *IMPLICIT, "--recipe", "EASE", "-o", "r.palate", cwd=here)
    assert f"{once:,} choices" in told.stdout and "repeat" not in told.stderr


def test_a_model_that_reads_order_reads_new_events_as_they_are(here, events):
    head, tail = library.split_last(events, n=3)
    head.to_frame().write_csv(here / "head.csv")
    tail.to_frame().write_csv(here / "tail.csv")
    answer("fit", "head.csv", *IMPLICIT, "--recipe", "Sequence", "-o", "head.palate", cwd=here)
    rec = library.load(here / "head.palate")
    told = parsed("evaluate", "head.palate", "tail.csv", "--next-item", cwd=here)
    assert told["n"] == len(tail)
    assert told["measures"]["mrr"] == pytest.approx(
        library.evaluate(rec, tail, next_item=True).to_dict()["measures"]["mrr"]
    )
    answer("update", "head.palate", "tail.csv", "-o", "later.palate", cwd=here)
    later = library.load(here / "later.palate")
    assert len(later.model.history.indices) == len(events)
    want = rec.update(tail).recommend("u7", n=5)
    same(parsed("recommend", "later.palate", "u7", "-n", 5, cwd=here), want)
    new = pl.DataFrame({"user": ["new"] * 4, "item": ["i3", "i4", "i3", "i4"], "time": [1, 2, 3, 4]})
    new.write_csv(here / "new.csv")
    want = rec.recommend(session=["i3", "i4", "i3", "i4"])
    same(parsed("recommend", "head.palate", "--new", "new.csv", cwd=here), want)


def test_numbers_in_a_file_keep_their_repeats_for_a_model_of_texts(here):
    log = {"user": ["1"] * 3 + ["2"] * 3, "item": ["7", "8", "7", "8", "7", "8"]}
    rec = library.Sequence().fit(library.read(log, kind="implicit", duplicates="keep"), progress=False)
    rec.save(here / "texts.palate")
    pl.DataFrame({"user": [1, 1], "item": [8, 8]}).write_csv(here / "numbers.csv")
    answer("update", "texts.palate", "numbers.csv", "-o", "texts.palate", cwd=here)
    assert library.load(here / "texts.palate").history("1")["item"].to_list() == ["7", "7", "8", "8", "8"]


def test_show_says_what_was_chosen(here):
    training = library.load(here / "m.palate").model.training
    shown = answer("show", "m.palate", cwd=here)
    assert f"recency {training['recency']:g}, weight decay {training['weight_decay']:g}" in shown
    assert f"similarity {training['similarity']:g}" in shown
    assert ("users come back to items" in shown) is training["keep_seen"]


def test_compare_knows_it(here, events):
    compare = ("compare", "events.csv", *IMPLICIT, "--next-item", "--recipes", "sequence,EASE,Popularity")
    told = parsed(*compare, cwd=here)
    assert told["entries"][0]["name"] == "Sequence"
    assert told["n_train"] + told["n_test"] == len(events)
    told = parsed("compare", "events.csv", *IMPLICIT, "--next-item", "--recipes", "EASE", cwd=here)
    assert told["n_train"] + told["n_test"] == pl.read_csv(here / "once.csv").height


def test_tune_knows_it(here):
    pytest.importorskip("optuna", reason="needs palate[tune]")
    tune = ("tune", "events.csv", *IMPLICIT, "--recipe", "sequence", "--next-item", "--trials", 3)
    told = parsed(*tune, "--leave-out-seen", "--split", "last", cwd=here)
    assert set(told["trials"][1]["params"]) == {"recency", "weight_decay", "similarity", "dropout"}
    assert "--recipe Sequence" in told["command"] and "--leave-out-seen" in told["command"]


REFUSED = {
    ("--recipe", "Sequence", *IMPLICIT, "--similarity", "cosine"): "--similarity must be a number, 0 or more",
    ("--recipe", "Neighbors", *IMPLICIT, "--similarity", "0.1"): "--similarity 0.1 is not valid; use one of 'cosine'",
    ("--recipe", "Sequence", *IMPLICIT, "--recency", "0"): "--recency must be a number above 0",
    ("--recipe", "Sequence", *IMPLICIT, "--half-life", "30d"): "Sequence has no --half-life; its options: --dropout",
    ("--recipe", "EASE", *IMPLICIT, "--keep-seen"): "EASE has no --keep-seen",
    ("--recipe", "Sequence"): "pass --kind implicit",
    ("--recipe", "Sequense", *IMPLICIT): "there is no recipe 'Sequense'; there are",
}


@pytest.mark.parametrize("args", REFUSED, ids=" ".join)
def test_refusals(here, args):
    assert REFUSED[args] in refused("fit", "events.csv", *args, "-o", "x.palate", cwd=here)
