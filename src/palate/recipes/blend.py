"""Blend: several recipes fitted to the same choices, and a weighted sum of their scores.

A fit makes the model of every part, then the weights: `blend_weights.py` chooses them with hidden choices, for which
every part is fitted once more to what is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from palate.data.ratings import Kind, Ratings
from palate.data.rows import CompressedRows, row_codes
from palate.errors import OptionError
from palate.models.blend import BlendedFactors, BlendPart
from palate.models.factors import Doubles, Factors
from palate.models.history_factors import HistoryFactors
from palate.models.implicit import Confidence, ImplicitFactors
from palate.options import MAX_SEED, check_seed, check_whole
from palate.recipes.base import Recipe, Trained
from palate.recipes.baselines import Popularity
from palate.recipes.blend_weights import N_USERS, choose_weights, scale_of
from palate.recipes.bpr import BPR
from palate.recipes.ease import EASE
from palate.recipes.hidden import Hidden
from palate.recipes.implicit import ImplicitALS
from palate.recipes.monitor import Monitor
from palate.recipes.neighbors import Neighbors
from palate.recipes.sparse_ease import SparseEASE

PARTS: dict[str, type[Recipe]] = {
    recipe.__name__: recipe for recipe in (EASE, SparseEASE, ImplicitALS, Neighbors, BPR, Popularity)
}
DEFAULT = SparseEASE(), ImplicitALS()
MAX_PARTS = 8


@dataclass(frozen=True)
class Blend(Recipe):
    """A weighted sum of the scores of several recipes, for implicit feedback.

    The scores of each part are divided by their scale s (their standard deviation over the items, on average over
    users), so that weights mean the same whatever the units of the parts:

        score_ui = sum_p weight_p / s_p score_p(u, i)

    Models that err in different ways rank better together than each alone. An explanation names what each part adds to
    the score, and how far each choice moves it. A new user is folded in by each part, and update() updates each as if
    it were alone; it refuses what one of them refuses. similar_items() ranks by the score for somebody who has chosen
    that item only, similar_users() by the cosine of histories. Parts learn from choices alone: tables of users and of
    items serve as filters and titles.

    Parameters:
        parts (list of Recipe or str, or None, default None): Two to eight different recipes that learn from implicit
            feedback, or their names: EASE, SparseEASE, ImplicitALS, Neighbors, BPR, Popularity. None: SparseEASE() and
            ImplicitALS().
        weights (list of float or None, default None): A weight of each part, 0 or more; in proportion. None: those that
            rank best what is hidden of 2,000 users, in tenths for two parts; every part is fitted twice for that. With
            fewer than 100 users of five choices all weights are equal. A part of weight 0 is left out of the model. The
            fit's training["weights"] says which they were.
        seed (int or None, default None): Takes the place of the seeds of the parts, 0 to 2^64 - 1. None: the parts keep
            theirs. The same seeds give the same bytes on the same machine, at any n_threads.
        n_threads (int, default 0): Takes the place of the threads of the parts. 0: the parts keep theirs.

    Raises:
        OptionError: A part is no recipe for implicit feedback, is a blend, or stands twice; there are too few or too
            many; there is not one weight for each part; or an option is out of its range.

    Source:
        Jahrer, Toescher & Legenstein (2010), Combining Predictions for Accurate Recommender Systems.

    Example:
        >>> import palate
        >>> likes = palate.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1).likes(at_least=4)
        >>> rec = palate.Blend([palate.EASE(), palate.ImplicitALS(n_factors=8)]).fit(likes)
        >>> rec.model.training["weights"]
        {'EASE': 0.5, 'ImplicitALS': 0.5}
        >>> list(rec.explain("u1", "i3").blend)
        ['EASE', 'ImplicitALS']
    """

    predicts_ratings: ClassVar[bool] = False
    kinds: ClassVar[tuple[Kind, ...]] = ("implicit",)

    parts: Sequence[Recipe | str] | None = None
    weights: Sequence[float] | None = None
    seed: int | None = None
    n_threads: int = 0

    def __post_init__(self) -> None:
        if self.parts is not None:
            object.__setattr__(self, "parts", _parts_of(self.parts))
        if self.weights is not None:
            object.__setattr__(self, "weights", _weights_of(self.weights, len(self._given)))
        if self.seed is not None:
            check_seed(self.seed, MAX_SEED)
        check_whole(n_threads=self.n_threads)

    @property
    def _given(self) -> list[Recipe]:
        """The parts as they are given; names have become recipes when the blend was made."""
        return [part for part in (DEFAULT if self.parts is None else self.parts) if isinstance(part, Recipe)]

    @property
    def recipes(self) -> dict[str, Recipe]:
        """The parts by name, with the seed and the threads of the blend: "EASE", or "EASE(dropout=0.5)" if two are."""
        changed = {"seed": self.seed, "n_threads": self.n_threads or None, "features": False}
        given = self._given
        names = [type(part).__name__ for part in given]
        named = [
            name if names.count(name) == 1 else part.label() for name, part in zip(names, given, strict=True)
        ]  # fmt: skip
        return {name: _with(part, changed) for name, part in zip(named, given, strict=True)}

    def options(self) -> dict[str, Any]:
        """Return all options as plain Python values, as a model file stores them.

        Returns:
            dict: Values by option name; a part is a dict of its name and its options.

        Example:
            >>> import palate
            >>> [part["name"] for part in palate.Blend().options()["parts"]]
            ['SparseEASE', 'ImplicitALS']
        """
        parts = [{"name": type(part).__name__, **part.options()} for part in self._given]
        weights = None if self.weights is None else list(self.weights)
        return {"parts": parts, "weights": weights, "seed": self.seed, "n_threads": self.n_threads}

    def option(self, name: str) -> Any:
        """Return the value of one option, its own or that of a part.

        Parameters:
            name (str): The name of an option; "EASE.dropout" is the dropout of the part named EASE.

        Returns:
            value: As it was given, or its default.
        """
        part, _, inner = name.rpartition(".")
        return getattr(dict(zip(self.recipes, self._given, strict=True))[part], inner) if part else getattr(self, name)

    def with_options(self, options: Mapping[str, Any]) -> Blend:
        """Return the blend with some other options, its own or those of its parts.

        Parameters:
            options (mapping): Values by option name; "EASE.dropout" is the dropout of the part named EASE.

        Returns:
            Blend: A blend of the same recipes.

        Raises:
            OptionError: There is no such part or option, or its value is out of range.

        Example:
            >>> import palate
            >>> palate.Blend(["EASE", "BPR"]).with_options({"BPR.n_factors": 31}).label()
            'Blend([EASE(), BPR(n_factors=31)])'
        """
        own = {name: value for name, value in options.items() if "." not in name}
        parts = dict(zip(self.recipes, self._given, strict=True))
        for option in options.keys() - own.keys():
            name, _, inner = option.rpartition(".")
            if name not in parts:
                raise OptionError(f"this blend has no part {name!r}; there are {', '.join(parts)}.")
            parts[name] = parts[name].with_options({inner: options[option]})
        is_changed = len(own) < len(options)
        return replace(self, **self._checked({**({"parts": tuple(parts.values())} if is_changed else {}), **own}))

    def _deep_params(self) -> dict[str, dict[str, Any]]:
        return {name: part.get_params() for name, part in zip(self.recipes, self._given, strict=True)}

    def bytes_needed(self, ratings: Ratings) -> int:
        """Return about how many bytes of memory a fit needs besides the ratings.

        Parameters:
            ratings (Ratings): What a fit would learn from.

        Returns:
            int: Bytes of all parts, twice if the weights are to be chosen.
        """
        once = sum(part.bytes_needed(ratings) for part in self.recipes.values())
        return once if self.weights is not None else 2 * once

    def label(self) -> str:
        """Return the recipe as one would type it.

        Returns:
            str: For example "Blend([EASE(), ImplicitALS(n_factors=64)])".

        Example:
            >>> import palate
            >>> palate.Blend(["EASE", palate.ImplicitALS(n_factors=64)]).label(), palate.Blend().label()
            ('Blend([EASE(), ImplicitALS(n_factors=64)])', 'Blend()')
        """
        parts = ", ".join(part.label() for part in self._given)
        given = [] if self.parts is None else [f"[{parts}]"]
        given += [] if self.weights is None else [f"weights={list(self.weights)}"]
        given += [] if self.seed is None else [f"seed={self.seed}"]
        given += [f"n_threads={self.n_threads}"] if self.n_threads else []
        return f"Blend({', '.join(given)})"

    def _fit(self, ratings: Ratings, monitor: Monitor) -> Trained:
        history, recipes = ratings.by_user(), self.recipes
        models, settled, taken = [], [], {}
        for name, recipe in recipes.items():
            model, took = _fitted(name, recipe, ratings, monitor)
            models.append(model)
            settled.append(_settled(recipe, took))
            taken[name] = took
        weights = self._weights(ratings, settled, list(recipes), monitor)
        monitor.taken |= {"weights": dict(zip(recipes, weights.tolist(), strict=True)), "parts": taken}
        parts = [
            BlendPart(name, model, weight / scale_of(model, history))
            for name, model, weight in zip(recipes, models, weights.tolist(), strict=True)
            if weight > 0
        ]
        return Trained(BlendedFactors.of_parts(parts, history, _confidence_of(models)))

    def _weights(self, ratings: Ratings, recipes: Sequence[Recipe], names: Sequence[str], monitor: Monitor) -> Doubles:
        """The weights given, or chosen with hidden choices; equal ones where too few users have enough."""
        if self.weights is not None:
            return np.array(self.weights) / sum(self.weights)
        hidden = Hidden.of(ratings.by_user(), None, N_USERS)
        if hidden is None:
            return np.full(len(recipes), 1 / len(recipes))
        rest = _ratings_of(hidden.rest, ratings)
        again = [f"weights: {name}" for name in names]
        models = [_fitted(name, recipe, rest, monitor)[0] for name, recipe in zip(again, recipes, strict=True)]
        hidden = replace(hidden, rest=rest.by_user())
        return choose_weights(models, hidden, self.n_threads)


def _parts_of(given: Any) -> tuple[Recipe, ...]:
    """The parts as recipes. Raises OptionError for what cannot be one, and for too few, too many or equal ones."""
    if isinstance(given, str | Recipe) or not isinstance(given, Iterable):
        raise OptionError(
            f"parts must be a list of recipes, such as [palate.EASE(), palate.ImplicitALS()], not {given!r}."
        )
    parts = tuple(_part_of(part) for part in given)
    if not 2 <= len(parts) <= MAX_PARTS:
        raise OptionError(f"parts must be 2 to {MAX_PARTS} recipes, got {len(parts)}.")
    if len(set(parts)) < len(parts):
        raise OptionError("parts has one recipe twice; leave it out, or give it other options.")
    return parts


def _part_of(given: Any) -> Recipe:
    by_name = {name.lower(): recipe for name, recipe in PARTS.items()}
    if isinstance(given, str) and given.lower() in by_name:
        return by_name[given.lower()]()
    if isinstance(given, tuple(PARTS.values())):
        assert isinstance(given, Recipe)
        return given
    raise OptionError(f"parts: {given!r} is none of the recipes that can be blended: {', '.join(PARTS)}.")


def _weights_of(given: Any, n: int) -> tuple[float, ...]:
    """The weights, checked, as plain numbers."""
    try:
        weights = tuple(float(weight) for weight in given)
    except (TypeError, ValueError):
        raise OptionError(f"weights must be a list of numbers, one for each part, got {given!r}.") from None
    if len(weights) != n or not all(0 <= weight < np.inf for weight in weights) or not 0 < sum(weights) < np.inf:
        raise OptionError(f"weights must be {n} numbers, one for each part, 0 or more and not all 0, got {given!r}.")
    return weights


def _with(recipe: Recipe, changed: dict[str, Any]) -> Recipe:
    """The recipe with those options that it has and that are not None."""
    own = {field.name for field in fields(recipe)}
    return replace(recipe, **{name: value for name, value in changed.items() if name in own and value is not None})


def _settled(recipe: Recipe, taken: dict[str, Any]) -> Recipe:
    """The recipe with what its fit has chosen in place of None, so that another fit need not choose again."""
    if isinstance(recipe, EASE) and "k" in taken:  # EASE went on as SparseEASE
        recipe = recipe.sparse()
    own = {field.name for field in fields(recipe)}
    return replace(recipe, **{name: taken[name] for name in own & set(taken) if getattr(recipe, name) is None})


def _fitted(name: str, recipe: Recipe, ratings: Ratings, monitor: Monitor) -> tuple[Factors, dict[str, Any]]:
    """The factors of one part, and what its fit has chosen. Raises KeyboardInterrupt where it was ended by Ctrl-C."""
    monitor.note(name)
    with monitor.part(name) as own:
        factors = recipe._fit_or_explain(ratings, own).factors
    if own.ended.startswith("interrupted"):
        raise KeyboardInterrupt
    return factors, own.taken


def _confidence_of(models: Sequence[Factors]) -> Confidence:
    """The confidence of the first part that takes counts into account."""
    for model in models:
        if isinstance(model, ImplicitFactors | HistoryFactors):
            return model.confidence
    return "equal"


def _ratings_of(rows: CompressedRows, ratings: Ratings) -> Ratings:
    """Some of the choices as ratings of their own."""
    return Ratings(
        row_codes(rows),
        rows.indices,
        rows.values,
        times=rows.times,
        weights=rows.weights,
        user_vocabulary=ratings.user_vocabulary,
        item_vocabulary=ratings.item_vocabulary,
        kind=ratings.kind,
        like_threshold=ratings.like_threshold,
    )
