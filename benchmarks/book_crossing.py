"""book-crossing, ratings 1 to 10, 90/10: `Bayes()` beside the best of five other libraries, in one run.

`python benchmarks/book_crossing.py` writes benchmarks/BOOK_CROSSING.md. PALATE_DATA names the folder of the data and
PALATE_RATING_PEERS the Python of an environment with requirements/rating_peers.txt. The other libraries get a search of
settings on an inner split (benchmarks/rating_peers.py); Bayes() is what it is with nothing given. Each looks at the
test part once.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from everywhere import from_folder
from measuring import machine, rmse

import palate
from palate import Ratings

PAGE = Path(__file__).with_name("BOOK_CROSSING.md")
PAGE_HEAD = """# book-crossing, ratings 1 to 10, 90/10

Made by `benchmarks/book_crossing.py` in one run. {machine}. The other libraries have the best of so many
settings tried on an inner split, `Bayes()` has nothing given; each looks at the test part once. Predictions
are cut to the scale.

| library | setting | tried | RMSE of the inner split | RMSE | seconds |
|---|---|--:|--:|--:|--:|
"""


def save(ratings: Ratings, path: Path) -> None:
    """Write a part as a row of user code, item code and rating for each rating."""
    np.save(path, np.column_stack([ratings.user_codes, ratings.item_codes, ratings.values]).astype(float))


def main() -> None:
    """Measure, and write the page."""
    train, test = palate.split_random(from_folder("book-crossing", 1), test=0.1, seed=0)
    fit, valid = palate.split_random(train, test=0.1, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        for name, part in (("fit", fit), ("valid", valid), ("train", train), ("test", test)):
            save(part, Path(folder) / f"{name}.npy")
        script = Path(__file__).with_name("rating_peers.py")
        command = [os.environ["PALATE_RATING_PEERS"], str(script), folder]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    began = time.perf_counter()
    rec = palate.Bayes().fit(train, progress=False)
    own = {"library": "palate", "setting": "Bayes()", "test": rmse(rec, test), "seconds": time.perf_counter() - began}
    own |= {"valid": rmse(palate.Bayes().fit(fit, progress=False), valid), "tried": 1}
    lines = [
        f"| {row['library']} | {row['setting']} | {row['tried']} | {row['valid']:.4f} | {row['test']:.4f} | "
        f"{row['seconds']:.1f} |"
        for row in sorted([own, *map(json.loads, told.splitlines())], key=lambda row: row["test"])
    ]
    PAGE.write_text(PAGE_HEAD.format(machine=machine()) + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
