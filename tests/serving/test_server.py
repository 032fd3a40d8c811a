"""palate serve as a process: how it starts, reloads and ends, and what it says when it cannot start."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import palate
from helpers.command_line import ask as run
from helpers.serve_process import fetch
from helpers.serving import JSON
from palate.serving.store import open_store

LIST = "/v1/users/u3/recommendations"
HEAD = b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def rated(number, user="u3", item="i4", value=5.0):
    return {"id": f"e{number}", "user": user, "item": item, "value": value}


class Load:
    """Asks for lists from a few threads until the end of a block; counts failures, and sees which models answered."""

    def __init__(self, server, n_threads=3):
        self.url, self.n_threads = server.url, n_threads
        self.failures, self.models, self.n = [], set(), 0
        self.over = threading.Event()

    def __enter__(self):
        self.threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(self.n_threads)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def _ask(self, number):
        with httpx.Client(base_url=self.url, timeout=30) as http:
            while not self.over.is_set():
                try:
                    made = http.get(f"/v1/users/u{number}/recommendations", params={"n": 3})
                    self.n += 1
                    if made.status_code == 200:
                        self.models.add(made.json()["model"])
                    else:
                        self.failures.append(made.text)
                except httpx.TransportError as error:
                    self.failures.append(repr(error))


def swapped(file, ratings, seed=5):
    """Another model in the place of a file, written as another process would: beside it, then renamed."""
    new = file.with_name("other.new")
    palate.ALS(n_sweeps=3, seed=seed).fit(ratings).save(new)
    new.replace(file)


# ---- start and end


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_it_ends_after_the_requests_under_way(serve, tmp_path, number):
    server = serve("ratings")
    assert server.get(LIST)["items"]
    server.post("/v1/feedback", [rated(1)])
    port = int(server.url.rpartition(":")[2])
    body = json.dumps({"user": "u3", "items": ["i1", "i2"]}).encode()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as under_way:
        under_way.sendall(b"POST /v1/rank" + HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body[:5])
        time.sleep(0.3)  # long enough for the server to have begun
        server.send(number)
        server.wait_for(lambda: "Shutting down" in server.log or server.process.poll() is not None, "the end")
        under_way.sendall(body[5:])
        answer = under_way.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert server.process.wait(30) == 0
    assert "Traceback" not in server.log
    assert not list(tmp_path.glob("*-wal")), "the store was not closed"
    assert open_store(tmp_path / "palate-feedback.db").count() == 1


@pytest.mark.long
def test_feedback_that_was_acknowledged_survives_a_kill(serve, tmp_path):
    server = serve("ratings")
    for n in range(20):
        server.post("/v1/feedback", [rated(n, item=f"i{n}")])
    server.process.kill()
    server.process.wait()
    assert open_store(tmp_path / "palate-feedback.db").count() == 20
    assert serve("ratings").get("/v1/users/u3/history")["ratings"][-1]["item"] == "i19"


# ---- other models while it answers


@pytest.mark.long
def test_sighup_loads_a_changed_model_and_scenarios_without_a_failure(serve, tmp_path, ratings):
    (tmp_path / "scenarios.toml").write_text("[scenario.home]\nn = 3\n")
    server = serve("ratings", "--scenarios", "scenarios.toml")
    (before,) = server.models()
    assert server.http.get(LIST, params={"scenario": "away"}).status_code == 404
    (tmp_path / "scenarios.toml").write_text("[scenario.away]\nn = 2\n")
    with Load(server) as load:
        time.sleep(0.3)
        swapped(tmp_path / "ratings.palate", ratings)
        server.send(signal.SIGHUP)
        server.wait_for(lambda: server.models() != [before], "the other model")
        time.sleep(0.3)
    assert load.failures == []
    assert load.models == {before, *server.models()}
    server.wait_for(lambda: server.http.get(LIST, params={"scenario": "away"}).status_code == 200, "scenarios")
    assert len(server.get(LIST, scenario="away")["items"]) == 2
    assert server.stop() == 0


@pytest.mark.long
def test_a_file_swapped_by_another_process_is_picked_up_and_a_broken_one_is_not(serve, tmp_path, ratings):
    server, file = serve("ratings"), tmp_path / "ratings.palate"
    (before,) = server.models()
    whole = file.read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "half").replace(file)
    server.wait_for(lambda: "cannot be loaded" in server.log, "a warning")
    server.send(signal.SIGHUP)
    server.wait_for(lambda: "reload failed" in server.log, "a warning")
    assert server.models() == [before]
    assert server.get(LIST)["model"] == before
    swapped(file, ratings)
    server.wait_for(lambda: server.models() != [before], "the other model")
    assert server.log.count("cannot be loaded") == 1


# ---- workers


def each_worker(server, path):
    """The status and body of 12 answers over connections of their own, so that each worker gives some."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda _: fetch(server.url + path), range(12)))


