"""The benchmark of growth: its steps at a tiny size, what it keeps, and what it draws."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest

from helpers.scripts import ROOT, module_at

pytest.importorskip("matplotlib")
pytest.importorskip("scipy")
import matplotlib as mpl

import palate

STEPS = ROOT / "benchmarks" / "growth_steps.py"


@pytest.fixture(scope="module")
def growth():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        return module_at(ROOT / "benchmarks" / "growth.py")


@pytest.fixture(scope="module")
def steps():
    return module_at(STEPS)


def figures(slope=0.0):
    """Made up: a rating and sweep costs 100 ns, and more with the slope; disk costs 10% more than memory."""
    rows = []
    for n in (1_000_000, 10_000_000, 100_000_000):
        rows.append({"size": str(n), "n": n + 7, "recipe": "", "where": "write", "write": 2e-6 * n, "bytes": 13.0,
                     "anon_mb": 800.0})  # fmt: skip
        for recipe in ("ALS", "Bayes"):
            for where, factor in (("disk", 1.1), ("memory", 1.0)):
                sweep = n * 1e-7 * factor * (1 + slope * np.log10(n / 1e6))
                rows.append({"size": str(n), "n": n + 7, "recipe": recipe, "where": where, "sweep": sweep,
                             "fit": 10 * sweep, "anon_mb": 500.0})  # fmt: skip
    return rows


def test_figures_are_kept_and_read_again(growth, tmp_path, monkeypatch):
    monkeypatch.setattr(growth, "FIGURES", tmp_path / "growth.csv")
    assert growth.read(growth.FIGURES) == []
    growth.keep(figures())
    kept = growth.read(growth.FIGURES)
    np.testing.assert_allclose(growth.series(kept, "ALS", "disk"), growth.series(figures(), "ALS", "disk"), rtol=1e-3)
    growth.keep(kept)
    assert growth.read(growth.FIGURES) == kept
    assert list(growth.tables(kept))


@pytest.mark.parametrize(("slope", "verdict"), [(0.0, "yes"), (0.2, "yes"), (0.4, "**no**")])
def test_flat_means_within_one_and_a_half(growth, slope, verdict):
    flat = [line for line in growth.bars(figures(slope)) if "most / least" in line]
    assert len(flat) == 2
    assert all(line.endswith(f"<= 1.5 | {verdict} |") for line in flat)


def test_all_bars_of_a_hundred_million_are_there(growth):
    lines = list(growth.bars(figures()))
    assert [line.split(" | ")[1] for line in lines] == ["1.00", "1.00", "200 s", "1.10", "500 MB", "1.10", "500 MB"]


def test_the_picture_has_a_line_for_each_recipe_and_place_and_its_bands(growth):
    with mpl.rc_context(growth.STYLE):
        (panel,) = growth.figure_of(figures()).axes
    assert {text.get_text() for text in panel.get_legend().get_texts()} == {
        "ALS, on disk", "ALS, in memory", "Bayes, on disk", "Bayes, in memory",
    }  # fmt: skip
    heights = {(patch.get_y(), patch.get_height()) for patch in panel.patches}
    (low, height) = next(iter(heights))
    assert height == pytest.approx(0.5 * low)


def test_memory_that_belongs_to_no_file_is_seen(steps):
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux has /proc")
    before = steps.anonymous_mb()
    with steps.Anonymous() as memory:
        kept = np.ones(8 << 20)  # 64 MB
        while memory.megabytes < before + 50:  # until the thread looks
            time.sleep(0.01)
        del kept
    assert before + 50 < memory.megabytes < before + 200


def test_the_digest_is_that_of_the_arrays_alone(steps, tmp_path):
    ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
    digests = set()
    for number, seed in enumerate((0, 0, 1)):
        palate.ALS(n_sweeps=2, seed=seed).fit(ratings).save(tmp_path / f"{number}.palate")
        digests.add(steps.digest(tmp_path / f"{number}.palate"))
    assert len(digests) == 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where ratings and their blocks go."""
    return tmp_path_factory.mktemp("growth")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has /proc")
def test_a_tiny_size_is_measured_kept_and_drawn(growth, steps, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(growth, "in_own_process", lambda step, own, *rest: getattr(steps, step)(Path(own), *rest))
    monkeypatch.setattr(growth, "FIGURES", tmp_path / "growth.csv")
    monkeypatch.setattr(growth, "PICTURE", tmp_path / "growth.svg")
    monkeypatch.setattr(sys, "argv", ["growth.py", str(folder), "--sizes", "1e4"])
    growth.main()
    rows = growth.read(growth.FIGURES)
    assert [(row["recipe"], row["where"]) for row in rows] == [
        ("", "write"), ("ALS", "disk"), ("ALS", "memory"), ("Bayes", "disk"), ("Bayes", "memory"),
    ]  # fmt: skip
    assert len({row["n"] for row in rows}) == 1
    assert growth.PICTURE.read_text(encoding="utf-8").startswith("<?xml")
    growth.measure(folder, [1e4])  # nothing to do
    assert growth.read(growth.FIGURES) == rows


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA counts mappings on Linux alone")
def test_a_fit_under_a_limit_gives_the_same_bytes(growth, folder, capsys):
    growth.compare_limited(folder, 1e4, 600)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[-1] for line in lines] == ["yes |"] * 2
    with pytest.raises(SystemExit, match="failed"):
        growth.in_own_process("fitted", str(folder / "1e+04"), "ALS", "disk", limit=1)  # the limit is in force


def test_a_step_that_fails_says_why(growth, tmp_path):
    with pytest.raises(SystemExit, match=r"fitted .* failed:\n(?s:.*)palate\.errors"):
        growth.in_own_process("fitted", str(tmp_path), "ALS", "disk")
