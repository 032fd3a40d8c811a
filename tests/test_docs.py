"""What the documentation says runs: code blocks of README and docs, the pages of the course, examples in docstrings."""

import difflib
import doctest
import importlib.util
import pkgutil
import re

import numpy as np
import pytest

import palate
from helpers.scripts import ROOT, module_at

HOW_TO = sorted((ROOT / "docs" / "howto").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *HOW_TO]
OWN_TESTS = {"reading", "serving", "vectors-pgvector"}  # whose blocks need files, or a server
HEAVY = {"guide", "pictures", "report-for-the-boss", "compare-two-models", "nightly-job"}  # whose blocks take seconds
LESSONS = sorted((ROOT / "docs" / "learn").glob("*.md"))
MODULES = ["palate", *(found.name for found in pkgutil.walk_packages(palate.__path__, "palate."))]

# A figure with a unit of time, or a speed: no two runs agree in it.
MEASURED = re.compile(r"\d (s|ms)\b|\bms\b|times as fast|ratings/s")
ENOUGH_AGREES = 0.9  # of the words and numbers printed: other machines round otherwise, and a list may change places
HALF = 0.5
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")


pages = module_at(ROOT / "examples" / "pages.py")


@pytest.fixture
def ml_100k_is_there():
    try:
        palate.datasets.load("ml-100k")
    except palate.errors.DatasetError as error:
        pytest.skip(f"ml-100k cannot be had: {error}")


@pytest.fixture
def threads_kept():
    """The course sets torch's number of threads, as one does in one's own program."""
    if not importlib.util.find_spec("torch"):
        yield
        return
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def python_blocks(page):
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.data
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.long] * (page.stem in HEAVY))
        for page in PAGES
        if python_blocks(page) and page.stem not in OWN_TESTS
    ],
    ids=lambda page: page.stem,
)
def test_code_blocks_run(page, ml_100k_is_there, threads_kept, tmp_path):
    try:
        printed = pages.run(page, tmp_path)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("palate"):
            raise
        pytest.skip(f"{page.name} needs {error.name}")
    assert any(printed) or "print(" not in page.read_text("utf-8")
    if page in pages.how_to_pages():  # they show all of their output; a short list may change places on another machine
        shown = "".join(part.printed for part in pages.parts_of(page.read_text("utf-8")))
        assert_shown(page, printed, each=HALF)
        assert share_that_agrees(shown, "".join(printed)) >= ENOUGH_AGREES, page.name


def assert_shown(page, printed, each):
    """The output below each block is what came out, or enough of it."""
    for number, (part, lines) in enumerate(zip(pages.parts_of(page.read_text("utf-8")), printed, strict=True), 1):
        assert share_that_agrees(part.printed, lines) >= each, f"{page.name}, block {number}:\n{lines}"


@pytest.mark.data
def test_the_lines_that_the_readme_shows_come_out(ml_100k_is_there, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (code, shown), *_ = re.findall(r"```python\n(.*?)```\n+They print, shortened:\n+```text\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    printed = [words_of(line) for line in capsys.readouterr().out.splitlines()]
    lines = [words for line in shown.splitlines() if (words := words_of(line))]
    found = [any(len(words) <= len(line) and all(map(near, words, line)) for line in printed) for words in lines]
    assert np.mean(found) >= ENOUGH_AGREES, [line for line, is_found in zip(lines, found, strict=True) if not is_found]


# ---- the course ------------------------------------------------------------------------------------------------------


def near(one, other):
    """Whether two words are the same, or numbers that differ by chance at most."""
    if one == other:
        return True
    if not (NUMBER.fullmatch(one) and NUMBER.fullmatch(other)):
        return False
    a, b = (float(number.replace(",", "")) for number in (one, other))
    return abs(a - b) <= max(0.05 * abs(a), 0.02) or max(abs(a), abs(b)) < 1e-3


def words_of(line):
    """Words and numbers; without the numbers where they are measured times."""
    words = re.findall(rf"{NUMBER.pattern}|[^\W\d]+", line)
    return [word for word in words if not NUMBER.fullmatch(word)] if MEASURED.search(line) else words


def share_that_agrees(shown, printed):
    """How much of a page's printed text came out again."""
    old, new = ([word for line in text.splitlines() for word in words_of(line)] for text in (shown, printed))
    if len(old) == len(new):
        return sum(map(near, old, new)) / len(old) if old else 1.0
    return difflib.SequenceMatcher(a=old, b=new, autojunk=False).ratio()


def test_agreement_sees_what_it_should():
    assert share_that_agrees("RMSE 0.900", "RMSE 0.901") == 1
    assert share_that_agrees("RMSE 0.900", "RMSE 1.300") == 0.5
    assert share_that_agrees("in 1.2 s", "in 7.5 s") == 1
    assert share_that_agrees("suggested: 0.01", "suggested: 0.01\nand more and more and more") < 0.5
    assert share_that_agrees("a b c", "x y z") == share_that_agrees("", "x") == 0
    assert share_that_agrees("", "") == 1


def test_the_course_has_all_its_pages():
    assert {page.name for page in LESSONS} == {page.name for page in pages.pages()} | {"README.md"}


@pytest.mark.long
@pytest.mark.data
@pytest.mark.parametrize("page", pages.pages(), ids=lambda page: page.stem)
def test_a_lesson_does_what_it_says(page, ml_100k_is_there, threads_kept, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    assert_shown(page, pages.run(page, tmp_path), each=ENOUGH_AGREES)
    text = page.read_text(encoding="utf-8")
    made = {picture.name for picture in tmp_path.glob("*.png")}
    assert made == set(pages.pictures_in(text)) != set()


@pytest.mark.parametrize("page", [*pages.pages(), *pages.how_to_pages()], ids=lambda page: page.stem)
def test_a_page_is_made_of_the_parts_it_is_taken_apart_into(page):
    text = page.read_text(encoding="utf-8")
    assert pages.text_of(pages.parts_of(text)) == text
    assert len(python_blocks(page)) == len(pages.parts_of(text)) - 1


def test_every_picture_beside_the_lessons_is_shown_in_one():
    shown = [name for page in LESSONS for name in pages.pictures_in(page.read_text(encoding="utf-8"))]
    assert sorted(shown) == sorted(picture.name for picture in (ROOT / "docs" / "learn").glob("*.png"))


# ---- everywhere ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name):
    if name.endswith("__main__"):
        return
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def test_every_public_name_is_documented():
    undocumented = [name for name in palate.__all__ if not (getattr(palate, name).__doc__ or "").strip()]
    assert undocumented == []


def anchors_of(page):
    """What a link may name behind the #: the headings of a page, as GitHub spells them."""
    lines = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL).splitlines()
    headings = [re.sub(r"[^\w\- ]", "", line.lstrip("# ")) for line in lines if line.startswith("#")]
    return {heading.lower().replace(" ", "-") for heading in headings}


def test_links_between_pages_lead_somewhere():
    dead = []
    for page in [*PAGES, *LESSONS, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]:
        for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", page.read_text(encoding="utf-8")):
            there = page.parent / target if target else page
            if not there.exists() or (anchor and anchor not in anchors_of(there)):
                dead.append(f"{page.name}: {target}#{anchor}")
    assert dead == []
