"""Ranking: the best n items of a catalogue for one user or for all, and what is similar to what."""

from palate.answers.ranking.index import ItemIndex, built
from palate.answers.ranking.queries import By, Query, RecommendOptions, query_of
from palate.answers.ranking.running import rank, recommend
from palate.answers.ranking.scoring import scores_of
from palate.answers.ranking.similar import SimilarOptions, similar, similar_rows
from palate.answers.ranking.writing import WRITERS

__all__ = [
    "WRITERS",
    "By",
    "ItemIndex",
    "Query",
    "RecommendOptions",
    "SimilarOptions",
    "built",
    "query_of",
    "rank",
    "recommend",
    "scores_of",
    "similar",
    "similar_rows",
]
