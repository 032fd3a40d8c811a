"""One fit of one library to what many_ratings.py wrote, in a process of its own: seconds, quality, peak of memory.

`python many_ratings_fit.py FOLDER LIBRARY '{"option": value}'` prints one line of JSON. Seconds are those of the fit
from codes and ratings in arrays, in random order, as each library takes them: its own compressed rows are part of it.
Every library gets two threads and float32. Held-out ratings are in two halves: `valid` is there to choose a setting by,
`test` is reported. Predictions are clipped to 1 to 5. Likes are ratings of 4 and 5: NDCG@20 and Recall@20 of the
held-out likes of up to 20,000 users in each half, among all items that they do not like already.

Only NumPy is needed besides the library, so it runs in the environment of the other libraries
(requirements/many_ratings_peers.txt).
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

N_THREADS = 2
LIKED, K, USERS_ASKED, AT_ONCE = 4, 20, 20_000, 1_000
Array = np.ndarray[Any, Any]
Setting = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """Ratings of users and items by code: arrays of the same length."""

    users: Array
    items: Array
    ratings: Array

    @classmethod
    def read(cls, folder: Path, name: str) -> Part:
        """The part `train` or `held` of a folder."""
        columns = (("user", np.int32), ("item", np.int32), ("rating", np.int8))
        return cls(*(np.fromfile(folder / f"{name}-{column}.bin", dtype) for column, dtype in columns))

    def __getitem__(self, rows: Any) -> Part:
        return Part(self.users[rows], self.items[rows], self.ratings[rows])


# What a fit leaves: predictions for pairs of codes, or the vectors of users and of items, by which to rank.
Predict = Callable[[Part], Array]
Vectors = tuple[Array, Array]


class MFProblem(ctypes.Structure):
    """mf_problem of LIBMF's mf.h."""

    _fields_ = [("m", ctypes.c_int), ("n", ctypes.c_int), ("nnz", ctypes.c_longlong), ("R", ctypes.c_void_p)]


class MFParameter(ctypes.Structure):
    """mf_parameter of LIBMF's mf.h."""

    _fields_ = [
        *((name, ctypes.c_int) for name in ("fun", "k", "nr_threads", "nr_bins", "nr_iters")),
        *((name, ctypes.c_float) for name in ("lambda_p1", "lambda_p2", "lambda_q1", "lambda_q2", "eta")),
        *((name, ctypes.c_bool) for name in ("do_nmf", "quiet", "copy_data")),
    ]


class MFModel(ctypes.Structure):
    """mf_model of LIBMF's mf.h."""

    _fields_ = [
        *((name, ctypes.c_int) for name in ("fun", "m", "n", "k")),
        ("b", ctypes.c_float),
        *((name, ctypes.POINTER(ctypes.c_float)) for name in ("P", "Q")),
    ]


def libmf(train: Part, shape: tuple[int, int], setting: Setting) -> tuple[float, Predict]:
    """LIBMF by its C interface, since its Python package turns codes into floats."""
    (compiled,) = (path for folder in sys.path for path in Path(folder or ".").glob("libmf*.so"))
    library = ctypes.CDLL(str(compiled))
    library.mf_train.restype = ctypes.POINTER(MFModel)
    library.mf_train.argtypes = [ctypes.POINTER(MFProblem), MFParameter]
    nodes = np.empty(len(train.users), [("u", np.int32), ("v", np.int32), ("r", np.float32)])
    nodes["u"], nodes["v"], nodes["r"] = train.users, train.items, train.ratings
    problem = MFProblem(*shape, len(nodes), nodes.ctypes.data)
    decay, n_bins = setting["lambda"], setting.get("nr_bins", 20)
    parameter = MFParameter(
        0, setting["k"], N_THREADS, n_bins, setting["nr_iters"], 0, decay, 0, decay, setting["eta"], False, True, True
    )
    begun = time.perf_counter()
    model = library.mf_train(problem, parameter).contents
    seconds = time.perf_counter() - begun
    p, q = (np.ctypeslib.as_array(vectors, (n, model.k)) for vectors, n in zip((model.P, model.Q), shape, strict=True))

    def predict(part: Part) -> Array:
        scores = np.einsum("nk,nk->n", p[part.users], q[part.items])
        return np.where(np.isnan(scores), model.b, scores)  # rows without a rating are nan

    return seconds, predict


def cmfrec(train: Part, shape: tuple[int, int], setting: Setting) -> tuple[float, Predict]:
    """The CMF model of cmfrec with biases of both sides."""
    from cmfrec import CMF
    from scipy.sparse import coo_matrix

    X = coo_matrix((train.ratings.astype(np.float32), (train.users, train.items)), shape)
    plain = {"precompute_for_predictions": False, "produce_dicts": False, "verbose": False}
    begun = time.perf_counter()
    model = CMF(**setting, use_float=True, nthreads=N_THREADS, **plain).fit(X)
    seconds = time.perf_counter() - begun

    def predict(part: Part) -> Array:
        biases = model.glob_mean_ + model.user_bias_[part.users] + model.item_bias_[part.items]
        return biases + np.einsum("nk,nk->n", model.A_[part.users], model.B_[part.items])

    return seconds, predict


