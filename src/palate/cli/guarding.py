"""The guard around the commands: every error becomes one line on standard error and an exit code."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from palate.cli import job, messages, printing
from palate.cli.completing import VARIABLE
from palate.cli.exits import Exit
from palate.data.output import output_of
from palate.errors import PalateError


def guarded(app: Callable[[], Any]) -> int:
    """Run the command line and return its exit code; errors print one line on standard error, not a traceback."""
    _prepare_streams()
    run = job.begin(sys.argv[1:])
    try:
        return _guarded(app)
    finally:
        run.close()


def _guarded(app: Callable[[], Any]) -> int:
    try:
        with output_of("polars"):
            code = _exit_code(app)
    except PalateError as error:
        code = _fail(messages.as_typed(str(error), messages.options_of(app, sys.argv)))
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except MemoryError:
        code = _fail("not enough memory for this.")
    except OSError as error:
        code = _fail(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "") + ".")
    except BaseException as error:
        if not isinstance(error, Exception) and not _is_panic(error):
            raise
        if os.environ.get("PALATE_TRACEBACK"):
            raise
        cause = "polars failed at this" if _is_panic(error) else "this is a bug in palate"
        code = _fail(f"{cause}: {type(error).__name__}: {error}. PALATE_TRACEBACK=1 shows where.")
    return _flush(code)


def _is_panic(error: BaseException) -> bool:
    """True for a panic of polars, which is no Exception. By its name, since most commands need not load polars."""
    return type(error).__name__ == "PanicException"


def _exit_code(app: Callable[[], Any]) -> int:
    try:
        if not isinstance(app, typer.Typer):
            app()
            return Exit.OK
        code = typer.main.get_command(app)(standalone_mode=False, complete_var=VARIABLE)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except Exception as error:
        if _is_of_typer(error, "Abort"):
            return Exit.INTERRUPTED
        if not _is_of_typer(error, "ClickException"):
            raise
        return _misused(error)
    return code if isinstance(code, int) else Exit.OK


def _is_of_typer(error: Exception, name: str) -> bool:
    """True for an exception of typer's parser. By its name, since versions of typer bring it from different places."""
    return any(kind.__name__ == name for kind in type(error).__mro__)


def _misused(error: Any) -> int:
    """Say what is wrong with what was typed: as typer does, with --log json as an object."""
    code = int(getattr(error, "exit_code", Exit.USAGE))
    if job.current().form == "json":
        printing.remark("error", error.format_message(), level=logging.ERROR, exit_code=code)
        return code
    from typer import rich_utils

    rich_utils.rich_format_error(error)
    return code


def _fail(message: str) -> int:
    try:
        printing.remark("error", message, level=logging.ERROR, exit_code=int(Exit.ERROR))
    except SystemExit:
        return Exit.BROKEN_PIPE
    return Exit.ERROR


def _prepare_streams() -> None:
    """Let the streams accept characters that the terminal's encoding lacks, and replace closed streams."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _flush(code: int) -> int:
    """Flush standard output and return the exit code; a closed pipe is not reported."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = Exit.BROKEN_PIPE
    except OSError as error:
        code = _fail(f"cannot write: {error.strerror}.")
    else:
        return code
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit succeeds
    return code
