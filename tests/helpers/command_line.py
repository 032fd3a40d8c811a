"""The command line as a process: run it, and take its answer or its refusal apart.

palate() starts a process of its own. The others ask one process that stays and runs one command after the other, which
saves half a second each; a test in cli/test_commands.py holds that both say the same.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from types import SimpleNamespace


def environment(extra):
    """The environment of a command: that of the tests and more, without what they set of colours."""
    return {name: os.environ[name] for name in os.environ if name not in ("NO_COLOR", "FORCE_COLOR")} | (extra or {})


def palate(*args, cwd=None, env=None, stdout=subprocess.PIPE):
    """Run the command line; what it said and its exit code."""
    return subprocess.run(
        [sys.executable, "-m", "palate", *map(str, args)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="surrogateescape",
        cwd=cwd,
        env=environment(env),
        timeout=60,
        check=False,
    )


def answer(*args, **options):
    """What a command that must succeed says on standard output."""
    done = ask(*args, **options)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    return done.stdout


def parsed(*args, **options):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(answer(*args, "--json", **options), parse_constant=refuse)


def refused(*args, **options):
    """The one line on standard error of a command that must fail, and nothing on standard output."""
    return refusal(ask(*args, **options))


def refusal(done):
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert done.stdout in ("", None)
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("palate: ")
    assert "bug in palate" not in lines[0]
    return lines[0]


DRIVER = """
import io, json, os, sys
from contextlib import redirect_stderr, redirect_stdout
from palate.cli.guarding import guarded
from palate.cli.commands import app
for line in sys.stdin:
    args, folder, environment = json.loads(line)
    sys.argv = ["palate", *args]
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = guarded(app)
    print(json.dumps([code, out.getvalue(), err.getvalue()]), file=sys.__stdout__, flush=True)
"""


@cache
def staying():
    """The process that stays."""
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    )
    atexit.register(process.kill)
    return process


def ask(*args, **options):
    """What one command says, and its exit code."""
    return many(args, **options)[0]


def many(*commands, cwd=None, env=None):
    """What command lines, each a text or its words, say one after the other, and their exit codes."""
    process, told = staying(), []
    for command in commands:
        args = list(map(str, command.split() if isinstance(command, str) else command))
        watch = threading.Timer(60, process.kill)
        watch.start()
        process.stdin.write(json.dumps([args, str(cwd or Path.cwd()), environment(env)]) + "\n")
        process.stdin.flush()
        code, out, err = json.loads(process.stdout.readline() or "[null, null, null]")
        watch.cancel()
        if code is None:
            staying.cache_clear()
            raise AssertionError(f"palate {' '.join(args)} died, or took longer than a minute")
        told.append(SimpleNamespace(returncode=code, stdout=out, stderr=err))
    return told
