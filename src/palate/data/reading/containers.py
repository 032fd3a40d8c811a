"""Containers: what a file is packed in (gzip, bzip2, xz, Zstandard, zip, tar), told by its first bytes, and unpacked.

Everything is unpacked as it is read, so that a small file that unpacks to a huge one takes no memory. One file of an
archive is read: the one that the caller names behind the path of the archive, as in "archive.zip/ratings.csv", or else
the only one that can be it.
"""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from palate.data.addresses import in_short, is_url, open_url
from palate.data.reading.compression import DAMAGE, HEAD, MAX_MEMORY, Rewound, decompressed, read_full
from palate.errors import DataError, PalateError

JSON_HEAD = 400  # bytes in which JSON begins
MAX_MEMBERS = 500  # files of an archive whose columns are looked at
MAX_WHOLE = 1 << 31  # bytes of a file that must be in memory as a whole
ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
TAR_CHECKSUM = re.compile(rb" *[0-7]+[ \0]+")  # of a header, 8 bytes
FOREIGN = {  # the first bytes of files that are not read -> what they are, and what to do
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it and give the file inside",
    b"Rar!\x1a\x07": "a RAR archive: unpack it and give the file inside",
    b"\x1f\x9d": "compressed by compress (.Z): unpack it first",
    b"\x04\x22\x4d\x18": "compressed by lz4: unpack it first",
    b"\xff\x06\0\0sNaPpY": "compressed by snappy: unpack it first",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file: load it with h5py or pandas and pass the frame",
    b"\x93NUMPY": "a NumPy array: pass numpy.load(path)",
    b"FEA1": "a Feather file of version 1: load it with pandas.read_feather and pass the frame",
    b"Obj\x01": "an Avro file: load it with polars.read_avro and pass the frame",
    b"ORC": "an ORC file: load it with pyarrow.orc and pass the table",
    b"%PDF-": "a PDF: give the data as text, such as CSV",
    b"\x89PNG": "a picture: give the data as text, such as CSV",
    b"$FL2": "an SPSS file: load it with pandas.read_spss and pass the frame",
    b"$FL3": "an SPSS file: load it with pandas.read_spss and pass the frame",
    b"<stata_dta>": "a Stata file: load it with pandas.read_stata and pass the frame",
    b"\0" * 8 + b"DUCK": "a DuckDB database: pass an SQL query, with connection=",
    b"\0\1\0\0Standard ": "an Access database: export the table as CSV",
    b"MATLAB 5": "a MATLAB file: load it with scipy.io.loadmat and pass the arrays",
    b"\0" * 12 + b"\xc2\xea\x81\x60": "a SAS file: load it with pandas.read_sas and pass the frame",
    b"RDX": "a file of R's save(): write it with write.csv and read that",
    b"RDA": "a file of R's save(): write it with write.csv and read that",
    b"X\n\0\0\0": "a file of R's saveRDS(): write it with write.csv and read that",
}
TABLES = {b"PAR1": "a Parquet file", b"ARROW1": "an Arrow file", b"SQLite format 3\0": "an SQLite database"}
RECORD = re.compile(rb"\s*\{\s*(u?'[^']*': |u?\"[^\"]*\": u?')")  # as Python shows it
JSON = re.compile(rb'(\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s*(\{\s*["}]|\[\s*[\[{])')
PICKLE = re.compile(rb"\x80[\x02-\x05][\x95c}\](]")
WEB_PAGE = re.compile(rb"\s*<(!doctype html|html|head|body)\b", re.IGNORECASE)
NO_DATA = re.compile(
    r"(^|/)(\.[^/]*|__MACOSX/.*|(readme|licen[sc]e|changelog|changes|copying|notice)[^/]*|[^/]*\.(md|html?|pdf|png|jpe?g|py|sh))$",
    re.IGNORECASE,
)

Fits = Callable[[list[str]], int]  # how well columns of these names fit; 0 if not at all


@dataclass
class Content:
    """A file as a stream of bytes without its packing; `head` are its first bytes, `how` tells how it was packed."""

    stream: Any
    name: str
    head: bytes
    how: dict[str, str] = field(default_factory=dict)
    member: str | None = None
    separator: str | None = None

    def read(self, n: int = -1) -> bytes:
        """The next n bytes, fewer at the end only."""
        return read_full(self.stream, n)

    def whole(self) -> bytes:
        """All of it. Raises DataError if it is too large for that."""
        data: bytes = in_words(self.name, lambda: self.read(MAX_WHOLE + 1))
        if len(data) > MAX_WHOLE:
            raise DataError(
                f"{self.name} unpacks to more than {MAX_WHOLE >> 30} GB. Unpack it and read the file inside."
            )
        return data


@contextmanager
def opened_content(source: Any, fits: Fits | None = None) -> Iterator[Content]:
    """The bytes of a path or open file without packing.

    fits: how well the column names of a file in an archive fit what is looked for. Raises DataError if there is no such
    file, if it is damaged, and if it is a file of a kind that is not read.
    """
    with ExitStack() as stack:
        file, name, member = _base(source, stack)
        content = in_words(name, lambda: _unpacked(file, name, member, fits, stack))
        _refuse_foreign(content)
        yield content


