"""`make mutants`: change the code in small ways and see whether the tests notice.

MUTANTS=150 draws that many places, MUTANTS=all takes every one; SEED=1 draws others; MODULES="updating splitting" keeps
to files with these names; TESTS="data/reading/test_dates.py" keeps to these test files, and little has to be recorded;
JOBS=2 is how many run at once. Fails if less than 95% are seen. Changes that no test can see
are listed with their reasons in tests/mutants/unseen.toml and do not count. Survivors are written to build/mutants.
"""

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from functools import cache
from itertools import groupby
from pathlib import Path

from mutants.making import mutants_of, statement_lines
from mutants.running import Children, record, run_tests

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "mutants"
TREE = BUILD / "tree"
PALATE = "src/palate"
ROOMS = {  # what is changed: where a silent wrong number would hurt
    "models": f"{PALATE}/models/*.py",
    "answers": f"{PALATE}/answers/**/*.py",
    "evaluation": f"{PALATE}/evaluation/*.py",
    "splitting": f"{PALATE}/data/splitting.py",
    "reading": f"{PALATE}/data/reading/**/*.py",
    "conditions": f"{PALATE}/data/conditions/*.py",
}
TESTS = (  # what may notice; not what takes minutes (chains of Bayes, conformance), nor command line and pictures
    "models/test_*.py",
    "answers/**/test_*.py",
    "evaluation/test_*.py",
    "data/**/test_*.py",
    "recipes/test_[!b]*.py",
    "recipes/test_b[!a]*.py",
    "recipes/test_baselines.py",
    "test_reading_page.py",
    "test_recommender.py",
    "nn/test_conversion.py",
)
ENOUGH = 0.95
BUDGET = 20.0  # processor seconds of tests that a change must survive
FIRST_FILES = 2  # the test files tried first; the others are read only if these see nothing


def main():
    """Draw, run, print, and return the exit code."""
    copy_tree()
    reached, costs = read_records(Children(int(os.environ.get("JOBS", "2"))))
    if not costs:
        print("no test file could be recorded: what fails stands in the logs named above")
        return 1
    chosen, n_places = draw()
    print(f"{len(chosen)} changes, at {n_places} places in all; {len(costs)} tests")
    listed = tomllib.loads((ROOT / "tests/mutants/unseen.toml").read_text())["unseen"]
    excused = {(each["module"], each["line"], each.get("becomes")) for each in listed}
    counts, survivors, n_excused = defaultdict(Counter), [], 0
    for mutant, seen_by in judged(chosen, reached, costs):
        change = mutant.change(TREE)
        name = mutant.module.removeprefix(f"{PALATE}/")
        if seen_by is None and excused & {(name, *change), (name, change[0], None)}:
            n_excused += 1
            continue
        counts[room_of(mutant.module)][seen_by is not None] += 1
        if seen_by is None:
            survivors.append((mutant, *change))
            print(f"unseen: {mutant.module}:{mutant.line}\n    - {change[0]}\n    + {change[1]}", flush=True)
    return report(counts, survivors, n_excused)


def copy_tree():
    """Make a copy of what the tests need, so that nothing here touches the checkout."""
    shutil.rmtree(TREE, ignore_errors=True)
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, TREE / name, ignore=shutil.ignore_patterns(".hypothesis"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, TREE / name)
    shutil.copytree(ROOT / "docs", TREE / "docs")
    where = "from palate.kernels import _kernels; print(_kernels.__file__)"  # not here: children would inherit palate
    kernels = subprocess.run([sys.executable, "-c", where], check=True, capture_output=True, text=True).stdout.strip()
    shutil.copy(kernels, TREE / PALATE / "kernels")


def digest(files):
    """A name for the contents of files."""
    made = hashlib.sha256()
    for file in sorted(files):
        made.update(file.read_bytes())
    return made.hexdigest()[:24]


