"""Loaders: ratings as batches of tensors, split into training and validation, labels turned into codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from palate.data.ratings import Ratings
from palate.data.reading import read
from palate.data.splitting import split_random
from palate.data.titles import titles
from palate.errors import DataError, OptionError
from palate.nn.columns import UNKNOWN, Category, Rows, Scale, recoded, rows_of_frame
from palate.options import check_seed, check_whole

if TYPE_CHECKING:
    import polars as pl

OPTIONS = ("batch_size", "seed", "categorical", "continuous")
SHUFFLED_AT_ONCE = 2**16  # rows: few enough to stay in the cache
VALID_BATCH_SIZE = 4096  # validation keeps no gradients, so larger batches cost nothing


# ---- batches


class TensorRows(Dataset[tuple[Tensor, ...]]):
    """The rows of tensors of one length, one sample each, for torch.utils.data.DataLoader."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = tuple(tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, row: int) -> tuple[Tensor, ...]:
        return tuple(tensor[row] for tensor in self.tensors)

    def __getitems__(self, rows: Sequence[int]) -> list[tuple[Tensor, ...]]:
        """Several samples, gathered at once; a DataLoader calls this where it can."""
        chosen = torch.as_tensor(rows)
        return list(zip(*(_gathered(tensor, chosen).unbind() for tensor in self.tensors), strict=True))


