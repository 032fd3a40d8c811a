"""export(): the vectors of a model as Parquet, NumPy or faiss files, or as tables of PostgreSQL with pgvector."""

from __future__ import annotations

import re
from contextlib import ExitStack
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal, get_args

from palate.answers.ranking.index import faiss_for
from palate.answers.vectors import SIDES, Metric, Question, Side, Vectors, check_options
from palate.data.whole_files import reason, replacing
from palate.errors import ExportError, OptionError, PalateError
from palate.exporting import faiss_index, files, pgvector
from palate.options import check_choice, check_flags, check_is_path
from palate.recommender import Recommender

Format = Literal["parquet", "npy", "faiss", "pgvector"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[str, Format] = {".parquet": "parquet", ".npy": "npy", ".faiss": "faiss", ".sql": "pgvector"}
DATABASE = re.compile(r"postgres(ql)?://", re.IGNORECASE)
WRITERS: dict[str, Any] = {"parquet": files.parquet, "npy": files.npy, "faiss": faiss_index.faiss}


def export(
    rec: Recommender,
    out: str | PathLike[str],
    to: Format | None = None,
    *,
    side: Literal["items", "users", "both"] | None = None,
    metric: Metric = "ip",
    question: Question = "recommend",
    prefix: str = "palate",
    index: bool = False,
    overwrite: bool = False,
) -> list[str]:
    """Write the vectors of a model where another system can look up its nearest neighbours: palate's own ranking.

    Recommender.vectors says what the vectors are. Each place is written whole or not at all: files are renamed into
    place, and tables are made and swapped in one transaction. In a folder there is one file for each side,
    `items.parquet` and `users.parquet`. Beside a .npy or .faiss file lies a .json file with the labels in the order of
    the rows. The tables `palate_items` and `palate_users` have columns label, title (of items), vector and score_offset
    (of users, where there is one).

    Parameters:
        rec (Recommender): The model.
        out (path or URL): A folder, a file that ends with .parquet, .npy, .faiss or .sql, or the database of a
            PostgreSQL server with pgvector: postgresql://user@host/database. An .sql file is for psql.
        to (str, default None): "parquet", "npy", "faiss" or "pgvector". None: what the name of `out` says.
        side ("items", "users" or "both", default None): Whose vectors. None: both, or the items where there is one
            file.
        metric ("ip", "cosine" or "l2", default "ip"): What the other system finds neighbours by.
        question ("recommend" or "similar", default "recommend"): What the neighbours answer.
        prefix (str, default "palate"): How the names of the tables begin, with "pgvector".
        index (bool, default False): Also build an HNSW index over the vectors, with "pgvector": quick where there are
            millions of items, and approximate.
        overwrite (bool, default False): Replace files, or tables that palate has written, which are there already.

    Returns:
        list of str: The files or tables written.

    Raises:
        OptionError: An option is not valid, the place is taken, faiss or psycopg is not installed, or the model ranks
            by something else than vectors.
        ExportError: The disk or the database refuses.

    Example:
        >>> import palate, tempfile
        >>> rec = palate.Bayes(n_sweeps=20).fit(palate.datasets.synthetic(60, 40, 1200, seed=1))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = palate.exporting.export(rec, folder, "parquet")
        >>> len(written)
        2
    """
    if not isinstance(rec, Recommender):
        raise OptionError(f"export takes a trained model, as fit() and palate.load() return, got {type(rec).__name__}.")
    check_is_path(out=out)
    check_flags(index=index, overwrite=overwrite)
    check_options("items", metric, question)
    place, kind = fspath(out), _format_of(fspath(out), to)
    if index and kind != "pgvector":
        raise OptionError('index=True builds an index in a database, and goes with to="pgvector".')
    sides = _sides_of(place, kind, side)
    if kind == "pgvector":
        tables = {one: pgvector.table_name(prefix, one) for one in sides}
        if DATABASE.match(place):
            database = pgvector.Database(place)
            database.check(list(tables.values()), overwrite=overwrite)
            made = [(tables[one], rec.vectors(one, metric=metric, question=question)) for one in sides]
            database.write(made, index=index, overwrite=overwrite)
            return list(tables.values())
        _check_free([Path(place)], overwrite=overwrite)
        made = [(tables[one], rec.vectors(one, metric=metric, question=question)) for one in sides]
        _write_script(Path(place), made, index=index, overwrite=overwrite)
        return [place]
    return _write_files(rec, place, sides, kind, (metric, question), overwrite=overwrite)


def _format_of(place: str, to: str | None) -> Format:
    """The format that is asked for, or that the place says. Raises OptionError where they do not go together."""
    suffix = Path(place).suffix.lower()
    said: Format | None = "pgvector" if DATABASE.match(place) else SUFFIXES.get(suffix)
    if to is None:
        if said is None:
            raise OptionError(
                f'out={place!r} does not say what to write: give to="parquet", "npy", "faiss" or "pgvector", or a name '
                "that ends with .parquet, .npy, .faiss or .sql."
            )
        return said
    check_choice("to", to, FORMATS)
    if to == "pgvector" and said != to:
        raise OptionError(
            f'to="pgvector" writes into a database, postgresql://user@host/database, or a file that ends with .sql, '
            f"not {place!r}."
        )
    if said not in (None, to):
        raise OptionError(f"out={place!r} is {'a database' if DATABASE.match(place) else suffix}, and to={to!r}.")
    return next(known for known in FORMATS if known == to)


def _sides_of(place: str, kind: Format, side: str | None) -> tuple[Side, ...]:
    is_one_file = kind != "pgvector" and _is_file_name(place)
    if side is None:
        return ("items",) if is_one_file else SIDES
    check_choice("side", side, (*SIDES, "both"))
    if side == "both" and is_one_file:
        raise OptionError(f'side="both" makes two files: name a folder for them, in place of out={place!r}.')
    return tuple(one for one in SIDES if side in (one, "both"))


def _is_file_name(place: str) -> bool:
    return Path(place).suffix.lower() in SUFFIXES and not Path(place).is_dir()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise ExportError(f"the folder {str(folder)!r} cannot be made: {reason(error)}.") from error


def _check_free(paths: list[Path], *, overwrite: bool) -> None:
    taken = [path for path in paths if path.exists()]
    if taken and not overwrite:
        raise OptionError(f"{str(taken[0])!r} is there already; overwrite=True replaces it.")


def _write_files(
    rec: Recommender,
    place: str,
    sides: tuple[Side, ...],
    kind: Format,
    how: tuple[Metric, Question],
    *,
    overwrite: bool,
) -> list[str]:
    """Write a file for each side, and its labels. All are written before the first is renamed into place."""
    folder = None if _is_file_name(place) else Path(place)
    paths = {one: Path(place) if folder is None else folder / f"{one}.{kind}" for one in sides}
    beside = {side: [path, *([path.with_suffix(".json")] if kind != "parquet" else [])] for side, path in paths.items()}
    every = [path for own in beside.values() for path in own]
    _check_free(every, overwrite=overwrite)
    if kind == "faiss":
        faiss_for(faiss_index.NEEDED_BY)
    metric, question = how
    made = {side: rec.vectors(side, metric=metric, question=question) for side in paths}
    if folder is not None:
        _make_folder(folder)
    try:
        with ExitStack() as stack:
            for side, own in beside.items():
                WRITERS[kind](made[side], *(stack.enter_context(replacing(path)) for path in own))
    except PalateError:
        raise
    except (OSError, ValueError) as error:
        raise ExportError(f"{str(every[0])!r} cannot be written: {reason(error)}.") from error
    return [str(path) for path in every]


def _write_script(path: Path, tables: list[tuple[str, Vectors]], *, index: bool, overwrite: bool) -> None:
    try:
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as script:
            script.writelines(pgvector.script(tables, index=index, overwrite=overwrite))
    except PalateError:
        raise
    except (OSError, ValueError) as error:
        raise ExportError(f"{str(path)!r} cannot be written: {reason(error)}.") from error
