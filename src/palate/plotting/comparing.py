"""Pictures of comparisons and tunings, as functions; Comparison.plot and Tuning.plot are the same."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from palate.evaluation import Comparison
from palate.evaluation.pictures import plot_comparison
from palate.tuning import Tuning
from palate.tuning.pictures import plot_tuning


def compared(comparison: Comparison, *, ax: Any = None) -> Figure:
    """Draw each recipe's error, with its interval, against the seconds of its fit.

    The best recipes stand at the lower left. The orange line joins those that no other recipe beats in both error and
    time.

    Parameters:
        comparison (Comparison): The result of palate.compare.
        ax (matplotlib Axes, default None): Where to draw; None makes a figure of its own.

    Returns:
        matplotlib.figure.Figure: RMSE of explicit ratings, or 1 - NDCG of implicit feedback, over a logarithmic time
            axis.

    Raises:
        OptionError: Every recipe failed or was left out.

    Example:
        >>> import palate, palate.plotting
        >>> train, test = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
        >>> comparison = palate.compare(train, test, ["Mean", "Bias"])
        >>> palate.plotting.compared(comparison).axes[0].get_ylabel()
        'RMSE on held-out ratings'
    """
    return plot_comparison(comparison, ax)


def tuned(tuning: Tuning, *, ax: Any = None) -> Figure:
    """Draw the measure of each trial of a tuning: in order of the trials, then by each tuned option.

    The orange line in the first panel is the best value so far.

    Parameters:
        tuning (Tuning): The result of palate.tune.
        ax (list of matplotlib Axes, default None): Where to draw, one for each panel; None makes a figure of its own.

    Returns:
        matplotlib.figure.Figure: One panel for the order and one for each option; the best trial is orange, trials that
            were stopped early are gray.

    Example:
        >>> import palate, palate.plotting
        >>> ratings = palate.datasets.synthetic(60, 40, 1200, seed=1)
        >>> tuning = palate.tune(palate.ALS(), ratings, trials=3, progress=False)
        >>> [ax.get_xlabel() for ax in palate.plotting.tuned(tuning).axes]
        ['trial', 'n_factors', 'weight_decay', 'count_exponent']
    """
    return plot_tuning(tuning, ax)