def read_records(children):
    """{file: {line: tests}} and {test: cost}, recorded anew for test files that changed, or for all if the code did."""
    shared = [*(TREE / PALATE).rglob("*.py"), *(TREE / PALATE).rglob("*.so"), *(TREE / "tests/helpers").glob("*.py")]
    base = digest([*shared, *(TREE / "tests").glob("conftest.py")])
    files = [
        file
        for pattern in os.environ.get("TESTS", "").split() or TESTS
        for file in sorted((TREE / "tests").glob(pattern))
    ]
    kept = {str(file.relative_to(TREE)): BUILD / "records" / f"{base}-{digest([file])}.json" for file in files}
    missing = {file: path for file, path in kept.items() if not path.exists()}
    (BUILD / "records").mkdir(exist_ok=True)
    if missing:
        print(f"recording which lines the tests of {len(missing)} files run", flush=True)
    tasks = (
        (file, lambda file=file, path=path: record(TREE, file, path), path.with_suffix(".log"), 600.0)
        for file, path in missing.items()
    )
    for file, code in children.each(tasks):
        if code not in (0, 5):
            print(f"{file} fails without any change (exit code {code}): see {kept[file].with_suffix('.log')}")
    reached, costs = defaultdict(lambda: defaultdict(set)), {}
    for path in kept.values():
        if not path.exists():
            continue
        made = json.loads(path.read_text())
        costs |= dict(zip(made["tests"], made["costs"], strict=True))
        for module, lines in made["lines"].items():
            for line, numbers in lines.items():
                reached[module][int(line)].update(made["tests"][number] for number in numbers)
    return reached, costs


def draw():
    """The changes to make, (one a place if only some places are drawn), and how many places there are."""
    wanted, rng = os.environ.get("MODULES", "").split(), random.Random(int(os.environ.get("SEED", "0")))
    modules = [str(file.relative_to(TREE)) for pattern in ROOMS.values() for file in sorted(TREE.glob(pattern))]
    modules = [module for module in modules if not wanted or any(name in module for name in wanted)]
    made = sorted((m for module in modules for m in mutants_of(TREE, module)), key=lambda m: (*m.site, m.operator))
    places = [list(group) for _, group in groupby(made, key=lambda m: m.site)]
    number = os.environ.get("MUTANTS", "150")
    if number == "all":
        return made, len(places)
    drawn = rng.sample(places, min(int(number), len(places)))
    return [rng.choice(place) for place in drawn], len(places)


def room_of(module):
    """The room of a file."""
    return next(room for room, pattern in ROOMS.items() if module.startswith(pattern.partition("*")[0]))


def judged(chosen, reached, costs):
    """(mutant, the test that saw it or None) for each; a change that no test reaches is seen by none."""
    children = Children(int(os.environ.get("JOBS", "2")))
    seen_by = first_failures(children, chosen, reached, costs)
    unsound = unsound_tests(children, {test for test in seen_by.values() if "::" in (test or "")})
    if unsound:
        print("these fail without any change, and so say nothing:", *sorted(unsound), sep="\n    ")
        again = [mutant for mutant in chosen if seen_by[mutant] in unsound]
        sound = {test: cost for test, cost in costs.items() if test not in unsound}
        seen_by |= first_failures(children, again, reached, sound)
    return seen_by.items()


def first_failures(children, chosen, reached, costs):
    """{mutant: the first test that failed, how the run ended otherwise, or None}."""
    found = dict.fromkeys(chosen)
    for take in (slice(None, FIRST_FILES), slice(FIRST_FILES, None)):
        tasks = []
        for at, mutant in enumerate(chosen):
            tests = [test for group in tests_for(mutant, reached, costs)[take] for test in group]
            if found[mutant] is None and tests:
                log, note = BUILD / f"run-{at}.log", BUILD / f"run-{at}.json"
                note.unlink(missing_ok=True)
                changed = mutant.module, mutant.source(TREE)
                run = lambda tests=tests, changed=changed, note=note: run_tests(TREE, tests, changed, note)  # noqa: E731
                tasks.append(((mutant, note), run, log, 20 + 3 * sum(costs[test] for test in tests)))
        for n, ((mutant, note), code) in enumerate(children.each(tasks), 1):
            found[mutant] = verdict(code, note)
            print(f"\r{n}/{len(tasks)}", end="\n" if n == len(tasks) else "", flush=True)
    return found


