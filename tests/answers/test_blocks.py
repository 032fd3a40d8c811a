"""A model that was fitted to ratings on disk answers every question as one that was fitted to them in memory."""

import shutil

import numpy as np
import pytest

import palate
from palate.data.vocabulary import Vocabulary


def rated(kind="explicit"):
    rng = np.random.default_rng(7)
    n = 900
    users, items = np.sort(rng.integers(0, 50, n)), rng.integers(0, 30, n)
    first = np.unique(users * 30 + items, return_index=True)[1]
    first.sort()
    return palate.Ratings(
        *(users[first], items[first], np.ones(len(first)) if kind == "implicit" else rng.integers(1, 6, len(first))),
        user_vocabulary=Vocabulary(np.array([f"u{at:02}" for at in range(50)], dtype=object), what="user"),
        item_vocabulary=Vocabulary(np.array([f"i{at:02}" for at in range(30)], dtype=object), what="item"),
        times=np.arange(len(first)),
        kind=kind,
    )


RECIPES = {
    "Bayes": (palate.Bayes(n_sweeps=8, n_factors=3), "explicit"),
    "ALS": (palate.ALS(n_sweeps=3, n_factors=3), "explicit"),
    "Bias": (palate.Bias(), "explicit"),
    "ImplicitALS": (palate.ImplicitALS(n_factors=4), "implicit"),
    "Popularity": (palate.Popularity(), "implicit"),
    "SparseEASE": (palate.SparseEASE(), "implicit"),
}

QUESTIONS = {
    "predict": lambda rec: rec.predict(["u03", "u04", "nobody"], ["i01", "i02", "i03"]),
    "recommend": lambda rec: rec.recommend(n=5),
    "similar": lambda rec: rec.similar_items("i01", n=4) if rec.n_factors else None,
    "explain": lambda rec: str(rec.explain("u03", rec.recommend("u03", n=1)["item"][0])),
    "history": lambda rec: rec.history("u03"),
    "fold_in": lambda rec: rec.fold_in({"i01": 5, "i04": 2} if is_rated(rec) else ["i01", "i04"]).recommend(n=5),
    "update": lambda rec: rec.update(given(rec)).recommend(["u03", "new"], n=5),
    "forget": lambda rec: rec.forget(users=["u03"]).recommend(["u04", "u03"], n=5),
}


def is_rated(rec):
    return rec.model.kind == "explicit"


def given(rec):
    columns = {"user": ["u03", "new"], "item": ["i29", "i02"]}
    return columns | {"rating": [4, 2]} if is_rated(rec) else columns


@pytest.fixture(scope="module", params=RECIPES)
def fitted(request, tmp_path_factory):
    """The same fit to ratings on disk and in memory, and the folder of the former."""
    recipe, kind = RECIPES[request.param]
    folder = tmp_path_factory.mktemp("answers") / "made.blocks"
    blocks = palate.blocks.write(folder, rated(kind), progress=False)
    return recipe.fit(blocks, progress=False), recipe.fit(blocks.in_memory(), progress=False), folder


def same(found, expected):
    assert found.equals(expected) if hasattr(expected, "equals") else found == expected


def answers(rec):
    """The answer to each question, or the class of the error of a model that has none."""
    found = {}
    for name, ask in QUESTIONS.items():
        try:
            found[name] = ask(rec)
        except palate.errors.PalateError as error:
            found[name] = str(error)
    return found


def test_every_question(fitted, tmp_path):
    on_disk, in_memory, folder = fitted
    expected = answers(in_memory)
    for name, found in answers(on_disk).items():
        same(found, expected[name])
    on_disk.save(tmp_path / "m.palate")
    shutil.rmtree(folder)  # what is mapped can be read on, and a saved model has a copy
    for rec in (on_disk, palate.load(tmp_path / "m.palate")):
        for name, found in answers(rec).items():
            same(found, expected[name])
