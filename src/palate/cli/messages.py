"""Messages of the library in the words of the command line: kind="implicit" becomes --kind implicit."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

VALUE = r"""("[^"]*"|'[^']*'|\([\d., ]+\)|-?[\w.]*\w)?"""
OPTION = re.compile(rf"""(?<![\w.'"-])([a-z_]+)={VALUE}""")
READ = re.compile(r"palate\.read\(\.\.\., ([^()]*)\)")
EVENTS = re.compile(r"event=(\{[^{}]*\})")
LISTED = re.compile(r"(--[a-z-]+ \S+), (?=--)")  # options one after the other need no comma
LIKES = re.compile(r"\w+\.likes\(at_least=([\w.]+)\)")
SUBJECT = re.compile(r"\w+(?= (must|needs) )")
PLAIN = re.compile(r"[\w.-]+")
COLUMNS = ("rating", "time", "weight")  # "false" says that there is none


def as_typed(text: str, options: Mapping[str, str]) -> str:
    """Return a message of the library with its options as they are typed.

    options: the options of the command, {name in Python: name as typed}. Other names stay as they are.
    """
    if "event" in options:
        text = EVENTS.sub(lambda found: _events(found[1]), text).replace("event=False", "--event false")
    if "likes" in options:
        text = LIKES.sub(r"--likes \1", text)
    text = OPTION.sub(lambda found: _typed(found[1], found[2] or "", options) or found[0], READ.sub(r"\1", text))
    text = LISTED.sub(r"\1 ", text)
    subject = SUBJECT.match(text)
    return options.get(subject[0], subject[0]) + text[subject.end() :] if subject else text


def _events(mapping: str) -> str:
    """What event= gives, as typed."""
    try:
        events = json.loads(mapping)
    except ValueError:
        return f"--event {mapping}"
    return " ".join(f"--event {shlex.quote(f'{event}={worth}')}" for event, worth in events.items())


def _typed(name: str, value: str, options: Mapping[str, str]) -> str:
    """An option and its value as typed; "" if the command has no such option."""
    if value == "True" and f"with_{name}" in options:
        return options[f"with_{name}"]
    if value == "False" and name in options:
        return options.get(f"no_{name}", f"{options[name]} false" if name in COLUMNS else "")
    if name not in options or value == "True":
        return options.get(name, "")
    return f"{options[name]} {_value(value)}".rstrip()


def _value(value: str) -> str:
    """A value as typed: without quotes if it needs none, the numbers of a tuple apart; NAME for "..."."""
    if value == '"..."':
        return "NAME"
    if value.startswith("("):
        return value[1:-1].replace(", ", " ")
    return value[1:-1] if value[:1] in ("'", '"') and PLAIN.fullmatch(value[1:-1]) else value


def options_of(app: Callable[[], Any], words: list[str]) -> dict[str, str]:
    """Return the options of the command in these words, {name in Python: name as typed}; no_NAME turns a flag off."""
    import typer

    if not isinstance(app, typer.Typer):
        return {}
    commands: dict[str, Any] = getattr(typer.main.get_command(app), "commands", {})
    command = next((commands[word] for word in words[1:] if word in commands), None)
    found: dict[str, str] = {}
    for param in command.params if command else ():
        found.update((str(param.name), word) for word in param.opts if word.startswith("--"))
        found.update((f"no_{param.name}", word) for word in param.secondary_opts)
    return found
