"""Do intervals hold what they say, on both sides? Bayes on every set of benchmarks/everywhere.py, as one table.

`.venv/bin/python benchmarks/intervals.py [SET ...]` writes benchmarks/INTERVALS.md, or prints the rows of the sets
named. A cell is the percentage of held-out ratings below an interval, of those above it, and of those inside. "Normal"
are the same model's intervals without the distribution over steps: the mean less and plus z standard deviations. The
splits are the inner ones of everywhere.py, so a rule may be chosen by this table. Chains end after 40 sweeps.
"""

from __future__ import annotations

import datetime
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from everywhere import SETS
from measuring import machine

import palate
from palate import Ratings, Recommender
from palate.models.ordinal import MAX_STEPS

PAGE = Path(__file__).with_name("INTERVALS.md")
N_SWEEPS = 40
LEVELS = (0.9, 0.5)
HEAD = ("set", "steps", "Normal, 90%", "steps, 90%", "ordinal, 90%", "Normal, 50%", "steps, 50%", "ordinal, 50%")


def outside(rec: Recommender, valid: Ratings, level: float) -> str:
    """The percentages of ratings below, above and inside the intervals."""
    _, low, high = rec.predict_codes(valid.user_codes, valid.item_codes, level=level)
    below, above = (100 * np.mean(lies) for lies in (valid.values < low, valid.values > high))
    return f"{below:.1f} / {above:.1f}, {100 - below - above:.1f}"


def row_of(name: str) -> str:
    """A line of the table."""
    known, _ = palate.split_random(SETS[name](), test=0.1, seed=0)  # the test part is not for choosing
    train, valid = palate.split_random(known, test=0.1, seed=1)
    n_steps = len(np.unique(train.values))
    likelihoods: tuple[Literal["gaussian", "ordinal"], ...] = ("gaussian", "ordinal")
    recs = [
        palate.Bayes(n_sweeps=N_SWEEPS, likelihood=likelihood).fit(train, progress=False)
        for likelihood in likelihoods[: 1 + (n_steps <= MAX_STEPS)]
    ]
    plain = Recommender(replace(recs[0].model, step_distribution=None))
    cells = [name, f"{n_steps}"]
    for level in LEVELS:
        cells += [outside(rec, valid, level) for rec in (plain, *recs)] + ["-"] * (2 - len(recs))
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure the sets named, or all of them and write the page."""
    lines = []
    for name in sys.argv[1:] or SETS:
        try:
            lines.append(row_of(name))
        except (FileNotFoundError, palate.errors.DatasetError) as error:
            lines.append(f"| {name} | left out: {type(error).__name__} |" + " |" * (len(HEAD) - 2))
        print(lines[-1], flush=True)
    if len(sys.argv) == 1:
        rule = "|---|" + "--:|" * (len(HEAD) - 1)
        said = f"`benchmarks/intervals.py` wrote this on {datetime.date.today()}. {machine()}."
        told = "Percent of held-out ratings below and above an interval, and inside it."
        page = ["# Intervals on both sides\n", f"{said} {told}", "", f"| {' | '.join(HEAD)} |", rule, *lines, ""]
        PAGE.write_text("\n".join(page), encoding="utf-8")


if __name__ == "__main__":
    main()
