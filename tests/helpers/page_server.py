"""A server of one model on a free port of this machine, in a thread, with a store that keeps nothing."""

import asyncio
import threading
import time
from contextlib import contextmanager

import httpx
import uvicorn

from palate.serving.app import application
from palate.serving.guard import Guard
from palate.serving.models import Models
from palate.serving.served import Served
from palate.serving.service import Service, Settings


class NoStore:
    """A store without events."""

    def last(self):
        return 0

    def since(self, *_):
        return iter(())

    def of_user(self, *_):
        return []

    def close(self):
        """There is nothing to close."""


class NoCommit:
    """Commits of nothing."""

    async def start(self):
        """There is nothing to start."""

    async def close(self):
        """There is nothing to close."""


def app_of(rec, name="model", keys=()):
    served = Served(rec, name, f"{name}@00000000")
    return application(Service(Models(served), NoStore(), NoCommit(), Guard(list(keys), "token"), Settings()))


@contextmanager
def serving(app):
    """The address of a server of this application, which runs until the block ends."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)


def asking(app):
    """A function that asks an application without a server: ask(path), or ask(path, body) to post."""

    async def answer(path, body, headers):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://here") as client:
            return await client.request("GET" if body is None else "POST", path, json=body, headers=headers)

    return lambda path, body=None, headers=None: asyncio.run(answer(path, body, headers))
