"""Vocabularies of tables on disk: all labels sorted, each once, and the final code of each provisional one.

It is a merge sort: each table is sorted alone, then all tables together, one range of labels after another. No more
than a table and a range are in memory, and the labels themselves, which a Vocabulary has there anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from palate.data.blocks.spilling import read_labels
from palate.data.reading.ids import bare, check_not_rounded, have_point_zero, how_bare, quotes_around
from palate.errors import LabelTypeError

if TYPE_CHECKING:
    import polars as pl

RANGE = 1 << 21  # labels that are merged at once, about
ROW_GROUP = 1 << 16  # labels in a row group of a sorted table
SAMPLES = 64  # of a range, which say where the others begin
DIGITS = "^[0-9]+$"


@dataclass(frozen=True)
class Meaning:
    """What is taken off labels, which all of them must have; and whether they sort as numbers.

    Attributes:
        quotes (tuple of str): The forms of quotes around them; the first is taken off.
        is_bare (bool): Whether blanks or quotes are taken off.
        point_zero (bool): Whether ".0" is taken off.
        digits (bool): Whether they are digits then.
        how (str): The same in words, for the report.
    """

    quotes: tuple[str, ...] = ()
    is_bare: bool = False
    point_zero: bool = False
    digits: bool = False
    how: str = ""

    def of(self, labels: pl.Series) -> pl.Series:
        """The labels as they are meant."""
        labels = bare(labels, self.quotes) if self.is_bare else labels
        return labels.str.strip_suffix(".0") if self.point_zero else labels


def merge(what: str, tables: dict[int, list[Path]], folder: Path, *, is_text: bool) -> tuple[pl.Series, str]:
    """(all labels in the order of their final codes; what was taken off them, in words).

    tables: number -> its files of labels. The final codes of each table's labels are written to `codes_path`. is_text:
    labels are those of text files. Raises LabelTypeError.
    """
    import polars as pl

    if not tables:
        return pl.Series(dtype=pl.String), ""
    meaning = _meaning(what, tables, is_text=is_text)
    if len(tables) == 1:
        ((table, files),) = tables.items()
        run = _run(_table(files), meaning)
        labels, (final,) = _coded([run], 0)
        codes = np.empty(len(final), np.int32)
        codes[run["code"].to_numpy()] = final
        codes.tofile(codes_path(folder, what, table))
        return labels, meaning.how
    runs = {table: folder / f"run.{what}.{table}" for table in tables}
    samples = [_write_run(_run(_table(files), meaning), runs[table]) for table, files in tables.items()]
    starts = pl.concat(samples).sort().gather_every(SAMPLES)[1:].unique().sort()  # of all ranges but the first
    merged = pl.concat(list(_merged(what, runs, starts, folder)))
    for path in runs.values():
        path.unlink()
    return merged, meaning.how


def codes_path(folder: Path, what: str, table: int) -> Path:
    """The file of the final codes, int32, of a table's labels."""
    return folder / f"codes.{what}.{table}"


def final_codes(folder: Path, what: str, table: int) -> NDArray[np.int32]:
    """The final code of each label of a table."""
    return np.fromfile(codes_path(folder, what, table), np.int32)


def _table(files: list[Path]) -> pl.Series:
    import polars as pl

    labels: pl.Series = pl.concat([read_labels(path) for path in files])
    return labels


def _meaning(what: str, tables: dict[int, list[Path]], *, is_text: bool) -> Meaning:
    """What labels mean, by all of them."""
    import polars as pl

    if _table(next(iter(tables.values()))).dtype != pl.String:
        return Meaning()
    meaning = _bare_meaning(what, tables) if is_text else Meaning()
    point_zero = digits = whole_digits = True
    for labels in map(meaning.of, map(_table, tables.values())):
        point_zero &= have_point_zero(labels)
        digits &= bool(labels.str.contains(DIGITS).all())
        whole_digits &= point_zero and bool(labels.str.strip_suffix(".0").str.contains(DIGITS).all())
    how = "17850.0 as 17850" if point_zero else meaning.how
    return Meaning(meaning.quotes, meaning.is_bare, point_zero, whole_digits if point_zero else digits, how)


