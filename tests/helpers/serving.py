"""Services in this process: small models with titles and genres, a store in a file, a client without a network."""

import asyncio
import contextlib

import httpx
import polars as pl

import palate
from palate.serving.app import application
from palate.serving.guard import Guard
from palate.serving.models import Models, load_served
from palate.serving.service import Service, Settings
from palate.serving.store import open_store
from palate.serving.store.committing import GroupCommit

TOKEN = "the token of these tests"
JSON = {"Content-Type": "application/json"}
ADMIN = {"X-Palate-Admin": TOKEN}


def titled(n_users=80, n_items=50, n=1800, seed=1):
    """Ratings of items that have a title, a genre and a year."""
    ratings = palate.datasets.synthetic(n_users, n_items, n, seed=seed)
    labels = ratings.item_vocabulary.labels.tolist()
    table = pl.DataFrame(
        {
            "item": labels,
            "title": [f"The Film {label[1:]} ({1980 + at})" for at, label in enumerate(labels)],
            "genre": [("drama", "comedy", "western")[at % 3] for at in range(n_items)],
            "year": [1980 + at for at in range(n_items)],
        }
    )
    return ratings.with_items(table)


def service_of(folder, *paths, keys=(), scenarios=None, **settings):
    """A service of model files, with its store in the folder."""
    store = open_store(str(folder / "feedback.db"))
    for key in keys:
        store.add_key(key)
    models = Models(*(load_served(path) for path in paths))
    settings = Settings(scenarios=scenarios or {}, **settings)
    return Service(models, store, GroupCommit(store), Guard(store.keys(), TOKEN), settings)


class Client:
    """Asks a service, as if over HTTP. Every call runs the loop for as long as the answer takes."""

    def __init__(self, service):
        self.service = service
        self.app = application(service)
        self.runner = asyncio.Runner()
        self.stack = contextlib.AsyncExitStack()
        self.runner.run(self._start())

    async def _start(self):
        self.http = await self.stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://palate")
        )
        await self.service.start()

    def close(self):
        self.runner.run(self._stop())
        self.runner.close()

    async def _stop(self):
        await self.stack.aclose()
        await self.service.close()

    def ask(self, method, path, **options):
        return self.runner.run(self.http.request(method, path, **options))

    def get(self, path, **params):
        return answered(self.ask("GET", path, params=params))

    def post(self, path, body, headers=None):
        return answered(self.ask("POST", path, json=body, headers=headers))

    def problem(self, method, path, status, **options):
        """The problem of this status."""
        made = self.ask(method, path, **options)
        assert made.status_code == status, (made.status_code, made.text)
        assert made.headers["content-type"] == "application/problem+json"
        problem = made.json()
        assert problem["status"] == status
        assert problem["detail"][-1] in ".?!"
        return problem["detail"]

    def together(self, *requests):
        """The answers to several GETs that are under way at once."""

        async def all_of_them():
            return await asyncio.gather(*(self.http.get(path, params=params) for path, params in requests))

        return [answered(made) for made in self.runner.run(all_of_them())]


def answered(made):
    """The JSON of an answer."""
    assert made.status_code == 200, (made.status_code, made.text)
    return made.json()
