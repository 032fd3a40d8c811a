"""JSON: a line for each record, an array of records or of rows, or an object that holds one of these.

Objects inside a record become columns of their own, called outer.inner. Lines and arrays are decoded value by value,
so that only the values need to fit in memory.
"""

from __future__ import annotations

import ast
import codecs
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from palate.data.reading.containers import RECORD, Content, begins_like_json
from palate.data.reading.names import is_common
from palate.data.reading.textfiles import BLOCK, blocks, utf8_chunks
from palate.errors import DataError

LINE_FILES = (".jsonl", ".ndjson")
MAX_DEPTH = 8  # objects in objects that become columns
BLANK = re.compile(r"[\s,]*")
NOT_TEXT = "text with half of a pair of surrogates"

Record = tuple[dict[str, Any], int, str | None]


@dataclass(frozen=True)
class JsonRecords:
    """Records: the fields of each, its number, and what is wrong with it or None; `place` tells the number in words."""

    records: list[Record]
    names: list[str]
    named: bool = True
    place: str = "line {}"


def is_json(head: bytes, suffix: str) -> bool:
    """True for a file that is JSON by its name or its first bytes."""
    return suffix in (".json", *LINE_FILES) or begins_like_json(head)


def json_records(content: Content, suffix: str) -> JsonRecords:
    """The records of a JSON file."""
    chunks = utf8_chunks(content, None, content.name)
    first = next(chunks, b"")
    whole = chain([first], chunks)
    if suffix in LINE_FILES or _are_lines(first):
        return _of_records(list(_records_of_lines(whole)), content.name, "line {}")
    return _of_values(list(_values(whole, content.name)), content.name)


def _of_records(records: list[Record], name: str, place: str) -> JsonRecords:
    names = list(dict.fromkeys(key for record, _, _ in records for key in record))
    if not names and (reason := next((reason for _, _, reason in records if reason), None)):
        raise DataError(f"{name}, {place.format(records[0][1])} cannot be used: {reason}.")
    if not names:
        raise DataError(f"{name} has no JSON objects: give one per line, or an array of them.")
    return JsonRecords(records, names, place=place)


# ---- lines


def _are_lines(first: bytes) -> bool:
    """True if the first of several lines is a whole value, or if the text as a whole does not begin with one."""
    text = first.strip()
    line, newline, _ = text.partition(b"\n")
    if text[:1] != b"{" or not newline:
        return False
    try:
        json.loads(line)
    except RecursionError:
        return True
    except ValueError:
        return not _begins_with_value(text.decode("utf-8", "replace"))
    return True


def _begins_with_value(text: str) -> bool:
    """True if a value of several lines stands at the start, or a part of one fills the text."""
    try:
        json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as error:
        return len(text) >= BLOCK and error.pos > len(text) // 2
    except RecursionError:
        return False
    return True


def _records_of_lines(chunks: Iterable[bytes]) -> Iterator[Record]:
    """Each line as (fields, line number, what is wrong or None)."""
    for block in blocks(iter(chunks), lambda: None):
        if block.reason:
            yield {}, block.line, block.reason
            continue
        for number, line in enumerate(block.data.removesuffix(b"\n").split(b"\n")):
            yield _record_of_line(line, block.line + number)


def _record_of_line(line: bytes, number: int) -> Record:
    if not line.strip():
        return {}, number, "a blank line"
    try:
        value = json.loads(line)
    except RecursionError:
        return {}, number, "nested too deeply"
    except ValueError:
        value = _literal(line)
        if value is None:
            return {}, number, "not JSON"
    if not isinstance(value, dict):
        return {}, number, "not a JSON object"
    return _record(value, number, may_have_surrogates=b"\\u" in line)


