"""The tables of results: the other libraries stand in each with the most accurate setting that was found for them."""

import csv
import re

import pytest

from helpers.scripts import ROOT, module_at

RATINGS, LIKES = "peers.csv", "peers-likes.csv"
COLUMNS = {  # of the table in README.md: the file, the data set and the figure that a cell shows
    "100K, RMSE": (RATINGS, "ml-100k", "rmse"),
    "1M, RMSE": (RATINGS, "ml-1m", "rmse"),
    "100K, NDCG@10": (LIKES, "ml-100k", "ndcg@10"),
    "1M, NDCG@10": (LIKES, "ml-1m", "ndcg@10"),
}


def peers(file):
    with (ROOT / "benchmarks" / file).open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table_of(page, first_header):
    """The rows of the table whose head has this cell, as dicts by column."""
    lines = page.read_text(encoding="utf-8").splitlines()
    head = next(n for n, line in enumerate(lines) if line.startswith("|") and first_header in cells(line))
    rows = []
    for line in lines[head + 2 :]:
        if not line.startswith("|"):
            return rows
        rows.append(dict(zip(cells(lines[head]), cells(line), strict=True)))
    return rows


def best(file, data, figure):
    """For each library the row of its most accurate setting on a data set."""
    sign = 1 if figure == "rmse" else -1
    rows = [row for row in peers(file) if row["data"] == data]
    rows.sort(key=lambda row: (sign * float(row[figure]), float(row["seconds"])), reverse=True)
    return {row["library"]: row for row in rows}  # the last one, the best, stays


@pytest.mark.parametrize("column", COLUMNS)
def test_the_readme_shows_each_library_at_its_best(column):
    file, data, figure = COLUMNS[column]
    shown = {row[""]: row[column] for row in table_of(ROOT / "README.md", column) if "palate" not in row[""]}
    expected = best(file, data, figure)
    assert {library for library, cell in shown.items() if cell} == set(expected)
    for library, row in expected.items():
        error, seconds = re.fullmatch(r"([\d.]+) in ([\d.]+) s(?: \\\*)?", shown[library]).groups()
        assert error == row[figure]
        assert float(seconds) == pytest.approx(float(row["seconds"]), rel=0.06)
        assert shown[library].endswith("*") == (row["avx512"] == "no")


@pytest.mark.parametrize(("file", "figures"), [(RATINGS, ["rmse"]), (LIKES, ["ndcg@10", "recall@20"])])
def test_every_setting_that_was_kept_stands_in_the_results(file, figures):
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8").replace("**", "").splitlines()
    all_figures = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8").splitlines()
    for row in peers(file):
        seconds = row["seconds"] + (r" \*" if row["avx512"] == "no" else "")
        assert (
            f"| {row['library']} | {row['setting']} | {seconds} | {' | '.join(row[name] for name in figures)} |" in page
        )
        assert any(
            line.startswith(f"| {row['data']}")
            and f"{row['library']}, {row['setting']} |" in line
            and f" in {row['seconds']} s" in line
            and all(row[name] in line for name in figures)
            for line in all_figures
        )


@pytest.mark.parametrize("script", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_every_benchmark_finds_what_it_imports(script, monkeypatch):
    monkeypatch.syspath_prepend(str(script.parent))
    for needed in ("torch", "matplotlib"):
        pytest.importorskip(needed)
    assert module_at(script).__doc__
