"""The commands of docs/serving.md run in order, against the server that the page starts."""

import contextlib
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import palate
from helpers.command_line import environment
from helpers.scripts import ROOT

PAGE = ROOT / "docs" / "serving.md"
ADDRESS = "http://127.0.0.1:8000"
BLOCK = re.compile(r"^```(\w+)( serve)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks():
    return BLOCK.findall(PAGE.read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path):
    """A folder with the files that the page speaks of."""
    try:
        ratings = palate.datasets.load("ml-100k")
    except palate.errors.DatasetError as error:
        pytest.skip(f"ml-100k cannot be had: {error}")
    ratings.to_frame().write_csv(tmp_path / "ratings.csv")
    table = ratings.item_table.insert_column(0, pl.Series("item", ratings.item_vocabulary.labels.tolist()))
    table.write_csv(tmp_path / "items.csv")
    return tmp_path


def shell(block, folder, **names):
    """What the commands print; each must succeed, and curl must get an answer that is no problem."""
    path = f"{Path(sys.executable).parent}:{environment({})['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", 'curl() { command curl --fail-with-body "$@" && echo; }\n' + block],
        cwd=folder,
        env=environment({"PATH": path} | names),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{block}{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.long
@pytest.mark.data
@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="needs bash and curl")
def test_the_commands_of_the_page_run(serve, folder):
    server, n_answers = None, 0
    for language, starts, block in blocks():
        if starts:
            server = serve(*block.split()[2:])
        elif language == "sh":
            there = block if server is None else block.replace(ADDRESS, server.url)
            printed = shell(there, folder, TOKEN="" if server is None else server.admin["X-Palate-Admin"])
            if "curl" in block:
                answers = [json.loads(line) for line in printed.splitlines() if line.strip()]
                assert len(answers) == len(re.findall(r"^curl", block, re.MULTILINE))
                assert not any(isinstance(one, dict) and "detail" in one for one in answers), answers
                n_answers += len(answers)
        elif language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(block.replace(ADDRESS, server.url), PAGE.name, "exec"), {})
            assert printed.getvalue()
    assert n_answers >= 10


def test_the_page_shows_json_that_is_json_and_scenarios_that_can_be_read(tmp_path):
    from palate.serving.scenarios import read_scenarios

    for language, _, block in blocks():
        if language == "json":
            json.loads(block)
        if language == "toml":
            (tmp_path / "scenarios.toml").write_text(block)
            assert read_scenarios(tmp_path / "scenarios.toml")["home"]["by"] == "lower"


def test_the_page_names_the_limits_that_hold():
    from palate.data.conditions import evaluating, parsing
    from palate.serving import guard, schema
    from palate.serving.service import Settings

    text = PAGE.read_text(encoding="utf-8")
    assert f"| items in a list | {schema.MAX_ITEMS:,} |" in text
    assert f"| requests, pairs, events in a call | {schema.MAX_BATCH:,} |" in text
    times = evaluating.MAX_TIMES
    limits = f"{parsing.MAX_DEPTH} levels, {times['patterns']} patterns, {times['calculations']} calculations"
    assert limits in text
    assert f"{guard.Guard([])._rate:,} a second" in text
    assert Settings().max_body == 1_000_000
    assert Settings().seconds == 10
