"""XML: the exports of MyAnimeList, which have an element for each entry and in it one for each field."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from palate.data.reading.exports import export_of
from palate.errors import DataError

START = re.compile(rb"(\xef\xbb\xbf)?\s*<(\?xml\b|myanimelist\b)")
ENTRIES = ("anime", "manga")


def begins_like_xml(head: bytes) -> bool:
    """True for the first bytes of XML."""
    return START.match(head) is not None


def xml_records(data: bytes, source: str) -> list[dict[str, Any]]:
    """The anime or manga of a MyAnimeList export, texts by field. Raises DataError for any other XML."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise DataError(f"{source} defines a document type, which no export of MyAnimeList does; it is not read.")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise DataError(f"{source} is no complete XML: {error}.") from None
    records = [
        {field.tag: (field.text or "").strip() or None for field in entry} for entry in root if entry.tag in ENTRIES
    ]
    if not records or not export_of(list(dict.fromkeys(key for record in records for key in record))):
        raise DataError(
            f"{source} is an XML file, and the only ones that palate reads are exports of MyAnimeList: give the data "
            "as CSV or JSON."
        )
    return records
