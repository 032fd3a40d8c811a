"""Checkpoints: a fit whose process ends at any moment goes on to the same bytes."""

import os
import signal
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import palate
from palate.data.datasets import synthetic
from palate.data.ratings import Ratings
from palate.errors import ModelFileError, OptionError, TamperedModelError

RATINGS = synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
COUNTS = np.random.default_rng(0).integers(1, 9, len(RATINGS)).astype(np.float32)
LIKES = RATINGS.with_weights(COUNTS).likes(at_least=3)
TABLE = pl.DataFrame({"item": RATINGS.item_vocabulary.labels.tolist(), "kind": ["a", "b", "c", "d"] * 10})
DATED = Ratings(
    RATINGS.user_codes,
    RATINGS.item_codes,
    RATINGS.values,
    user_vocabulary=RATINGS.user_vocabulary,
    item_vocabulary=RATINGS.item_vocabulary,
    times=np.random.default_rng(1).integers(0, 10**8, len(RATINGS)),
)
CASES = {
    "als": (palate.ALS(n_factors=4, n_sweeps=7), RATINGS),
    "bias": (palate.Bias(n_sweeps=7), RATINGS),
    "bayes": (palate.Bayes(n_factors=3, n_sweeps=11), RATINGS.with_weights(COUNTS)),
    "bayes, few draws kept": (palate.Bayes(n_factors=3, n_sweeps=40, n_samples=4, history=False), RATINGS),
    "bayes until settled": (palate.Bayes(n_factors=1, history=False, user_noise=False), RATINGS),
    "bayes, table": (palate.Bayes(n_factors=3, n_sweeps=9), RATINGS.with_items(TABLE)),
    "bayes, ordinal": (palate.Bayes(n_factors=3, n_sweeps=9, likelihood="ordinal"), RATINGS),
    "bayes, time": (palate.Bayes(n_factors=3, n_sweeps=9, time=True), DATED),
    "bayes, time and ordinal": (palate.Bayes(n_factors=3, n_sweeps=9, time=True, likelihood="ordinal"), DATED),
    "implicit": (palate.ImplicitALS(n_factors=4), LIKES),
    "implicit, chosen": (palate.ImplicitALS(n_sweeps=4), LIKES),
    "implicit, wide": (palate.ImplicitALS(n_factors=70, n_sweeps=6, weight_decay=0.1), LIKES),
    "implicit, table": (palate.ImplicitALS(n_factors=4, n_sweeps=6), LIKES.with_items(TABLE)),
}
each_case = pytest.mark.parametrize(("recipe", "ratings"), CASES.values(), ids=CASES)


class ProcessEnds(BaseException):
    """Stands for the end of the process: nothing in a fit handles it."""


def bytes_of(rec, folder):
    rec.model.training["seconds"] = 0
    rec.save(folder / "m.palate")
    return (folder / "m.palate").read_bytes()


def fit_with_interruptions(recipe, ratings, folder, every=2, valid=None, lives=3):
    """Fit, ending after `lives` sweeps again and again; return the model and how many runs it took."""
    n_runs = 0
    while True:
        n_runs, seen = n_runs + 1, []

        def callback(sweep, seen=seen):
            seen.append(sweep)
            if len(seen) > lives:
                raise ProcessEnds

        options = {"checkpoint": folder / "kept", "checkpoint_every": every, "resume": True}
        try:
            return recipe.fit(ratings, valid, progress=False, callback=callback, **options), n_runs
        except ProcessEnds:
            assert (folder / "kept" / "state.palate").is_file()


@each_case
def test_an_interrupted_fit_goes_on_to_the_same_bytes(recipe, ratings, tmp_path):
    expected = bytes_of(recipe.fit(ratings, progress=False), tmp_path)
    lives = 30 if recipe.n_sweeps is None else 3
    rec, n_runs = fit_with_interruptions(recipe, ratings, tmp_path, lives=lives)
    assert n_runs >= 2
    assert bytes_of(rec, tmp_path) == expected
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("name", ["als", "bayes"])
def test_validation_errors_go_on_too(name, tmp_path):
    train, valid = palate.split_random(RATINGS, test=0.1, seed=0)
    recipe = CASES[name][0]
    expected = bytes_of(recipe.fit(train, valid, progress=False), tmp_path)
    rec, _ = fit_with_interruptions(recipe, train, tmp_path, valid=valid)
    assert bytes_of(rec, tmp_path) == expected


def test_ctrl_c_leaves_the_checkpoint(tmp_path):
    def interrupt(sweep):
        if sweep.number == 4:
            raise KeyboardInterrupt

    recipe, kept = CASES["bayes"][0], tmp_path / "kept"
    early = recipe.fit(RATINGS, progress=False, callback=interrupt, checkpoint=kept, checkpoint_every=2)
    assert early.model.training["ended"].startswith("interrupted after 4")
    rec = recipe.fit(RATINGS, progress=False, checkpoint=kept, resume=True)
    assert bytes_of(rec, tmp_path) == bytes_of(recipe.fit(RATINGS, progress=False), tmp_path)


CHILD = """
import os, signal, sys
import palate
from palate.data.datasets import synthetic

folder, at, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
calls, replace = [], os.replace

def dying(*paths):
    calls.append(paths)
    if len(calls) == at and at % 2:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*paths)
    if len(calls) == at:
        os.kill(os.getpid(), signal.SIGKILL)

os.replace = dying
recipe = getattr(palate, name)(n_factors=3, n_sweeps=9)
ratings = synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
recipe.fit(ratings, progress=False, checkpoint=folder, checkpoint_every=2, resume=True)
"""


