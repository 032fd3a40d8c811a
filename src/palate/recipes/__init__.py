"""Recipes: ways to learn, as values. Their fit() returns a trained Recommender; there is no unfitted model.

`base.py` holds what all recipes share, `monitor.py` what happens around each sweep, `checks.py` the checks of options.
`bayes.py` rests on the Gibbs sampler in `gibbs/`; `sgd.py` and `bpr.py` share `gradient_descent.py`; `ease.py` inverts
its matrix (`closed_form.py`) with `inverse.py` and chooses its weight decay in `ease_decay.py`; `sparse_ease.py` solves
small systems (`models/item_supports.py`), whose settings `sparse_choice.py` chooses; `costs.py` says what a fit needs.
`sequence.py` reads the order of events (`models/transitions.py`), with the settings of `sequence_choice.py`.
`blend.py` fits several recipes and adds up their scores, with the weights of `blend_weights.py`.
"""

from palate.recipes.als import ALS
from palate.recipes.base import Recipe
from palate.recipes.baselines import Bias, Mean, Popularity
from palate.recipes.bayes import Bayes
from palate.recipes.blend import Blend
from palate.recipes.bpr import BPR
from palate.recipes.ease import EASE
from palate.recipes.implicit import ImplicitALS
from palate.recipes.monitor import Sweep
from palate.recipes.neighbors import Neighbors
from palate.recipes.sequence import Sequence
from palate.recipes.sgd import SGD
from palate.recipes.sparse_ease import SparseEASE

ALL: tuple[type[Recipe], ...] = (
    *(Bayes, ALS, SGD, Blend, ImplicitALS, EASE, SparseEASE, Sequence, Neighbors, BPR, Bias, Mean, Popularity),
)
RECIPES = {recipe.__name__: recipe for recipe in ALL}

__all__ = [
    "ALS",
    "BPR",
    "EASE",
    "RECIPES",
    "SGD",
    "Bayes",
    "Bias",
    "Blend",
    "ImplicitALS",
    "Mean",
    "Neighbors",
    "Popularity",
    "Recipe",
    "Sequence",
    "SparseEASE",
    "Sweep",
]


def __dir__() -> list[str]:
    return sorted(__all__)
