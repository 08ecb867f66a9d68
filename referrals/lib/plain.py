"""Texts that strangers typed, without what nobody can see: control characters and marks that turn the direction of writing."""

from __future__ import annotations


def one_line(text: str) -> str:
    """The text in one line, with single spaces."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def lines(text: str) -> str:
    """The text with its lines, at most one empty one between two."""
    found: list[str] = []
    for line in text.splitlines():
        plain = one_line(line)
        if plain or (found and found[-1]):
            found.append(plain)
    return "\n".join(found).strip("\n")
