"""Files of trained models: load_learner reads what Learner.export wrote."""

from __future__ import annotations

from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn

from palate.errors import NotAModelError, OptionError, TamperedModelError
from palate.nn.book.data import Classes, labels_of, test_batches
from palate.nn.book.models import EmbeddingDotBias, EmbeddingNN
from palate.nn.book.predicting import Predicts
from palate.nn.loaders import Batches
from palate.nn.models import Range
from palate.storing import container

KIND = "palate.nn.book.Learner"
SUFFIX = ".palate"


class Labels:
    """The labels of an exported model, in place of its loaders.

    Attributes:
        classes (dict): Field -> its labels in the order of their codes; user and item.
        rating_name (str): The name of the rating column.
    """

    vocab = None

    def __init__(self, classes: dict[str, Classes], rating_name: str) -> None:
        self.classes, self.rating_name = classes, rating_name

    def test_dl(self, test_items: Any, with_labels: bool = False) -> Batches:
        """Make batches of new rows, for get_preds(dl=...); see CollabDataLoaders.test_dl.

        Parameters:
            test_items (frame, file or dict): Rows with the columns of users and items.
            with_labels (bool, default False): Take the ratings too.

        Returns:
            Batches: x, (n, 2), and y, (n, 1), if asked for.
        """
        return test_batches(self, test_items, with_labels)

    def beside(self, x: Tensor, y: Tensor | None, predictions: Tensor) -> Any:
        """Return rows of codes with their predictions in the rating column.

        Parameters:
            x (Tensor): Codes, int64, (n, 2).
            y (Tensor or None): Not used: an export has no ratings.
            predictions (Tensor): Predicted ratings, n of them.

        Returns:
            polars.DataFrame: Users, items and predictions.
        """
        import polars as pl

        del y
        columns = [
            labels_of(name, labels, codes) for (name, labels), codes in zip(self.classes.items(), x.T, strict=True)
        ]
        return pl.DataFrame([*columns, pl.Series(self.rating_name, predictions.reshape(-1).tolist(), dtype=pl.Float32)])


class Exported(Predicts):
    """The result of load_learner: a trained model with its labels. Learner(dls, exported.model) trains it further.

    Attributes:
        model (torch.nn.Module): The model, in evaluation mode.
        dls (Labels): The labels, as classes, and test_dl for new rows.
    """

    def __init__(self, model: nn.Module, dls: Labels) -> None:
        self.model, self.dls = model, dls

    def _batches(self, ds_idx: int, dl: Any) -> Any:
        if dl is None:
            raise OptionError("an exported model has no ratings: give some, get_preds(dl=learn.dls.test_dl(frame)).")
        return super()._batches(ds_idx, dl)


def load_learner(fname: str | PathLike[str]) -> Exported:
    """Read a file that Learner.export wrote.

    Parameters:
        fname (str or path): The file.

    Returns:
        Exported: `model`, in evaluation mode; `dls` with its `classes`; `predict` and `get_preds`.

    Raises:
        ModelFileError: The file is missing, damaged or no export; the class of the error says which.

    Example:
        >>> from palate.nn.book import load_learner
        >>> load_learner("export.palate").predict({"user": 1, "title": "Fargo (1996)"})  # doctest: +SKIP
    """
    tensors, header = container.read(fname)
    if header.get("kind") != KIND:
        raise NotAModelError(f"{fname} is no export of a chapter 8 learner; palate.load reads saved recommenders.")
    try:
        classes: Any = {name: Classes(labels, name) for name, labels in header["classes"]}
        model = _model_of(tensors, classes, header["y_range"])
        model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in tensors.items()})
        return Exported(model.eval(), Labels(classes, str(header.get("rating", "rating"))))
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise TamperedModelError(f"{fname} holds no learner: its parts do not fit ({error}).") from error


def _model_of(tensors: dict[str, Any], classes: dict[str, Classes], y_range: Range | None) -> nn.Module:
    """A new model with the shapes of the tensors; raise ValueError if they contradict the labels."""
    n_rows = [len(labels) for labels in classes.values()]
    is_dot = "user_factors.weight" in tensors
    names = ("user_factors", "item_factors") if is_dot else ("embeddings.0", "embeddings.1")
    sizes = [tensors[f"{name}.weight"].shape for name in names]
    n_hidden = sum(name.endswith(".0.weight") and name.startswith("layers.") for name in tensors)
    hidden = [tensors[f"layers.{at}.0.weight"].shape for at in range(n_hidden)]
    layers = [n_out for n_out, _ in hidden]
    inputs = [sum(width for _, width in sizes), *layers]
    if [n for n, _ in sizes] != n_rows or [n_in for _, n_in in hidden] != inputs[:-1]:
        raise ValueError(f"shapes {sizes} and {hidden} for {n_rows} labels")
    if is_dot:
        return EmbeddingDotBias.from_classes(sizes[0][1], classes, y_range)
    return EmbeddingNN(sizes, layers, y_range)
