"""Take the pages of the documentation apart, run them, and write their output into them.

`python examples/pages.py [page ...]` runs the named pages of docs (`two-vectors`, `guide`, `howto/explain`), or all
that show their output: the course, the guide and the how-to pages. It saves the pictures of a page beside it, and
writes the output of a block below the block.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

# Of the pictures beside pages: sharp, and in the colors of palate.plotting, which all readers can tell apart.
STYLE = {
    "savefig.dpi": 200,
    "axes.prop_cycle": "cycler('color', ['0072B2', 'D55E00', '009E73', '767676', 'CC79A7', '56B4E9'])",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}

DOCS = Path(__file__).parent.parent / "docs"
LEARN = DOCS / "learn"
ORDER = (
    "two-vectors",
    "embeddings",
    "loaders",
    "learning",
    "weight-decay",
    "neural-net",
    "looking",
    "pca-is-not-collaborative-filtering",
    "two-engines",
    "side-information",
    "likes-and-lists",
    "what-comes-next",
)
LONG = ("index.md", "guide.md", "big.md")  # pages of docs itself that show their output, beside those of docs/howto
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", flags=re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"!\[[^]]*\]\(([\w-]+\.png)\)")


class Part(NamedTuple):
    """Some prose, the code after it (or ""), and the output that the page shows for that code (or "")."""

    prose: str
    code: str
    printed: str


def pages() -> list[Path]:
    """Return the paths of the pages in reading order."""
    return [LEARN / f"{name}.md" for name in ORDER]


def how_to_pages() -> list[Path]:
    """Return the paths of the other pages that show their output: home, guide, ratings on disk, all of docs/howto."""
    own = sorted((DOCS / "howto").glob("*.md"))
    return [page for page in (*map(DOCS.joinpath, LONG), *own) if BLOCK.search(page.read_text(encoding="utf-8"))]


def parts_of(text: str) -> list[Part]:
    """Split a page into parts."""
    parts, end = [], 0
    for block in BLOCK.finditer(text):
        parts.append(Part(text[end : block.start()], block[1], block[2] or ""))
        end = block.end()
    return [*parts, Part(text[end:], "", "")]


def text_of(parts: list[Part]) -> str:
    """Join parts into a page."""
    return "".join(
        part.prose
        + (f"```python\n{part.code}```\n" if part.code else "")
        + (f"\n```text\n{part.printed}```\n" if part.printed else "")
        for part in parts
    )


def pictures_in(text: str) -> list[str]:
    """Return the file names of the pictures that a page shows."""
    return PICTURE.findall(text)


def run(page: Path, folder: Path) -> list[str]:
    """Run the blocks of a page in order, in one namespace and in that folder; return the output of each block."""
    names: dict[str, object] = {"__name__": page.stem}
    printed = []
    with contextlib.chdir(folder):
        for number, part in enumerate(parts_of(page.read_text(encoding="utf-8")), 1):
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(part.code, f"{page.name}, block {number}", "exec"), names)
            text = out.getvalue()
            if here := os.environ.get("PALATE_DATA"):  # a page names no folder of this machine
                text = text.replace(f"{here}/", "")
            printed.append("".join(f"{line.rstrip()}\n" for line in text.splitlines()))
    return printed


def refresh(page: Path) -> None:
    """Run a page, and replace its output and its pictures."""
    import matplotlib as mpl

    text = page.read_text(encoding="utf-8")
    with mpl.rc_context(STYLE), tempfile.TemporaryDirectory() as folder:
        printed = run(page, Path(folder))
        for name in pictures_in(text):
            if (Path(folder) / name).exists():  # others are no output of the page
                shutil.copyfile(Path(folder) / name, page.parent / name)
    parts = [part._replace(printed=lines) for part, lines in zip(parts_of(text), printed, strict=True)]
    page.write_text(text_of(parts), encoding="utf-8")


def page_named(name: str) -> Path:
    """Return the page of docs with this name, with or without its folder."""
    wanted = name.removesuffix(".md")
    return next(
        page for page in [*pages(), *how_to_pages()] if wanted in (page.stem, f"{page.parent.name}/{page.stem}")
    )


def main() -> None:
    """Refresh the named pages, or all of them."""
    for page in [page_named(name) for name in sys.argv[1:]] or [*pages(), *how_to_pages()]:
        start = time.perf_counter()
        refresh(page)
        print(f"{page.name}: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
