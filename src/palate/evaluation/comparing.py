"""Comparing: every fitting recipe on the same ratings, by quality, time, memory and size."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from palate.answers.arguments import check_seed, check_whole
from palate.data.ratings import Ratings
from palate.errors import DataError, OptionError, PalateError
from palate.evaluation.comparison import Comparison, Entry, told
from palate.evaluation.evaluating import check_attribute, evaluate
from palate.evaluation.lists import attribute_sets
from palate.evaluation.matching import check_type
from palate.evaluation.measuring import Cost, saved_size
from palate.evaluation.rankings import KS, check_ks, main_measure
from palate.evaluation.resampling import N_BOOTSTRAP
from palate.recipes import RECIPES
from palate.recipes.base import Recipe
from palate.recipes.monitor import Progress

Recipes = Mapping[str, Recipe] | Iterable[Recipe | str]


def compare(
    train: Ratings,
    test: Ratings,
    recipes: Recipes | None = None,
    *,
    k: int | Sequence[int] = KS,
    attribute: str | None = None,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
    progress: Progress = "auto",
    callback: Callable[[Entry], None] | None = None,
) -> Comparison:
    """Fit several recipes on `train`, measure them on `test`: quality with intervals, seconds, memory, size of file.

    recipes: a list of recipes or of their names, or a mapping {name: recipe}; by default every recipe that learns from
    ratings of this kind, with its defaults, and Neighbors(by="users") under the name "Neighbors(by='users')". k,
    attribute, n_bootstrap and seed as in evaluate(). A recipe that fails becomes an entry that says why; the others go
    on. progress: lines on standard error ("auto": when it is a terminal). callback: called with each Entry as it comes.
    Ctrl-C during a fit ends that fit alone.

    seconds are those of fit(). memory is how far the resident memory of this process rose during fit(), the ratings not
    counted (Linux; None elsewhere). Raises OptionError for recipes that are none and for test ratings of another kind.

    >>> import palate
    >>> likes = palate.datasets.synthetic(60, 40, 1200, seed=1).likes(at_least=4)
    >>> train, test = palate.split_within_users(likes, test=0.2, seed=0)
    >>> comparison = palate.compare(train, test, ["Popularity", palate.ImplicitALS(n_factors=4)])
    >>> comparison["Popularity"].report["ndcg@10"] > 0
    True
    """
    check_whole("n_bootstrap", n_bootstrap, least=1)
    check_seed(seed)
    ks = check_ks(k)
    _check_parts(train, test, attribute)
    named = named_recipes(recipes, train)
    show = sys.stderr.isatty() if progress == "auto" else progress
    options: dict[str, Any] = {"k": ks, "attribute": attribute, "n_bootstrap": n_bootstrap, "seed": seed}
    measure = main_measure(ks) if train.is_implicit else "rmse"
    entries: list[Entry] = []
    for name, recipe in named.items():
        entry = _attempt(name, recipe, train, test, options, progress)
        entries.append(entry)
        if show:
            print(f"{len(entries)} of {len(named)}: {told(entry, measure)}", file=sys.stderr)  # noqa: T201
        if callback is not None:
            callback(entry)
    return Comparison.of(entries, train, test, ks, n_bootstrap, seed)


def _check_parts(train: Ratings, test: Ratings, attribute: str | None) -> None:
    """OptionError or DataError for ratings that nothing can be fitted to, or measured on."""
    for name, part in (("train", train), ("test", test)):
        check_type(name, part, Ratings, "what palate.read() or a split returns")
        if len(part) == 0:
            raise DataError(f"{name} has no ratings to compare recipes by.")
    if train.kind != test.kind:
        raise OptionError(f"train has {train.kind} ratings and test {test.kind} ones; split both from the same.")
    check_attribute(test, attribute)
    if attribute is not None:
        attribute_sets(train.item_table, attribute)  # whether there is such a column


def fitting(ratings: Ratings) -> list[Recipe]:
    """Every recipe that learns from ratings of this kind and predicts what is measured, baselines first."""
    kinds = [kind for kind in RECIPES.values() if ratings.kind in kind.kinds]
    kinds = [kind for kind in kinds if ratings.is_implicit or kind.predicts_ratings]
    return [recipe for kind in kinds[::-1] for recipe in kind.defaults()]


def named_recipes(recipes: Recipes | None, ratings: Ratings) -> dict[str, Recipe]:
    """Recipes by the names that they have in the table; OptionError for what is no recipe, or twice the same."""
    if recipes is None:
        recipes = fitting(ratings)
    if isinstance(recipes, Mapping):
        named = {str(name): _recipe_of(recipe) for name, recipe in recipes.items()}
    elif isinstance(recipes, Recipe | str) or not isinstance(recipes, Iterable):
        raise OptionError(f"recipes must be a list of recipes, or a mapping of names to them, not {recipes!r}.")
    else:
        listed = [_recipe_of(recipe) for recipe in recipes]
        named = {recipe.label().removesuffix("()"): recipe for recipe in listed}
        if len(named) < len(listed):
            raise OptionError("recipes has one twice; leave it out, or give a mapping {name: recipe}.")
    if not named:
        raise OptionError("recipes is empty; give at least one, such as palate.Bayes().")
    return named


def _recipe_of(given: Any) -> Recipe:
    if isinstance(given, Recipe):
        return given
    known = {name.lower(): recipe for name, recipe in RECIPES.items()}
    if isinstance(given, str) and given.lower() in known:
        return known[given.lower()]()
    raise OptionError(f"{given!r} is no recipe; give recipes such as palate.Bayes(), or names: {', '.join(RECIPES)}.")


def _attempt(
    name: str, recipe: Recipe, train: Ratings, test: Ratings, options: Mapping[str, Any], progress: Progress
) -> Entry:
    """What one recipe makes of the ratings, or why it cannot."""
    label = recipe.label()
    try:
        with Cost() as cost:
            recommender = recipe.fit(train[:], progress=progress)  # which groups the ratings anew, as a first fit does
        report = evaluate(recommender, test, baselines=False, **options)
        size = saved_size(recommender)
    except MemoryError:
        return Entry(name, label, failed="not enough memory for this.")
    except PalateError as error:
        return Entry(name, label, failed=str(error))
    except Exception as error:  # one recipe's bug is no reason to lose what the others have found
        return Entry(name, label, failed=f"{type(error).__name__}: {error}")
    return Entry(name, label, report, cost.seconds, cost.memory, size)
