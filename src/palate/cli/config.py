"""--config FILE: options of commands in a TOML file. What is typed wins over the file.

    quiet = true          # of every command that has it

    [fit]
    data = "ratings.csv"  # arguments too, by their names in Python
    n_factors = 32
    out = "model.palate"

Paths are as they would be typed: from the current folder.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from typer import BadParameter, Context

MAX_BYTES = 1_000_000  # of a file of options; a file of ratings is no such file
NO_KEYS = ("config", "help", "version")


def configured(context: Context, value: Path | None) -> Path | None:
    """Take the file as the defaults of the command, or of all commands if it stands before them. For typer."""
    if value is None or context.resilient_parsing:
        return value
    file = ConfigFile.read(value)
    command: Any = context.command
    subcommands: Mapping[str, Any] = getattr(command, "commands", {})
    names = _names_of(context)
    root: Any = context.find_root().command
    file.check_tables(root.commands)
    if not names:  # before the command
        whole: dict[str, Any] = {
            name: file.options(context, sub, [name]) for name, sub in subcommands.items() if not _subcommands(sub)
        }
        whole |= {
            name: {inner: file.options(context, one, [name, inner]) for inner, one in subs.items()}
            for name, sub in subcommands.items()
            if (subs := _subcommands(sub))
        }
        whole |= file.options(context, command, [])
        context.default_map = whole
        return value
    context.default_map = file.options(context, command, names)
    return value


def _names_of(context: Any) -> list[str]:
    """The words of the command: [] before it, ["keys", "add"] within keys."""
    return [] if context.parent is None else [*_names_of(context.parent), str(context.info_name)]


def _subcommands(command: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = getattr(command, "commands", {})
    return found


class ConfigFile:
    """The content of a file: values by key, and a table for each command."""

    def __init__(self, path: Path, text: str, content: Mapping[str, Any]) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._content = content

    @classmethod
    def read(cls, path: Path) -> ConfigFile:
        """The file at a path. Raises BadParameter for what is no TOML."""
        if not path.is_file():
            raise BadParameter(f"there is no file {path}.", param_hint="'--config'")
        if path.stat().st_size > MAX_BYTES:
            raise BadParameter(f"{path} is too large for a file of options.", param_hint="'--config'")
        try:
            text = path.read_text(encoding="utf-8-sig")
            return cls(path, text, tomllib.loads(text))
        except UnicodeDecodeError:
            raise BadParameter(f"{path} is no text in UTF-8: save it as UTF-8.", param_hint="'--config'") from None
        except (ValueError, RecursionError) as error:  # numbers of thousands of digits are no TOMLDecodeError
            raise BadParameter(f"{path} is not TOML: {error}.", param_hint="'--config'") from None

    def check_tables(self, commands: Mapping[str, Any]) -> None:
        """Raise BadParameter for a table that belongs to no command, and for a key that no command has."""
        every = [param for one in commands.values() for param in _all_params(one)]
        keys = {str(param.name) for param in every} - set(NO_KEYS)
        for key, value in self._content.items():
            if isinstance(value, dict) and key not in commands and _name_of(key) not in keys:
                self._refuse(f"[{key}]", key, "there is no command", commands)
            elif key not in commands and _name_of(key) not in keys:
                self._refuse(key, key, "no command has an option", keys)

    def options(self, context: Context, command: Any, names: list[str]) -> dict[str, Any]:
        """The values for a command, by the names of its parameters. names: the words of the command, such as fit."""
        params = {str(param.name): param for param in command.params if param.name not in NO_KEYS}
        own = self._table(names)
        for key in own:
            if _name_of(key) not in params:
                self._refuse(key, key, f"palate {' '.join(names)} has no option", params, table=names)
        for table, keys in (([], self._content), (names, own)):
            self._check_spellings(table, keys)
        shared = {key: value for key, value in self._content.items() if _name_of(key) in params}
        shared = {key: value for key, value in shared.items() if key not in names[:1]}
        given = {_name_of(key): (key, value) for key, value in {**shared, **own}.items()}
        tables = {name: names if key in own else [] for name, (key, _) in given.items()}
        return {
            name: self._value(context, params[name], key, value, tables[name]) for name, (key, value) in given.items()
        }

    def _table(self, names: list[str]) -> dict[str, Any]:
        found: Any = self._content if names else {}
        for name in names:
            found = found.get(name, {}) if isinstance(found, dict) else {}
        if not isinstance(found, dict):
            self._refuse(names[-1], names[-1], "a command takes a table and no value:", [f"[{names[-1]}]"])
        table: dict[str, Any] = found
        return table

    def _check_spellings(self, table: list[str], keys: Iterable[str]) -> None:
        """Raise BadParameter for an option that one table names twice, as n_factors and as n-factors."""
        seen: dict[str, str] = {}
        for key in keys:
            if (other := seen.setdefault(_name_of(key), key)) != key:
                raise BadParameter(
                    f"{self._at(key, table)}: {key} and {other} are the same option: leave out one.",
                    param_hint="'--config'",
                )

    def _value(self, context: Context, param: Any, key: str, value: Any, table: list[str]) -> Any:
        """A value as the option takes it. Raises BadParameter."""
        try:
            given = _as_typed(param, value)
            if isinstance(given, int | float) and not _takes(param, context, given):
                given = str(given)  # a name or a path
            _cast(param, context, given)
        except Exception as error:
            message = getattr(error, "message", str(error))
            raise BadParameter(
                f"{self._at(key, table)}: {key} = {value!r}: {message}", param_hint="'--config'"
            ) from None
        return given

    def _refuse(self, shown: str, key: str, what: str, valid: Iterable[str], table: list[str] | None = None) -> None:
        names = sorted(set(valid) - set(NO_KEYS))
        near = difflib.get_close_matches(_name_of(key), names, n=1, cutoff=0.5)
        there = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}."
        raise BadParameter(f"{self._at(key, table or [])}: {what} {shown}; {there}", param_hint="'--config'")

    def _at(self, key: str, table: list[str]) -> str:
        """The file and the line of a key, by which an editor finds it."""
        inside = not table
        for number, line in enumerate(self._lines, 1):
            if head := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
                if head[1] == key:
                    return f"{self._path}, line {number}"
                inside = [part.strip(" \"'") for part in head[1].split(".")] == table
            elif inside and re.match(rf"""\s*["']?{re.escape(key)}["']?\s*[=.]""", line):
                return f"{self._path}, line {number}"
        return str(self._path)


def _cast(param: Any, context: Context, value: Any) -> None:
    """Raise the error of the parser for a value that the option does not take. Options that do something come later."""
    if hasattr(param, "type_cast_value"):  # with typer before 0.27
        param.type_cast_value(context, value)
    elif param.callback is None:
        param.process_value(context, value)


def _all_params(command: Any) -> list[Any]:
    return [*command.params, *(param for sub in _subcommands(command).values() for param in sub.params)]


def _name_of(key: str) -> str:
    """The name of a key in Python: n-factors is n_factors."""
    return key.replace("-", "_")


def _takes(param: Any, context: Context, value: Any) -> bool:
    try:
        _cast(param, context, value)
    except Exception:
        return False
    return True


def _as_typed(param: Any, value: Any) -> Any:
    """A value of TOML as the parser takes what is typed: one text is a list of one, a table EVENT=WORTH each.

    Raises BadParameter for a list, a table, or a value that says neither yes nor no, where the option takes none.
    """
    if getattr(param, "is_flag", False):
        if isinstance(value, bool | str):
            return value
        raise BadParameter("it takes true or false.")
    is_repeated = bool(getattr(param, "multiple", False)) or param.nargs == -1
    if is_repeated and isinstance(value, dict):
        return [f"{name}={_scalar(worth)}" for name, worth in value.items()]
    if is_repeated and not isinstance(value, list):
        value = [value]
    if not isinstance(value, list):
        return _scalar(value)
    if not is_repeated and param.nargs == 1:
        raise BadParameter("it takes one value, and no list.")
    return [_scalar(one) for one in value]


def _scalar(value: Any) -> Any:
    """One value. True and false are words, where something else than yes or no is asked for."""
    if isinstance(value, dict | list):
        raise BadParameter(f"it takes no {'table' if isinstance(value, dict) else 'list'} as a value.")
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, int | float | str) else str(value)
