"""Other libraries on the next item: RecTools' SASRec and implicit's nearest items, each in a process of its own.

`python benchmarks/sequence_peers.py` in an environment with `rectools[torch]`, implicit, polars and torch for the CPU;
PALATE_DATA names the folder of data. The last event of each user is test, the last but one chooses settings, and the
figure is of a model that learned from all but the last. The whole catalogue is ranked, less what the user already had;
a target that no event before it has is a miss. One line of a table for each library, model and set.

SASRec has RecTools' defaults, epochs included, and a second time a shorter history and a sampled loss, as a catalogue
of 50,000 items asks for on a processor. It stops after --minutes of the processor or --clock minutes by the clock,
and the table says how many epochs that was. implicit's models choose the number of neighbors by their whole-history
lists and, in a second line, together with how many of the last events to ask with. A fit runs on one thread; the peak
of memory is that of a process that only loaded, fitted and ranked.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import resource
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

Ints = np.ndarray[Any, np.dtype[np.int64]]
Setting = dict[str, Any]

SETS = {
    "amazon-beauty-seq": "interactions.parquet",
    "ml-100k": "ratings.csv",
    "ml-1m": "timed.parquet",
    "ml-latest-small": "ratings.csv",
}
SASREC: dict[str, Setting] = {
    "SASRec": {},  # as RecTools has it
    "SASRec-light": {"epochs": 20, "session_max_len": 20, "loss": "sampled_softmax", "n_negatives": 128},
}
NEIGHBORS = ["CosineRecommender", "TFIDFRecommender", "BM25Recommender"]
HEADERS = ["set", "model", "setting", "NDCG@10", "HR@10", "to choose by", "fit s", "CPU s", "lists s", "peak MB"]
K = 10
KS = [20, 100, 300]
LASTS = [1, 2, 3, 4, 5]
TO_CHOOSE, TO_TEST = 2, 1  # events left out at the end of each user's


@dataclass
class Task:
    """What is known and what comes next: user n had items[starts[n] : starts[n + 1]], in order, and target[n] next."""

    starts: Ints
    items: Ints
    target: Ints  # -1: an item that nobody had before
    n_items: int

    def history(self, user: int, last: int | None = None) -> Ints:
        """Items that a user had, or the last few of them."""
        start, end = self.starts[user : user + 2]
        return self.items[start if last is None else max(start, end - last) : end]


@dataclass
class Outcome:
    """Quality and cost of one fit."""

    ndcg: float
    hit_rate: float
    fit: float  # seconds by the clock
    cpu: float  # seconds of the processor, of the same fit
    rank: float  # seconds to rank for all users
    peak: float = 0.0  # megabytes
    note: str = ""


def task(name: str, left_out: int) -> Task:
    """A set without the last events of each user."""
    import polars as pl

    path = Path(os.environ["PALATE_DATA"]) / name / SETS[name]
    frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path)
    users, items = (frame.to_series(at).rank("dense").to_numpy().astype(np.int64) - 1 for at in (0, 1))
    times = frame["timestamp"].to_numpy() if "timestamp" in frame.columns else np.arange(len(frame))
    order = np.lexsort((times, users))  # stable: ties stay in the order of rows
    users, items = users[order], items[order]
    ends = np.cumsum(np.bincount(users))
    to_come = ends[users] - np.arange(len(users))  # 1 for a user's last event
    has_target = np.bincount(users)[users] >= left_out
    known, next_one = has_target & (to_come > left_out), has_target & (to_come == left_out)
    catalogue, codes = np.unique(items[known], return_inverse=True)
    place = np.minimum(np.searchsorted(catalogue, items[next_one]), len(catalogue) - 1)
    target = np.where(catalogue[place] == items[next_one], place, -1)
    counts = np.bincount(users[known], minlength=len(ends))[users[next_one]]
    return Task(np.concatenate([[0], np.cumsum(counts)]), codes, target, len(catalogue))


def quality(lists: Ints, target: Ints) -> tuple[float, float]:
    """NDCG and hit rate at K of one list a user, padded with -1 at the end."""
    hits = (lists == target[:, None]) & (target >= 0)[:, None]
    return float((hits / np.log2(2 + np.arange(K))).sum(1).mean()), float(hits.any(1).mean())


def padded(lists: list[Ints]) -> Ints:
    """Lists of at most K items as one array."""
    full = np.full((len(lists), K), -1)
    for row, items in zip(full, lists, strict=True):
        row[: len(items)] = items
    return full


def fit_neighbors(given: Task, model: str, k: int) -> Any:
    """One of implicit's item-item models; everything else of its defaults."""
    import implicit.nearest_neighbours
    import scipy.sparse as sparse

    warnings.simplefilter("ignore")
    shape = (len(given.target), given.n_items)
    X = sparse.csr_matrix((np.ones(len(given.items)), given.items, given.starts), shape)
    fitted = getattr(implicit.nearest_neighbours, model)(K=k, num_threads=1)
    fitted.fit(X, show_progress=False)
    return fitted


def rank_neighbors(model: Any, given: Task, last: int | None) -> Ints:
    """Lists of an item-item model, asked with the whole history or with its last events."""
    import scipy.sparse as sparse

    lists = []
    for user in range(len(given.target)):
        query = given.history(user, last)
        row = sparse.csr_matrix((np.ones(len(query)), query, [0, len(query)]), (1, given.n_items))
        ids, _ = model.recommend(0, row, N=K, filter_already_liked_items=False, filter_items=given.history(user))
        lists.append(ids[:K])
    return padded(lists)