def _bare_meaning(what: str, tables: dict[int, list[Path]]) -> Meaning:
    quotes: tuple[str, ...] | None = None
    is_stripped = False
    for labels in map(_table, tables.values()):
        try:
            check_not_rounded(labels)
        except LabelTypeError as error:
            raise LabelTypeError(f"{what} {error}") from error
        own = quotes_around(labels)
        quotes = own if quotes is None else tuple(form for form in quotes if form in own)
        is_stripped |= not bool((labels.str.strip_chars() == labels).all())
    assert quotes is not None, "there is a table"
    how = how_bare(quotes, is_changed=is_stripped)
    return Meaning(quotes, bool(how), how=how)


# ---- sorting


def _run(labels: pl.Series, meaning: Meaning) -> pl.DataFrame:
    """A table sorted: key (that labels sort by), label, and code in the table."""
    import polars as pl

    meant = meaning.of(labels).alias("label")
    codes = pl.Series("code", np.arange(len(labels), dtype=np.int32))
    return pl.DataFrame([_keys(meant, meaning).alias("key"), meant, codes]).sort("key")


def _keys(labels: pl.Series, meaning: Meaning) -> pl.Series:
    """What labels sort by: digits by their number, which is longer if it is larger, then by their zeros."""
    import polars as pl

    if not meaning.digits:
        return labels
    number = labels.str.strip_chars_start("0")
    return number.str.len_bytes().cast(pl.String).str.zfill(10) + number + labels


def _write_run(run: pl.DataFrame, path: Path) -> pl.Series:
    """Write a sorted table; return every some-th of its keys."""
    run.write_parquet(path, row_group_size=ROW_GROUP, compression="lz4")
    return run["key"].gather_every(max(RANGE // SAMPLES, 1))


def _merged(what: str, runs: dict[int, Path], starts: pl.Series, folder: Path) -> Iterator[pl.Series]:
    """The labels of each range; the final codes of its labels go to the files of their tables."""
    bounds = {table: _bounds(path, starts) for table, path in runs.items()}
    codes = {
        table: np.memmap(codes_path(folder, what, table), np.int32, "w+", shape=(bounds[table][-1],)) for table in runs
    }
    n_before = 0
    for at in range(len(starts) + 1):
        parts = {table: _rows(path, *bounds[table][at : at + 2]) for table, path in runs.items()}
        labels, coded = _coded(list(parts.values()), n_before)
        for (table, part), final in zip(parts.items(), coded, strict=True):
            codes[table][part["code"].to_numpy()] = final
        n_before += len(labels)
        yield labels
    for written in codes.values():
        written.flush()


def _bounds(path: Path, starts: pl.Series) -> list[int]:
    """Where the ranges of a run begin, and where the last one ends."""
    import polars as pl

    keys = pl.read_parquet(path, columns=["key"], glob=False)["key"]
    return [0, *keys.search_sorted(starts).to_list(), len(keys)]


def _rows(path: Path, start: int, stop: int) -> pl.DataFrame:
    """Some rows of a run; only the row groups that they are in are read."""
    import polars as pl

    return pl.scan_parquet(path, glob=False).slice(start, stop - start).collect()


def _coded(runs: list[pl.DataFrame], n_before: int) -> tuple[pl.Series, list[NDArray[np.int32]]]:
    """(the labels of some runs, sorted, each once; the codes of each run's labels), codes from n_before on."""
    import polars as pl

    order = pl.concat([run.select("key", "label") for run in runs]).with_row_index("at").sort("key")
    is_first = (order["key"] != order["key"].shift(1)).fill_null(True)
    codes = np.empty(order.height, np.int32)
    codes[order["at"].to_numpy()] = n_before - 1 + np.cumsum(is_first.to_numpy(), dtype=np.int32)
    ends = np.cumsum([run.height for run in runs])[:-1]
    return order["label"].filter(is_first), np.split(codes, ends)


def recode(what: str, tables: Iterable[int], folder: Path, codes: NDArray[np.int32]) -> None:
    """Change final codes: code i becomes codes[i]."""
    for table in tables:
        codes[final_codes(folder, what, table)].tofile(codes_path(folder, what, table))
