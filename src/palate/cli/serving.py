"""palate serve, and palate keys: a model over HTTP, and who may ask it."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, BadParameter, Option

from palate.cli import printing
from palate.cli.job_options import Commands
from palate.errors import OptionError

STORE = "palate-feedback.db"
NEEDS = "palate serve needs more than is installed: pip install 'palate[serve]' ({})."

Store = Annotated[
    str, Option("--store", metavar="URL", help="Where feedback is kept: a file, or postgresql://user@host/database.")
]

keys = Commands(prefix="keys ", help="Keys to a server: add, list, remove.", no_args_is_help=True, add_completion=False)


def serve(
    model: Annotated[
        list[Path] | None, Argument(metavar="MODEL...", help="Saved models; the first answers.", show_default=False)
    ] = None,
    *,
    demo: Annotated[bool, Option("--demo", help="Make a model of MovieLens 100K first, and serve that.")] = False,
    host: Annotated[str, Option(help="The address to listen at; others than loopback need a key.")] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8000,
    allow_host: Annotated[
        list[str], Option("--allow-host", metavar="NAME", help="A name in the Host header of a proxy; repeat for more.")
    ] = [],  # noqa: B006
    store: Store = STORE,
    workers: Annotated[int, Option(min=1, max=64, help="Processes that answer.")] = 1,
    refit: Annotated[
        str, Option(metavar="WHEN", help="Fit again: never, every 1000 events, every 6 hours, or drift.")
    ] = "never",
    ratings: Annotated[
        Path | None,
        Option(metavar="FILE", help="The training ratings, for --refit; else those in the model.", show_default=False),
    ] = None,
    scenarios: Annotated[
        Path | None, Option(metavar="FILE", help="A TOML file of named options for lists.", show_default=False)
    ] = None,
    log: Annotated[str, Option(help="text or json.")] = "text",
    log_requests: Annotated[bool, Option("--log-requests", help="A line in the log for each request.")] = False,
) -> None:
    """Serve a model over HTTP, with a page to look at it. Ctrl-C stops it, after the requests under way."""
    if demo == bool(model):
        raise BadParameter("name a MODEL to serve, or --demo.")
    if log not in ("text", "json"):
        raise BadParameter("--log is text or json.")
    serving = _serving()
    paths = [_demo_model()] if demo else [str(path) for path in model or ()]
    token = secrets.token_urlsafe(24)
    options = serving.ServeOptions(
        models=paths,
        host=host,
        port=port,
        allow_hosts=allow_host,
        store=store,
        workers=workers,
        refit=refit,
        ratings=None if ratings is None else str(ratings),
        scenarios=None if scenarios is None else str(scenarios),
        log=log,
        log_requests=log_requests,
        admin_token=token,
    )
    has_keys = serving.check(options)
    listening = serving.listen(host, port)
    address = f"http://{_shown(host)}:{listening.getsockname()[1]}"
    printing.say(f"{', '.join(paths)} at {address}/  (API: {address}/docs; Ctrl-C stops)")
    if not has_keys:
        printing.say(f"administration: {address}/admin  token {token}")
    sys.stdout.flush()
    serving.run(options, listening)


@keys.command()
def add(
    name: Annotated[str, Argument(metavar="NAME", help="What the key is called.")],
    *,
    scope: Annotated[list[str], Option("--scope", help="read, feedback or admin; repeat for several.")] = ["read"],  # noqa: B006
    store: Store = STORE,
) -> None:
    """Make a key and print it, once: only its hash is kept."""
    _serving()
    from palate.serving.guard import SCOPES, digest_of, new_secret
    from palate.serving.store import Key, open_store

    wrong = sorted(set(scope) - set(SCOPES))
    if wrong:
        raise BadParameter(f"there is no scope {wrong[0]!r}; there are {', '.join(SCOPES)}.")
    secret = new_secret()
    kept = open_store(store)
    try:
        kept.add_key(Key(name, digest_of(secret), frozenset(scope)))
    finally:
        kept.close()
    printing.say(secret)
    printing.note("this is shown only now. Send it with each request: Authorization: Bearer palate_...")


@keys.command("list")
def list_keys(*, store: Store = STORE) -> None:
    """List the keys: name and scopes."""
    kept = _opened(store)
    try:
        found = sorted(kept.keys())
    finally:
        kept.close()
    columns: dict[str, list[Any]] = {
        "key": [key.name for key in found],
        "scopes": [", ".join(sorted(key.scopes)) for key in found],
    }
    printing.print_table(columns)


@keys.command()
def remove(
    name: Annotated[str, Argument(metavar="NAME", help="The key to remove.")],
    *,
    store: Store = STORE,
) -> None:
    """Remove a key. A server that runs refuses it within a few seconds."""
    kept = _opened(store)
    try:
        if not kept.remove_key(name):
            raise OptionError(f"there is no key {name!r}.")
    finally:
        kept.close()


def _opened(store: str) -> Any:
    _serving()
    from palate.serving.store import open_store

    return open_store(store)


def _serving() -> Any:
    """What serves. Raises OptionError that names the extra where it is not installed."""
    try:
        from palate.serving import run
    except ModuleNotFoundError as error:
        raise OptionError(NEEDS.format(f"there is no {error.name}")) from None
    return run


def _demo_model() -> str:
    """The path of a model of MovieLens 100K with titles; made where it is not there yet."""
    import palate

    path = Path("demo.palate")
    if not path.exists():
        printing.say("reading MovieLens 100K and learning from it, once.")
        palate.Bayes().fit(palate.datasets.load("ml-100k")).save(path)
    return str(path)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
