"""The questions that a campaign's join form asks besides the address, and the terms that it asks to accept (docs/hosted.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from campaigns.models import Campaign
from referrals.lib.errors import Refused

MOST_QUESTIONS = 8
MOST_OPTIONS = 30
LENGTHS = {"label": 80, "option": 60}
KINDS = ("text", "choice", "number", "date", "tick")
_KEY = re.compile(r"[a-z][a-z0-9_]{0,29}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Question:
    """One question. Answers are kept in the participant's metadata under `key`; `labels` is by language, `options` are a choice's values,
    `option_labels` what each is called in another language, in the same order."""

    key: str
    kind: str
    required: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    option_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def label(self, language: str, default: str) -> str:
        """What the form calls it in a language; else in the default language, else its key."""
        return self.labels.get(language) or self.labels.get(default) or self.key

    def choices(self, language: str) -> list[tuple[str, str]]:
        """A choice's values with their words."""
        words = self.option_labels.get(language, ())
        return [
            (value, words[place] if place < len(words) and words[place] else value)
            for place, value in enumerate(self.options)
        ]

    def as_json(self) -> dict[str, Any]:
        """As it is kept, and as the API writes it."""
        kept: dict[str, Any] = {"key": self.key, "kind": self.kind, "required": self.required}
        kept["labels"] = {code: text for code, text in self.labels.items() if text}
        if self.kind == "choice":
            kept["options"] = list(self.options)
            kept["option_labels"] = {code: list(words) for code, words in self.option_labels.items() if any(words)}
        return kept


@dataclass(frozen=True, slots=True)
class Terms:
    """What joining asks to accept, as it is shown: a text, or the address of the merchant's page."""

    language: str
    text: str = ""
    url: str = ""


def questions_of(campaign: Campaign) -> list[Question]:
    """The questions as values; what is kept was checked when it was saved."""
    return [_read(item) for item in campaign.questions]


def terms_asked(campaign: Campaign, text: str, language: str) -> Terms | None:
    """What has to be accepted; None where nothing is asked for or there is nothing to read. `text` is the campaign's in that language."""
    if not campaign.asks_terms or not (campaign.terms_url or text):
        return None
    return Terms(language, "" if campaign.terms_url else text, campaign.terms_url)


def check_join(campaign: Campaign, fields: Iterable[str]) -> None:
    """Bring the named fields into their kept form, or raise Refused at the one that is wrong."""
    if "questions" in fields:
        campaign.questions = [question.as_json() for question in _checked(campaign)]
    if "terms_url" in fields and campaign.terms_url:
        parts = urlsplit(campaign.terms_url)
        if parts.scheme != "https" or not parts.hostname or parts.username is not None:
            raise Refused("terms_url", _("Enter an address that begins with https://."), field="terms_url")
    if "asks_terms" in fields and campaign.asks_terms and not campaign.terms_url:
        has_text = campaign.pk is not None and campaign.texts.exclude(terms="").exists()
        if not has_text:
            message = _("Write the terms on the page Design and texts, or enter their address.")
            raise Refused("terms_missing", message, field="asks_terms")


def _read(item: Mapping[str, Any]) -> Question:
    words = item.get("option_labels") or {}
    return Question(
        str(item.get("key", "")),
        str(item.get("kind", "")),
        bool(item.get("required")),
        {str(code): str(text).strip() for code, text in (item.get("labels") or {}).items()},
        tuple(str(value).strip() for value in item.get("options") or ()),
        {str(code): tuple(str(text).strip() for text in texts) for code, texts in words.items()},
    )


def _checked(campaign: Campaign) -> list[Question]:
    given = campaign.questions
    if len(given) > MOST_QUESTIONS:
        raise Refused("too_many", _("At most %(most)d fit here.") % {"most": MOST_QUESTIONS}, field="questions")
    found: list[Question] = []
    for place, item in enumerate(given):
        at = f"questions[{place}]"
        question = _read(item)
        if not _KEY.fullmatch(question.key):
            message = _("A name begins with a letter and has small letters, digits and _, at most 30.")
            raise Refused("question", message, field=f"{at}.key")
        if any(question.key == other.key for other in found):
            raise Refused("question", _("Two questions have the name %(name)s.") % {"name": question.key}, field=at)
        if question.kind not in KINDS:
            raise Refused("question", _("Choose what kind of answer it is."), field=f"{at}.kind")
        _check_words(campaign, question, at)
        found.append(question)
    return found


def _check_words(campaign: Campaign, question: Question, at: str) -> None:
    if not question.labels.get(campaign.default_language):
        message = _("Say in the campaign's default language what is asked.")
        raise Refused("question", message, field=f"{at}.label")
    options = [*question.options, *(text for texts in question.option_labels.values() for text in texts)]
    for name, texts in (("label", question.labels.values()), ("option", options)):
        for text in texts:
            if len(text) > LENGTHS[name] or not text.isprintable():
                message = _("%(text)s… is too long: one line of at most %(most)d characters.")
                words = {"text": text[:20], "most": LENGTHS[name]}
                raise Refused("too_long", message % words, field=f"{at}.{name}s" if name == "option" else f"{at}.label")
    if question.kind != "choice":
        return
    if not 2 <= len(question.options) <= MOST_OPTIONS or len(set(question.options)) != len(question.options):
        message = _("A choice has 2 to %(most)d different answers, one on each line.")
        raise Refused("question", message % {"most": MOST_OPTIONS}, field=f"{at}.options")
    if not all(question.options):
        raise Refused("question", _("An answer is empty."), field=f"{at}.options")
    if any(len(words) > len(question.options) for words in question.option_labels.values()):
        message = _("There are more translated answers than answers.")
        raise Refused("question", message, field=f"{at}.options")
