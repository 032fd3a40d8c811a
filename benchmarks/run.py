"""All figures and the bars they are held against: `make bench` writes benchmarks/RESULTS.md.

Words of titles given as arguments choose sections; the others stay as they were.

Protocols. ml-100k and ml-1m 90/10: rows in file order, a permutation by NumPy's default_rng(0), the first tenth tests.
Likes: ratings of 4 and more, a fifth of each user's held out, the whole catalogue ranked.
Fit seconds exclude imports and reading and include everything else; medians of five fits on fresh ratings.
The other libraries' accuracy is not measured here. It stands in peers.csv and peers-likes.csv: the best of a
search over settings for each, on the same split and the same kind of machine, one process each.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import report
from gradient import all_of_sgd
from known import IDS, all_of_known
from measuring import Row, command_seconds, fit_timed, fresh, in_own_process, rmse, split_90_10, timed
from questions import all_of_questions
from ranking import all_of_ranking
from torch_loop import all_of_torch
from updating import all_of_updating

import palate
from palate import kernels
from palate.recipes.gibbs import averaging


def accuracy_bayes() -> list[Row]:
    """Error and time of Bayes, ids only."""
    rows = []
    for name, n_factors, n_sweeps, error_bar, seconds_bar in (
        ("ml-100k", 15, 100, 0.8795, 0.6),
        ("ml-1m", 15, 20, 0.8386, 0.8),
        ("ml-1m", 31, 30, 0.8350, 1.6),
        ("ml-1m", 31, 100, 0.8330, 5.0),
    ):
        train, test = split_90_10(name)
        options = {"n_factors": n_factors, "n_sweeps": n_sweeps, **IDS}
        seconds, rec = fit_timed(palate.Bayes(**options), train)
        error = rmse(rec, test)
        others = [rmse(palate.Bayes(seed=s, **options).fit(fresh(train), progress=False), test) for s in (1, 2, 3, 4)]
        spread = f"{min(others):.4f}..{max(others):.4f}"
        rows.append(
            Row(
                f"{name} 90/10, Bayes, ids only, {n_factors} factors, {n_sweeps} sweeps",
                f"RMSE {error:.4f} in {seconds:.2f} s (seeds 1-4: {spread})",
                f"RMSE <= {error_bar:.4f} in <= {seconds_bar} s",
                error <= error_bar and seconds <= seconds_bar,
            )
        )
    return rows


def defaults_bayes() -> list[Row]:
    """Bayes() as it comes: it chooses the number of factors and stops by itself."""
    rows = []
    for name, bars in (("ml-100k", (0.8640, 0.8)), ("ml-latest-small", None), ("ml-1m", (0.8172, 6.0))):
        train, test = split_90_10(name)
        seconds, rec = fit_timed(palate.Bayes(), train, repeat=3)
        error, sweeps = rmse(rec, test), rec.model.training["n_sweeps"]
        rows.append(
            Row(
                f"{name} 90/10, Bayes() with nothing given",
                f"RMSE {error:.4f} in {seconds:.2f} s ({sweeps} sweeps)",
                "reported" if bars is None else f"RMSE <= {bars[0]:.4f} in <= {bars[1]} s",
                None if bars is None else error <= bars[0] and seconds <= bars[1],
            )
        )
    return rows


def accuracy_als() -> list[Row]:
    """Error and time of ALS with biases."""
    rows = []
    train, test = split_90_10("ml-1m")
    for recipe, error_bar, seconds_bar in (
        (palate.ALS(n_factors=15, n_sweeps=7), 0.8525, 0.15),
        (palate.ALS(), 0.8476, 0.7),
    ):
        seconds, rec = fit_timed(recipe, train)
        error = rmse(rec, test)
        rows.append(
            Row(
                f"ml-1m 90/10, {recipe.label()}",
                f"RMSE {error:.4f} in {seconds:.3f} s",
                f"RMSE <= {error_bar:.4f} in <= {seconds_bar} s",
                error <= error_bar and seconds <= seconds_bar,
            )
        )
    return rows


def intervals() -> list[Row]:
    """How many test ratings intervals hold, and how many they claim to."""
    train, test = split_90_10("ml-100k")
    report = palate.evaluate(palate.Bayes().fit(train), test, baselines=False)
    rows = []
    for level, low, high in ((90, 0.88, 0.92), (50, 0.47, 0.53)):
        cover = report[f"coverage_{level}"]
        rows.append(
            Row(f"ml-100k, share of test ratings inside {level}% intervals", f"{cover:.3f}", f"{low}..{high}",
                low <= cover <= high)
        )  # fmt: skip
    return rows


def distilling() -> list[Row]:
    """The distilled factors against the average over all draws."""
    rows = []
    for name, n_sweeps in (("ml-100k", 100), ("ml-1m", 60)):
        train, test = split_90_10(name)
        rated = (train.by_user().counts > 0)[test.user_codes] & (train.by_item().counts > 0)[test.item_codes]
        test = test[rated]  # rows without ratings are not the average of draws
        limits = train.range
        sums, count = np.zeros(len(test)), 0
        add = averaging.Average.add

        def add_and_predict(average: averaging.Average, add=add, test=test, sums=sums, limits=limits) -> None:
            nonlocal count
            add(average)
            chain = average._chain
            scores = chain.predict(test.user_codes, test.item_codes)
            sums += np.clip(chain.center + chain.scale * scores, *limits)
            count += 1

        averaging.Average.add = add_and_predict
        try:
            rec = palate.Bayes(n_sweeps=n_sweeps).fit(fresh(train), progress=False)
        finally:
            averaging.Average.add = add
        average_error = float(np.sqrt(np.mean((sums / count - test.values) ** 2)))
        distilled = rmse(rec, test)
        rows.append(
            Row(
                f"{name}, {count} draws distilled to {rec.n_factors} factors",
                f"RMSE {distilled:.4f}, average of all draws {average_error:.4f}",
                "within 0.001",
                abs(distilled - average_error) <= 0.001,
            )
        )
    return rows


def folding_in() -> list[Row]:
    """200 held-out users of ml-100k: half their ratings folded in, or learned from in a full refit."""
    ratings = palate.datasets.load("ml-100k")
    rng = np.random.default_rng(0)
    held_out = np.isin(ratings.user_codes, rng.permutation(ratings.n_users)[:200])
    first_half = rng.random(len(ratings)) < 0.5
    given, asked = ratings[held_out & first_half], ratings[held_out & ~first_half]
    rec = palate.Bayes().fit(ratings[~held_out], progress=False)
    refit = palate.Bayes().fit(ratings[~held_out | first_half], progress=False)
    users = np.unique(given.user_codes)
    histories = {
        int(user): dict(zip(given.item_vocabulary.decode(codes), values, strict=True))
        for user in users
        for codes, values in [given.by_user().row(int(user))]
    }
    seconds, fold_in = timed(lambda: {user: rec.fold_in(history) for user, history in histories.items()}, 3)
    kept = np.isin(asked.user_codes, users)
    asked = asked[kept]
    predicted, inside = np.empty(len(asked)), np.empty(len(asked), bool)
    for user in users:
        rows = np.flatnonzero(asked.user_codes == user)
        if len(rows) == 0:
            continue
        answer = fold_in[int(user)].predict(asked.item_vocabulary.decode(asked.item_codes[rows]))
        predicted[rows] = answer["prediction"].to_numpy()
        low, high = answer["low"].to_numpy(), answer["high"].to_numpy()
        inside[rows] = (low <= asked.values[rows]) & (asked.values[rows] <= high)
    error = float(np.sqrt(np.mean((predicted - asked.values) ** 2)))
    refit_error = rmse(refit, asked)
    per_user = 1000 * seconds / len(users)
    return [
        Row(f"ml-100k, fold-in of {len(users)} held-out users from half their ratings",
            f"RMSE {error:.4f} on the other half, full refit {refit_error:.4f}", "within 0.003 of the refit",
            error - refit_error <= 0.003),
        Row("the same, time for a user", f"{per_user:.2f} ms", "< 2 ms", per_user < 2),
        Row("the same, share of ratings inside 90% intervals", f"{inside.mean():.3f}", "reported", None),
    ]  # fmt: skip


def kernel_rate() -> list[Row]:
    """solve_rows against the float32 matrix product of the same machine in the same run; and one thread against two."""
    ratings = palate.datasets.synthetic(70_000, 10_000, 10_000_000, seed=0)
    by_user, by_item = ratings.by_user(), ratings.by_item()
    k = 64
    rng = np.random.default_rng(0)
    users = rng.standard_normal((ratings.n_users, k), np.float32)
    items = rng.standard_normal((ratings.n_items, k), np.float32)
    options = {"precision": np.eye(k, dtype=np.float32) * 10, "mean": np.zeros(k, np.float32), "bias": True}

    def solve(n_threads: int) -> tuple[bytes, bytes]:
        return tuple(
            kernels.solve_rows(rows.indptr, rows.indices, rows.values, other, n_threads=n_threads, **options)[
                0
            ].tobytes()
            for rows, other in ((by_user, items), (by_item, users))
        )

    square = rng.standard_normal((3000, 3000), np.float32)
    operations = 2 * len(ratings) * k**2 + (ratings.n_users + ratings.n_items) * k**3 / 3
    shares, speedups, same = [], [], True
    for _ in range(5):
        product_seconds, _answer = timed(lambda: square @ square, 2)
        seconds = {n: timed(lambda n=n: solve(n), 1) for n in (1, 2)}
        same &= seconds[1][1] == seconds[2][1]
        shares.append(operations / seconds[2][0] / (2 * 3000**3 / product_seconds))
        speedups.append(seconds[1][0] / seconds[2][0])
    share, speedup = float(np.median(shares)), float(np.median(speedups))
    return [
        Row("solve_rows, 64 factors, synthetic 10M (70,000 x 10,000), both sides, 2 threads",
            f"{share:.0%} of the matrix product's rate ({min(shares):.0%}..{max(shares):.0%} over 5 rounds)", ">= 50%",
            share >= 0.5),
        Row("1 thread to 2 threads", f"{speedup:.2f}x, {'same' if same else 'OTHER'} bytes",
            ">= 1.7x, same bytes",            speedup >= 1.7 and same),
    ]  # fmt: skip


def start_up() -> list[Row]:
    """Import and the command line, as whole processes."""
    bare = command_seconds([sys.executable, "-c", "pass"])
    importing = command_seconds([sys.executable, "-c", "import palate"])
    train, _ = split_90_10("ml-1m")
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder) / "ml-1m.palate")
        palate.Bayes().fit(train, progress=False).save(model)
        size = Path(model).stat().st_size / 1e6
        recommending = command_seconds([str(Path(sys.executable).with_name("palate")), "recommend", model, "1"])
    return [
        Row("import palate (whole process less a bare Python)", f"{importing - bare:.3f} s", "< 0.2 s",
            importing - bare < 0.2),
        Row(f"palate recommend on a saved ml-1m model ({size:.0f} MB), whole process", f"{recommending:.2f} s",
            "< 0.6 s",            recommending < 0.6),
    ]  # fmt: skip


def memory() -> list[Row]:
    """Peak memory of the ml-1m fit, ratings included, above the process with everything imported.

    The ratings come as arrays, since what a reader leaves behind in the process would hide what the fit needs.
    """
    train, _ = split_90_10("ml-1m")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "ratings.npz")
        np.savez(path, users=train.user_codes, items=train.item_codes, values=train.values)
        source = f"""
