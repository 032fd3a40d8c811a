"""Gather the sources of the site into one folder: the pages of docs, results and changelog, with links that fit there.

Pages stay as GitHub shows them. Here their links are adapted, outputs and files get a frame of their own, and index
pages get their tables of contents.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
LINK = re.compile(r"(?<!\\)(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#]*)(#[^)\s]+)?\)")
ANCHOR = re.compile(r'^<a id="([\w-]+)"></a>$', flags=re.MULTILINE)
FENCED = re.compile(r"^(```+).*?^\1$", flags=re.MULTILINE | re.DOTALL)
OUTPUT = re.compile(r"^(```python\n.*?^```\n\n)```text\n", flags=re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"^```(\w+) ([\w-]+\.[\w.-]+)\n", flags=re.MULTILINE)
SERVED = re.compile(r"^```sh \w+$", flags=re.MULTILINE)
# Pages that lie elsewhere in the repository: where they are, and where they stand in the site.
ELSEWHERE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "docs/learn/README.md": "learn/index.md",
    "docs/howto/README.md": "howto/index.md",
}
LESSONS_FIRST = "learn/index.md"
FOLDERS = {"examples": LESSONS_FIRST, "learn": LESSONS_FIRST, "howto": "howto/index.md"}  # links to folders
PARTS = {"Tutorials": "learn", "How-to pages": "howto", "Reference": "reference", "Explanation": "explanation"}
# How-to pages that lie in docs itself, and what explains; all other pages of docs/howto come by themselves.
HOW_TO = ("guide", "reading", "big", "distributed", "serving")
EXPLAINED = ("how-it-works", "time", "results", "decisions", "architecture")


def sources() -> dict[Path, str]:
    """Return {page in the repository: its place in the site}."""
    found = [*DOCS.glob("*.md"), *DOCS.glob("*/*.md"), *(ROOT / "benchmarks").glob("*.md")]
    placed = {path: place_of(path) for path in found if "site" not in path.relative_to(ROOT).parts}
    return placed | {ROOT / name: place for name, place in ELSEWHERE.items() if name != "README.md"}


def place_of(path: Path) -> str:
    """Return where a file of the repository stands in the site."""
    name = path.relative_to(ROOT).as_posix()
    return ELSEWHERE.get(name, name.removeprefix("docs/"))


def gather(folder: Path) -> None:
    """Write all pages, and the files that they show or link to, into that folder."""
    pages = sources()
    for path, place in pages.items():
        if path.exists():
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(adapted(path, place, pages, folder), encoding="utf-8")


def adapted(path: Path, place: str, pages: dict[Path, str], folder: Path) -> str:
    """Return a page as it stands in the site."""
    text = path.read_text(encoding="utf-8")
    pieces, end = [], 0
    for block in FENCED.finditer(text):
        pieces += [linked(text[end : block.start()], path, place, pages, folder), block[0]]
        end = block.end()
    text = "".join([*pieces, linked(text[end:], path, place, pages, folder)])
    text = OUTPUT.sub(r"\1```{code-block} text\n:class: output\n\n", text)
    text = NAMED.sub(r"```{code-block} \1\n:caption: \2\n\n", text)
    return SERVED.sub("```sh", text)


def linked(text: str, path: Path, place: str, pages: dict[Path, str], folder: Path) -> str:
    """Return prose with its links adapted to the site."""

    def one(found: re.Match[str]) -> str:
        mark, shown, target, anchor = found[1], found[2], found[3], found[4] or ""
        if not target or re.match(r"\w+:", target):
            return f"{mark}[{linked(shown, path, place, pages, folder)}]({target}{anchor})"
        there = (path.parent / target).resolve()
        return f"{mark}[{shown}]({new_target(there, place, pages, folder)}{anchor})"

    return LINK.sub(one, ANCHOR.sub(r"(\1)=", text))


def new_target(there: Path, place: str, pages: dict[Path, str], folder: Path) -> str:
    """Return the link from a page to a file or folder of the repository; what is no page is copied."""
    if not there.exists():  # code that looks like a link
        return os.path.relpath(there, (ROOT / place).parent)
    if there == ROOT / "README.md":
        goal = "index.md"
    elif there in pages:
        goal = pages[there]
    elif there.is_dir():
        goal = FOLDERS.get(there.name, "index.md")
    else:
        goal = place_of(there)
        target = folder / goal
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(there, target)
    return os.path.relpath(goal, Path(place).parent.as_posix())


def title_and_summary(path: Path) -> tuple[str, str]:
    """Return the heading of a page, and the first sentence below it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    title = next(line.lstrip("# ") for line in lines if line.startswith("# "))
    rest = "\n".join(lines[lines.index(f"# {title}") + 1 :]).strip().split("\n\n")[0]
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(rest.split()))
    first = re.split(r"(?<=[.?!:]) ", plain)[0]
    return title, first.rstrip(":") if rest[:1] not in "#`|" else ""


