"""Make the notebooks of this folder from the pages of docs/learn: python examples/make_notebooks.py.

Edit the pages, never the notebooks. A notebook has the prose and the code of its page, and the output that the page
shows, which the tests of the page compare with a run. It shows pictures where the page saves them. The first cell of
code installs what the course needs; the tests leave it out. The same page gives the same bytes.
"""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Any

from pages import LEARN, PICTURE, Part, pages, parts_of

HERE = Path(__file__).parent
SAVED = re.compile(r'^figure\.savefig\("([\w-]+\.png)"\)$', flags=re.MULTILINE)
INSTALL = """\
# Not needed where palate is installed already, with the extras torch and plot.
%pip install --quiet "palate[torch,plot]"
"""
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def notebook_of(page: Path) -> str:
    """Return a page as the text of a notebook."""
    cells = []
    for part in parts_of(page.read_text(encoding="utf-8")):
        outputs = outputs_of(part, page.parent)
        cells += [cell for cell in (markdown_cell(part.prose), code_cell(part.code, outputs)) if cell["source"]]
    install = code_cell(INSTALL) | {"metadata": {"tags": ["install"]}}
    cells[1:1] = [markdown_cell(f"*Made from docs/learn/{page.name}.*"), install, code_cell("%matplotlib inline")]
    named = [{"id": f"{page.stem[:40]}-{number:02}"} | cell for number, cell in enumerate(cells, 1)]
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    notebook = {"cells": named, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def markdown_cell(prose: str) -> dict[str, Any]:
    """Make a cell of prose: without pictures, which the code cells show, and with its links adapted to this folder."""
    text = LINK.sub(lambda link: f"]({target_of(link[1])})", PICTURE.sub("", prose))
    return {"cell_type": "markdown", "metadata": {}, "source": lines_of(re.sub(r"\n{3,}", "\n\n", text))}


def code_cell(code: str, outputs: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Make a cell of code that shows the pictures that the page saves, with its outputs."""
    source = lines_of(SAVED.sub("display(figure)", code))
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": outputs or [],
        "source": source,
    }


def outputs_of(part: Part, folder: Path) -> list[dict[str, Any]]:
    """Return what a page shows of a block, as a notebook holds it: the printed text, then each picture."""
    outputs: list[dict[str, Any]] = []
    if part.printed:
        outputs.append({"name": "stdout", "output_type": "stream", "text": part.printed.splitlines(keepends=True)})
    for name in SAVED.findall(part.code):
        data = base64.b64encode((folder / name).read_bytes()).decode() + "\n"
        shown = {"image/png": data, "text/plain": ["<Figure>"]}
        outputs.append({"data": shown, "metadata": {}, "output_type": "display_data"})
    return outputs


def target_of(link: str) -> str:
    """Return the target of a page's link as seen from here; links to pages become links to notebooks."""
    page = LEARN / link
    return f"{page.stem}.ipynb" if page in pages() else os.path.relpath(page.resolve(), HERE.resolve())


def lines_of(text: str) -> list[str]:
    """Return the lines as notebooks hold them: each but the last with its line end."""
    return text.strip("\n").splitlines(keepends=True)


def main() -> None:
    """Write a notebook for each page."""
    for page in pages():
        (HERE / f"{page.stem}.ipynb").write_text(notebook_of(page), encoding="utf-8")


if __name__ == "__main__":
    main()
