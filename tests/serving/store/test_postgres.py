"""The store on a server: what is special to PostgreSQL."""

import contextlib
import signal
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import pytest

from helpers.postgres import PASSWORD
from palate.errors import FeedbackError, StoreBusyError, StoreError
from palate.serving.store import Event, Item, open_store

psycopg = pytest.importorskip("psycopg")


@pytest.fixture
def url(empty_postgres):
    return empty_postgres


@pytest.fixture
def own_url(own_server):
    """The address of our own server, which a test may stop and start."""
    with psycopg.connect(own_server.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS palate CASCADE")
    return own_server.url


def asked(url, *statements):
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else None


WRITER = """
import sys, time
from palate.serving.store import Event, Item, open_store
store = open_store(sys.argv[1])
store.put_items([Item(sys.argv[2], {})])
while len(store.items()) < 2: time.sleep(0.001)
for n in range(90): store.add([Event(sys.argv[3].format(f"{n}-{k}"), "ann", "tea") for k in range(1 + n % 3)])
store.close()
"""


def writers_of(url, *ids):
    """Two processes that begin to write 180 events each at the same time; ids say how their numbers become ids."""
    return [subprocess.Popen([sys.executable, "-c", WRITER, url, str(n), form]) for n, form in enumerate(ids)]


def test_numbers_rise_in_the_order_in_which_events_become_visible(url, opened):
    """Two processes write; a reader that has seen all up to last() never meets a lower number afterwards."""
    store, seen, both = opened(url), [], True
    writers = writers_of(url, "a-{}", "b-{}")
    while both:
        both = any(writer.poll() is None for writer in writers)
        last = store.last()
        seen += [found.number for found in store.since(seen[-1] if seen else 0, last)]
        assert not seen or seen[-1] == last
    assert [writer.wait() for writer in writers] == [0, 0]
    assert seen == [found.number for found in store.since()] == list(range(1, 361))


def test_who_adds_waits_for_the_one_before(url, opened):
    store = opened(url)
    with psycopg.connect(url) as before:
        before.execute("SELECT last FROM palate.state FOR NO KEY UPDATE")
        before.execute("UPDATE palate.state SET last = 7")
        adding = threading.Thread(target=store.add, args=([Event("e1", "ann", "tea")],))
        adding.start()
        adding.join(0.2)
        assert adding.is_alive()
        assert store.last() == 0
    adding.join(20)
    assert [found.number for found in store.since()] == [8]


def test_two_processes_that_send_the_same_ids(url, opened):
    store = opened(url)
    writers = writers_of(url, "{}", "{}")
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert store.count() == len({found.event.id for found in store.since()}) == 180


def test_a_commit_waits_for_the_disk(url, opened, monkeypatch):
    monkeypatch.setenv("PGOPTIONS", "-c synchronous_commit=off")
    store = opened(url)
    assert store._read("SHOW synchronous_commit") == [("on",)]


def test_a_restarted_server_is_found_again(own_server, own_url, opened):
    store = opened(own_url)
    store.add([Event("e1", "ann", "tea")])
    for sent in (signal.SIGINT, signal.SIGQUIT):
        own_server.stop(sent)
        with pytest.raises(StoreError, match=r"PostgreSQL \(postgres on 127.0.0.1\) cannot be reached: .*Start the"):
            store.add([Event("e2", "ann", "tea")])
        own_server.start()
        assert store.last() == 1
    assert store.add([Event("e1", "ann", "tea"), Event("e2", "ann", "tea")]).is_new == (False, True)


def test_what_was_acknowledged_outlives_a_crash_of_the_server(own_server, own_url, opened):
    store, acknowledged, stop = opened(own_url), [], threading.Event()

    def write(k):
        for n in range(100_000):
            if stop.is_set():
                return
            with contextlib.suppress(StoreError):
                store.add([Event(f"{k}-{n}", "ann", "tea")])
                acknowledged.append(f"{k}-{n}")

    writers = [threading.Thread(target=write, args=(k,)) for k in range(3)]
    for writer in writers:
        writer.start()
    for _ in range(2):
        n_before = len(acknowledged)
        while len(acknowledged) < n_before + 50:
            stop.wait(0.01)
        own_server.stop(signal.SIGQUIT)
        own_server.start()
    stop.set()
    for writer in writers:
        writer.join()
    kept = [found.event.id for found in store.since()]
    assert len(kept) == len(set(kept))
    assert set(acknowledged) <= set(kept)


def test_one_lost_connection_is_no_error(url, opened):
    store = opened(url)
    store.add([Event("e1", "ann", "tea")])
    asked(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'palate'")
    assert store.add([Event("e2", "ann", "tea")]).is_new == (True,)


def test_passwords_stand_in_no_message(own_url):
    port = urlsplit(own_url).port
    passwords = ("hunter-22", "hunter%2F22", "palate")
    for address in (
        *(f"postgresql://palate:{password}@127.0.0.1:{port}/postgres" for password in passwords),
        f"postgresql://palate:{PASSWORD}@127.0.0.1:{port}/nowhere",
        f"postgresql://palate:{PASSWORD}@127.0.0.1:1/postgres",
        f"postgresql://palate:{PASSWORD}@nowhere.invalid/postgres",
        f"postgresql://palate:{PASSWORD}@127.0.0.1:port/postgres",
        f"postgresql://palate:{PASSWORD}@[127.0.0.1/postgres",
        f"postgresql://palate:100%{PASSWORD}@127.0.0.1:{port}/postgres",
        f"postgresql://palate:a/{PASSWORD}@127.0.0.1:{port}/postgres",
        f"postgresql://palate@127.0.0.1:{port}/postgres?password={PASSWORD}&nonsense=1",
        f"postgresql://palate@127.0.0.1:1/postgres?password={PASSWORD}",
    ):
        with pytest.raises(StoreError) as caught:
            open_store(address)
        said = str(caught.value)
        assert "hunter" not in said
        assert PASSWORD not in said
        assert "Start the server" in said or "cannot be read: write postgresql://" in said
        assert "\n" not in said


def test_schemas_that_are_not_ours_are_refused(url):
    asked(url, "CREATE SCHEMA palate", "CREATE TABLE palate.films (title text)")
    with pytest.raises(StoreError, match=r"schema palate of this database belongs to another program"):
        open_store(url)
    assert asked(url, "SELECT count(*) FROM palate.films") == [(0,)]
    asked(url, "DROP TABLE palate.films")
    open_store(url).close()  # an empty schema is one that was made for us
    asked(url, "UPDATE palate.state SET version = 2")
    with pytest.raises(StoreError, match=r"newer palate \(version 2, this palate knows 1\). Upgrade palate"):
        open_store(url)
    asked(url, "DELETE FROM palate.state")
    with pytest.raises(StoreError, match=r"not as palate left it: palate.state is empty"):
        open_store(url)


def test_errors_of_the_server_are_told_in_words(url, opened, monkeypatch):
    store = opened(url)
    monkeypatch.setattr("palate.serving.store.postgres_server.LOCK_SECONDS", 0.1)
    store._pool.drop()
    with psycopg.connect(url) as other:
        other.execute("SELECT * FROM palate.state FOR UPDATE")
        with pytest.raises(StoreBusyError, match=r"another process has locked .* Try again"):
            store.add([Event("e1", "ann", "tea")])
        assert store.last() == 0  # readers do not wait
    asked(url, "ALTER TABLE palate.events RENAME TO other")
    with pytest.raises(StoreError, match=r"not as palate left it: relation .* does not exist"):
        store.add([Event("e1", "ann", "tea")])
    asked(
        url,
        "ALTER TABLE palate.other RENAME TO events",
        "ALTER DATABASE postgres SET default_transaction_read_only = on",
    )
    try:
        store._pool.drop()
        with pytest.raises(StoreError, match=r"takes nothing new, since it follows another server"):
            store.add([Event("e1", "ann", "tea")])
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER DATABASE postgres RESET default_transaction_read_only")
    store._pool.drop()
    assert store.add([Event("e1", "ann", "tea")]).is_new == (True,)


def test_a_user_without_rights_is_told_what_to_grant(own_url):
    parts = urlsplit(own_url)
    poor = f"postgresql://poor:pw@127.0.0.1:{parts.port}/postgres"
    asked(own_url, "DROP ROLE IF EXISTS poor", "CREATE ROLE poor LOGIN PASSWORD 'pw'")
    with pytest.raises(StoreError, match=r"permission denied .* CREATE SCHEMA palate AUTHORIZATION"):
        open_store(poor)
    asked(own_url, "CREATE SCHEMA palate AUTHORIZATION poor")
    store = open_store(poor)
    assert store.add([Event("e1", "ann", "tea")]).is_new == (True,)
    store.close()
    asked(own_url, "DROP SCHEMA palate CASCADE", "DROP ROLE poor")


def test_a_database_in_another_encoding_is_refused(own_url):
    asked(own_url, "DROP DATABASE IF EXISTS latin", "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(StoreError, match=r"does not keep its texts in UTF-8"):
        open_store(own_url.replace("/postgres", "/latin"))
    asked(own_url, "DROP DATABASE latin")


def test_errors_about_values_are_feedback_errors(url, opened):
    store = opened(url)
    with pytest.raises(FeedbackError, match=r"cannot keep this"):
        store._run(lambda connection: connection.execute("SELECT 'x'::integer"))


def test_items_are_put_by_two_threads_in_any_order(url, opened):
    store = opened(url)
    items = [Item(f"item {n}", {"n": n}) for n in range(50)]

    def put(order):
        for _ in range(5):
            store.put_items(order)

    threads = [threading.Thread(target=put, args=(order,)) for order in (items, items[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(store.items()) == sorted(items)


def test_without_psycopg_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for name in ("postgres", "postgres_server"):
        monkeypatch.delitem(sys.modules, f"palate.serving.store.{name}", raising=False)
    with pytest.raises(StoreError, match=r"pip install 'palate\[postgres\]'"):
        open_store("postgresql://localhost/feedback")
