"""The pages of the reference, made from docstrings: each public name once, with its parameters as a table."""

from __future__ import annotations

import inspect
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import names

# The methods of a Recommender by the question that they answer; others stand at the end.
QUESTIONS = {
    "What will a user like?": ("recommend", "predict", "predict_codes", "explain"),
    "What is similar, and what is in the model?": (
        *("find", "similar_items", "similar_users", "history", "cross_tab", "item_index"),
    ),
    "What about somebody new?": ("fold_in", "match", "ask"),
    "How does it learn more, or forget?": ("update", "forget"),
    "How is it kept?": ("save", "compact", "with_metrics", "from_training"),
    "What does it hold?": (
        *("n_users", "n_items", "n_factors", "mean", "user_factors", "item_factors", "user_bias", "item_bias"),
        *("has_intervals", "has_posterior"),
    ),
}
MARKUP = re.compile(r"([\\*_<\[\]])")
FENCE = ":" * 6


def prose(text: str) -> str:
    """Return a line of a docstring as Markdown: what is no code means itself."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if part.startswith("`") else MARKUP.sub(r"\\\1", part) for part in parts)


def paragraphs(lines: list[str]) -> list[str]:
    """Return the prose of a docstring as Markdown; indented lines stay as they are, as formulas."""
    made: list[str] = []
    for line in lines:
        formula = line.startswith("    ")
        if formula and made and made[-1] and not made[-1].startswith("    "):
            made.append("")
        made.append(line if formula else prose(line.strip()))
    return made


def cell(text: str) -> str:
    """Return a text as the cell of a table."""
    return prose(text).replace("|", r"\|")


def entry_parts(entry: str) -> tuple[str, str, str, str]:
    """Return (name, type, default, meaning) of an entry of a section."""
    found = names.docstrings().ENTRY.fullmatch(entry)
    if found:
        return found["name"], found["type"], found["default"] or "", found["meaning"]
    name, _, meaning = entry.partition(": ")
    return name, "", "", meaning


def table(entries: list[str], *, first: str) -> list[str]:
    """Return a table of parameters or attributes."""
    rows = [entry_parts(entry) for entry in entries]
    with_default = any(default for _, _, default, _ in rows)
    head = [first, "type", *(["default"] if with_default else []), "meaning"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name, kind, default, meaning in rows:
        shown = [f"`{default}`" if default else ""] if with_default else []
        lines.append(f"| {' | '.join([f'`{name}`', cell(kind), *shown, cell(meaning)])} |")
    return ["```{rst-class} entries", "```", "", *lines]


def pairs(entries: list[str]) -> list[str]:
    """Return what comes back, or is raised, as a list of definitions."""
    lines: list[str] = []
    for entry in entries:
        kind, _, meaning = entry.partition(": ")
        lines += [f"`{kind}`", f": {prose(meaning)}", ""]
    return lines


def body(doc: str) -> list[str]:
    """Return a docstring of our form as Markdown."""
    tests = names.docstrings()
    parts = tests.sections_of(doc)
    lines = paragraphs(parts.pop(""))
    for section, content in parts.items():
        lines += ["", f"```{{rubric}} {section}", "```", ""]
        if section in ("Parameters", "Attributes"):
            lines += table(tests.entries_of(content), first="name")
        elif section in ("Returns", "Raises"):
            lines += pairs(tests.entries_of(content))
        elif section == "Example":
            lines += ["```pycon", *content, "```"]
        else:
            lines += paragraphs(content)
    return lines


def written(default: Any) -> str:
    """Return a default as one would type it."""
    if inspect.isfunction(default) or inspect.isclass(default):
        return default.__name__
    text = f'"{default}"' if isinstance(default, str) else repr(default)
    return "..." if text.startswith("<") else text


def signature(found: Any) -> str:
    """Return the arguments of a function or class: names and defaults, without types."""
    try:
        taken = inspect.signature(found)
    except (TypeError, ValueError):
        return "()"
    plain = [
        p.replace(annotation=p.empty, default=p.default if p.default is p.empty else _Written(written(p.default)))
        for p in taken.parameters.values()
        if p.name not in ("self", "cls")
    ]
    return str(taken.replace(parameters=plain, return_annotation=inspect.Signature.empty))


class _Written(str):
    """A text whose repr is itself."""

    def __repr__(self) -> str:
        return str(self)


def is_answer(name: str) -> bool:
    """Return whether users only meet such objects and make none themselves."""
    return name.rpartition(".")[2] in names.docstrings().ANSWERS or name.startswith("palate.answers")


def directive(name: str, found: Any, content: list[str]) -> list[str]:
    """Return the block that documents one object."""
    options: list[str] = []
    if isinstance(found, property | cached_property):
        kind, shown = "property", name
    elif inspect.isclass(found):
        error = issubclass(found, BaseException)
        kind = "exception" if error else "class"
        shown = name if error or is_answer(name) else name + signature(found)
    elif name.rpartition(".")[0] in names.docstrings().THINGS:
        kind, shown = "method", name + signature(found)
        if inspect.ismethod(found):
            options = [":classmethod:"]
    else:
        kind, shown = "function", name + signature(found)
    return [f"{FENCE}{{py:{kind}}} {shown}", *options, "", *content, FENCE, ""]


def documented(name: str) -> list[str]:
    """Return the whole block of one name."""
    tests = names.docstrings()
    found = {**tests.THINGS, **tests.MEMBERS}[name]
    return directive(name, found, body(tests.doc_of(found)))


def summary(name: str) -> str:
    """Return the first line of a docstring."""
    tests = names.docstrings()
    return str(tests.doc_of({**tests.THINGS, **tests.MEMBERS}[name]).splitlines()[0])


def contents(listed: list[str]) -> list[str]:
    """Return a table of the names on a page, each with its first line."""
    rows = [f"| {{py:obj}}`{name.removeprefix('palate.')} <{name}>` | {cell(summary(name))} |" for name in listed]
    return ["| name | what it is |", "|---|---|", *rows, ""]


def with_members(name: str) -> list[str]:
    """Return the block of a name, and after it those of its members."""
    members = names.members_of(name)
    return [*documented(name), *(line for member in members for line in documented(member))]


def page(title: str, about: str, listed: list[str]) -> str:
    """Return a page with the blocks of these names."""
    lines = [f"# {title}", "", about, ""]
    if len(listed) > 1:
        lines += contents(listed)
    several = sum(bool(names.members_of(name)) for name in listed) > 0 and len(listed) > 1
    for name in listed:
        if several:
            lines += [f"## {name.rpartition('.')[2]}", ""]
        lines += with_members(name)
    return "\n".join(lines)


def recommender_page(page_: names.Page) -> str:
    """Return the page of the Recommender: its methods by question."""
    main = "palate.Recommender"
    others = [name for name in page_.names if name != main]
    members = {name.rpartition(".")[2]: name for name in names.members_of(main)}
    groups = {title: [members.pop(key) for key in keys if key in members] for title, keys in QUESTIONS.items()}
    groups["More"] = list(members.values())
    lines = [f"# {page_.title}", "", page_.about, "", *documented(main)]
    lines += ["| question | methods |", "|---|---|"]
    for title, listed in groups.items():
        if listed:
            links = ", ".join(f"{{py:obj}}`{name.rpartition('.')[2]} <{name}>`" for name in listed)
            lines.append(f"| {title} | {links} |")
    for title, listed in groups.items():
        if listed:
            lines += ["", f"## {title}", "", *(line for name in listed for line in documented(name))]
    lines += ["", "## Load a model", "", *(line for name in others for line in with_members(name))]
    return "\n".join(lines)


def recipe_page(page_: names.Page) -> str:
    """Return the page of a recipe: its options, and shortly what all recipes share."""
    name = page_.names[0]
    own, shared = [], []
    for member in names.members_of(name):
        (shared if is_shared(member) else own).append(member)
    lines = [f"# {page_.title}", "", *documented(name), *(line for member in own for line in documented(member))]
    if shared:
        lines += ["## As every recipe", "", "[The recipes](index.md#what-all-recipes-share) has these in full.", ""]
        for member in shared:
            found = names.docstrings().MEMBERS[member]
            lines += directive(member, found, [prose(summary(member))])
    return "\n".join(lines)


def is_shared(member: str) -> bool:
    """Return whether a member of a recipe is that of all recipes."""
    from palate.recipes.base import Recipe

    owner, _, name = member.rpartition(".")
    cls = names.docstrings().THINGS[owner]
    return name not in vars(cls) and name in vars(Recipe)


def shared_of_recipes() -> list[str]:
    """Return what all recipes share, in full, under no name of its own: each recipe's page has the name."""
    from palate.recipes.base import Recipe

    tests = names.docstrings()
    lines: list[str] = []
    for name, found in vars(Recipe).items():
        real = getattr(found, "__func__", found)
        if name.startswith("_") or not (inspect.isfunction(real) or isinstance(found, property | cached_property)):
            continue
        shown = name if isinstance(found, property | cached_property) else name + signature(getattr(Recipe, name))
        shown = re.sub(r"\((self|cls)(, )?", "(", shown)
        lines += [f"### {name}", "", f"```python\nrecipe.{shown}\n```", "", *body(tests.doc_of(found)), ""]
    return lines


