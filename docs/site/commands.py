"""The pages of the command line, made from the program itself: every command with its options, panel by panel."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from reference import FENCE, prose

OTHERS = "Options"


def commands() -> dict[str, Any]:
    """Return all commands by their full names: `palate fit`, `palate keys add`, ..."""
    from typer.main import get_command

    from palate.cli.commands import app

    found: dict[str, Any] = {}

    def walk(name: str, command: Any) -> None:
        inner = getattr(command, "commands", None)
        if inner is None:
            found[name] = command
            return
        for key, one in inner.items():
            if not one.hidden:
                walk(f"{name} {key}", one)

    walk("palate", get_command(app))
    for name, command in found.items():
        with contextlib.redirect_stdout(io.StringIO()):  # help may be filled in when it is asked for
            command.get_help(command.make_context(name, [], resilient_parsing=True))
    return found


def help_of(command: Any) -> str:
    """Return what a command says of itself."""
    return " ".join((command.help or "").replace("\f", " ").split())


def spelled(option: Any) -> str:
    """Return how an option is typed, with what follows it."""
    taken = "" if option.is_flag or option.count else f" {option.metavar or kind_of(option)}"
    return ", ".join(f"{text}{taken}" for text in (*option.opts, *option.secondary_opts))


def kind_of(option: Any) -> str:
    """Return what follows an option without a word of its own for it: NUMBER, FILE, TEXT."""
    described = getattr(option, "type_descriptor", None)  # newer Typer; older ones have a type with a name
    kind = option.type.name if described is None else getattr(described.annotation, "__name__", "text")
    return {"int": "NUMBER", "integer": "NUMBER", "float": "NUMBER", "path": "FILE"}.get(kind.lower(), "TEXT")


def default_of(option: Any) -> str:
    """Return the default that is shown, or an empty text."""
    shown = option.show_default
    if isinstance(shown, str):
        return shown
    if shown is False or option.default in (None, "", (), [], False) or callable(option.default):
        return ""
    return str(option.default)


def option_lines(option: Any) -> list[str]:
    """Return the block of one option."""
    text = prose(" ".join((option.help or "").split()))
    default = default_of(option)
    more = f" *Default: {prose(default)}.*" if default else " *Required.*" if option.required else ""
    return [f"{FENCE}{{option}} {spelled(option)}", "", f"{text}{more}", FENCE, ""]


def page_of(name: str, command: Any) -> str:
    """Return the page of a command."""
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    usage = " ".join([name, *(argument(one) for one in arguments), "[OPTIONS]"])
    lines = [f"# {name}", "", prose(help_of(command)), "", f"```text\n{usage}\n```", ""]
    if arguments:
        lines += ["| argument | meaning |", "|---|---|"]
        lines += [f"| `{argument(one)}` | {prose(' '.join((one.help or '').split()))} |" for one in arguments]
        lines += [""]
    lines += examples_of(command)
    lines += [f"```{{program}} {name}", "```", ""]
    panels: dict[str, list[Any]] = {}
    for one in options:
        panels.setdefault(getattr(one, "rich_help_panel", None) or OTHERS, []).append(one)
    for panel, held in panels.items():
        lines += [f"## {panel}", "", *(line for one in held for line in option_lines(one))]
    return "\n".join(lines)


def examples_of(command: Any) -> list[str]:
    """Return the examples at the end of a command's help."""
    typed = [line.strip(" $\b") for line in (getattr(command, "epilog", None) or "").splitlines()]
    shown = [line.replace("\\[", "[") for line in typed if line.startswith("palate ")]
    return ["```sh", *shown, "```", ""] if shown else []


def argument(one: Any) -> str:
    """Return an argument as the usage line shows it."""
    name = one.metavar or one.name.upper()
    shown = name if one.required else f"[{name}]"
    return f"{shown}..." if one.nargs != 1 else shown


def write(folder: Path) -> None:
    """Write a page for each command, and the index."""
    folder.mkdir(parents=True, exist_ok=True)
    found = commands()
    files = {name: name.removeprefix("palate ").replace(" ", "-") for name in found}
    for name, command in found.items():
        (folder / f"{files[name]}.md").write_text(page_of(name, command) + "\n", encoding="utf-8")
    rows = [f"| [`{name}`]({files[name]}.md) | {prose(help_of(command))} |" for name, command in found.items()]
    about = (
        "Options have the names they have in Python, with dashes. `palate COMMAND --help` shows the same. "
        "Exit codes: 0 success, 1 an error (one line on standard error says which), 2 wrong usage, 130 interrupted."
    )
    toctree = ["```{toctree}", ":hidden:", "", *(f"{name} <{file}>" for name, file in files.items()), "```"]
    lines = ["# Command line", "", about, "", "| command | what it does |", "|---|---|", *rows, "", *toctree]
    (folder / "index.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
