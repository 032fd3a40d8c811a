"""How fast feedback is kept: events a second and latencies through GroupCommit, for each store.

    .venv/bin/python benchmarks/feedback.py [--seconds 5] [--events 0] [URL ...]

Without addresses: SQLite in a temporary folder, and PostgreSQL on a server that this starts.
Batches of 10 and single events come from 32 clients: as fast as they are acknowledged, and at the rates of the bars
(5,000 and 1,000 events a second, p99 at most 50 ms).
--events: put so many into the store before, and forget one of their users afterwards.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from helpers.postgres import PostgresServer, programs
from palate.serving.store import Event, GroupCommit, open_store

N_CLIENTS = 32


def event():
    user, item = random.randrange(10_000), random.randrange(10_000)
    return Event(f"{random.getrandbits(128):032x}", f"user-{user}", f"item-{item}", 4.0, None, 1_700_000_000)


def batch(size):
    return [event() for _ in range(size)]


def seconds_of_a_sync(folder):
    """The median time that the disk takes to keep 4 KB."""
    taken = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(100):
            begin = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - begin)
    return sorted(taken)[50]


async def measured(store, size, seconds, rate=None):
    """(events a second, sorted latencies, commits, work) of clients that send `size` events at a time.

    With a rate, all clients together send so many events a second, and an event that is sent late counts from when it
    was due; without, each client sends its next events when the last ones are acknowledged.
    """
    commit, latencies, n_commits = GroupCommit(store), [], 0
    store_add = store.add

    def counted(events):
        nonlocal n_commits
        n_commits += 1
        return store_add(events)

    store.add = counted
    end = time.perf_counter() + seconds

    async def client():
        due, step = time.perf_counter(), N_CLIENTS * size / rate if rate else 0
        due += random.uniform(0, step)
        while time.perf_counter() < end:
            events = batch(size)
            if rate:
                await asyncio.sleep(due - time.perf_counter())
            begin = due if rate else time.perf_counter()
            due += step
            await commit.add(events)
            latencies.append(time.perf_counter() - begin)

    begin, worked = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(N_CLIENTS)))
    taken, worked = time.perf_counter() - begin, time.process_time() - worked
    await commit.close()
    store.add = store_add
    return size * len(latencies) / taken, sorted(latencies), n_commits, worked / (size * len(latencies))


def report(name, url, seconds, n_events):
    store = open_store(url)
    begin = time.perf_counter()
    for _ in range(n_events // 1000):
        store.add(batch(1000))
    if n_events:
        print(f"{name}: {n_events} events in {time.perf_counter() - begin:.1f} s, a thousand at a time")
    for size, asked in ((10, None), (10, 5000), (1, None), (1, 1000)):
        rate, latencies, n_commits, work = asyncio.run(measured(store, size, seconds, asked))
        p50, p99 = (1000 * latencies[int(share * (len(latencies) - 1))] for share in (0.5, 0.99))
        how = f"{size} at a time, " + (f"{asked} sent a second" if asked else "as fast as they are kept")
        longest, a_commit, work = 1000 * latencies[-1], size * len(latencies) / n_commits, 1e6 * work
        print(f"{name}, {how}: {rate:,.0f} events/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {longest:.0f} ms;")
        print(f"    {a_commit:.0f} events a commit, {work:.0f} us of work each")
    begin, n_asked = time.perf_counter(), 2000
    for _ in range(n_asked):
        store.last()
    print(f"{name}: last() {1e6 * (time.perf_counter() - begin) / n_asked:.0f} us")
    if n_events:
        begin = time.perf_counter()
        forgotten = store.forget("user-1")
        print(f"{name}: forget() of {forgotten.n_events} events {time.perf_counter() - begin:.2f} s")
        if hasattr(store, "_writer"):
            begin = time.perf_counter()
            store._writer.execute("VACUUM")
            print(f"{name}: VACUUM {time.perf_counter() - begin:.2f} s")
    store.close()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("urls", nargs="*")
    options.add_argument("--seconds", type=float, default=5)
    options.add_argument("--events", type=int, default=0)
    given = options.parse_args()
    for url in given.urls:
        report(url.split(":")[0], url, given.seconds, given.events)
    if given.urls:
        return
    with tempfile.TemporaryDirectory() as folder:
        print(f"the disk keeps 4 KB in {1000 * seconds_of_a_sync(folder):.1f} ms")
        report("SQLite", f"{folder}/feedback.db", given.seconds, given.events)
    if (found := programs()) is None:
        print("no PostgreSQL here")
        return
    server = PostgresServer(found, fsync="on", shared_buffers="128MB")
    try:
        report("PostgreSQL", server.url, given.seconds, given.events)
    finally:
        server.remove()


if __name__ == "__main__":
    main()
