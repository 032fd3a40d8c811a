"""The store in a file: what is left after forgetting, which files are refused, and what its errors say."""

import itertools
import os
import random
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from palate.errors import StoreBusyError, StoreError
from palate.serving.store import Event, open_store
from palate.serving.store.sqlite import SqliteStore
from palate.serving.store.sqlite_file import APPLICATION
from palate.serving.store.traces import holds


@pytest.fixture
def path(tmp_path):
    return tmp_path / "feedback.db"


def bytes_of(path):
    """All bytes of the database and the files beside it. For tests only: closing a file gives up its locks."""
    files = [found for found in path.parent.iterdir() if found.name.startswith(path.name)]
    done = subprocess.run([sys.executable, "-c", READ, *files], capture_output=True, check=True)
    return done.stdout


READ = "import sys; [sys.stdout.buffer.write(open(name, 'rb').read()) for name in sys.argv[1:]]"


def test_the_file_is_synchronised_and_its_own(path, opened):
    store = opened(path)
    settings = {name: store._writer.execute(f"PRAGMA {name}").fetchall()[0][0] for name in
                ("journal_mode", "synchronous", "secure_delete", "application_id")}  # fmt: skip
    assert settings == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "application_id": APPLICATION}
    assert store._readers._connect().execute("PRAGMA query_only").fetchall() == [(1,)]
    if os.name == "posix":
        store.add([Event("e1", "ann", "tea")])
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_nothing_of_a_forgotten_user_is_left_in_the_files(path, opened):
    """Users are forgotten in turn, between new events of others."""
    store, chosen = opened(path), random.Random(5)
    users = [f"user-{chosen.getrandbits(60):x}" for _ in range(30)]
    for round_ in range(10):
        for begin in range(0, 300, 50):
            who = [chosen.choice(users) for _ in range(50)]
            ids = [f"id-{round_}-{begin}-{n}-{user}" for n, user in enumerate(who)]
            store.add([Event(id_, user, "tea", answer=f"to {user}") for id_, user in zip(ids, who, strict=True)])
        user = users.pop(round_)
        assert store.forget(user).n_events > 0
        left = bytes_of(path)
        assert user.encode() not in left
        assert users[0].encode() in left


def forget_all(path, seed):
    """How many users were still found in the files after forgetting them, and how often the file was written anew."""
    store, chosen, written = open_store(path), random.Random(seed), []
    store._writer.execute("PRAGMA synchronous = OFF")
    store._writer.set_trace_callback(lambda statement: written.append(statement) if statement == "VACUUM" else None)
    users = [f"user-{n:04}" for n in range(40)]
    store.add([Event(f"e{n}", chosen.choice(users), "i" * chosen.randrange(1500)) for n in range(1500)])
    n_left = 0
    for user in users:
        store.forget(user)
        n_left += user.encode() in path.read_bytes()  # closing it gives up locks that nobody else here would take
    store.close()
    path.unlink()
    return n_left, len(written)


def test_copies_of_rows_that_the_database_moved_are_wiped_too(path, monkeypatch):
    after = [forget_all(path, seed) for seed in range(2)]
    assert [n_left for n_left, _ in after] == [0, 0]
    assert sum(n_written for _, n_written in after) > 0
    # Without the search some would be left: overwriting what is deleted is not enough.
    monkeypatch.setattr("palate.serving.store.sqlite.holds", lambda *_: False)
    assert sum(forget_all(path, seed)[0] for seed in range(2)) > 0


def test_short_labels_are_found_by_the_mark_of_their_rows(path, opened):
    store = opened(path)
    store.add([Event("a-long-id-of-ann", "ann", "tea"), Event("e2", "bob", "tea")])
    assert holds(path.with_name("feedback.db-wal"), [store._digests.mark("ann")])
    store.forget("ann")
    assert b"a-long-id-of-ann" not in bytes_of(path)
    assert not holds(path, [store._digests.mark("ann")])
    assert path.with_name("feedback.db-wal").stat().st_size < 20_000  # what came after it was cut to nothing


def test_the_digest_of_a_forgotten_user_needs_the_secret_of_the_store(tmp_path, opened):
    digests = []
    for name in "ab":
        store = opened(tmp_path / name)
        store.forget("ann")
        digests += store._read("SELECT digest FROM forgotten")
    assert len({digest for (digest,) in digests}) == 2
    assert all(len(digest) == 32 for (digest,) in digests)


