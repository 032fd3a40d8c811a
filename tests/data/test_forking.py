"""A forked process answers, or says in words that it cannot: it never waits for threads that are gone."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

import palate
from palate.errors import ForkError

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning", "ignore:.*fork.*:RuntimeWarning"),
]

SECONDS = 20  # until a child counts as hanging; each answers within a few milliseconds
HANGS, ANSWERS, REFUSES, FAILS = "hangs", "answers", "refuses", "fails"


def in_child(work):
    """What becomes of some work in a forked process, and the message it ends with."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        outcome = f"{ANSWERS}:"
        try:
            work()
        except ForkError as error:
            outcome = f"{REFUSES}:{error}"
        except BaseException as error:
            outcome = f"{FAILS}:{error!r}"
        os.write(writing, outcome.encode()[:4000])
        os._exit(0)
    os.close(writing)
    deadline = time.monotonic() + SECONDS
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reading)
            return HANGS, ""
        time.sleep(0.002)
    with os.fdopen(reading, "rb") as pipe:
        outcome, _, message = pipe.read().decode().partition(":")
    return outcome, message


@pytest.fixture(scope="module")
def ratings():
    rng = np.random.default_rng(5)
    pairs = {"user": [f"u{k}" for k in rng.integers(0, 20, 600)], "item": [f"i{k}" for k in rng.integers(0, 30, 600)]}
    users = {"user": [f"u{k}" for k in range(20)], "job": ["cook", "smith"] * 10}
    items = {
        "item": [f"i{k}" for k in range(30)],
        "title": [f"Film {k}" for k in range(30)],
        "year": [None, *range(1991, 2020)],
        "genres": [["Drama"], ["Drama", "Comedy"], None] * 10,
        "embedding": [None, *([0.5, k / 7] for k in range(29))],
    }
    return palate.read(pairs | {"rating": rng.integers(1, 6, 600)}, users=users, items=items, duplicates="last")


@pytest.fixture(scope="module")
def rec(ratings):
    rec = palate.Bayes(n_factors=3, n_sweeps=12, features=True).fit(ratings)
    pl.DataFrame({"a": range(1000)}).sort("a").group_by("a").len()  # polars begins its threads
    return rec


ANSWERED = {
    "recommend": lambda rec, _: rec.recommend("u1"),
    "recommend some": lambda rec, _: rec.recommend(["u1", "u2"], exclude={"u1": ["i1"]}),
    "recommend all": lambda rec, _: rec.recommend(),
    "where": lambda rec, _: rec.recommend("u1", where="title LIKE '%1%' AND year IN (1991, 1992) OR TRIM(title) > 'a'"),
    "similar": lambda rec, _: rec.similar_items("i1", where="year > 2000"),
    "predict": lambda rec, _: rec.predict("u1", ["i1", "i2"]),
    "predict a frame": lambda rec, _: rec.predict(pl.DataFrame({"user": ["u1"], "item": ["i1"]})),
    "explain": lambda rec, _: str(rec.explain("u1", "i1")),
    "fold in": lambda rec, _: rec.fold_in({"i1": 5}).recommend(where="year > 2000"),
    "title": lambda rec, _: rec.similar_items("Film 3"),
    "boost": lambda rec, _: rec.recommend("u1", boost="year"),
    "dials": lambda rec, _: rec.recommend(
        "u1", diversity=0.3, popularity=-0.2, boost={"year": 0.1, "year > 2000": 0.1}
    ),
    "history": lambda rec, _: rec.history("u1"),
    "save and load": lambda rec, path: (rec.save(path / "m.palate"), palate.load(path / "m.palate").recommend("u1")),
}
REFUSED = {
    "regular expression": lambda rec, _: rec.recommend("u1", where="title ~ '1'"),
    "expression": lambda rec, _: rec.recommend("u1", where=pl.col("year") > 2000),
    "max_per": lambda rec, _: rec.recommend("u1", max_per={"genres": 1}),
    "calibrated": lambda rec, _: rec.recommend("u1", calibrated="genres"),
    "boost": lambda rec, _: rec.recommend("u1", boost=pl.col("year")),
    "features": lambda rec, _: rec.fold_in({"i1": 5}, features={"job": "cook"}),
    "update": lambda rec, _: rec.update({"user": ["u1"], "item": ["i1"], "rating": [4]}),
    "out": lambda rec, path: rec.recommend(out=path / "out.csv"),
    "read": lambda *_: palate.read({"user": ["a"], "item": ["b"], "rating": [3]}),
    "read a file": lambda _, path: palate.read(path / "ratings.csv"),
}


@pytest.mark.parametrize("question", ANSWERED)
def test_what_a_forked_process_answers(rec, question, tmp_path):
    assert in_child(lambda: ANSWERED[question](rec, tmp_path)) == (ANSWERS, "")


@pytest.mark.parametrize("question", REFUSED)
def test_what_a_forked_process_refuses_in_words(rec, question, tmp_path):
    (tmp_path / "ratings.csv").write_text("user,item,rating\na,b,3\n")
    outcome, message = in_child(lambda: REFUSED[question](rec, tmp_path))
    assert outcome == REFUSES, message
    assert "forked" in message
    assert "spawn" in message


def test_the_answers_are_those_of_the_parent(rec, tmp_path):
    def work():
        rec.save(tmp_path / "child.palate")
        frame = rec.recommend("u1", where="year > 2000")
        (tmp_path / "items").write_text(" ".join(frame["item"].to_list()))

    assert in_child(work) == (ANSWERS, "")
    rec.save(tmp_path / "parent.palate")
    assert (tmp_path / "child.palate").read_bytes() == (tmp_path / "parent.palate").read_bytes()
    assert (tmp_path / "items").read_text().split() == rec.recommend("u1", where="year > 2000")["item"].to_list()


def test_a_fit_with_features_is_refused(rec, ratings):
    outcome, message = in_child(lambda: palate.Bayes(n_factors=2, n_sweeps=2).fit(ratings))
    assert outcome == REFUSES, message


def test_the_parent_goes_on(rec):
    assert in_child(lambda: rec.recommend("u1")) == (ANSWERS, "")
    assert rec.recommend("u1", max_per={"genres": 1}).height > 0


FRESH = """
import os, palate
child = os.fork()
if child == 0:
    palate.read({"user": ["a"], "item": ["b"], "rating": [3]})
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_process_forked_before_polars_is_used_can_do_everything():
    done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "7", done.stderr


def read_there(_):
    return len(palate.read({"user": ["a"], "item": ["b"], "rating": [3]}))


def test_spawned_processes_can_do_everything(rec):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(read_there, [0]) == [1]
