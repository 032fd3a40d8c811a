"""Clients of small models; nothing here opens a port."""

import pytest

pytest.importorskip("starlette", reason="the server needs pip install 'palate[serve]'")

import palate
from helpers.serve_process import Server
from helpers.serving import Client, service_of, titled


@pytest.fixture(scope="package")
def ratings():
    return titled()


@pytest.fixture(scope="package")
def files(tmp_path_factory, ratings):
    """{name: file} of a model of ratings, of likes, and of ratings whose labels are numbers."""
    folder = tmp_path_factory.mktemp("models")
    made = {
        "ratings": palate.Bayes(n_sweeps=30).fit(ratings),
        "likes": palate.EASE().fit(ratings.likes(4)),
        "plain": palate.ALS(n_sweeps=5).fit(ratings),
    }
    for name, rec in made.items():
        rec.save(folder / f"{name}.palate")
    return {name: folder / f"{name}.palate" for name in made}


@pytest.fixture
def ask(tmp_path, files):
    """Makes clients of some of the files, by name or path: ask("ratings"). All of a test share one store."""
    clients = []

    def client(*names, **options):
        paths = [files.get(name, name) for name in names or ["ratings"]]
        clients.append(Client(service_of(tmp_path, *paths, **options)))
        return clients[-1]

    yield client
    for one in clients:
        one.close()


@pytest.fixture
def serve(tmp_path, files):
    """Starts servers in the test's folder, of some of the files (copied there): serve("ratings", "--workers", "2")."""
    servers = []

    def start(*args, **options):
        given = []
        for one in args:
            if one in files:
                copy = tmp_path / f"{one}.palate"
                if not copy.exists():
                    copy.write_bytes(files[one].read_bytes())
                given.append(copy)
            else:
                given.append(one)
        servers.append(Server(*given, cwd=tmp_path, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture(scope="module")
def browser():
    """Chromium; skips where it or Playwright is missing."""
    from helpers.browser import started

    with started() as running:
        yield running


@pytest.fixture
def opened(browser):
    """A function that opens an address; afterwards nothing may have gone wrong, and nothing have left the host."""
    from helpers.browser import watched

    with watched(browser) as visit:
        yield visit
