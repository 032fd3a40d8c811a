"""Half sweeps in runs: they are cut at blocks, workers see only what they must, and the bytes are those of one call."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palate
from helpers.clusters import CopyingExchange
from palate import kernels
from palate.data.blocks.rows_on_disk import RowsOnDisk
from palate.data.plan import Plan
from palate.data.rows import CompressedRows, pointers_of
from palate.distributed import Local
from palate.distributed.half_sweeps import RUNS_PER_WORKER, runs_of, solve_blocks, solve_rows
from palate.errors import BlocksError, OptionError

FITS = {
    "ALS": (palate.ALS(n_sweeps=3), "ratings"),
    "Bias": (palate.Bias(n_sweeps=3), "ratings"),
    "Bayes": (palate.Bayes(n_sweeps=12), "ratings"),
    "Bayes without history": (palate.Bayes(n_sweeps=12, history=False, user_noise=False), "ratings"),
    "ImplicitALS": (palate.ImplicitALS(n_factors=8, n_sweeps=3), "likes"),
    "ImplicitALS, wide": (palate.ImplicitALS(n_factors=80, n_sweeps=3, weight_decay=0.01), "likes"),
    "ImplicitALS, no counts": (palate.ImplicitALS(n_factors=8, n_sweeps=3, confidence="equal"), "likes"),
    "ImplicitALS, fading": (palate.ImplicitALS(n_factors=8, n_sweeps=3, weight_decay=0.01, recency=5), "likes"),
}


@pytest.mark.parametrize("name", FITS)
def test_a_fit_on_workers_is_the_same_bytes(name, in_memory, on_disk, bytes_of):
    recipe, kind = FITS[name]
    workers = CopyingExchange()
    here, there = recipe.fit(in_memory[kind], progress=False), recipe.fit(on_disk[kind], on=workers, progress=False)
    assert workers.n_tasks > 3 * RUNS_PER_WORKER
    assert there.model.training["workers"] == {"n": 3}
    assert bytes_of(here) == bytes_of(there)


def test_tables_are_learned_from_on_workers_too(in_memory, tmp_path, bytes_of):
    likes = in_memory["likes"]
    genres = ["abc"[n % 3] for n in range(likes.n_items)]
    likes = likes.with_items({"item": list(likes.item_vocabulary.labels), "genre": genres})
    recipe = palate.ImplicitALS(n_factors=8, n_sweeps=3)
    blocks = palate.blocks.write(tmp_path / "b", likes, progress=False)
    here, there = recipe.fit(likes, progress=False), recipe.fit(blocks, on=CopyingExchange(), progress=False)
    assert bytes_of(here) == bytes_of(there)


@pytest.mark.parametrize(
    "exchange", [CopyingExchange(1), CopyingExchange(7), Local(threads=2)], ids=["1", "7", "local"]
)
def test_every_option_of_a_row_goes_with_its_row(on_disk, exchange):
    rows = on_disk["likes"].by_user()
    rng = np.random.default_rng(5)
    k, n, m = 6, rows.n_rows, on_disk["likes"].n_items
    normal = lambda *shape: rng.standard_normal(shape, np.float32)  # noqa: E731
    other = normal(m, k)
    options = {
        "precision": np.eye(k, dtype=np.float32) * 2,
        "mean": normal(n, k),
        "ridge": np.abs(normal(n)),
        "row_weights": np.abs(normal(n)),
        "other_weights": np.abs(normal(m)),
        "previous": normal(n, k),
        "relaxation": 0.5,
        "bias": True,
        "draw": True,
        "errors": True,
        "seed": 3,
        "sweep": 4,
        "stream": 1,
        "alpha": 0.7,
    }
    modes_here, modes_there = np.empty((2, n, k), np.float32)
    here = solve_rows(rows, other, modes=modes_here, **options)
    there = solve_rows(rows, other, modes=modes_there, on=exchange, **options)
    assert np.array_equal(here[0], there[0])
    assert np.array_equal(here[1], there[1])
    assert np.array_equal(modes_here, modes_there)
    vectors, more = normal(n, k), {"block": 3, "ridge": options["ridge"], "background": np.eye(k, dtype=np.float32)}
    assert np.array_equal(
        solve_blocks(rows, other, vectors, **more), solve_blocks(rows, other, vectors, on=exchange, **more)
    )


@given(counts=st.lists(st.integers(0, 300), min_size=1, max_size=200), n_workers=st.integers(1, 9))
def test_runs_are_blocks_of_the_plan_in_order(counts, n_workers):
    rows = CompressedRows(pointers_of(np.array(counts)), np.zeros(0, np.int32), np.zeros(0, np.float32), None)
    runs = runs_of(rows, n_workers)
    assert len(runs) <= RUNS_PER_WORKER * n_workers
    assert [run.start for run in runs] == [0, *(run.stop for run in runs[:-1])]
    assert runs[-1].stop == len(counts)
    assert {run.start for run in runs} <= {block.start for block in Plan.of(rows.indptr).blocks}


def test_rows_in_memory_are_refused(in_memory, on_disk):
    with pytest.raises(OptionError, match=r"palate\.blocks\.write\("):
        palate.ALS().fit(in_memory["ratings"], on=CopyingExchange(), progress=False)
    rows = on_disk["likes"].by_user()
    with pytest.raises(OptionError, match="in memory"):
        RowsOnDisk.of(replace(rows, weights=np.array(rows.weights)))
    with pytest.raises(OptionError, match="in memory"):
        RowsOnDisk.of(replace(rows, weights=rows.weights[1:]))
    assert len(RowsOnDisk.of(replace(rows, weights=None)).files) == 3


def test_the_folder_of_a_view_stays_while_its_rows_are_used(on_disk):
    rows = on_disk["likes"].changed(lambda _, rows: replace(rows, weights=None)).by_item()
    folder = Path(RowsOnDisk.of(rows).folder)
    assert len(RowsOnDisk.of(rows).open().values) == len(rows.values)
    del rows
    assert not folder.exists()


def test_a_folder_that_a_worker_does_not_see_is_named(on_disk, tmp_path):
    place = RowsOnDisk.of(on_disk["ratings"].by_user())
    with pytest.raises(BlocksError, match=r"the worker on .+ cannot open the ratings: there is no folder .*nowhere"):
        replace(place, folder=str(tmp_path / "nowhere")).open()
    with pytest.raises(BlocksError, match=r"the worker on .+ finds other ratings in .*likes"):
        replace(place, folder=str(on_disk["likes"].path)).open()


def test_recipes_that_cannot_be_spread_name_those_that_can(on_disk):
    from palate.recipes import ALL
    from palate.recipes.base import DISTRIBUTED

    assert {recipe.__name__ for recipe in ALL if recipe.distributes} == set(DISTRIBUTED)
    for recipe, kind in ((palate.SGD(), "ratings"), (palate.EASE(), "likes")):
        with pytest.raises(OptionError, match="Bayes, ALS, ImplicitALS, Bias"):
            recipe.fit(on_disk[kind], on=CopyingExchange(), progress=False)
    for recipe in (palate.Bayes(time=True), palate.Bayes(likelihood="auto")):
        with pytest.raises(OptionError, match="new target for each rating"):
            recipe.fit(on_disk["ratings"], on=CopyingExchange(), progress=False)


def test_ctrl_c_keeps_the_sweeps_so_far_and_frees_the_workers(on_disk, capsys):
    class Interrupted(CopyingExchange):
        def map(self, *given):
            if len(seen) == 2:
                seen.append("ctrl-c")
                raise KeyboardInterrupt
            return super().map(*given)

    seen = []
    rec = palate.ALS(n_sweeps=9).fit(on_disk["ratings"], on=Interrupted(), progress=False, callback=seen.append)
    assert rec.model.training["ended"].startswith("interrupted after 2 sweeps")
    assert "interrupted after 2 sweeps" in capsys.readouterr().err


def test_workers_are_asked_for_a_kernel_that_this_process_has():
    from palate.distributed.worker import Worker, about_here

    about = Worker().call(about_here)
    assert about == about_here()
    assert about.levels == kernels.levels()[: kernels.levels().index(kernels.level()) + 1]
