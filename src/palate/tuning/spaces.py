"""Search spaces: which values of which options to try, and what to try next."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from palate.data.ratings import Ratings
from palate.errors import OptionError
from palate.recipes import Blend
from palate.recipes.base import Recipe
from palate.tuning.results import Trial, sign

# By recipe and option: (lowest, highest) of a number, searched on a logarithmic scale, or a list of choices.
SPACES: dict[str, dict[str, Any]] = {
    "ImplicitALS": {
        "n_factors": [16, 32, 64, 128, 256],
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
    "SparseEASE": {
        "k": (20, 500),
        "weight_decay": (5.0, 500.0),
        "user_exponent": [0.0, 0.25, 0.5, 0.75, 1.0],
        "item_exponent": [-0.1, 0.0, 0.1, 0.2],
        "confidence": ["relative", "equal"],
    },
    "Sequence": {
        "recency": (0.5, 64.0),
        "weight_decay": (10.0, 3000.0),
        "similarity": [0.0, 0.03, 0.1, 0.3, 1.0],
        "dropout": [0.0, 0.2, 0.33, 0.5],
    },
    "Blend": {},  # those of its parts: space_of_parts()
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
N_RANDOM = 9  # trials before proposals follow the estimator


def space_of(recipe: Recipe, train: Ratings, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the checked search space; raise OptionError for a recipe without one, and for an invalid space."""
    name, options = type(recipe).__name__, recipe.options()
    space = dict(
        (space_of_parts(recipe) if isinstance(recipe, Blend) else SPACES.get(name, {})) if given is None else given
    )
    if given is None and train.weights is None:
        space = {option: values for option, values in space.items() if option.rpartition(".")[2] != "confidence"}
    if not space:
        tunable = ", ".join(SPACES)
        raise OptionError(f"{name} has nothing to tune here; give space=, or one of the recipes {tunable}.")
    for option, values in space.items():
        is_of_part = isinstance(recipe, Blend) and "." in option
        if option not in options and not is_of_part:
            raise OptionError(f"{name} has no option {option!r}; there are {', '.join(options)}.")
        if not _is_range(values) and not (isinstance(values, list) and values):
            raise OptionError(
                f"space[{option!r}]={values!r}: give (lowest, highest), both above 0, or a list of choices."
            )
        if is_of_part:
            recipe.with_options({option: values[0]})  # raises OptionError for an option of no part
    return space


def space_of_parts(blend: Blend) -> dict[str, Any]:
    """Return the options of the parts of a blend as "EASE.dropout", without weight decays: each fit chooses these."""
    return {
        f"{name}.{option}": values
        for name, part in blend.recipes.items()
        for option, values in SPACES.get(type(part).__name__, {}).items()
        if option != "weight_decay" or part.options()["weight_decay"] is not None
    }


def _is_range(values: Any) -> bool:
    if not isinstance(values, tuple) or len(values) != 2:
        return False
    are_numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in values)
    return are_numbers and 0 < values[0] < values[1]


def optuna_module() -> Any:
    """Return the module optuna; raise OptionError if it is not installed."""
    try:
        with warnings.catch_warnings():  # in a notebook, its tqdm asks for ipywidgets, which nothing here needs
            warnings.filterwarnings("ignore", "IProgress not found")
            return import_module("optuna")
    except ImportError:
        raise OptionError("palate.tune needs Optuna: pip install 'palate[tune]'.") from None


def proposals(
    space: Mapping[str, Any], past: Sequence[Trial], n: int, metric: str, seed: tuple[int, int]
) -> list[dict[str, Any]]:
    """Return n sets of options to try next, given the past trials; deterministic given the seed."""
    optuna = optuna_module()
    distributions = {name: _distribution(optuna, values) for name, values in space.items()}
    number = int(np.random.SeedSequence(seed).generate_state(1)[0])
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        sampler = optuna.samplers.TPESampler(seed=number, n_startup_trials=N_RANDOM)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for trial in past:
            if trial.value is not None and set(trial.params) == set(space):
                value = sign(metric) * trial.value
                study.add_trial(
                    optuna.trial.create_trial(params=trial.params, distributions=distributions, value=value)
                )
        return [dict(study.ask(distributions).params) for _ in range(n)]
    finally:
        optuna.logging.set_verbosity(verbosity)


def _distribution(optuna: Any, values: Any) -> Any:
    if isinstance(values, list):
        return optuna.distributions.CategoricalDistribution(values)
    whole = all(isinstance(end, int) for end in values)
    kind = optuna.distributions.IntDistribution if whole else optuna.distributions.FloatDistribution
    return kind(*values, log=True)
