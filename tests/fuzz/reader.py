"""Files that are damaged: whatever bytes a file has, reading it gives ratings or an error in words."""

import io
import json
import tempfile
from functools import cache
from pathlib import Path

import polars as pl
from hypothesis import strategies as st

import palate
from helpers.dialects import written
from palate.errors import PalateError

INPUT = st.data()
PIECES = [b"", b"\0", b"'", b'"', b"\r", b"\n", b",", b";", b"\t", b"\xff\xfe", b"\x80", b"[", b"{", b"#", b"%%", b"1:"]
OPTIONS = [
    {},
    {"on_bad_rows": "report"},
    {"kind": "implicit"},
    {"kind": "implicit", "event": True},
    {"wide": True},
    {"user": "me"},
    {"user": 0, "item": 1},
    {"time_format": "%d/%m/%Y", "decimal": ","},
    {"missing": [-1, "x"], "header": False},
    {"where": "rating > 3"},
]


@cache
def folder():
    """A folder for the files of this run."""
    return tempfile.TemporaryDirectory()


def columnar(ending):
    """A small file with columns."""
    frame = pl.DataFrame({"user": ["ann", "bob"] * 3, "item": [1, 2, 3] * 2, "rating": [5.0, 4.5, 1.0] * 2})
    out = io.BytesIO()
    if ending == ".json":
        return json.dumps(frame.to_dicts()).encode()
    {".parquet": frame.write_parquet, ".arrow": frame.write_ipc, ".jsonl": frame.write_ndjson}[ending](out)
    return out.getvalue()


def check(data):
    """A file whose bytes were changed in some places is read, or refused in words."""
    ending = data.draw(st.sampled_from(["text", "text", "text", ".json", ".parquet", ".arrow", ".jsonl"]))
    if ending == "text":
        file = written(data.draw(st.integers(0, 2**40)))
        content, ending = bytearray(file.data), file.ending
    else:
        content = bytearray(columnar(ending))
    changes = 0 if ending == ".arrow" else 4  # polars ends the process at absurd lengths in a damaged Arrow file
    for _ in range(data.draw(st.integers(0, changes))):
        at = data.draw(st.integers(0, len(content)))
        length = data.draw(st.sampled_from([0, 1, 2, 8, 1000]))
        content[at : at + length] = data.draw(st.sampled_from(PIECES) | st.binary(max_size=8))
    path = Path(folder().name) / f"ratings{ending}"
    path.write_bytes(bytes(content))
    try:
        palate.read(path, **data.draw(st.sampled_from(OPTIONS)))
    except PalateError:
        return
