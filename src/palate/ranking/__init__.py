"""Ranking: the best n of a whole catalogue for one person or for everyone, and what is similar to what."""

from palate.ranking.index import ItemIndex, built
from palate.ranking.queries import By, Query, Wishes, check_indexed, query_of
from palate.ranking.running import Job, labels_of, rank, recommend
from palate.ranking.scoring import scores_of
from palate.ranking.similar import Alike, similar_rows
from palate.ranking.writing import WRITERS

__all__ = [
    "WRITERS",
    "Alike",
    "By",
    "ItemIndex",
    "Job",
    "Query",
    "Wishes",
    "built",
    "check_indexed",
    "labels_of",
    "query_of",
    "rank",
    "recommend",
    "scores_of",
    "similar_rows",
]
