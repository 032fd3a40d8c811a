"""Bayes: Bayesian probabilistic matrix factorization (Salakhutdinov & Mnih, ICML 2008) by Gibbs sampling.

    r_ui ~ Normal(mean + b_u + c_i + p_u . q_i, 1/alpha),  [p_u, b_u] ~ Normal(m, Lambda^-1),  likewise the items,
    (m, Lambda) ~ Normal-Wishart(m0 = 0, beta0 = 2, W0 = I, nu0 = k)

A fit integrates over weight decay, learning rate and number of epochs instead of tuning them. It starts with a few
sweeps of ALS to the posterior's mode, which reach a good state much sooner than Gibbs sweeps do; then it samples,
leaves out the burn-in, and averages. This file holds the options and the loop; `palate.recipes.gibbs` holds what a
sweep draws and what is kept of the draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from palate.data.blocks import Blocks
from palate.data.blocks.scratch import Scratch
from palate.data.features import Features
from palate.data.plan import distinct_values
from palate.data.ratings import Ratings
from palate.data.rows import CompressedRows
from palate.data.splitting import split_random
from palate.errors import OptionError
from palate.kernels import has_repeats
from palate.models.ordinal import MAX_STEPS
from palate.models.side_information import SideInfo
from palate.options import MAX_SEED, check_choice, check_flags, check_seed, check_whole
from palate.recipes.base import COPIES, RATING_BYTES, Recipe, Trained
from palate.recipes.costs import as_bytes
from palate.recipes.gibbs.averaging import Average, Probe
from palate.recipes.gibbs.by_feature import ByFeature
from palate.recipes.gibbs.chain import Chain
from palate.recipes.gibbs.sizes import Sizes, history_of
from palate.recipes.monitor import Monitor, rmse

if TYPE_CHECKING:
    import polars as pl

BURN_IN = 2  # draws left out before averaging
AUTO_RATINGS, AUTO_SWEEPS = 100_000, 25  # ratings and sweeps by which likelihood="auto" decides, at most
DISTILLED_COPIES = 8  # of vectors, in the mean of the draws while it grows
DISTILLED_RANK = 31  # of the mean of the draws, unless n_factors is larger


@dataclass(frozen=True)
class Bayes(Recipe):
    """Bayesian matrix factorization by Gibbs sampling: nothing to tune, with prediction intervals.

    With factors p and q and biases b and c, x_u = [p_u, b_u], y_i = [q_i, c_i], k = n_factors + 1, and ratings in
    standard deviations from their mean,

        r_ui ~ Normal(b_u + c_i + p_u . q_i, 1 / (alpha g_u))
        x_u ~ Normal(m + F_u beta, Lambda^-1),    (m, Lambda) ~ Normal-Wishart(0, 2, I, k),    likewise the items

    A sweep draws all of these given the ratings. F is the side information of a user or item: its history and its
    attributes. g_u is the precision of the user's ratings. Predictions are posterior means; intervals cover both the
    uncertainty of the score and the noise of ratings, and on a scale of 2 to 20 steps go by the probability of each.

    The model keeps the mean prediction of the draws as factors, and up to n_samples whole draws. Its rank,
    rec.n_factors, is 2 n_factors + 1 but at most 31, or n_factors if that is more.

    Parameters:
        n_factors (int or None, default None): Latent factors of each draw, 1 or more. None: 15, or 31 from 300,000
            ratings on if users and items have 8 or more on average, or 7 if they have fewer than 3.
        n_sweeps (int or None, default None): Gibbs sweeps, 1 or more; the first 2 are burn-in. None: until the
            training error has come to rest and doubling the number of draws would lower the RMSE by less than 0.15
            percent, but at most 200, or fewer (30 at least) where users and items are many and have few ratings each.
        n_samples (int or None, default None): The maximum number of draws to keep, 2 or more. They are evenly spaced
            over the sweeps. Intervals, fold_in() and update() use them. None: 32, or fewer (4 at least) if all of them
            would take more than 16 MB plus 112 bytes a rating.
        history (bool, default True): Use as side information which items a user rated at all, and which users rated an
            item; where there are more than 100 of them, only those with 10 ratings or more.
        features (bool, default True): Use as side information the columns of ratings.user_table and ratings.item_table,
            where there are such tables.
        likelihood ("gaussian", "ordinal" or "auto", default "gaussian"): "gaussian" takes ratings for numbers; where
            they have 2 to 20 different values, it learns at the end how probable each of these is. "ordinal" takes them
            for 2 to 20 ordered steps from the start (ordered probit). "auto" fits both briefly to a part of the ratings
            and takes the one that predicts a held-out tenth of it better.
        time (bool, default False): Also learn effects of time: sessions of a user, days, and items that drift over
            years. The ratings must have times.
        user_noise (bool, default True): Learn for each user how noisy the ratings are. It has no effect with ordinal
            ratings or time=True.
        seed (int, default 0): Seed of all random numbers, 0 to 2^64 - 1. The same seed gives the same bytes on the same
            machine, at any n_threads.
        n_threads (int, default 0): Threads to use, 0 or more; 0: all cores.

    Raises:
        OptionError: An option is out of its range. fit() raises it if time=True and the ratings have no times.
        DataError: fit() raises it if likelihood="ordinal" and the ratings have fewer than 2 or more than 20 different
            values.

    Source:
        Salakhutdinov & Mnih (2008), Bayesian Probabilistic Matrix Factorization using Markov Chain Monte Carlo,
        equations 11 to 14; Simm et al. (2017), Macau: Scalable Bayesian Factorization with High-Dimensional Side
        Information; Albert & Chib (1993), Bayesian Analysis of Binary and Polychotomous Response Data (ordinal
        ratings).

    Example:
        >>> import palate
        >>> ratings = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1)
        >>> rec = palate.Bayes(n_sweeps=20).fit(ratings)
        >>> rec.n_factors
        31
        >>> prediction, low, high = rec.predict("u1", "i2")
        >>> low < prediction < high
        True
    """

    keeps_checkpoints: ClassVar[bool] = True
    leaves_on_disk: ClassVar[bool] = True
    distributes: ClassVar[bool] = True

    n_factors: int | None = None
    n_sweeps: int | None = None
    n_samples: int | None = None
    history: bool = True
    features: bool = True
    likelihood: Literal["gaussian", "ordinal", "auto"] = "gaussian"
    time: bool = False
    user_noise: bool = True
    seed: int = 0
    n_threads: int = 0

    def __post_init__(self) -> None:
        check_whole(1, or_none=True, n_factors=self.n_factors, n_sweeps=self.n_sweeps)
        check_whole(2, or_none=True, n_samples=self.n_samples)
        check_whole(n_threads=self.n_threads)
        check_seed(self.seed, MAX_SEED)
        check_choice("likelihood", self.likelihood, ("gaussian", "ordinal", "auto"))
        check_flags(history=self.history, features=self.features, time=self.time, user_noise=self.user_noise)

    def data_defaults(self, ratings: Ratings) -> dict[str, Any]:
        """Return the n_factors and n_samples that a fit uses if they are None.

        Parameters:
            ratings (Ratings): What a fit would learn from; only numbers of ratings, users and items matter.

        Returns:
            dict: Values of "n_factors" and "n_samples"; without those that are given.

        Example:
            >>> import palate
            >>> palate.Bayes().data_defaults(palate.datasets.synthetic(60, 40, 1200, seed=1))
            {'n_factors': 15, 'n_samples': 32}
        """
        sizes = Sizes.of(ratings)
        n_factors = self.n_factors or sizes.n_factors
        chosen = {"n_factors": n_factors, "n_samples": self.n_samples or sizes.n_samples(n_factors)}
        return {name: value for name, value in chosen.items() if getattr(self, name) is None}

    def side_information(self, ratings: Ratings) -> dict[str, tuple[SideInfo, CompressedRows] | None]:
        """Return the side information that a fit uses: history and attributes, by side.

        Parameters:
            ratings (Ratings): What a fit would learn from, with their tables.

        Returns:
            dict: For "user" and "item", the description of the features and the matrix F of all rows of that side,
                (n_rows, n_features); None if there is no side information.
        """
        found: dict[str, tuple[SideInfo, CompressedRows] | None] = {}
        for side, (rows, n_others, table) in _by_side(ratings).items():
            info = self._side_info(rows, n_others, table)
            design = None if info is None or info.encoded is None else info.encoded[1]
            found[side] = None if info is None else (info, info.matrix(rows, design))
        return found

    def _sides(self, ratings: Ratings) -> Mapping[str, tuple[SideInfo, CompressedRows | ByFeature] | None]:
        """The same for a chain. F of ratings on disk stays there, unless a pair stands twice."""
        scratch, sides = Scratch.of(ratings), _by_side(ratings)
        by_user, n_items, _ = sides["user"]
        if scratch is None or has_repeats(by_user.indptr, by_user.indices, n_items):
            return self.side_information(ratings)
        found: dict[str, tuple[SideInfo, ByFeature] | None] = {}
        for side, other in (("user", "item"), ("item", "user")):
            info, rated = self._side_info(*sides[side]), sides[side][0].counts > 0
            of = None if info is None else ByFeature.of_ratings(info, sides[other][0], rated, scratch)
            found[side] = None if info is None or of is None else (info, of)
        return found

    def bytes_needed(self, ratings: Ratings) -> int:
        """Return about how many bytes of memory a fit needs besides the ratings.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            int: Bytes, most of them of the draws that are kept; those of a fit to Blocks lie on the disk. Effects of
                time and ordinal ratings need memory for every rating, also of Blocks.
        """
        sizes = self.options() | self.data_defaults(ratings)
        rows = 4 * (int(sizes["n_factors"]) + 1) * (ratings.n_users + ratings.n_items)
        is_on_disk = isinstance(ratings, Blocks)
        held = DISTILLED_COPIES if is_on_disk else int(sizes["n_samples"])
        has_targets = self.time or self.likelihood != "gaussian"
        targets = RATING_BYTES * len(ratings) if is_on_disk and has_targets else 0
        return rows * (COPIES + held) + self._rating_bytes(ratings) + targets

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        if self.time and ratings.times is None:
            raise OptionError(
                "time=True needs times, and these ratings have none. "
                'Name the column of times: palate.read(..., time="...").'
            )
        sizes = Sizes.of(ratings)
        n_factors = self.n_factors or sizes.n_factors
        n_samples = self.n_samples or sizes.n_samples(n_factors)
        sides = self._sides(ratings)
        ordinal = self._is_ordinal(ratings)
        if isinstance(ratings, Blocks) and (self.time or ordinal):
            monitor.announce(f"{self.label()} keeps {as_bytes(RATING_BYTES * len(ratings))} of targets in memory.")
        user_noise = self.user_noise and not ordinal and not self.time
        options = {"time": self.time, "ordinal": ordinal, "user_noise": user_noise}
        chain = Chain(ratings, n_factors, self.seed, self.n_threads, sides, **options, on=monitor.on)
        user_info, item_info = (None if side is None else side[0] for side in sides.values())
        del sides  # frees the matrices F, which are as large as the ratings; the chain keeps what it needs of them
        rank = max(n_factors, min(DISTILLED_RANK, 2 * n_factors + 1))
        # So few sweeps are all made. Where a fit may end sooner, the number of draws is not known.
        n_draws = sizes.max_sweeps - BURN_IN if self.n_sweeps is None and sizes.max_sweeps < Probe.MIN_DRAWS else 0
        average = Average(chain, ratings, monitor, rank, n_samples, n_draws)
        state = _State(chain, average)
        is_resumed = monitor.resume(state)
        try:
            if not is_resumed:
                chain.warm_up()
            for number in range(len(monitor.sweeps) + 1, (self.n_sweeps or sizes.max_sweeps) + 1):
                chain.draw_sweep(number)
                if number > BURN_IN:
                    average.add()
                errors = average.valid_rmse(), average.train_rmse()
                if monitor.after_sweep(self.n_sweeps, chain.train_rmse, *errors):
                    break
                if self.n_sweeps is None and average.is_settled():
                    break
                monitor.keep(state)
        except KeyboardInterrupt:
            monitor.interrupted()
        return replace(average.trained(), user_info=user_info, item_info=item_info)

    def _check_on(self, ratings: Ratings) -> None:
        super()._check_on(ratings)
        if self.time or self.likelihood != "gaussian":
            raise OptionError(
                'on= needs likelihood="gaussian" and time=False: the others draw a new target for each rating in each '
                "sweep, and ratings do not travel."
            )

    def _is_ordinal(self, ratings: Ratings) -> bool:
        """True for ordinal ratings. "auto" tries both likelihoods on a held-out tenth of at most about AUTO_RATINGS."""
        if self.likelihood != "auto":
            return self.likelihood == "ordinal"
        if not 2 <= len(distinct_values(ratings.values, MAX_STEPS)) <= MAX_STEPS:
            return False
        sample = ratings
        if len(ratings) > AUTO_RATINGS:  # all ratings of the users with most: they decide in the shortest time
            kept = np.argsort(-ratings.by_user().counts, kind="stable")
            n_users = int(np.searchsorted(np.cumsum(ratings.by_user().counts[kept]), AUTO_RATINGS)) + 1
            sample = ratings[np.isin(ratings.user_codes, kept[:n_users])]
        by_user = sample[np.argsort(sample.user_codes, kind="stable")]  # whatever the order of the ratings
        train, valid = split_random(by_user, test=0.1, seed=self.seed)
        if len(np.unique(train.values)) < 2 or len(valid) == 0:
            return False
        errors = {}
        for likelihood in ("gaussian", "ordinal"):
            short = replace(self, likelihood=likelihood, n_sweeps=AUTO_SWEEPS, n_samples=2, features=False)
            rec = short.fit(train, progress=False)
            predictions, *_ = rec.predict_codes(valid.user_codes, valid.item_codes, when=valid.times)
            errors[likelihood] = rmse(predictions, valid.values, valid.weights)
        return errors["ordinal"] < errors["gaussian"]

    def _side_info(self, rows: CompressedRows, n_others: int, table: pl.DataFrame | None) -> SideInfo | None:
        """The features of one side; None without any."""
        attributes = None if table is None or not self.features else Features.learned(table)
        if attributes is not None and attributes.n_features == 0:
            attributes = None
        history = history_of(rows, n_others) if self.history else SideInfo(0)
        info = replace(history, attributes=attributes).learned_from(table)
        return None if info.n_features == 0 else info


def _by_side(ratings: Ratings) -> dict[str, tuple[CompressedRows, int, pl.DataFrame | None]]:
    """The ratings of each side, how many rows the other side has, and the table."""
    return {
        "user": (ratings.by_user(), ratings.n_items, ratings.user_table),
        "item": (ratings.by_item(), ratings.n_users, ratings.item_table),
    }


@dataclass
class _State:
    """What a fit goes on from."""

    STATE: ClassVar = ("chain", "average")
    chain: Chain
    average: Average
