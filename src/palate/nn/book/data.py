"""Loaders under the chapter's names: labels as codes, of which 0 is #na#, and ratings as numbers or classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from palate.data.reading import read
from palate.data.reading.frames import table_of
from palate.data.reading.parsing import TextFile
from palate.data.reading.textfiles import name_of, open_bytes, utf8_chunks
from palate.data.vocabulary import plain_label
from palate.errors import DataError, OptionError, UnknownLabelError
from palate.nn.book.names import L, check_rows
from palate.nn.loaders import VALID_BATCH_SIZE, Batches, RatingLoaders

if TYPE_CHECKING:
    import polars as pl

NA = "#na#"  # the label of code 0 in every field: missing
MANY_CLASSES = 20  # more of them, with less than two ratings each, are no classes


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


class Classes(L):
    """The labels of a field in the order of their codes, #na# first; `o2i` maps a label to its code."""

    def __init__(self, labels: Iterable[Any], what: str) -> None:
        super().__init__([NA, *labels])
        self.o2i = Codes(self, what)

    def codes(self, labels: Iterable[Any]) -> list[int]:
        """Return the codes of labels, 0 for unknown ones.

        Parameters:
            labels (iterable): The labels.

        Returns:
            list of int: A code for each.

        Raises:
            UnknownLabelError: No label is known, and all are texts where the known ones are none, or the reverse.
        """
        found = list(labels)
        codes = [self.o2i.get(label, 0) for label in found]
        kinds = {isinstance(label, str) for label in self[1:]}
        if found and not any(codes) and len(kinds) == 1 and {isinstance(label, str) for label in found} != kinds:
            return [self.o2i[found[0]]]  # raises
        return codes


class CategoryBlock:
    """Given as y_block, it makes classes of the ratings, for a model with a score for each.

    Example:
        >>> from palate.nn.book import CategoryBlock, CollabDataLoaders
        >>> frame = {"who": ["ann", "bob"] * 4, "what": list("aabbccdd"), "stars": [1, 2, 3, 5] * 2}
        >>> CollabDataLoaders.from_df(frame, valid_pct=0.25, y_block=CategoryBlock()).vocab
        (#4) [1, 2, 3, 5]
    """


