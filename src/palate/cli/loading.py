"""What a command is given to learn from: ratings by file or by name, a recipe by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.cli.options import for_read
from palate.cli.printing import note
from palate.errors import OptionError

if TYPE_CHECKING:
    from palate.data.ratings import Kind, Ratings
    from palate.recipes.base import Recipe
    from palate.recommender import Recommender

RECIPES = ("Bayes", "ALS", "SGD", "Bias", "Mean", "ImplicitALS", "EASE", "Neighbors", "BPR", "Popularity")
TUNABLE = (
    "Bayes",
    "ALS",
    "SGD",
    "Bias",
    "ImplicitALS",
    "EASE",
    "Neighbors",
    "BPR",
)  # those palate.tune knows where to look for


def is_data_set(data: str) -> bool:
    """Whether this is the name of a data set and not a file."""
    from palate.data.datasets import available

    return any(known.name == data for known in available()) and not Path(data).is_file()


def load_model(model: Path) -> Recommender:
    """A saved model."""
    from palate.recommender import load

    return load(model)


def read_ratings(data: str, reading: dict[str, Any], kind: Kind | None = None) -> Ratings:
    """Ratings of a file, or of a data set by name; rows left out and duplicates are told on standard error.

    kind: of the model that asks for them, which is what they are where neither --kind nor --likes says it.
    """
    options = {name: value for name, value in reading.items() if name != "likes"}
    likes = reading.get("likes")
    if likes is None:
        options = {"kind": kind, **options} if kind == "implicit" else options
    ratings = _data_set(data, options) if is_data_set(data) else _file(data, options)
    if not is_data_set(data) and likes is None and kind is None and "kind" not in options:
        _rating_variance(ratings)
    return ratings if likes is None else ratings.likes(likes)


def _file(data: str, reading: dict[str, Any]) -> Ratings:
    from palate.data.reading import read

    ratings = read(data, **for_read(reading))
    if not ratings.report.is_clean:
        note(str(ratings.report))
    return ratings


def _rating_variance(ratings: Ratings) -> None:
    """A note where numbers that nobody named look like counts."""
    from palate.data.findings import look_like_counts

    if look_like_counts(ratings):
        low, high = ratings.range
        note(
            f"ratings from {low:g} to {high:g} with a long tail: if they say how often, pass --kind implicit; if they "
            "are ratings, --kind explicit says so."
        )


def _data_set(name: str, reading: dict[str, Any]) -> Ratings:
    from palate.data.datasets import load

    if reading:
        given = ", ".join(f"--{option.replace('_', '-')}" for option in reading)
        raise OptionError(f"{name} is a data set palate reads by itself; leave out {given}.")
    return load(name)


def hold_out(ratings: Ratings, test: float, seed: int) -> tuple[Ratings, Ratings]:
    """(train, test): a share of the ratings, or of each user's choices where that is all that is known."""
    from palate.data.splitting import split_random, split_within_users

    split = split_within_users if ratings.is_implicit else split_random
    return split(ratings, test=test, seed=seed)


def make_recipe(name: str, options: dict[str, Any]) -> Recipe:
    """A recipe from its name and the options given; OptionError for one that the recipe does not have."""
    from dataclasses import fields

    from palate import recipes
    from palate.cli.options import FIT_OPTIONS, for_recipe, typed

    options = for_recipe(options)
    known = {recipe.lower(): recipe for recipe in RECIPES}
    if name.lower() not in known:
        raise OptionError(f"there is no recipe {name!r}; there are {', '.join(RECIPES)}.")
    recipe: type[Recipe] = getattr(recipes, known[name.lower()])
    taken = {field.name for field in fields(recipe)}
    ignored = [typed(option) for option in options if option not in taken | {"seed"}]
    if ignored:
        has = ", ".join(map(typed, sorted(taken & set(for_recipe(FIT_OPTIONS))))) or "none"
        raise OptionError(f"{recipe.__name__} has no {', '.join(ignored)}; its options: {has}.")
    return recipe(**{option: value for option, value in options.items() if option in taken})


def default_recipe(reading: dict[str, Any]) -> str:
    """The recipe for ratings that are read in this way, where none is named."""
    return "ImplicitALS" if reading.get("kind") == "implicit" or "likes" in reading else "Bayes"


def check_kind(recipe: Recipe, ratings: Ratings) -> None:
    """OptionError, in the words of the command line, for ratings of a kind that the recipe does not learn from."""
    name = type(recipe).__name__
    if ratings.kind in recipe.kinds:
        return
    if ratings.is_implicit:
        raise OptionError(
            f"{name} learns how high people rate, and these only say who chose what: --recipe ImplicitALS."
        )
    raise OptionError(
        f"{name} learns from who chose what, and these are ratings: --likes 4 takes those of 4 or more as likes, and "
        "--kind implicit the numbers as counts."
    )


def check_test(recipe: Recipe, test: float, held_out: Ratings) -> None:
    """OptionError, before the work, when there will be nothing to report on what was held out."""
    if not recipe.predicts_ratings and not held_out.is_implicit:
        raise OptionError(f"{type(recipe).__name__} ranks items and predicts no ratings; leave out --test.")
    check_held_out(test, held_out)


def check_held_out(test: float, held_out: Ratings) -> None:
    """OptionError where not a single rating is held out."""
    if len(held_out) == 0:
        raise OptionError(f"--test {test:g} holds out not a single rating; give a larger share, or leave it out.")
