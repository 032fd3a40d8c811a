"""What deploy/ holds fits palate: its commands have these options, and its files are there."""

import configparser
import json
import re
import shlex
import tomllib

from helpers.command_line import ask as run
from helpers.scripts import ROOT, module_at

UNIT, DOCKERFILE = ROOT / "deploy" / "palate.service", ROOT / "deploy" / "Dockerfile"


def lines_of(name):
    text = DOCKERFILE.read_text(encoding="utf-8")
    return [line.removeprefix(f"{name} ") for line in text.splitlines() if line.startswith(f"{name} ")]


def check_options(words):
    known = set(re.findall(r"--[a-z-]+", run("serve", "--help").stdout))
    assert words[:2] == ["serve", "model.palate"]
    assert {word for word in words if word.startswith("--")} <= known


def test_the_unit_starts_and_reloads_palate():
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read(UNIT, encoding="utf-8")
    program, *words = shlex.split(unit["Service"]["ExecStart"])
    assert program.endswith("/bin/palate")
    check_options(words)
    assert "-HUP" in unit["Service"]["ExecReload"]
    assert unit["Service"]["DynamicUser"] == "yes"


def test_the_container_runs_palate_as_a_user_of_its_own():
    (entry,), (command,), (user,) = lines_of("ENTRYPOINT"), lines_of("CMD"), lines_of("USER")
    assert json.loads(entry) == ["palate"]
    check_options(json.loads(command))
    assert user != "root"
    assert "--host" in command


def test_the_steps_that_install_it_can_be_tried():
    tried = module_at(ROOT / "deploy" / "try_dockerfile.py").steps()
    assert [step[1:3] for step in tried] == [["-m", "venv"], ["-m", "pip"]]
    assert len(lines_of("RUN")) == len(tried) + 2
    assert (ROOT / "constraints.txt").is_file()


def test_make_serve_installs_the_extra():
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["serve"]
    listed = (ROOT / "requirements" / "serve.txt").read_text().splitlines()[1:]
    assert listed == extra
