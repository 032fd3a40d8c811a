"""What the documentation says runs: code blocks of README and docs, and the examples in docstrings."""

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
from pathlib import Path

import pytest

import palate

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = ["palate", *(found.name for found in pkgutil.walk_packages(palate.__path__, "palate."))]


def python_blocks(page):
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.data
@pytest.mark.parametrize("page", [page for page in PAGES if python_blocks(page)], ids=lambda page: page.name)
def test_code_blocks_run(page, tmp_path, monkeypatch):
    try:
        palate.datasets.load("ml-100k")
    except palate.errors.DatasetError as error:
        pytest.skip(f"ml-100k cannot be had: {error}")
    monkeypatch.chdir(tmp_path)
    names = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for number, block in enumerate(python_blocks(page), 1):
            exec(compile(block, f"{page.name}, block {number}", "exec"), names)
    assert printed.getvalue()


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name):
    if name.endswith("__main__"):
        return
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def test_every_public_name_is_documented():
    undocumented = [name for name in palate.__all__ if not (getattr(palate, name).__doc__ or "").strip()]
    assert undocumented == []


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
