"""The documentation site: its sources hold every public name and every option once; what is built stands alone."""

import re
import sys
from collections import Counter
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from helpers.scripts import ROOT

SITE_MODULES = ("build", "commands", "gathering", "names", "pages", "reference", "test_docstrings")
DOCUMENTED = re.compile(r"^:{6}\{py:\w+\} ([\w.]+)", flags=re.MULTILINE)


@pytest.fixture(scope="module")
def builder():
    """The program that makes the site."""
    for needed in ("sphinx", "myst_parser", "pydata_sphinx_theme", "torch", "matplotlib"):
        pytest.importorskip(needed)
    before, path = dict(sys.modules), list(sys.path)
    sys.path.insert(0, str(ROOT / "docs" / "site"))
    import build

    yield build
    sys.path[:] = path
    for name in SITE_MODULES:
        sys.modules.pop(name, None)
        if name in before:
            sys.modules[name] = before[name]


@pytest.fixture(scope="module")
def sources(builder, tmp_path_factory):
    """The sources of the site, gathered in a folder."""
    folder = tmp_path_factory.mktemp("sources")
    builder.write_sources(folder)
    return folder


@pytest.fixture(scope="module")
def site(builder, tmp_path_factory):
    """The site itself; every warning of Sphinx fails the build."""
    folder = tmp_path_factory.mktemp("built")
    assert builder.build(folder) == 0
    return folder / "site"


def text_of(folder):
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.md")))


def test_every_public_name_stands_once_in_the_reference(builder, sources):
    known = builder.reference.names.docstrings()
    counted = Counter(DOCUMENTED.findall(text_of(sources / "reference")))
    assert set(counted) == {*known.THINGS, *known.MEMBERS}
    assert [name for name, count in counted.items() if count != 1] == []


def test_every_option_of_every_recipe_is_in_its_table(builder, sources):
    known = builder.reference.names
    for page in known.recipes():
        text = (sources / "reference" / f"{page.file}.md").read_text(encoding="utf-8")
        for option in known.docstrings().parameters_of(known.docstrings().THINGS[page.names[0]]):
            assert f"| `{option}` |" in text, f"{page.title}: {option}"


def test_every_command_has_a_page_with_all_its_options(builder, sources):
    found = builder.commands.commands()
    assert {"palate fit", "palate recommend", "palate keys add"} <= set(found)
    for name, command in found.items():
        text = (sources / "reference" / "cli" / f"{name.split(' ', 1)[1].replace(' ', '-')}.md").read_text("utf-8")
        for option in command.params:
            if option.param_type_name == "option" and not option.hidden:
                assert text.count(f"{{option}} {builder.commands.spelled(option)}\n") == 1, f"{name}: {option.opts}"


def test_every_page_of_docs_is_in_the_site(builder, sources):
    pages = list((ROOT / "docs").rglob("*.md"))
    assert len(pages) > 25
    for page in pages:
        assert (sources / builder.gathering.place_of(page)).exists(), page


def test_links_are_adapted_to_where_pages_stand(builder, tmp_path):
    pages = {ROOT / "docs" / "guide.md": "guide.md", ROOT / "CHANGELOG.md": "changelog.md"}
    here = ROOT / "docs" / "learn" / "README.md"

    def adapted(text):
        return builder.gathering.linked(text, here, "learn/index.md", pages, tmp_path)

    assert adapted("[a](../guide.md#b)") == "[a](../guide.md#b)"
    assert adapted("[a](../../CHANGELOG.md)") == "[a](../changelog.md)"
    assert adapted("[a](../../README.md)") == "[a](../index.md)"
    assert adapted("[a](https://example.org/b.md)") == "[a](https://example.org/b.md)"
    assert adapted("[a](#b)") == "[a](#b)"
    assert adapted("![a](split.png)") == "![a](split.png)"
    assert (tmp_path / "learn" / "split.png").exists()
    assert adapted("[a](../../LICENSE)") == "[a](../LICENSE)"
    assert (tmp_path / "LICENSE").exists()


def test_text_of_docstrings_means_itself(builder):
    assert builder.reference.prose("a *b* <c> [d] `e_f*`") == r"a \*b\* \<c> \[d\] `e_f*`"
    assert builder.reference.cell("int | None") == r"int \| None"


# ---- what is built ---------------------------------------------------------------------------------------------------


class Links(HTMLParser):
    """The anchors of a page, what it links to, and what it loads."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.targets, self.loaded = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.anchors |= {named[key] for key in ("id", "name") if named.get(key)}
        if tag == "a" and named.get("href"):
            self.targets.append(named["href"])
        if tag in ("script", "img", "iframe", "link", "source") and named.get("rel") not in ("next", "prev", "author"):
            self.loaded += [named[key] for key in ("src", "href") if named.get(key)]


@pytest.fixture(scope="module")
def pages(site):
    shown = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]  # there lies a template
    return {path: Links(path.read_text(encoding="utf-8")) for path in shown}


@pytest.mark.long
def test_every_link_within_the_site_leads_somewhere(site, pages):
    assert len(pages) > 60
    dead = []
    for path, page in pages.items():
        for target in [*page.targets, *page.loaded]:
            parts = urlsplit(target)
            if parts.scheme:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            found = pages.get(there)
            if not there.exists() or (anchor and found and anchor not in found.anchors):
                dead.append(f"{path.relative_to(site)}: {target}")
    assert dead == []


@pytest.mark.long
def test_nothing_is_loaded_from_the_network(site, pages):
    away = [f"{path.name}: {one}" for path, page in pages.items() for one in page.loaded if urlsplit(one).netloc]
    for sheet in site.rglob("*.css"):
        away += re.findall(r"url\([\"']?(?:https?:)?//[^)]*\)|@import[^;]*//[^;]*", sheet.read_text(encoding="utf-8"))
    assert away == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "page"),
    [("n_bootstrap", "evaluation"), ("cold start", "cold-start"), ("unobserved_weight", "ImplicitALS")],
)
def test_search_answers_from_files_alone(site, words, page):
    from helpers import browser

    with browser.started() as started, browser.watched(started) as visit:
        found = visit(
            f"{(site / 'search.html').as_uri()}?q={words.replace(' ', '+')}", allow=("Got invalid theme mode",)
        )
        found.wait_for_selector("#search-results li a")
        found.wait_for_function("() => /found/.test(document.querySelector('.search-summary')?.innerText ?? '')")
        links = [link.get_attribute("href") for link in found.query_selector_all("#search-results a")]
    assert any(page in (link or "") for link in links), links