def kill_and_resume(name, moments, tmp_path):
    """Kill a fit just before or after its n-th file is in place, then go on: the same bytes."""
    recipe, kept = getattr(palate, name)(n_factors=3, n_sweeps=9), tmp_path / "kept"
    expected = bytes_of(recipe.fit(RATINGS, progress=False), tmp_path)
    for moment in moments:
        done = subprocess.run([sys.executable, "-c", CHILD, str(kept), str(moment), name], timeout=120, check=False)
        assert done.returncode == -signal.SIGKILL
    rec = recipe.fit(RATINGS, progress=False, checkpoint=kept, resume=True)
    assert bytes_of(rec, tmp_path) == expected
    assert not kept.exists()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_process(tmp_path):
    kill_and_resume("Bayes", (3, 4), tmp_path)


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize("name", ["ALS", "Bayes"])
def test_a_process_killed_at_any_file(name, tmp_path):
    for number, moment in enumerate(range(1, 5 if name == "ALS" else 11)):
        (tmp_path / str(number)).mkdir()
        kill_and_resume(name, (moment,), tmp_path / str(number))


# ---- what is refused, and what is said


def unfinished(folder, recipe=None, ratings=RATINGS):
    """The folder of a fit whose process ended."""

    def end(sweep):
        if sweep.number == 3:
            raise ProcessEnds

    with pytest.raises(ProcessEnds):
        (recipe or CASES["als"][0]).fit(
            ratings, progress=False, callback=end, checkpoint=folder / "kept", checkpoint_every=1
        )
    return folder / "kept"


def test_a_checkpoint_is_not_overwritten(tmp_path):
    kept = unfinished(tmp_path)
    with pytest.raises(OptionError, match="resume=True, or remove the folder"):
        CASES["als"][0].fit(RATINGS, progress=False, checkpoint=kept)


@pytest.mark.parametrize(
    ("recipe", "ratings", "words"),
    [
        (palate.ALS(n_factors=5, n_sweeps=7), RATINGS, "another recipe or other options"),
        (palate.Bias(n_sweeps=7), RATINGS, "another recipe or other options"),
        (CASES["als"][0], RATINGS.with_weights(COUNTS), "other ratings"),
        (CASES["als"][0], RATINGS.with_items(TABLE), "other ratings"),
    ],
)
def test_another_fit_is_refused(recipe, ratings, words, tmp_path):
    kept = unfinished(tmp_path)
    with pytest.raises(OptionError, match=words):
        recipe.fit(ratings, progress=False, checkpoint=kept, resume=True)


def test_the_number_of_threads_may_differ(tmp_path):
    kept = unfinished(tmp_path)
    rec = palate.ALS(n_factors=4, n_sweeps=7, n_threads=1).fit(RATINGS, progress=False, checkpoint=kept, resume=True)
    assert rec.model.training["n_sweeps"] == 7


def test_recipes_without_checkpoints_name_those_that_have(tmp_path):
    with pytest.raises(OptionError, match="EASE keeps no checkpoints; ALS, Bayes, Bias and ImplicitALS do"):
        palate.EASE().fit(LIKES, progress=False, checkpoint=tmp_path / "kept")


def test_resume_needs_a_folder_and_whole_numbers():
    with pytest.raises(OptionError, match="resume=True needs the folder"):
        palate.ALS().fit(RATINGS, progress=False, resume=True)
    with pytest.raises(OptionError, match="checkpoint_every"):
        palate.ALS().fit(RATINGS, progress=False, checkpoint_every=0)


def test_it_says_where_it_begins(tmp_path, capsys):
    recipe = CASES["als"][0]
    recipe.fit(RATINGS, checkpoint=tmp_path / "none", resume=True)
    assert "there is no checkpoint in" in capsys.readouterr().err
    recipe.fit(RATINGS, checkpoint=unfinished(tmp_path), resume=True)
    assert "going on after sweep 2" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_named(tmp_path):
    kept = unfinished(tmp_path)
    state = bytearray((kept / "state.palate").read_bytes())
    state[-1] ^= 1
    (kept / "state.palate").write_bytes(state)
    with pytest.raises(TamperedModelError):
        CASES["als"][0].fit(RATINGS, progress=False, checkpoint=kept, resume=True)


def test_a_model_is_no_checkpoint(tmp_path):
    (tmp_path / "kept").mkdir()
    CASES["als"][0].fit(RATINGS, progress=False).save(tmp_path / "kept" / "state.palate")
    with pytest.raises(OptionError, match="is not the checkpoint of a fit"):
        CASES["als"][0].fit(RATINGS, progress=False, checkpoint=tmp_path / "kept", resume=True)


def test_a_checkpoint_is_no_model(tmp_path):
    with pytest.raises(ModelFileError, match="a checkpoint of a fit"):
        palate.load(unfinished(tmp_path) / "state.palate")


def test_other_files_in_the_folder_stay(tmp_path):
    kept = unfinished(tmp_path)
    (kept / "notes.txt").write_text("mine")
    (kept / ".other.palate.0.1.tmp").write_text("of another program, which is writing it")
    CASES["als"][0].fit(RATINGS, progress=False, checkpoint=kept, resume=True)
    assert {path.name for path in kept.iterdir()} == {"notes.txt", ".other.palate.0.1.tmp"}


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelFileError, match="cannot make the folder"):
        CASES["als"][0].fit(RATINGS, progress=False, checkpoint=tmp_path / "file" / "kept", checkpoint_every=1)