import numpy as np, palate, threadpoolctl
from palate.recipes import Bayes
def status(key):
    return int(next(line for line in open("/proc/self/status") if line.startswith(key)).split()[1]) / 1024
imported = status("VmRSS")
arrays = np.load({path!r})
labels = [np.arange({train.n_users}), np.arange({train.n_items})]
ratings = palate.Ratings(
    arrays["users"], arrays["items"], arrays["values"],
    user_vocabulary=palate.Vocabulary(labels[0]), item_vocabulary=palate.Vocabulary(labels[1]),
)
open("/proc/self/clear_refs", "w").write("5")  # the peak from here on
rec = Bayes().fit(ratings, progress=False)
print(status("VmHWM") - imported)
"""
        above = float(in_own_process(source))
    return [
        Row("peak memory of the ml-1m fit (Bayes as it comes, ratings included) above the imported process",
            f"{above:.0f} MB", "<= 150 MB", above <= 150)
    ]  # fmt: skip


def other_libraries() -> list[Row]:
    """What the other libraries reach on ratings and on likes: measured before, and only repeated here."""
    return [
        Row(
            f"{peer['data']} {task}, {peer['library']}, {peer['setting']}",
            f"{quality(peer)} in {peer['seconds']} s" + ("" if peer["avx512"] == "yes" else " without AVX-512"),
            "measured apart",
            None,
        )
        for task, file, quality in (
            ("90/10", "peers.csv", lambda peer: f"RMSE {peer['rmse']}"),
            ("likes", "peers-likes.csv", lambda peer: f"NDCG@10 {peer['ndcg@10']}, Recall@20 {peer['recall@20']}"),
        )
        for peer in peers(file)
    ]


def peers(file: str) -> list[dict[str, str]]:
    """The rows of a CSV file beside this script."""
    with Path(__file__).with_name(file).open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def reading() -> list[Row]:
    """10 million rows of CSV, in a process of its own."""
    import polars as pl

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ratings.csv"
        ratings = palate.datasets.synthetic(70_000, 10_000, 10_000_000, seed=0)
        times = np.arange(len(ratings)) + 1_000_000_000
        frame = ratings.to_frame().rename({"user": "userId", "item": "movieId"})
        frame.insert_column(3, pl.Series("timestamp", times)).write_csv(path)
        del frame, ratings
        source = f"""
