"""The public names, the sections of their docstrings, and the page of the reference on which each stands.

Names and sections come from tests/test_docstrings.py, which holds every docstring to one form: what that test knows,
the reference shows, and nothing else. A new public name gets its place by the room of palate that defines it.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent


def docstrings() -> ModuleType:
    """Return tests/test_docstrings.py as a module."""
    spec = importlib.util.spec_from_file_location("test_docstrings", ROOT / "tests" / "test_docstrings.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules.setdefault(spec.name, importlib.util.module_from_spec(spec))
    if not hasattr(module, "THINGS"):
        spec.loader.exec_module(module)
    return module


class Page(NamedTuple):
    """A page of the reference: its file, its title, what it is about, and the public names on it."""

    file: str
    title: str
    about: str
    names: list[str]


# file: (title, what it is about), in the order of the reference.
PAGES = {
    "data": ("Reading, splitting and data", "From a file, a frame or a query to training and test parts."),
    "blocks": ("Ratings on disk", "For ratings that do not fit in memory."),
    "datasets": ("Data sets", "Public data sets by name, and synthetic ratings."),
    "recommender": ("Recommender", "A trained model, and every question it answers."),
    "answers": ("Answers", "What questions return, and new users that are folded in."),
    "evaluation": ("Evaluation", "How good is a model, and which recipe is best?"),
    "tuning": ("Tuning", "A search for better options."),
    "plotting": ("Pictures and pages", "Models, trainings and comparisons as figures and HTML pages."),
    "nn": ("PyTorch", "The same model as PyTorch modules, with loaders and a training loop."),
    "book": ("The book's names", "Names of chapter 8 of the fast.ai book, for code written for it."),
    "distributed": ("Several machines", "Fits, evaluations and lists on a cluster."),
    "exporting": ("Out of palate", "Vectors, model cards and runs for other programs."),
    "sklearn": ("scikit-learn", "palate in pipelines and searches of scikit-learn."),
    "serving": ("Serving", "A model over HTTP, from Python."),
    "errors": ("Errors", "Everything palate raises. Each message says what is wrong and what to type."),
}
RECIPES = ("The recipes", "What can be learned and how. A recipe holds options; `fit` returns a `Recommender`.")
BY_PREFIX = {  # names that belong elsewhere than where they are defined
    "palate.nn.book": "book",
    "palate.nn": "nn",
    "palate.plotting": "plotting",
    "palate.datasets": "datasets",
    "palate.blocks": "blocks",
}


def is_recipe(found: object) -> bool:
    """Return whether this is a recipe."""
    from palate.recipes.base import Recipe

    return inspect.isclass(found) and issubclass(found, Recipe)


def file_of(name: str, found: object) -> str:
    """Return the page of the reference (without its ending) on which a public name stands."""
    if is_recipe(found):
        return f"recipes/{name.rpartition('.')[2]}"
    for prefix, file in BY_PREFIX.items():
        if name.startswith(f"{prefix}."):
            return file
    return str(getattr(found, "__module__", "palate")).split(".")[1]


def pages() -> list[Page]:
    """Return the pages of the reference, the recipes' apart, each with its names in the order of the listing."""
    held: dict[str, list[str]] = {}
    for name, found in docstrings().THINGS.items():
        held.setdefault(file_of(name, found), []).append(name)
    groups = {file: names for file, names in held.items() if not file.startswith("recipes/")}
    known = [Page(file, *PAGES[file], groups.pop(file)) for file in PAGES if file in groups]
    return [*known, *(Page(file, file.capitalize(), "", names) for file, names in sorted(groups.items()))]


def recipes() -> list[Page]:
    """Return the pages of the recipes, one each, in the order of a dictionary: Bayes stands before BPR."""
    things = docstrings().THINGS
    found = [
        Page(file_of(name, thing), name.rpartition(".")[2], "", [name])
        for name, thing in things.items()
        if is_recipe(thing)
    ]
    return sorted(found, key=lambda page: page.title.lower())


def members_of(name: str) -> list[str]:
    """Return the public members of a class, by their full names."""
    return [member for member in docstrings().MEMBERS if member.rpartition(".")[0] == name]
