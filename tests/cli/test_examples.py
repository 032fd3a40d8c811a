"""Help: every command has examples, and each runs; options of recipes stand in panels with the library's defaults."""

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from typer.main import get_command

import palate
from helpers.command_line import answer, ask
from palate import recipes
from palate.cli.commands import app
from palate.cli.examples import EXAMPLES
from palate.cli.helping import default_of, panel_of
from palate.cli.names import RECIPES
from palate.cli.options import FIT_OPTIONS, PYTHON_NAMES

STAYS_UP = ("serve", "demo")  # a server does not end, and the demo of MovieLens has a test of its own


def command_names():
    for name, command in get_command(app).commands.items():
        subcommands = getattr(command, "commands", {})
        yield from (f"{name} {sub}" for sub in subcommands) if subcommands else [name]


@pytest.fixture
def here(files, tmp_path):
    """The files that the examples name; each test has copies, since examples write over some."""
    return shutil.copytree(files, tmp_path / "here")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    frame = palate.datasets.synthetic(60, 40, 1200, seed=1).to_frame()
    few = frame["user"].value_counts().sort("count", "user")["user"][0]  # who can still be recommended something
    users = ["196" if user == few else user for user in frame["user"]]
    rng = np.random.default_rng(0)
    rows = list(zip(users, frame["item"], frame["rating"], strict=True))

    def write(name, lines):
        (folder / name).write_text("\n".join(lines) + "\n")

    write("ratings.csv", ["user,item,rating", *(f"{u},{i},{r:g}" for u, i, r in rows)])
    write("new.csv", ["user,item,rating", *(f"{u},{i},{r:g}" for u, i, r in rows if rng.random() < 0.3)])
    for name in ("plays.csv", "more-plays.csv", "events-1.csv", "events-2.csv"):
        is_play = "plays" in name
        own = [row for row in rows if rng.random() < 0.5]
        values = rng.geometric(0.1, len(own)) if is_play else [row[2] for row in own]
        lines = [f"{u},{i},{value:g}" for (u, i, _), value in zip(own, values, strict=True)]
        write(name, ["user,item,plays" if is_play else "user,item,rating", *lines])
    titles = {
        item: f"Film {chr(65 + at)}" if at < 26 else f"Another {at}"
        for at, item in enumerate(sorted({row[1] for row in rows}))
    }
    write(
        "movies.csv",
        ["item,title,year", *(f"{item},{title},{1980 + at}" for at, (item, title) in enumerate(titles.items()))],
    )
    write("more-movies.csv", ["item,title,year", "n1,The New One,2026"])
    write("pairs.csv", ["user,item", *(f"{u},{i}" for u, i, _ in rows[:5])])
    write("nightly.toml", ["[fit]", 'data = "ratings.csv"', 'recipe = "Bias"', 'out = "nightly.palate"'])
    answer("fit", "ratings.csv", "--n-sweeps", 10, "-o", "model.palate", cwd=folder)
    answer("fit", "ratings.csv", "--items", "movies.csv", "-o", "films.palate", cwd=folder)
    answer("fit", "ratings.csv", "--recipe", "ALS", "-o", "als.palate", cwd=folder)
    return folder


def test_every_command_has_examples():
    assert set(command_names()) <= set(EXAMPLES)


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - set(STAYS_UP)))
def test_examples_run(name, here):
    if name.startswith("keys"):
        pytest.importorskip("msgspec")
        ask("keys", "add", "shop", "--store", "palate-feedback.db", cwd=here)
    for example in EXAMPLES[name]:
        words = shlex.split(example)
        assert words[:1] == ["palate"] and " ".join(words[1:]).startswith(name)
        assert len(example) <= 78
        if words[1:3] == ["keys", "add"]:
            words[3] = "another"
        done = ask(*words[1:], cwd=here)
        assert done.returncode == 0, f"{example}\n{done.stderr}"


def test_an_example_runs_as_a_process_of_its_own(here):
    words = shlex.split(EXAMPLES["recommend"][0])
    done = subprocess.run([sys.executable, "-m", *words], cwd=here, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 6


@pytest.mark.parametrize("words", ["serve", "demo"])
def test_other_examples_have_options_that_are_there(words):
    command = get_command(app).commands[words]
    there = {word for param in command.params for word in param.opts}
    for example in EXAMPLES[words]:
        assert {word for word in shlex.split(example) if word.startswith("--")} <= there


@pytest.mark.parametrize("columns", [80, 120])
def test_help_shows_options_in_panels_with_defaults(columns):
    text = answer("fit", "--help", env={"COLUMNS": str(columns), "TERMINAL_WIDTH": str(columns)})
    assert max(map(len, text.splitlines())) <= columns
    panels = re.findall(r"^╭─ (.+?) ─", text, flags=re.MULTILINE)
    assert panels == [
        *("Arguments", "Options", "How to read the file", "How to learn: several recipes", "How to learn: Bayes"),
        *("How to learn: ALS and ImplicitALS", "How to learn: EASE, SparseEASE and Sequence"),
        *("How to learn: SGD and BPR", "How to learn: Neighbors", "How to learn: Blend", "For jobs"),
    ]
    flat = " ".join(text.replace("│", " ").split())
    assert "ALS: 31; SGD: 50; BPR: 63" in flat
    assert "Blend: SparseEASE() and ImplicitALS()" in flat
    assert "Examples:" in flat and "palate fit --config nightly.toml" in flat


@pytest.mark.parametrize("name", FIT_OPTIONS)
def test_defaults_are_those_of_the_library(name):
    own, shown, panel = PYTHON_NAMES.get(name, name), default_of(name), panel_of(name)
    assert panel.startswith("How to learn: ")
    for recipe in RECIPES:
        by_name = {field.name: field.default for field in fields(getattr(recipes, recipe))}
        if own not in by_name:
            assert name == "n_threads" or not re.search(rf"\b{recipe}\b(?!\()", shown.replace("and ImplicitALS()", ""))
        elif isinstance(by_name[own], int | float) and not isinstance(by_name[own], bool) and name != "n_threads":
            assert re.search(rf"\b{recipe}\b[^;]*: {re.escape(f'{by_name[own]:g}')}(;|$)", shown)


def test_every_command_has_the_options_of_jobs():
    for command in get_command(app).commands.values():
        for one in getattr(command, "commands", {None: command}).values():
            assert {"quiet", "log", "config"} <= {param.name for param in one.params}, one.name


def test_help_is_quick_to_import():
    source = "import sys; import palate.cli.commands; print('palate.recipes' in sys.modules, 'polars' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