def in_words(name: str, action: Callable[[], Any]) -> Any:
    """What the action gives; DataError if the file is damaged."""
    try:
        return action()
    except PalateError:
        raise
    except DAMAGE as error:
        raise DataError(f"{name} cannot be read to its end: {_words(error)}.") from error


def _words(error: BaseException) -> str:
    if "password" in str(error) or "encrypted" in str(error):
        return "it is encrypted. Unpack it with its password first"
    return in_short(error)


def _base(source: Any, stack: ExitStack) -> tuple[Any, str, str | None]:
    """An open file, its name, and the member that is named behind its path, if any."""
    if hasattr(source, "read"):
        return _of_bytes(source), name_of(source), None
    if is_url(source):
        return open_url(str(source), stack), str(source), None
    path, member = _split_member(Path(source))
    if path.is_dir():
        if (path / "by_user.starts").is_file():
            raise DataError(f"{path} is a folder of blocks: palate.blocks.open({str(path)!r}) opens it.")
        raise DataError(f"{path} is a folder: name the file with the ratings.")
    if not path.exists():
        raise DataError(f"there is no file {path}.")
    try:
        return stack.enter_context(path.open("rb")), str(path), member
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror}.") from error


def name_of(source: Any) -> str:
    """The name of a file in messages."""
    return str(getattr(source, "name", "the file")) if hasattr(source, "read") else str(source)


