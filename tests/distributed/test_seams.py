"""Where ratings on disk, clusters, checkpoints and model files meet: the same bytes, whatever is combined."""

import pickle
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import palate
from helpers.clusters import CopyingExchange, all_workers_end


def workers():
    return CopyingExchange(2)


def dated(ratings, seed=3, **columns):
    """The same ratings with times, sorted by user."""
    times = np.random.default_rng(seed).integers(10**9, 10**9 + 10**7, len(ratings))
    return palate.Ratings(
        *(ratings.user_codes, ratings.item_codes, ratings.values),
        user_vocabulary=ratings.user_vocabulary,
        item_vocabulary=ratings.item_vocabulary,
        **{"times": times, "kind": ratings.kind, **columns},
    )


# ---- views


def test_a_fit_to_a_view_of_a_view_on_workers(on_disk, bytes_of):
    view = palate.split_users(palate.split_within_users(on_disk["ratings"], 0.2)[0], 0.3)[0]
    recipe = palate.Bayes(n_sweeps=6, n_factors=3)
    there = recipe.fit(view, on=workers(), progress=False)
    assert bytes_of(there) == bytes_of(recipe.fit(view.in_memory(), progress=False))


def test_weighted_ratings_on_workers(in_memory, tmp_path, bytes_of):
    weights = np.random.default_rng(0).integers(0, 4, len(in_memory["ratings"]))  # some count nothing
    ratings = in_memory["ratings"].with_weights(weights)
    blocks = palate.blocks.write(tmp_path / "weighted", ratings, progress=False)
    train = palate.split_within_users(blocks, 0.2, seed=1)[0]
    for recipe in (palate.ALS(n_sweeps=3), palate.Bayes(n_sweeps=6), palate.Bias()):
        there = recipe.fit(train, on=workers(), progress=False)
        assert bytes_of(there) == bytes_of(recipe.fit(train.in_memory(), progress=False))


def test_choices_with_counts_that_fade_on_workers(in_memory, tmp_path, bytes_of):
    likes = in_memory["likes"]
    likes = dated(likes, weights=likes.weights)
    blocks = palate.blocks.write(tmp_path / "likes", likes, progress=False)
    recipe = palate.ImplicitALS(n_factors=8, n_sweeps=3, half_life="30d")
    there = recipe.fit(blocks, on=workers(), progress=False)
    assert bytes_of(there) == bytes_of(recipe.fit(blocks.in_memory(), progress=False))


def test_two_fits_at_once_to_views_of_one_base(on_disk, bytes_of):
    def fit(seed):
        view = palate.split_within_users(on_disk["ratings"], 0.3, seed=seed)[0]
        return palate.ALS(n_sweeps=3).fit(view, on=workers(), progress=False)

    with ThreadPoolExecutor(2) as pool:
        at_once = list(pool.map(fit, range(4)))
    assert [bytes_of(rec) for rec in at_once] == [bytes_of(fit(seed)) for seed in range(4)]


def test_two_fits_at_once_to_one_view(on_disk, bytes_of):
    view = palate.split_within_users(on_disk["ratings"], 0.3)[0]
    recipe = palate.ALS(n_sweeps=3)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: recipe.fit(view, on=workers(), progress=False), range(2))
    assert bytes_of(first) == bytes_of(second)


def test_pickled_blocks_of_a_view_are_the_view(on_disk, bytes_of):
    view = palate.split_within_users(on_disk["likes"], 0.3)[0]
    copy = pickle.loads(pickle.dumps(view))
    assert copy.path == view.path
    recipe = palate.ImplicitALS(n_factors=4, n_sweeps=2)
    assert bytes_of(recipe.fit(copy, on=workers(), progress=False)) == bytes_of(recipe.fit(view, progress=False))
    del copy
    assert view.path.is_dir()  # it goes with the object that made it


# ---- what comes after a fit


