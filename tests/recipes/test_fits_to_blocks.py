"""Fits to ratings on disk: the same bytes as in memory, also where tables and features lie on scratch files."""

import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import palate
from palate.data.blocks import Blocks
from palate.data.blocks import scratch as scratch_of
from palate.data.blocks.scratch import Scratch
from palate.data.datasets import synthetic
from palate.errors import BlocksError
from palate.recipes.gibbs import by_feature


def made(**options):
    """Ratings in the order of users, as blocks hold them; of many items some have too few ratings for a column."""
    ratings = synthetic(n_users=150, n_items=300, n_ratings=4000, seed=1, **options)
    return ratings[np.argsort(ratings.user_codes, kind="stable")]


RATINGS = made()
COUNTS = np.random.default_rng(0).integers(1, 9, len(RATINGS)).astype(np.float32)
KINDS = np.array(["a", "b", "c"])[np.random.default_rng(1).integers(0, 3, 300)].tolist()
ITEMS = pl.DataFrame({"item": RATINGS.item_vocabulary.labels.tolist(), "kind": KINDS})
USERS = pl.DataFrame({"user": RATINGS.user_vocabulary.labels.tolist(), "age": list(range(150))})
LIKES = RATINGS.with_weights(COUNTS).likes(at_least=3).with_weights(COUNTS[RATINGS.values >= 3])
SHUFFLED = np.random.default_rng(5).permutation(len(RATINGS))  # of all rows: those of a user are in no order
CASES = {
    "bayes": (palate.Bayes(n_factors=3, n_sweeps=6), RATINGS),
    "bayes, weights": (palate.Bayes(n_factors=3, n_sweeps=6), RATINGS.with_weights(COUNTS)),
    "bayes, items": (palate.Bayes(n_factors=3, n_sweeps=6), RATINGS.with_items(ITEMS)),
    "bayes, both": (palate.Bayes(n_factors=3, n_sweeps=6), RATINGS.with_items(ITEMS).with_users(USERS)),
    "bayes, no history": (palate.Bayes(n_factors=3, n_sweeps=6, history=False), RATINGS.with_items(ITEMS)),
    "bayes, ordinal": (palate.Bayes(n_factors=3, n_sweeps=6, likelihood="ordinal"), RATINGS),
    "mean": (palate.Mean(), RATINGS),
    "popularity": (palate.Popularity(), RATINGS),
    "implicit": (palate.ImplicitALS(n_factors=4), LIKES),
    "implicit, equal": (palate.ImplicitALS(n_factors=4, confidence="equal"), LIKES),
    "implicit, fading": (palate.ImplicitALS(n_factors=4, recency=5), LIKES),
    "implicit, items": (palate.ImplicitALS(n_factors=4, n_sweeps=3), LIKES.with_items(ITEMS)),
    "sparse": (palate.SparseEASE(k=20), LIKES),
    "bayes, shuffled": (palate.Bayes(n_factors=3, n_sweeps=6), RATINGS[SHUFFLED]),
    "bayes, both, shuffled": (
        palate.Bayes(n_factors=3, n_sweeps=6),
        RATINGS[SHUFFLED].with_items(ITEMS).with_users(USERS),
    ),
    "als, shuffled": (palate.ALS(n_sweeps=3, n_factors=3), RATINGS.with_weights(COUNTS)[SHUFFLED]),
    "implicit, shuffled": (palate.ImplicitALS(n_factors=4), RATINGS.with_weights(COUNTS)[SHUFFLED].likes(at_least=3)),
    "sparse, shuffled": (palate.SparseEASE(k=20), RATINGS.with_weights(COUNTS)[SHUFFLED].likes(at_least=3)),
}


@pytest.fixture
def on_scratch(monkeypatch):
    """Every table lies on a file, and features are copied a few at a time."""
    monkeypatch.setattr(scratch_of, "LEAST_BYTES", 1)
    monkeypatch.setattr(by_feature, "AT_ONCE", 100)


def bytes_of(rec, folder):
    rec.model.training["seconds"] = 0
    rec.save(folder / "m.palate")
    return (folder / "m.palate").read_bytes()


@pytest.mark.parametrize(("recipe", "ratings"), CASES.values(), ids=CASES)
def test_the_same_bytes_as_in_memory(recipe, ratings, tmp_path, on_scratch):
    blocks = palate.blocks.write(tmp_path / "made.blocks", ratings, progress=False)
    assert isinstance(blocks, Blocks)
    assert bytes_of(recipe.fit(blocks, progress=False), tmp_path) == bytes_of(
        recipe.fit(ratings, progress=False), tmp_path
    )
    names = {path.name for path in (tmp_path / "made.blocks").iterdir()}
    assert not [name for name in names if name.startswith(".palate")], "scratch files have no name"


