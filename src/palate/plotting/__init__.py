"""Pictures of what was learned, as matplotlib figures; nothing opens a window by itself. Needs palate[plot].

>>> import palate, palate.plotting
>>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
>>> figure = palate.plotting.item_biases(rec, n=5)
>>> figure.savefig("biases.png")  # doctest: +SKIP
"""

try:
    import matplotlib  # noqa: F401
except ImportError:
    raise ImportError("palate.plotting needs matplotlib: pip install 'palate[plot]'.") from None

from palate.plotting.comparing import compared
from palate.plotting.curves import calibration, coverage, lr_finder, rating_tab, training_curves, weight_decay_sweep
from palate.plotting.items import PrincipalAxes, factor_map, item_biases, neighbours, principal_axes
from palate.plotting.trials import tuned

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
]
