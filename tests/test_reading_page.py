"""docs/reading.md: every file that the page shows is written, and every line that reads one runs."""

import re

from helpers.scripts import ROOT

PAGE = ROOT / "docs" / "reading.md"
BLOCK = re.compile(r"^```(text|python) ?([\w.-]*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def test_every_kind_of_file_is_read_as_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    names = {}
    for kind, name, text in blocks:
        if kind == "text":
            assert name, text
            (tmp_path / name).write_text(text, encoding="utf-8")
        else:
            exec(compile(text, f"reading.md: {text.splitlines()[0]}", "exec"), names)
    assert len(blocks) > 10
