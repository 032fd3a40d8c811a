"""Records: exports that are no tables, with the fields of each entry by name: JSON arrays and XML."""

from __future__ import annotations

import json
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from palate.data.reading.exports import export_of
from palate.data.reading.frames import Table
from palate.data.reading.textfiles import open_bytes
from palate.errors import DataError

ENDINGS = (".json", ".xml", ".gz")
XML_STARTS = (b"<?xml", b"<myanimelist")


def table_of_person(source: Any) -> Table | None:
    """A Spotify history (a JSON array) or a MyAnimeList export (XML) as a table; None for any other source."""
    if not isinstance(source, str | Path) or not str(source).lower().endswith(ENDINGS) or not Path(source).is_file():
        return None
    data = _data_of(source)
    if not data:
        return None
    records = _json_records(data) if data.startswith(b"[") else _xml_records(data, str(source))
    return None if records is None else _of_records(records, str(source))


def _data_of(path: str | Path) -> bytes:
    """The whole of a file that begins as a JSON array or as XML; nothing of any other, or of one that is damaged."""
    try:
        with open_bytes(path) as stream:
            start = stream.read(1 << 12).removeprefix(BOM_UTF8).lstrip()
            is_xml = start.startswith(XML_STARTS) or (start.startswith(b"<") and ".xml" in str(path).lower())
            return start + stream.read() if is_xml or start.startswith(b"[") else b""
    except (EOFError, OSError, zlib.error):
        return b""


def _json_records(data: bytes) -> list[dict[str, Any]] | None:
    """The objects of a JSON array that is an export; None for any other."""
    try:
        records = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not records or not all(isinstance(record, dict) for record in records):
        return None
    return records if export_of(_keys(records)) else None


def _xml_records(data: bytes, source: str) -> list[dict[str, Any]]:
    """The anime or manga of a MyAnimeList export. Raises DataError for any other XML."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise DataError(f"{source} defines a document type, which no export of MyAnimeList does; it is not read.")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise DataError(f"{source} is no complete XML: {error}.") from None
    records = [
        {field.tag: (field.text or "").strip() or None for field in entry}
        for entry in root
        if entry.tag in ("anime", "manga")
    ]
    if not records or not export_of(_keys(records)):
        raise DataError(f"{source} is XML, and the only XML that palate reads is an export of MyAnimeList.")
    return records


def _keys(records: Iterable[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for record in records for key in record))


def _of_records(records: list[dict[str, Any]], source: str) -> Table:
    import polars as pl

    names = _keys(records)

    def column(at: int) -> pl.Series:
        values = [record.get(names[at]) for record in records]
        return pl.Series(names[at], [None if value is None else str(value) for value in values], dtype=pl.String)

    return Table(source, names, column, column, height=len(records))
