"""Preference elicitation: how much is learned of a new user by asking about rec.ask()'s items, popular or random ones.

`python benchmarks/questions.py` prints the tables and writes docs/questions.svg; `--tune` tries powers of popularity on
all other users, in four folds. Protocol: ml-100k; 200 users are held out whole, Bayes() learns from the others. Half of
a held-out user's ratings are the test set, the same for every way of asking: what is left after asking would be another
set for each. The other half can be asked about.

- anything: any item outside the test set may be asked about, one question at a time. Where the user has not rated it,
  the question is wasted.
- what they know: only items of the other half may be asked about, so that every question is answered. rec.ask gets
  popularity=0 for this. Users with fewer than ten such items are left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from measuring import Row
from numpy.typing import NDArray

import palate
from palate import Ratings, Recommender
from palate.answers.elicitation import POPULARITY
from palate.data.rows import CompressedRows

N_QUESTIONS = 10
N_USERS = 200
N_RANDOM = 10
WAYS = ("rec.ask", "most popular", "random")
POWERS = {"anything": (0.0, 0.25, 0.5, 0.75, 1.0, 1.5), "what they know": (0.0, 0.25, 0.5, 1.0)}
USED = {"anything": POPULARITY, "what they know": 0.0}
N_FOLDS = 4

Curves = tuple[NDArray[np.float64], ...]


class HeldOut:
    """Some users of a data set, a model of the others, and each user's ratings: half to ask about, half as the test."""

    def __init__(self, ratings: Ratings, users: NDArray[np.int64], without: NDArray[np.int64], seed: int) -> None:
        train = ratings[~np.isin(ratings.user_codes, without)]
        self.rec: Recommender = palate.Bayes().fit(train, progress=False)
        self.popularity = np.bincount(train.item_codes, minlength=ratings.n_items)
        half = np.random.default_rng(seed).random(len(ratings)) < 0.5
        self.answers = [_row(ratings, user, half) for user in users]
        self.tests = [_row(ratings, user, ~half) for user in users]


def _row(ratings: Ratings, user: int, rows: NDArray[np.bool_]) -> dict[int, float]:
    at = np.flatnonzero((ratings.user_codes == user) & rows)
    return dict(zip(ratings.item_codes[at].tolist(), ratings.values[at].tolist(), strict=True))


def reported() -> list[HeldOut]:
    """The users whose figures are given."""
    ratings, order = _users()
    return [HeldOut(ratings, order[:N_USERS], order[:N_USERS], seed=0)]


def others() -> list[HeldOut]:
    """All other users, in folds, for choosing options. No model sees the users whose figures are given."""
    ratings, order = _users()
    folds = np.array_split(order[N_USERS:], N_FOLDS)
    return [HeldOut(ratings, fold, np.concatenate([order[:N_USERS], fold]), seed=0) for fold in folds]


def _users() -> tuple[Ratings, NDArray[np.int64]]:
    ratings = palate.datasets.load("ml-100k")
    return ratings, np.random.default_rng(0).permutation(ratings.n_users)


def anything(people: HeldOut, way: str, p: int, rng: np.random.Generator, power: float) -> list[int]:
    """What user p is asked, one by one, when it is not known which items they can rate."""
    tested = list(people.tests[p])
    if way == "rec.ask":
        return _one_by_one(people, p, power)
    order = rng.permutation(people.rec.n_items) if way == "random" else np.argsort(-people.popularity, kind="stable")
    return order[~np.isin(order, tested)][:N_QUESTIONS].tolist()


def _one_by_one(people: HeldOut, p: int, power: float) -> list[int]:
    labels = people.rec.model.item_vocabulary.labels
    asked: list[int] = []
    for _ in range(N_QUESTIONS):
        given = {labels[code]: people.answers[p][code] for code in asked if code in people.answers[p]}
        best = people.rec.ask(1, given, exclude=labels[[*asked, *people.tests[p]]], popularity=power)
        asked += people.rec.model.item_vocabulary.encode(best["item"].to_list()).tolist()
    return asked


def what_they_know(people: HeldOut, way: str, p: int, rng: np.random.Generator, power: float) -> list[int]:
    """What user p is asked when only rated items may be asked about."""
    codes = np.array(list(people.answers[p]))
    if way == "rec.ask":
        vocabulary = people.rec.model.item_vocabulary
        best = people.rec.ask(N_QUESTIONS, items=vocabulary.labels[codes], popularity=power)
        return vocabulary.encode(best["item"].to_list()).tolist()
    if way == "random":
        return rng.permutation(codes)[:N_QUESTIONS].tolist()
    return codes[np.argsort(-people.popularity[codes], kind="stable")][:N_QUESTIONS].tolist()


