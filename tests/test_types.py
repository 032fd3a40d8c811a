"""What type checkers read from the overloads: the kind of frame that an answer comes in."""

import re
import subprocess
import sys

import pytest

pytest.importorskip("mypy", reason="mypy is not installed here")
pytest.importorskip("pandas", reason="pandas is not installed here")

SOURCE = """
import pandas as pd
import polars as pl
from palate import Recommender

def questions(
    rec: Recommender, asked: pd.DataFrame, other: pl.DataFrame, column: "pd.Series[str]", series: pl.Series
) -> None:
    reveal_type(rec.recommend(asked))  # pandas
    reveal_type(rec.recommend(column, 5, diversity=0.2))  # pandas
    reveal_type(rec.recommend(other, n=5, where="year > 1990"))  # polars
    reveal_type(rec.recommend(series))  # polars
    reveal_type(rec.recommend("196"))  # Any
    reveal_type(rec.recommend(asked, out="lists.parquet"))  # Any
    reveal_type(rec.predict(asked))  # pandas
    reveal_type(rec.predict(asked, level=0.5))  # pandas
    reveal_type(rec.predict(other))  # polars
    reveal_type(rec.predict(column, column))  # pandas
    reveal_type(rec.predict(series, "242"))  # polars
    reveal_type(rec.predict("196", "242"))  # Prediction
    reveal_type(rec.predict("196", "242", distribution=True))  # Distribution
    reveal_type(rec.predict(["196"], ["242"]))  # Any
    reveal_type(rec.similar_items(asked, 3))  # pandas
    reveal_type(rec.similar_users(series, where="age > 30"))  # polars
    reveal_type(rec.similar_items("50"))  # Any
"""


@pytest.mark.long
def test_a_frame_gets_a_frame_of_its_kind_as_type_checkers_see_it(tmp_path):
    (tmp_path / "asking.py").write_text(SOURCE)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "asking.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "error:" not in done.stdout, done.stdout
    revealed = dict(re.findall(r'asking\.py:(\d+): note: Revealed type is "(.*)"', done.stdout))
    lines = SOURCE.splitlines()
    expected = {str(at): line.rpartition("# ")[2] for at, line in enumerate(lines, 1) if "reveal_type" in line}
    assert set(revealed) == set(expected)
    wrong = {lines[int(at) - 1]: revealed[at] for at, part in expected.items() if part not in revealed[at]}
    assert wrong == {}
