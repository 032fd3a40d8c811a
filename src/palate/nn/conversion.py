"""Conversion: a torch module becomes a Recommender, and a Recommender becomes a torch module."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from palate.data.ratings import Ratings
from palate.data.rows import weighted_mean
from palate.data.vocabulary import Vocabulary
from palate.errors import DataError, OptionError
from palate.models.blend import BlendedFactors
from palate.models.factors import Factors, Floats, empirical_prior
from palate.models.fitted_prior import with_fitted_priors
from palate.models.network import Layer, Network
from palate.nn.columns import UNKNOWN, Category, Column, Scale
from palate.nn.loaders import RatingLoaders
from palate.nn.models import DotProductBias, EmbeddingNet, checked_range, evaluating
from palate.recommender import Recommender

if TYPE_CHECKING:
    import polars as pl

N_CHECKED = 512  # training pairs for which the module's own predictions are checked
NO_PRIOR = empirical_prior(np.zeros((1, 1), np.float32), 1.0)  # a placeholder until _with_priors
KNOWS_ALL = "knows_all_rows"  # to_torch() marks its modules: their rows without ratings are not those of a random start
MIN_NOISE = 1e-3  # of the rating range: fold-in needs some noise, even where the training error is zero


# ---- Recommender to module


def to_torch(recommender: Recommender) -> DotProductBias:
    """Return a model with factors as a DotProductBias.

    Parameters:
        recommender (Recommender): A model with factors, such as one of SGD, ALS or Bayes.

    Returns:
        DotProductBias: The same model in evaluation mode, its float32 parameters in the order of the vocabularies.

    Raises:
        OptionError: The model is not a dot product: it has no factors, is a neural net, or predicts ordered ratings.

    Example:
        >>> import palate, palate.nn, torch
        >>> rec = palate.SGD(n_factors=5).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> palate.nn.to_torch(rec)(torch.tensor([[0, 1]])).shape
        torch.Size([1, 1])
    """
    factors = recommender.model.factors
    if isinstance(factors, Network):
        raise OptionError("this model is a neural net; to_torch() gives a dot product with biases.")
    if factors.steps is not None:
        raise OptionError('ordered ratings are more than a dot product; fit Bayes with likelihood="gaussian" for that.')
    name = recommender.model.recipe.get("name", "this model")
    if isinstance(factors, BlendedFactors):
        raise OptionError(f"{name} adds up several models; to_torch() takes one of them, like ImplicitALS.")
    if factors.n_factors == 0:
        raise OptionError(f"{name} has no factors, so there is no dot product; fit one that has, like SGD.")
    module = DotProductBias(
        recommender.n_users,
        recommender.n_items,
        factors.n_factors,
        y_range=factors.y_range,
        mean=factors.mean,
        generator=torch.Generator(),
    )
    parameters = {
        "user_factors.weight": recommender.user_factors,
        "item_factors.weight": recommender.item_factors,
        "user_bias.weight": recommender.user_bias[:, None],
        "item_bias.weight": recommender.item_bias[:, None],
    }
    module.load_state_dict({name: torch.tensor(values) for name, values in parameters.items()}, strict=False)
    setattr(module, KNOWS_ALL, True)
    return module.eval()


# ---- module to Recommender


def from_torch(
    module: nn.Module, ratings: Ratings | RatingLoaders, valid: Ratings | None = None, name: str | None = None
) -> Recommender:
    """Return a Recommender that predicts as the module does, without torch.

    Fold-in users get the factors that fit their ratings best under a prior with the mean and covariance of the trained
    factors. Users and items without ratings, whose factors are as random as at the start, get the mean of the others;
    in a module of to_torch() they keep theirs.
    Columns of the user and item tables keep their values; columns of single ratings, such as an hour, are held at their
    most common class or their mean.

    Parameters:
        module (torch.nn.Module): A dot product or an EmbeddingNet of user, item and perhaps other columns. A dot
            product has user_factors and item_factors, and may have user_bias, item_bias, y_range and mean; the
            `weight` of each (or the parameter itself) holds one row for each code.
        ratings (Ratings or RatingLoaders): What the module was trained on; the loaders if it has other columns.
        valid (Ratings, default None): Held-out ratings that set the width of intervals; None gives no intervals.
        name (str, default None): What the Recommender calls its recipe; None takes the class of the module.

    Returns:
        Recommender: A trained model with the vocabularies of the ratings.

    Raises:
        OptionError: The module is no such model, has another size than the ratings, or its forward computes something
            else than its parts give.

    Example:
        >>> import palate, torch
        >>> from palate.nn import DotProductBias, Learner, RatingLoaders, from_torch
        >>> loaders = RatingLoaders.from_ratings(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> learner = Learner(loaders, DotProductBias(60, 40, 5, y_range=(0, 5.5))).fit(1)
        >>> from_torch(learner.model, loaders).n_users
        60
    """
    loaders = ratings if isinstance(ratings, RatingLoaders) else None
    training = ratings.ratings if isinstance(ratings, RatingLoaders) else ratings
    if not isinstance(training, Ratings):
        raise OptionError(
            f"ratings must be the palate.Ratings or the RatingLoaders of the training, got {type(ratings).__name__}."
        )
    if not isinstance(module, nn.Module):
        raise OptionError(f"module must be a torch module, got {type(module).__name__}; of a Learner, its .model.")
    if valid is not None and not training.same_vocabulary(valid):
        raise OptionError("valid has other users or items than the ratings; split both from the same Ratings.")
    first = getattr(module, "first_code", getattr(loaders, "first_code", 0))
    if isinstance(module, EmbeddingNet):
        factors: Factors = _network(module, training, loaders, first)
    else:
        factors = _dot_product(module, training, first)
    _check_predictions(module, factors, training, loaders, first)
    factors = _with_priors(factors, training)
    factors = factors if getattr(module, KNOWS_ALL, False) else _without_unrated(factors, training)
    noise = float("nan") if valid is None else _rmse(factors, valid, training.range)
    recipe = {"name": name or type(module).__name__, "trained": "with PyTorch"}
    return Recommender.from_training(training, factors=factors, noise=noise, recipe=recipe)


def _check_predictions(
    module: nn.Module, factors: Factors, ratings: Ratings, loaders: RatingLoaders | None, first: int
) -> None:
    """Raise OptionError unless the module predicts some training pairs as its parts do."""
    if type(module).forward is nn.Module.forward:
        return  # it has parameters but no forward
    weight = next(module.parameters())
    inputs = [
        part.to(weight.device, weight.dtype if part.is_floating_point() else part.dtype)
        for part in _inputs(ratings, loaders, first)
    ]
    try:
        with evaluating(module):
            predictions = array_of(module(*inputs)).reshape(-1)
    except (DataError, IndexError):  # it reads user codes as item codes
        predictions = np.zeros(0, np.float32)
    expected = factors.predict(ratings.user_codes[:N_CHECKED], ratings.item_codes[:N_CHECKED])
    low, high = ratings.range
    tolerance = (1e-3 if weight.dtype in (torch.float32, torch.float64) else 0.03) * max(high - low, 1e-6)
    if predictions.shape != expected.shape or not np.abs(predictions - expected).max(initial=0) <= tolerance:
        raise OptionError(
            f"{type(module).__name__} predicts otherwise than its parts: a Recommender adds up user_factors . "
            "item_factors, the biases and mean within y_range, or runs an EmbeddingNet's Linear and ReLU layers. "
            "A module whose forward does something else, or takes its columns in another order, cannot become one."
        )


def _inputs(ratings: Ratings, loaders: RatingLoaders | None, first: int) -> list[Tensor]:
    """The module's inputs for the first training pairs, columns of single ratings at the values they are held at."""
    if loaders is None or len(loaders.classes) + len(loaders.scales) == 2:
        pairs = [ratings.user_codes[:N_CHECKED], ratings.item_codes[:N_CHECKED]]
        return [torch.from_numpy(np.stack(pairs, axis=1).astype(np.int64) + first)]
    inputs = [tensor[:N_CHECKED].clone() for tensor in loaders.train.tensors[:-1]]
    for at, name in enumerate(list(loaders.classes)[2:], 2):
        if _side_of(name, ratings) == "rating":
            inputs[0][:, at] = loaders.train.tensors[0][:, at].mode().values
    for at, name in enumerate(loaders.scales):
        if _side_of(name, ratings) == "rating":
            inputs[1][:, at] = 0
    return inputs


# ---- dot products


def _dot_product(module: nn.Module, ratings: Ratings, first: int) -> Factors:
    """The module's factors, biases, mean and range. first: the code of the first user and of the first item."""
    users, items = (_table(module, f"{side}_factors") for side in ("user", "item"))
    if users is None or items is None:
        raise OptionError(
            f"{type(module).__name__} is neither a dot product (user_factors and item_factors) nor an EmbeddingNet; "
            "give one of these, or give its embeddings these names."
        )
    _check_table("user_factors and item_factors", users.shape[1:] == items.shape[1:] and users.ndim == 2)
    users, items = users[first:], items[first:]
    _check_size(len(users), len(items), ratings)
    sides = []
    for side, table in (("user", users), ("item", items)):
        bias = _table(module, f"{side}_bias")
        column = np.zeros((len(table), 1), np.float32) if bias is None else bias.reshape(-1, 1)[first:]
        _check_table(f"{side}_bias", column.shape == (len(table), 1))
        sides.append(np.hstack([table, column]))
    _check_table("its parameters", all(np.isfinite(side).all() for side in sides), "are not all finite numbers")
    y_range = checked_range(_range_of(module))
    return Factors(_mean_of(module), sides[0], sides[1], NO_PRIOR, NO_PRIOR, y_range=y_range)


def _check_table(what: str, valid: bool, complaint: str = "do not fit each other") -> None:
    if not valid:
        raise OptionError(f"{what} {complaint}: a dot product has tables of one width, one row for each user and item.")


def _table(module: nn.Module, name: str) -> Floats | None:
    """The parameter of that name, or the `weight` of the embedding of that name, as an array."""
    found = getattr(module, name, None)
    tensor = getattr(found, "weight", found)
    return array_of(tensor) if isinstance(tensor, Tensor) else None


def array_of(tensor: Tensor) -> Floats:
    """A float32 copy of a tensor of any device."""
    return tensor.detach().to("cpu", torch.float32).numpy().copy()


def _mean_of(module: nn.Module) -> float:
    mean = getattr(module, "mean", 0.0)
    try:
        return float(mean)
    except (TypeError, ValueError):
        raise OptionError(f"mean must be a number, got {mean!r}.") from None


def _range_of(module: nn.Module) -> object:
    y_range = getattr(module, "y_range", None)
    return [float(end) for end in y_range] if isinstance(y_range, Tensor) else y_range


def _check_size(n_users: int, n_items: int, ratings: Ratings) -> None:
    if (n_users, n_items) != (ratings.n_users, ratings.n_items):
        raise OptionError(
            f"the module has {n_users:,} users and {n_items:,} items, the ratings have {ratings.n_users:,} and "
            f"{ratings.n_items:,}: give the ratings or loaders it was trained with (loaders.ratings)."
        )


# ---- neural nets


def _network(module: EmbeddingNet, ratings: Ratings, loaders: RatingLoaders | None, first: int) -> Network:
    """The net as inputs that belong to users, to items or to neither, and layers."""
    tables = _embeddings(module, ratings, first)
    extra = [] if loaders is None else list(loaders.classes)[2:]
    scales = {} if loaders is None else loaders.scales
    if len(tables) != 2 + len(extra) or module.n_continuous != len(scales):
        raise OptionError(
            f"the net takes {len(tables)} categorical and {module.n_continuous} continuous columns: give the "
            "RatingLoaders it was trained with, which name these columns."
        )
    starts = np.cumsum([0, *(table.shape[1] for table in tables), *([1] * len(scales))])
    constants = np.zeros(starts[-1], np.float32)
    sides: dict[str, list[Floats]] = {"user": [tables[0]], "item": [tables[1]]}
    places = {side: [np.arange(starts[at], starts[at + 1])] for at, side in enumerate(sides)}
    for at, name in enumerate([*extra, *scales], 2):
        here = np.arange(starts[at], starts[at + 1])
        table = tables[at] if at < len(tables) else None
        side, values = _column(name, table, ratings, loaders)
        if side == "rating":
            constants[here] = values
        else:
            sides[side].append(values)
            places[side].append(here)
    users, items = (np.hstack([*parts, np.zeros((len(parts[0]), 1), np.float32)]) for parts in sides.values())
    user_places, item_places = (np.concatenate(parts) for parts in places.values())
    widths = tables[0].shape[1], tables[1].shape[1]
    return Network(
        0.0, users, items, NO_PRIOR, NO_PRIOR, 1.0, checked_range(_range_of(module)),
        layers_of(module), user_places, item_places, constants, widths,
    )  # fmt: skip


def _embeddings(module: EmbeddingNet, ratings: Ratings, first: int) -> list[Floats]:
    """The embedding of each categorical column as an array; users and items start at their first code."""
    tables = [array_of(embedding.weight) for embedding in module.embeddings]  # type: ignore[arg-type]
    if len(tables) < 2:
        raise OptionError("a net that recommends needs an embedding of users and one of items, in this order.")
    tables[:2] = [table[first:] for table in tables[:2]]
    _check_size(len(tables[0]), len(tables[1]), ratings)
    return tables


def _side_of(name: str, ratings: Ratings) -> str:
    """Whose column it is: "user", "item" or "rating"."""
    for side, frame in (("user", ratings.user_table), ("item", ratings.item_table)):
        if frame is not None and name in frame.columns:
            return side
    return "rating"


def _column(name: str, table: Floats | None, ratings: Ratings, loaders: RatingLoaders | None) -> tuple[str, Floats]:
    """Whose column it is, and its part of the input: a row for each user or item, or the most common one of ratings."""
    assert loaders is not None
    side = _side_of(name, ratings)
    frame = {"user": ratings.user_table, "item": ratings.item_table}.get(side)
    if frame is not None:
        return side, _encoded(name, frame[name], table, loaders)
    if table is None:
        return side, np.zeros(1, np.float32)  # the mean of a normalized column
    at = list(loaders.classes).index(name)
    return side, table[int(loaders.train.tensors[0][:, at].mode().values)]


def _encoded(name: str, values: pl.Series, table: Floats | None, loaders: RatingLoaders) -> Floats:
    """The net's input for a column of the user or item table, (n, width)."""
    if table is None:
        return Scale(*loaders.scales[name]).encode(Column(name, values)).reshape(-1, 1).astype(np.float32)
    assert loaders.classes[name][0] == UNKNOWN
    codes, _ = Category(Vocabulary(loaders.classes[name][1:], what=name)).encode(Column(name, values))
    return table[codes]


def layers_of(module: EmbeddingNet) -> tuple[Layer, ...]:
    """The weight and bias of every linear layer, in order; raise OptionError for layers of another kind."""
    parts = [part for part in module.layers.modules() if not isinstance(part, nn.Sequential)]
    others = [type(part).__name__ for part in parts if not isinstance(part, nn.Linear | nn.ReLU | nn.Dropout)]
    if others:
        raise OptionError(f"a Recommender runs Linear, ReLU and Dropout layers; this net also has {others[0]}.")
    linear = [part for part in parts if isinstance(part, nn.Linear)]
    if any(part.bias is None for part in linear):
        raise OptionError("a Recommender runs Linear layers with a bias; this net has one without.")
    return tuple((array_of(part.weight), array_of(part.bias)) for part in linear)


# ---- priors for fold-in


def _with_priors(factors: Factors, ratings: Ratings) -> Factors:
    """The factors with priors from the mean and covariance of the trained rows, and the noise of the training error."""
    if not isinstance(factors, Network):
        return with_fitted_priors(factors, ratings.by_user(), around_zero=False)
    low, high = ratings.range
    noise = max(_rmse(factors, ratings, (low, high)), MIN_NOISE * max(high - low, 1e-6))
    alpha = (factors.span / noise) ** 2
    return replace(
        factors,
        user_prior=empirical_prior(factors.users[np.unique(ratings.user_codes)], alpha),
        item_prior=empirical_prior(factors.items[np.unique(ratings.item_codes)], alpha),
    )


def _without_unrated(factors: Factors, ratings: Ratings) -> Factors:
    """The factors with the prior means in place of what no rating has taught: embeddings of rows without ratings."""
    width = factors.n_factors + 1
    n_learned = factors.learned if isinstance(factors, Network) else (width, width)
    users, items = factors.users.copy(), factors.items.copy()
    for rows, codes, prior, n in (
        (users, ratings.user_codes, factors.user_prior, n_learned[0]),
        (items, ratings.item_codes, factors.item_prior, n_learned[1]),
    ):
        rows[np.bincount(codes, minlength=len(rows)) == 0, :n] = prior.mean[:n]
    return replace(factors, users=users, items=items)


def _rmse(factors: Factors, ratings: Ratings, limits: tuple[float, float]) -> float:
    """The RMSE of predictions clipped to the limits."""
    predicted = np.clip(factors.predict(ratings.user_codes, ratings.item_codes), *limits)
    return math.sqrt(weighted_mean((predicted.astype(np.float64) - ratings.values) ** 2, ratings.weights))
