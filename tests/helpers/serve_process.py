"""palate serve as a process of its own, on a free port."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import httpx

from helpers.command_line import environment


def fetch(url):
    """The status and the JSON of an answer, over a connection of its own."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


class Server:
    """A server that runs. `said` is its standard output, `log` its standard error so far."""

    def __init__(self, *args, cwd, env=None):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "palate", "serve", *map(str, args), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=environment({"PYTHONUNBUFFERED": "1"} | (env or {})),
            encoding="utf-8",
            errors="backslashreplace",
        )
        self.lines = {"said": [], "log": []}
        pipes = {"said": self.process.stdout, "log": self.process.stderr}
        self.readers = [threading.Thread(target=self._read, args=one, daemon=True) for one in pipes.items()]
        for reader in self.readers:
            reader.start()
        self.url = self.wait_for(lambda: re.search(r" at (http://\S+:\d+)/ ", self.said), "an address")[1]
        self.http = httpx.Client(base_url=self.url, timeout=30)
        found = re.search(r"token (\S+)", self.said)
        self.admin = {} if found is None else {"X-Palate-Admin": found[1]}
        self.wait_for(self.is_ready, "an answer")

    def _read(self, what, pipe):
        for line in pipe:
            self.lines[what].append(line)

    @property
    def said(self):
        return "".join(self.lines["said"])

    @property
    def log(self):
        return "".join(self.lines["log"])

    def is_ready(self):
        try:
            return self.http.get("/health/ready").status_code in (200, 401)
        except httpx.TransportError:
            return False

    def wait_for(self, ready, what, seconds=60):
        """Return what ready() returns once it is true."""
        until = time.monotonic() + seconds
        while not (found := ready()):
            assert self.process.poll() is None, f"the server ended: {self.said}{self.log}"
            assert time.monotonic() < until, f"waited for {what}: {self.said}{self.log}"
            time.sleep(0.05)
        return found

    def get(self, path, **params):
        made = self.http.get(path, params=params)
        assert made.status_code == 200, made.text
        return made.json()

    def post(self, path, body, **options):
        made = self.http.post(path, json=body, **options)
        assert made.status_code == 200, made.text
        return made.json()

    def models(self):
        """The ids of the models that answer."""
        return self.get("/health/ready")["models"]

    def fit(self):
        """What came of a fit asked for."""
        made = self.http.post("/admin/fit", headers=self.admin, timeout=60)
        assert made.status_code == 200, made.text
        return made.json()

    def fits(self):
        """The fits until now, of the process that answers."""
        return self.http.get("/admin/models", headers=self.admin).json()["fits"]

    def send(self, number):
        os.kill(self.process.pid, number)

    def stop(self, number=signal.SIGTERM):
        """Send a signal; the exit code."""
        if self.process.poll() is None:
            self.send(number)
        code = self.process.wait(60)
        for reader in self.readers:
            reader.join(10)
        self.http.close()
        return code

    def kill(self):
        """End it at once, if it still runs."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for reader in self.readers:
            reader.join(10)
        self.process.stdout.close()
        self.process.stderr.close()
        self.http.close()
