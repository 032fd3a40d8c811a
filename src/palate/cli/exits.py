"""What the exit code of a command says. docs/howto/jobs.md has the same table."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes, each with its meaning."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Exit:
        """The code is the number; its meaning goes with it."""
        made = int.__new__(cls, code)
        made._value_ = code
        made.meaning = meaning
        return made

    OK = 0, "done"
    ERROR = 1, "an error (of palate check: problems in the ratings)"
    USAGE = 2, "wrong usage"
    GATE = 3, "done, and a condition of --fail-if holds"
    INTERRUPTED = 130, "ended by Ctrl-C"
    BROKEN_PIPE = 141, "nobody read the output to its end"


EXIT_CODES = "Exit codes: " + "; ".join(f"{code.value} {code.meaning}" for code in Exit) + "."