def test_a_model_from_a_cluster_is_a_model(on_disk, tmp_path, bytes_of):
    train, test = palate.split_within_users(on_disk["ratings"], 0.2)
    recipe = palate.Bayes(n_sweeps=6, n_factors=3)
    there, here = recipe.fit(train, on=workers(), progress=False), recipe.fit(train.in_memory(), progress=False)
    there.save(tmp_path / "there.palate")
    loaded = palate.load(tmp_path / "there.palate")
    assert loaded.model.training["workers"] == {"n": 2}
    new = test[:40]
    assert bytes_of(loaded.update(new)) == bytes_of(there.update(new)) == bytes_of(here.update(new))
    assert loaded.recommend("u1", n=5).equals(here.recommend("u1", n=5))
    assert palate.evaluate(loaded, test, n_bootstrap=10, on=workers()).to_dict() == (
        palate.evaluate(here, test.in_memory(), n_bootstrap=10).to_dict()
    )
    lists = [rec.recommend(n=3, out=f"{tmp_path}/{at}/", on=workers()) for at, rec in enumerate((loaded, here))]
    assert (lists[0] / "part-00000.parquet").read_bytes() == (lists[1] / "part-00000.parquet").read_bytes()


@pytest.mark.parametrize("name", ["Größe и 评分.blocks", "C:\\ratings\\big.blocks", "a b%20[1]*.blocks", "con", "-o"])
def test_blocks_of_any_name(name, in_memory, tmp_path, bytes_of):
    written = palate.blocks.write(tmp_path / name, in_memory["ratings"], progress=False)
    assert written.path == tmp_path / name
    blocks = palate.blocks.open(tmp_path / name)
    train, _ = palate.split_within_users(blocks, 0.2)
    recipe = palate.ALS(n_sweeps=2)
    there = recipe.fit(train, on=workers(), progress=False, checkpoint=tmp_path / f"{name}.kept")
    assert bytes_of(there) == bytes_of(recipe.fit(train.in_memory(), progress=False))


# ---- interruptions


def test_an_interrupted_fit_on_workers_goes_on_without_them_and_the_other_way_round(on_disk, tmp_path, bytes_of):
    def cut(sweep):
        if sweep.number % 4 == 0:
            raise SystemExit

    view = palate.split_within_users(on_disk["ratings"], 0.2)[0]
    recipe = palate.Bayes(n_sweeps=10, n_factors=3)
    kept = {"checkpoint": tmp_path / "kept", "checkpoint_every": 3, "resume": True, "progress": False}
    for on in (workers(), None):
        with pytest.raises(SystemExit):
            recipe.fit(view, on=on, callback=cut, **kept)
    assert bytes_of(recipe.fit(view, on=workers(), **kept)) == bytes_of(recipe.fit(view, progress=False))


CHILD = """
import os, signal, sys, palate, palate.data.plan
base, model, kept, address, die_at = *sys.argv[1:5], int(sys.argv[5])
palate.data.plan.MIN_RATINGS = 100
view = palate.split_within_users(palate.blocks.open(base), 0.2)[0]
def end(sweep):
    if sweep.number == die_at:
        print("in sweep", sweep.number, flush=True)
        os.kill(os.getpid(), getattr(signal, sys.argv[6]))
recipe = palate.Bayes(n_sweeps=14, n_factors=3)
rec = recipe.fit(view, on=palate.distributed.ray(address), progress=False, callback=end, checkpoint=kept,
                 checkpoint_every=3, resume=True)
print(rec.model.training.get("ended"))
rec.save(model)
"""


def run_child(cluster, base, model, kept, die_at, name="SIGKILL"):
    command = [sys.executable, "-c", CHILD, *map(str, (base, model, kept, cluster.address, die_at)), name]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.long
def test_the_driver_is_killed_and_the_fit_goes_on_with_new_workers(cluster, on_disk, tmp_path, bytes_of):
    assert all_workers_end()
    base, model, kept = on_disk["ratings"].path, tmp_path / "m.palate", tmp_path / "kept"
    view = palate.split_within_users(on_disk["ratings"], 0.2)[0]
    expected = bytes_of(palate.Bayes(n_sweeps=14, n_factors=3).fit(view, progress=False))
    assert run_child(cluster, base, model, kept, 5).returncode == -signal.SIGKILL
    assert (kept / "state.palate").is_file()
    interrupted = run_child(cluster, base, model, kept, 10, "SIGINT")
    assert "interrupted after" in interrupted.stdout, interrupted.stderr
    assert all_workers_end()
    done = run_child(cluster, base, model, kept, -1)
    assert done.returncode == 0, done.stderr
    assert bytes_of(palate.load(model)) == expected
    assert not kept.exists()
