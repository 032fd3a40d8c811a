"""Torch modules to Recommenders and back."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from palate.errors import OptionError
from palate.factors import Factors, Floats
from palate.network import Layer, Network, empirical_prior
from palate.nn.columns import UNKNOWN, Category, Column, Scale
from palate.nn.loaders import RatingLoaders
from palate.nn.models import DotProductBias, EmbeddingNet
from palate.ratings import Ratings
from palate.recommender import Recommender
from palate.vocabulary import Vocabulary

if TYPE_CHECKING:
    import polars as pl

LEAST_NOISE = 1e-3  # of the rating range: a fit that leaves no error must not leave fold-in without doubt


def to_torch(recommender: Recommender) -> DotProductBias:
    """The same model as a DotProductBias, float32 parameters in the order of the vocabularies.

    Raises OptionError for a neural net, which is no dot product.
    """
    factors = recommender.model.factors
    if isinstance(factors, Network):
        raise OptionError("this model is a neural net; to_torch() gives a dot product with biases.")
    if factors.n_factors == 0:
        name = recommender.model.recipe.get("name", "this model")
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
    return module.eval()


def from_torch(
    module: nn.Module, ratings: Ratings | RatingLoaders, valid: Ratings | None = None, name: str | None = None
) -> Recommender:
    """A Recommender that answers as the module does, without torch.

    module: a dot product (anything with user_factors, item_factors and perhaps user_bias and item_bias, whose `weight`
    are the parameters in the order of the codes, and perhaps y_range and mean), or an EmbeddingNet of user, item and
    perhaps other columns. ratings: what it was trained on; the loaders, where the net has other columns: those known of
    users and items count for each, those of single ratings are held at what is most common. Intervals are claimed only
    with valid=, ratings to measure them on. Somebody new gets the vector that fits his ratings best, given how the
    trained vectors are spread. Raises OptionError for any other module, or one of another size.
    """
    loaders = ratings if isinstance(ratings, RatingLoaders) else None
    known = loaders.ratings if loaders else ratings
    assert isinstance(known, Ratings)
    if isinstance(module, EmbeddingNet):
        factors: Factors = _network(module, known, loaders)
    else:
        factors = _dot_product(module, known)
    factors = _with_priors(factors, known)
    noise = float("nan") if valid is None else _rmse(factors, valid, known.range)
    recipe = {"name": name or type(module).__name__, "trained": "with PyTorch"}
    return Recommender.from_training(known, factors=factors, noise=noise, recipe=recipe)


# ---- dot products


def _dot_product(module: nn.Module, ratings: Ratings) -> Factors:
    users, items = (_table(module, f"{side}_factors") for side in ("user", "item"))
    if users is None or items is None:
        raise OptionError(
            f"{type(module).__name__} is neither a dot product (user_factors and item_factors) nor an EmbeddingNet; "
            "give one of these, or name its embeddings so."
        )
    _check_size(len(users), len(items), ratings)
    biases = [_table(module, f"{side}_bias") for side in ("user", "item")]
    sides = [
        np.hstack([table, np.zeros((len(table), 1), np.float32) if bias is None else bias.reshape(-1, 1)])
        for table, bias in zip((users, items), biases, strict=True)
    ]
    nothing = empirical_prior(np.zeros((1, sides[0].shape[1]), np.float32), 1.0)
    mean = float(getattr(module, "mean", 0.0))
    return Factors(mean, sides[0], sides[1], nothing, nothing, y_range=_range_of(module))


def _table(module: nn.Module, name: str) -> Floats | None:
    """The parameter of that name, or the `weight` of the embedding of that name."""
    found = getattr(module, name, None)
    tensor = getattr(found, "weight", found)
    return array_of(tensor) if isinstance(tensor, Tensor) else None


def array_of(tensor: Tensor) -> Floats:
    """A tensor of any device as a float32 array of its own."""
    return tensor.detach().to("cpu", torch.float32).numpy().copy()


def _range_of(module: nn.Module) -> tuple[float, float] | None:
    y_range = getattr(module, "y_range", None)
    return None if y_range is None else (float(y_range[0]), float(y_range[1]))


def _check_size(n_users: int, n_items: int, ratings: Ratings) -> None:
    if (n_users, n_items) != (ratings.n_users, ratings.n_items):
        raise OptionError(
            f"the module knows {n_users:,} users and {n_items:,} items, the ratings have {ratings.n_users:,} and "
            f"{ratings.n_items:,}: give the ratings it was trained on (loaders.ratings)."
        )


# ---- neural nets


def _network(module: EmbeddingNet, ratings: Ratings, loaders: RatingLoaders | None) -> Network:
    """The net's inputs sorted by whom they belong to, and its layers."""
    tables = [array_of(embedding.weight) for embedding in module.embeddings]  # type: ignore[arg-type]
    _check_size(len(tables[0]), len(tables[1]), ratings)
    extra = [] if loaders is None else list(loaders.classes)[2:]
    scales = {} if loaders is None else loaders.scales
    if len(tables) != 2 + len(extra) or module.n_continuous != len(scales):
        raise OptionError(
            f"the net takes {len(tables)} categorical and {module.n_continuous} continuous columns: give the "
            "RatingLoaders it was trained with, which say what they are."
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
    nothing = empirical_prior(np.zeros((1, 1), np.float32), 1.0)
    widths = tables[0].shape[1], tables[1].shape[1]
    return Network(
        0.0, users, items, nothing, nothing, 1.0, _range_of(module),
        layers_of(module), user_places, item_places, constants, widths,
    )  # fmt: skip


def _column(name: str, table: Floats | None, ratings: Ratings, loaders: RatingLoaders | None) -> tuple[str, Floats]:
    """Whose column it is, and what the net reads there: for each user or item, or what is most common in ratings."""
    assert loaders is not None
    for side, frame in (("user", ratings.user_table), ("item", ratings.item_table)):
        if frame is not None and name in frame.columns:
            return side, _read(name, frame[name], table, loaders)
    if table is None:
        return "rating", np.zeros(1, np.float32)  # a standardised column's mean
    at = list(loaders.classes).index(name)
    return "rating", table[int(loaders.train.tensors[0][:, at].mode().values)]


def _read(name: str, values: pl.Series, table: Floats | None, loaders: RatingLoaders) -> Floats:
    """A column of a side's table as the net reads it, (n, width)."""
    if table is None:
        return Scale(*loaders.scales[name]).encode(Column(name, values)).reshape(-1, 1).astype(np.float32)
    assert loaders.classes[name][0] == UNKNOWN
    codes, _ = Category(Vocabulary(loaders.classes[name][1:], what=name)).encode(Column(name, values))
    return table[codes]


def layers_of(module: EmbeddingNet) -> tuple[Layer, ...]:
    """Weight and bias of every linear layer, in order."""
    linear = [part for part in module.layers.modules() if isinstance(part, nn.Linear)]
    return tuple((array_of(part.weight), array_of(part.bias)) for part in linear)


# ---- what somebody new may be like


def _with_priors(factors: Factors, ratings: Ratings) -> Factors:
    """The factors with priors that hold how the trained rows are spread, and with the noise they leave in training."""
    low, high = ratings.range
    noise = max(_rmse(factors, ratings, (low, high)), LEAST_NOISE * max(high - low, 1e-6))
    alpha = (factors.span / noise) ** 2
    return replace(
        factors,
        user_prior=empirical_prior(factors.users[np.unique(ratings.user_codes)], alpha),
        item_prior=empirical_prior(factors.items[np.unique(ratings.item_codes)], alpha),
    )


def _rmse(factors: Factors, ratings: Ratings, limits: tuple[float, float]) -> float:
    predicted = np.clip(factors.predict(ratings.user_codes, ratings.item_codes), *limits)
    return math.sqrt(np.mean((predicted.astype(np.float64) - ratings.values) ** 2))
