"""A small Sphinx extension: names in code that the reference documents become links to it."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

NAME = re.compile(r"(palate(?:\.\w+)+|[A-Z]\w+(?:\.\w+)?|split_\w+|cross_validate)(?:\(.*\))?", flags=re.DOTALL)


def link(app: Sphinx, tree: nodes.document, page: str) -> None:
    """Make links of the names in one page."""
    objects: dict[str, Any] = app.env.get_domain("py").objects  # type: ignore[attr-defined]
    for literal in list(tree.findall(nodes.literal)):
        if isinstance(literal.parent, nodes.reference) or literal.get("classes") == ["xref"]:
            continue
        found = NAME.fullmatch(literal.astext())
        name = found and next((one for one in (found[1], f"palate.{found[1]}") if one in objects), None)
        if not name or (literal.parent and inside(literal, nodes.title)):
            continue
        there = objects[name]
        if there.docname == page:
            continue
        new = make_refnode(app.builder, page, there.docname, there.node_id, literal.deepcopy(), name)
        literal.parent.replace(literal, new)


def inside(node: nodes.Node, kind: type[nodes.Node]) -> bool:
    """Return whether a node stands in another of that kind."""
    while node.parent is not None:
        node = node.parent
        if isinstance(node, kind):
            return True
    return False


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("doctree-resolved", link)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
