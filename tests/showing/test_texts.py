"""Numbers, names and answers as short texts."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from palate.showing import texts
from palate.showing.texts import Fielded, brief, interval, name, number, of_fields, value

NAN = math.nan


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ((4.1312, 2.53, 5.0), "4.13 (2.5 .. 5.0)"),
        ((4.1312, NAN, NAN), "4.13"),
        ((87.31, 61.2, 100.0), "87.3 (61 .. 100)"),
        ((0.012345, NAN, NAN), "0.0123"),
        ((-0.03, -10.0, 7.7), "-0.03 (-10.0 .. 7.7)"),
        ((123456.7, 100000.2, 150000.9), "123457 (100000 .. 150001)"),
        ((0.0, 0.0, 0.0), "0.00 (0.0 .. 0.0)"),
        ((NAN, NAN, NAN), "nan"),
        ((np.float32(3.3), np.float32(2.2), np.float32(4.4)), "3.30 (2.2 .. 4.4)"),
    ],
)
def test_an_interval_has_the_digits_of_its_scale(given, shown):
    assert interval(*given) == shown


@pytest.mark.parametrize(
    ("given", "shown"),
    [(0.873241, "0.8732"), (12.3456, "12.35"), (1234567.8, "1,234,568"), (1.2e-7, "1.2e-07"), (3, "3"),
     (12345, "12,345"), (math.inf, "inf"), (NAN, "nan"), (1e22, "1e+22"), (np.float32(0.1), "0.1"), (np.int64(7), "7")],
)  # fmt: skip
def test_a_number_has_the_digits_that_count(given, shown):
    assert number(given) == shown


def test_a_name_is_one_line_and_cannot_steer_what_shows_it():
    assert name("Amélie 🎬") == "Amélie 🎬"
    assert name("a\nb\x1b[31m") == "a\\nb\\x1b[31m"
    assert name("left\u202eright") == "left\\u202eright"
    assert name("half \ud83d") == "half \\ud83d"
    assert name(17) == "17"
    assert len(name("x" * 300)) == texts.MAX_NAME and name("x" * 300).endswith("…")


def test_family_emoji_stay_whole():
    family = "\U0001f469\u200d\U0001f467"
    assert name(family) == family


def test_a_long_text_keeps_its_first_lines_and_says_how_many_it_leaves_out():
    text = "\n".join(f"line {at}" for at in range(1000))
    short = brief(text, 400)
    assert len(short) <= 400
    assert short.startswith("line 0\nline 1\n")
    assert short.endswith("more lines; print() shows all)")
    assert brief("short") == "short"
    assert len(brief("x" * 10_000)) <= texts.MAX_REPR


def test_values_of_any_kind_are_short():
    assert value(0.123456789) == "0.1235"
    assert value(np.zeros((943, 31), np.float32)) == "float32 (943, 31)"
    assert value(pl.DataFrame({"a": [1, 2]})) == "DataFrame (2, 1)"
    assert value(list(range(100))) == "[0, 1, 2, 3, … 100 in all]"
    assert value({"a": 0.5, "b": None}) == "{'a': 0.5, 'b': None}"
    assert value({}) == "{}" and value(()) == "[]"
    assert len(value("x" * 500)) < 200
    assert value(True) == "True"


@dataclass(frozen=True, repr=False)
class Record(Fielded):
    """Two fields."""

    rmse: float
    draws: np.ndarray


class Pair(NamedTuple):
    """Two numbers."""

    loss: float
    rmse: float


def test_records_show_their_fields():
    assert repr(Record(0.912345678, np.ones(3))) == "Record(rmse=0.9123, draws=float64 (3,))"
    assert of_fields(Pair(1 / 3, 2.0)) == "Pair(loss=0.3333, rmse=2)"
