"""The options of a question are those of the method that asks it."""

import inspect
from dataclasses import MISSING, fields

import pytest

from palate import Recommender
from palate.answers.fold_in import FoldIn
from palate.answers.ranking.queries import RecommendOptions
from palate.answers.ranking.similar import SimilarOptions


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
