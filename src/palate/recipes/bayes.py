"""Bayes: Bayesian probabilistic matrix factorization (Salakhutdinov & Mnih, ICML 2008) by Gibbs sampling.

    r_ui ~ Normal(mean + b_u + c_i + p_u . q_i, 1/alpha),  [p_u, b_u] ~ Normal(m, Lambda^-1),  likewise the items,
    (m, Lambda) ~ Normal-Wishart(m0 = 0, beta0 = 2, W0 = I, nu0 = k)

Weight decay, learning rate and the number of epochs are integrated over instead of tuned. A few sweeps to the mode come
first, since they reach a good place much sooner than draws do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from palate.answers.arguments import check_choice
from palate.data.features import Features
from palate.data.ratings import Ratings
from palate.data.rows import CompressedRows
from palate.data.splitting import split_random
from palate.errors import OptionError
from palate.models.ordinal import MAX_STEPS
from palate.models.side_information import SideInfo
from palate.recipes.base import MAX_SEED, Recipe, Trained, check_counts, check_flags
from palate.recipes.gibbs.averaging import Average
from palate.recipes.gibbs.chain import Chain
from palate.recipes.monitor import Monitor, rmse

if TYPE_CHECKING:
    import polars as pl

WARM_UP_SWEEPS = 6
BURN_IN = 2  # draws left out before averaging
MAX_SWEEPS = 200  # where draws depend on each other for long, more would lower errors by less than 0.001
MANY_RATINGS = 300_000  # from here on 31 factors pay; below, 15 are as good
AUTO_RATINGS, AUTO_SWEEPS = 100_000, 25  # what likelihood="auto" decides by
SERVED_RANK = 31  # rank the draws are distilled to, unless more factors are asked for


@dataclass(frozen=True)
class Bayes(Recipe):
    """Bayesian matrix factorization: nothing to tune, intervals included.

    n_factors: latent factors of each draw; None chooses 15, or 31 from 300,000 ratings on. The average over draws needs
    more than one draw has: rec.n_factors is 2 n_factors + 1 up to 31, or n_factors above that. n_sweeps: Gibbs sweeps;
    None stops when more would no longer change predictions. n_samples: at most this many draws are kept for intervals.
    history: let which items a user has rated at all, and by whom an item was rated, say something of their factors.
    features: the same for what ratings.user_table and item_table say of them, where there are such tables.
    likelihood: "gaussian" takes ratings for numbers, "ordinal" for 2 to 20 ordered steps, of which each then has a
    probability; "auto" picks what predicts better in a short validation inside the ratings. time: also learn what
    ratings owe to their moments (sessions of users, days, drifting items). user_noise: let some users be noisier than
    others (ratings as numbers and without time only). seed: same seed, same machine, same bytes, at any n_threads (0:
    all cores). Raises OptionError for values that make no sense and time without times, DataError for ordinal ratings
    in too many steps.

    >>> import palate
    >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
    >>> rec = palate.Bayes(n_sweeps=20).fit(ratings)
    >>> rec.n_factors
    31
    """

    n_factors: int | None = None
    n_sweeps: int | None = None
    n_samples: int = 32
    history: bool = True
    features: bool = True
    likelihood: Literal["gaussian", "ordinal", "auto"] = "gaussian"
    time: bool = False
    user_noise: bool = True
    seed: int = 0
    n_threads: int = 0

    def __post_init__(self) -> None:
        check_counts(1, n_factors=self.n_factors, n_sweeps=self.n_sweeps)
        check_counts(2, n_samples=self.n_samples)
        check_counts(n_threads=self.n_threads)
        check_counts(most=MAX_SEED, seed=self.seed)
        check_choice("likelihood", self.likelihood, ("gaussian", "ordinal", "auto"))
        check_flags(history=self.history, features=self.features, time=self.time, user_noise=self.user_noise)

    def taken(self, ratings: Ratings) -> dict[str, Any]:
        """What a fit takes from these ratings for n_factors, where it is not given."""
        return {"n_factors": _usual_factors(ratings)} if self.n_factors is None else {}

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        if self.time and ratings.times is None:
            raise OptionError('time=True needs times, which these ratings have none of: palate.read(..., time="...").')
        n_factors = self.n_factors or _usual_factors(ratings)
        infos = self.known_sides(ratings)
        ordinal = self._is_ordinal(ratings)
        user_noise = self.user_noise and not ordinal and not self.time
        options = {"time": self.time, "ordinal": ordinal, "user_noise": user_noise}
        chain = Chain(ratings, n_factors, self.seed, self.n_threads, infos, **options)
        user_info, item_info = (None if known is None else known[0] for known in infos.values())
        del infos  # the chain has what it needs of their matrices, which are as large as the ratings
        average = Average(chain, ratings, monitor, max(n_factors, min(SERVED_RANK, 2 * n_factors + 1)), self.n_samples)
        try:
            for _ in range(WARM_UP_SWEEPS):
                chain.mode_sweep()
            for number in range(1, (self.n_sweeps or MAX_SWEEPS) + 1):
                chain.draw_sweep(number)
                if number > BURN_IN:
                    average.add()
                if monitor.after_sweep(self.n_sweeps, chain.train_rmse, average.valid_rmse()):
                    break
                if self.n_sweeps is None and average.settled():
                    break
        except KeyboardInterrupt:
            monitor.interrupted()
        return replace(average.trained(), user_info=user_info, item_info=item_info)

    def known_sides(self, ratings: Ratings) -> dict[str, tuple[SideInfo, CompressedRows] | None]:
        """What the links of both sides, "user" and "item", may use, and the matrices F of their rows."""
        return {
            "user": self._known(ratings.by_user(), ratings.n_items, ratings.user_table),
            "item": self._known(ratings.by_item(), ratings.n_users, ratings.item_table),
        }

    def _is_ordinal(self, ratings: Ratings) -> bool:
        """Whether to take ratings for ordered steps; "auto" tries both, on a tenth held out of at most AUTO_RATINGS."""
        if self.likelihood != "auto":
            return self.likelihood == "ordinal"
        if not 2 <= len(np.unique(ratings.values)) <= MAX_STEPS:
            return False
        some = ratings
        if len(ratings) > AUTO_RATINGS:  # of whole users: the densest tell most in least time
            kept = np.argsort(-ratings.by_user().counts, kind="stable")
            n_users = int(np.searchsorted(np.cumsum(ratings.by_user().counts[kept]), AUTO_RATINGS)) + 1
            some = ratings[np.isin(ratings.user_codes, kept[:n_users])]
        train, valid = split_random(some, test=0.1, seed=self.seed)
        if len(np.unique(train.values)) < 2 or len(valid) == 0:
            return False
        errors = {}
        for likelihood in ("gaussian", "ordinal"):
            short = replace(self, likelihood=likelihood, n_sweeps=AUTO_SWEEPS, n_samples=2, features=False)
            rec = short.fit(train, progress=False)
            expected, *_ = rec.predict_codes(valid.user_codes, valid.item_codes, when=valid.times)
            errors[likelihood] = rmse(expected, valid.values)
        return errors["ordinal"] < errors["gaussian"]

    def _known(
        self, rows: CompressedRows, n_others: int, table: pl.DataFrame | None
    ) -> tuple[SideInfo, CompressedRows] | None:
        """What the link of one side may use, and the matrix F of its rows; None where that is nothing."""
        attributes = None if table is None or not self.features else Features.learned(table)
        if attributes is not None and attributes.n_features == 0:
            attributes = None
        info = SideInfo(n_others if self.history else 0, attributes).learned_from(table)
        if info.n_features == 0:
            return None
        return info, info.matrix(rows, None if info.encoded is None else info.encoded[1])


def _usual_factors(ratings: Ratings) -> int:
    return 31 if len(ratings) >= MANY_RATINGS else 15
