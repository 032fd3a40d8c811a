"""The options that every command has: --quiet, --log and --config; and the commands that have them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import BadParameter, Context, Option

from palate.cli import job
from palate.cli.config import configured
from palate.cli.examples import epilog_of
from palate.cli.helping import JOBS, Helpful


def _quiet(context: Context, value: bool | None) -> bool | None:
    if value and not context.resilient_parsing:
        job.current().quiet()
    return value


def _log(context: Context, value: str | None) -> str | None:
    if value is None or context.resilient_parsing:
        return value
    if value not in job.FORMS:
        raise BadParameter(f"{value!r} is not valid; use one of {', '.join(job.FORMS)}.")
    job.current().log(value)
    return value


JOB_OPTIONS: dict[str, Any] = {
    "quiet": Annotated[
        bool | None,
        Option("--quiet", "-q", help="No notes and no progress: only the answer and errors.", show_default=False,
               rich_help_panel=JOBS, callback=_quiet),
    ],
    "log": Annotated[
        str | None,
        Option("--log", metavar="FORM", help="Log events to standard error: text, json (an object a line) or none.",
               show_default=False, rich_help_panel=JOBS, callback=_log, autocompletion=lambda: list(job.FORMS)),
    ],
    "config": Annotated[
        Path | None,
        Option("--config", metavar="FILE", help="A TOML file of options, under their names in Python. What is typed "
               "wins.", show_default=False, rich_help_panel=JOBS, callback=configured, is_eager=True),
    ],
}  # fmt: skip


def with_job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command with the options of jobs; an own option of the same name stays."""
    signature = inspect.signature(command, eval_str=True)
    options = {name: kind for name, kind in JOB_OPTIONS.items() if name not in signature.parameters}
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in options.items()
    ]

    @wraps(command)
    def whole(**given: Any) -> Any:
        return command(**{name: value for name, value in given.items() if name not in options})

    parameters = [*signature.parameters.values(), *added]
    whole.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    whole.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return whole


class Commands(typer.Typer):
    """Commands with the options of jobs, with examples in their help, and with defaults as the library has them.

    prefix: the words before the names of these commands, in the table of examples.
    """

    def __init__(self, *, prefix: str = "", **settings: Any) -> None:
        self._prefix = prefix
        super().__init__(**settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[..., Any]:
        """Register a function as a command, as typer does."""

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            called = name or function.__name__.strip("_").replace("_", "-")
            own: dict[str, Any] = {"cls": Helpful, "epilog": epilog_of(f"{self._prefix}{called}"), **settings}
            super(Commands, self).command(name, **own)(with_job_options(function))
            return function

        return register
