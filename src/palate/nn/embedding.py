"""Parameters made by hand, and embeddings: indexing a weight matrix in place of multiplying one-hot rows by it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from palate.errors import DataError, OptionError
from palate.options import check_whole

INIT_STD = 0.01  # standard deviation of fresh parameters
INTEGERS = (torch.int64, torch.int32)


def create_params(size: Sequence[int], *, generator: torch.Generator | None = None) -> nn.Parameter:
    """Create a trainable parameter, drawn from Normal(0, 0.01^2).

    Parameters:
        size (sequence of int): The shape.
        generator (torch.Generator, default None): Where the random numbers come from; None takes torch's own.

    Returns:
        torch.nn.Parameter: Float32, of the given shape.

    Example:
        >>> from palate.nn import create_params
        >>> create_params((4, 3)).shape
        torch.Size([4, 3])
    """
    return nn.Parameter(torch.zeros(*size).normal_(0, INIT_STD, generator=generator))


class Embedding(nn.Module):
    """A trainable vector for each of n codes: a weight matrix (n, k) whose rows are looked up.

    Value and gradient equal the product of the codes' one-hot rows with the weight, without those rows being made.

    Parameters:
        n (int): Codes, 1 or more: 0, ..., n - 1.
        k (int): Length of each vector, 1 or more.
        generator (torch.Generator, default None): Where the first weights come from; None takes torch's own.

    Attributes:
        weight (torch.nn.Parameter): The vectors, float32, (n, k).

    Raises:
        OptionError: n or k is not a whole number of 1 or more.

    Example:
        >>> import torch
        >>> from palate.nn import Embedding
        >>> cat_dog_bird = Embedding(3, 5)
        >>> cat_dog_bird(torch.tensor([1, 1, 2])).shape
        torch.Size([3, 5])
    """

    # Three ways of indexing. All add up the gradients of repeated codes exactly. Forward and backward of 64, 512 and
    # 4,096 codes in tables of 1,682, 1,682 and 6,040 rows of 50, in microseconds on two threads:
    #     weight[codes]              36    69   863     (and it reads -1 as the last row)
    #     F.embedding(codes, weight) 31    62   412
    #     index_select               42    53   222

    def __init__(self, n: int, k: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        check_whole(1, n=n)
        check_whole(1, k=k)
        self.weight = create_params((n, k), generator=generator)

    def forward(self, codes: Tensor) -> Tensor:
        """Look up the vectors of codes.

        Parameters:
            codes (Tensor): Codes from 0 to n - 1, int64 or int32, of any shape (...).

        Returns:
            Tensor: The vectors, (..., k).

        Raises:
            DataError: A code lies outside 0..n-1, or codes are not integers.
        """
        if codes.dim() != 1:
            return self(codes.reshape(-1)).reshape(*codes.shape, self.weight.shape[1])  # type: ignore[no-any-return]
        try:
            return torch.index_select(self.weight, 0, codes)
        except (IndexError, RuntimeError) as error:  # index_select checks every code anyway, so this costs nothing
            raise _code_error(codes, len(self.weight)) or error from error

    def extra_repr(self) -> str:
        """Return the size as text, for print(model).

        Returns:
            str: "n, k".
        """
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}"


def _code_error(codes: Tensor, n: int) -> Exception | None:
    """The error to raise if codes have the wrong type or lie outside 0..n-1; None if they are valid."""
    if codes.dtype not in INTEGERS:
        return DataError(f"codes are integers (int64 or int32), not {codes.dtype}: write codes.long().")
    outside = codes[(codes < 0) | (codes >= n)]
    if len(outside) == 0:
        return None
    return DataError(
        f"code {int(outside[0])} lies outside 0..{n - 1}: this embedding has {n:,} rows. The vocabulary of the "
        "training set (loaders.classes) turns labels into codes; make the embedding as large as that."
    )


def one_hot(codes: Tensor, n: int) -> Tensor:
    """Return rows of zeros with a one at each code. An embedding gives the same product without them.

    Parameters:
        codes (Tensor): Codes from 0 to n - 1, int64 or int32, of any shape (...).
        n (int): Length of each row, 1 or more.

    Returns:
        Tensor: Float32, (..., n).

    Raises:
        DataError: A code lies outside 0..n-1, or codes are not integers.
        OptionError: n is not a whole number of 1 or more.

    Example:
        >>> import torch
        >>> from palate.nn import one_hot
        >>> one_hot(torch.tensor([1, 0]), 3)
        tensor([[0., 1., 0.],
                [1., 0., 0.]])
    """
    check_whole(1, n=n)
    if codes.dtype not in INTEGERS or bool(((codes < 0) | (codes >= n)).any()):
        raise _code_error(codes.reshape(-1), n) or AssertionError("these codes are valid")
    return torch.zeros(*codes.shape, n, device=codes.device).scatter_(-1, codes.long().unsqueeze(-1), 1.0)


def embedding_size(n: int) -> int:
    """Return the width that fast.ai's rule of thumb gives an embedding of n classes: min(600, round(1.6 n^0.56)).

    Parameters:
        n (int): Classes, 1 or more.

    Returns:
        int: The width, from 2 to 600.

    Raises:
        OptionError: n is not a whole number of 1 or more.

    Source:
        fast.ai, `emb_sz_rule` in fastai.tabular.model.

    Example:
        >>> from palate.nn import embedding_size
        >>> embedding_size(943), embedding_size(1682)
        (74, 102)
    """
    check_whole(1, n=n)
    return min(600, round(1.6 * math.pow(n, 0.56)))


def size_pair(size: Any) -> tuple[int, int]:
    """(n_classes, width) of a size given as that pair or as n_classes alone."""
    if not isinstance(size, Sequence):
        return size, embedding_size(size)
    pair = tuple(size)
    if len(pair) != 2:
        raise OptionError(f"a size is n_classes or (n_classes, width), not {size!r}.")
    return pair
