"""Gates: conditions such as --fail-if "rmse > 0.9" under which a command ends with exit code 3, for jobs and CI."""

from __future__ import annotations

import difflib
import logging
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer
from typer import BadParameter

from palate.cli import printing
from palate.cli.exits import Exit
from palate.errors import OptionError

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
CONDITION = re.compile(
    r"\s*([^\s<>](?:(?:(?![<>]|==|!=).)*?[^\s<>=!])?)\s*(<=|>=|==|!=|<|>)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(%?)\s*"
)
PLAIN = ("measures", "baselines", "groups")  # whose entries are named without it
Told = dict[str, Any]


@dataclass(frozen=True)
class Gate:
    """A condition on a measure. It fails if the condition holds."""

    text: str
    measure: str
    operator: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Gate:
        """The condition in a text such as "ndcg@10.high < 0.3". Raises BadParameter."""
        found = CONDITION.fullmatch(text)
        if found is None:
            raise BadParameter(
                f'{text!r}: give a measure, one of < <= > >= == != and a number, such as "rmse > 0.9".',
                param_hint="'--fail-if'",
            )
        bound = float(found[3]) / (100 if found[4] else 1)
        if math.isinf(bound):
            raise BadParameter(f"{text!r}: {found[3]} is too large a number.", param_hint="'--fail-if'")
        return cls(" ".join(text.split()), found[1], found[2], bound)

    def judge(self, values: Mapping[str, float]) -> Told:
        """The condition, the value that it is about, and whether it failed. Raises OptionError without such a value."""
        if self.measure not in values:
            raise OptionError(f"--fail-if {self.text!r}: no measure {self.measure!r}; {_there(self.measure, values)}")
        value = values[self.measure]
        if math.isnan(value):
            raise OptionError(
                f"--fail-if {self.text!r}: {self.measure} was not measured, so nothing can be said of it."
            )
        return {"gate": self.text, "value": value, "failed": OPERATORS[self.operator](value, self.bound)}


def _there(measure: str, values: Mapping[str, float]) -> str:
    """Which measures there are, and the one that was perhaps meant."""
    plain = [name for name in values if "." not in name]
    near = difflib.get_close_matches(measure.lower(), [name.lower() for name in values], n=1, cutoff=0.7)
    meant = next((f"did you mean {name}? " for name in values if [name.lower()] == near), "")
    ends = next((f", and of intervals {name}.low and {name}.high" for name in plain if f"{name}.low" in values), "")
    return f"{meant}there are {', '.join(plain)}{ends}."


def parsed(texts: Iterable[str] | None) -> list[Gate]:
    """The gates that were typed. To be called before the work."""
    return [Gate.parse(text) for text in texts or ()]


def judged(gates: Sequence[Gate], report: Mapping[str, Any], show: Callable[[list[Told]], None]) -> None:
    """Judge a report in plain values, show it, then end with exit code 3 if a gate failed.

    show: prints the answer, which is not lost if a gate names no measure.
    """
    try:
        told = [gate.judge(values_of(report)) for gate in gates]
    except OptionError:
        show([])
        raise
    show(told)
    failed = [one for one in told if one["failed"]]
    for one in failed:
        measure = Gate.parse(one["gate"]).measure
        text = f"gate failed: {one['gate']}: {measure} is {one['value']:.6g}."
        printing.remark("gate_failed", text, level=logging.ERROR, exit_code=int(Exit.GATE), **one)
    if failed:
        raise typer.Exit(Exit.GATE)


def values_of(report: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a report by the names that gates use.

    A measure has the name of its value, and .low and .high of its interval; those of a baseline or a group follow its
    name: Bias.rmse. None is nan. Entries of a comparison are named likewise; the names alone are those of the best one.
    """
    found: dict[str, float] = {}
    _collect(report, "", found)
    for entry in reversed(report.get("entries", ())):
        inner: dict[str, float] = {}
        _collect({**{k: v for k, v in entry.items() if k != "report"}, **(entry["report"] or {})}, "", inner)
        found |= inner if entry is report["entries"][0] else {}
        found |= {f"{entry['name']}.{name}": value for name, value in inner.items()}
    return found


def _collect(plain: Mapping[str, Any], prefix: str, found: dict[str, float]) -> None:
    for name, value in plain.items():
        inner = prefix if name in PLAIN else f"{prefix}{name}"
        if isinstance(value, Mapping):
            if "value" in value:
                found[inner] = _number(value["value"])
            _collect({key: one for key, one in value.items() if key != "value"}, f"{inner}." if inner else "", found)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[inner] = float(value)
        elif value is None:
            found[inner] = math.nan


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
