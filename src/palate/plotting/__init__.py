"""Pictures of what was learned, as matplotlib figures, and comparisons as pages. Nothing opens a window by itself.

Pictures need palate[plot]; write_page does without, and then says in words why there is no picture.

>>> import palate, palate.plotting
>>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
>>> figure = palate.plotting.item_biases(rec, n=5)
>>> figure.savefig("biases.png")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from palate.plotting.page import check_matplotlib, write_page

if TYPE_CHECKING:
    from palate.plotting.comparing import compared, tuned
    from palate.plotting.curves import calibration, coverage, lr_finder, rating_tab, training_curves, weight_decay_sweep
    from palate.plotting.items import PrincipalAxes, factor_map, item_biases, neighbours, principal_axes

# Public name -> the module it lives in, loaded with matplotlib when first used.
_MODULES = {
    "PrincipalAxes": "items",
    "calibration": "curves",
    "compared": "comparing",
    "coverage": "curves",
    "factor_map": "items",
    "item_biases": "items",
    "lr_finder": "curves",
    "neighbours": "items",
    "principal_axes": "items",
    "rating_tab": "curves",
    "training_curves": "curves",
    "tuned": "comparing",
    "weight_decay_sweep": "curves",
}

__all__ = [
    "PrincipalAxes",
    "calibration",
    "compared",
    "coverage",
    "factor_map",
    "item_biases",
    "lr_finder",
    "neighbours",
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
    check_matplotlib()
    found = globals()[name] = getattr(import_module(f"palate.plotting.{_MODULES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
