"""Models under the chapter's names: the dot product with biases, and nets over embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn

from palate.errors import DataError, OptionError
from palate.nn.book.data import Classes, CollabDataLoaders
from palate.nn.book.names import Module
from palate.nn.book.pca import Rows
from palate.nn.embedding import Embedding, embedding_size
from palate.nn.models import DotProductBias, EmbeddingNet, Range, checked_range, columns, sigmoid_range


def get_emb_sz(dls: CollabDataLoaders) -> list[tuple[int, int]]:
    """Return the size of the embedding of each field, by embedding_size.

    Parameters:
        dls (CollabDataLoaders): The loaders.

    Returns:
        list of tuple: (labels, width) of users and of items.

    Example:
        >>> from palate.nn.book import CollabDataLoaders, get_emb_sz
        >>> frame = {"who": ["ann", "bob"] * 4, "what": list("aabbccdd"), "stars": [1, 2, 3, 4] * 2}
        >>> get_emb_sz(CollabDataLoaders.from_df(frame, valid_pct=0.25))
        [(3, 3), (5, 4)]
    """
    return [(size, embedding_size(size)) for size in dls.sizes]


class EmbeddingDotBias(DotProductBias):
    """The dot product with biases under the chapter's names.

    Parameters:
        n_factors (int): Length of the vectors, 1 or more.
        n_users (int): Users, with #na#.
        n_items (int): Items, with #na#.
        y_range (pair of float, default None): (low, high) that predictions are squeezed between.

    Attributes:
        classes (dict or None): The labels of users and of items, for weight and bias; set by from_classes.

    Example:
        >>> from palate.nn.book import EmbeddingDotBias, tensor
        >>> EmbeddingDotBias(n_factors=5, n_users=3, n_items=4, y_range=(0, 5.5))(tensor([[1, 2]])).shape
        torch.Size([1, 1])
    """

    first_code = 1
    classes: dict[str, Classes] | None = None
    u_weight = property(attrgetter("user_factors"), doc="The embedding of user factors, (n_users, n_factors).")
    i_weight = property(attrgetter("item_factors"), doc="The embedding of item factors, (n_items, n_factors).")
    u_bias = property(attrgetter("user_bias"), doc="The embedding of user biases, (n_users, 1).")
    i_bias = property(attrgetter("item_bias"), doc="The embedding of item biases, (n_items, 1).")

    def __init__(self, n_factors: int, n_users: int, n_items: int, y_range: Range | None = None) -> None:
        super().__init__(n_users, n_items, n_factors, y_range=y_range)

    @classmethod
    def from_classes(cls, n_factors: int, classes: dict[str, Any], y_range: Range | None = None) -> EmbeddingDotBias:
        """Make a model for all labels of dls.classes.

        Parameters:
            n_factors (int): Length of the vectors, 1 or more.
            classes (dict): The labels of users, then of items, as in dls.classes.
            y_range (pair of float, default None): (low, high) that predictions are squeezed between.

        Returns:
            EmbeddingDotBias: A model whose weight and bias methods take labels.
        """
        users, items = classes.values()
        model = cls(n_factors, len(users), len(items), y_range)
        model.classes = classes
        return model

    def bias(self, arr: Sequence[Any], is_item: bool = True) -> Tensor:
        """Return the biases of labels.

        Parameters:
            arr (sequence of labels): Item labels, or user labels.
            is_item (bool, default True): Whether they are labels of items.

        Returns:
            Tensor: Biases, (n,).

        Raises:
            UnknownLabelError: The model has no such label.
            OptionError: The model was made without labels, or arr is a single label.
        """
        return self._rows(self.i_bias if is_item else self.u_bias, arr, is_item)[:, 0]

    def weight(self, arr: Sequence[Any], is_item: bool = True) -> Tensor:
        """Return the factors of labels.

        Parameters:
            arr (sequence of labels): Item labels, or user labels.
            is_item (bool, default True): Whether they are labels of items.

        Returns:
            Tensor: Factors, (n, n_factors).

        Raises:
            UnknownLabelError: The model has no such label.
            OptionError: The model was made without labels, or arr is a single label.
        """
        return self._rows(self.i_weight if is_item else self.u_weight, arr, is_item)

    def _rows(self, embedding: Embedding, labels: Sequence[Any], is_item: bool) -> Tensor:
        if self.classes is None:
            raise OptionError("this model has no labels: make it with collab_learner or from_classes.")
        if isinstance(labels, str):
            raise OptionError(f"give a list of labels: [{labels!r}].")
        code_of = list(self.classes.values())[is_item].o2i
        codes = [code_of[label] for label in labels]
        return embedding.weight.detach().cpu()[torch.tensor(codes, dtype=torch.int64)].as_subclass(Rows)


class EmbeddingNN(EmbeddingNet):
    """A small neural net over the embeddings of user and item, under the chapter's names.

    Parameters:
        emb_szs (sequence of tuple): (labels, width) of users and of items, as get_emb_sz returns.
        layers (sequence of int, default (200, 100)): Widths of the hidden layers.
        y_range (pair of float, default None): (low, high) that predictions are squeezed between.

    Example:
        >>> from palate.nn.book import EmbeddingNN, tensor
        >>> EmbeddingNN([(3, 3), (5, 4)], layers=[10], y_range=(0, 5.5))(tensor([[1, 2]])).shape
        torch.Size([1, 1])
    """

    first_code = 1

    def __init__(
        self, emb_szs: Sequence[tuple[int, int]], layers: Sequence[int] = (200, 100), y_range: Range | None = None
    ) -> None:
        super().__init__(emb_szs, layers=layers, y_range=y_range)


class TabularModel(Module):
    """A neural net over embeddings and continuous columns, with batch normalization: the chapter's base of EmbeddingNN.

    Parameters:
        emb_szs (sequence of tuple): (labels, width) of each categorical column, as get_emb_sz returns.
        n_cont (int): Continuous columns; the chapter has 0.
        out_sz (int): Numbers to predict for each row: 1, or dls.c for classes.
        layers (sequence of int): Widths of the hidden layers.
        ps (float or sequence of float, default None): Dropout after the hidden layers; None takes 0.
        embed_p (float, default 0.0): Dropout of the embeddings.
        y_range (pair of float, default None): (low, high) that predictions are squeezed between.
        use_bn (bool, default True): Normalize the batches after each hidden layer.
        bn_cont (bool, default True): Normalize the batches of the continuous columns.

    Raises:
        OptionError: There is not one dropout for each hidden layer, or y_range is not (low, high).

    Example:
        >>> from palate.nn.book import TabularModel, tensor
        >>> TabularModel([(3, 3), (5, 4)], n_cont=0, out_sz=5, layers=[10])(tensor([[1, 2], [2, 4]])).shape
        torch.Size([2, 5])
    """

    first_code = 1

    def __init__(
        self,
        emb_szs: Sequence[tuple[int, int]],
        n_cont: int,
        out_sz: int,
        layers: Sequence[int],
        ps: float | Sequence[float] | None = None,
        embed_p: float = 0.0,
        y_range: Range | None = None,
        use_bn: bool = True,
        bn_cont: bool = True,
    ) -> None:
        shares = list(ps) if isinstance(ps, Sequence) else [ps or 0.0] * len(layers)
        if len(shares) != len(layers):
            raise OptionError(
                f"ps has {len(shares)} numbers and layers {len(layers)}: give one for each, or one number."
            )
        self.embeds = nn.ModuleList(Embedding(n, width) for n, width in emb_szs)
        self.emb_drop = nn.Dropout(embed_p)
        self.bn_cont = nn.BatchNorm1d(n_cont) if n_cont and bn_cont else None
        self.n_cont, self.y_range = n_cont, checked_range(y_range)
        widths = [sum(width for _, width in emb_szs) + n_cont, *layers]
        hidden = [_hidden(*pair, share, use_bn) for pair, share in zip(pairwise(widths), shares, strict=True)]
        self.layers = nn.Sequential(*hidden, nn.Linear(widths[-1], out_sz))

    def forward(self, x_cat: Tensor, x_cont: Tensor | None = None) -> Tensor:
        """Predict rows.

        Parameters:
            x_cat (Tensor): Codes of the categorical columns, int64, (batch, n).
            x_cont (Tensor, default None): The continuous columns, float32, (batch, n_cont).

        Returns:
            Tensor: (batch, out_sz).

        Raises:
            DataError: A shape is not the one the net was made for.
        """
        parts = [embed(codes) for embed, codes in zip(self.embeds, columns(x_cat, len(self.embeds)), strict=True)]
        joined = [self.emb_drop(torch.cat(parts, 1))] if parts else []
        if (0 if x_cont is None else x_cont.shape[-1]) != self.n_cont:
            raise DataError(f"this net takes {self.n_cont} continuous columns (n_cont).")
        if x_cont is not None and self.n_cont:
            joined.append(x_cont if self.bn_cont is None else self.bn_cont(x_cont))
        score: Tensor = self.layers(torch.cat(joined, 1))
        return score if self.y_range is None else sigmoid_range(score, *self.y_range)


def _hidden(n_in: int, n_out: int, share: float, use_bn: bool) -> nn.Sequential:
    """Linear, ReLU, batch normalization, dropout: (batch, n_in) -> (batch, n_out)."""
    parts: list[nn.Module] = [nn.Linear(n_in, n_out, bias=not use_bn), nn.ReLU()]
    parts += [nn.BatchNorm1d(n_out)] if use_bn else []
    return nn.Sequential(*parts, *([nn.Dropout(share)] if share else []))
