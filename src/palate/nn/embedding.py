"""Parameters made by hand, and embeddings: indexing in place of one-hot products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from palate.answers.arguments import check_whole
from palate.errors import DataError, OptionError

SPREAD = 0.01  # standard deviation of fresh parameters
INTEGERS = (torch.int64, torch.int32)


def create_params(size: Sequence[int], *, generator: torch.Generator | None = None) -> nn.Parameter:
    """A learnable parameter of the given shape, drawn from N(0, 0.01^2).

    >>> create_params((4, 3)).shape
    torch.Size([4, 3])
    """
    return nn.Parameter(torch.zeros(*size).normal_(0, SPREAD, generator=generator))


class Embedding(nn.Module):
    """One learnable row of k numbers for each of n codes: weight (n, k). Called with codes (...), it gives (..., k).

    It is the product of the codes' one-hot rows with the weight, value and gradient, without ever making those rows.
    Raises DataError for a code outside 0..n-1.

    >>> cat_dog_bird = Embedding(3, 5)
    >>> cat_dog_bird(torch.tensor([1, 1, 2])).shape
    torch.Size([3, 5])
    """

    # Indexing has three spellings, all adding up the gradients of repeated codes exactly. Forward and backward of 64,
    # 512 and 4,096 codes in tables of 1,682, 1,682 and 6,040 rows of 50, in microseconds on two threads:
    #     weight[codes]              36    69   863     (and it takes -1 for the last row)
    #     F.embedding(codes, weight) 31    62   412
    #     index_select               42    53   222

    def __init__(self, n: int, k: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        check_whole("n", n, 1)
        check_whole("k", k, 1)
        self.weight = create_params((n, k), generator=generator)

    def forward(self, codes: Tensor) -> Tensor:
        """The rows of codes: (...) -> (..., k)."""
        if codes.dim() != 1:
            return self(codes.reshape(-1)).reshape(*codes.shape, self.weight.shape[1])  # type: ignore[no-any-return]
        try:
            return torch.index_select(self.weight, 0, codes)
        except (IndexError, RuntimeError) as error:  # it looks at every code anyway: checking costs nothing
            raise _explained(codes, len(self.weight)) or error from error

    def extra_repr(self) -> str:
        """The size, for print(model)."""
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}"


def _explained(codes: Tensor, n: int) -> Exception | None:
    """What is wrong with codes, if it is their type or their range."""
    if codes.dtype not in INTEGERS:
        return DataError(f"codes are integers (int64 or int32), not {codes.dtype}: write codes.long().")
    outside = codes[(codes < 0) | (codes >= n)]
    if len(outside) == 0:
        return None
    return DataError(
        f"code {int(outside[0])} lies outside 0..{n - 1}: this embedding has {n:,} rows. Labels become codes through "
        "the vocabulary of the training set (loaders.classes); make the embedding as large as that."
    )


def one_hot(codes: Tensor, n: int) -> Tensor:
    """Rows of zeros with a one at each code: (...) -> (..., n) float32. What an embedding saves us from.

    >>> one_hot(torch.tensor([1, 0]), 3)
    tensor([[0., 1., 0.],
            [1., 0., 0.]])
    """
    check_whole("n", n, 1)
    if codes.dtype not in INTEGERS or bool(((codes < 0) | (codes >= n)).any()):
        raise _explained(codes.reshape(-1), n) or AssertionError("these codes are in order")
    return torch.zeros(*codes.shape, n, device=codes.device).scatter_(-1, codes.long().unsqueeze(-1), 1.0)


def embedding_size(n: int) -> int:
    """The usual width of an embedding of n classes, min(600, round(1.6 n^0.56)).

    >>> embedding_size(943), embedding_size(1682)
    (74, 102)
    """
    check_whole("n", n, 1)
    return min(600, round(1.6 * math.pow(n, 0.56)))


def size_pair(size: Any) -> tuple[int, int]:
    """(n_classes, width) of what was given: both, or n_classes alone."""
    if not isinstance(size, Sequence):
        return size, embedding_size(size)
    pair = tuple(size)
    if len(pair) != 2:
        raise OptionError(f"a size is n_classes or (n_classes, width), not {size!r}.")
    return pair
