"""One user: what each question to a model costs when one person asks it, in milliseconds.

`python benchmarks/one_user.py` fits `palate.Bayes()` to ml-1m and prints the table; with a path it takes that model
file instead. Each question is asked many times, of many users and items, after it has been asked once; the table has
the median time of the processor and of the clock. "codes" and "codes, intervals" are the answers without frames that a
server asks for (palate.answers.ranking.serving), of one user, of one new user, and of 64 at once (for each).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

import palate
from palate.answers.arguments import history_of
from palate.answers.ranking import RecommendOptions, best_of, query_of

Ask = Callable[[int], object]

N_TOGETHER = 64


def questions(rec: palate.Recommender) -> dict[str, tuple[int, Ask]]:
    """For each question: how many users one call answers, and a call that asks it for the nth time."""
    model, rng = rec.model, np.random.default_rng(0)
    users = rng.permutation(model.user_vocabulary.labels).tolist()
    items = rng.permutation(model.item_vocabulary.labels).tolist()
    codes = np.array_split(rng.permutation(len(users)).astype(np.int32), max(len(users) // N_TOGETHER, 1))

    def user(n: int) -> object:
        return users[n % len(users)]

    def item(n: int) -> object:
        return items[n % len(items)]

    def given(n: int) -> dict[object, float]:
        return {item(3 * n + at): rating for at, rating in enumerate(model.limits + model.limits[:1])}

    def query() -> object:
        return query_of(model, RecommendOptions())

    def known(n: int) -> object:
        return model.user_rows(np.array([n % len(users)], np.int32))

    def new(n: int) -> object:
        return model.fold_in(history_of(model.item_vocabulary, given(n)))

    return {
        "recommend(user)": (1, lambda n: rec.recommend(user(n))),
        "recommend, codes": (1, lambda n: best_of(model, [known(n)], query())),
        "recommend, codes, intervals": (1, lambda n: best_of(model, [known(n)], query(), 0.9)),
        f"the same of {N_TOGETHER}, each": (
            N_TOGETHER,
            lambda n: best_of(model, [model.user_rows(codes[n % len(codes)][:N_TOGETHER])], query(), 0.9),
        ),
        "fold_in of 3": (1, lambda n: rec.fold_in(given(n))),
        "fold_in of 3, recommend": (1, lambda n: rec.fold_in(given(n)).recommend()),
        "fold_in of 3, codes": (1, lambda n: best_of(model, [new(n)], query())),
        "fold_in of 3, codes, intervals": (1, lambda n: best_of(model, [new(n)], query(), 0.9)),
        "predict(user, item)": (1, lambda n: rec.predict(user(n), item(n))),
        "explain(user, item)": (1, lambda n: rec.explain(user(n), item(n))),
        "similar_items(item)": (1, lambda n: rec.similar_items(item(n))),
        "history(user)": (1, lambda n: rec.history(user(n))),
        "ask(5)": (1, lambda _: rec.ask(5)),
        "ask(5) after 3": (1, lambda n: rec.ask(5, given(n))),
    }


def measured(ask: Ask, n_calls: int) -> tuple[float, float]:
    """Median milliseconds of the processor and of the clock."""
    ask(0)
    times = np.empty((n_calls, 2))
    for n in range(n_calls):
        processor, clock = time.process_time_ns(), time.perf_counter_ns()
        ask(n)
        times[n] = time.process_time_ns() - processor, time.perf_counter_ns() - clock
    processor, clock = np.median(times, axis=0) / 1e6
    return float(processor), float(clock)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", help="a .palate file; without one ml-1m is fitted")
    parser.add_argument("--calls", type=int, default=200, help="of each question (default 200)")
    arguments = parser.parse_args()
    rec = palate.load(arguments.model) if arguments.model else palate.Bayes().fit(palate.datasets.load("ml-1m"))
    print(rec, "\n")
    print("| question | processor, ms | clock, ms |\n|---|--:|--:|")
    for name, (n_users, ask) in questions(rec).items():
        processor, clock = measured(ask, arguments.calls if n_users == 1 else max(arguments.calls // 4, 1))
        print(f"| {name} | {processor / n_users:.3f} | {clock / n_users:.3f} |", flush=True)


if __name__ == "__main__":
    main()
