"""What somebody answers besides their address when they join: questions of the campaign, and whether they accept its terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any
from unicodedata import normalize

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from campaigns.join_settings import Question, Terms, questions_of, terms_asked
from campaigns.models import Campaign
from campaigns.texts import texts_for
from participants.models import Agreement, Participant, TermsVersion
from participants.services import participant_happening
from referrals.events import types
from referrals.events.services import Actor, record
from referrals.lib import clock
from referrals.lib.errors import Refused

LONGEST = 200
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:[.,][0-9]{1,6})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answers:
    """The checked answers by key, as they go into the participant's metadata, and the terms that were accepted."""

    values: dict[str, Any] = field(default_factory=dict)
    terms: Terms | None = None


def terms_of(campaign: Campaign, language: str) -> Terms | None:
    """What joining asks to accept in a language; None when nothing."""
    if not campaign.asks_terms:
        return None
    return terms_asked(campaign, texts_for(campaign, language).terms, language)


def read_answers(
    campaign: Campaign, given: Mapping[str, Any], *, accepted: bool, language: str
) -> tuple[Answers, dict[str, str]]:
    """The answers, and what is wrong with them: a sentence by question's key, "terms" for terms that were not accepted."""
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for question in questions_of(campaign):
        label = question.label(language, campaign.default_language)
        try:
            value = _value(question, given.get(question.key))
        except ValueError as error:
            wrong[question.key] = str(error) % {"label": label}
            continue
        if value is None or (value is False and question.required):
            if question.required:
                missing = _("%(label)s: tick the box.") if question.kind == "tick" else _("%(label)s is missing.")
                wrong[question.key] = missing % {"label": label}
        else:
            values[question.key] = value
    terms = terms_of(campaign, language)
    if terms is not None and not accepted:
        wrong["terms"] = _("Tick the box to accept the terms.")
    return Answers(values, terms), wrong


def check_answers(
    campaign: Campaign, given: Mapping[str, Any], *, accepted: bool, language: str, terms_field: str = "terms_accepted"
) -> Answers:
    """read_answers() for programs: raises Refused `terms_not_accepted`, or `answer_invalid` at the first wrong answer.

    `terms_field` is what the caller's own contract calls the acceptance.
    """
    answers, wrong = read_answers(campaign, given, accepted=accepted, language=language)
    for key, message in wrong.items():
        if key != "terms":
            raise Refused("answer_invalid", message, field=f"fields.{key}")
    if wrong:
        raise _not_accepted(terms_field)
    return answers


def require_terms(
    campaign: Campaign, *, accepted: bool, language: str, terms_field: str = "terms_accepted"
) -> Terms | None:
    """For the merchant's own server, which answers no questions: the terms that were accepted; Refused `terms_not_accepted`."""
    terms = terms_of(campaign, language)
    if terms is not None and not accepted:
        raise _not_accepted(terms_field)
    return terms


def _not_accepted(field_name: str) -> Refused:
    message = _("This campaign's terms have to be accepted: ask, then send %(name)s.") % {"name": field_name}
    return Refused("terms_not_accepted", message, field=field_name)


def _value(question: Question, given: Any) -> Any:
    """One answer in its kept form; None without one. ValueError has the sentence, with %(label)s."""
    if question.kind == "tick":
        return given is True or (isinstance(given, str) and given.lower() in {"on", "true", "1", "yes"})
    text = _line(given)
    if not text:
        return None
    if question.kind == "number":
        return _number(text)
    if question.kind == "date":
        return _day(text)
    if question.kind == "choice":
        if text not in question.options:
            raise ValueError(_("%(label)s: choose one of the answers."))
        return text
    if len(text) > LONGEST:
        raise ValueError(_("%(label)s has too many characters; at most 200 fit."))
    return text


def _line(given: Any) -> str:
    """A text in one line, without control characters."""
    if given is None or isinstance(given, bool) or not isinstance(given, str | int | Decimal | float):
        return ""
    text = normalize("NFC", str(given)[:2000])
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _number(text: str) -> int | str:
    """Whole numbers as such, others as text with a point: metadata knows no fractions, and conditions compare by value."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(_("%(label)s: enter a number, such as 12 or 12.5."))
    try:
        number = Decimal(text.replace(",", "."))
    except InvalidOperation as error:
        raise ValueError(_("%(label)s: enter a number, such as 12 or 12.5.")) from error
    return int(number) if number == int(number) else f"{number.normalize():f}"


def _day(text: str) -> str:
    wrong = _("%(label)s: enter a date, such as 2027-03-31.")
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(wrong) from error
    if found.isoformat() != text or not 1900 <= found.year <= 2200:
        raise ValueError(wrong)
    return found.isoformat()


def keep_agreement(participant: Participant, terms: Terms | None, source: str, actor: Actor) -> Agreement | None:
    """Note that a person accepted these terms, once for each version. Runs in the caller's transaction."""
    if terms is None:
        return None
    version = terms_version(participant.campaign, terms)
    return None if version is None else note_agreement(participant, version, source, actor)


def note_agreement(
    participant: Participant, version: TermsVersion, source: str, actor: Actor, at: datetime | None = None
) -> Agreement | None:
    """The same for a version that is known; `at` is when they said so. None when it is noted already."""
    try:
        with transaction.atomic():
            kept = Agreement.objects.create(
                participant=participant, terms=version, source=source, agreed_at=at or clock.now()
            )
    except IntegrityError:
        return None
    data = {"version": version.number, "language": version.language}
    record(participant.tenant, actor, participant_happening(types.TERMS_ACCEPTED, participant, data))
    return kept


def terms_version(campaign: Campaign, terms: Terms | None) -> TermsVersion | None:
    """The row of these very words, None for none; two who are first at once get the same one."""
    if terms is None:
        return None
    digest = sha256("\0".join((terms.language, terms.url, terms.text)).encode()).hexdigest()
    rows = TermsVersion.objects.filter(campaign=campaign)
    for _attempt in range(5):
        found = rows.filter(digest=digest).first()
        if found is not None:
            return found
        number = (rows.aggregate(newest=Max("number"))["newest"] or 0) + 1
        try:
            with transaction.atomic():
                return TermsVersion.objects.create(
                    campaign=campaign,
                    number=number,
                    digest=digest,
                    language=terms.language,
                    text=terms.text,
                    url=terms.url,
                )
        except IntegrityError:
            continue
    raise Refused("changed_meanwhile", _("The terms are changing just now. Try again."), status=409)
