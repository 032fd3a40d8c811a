"""One word for one thing: what the glossary names exists, and words that were given up stand nowhere."""

import importlib
import inspect
import re

import pytest
from typer.main import get_command

from helpers.scripts import ROOT
from palate.cli.commands import app

GLOSSARY = ROOT / "docs" / "glossary.md"
RETIRED = [
    *("stranger", "strangers", "newcomer", "newcomers", "known_by", "told_of", "chooser", "choosers"),
    *("wish", "wishes", "twin", "twins", "weighed"),
]
RETIRED_WORD = re.compile(rf"\b(?:{'|'.join(RETIRED)})\b", re.IGNORECASE)
STORED_KEY = ("src/palate/storing/files.py", 'COLD_START = "strangers"')  # a name in saved files, whose bytes stay
CODE = {".py", ".pyi", ".cpp", ".hpp"}


def rows_of_the_glossary():
    """(term, meaning, Python, command line) of each row of its tables."""
    lines = GLOSSARY.read_text(encoding="utf-8").splitlines()
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines if line.startswith("| ")]
    return [row for row in rows if row[0] != "term"]


ROWS = rows_of_the_glossary()
PYTHON_NAMES = sorted({name for row in ROWS for name in re.findall(r"`([^`]+)`", row[2])})
COMMANDS = sorted({name for row in ROWS for name in re.findall(r"`([^`]+)`", row[3])})


def thing_at(path):
    """The module, class or function with a dotted name."""
    parts = path.split(".")
    for n in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        for name in parts[n:]:
            thing = getattr(thing, name)
        return thing
    raise ModuleNotFoundError(path)


def words_given_up_in(text, file=""):
    """Lines of a file with a retired word, by number."""
    return [
        f"{file}:{number}: {line.strip()[:100]}"
        for number, line in enumerate(text.splitlines(), 1)
        if RETIRED_WORD.search(line) and not (file == STORED_KEY[0] and line.startswith(STORED_KEY[1]))
    ]


def test_the_glossary_has_one_row_a_term():
    terms = [row[0] for row in ROWS]
    assert len(terms) > 60
    assert len(terms) == len(set(terms))
    assert all(len(row) == 4 and row[1].endswith(".") for row in ROWS)


@pytest.mark.parametrize("name", PYTHON_NAMES)
def test_python_names_of_the_glossary_exist(name):
    path, option = re.fullmatch(r"([\w.]+)(?:\((\w+)\))?", name).groups()
    thing = thing_at(path)
    assert option is None or option in inspect.signature(thing).parameters


@pytest.mark.parametrize("words", COMMANDS)
def test_commands_of_the_glossary_exist(words):
    _, name, *options = words.split()
    command = get_command(app).commands[name]
    there = {text for option in command.params for text in (*option.opts, *option.secondary_opts)}
    assert set(options) <= there


@pytest.mark.parametrize("folder", ["src", "docs", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"])
def test_words_that_were_given_up_stand_nowhere(folder):
    place = ROOT / folder
    files = [place] if place.is_file() else [path for path in sorted(place.rglob("*")) if path.is_file()]
    found = []
    for path in files:
        if path.suffix in CODE | {".md"}:
            found += words_given_up_in(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())
    assert found == []


def test_the_rule_sees_whole_words_in_any_case():
    assert words_given_up_in("A Stranger is new") == [":1: A Stranger is new"]
    assert words_given_up_in("x = known_by(y)") and words_given_up_in("their wishes")
    assert words_given_up_in("strangerly, wishful, entwined, unweighed") == []
    assert words_given_up_in('COLD_START = "strangers"  # a key', STORED_KEY[0]) == []
    assert words_given_up_in('COLD_START = "strangers"', "elsewhere.py") != []