def recipes_page(found: list[names.Page]) -> str:
    """Return the page of all recipes."""
    title, about = names.RECIPES
    rows = [f"| [{one.title}]({one.title}.md) | {cell(summary(one.names[0]))} |" for one in found]
    toctree = ["```{toctree}", ":hidden:", "", *(one.title for one in found), "```"]
    lines = [f"# {title}", "", about, "", "| recipe | what it is |", "|---|---|", *rows, ""]
    lines += ["## What all recipes share", "", *shared_of_recipes(), *toctree]
    return "\n".join(lines)


def write(folder: Path) -> list[tuple[str, str]]:
    """Write all pages; return (file, title and what it is about) of those that the index lists."""
    (folder / "recipes").mkdir(parents=True, exist_ok=True)
    listed = []
    for one in names.pages():
        text = recommender_page(one) if one.file == "recommender" else page(*one[1:])
        (folder / f"{one.file}.md").write_text(text + "\n", encoding="utf-8")
        listed.append((one.file, f"[{one.title}]({one.file}.md) | {one.about}"))
    found = names.recipes()
    for one in found:
        (folder / f"{one.file}.md").write_text(recipe_page(one) + "\n", encoding="utf-8")
    (folder / "recipes" / "index.md").write_text(recipes_page(found) + "\n", encoding="utf-8")
    places = [file for file, _ in listed]
    at = places.index("recommender") if "recommender" in places else 0
    title, about = names.RECIPES
    listed.insert(at, ("recipes/index", f"[{title}](recipes/index.md) | {about}"))
    return listed
