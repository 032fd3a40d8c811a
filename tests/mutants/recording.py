"""A pytest plugin that records which lines each test runs, and at what cost in processor time.

What a shared fixture runs counts for every test of the file that asks for the fixture.
"""

import json
import os
from collections import defaultdict
from pathlib import Path

import coverage
import pytest

COVERAGE = coverage.Coverage(data_file=None, source=[os.environ["MUTANTS_SOURCE"]], config_file=False, messages=False)
COSTS: dict[str, float] = defaultdict(float)
SHARED: dict[str, set[str]] = {}
FAILED = set()


def processor_seconds():
    """What this process and those that it waited for have used so far."""
    return sum(os.times()[:4])


@pytest.hookimpl(hookwrapper=True)
def pytest_sessionstart(session):
    """Begin to record."""
    COVERAGE.start()
    yield


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """Add up what a test costs, its fixtures included."""
    began = processor_seconds()
    yield
    COSTS[item.nodeid] += processor_seconds() - began


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_setup(item):
    """Record what the fixtures of a test run."""
    own = item._fixtureinfo.name2fixturedefs
    SHARED[item.nodeid] = {name for name, made in own.items() if made[-1].scope != "function"}
    COVERAGE.switch_context(f"setup {item.nodeid}")
    yield


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_call(item):
    """Record what a test runs."""
    COVERAGE.switch_context(f"call {item.nodeid}")
    yield
    COVERAGE.switch_context("")


def pytest_runtest_logreport(report):
    """Note tests that say nothing here: failed and skipped ones."""
    if not report.passed:
        FAILED.add(report.nodeid)


def pytest_sessionfinish(session):
    """Write the tests, their costs, and {file: {line: numbers of tests}}."""
    COVERAGE.stop()
    data = COVERAGE.get_data()
    source = Path(os.environ["MUTANTS_SOURCE"]).parents[1]
    tests = sorted(set(COSTS) - FAILED)
    number = {test: at for at, test in enumerate(tests)}
    lines = {
        str(Path(file).relative_to(source)): {
            line: sorted({number[test] for context in contexts for test in tests_of(context) if test in number})
            for line, contexts in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    record = {"tests": tests, "costs": [round(COSTS[test], 4) for test in tests], "lines": lines}
    Path(os.environ["MUTANTS_RECORD"]).write_text(json.dumps(record))


def tests_of(context):
    """The tests for which the lines of a context count."""
    phase, _, test = context.partition(" ")
    if phase != "setup":
        return {test} - {""}
    file, shared = test.partition("::")[0], SHARED[test]
    return {test} | {other for other, names in SHARED.items() if other.startswith(f"{file}::") and names & shared}
