"""Completion: the scripts of shells, and what bash really offers after a word."""

import os
import shutil
import subprocess
import sys

import pytest

from helpers.command_line import answer, environment, refused
from palate.cli.completing import SHELLS, data_starting, files_starting, recipes_starting

BASH = shutil.which("bash")
ASK = """
eval "$(palate completion bash 2> errors)"
for line in "$@"; do
    read -ra COMP_WORDS <<< "${line%|}"
    case "$line" in *" |") COMP_WORDS+=("");; esac
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    _palate_completion palate
    echo "${COMPREPLY[*]}" | tr '\\n' ' '
    echo
done
"""


@pytest.mark.skipif(BASH is None or os.name != "posix", reason="needs bash")
def test_bash_completes_commands_options_recipes_data_sets_and_files(tmp_path):
    (tmp_path / "ratings.csv").write_text("user,item,rating\n")
    (tmp_path / "films.palate").write_text("")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "palate"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m palate "$@"\n')
    command.chmod(0o755)
    env = environment({"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"})
    lines = ["palate ev|", "palate fit --n-f|", "palate fit --recipe Imp|", "palate fit ml-1|", "palate fit rat|",
             "palate show fi|", "palate fit --log j|",
        "palate fit --kind im|"]  # fmt: skip
    done = subprocess.run(
        [BASH, "--norc", "-c", ASK, "bash", *lines], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    offered = [line.split() for line in done.stdout.splitlines()]
    assert offered[0] == ["evaluate"]
    assert offered[1] == ["--n-factors"]
    assert offered[2] == ["ImplicitALS"]
    assert "ml-100k" in offered[3] and "ml-1m" in offered[3]
    assert offered[4] == ["ratings.csv"]
    assert offered[5] == ["films.palate"]
    assert offered[6] == ["json"]
    assert offered[7] == ["implicit"]
    assert "bashrc" in (tmp_path / "errors").read_text()


@pytest.mark.parametrize("shell", SHELLS)
def test_there_is_a_script_for_each_shell(shell):
    script = answer("completion", shell)
    assert "_PALATE_COMPLETE" in script and "palate" in script


def test_another_shell_is_refused():
    assert "there is no completion for 'csh'" in refused("completion", "csh")


def test_what_is_offered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "süß 1.palate").write_text("")
    (tmp_path / ".hidden").write_text("")
    assert files_starting("") == ["sub/"]
    assert files_starting("sub/") == ["sub/süß 1.palate"]
    assert files_starting(".h") == [".hidden"]
    assert files_starting("none/x") == []
    assert files_starting("~nobody-of-that-name/x") == []
    assert files_starting("a\0/x") == []
    assert recipes_starting("als") == ["ALS"]
    assert "ml-100k" in data_starting("ml")
