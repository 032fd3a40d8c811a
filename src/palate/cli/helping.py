"""The help of a command. Defaults of recipes come from the library, and only when somebody asks for help."""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, fields
from functools import cache
from typing import Any

from typer.core import TyperCommand

from palate.cli.options import LEARNING, PYTHON_NAMES

# The panels of palate fit --help: an option stands in the first that has all recipes with it, else in the common one.
FAMILIES = (
    ("Bayes",),
    ("ALS", "ImplicitALS"),
    ("EASE", "SparseEASE", "Sequence"),
    ("SGD", "BPR"),
    ("Neighbors",),
    ("Blend",),
)
SEVERAL = "several recipes"
JOBS = "For jobs"
LONGEST = 56  # characters of a sentence that says what None means; of a longer one: BY_DATA
BY_DATA = "by the data"
NONE_MEANS = re.compile(r"None: (.+?)\.(?:\s|$)", re.DOTALL)


class Helpful(TyperCommand):
    """A command whose help shows the options of recipes in panels, with the defaults of each recipe."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        for param in self.params:
            if getattr(param, "rich_help_panel", None) == LEARNING:
                param.rich_help_panel = panel_of(str(param.name))  # type: ignore[attr-defined]
                param.show_default = default_of(str(param.name))  # type: ignore[attr-defined]
        self.params.sort(key=lambda param: _place(getattr(param, "rich_help_panel", None) or ""))
        super().format_help(ctx, formatter)


def _place(panel: str) -> int:
    """Where a panel stands: those of recipes in the order of FAMILIES, that of jobs last."""
    places = ["", *PANELS, JOBS]
    return places.index(panel) if panel in places else 0


def panel_of(name: str) -> str:
    """The panel of an option of recipes."""
    having = set(_defaults(name))
    family = next((family for family in FAMILIES if having <= set(family)), None)
    return f"{LEARNING}: {SEVERAL if family is None else _listed(family)}"


def default_of(name: str) -> str:
    """The default of an option in each recipe that has it: "ALS: 31; Bayes, ImplicitALS: by the data"."""
    by_default: dict[str, list[str]] = {}
    for recipe, default in _defaults(name).items():
        by_default.setdefault(default, []).append(recipe)
    if len(by_default) == 1 and name == "n_threads":
        return next(iter(by_default))
    return "; ".join(f"{', '.join(recipes)}: {default}" for default, recipes in by_default.items())


@cache
def _defaults(name: str) -> dict[str, str]:
    """The default of an option as text, by recipe, from the dataclasses of the recipes and their docstrings."""
    from palate import recipes
    from palate.cli.names import RECIPES

    own = PYTHON_NAMES.get(name, name)
    found = {}
    for recipe in RECIPES:
        kind = getattr(recipes, recipe)
        for field in fields(kind):
            if field.name == own:
                found[recipe] = _as_text(kind, own, None if field.default is MISSING else field.default)
    return found


def _as_text(kind: type, name: str, default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    if default is not None:
        return f"{default:g}" if isinstance(default, float) else str(default)
    entry = re.search(rf"^ *{name} \(.*?(?=^ *\w+ \(|^\S|\Z)", inspect.getdoc(kind) or "", re.DOTALL | re.MULTILINE)
    means = NONE_MEANS.search(entry[0]) if entry else None
    text = " ".join(means[1].split()) if means else BY_DATA
    if text.endswith(("count nothing", "counts nothing")):
        return "none"
    is_choice = text.startswith(("chosen from", "if "))
    return BY_DATA if is_choice or len(text) > LONGEST else text


def _listed(names: tuple[str, ...]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


PANELS = [f"{LEARNING}: {SEVERAL}", *(f"{LEARNING}: {_listed(family)}" for family in FAMILIES)]
