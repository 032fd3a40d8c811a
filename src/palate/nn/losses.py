"""Losses: mean squared error, and weight decay written as the term it adds to the loss."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from palate.errors import DataError, OptionError


def mse(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error, mean((prediction - target)^2).

    The shapes must be equal: (64,) against (64, 1) would silently be broadcast to 64 x 64 differences.

    Parameters:
        predictions (Tensor): Predicted ratings, usually (batch, 1).
        targets (Tensor): Observed ratings, of the same shape.

    Returns:
        Tensor: The loss, of shape ().

    Raises:
        DataError: The shapes differ.

    Example:
        >>> import torch
        >>> from palate.nn import mse
        >>> mse(torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [4.0]]))
        tensor(2.)
    """
    if predictions.shape != targets.shape:
        raise DataError(
            f"predictions have shape {tuple(predictions.shape)} and targets {tuple(targets.shape)}: the loss compares "
            "them one by one, so make them one shape, usually (batch, 1), with .reshape or keepdim=True."
        )
    return torch.ops.aten.mse_loss(predictions, targets)  # type: ignore[no-any-return]  # F.mse_loss without its checks


def weight_decay_term(parameters: Iterable[Tensor], wd: float) -> Tensor:
    """Return what weight decay adds to the loss: wd times the sum of all squared weights.

    Its gradient is 2 wd w. With plain SGD this equals the optimizer's weight_decay=2 * wd, step for step. With Adam it
    does not: Adam divides this term by the size of the gradients too, which is why AdamW keeps it apart from them.

    Parameters:
        parameters (iterable of Tensor): The weights, such as model.parameters().
        wd (float): The weight decay, 0 or more.

    Returns:
        Tensor: The term, of shape (), differentiable.

    Source:
        Loshchilov & Hutter (2019), Decoupled Weight Decay Regularization, section 2.

    Example:
        >>> import torch
        >>> from palate.nn import weight_decay_term
        >>> weight_decay_term([torch.tensor([1.0, 2.0]), torch.tensor(3.0)], wd=0.1)
        tensor(1.4000)
    """
    squares = [parameter.square().sum() for parameter in parameters]
    return wd * torch.stack(squares).sum() if squares else torch.zeros(())


def checked_loss(loss: Any, *, training: bool = False) -> Tensor:
    """The loss; raise OptionError unless it is one number, and in training one that depends on trained parameters."""
    if not isinstance(loss, Tensor) or loss.dim():
        found = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
        raise OptionError(f"loss= gave {found}: it must give a tensor of one number, shape (), such as a mean().")
    if training and not loss.requires_grad:
        raise OptionError(
            "the loss does not depend on any parameter that is trained: check that the model and loss= compute with "
            "tensors all the way (no .item(), .detach() or torch.no_grad()), and that some parameters are not frozen."
        )
    return loss