def toctree(entries: list[str], *, caption: str = "") -> str:
    """Return a table of contents that only the navigation shows."""
    options = [":hidden:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["", "```{toctree}", *options, "", *entries, "```", ""])


def rows(paths: list[Path], prefix: str) -> list[str]:
    """Return the rows of a table of pages."""
    lines = ["| page | what it is about |", "|---|---|"]
    for path in paths:
        title, about = title_and_summary(path)
        lines.append(f"| [{title}]({prefix}{path.name}) | {about.replace('|', chr(92) + '|')} |")
    return lines


def how_to_pages() -> tuple[list[Path], list[Path]]:
    """Return the how-to pages that lie in docs, and those of docs/howto by their titles."""
    own = sorted((DOCS / "howto").glob("*.md"), key=lambda path: title_and_summary(path)[0])
    return [DOCS / f"{name}.md" for name in HOW_TO], [path for path in own if path.stem != "README"]


def write_indexes(folder: Path, reference: list[tuple[str, str]], lessons: list[str]) -> None:
    """Write the index pages of the site's parts, and add tables of contents where the page is there already."""
    add(folder / "index.md", "| Look up an option, a function or a command | [Reference](reference/index.md) |\n")
    add(folder / "index.md", toctree([f"{title} <{place}/index>" for title, place in PARTS.items()]))
    add(folder / LESSONS_FIRST, toctree(lessons))
    long, own = how_to_pages()
    moving = [path for path in own if path.stem.startswith("from-")]
    questions = [path for path in own if path not in moving]
    lines = ["# How-to pages", "", "Every code block runs in the tests; the text below a block is its output.", ""]
    lines += ["## By question", "", *rows(questions, ""), ""]
    lines += ["## The long pages", "", *rows(long, "../"), ""]
    lines += ["## Coming from another library", "", *rows(moving, "")]
    lines += [toctree([path.stem for path in questions], caption="By question")]
    lines += [toctree([f"../{path.stem}" for path in long], caption="The long pages")]
    lines += [toctree([path.stem for path in moving], caption="Coming from another library")]
    write(folder / "howto" / "index.md", lines)

    lines = ["# Reference", "", "Every public name, from its docstring. Each stands once.", ""]
    lines += ["| page | what is on it |", "|---|---|"]
    lines += [f"| {row} |" for _, row in reference]
    lines += ["| [Command line](cli/index.md) | Every command with its options. |"]
    lines += ["| [Glossary](../glossary.md) | One word for one thing. |"]
    lines += [toctree([*(file for file, _ in reference), "cli/index", "../glossary"])]
    write(folder / "reference" / "index.md", lines)

    explained = [DOCS / f"{name}.md" for name in EXPLAINED]
    results = sorted((ROOT / "benchmarks").glob("*.md"))
    lines = ["# Explanation", "", "How it works, why it is as it is, and what was measured.", ""]
    lines += [*rows(explained, "../"), *rows(results, "../benchmarks/")[2:]]
    lines += ["| [Changelog](../changelog.md) | What changed in public. |"]
    lines += ["| [Contributing](../contributing.md) | How to set up, test and change palate. |"]
    measured = [f"../benchmarks/{path.stem}" for path in results]
    measured = ["All figures <../benchmarks/RESULTS>" if one.endswith("/RESULTS") else one for one in measured]
    lines += [toctree([*(f"../{path.stem}" for path in explained), *measured, "../changelog", "../contributing"])]
    write(folder / "explanation" / "index.md", lines)


def add(path: Path, text: str) -> None:
    """Add a text at the end of a file."""
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def write(path: Path, lines: list[str]) -> None:
    """Write lines to a file, and its folder if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