def curve(people: HeldOut, who: list[int], asked: list[list[int]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Squared test errors (N_QUESTIONS + 1, len(who)), each user's mean, after 0, 1, ... questions; and answers."""
    errors = np.empty((N_QUESTIONS + 1, len(who)))
    answered = np.empty_like(errors)
    for n in range(N_QUESTIONS + 1):
        given = [
            {code: people.answers[p][code] for code in codes[:n] if code in people.answers[p]}
            for p, codes in zip(who, asked, strict=True)
        ]
        answered[n] = [len(row) for row in given]
        model = people.rec.model
        scores = np.clip(model.factors.scores(model.fold_in(_compressed(given)).vectors), *model.limits)
        for at, p in enumerate(who):
            test = people.tests[p]
            errors[n, at] = np.mean((scores[at, list(test)] - np.array(list(test.values()))) ** 2)
    return errors, answered


def _compressed(rows: list[dict[int, float]]) -> CompressedRows:
    indptr = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    indices = np.array([code for row in rows for code in row], np.int32)
    values = np.array([value for row in rows for value in row.values()], np.float32)
    return CompressedRows(indptr, indices, values, None)


VARIANTS = {"anything": anything, "what they know": what_they_know}


def people_of(people: HeldOut, variant: str) -> list[int]:
    """Everybody with a test set; where every question shall be answered, everybody who can answer that many."""
    least = N_QUESTIONS if variant == "what they know" else 0
    return [p for p, answers in enumerate(people.answers) if len(answers) >= least and people.tests[p]]


def measure(folds: list[HeldOut], variant: str, way: str, power: float = 0.0) -> Curves:
    """(RMSE over all ratings, mean RMSE of a user, answers, each user's error); random: the mean of ten times."""
    sizes = np.array([len(people.tests[p]) for people in folds for p in people_of(people, variant)])
    found = []
    for seed in range(N_RANDOM if way == "random" else 1):
        rng = np.random.default_rng(seed)
        parts = []
        for people in folds:
            who = people_of(people, variant)
            parts.append(curve(people, who, [VARIANTS[variant](people, way, p, rng, power) for p in who]))
        errors, answered = (np.concatenate(column, axis=1) for column in zip(*parts, strict=True))
        each = np.sqrt(errors)
        found.append((np.sqrt(errors @ sizes / sizes.sum()), each.mean(axis=1), answered.mean(axis=1), each))
    return tuple(np.mean(column, axis=0) for column in zip(*found, strict=True))


def show(name: str, measured: Curves) -> None:
    """Two lines of the table: RMSE after each number of questions, over all ratings and of the mean user."""
    for what, line in zip(("all ratings", "mean user"), measured[:2], strict=True):
        print(f"{name:44} {what:12}", " ".join(f"{error:.4f}" for error in line), end=" ")
        print(f"| {measured[2][5]:.2f} of 5 answered", flush=True)


def tune() -> None:
    """Powers of popularity, on users who are not among those reported."""
    folds = others()
    for variant in VARIANTS:
        for way in WAYS[1:]:
            show(f"{variant}: {way}", measure(folds, variant, way))
        for power in POWERS[variant]:
            show(f"{variant}: rec.ask, popularity={power}", measure(folds, variant, "rec.ask", power))


def all_of_questions() -> list[Row]:
    """What five questions bring, on users who took no part in any choice."""
    folds = reported()
    rows, curves = [], {}
    for variant in VARIANTS:
        results = {way: measure(folds, variant, way, USED[variant]) for way in WAYS}
        for way, measured in results.items():
            show(f"{variant}: {way}", measured)
        curves[variant] = {way: measured[0] for way, measured in results.items()}
        rows.append(_row_of(variant, results))
    draw(curves)
    return rows


def _row_of(variant: str, results: dict[str, Curves]) -> Row:
    after = {way: float(measured[0][5]) for way, measured in results.items()}
    mean = {way: float(measured[1][5]) for way, measured in results.items()}
    each = {way: measured[3][5] for way, measured in results.items()}
    told = ", ".join(f"{way} {after[way]:.4f} ({mean[way]:.4f})" for way in WAYS)
    gains = ", ".join(f"{way} {_gain(each[way] - each['rec.ask'])}" for way in WAYS[1:])
    return Row(
        f"ml-100k, {len(each['random'])} held-out users after five questions about {variant}",
        f"RMSE over all ratings (of the mean user): {told}; none asked {results['random'][0][0]:.4f}. "
        f"Gain of a user over {gains}",
        "rec.ask lowest in both",
        all(table["rec.ask"] < min(table[way] for way in WAYS[1:]) for table in (after, mean)),
    )


def _gain(differences: NDArray[np.float64]) -> str:
    return f"{differences.mean():.4f} +- {differences.std(ddof=1) / np.sqrt(len(differences)):.4f}"


def draw(curves: dict[str, dict[str, NDArray[np.float64]]]) -> None:
    """docs/questions.svg: error against questions, one panel for each variant."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    titles = {"anything": "asked about anything", "what they know": "asked about what they know"}
    colors = {"rec.ask": "#c2410c", "most popular": "#1d4ed8", "random": "0.5"}
    figure, panels = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    for panel, (variant, lines) in zip(panels, curves.items(), strict=True):
        for way, errors in lines.items():
            panel.plot(errors, "o-", color=colors[way], markersize=4, label=way)
        panel.set_title(f"New users, {titles[variant]}")
        panel.set_xlabel("questions asked")
        panel.grid(alpha=0.2)
    panels[0].set_ylabel("test RMSE of their other ratings")
    panels[0].legend(frameon=False)
    figure.tight_layout()
    with mpl.rc_context({"svg.hashsalt": "palate"}):
        figure.savefig(Path(__file__).parent.parent / "docs" / "questions.svg", metadata={"Date": None})


if __name__ == "__main__":
    if "--tune" in sys.argv:
        tune()
    else:
        for row in all_of_questions():
            print(row.line())