def verdict(code, note):
    """The test that failed, or in words how the run ended; None if all passed (or none could be found)."""
    if code in (0, 5):
        return None
    failed = json.loads(note.read_text()) if note.exists() else None
    return failed or ("time or memory" if code < 0 else "import")


def tests_for(mutant, reached, costs):
    """The tests that run a change, by file: first those of files that are named like the changed one or import from it.

    Then those of files with many cheap tests.
    """
    (first, last), is_imported = statement_lines(TREE, mutant.module, mutant.line)
    lines = reached[mutant.module]
    hits = lines.values() if is_imported else [lines[line] for line in range(first, last + 1) if line in lines]
    home, stem = str(Path(mutant.module).parent).removeprefix("src/").replace("/", "."), Path(mutant.module).stem

    @cache
    def is_other(file):
        about = re.compile(rf"\b{home}\.{stem}\b|from {home} import [^(\n]*\b{stem}\b")
        return stem not in Path(file).stem and not about.search((TREE / file).read_text())

    by_file, spent = defaultdict(list), 0.0
    tests = {test for hit in hits for test in hit if test in costs}
    for test in sorted(tests, key=lambda test: (is_other(test.partition("::")[0]), costs[test], test)):
        if spent < BUDGET:
            by_file[test.partition("::")[0]].append(test)
            spent += costs[test]

    def rank(file):
        return is_other(file), (1 + sum(costs[test] for test in by_file[file])) / len(by_file[file])

    return [in_order(by_file[file], costs) for file in sorted(by_file, key=rank)]


def in_order(tests, costs):
    """The tests of a file, cheapest first, those with the same parameters together, since these share fixtures."""
    parameters = {test: test.partition("[")[2] for test in tests}
    cheapest = defaultdict(lambda: float("inf"))
    for test in tests:
        cheapest[parameters[test]] = min(cheapest[parameters[test]], costs[test])
    return sorted(tests, key=lambda test: (cheapest[parameters[test]], parameters[test], costs[test], test))


def unsound_tests(children, tests):
    """Those of some tests that fail in a child without any change."""
    unsound = set()
    while tests - unsound:
        note = BUILD / "control.json"
        ordered = sorted(tests - unsound)
        run = lambda ordered=ordered, note=note: run_tests(TREE, ordered, None, note)  # noqa: E731
        ((_, code),) = children.each([(None, run, BUILD / "control.log", 600.0)])
        if code == 0:
            break
        failed = verdict(code, note)
        if failed not in ordered:
            sys.exit(f"the control run without any change ended by {failed}: see {BUILD / 'control.log'}")
        unsound.add(failed)
    return unsound


def report(counts, survivors, n_excused):
    """Print seen/all by room, write the survivors, and return the exit code."""
    seen, total = (sum(value) for value in zip(*((c[True], c.total()) for c in counts.values()), strict=True))
    for room in ROOMS:
        if counts[room].total():
            print(f"{room:<12}{counts[room][True]:>5} of {counts[room].total():>4} seen")
    print(
        f"{'together':<12}{seen:>5} of {total:>4} seen, {seen / total:.1%}; {n_excused} more are excused in unseen.toml"
    )
    lines = [f"{m.module}:{m.line}:{m.column} {m.operator}\n    - {old}\n    + {new}\n" for m, old, new in survivors]
    (BUILD / "survivors.txt").write_text("".join(lines))
    return int(seen < ENOUGH * total)


if __name__ == "__main__":
    sys.exit(main())
