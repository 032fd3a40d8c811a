"""Coding: equal labels get one code and other labels another, however they are looked up."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.data.reading.cleaning import is_blank
from palate.data.reading.coding import LARGEST, Labels, whole_numbers

WRITTEN = st.one_of(
    st.integers(0, 30).map(str),
    st.integers(LARGEST - 2, LARGEST + 2).map(str),
    st.sampled_from(
        ["007", "7", "+7", "-7", "7.0", " 7", "7 ", "7e0", "", "٧", "x", "0", "00", "-0", "1_0", str(2**63)]
    ),
)


@given(st.lists(st.lists(WRITTEN, min_size=1, max_size=12), max_size=5))
def test_blocks_of_texts_are_coded_as_a_dict_would(blocks):
    labels = Labels("user")
    coded = [labels.codes(pl.Series(block, dtype=pl.String)).tolist() for block in blocks]
    names = list(labels.code_of)
    assert [[names[code] for code in codes] for codes in coded] == blocks
    assert len(names) == len({text for block in blocks for text in block})


@given(st.lists(st.lists(st.tuples(WRITTEN, st.integers(1, 9)), min_size=1, max_size=6), max_size=4))
def test_labels_that_stand_in_runs_are_coded_too(blocks):
    texts = [[text for text, n in block for _ in range(n)] for block in blocks]
    labels = Labels("user")
    coded = [labels.codes(pl.Series(block, dtype=pl.String)).tolist() for block in texts]
    assert [[list(labels.code_of)[code] for code in codes] for codes in coded] == texts


def test_a_few_new_labels_among_known_ones():
    labels = Labels("item")
    rng = np.random.default_rng(0)
    for n in (40, 40, 41, 44, 90, 91, 300):
        texts = [f"i{at}" for at in rng.permutation(np.append(rng.integers(0, n - 1, 5000), n - 1))]
        before = list(labels.code_of)
        codes = labels.codes(pl.Series(texts))
        assert np.array(list(labels.code_of))[codes].tolist() == texts
        assert list(labels.code_of)[: len(before)] == before


@given(st.lists(st.lists(st.integers(-3, 2**62), min_size=1, max_size=8), max_size=4))
def test_integers_are_coded_too(blocks):
    labels = Labels("user")
    coded = [labels.codes(pl.Series(block, dtype=pl.Int64)).tolist() for block in blocks]
    assert [[list(labels.code_of)[code] for code in codes] for codes in coded] == blocks


@pytest.mark.parametrize("texts", [["7", "007"], ["7", "+7"], ["7", "-7"], ["7", "x"], ["7", str(LARGEST)], []])
def test_other_texts_than_whole_numbers_are_none(texts):
    assert whole_numbers(pl.Series(texts, dtype=pl.String)) is None


def test_whole_numbers_of_any_length():
    numbers = np.array([0, 9, 10, 99, 100, 999, 9_999_999, 10_000_000, LARGEST - 1])
    assert (whole_numbers(pl.Series(numbers).cast(pl.String)) == numbers).all()


@given(st.lists(st.none() | st.text(st.sampled_from("a~!\t \u00a0\u2003é\x1f\x7f"), max_size=3), max_size=6))
def test_blanks_are_texts_without_anything_else(texts):
    series = pl.Series(texts, dtype=pl.String)
    expected = [text is None or text == "" or series.str.strip_chars()[row] == "" for row, text in enumerate(texts)]
    assert is_blank(series).to_list() == expected
