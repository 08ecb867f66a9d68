"""Listing a campaign in the affiliate hub: what the merchant says about it, what applicants are asked, who decides (docs/hub.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.core import signing
from django.db import IntegrityError, transaction
from django.utils.text import slugify
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from campaigns.listing_models import CATEGORIES, Listing
from campaigns.models import Campaign, CampaignType
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock, countries
from referrals.lib.addresses import read_address
from referrals.lib.codes import random_text
from referrals.lib.errors import Refused
from referrals.lib.plain import lines, one_line

KINDS = {
    "short": lazy("Short text"),
    "long": lazy("Long text"),
    "choice": lazy("Choice"),
    "url": lazy("Web address"),
}
MOST_QUESTIONS = 8
MOST_CHOICES = 12
QUESTION_LENGTH, CHOICE_LENGTH = 200, 80
DESCRIPTION_LENGTH, TERMS_LENGTH = 600, 20_000
SLUG_LENGTH = 48
# What stands beside the programmes under /hub/.
RESERVED = frozenset(
    "about admin api applications apply help hub me new out open passalong programs search static support".split()
)
PREVIEW_LIFE = 3600  # seconds
_PREVIEW = "campaigns.listing.preview"
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,46}[a-z0-9])", re.ASCII)
_KEY = re.compile(r"[a-z0-9]{6}", re.ASCII)
_KEY_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Question:
    """What an applicant is asked. `key` stays the same while the text changes; `choices` are for the kind "choice"."""

    label: str
    kind: str = "short"
    required: bool = False
    choices: tuple[str, ...] = ()
    key: str = ""


def questions_of(listing: Listing) -> list[Question]:
    """The questions in their order."""
    return [Question(**row | {"choices": tuple(row["choices"])}) for row in listing.questions]


def listing_of(campaign: Campaign) -> Listing:
    """What the campaign's listing says; one that is not saved and off where nobody has set anything."""
    found = Listing.objects.filter(campaign=campaign).first()
    return found or Listing(campaign=campaign)


def save_listing(
    *,
    campaign: Campaign,
    actor: Actor,
    revision: int | None = None,
    questions: Sequence[Question] | None = None,
    **fields: Any,
) -> Listing:
    """Set the listing's fields (is_on, slug, category, countries as codes, description, terms, terms_url, approval) and its questions.

    `revision` is the campaign's, for two open tabs. Raises Refused: not_affiliate, or at the field that is wrong; 409
    `changed_meanwhile`, `name_taken`.
    """
    with transaction.atomic():
        rows = Campaign.objects.select_for_update(of=("self",)).select_related("merchant")
        fresh = rows.get(pk=campaign.pk)
        if revision is not None and fresh.revision != revision:
            message = _("Somebody changed this campaign in the meantime. Reload the page and make your change again.")
            raise Refused("changed_meanwhile", message, status=409)
        listing = listing_of(fresh)
        before = _values(listing)
        _apply(listing, fields)
        if questions is not None:
            listing.questions = [
                asdict(question) | {"choices": list(question.choices)} for question in _checked(questions)
            ]
        if listing.is_on:
            _complete(listing, fresh)
        if listing.is_on and not before["is_on"]:
            listing.listed_at = clock.now()
        _save(listing, fresh)
        changed = sorted(name for name, value in _values(listing).items() if before[name] != value)
        if changed:
            fresh.revision += 1
            fresh.save(update_fields=["revision"])
            _tell(fresh, actor, changed, listing)
    return listing


def _values(listing: Listing) -> dict[str, Any]:
    names = "is_on slug category countries description terms terms_url questions approval".split()
    return {name: getattr(listing, name) for name in names}


def _tell(campaign: Campaign, actor: Actor, changed: list[str], listing: Listing) -> None:
    """One line of history: that it was listed or taken off the hub, else which of its texts changed."""
    type_, data = types.CAMPAIGN_CHANGED, {"fields": ["listing"], "listing": changed}
    if "is_on" in changed:
        type_, data = types.CAMPAIGN_LISTED if listing.is_on else types.CAMPAIGN_UNLISTED, {"listing": changed}
    record(
        campaign.tenant, actor, Happening(type_, "campaign", campaign.public_id, campaign=campaign.public_id, data=data)
    )