def test_a_fit_to_blocks_goes_on_from_its_checkpoint(tmp_path, on_scratch):
    recipe, ratings = CASES["bayes, both"]
    blocks = palate.blocks.write(tmp_path / "made.blocks", ratings, progress=False)

    def end(sweep):
        if sweep.number == 5:
            raise SystemExit

    kept = {"checkpoint": tmp_path / "kept", "checkpoint_every": 2}
    with pytest.raises(SystemExit):
        recipe.fit(blocks, progress=False, callback=end, **kept)
    rec = recipe.fit(palate.blocks.open(blocks.path), progress=False, resume=True, **kept)
    assert bytes_of(rec, tmp_path) == bytes_of(recipe.fit(ratings, progress=False), tmp_path)


def test_scratch_is_on_disk_and_outlives_its_folder(tmp_path):
    scratch = Scratch(tmp_path)
    large, small = scratch.empty((1000, 300), np.float32), scratch.empty((3,), np.int32)
    assert not large.flags.owndata
    assert small.flags.owndata
    assert not large.any()
    assert list(tmp_path.iterdir()) == []
    tmp_path.rmdir()
    large[:] = 2
    assert large.sum() == 600_000


def test_scratch_says_that_the_disk_is_full(tmp_path):
    with pytest.raises(BlocksError, match="bytes free"):
        Scratch(tmp_path).empty((1 << 50,), np.uint8)


# ---- under a memory limit: millions of ratings, less memory than they take

LIMITED = """
import resource, sys
import palate

path, expression, out, limit = sys.argv[1:]
blocks = palate.blocks.open(path)
if int(limit):
    resource.setrlimit(resource.RLIMIT_DATA, (int(limit), int(limit)))
rec = eval("palate." + expression).fit(blocks, progress=False)
rec.model.training["seconds"] = 0
rec.save(out)
del rec
print(palate.load(out).n_users)
"""
N_RATINGS, LIMIT = 20_000_000, 600 << 20


@pytest.fixture(scope="module")
def twenty_millions(tmp_path_factory):
    rng = np.random.default_rng(0)
    n_users, n_items = 140_000, 12_000
    users = np.sort(np.minimum(rng.exponential(0.25, N_RATINGS), 0.999999) * n_users).astype(np.int32)
    items = (np.minimum(rng.exponential(0.15, N_RATINGS), 0.999999) * n_items).astype(np.int32)
    values = rng.integers(1, 6, N_RATINGS).astype(np.float32)
    labels = {
        f"{side}_vocabulary": palate.Vocabulary.in_order(np.arange(n), what=side)
        for side, n in (("user", n_users), ("item", n_items))
    }
    folder = tmp_path_factory.mktemp("large")
    return palate.blocks.write(folder / "large.blocks", palate.Ratings(users, items, values, **labels), progress=False)


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA counts mapped memory on Linux alone")
@pytest.mark.parametrize("expression", ["ALS(n_sweeps=2)", "Bayes(n_factors=31, n_sweeps=6, history=False)"])
def test_twenty_million_ratings_fit_into_600_megabytes(expression, twenty_millions, tmp_path):
    saved = []
    for limit in (LIMIT, 0):
        out = tmp_path / f"{limit}.palate"
        arguments = (str(twenty_millions.path), expression, str(out), str(limit))
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "2"}
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, *arguments],
            env=environment, capture_output=True, text=True, check=False, timeout=1800,
        )  # fmt: skip
        assert done.stdout == "140000\n", done.stderr
        saved.append(out.read_bytes())
    assert saved[0] == saved[1]


def test_bytes_needed_count_what_a_fit_holds_in_memory(tmp_path):
    blocks = palate.blocks.write(tmp_path / "made.blocks", RATINGS, progress=False)
    for recipe in (palate.ALS(), palate.Bias(), palate.Bayes()):
        assert recipe.bytes_needed(blocks) < recipe.bytes_needed(RATINGS)
    assert palate.SGD().bytes_needed(blocks) == palate.SGD().bytes_needed(RATINGS)
    plain, ordinal = (palate.Bayes(likelihood=name).bytes_needed(blocks) for name in ("gaussian", "ordinal"))
    assert ordinal == plain + 64 * len(RATINGS)


def test_a_fit_says_that_targets_take_memory(tmp_path, capsys):
    recipe, ratings = CASES["bayes, ordinal"]
    recipe.fit(palate.blocks.write(tmp_path / "made.blocks", ratings, progress=False))
    assert "keeps 256 KB of targets in memory" in capsys.readouterr().err
