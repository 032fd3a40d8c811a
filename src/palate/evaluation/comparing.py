"""compare(): fit several recipes on the same ratings, and set their quality, time, memory and size side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from palate.data.ratings import Ratings
from palate.errors import DataError, OptionError, PalateError
from palate.evaluation.budget import Budget, drawn
from palate.evaluation.comparison import Comparison, Entry
from palate.evaluation.cost import Cost, saved_size
from palate.evaluation.differences import difference_by_user
from palate.evaluation.evaluating import check_attribute, evaluate, ks_of
from palate.evaluation.hindsight import n_older_than_train
from palate.evaluation.list_metrics import attribute_sets
from palate.evaluation.matching import check_type
from palate.evaluation.next_items import check_next_item
from palate.evaluation.resampling import N_BOOTSTRAP, Resample
from palate.evaluation.user_measures import main_measure
from palate.options import check_seed, check_whole
from palate.recipes import RECIPES
from palate.recipes.base import Recipe
from palate.showing.live import Lines, Progress

Recipes = Mapping[str, Recipe] | Iterable[Recipe | str]
SECONDS = 1800.0  # that a comparison may take, if nothing else is said


def compare(
    train: Ratings,
    test: Ratings,
    recipes: Recipes | None = None,
    *,
    k: int | Sequence[int] | None = None,
    next_item: bool = False,
    attribute: str | None = None,
    seconds: float | None = SECONDS,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
    progress: Progress = "auto",
    callback: Callable[[Entry], None] | None = None,
) -> Comparison:
    """Fit several recipes on `train` and measure them on `test`: quality with intervals, seconds, memory, file size.

    A recipe that fails becomes an entry with its error, and the comparison goes on. Ctrl-C during a fit ends that fit
    only; what it has learned is measured.

    The comparison ends in bounded time on ratings of any size. With more than 400,000 training ratings it first
    estimates how long each fit takes, in no more than a quarter of the time: most recipes by fits to small samples.
    Recipes that there is no time for, or no memory, become entries with the reason; the quickest go first. Lists of
    implicit test ratings with more than 2,000,000,000 pairs of a user and an item are measured on some of the test
    users, drawn at random.

    Parameters:
        train (Ratings): What the recipes learn from.
        test (Ratings): Held-out ratings of the same kind; at least one.
        recipes (list of Recipe or str, mapping of str to Recipe, or None, default None): Recipes, their names, or a
            mapping from names of your choice to recipes. None compares every recipe that learns from ratings of this
            kind, with default options, and also Neighbors(by="users").
        k (int or sequence of int or None, default None): List lengths to measure at, between 1 and 2**20; None: 5, 10,
            20 and 100, and with next_item=True 1, 5, 10 and 20. Only for implicit ratings.
        next_item (bool, default False): Compare by what users choose next, as palate.evaluate measures it: recipes that
            know the order of events and recipes that do not, side by side. Split with palate.split_last or split_time.
        attribute (str or None, default None): A column of the item table by which the diversity of lists is measured
            too. Only for implicit ratings.
        seconds (float or None, default 1800.0): How long the comparison may take, above 0; a fit that was estimated too
            short is not stopped. None: all recipes are compared, on all test users, however long it takes.
        n_bootstrap (int, default 1000): The number of bootstrap resamplings of users; 1 or more.
        seed (int, default 0): Seed of the bootstrap; 0 or more.
        progress (bool or "auto", default "auto"): Show a line for each recipe, and a progress line during fits, on
            standard error or in the notebook; "auto" shows them on a terminal and in a notebook.
        callback (callable or None, default None): Called with each Entry when it is ready.

    Returns:
        Comparison: One entry for each recipe, the best first.

    Raises:
        DataError: `train` or `test` is empty.
        OptionError: An option is out of range, `recipes` holds something else than recipes or the same one twice, or
            `train` and `test` are of different kinds.

    Example:
        >>> import palate
        >>> likes = palate.datasets.synthetic(60, 40, 1200, seed=1).likes(at_least=4)
        >>> train, test = palate.split_within_users(likes, test=0.2, seed=0)
        >>> comparison = palate.compare(train, test, ["Popularity", palate.ImplicitALS(n_factors=4)])
        >>> comparison["Popularity"].report["ndcg@10"] > 0
        True
    """
    check_whole(1, n_bootstrap=n_bootstrap)
    check_seed(seed)
    ks = ks_of(k, next_item=next_item)
    _check_parts(train, test, attribute)
    if next_item:
        check_next_item(test, attribute=attribute)
    named = named_recipes(recipes, train)
    options: dict[str, Any] = {"k": ks, "next_item": next_item, "attribute": attribute}
    options |= {"n_bootstrap": n_bootstrap, "seed": seed}
    measure = main_measure(ks) if train.is_implicit else "rmse"
    some = test if seconds is None else drawn(test, train.n_items, each_event=next_item)
    n_tested = len(np.unique(some.user_codes))  # users
    n_lists = len(some) if next_item else n_tested if test.is_implicit else 0
    budget, left_out = _budget(seconds, n_lists * train.n_items), {}
    entries: list[Entry] = []
    with Lines(progress) as lines:
        if budget is not None:
            left_out = budget.plan(named, train, lines.hint)
        for name, recipe in named.items():
            reason = left_out.get(name) or ("" if budget is None else budget.has_run_out(name))
            if reason:
                entry = Entry(name, recipe.label(), left_out=reason)
            else:
                entry = _fit_and_measure(name, recipe, train, some, options, progress)
            entries.append(entry)
            lines.say(f"{len(entries)} of {len(named)}: {_entry_line(entry, measure)}")
            if callback is not None:
                callback(entry)
    sign = -1 if train.is_implicit else 1

    def place(entry: Entry) -> tuple[bool, bool, float]:
        return bool(entry.left_out), bool(entry.failed), sign * entry.measure(measure).value

    ordered = sorted(entries, key=place)
    return Comparison(
        entries=tuple(ordered),
        kind=train.kind,
        measure=measure,
        k=ks,
        n_train=len(train),
        n_test=len(some),
        n_users=train.n_users,
        n_items=train.n_items,
        verdict=_verdict(ordered, measure, n_bootstrap, seed),
        read=train.report.reading,
        n_tested=n_tested if len(some) < len(test) else None,
        next_item=next_item,
        n_older=n_older_than_train(train, some),
        frame_kind=train.frame_kind,
    )


def _budget(seconds: float | None, n_scores: int) -> Budget | None:
    """The time of a comparison; None without a limit. Raises OptionError for seconds that are none."""
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float | np.number) or not seconds > 0:
        raise OptionError(f"seconds must be a number above 0, or None, got {seconds!r}.")
    return Budget(float(seconds), n_scores)


def _check_parts(train: Ratings, test: Ratings, attribute: str | None) -> None:
    """Raise DataError or OptionError if recipes cannot be fitted to `train` or measured on `test`."""
    for name, part in (("train", train), ("test", test)):
        check_type(name, part, Ratings, "as palate.read() or a split returns")
        if len(part) == 0:
            raise DataError(f"{name} has no ratings to compare recipes by.")
    if train.kind != test.kind:
        raise OptionError(f"train has {train.kind} ratings and test {test.kind} ones; split both from the same.")
    check_attribute(test, attribute)
    if attribute is not None:
        attribute_sets(train.item_table, attribute)  # raises OptionError if there is no such column


# ---- which recipes


def fitting(ratings: Ratings) -> list[Recipe]:
    """Return every recipe that learns from ratings of this kind and can be measured on them, baselines first."""
    kinds = [kind for kind in RECIPES.values() if ratings.kind in kind.kinds]
    kinds = [kind for kind in kinds if ratings.is_implicit or kind.predicts_ratings]
    return [recipe for kind in kinds[::-1] for recipe in kind.defaults()]


def named_recipes(recipes: Recipes | None, ratings: Ratings) -> dict[str, Recipe]:
    """Return the recipes by their names in the table; raise OptionError for other values, duplicates, or none."""
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
    by_name = {name.lower(): recipe for name, recipe in RECIPES.items()}
    if isinstance(given, str) and given.lower() in by_name:
        return by_name[given.lower()]()
    names = ", ".join(RECIPES)
    if isinstance(given, str):
        raise OptionError(f"there is no recipe {given!r}; there are {names}.")
    raise OptionError(f"{given!r} is not a recipe; give recipes such as palate.Bayes(), or names: {names}.")


# ---- each recipe in turn


def _fit_and_measure(
    name: str, recipe: Recipe, train: Ratings, test: Ratings, options: Mapping[str, Any], progress: Progress
) -> Entry:
    """Return the entry of one recipe, with its report or its error."""
    label = recipe.label()
    try:
        with Cost() as cost:
            recommender = recipe.fit(train[:], progress=progress)  # a copy, so that every fit groups the ratings anew
        report = evaluate(recommender, test, baselines=False, **options)
        size = saved_size(recommender)
    except MemoryError:
        return Entry(name, label, failed="not enough memory for this.")
    except PalateError as error:
        return Entry(name, label, failed=str(error))
    except Exception as error:  # a bug in one recipe must not lose the results of the others
        return Entry(name, label, failed=f"{type(error).__name__}: {error}")
    return Entry(name, label, report, cost.seconds, cost.memory, size)


def _entry_line(entry: Entry, measure: str) -> str:
    """Return an entry as one line of progress."""
    if entry.failed or entry.left_out:
        return f"{entry.name} failed: {entry.failed}" if entry.failed else f"{entry.name} is left out: {entry.left_out}"
    return f"{entry.name}, {measure} {entry.measure(measure)} in {entry.seconds:.2f} s"


# ---- the verdict


def _verdict(ordered: Sequence[Entry], measure: str, n_bootstrap: int, seed: int) -> str:
    """Return which recipe is best, and which others are not significantly worse."""
    ranked = [entry for entry in ordered if entry.report is not None]
    if len(ranked) < 2:
        return ""
    close = [entry.name for entry in ranked[1:] if _is_close(ranked[0], entry, n_bootstrap, seed)]
    found = f"not significantly better than {', '.join(close)}" if close else "significantly better than all others"
    return f"Best by {measure}: {ranked[0].name}, {found} (95% bootstrap)."


def _is_close(best: Entry, other: Entry, n_bootstrap: int, seed: int) -> bool:
    """True if the 95% bootstrap interval of the difference holds 0; both entries are measured on the same users."""
    assert best.report is not None and other.report is not None
    own, others = best.report.per_user, other.report.per_user
    assert own is not None and others is not None
    apart = difference_by_user(own, others, Resample(len(own.sums), n_bootstrap, seed), are_squares=False)
    return apart.low <= 0 <= apart.high
