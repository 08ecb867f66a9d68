"""The compiled translations are those of the readable files, and every blank is filled with what its original has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.utils.translation import override, templatize

from rewards.reason_texts import REASONS

FILES = sorted(Path(settings.BASE_DIR).glob("locale/*/LC_MESSAGES/django.po"))
BLANKS = re.compile(r"%\(\w+\)[a-z]|%%")
TAGS = re.compile(r"</?\w+")
LITERAL = r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
MARKED = re.compile(r"\b(?:_|n?gettext(?:_lazy)?)\(\s*u?" + LITERAL)


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


def texts_of(path: Path) -> set[str]:
    """Every text that a template or a module marks for translation."""
    source = path.read_text(encoding="utf-8")
    found = MARKED.finditer(source if path.suffix == ".py" else templatize(source))
    return {ast.literal_eval(match[1]) for match in found}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parts[-3])
def test_every_text_of_the_public_pages_is_translated(path: Path) -> None:
    """Merchant pages are in English; what participants and their friends read is in every language."""
    with path.open("rb") as text:
        known = {forms(message.id)[0] for message in read_po(text) if message.id and all(forms(message.string))}
    root = Path(settings.BASE_DIR)
    files = [
        *root.glob("templates/hosted/**/*.html"),
        *root.glob("referrals/hosted/*.py"),
        root / "campaigns" / "texts.py",
        root / "participants" / "destinations.py",
        root / "participants" / "destination_checks.py",
        root / "participants" / "destination_kinds.py",
        root / "participants" / "inviting.py",
    ]
    wanted = {text for file in files for text in texts_of(file)}
    assert len(wanted) > 250
    assert sorted(wanted - known) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parts[-3])
def test_every_reason_for_participants_is_translated(path: Path) -> None:
    facts = {"friends": 1, "needed": 3, "more": 2}

    def said(language: str) -> list[tuple[str, str]]:
        with override(language):
            return [
                (code, str(text % BlankFacts(facts)))
                for code, reason in REASONS.items()
                for text in (reason.friendly, reason.own)
                if text
            ]

    same = [mine for mine, english in zip(said(path.parts[-3]), said("en"), strict=True) if mine == english]
    assert same == []


class BlankFacts(dict[str, object]):
    """Facts that have every name."""

    def __missing__(self, key: str) -> str:
        return "…"
