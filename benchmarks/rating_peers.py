"""Five other libraries on ratings in files, each at the best of a search: run by benchmarks/book_crossing.py.

`python rating_peers.py FOLDER` in an environment with requirements/rating_peers.txt. FOLDER has the parts fit, valid,
train and test, each as PART.npy with a row of user code, item code and rating for each rating. A setting is chosen by
its RMSE on valid after learning from fit; the best of each library then learns from train and predicts test once. One
line of JSON for each of these last fits: library, setting, its errors on valid and test, seconds, settings tried.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

Part = np.ndarray[Any, np.dtype[np.float64]]
Setting = dict[str, Any]


def grid(**values: list[Any]) -> list[Setting]:
    """All combinations of some values."""
    return [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]


def myfm(train: Part, test: Part, setting: Setting) -> Any:
    """A factorization machine by Gibbs sampling; with history, users also have the items they rated."""
    import myfm
    import scipy.sparse as sparse

    n_users, n_items = (int(max(train[:, at].max(), test[:, at].max())) + 1 for at in (0, 1))
    users, items = (sparse.identity(n, format="csr") for n in (n_users, n_items))
    if setting["history"]:
        rated = sparse.csr_matrix(
            (np.ones(len(train)), (train[:, 0].astype(int), train[:, 1].astype(int))), (n_users, n_items)
        )
        roots = np.sqrt(np.maximum(np.asarray(rated.sum(axis=1)).ravel(), 1))
        users = sparse.hstack([users, sparse.diags(1 / roots) @ rated], format="csr")
    blocks = [
        [myfm.RelationBlock(part[:, at].astype(np.int64), rows) for at, rows in ((0, users), (1, items))]
        for part in (train, test)
    ]
    shapes = [n_users, n_items, n_items] if setting["history"] else [n_users, n_items]
    model = myfm.MyFMRegressor(rank=setting["rank"], random_seed=0)
    n_sweeps = setting["n_iter"]
    model.fit(None, train[:, 2], X_rel=blocks[0], n_iter=n_sweeps, n_kept_samples=n_sweeps // 2, group_shapes=shapes)
    return model.predict(None, X_rel=blocks[1])


def surprise(train: Part, test: Part, setting: Setting) -> Any:
    """Biases by alternating least squares, or a factorization by SGD."""
    import pandas as pd
    import surprise

    frame = pd.DataFrame({"user": train[:, 0].astype(int), "item": train[:, 1].astype(int), "rating": train[:, 2]})
    data = surprise.Dataset.load_from_df(frame, surprise.Reader(rating_scale=(train[:, 2].min(), train[:, 2].max())))
    options = dict(setting)
    kind = options.pop("kind")
    if kind == "BaselineOnly":
        model = surprise.BaselineOnly(bsl_options={"method": "als", **options}, verbose=False)
    else:
        model = surprise.SVD(random_state=0, **options)
    model.fit(data.build_full_trainset())
    return [model.predict(int(user), int(item)).est for user, item in test[:, :2]]


def cornac(train: Part, test: Part, setting: Setting) -> Any:
    """Biases, or a factorization, both by SGD."""
    import cornac

    triples = [(int(user), int(item), float(value)) for user, item, value in train]
    data = cornac.data.Dataset.from_uir(triples, seed=0)
    options = dict(setting)
    model = getattr(cornac.models, options.pop("kind"))(verbose=False, **options).fit(data)
    users, items = model.u_biases, model.i_biases
    predicted = []
    for user, item in test[:, :2].astype(int):
        u, i = data.uid_map.get(int(user)), data.iid_map.get(int(item))
        if u is not None and i is not None:
            predicted.append(model.rate(u, i))
        else:  # the library refuses what it has not seen: the bias of what it has
            predicted.append(data.global_mean + (0 if u is None else users[u]) + (0 if i is None else items[i]))
    return predicted


def lenskit(train: Part, test: Part, setting: Setting) -> Any:
    """Damped biases, or a factorization by alternating least squares beside them."""
    import pandas as pd
    from lenskit.als import BiasedMFScorer
    from lenskit.basic import BiasScorer
    from lenskit.batch import predict
    from lenskit.data import from_interactions_df
    from lenskit.pipeline import predict_pipeline

    names = {"user_id": train[:, 0].astype(int), "item_id": train[:, 1].astype(int), "rating": train[:, 2]}
    options = dict(setting)
    kind = options.pop("kind")
    scorer = BiasScorer(**options) if kind == "Bias" else BiasedMFScorer(**options)
    pipe = predict_pipeline(scorer)
    pipe.train(from_interactions_df(pd.DataFrame(names)))
    pairs = pd.DataFrame(
        {"user_id": test[:, 0].astype(int), "item_id": test[:, 1].astype(int), "at": np.arange(len(test))}
    )
    told = predict(pipe, pairs[["user_id", "item_id"]], n_jobs=1).to_df()
    found = pairs.merge(told, on=["user_id", "item_id"], how="left").sort_values("at")
    return found["score" if "score" in found else "prediction"].fillna(train[:, 2].mean()).to_numpy()


def fastai(train: Part, test: Part, setting: Setting) -> Any:
    """Dot products of embeddings with biases, learned by Adam in one cycle."""
    import pandas as pd
    import torch
    from fastai.collab import CollabDataLoaders, collab_learner

    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - fastai shuffles by it
    frame = pd.DataFrame(
        {"user": train[:, 0].astype(int), "item": train[:, 1].astype(int), "rating": train[:, 2].astype(np.float32)}
    )
    loaders = CollabDataLoaders.from_df(frame, bs=setting["bs"], valid_pct=0.001, seed=0)
    learner = collab_learner(loaders, n_factors=setting["n_factors"], y_range=(0.5, 10.5))
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(setting["epochs"], 5e-3, wd=setting["wd"])
    asked = pd.DataFrame({"user": test[:, 0].astype(int), "item": test[:, 1].astype(int)})
    with learner.no_bar():
        found, _ = learner.get_preds(dl=loaders.test_dl(asked))
    return found.numpy().ravel()


PEERS: dict[str, tuple[Callable[[Part, Part, Setting], Any], list[Setting]]] = {
    "myfm": (
        myfm,
        [
            *grid(rank=[0, 4, 10], n_iter=[100], history=[False]),
            *grid(rank=[4], n_iter=[300], history=[False, True]),
        ],
    ),
    "surprise": (
        surprise,
        [
            *grid(kind=["BaselineOnly"], reg_u=[0.5, 1, 2, 4], reg_i=[4, 8, 14], n_epochs=[15]),
            *grid(kind=["SVD"], n_factors=[5, 20], n_epochs=[20, 40], reg_all=[0.1, 0.3]),
        ],
    ),
    "cornac": (
        cornac,
        [
            *grid(kind=["BaselineOnly"], max_iter=[30], learning_rate=[0.01, 0.03], lambda_reg=[0.05, 0.15, 0.3]),
            *grid(kind=["MF"], k=[5, 20], max_iter=[30], learning_rate=[0.01, 0.02], lambda_reg=[0.1, 0.3]),
        ],
    ),
    "lenskit": (
        lenskit,
        [
            *grid(kind=["Bias"], damping=[2, 4, 7, 12]),
            *grid(kind=["BiasedMF"], embedding_size=[5, 20], epochs=[10], regularization=[0.5, 2.0]),
        ],
    ),
    "fastai": (fastai, grid(n_factors=[5, 20], epochs=[3, 5], bs=[1024], wd=[0.1, 0.4])),
}


def rmse(predicted: Any, part: Part) -> float:
    """Root mean squared error of predictions within the scale of 1 to 10."""
    return float(np.sqrt(np.mean((np.clip(np.asarray(predicted, float), 1, 10) - part[:, 2]) ** 2)))


def best_of(name: str, parts: dict[str, Part]) -> Iterator[dict[str, Any]]:
    """One library: a search on the inner split, then the best setting on the outer one."""
    predict, settings = PEERS[name]
    errors = []
    for setting in settings:
        errors.append(rmse(predict(parts["fit"], parts["valid"], setting), parts["valid"]))
        print(name, setting, f"{errors[-1]:.4f}", file=sys.stderr, flush=True)
    chosen = settings[int(np.argmin(errors))]
    began = time.perf_counter()
    error = rmse(predict(parts["train"], parts["test"], chosen), parts["test"])
    seconds = time.perf_counter() - began
    yield {
        "library": name,
        "setting": chosen,
        "valid": min(errors),
        "test": error,
        "seconds": seconds,
        "tried": len(settings),
    }


def main() -> None:
    """Measure all libraries."""
    folder = Path(sys.argv[1])
    parts = {name: np.load(folder / f"{name}.npy") for name in ("fit", "valid", "train", "test")}
    for name in sys.argv[2:] or PEERS:
        for row in best_of(name, parts):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
