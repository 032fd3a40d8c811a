"""Running the server: from what was typed to a listening process.

Each process makes its own service from the options, which stand in one environment variable as JSON, so that several
workers can be started with them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from palate.errors import OptionError
from palate.serving import logs
from palate.serving.app import application
from palate.serving.guard import Guard
from palate.serving.models import Models, load_served
from palate.serving.observing import Observed
from palate.serving.refitting import Policy, Refitter
from palate.serving.scenarios import read_scenarios
from palate.serving.service import Service, Settings
from palate.serving.store import GroupCommit, open_store

OPTIONS = "PALATE_SERVE"  # the environment variable
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ServeOptions(msgspec.Struct, kw_only=True):
    """What palate serve was asked for.

    Attributes:
        models (list of str): Files of models; the first one answers everybody until shares are set.
        host (str): The address to listen at.
        port (int): The port.
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
    store: str = "palate-feedback.db"
    workers: int = 1
    refit: str = "never"
    log: str = "text"
    log_requests: bool = False
    ratings: str | None = None
    scenarios: str | None = None
    admin_token: str | None = None


def run(options: ServeOptions) -> None:
    """Serve until a signal says stop. The options have been checked."""
    os.environ[OPTIONS] = msgspec.json.encode(options).decode()
    uvicorn.run(
        "palate.serving.run:made",
        factory=True,
        host=options.host,
        port=options.port,
        workers=options.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=10,
    )


def free_port(host: str) -> int:
    """A port that nothing listens at."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as one:
        one.bind((host, 0))
        return int(one.getsockname()[1])


def check(options: ServeOptions) -> bool:
    """Raise OptionError, StoreError or ModelFileError for what could not be served; return whether there are keys."""
    Policy.parse(options.refit)
    for path in options.models:
        load_served(Path(path))
    if options.scenarios is not None:
        read_scenarios(Path(options.scenarios))
    store = open_store(options.store)
    try:
        has_keys = bool(store.keys())
        if options.host not in LOOPBACK and not has_keys:
            raise OptionError(
                f"host {options.host} can be reached from outside, and there is no key: make one with "
                f"palate keys add NAME --store {options.store}, or listen at 127.0.0.1."
            )
        return has_keys
    finally:
        store.close()


def made() -> Observed:
    """The application of this process, from the options in its environment."""
    options = msgspec.json.decode(os.environ[OPTIONS], type=ServeOptions)
    logs.start("json" if options.log == "json" else "text", requests=options.log_requests)
    service = service_of(options)
    app = application(service)
    _reload_on_hangup(service, options)
    return app


def service_of(options: ServeOptions) -> Service:
    """The service of one process."""
    store = open_store(options.store)
    models = Models(*(load_served(Path(path)) for path in options.models))
    scenarios: dict[str, Any] = {} if options.scenarios is None else read_scenarios(Path(options.scenarios))
    guard = Guard(store.keys(), options.admin_token)
    service = Service(models, store, GroupCommit(store), guard, Settings(scenarios=scenarios))
    policy = Policy.parse(options.refit)
    service.refitter = Refitter(service, Path(options.models[0]), options.store, policy, options.ratings)
    return service


def _reload_on_hangup(service: Service, options: ServeOptions) -> None:
    """Load models, scenarios and keys anew at SIGHUP; what answers now goes on answering until then."""
    log = logging.getLogger("palate.serving")

    def reload() -> None:
        try:
            service.reload([service.loaded(Path(path)) for path in options.models])
        except Exception as error:
            log.warning("reload failed; the models stay as they were", extra={"reason": str(error)})

    if hasattr(signal, "SIGHUP"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