class Batches:
    """Tensors in memory, cut into batches; each iteration is one epoch.

    When shuffling, (seed, epoch) alone decide the order of the rows. Each iteration is the next epoch, unless set_epoch
    says which.

    Parameters:
        *tensors (Tensor): Inputs and targets, each (n, ...).
        batch_size (int, default 64): Rows in a batch, 1 or more; the last batch may have fewer.
        shuffle (bool, default False): Put the rows into a new random order in each epoch.
        seed (int, default 0): Decides the orders, 0 or more.

    Attributes:
        tensors (tuple of Tensor): All rows, in their original order.

    Raises:
        OptionError: The tensors differ in length, or an option lies outside its range.

    Example:
        >>> import torch
        >>> from palate.nn import Batches
        >>> batches = Batches(torch.arange(10).view(5, 2), torch.ones(5, 1), batch_size=2)
        >>> [tuple(x.shape) for x, y in batches]
        [(2, 2), (2, 2), (1, 2)]
    """

    def __init__(self, *tensors: Tensor, batch_size: int = 64, shuffle: bool = False, seed: int = 0) -> None:
        check_whole(1, batch_size=batch_size)
        check_seed(seed)
        lengths = {len(tensor) for tensor in tensors}
        if len(lengths) != 1:
            raise OptionError(f"batches are made of tensors of one length, not of lengths {sorted(lengths)}.")
        self.tensors = tensors
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self._next_epoch = 0

    @property
    def n(self) -> int:
        """The number of rows, over all batches."""
        return len(self.tensors[0])

    @property
    def dataset(self) -> TensorRows:
        """The same rows one by one, as a Dataset for torch.utils.data.DataLoader."""
        return TensorRows(self.tensors)

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of all tensors, by which a checkpoint recognizes its training data."""
        digest = sha256()
        for tensor in self.tensors:
            array = np.ascontiguousarray(tensor.detach().cpu().numpy())
            digest.update(f"{array.dtype.str} {array.shape} ".encode())
            digest.update(array.data)
        return f"SHA-256 {digest.hexdigest()}"

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration the given epoch, as if those before it had been run.

        Parameters:
            epoch (int): The epoch, counted from 0.

        Raises:
            OptionError: epoch is not a whole number of 0 or more.
        """
        check_whole(epoch=epoch)
        self._next_epoch = epoch

    def order(self, epoch: int) -> Tensor:
        """Return the order of the rows in an epoch.

        Parameters:
            epoch (int): The epoch, counted from 0.

        Returns:
            Tensor: Row numbers, int32, (n,).
        """
        if not self.shuffle:
            return torch.arange(self.n, dtype=torch.int32)
        key = int(np.random.SeedSequence((self.seed, epoch)).generate_state(1, np.uint64)[0])
        generator = torch.Generator().manual_seed(key)
        return torch.randperm(self.n, generator=generator, dtype=torch.int32)

    def first(self) -> tuple[Tensor, ...]:
        """Return the first batch of the next epoch, without starting that epoch.

        Returns:
            tuple of Tensor: Inputs and targets, each (batch, ...).
        """
        rows = self.order(self._next_epoch)[: self.batch_size]
        return tuple(_gathered(tensor, rows) for tensor in self.tensors)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        epoch, self._next_epoch = self._next_epoch, self._next_epoch + 1
        return self._shuffled(epoch) if self.shuffle else self._slices(self.tensors)

    def _shuffled(self, epoch: int) -> Iterator[tuple[Tensor, ...]]:
        n_rows = max(1, SHUFFLED_AT_ONCE // self.batch_size) * self.batch_size  # several whole batches
        for rows in torch.split(self.order(epoch), n_rows):
            yield from self._slices([_gathered(tensor, rows) for tensor in self.tensors])

    def _slices(self, tensors: Sequence[Tensor]) -> Iterator[tuple[Tensor, ...]]:
        if len(tensors[0]):
            yield from zip(*(torch.split(tensor, self.batch_size) for tensor in tensors), strict=True)

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def shifted(self, by: int) -> Batches:
        """Return the same batches with every code in the first tensor raised.

        Parameters:
            by (int): What to add to each code.

        Returns:
            Batches: New batches of the same size, order and seed.
        """
        x, *rest = self.tensors
        return Batches(x + by, *rest, batch_size=self.batch_size, shuffle=self.shuffle, seed=self.seed)

    def __repr__(self) -> str:
        return f"Batches({self.n:,} rows in {len(self):,} batches of {self.batch_size:,})"


def _gathered(tensor: Tensor, rows: Tensor) -> Tensor:
    """Some rows of a tensor. On the CPU NumPy takes half the time of torch and waits for no other thread."""
    if tensor.device.type != "cpu":
        return tensor.index_select(0, rows.to(tensor.device))
    return torch.from_numpy(tensor.numpy().take(rows.numpy(), 0))


# ---- loaders


@dataclass(frozen=True)
class RatingLoaders:
    """Training and validation batches of ratings, and the labels behind their codes.

    Make them with from_ratings, from_df or from_csv. A batch is (x, y), or (x, continuous, y) if there are continuous
    columns: x int64, (batch, 2 + categorical columns), holds the codes of user, item and the categorical columns;
    continuous is float32, (batch, continuous columns); y float32, (batch, 1), holds the ratings.

    Attributes:
        train (Batches): Training batches, shuffled anew in each epoch.
        valid (Batches or None): Validation batches.
        ratings (Ratings): The training ratings.
        valid_ratings (Ratings or None): The validation ratings, in the training vocabularies.
        classes (dict): Column -> its labels in the order of their codes; user and item come first.
        scales (dict): Continuous column -> the (mean, standard deviation) it was normalized with.
        unseen (dict): Categorical column -> how many validation ratings have a class that training did not see. Those
            ratings have code 0.
        first_code (int): The code of the first user and of the first item: 0.

    Example:
        >>> import palate
        >>> from palate.nn import RatingLoaders
        >>> ratings = palate.datasets.synthetic(60, 40, 1200, seed=1)
        >>> loaders = RatingLoaders.from_ratings(ratings, valid=0.1, batch_size=128)
        >>> loaders
        RatingLoaders(1,080 training and 120 validation ratings, batches of 128; classes: 60 user, 40 item)
        >>> x, y = loaders.one_batch()
        >>> x.shape, y.shape
        (torch.Size([128, 2]), torch.Size([128, 1]))
    """

    first_code: ClassVar[int] = 0

    train: Batches
    valid: Batches | None
    ratings: Ratings
    valid_ratings: Ratings | None
    classes: dict[str, list[Any]]
    scales: dict[str, tuple[float, float]] = field(default_factory=dict)
    unseen: dict[str, int] = field(default_factory=dict)

    @classmethod
    def from_ratings(
        cls,
        ratings: Ratings,
        valid: float | Ratings | None = 0.2,
        batch_size: int = 64,
        seed: int = 0,
        *,
        categorical: Sequence[str] = (),
        continuous: Sequence[str] = (),
    ) -> RatingLoaders:
        """Make loaders of ratings.

        Parameters:
            ratings (Ratings): The ratings to train on, without weights.
            valid (float, Ratings or None, default 0.2): The share to hold out at random, between 0 and 1, as
                palate.split_random does it; or other ratings of the same users and items; or None for no validation.
            batch_size (int, default 64): Rows in a training batch, 1 or more.
            seed (int, default 0): Decides the split, and the order in each epoch; 0 or more.
            categorical (sequence of str, default ()): Columns of ratings.user_table and ratings.item_table to feed as
                classes, such as an occupation.
            continuous (sequence of str, default ()): Columns of these tables to feed as numbers, such as an age,
                normalized to mean 0 and standard deviation 1 over the training rows.

        Returns:
            RatingLoaders: Training and validation batches.

        Raises:
            OptionError: An option lies outside its range, there is no such column, or the ratings have weights.
            DataError: There are no ratings, or a column does not hold classes or numbers.
            UnknownLabelError: `valid` has a user or an item that the training ratings lack.
        """
        if not isinstance(ratings, Ratings):
            raise OptionError(
                f"from_ratings takes palate.Ratings, as palate.read makes them, not a {type(ratings).__name__}: "
                "use RatingLoaders.from_df for a frame and RatingLoaders.from_csv for a file."
            )
        return cls._of_rows(Rows(ratings), valid, batch_size, seed, categorical, continuous)

    @classmethod
    def from_df(
        cls,
        frame: Any,
        valid: float | Ratings | None = 0.2,
        batch_size: int = 64,
        seed: int = 0,
        *,
        categorical: Sequence[str] = (),
        continuous: Sequence[str] = (),
        **options: Any,
    ) -> RatingLoaders:
        """Make loaders of a frame. Categorical and continuous may name columns of the frame itself.

        Parameters:
            frame (frame): A pandas, polars or arrow frame, or anything else that palate.read takes.
            valid (float, Ratings or None, default 0.2): The validation set; see from_ratings.
            batch_size (int, default 64): Rows in a training batch, 1 or more.
            seed (int, default 0): Decides the split, and the order in each epoch; 0 or more.
            categorical (sequence of str, default ()): Columns of the frame, or of the tables given as users= and
                items=, to feed as classes.
            continuous (sequence of str, default ()): Columns of these to feed as numbers, normalized.
            **options (Any): Options of palate.read, such as user="reader" or items=books.

        Returns:
            RatingLoaders: Training and validation batches.

        Raises:
            OptionError: An option lies outside its range, or there is no such column.
            DataError: There are no ratings, or a row or column cannot be read.
            UnknownLabelError: `valid` has a user or an item that the training ratings lack.

        Example:
            >>> from palate.nn import RatingLoaders
            >>> visits = {"user": ["ann", "bob"] * 4, "item": list("aabbccdd"), "rating": [1, 2] * 4}
            >>> visits["hour"] = [9, 21] * 4
            >>> RatingLoaders.from_df(visits, valid=0.25, categorical=["hour"]).classes["hour"]
            ['(unknown)', 9, 21]
        """
        rows = rows_of_frame(frame, {*categorical, *continuous}, options)
        return cls._of_rows(rows, valid, batch_size, seed, categorical, continuous)

    @classmethod
    def from_csv(cls, path: str | PathLike[str], valid: float | Ratings | None = 0.2, **options: Any) -> RatingLoaders:
        """Make loaders of a text file.

        Parameters:
            path (str or path): The file of ratings.
            valid (float, Ratings or None, default 0.2): The validation set; see from_ratings.
            **options (Any): Options of from_ratings and of palate.read. Categorical and continuous name columns of the
                files given as users= and items=.

        Returns:
            RatingLoaders: Training and validation batches.

        Raises:
            OptionError: An option lies outside its range, or there is no such column.
            DataError: There are no ratings, or a row or column cannot be read.
            UnknownLabelError: `valid` has a user or an item that the training ratings lack.
        """
        own = {name: options.pop(name) for name in OPTIONS if name in options}
        return cls.from_ratings(read(path, **options), valid, **own)

    @classmethod
    def _of_rows(
        cls, rows: Rows, valid: Any, batch_size: int, seed: int, categorical: Sequence[str], continuous: Sequence[str]
    ) -> RatingLoaders:
        check_whole(1, batch_size=batch_size)
        check_seed(seed)
        _check_names(categorical, continuous)
        training, held_out = _split(rows, valid, seed)
        categories = {name: Category.learned(training.column(name)) for name in categorical}
        scales = {name: Scale.learned(training.column(name)) for name in continuous}
        train = Batches(*_tensors(training, categories, scales)[0], batch_size=batch_size, shuffle=True, seed=seed)
        classes = training.ratings.classes | {name: category.labels for name, category in categories.items()}
        plain_scales = {name: (scale.mean, scale.deviation) for name, scale in scales.items()}
        if held_out is None:
            return cls(train, None, training.ratings, None, classes, plain_scales)
        tensors, unseen = _tensors(held_out, categories, scales)
        batches = Batches(*tensors, batch_size=max(batch_size, VALID_BATCH_SIZE))
        return cls(train, batches, training.ratings, held_out.ratings, classes, plain_scales, unseen)

    @property
    def n_users(self) -> int:
        """The number of user classes: all users of the training vocabulary."""
        return self.sizes[0]

    @property
    def n_items(self) -> int:
        """The number of item classes: all items of the training vocabulary."""
        return self.sizes[1]

    @property
    def sizes(self) -> list[int]:
        """The number of classes of each column of x, for EmbeddingNet."""
        return [len(labels) for labels in self.classes.values()]

    def one_batch(self) -> tuple[Tensor, ...]:
        """Return the first training batch of the next epoch.

        Returns:
            tuple of Tensor: (x, y), or (x, continuous, y) if there are continuous columns.
        """
        return self.train.first()

    def show_batch(self, n: int = 10) -> pl.DataFrame:
        """Return the first rows of a training batch as a frame of labels, titles and ratings.

        Parameters:
            n (int, default 10): Rows, 1 or more.

        Returns:
            polars.DataFrame: At most n rows; see decode_batch.

        Raises:
            OptionError: n is not a whole number of 1 or more.
        """
        check_whole(1, n=n)
        return self.decode_batch(*(tensor[:n] for tensor in self.one_batch()))

    def decode_batch(self, x: Tensor, *rest: Tensor) -> pl.DataFrame:
        """Turn a batch back into labels and original units.

        Parameters:
            x (Tensor): Codes, int64, (batch, columns).
            *rest (Tensor): The continuous columns if there are any, then the ratings, (batch, 1).

        Returns:
            polars.DataFrame: user, item, title if the item table has titles, the other columns, rating.
        """
        import polars as pl

        columns: dict[str, pl.Series] = {}
        names = titles(self.ratings.item_table)
        for (name, labels), codes in zip(self.classes.items(), x.T.tolist(), strict=True):
            kind = None if labels[0] != UNKNOWN else pl.String
            columns[name] = pl.Series([labels[code] for code in codes], dtype=kind, strict=False)
            if name == "item" and names is not None:
                columns["title"] = pl.Series([names[code] for code in codes], dtype=pl.String)
        *continuous, y = rest
        for (name, (mean, deviation)), scaled in zip(self.scales.items(), *(c.T for c in continuous), strict=True):
            columns[name] = pl.Series((scaled.double() * deviation + mean).tolist(), dtype=pl.Float32)
        return pl.DataFrame(columns | {"rating": pl.Series(y[:, 0].tolist(), dtype=pl.Float32)})

    def __repr__(self) -> str:
        n_valid = 0 if self.valid is None else self.valid.n
        classes = ", ".join(f"{len(labels):,} {name}" for name, labels in self.classes.items())
        unseen = "".join(f"; {count:,} validation ratings of an unseen {name}" for name, count in self.unseen.items())
        return (
            f"RatingLoaders({self.train.n:,} training and {n_valid:,} validation ratings, batches of "
            f"{self.train.batch_size:,}; classes: {classes}{unseen})"
        )


def _split(rows: Rows, valid: Any, seed: int) -> tuple[Rows, Rows | None]:
    """(training, validation) rows with the same vocabularies."""
    if rows.ratings.weights is not None:
        raise OptionError("these ratings have weights, which the batches do not carry: read them with weight=False.")
    if len(rows) == 0:
        raise DataError("there are no ratings to train on.")
    if valid is None:
        return rows, None
    if isinstance(valid, Ratings):
        if len(valid) == 0:
            raise DataError("valid has no ratings: give some to measure on, or valid=None to train without.")
        return rows, Rows(recoded(valid, rows.ratings))
    if isinstance(valid, bool) or not isinstance(valid, int | float) or not 1 <= len(rows) * valid < len(rows):
        shown = repr(valid) if isinstance(valid, int | float) else f"<{type(valid).__name__}>"
        raise OptionError(
            f"valid={shown} of {len(rows):,} ratings: give a share between 0 and 1 that holds out at least one of "
            "them, other ratings (as palate.read makes them), or None."
        )
    return cast("tuple[Rows, Rows]", split_random(cast(Any, rows), test=valid, seed=seed))


def _tensors(
    rows: Rows, categories: dict[str, Category], scales: dict[str, Scale]
) -> tuple[list[Tensor], dict[str, int]]:
    """x, continuous (if any) and y of rows; and for each column with unseen classes, how many rows have one."""
    encoded = {name: category.encode(rows.column(name)) for name, category in categories.items()}
    codes: list[NDArray[Any]] = [rows.ratings.user_codes, rows.ratings.item_codes]
    arrays: list[NDArray[Any]] = [np.stack(codes + [column for column, _ in encoded.values()], axis=1).astype(np.int64)]
    if scales:
        arrays.append(np.stack([scale.encode(rows.column(name)) for name, scale in scales.items()], axis=1))
    arrays.append(rows.ratings.values[:, None].copy())
    return [torch.from_numpy(array) for array in arrays], {name: n for name, (_, n) in encoded.items() if n}


def _check_names(categorical: Sequence[str], continuous: Sequence[str]) -> None:
    """Raise OptionError for a name that is given twice or already taken."""
    if isinstance(categorical, str) or isinstance(continuous, str):
        raise OptionError("categorical and continuous take lists of column names: write ['age'], not 'age'.")
    names = [*categorical, *continuous]
    wrong = [name for at, name in enumerate(names) if name in ("user", "item", "rating", *names[:at])]
    if wrong:
        raise OptionError(
            f"column {wrong[0]!r} is in the batch already: categorical= and continuous= name each column once, and "
            "none of user, item and rating."
        )