def pids(server):
    listed = subprocess.run(["ps", "--ppid", str(server.process.pid), "-o", "pid="], capture_output=True, text=True)
    return listed.stdout.split()


@pytest.mark.long
def test_workers_see_each_others_feedback_models_and_keys(serve, tmp_path, ratings):
    server = serve("ratings", "--workers", "2")

    def known():
        return {made["known"] for _, made in each_worker(server, "/v1/users/ann/recommendations")}

    def models():
        return {made["model"] for _, made in each_worker(server, LIST)}

    assert known() == {False}
    server.post("/v1/feedback", [rated(1, "ann", "i2"), rated(2, "ann", "i7")])
    assert known() == {True}
    (before,), children = models(), pids(server)
    swapped(tmp_path / "ratings.palate", ratings)
    server.send(signal.SIGHUP)
    server.wait_for(lambda: before not in models(), "the other model")
    assert pids(server) == children, "SIGHUP reloads the workers; it does not start others"
    assert run("keys", "add", "app", "--scope", "read", cwd=tmp_path).returncode == 0
    server.wait_for(lambda: {status for status, _ in each_worker(server, LIST)} == {401}, "the key")
    assert server.stop(signal.SIGINT) == 0


# ---- what cannot start


@pytest.fixture(scope="module")
def port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as one:
        yield one.getsockname()[1]


