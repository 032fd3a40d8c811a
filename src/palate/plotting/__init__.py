"""Pictures of models, trainings and comparisons as matplotlib figures, and comparisons as HTML pages.

No function opens a window. Pictures need `palate[plot]`; `write_page` works without and then leaves the picture out.

>>> import palate, palate.plotting
>>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
>>> figure = palate.plotting.item_biases(rec, n=5)
>>> figure.savefig("biases.png")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from palate.errors import OptionError
from palate.plotting.page import write_page
from palate.showing.pictures import check_matplotlib

if TYPE_CHECKING:
    from palate.answers.axes import PrincipalAxes
    from palate.plotting.comparing import compared, tuned
    from palate.plotting.items import item_biases, neighbors
    from palate.plotting.predictions import calibration, coverage, rating_tab
    from palate.plotting.space import factor_map, principal_axes
    from palate.plotting.training import lr_finder, training_curves, weight_decay_sweep

# Public name -> its module, which is imported (and matplotlib with it) when the name is first used.
_MODULES = {
    "PrincipalAxes": "space",
    "calibration": "predictions",
    "compared": "comparing",
    "coverage": "predictions",
    "factor_map": "space",
    "item_biases": "items",
    "lr_finder": "training",
    "neighbors": "items",
    "principal_axes": "space",
    "rating_tab": "predictions",
    "training_curves": "training",
    "tuned": "comparing",
    "weight_decay_sweep": "training",
}

__all__ = [
    "PrincipalAxes",
    "calibration",
    "compared",
    "coverage",
    "factor_map",
    "item_biases",
    "lr_finder",
    "neighbors",
    "principal_axes",
    "rating_tab",
    "training_curves",
    "tuned",
    "weight_decay_sweep",
    "write_page",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'palate.plotting' has no attribute {name!r}")
    try:
        check_matplotlib("palate.plotting")
    except OptionError as error:  # an import of a name fails with an ImportError
        raise ImportError(str(error)) from None
    found = globals()[name] = getattr(import_module(f"palate.plotting.{_MODULES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
