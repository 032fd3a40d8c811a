"""The loss: mean squared error, and weight decay written as what it adds to it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from palate.errors import DataError


def mse(predictions: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error, mean (prediction - target)^2, of two tensors of one shape.

    Raises DataError when the shapes differ: (64,) against (64, 1) would silently become 64 x 64 differences.

    >>> mse(torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [4.0]]))
    tensor(2.)
    """
    if predictions.shape != targets.shape:
        raise DataError(
            f"predictions have shape {tuple(predictions.shape)} and targets {tuple(targets.shape)}: the loss compares "
            "them one by one, so make them one shape, usually (batch, 1), with .reshape or keepdim=True."
        )
    return torch.ops.aten.mse_loss(predictions, targets)  # type: ignore[no-any-return]  # functional's, checked already


def weight_decay_term(parameters: Iterable[Tensor], wd: float) -> Tensor:
    """What weight decay adds to the loss, wd * sum of all squared weights; its gradient is 2 wd w.

    With plain SGD that is the optimizer's own weight_decay=2 * wd, step for step. With Adam it is not: there a term in
    the loss is divided by the size of the gradients like the rest of them, which is why AdamW keeps it apart.

    >>> weight_decay_term([torch.tensor([1.0, 2.0]), torch.tensor(3.0)], wd=0.1)
    tensor(1.4000)
    """
    squares = [parameter.square().sum() for parameter in parameters]
    return wd * torch.stack(squares).sum() if squares else torch.zeros(())
