"""Tables, bars and lines of HTML."""

import math
import re

import numpy as np

from helpers.html import checked
from palate.showing import html

HOSTILE = "<script>alert(1)</script>&\"'"


def widths(made):
    return [float(width) for width in re.findall(r"width:([0-9.]+)%", made)]


def test_every_text_is_escaped():
    made = html.page(
        HOSTILE, html.table([[HOSTILE, HOSTILE]], head=[HOSTILE, HOSTILE], caption=HOSTILE, wide=(1,)),
        html.notes(HOSTILE), html.paragraph(HOSTILE), html.facts({HOSTILE: HOSTILE}),
        html.bars([(1.0, (HOSTILE,))]), html.columns({HOSTILE: [HOSTILE]}, HOSTILE),
    )  # fmt: skip
    assert "<script" not in made
    assert checked(made).count("alert(1)") == 14


def test_lines_of_a_paragraph_stay_lines_and_control_characters_go():
    assert "one\ntwo" in html.paragraph("one\ntwo")
    assert "one two" in html.notes("one\ntwo")
    assert "\x1b" not in html.notes("\x1b[31m") and "\\x1b[31m" in html.notes("\x1b[31m")
    checked(html.page("\ud83d"))


def test_a_table_is_bounded_and_says_what_it_leaves_out():
    rows = [[str(row), *map(str, range(100))] for row in range(500)]
    made = html.table(rows)
    assert made.count("<tr>") == html.MAX_ROWS
    assert f"{500 - html.MAX_ROWS} more rows and {101 - html.MAX_COLUMNS} more columns" in checked(made)
    assert "4 more rows" in checked(html.table([["a"]], n_rows=5))
    assert html.table([]) == ""


def test_a_long_cell_is_cut():
    assert len(html.table([["x" * 10_000, "y" * 10_000]])) < 1000


def test_bars_are_as_long_as_their_numbers():
    assert widths(html.bars([(2.0, ("a",)), (1.0, ("b",)), (0.0, ("c",))])) == [100, 50, 0]
    assert widths(html.bars([(2.0, ("a",)), (-1.0, ("b",))])) == [50, 25]
    assert widths(html.bars([(1.0, ("a",))], largest=4.0)) == [25]
    assert widths(html.bars([(0.0, ("a",)), (0.0, ("b",))])) == [0, 0]
    assert widths(html.bars([(math.nan, ("a",)), (3.0, ("b",))])) == [100]


def test_bars_below_zero_end_at_the_middle():
    made = html.bar(-0.5, has_sides=True)
    start, width = (float(re.search(rf"{what}:([0-9.]+)%", made)[1]) for what in ("left", "width"))
    assert start + width == 50
    assert "palate-down" in made and "palate-up" in html.bar(0.5, has_sides=True)


def test_columns_take_arrays_and_lists_and_leave_missing_values_empty():
    made = html.columns({"item": ["a", "b"], "score": np.array([0.123456789, 2.0]), "title": [None, "B"]})
    text = checked(made)
    assert "0.1235" in text and "None" not in text
    assert made.count('class="palate-n"') == 3  # the head and two numbers
    assert "1,234" not in checked(html.columns({"item": [1234], "rank": [1]}))  # a label is no number
    checked(html.columns({"item": [], "rank": []}))


def test_nothing_moves_and_nothing_is_fetched():
    assert not re.search(r"https?:|url\(|@import|<script", html.STYLE)


def test_colours_come_from_the_page():
    declared = set(re.findall(r"(?:[{;])(?:color|background):([^;}]+)", html.STYLE))
    assert declared == {"inherit", "none", "#3b82c4", "#d97706", "rgba(128,128,128,.25)"}
