"""Completion in shells: palate completion bash prints a script; what follows a word is answered here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from typer import Argument

from palate.cli import printing
from palate.errors import OptionError

VARIABLE = "_PALATE_COMPLETE"  # set by the script when it asks
SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")
MOST = 500  # files that are offered
INSTALLED_BY = {
    "bash": "echo 'eval \"$(palate completion bash)\"' >> ~/.bashrc",
    "zsh": "echo 'autoload -Uz compinit && compinit; eval \"$(palate completion zsh)\"' >> ~/.zshrc",
    "fish": "palate completion fish > ~/.config/fish/completions/palate.fish",
}


def completion(
    shell: Annotated[
        str,
        Argument(
            metavar="SHELL", help=f"{', '.join(SHELLS)}.", show_default=False, autocompletion=lambda: list(SHELLS)
        ),
    ],
) -> None:
    """Print the script that completes commands, options, recipes, data sets and files in a shell.

    For good, in bash: echo 'eval "$(palate completion bash)"' >> ~/.bashrc
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    if shell not in SHELLS:
        raise OptionError(f"there is no completion for {shell!r}; there is for {', '.join(SHELLS)}.")
    about = {"prog_name": "palate", "complete_var": VARIABLE, "shell": shell}
    printing.say(get_completion_script(**about))
    if shell in INSTALLED_BY:
        printing.note(f"to have it in every {shell}: {INSTALLED_BY[shell]}")


def complete_command() -> None:
    """Make typer answer the questions of such a script. To be called before the command line is read."""
    if VARIABLE not in os.environ:
        return
    from typer.completion import completion_init  # type: ignore[attr-defined]

    completion_init()


def one_of(*choices: str) -> Callable[[str], list[str]]:
    """What completes one of these words."""
    return lambda incomplete: [choice for choice in choices if choice.startswith(incomplete)]


def recipes_starting(incomplete: str) -> list[str]:
    """The recipes whose names begin so, in any case."""
    from palate.cli.names import RECIPES

    return [name for name in RECIPES if name.lower().startswith(incomplete.lower())]


def data_starting(incomplete: str) -> list[str]:
    """The data sets and the files whose names begin so."""
    from palate.data.datasets import available

    return [one.name for one in available() if one.name.startswith(incomplete)] + files_starting(incomplete)


def files_starting(incomplete: str) -> list[str]:
    """The files and folders whose paths begin so; folders end with a slash. Hidden ones only if a dot is typed."""
    head, typed = os.path.split(incomplete)
    start = incomplete[: len(incomplete) - len(typed)]
    try:
        folder = Path(head).expanduser() if head else Path()
        names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in folder.iterdir())
    except (OSError, ValueError, RuntimeError):  # no such folder, a null byte, no such user
        return []
    shown = [name for name in names if name.startswith(typed) and (typed.startswith(".") or not name.startswith("."))]
    return [start + name for name in shown[:MOST]]
