"""docs/howto/jobs.md: its blocks run as processes, and its table of exit codes is that of the code."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

import palate
from helpers.command_line import environment
from helpers.scripts import ROOT
from palate.cli.exits import Exit

PAGE = ROOT / "docs" / "howto" / "jobs.md"
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("sh") is None or os.name != "posix", reason="needs a POSIX shell")
def test_shell_blocks_run_one_after_the_other(tmp_path):
    train, new = palate.split_random(palate.datasets.synthetic(60, 40, 1200, seed=1), test=0.2, seed=0)
    train.to_frame().write_csv(tmp_path / "ratings.csv")
    new.to_frame().write_csv(tmp_path / "new.csv")
    (config,) = blocks("toml")
    (tmp_path / "nightly.toml").write_text(config)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "palate"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m palate "$@"\n')
    command.chmod(0o755)
    env = environment({"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"})
    for block in blocks("bash"):
        done = subprocess.run(["sh", "-ec", block], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    events = [json.loads(line)["event"] for line in (tmp_path / "palate.log").read_text().splitlines()]
    assert events == ["model_loaded", "updated", "model_saved"]
    assert json.loads((tmp_path / "answer.json").read_text())["model"] == "model.palate"


def test_the_table_of_exit_codes_is_that_of_the_code():
    rows = re.findall(r"^\| (\d+) \| (.+?) \|$", TEXT, flags=re.MULTILINE)
    assert [(int(code), meaning) for code, meaning in rows] == [(code.value, code.meaning) for code in Exit]


def test_every_event_of_the_table_is_told_somewhere():
    listed = TEXT[TEXT.index("| event |") : TEXT.index("No event has a label")]
    named = set(re.findall(r"`(\w+)`", listed)) | {"cold_labels"}
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "palate").rglob("*.py"))
    told = set(re.findall(r"""(?:_?tell|remark)\(\s*"(\w+)\"""", source))
    assert named == told - {"checkpoint_written"}