def _of_bytes(stream: Any) -> Any:
    """An open file of text as one of bytes."""
    if not isinstance(stream, io.TextIOBase) and not isinstance(stream.read(0), str):
        return stream
    text = stream.read()
    try:
        return io.BytesIO(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise DataError(f"{name_of(stream)}, line {line}: {error.object[error.start]!r} is half of a pair.") from None


def is_pipe(source: Any) -> bool:
    """True for a path whose bytes come only once, as those of `<(zcat ratings.gz)` in a shell."""
    try:
        return not is_url(source) and Path(source).exists() and not (Path(source).is_file() or Path(source).is_dir())
    except (OSError, ValueError):  # a name that no file can have
        return False


def _split_member(path: Path) -> tuple[Path, str | None]:
    """(archive, member) of a path such as archive.zip/inner.csv; (path, None) of any other."""
    try:
        if path.exists():
            return path, None
        for parent in path.parents:
            if parent.is_file():
                return parent, path.relative_to(parent).as_posix()
    except (OSError, ValueError) as error:  # a name that is too long, or with a NUL
        raise DataError(f"there is no file {str(path)[:200]!r}: {_words(error)}.") from None
    return path, None


def _unpacked(file: Any, name: str, member: str | None, fits: Fits | None, stack: ExitStack) -> Content:
    """The content of an open file: layers of compression are taken off, and perhaps one archive."""
    start = file.tell() if can_seek(file) else None
    content = _decompressed(Content(file, name, b"", member=member))
    if content.head.startswith(ZIP):
        return _of_zip(content, file, start, fits, stack)
    if _is_tar(content.head):
        return _of_tar(content, file, start, fits, stack)
    return content


def can_seek(file: Any) -> bool:
    """True for an open file that can be read from its start again."""
    return bool(getattr(file, "seekable", lambda: False)())


def _decompressed(content: Content) -> Content:
    """The content without layers of compression, its head read."""
    content.stream, content.head, layers = decompressed(content.stream, content.name)
    if layers:
        content.how["compression"] = " in ".join(reversed(layers))
    return content


# ---- archives


def _of_zip(content: Content, file: Any, start: int | None, fits: Fits | None, stack: ExitStack) -> Content:
    if "compression" in content.how or start is None:
        raise DataError(f"{content.name} is a zip archive in {_packing(content)}: unpack it, and give the path.")
    file.seek(start)
    try:
        archive = stack.enter_context(zipfile.ZipFile(file))
    except DAMAGE as error:
        raise DataError(f"{content.name} is a damaged zip archive: {_words(error)}.") from error
    members = {info.filename: info for info in archive.infolist() if not info.is_dir()}
    if is_workbook(members):
        file.seek(start)
        head = file.read(HEAD)
        size = sum(info.file_size for info in members.values())
        if size > MAX_MEMORY:
            raise DataError(f"{content.name} unpacks to {size >> 20:,} MB, too large for a workbook: save it as CSV.")
        return Content(Rewound(head, file), content.name, head, member=content.member)

    def opened(member: str) -> Any:
        return stack.enter_context(archive.open(members[member]))

    member = _chosen_member(content, list(members), lambda name: _head_of(opened(name)), fits)
    return _of_member(content, member, opened(member))


def is_workbook(members: Any) -> bool:
    """True if these are the members of a workbook (.xlsx, .xlsb, .ods), which is a zip archive too."""
    return any(name in members for name in ("xl/workbook.xml", "xl/workbook.bin")) or {
        "mimetype",
        "content.xml",
    } <= set(members)


def _is_tar(head: bytes) -> bool:
    """True if the first block is the header of a tar archive, by its checksum, which is written in octal digits.

    The digits are looked at first: tarfile takes a field that begins with a zero byte for 0, and the signed sum of a
    block of numbers is 0 now and then.
    """
    if not TAR_CHECKSUM.fullmatch(head[148:156]):
        return False
    try:
        tarfile.TarInfo.frombuf(head[:512], "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def _of_tar(content: Content, file: Any, start: int | None, fits: Fits | None, stack: ExitStack) -> Content:
    """The member of a tar archive. The archive is read twice: for its members, then up to the one that is chosen."""
    if start is None:
        raise DataError(f"{content.name} is a tar archive in a pipe: give the path of a file.")
    heads: dict[str, bytes] = {}
    with tarfile.open(fileobj=content.stream, mode="r|") as archive:
        for info in archive:
            if info.isfile():
                looked_at = fits and content.member is None and len(heads) <= MAX_MEMBERS
                heads[info.name] = _head_of(archive.extractfile(info)) if looked_at else b""
    member = _chosen_member(content, list(heads), lambda name: heads[name], fits)
    file.seek(start)
    again = _decompressed(Content(file, content.name, b"", content.how))
    archive = stack.enter_context(tarfile.open(fileobj=again.stream, mode="r|"))  # noqa: SIM115
    info = next(info for info in archive if info.name == member)
    return _of_member(content, member, archive.extractfile(info))


def _of_member(content: Content, member: str, stream: Any) -> Content:
    """The content of a member of an archive, which is no archive itself."""
    inner = _decompressed(Content(stream, f"{content.name}/{member}", b""))
    if inner.head.startswith(ZIP) or _is_tar(inner.head):
        raise DataError(f"{inner.name} is an archive in an archive: unpack {content.name} first.")
    layers = [how["compression"] for how in (inner.how, content.how) if "compression" in how]
    inner.how = {"member": member} | ({"compression": " in ".join(layers)} if layers else {})
    return inner


def _packing(content: Content) -> str:
    return content.how.get("compression", "a pipe")


def _head_of(stream: Any) -> bytes:
    """The first bytes of a member, unpacked; none if it cannot be read, so that it is not chosen."""
    try:
        return _decompressed(Content(stream, "", b"")).head
    except (*DAMAGE, DataError):
        return b""


def _chosen_member(content: Content, members: list[str], head: Callable[[str], bytes], fits: Fits | None) -> str:
    """The member that the caller named, or the only one that can be data, or the only one whose columns fit."""
    if content.member is not None:
        if content.member not in members:
            raise DataError(f"{content.name} has no file {content.member!r}. {_there_are(members)}")
        return content.member
    data = [name for name in members if not NO_DATA.search(name)] or members
    if 1 < len(data) <= MAX_MEMBERS and fits is not None:
        data = best_of({name: fits(names_in(head(name))) for name in data}) or data
    if not data:
        raise DataError(f"{content.name} is an archive without a file in it.")
    if len(data) > 1:
        raise DataError(
            f"{content.name} holds several files. {_there_are(data)} Say which one behind the path of the archive: "
            f"{content.name}/{data[0]}"
        )
    return data[0]


def best_of(scores: dict[str, int]) -> list[str]:
    """The names with the highest score; none if that is 0."""
    highest = max(scores.values(), default=0)
    return [name for name, score in scores.items() if score == highest > 0]


def _there_are(members: list[str]) -> str:
    shown = ", ".join(map(repr, members[:20]))
    return f"Its files are {shown}{', ...' if len(members) > 20 else ''}."


def names_in(head: bytes) -> list[str]:
    """The fields of the first line of a text, split at what separates most of them."""
    first = head.lstrip(b"\xef\xbb\xbf\r\n").split(b"\n", 1)[0][:HEAD].decode("utf-8", "replace").strip()
    return [name.strip().strip('"') for name in max((first.split(mark) for mark in ("\t", ",", ";", "|")), key=len)]


# ---- files of other kinds


def _refuse_foreign(content: Content) -> None:
    head = content.head
    found = next((what for magic, what in FOREIGN.items() if head.startswith(magic)), None)
    if PICKLE.match(head):
        found = "a pickle, which can run code when it is loaded: load it yourself if you trust it, and pass the frame"
    if WEB_PAGE.match(head):
        found = "a web page, perhaps one that asks to log in: download the data itself"
        if re.search(rb"<table\b", head, re.IGNORECASE):
            found = "a web page with a table, whatever its name: load it with pandas.read_html and pass the frame"
    if found:
        raise DataError(f"{content.name} is {found}.")


def begins_like_json(head: bytes) -> bool:
    """True for an object or an array of objects or arrays, in UTF-8, UTF-16 or UTF-32."""
    return JSON.match(head[:JSON_HEAD].replace(b"\0", b"")) is not None or RECORD.match(head) is not None


def refuse_tables(content: Content) -> None:
    """Raise DataError for a table in a pipe: it must be read from its start a second time."""
    found = next((what for magic, what in TABLES.items() if content.head.startswith(magic)), None)
    found = "JSON" if begins_like_json(content.head) else found
    if found:
        raise DataError(f"{content.name} is {found} that can be read only once: give the path of a file.")
