"""Predictions under the chapter's names, for a Learner and for what load_learner gives."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from palate.errors import DataError, OptionError
from palate.nn.book.losses import MSELossFlat
from palate.nn.loaders import Batches
from palate.nn.models import evaluating

WITHOUT_SHUFFLING = 4096  # rows of the training batches that are predicted at once


class Predicts:
    """get_preds and predict of anything with a model and dls."""

    model: nn.Module
    dls: Any

    def get_preds(
        self, ds_idx: int = 1, dl: Any = None, with_input: bool = False, with_decoded: bool = False
    ) -> tuple[Any, ...]:
        """Predict all rows of some batches, in their original order.

        Parameters:
            ds_idx (int, default 1): 1 for the validation ratings, 0 for the training ratings.
            dl (Batches, default None): Other batches, such as dls.test_dl(frame).
            with_input (bool, default False): Return the inputs too, first.
            with_decoded (bool, default False): Return the predicted ratings or classes too, last.

        Returns:
            tuple of Tensor: Predictions, (n, 1) or probabilities (n, classes); and ratings, or None if dl has none.

        Raises:
            OptionError: The loaders have no such batches.
        """
        batches = self._batches(ds_idx, dl)
        x, targets = _columns(batches)
        predictions = self._activated(self._scores(batches))
        inputs = (x,) if with_input else ()
        decoded = (self._decodes(predictions),) if with_decoded else ()
        return (*inputs, predictions, targets, *decoded)

    def predict(self, item: Any) -> tuple[Any, Tensor, Tensor]:
        """Predict one row, such as ratings.iloc[0]. An unknown user or item becomes #na#.

        Parameters:
            item (row of a frame or dict): A user and an item, under the names of their columns.

        Returns:
            tuple: The row with its prediction as a frame; the predicted rating or class; the prediction, or the
                probabilities.

        Raises:
            DataError: A column is missing.
            UnknownLabelError: A label is a text where the known ones are none, or the reverse.
        """
        batches = self.dls.test_dl(item)
        (x,) = batches.tensors
        if len(x) != 1:
            raise OptionError(
                f"predict takes one row, and there are {len(x):,}: take get_preds(dl=dls.test_dl(frame))."
            )
        predictions = self._activated(self._scores(batches))
        decoded = self._decodes(predictions)
        return self.dls.beside(x, None, decoded), decoded[0], predictions[0]

    def _batches(self, ds_idx: int, dl: Any) -> Any:
        if dl is not None:
            return dl
        if ds_idx not in (0, 1):
            raise OptionError(f"ds_idx={ds_idx!r}: give 0 for the training ratings or 1 for the validation ratings.")
        batches = (self.dls.train, self.dls.valid)[ds_idx]
        if batches is None:
            raise OptionError("these loaders have no validation set: take ds_idx=0 or dl=.")
        return Batches(*batches.tensors, batch_size=max(batches.batch_size, WITHOUT_SHUFFLING))

    def _scores(self, batches: Any) -> Tensor:
        """What the model gives for all rows, (n, 1) or (n, classes)."""
        device = next(self.model.parameters()).device
        with self._computing_for_predictions(), evaluating(self.model):
            scores = [self.model(x.to(device)).cpu() for x, *_ in batches]
        if not scores:
            raise DataError("there are no rows to predict.")
        joined = torch.cat(scores)
        return joined.reshape(len(joined), -1)

    def _computing_for_predictions(self) -> Any:
        """The learner's number of threads inside; a loaded model has none of its own."""
        from contextlib import nullcontext

        computing = getattr(self, "_computing", None)
        return nullcontext() if computing is None else computing()

    def _decoded(self, scores: Tensor) -> Tensor:
        return self._decodes(self._activated(scores))

    def _activated(self, scores: Tensor) -> Tensor:
        found: Tensor = getattr(self._loss_of_model(), "activation", MSELossFlat().activation)(scores)
        return found

    def _decodes(self, predictions: Tensor) -> Tensor:
        found: Tensor = getattr(self._loss_of_model(), "decodes", MSELossFlat().decodes)(predictions)
        return found

    def _loss_of_model(self) -> Any:
        return getattr(self, "loss", None)


def _columns(batches: Any) -> tuple[Tensor, Tensor | None]:
    """All inputs and all ratings of batches, None where there are none."""
    if isinstance(batches, Batches):
        x, *y = batches.tensors
        return x, (y[0] if y else None)
    rows = list(batches)
    x = torch.cat([row[0] for row in rows])
    return x, (torch.cat([row[1] for row in rows]) if len(rows[0]) > 1 else None)
