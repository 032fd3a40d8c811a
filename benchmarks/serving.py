"""How fast palate serve answers, against its bars.

python benchmarks/serving.py MODEL.palate --likes LIKES.palate

The server and this client are processes of one machine and share its cores, so the server alone is faster than what is
printed. Requests at a rate are sent at the times that the rate sets, whether the answers before came or not, and their
times count from then. --seconds 3 is a quick look; the bars are for 60.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HOST = b"Host: localhost\r\n"
N_CONNECTIONS = 64


# ---- the client


class Connection(asyncio.Protocol):
    """One connection that is kept alive: ask() sends a request and waits for its answer."""

    def __init__(self):
        self.buffer, self.waiting, self.transport = b"", None, None

    def connection_made(self, transport):
        """Keep what writes."""
        self.transport = transport

    def connection_lost(self, error):
        """Fail what waits."""
        self.transport = None
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(error or ConnectionResetError("the server closed the connection"))

    def data_received(self, data):
        """Give the answer to who waits, once it is whole."""
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self.buffer = b""
            self.waiting.set_result((int(head[9:12]), body))

    async def ask(self, request):
        """The status and the body of the answer."""
        self.waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.waiting


def get(path):
    return b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n"


def post(path, body):
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    return head.encode() + HOST + b"\r\n" + content


@dataclass
class Measured:
    """What came of a load: seconds of each answer, and when it was due; what failed."""

    seconds: list[float] = field(default_factory=list)
    due: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    models: set[str] = field(default_factory=set)
    took: float = 0.0

    def quantile(self, q):
        """In milliseconds."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(int(q * len(ordered)), len(ordered) - 1)] if ordered else float("nan")

    @property
    def rate(self):
        """Answers a second."""
        return len(self.seconds) / self.took


async def load(port, requests, *, seconds, rate=None, n_connections=N_CONNECTIONS, look=False):
    """Send requests at a rate, or with None as fast as answers come."""
    loop, measured = asyncio.get_running_loop(), Measured()
    numbers, began = itertools.count(), time.perf_counter() + 0.1

    async def connected():
        return (await loop.create_connection(Connection, "127.0.0.1", port))[1]

    async def work(connection):
        while True:
            number = next(numbers)
            due = began + number / rate if rate else max(time.perf_counter(), began)
            if due >= began + seconds:
                return
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            try:
                if connection.transport is None:
                    connection = await connected()
                status, body = await connection.ask(next(requests))
                if status == 200:
                    measured.seconds.append(time.perf_counter() - due)
                    measured.due.append(due - began)
                    if look:
                        measured.models.add(json.loads(body)["model"])
                else:
                    measured.failures.append(body.decode(errors="replace")[:200])
            except OSError as error:
                measured.failures.append(repr(error))

    connections = [await connected() for _ in range(n_connections)]
    await asyncio.gather(*map(work, connections))
    measured.took = time.perf_counter() - began
    for one in connections:
        if one.transport is not None:
            one.transport.close()
    return measured


# ---- the server


