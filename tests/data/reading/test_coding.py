"""Coding: equal labels get one code and other labels another, however they are looked up."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.data.reading.cleaning import is_blank
from palate.data.reading.coding import LARGEST, TRANSLATED, Labels, translate, whole_numbers
from palate.errors import LabelTypeError

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


@pytest.mark.parametrize("number", [0, *(10**n + more for n in range(1, 8) for more in (-1, 0)), LARGEST - 1])
def test_a_whole_number_is_known_by_its_length(number):
    assert whole_numbers(pl.Series([str(number)])).tolist() == [number]
    assert whole_numbers(pl.Series([str(number), "5"])).tolist() == [number, 5]
    assert whole_numbers(pl.Series([f"0{number}"])) is None


def vocabulary(texts, *, is_text):
    """The labels, the code of each text, and what was taken off."""
    labels = Labels("user")
    codes = labels.codes(pl.Series(texts))
    made, final = labels.vocabulary(is_text=is_text)
    translate(codes, final)
    return made.labels.tolist(), codes.tolist(), labels.how


@pytest.mark.parametrize(
    ("texts", "is_text", "labels", "codes", "how"),
    [
        (["b", "a", "b"], True, ["a", "b"], [1, 0, 1], ""), (["8.0", "7.0"], True, ["7", "8"], [1, 0],
        "17850.0 as 17850"),
        (["8.0", "7.0"], False, ["7", "8"], [1, 0], "17850.0 as 17850"), (["8.0", "x"], True, ["8.0", "x"], [0, 1],
        ""),
        ([" b", "a", "b"], True, ["a", "b"], [1, 0, 1], "without the blanks around them"),
        ([" b", "a", "b"], False, [" b", "a", "b"], [0, 1, 2], ""),
        (["'b'", "'a'"], True, ["a", "b"], [1, 0], "without the quotes around them"),
        ([" 8.0", "7.0"], True, ["7", "8"], [1, 0], "17850.0 as 17850"), ([8, 7, 8], True, [7, 8], [1, 0, 1], ""),
        (["x", "8.0"], True, ["8.0", "x"], [1, 0], ""),
    ],
)  # fmt: skip
def test_labels_become_a_vocabulary(texts, is_text, labels, codes, how):
    assert vocabulary(texts, is_text=is_text) == (labels, codes, how)


def test_without_labels_there_is_a_vocabulary_all_the_same():
    made, final = Labels("user").vocabulary(is_text=True)
    assert (len(made), len(final)) == (0, 0)


def test_rounded_labels_are_refused_in_text_only():
    assert vocabulary(["7.65612E+16"], is_text=False)[0] == ["7.65612E+16"]
    with pytest.raises(LabelTypeError, match="rounded by a spreadsheet"):
        vocabulary(["7.65612E+16"], is_text=True)


def test_codes_are_translated_in_place_part_by_part():
    codes = np.arange(2 * TRANSLATED + 3, dtype=np.int32) % 5
    expected = np.array([3, 1, 4, 0, 2], np.int32)[codes]
    translate(codes, np.array([3, 1, 4, 0, 2], np.int32))
    assert (codes == expected).all()
