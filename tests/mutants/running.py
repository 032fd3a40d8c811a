"""Running tests in children of one process that has numpy, polars and pytest loaded already, each with one change.

A child imports palate from a copy of the tree. The changed file exists in its memory only.
"""

import contextlib
import importlib.machinery
import importlib.util
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import narwhals
import numpy as np
import platformdirs
import polars as pl
import pytest
import rich.console
import safetensors.numpy
import threadpoolctl
import typer

LOADED = (hypothesis, narwhals, np, platformdirs, pl, rich.console, safetensors.numpy, threadpoolctl, typer)
MEMORY = 24 << 30  # bytes of address space of a child; a change can ask for any amount
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning", "--tb=line")


@dataclass
class Child:
    """A running child: what it is for, when it began, in wall seconds, and when it has hung."""

    key: object
    began: float
    patience: float


class Children:
    """Up to n children at once. Each ends with an exit code, or by a signal where it computed or waited too long."""

    def __init__(self, n: int):
        self.n = n
        self.running: dict[int, Child] = {}

    def start(self, key: object, task: Callable[[], int], log: Path, cpu_seconds: float):
        """Start task() in a child, which writes to log."""
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            run_and_exit(task, log, int(cpu_seconds) + 1)
        self.running[pid] = Child(key, time.monotonic(), 60 + 20 * cpu_seconds)

    def finished(self):
        """(key, exit code) of the next child that ends; the code is below 0 if a signal ended it."""
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid in self.running:
                self.end_others(pid)
                return self.running.pop(pid).key, os.waitstatus_to_exitcode(status)
            for pid, child in self.running.items():
                if time.monotonic() - child.began > child.patience:
                    self.end_others(pid)
            time.sleep(0.02)

    def each(self, tasks):
        """Run all tasks, (key, task, log, cpu_seconds) each; yields (key, exit code) as they end."""
        for task in tasks:
            if len(self.running) >= self.n:
                yield self.finished()
            self.start(*task)
        while self.running:
            yield self.finished()

    @staticmethod
    def end_others(pid: int):
        """End a child's whole group, with the processes that its tests started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def run_and_exit(task, log, cpu_seconds):
    """Be the child: its own group, its limits, its log. Does not return."""
    code = 70
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = task()
    finally:
        sys.stdout.flush()
        os._exit(int(code))


class ChangedFile(importlib.machinery.SourceFileLoader):
    """Loads one module from changed source; a finder of sys.meta_path for this module only."""

    def __init__(self, module: str, file: Path, source: str):
        super().__init__(module, str(file))
        self.source = source

    def get_code(self, fullname):  # noqa: ARG002
        """The changed code, never that of the file or of a .pyc."""
        return compile(self.source, self.path, "exec", dont_inherit=True)

    def find_spec(self, fullname, path=None, target=None):  # noqa: ARG002
        """The place of the module."""
        return (
            importlib.util.spec_from_file_location(fullname, self.path, loader=self) if fullname == self.name else None
        )


class Chosen:
    """A pytest plugin: run these tests only, in this order, and note the first that fails."""

    def __init__(self, tests):
        self.rank = {test: at for at, test in enumerate(tests)}
        self.failed = None

    def pytest_collection_modifyitems(self, items):
        """Leave out what is not chosen."""
        items[:] = sorted((item for item in items if item.nodeid in self.rank), key=lambda item: self.rank[item.nodeid])

    def pytest_runtest_logreport(self, report):
        """Note what failed."""
        if report.failed:
            self.failed = self.failed or report.nodeid


def enter(tree: Path):
    """Work in the copy of the tree, whose palate is imported: not that of an editable install."""
    os.chdir(tree)
    sys.meta_path[:] = [finder for finder in sys.meta_path if not type(finder).__module__.startswith("_editable")]
    sys.path[:0] = [str(tree / "src"), str(tree / "tests")]
    os.environ["PYTHONPATH"] = str(tree / "src")


def run_tests(tree: Path, tests: list[str], changed: tuple[str, str] | None, note: Path):
    """Run tests on a changed file, (name, source); pytest's exit code. The first failure is written to `note`."""
    enter(tree)
    if changed is not None:
        module = changed[0].removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        sys.meta_path.insert(0, ChangedFile(module, tree / changed[0], changed[1]))
    chosen = Chosen(tests)
    files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
    code = int(pytest.main([*OPTIONS, *files], plugins=[chosen]))
    note.write_text(json.dumps(chosen.failed))
    return code


def record(tree: Path, file: str, target: Path):
    """Run a test file and record which lines each of its tests runs, into target."""
    enter(tree)
    os.environ |= {"MUTANTS_SOURCE": str(tree / "src" / "palate"), "MUTANTS_RECORD": str(target)}
    options = [option for option in OPTIONS if option != "-x"]
    return int(pytest.main([*options, "-p", "mutants.recording", file]))
