"""The command line as a process: run it, and take its answer or its refusal apart."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace


def palate(*args, cwd=None, env=None, stdout=subprocess.PIPE):
    """Run the command line; what it said and its exit code."""
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    return subprocess.run(
        [sys.executable, "-m", "palate", *map(str, args)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="surrogateescape",
        cwd=cwd,
        env=environment | (env or {}),
        timeout=60,
        check=False,
    )


def answer(*args, **options):
    """What a command that must succeed says on standard output."""
    done = palate(*args, **options)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    return done.stdout


def parsed(*args, **options):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(answer(*args, "--json", **options), parse_constant=refuse)


def refused(*args, **options):
    """The one line on standard error of a command that must fail, and nothing on standard output."""
    return refusal(palate(*args, **options))


def refusal(done):
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert done.stdout in ("", None)
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("palate: ")
    assert "bug in palate" not in lines[0]
    return lines[0]


DRIVER = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from palate.cli.guarding import guarded
from palate.cli.commands import app
for args in json.loads(sys.argv[1]):
    sys.argv = ["palate", *args]
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = guarded(app)
    print(json.dumps([code, out.getvalue(), err.getvalue()]), file=sys.__stdout__)
"""


def many(*commands, cwd):
    """Run several command lines one after the other in one process, which is quicker than one for each."""
    lines = [list(map(str, command.split() if isinstance(command, str) else command)) for command in commands]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(lines)], cwd=cwd, capture_output=True, encoding="utf-8", check=True
    )
    told = map(json.loads, done.stdout.splitlines())
    return [SimpleNamespace(returncode=code, stdout=out, stderr=err) for code, out, err in told]