def test_forgetting_that_was_killed_is_finished_when_the_store_is_opened(path, opened, monkeypatch):
    store = opened(path)
    store.add([Event("e1", "somebody-long", "tea"), Event("e2", "bob", "tea")])

    def failing(*_):
        raise OSError("as if killed")

    monkeypatch.setattr(SqliteStore, "_wipe", failing)
    with pytest.raises(StoreError, match=r"removed, but copies may be left .* forget the user once more"):
        store.forget("somebody-long")
    assert b"somebody-long" in bytes_of(path)
    monkeypatch.undo()
    again = opened(path)
    assert b"somebody-long" not in bytes_of(path)
    assert again.is_forgotten(["somebody-long"]) == [True]
    assert [found.event.user for found in again.since()] == ["bob"]


def test_a_reader_that_does_not_end_is_told_of_and_forgetting_again_helps(path):
    store = SqliteStore(path, busy_seconds=0.1)
    store.add([Event("e1", "somebody-long", "tea")])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT * FROM events").fetchall()
    with pytest.raises(StoreError, match=r"has read .*feedback.db for 0.1 s.* forget the user once more"):
        store.forget("somebody-long")
    other.execute("COMMIT")
    assert store.forget("somebody-long").n_events == 0
    assert b"somebody-long" not in bytes_of(path)
    other.close()
    store.close()


def test_last_asks_the_table_only_if_somebody_wrote(path, opened):
    store, other = opened(path), opened(path)
    asked = []
    store.last()
    store._watcher.set_trace_callback(asked.append)
    for _ in range(5):
        assert store.last() == 0
    assert set(asked) == {"PRAGMA data_version"}
    other.add([Event("e1", "ann", "tea")])
    assert store.last() == 1
    assert asked[-1].startswith("SELECT last")


def test_a_search_finds_what_lies_across_two_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr("palate.serving.store.traces.CHUNK", 10)
    path = tmp_path / "file"
    path.write_bytes(b"0123456ABCDE" + bytes(30) + b"Z")
    for trace, found in {b"ABCDE": True, b"ABCE": False, b"Z": True, b"DE\0": True, b"Y": False}.items():
        assert holds(path, [trace]) is found
        assert holds(path, [b"nowhere at all", trace]) is found


def test_looking_through_the_file_keeps_the_locks_of_sqlite(path):
    """A process that closes a file loses its locks on it: another one would then remove the log, as if it was alone."""
    store = SqliteStore(path)
    store.add([Event("e1", "somebody-long", "tea")])
    store.forget("somebody-long")
    store.add([Event("e2", "ann", "tea")])
    source = "import sys; from palate.serving.store import open_store; open_store(sys.argv[1]).close()"
    subprocess.run([sys.executable, "-c", source, path], check=True)
    assert path.with_name("feedback.db-wal").exists()
    assert store.add([Event("e3", "ann", "tea")]).is_new == (True,)
    store.close()
    again = open_store(path)
    assert [found.event.id for found in again.since()] == ["e2", "e3"]
    again.close()


def test_processes_that_open_a_new_store_at_once(path):
    source = """
import sys
from palate.serving.store import Event, open_store
store = open_store(sys.argv[1])
for n in range(20): store.add([Event(f"{sys.argv[2]}-{n}", "ann", "tea"), Event(f"shared-{n}", "ann", "tea")])
store.close()
"""
    children = [subprocess.Popen([sys.executable, "-c", source, path, str(n)]) for n in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    store = open_store(path)
    numbers = [found.number for found in store.since()]
    assert numbers == list(range(1, 81))
    store.close()


def made_by(path, *statements):
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return path.read_bytes()


def test_a_database_of_another_program_is_refused_and_left_alone(path):
    before = made_by(path, "CREATE TABLE films (title TEXT)")
    with pytest.raises(StoreError, match=r"feedback.db is a database of another program. Give the path"):
        open_store(path)
    assert path.read_bytes() == before
    path.unlink()
    made_by(path, "PRAGMA user_version = 7")
    with pytest.raises(StoreError, match="another program"):
        open_store(path)


def test_a_newer_store_is_refused(path):
    open_store(path).close()
    made_by(path, "PRAGMA user_version = 2")
    with pytest.raises(StoreError, match=r"newer palate \(its tables have version 2, this palate knows 1\). Upgrade"):
        open_store(path)


def test_files_that_are_no_database_are_refused(path, tmp_path):
    path.write_bytes(b"user,item,rating\n" * 500)
    with pytest.raises(StoreError, match=r"feedback.db is not an SQLite database"):
        open_store(path)
    with pytest.raises(StoreError, match=r"cannot be opened. Its folder must exist"):
        open_store(tmp_path / "nowhere" / "feedback.db")
    with pytest.raises(StoreError, match="cannot be opened"):
        open_store(tmp_path)


def test_damage_is_told_of_in_words(path):
    store = open_store(path)
    store.add([Event(f"e{n}", f"user {n}", "tea") for n in range(500)])
    store.close()
    whole = path.read_bytes()
    said, chosen = set(), random.Random(3)
    for begin in range(100, len(whole), 4096):
        for damage in (bytes(1500), b"\xff" * 1500, chosen.randbytes(1500), chosen.randbytes(8)):
            path.write_bytes(whole[:begin] + damage + whole[begin + len(damage) :])
            try:
                store = open_store(path)
                try:
                    assert len(list(itertools.islice(store.since(), 2000))) < 2000  # it ends
                    store.of_user("user 3")
                    store.add([Event("new", "ann", "tea")])
                finally:
                    store.close()
            except StoreError as error:
                said.add(str(error).split(". ")[0].replace(str(path), "FILE"))
    assert said
    assert [text for text in said if "FILE is" not in text and "FILE cannot" not in text] == []
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError):
        store = open_store(path)
        list(store.since())
    ours = [f"PRAGMA application_id = {APPLICATION}", "PRAGMA user_version = 1"]
    made_by(path.with_name("other.db"), *ours, "CREATE TABLE x (y)")
    with pytest.raises(StoreError, match="not as palate left it"):
        open_store(path.with_name("other.db"))


