"""The compiled translations are those of the readable files, and every blank is filled with what its original has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django.conf import settings

FILES = sorted(Path(settings.BASE_DIR).glob("locale/*/LC_MESSAGES/django.po"))
BLANKS = re.compile(r"%\(\w+\)[a-z]|%%")
TAGS = re.compile(r"</?\w+")


def forms(text: str | Iterable[str] | None) -> tuple[str, ...]:
    """A text as its forms: one, or as many as the language has plurals."""
    return (text,) if isinstance(text, str) else tuple(text or ("",))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parts[-3])
def test_compiled_and_readable_are_the_same(path: Path) -> None:
    with path.open("rb") as text, path.with_suffix(".mo").open("rb") as compiled:
        readable = {forms(message.id): forms(message.string) for message in read_po(text) if message.id}
        assert {forms(message.id): forms(message.string) for message in read_mo(compiled) if message.id} == readable


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parts[-3])
def test_every_translation_has_the_blanks_and_tags_of_its_original(path: Path) -> None:
    with path.open("rb") as text:
        messages = [message for message in read_po(text) if message.id]
    wrong = []
    for message in messages:
        original, translation = forms(message.id)[-1], forms(message.string)[-1]
        for pattern in (BLANKS, TAGS):
            if sorted(pattern.findall(original)) != sorted(pattern.findall(translation)):
                wrong.append(original)
    assert wrong == []
