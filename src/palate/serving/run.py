"""Running the server: from what was typed to a listening process.

Each process makes its own service from the options, which stand in one environment variable as JSON, so that several
workers can be started with them.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
import socket
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from uvicorn.supervisors import Multiprocess

from palate.errors import OptionError
from palate.serving import logs
from palate.serving.app import application
from palate.serving.filelocks import try_lock
from palate.serving.guard import Guard
from palate.serving.hosts import LOOPBACK, hosts_of
from palate.serving.learning import recipe_of
from palate.serving.models import Models, load_served
from palate.serving.observing import Observed
from palate.serving.protocol import BoundedProtocol
from palate.serving.refitting import FIT, Policy, Refitter
from palate.serving.scenarios import read_scenarios
from palate.serving.service import Service, Settings
from palate.serving.store import GroupCommit, open_store

COLLECT = 20_000, 20, 50  # objects before a collection: answers are freed without one
OPTIONS = "PALATE_SERVE"  # the environment variable
BACKLOG = 2048  # connections that may wait to be accepted


class ServeOptions(msgspec.Struct, kw_only=True):
    """What palate serve was asked for.

    Attributes:
        models (list of str): Files of models; the first one answers everybody until shares are set.
        host (str): The address to listen at.
        port (int): The port; 0 takes a free one.
        allow_hosts (list of str): More names that requests may have in their Host header.
        store (str): Where feedback is kept: a path, or postgresql://...
        workers (int): Processes that answer.
        refit (str): When to fit again: "never", "every 1000 events", "every 6 hours", "drift".
        log (str): "text" or "json".
        log_requests (bool): A line in the log for each request.
        ratings (str or None): The file of training ratings, for fitting again; None takes those in the model.
        scenarios (str or None): The TOML file of scenarios.
        admin_token (str or None): For administration without keys.
    """

    models: list[str]
    host: str = "127.0.0.1"
    port: int = 8000
    allow_hosts: list[str] = []
    store: str = "palate-feedback.db"
    workers: int = 1
    refit: str = "never"
    log: str = "text"
    log_requests: bool = False
    ratings: str | None = None
    scenarios: str | None = None
    admin_token: str | None = None


# ---- before it runs


def check(options: ServeOptions) -> bool:
    """Raise OptionError, StoreError or ModelFileError for what could not be served; return whether there are keys."""
    policy = Policy.parse(options.refit)
    _check_models(options, fits=policy != Policy())
    if options.scenarios is not None:
        read_scenarios(Path(options.scenarios))
    if options.ratings is not None and not Path(options.ratings).is_file():
        raise OptionError(f"there is no file {options.ratings}; name that of the training ratings in ratings=.")
    store = open_store(options.store)
    try:
        has_keys = bool(store.keys())
    finally:
        store.close()
    if options.host not in LOOPBACK and not has_keys:
        raise OptionError(
            f"host {options.host} can be reached from outside, and there is no key: make one with "
            f"palate keys add NAME --store {options.store}, or listen at 127.0.0.1."
        )
    return has_keys


def _check_models(options: ServeOptions, *, fits: bool) -> None:
    """Raise ModelFileError or OptionError for models that cannot be served, or fitted again where that is wanted."""
    paths = [Path(path) for path in options.models]
    name, count = Counter(path.stem for path in paths).most_common(1)[0]
    if count > 1:
        raise OptionError(f"{count} models are called {name!r}; give their files names that differ.")
    first, *_ = [load_served(path) for path in paths]
    if not fits:
        return
    recipe_of(first.model)
    if first.model.recipe.get("time") and options.ratings is None:
        raise OptionError(f"{paths[0]} learned from times, which its file does not keep: give ratings=, a file.")
    try:
        held = try_lock(paths[0], FIT)
    except OSError as error:
        raise OptionError(
            f"a new fit cannot be written beside {paths[0]}: {error.strerror}. Give refit never, or another folder."
        ) from None
    if held is not None:
        held.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; connections wait in it until the server runs. Raises OptionError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )[0]
        one = socket.socket(family)
    except (OSError, UnicodeError):
        raise OptionError(f"host {host!r} is no address of this machine; give one, such as 127.0.0.1.") from None
    try:
        if os.name == "posix":
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(address)
        one.listen(BACKLOG)
    except OSError as error:
        one.close()
        raise OptionError(_why_not(error, host, port)) from None
    one.set_inheritable(True)
    return one


def _why_not(error: OSError, host: str, port: int) -> str:
    """Why nothing listens there."""
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken; give another one in port=, or 0 for a free one."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} may not be used by you; give one above 1023 in port=."
    return f"the server cannot listen at {host}, port {port}: {error.strerror}."


# ---- running


def run(options: ServeOptions, listening: socket.socket) -> None:
    """Serve until a signal says stop. The options have been checked."""
    os.environ[OPTIONS] = msgspec.json.encode(options).decode()
    logs.start("json" if options.log == "json" else "text", requests=options.log_requests)
    config = uvicorn.Config(
        "palate.serving.run:made",
        factory=True,
        http=BoundedProtocol,
        workers=options.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=10,
    )
    if options.workers > 1:
        _Workers(config, sockets=[listening]).run()
    else:
        _run_alone(config, listening)


def _run_alone(config: uvicorn.Config, listening: socket.socket) -> None:
    """Serve in this process. uvicorn stops at a signal, and then raises it once more: the end is a good one."""
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: sys.exit(0))
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    server = uvicorn.Server(config)
    server.run(sockets=[listening])
    if not server.started:
        raise OptionError("the server did not start; the lines above say why.")


class _Workers(Multiprocess):
    """Several processes. SIGHUP is for each of them, which loads its models anew; uvicorn would start others."""

    def handle_hup(self) -> None:
        for process in self.processes:
            if process.pid is not None and process.process.is_alive():
                os.kill(process.pid, signal.SIGHUP)


def made() -> Observed:
    """The application of this process, from the options in its environment."""
    options = msgspec.json.decode(os.environ[OPTIONS], type=ServeOptions)
    logs.start("json" if options.log == "json" else "text", requests=options.log_requests)
    service = service_of(options)
    app = application(service)
    _reload_on_hangup(service, options)
    gc.collect()
    gc.freeze()  # models stay: no collection need look at them
    gc.set_threshold(*COLLECT)
    return app


def service_of(options: ServeOptions) -> Service:
    """The service of one process."""
    store = open_store(options.store)
    models = Models(*(load_served(Path(path)) for path in options.models))
    settings = Settings(scenarios=_scenarios(options), hosts=hosts_of(options.host, options.allow_hosts))
    service = Service(models, store, GroupCommit(store), Guard(store.keys(), options.admin_token), settings)
    policy = Policy.parse(options.refit)
    service.refitter = Refitter(service, Path(options.models[0]), options.store, policy, options.ratings)
    return service


def _scenarios(options: ServeOptions) -> dict[str, Any]:
    return {} if options.scenarios is None else dict(read_scenarios(Path(options.scenarios)))


def _reload_on_hangup(service: Service, options: ServeOptions) -> None:
    """Load models, scenarios and keys anew at SIGHUP; what answers now goes on answering until then."""
    log = logging.getLogger("palate.serving")
    under_way: set[asyncio.Task[None]] = set()

    async def reload() -> None:
        try:
            await service.reload(_scenarios(options))
        except Exception as error:
            log.warning("reload failed; the models stay as they were", extra={"reason": str(error)})

    def begin() -> None:
        task = asyncio.get_running_loop().create_task(reload())
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    if hasattr(signal, "SIGHUP"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, begin)
