"""Load what a command works on: models, ratings by file or by data set name, recipes by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palate.cli.names import RECIPES
from palate.cli.printing import note
from palate.cli.reading import for_read
from palate.errors import DataError, OptionError
from palate.options import check_choice

if TYPE_CHECKING:
    from palate.data.ratings import Kind, Ratings
    from palate.distributed.ray_exchange import RayCluster
    from palate.recipes.base import Recipe
    from palate.recommender import Recommender

SPLITS = ("random", "time", "last")


def is_data_set(data: str) -> bool:
    """True if this is the name of a data set and not of a file."""
    from palate.data.datasets import available

    return any(known.name == data for known in available()) and not Path(data).is_file()


def is_blocks(data: str) -> bool:
    """True if this is a folder of ratings that palate blocks has written, finished or not."""
    return Path(data).is_dir()


def load_model(model: Path) -> Recommender:
    """Load a saved model."""
    from palate.recommender import load

    return load(model)


def read_ratings(data: str, reading: dict[str, Any], kind: Kind | None = None, *, reads_order: bool = False) -> Ratings:
    """Read the ratings of a file or of a data set; notes on standard error count left-out rows and duplicates.

    kind: the kind of the model that they are for; it holds unless --kind or --likes is given. reads_order: whether
    they are for a recipe that reads the order of events: repeated choices stay, unless --duplicates is given.
    """
    options = {name: value for name, value in reading.items() if name != "likes"}
    likes = reading.get("likes")
    if is_blocks(data):
        blocks = _blocks(data, options)
        return blocks if likes is None else blocks.likes(likes)
    if likes is None:
        options = {"kind": kind, **options} if kind == "implicit" else options
    keeps = reads_order and likes is None and options.get("kind") == "implicit" and "duplicates" not in options
    if keeps and not is_data_set(data):
        ratings = _file(data, {**options, "duplicates": "keep"})
        _note_repeats(ratings)
    else:
        ratings = _data_set(data, options) if is_data_set(data) else _file(data, options)
    if not is_data_set(data) and likes is None and kind is None and "kind" not in options:
        _note_if_counts(ratings)
    return ratings if likes is None else ratings.likes(likes)


def cluster_at(address: str | None) -> RayCluster | None:
    """Return the cluster that --on names: "ray", or an address of Ray."""
    if address is None:
        return None
    from palate import distributed

    if address != "ray" and address != "auto" and ":" not in address:
        raise OptionError(f"--on takes ray, or an address such as ray://host:10001 or host:6379; got {address}.")
    return distributed.ray(None if address == "ray" else address)


def propensities_of(given: str | None, data: str, reading: dict[str, Any], ratings: Ratings) -> Any:
    """Return what evaluate() takes as propensity: None, "popularity", or the numbers of a column of the same file."""
    if given is None or given == "popularity":
        return given
    if is_data_set(data) or is_blocks(data):
        what = "a data set" if is_data_set(data) else "a folder of blocks"
        raise OptionError(f"{data} is {what}, which has no column {given!r}: give --propensity popularity.")
    import numpy as np

    from palate.data.reading import read

    is_count = ratings.is_implicit and "likes" not in reading  # whose own column is left out: there is one of numbers
    left_out = {"likes", "duplicates", *(("rating", "weight", "kind") if is_count else ())}
    options = {name: value for name, value in reading.items() if name not in left_out}
    kept = "keep" if reading.get("duplicates") == "keep" else "last"
    options |= {"weight": given, "duplicates": kept, **({"kind": "implicit"} if is_count else {})}
    try:
        rows = read(data, **for_read(options))
        rows = rows.likes(reading["likes"]) if "likes" in reading else rows
    except DataError as error:
        raise DataError(f"--propensity {given}: {error}") from error
    if not (
        np.array_equal(rows.user_codes, ratings.user_codes) and np.array_equal(rows.item_codes, ratings.item_codes)
    ):
        raise DataError(f"--propensity {given}: this column of {data} must hold a number above 0 for each rating.")
    return rows.weights


def _file(data: str, reading: dict[str, Any]) -> Ratings:
    from palate.data.datasets import available
    from palate.data.reading import read

    if not Path(data).exists() and not Path(data).suffix:
        names = ", ".join(known.name for known in available())
        raise DataError(f"there is no file {data}, and no data set of that name; the data sets are {names}.")
    ratings = read(data, **for_read(reading))
    if not ratings.report.is_clean:
        note(str(ratings.report))
    if len(ratings) == 0:
        raise DataError(f"{data} has no ratings.")
    return ratings


def note_values_apart(ratings: Ratings) -> None:
    """Print a note of values that may mean "not rated", as the data doctor does."""
    from palate.data.scale import values_apart

    apart = [f"{value:g}" for value in values_apart(ratings)]
    if apart:
        options = " ".join(f"--missing {value}" for value in apart)
        note(f"ratings of {' and '.join(apart)} stand apart from the others: if they mean 'not rated', pass {options}.")


def _note_repeats(ratings: Ratings) -> None:
    """Print a note if choices are repeated and each was kept."""
    from palate.data.order import joined

    n_repeats = len(ratings) - len(joined(ratings))
    if n_repeats:
        note(
            f"{n_repeats:,} choices repeat an earlier one of their user; each stays an event of its own. "
            "--duplicates sum adds them up."
        )


def _note_if_counts(ratings: Ratings) -> None:
    """Print a note if numbers of no given kind look like counts."""
    from palate.data.findings import look_like_counts

    if look_like_counts(ratings):
        low, high = ratings.range
        note(
            f"the ratings range from {low:g} to {high:g} with a long tail: if they are counts, pass --kind implicit; "
            "if they are ratings, pass --kind explicit."
        )


def _blocks(data: str, reading: dict[str, Any]) -> Ratings:
    from palate.data.blocks import open as open_blocks

    if reading:
        given = ", ".join(f"--{option.replace('_', '-')}" for option in reading)
        raise OptionError(f"{data} is a folder of blocks, which are read already; give {given} to palate blocks.")
    blocks = open_blocks(data)
    if len(blocks) == 0:
        raise DataError(f"{data} has no ratings.")
    return blocks


def _data_set(name: str, reading: dict[str, Any]) -> Ratings:
    from palate.data.datasets import load

    if reading:
        given = ", ".join(f"--{option.replace('_', '-')}" for option in reading)
        raise OptionError(f"{name} is a data set, which palate can read without options; leave out {given}.")
    return load(name)


@dataclass(frozen=True)
class HoldOut:
    """What to hold out: a share of the ratings at random (of implicit ones, of each user's choices); or the latest.

    Attributes:
        test (float or None): The share; None for split="last".
        seed (int): Of a random split.
        split ("random", "time" or "last", default "random"): Which ratings; "last" takes each user's last one.

    Raises OptionError for values that do not go together.
    """

    test: float | None
    seed: int
    split: str = "random"

    def __post_init__(self) -> None:
        check_choice("split", self.split, SPLITS)
        if self.split == "last" and self.test is not None:
            raise OptionError("--split last holds out each user's last event, whatever the share: leave out --test.")
        if self.split != "last" and self.test is None:
            raise OptionError(f"--split {self.split} holds out a share: give it with --test, such as --test 0.1.")

    @classmethod
    def of(
        cls, test: float | None, seed: int, split: str | None, *, next_item: bool, default: float | None = None
    ) -> HoldOut | None:
        """From what was typed; None if nothing is to be held out. default: the share if none was typed."""
        split = split or ("last" if next_item and test is None else None)
        if split != "last":
            test = default if test is None else test
        if split is None and test is None:
            return None
        held_out = cls(test, seed, split or "random")
        held_out.check_latest(next_item=next_item)
        return held_out

    def check_latest(self, *, next_item: bool) -> None:
        """Raise OptionError if random events are held out to measure next items by."""
        if next_item and self.split == "random":
            raise OptionError("--next-item goes by the order of events, and no random ones: add --split last, or time.")

    def parts(self, ratings: Ratings) -> tuple[Ratings, Ratings]:
        """Split into (train, test). Raises OptionError if no rating is held out."""
        from palate.data.splitting import split_last, split_random, split_time, split_within_users

        if self.test is None:
            train, held_out = split_last(ratings)
        elif self.split == "time":
            train, held_out = split_time(ratings, test=self.test)
        else:
            split = split_within_users if ratings.is_implicit else split_random
            train, held_out = split(ratings, test=self.test, seed=self.seed)
        if len(held_out) == 0:
            raise OptionError(self._nothing)
        return train, held_out

    def to_dict(self) -> dict[str, Any]:
        """What a model file notes of it."""
        return {"split": self.split, "test": self.test, "seed": self.seed}

    def typed(self, *, next_item: bool) -> dict[str, Any]:
        """The options of palate fit that hold out the same, by name."""
        given: dict[str, Any] = {} if self.split == "random" else {"split": self.split}
        given |= {} if self.test is None else {"test": self.test, "seed": self.seed}
        return given | ({"next_item": True} if next_item else {})

    @property
    def _nothing(self) -> str:
        if self.test is None:
            return "--split last holds out not a single rating, since no user has two; leave it out."
        return f"--test {self.test:g} holds out not a single rating; give a larger share, or leave it out."


def make_recipe(name: str, options: dict[str, Any]) -> Recipe:
    """Make a recipe from its name and options; raise OptionError for options that the recipe does not have."""
    from dataclasses import fields

    from palate import recipes
    from palate.cli.options import FIT_OPTIONS, for_recipe, typed

    options = for_recipe(options)
    names = {recipe.lower(): recipe for recipe in RECIPES}
    if name.lower() not in names:
        raise OptionError(f"there is no recipe {name!r}; there are {', '.join(RECIPES)}.")
    recipe: type[Recipe] = getattr(recipes, names[name.lower()])
    own = {field.name for field in fields(recipe)}
    foreign = [typed(option) for option in options if option not in own | {"seed"}]
    if foreign:
        has = ", ".join(map(typed, sorted(own & set(for_recipe(FIT_OPTIONS))))) or "none"
        raise OptionError(f"{recipe.__name__} has no {', '.join(foreign)}; its options: {has}.")
    given = {option: value for option, value in options.items() if option in own}
    return recipe(**given | ({"parts": parts_of(given["parts"])} if "parts" in given else {}))


def parts_of(text: str) -> list[Recipe]:
    """Return the recipes in a text such as "EASE, ImplicitALS(n_factors=64)"; raise OptionError for anything else."""
    import ast

    try:
        listed = ast.parse(f"[{text}]", mode="eval").body
        return [_call_of(node) for node in listed.elts] if isinstance(listed, ast.List) else []
    except OptionError:  # of a recipe
        raise
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise OptionError(
            f'--parts {text[:80]!r}: give recipes with their options, such as "EASE, ImplicitALS(n_factors=64)".'
        ) from None


def _call_of(node: Any) -> Recipe:
    """Return the recipe in a parsed name, or call with plain values; raise ValueError for other code."""
    import ast

    call = node if isinstance(node, ast.Call) else ast.Call(node, [], [])
    if not isinstance(call.func, ast.Name) or call.args:
        raise ValueError("no recipe")
    return make_recipe(call.func.id, {str(key.arg): ast.literal_eval(key.value) for key in call.keywords})


def default_recipe(reading: dict[str, Any]) -> str:
    """Return the name of the default recipe for ratings that are read with these options."""
    return "ImplicitALS" if reading.get("kind") == "implicit" or "likes" in reading else "Bayes"


def check_kind(recipe: Recipe, ratings: Ratings) -> None:
    """Raise OptionError, in the words of the command line, if the recipe does not learn from ratings of this kind."""
    name = type(recipe).__name__
    if ratings.kind in recipe.kinds:
        return
    if ratings.is_implicit:
        raise OptionError(
            f"{name} learns from explicit ratings, and these are implicit: give a recipe such as --recipe ImplicitALS."
        )
    raise OptionError(
        f"{name} learns from implicit ratings, and these are explicit: --likes 4 takes those of 4 or more as likes, "
        "--kind implicit takes the numbers as counts."
    )


def check_test(recipe: Recipe, held_out: Ratings) -> None:
    """Raise OptionError, before the work, if the recipe cannot be measured on what is held out."""
    if not recipe.predicts_ratings and not held_out.is_implicit:
        raise OptionError(f"{type(recipe).__name__} ranks items and predicts no ratings; leave out --test.")
