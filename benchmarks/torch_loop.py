"""The torch loop against its bars: RMSE and seconds of the chapter 8 settings. Run: python benchmarks/torch_loop.py."""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from measuring import Row, machine, split_90_10, timed

import palate
from palate import Ratings
from palate.nn.learner import Learner
from palate.nn.loaders import RatingLoaders
from palate.nn.losses import mse
from palate.nn.models import DotProductBias, EmbeddingNet

SETTINGS = {  # name: (data set, batch size, RMSE bar, seconds bar)
    "ml-100k, batch 64": ("ml-100k", 64, 0.9116, 2.9),
    "ml-100k, batch 512": ("ml-100k", 512, 0.9034, 0.6),
    "ml-1m, batch 4096": ("ml-1m", 4096, 0.8535, 3.0),
}
NET_BAR = 0.9150
MSE_BAR = 0.8217


def trained(
    train: Ratings, valid: Ratings, batch_size: int, seed: int = 0, n_threads: int | None = None
) -> tuple[float, Learner]:
    """Seconds of the fit alone (validation after every epoch included), and the learner."""
    loaders = RatingLoaders.from_ratings(train, valid=valid, batch_size=batch_size, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    model = DotProductBias(loaders.n_users, loaders.n_items, 50, y_range=(0, 5.5), generator=generator)
    learner = Learner(loaders, model, seed=seed, n_threads=n_threads, progress=False)
    return timed_fit(learner, 5, 5e-3, wd=0.1), learner


def trained_net(train: Ratings, valid: Ratings, seed: int = 0) -> tuple[float, Learner]:
    """The same for the neural net, at the setting that did best on ratings held out of the training set."""
    loaders = RatingLoaders.from_ratings(train, valid=valid, batch_size=256, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    sizes = [(loaders.n_users, 20), (loaders.n_items, 20)]
    model = EmbeddingNet(sizes, layers=(100,), dropout=0.1, y_range=(0, 5.5), generator=generator)
    learner = Learner(loaders, model, seed=seed, progress=False)
    return timed_fit(learner, 5, 5e-3, wd=0.1), learner


def timed_fit(learner: Learner, n_epochs: int, lr_max: float, wd: float) -> float:
    start = time.perf_counter()
    learner.fit_one_cycle(n_epochs, lr_max, wd=wd)
    return time.perf_counter() - start


def bar_row(name: str, seconds: list[float], rmses: list[float], rmse_bar: float, seconds_bar: float) -> Row:
    second, rmse = statistics.median(seconds), statistics.mean(rmses)
    measured = f"RMSE {rmse:.4f} ({min(rmses):.4f} to {max(rmses):.4f}) in {second:.2f} s"
    met = rmse <= rmse_bar and second <= seconds_bar
    return Row(name, measured, f"<= {rmse_bar} in <= {seconds_bar} s", met)


def speed(name: str, repeat: int, n_threads: int | None) -> Row:
    data, batch_size, rmse_bar, seconds_bar = SETTINGS[name]
    train, test = split_90_10(data)
    runs = [trained(train, test, batch_size, seed, n_threads) for seed in range(repeat)]
    rmses = [learner.validate().rmse for _, learner in runs]
    return bar_row(name, [seconds for seconds, _ in runs], rmses, rmse_bar, seconds_bar)


def net(repeat: int) -> Row:
    train, test = split_90_10("ml-100k")
    runs = [trained_net(train, test, seed) for seed in range(repeat)]
    rmses = [learner.validate().rmse for _, learner in runs]
    return bar_row("ml-100k, neural net", [seconds for seconds, _ in runs], rmses, NET_BAR, float("inf"))


def chapter_8(n_splits: int) -> Row:
    """Mean validation MSE over random 80/20 splits, predictions not clipped."""
    ratings = palate.datasets.load("ml-100k")
    errors = []
    for seed in range(n_splits):
        train, valid = palate.split_random(ratings, test=0.2, seed=seed)
        learner = trained(train, valid, 64, seed)[1]
        errors.append(float(mse(*learner.predict(learner.loaders.valid))))
    spread = f", standard deviation {statistics.stdev(errors):.4f}" if len(errors) > 1 else ""
    mean = statistics.mean(errors)
    return Row(f"ml-100k, {n_splits} splits 80/20", f"MSE {mean:.4f}{spread}", f"<= {MSE_BAR}", mean <= MSE_BAR)


def loader_share() -> Row:
    """Seconds that an epoch of ml-1m at batch 4096 takes, and how many of them its loader."""
    train, _ = split_90_10("ml-1m")
    loaders = RatingLoaders.from_ratings(train, valid=None, batch_size=4096)
    model = DotProductBias(loaders.n_users, loaders.n_items, 50, y_range=(0, 5.5))
    learner = Learner(loaders, model, progress=False)
    epoch, _ = timed(lambda: learner.fit(1, 1e-3), 5)
    loading, _ = timed(lambda: [None for _ in loaders.train], 9)
    share = loading / epoch
    return Row(
        "ml-1m, batch 4096: share of an epoch that the loader takes",
        f"{share:.1%} ({1000 * loading:.0f} of {1000 * epoch:.0f} ms)",
        "< 5%",
        share < 0.05,
    )


def all_of_torch(repeat: int = 3, n_splits: int = 20, n_threads: int | None = None) -> list[Row]:
    """The PyTorch section of the results."""
    trained(*split_90_10("ml-100k"), 512)  # the first steps of a process are slow: not counted
    rows = [speed(name, repeat, n_threads) for name in SETTINGS]
    return [*rows, net(repeat), *([chapter_8(n_splits)] if n_splits else []), loader_share()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each speed setting, each with its own seed")
    parser.add_argument(
        "--splits", type=int, default=0, help="random 80/20 splits of chapter 8's setting (20: a minute)"
    )
    parser.add_argument("--threads", type=int, help="threads in the speed settings, if not what Learner takes")
    options = parser.parse_args()
    print(f"{machine()}, torch {torch.__version__}, threads: {options.threads or 'as Learner takes'}\n")
    for row in all_of_torch(options.repeat, options.splits, options.threads):
        print(row.line(), flush=True)


if __name__ == "__main__":
    main()
