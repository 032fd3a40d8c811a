"""The thread pool: same bytes on any number of threads, calls from many threads, Ctrl-C, and forks."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from helpers.kernels import at_level
from palate import kernels

each_level = pytest.mark.parametrize("level", kernels.levels())


def every_kernel(n_threads):
    """The bytes that some threaded kernels return, on inputs of many tasks."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((40_000, 17)).astype(np.float32)
    rows = (rng.random(60_000) ** 3 * 700).astype(np.int32)  # most ratings fall on the first rows
    others = rng.integers(0, 40, 60_000).astype(np.int32)
    values, weights = x[:30_000, :2].ravel(), np.abs(x[:30_000, 2:4]).ravel()
    *arrays, weights = kernels.compress_rows(rows, others, values, weights, 700)
    options = {"weights": weights, "precision": np.eye(17, dtype=np.float32), "mean": x[0], "bias": True}
    codes = rng.integers(0, 40_000, 50_000).astype(np.int32)
    answers = [
        *kernels.solve_rows(*arrays, x[:40], **options, draw=True, errors=True, seed=9, n_threads=n_threads),
        kernels.predict_pairs(x, x, codes, codes[::-1].copy(), bias=True, n_threads=n_threads),
        *kernels.gram(x, n_threads=n_threads),
        *kernels.select_top(x[:3000], 5, n_threads=n_threads),
    ]
    return [answer.tobytes() for answer in answers]


@each_level
def test_same_bytes_on_any_number_of_threads(level):
    with at_level(level):
        alone = every_kernel(1)
        for n_threads in (2, 3, 0, 1, 2**31 - 1):
            assert every_kernel(n_threads) == alone


def test_python_threads_may_call_at_once():
    alone = every_kernel(1)
    with ThreadPoolExecutor(4) as callers:
        assert all(answers == alone for answers in callers.map(every_kernel, [1, 2, 3, 2, 1, 3, 2, 2]))


CHILD = """
import os, signal, sys, threading
import numpy as np
from palate import kernels

def solve(n, k, n_threads):
    return kernels.solve_rows(
        np.linspace(0, n, 2001).astype(np.int64), np.arange(n, dtype=np.int32) % 5000, np.ones(n, dtype=np.float32),
        np.sin(np.arange(5000 * k, dtype=np.float32)).reshape(5000, k),
        precision=np.eye(k, dtype=np.float32), mean=np.zeros(k, dtype=np.float32), n_threads=n_threads,
    )[0].tobytes()
"""


def python(body):
    source = CHILD + textwrap.dedent(body)
    return subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, start_new_session=True)


def answer_within(child, seconds, answer):
    """The child's whole output; a child that hangs takes its own children with it."""
    try:
        assert child.communicate(timeout=seconds)[0] == answer
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        raise


def test_ctrl_c_raises_within_seconds():
    """The one test bound by the clock: about a second is meant, three are allowed."""
    child = python("""
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits "ignore"
        small = solve(10_000, 8, 2)
        print("ready", flush=True)
        try:
            solve(3_000_000, 512, 1)  # ten seconds and more
        except KeyboardInterrupt:
            print("interrupted", solve(10_000, 8, 2) == small)
    """)
    with child:
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.7)
        sent = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted True\n"
        assert time.monotonic() - sent < 3
    assert child.returncode == 0


def test_many_short_calls_from_many_threads():
    child = python("""
        sizes = [200, 400, 800, 1600]
        alone = {n: solve(n, 8, 1) for n in sizes}
        wrong = []
        def caller(n):
            wrong.extend(n for turn in range(200) if solve(n, 8, 2 + turn % 2) != alone[n])
        callers = [threading.Thread(target=caller, args=(n,)) for n in sizes]
        [thread.start() for thread in callers]
        [thread.join() for thread in callers]
        print(len(wrong))
    """)
    answer_within(child, 60, "0\n")


def test_a_forked_child_can_compute():
    child = python("""
        before = solve(100_000, 8, 2)
        busy = threading.Thread(target=lambda: [solve(100_000, 32, 2) for _ in range(20)])
        busy.start()
        pid = os.fork()  # while another thread is in the kernels
        if pid == 0:
            os._exit(0 if solve(100_000, 8, 2) == before and solve(100_000, 8, 1) == before else 7)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), solve(100_000, 8, 2) == before)
        busy.join()
    """)
    answer_within(child, 60, "0 True\n")