def implicit(train: Part, shape: tuple[int, int], setting: Setting) -> tuple[float, Vectors]:
    """Alternating least squares of implicit."""
    from implicit.als import AlternatingLeastSquares
    from scipy.sparse import coo_matrix

    model = AlternatingLeastSquares(**setting, num_threads=N_THREADS, random_state=0)
    ones = np.ones(len(train.users), np.float32)
    begun = time.perf_counter()
    model.fit(coo_matrix((ones, (train.users, train.items)), shape).tocsr(), show_progress=False)
    return time.perf_counter() - begun, (model.user_factors, model.item_factors)


def palate_ratings(train: Part, shape: tuple[int, int], setting: Setting) -> tuple[float, Predict]:
    """A recipe of palate for ratings."""
    seconds, recommender = fit_palate(train, shape, setting, "explicit")

    def predict(part: Part) -> Array:
        return recommender.predict_codes(*map(np.ascontiguousarray, (part.users, part.items)))[0]

    return seconds, predict


def palate_likes(train: Part, shape: tuple[int, int], setting: Setting) -> tuple[float, Vectors]:
    """A recipe of palate for likes."""
    seconds, recommender = fit_palate(train, shape, setting, "implicit")
    return seconds, (recommender.user_factors, recommender.item_factors)


def fit_palate(train: Part, shape: tuple[int, int], setting: Setting, kind: Any) -> tuple[float, Any]:
    """Fit the recipe that `setting` names."""
    import palate

    options = dict(setting)
    recipe = getattr(palate, options.pop("recipe"))(**options, n_threads=N_THREADS)
    users, items = (palate.Vocabulary.in_order(np.arange(n)) for n in shape)
    values = np.ones(len(train.users), np.int8) if kind == "implicit" else train.ratings
    ratings = palate.Ratings(train.users, train.items, values, user_vocabulary=users, item_vocabulary=items, kind=kind)
    begun = time.perf_counter()
    recommender = recipe.fit(ratings, progress=False)
    return time.perf_counter() - begun, recommender


RATERS = {"palate": palate_ratings, "LIBMF": libmf, "cmfrec": cmfrec}
LIKERS = {"palate, likes": palate_likes, "implicit": implicit}


def rmse(predict: Predict, part: Part) -> dict[str, float]:
    """Root mean squared error of clipped predictions."""
    return {"rmse": float(np.sqrt(np.mean((np.clip(predict(part), 1, 5) - part.ratings) ** 2)))}


def ranking(vectors: Vectors, train: Part, held: Part, half: int) -> dict[str, float]:
    """NDCG and recall at K, means over users of one half who have held-out likes."""
    users, items = vectors
    asked = np.unique(held.users[held.users % 2 == half])
    if len(asked) > USERS_ASKED:
        asked = np.sort(np.random.default_rng(0).choice(asked, USERS_ASKED, replace=False))
    known, wanted = rows_of(train, asked), rows_of(held, asked)
    discounts = 1 / np.log2(2 + np.arange(K))
    gains, recalls = [], []
    for first in range(0, len(asked), AT_ONCE):
        block = range(first, min(first + AT_ONCE, len(asked)))
        scores = users[asked[block.start : block.stop]] @ items.T
        for at in block:
            own, found = wanted[at], scores[at - first]
            found[known[at]] = -np.inf
            best = np.argpartition(-found, K)[:K]
            is_hit = np.isin(best[np.argsort(-found[best], kind="stable")], own)
            gains.append(discounts[is_hit].sum() / discounts[: len(own)].sum())
            recalls.append(is_hit.sum() / len(own))
    return {"ndcg": float(np.mean(gains)), "recall": float(np.mean(recalls))}


def rows_of(part: Part, users: Array) -> list[Array]:
    """The items of each of these users, who are in order."""
    place = np.searchsorted(users, part.users)
    is_theirs = users[np.minimum(place, len(users) - 1)] == part.users
    place, items = place[is_theirs], part.items[is_theirs]
    counts = np.bincount(place, minlength=len(users))
    return np.split(items[np.argsort(place, kind="stable")], np.cumsum(counts)[:-1])


def measured(folder: Path, library: str, setting: Setting) -> dict[str, Any]:
    """Fit once and measure both halves of what is held out."""
    train, held = Part.read(folder, "train"), Part.read(folder, "held")
    told = json.loads((folder / "shape.json").read_text())
    shape = told["n_users"], told["n_items"]
    found: dict[str, Any]
    if library in RATERS:
        seconds, predict = RATERS[library](train, shape, setting)
        found = {"valid": rmse(predict, held[::2]), "test": rmse(predict, held[1::2])}
    else:
        train, held = (part[part.ratings >= LIKED] for part in (train, held))
        seconds, vectors = LIKERS[library](train, shape, setting)
        found = {name: ranking(vectors, train, held, half) for half, name in enumerate(("valid", "test"))}
    return {"library": library, "setting": setting, "seconds": seconds, "peak_mb": peak_mb(), **found}


def peak_mb() -> float:
    """Peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure what was asked for."""
    folder, library, setting = sys.argv[1:]
    print(json.dumps(measured(Path(folder), library, json.loads(setting))), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", str(N_THREADS))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the libraries have threads of their own around BLAS
    main()
