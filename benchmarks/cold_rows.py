"""Cold rows: users and items without training ratings, on every set, Bayes against Bias, as one table.

`.venv/bin/python benchmarks/cold_rows.py [SET ...]` prints a line a set. There are two kinds of cold rows. Those that a
random split leaves without ratings are rare: they have one rating or two in the whole. Those that are withheld with all
their ratings may be popular. A cell is the RMSE on the ratings of such rows, Bayes / Bias, with the excess of Bayes and
the number of ratings; - if there are fewer than MIN_RATINGS. All of it is on inner splits, as in everywhere.py, whose
sets these are, with tables where a set has them and thinned ones added.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from everywhere import SETS, from_folder, movielens, thinned

import palate
from palate import Ratings

MIN_RATINGS = 50
N_SWEEPS = 40
SHARE_OF_RATINGS, SHARE_OF_ROWS = 0.4, 0.1  # held out by the random split; withheld with all their ratings


def some_users(ratings: Ratings, share: float) -> Ratings:
    """All ratings of a random share of the users."""
    kept = np.random.default_rng(3).random(ratings.n_users) < share
    return palate.read(ratings[kept[ratings.user_codes]].to_frame().select("user", "item", "rating"))


def without_tables(ratings: Ratings) -> Ratings:
    """The ratings alone."""
    return palate.read(ratings.to_frame().select("user", "item", "rating"))


MORE_SETS: dict[str, Callable[[], Ratings]] = {
    "ml-100k, without tables": lambda: without_tables(movielens("ml-100k")),
    "ml-latest-small, a fifth": lambda: thinned(movielens("ml-latest-small"), 0.2),
    "yelp-hin, 30%": lambda: thinned(from_folder("yelp-hin"), 0.3),
    "book-crossing, 1 to 10, a fifth of the users": lambda: some_users(from_folder("book-crossing", 1), 0.2),
}


def splits(ratings: Ratings, seed: int) -> dict[str, tuple[Ratings, Ratings]]:
    """The three splits of the known part: by ratings, by items, by users."""
    known, _ = palate.split_random(ratings, test=0.1, seed=0)  # the test part is not for choosing
    rng = np.random.default_rng(seed)
    no_item, no_user = (rng.random(size) < SHARE_OF_ROWS for size in (known.n_items, known.n_users))
    return {
        "random": palate.split_random(known, test=SHARE_OF_RATINGS, seed=seed),
        "items": palate.split_rows(known, no_item[known.item_codes]),
        "users": palate.split_rows(known, no_user[known.user_codes]),
    }


def cell(train: Ratings, test: Ratings, errors: tuple[np.ndarray, np.ndarray], what: str) -> str:
    """The errors on rows whose "user" or "item" has no training rating."""
    counts, codes = (
        (train.by_user().counts, test.user_codes) if what == "user" else (train.by_item().counts, test.item_codes)
    )
    cold = counts[codes] == 0
    if cold.sum() < MIN_RATINGS:
        return "-"
    bayes, bias = (float(np.sqrt(np.mean(error[cold] ** 2))) for error in errors)
    return f"{bayes:.4f} / {bias:.4f} ({100 * (bayes / bias - 1):+.1f}%, {cold.sum():,})"


def row_of(name: str, ratings: Ratings, seed: int = 1) -> str:
    """A line of the table: cold users and items of the random split, withheld users, withheld items."""
    cells = {}
    for kind, (train, test) in splits(ratings, seed).items():
        codes = test.user_codes, test.item_codes
        fits = (recipe.fit(train, progress=False) for recipe in (palate.Bayes(n_sweeps=N_SWEEPS), palate.Bias()))
        bayes, bias = (rec.predict_codes(*codes)[0] - test.values for rec in fits)
        for what in ("user", "item"):
            cells[kind, what] = cell(train, test, (bayes, bias), what)
    chosen = (("random", "user"), ("random", "item"), ("users", "user"), ("items", "item"))
    return f"| {' | '.join([name, *(cells[key] for key in chosen)])} |"


def main() -> None:
    """Print the table."""
    sets = SETS | MORE_SETS
    print("| set | rare users | rare items | withheld users | withheld items |\n|---|--:|--:|--:|--:|")
    for name in sys.argv[1:] or sets:
        try:
            print(row_of(name, sets[name]()), flush=True)
        except (FileNotFoundError, palate.errors.DatasetError) as error:
            print(f"| {name} | left out: {type(error).__name__} | | | |", flush=True)


if __name__ == "__main__":
    main()
