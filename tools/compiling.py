"""Install palate with pip, and tell what is compiled. With no arguments: only look for the compiler.

    python tools/compiling.py [what `pip install` is given]

pip hides what the build says, or with -v shows all of it. This shows one line for each compiled file, and all that
was said from the first error on. Standard library only: `make` runs it before anything is installed.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

NO_COMPILER = Path(__file__).with_name("no-compiler.txt")
COMPILERS = ("c++", "g++", "clang++", "cl")
TOLD = "-- palate: "  # CMakeLists.txt begins with it what is worth telling
STEP = re.compile(r"\[(\d+/\d+)\] Building CXX object CMakeFiles/([\w-]+)\.dir/(\S+?)\.o(bj)?\b")
ERROR = re.compile(r"^(FAILED: |CMake Error|ERROR: |.*: (fatal )?error: )")


def compiler() -> str | None:
    """The first compiler that is there: what CXX names, else what CMake looks for."""
    asked = shlex.split(os.environ.get("CXX", ""))
    return next((found for name in asked[:1] or COMPILERS if (found := shutil.which(name))), None)


def step(line: str) -> str | None:
    """What a line of ninja says to a reader: `[3/75] sgd/sgd.cpp for v3`. None if it compiles nothing."""
    found = STEP.search(line)
    if found is None:
        return None
    count, target, source = found[1], found[2], found[3]
    name = source.rpartition("kernels/")[2] if "kernels/" in source else Path(source).name
    return f"[{count}] {name}{' for ' + target.removeprefix('level_') if target.startswith('level_') else ''}"


def told(lines: Iterable[str]) -> Iterator[str]:
    """What to show of the lines of a build: what CMakeLists.txt tells, steps, and all from the first error on."""
    failed = False
    for line in lines:
        text = line.strip()
        failed = failed or ERROR.match(text) is not None
        if failed:
            yield line.rstrip()
        elif text.startswith(TOLD):
            yield f"==> {text.removeprefix(TOLD)}"
        elif (compiled := step(text)) is not None:
            yield compiled


def install(arguments: list[str]) -> int:
    """Run pip, show what is told, and return its exit code."""
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--verbose", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        for line in told(running.stdout):
            print(line, flush=True)
    return running.returncode


def main(arguments: list[str]) -> int:
    if compiler() is None:
        asked = os.environ.get("CXX")
        print(f"CXX is {asked}, which was not found.\n" * bool(asked) + NO_COMPILER.read_text(), file=sys.stderr)
        return 1
    return install(arguments) if arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
