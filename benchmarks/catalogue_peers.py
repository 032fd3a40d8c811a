"""Other libraries' lists on large catalogues, each at the best of a search: run by benchmarks/catalogues.py --peers.

`python catalogue_peers.py FOLDER` in an environment with requirements/catalogue_peers.txt. FOLDER has the parts fit,
valid, train and test, each as PART.npy with a row of user code and item code for each choice. A setting is chosen by
its NDCG@20 on valid after learning from fit; the best of each model then learns from train and ranks test once. One
line of JSON for each of these last fits: library, setting, recall and NDCG at 20, seconds, settings tried.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sparse

Setting = dict[str, Any]
K, AT_ONCE = 20, 1000


def grid(**values: list[Any]) -> list[Setting]:
    """All combinations of some values."""
    return [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]


def implicit_als(X: sparse.csr_matrix, setting: Setting) -> Any:
    """Alternating least squares of implicit."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(**setting, random_state=0)
    model.fit(X, show_progress=False)
    return model


def implicit_neighbors(X: sparse.csr_matrix, setting: Setting) -> Any:
    """Nearest items of implicit, by BM25 or by the cosine."""
    from implicit.nearest_neighbours import BM25Recommender, CosineRecommender

    k = setting["K"]
    model = (
        CosineRecommender(K=k) if setting["by"] == "cosine" else BM25Recommender(K=k, K1=setting["K1"], B=setting["B"])
    )
    model.fit(X, show_progress=False)
    return model


def implicit_bpr(X: sparse.csr_matrix, setting: Setting) -> Any:
    """BPR of implicit."""
    from implicit.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(**setting, random_state=0)
    model.fit(X, show_progress=False)
    return model


MODELS: dict[str, tuple[Callable[[sparse.csr_matrix, Setting], Any], list[Setting]]] = {
    "implicit, ALS": (
        implicit_als,
        grid(factors=[128, 256], regularization=[0.1, 1.0, 10.0], alpha=[1.0, 5.0], iterations=[15]),
    ),
    "implicit, nearest items": (
        implicit_neighbors,
        [*grid(by=["cosine"], K=[50, 200, 1000]), *grid(by=["BM25"], K=[50, 200, 1000], K1=[1.2, 10.0], B=[0.2, 0.75])],
    ),
    "implicit, BPR": (
        implicit_bpr,
        grid(factors=[128], learning_rate=[0.01, 0.05], regularization=[0.001, 0.01], iterations=[100, 300]),
    ),
}


def matrix(pairs: np.ndarray[Any, Any], shape: tuple[int, int]) -> sparse.csr_matrix:
    """Choices as a sparse matrix."""
    return sparse.csr_matrix((np.ones(len(pairs), np.float32), (pairs[:, 0], pairs[:, 1])), shape)


def quality(model: Any, known: sparse.csr_matrix, wanted: sparse.csr_matrix) -> tuple[float, float]:
    """Recall and NDCG at K, means over the users with choices to find."""
    users = np.flatnonzero(np.diff(wanted.indptr))
    gains, recalls = [], []
    discounts = 1 / np.log2(2 + np.arange(K))
    ideals = np.cumsum(discounts)
    for first in range(0, len(users), AT_ONCE):
        block = users[first : first + AT_ONCE]
        found, _ = model.recommend(block, known[block], N=K, filter_already_liked_items=True)
        for user, items in zip(block, found, strict=True):
            own = wanted.indices[wanted.indptr[user] : wanted.indptr[user + 1]]
            hits = np.isin(items, own)
            recalls.append(hits.sum() / len(own))
            gains.append(discounts[: len(items)][hits].sum() / ideals[min(K, len(own)) - 1])
    return float(np.mean(recalls)), float(np.mean(gains))


def main() -> None:
    """Search, then measure the best once."""
    folder = Path(sys.argv[1])
    parts = {name: np.load(folder / f"{name}.npy") for name in ("fit", "valid", "train", "test")}
    n_users, n_items = (max(int(part[:, at].max()) for part in parts.values()) + 1 for at in (0, 1))
    X = {name: matrix(pairs, (n_users, n_items)) for name, pairs in parts.items()}
    for name, (learn, settings) in MODELS.items():
        tried = [(quality(learn(X["fit"], setting), X["fit"], X["valid"])[1], setting) for setting in settings]
        _, best = max(tried, key=lambda each: each[0])
        begun = time.perf_counter()
        model = learn(X["train"], best)
        seconds = time.perf_counter() - begun
        recall, ndcg = quality(model, X["train"], X["test"])
        found = {"library": name, "setting": best, "recall": recall, "ndcg": ndcg, "seconds": seconds}
        print(json.dumps({**found, "tried": len(settings)}), flush=True)


if __name__ == "__main__":
    main()
