"""What is printed shows texts as they are, and no character in them changes how a terminal shows others."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.cli import printing

MISLEADING = ["\u202e", "\u2066", "\u200f", "\x9b", "\x85", "\x7f", "\u2028", "\ud800", "\x1b"]


@pytest.mark.parametrize("character", MISLEADING)
def test_json_escapes_what_misleads(character, capsys):
    value = {"title": f"a{character}b", f"key{character}": [character]}
    printing.print_json(value)
    shown = capsys.readouterr().out
    assert character not in shown
    assert json.loads(shown) == value


@given(st.dictionaries(st.text(st.characters()), st.text(st.characters())))
def test_json_says_the_same(value):
    assert json.loads(printing._json_of(value)) == value
    assert "é漢🎬" in printing._json_of("é漢🎬")