REFUSED = {
    "a model that is not there": ("nothing.palate", "nothing.palate"),
    "a model that is none": ("text.palate", "text.palate"),
    "two of one name": ("ratings.palate other/ratings.palate", "differ"),
    "port taken": ("ratings.palate --port {port}", "--port"),
    "host without a key": ("ratings.palate --host 0.0.0.0", "palate keys add"),
    "host that is none": ("ratings.palate --host no.such.host.invalid --store keyed.db", "no.such.host.invalid"),
    "scenarios that are not there": ("ratings.palate --scenarios none.toml", "none.toml"),
    "scenarios that are no TOML": ("ratings.palate --scenarios text.palate", "TOML"),
    "a scenario with a wrong option": ("ratings.palate --scenarios wrong.toml", "scenario.home"),
    "bad refit policy": ("ratings.palate --refit often", "every 6 hours"),
    "refit every 0 events": ("ratings.palate --refit 'every 0 events'", "every 6 hours"),
    "ratings that are not there": ("ratings.palate --refit drift --ratings none.csv", "none.csv"),
    "a model with times alone": ("timed.palate --refit drift", "--ratings"),
    "a store that is none": ("ratings.palate --store text.palate", "text.palate"),
    "a store in no folder": ("ratings.palate --store no/folder/f.db", "no/folder"),
    "a store of another kind": ("ratings.palate --store mysql://x/y", "postgresql://"),
    "no PostgreSQL there": ("ratings.palate --store postgresql://x:hidden@127.0.0.1:1/y", "PostgreSQL"),
}
MISTYPED = {
    "no model": ("", "--demo"),
    "a model and a demo": ("ratings.palate --demo", "--demo"),
    "log": ("ratings.palate --log xml", "--log"),
    "port": ("ratings.palate --port 70000", "port"),
    "workers": ("ratings.palate --workers 0", "workers"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, files):
    """A folder with a model and with what is wrong."""
    made = tmp_path_factory.mktemp("wrong")
    (made / "other").mkdir()
    for place in (made, made / "other"):
        (place / "ratings.palate").write_bytes(files["ratings"].read_bytes())
    (made / "text.palate").write_text("this is no model, no TOML = [ and no database\n" * 30)
    (made / "wrong.toml").write_text("[scenario.home]\nn = -3\n")
    from dataclasses import replace

    model = palate.load(files["ratings"]).model
    palate.Recommender(replace(model, recipe={**model.recipe, "time": True})).save(made / "timed.palate")
    assert run("keys", "add", "one", "--store", "keyed.db", cwd=made).returncode == 0
    return made


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_served_is_told_in_one_line(folder, port_in_use, case):
    import shlex

    command, word = REFUSED[case]
    done = run("serve", *shlex.split(command.format(port=port_in_use)), cwd=folder)
    assert done.returncode == 1, (done.returncode, done.stderr)
    (line,) = done.stderr.splitlines()
    assert line.startswith("palate: ")
    assert word in line
    assert "bug in palate" not in line
    assert "hidden" not in line, "a password is told"
    assert done.stdout == ""


@pytest.mark.parametrize("case", MISTYPED)
def test_what_is_mistyped_is_told(folder, case):
    command, word = MISTYPED[case]
    done = run("serve", *command.split(), cwd=folder)
    assert done.returncode == 2, done.stderr
    assert word in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("gone", ["starlette", "uvicorn", "msgspec", "prometheus_client"])
def test_a_missing_extra_is_told(folder, gone):
    hidden = f"import sys; sys.modules[{gone!r}] = None; from palate.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", hidden, "serve", "ratings.palate"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert "pip install 'palate[serve]'" in line
    assert gone in line


# ---- keys


@pytest.mark.long
def test_keys_by_the_command_line(serve, tmp_path):
    (secret,) = run("keys", "add", "app", "--scope", "read", "--scope", "feedback", cwd=tmp_path).stdout.split()
    assert secret.startswith("palate_")
    assert run("keys", "add", "app", cwd=tmp_path).returncode == 1
    assert run("keys", "add", "other", "--scope", "everything", cwd=tmp_path).returncode == 2
    listed = run("keys", "list", cwd=tmp_path).stdout
    assert "app" in listed
    assert "feedback, read" in listed
    assert secret not in listed
    assert secret.encode() not in (tmp_path / "palate-feedback.db").read_bytes()
    server = serve("ratings")
    bearer = {"Authorization": f"Bearer {secret}"}
    assert "token" not in server.said
    assert server.http.get(LIST).status_code == 401
    assert server.http.get(LIST, headers=bearer).status_code == 200
    assert run("keys", "remove", "app", cwd=tmp_path).returncode == 0
    assert run("keys", "remove", "app", cwd=tmp_path).returncode == 1
    server.wait_for(lambda: server.http.get(LIST, headers=bearer).status_code == 401, "the key to be refused")
    assert server.http.get(LIST).status_code == 401, "the last key is gone, and the server is open"


# ---- the log


@pytest.mark.long
@pytest.mark.parametrize("form", ["text", "json"])
def test_the_log_has_a_line_a_request_and_nobody_in_it(serve, tmp_path, form):
    (secret,) = run("keys", "add", "app", "--scope", "read", cwd=tmp_path).stdout.split()
    server = serve("ratings", "--log", form, "--log-requests")
    n_before = len(server.log.splitlines())
    bearer = {"Authorization": f"Bearer {secret}"}
    hostile = [
        "/v1/users/SENSITIVE/recommendations?where=title%20=%20'SENSITIVE'",
        "/v1/users/SENSITIVE%0d%0aSENSITIVE%1b%5b31m/recommendations",
        "/v1/users/%E2%80%AESENSITIVE/similar?n=SENSITIVE",
        "/SENSITIVE%00/../%2e%2e/etc/passwd?SENSITIVE=1",
        "/admin/SENSITIVE",
    ]
    for path in hostile:
        for headers in (bearer, {"Authorization": "Bearer palate_SENSITIVE", "User-Agent": "SENSITIVE"}):
            server.http.get(path, headers=headers)
    port = int(server.url.rpartition(":")[2])
    for raw in (b"GET /SENSITIVE\x1b[31m HTTP/1.1\r\nHost: localhost\r\n\r\n", b"SENSITIVE\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
            one.sendall(raw)
            one.recv(65536)
    server.wait_for(lambda: server.log.count("answered") >= 2 * len(hostile), "the lines")
    assert server.stop() == 0
    assert "SENSITIVE" not in server.log + server.said
    assert secret not in server.log + server.said
    lines = server.log.splitlines()[n_before:]
    assert all(sign.isprintable() for line in lines for sign in line)
    answered = [line for line in lines if "answered" in line]
    assert any("/v1/users/{user}/recommendations" in line for line in answered)
    for line in lines:
        if form == "json":
            assert {"time", "level", "message"} <= set(json.loads(line))
        else:
            assert line.split()[1] in ("info", "warning", "error")


# ---- too slow, too much


@pytest.mark.long
def test_slow_and_huge_bodies_disturb_nobody(serve):
    server = serve("ratings")
    port = int(server.url.rpartition(":")[2])
    head = b"POST /v1/ask" + HEAD
    with socket.create_connection(("127.0.0.1", port), timeout=30) as slow:
        slow.sendall(head + b"Content-Length: 100\r\n\r\n{")
        with socket.create_connection(("127.0.0.1", port), timeout=30) as huge:
            huge.sendall(head + b"Content-Length: 999999999999\r\n\r\n{")
            assert huge.recv(65536).startswith(b"HTTP/1.1 413")
        with socket.create_connection(("127.0.0.1", port), timeout=30) as chunked:
            chunked.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
            piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
            try:
                for _ in range(40):
                    chunked.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before all was sent
            else:
                assert chunked.recv(65536).startswith(b"HTTP/1.1 413")
        assert server.get(LIST)["items"]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as endless:
        endless.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(400):
                endless.sendall(b"X-More: " + b"y" * 100_000 + b"\r\n")
    assert server.get(LIST)["items"]


def test_a_connection_that_never_asks_is_closed(monkeypatch):
    import asyncio

    import uvicorn
    from uvicorn.server import ServerState

    from palate.serving import protocol

    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def closed_after(*pieces):
        """What a connection answers until it is closed, to pieces that come one after the other."""
        config, state = uvicorn.Config(app, log_config=None), ServerState()
        config.load()
        server = await asyncio.get_running_loop().create_server(
            lambda: protocol.BoundedProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.05)
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return answer

    whole = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert asyncio.run(closed_after()) == b""
    assert asyncio.run(closed_after(b"GET / HT")) == b""
    assert asyncio.run(closed_after(whole, whole[:20])).count(b"200 OK") == 1
    assert asyncio.run(closed_after(whole[:9], whole[9:], whole + whole, whole[:9])).count(b"200 OK") == 3


def test_a_request_that_takes_too_long_is_given_up(ask):
    import asyncio

    client = ask(seconds=0.05)

    async def slow(_):
        await asyncio.sleep(5)

    client.service.lists.ask = slow
    made = client.ask("GET", LIST)
    assert made.status_code == 503
    assert made.headers["retry-after"] == "1"
    assert "0.05 seconds" in made.json()["detail"]

    async def dripping():
        yield b"{"
        await asyncio.sleep(5)

    assert "send it again" in client.problem("POST", "/v1/ask", 408, content=dripping(), headers=JSON)
    assert client.ask("POST", "/v1/ask", content=b"{}", headers=JSON).status_code == 200


@pytest.mark.long
@pytest.mark.data
def test_the_demo(serve):
    try:
        palate.datasets.load("ml-100k")
    except palate.errors.DatasetError as error:
        pytest.skip(f"ml-100k cannot be had: {error}")
    server = serve("--demo")
    (best, *_) = server.get("/v1/users/196/recommendations", n=3)["items"]
    assert best["title"]
    assert server.stop() == 0
