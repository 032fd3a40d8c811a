"""The kept counts of instructions: what passes, what fails, and what is kept. Counting itself needs valgrind."""

import csv

import pytest

from helpers.scripts import ROOT, module_at

instructions = module_at(ROOT / "benchmarks" / "instructions.py")
KERNEL = ("solve_rows", "a sweep")


@pytest.mark.parametrize(
    ("now", "before", "verdict", "exit_code"),
    [
        (1000, None, "new", 1),
        (1031, 1000, "more", 1),
        (1029, 1000, "same", 0),
        (971, 1000, "same", 0),
        (969, 1000, "less", 0),
    ],
)
def test_three_percent_more_is_a_failure_and_so_is_a_count_without_a_line(capsys, now, before, verdict, exit_code):
    assert instructions.verdict(now, before) == verdict
    kept = {} if before is None else {(*KERNEL, "GCC 12"): before}
    assert instructions.told({KERNEL: now}, kept, "GCC 12") == exit_code
    assert ("--keep" in capsys.readouterr().out) == (verdict != "same")


def test_another_compiler_never_passes_on_the_counts_of_this_one(capsys):
    kept = {(*KERNEL, "GCC 12"): 1000}
    assert instructions.told({KERNEL: 1000}, kept, "GCC 13") == 1
    assert "NOT KEPT for GCC 13: " in capsys.readouterr().out


def test_the_last_line_of_a_kernel_counts_and_only_what_moved_gets_a_new_one(tmp_path, monkeypatch):
    file = tmp_path / "instructions.csv"
    file.write_text("kernel,input,compiler,count,date,why\n")
    monkeypatch.setattr(instructions, "KEPT", file)
    other = ("top_n", "lists")
    instructions.keep({KERNEL: 1000, other: 500}, "GCC 12", "first")
    instructions.keep({KERNEL: 1100, other: 501}, "GCC 12", "checks, all of them")
    assert instructions.kept() == {(*KERNEL, "GCC 12"): 1100, (*other, "GCC 12"): 500}
    with file.open(newline="") as lines:
        assert [row["why"] for row in csv.DictReader(lines)] == ["first", "first", "checks, all of them"]


def test_every_counted_kernel_has_a_line_and_every_line_a_reason():
    assert {(kernel, given) for kernel, given, _ in instructions.kept()} == set(instructions.KERNELS)
    with instructions.KEPT.open(newline="") as lines:
        assert all(row["why"] and row["date"] for row in csv.DictReader(lines))


def test_the_compiler_of_the_kernels_is_known():
    name, version = instructions.compiler().split()
    assert name in ("GCC", "clang")
    assert int(version) > 4