@dataclass(frozen=True, repr=False)
class CollabDataLoaders(RatingLoaders):
    """RatingLoaders under the chapter's names; code 0 of users and of items is #na#.

    Make them with from_df or from_csv.

    Attributes:
        train (Batches): Training batches, shuffled anew in each epoch.
        valid (Batches or None): Validation batches.
        ratings (Ratings): The training ratings.
        valid_ratings (Ratings or None): The validation ratings, in the training vocabularies.
        classes (dict): Field -> its labels in the order of their codes; user and item. `o2i` maps a label to its code.
        scales (dict): Empty; the chapter has no continuous columns.
        unseen (dict): Empty; the chapter has no further categorical columns.
        rating_name (str): The name of the rating column, used by show_batch and show_results.
        vocab (L or None): The ratings that are classes, in the order of their codes; None where ratings are numbers.
        as_pandas (bool): Whether frames come back as pandas frames, because one was given.
        path (Path): Where a Learner keeps its files.

    Example:
        >>> from palate.nn.book import CollabDataLoaders
        >>> frame = {"who": ["ann", "bob"] * 4, "what": list("aabbccdd"), "stars": [1, 2, 3, 4] * 2}
        >>> dls = CollabDataLoaders.from_df(frame, valid_pct=0.25, bs=2)
        >>> dls.classes["who"], dls.classes["what"].o2i["c"]
        ((#3) ['#na#', 'ann', 'bob'], 3)
    """

    first_code = 1
    n_inp = 1  # inputs of a batch: x, before y
    rating_name: str = "rating"
    vocab: L | None = None
    as_pandas: bool = False
    path: Path = Path()

    @classmethod
    def from_df(  # type: ignore[override]
        cls,
        ratings: Any,
        valid_pct: float = 0.2,
        user_name: str | None = None,
        item_name: str | None = None,
        rating_name: str | None = None,
        seed: int | None = None,
        path: str | PathLike[str] = ".",
        *,
        bs: int = 64,
        y_block: CategoryBlock | type[CategoryBlock] | None = None,
    ) -> CollabDataLoaders:
        """Make loaders of a frame. By default its first three columns are user, item and rating.

        Parameters:
            ratings (frame): A pandas, polars or arrow frame, or anything else that palate.read takes.
            valid_pct (float, default 0.2): Share of the ratings to hold out for validation, between 0 and 1.
            user_name (str, default None): The user column; None takes the first column.
            item_name (str, default None): The item column; None takes the second column.
            rating_name (str, default None): The rating column; None takes the third column.
            seed (int, default None): Decides the split, and the order in each epoch; None takes 0.
            path (str or path, default "."): The folder for files of the Learner.
            bs (int, default 64): Rows in a training batch, 1 or more.
            y_block (CategoryBlock, default None): Make classes of the ratings; None leaves them numbers.

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
        made = cls(
            train, valid, plain.ratings, plain.valid_ratings, classes, rating_name=names[2],
            as_pandas=type(ratings).__module__.split(".")[0] == "pandas", path=Path(path),
        )  # fmt: skip
        return made if y_block is None else made._with_classes(y_block)

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

    def _with_classes(self, y_block: Any) -> CollabDataLoaders:
        """The same loaders, whose y holds the codes of the ratings' classes, int64."""
        if not (isinstance(y_block, CategoryBlock) or y_block is CategoryBlock):
            raise OptionError(f"y_block={y_block!r}: give CategoryBlock() for classes, or None for numbers.")
        both = [self.train, *([] if self.valid is None else [self.valid])]
        values = np.unique(np.concatenate([batches.tensors[1].numpy().ravel() for batches in both]))
        if len(values) > max(MANY_CLASSES, len(both[0].tensors[1]) // 2) or len(values) < 2:
            raise OptionError(
                f"y_block=CategoryBlock() makes a class of each rating, and there are {len(values)} different ones in "
                f"{len(both[0].tensors[1]):,} training ratings: leave it out."
            )
        coded = [
            Batches(
                batches.tensors[0], torch.from_numpy(np.searchsorted(values, batches.tensors[1].numpy())),
                batch_size=batches.batch_size, shuffle=batches.shuffle, seed=batches.seed,
            )
            for batches in both
        ]  # fmt: skip
        vocab = L(int(value) if value.is_integer() else float(str(value)) for value in values)
        return replace(self, train=coded[0], valid=None if self.valid is None else coded[1], vocab=vocab)

    @property
    def c(self) -> int:
        """How many numbers a model predicts for a row: one for each class, or 1."""
        return 1 if self.vocab is None else len(self.vocab)

    @property
    def bs(self) -> int:
        """Rows in a training batch."""
        return self.train.batch_size

    def __getitem__(self, at: int) -> Batches:
        """Return the training batches at 0, and the validation batches at 1."""
        found = [self.train, self.valid][at]
        if found is None:
            raise OptionError("these loaders have no validation set.")
        return found

    def show_batch(self, max_n: int = 10) -> Any:
        """Return the first rows of a training batch as a frame of labels and ratings.

        Parameters:
            max_n (int, default 10): Rows at most, 1 or more.

        Returns:
            frame: A pandas frame if the loaders were made of one, or a polars frame.

        Raises:
            OptionError: max_n is not a whole number of 1 or more.
        """
        check_rows(max_n)
        return self.decode_batch(*(tensor[:max_n] for tensor in self.one_batch()))

    def decode_batch(self, x: Tensor, *rest: Tensor) -> Any:
        """Turn a batch back into labels.

        Parameters:
            x (Tensor): Codes, int64, (batch, 2).
            *rest (Tensor): The ratings, (batch, 1), or the codes of their classes.

        Returns:
            frame: Users, items and ratings under the chapter's names.
        """
        (y,) = rest
        return self.shown(self._decoded(x, y))

    def _decoded(self, x: Tensor, y: Tensor) -> pl.DataFrame:
        import polars as pl

        return pl.DataFrame([*self._labels(x), self._series(self.rating_name, y)])

    def _labels(self, x: Tensor) -> list[pl.Series]:
        pairs = zip(self.classes.items(), x.T, strict=True)
        return [labels_of(name, labels, codes) for (name, labels), codes in pairs]

    def _series(self, name: str, y: Tensor) -> pl.Series:
        """Ratings, or the classes behind codes, as a column."""
        import polars as pl

        if self.vocab is None:
            return pl.Series(name, y.reshape(-1).tolist(), dtype=pl.Float32)
        return pl.Series(name, [self.vocab[code] for code in y.reshape(-1).tolist()])

    def beside(self, x: Tensor, y: Tensor | None, predictions: Tensor) -> Any:
        """Return a batch turned back into labels, with predictions in a column of their own.

        Parameters:
            x (Tensor): Codes, int64, (n, 2).
            y (Tensor or None): The ratings, if they are known.
            predictions (Tensor): Predicted ratings, or codes of predicted classes, n of them.

        Returns:
            frame: Users, items, ratings and predictions; without y the predictions stand in the rating column.
        """
        if y is None:
            return self.shown(self._decoded(x, predictions))
        column = self._series(f"{self.rating_name}_pred", predictions)
        return self.shown(self._decoded(x, y).with_columns(column))

    def shown(self, frame: pl.DataFrame) -> Any:
        """Return a frame of the kind that the loaders were made of.

        Parameters:
            frame (polars.DataFrame): The frame.

        Returns:
            frame: As a pandas frame if a pandas frame was given; the same otherwise.
        """
        if not self.as_pandas:
            return frame
        import pandas as pd

        return pd.DataFrame({name: frame[name].to_list() for name in frame.columns})

    def test_dl(self, test_items: Any, with_labels: bool = False) -> Batches:
        """Make batches of new rows, for get_preds(dl=...). Unknown users and items become #na#.

        Parameters:
            test_items (frame, file or dict): Rows with the columns of users and items; others are left alone.
            with_labels (bool, default False): Take the ratings too.

        Returns:
            Batches: x, (n, 2), and y, (n, 1), if asked for.

        Raises:
            DataError: There is no such column, or a rating is none.
            UnknownLabelError: No label of a column is known, and all are texts where the known ones are none, or the
                reverse.
        """
        return test_batches(self, test_items, with_labels)


def test_batches(dls: Any, test_items: Any, with_labels: bool) -> Batches:
    """test_dl of anything that has classes, rating_name and vocab."""
    needed = [*dls.classes, *([dls.rating_name] if with_labels else [])]
    frame = _frame_of(test_items, needed, dls.rating_name)
    codes = [classes.codes(frame[name].to_list()) for name, classes in dls.classes.items()]
    x = torch.tensor(codes, dtype=torch.int64).T.contiguous()
    return Batches(x, *([_targets(dls, frame[dls.rating_name])] if with_labels else []), batch_size=VALID_BATCH_SIZE)


def labels_of(name: str, labels: Sequence[Any], codes: Tensor) -> pl.Series:
    """The labels of codes as a column; all are texts where one is #na# and others are no texts."""
    import polars as pl

    found = [labels[code] for code in codes.tolist()]
    return pl.Series(name, [str(label) for label in found] if NA in found else found, strict=False)


def _targets(dls: Any, column: pl.Series) -> Tensor:
    """The ratings of a column, (n, 1), as numbers or as codes of classes."""
    import polars as pl

    values = column.cast(pl.Float64, strict=False)
    if values.null_count():
        raise DataError(f"column {column.name!r} holds something else than numbers.")
    if dls.vocab is None:
        return torch.tensor(values.to_list(), dtype=torch.float32)[:, None]
    codes = {value: code for code, value in enumerate(dls.vocab)}
    unknown = [value for value in values.to_list() if value not in codes]
    if unknown:
        raise DataError(f"column {column.name!r} holds {unknown[0]:g}, which is none of the classes {list(dls.vocab)}.")
    return torch.tensor([codes[value] for value in values.to_list()], dtype=torch.int64)[:, None]


def _frame_of(source: Any, needed: Sequence[str], rating_name: str) -> pl.DataFrame:
    """Some columns of a frame, of a row of one, of a dict of columns or of one row, or of a text file."""
    import polars as pl

    if type(source).__module__.split(".")[0] == "pandas" and not hasattr(source, "columns"):
        source = source.to_dict()  # a Series: one row
    if isinstance(source, dict) and all(isinstance(v, str) or not isinstance(v, Iterable) for v in source.values()):
        source = {name: [value] for name, value in source.items() if name in needed}
    if isinstance(source, list) and source and all(isinstance(row, dict) for row in source):
        source = {name: [row.get(name) for row in source] for name in needed if name in source[0]}
    table = table_of(source)
    names = _names_in_file(source) if table is None else table.names
    lacking = [name for name in needed if name not in names]
    if lacking:
        raise DataError(f"there is no column {lacking[0]!r}; there are {', '.join(map(repr, names)) or 'none'}.")
    if table is None:
        return pl.read_csv(source, infer_schema=False, columns=list(needed))
    columns = {name: table.column if name == rating_name else table.label for name in needed}
    return pl.DataFrame({name: column(names.index(name)) for name, column in columns.items()})


def _names_in_file(source: Any) -> list[str]:
    """The column names of a CSV file; raise DataError if it is none."""
    import polars as pl

    try:
        return pl.read_csv(source, infer_schema=False, n_rows=1).columns
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"cannot read {source} as a CSV file: {error}") from error


def _column_names(source: Any) -> list[str]:
    """The column names of a frame or text file; raise OptionError for a frame with fewer than three."""
    if (table := table_of(source)) is None:
        with open_bytes(source) as stream:
            name = name_of(source)
            return TextFile(utf8_chunks(stream, None, name), name, None, None, given={}).dialect.names
    if len(table.names) < 3:
        raise OptionError(f"user, item and rating need three columns; there are {table.names}.")
    return table.names
