"""What one answer and one report cost on ml-100k: the least time of several rounds.

    python benchmarks/answer_calls.py

To compare two versions of palate, run it with the Python of each, in turn, and more than once.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable

import palate

ROUNDS = 9


def least(call: Callable[[], object], number: int) -> float:
    """The time of one call in the quickest round, in seconds."""
    return min(timeit.repeat(call, number=number, repeat=ROUNDS)) / number


def main() -> None:
    ratings = palate.datasets.load("ml-100k")
    train, test = palate.split_random(ratings, test=0.1, seed=0)
    chosen, held_out = palate.split_within_users(ratings.likes(at_least=4), test=0.2, seed=0)
    als = palate.ALS().fit(train, progress=False)
    bayes = palate.Bayes(n_sweeps=40, seed=0).fit(train, progress=False)
    ease = palate.EASE().fit(chosen, progress=False)
    answers: dict[str, Callable[[], object]] = {
        "ALS, ten best of one user": lambda: als.recommend("196", n=10),
        "Bayes, ten best of one user": lambda: bayes.recommend("196", n=10),
        "ALS, one prediction": lambda: als.predict("196", "242"),
    }
    reports: dict[str, Callable[[], object]] = {
        "evaluate ALS": lambda: palate.evaluate(als, test),
        "evaluate Bayes": lambda: palate.evaluate(bayes, test),
        "evaluate EASE": lambda: palate.evaluate(ease, held_out),
    }
    for name, call in answers.items():
        print(f"{name}: {1e6 * least(call, 50):.0f} us")
    for name, call in reports.items():
        print(f"{name}: {1e3 * least(call, 1):.1f} ms")


if __name__ == "__main__":
    main()
