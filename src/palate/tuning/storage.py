"""A file of finished rounds, in JSON lines, from which a tuning resumes after a kill."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from palate.data.whole_files import reason, replacing
from palate.errors import OptionError
from palate.tuning.results import Trial

TYPES = {"number": int, "round": int, "params": dict, "seconds": float, "state": str, "of": int}
STATES = ("finished", "stopped", "failed")


class Storage:
    """A file of JSON lines: a header that identifies the tuning, then the trials of each finished round."""

    def __init__(self, path: Path, header: dict[str, Any], space: Mapping[str, Any]) -> None:
        self.path = path
        self.header = header
        self.space = space

    def rounds(self) -> list[Trial]:
        """Return the trials of complete rounds, and drop other lines; OptionError if the file is not of this tuning."""
        if not self.path.exists():
            self._write([])
            return []
        lines = [_parsed(line) for line in self.path.read_bytes().splitlines()]
        if not lines or lines[0] != self.header:
            raise OptionError(
                f"{self.path} does not hold trials of this tuning (same recipe, ratings, metric, space and seed)."
            )
        valid = [line for line in lines[1:] if line is not None and _is_trial(line, self.space)]
        kept = [line for line in valid if sum(other["round"] == line["round"] for other in valid) == line["of"]]
        if len(kept) < len(lines) - 1:
            self._write(kept)
        return [Trial(**{name: value for name, value in line.items() if name != "of"}) for line in kept]

    def append(self, trials: Sequence[Trial]) -> None:
        """Append the trials of a finished round in one write."""
        lines = [json.dumps(_stored(trial) | {"of": len(trials)}) + "\n" for trial in trials]
        with self.path.open("ab") as file:
            file.write("".join(lines).encode())
            file.flush()
            os.fsync(file.fileno())

    def _write(self, lines: Iterable[Mapping[str, Any]]) -> None:
        try:
            with replacing(self.path) as part:
                part.write_text("".join(json.dumps(line) + "\n" for line in [self.header, *lines]), encoding="utf-8")
        except (OSError, ValueError) as error:
            raise OptionError(f"storage={str(self.path)!r} cannot be written: {reason(error)}.") from error


def _stored(trial: Trial) -> dict[str, Any]:
    """Return a trial as a dict, without `taken`, which is computed again from the ratings."""
    return {name: value for name, value in asdict(trial).items() if name != "taken"}


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_trial(line: dict[str, Any], space: Mapping[str, Any]) -> bool:
    """True if a line is a valid trial. Files may come from anywhere, and the options are passed to a recipe."""
    if set(line) != {"of", *(field.name for field in fields(Trial))} - {"taken"}:
        return False
    if not all(isinstance(line[name], kind) for name, kind in TYPES.items()) or line["state"] not in STATES:
        return False
    passes, value = line["passes"], line["value"]
    if not isinstance(passes, int | None) or not isinstance(value, float | None) or not _is_finite(value):
        return False
    params = line["params"]
    return _is_finite(line["seconds"]) and (not params or (set(params) == set(space) and _are_within(params, space)))


def _is_finite(value: float | None) -> bool:
    return value is None or math.isfinite(value)


def _are_within(params: Mapping[str, Any], space: Mapping[str, Any]) -> bool:
    return all(_is_within(params[name], values) for name, values in space.items())


def _is_within(value: Any, values: Any) -> bool:
    if isinstance(values, list):
        return json.dumps(value) in map(json.dumps, values)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and bool(values[0] <= value <= values[1])