def neighbors(name: str, setting: Setting) -> Outcome:
    """Fit one of implicit's models and test it."""
    given = task(name, TO_TEST)
    clock, cpu = time.perf_counter(), time.process_time()
    model = fit_neighbors(given, setting["model"], setting["K"])
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    begun = time.perf_counter()
    lists = rank_neighbors(model, given, setting["last"])
    return Outcome(*quality(lists, given.target), clock, cpu, time.perf_counter() - begun)


def search_neighbors(name: str, model: str) -> list[tuple[float, Setting]]:
    """NDCG on the last event but one of every setting."""
    given = task(name, TO_CHOOSE)
    tried = []
    for k in KS:
        fitted = fit_neighbors(given, model, k)
        for last in [None, *LASTS]:
            ndcg, _ = quality(rank_neighbors(fitted, given, last), given.target)
            tried.append((ndcg, {"model": model, "K": k, "last": last}))
    return tried


def sasrec(name: str, setting: Setting, minutes: float, by_clock: float) -> Outcome:
    """Fit RecTools' SASRec and test it."""
    import pandas as pd
    import torch
    from pytorch_lightning import Callback, Trainer, seed_everything
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    seed_everything(0, verbose=False)
    given = task(name, TO_TEST)
    n_users = len(given.target)
    users = np.repeat(np.arange(n_users), np.diff(given.starts))
    order = pd.to_datetime(np.arange(len(users)), unit="s")
    events = {Columns.User: users, Columns.Item: given.items, Columns.Weight: 1.0, Columns.Datetime: order}
    dataset = Dataset.construct(pd.DataFrame(events))

    clock, cpu = time.perf_counter(), time.process_time()

    class Limit(Callback):
        """Stops after the batch that reaches a limit."""

        def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
            """Look at both clocks."""
            late = time.process_time() - cpu > 60 * minutes or time.perf_counter() - clock > 60 * by_clock
            trainer.should_stop = trainer.should_stop or late

    def trainer() -> Trainer:
        """RecTools' own trainer, but that it may stop early."""
        quiet = dict.fromkeys(["enable_progress_bar", "enable_model_summary", "logger", "enable_checkpointing"], False)
        return Trainer(max_epochs=setting.get("epochs", SASRecModel().epochs), callbacks=[Limit()], devices=1, **quiet)

    model = SASRecModel(**setting, get_trainer_func=trainer)
    model.fit(dataset)
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    done = model.fit_trainer
    begun = time.perf_counter()
    found = model.recommend(
        np.arange(n_users), dataset, k=K, filter_viewed=True, on_unsupported_targets="ignore", add_rank_col=True
    )
    lists = np.full((n_users, K), -1)
    lists[found[Columns.User].to_numpy(), found[Columns.Rank].to_numpy() - 1] = found[Columns.Item].to_numpy()
    seconds = time.perf_counter() - begun
    note = f"{done.global_step / done.num_training_batches:.3g} epochs, {done.global_step} steps"
    return Outcome(*quality(lists, given.target), clock, cpu, seconds, note=note)


def with_peak(function: Callable[..., Any], *given: Any) -> tuple[Any, float]:
    """A function's result and the megabytes that its process took."""
    result = function(*given)
    return result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def apart(function: Callable[..., Any], *given: Any) -> Any:
    """A function's result from a new process, with its peak of memory if it is an outcome."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        result, peak = pool.submit(with_peak, function, *given).result()
    if isinstance(result, Outcome):
        result.peak = peak
    return result


def line(name: str, model: str, setting: str, out: Outcome, chosen_by: float | None = None) -> None:
    """Print one line of the table."""
    by = "" if chosen_by is None else f"{chosen_by:.4f}"
    cells = [name, model, setting, f"{out.ndcg:.4f}", f"{out.hit_rate:.4f}", by]
    cells += [f"{out.fit:.2f}", f"{out.cpu:.2f}", f"{out.rank:.1f}", f"{out.peak:.0f}"]
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--models", nargs="+", default=[*SASREC, *NEIGHBORS], choices=[*SASREC, *NEIGHBORS])
    parser.add_argument("--minutes", type=float, default=60, help="when SASRec stops on each set, of the processor")
    parser.add_argument("--clock", type=float, default=120, help="the same by the clock")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    print(", ".join(f"{library} {version(library)}" for library in ("rectools", "torch", "implicit")))
    print("\n| " + " | ".join(HEADERS) + " |\n|" + " --- |" * len(HEADERS), flush=True)
    for name in options.sets:
        for model in options.models:
            if model in SASREC:
                changed = ", ".join(f"{key}={value}" for key, value in SASREC[model].items())
                out = apart(sasrec, name, SASREC[model], options.minutes, options.clock)
                line(name, "RecTools, SASRecModel", f"{changed or 'defaults'}; {out.note}", out)
                continue
            tried = apart(search_neighbors, name, model)
            whole = [each for each in tried if each[1]["last"] is None]
            parts = [each for each in tried if each[1]["last"] is not None]
            for each in (whole, parts):
                best, setting = max(each, key=lambda one: one[0])
                asked = "whole history" if setting["last"] is None else f"last {setting['last']}"
                out = apart(neighbors, name, setting)
                line(name, f"implicit, {model}", f"K={setting['K']}, {asked}", out, best)


if __name__ == "__main__":
    main()
