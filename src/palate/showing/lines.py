"""Texts of anybody on one line, where they can neither steer a terminal nor turn the direction of other text."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return the text with control characters and marks of direction as escapes; line ends are among them."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def one_line(text: object) -> str:
    """Return the text as printable words with a blank between them."""
    return printable(" ".join(str(text).split()))