class Server:
    """palate serve as a process in a folder of its own."""

    def __init__(self, model, *options):
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "model.palate"
        shutil.copy(model, self.file)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "palate", "serve", str(self.file), "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.folder.name,
            text=True,
        )
        self.port = int(self.process.stdout.readline().partition("http://")[2].split("/")[0].rpartition(":")[2])

    def memory(self):
        """Megabytes of the process that the system counts as resident, and its peak; None where /proc is not there."""
        status = Path(f"/proc/{self.process.pid}/status")
        if not status.exists():
            return None
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return tuple(int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))

    def stop(self):
        """The exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()
        return code


# ---- what is measured


def users_of(model):
    import palate

    known = palate.load(model).model
    return known.user_vocabulary.labels.tolist(), known.item_vocabulary.labels.tolist(), known


def lists(users, seed=0):
    """Lists of 10 items for users at random, without end."""
    random.seed(seed)
    while True:
        yield get(f"/v1/users/{random.choice(users)}/recommendations?n=10")


def described(items, seed=1):
    """Lists for new users of 20 likes each."""
    random.seed(seed)
    while True:
        likes = {str(item): 5 for item in random.sample(items, min(20, len(items)))}
        yield post("/v1/recommendations", [{"likes": likes, "n": 10}])


def events(users, items, size, seed=2):
    """Feedback in batches, each event with an id of its own."""
    random.seed(seed)
    for number in itertools.count():
        yield post(
            "/v1/feedback",
            [
                {
                    "id": f"{os.getpid()}-{seed}-{number}-{at}",
                    "user": random.choice(users),
                    "item": random.choice(items),
                    "value": random.randint(1, 5),
                }
                for at in range(size)
            ],
        )


@dataclass
class Bar:
    """A figure and what it should be: at most, or with `least` at least."""

    name: str
    value: float
    bar: float
    unit: str
    least: bool = False

    def line(self):
        """The figure beside its bar."""
        holds = self.value >= self.bar if self.least else self.value <= self.bar
        sign = ">=" if self.least else "<="
        return (
            f"{'ok  ' if holds else 'MISS'}  {self.name:<58} {self.value:>10.1f} {self.unit:<5} bar {sign} {self.bar:g}"
        )


def measure_lists(server, users, likes_server, likes_items, seconds):
    one = asyncio.run(load(server.port, lists(users), seconds=seconds, rate=1000))
    yield Bar("GET recommendations, 1,000/s: p50", one.quantile(0.5), 2, "ms")
    yield Bar("GET recommendations, 1,000/s: p99", one.quantile(0.99), 15, "ms")
    yield Bar("GET recommendations, 1,000/s: failures", len(one.failures), 0, "")
    one = asyncio.run(load(likes_server.port, described(likes_items), seconds=seconds, rate=500))
    yield Bar("POST recommendations by likes, 500/s: p99", one.quantile(0.99), 20, "ms")
    yield Bar("POST recommendations by likes, 500/s: failures", len(one.failures), 0, "")
    one = asyncio.run(load(server.port, lists(users), seconds=seconds))
    yield Bar(f"GET recommendations, {N_CONNECTIONS} connections at full speed", one.rate, 4000, "/s", least=True)


def measure_swap(server, model, users, seconds):
    """Lists at a rate, while the model's file is replaced by one that another process wrote."""
    from dataclasses import replace

    import palate

    changed = server.file.with_name("other.new")
    again = replace(model, training=model.training | {"note": "the same model in another file"})
    palate.Recommender(again).save(changed)

    async def swapped():
        task = asyncio.create_task(load(server.port, lists(users), seconds=max(seconds, 6), rate=500, look=True))
        await asyncio.sleep(2)
        changed.replace(server.file)
        return await task

    one = asyncio.run(swapped())
    during = Measured([s for s, due in zip(one.seconds, one.due, strict=True) if 1.5 <= due <= 5], took=1)
    yield Bar("a model swapped at 500/s: failures", len(one.failures), 0, "")
    yield Bar("a model swapped at 500/s: p99 around the swap", during.quantile(0.99), 50, "ms")
    yield Bar("a model swapped at 500/s: models that answered", len(one.models), 2, "", least=True)


def measure_feedback(server, users, items, seconds):
    one = asyncio.run(load(server.port, events(users, items, 10), seconds=seconds, rate=500, n_connections=32))
    yield Bar("feedback, 500 batches of 10 a second: events", 10 * one.rate, 0.98 * 5000, "/s", least=True)
    yield Bar("feedback, 500 batches of 10 a second: p99", one.quantile(0.99), 50, "ms")
    yield Bar("feedback, 500 batches of 10 a second: failures", len(one.failures), 0, "")
    one = asyncio.run(load(server.port, events(users, items, 10, seed=3), seconds=seconds, n_connections=32))
    yield Bar("feedback, batches of 10 at full speed: events", 10 * one.rate, 5000, "/s", least=True)
    one = asyncio.run(load(server.port, events(users, items, 1, seed=4), seconds=seconds, n_connections=32))
    yield Bar("feedback, single events of 32 clients", one.rate, 1000, "/s", least=True)


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="a saved model of ratings")
    parser.add_argument("--likes", help="a saved model for new users; the same one if left out")
    parser.add_argument("--seconds", type=float, default=60, help="for each load")
    parser.add_argument("--json", help="a file for the figures")
    given = parser.parse_args()
    users, items, model = users_of(given.model)
    likes = given.likes or given.model
    likes_items = users_of(likes)[1]
    bars = []

    def show(found):
        for bar in found:
            bars.append(bar)
            print(bar.line(), flush=True)

    server = Server(given.model)
    memory = server.memory()
    likes_server = Server(likes)
    show(measure_lists(server, users, likes_server, likes_items, given.seconds))
    likes_server.stop()
    if memory is not None:
        show([Bar("memory after the start", memory[0], 250, "MB"), Bar("memory now", server.memory()[0], 250, "MB")])
    show(measure_swap(server, model, users, given.seconds))
    show(measure_feedback(server, users, items, given.seconds))
    code = server.stop()
    show([Bar("exit code", code, 0, "")])
    if given.json:
        Path(given.json).write_text(json.dumps([vars(bar) for bar in bars], indent=1))


if __name__ == "__main__":
    main()
