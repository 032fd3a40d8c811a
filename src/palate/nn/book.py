"""The names of chapter 8 of the fast.ai book, over the rest of palate.nn.

Code written for that chapter runs after changing its imports to `from palate.nn.book import *`. What differs:

- `movie_w.pca(3)` is `pca(movie_w, 3)`: palate adds no methods to other people's classes.
- `plt` is not here (`import matplotlib.pyplot as plt`), `pd` only where pandas is installed.
- show_batch() and show_results() return a polars frame.
- A user's ratings of one title count once, the last of them; ml-100k has 307 more under titles that two films share.
- Splits and shuffles come from `seed` (0 unless given); a model's first values from torch's generator.
- export() writes a safetensors file. It takes the models of collab_learner, not your own.
- TabularModel, delegates, learn.predict and what else the rest of the book needs are not here.
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

NA = "#na#"  # code 0 of every field: nobody, nothing


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
    """The folder of a data set as its makers packed it, got from the network when it is not here yet."""
    known = {dataset.name: dataset for dataset in available()}
    if name in known and known[name].here is None:
        load(name)
    folder = known[name].here if name in known else None
    if folder is None or not (folder / "u.data").is_file():
        raise DatasetError(
            f"the folder of {name!r} with its u.data cannot be had. Fetch {name}.zip from grouplens.org, unpack it so "
            f"that DIR/{name}/u.data is there, and set PALATE_DATA=DIR."
        )
    return folder


class L(list[Any]):
    """A list that says how long it is: (#3) [0, 1, 2]."""

    def __repr__(self) -> str:
        return f"(#{len(self)}) {list(self)!r}"


class Module(nn.Module):
    """A torch module whose subclasses need no super().__init__().

    >>> class Three(Module):
    ...     def __init__(self):
    ...         self.a = nn.Parameter(torch.ones(3))
    >>> len(L(Three().parameters()))
    1
    """

    def __new__(cls, *_given: Any, **_named: Any) -> Any:
        """An empty module, ready to take parameters."""
        module = super().__new__(cls)
        nn.Module.__init__(module)
        return module

    def __init__(self) -> None:
        """Nothing: all is done, and parameters set before would be lost."""


def tensor(*values: Any) -> Tensor:
    """A tensor of numbers, a list, an array or a column; floats in 32 bits."""
    made = torch.tensor(np.asarray(values[0] if len(values) == 1 else values))
    return made.float() if made.dtype == torch.float64 else made


def one_hot(x: int, c: int) -> Tensor:
    """A vector of c zeros with a one at x, (c,) uint8."""
    return embedding.one_hot(torch.tensor([x]), c)[0].to(torch.uint8)


def pca(x: Tensor, k: int) -> Tensor:
    """The first k principal components of the rows of x: (n, k), the widest first."""
    centered = x - x.mean(0)
    components: Tensor = torch.linalg.svd(centered, full_matrices=False).Vh[:k]
    return centered @ components.T


class MSELossFlat:
    """Mean squared error of scores (batch,) or (batch, 1)."""

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """The loss, ()."""
        return F.mse_loss(scores.view(-1), targets.view(-1))


# ---- loaders


class Codes(dict[Any, int]):
    """Label -> code; a label that is not there is an error that says so."""

    def __init__(self, labels: Sequence[Any], what: str) -> None:
        super().__init__((label, code) for code, label in enumerate(labels))
        self.what = what

    def __missing__(self, label: Any) -> int:
        from difflib import get_close_matches

        texts = [known for known in self if isinstance(known, str)]
        close = get_close_matches(label, texts, n=3, cutoff=0.5) if isinstance(label, str) else []
        hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else f"Those there are like {list(self)[1:4]}."
        raise UnknownLabelError(f"unknown {self.what} {label!r}. {hint}")


class Classes(list[Any]):
    """The labels of a field in the order of their codes, #na# first; `o2i` leads back from label to code."""

    def __init__(self, labels: Iterable[Any], what: str) -> None:
        super().__init__([NA, *labels])
        self.o2i = Codes(self, what)


@dataclass(frozen=True, repr=False)
class CollabDataLoaders(RatingLoaders):
    """RatingLoaders under the chapter's names, with code 0 for #na# in front of all users and items.

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
        """Loaders of a frame of any kind; without names, its first three columns are user, item and rating."""
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
        """Loaders of a text file, with the options of from_df; labels are strings, and a bad row is an error."""
        return cls.from_df(csv, valid_pct, **options)

    def in_words(self, x: Tensor, *rest: Tensor) -> pl.DataFrame:
        """A batch as a frame of labels and ratings."""
        return super().in_words(x, *rest).rename({"rating": self.rating_name})


def _column_names(source: Any) -> list[str]:
    if (table := table_of(source)) is None:
        with open_bytes(source) as stream:
            name = name_of(source)
            return TextFile(utf8_chunks(stream, None, name), name, None, None, given={}).dialect.names
    if len(table.names) < 3:
        raise OptionError(f"a user, an item and a rating take three columns; there are {table.names}.")
    return table.names


# ---- models


def get_emb_sz(dls: CollabDataLoaders) -> list[tuple[int, int]]:
    """(labels, width) of each field, by the usual rule."""
    return [(size, embedding_size(size)) for size in dls.sizes]


class EmbeddingDotBias(DotProductBias):
    """Dot product of user and item factors, plus their biases, in a range of ratings.

    u_weight, i_weight, u_bias, i_bias: the embeddings; bias() and weight() give those of labels.
    """

    first_code = 1
    classes: dict[str, Classes] | None = None
    u_weight = property(attrgetter("user_factors"), doc="Factors of users.")
    i_weight = property(attrgetter("item_factors"), doc="Factors of items.")
    u_bias = property(attrgetter("user_bias"), doc="Biases of users.")
    i_bias = property(attrgetter("item_bias"), doc="Biases of items.")

    def __init__(self, n_factors: int, n_users: int, n_items: int, y_range: Range | None = None) -> None:
        super().__init__(n_users, n_items, n_factors, y_range=y_range)

    @classmethod
    def from_classes(cls, n_factors: int, classes: dict[str, Any], y_range: Range | None = None) -> EmbeddingDotBias:
        """A model for all labels of dls.classes, user field first, that can be asked by them."""
        users, items = classes.values()
        model = cls(n_factors, len(users), len(items), y_range)
        model.classes = classes
        return model

    def bias(self, arr: Sequence[Any], is_item: bool = True) -> Tensor:
        """Biases of labels, (n,); UnknownLabelError for one that is not there."""
        return self._rows(self.i_bias if is_item else self.u_bias, arr, is_item)[:, 0]

    def weight(self, arr: Sequence[Any], is_item: bool = True) -> Tensor:
        """Factors of labels, (n, n_factors); UnknownLabelError for one that is not there."""
        return self._rows(self.i_weight if is_item else self.u_weight, arr, is_item)

    def _rows(self, of: Embedding, labels: Sequence[Any], is_item: bool) -> Tensor:
        if self.classes is None:
            raise OptionError("this model knows no labels: make it with collab_learner or from_classes.")
        if isinstance(labels, str):
            raise OptionError(f"give a list of labels: [{labels!r}].")
        code_of = list(self.classes.values())[is_item].o2i
        codes = [code_of[label] for label in labels]
        return of.weight.detach().cpu()[torch.tensor(codes, dtype=torch.int64)]


class EmbeddingNN(EmbeddingNet):
    """A small neural net over the embeddings of user and item; emb_szs: (labels, width) of both."""

    first_code = 1

    def __init__(
        self, emb_szs: Sequence[tuple[int, int]], layers: Sequence[int] = (200, 100), y_range: Range | None = None
    ) -> None:
        super().__init__(emb_szs, layers=layers, y_range=y_range)


# ---- learner


class FoundLr(LrSearch):
    """What lr_find() found; valley: the learning rate to begin with."""

    valley = property(attrgetter("suggestion"))


class Learner(learner.Learner):
    """palate.nn.Learner under the chapter's names; options are those it has there."""

    def __init__(
        self, dls: Any, model: nn.Module, loss_func: Any = None, lr: float = 0.001, wd: float = 0.01, **options: Any
    ) -> None:
        super().__init__(dls, model, loss=loss_func or MSELossFlat(), lr=lr, weight_decay=wd, **options)
        self.dls: CollabDataLoaders = dls

    def lr_find(self, *given: Any, **options: Any) -> FoundLr:
        """Try out learning rates; the result has `valley`, the one to begin with."""
        return FoundLr(**vars(super().lr_find(*given, **options)))

    def predict(self, batches: Any) -> tuple[Tensor, Tensor]:
        """Predictions and targets of all rows of batches, (n, 1) each, also where the model gives (batch,)."""
        scores, targets = super().predict(batches)
        return scores.view(-1, 1), targets

    def show_results(self, max_n: int = 9) -> pl.DataFrame:
        """The first validation ratings, and beside them what the model says."""
        import polars as pl

        assert self.dls.valid is not None
        x, y = (column[:max_n] for column in self.dls.valid.tensors)
        scores, _ = self.predict(Batches(x, y, batch_size=max_n))
        column = pl.Series(f"{self.dls.rating_name}_pred", scores[:, 0].tolist(), dtype=pl.Float32)
        return self.dls.in_words(x, y).with_columns(column)

    def export(self, fname: str | PathLike[str] = "export.palate") -> None:
        """Write the model and its labels to a file that load_learner reads: data only, no code."""
        model = self.model
        if not isinstance(model, EmbeddingDotBias | EmbeddingNN):
            raise OptionError(
                f"export writes the models of collab_learner, and {type(model).__name__} is made by hand: keep its "
                "state_dict instead (safetensors.torch.save_file), and its class in your own code."
            )
        labels = [[name, list(found[1:])] for name, found in self.dls.classes.items()]
        header = {"kind": KIND, "y_range": model.y_range, "classes": labels}
        container.write(fname, arrays_of(model.state_dict()), header)


KIND = "palate.nn.book.Learner"


class Exported(NamedTuple):
    """What load_learner gives: a trained model, and dls.classes. Learner(dls, exported.model) trains it further."""

    model: nn.Module
    dls: SimpleNamespace


def load_learner(fname: str | PathLike[str]) -> Exported:
    """What export() wrote. Raises a ModelFileError whose class says what is wrong with the file."""
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
    """A fresh model of the shapes that the tensors have."""
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
    """A Learner of the dot product with biases, or (use_nn) of a small neural net over embeddings.

    >>> frame = {"who": ["ann", "bob"] * 4, "what": list("aabbccdd"), "stars": [1, 2, 3, 4] * 2}
    >>> learn = collab_learner(CollabDataLoaders.from_df(frame), n_factors=2, y_range=(0, 4.5))
    >>> learn.model.weight(["a", "d"]).shape
    torch.Size([2, 2])
    """
    if not use_nn:
        model = EmbeddingDotBias.from_classes(n_factors, dls.classes, y_range)
        return Learner(dls, model, loss_func, **options)
    return Learner(dls, EmbeddingNN(emb_szs or get_emb_sz(dls), layers or (200, 100), y_range), loss_func, **options)