def _literal(line: bytes) -> dict[str, Any] | None:
    """The record of a line as Python shows it, {'user': 'ann'}; None if it is none. Nothing of it is run."""
    if not RECORD.match(line):
        return None
    try:
        value = ast.literal_eval(line.decode().strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return {str(key): own for key, own in value.items()} if isinstance(value, dict) else None


def _record(value: dict[str, Any], number: int, *, may_have_surrogates: bool) -> Record:
    if may_have_surrogates and not _is_text(value):
        return {}, number, NOT_TEXT
    return _flat(value), number, None


def _is_text(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        return False
    return True


def _flat(record: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """The record with the fields of objects in it as its own."""
    if depth == MAX_DEPTH or not any(isinstance(value, dict) for value in record.values()):
        return record
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": own for inner, own in _flat(value, depth + 1).items()}
        else:
            flat[key] = value
    return flat


# ---- values


def _values(chunks: Iterable[bytes], name: str) -> Iterator[Any]:
    """The values of a JSON text one after another; those of an array around them all one by one."""
    decoder, utf8 = json.JSONDecoder(), codecs.getincrementaldecoder("utf-8")("replace")
    text, at, in_array, started = "", 0, False, False
    for chunk in chain(chunks, [b""]):
        text, at = text[at:] + utf8.decode(chunk, final=not chunk), 0
        if not started:
            at = BLANK.match(text).end()  # type: ignore[union-attr]
            in_array = text[at : at + 1] == "["
            at, started = at + in_array, at < len(text)
        while True:
            at = BLANK.match(text, at).end()  # type: ignore[union-attr]
            if at == len(text) or (in_array and text[at] == "]"):
                break
            try:
                value, end = decoder.raw_decode(text, at)
            except RecursionError:
                raise DataError(f"{name} is JSON that is nested too deeply to be ratings.") from None
            except json.JSONDecodeError as error:
                if chunk and len(text) - error.pos < BLOCK:
                    break  # cut off within a value
                raise DataError(f"{name} is not JSON to its end: {error.msg} at {text[error.pos :][:40]!r}.") from None
            except ValueError:
                raise DataError(f"{name} has a number of more digits than can be read.") from None
            if end == len(text) and chunk and not isinstance(value, list | dict):
                break  # a number may go on
            at = end
            yield value
    if in_array and text[at : at + 1] != "]":
        raise DataError(f"{name} is not JSON to its end: the array is not closed.")
    if in_array and text[at + 1 :].strip():
        raise DataError(f"{name} is not JSON to its end: after the array stands {text[at + 1 :].strip()[:40]!r}.")


def _of_values(values: list[Any], name: str) -> JsonRecords:
    """Records of the values of a file."""
    if len(values) == 1 and isinstance(values[0], dict):
        return _of_object(values[0], name)
    if values and all(isinstance(value, dict) for value in values):
        records = [_record(value, at, may_have_surrogates=True) for at, value in enumerate(values)]
        return _of_records(records, name, "record {} (from 0)")
    if values and all(isinstance(value, list) for value in values):
        return _of_rows(values, None, name)
    raise DataError(
        f"{name} is JSON of another form: give an array of objects such as "
        '[{"user": "ann", "item": "tea", "rating": 5}], or one object a line.'
    )


def _of_object(value: dict[str, Any], name: str) -> JsonRecords:
    """Records of one object: its lists are columns, or one of its values is a list of records, or it nests ratings."""
    lists = {key: own for key, own in value.items() if isinstance(own, list)}
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):  # as pandas splits a frame
        return _of_rows(value["data"], [str(column) for column in value["columns"]], name)
    if len(lists) == len(value) > 1 and len({len(own) for own in lists.values()}) == 1:
        return _of_columns(value, name)
    objects = all(isinstance(own, dict) and own for own in value.values())
    if objects and _names_ratings(value):
        return _of_columns({key: list(own.values()) for key, own in value.items()}, name)
    if objects and len({tuple(own) for own in value.values()}) == 1 and _names_ratings(next(iter(value.values()))):
        return _of_values(list(value.values()), name)  # as pandas writes an index
    if objects and all(_is_number(rating) for own in value.values() for rating in own.values()):
        rows = [[user, item, rating] for user, own in value.items() for item, rating in own.items()]
        return _of_rows(rows, ["user", "item", "rating"], name)
    holding = [own for own in _flat(value).values() if isinstance(own, list) and own and isinstance(own[0], dict)]
    if len(holding) == 1 and not any(is_common(key, "user") for key in value):
        return _of_values(holding[0], name)
    return _of_records([_record(value, 0, may_have_surrogates=True)], name, "record {} (from 0)")


def _names_ratings(record: dict[str, Any]) -> bool:
    """True if one of the keys is that of a user, and one that of an item."""
    return all(any(is_common(key, field) for key in record) for field in ("user", "item"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _of_columns(columns: dict[str, list[Any]], name: str) -> JsonRecords:
    if len({len(column) for column in columns.values()}) != 1:
        raise DataError(f"{name}: the columns have different lengths.")
    return _of_rows([list(row) for row in zip(*columns.values(), strict=True)], list(columns), name)


def _of_rows(rows: list[Any], names: list[str] | None, name: str) -> JsonRecords:
    widths = {len(row) if isinstance(row, list) else 0 for row in rows}
    if len(widths) != 1 or (names and widths != {len(names)}):
        raise DataError(f"{name}: the rows of the JSON array have different lengths.")
    keys = names or [f"column_{at + 1}" for at in range(widths.pop())]
    records = [_record(dict(zip(keys, row, strict=True)), at, may_have_surrogates=True) for at, row in enumerate(rows)]
    return JsonRecords(records, keys, names is not None, "row {} (from 0)")
