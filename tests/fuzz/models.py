"""Model files: what loads answers, and what cannot answer does not load, however a file was changed."""

import copy
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

import palate
from palate.errors import ModelFileError, PalateError
from palate.storing import container

NUMBERS = [0, 1, -1, 2, 7, 2**31, -(2**63), 2**63 - 1, 10**400, 0.5, 1e-320, 1e39, -1e308, True]
THINGS = [*NUMBERS, None, "", "text", [], [1, 2], {}, {"a": 1}, "\ud800"]
CELLS = [0, 1, -1, 3, 2**31 - 1, 1e-45, 1e38, -1e38, np.nan, np.inf]
DTYPES = [np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_]


INPUT = st.data()


def ratings():
    """Some ratings of 8 users and 6 items, with times and tables."""
    rng = np.random.default_rng(3)
    pairs = [(user, item) for user in range(8) for item in range(6) if (user + item) % 3]
    return palate.read(
        {
            "user": [f"u{user}" for user, _ in pairs],
            "item": [f"i{item}" for _, item in pairs],
            "rating": rng.integers(1, 6, len(pairs)),
            "time": rng.integers(0, 10**9, len(pairs)),
        },
        users={"user": [f"u{n}" for n in range(8)], "job": ["cook", "smith"] * 4},
        items={"item": [f"i{n}" for n in range(6)], "title": list("ABCDEF"), "tags": [["x"], ["x", "y"], None] * 2},
    )


@cache
def files():
    """The parts of a file for each of some recipes."""
    stars = ratings()
    likes = stars.likes(at_least=3)
    recipes = [
        (palate.Bayes(n_factors=2, n_sweeps=8), stars),
        (palate.Bayes(n_factors=2, n_sweeps=8, likelihood="ordinal"), stars),
        (palate.Bayes(n_factors=2, n_sweeps=8, time=True), stars),
        (palate.ALS(n_factors=2), stars),
        (palate.SGD(n_factors=2, n_epochs=2, y_range=(0, 6)), stars),
        (palate.Bias(), stars),
        (palate.Neighbors(), stars),
        (palate.ImplicitALS(n_factors=2), likes),
        (palate.EASE(), likes),
        (palate.Sequence(k=2), likes),
        (palate.Neighbors(by="users"), likes),
        (palate.BPR(n_factors=2, n_epochs=2), likes),
        (palate.Popularity(), likes),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.palate"
        made = []
        for recipe, given_ratings in recipes:
            recipe.fit(given_ratings).save(path)
            made.append(container.read(path, copy=True))
    return made


def changed_tensor(data, tensor):
    """A tensor with another number, type, shape or length."""
    how = data.draw(st.sampled_from(["cell", "fill", "dtype", "shape", "shorter", "longer"]))
    if how == "cell" and tensor.size:
        tensor = tensor.copy()
        with np.errstate(all="ignore"):
            value = np.array(data.draw(st.sampled_from(CELLS))).astype(tensor.dtype)
        tensor.flat[data.draw(st.integers(0, tensor.size - 1))] = value
    elif how == "fill":
        with np.errstate(all="ignore"):
            tensor = np.full(tensor.shape, np.array(data.draw(st.sampled_from(CELLS))).astype(tensor.dtype))
    elif how == "dtype":
        with np.errstate(all="ignore"):
            tensor = tensor.astype(data.draw(st.sampled_from(DTYPES)))
    elif how == "shape":
        tensor = data.draw(st.sampled_from([tensor[None], tensor.reshape(-1), tensor.T.copy(), tensor[..., :0]]))
    elif how == "longer":
        tensor = np.concatenate([tensor, tensor])
    else:
        tensor = tensor[:-1]
    return tensor


def changed_header(data, header):
    """A header with one of its parts, however deep, changed or left out."""
    header = copy.deepcopy(header)
    place = header
    while True:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.integers(0, 3)) == 0:
            break
        place = inner
    if isinstance(place, dict) and data.draw(st.integers(0, 4)) == 0:
        del place[key]
    else:
        place[key] = data.draw(st.sampled_from(THINGS))
    return header


def check(data):
    """A file with changed parts, whose checksum is right, or with changed bytes, whose checksum is not."""
    tensors, header = data.draw(st.sampled_from(files()))
    tensors = dict(tensors)
    for _ in range(data.draw(st.integers(1, 2))):
        if data.draw(st.booleans()):
            name = data.draw(st.sampled_from(sorted(tensors)))
            tensors[name] = changed_tensor(data, tensors[name])
        else:
            header = changed_header(data, header)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.palate"
        try:
            container.write(path, tensors, header)
        except PalateError:
            return
        if data.draw(st.integers(0, 9)) == 0:
            change_bytes(data, path)
        try:
            rec = palate.load(path)
        except ModelFileError:
            return
        with np.errstate(all="ignore"):
            ask(rec)


def change_bytes(data, path):
    """Write some bytes over others, or cut the file."""
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at : at + 8] = data.draw(st.binary(max_size=8))
    path.write_bytes(bytes(content[: data.draw(st.sampled_from([len(content), at]))]))


def ask(rec):
    """Every question once. A PalateError is an answer: not every model knows every question or label."""
    user, item = rec.model.user_vocabulary.labels[:1].tolist(), rec.model.item_vocabulary.labels[:1].tolist()
    if not user or not item:
        return
    questions = [
        lambda: rec.predict(user[0], item[0]),
        lambda: rec.recommend(user[0], n=3),
        lambda: rec.recommend(n=2),
        lambda: rec.similar_items(item[0], n=3),
        lambda: rec.explain(user[0], item[0]),
        lambda: rec.history(user[0]),
        lambda: rec.fold_in({item[0]: 4}).recommend(n=3),
        lambda: rec.recommend(user[0], where="item IS NOT NULL"),
        lambda: str(rec),
    ]
    for question in questions:
        try:
            question()
        except PalateError:
            continue
