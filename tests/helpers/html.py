"""What HTML must be: tags that close in order, text that is escaped, numbers that are short."""

import re
from html.parser import HTMLParser

VOID = {"br", "hr", "img", "meta", "input", "link"}
LONG_NUMBER = re.compile(r"\d\.0*[1-9]\d{6,}")


class _Checked(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.texts, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs), f"{tag} has a handler: {attrs}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.texts.append(data)


def checked(html):
    """The texts of some HTML, in order; fails unless its tags are balanced and none of them is a script."""
    parser = _Checked()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    assert "script" not in parser.tags and "iframe" not in parser.tags
    html.encode("utf-8")  # no half of a pair
    found = " ".join(parser.texts)
    assert not LONG_NUMBER.search(found), LONG_NUMBER.search(found)
    return found
