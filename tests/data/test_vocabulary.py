"""Vocabulary: labels <-> codes, and nothing mixed up on the way."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.data.vocabulary import Vocabulary, sort_labels
from palate.errors import DataError, LabelTypeError, UnknownLabelError

strings = st.lists(st.text(max_size=6), max_size=30)
integers = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30)


@given(strings | integers)
def test_encode_and_decode_are_inverse(labels):
    vocabulary = Vocabulary(labels)
    codes = vocabulary.encode(labels)
    assert codes.dtype == np.int32
    assert vocabulary.decode(codes).tolist() == labels
    assert len(vocabulary) == len(set(labels))
    assert [vocabulary.encode_one(label) for label in labels] == codes.tolist()
    assert all(label in vocabulary for label in labels)


@given(strings | integers)
def test_order_depends_on_the_set_of_labels_only(labels):
    vocabulary = Vocabulary(labels)
    assert vocabulary == Vocabulary(labels[::-1] + labels)
    assert sorted(vocabulary.encode(list(vocabulary))) == list(range(len(vocabulary)))


@given(strings, strings)
def test_unknown_strings_are_marked_or_raise(known, asked):
    vocabulary = Vocabulary(known)
    marked = vocabulary.encode(asked, on_unknown="mark")
    assert [label in known for label in asked] == (marked >= 0).tolist()
    if (marked < 0).any():
        with pytest.raises(UnknownLabelError):
            vocabulary.encode(asked)


@given(st.lists(st.integers(-5, 5), min_size=1), st.lists(st.integers(-9, 9)))
def test_unknown_integers_are_marked(known, asked):
    marked = Vocabulary(known).encode(asked, on_unknown="mark")
    assert [label in known for label in asked] == (marked >= 0).tolist()


@given(st.lists(st.text(max_size=3), min_size=1), st.lists(st.text(max_size=3)))
def test_extended_keeps_the_codes_that_were(known, more):
    old = Vocabulary(known)
    new = old.extended(more)
    assert list(new)[: len(old)] == list(old)
    assert set(new) == {*known, *more}
    assert len(set(new)) == len(new)


def test_numeric_strings_are_ordered_as_numbers_and_stay_strings():
    assert list(Vocabulary(["10", "9", "01", "1", "b"])) == ["01", "1", "10", "9", "b"]
    assert list(Vocabulary(["10", "9", "01", "1", "0", "00"])) == ["0", "00", "01", "1", "9", "10"]
    assert sort_labels(["١", "2"]) == ["2", "١"]  # an Arabic digit is a digit, but not a plain one


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (["a"], "string"),
        ([1], "integer"),
        (np.array([1, 2], np.uint8), "integer"),
        (np.array(["a", "b"]), "string"),
        (np.array([np.str_("a")], object), "string"),
        ([np.int16(3)], "integer"),
        ([], "string"),
        (np.zeros(0), "string"),
    ],
)
def test_kinds(labels, kind):
    assert Vocabulary(labels).kind == kind


@pytest.mark.parametrize("labels", [[1, "1"], ["1", 1], [1.0], [True], [b"a"], [("a",)], np.array([1.5]), [1, True]])
def test_other_labels_are_refused(labels):
    with pytest.raises(LabelTypeError):
        Vocabulary(labels)


@pytest.mark.parametrize("labels", [["a", None], [1, None], [1, float("nan")], ["a", float("nan")]])
def test_missing_labels_are_refused(labels):
    with pytest.raises(DataError, match="1 of 2 users are missing"):
        Vocabulary(labels, what="user")


@pytest.mark.parametrize("labels", [[1, 2], ["a", "b"], np.array(["a", "b"], dtype=object)])
def test_masked_labels_are_missing(labels):
    masked = np.ma.array(labels, mask=[False, True])
    for labels_given in (masked, list(masked)):
        with pytest.raises(DataError, match="1 of 2 users are missing"):
            Vocabulary(labels_given, what="user")
    with pytest.raises(DataError, match="missing"):
        Vocabulary(labels).encode(masked)
    whole = Vocabulary(np.ma.array(labels))
    assert type(whole.labels) is np.ndarray
    assert whole.labels.tolist() == list(labels)


def test_the_wrong_type_is_not_an_unknown_label():
    vocabulary = Vocabulary(["1", "2"], what="item")
    with pytest.raises(LabelTypeError, match="item 1 is an integer, but the items here are strings: did you mean '1'"):
        vocabulary.encode_one(1)
    with pytest.raises(LabelTypeError):
        vocabulary.encode([1], on_unknown="mark")
    with pytest.raises(LabelTypeError):
        vocabulary.find(True)
    with pytest.raises(LabelTypeError, match=r"pass \['12'\]"):
        vocabulary.encode("12")
    with pytest.raises(UnknownLabelError, match="unknown item '3'"):
        vocabulary.encode_one("3")
    with pytest.raises(LabelTypeError, match="'1' is a string"):
        Vocabulary([1, 2]).encode(["1"])


def test_in_order_keeps_the_order():
    assert list(Vocabulary.in_order(["b", "a"])) == ["b", "a"]
    assert Vocabulary.in_order([5, 2, 9]).encode([9, 2, 5]).tolist() == [2, 1, 0]


def test_labels_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        Vocabulary(["a"]).labels[0] = "b"


def test_a_caller_keeps_the_array_it_gave():
    given_labels = np.array(["b", "a"], dtype=object)
    vocabulary = Vocabulary.in_order(given_labels)
    given_labels[0] = "z"
    assert list(vocabulary) == ["b", "a"]


@pytest.mark.parametrize("labels", [["b", "a"], [5, 2]])
def test_copies_cannot_be_written_either(labels):
    vocabulary = Vocabulary.in_order(labels, what="item")
    vocabulary.encode(labels)
    for again in (pickle.loads(pickle.dumps(vocabulary)), copy.copy(vocabulary), copy.deepcopy(vocabulary)):
        assert again == vocabulary
        assert (again.what, again.encode(labels).tolist()) == ("item", [0, 1])
        assert not again.labels.flags.writeable


@pytest.mark.parametrize("label", [2**63, 2**63 + 5, -(2**63) - 1, 2**80])
def test_integers_beyond_64_bits_are_refused(label):
    arrays = [[1, label]]
    if 0 < label < 2**64:
        arrays.append(np.array([1, label], np.uint64))
    for labels in arrays:
        for make in (Vocabulary, Vocabulary.in_order, Vocabulary([1]).encode, Vocabulary([1]).extended):
            with pytest.raises(DataError, match=f"{label} is beyond 64 bits"):
                make(labels)


@pytest.mark.parametrize("labels", [np.array([[1, 2], [3, 4]]), np.array([["a"]]), np.array("a"), np.array(3)])
def test_labels_have_one_dimension(labels):
    for make in (Vocabulary, Vocabulary.in_order, Vocabulary(["a"]).encode):
        with pytest.raises(DataError, match="of one dimension"):
            make(labels)


def test_an_array_without_dimensions_is_a_label():
    names, numbers = Vocabulary(["a", "b"]), Vocabulary([3, 4])
    assert names.encode_one(np.array("b")) == names.find(np.array("b", object)) == 1
    assert numbers.encode([np.array(4), np.array(3)]).tolist() == [1, 0]
    assert names.encode([np.array("b")]).tolist() == [1]
    for wrong in (np.array(1.5), np.array(True), np.array([1, 2]), np.array(None)):
        with pytest.raises((LabelTypeError, DataError)):
            numbers.encode([wrong])


def test_a_label_in_the_vocabulary_of_the_other_type_is_not():
    assert "1" not in Vocabulary([1])
    assert 1 not in Vocabulary(["1"])
    assert True not in Vocabulary([1])