def _apply(listing: Listing, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        check = _CHECKS.get(name)
        if check is None:
            message = _("A listing has no field %(name)r.") % {"name": name}
            raise Refused("unknown_field", message, field=name, status=400)
        setattr(listing, name, check(value))


def _complete(listing: Listing, campaign: Campaign) -> None:
    """What a listing needs before anybody may see it."""
    if campaign.type != CampaignType.AFFILIATE:
        message = _("Only affiliate campaigns can be in the hub. Make one from the affiliate template, and list that.")
        raise Refused("not_affiliate", message, field="is_on")
    if not listing.description:
        raise Refused("blank", _("Say in a few words what affiliates promote."), field="description")


def _save(listing: Listing, campaign: Campaign) -> None:
    """Insert or update. A name that the merchant chose is theirs or taken; one of ours gets a number until it is free."""
    names = [listing.slug] if listing.slug else _suggestions(campaign)
    for name in names:
        listing.slug = name
        try:
            with transaction.atomic():
                listing.save()
        except IntegrityError:
            if not Listing.objects.filter(slug=name).exclude(pk=listing.pk).exists():
                raise
        else:
            return
    message = _("Another programme has this name in its address. Choose another one.")
    raise Refused("name_taken", message, field="slug", status=409)


def _suggestions(campaign: Campaign) -> list[str]:
    stem = slugify(f"{campaign.merchant.name} {campaign.name}")[: SLUG_LENGTH - 8].strip("-_").replace("_", "-")
    stem = stem if _SLUG.fullmatch(stem) and stem not in RESERVED else "programme"
    return [stem, f"{stem}-2", f"{stem}-3", f"{stem}-{random_text(6, _KEY_LETTERS)}"]


def _slug(value: Any) -> str:
    slug = str(value).strip().lower()
    if slug and not _SLUG.fullmatch(slug):
        message = _("Use 3 to 48 small letters, digits and hyphens, such as halden-partners.")
        raise Refused("invalid_value", message, field="slug")
    if slug in RESERVED:
        raise Refused("name_reserved", _("This name is kept for the site itself. Choose another one."), field="slug")
    return slug


def _category(value: Any) -> str:
    if value not in dict(CATEGORIES):
        raise Refused("invalid_choice", _("Choose one of the categories."), field="category")
    return str(value)


def _approval(value: Any) -> str:
    if value not in dict(Listing.APPROVALS):
        raise Refused("invalid_choice", _("Choose by hand or at once."), field="approval")
    return str(value)


def _countries(value: Any) -> str:
    """Codes or names in any order, as they are kept: " AT DE "."""
    found = set()
    for text in value:
        code = countries.find(str(text), get_language() or "en")
        if not code:
            message = _("%(text)s is no country. Write names or codes such as Austria or AT.")
            raise Refused("country_unknown", message % {"text": one_line(str(text))[:60]}, field="countries")
        found.add(code)
    return f" {' '.join(sorted(found))} " if found else ""


def _text(name: str, most: int, *, single: bool) -> Any:
    def check(value: Any) -> str:
        text = one_line(str(value)) if single else lines(str(value))
        if len(text) > most:
            message = _("The text is %(length)d characters long; at most %(limit)d fit.")
            raise Refused("too_long", message % {"length": len(text), "limit": most}, field=name)
        return text

    return check


def _terms_url(value: Any) -> str:
    text = str(value).strip()
    if not text:
        return ""
    address = read_address(text) if len(text) <= 500 else None
    if address is None:
        message = _("Enter the full address of your terms, beginning with https://, at most 500 characters.")
        raise Refused("invalid_value", message, field="terms_url")
    return address.text()


_CHECKS: dict[str, Any] = {
    "is_on": bool,
    "slug": _slug,
    "category": _category,
    "countries": _countries,
    "description": _text("description", DESCRIPTION_LENGTH, single=True),
    "terms": _text("terms", TERMS_LENGTH, single=False),
    "terms_url": _terms_url,
    "approval": _approval,
}


def _checked(questions: Sequence[Question]) -> list[Question]:
    """The questions as they are kept, each with a key of its own. Refused names the row: `question-0-label`."""
    if len(questions) > MOST_QUESTIONS:
        raise Refused("too_many", _("At most %(most)d fit here.") % {"most": MOST_QUESTIONS}, field="questions")
    kept: list[Question] = []
    for number, question in enumerate(questions):
        place = f"question-{number}-"
        label = one_line(question.label)
        if not label:
            raise Refused("blank", _("Write the question."), field=f"{place}label")
        if len(label) > QUESTION_LENGTH:
            message = _("The text is %(length)d characters long; at most %(limit)d fit.")
            facts = {"length": len(label), "limit": QUESTION_LENGTH}
            raise Refused("too_long", message % facts, field=f"{place}label")
        if question.kind not in KINDS:
            raise Refused("invalid_choice", _("Choose a kind of answer."), field=f"{place}kind")
        known = {other.key for other in kept}
        key = question.key if _KEY.fullmatch(question.key) and question.key not in known else ""
        key = key or random_text(6, _KEY_LETTERS)
        choices = _choices(question, place) if question.kind == "choice" else ()
        kept.append(Question(label, question.kind, bool(question.required), choices, key))
    return kept


def _choices(question: Question, place: str) -> tuple[str, ...]:
    choices = tuple(dict.fromkeys(text for text in map(one_line, question.choices) if text))
    if not 2 <= len(choices) <= MOST_CHOICES or any(len(text) > CHOICE_LENGTH for text in choices):
        message = _("Write 2 to %(most)d choices, one a line, each of at most %(length)d characters.")
        facts = {"most": MOST_CHOICES, "length": CHOICE_LENGTH}
        raise Refused("invalid_value", message % facts, field=f"{place}choices")
    return choices


def preview_token(campaign: Campaign) -> str:
    """What opens a programme's page for an hour before anybody else may see it, for the merchant's own preview."""
    return signing.dumps(campaign.public_id, salt=_PREVIEW)


def is_preview(campaign: Campaign, token: str) -> bool:
    """Whether a token is this campaign's, and younger than an hour."""
    try:
        found: bool = signing.loads(token, salt=_PREVIEW, max_age=PREVIEW_LIFE) == campaign.public_id
    except signing.BadSignature:
        return False
    return found
