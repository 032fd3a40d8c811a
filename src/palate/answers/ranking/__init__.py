"""Ranking: the best n items of a catalogue for one user or for all users, and similar users and items."""

from palate.answers.ranking.asking import recommend
from palate.answers.ranking.files import WRITERS
from palate.answers.ranking.index import ItemIndex, build_index
from palate.answers.ranking.queries import By, Query, RecommendOptions, query_of
from palate.answers.ranking.recommending import best_items, rank, recommend_new
from palate.answers.ranking.scoring import scores_of
from palate.answers.ranking.serving import BestItems, best_of, forecast_of
from palate.answers.ranking.similar import SimilarOptions, similar, similar_rows

__all__ = [
    "WRITERS",
    "BestItems",
    "By",
    "ItemIndex",
    "Query",
    "RecommendOptions",
    "SimilarOptions",
    "best_items",
    "best_of",
    "build_index",
    "forecast_of",
    "query_of",
    "rank",
    "recommend",
    "recommend_new",
    "scores_of",
    "similar",
    "similar_rows",
]
