"""Losses and metrics under the chapter's names. Each takes predictions of shape (n,), (n, 1) or (n, classes)."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from palate.errors import DataError


def _flat(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Both as (n,), of the type of the scores; raise DataError unless there is one score a target."""
    if scores.numel() != targets.numel():
        raise DataError(
            f"the model gave predictions of shape {tuple(scores.shape)} for ratings of shape {tuple(targets.shape)}: "
            "one number a rating is needed here. For a model with a score for each class take CrossEntropyLossFlat() "
            "and accuracy."
        )
    return scores.reshape(-1), targets.reshape(-1).to(scores.dtype)


def _classes(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (n, classes) and codes of classes (n,); raise DataError for other shapes and for ratings that are none."""
    if scores.dim() < 2 or scores.shape[-1] < 2:
        raise DataError(
            f"the model gave predictions of shape {tuple(scores.shape)}: a score for each class is needed here, "
            "(batch, dls.c)."
        )
    if targets.is_floating_point():
        raise DataError(
            "the ratings are numbers, and classes are needed here: make the loaders with y_block=CategoryBlock()."
        )
    flat, codes = scores.reshape(-1, scores.shape[-1]), targets.reshape(-1)
    if len(flat) != len(codes):
        raise DataError(f"the model gave scores of {len(flat):,} rows for {len(codes):,} ratings.")
    return flat, codes


class MSELossFlat:
    """The mean squared error of scores of shape (batch,) or (batch, 1).

    Example:
        >>> from palate.nn.book import MSELossFlat, tensor
        >>> MSELossFlat()(tensor(1.0, 2.0), tensor([[1.0], [4.0]]))
        tensor(2.)
    """

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the loss, a tensor of shape ()."""
        return F.mse_loss(*_flat(scores, targets))

    def activation(self, scores: Tensor) -> Tensor:
        """Return what get_preds gives: the scores.

        Parameters:
            scores (Tensor): What the model returned.

        Returns:
            Tensor: The same.
        """
        return scores

    def decodes(self, predictions: Tensor) -> Tensor:
        """Return the predicted ratings: the predictions.

        Parameters:
            predictions (Tensor): What activation returned.

        Returns:
            Tensor: The same.
        """
        return predictions


class CrossEntropyLossFlat:
    """The cross-entropy of scores for each class, (batch, classes), and codes of classes.

    The loaders give codes with y_block=CategoryBlock().

    Parameters:
        weight (Tensor, default None): A weight for each class; None takes 1.
        label_smoothing (float, default 0.0): Share of a target that is spread over all classes, from 0 to 1.

    Example:
        >>> from palate.nn.book import CrossEntropyLossFlat, tensor
        >>> CrossEntropyLossFlat()(tensor([[0.0, 0.0], [0.0, 0.0]]), tensor([[0], [1]]))
        tensor(0.6931)
    """

    def __init__(self, weight: Tensor | None = None, label_smoothing: float = 0.0) -> None:
        self.weight, self.label_smoothing = weight, label_smoothing

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the loss, a tensor of shape ()."""
        flat, codes = _classes(scores, targets)
        if codes.device.type == "cpu" and len(codes) and int(codes.max()) >= flat.shape[1]:
            raise DataError(
                f"there is a rating of class {int(codes.max())}, and the model gives scores for {flat.shape[1]} "
                "classes, 0 the first: make it with dls.c outputs."
            )
        return F.cross_entropy(flat, codes, self.weight, label_smoothing=self.label_smoothing)

    def activation(self, scores: Tensor) -> Tensor:
        """Turn scores into probabilities.

        Parameters:
            scores (Tensor): What the model returned, (n, classes).

        Returns:
            Tensor: Probabilities that add up to 1 in each row.
        """
        return scores.softmax(-1)

    def decodes(self, predictions: Tensor) -> Tensor:
        """Return the most probable class of each row.

        Parameters:
            predictions (Tensor): Probabilities, (n, classes).

        Returns:
            Tensor: Codes of classes, (n,).
        """
        return predictions.argmax(-1)


def mse(inp: Tensor, targ: Tensor) -> Tensor:
    """Return the mean squared error.

    Parameters:
        inp (Tensor): Predictions, (n,) or (n, 1).
        targ (Tensor): Ratings, (n,) or (n, 1).

    Returns:
        Tensor: The error, of shape ().

    Raises:
        DataError: There is not one prediction for each rating.

    Example:
        >>> from palate.nn.book import mse, tensor
        >>> mse(tensor(1.0, 2.0), tensor(1.0, 4.0))
        tensor(2.)
    """
    return F.mse_loss(*_flat(inp, targ))


def rmse(inp: Tensor, targ: Tensor) -> Tensor:
    """Return the root of the mean squared error.

    Parameters:
        inp (Tensor): Predictions, (n,) or (n, 1).
        targ (Tensor): Ratings, (n,) or (n, 1).

    Returns:
        Tensor: The error, of shape ().

    Raises:
        DataError: There is not one prediction for each rating.

    Example:
        >>> from palate.nn.book import rmse, tensor
        >>> rmse(tensor(1.0, 2.0), tensor(3.0, 4.0))
        tensor(2.)
    """
    return mse(inp, targ).sqrt()


def mae(inp: Tensor, targ: Tensor) -> Tensor:
    """Return the mean absolute error.

    Parameters:
        inp (Tensor): Predictions, (n,) or (n, 1).
        targ (Tensor): Ratings, (n,) or (n, 1).

    Returns:
        Tensor: The error, of shape ().

    Raises:
        DataError: There is not one prediction for each rating.

    Example:
        >>> from palate.nn.book import mae, tensor
        >>> mae(tensor(1.0, 2.0), tensor(1.0, 4.0))
        tensor(1.)
    """
    return F.l1_loss(*_flat(inp, targ))


def accuracy(inp: Tensor, targ: Tensor) -> Tensor:
    """Return the share of rows whose highest score is that of the right class.

    Parameters:
        inp (Tensor): Scores or probabilities, (n, classes).
        targ (Tensor): Codes of classes, (n,) or (n, 1).

    Returns:
        Tensor: The share, of shape ().

    Raises:
        DataError: The scores are not one for each class, or the ratings are no classes.

    Example:
        >>> from palate.nn.book import accuracy, tensor
        >>> accuracy(tensor([[0.9, 0.1], [0.8, 0.2]]), tensor([[0], [1]]))
        tensor(0.5000)
    """
    flat, codes = _classes(inp, targ)
    return (flat.argmax(-1) == codes).to(torch.float32).mean()


def error_rate(inp: Tensor, targ: Tensor) -> Tensor:
    """Return 1 - accuracy.

    Parameters:
        inp (Tensor): Scores or probabilities, (n, classes).
        targ (Tensor): Codes of classes, (n,) or (n, 1).

    Returns:
        Tensor: The share, of shape ().

    Raises:
        DataError: The scores are not one for each class, or the ratings are no classes.

    Example:
        >>> from palate.nn.book import error_rate, tensor
        >>> error_rate(tensor([[0.9, 0.1], [0.8, 0.2]]), tensor([[0], [1]]))
        tensor(0.5000)
    """
    return 1 - accuracy(inp, targ)
