"""The names of chapter 8 of the fast.ai book, built on the rest of palate.nn.

Code written for that chapter runs after changing its imports to `from palate.nn.book import *`. What differs:

- `movie_w.pca(3)` is `pca(movie_w, 3)`: palate adds no methods to torch's classes.
- `plt` is missing (`import matplotlib.pyplot as plt`); `pd` exists only if pandas is installed.
- show_batch() and show_results() return a polars frame.
- Only the last rating of a user for a title counts; ml-100k has 307 others, of films that share a title.
- Splits and shuffles come from `seed` (default 0); a model's first weights come from torch's generator.
- export() writes a safetensors file, of the models of collab_learner only.
- TabularModel, delegates, learn.predict and names from other chapters are missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from operator import attrgetter
from os import PathLike
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from palate.data.datasets.catalogue import available, load
from palate.data.reading import read
from palate.data.reading.frames import table_of
from palate.data.reading.parsing import TextFile
from palate.data.reading.textfiles import name_of, open_bytes, utf8_chunks
from palate.data.vocabulary import plain_label
from palate.errors import DatasetError, NotAModelError, OptionError, TamperedModelError, UnknownLabelError
from palate.nn import embedding, learner
from palate.nn.checkpoints import arrays_of
from palate.nn.embedding import Embedding, embedding_size
from palate.nn.loaders import Batches, RatingLoaders
from palate.nn.models import DotProductBias, EmbeddingNet, Range, sigmoid_range
from palate.nn.schedules import LrSearch
from palate.storing import container

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "CollabDataLoaders", "Embedding", "EmbeddingDotBias", "EmbeddingNN", "F", "L", "Learner", "MSELossFlat", "Module",
    "Path", "Tensor", "URLs", "collab_learner", "get_emb_sz", "load_learner", "nn", "np", "one_hot", "pca",
    "sigmoid_range", "tensor", "torch", "untar_data",
]  # fmt: skip
if find_spec("pandas"):
    __all__ += ["pd"]  # noqa: F822 - loaded by __getattr__

NA = "#na#"  # the label of code 0 in every field: missing


def __getattr__(name: str) -> Any:
    if name != "pd":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import pandas

    return pandas


# ---- small things


class URLs:
    """The data sets of the chapter, for untar_data."""

    ML_100k = "ml-100k"


def untar_data(name: str) -> Path:
    """Return the folder of a data set in its original form, downloaded if it is not on this machine.

    Parameters:
        name (str): A data set, such as URLs.ML_100k.

    Returns:
        pathlib.Path: The folder, with u.data in it.

    Raises:
        DatasetError: The folder cannot be found or downloaded.
    """
    known = {dataset.name: dataset for dataset in available()}
    if name in known and known[name].here is None:
        load(name)
    folder = known[name].here if name in known else None
    if folder is None or not (folder / "u.data").is_file():
        raise DatasetError(
            f"the folder of {name!r} with its u.data was not found. Fetch {name}.zip from grouplens.org, unpack it so "
            f"that DIR/{name}/u.data is there, and set PALATE_DATA=DIR."
        )
    return folder


class L(list[Any]):
    """A list whose repr begins with its length: (#3) [0, 1, 2].

    Parameters:
        iterable (iterable, default ()): The elements.

    Example:
        >>> from palate.nn.book import L
        >>> L([0, 1, 2])
        (#3) [0, 1, 2]
    """

    def __repr__(self) -> str:
        return f"(#{len(self)}) {list(self)!r}"


class Module(nn.Module):
    """A torch module whose subclasses need no super().__init__().

    Example:
        >>> from palate.nn.book import *
        >>> class Three(Module):
        ...     def __init__(self):
        ...         self.a = nn.Parameter(torch.ones(3))
        >>> len(L(Three().parameters()))
        1
    """

    def __new__(cls, *_given: Any, **_named: Any) -> Any:
        """Make an empty module that can take parameters."""
        module = super().__new__(cls)
        nn.Module.__init__(module)
        return module

    def __init__(self) -> None:
        """Do nothing: __new__ has run nn.Module.__init__, and running it again would lose parameters."""


def tensor(*values: Any) -> Tensor:
    """Make a tensor.

    Parameters:
        *values (number, list, array or column): Numbers, or one array of numbers of any shape.

    Returns:
        Tensor: The numbers; floats are float32.

    Example:
        >>> from palate.nn.book import tensor
        >>> tensor(1.0, 2.0)
        tensor([1., 2.])
    """
    made = torch.tensor(np.asarray(values[0] if len(values) == 1 else values))
    return made.float() if made.dtype == torch.float64 else made


def one_hot(x: int, c: int) -> Tensor:
    """Return a vector of zeros with a one at x.

    Parameters:
        x (int): The position of the one, from 0 to c - 1.
        c (int): The length of the vector.

    Returns:
        Tensor: uint8, (c,).

    Example:
        >>> from palate.nn.book import one_hot
        >>> one_hot(1, 3)
        tensor([0, 1, 0], dtype=torch.uint8)
    """
    return embedding.one_hot(torch.tensor([x]), c)[0].to(torch.uint8)


def pca(x: Tensor, k: int) -> Tensor:
    """Project the rows of a matrix on their first principal components.

    Parameters:
        x (Tensor): The matrix, (n, m).
        k (int): Components, at most m.

    Returns:
        Tensor: Coordinates of the rows, (n, k), the component of the largest variance first.
    """
    centered = x - x.mean(0)
    components: Tensor = torch.linalg.svd(centered, full_matrices=False).Vh[:k]
    return centered @ components.T


class MSELossFlat:
    """The mean squared error of scores of shape (batch,) or (batch, 1)."""

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the loss, a tensor of shape ()."""
        return F.mse_loss(scores.view(-1), targets.view(-1))


# ---- loaders


class Codes(dict[Any, int]):
    """Label -> code; raises UnknownLabelError for other labels."""

    def __init__(self, labels: Sequence[Any], what: str) -> None:
        super().__init__((label, code) for code, label in enumerate(labels))
        self.what = what

    def __missing__(self, label: Any) -> int:
        from difflib import get_close_matches

        texts = [known for known in self if isinstance(known, str)]  # the labels that can be compared
        close = get_close_matches(label, texts, n=3, cutoff=0.5) if isinstance(label, str) else []
        hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else f"Its labels are like {list(self)[1:4]}."
        raise UnknownLabelError(f"unknown {self.what} {plain_label(label)!r}. {hint}")


class Classes(list[Any]):
    """The labels of a field in the order of their codes, #na# first; `o2i` maps a label to its code."""

    def __init__(self, labels: Iterable[Any], what: str) -> None:
        super().__init__([NA, *labels])
        self.o2i = Codes(self, what)


@dataclass(frozen=True, repr=False)
class CollabDataLoaders(RatingLoaders):
    """RatingLoaders under the chapter's names; code 0 of users and of items is #na#.

    Attributes:
        train (Batches): Training batches, shuffled anew in each epoch.
        valid (Batches or None): Validation batches.
        ratings (Ratings): The training ratings.
        valid_ratings (Ratings or None): The validation ratings, in the training vocabularies.
        classes (dict): Field -> its labels in the order of their codes; user and item. `o2i` maps a label to its code.
        scales (dict): Empty; the chapter has no continuous columns.
        unseen (dict): Empty; the chapter has no further categorical columns.
        rating_name (str): The name of the rating column, used by show_batch and show_results.

    Example:
        >>> from palate.nn.book import CollabDataLoaders
        >>> frame = {"who": ["ann", "bob"] * 4, "what": list("aabbccdd"), "stars": [1, 2, 3, 4] * 2}
        >>> dls = CollabDataLoaders.from_df(frame, valid_pct=0.25, bs=2)
        >>> dls.classes["who"], dls.classes["what"].o2i["c"]
        (['#na#', 'ann', 'bob'], 3)
    """

    first_code = 1
    rating_name: str = "rating"

    @classmethod
    def from_df(  # type: ignore[override]
        cls,
        ratings: Any,
        valid_pct: float = 0.2,
        user_name: str | None = None,
        item_name: str | None = None,
        rating_name: str | None = None,
        seed: int | None = None,
        bs: int = 64,
    ) -> CollabDataLoaders:
        """Make loaders of a frame. By default its first three columns are user, item and rating.

        Parameters:
            ratings (frame): A pandas, polars or arrow frame, or anything else that palate.read takes.
            valid_pct (float, default 0.2): Share of the ratings to hold out for validation, between 0 and 1.
            user_name (str, default None): The user column; None takes the first column.
            item_name (str, default None): The item column; None takes the second column.
            rating_name (str, default None): The rating column; None takes the third column.
            seed (int, default None): Decides the split, and the order in each epoch; None takes 0.
            bs (int, default 64): Rows in a training batch, 1 or more.

        Returns:
            CollabDataLoaders: Training and validation batches.

        Raises:
            OptionError: The frame has fewer than three columns, or an option lies outside its range.
            DataError: There is no such column, or a row cannot be read.
        """
        columns, given = _column_names(ratings), (user_name, item_name, rating_name)
        names = [columns[at] if name is None else name for at, name in enumerate(given)]
        user, item, rating = (columns.index(name) if name in columns else name for name in names)
        read_in = read(ratings, user=user, item=item, rating=rating, time=False, weight=False)
        plain = RatingLoaders.from_ratings(read_in, valid_pct, bs, seed or 0)
        fields = zip(names, plain.classes.values(), strict=False)
        classes: Any = {name: Classes(labels, name) for name, labels in fields}
        valid = None if plain.valid is None else plain.valid.shifted(cls.first_code)
        train = plain.train.shifted(cls.first_code)
        return cls(train, valid, plain.ratings, plain.valid_ratings, classes, rating_name=names[2])

    @classmethod
    def from_csv(  # type: ignore[override]
        cls, csv: str | PathLike[str], valid_pct: float = 0.2, **options: Any
    ) -> CollabDataLoaders:
        """Make loaders of a text file. All labels are strings.

        Parameters:
            csv (str or path): The file.
            valid_pct (float, default 0.2): Share of the ratings to hold out for validation, between 0 and 1.
            **options (Any): Further options of from_df.

        Returns:
            CollabDataLoaders: Training and validation batches.

        Raises:
            OptionError: The file has fewer than three columns, or an option lies outside its range.
            DataError: There is no such column, or a row cannot be read.
        """
        return cls.from_df(csv, valid_pct, **options)

    def decode_batch(self, x: Tensor, *rest: Tensor) -> pl.DataFrame:
        """Turn a batch back into labels.

        Parameters:
            x (Tensor): Codes, int64, (batch, 2).
            *rest (Tensor): The ratings, (batch, 1).

        Returns:
            polars.DataFrame: Users, items and ratings under the chapter's names.
        """
        return super().decode_batch(x, *rest).rename({"rating": self.rating_name})


def _column_names(source: Any) -> list[str]:
    """The column names of a frame or text file; raise OptionError for a frame with fewer than three."""
    if (table := table_of(source)) is None:
        with open_bytes(source) as stream:
            name = name_of(source)
            return TextFile(utf8_chunks(stream, None, name), name, None, None, given={}).dialect.names
    if len(table.names) < 3:
        raise OptionError(f"user, item and rating need three columns; there are {table.names}.")
    return table.names


# ---- models


def get_emb_sz(dls: CollabDataLoaders) -> list[tuple[int, int]]:
    """Return the size of the embedding of each field, by embedding_size.

    Parameters:
        dls (CollabDataLoaders): The loaders.

    Returns:
        list of tuple: (labels, width) of users and of items.
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
        return embedding.weight.detach().cpu()[torch.tensor(codes, dtype=torch.int64)]


class EmbeddingNN(EmbeddingNet):
    """A small neural net over the embeddings of user and item, under the chapter's names.

    Parameters:
        emb_szs (sequence of tuple): (labels, width) of users and of items, as get_emb_sz returns.
        layers (sequence of int, default (200, 100)): Widths of the hidden layers.
        y_range (pair of float, default None): (low, high) that predictions are squeezed between.
    """

    first_code = 1

    def __init__(
        self, emb_szs: Sequence[tuple[int, int]], layers: Sequence[int] = (200, 100), y_range: Range | None = None
    ) -> None:
        super().__init__(emb_szs, layers=layers, y_range=y_range)


# ---- learner


class FoundLr(LrSearch):
    """The result of lr_find, where `valley` is the suggestion."""

    valley = property(attrgetter("suggestion"), doc="The learning rate to train with; nan if the loss fell nowhere.")


class Learner(learner.Learner):
    """palate.nn.Learner under the chapter's names.

    Parameters:
        dls (CollabDataLoaders): Training and validation batches.
        model (torch.nn.Module): The model.
        loss_func (callable, default None): A function of (scores, targets); None takes MSELossFlat().
        lr (float, default 0.001): The learning rate of fits that give none, above 0.
        wd (float, default 0.01): The weight decay of fits that give none, 0 or more.
        **options (Any): Further options of palate.nn.Learner.

    Attributes:
        dls (CollabDataLoaders): The batches.
    """

    def __init__(
        self, dls: Any, model: nn.Module, loss_func: Any = None, lr: float = 0.001, wd: float = 0.01, **options: Any
    ) -> None:
        super().__init__(dls, model, loss=loss_func or MSELossFlat(), lr=lr, weight_decay=wd, **options)
        self.dls: CollabDataLoaders = dls

    def lr_find(self, *args: Any, **options: Any) -> FoundLr:
        """Train on a few batches while the learning rate grows, and suggest a rate.

        Parameters:
            *args (float): lowest, highest and n_batches of palate.nn.Learner.lr_find.
            **options (Any): The same by name.

        Returns:
            FoundLr: The rates, their losses, and `valley`, the suggestion.
        """
        return FoundLr(**vars(super().lr_find(*args, **options)))

    def predict(self, batches: Any) -> tuple[Tensor, Tensor]:
        """Predict all rows of some batches, with a model that returns (batch,) or (batch, 1).

        Parameters:
            batches (Batches or iterable of tuples): Batches of inputs and targets.

        Returns:
            tuple of Tensor: Predictions and targets, (n, 1) each.
        """
        scores, targets = super().predict(batches)
        return scores.view(-1, 1), targets

    def show_results(self, max_n: int = 9) -> pl.DataFrame:
        """Return the first validation ratings beside their predictions.

        Parameters:
            max_n (int, default 9): Ratings to return at most.

        Returns:
            polars.DataFrame: Users, items, ratings and predictions.
        """
        import polars as pl

        assert self.dls.valid is not None
        x, y = (column[:max_n] for column in self.dls.valid.tensors)
        scores, _ = self.predict(Batches(x, y, batch_size=max_n))
        column = pl.Series(f"{self.dls.rating_name}_pred", scores[:, 0].tolist(), dtype=pl.Float32)
        return self.dls.decode_batch(x, y).with_columns(column)

    def export(self, fname: str | PathLike[str] = "export.palate") -> None:
        """Write the model and its labels to a file for load_learner: data only, no code.

        Parameters:
            fname (str or path, default "export.palate"): The file to write; an existing one is replaced.

        Raises:
            OptionError: The model is not one of collab_learner.
            OSError: The file cannot be written.
        """
        model = self.model
        if not isinstance(model, EmbeddingDotBias | EmbeddingNN):
            raise OptionError(
                f"export writes the models of collab_learner, and {type(model).__name__} is made by hand: save its "
                "state_dict instead (safetensors.torch.save_file), and keep its class in your own code."
            )
        labels = [[name, list(found[1:])] for name, found in self.dls.classes.items()]
        header = {"kind": KIND, "y_range": model.y_range, "classes": labels}
        container.write(fname, arrays_of(model.state_dict()), header)


KIND = "palate.nn.book.Learner"


class Exported(NamedTuple):
    """The result of load_learner: a trained model, and dls.classes. Learner(dls, exported.model) trains it further."""

    model: nn.Module
    dls: SimpleNamespace


def load_learner(fname: str | PathLike[str]) -> Exported:
    """Read a file that Learner.export wrote.

    Parameters:
        fname (str or path): The file.

    Returns:
        Exported: `model`, in evaluation mode, and `dls` with its `classes`.

    Raises:
        ModelFileError: The file is missing, damaged or no export; the class of the error says which.
    """
    tensors, header = container.read(fname)
    if header.get("kind") != KIND:
        raise NotAModelError(f"{fname} is no export of a chapter 8 learner; palate.load reads saved recommenders.")
    try:
        classes: Any = {name: Classes(labels, name) for name, labels in header["classes"]}
        model = _model_of(tensors, classes, header["y_range"])
        model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in tensors.items()})
        return Exported(model.eval(), SimpleNamespace(classes=classes))
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


def collab_learner(
    dls: CollabDataLoaders,
    n_factors: int = 50,
    use_nn: bool = False,
    emb_szs: Sequence[tuple[int, int]] | None = None,
    layers: Sequence[int] | None = None,
    y_range: Range | None = None,
    loss_func: Any = None,
    **options: Any,
) -> Learner:
    """Make a Learner of the dot product with biases, or of a small neural net over embeddings.

    Parameters:
        dls (CollabDataLoaders): Training and validation batches.
        n_factors (int, default 50): Length of the vectors of the dot product.
        use_nn (bool, default False): Take the neural net.
        emb_szs (sequence of tuple, default None): (labels, width) of the net's embeddings; None takes get_emb_sz.
        layers (sequence of int, default None): Widths of the net's hidden layers; None takes (200, 100).
        y_range (pair of float, default None): (low, high) that predictions are squeezed between.
        loss_func (callable, default None): A function of (scores, targets); None takes MSELossFlat().
        **options (Any): Further options of Learner.

    Returns:
        Learner: A learner with a new model.

    Example:
        >>> from palate.nn.book import CollabDataLoaders, collab_learner
        >>> frame = {"who": ["ann", "bob"] * 4, "what": list("aabbccdd"), "stars": [1, 2, 3, 4] * 2}
        >>> learn = collab_learner(CollabDataLoaders.from_df(frame), n_factors=2, y_range=(0, 4.5))
        >>> learn.model.weight(["a", "d"]).shape
        torch.Size([2, 2])
    """
    if not use_nn:
        model = EmbeddingDotBias.from_classes(n_factors, dls.classes, y_range)
        return Learner(dls, model, loss_func, **options)
    return Learner(dls, EmbeddingNN(emb_szs or get_emb_sz(dls), layers or (200, 100), y_range), loss_func, **options)
