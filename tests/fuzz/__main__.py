"""`make fuzz`: hostile input for each target, for some seconds.

python -m fuzz [TARGET ...] [SECONDS], from anywhere with tests/ on PYTHONPATH; without targets all, 60 seconds each.
SEED=7 draws other input, FUZZ_ROUNDS=30 ends after so many rounds, however fast the machine is. What breaks a rule is
printed smallest, with the seed that finds it again. A target runs in a process of its own, so that a crash is found
too, with at most 4 GB of memory.
"""

import faulthandler
import importlib
import os
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings

TARGETS = ("reader", "dialects", "conditions", "models", "kernels")
EXAMPLES = 100  # of one round
MAX_BYTES = 4 * 2**30


def main(words):
    """Run targets one after the other, and return the exit code."""
    seconds = float(words.pop()) if words and words[-1].replace(".", "", 1).isdigit() else 60.0
    unknown = set(words) - set(TARGETS)
    if unknown:
        print(f"there is no target {', '.join(sorted(unknown))}; the targets are {', '.join(TARGETS)}")
        return 2
    failed = [name for name in words or TARGETS if not passes(name, seconds)]
    print(f"failed: {', '.join(failed)}" if failed else "nothing broke")
    return int(bool(failed))


def passes(name, seconds):
    """Run a target in a process of its own; True if it ends well."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path[1:]])}
    command = [sys.executable, "-m", "fuzz", "--here", name, str(seconds)]
    code = subprocess.run(command, env=environment).returncode
    if code < 0:
        print(f"{name}: the process died of signal {-code}")
    return code == 0


def run(name, seconds):
    """Run rounds of a target until the time is over."""
    faulthandler.enable()
    limit_memory()
    target = target_of(name)
    first, rounds = (int(os.environ.get(name, "0")) for name in ("SEED", "FUZZ_ROUNDS"))
    end = time.monotonic() + seconds
    for number in count(first):
        try:
            one_round(target, number, EXAMPLES)
        except BaseException:
            print(f"{name}: round {number} failed; SEED={number} begins with it")
            raise
        if time.monotonic() > end or number - first + 1 == rounds:
            print(f"{name}: {(number - first + 1) * EXAMPLES:,} examples")
            return


def target_of(name):
    """The module of a target: INPUT is what Hypothesis draws, and check() what must hold of it."""
    return importlib.import_module(f"fuzz.{name}")


def one_round(target, number, examples):
    """Run a target on some examples, the same for the same number."""
    quiet = settings(max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    seed(number)(quiet(given(target.INPUT)(target.check)))()


def limit_memory():
    """Let absurd allocations fail instead of taking the machine's memory."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        run(sys.argv[2], float(sys.argv[3]))
    else:
        sys.exit(main(sys.argv[1:]))
