"""Scenarios: named sets of options for lists, from a TOML file.

[scenario.home]
by = "lower"
where = "stock > 0"
max_per = {genre = 2}
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from palate.errors import OptionError
from palate.serving.schema import ListOptions

NOT_HERE = ("scenario", "model")  # what a scenario cannot set


def read_scenarios(path: Path) -> dict[str, Mapping[str, Any]]:
    """{name: options} of a file. Raises OptionError that names the scenario and the option."""
    try:
        with path.open("rb") as file:
            given = tomllib.load(file)
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"{path} is no TOML file: {error}.") from None
    others = sorted(set(given) - {"scenario"})
    scenarios = given.get("scenario", {})
    if others or not isinstance(scenarios, dict):
        raise OptionError(f"{path}: expected tables such as [scenario.home], found {', '.join(others) or 'a value'}.")
    return {name: _checked(path, name, options) for name, options in scenarios.items()}


def _checked(path: Path, name: str, options: Any) -> Mapping[str, Any]:
    """The options of one scenario."""
    if not isinstance(options, dict):
        raise OptionError(f"{path}: {name} is no table; write [scenario.{name}] and its options below it.")
    for one in NOT_HERE:
        if one in options:
            raise OptionError(f"{path}: [scenario.{name}] cannot set {one}.")
    try:
        msgspec.convert(options, ListOptions)
    except msgspec.ValidationError as error:
        raise OptionError(f"{path}: [scenario.{name}]: {error}.") from None
    return options
