"""Models: the dot product, the dot product with biases, and a small neural net over embeddings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from palate.errors import DataError, OptionError
from palate.nn.embedding import Embedding, embedding_size, size_pair
from palate.options import check_whole

Range = tuple[float, float]


def sigmoid_range(x: Tensor, low: float, high: float) -> Tensor:
    """Squeeze numbers between low and high: sigmoid(x) * (high - low) + low.

    Parameters:
        x (Tensor): Numbers of any shape.
        low (float): The lower limit.
        high (float): The upper limit, above low.

    Returns:
        Tensor: Numbers between low and high, of the same shape.

    Example:
        >>> import torch
        >>> from palate.nn import sigmoid_range
        >>> sigmoid_range(torch.tensor([-100.0, 0.0, 100.0]), 0, 5.5)
        tensor([0.0000, 2.7500, 5.5000])
    """
    scaled = torch.sigmoid(x) * (high - low)
    return scaled + low if low else scaled


def cosine(u: Tensor, v: Tensor) -> Tensor:
    """Return the cosine between vectors: their dot product, divided by both lengths.

    Parameters:
        u (Tensor): Vectors, (..., k).
        v (Tensor): Vectors, (..., k).

    Returns:
        Tensor: Cosines between -1 and 1, (...).

    Example:
        >>> import torch
        >>> from palate.nn import cosine
        >>> cosine(torch.tensor([3.0, 0.0]), torch.tensor([2.0, 2.0]))
        tensor(0.7071)
    """
    return functional.cosine_similarity(u, v, dim=-1).clamp(-1, 1)


class DotProduct(nn.Module):
    """A vector of factors for each user and each item; the prediction is their dot product, p_u . q_i.

    Parameters:
        n_users (int): Users, 1 or more.
        n_items (int): Items, 1 or more.
        n_factors (int, default None): Length k of the vectors, 1 or more; None takes embedding_size of the larger side.
        generator (torch.Generator, default None): Where the first weights come from; None takes torch's own.

    Attributes:
        user_factors (Embedding): The users' vectors p, (n_users, k).
        item_factors (Embedding): The items' vectors q, (n_items, k).

    Raises:
        OptionError: A size is not a whole number of 1 or more.

    Example:
        >>> import torch
        >>> from palate.nn import DotProduct
        >>> model = DotProduct(n_users=3, n_items=4, n_factors=5)
        >>> model(torch.tensor([[0, 1], [2, 3]])).shape
        torch.Size([2, 1])
    """

    def __init__(
        self, n_users: int, n_items: int, n_factors: int | None = None, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        k = embedding_size(max(n_users, n_items)) if n_factors is None else n_factors
        self.user_factors = Embedding(n_users, k, generator=generator)
        self.item_factors = Embedding(n_items, k, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Predict the ratings of pairs.

        Parameters:
            x (Tensor): User codes and item codes, int64, (batch, 2).

        Returns:
            Tensor: Predictions, (batch, 1).

        Raises:
            DataError: x has another shape, or a code lies outside the embeddings.
        """
        users, items = columns(x, 2)
        return self.dot(users, items)

    def dot(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the dot products of the factors of users and items.

        Parameters:
            users (Tensor): User codes, (batch,).
            items (Tensor): Item codes, (batch,).

        Returns:
            Tensor: Dot products, (batch, 1).
        """
        return (self.user_factors(users) * self.item_factors(items)).sum(1, keepdim=True)  # type: ignore[no-any-return]


class DotProductBias(DotProduct):
    """The dot product with a bias for each user and each item: mean + b_u + b_i + p_u . q_i.

    Parameters:
        n_users (int): Users, 1 or more.
        n_items (int): Items, 1 or more.
        n_factors (int, default None): Length k of the vectors, 1 or more; None takes embedding_size of the larger side.
        y_range (pair of float, default None): (low, high) for sigmoid_range, which squeezes the predictions between
            them. Make it a little wider than the ratings, since the sigmoid never reaches its limits.
        mean (float, default 0.0): A constant added to every prediction, before sigmoid_range.
        generator (torch.Generator, default None): Where the first weights come from; None takes torch's own.

    Attributes:
        user_factors (Embedding): The users' vectors p, (n_users, k).
        item_factors (Embedding): The items' vectors q, (n_items, k).
        user_bias (Embedding): The users' biases b_u, (n_users, 1).
        item_bias (Embedding): The items' biases b_i, (n_items, 1).

    Raises:
        OptionError: A size is not a whole number of 1 or more, or y_range is not (low, high) with low below high.

    Example:
        >>> import torch
        >>> from palate.nn import DotProductBias
        >>> model = DotProductBias(3, 4, n_factors=5, y_range=(0, 5.5))
        >>> model(torch.tensor([[0, 1]])).round().item()  # near 2.75, half of 5.5: nothing has been learned yet
        3.0
    """

    def __init__(
        self,
        n_users: int,
        n_items: int,
        n_factors: int | None = None,
        *,
        y_range: Range | None = None,
        mean: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(n_users, n_items, n_factors, generator=generator)
        self.user_bias = Embedding(n_users, 1, generator=generator)
        self.item_bias = Embedding(n_items, 1, generator=generator)
        self.mean = float(mean)
        self.y_range = checked_range(y_range)

    def forward(self, x: Tensor) -> Tensor:
        """Predict the ratings of pairs.

        Parameters:
            x (Tensor): User codes and item codes, int64, (batch, 2).

        Returns:
            Tensor: Predictions, (batch, 1), within y_range if there is one.

        Raises:
            DataError: x has another shape, or a code lies outside the embeddings.
        """
        users, items = columns(x, 2)
        score = self.dot(users, items) + self.user_bias(users) + self.item_bias(items)
        if self.mean:
            score = score + self.mean
        return score if self.y_range is None else sigmoid_range(score, *self.y_range)


class EmbeddingNet(nn.Module):
    """A small neural net: the embeddings of categorical columns side by side, then linear layers with ReLU.

    Parameters:
        sizes (sequence): For each categorical column its number of classes, or (n_classes, width of the embedding);
            embedding_size chooses a width that is not given.
        n_continuous (int, default 0): Continuous columns, which enter the first layer as they are.
        layers (sequence of int, default (100, 50)): Widths of the hidden layers, each 1 or more.
        dropout (float, default 0.0): Share of each hidden layer's activations set to zero in training, from 0 to
            below 1.
        y_range (pair of float, default None): (low, high) for sigmoid_range, which squeezes the predictions between
            them.
        generator (torch.Generator, default None): Where the first weights come from; None takes torch's own.

    Attributes:
        embeddings (torch.nn.ModuleList): An Embedding for each categorical column.
        layers (torch.nn.Sequential): The hidden layers, and a linear layer of width 1.

    Raises:
        OptionError: An option lies outside its range, or there is no column at all.

    Source:
        Guo & Berkhahn (2016), Entity Embeddings of Categorical Variables.

    Example:
        >>> import torch
        >>> from palate.nn import EmbeddingNet
        >>> model = EmbeddingNet([943, 1682, (21, 4)], n_continuous=1, layers=(100, 50), y_range=(0, 5.5))
        >>> model(torch.tensor([[0, 7, 20]]), torch.tensor([[0.5]])).shape
        torch.Size([1, 1])
    """

    def __init__(
        self,
        sizes: Sequence[int | tuple[int, int]],
        *,
        n_continuous: int = 0,
        layers: Sequence[int] = (100, 50),
        dropout: float = 0.0,
        y_range: Range | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_net(sizes, n_continuous, layers, dropout)
        pairs = [size_pair(size) for size in sizes]
        self.embeddings = nn.ModuleList(Embedding(n, width, generator=generator) for n, width in pairs)
        self.n_continuous = n_continuous
        self.y_range = checked_range(y_range)
        widths = [sum(width for _, width in pairs) + n_continuous, *layers]
        self.layers = nn.Sequential(
            *(hidden_layer(*pair, dropout, generator) for pair in pairwise(widths)),
            linear_layer(widths[-1], 1, generator),
        )

    def forward(self, x: Tensor, continuous: Tensor | None = None) -> Tensor:
        """Predict the ratings of rows.

        Parameters:
            x (Tensor): Codes of the categorical columns, int64, (batch, n_categorical).
            continuous (Tensor, default None): The continuous columns, float32, (batch, n_continuous); None if the net
                has none.

        Returns:
            Tensor: Predictions, (batch, 1), within y_range if there is one.

        Raises:
            DataError: A shape is not the one the net was made for, or a code lies outside its embedding.
        """
        codes = columns(x, len(self.embeddings))
        parts = [embedding(column) for embedding, column in zip(self.embeddings, codes, strict=True)]
        joined = torch.cat([*parts, *self._continuous_part(continuous)], dim=1)  # (batch, all widths)
        score: Tensor = self.layers(joined)  # (batch, 1)
        return score if self.y_range is None else sigmoid_range(score, *self.y_range)

    def _continuous_part(self, continuous: Tensor | None) -> list[Tensor]:
        """The continuous columns, if any; raise DataError unless the net was made for as many."""
        given = 0 if continuous is None else continuous.shape[-1]
        if given != self.n_continuous:
            raise DataError(f"this net takes {self.n_continuous} continuous columns, not {given} (n_continuous=).")
        return [] if continuous is None else [continuous]


def hidden_layer(n_in: int, n_out: int, dropout: float, generator: torch.Generator | None) -> nn.Sequential:
    """Linear, ReLU, dropout: (batch, n_in) -> (batch, n_out)."""
    parts: list[nn.Module] = [linear_layer(n_in, n_out, generator), nn.ReLU()]
    return nn.Sequential(*parts, nn.Dropout(dropout)) if dropout else nn.Sequential(*parts)


def linear_layer(n_in: int, n_out: int, generator: torch.Generator | None) -> nn.Linear:
    """A linear layer with its default start, Uniform(-1/sqrt(n_in), 1/sqrt(n_in)), drawn from the generator."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, n_in, n_out)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-(n_in**-0.5), n_in**-0.5, generator=generator)
    return layer


def check_net(sizes: Any, n_continuous: Any, layers: Any, dropout: Any) -> None:
    """Raise OptionError if an option of the net lies outside its range."""
    for name, given in (("sizes", sizes), ("layers", layers)):
        if not isinstance(given, Sequence) or isinstance(given, str):
            raise OptionError(
                f"{name}={given!r}: give a list, such as {'[943, 1682]' if name == 'sizes' else '[100, 50]'}."
            )
    check_whole(n_continuous=n_continuous)
    check_whole(1, **{f"layers[{n}]": width for n, width in enumerate(layers)})
    if not sizes and n_continuous == 0:
        raise OptionError("a net needs at least one column: give sizes of categorical columns, or n_continuous.")
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise OptionError(f"dropout={dropout!r}: give the share of activations to set to zero, from 0 to below 1.")


def columns(x: Tensor, n: int) -> tuple[Tensor, ...]:
    """The n columns of codes, each (batch,); raise DataError if x is not (batch, n)."""
    if x.dim() != 2 or x.shape[1] != n:
        raise DataError(f"x has shape {tuple(x.shape)}; this model takes (batch, {n}): a row of {n} codes per rating.")
    return x.unbind(1)


def checked_range(y_range: Any) -> Range | None:
    """y_range as (low, high), or None; raise OptionError for anything else."""
    if y_range is None:
        return None
    try:
        low, high = (float(end) for end in y_range)
    except (TypeError, ValueError):
        raise OptionError(f"y_range={y_range!r}: give (low, high), such as (0, 5.5), or None.") from None
    if not -math.inf < low < high < math.inf:
        raise OptionError(f"y_range={y_range!r}: low must lie below high, and both be finite.")
    return low, high


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Inside, the model is in evaluation mode (no dropout) and no gradients are kept."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)
