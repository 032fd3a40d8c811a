"""Fingerprints of saved models and of their answers, to compare before and after a change that should alter neither.

`.venv/bin/python benchmarks/fingerprints.py before.json`, then the change, then the same with after.json, and diff.
Every recipe is fitted on MovieLens 100K or its likes, updated, made compact; seconds are left out of the files.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import palate
from palate import Recommender, kernels
from palate.errors import PalateError

NEW = {"user": ["new", "new", "196"], "item": ["50", "181", "50"], "rating": [5.0, 4.0, 1.0]}


def models() -> Iterator[tuple[str, Recommender]]:
    """Models of every recipe, by name."""
    ratings = palate.datasets.load("ml-100k")
    train, test = palate.split_random(ratings, test=0.1, seed=0)
    likes, _ = palate.split_within_users(ratings.likes(at_least=4), test=0.2, seed=0)
    bayes = palate.Bayes(n_sweeps=25).fit(train, progress=False)
    yield "Bayes", bayes
    yield "Bayes, compact", bayes.compact()
    yield "Bayes, updated", bayes.update(NEW)
    yield "Bayes, without a user and an item", bayes.forget(users=["196"], items=["50"])
    yield "ALS", palate.ALS().fit(train, valid=test, progress=False)
    for recipe in (
        palate.Bayes(n_sweeps=25, history=False),
        palate.Bayes(n_sweeps=12, likelihood="ordinal", time=True),
        palate.SGD(n_epochs=4),
        palate.Bias(),
        palate.Mean(),
        palate.Neighbors(),
    ):
        yield recipe.label(), recipe.fit(train, progress=False)
    for recipe in (
        palate.ImplicitALS(),
        palate.EASE(),
        palate.BPR(n_epochs=4),
        palate.Popularity(),
        palate.Neighbors(),
    ):
        yield f"{recipe.label()}, likes", recipe.fit(likes, progress=False)


def saved(rec: Recommender) -> bytes:
    """The bytes of the model's file."""
    training = {name: value for name, value in rec.model.training.items() if name != "seconds"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.palate"
        Recommender(replace(rec.model, training=training)).save(path)
        return path.read_bytes()


def answers(rec: Recommender) -> str:
    """Answers to some questions as text: numbers and labels, no sentences."""
    users, items = (
        vocabulary.labels[:7].tolist() for vocabulary in (rec.model.user_vocabulary, rec.model.item_vocabulary)
    )
    asked: list[Any] = [
        lambda: rec.recommend(users, n=5).write_csv(),
        lambda: rec.predict(users, items).write_csv(),
        lambda: rec.similar_items(items[0], n=4).write_csv(),
        lambda: rec.history(users[1]).write_csv(),
        lambda: json.dumps(rec.explain(users[0], items[1]).to_dict()),
    ]
    return "\n".join(map(_answer, asked))


def _answer(ask: Any) -> str:
    try:
        return str(ask())
    except PalateError as error:
        return type(error).__name__


def main(path: str) -> None:
    """Write the fingerprints to a JSON file."""
    found = {"kernels": kernels.level()}
    for name, rec in models():
        found[name] = hashlib.sha256(saved(rec)).hexdigest()
        found[f"{name}: answers"] = hashlib.sha256(answers(rec).encode()).hexdigest()
    Path(path).write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(f"{len(found) - 1} fingerprints in {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
