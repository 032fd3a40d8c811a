"""Ranking: the best n of a whole catalogue for one person or for everyone, and what is similar to what."""

from palate.answers.ranking.index import ItemIndex, built
from palate.answers.ranking.queries import By, Query, Wishes, check_indexed, query_of
from palate.answers.ranking.running import Job, labels_of, rank, recommend
from palate.answers.ranking.scoring import scores_of
from palate.answers.ranking.similar import Alike, similar_rows
from palate.answers.ranking.writing import WRITERS

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