def test_a_full_disk_keeps_what_was_acknowledged(path, opened):
    store = opened(path)
    store.add([Event("e1", "ann", "tea")])
    pages = store._writer.execute("PRAGMA page_count").fetchall()[0][0]
    store._writer.execute(f"PRAGMA max_page_count = {pages + 2}").fetchall()
    with pytest.raises(StoreError, match=r"feedback.db cannot grow: the disk is full. Make room"):
        store.add([Event(f"x{n}", "ann", "tea" * 100) for n in range(1000)])
    assert (store.count(), store.last()) == (1, 1)
    store._writer.execute("PRAGMA max_page_count = 100000").fetchall()
    assert store.add([Event("e1", "ann", "tea"), Event("e2", "ann", "tea")]).is_new == (False, True)


def test_a_locked_file_is_told_of(path):
    store = SqliteStore(path, busy_seconds=0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for change in (lambda: store.add([Event("e1", "ann", "tea")]), lambda: store.forget("ann")):
        with pytest.raises(StoreBusyError, match=r"another process has locked .*feedback.db for 0.1 s. Try again"):
            change()
    assert store.of_user("ann") == []  # readers do not wait
    other.execute("ROLLBACK")
    assert store.add([Event("e1", "ann", "tea")]).is_new == (True,)
    other.close()
    store.close()


def test_a_folder_that_may_not_be_written_is_told_of():
    """In a process that is not root, whom nothing stops."""
    if os.name != "posix":
        pytest.skip("rights of folders are those of POSIX here")
    source = """
import os, sys
from palate.errors import StoreError
from palate.serving.store import open_store, sqlite
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for name in sys.argv[1:]:
    try: open_store(name)
    except StoreError as error: print(error)
"""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "feedback.db"
        open_store(path).close()
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        command = [sys.executable, "-c", source, path, path.with_name("new.db")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        Path(folder).chmod(0o755)
    old, new = done.stdout.splitlines()
    assert "feedback.db may not be written. Give the user of this process the right" in old
    assert "new.db cannot be opened. Its folder must exist, and the user of this process must be able to" in new


def test_threads_read_while_others_write(path, opened):
    store = opened(path)
    stop, seen = threading.Event(), []

    def read():
        while not stop.is_set():
            last = store.last()
            numbers = [found.number for found in store.since(0, last)]
            seen.append(numbers == list(range(1, last + 1)))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for n in range(150):
        store.add([Event(f"e{n}", "ann", "tea")])
    stop.set()
    for reader in readers:
        reader.join()
    assert seen
    assert all(seen)


def test_rows_out_of_order_are_damage_and_not_read_for_ever(path, opened, monkeypatch):
    """A page that points back would give the same rows again and again."""
    store = opened(path)
    store.add([Event(f"e{n}", "ann", "tea") for n in range(3)])
    rows = store._read("SELECT number, id, user_label, item_label, value, event, time, answer FROM events")
    monkeypatch.setattr(store, "_read", lambda *_: rows)
    with pytest.raises(StoreError, match=r"feedback.db is damaged. Stop palate and put a copy from before"):
        list(itertools.islice(store.since(), 100))
