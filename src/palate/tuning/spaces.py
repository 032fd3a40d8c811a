"""Where to look for options, and what to try next there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from palate.data.ratings import Ratings
from palate.errors import OptionError
from palate.recipes.base import Recipe
from palate.tuning.results import Trial, sign

# Where to look, by recipe: (lowest, highest) of a number, sought on a logarithmic scale, or a list of choices.
SPACES: dict[str, dict[str, Any]] = {
    "ImplicitALS": {
        "n_factors": [16, 32, 64, 96, 128],
        "weight_decay": (0.001, 0.1),
        "unobserved_weight": (0.01, 1.0),
        "confidence": ["relative", "equal"],
    },
    "EASE": {
        "weight_decay": (10.0, 10_000.0),
        "dropout": [0.0, 0.2, 0.33, 0.5],
        "user_exponent": [0.0, 0.25, 0.5, 0.75],
        "item_exponent": [0.0, 0.05, 0.1, 0.2],
        "confidence": ["relative", "equal"],
    },
    "Neighbors": {"k": (5, 1000), "shrinkage": (0.1, 1000.0)},
    "BPR": {"n_factors": [31, 63, 127], "lr": (0.02, 0.5), "weight_decay": (0.002, 0.1)},
    "ALS": {
        "n_factors": [7, 15, 31, 63],
        "weight_decay": (0.05, 20.0),
        "count_exponent": [0.0, 0.25, 0.5, 0.75, 1.0],
    },
    "SGD": {"n_factors": [10, 25, 50, 100], "weight_decay": (0.005, 0.3)},
    "Bayes": {"n_factors": [7, 15, 31, 47], "history": [True, False]},
    "Bias": {"weight_decay": (0.1, 100.0)},
}
STARTUP = 9  # trials before proposals are more than random


def space_of(recipe: Recipe, train: Ratings, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Where to look, checked; OptionError for a recipe without options to tune, and for what is no space."""
    name, options = type(recipe).__name__, recipe.options()
    space = dict(SPACES.get(name, {}) if given is None else given)
    if given is None and train.weights is None:
        space.pop("confidence", None)
    if not space:
        tunable = ", ".join(SPACES)
        raise OptionError(f"{name} has nothing to tune here; give space=, or one of the recipes {tunable}.")
    for option, where in space.items():
        if option not in options:
            raise OptionError(f"{name} has no option {option!r}; there are {', '.join(options)}.")
        if not _is_range(where) and not (isinstance(where, list) and where):
            raise OptionError(
                f"space[{option!r}]={where!r}: give (lowest, highest), both above 0, or a list of choices."
            )
    return space


def _is_range(where: Any) -> bool:
    if not isinstance(where, tuple) or len(where) != 2:
        return False
    return all(isinstance(end, int | float) and not isinstance(end, bool) for end in where) and 0 < where[0] < where[1]


def optuna_module() -> Any:
    """Optuna, which only palate[tune] installs; OptionError without."""
    try:
        return import_module("optuna")
    except ImportError:
        raise OptionError("palate.tune needs Optuna: pip install 'palate[tune]'.") from None


def proposals(
    space: Mapping[str, Any], past: Sequence[Trial], n: int, metric: str, seed: tuple[int, int]
) -> list[dict[str, Any]]:
    """Options to try next, n of them, from what came of those before; the same for the same seed."""
    optuna = optuna_module()
    distributions = {name: _distribution(optuna, where) for name, where in space.items()}
    number = int(np.random.SeedSequence(seed).generate_state(1)[0])
    told = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        sampler = optuna.samplers.TPESampler(seed=number, n_startup_trials=STARTUP)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for trial in past:
            if trial.value is not None and set(trial.params) == set(space):
                value = sign(metric) * trial.value
                study.add_trial(
                    optuna.trial.create_trial(params=trial.params, distributions=distributions, value=value)
                )
        return [dict(study.ask(distributions).params) for _ in range(n)]
    finally:
        optuna.logging.set_verbosity(told)


def _distribution(optuna: Any, where: Any) -> Any:
    if isinstance(where, list):
        return optuna.distributions.CategoricalDistribution(where)
    whole = all(isinstance(end, int) for end in where)
    kind = optuna.distributions.IntDistribution if whole else optuna.distributions.FloatDistribution
    return kind(*where, log=True)
