"""The options of a question are those of the method that asks it."""

import inspect
from dataclasses import MISSING, fields

import pytest

from palate import Recommender
from palate.answers.fold_in import FoldIn
from palate.answers.ranking.queries import RecommendOptions
from palate.answers.ranking.similar import SimilarOptions
from palate.errors import OptionError


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (Recommender.recommend, RecommendOptions),
        (FoldIn.recommend, RecommendOptions),
        (Recommender.similar_items, SimilarOptions),
        (Recommender.similar_users, SimilarOptions),
        (FoldIn.similar_users, SimilarOptions),
    ],
)
def test_defaults_are_those_of_the_method(method, options):
    defaults = {field.name: field.default for field in fields(options) if field.default is not MISSING}
    asked = {name: one.default for name, one in inspect.signature(method).parameters.items()}
    both = defaults.keys() & asked.keys()
    assert "n" in both
    assert {name: defaults[name] for name in both} == {name: asked[name] for name in both}


@pytest.mark.parametrize(
    ("by", "at_least", "goes"),
    [
        ("mean", None, True),
        ("mean", 4, False),
        ("lower", 4, False),
        ("chance", None, False),
        ("chance", 4, True),
        ("likely", None, True),
        ("likely", 4, True),
    ],
)
def test_at_least_goes_with_some_rankings(by, at_least, goes):
    if goes:
        assert RecommendOptions(by=by, at_least=at_least).at_least == at_least
        return
    with pytest.raises(OptionError, match="go together"):
        RecommendOptions(by=by, at_least=at_least)


@pytest.mark.parametrize("at_least", ["4", float("nan"), float("inf"), 1e39, [4]])
def test_at_least_is_a_rating(at_least):
    with pytest.raises(OptionError, match="must be a rating"):
        RecommendOptions(by="chance", at_least=at_least)
