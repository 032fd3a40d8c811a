"""The parts of an update, one by one: labels, kinds, ratings that come in, rows that change."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from helpers.data import rows_of
from palate.answers.changed_rows import Change, _draws, _steps_of
from palate.answers.updating import (
    _added_counts,
    _check_items,
    _check_kind,
    _extended,
    _merged,
    _new_records,
    _without_pairs,
)
from palate.data.rows import CompressedRows
from palate.data.vocabulary import Vocabulary
from palate.errors import OptionError
from palate.models.history_factors import no_biases
from palate.models.item_weights import ItemWeights
from palate.models.ordinal import OrderedSteps
from palate.models.step_distribution import StepDistribution

KNOWN = Vocabulary.in_order(["a", "b", "c"], what="user")


def test_new_labels_with_ratings_stand_at_the_end():
    given = Vocabulary.in_order(["c", "z", "a", "y", "unrated"], what="user")
    whole, codes = _extended(KNOWN, given, np.array([1, 0, 1, 3], np.int32))
    assert whole.labels[:3].tolist() == ["a", "b", "c"] and set(whole.labels[3:]) == {"z", "y"}
    assert whole.decode(codes).tolist() == ["z", "c", "z", "y"]
    same, codes = _extended(KNOWN, given, np.array([2, 0, 2], np.int32))
    assert same is KNOWN and codes.tolist() == [0, 2, 0]
    table = pl.DataFrame({"age": [1, 2, 3, 4, 5]})
    ages = dict(zip(["c", "z", "a", "y"], [1, 2, 3, 4], strict=True))
    assert _new_records(table, given, whole, 3)["age"].to_list() == [ages[label] for label in whole.labels[3:]]
    assert _new_records(None, given, whole, 3) is None


def kinds(kind, threshold=None, weights=None):
    return SimpleNamespace(kind=kind, like_threshold=threshold, weights=weights, recipe={"name": "M"})


@pytest.mark.parametrize(
    ("model", "ratings", "words"),
    [
        (kinds("explicit"), kinds("explicit"), None), (kinds("implicit"), kinds("implicit"), None),
        (kinds("implicit"), kinds("implicit", weights=[2]), None), (kinds("implicit", 4), kinds("implicit", 4), None),
        (kinds("implicit", 4), kinds("implicit"), None), (kinds("implicit"), kinds("implicit", 3), None),
        (kinds("implicit", 4), kinds("implicit", weights=[2]), "ratings of 4 or more, and these were read as counts"),
        (kinds("implicit", 4), kinds("implicit", 3), r"are ratings of 3 or more: give ratings.likes\(at_least=4\)"),
        (kinds("implicit", 4), kinds("explicit"), "M learned from implicit feedback, and these are ratings"),
        (kinds("explicit"), kinds("implicit"), "M learned from ratings, and these are implicit feedback"),
    ],
)  # fmt: skip
def test_new_ratings_are_of_the_kind_learned_from(model, ratings, words):
    if words is None:
        _check_kind(model, ratings)
        return
    with pytest.raises(OptionError, match=words):
        _check_kind(model, ratings)


def test_choices_of_items_that_had_none_are_refused_where_weights_are_fitted():
    biases, items = no_biases(2, 3), Vocabulary.in_order(["x", "y", "z", "new", "more"], what="item")
    history = rows_of([[0, 2], [2]])
    factors = ItemWeights.of(biases, damping=None, confidence="equal", weights=np.zeros((3, 3), np.float32))
    model = SimpleNamespace(factors=factors, kind="implicit", history=history, recipe={})
    _check_items(model, items, np.array([0, 2, 2]))
    for codes, words in (([1, 0], r"in these choices: 'y'\. Fit"), ([4, 3, 3, 1], "choices: 'y' and 2 more")):
        with pytest.raises(OptionError, match=words):
            _check_items(model, items, np.array(codes))
    _check_items(SimpleNamespace(**{**vars(model), "kind": "explicit"}), items, np.array([1, 4]))
    _check_items(SimpleNamespace(**{**vars(model), "factors": biases}), items, np.array([1, 4]))


def table_of(rows):
    weights = np.ones(len(rows.indices)) if rows.weights is None else rows.weights
    owners = np.repeat(np.arange(rows.n_rows), rows.counts)
    pairs = zip(owners.tolist(), rows.indices.tolist(), strict=True)
    return dict(zip(pairs, zip(rows.values.tolist(), weights.tolist(), strict=True), strict=True))


@pytest.mark.parametrize("old", [None, [2.0, 3.0, 4.0]])
@pytest.mark.parametrize("new", [None, [5.0, 6.0]])
def test_ratings_that_come_in_replace_those_of_the_same_pair(old, new):
    """A rating without a weight has the weight 1."""
    rows, codes = rows_of([[0, 2], [], [1]], old), (np.array([2, 1], np.int32), np.array([1, 2], np.int32))
    values, weights = np.float32([1, 5]), None if new is None else np.float32(new)
    left = _without_pairs(rows, *codes)
    found = _merged(left, codes, values, weights)
    expected = table_of(rows) | {(2, 1): (1, 1 if new is None else 5), (1, 2): (5, 1 if new is None else 6)}
    assert table_of(found) == expected and (found.weights is None) == (old is None and new is None)
    assert _without_pairs(rows, codes[0][1:], codes[1][1:]) is rows
    counts = _added_counts(rows, codes, weights)
    if old is None and new is None:
        assert counts is None
    else:
        before = 4 if old else 1
        assert counts.tolist() == [before + (5 if new else 1), 6 if new else 1]


def test_rows_that_are_rated_before_and_after():
    before, after, features = rows_of([[0], [], [1, 2]]), rows_of([[0, 1], [2], []]), rows_of([[1], [2], [3]])
    change = Change(np.array([4, 6, 9], np.int32), before, after, None, features)
    assert change.n_ratings == 3 and change.is_rated.tolist() == [True, False, False]
    assert change.subset(np.ones(3, bool)) is change
    part = change.subset(np.array([False, True, True]))
    assert part.codes.tolist() == [6, 9] and part.features_before is None
    assert [rows.counts.tolist() for rows in (part.before, part.after)] == [[0, 2], [1, 0]]
    assert part.features_after.indices.tolist() == [2, 3]


def test_a_distribution_over_steps_stays_while_all_ratings_are_steps():
    steps = StepDistribution(OrderedSteps([1, 2.5, 3], [1.5, 2.7]))
    history = lambda *values: CompressedRows(  # noqa: E731
        np.array([0, len(values)]), np.zeros(len(values), np.int32), np.array(values, np.float32), None
    )
    model = SimpleNamespace(step_distribution=steps)
    assert _steps_of(model, history(1, 2.5, 2.5)) is steps
    assert _steps_of(model, history(1, 2.6)) is None
    assert _steps_of(SimpleNamespace(step_distribution=None), history(1)) is None


@pytest.mark.parametrize(
    ("n", "share", "draws"),
    [
        (24, 1.0, range(0, 24, 4)),
        (12, 0.5, range(12)),
        (12, 0.6, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]),
        (7, 2.0, range(6)),
        (6, 0.0, range(6)),
        (3, 1.0, range(3)),
    ],
)
def test_draws_that_go_on_are_evenly_spaced(n, share, draws):
    assert _draws(n, share).tolist() == list(draws)
