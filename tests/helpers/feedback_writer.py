"""A process that adds events until it is killed, and prints the id of each event once it is acknowledged.

Three threads call the store; a fourth runs an event loop with eight clients of a GroupCommit.
"""

import asyncio
import itertools
import os
import random
import sys
import threading

from palate.serving.store import Event, GroupCommit, open_store


def batches(name):
    """Lists of 1 to 10 events with ids of their own."""
    chosen, numbers = random.Random(name), itertools.count()
    while True:
        ids = [f"{name}-{next(numbers)}" for _ in range(chosen.randint(1, 10))]
        yield [Event(id_, f"user {chosen.randrange(50)}", f"item {chosen.randrange(50)}", 1.0) for id_ in ids]


def acknowledge(events):
    os.write(1, "".join(f"{event.id}\n" for event in events).encode())  # one write below 4 KB is whole or not there


def add_by_a_thread(store, name):
    for events in batches(name):
        store.add(events)
        acknowledge(events)


async def add_by_clients(store, name):
    commit = GroupCommit(store)

    async def client(k):
        for events in batches(f"{name}-{k}"):
            await commit.add(events)
            acknowledge(events)

    await asyncio.gather(*(client(k) for k in range(8)))


def main(url, run):
    store = open_store(url)
    for k in range(3):
        threading.Thread(target=add_by_a_thread, args=(store, f"{run}-{k}")).start()
    asyncio.run(add_by_clients(store, f"{run}-loop"))


if __name__ == "__main__":
    main(*sys.argv[1:])
