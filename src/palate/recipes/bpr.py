"""BPR: learning to rank from implicit feedback, by stochastic gradient descent, compiled.

Each choice is set against items that the user did not choose, its negatives: one, by a pairwise loss, or many, by a
sampled softmax. `Training` holds the state of a training and makes an epoch of it; `PairGrid` says in which order
choices are visited and where their negatives come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from palate.data.ratings import Kind, Ratings
from palate.errors import OptionError
from palate.kernels import descend_pairs, descend_softmax
from palate.models.factors import Prior
from palate.models.pairwise import LOSSES, PairwiseFactors
from palate.options import (
    MAX_SEED,
    check_choice,
    check_not_negative,
    check_positive,
    check_seed,
    check_whole,
)
from palate.recipes.base import Recipe, Trained
from palate.recipes.gradient_descent import FACTORS_START, learning_rates, random_table
from palate.recipes.monitor import Monitor
from palate.recipes.pair_grid import Choices, PairGrid

START = 0.3  # standard deviation of the products p . q at the start
MAX_CANDIDATES = 1024
MAX_NEGATIVES = 4096

# What an option that is not given is, by loss.
LR = {"bpr": 0.2, "softmax": 0.1, "cosine": 0.5}
WEIGHT_DECAY = {"bpr": 0.018, "softmax": 0.1, "cosine": 0.0}
FEW_ITEMS = 3000  # up to which cosines have a temperature of 0.2


@dataclass(frozen=True)
class Given:
    """The options of BPR that depend on its loss."""

    lr: float
    weight_decay: float
    temperature: float

    @classmethod
    def of(cls, recipe: BPR, n_items: int = FEW_ITEMS) -> Given:
        """Those of a recipe; what is None gets the default of its loss, the temperature by the number of items."""
        loss = recipe.loss
        usual = 0.2 * (FEW_ITEMS / max(n_items, FEW_ITEMS)) ** 0.25 if loss == "cosine" else 1.0
        return cls(
            LR[loss] if recipe.lr is None else recipe.lr,
            WEIGHT_DECAY[loss] if recipe.weight_decay is None else recipe.weight_decay,
            usual if recipe.temperature is None else recipe.temperature,
        )


@dataclass(frozen=True)
class BPR(Recipe):
    """Matrix factorization that learns to rank, for implicit feedback: BPR, or many negatives for each choice.

    With x_ui = p_u . q_i + b_i, each choice i of a user u takes a step of size lr against the gradient of a loss:

    - "bpr" (Bayesian personalized ranking): -ln sigmoid(x_ui - x_uj), where the negative j is an item that u did not
      choose: the one with the highest score among n_candidates sampled ones.
    - "softmax": -T ln(e^(x_ui / T) / (e^(x_ui / T) + n / m sum_j e^(x_uj / T))), over m sampled negatives j, where T is
      the temperature and n the number of items that u did not choose.
    - "cosine": the same, where all p_u and q_i have length 1, so that p_u . q_i is a cosine.

    To the first two is added weight_decay (|p_u|^2 + |q_i|^2 + b_i^2 + |q_j|^2 + b_j^2), for many negatives their mean.
    The learning rate rises for a quarter of the epochs and then falls to 0. Counts of choices are ignored, except
    that a choice of weight 0 is left out, and so is their order: there is no recency, and recommend() refuses recent=.

    predict() gives the score, which only ranks. fold_in() finds the vector of a new user that minimises the loss; items
    cannot be folded in. explain() shares out a score among the user's choices: exactly for fold-in users, and
    approximately, with a rest, for trained users.

    Parameters:
        loss ("bpr", "softmax" or "cosine", default "bpr"): What a step lowers. "cosine" is the best of them where there
            are thousands of items, and takes longer.
        n_factors (int, default 63): Latent factors, 1 or more.
        n_epochs (int, default 40): Passes over the choices, 1 or more. "softmax" is often better after 20.
        lr (float or None, default None): The highest learning rate, above 0. None: 0.2 for "bpr", 0.1 for "softmax",
            0.5 for "cosine".
        weight_decay (float or None, default None): Regularisation, 0 or more, applied in each step to its rows. None:
            0.018 for "bpr", 0.1 for "softmax". "cosine" has none.
        popularity_exponent (float, default 0.0): "bpr": candidates are sampled with a probability in proportion to
            (number of choices of the item)^popularity_exponent, 0 or more. 0: uniformly. 1: by popularity.
        n_candidates (int, default 4): "bpr": candidates per step, of which the one with the highest score is the
            negative; 1 to 1024. 1 is BPR as published, which often does better with less weight decay.
        n_negatives (int, default 256): "softmax" and "cosine": negatives of a step, which 32 choices share; 1 to 4096.
        temperature (float or None, default None): "softmax" and "cosine": what scores are divided by, above 0. The
            lower it is, the more the negatives of the highest scores count. None: 1 for "softmax"; for "cosine" 0.2 up
            to 3000 items, and less with more, by the fourth root of their number: 0.1 for 48,000.
        seed (int, default 0): Seed of all random numbers, 0 to 2^64 - 1. The same seed gives the same bytes on the same
            machine, at any n_threads.
        n_threads (int, default 0): Threads to use, 0 or more; 0: all cores.

    Raises:
        OptionError: An option is out of its range. fit() raises it if the training diverges (lr is too large).
        DataError: fit() raises it if every choice has weight 0.

    Source:
        Rendle, Freudenthaler, Gantner & Schmidt-Thieme (2009), BPR: Bayesian Personalized Ranking from Implicit
        Feedback, section 4; Zhang, Chen, Wang & Yu (2013), Optimizing Top-N Collaborative Filtering via Dynamic
        Negative Item Sampling (n_candidates); Wu, Wang, Gao, Chen, Fu & Qiu (2024), On the Effectiveness of Sampled
        Softmax Loss for Item Recommendation.

    Example:
        >>> import palate
        >>> likes = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1).likes(at_least=4)
        >>> palate.BPR(n_factors=8).fit(likes).recommend("u1", n=3).columns
        ['user', 'item', 'score', 'rank']
    """

    predicts_ratings: ClassVar[bool] = False
    kinds: ClassVar[tuple[Kind, ...]] = ("implicit",)
    unit: ClassVar[str] = "epoch"

    loss: Literal["bpr", "softmax", "cosine"] = "bpr"
    n_factors: int = 63
    n_epochs: int = 40
    lr: float | None = None
    weight_decay: float | None = None
    popularity_exponent: float = 0.0
    n_candidates: int = 4
    n_negatives: int = 256
    temperature: float | None = None
    seed: int = 0
    n_threads: int = 0

    def __post_init__(self) -> None:
        check_choice("loss", self.loss, LOSSES)
        check_whole(1, n_factors=self.n_factors, n_epochs=self.n_epochs)
        check_whole(1, MAX_CANDIDATES, n_candidates=self.n_candidates)
        check_whole(1, MAX_NEGATIVES, n_negatives=self.n_negatives)
        check_whole(n_threads=self.n_threads)
        check_seed(self.seed, MAX_SEED)
        given = Given.of(self)
        check_positive(lr=given.lr, temperature=given.temperature)
        check_not_negative(weight_decay=given.weight_decay, popularity_exponent=self.popularity_exponent)

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        rng = np.random.Generator(np.random.Philox(self.seed))
        training = Training(self, Choices.of(ratings), rng)
        try:
            for epoch in range(self.n_epochs):
                loss = training.epoch(epoch, rng)
                if monitor.after_sweep(self.n_epochs, loss):
                    break
        except KeyboardInterrupt:
            monitor.interrupted()
        return Trained(training.factors())


class Training:
    """The state of a training: the tables that the kernel changes in place, and the choices in the order of its visits.

    A row of the users' table holds [p, zeros, 1], a row of the items' table [q, zeros, b]; the zeros are padding. With
    cosines p and q have length 1.
    """

    def __init__(self, recipe: BPR, choices: Choices, rng: np.random.Generator) -> None:
        self.recipe, self.choices, self.given = recipe, choices, Given.of(recipe, choices.n_items)
        self.grid = PairGrid.of(choices, recipe.popularity_exponent, rng)
        self.users = random_table(np.diff(choices.indptr), recipe.n_factors, rng, n_more=1)
        self.items = random_table(choices.negative_mass(recipe.popularity_exponent), recipe.n_factors, rng, n_more=1)
        for table in (self.users, self.items):
            if recipe.loss == "cosine":
                table /= np.maximum(np.linalg.norm(table, axis=1, keepdims=True), np.float32(1e-20))
            else:
                table *= np.float32(START / FACTORS_START / np.sqrt(recipe.n_factors))
        self.users[:, -1] = 1
        self.user_codes = choices.user_codes[self.grid.order]
        self.item_codes = choices.item_codes[self.grid.order]

    def epoch(self, number: int, rng: np.random.Generator) -> float:
        """Visit every choice once. Return the mean of its loss, just before its step and without weight decay."""
        recipe, grid = self.recipe, self.grid
        epochs = number + np.arange(grid.side) / grid.side
        descend, options = self._kernel()
        loss, steps = descend(
            self.users,
            self.items,
            self.user_codes,
            self.item_codes,
            self.choices.indptr,
            self.choices.item_codes,
            grid.cells,
            grid.strata(rng),
            learning_rates("one-cycle", self.given.lr, epochs, recipe.n_epochs),
            blocks=grid.blocks,
            block_items=grid.block_items,
            weight_decay=self.given.weight_decay,
            seed=recipe.seed,
            epoch=number,
            n_threads=recipe.n_threads,
            **options,
        )
        if not np.isfinite(loss):
            raise OptionError(
                f"{recipe.label()} diverged in epoch {number + 1}: give a smaller lr than {self.given.lr:g}."
            )
        return loss / max(steps, 1)

    def _kernel(self) -> tuple[Callable[..., tuple[float, int]], dict[str, Any]]:
        """The kernel of the loss, and its own options."""
        recipe, grid = self.recipe, self.grid
        if recipe.loss == "bpr":
            tables = {"own": grid.own, "accept": grid.accept, "alias": grid.alias}
            return descend_pairs, {"n_candidates": recipe.n_candidates, **tables}
        is_cosine = recipe.loss == "cosine"
        options = {"n_negatives": recipe.n_negatives, "temperature": self.given.temperature, "cosine": is_cosine}
        return descend_softmax, options

    def factors(self) -> PairwiseFactors:
        """The factors so far."""
        k, recipe = self.recipe.n_factors, self.recipe
        users, items = (np.ascontiguousarray(table[:, [*range(k), -1]]) for table in (self.users, self.items))
        users[:, -1] = 0
        prior = Prior.flat(k + 1, ridge=max(self.given.weight_decay, 1e-6), count_exponent=1.0)
        return PairwiseFactors(
            0.0, users, items, prior, prior,
            n_candidates=recipe.n_candidates, loss=recipe.loss, temperature=self.given.temperature,
        )  # fmt: skip