import palate, time
start = time.perf_counter()
ratings = palate.read({str(path)!r})
seconds = time.perf_counter() - start
lines = open("/proc/self/status").read().splitlines()  # ru_maxrss would know the parent's, which made the file
print(seconds, next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024, len(ratings))
"""
        seconds, peak, count = in_own_process(source).split()
    return [
        Row(f"read {int(count):,} rows of CSV with times", f"{float(seconds):.1f} s, {float(peak):.0f} MB peak",
            "<= 5 s, <= 1,000 MB", float(seconds) <= 5 and float(peak) <= 1000)
    ]  # fmt: skip


SECTIONS: dict[str, Callable[[], list[Row]]] = {
    "Accuracy and time: Bayes": accuracy_bayes,
    "Bayes with nothing given": defaults_bayes,
    "Side information": all_of_known,
    "Accuracy and time: ALS": accuracy_als,
    "Accuracy and time: SGD": all_of_sgd,
    "Intervals": intervals,
    "Distilling": distilling,
    "Fold-in of new users": folding_in,
    "Updates": all_of_updating,
    "Preference elicitation": all_of_questions,
    "Likes and lists": all_of_ranking,
    "The kernel": kernel_rate,
    "Starting up": start_up,
    "Memory": memory,
    "Reading": reading,
    "The same model in PyTorch": all_of_torch,
    "The other libraries": other_libraries,
}


def main() -> None:
    wanted = sys.argv[1:]
    for title, section in SECTIONS.items():
        if wanted and not any(word.lower() in title.lower() for word in wanted):
            continue
        print(f"== {title}", flush=True)
        rows = section()
        for row in rows:
            print(f"   {row.what}: {row.measured}  [{row.bar}]  {row.met}", flush=True)
        report.put(title, rows, list(SECTIONS))
        print(f"   in {report.RESULTS.name}", flush=True)


if __name__ == "__main__":
    main()
