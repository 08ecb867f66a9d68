"""Finding people by their codes, and choosing one: unique in a campaign by its looks, never a reserved word (RELIABILITY section 7)."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import TextField
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from participants.code_models import ChosenCode
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.prepared import Prepared, Slot

SHORTEST, LONGEST = 3, 16
# How many codes one person may hold, so that nobody collects the good ones.
MOST = 5
# A code that was taken away belongs to nobody for so long: old links must not lead to a stranger.
REST = timedelta(days=180)
_CODE = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,14}[a-z0-9])", re.ASCII)
# What people take for one another. Also the other way round: whoever reads "asha1O" and types "ashal0" is understood.
_LOOKS = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s", "8": "b", "2": "z", "-": None})
RESERVED = frozenset(
    "about abuse admin administrator affiliate all anonymous api app apply billing blog business campaign campaigns cancel careers "
    "checkout code codes com contact coupon demo discount docs enterprise error faq free friend friends help home hub info invite "
    "joined legal login logout mail master me merchant moderator news none null offer official owner partner partners passalong "
    "password payment payments press pricing privacy profile promo qr refer referral referrals reward rewards root sale sales "
    "security settings shop signin signup staff status store support system team terms test undefined unsubscribe user users www "
    "you".split()
)


def look_of(text: str) -> str:
    """What a code looks like: case, hyphens, and letters that are taken for each other don't count. `rn` is read as `m`, `vv` as `w`."""
    return text.strip().lower().translate(_LOOKS).replace("rn", "m").replace("vv", "w")


_RESERVED_LOOKS = frozenset(map(look_of, RESERVED))


_BY_CODE = Prepared(
    lambda: Participant.objects.filter(campaign=Slot("campaign"), referral_code=Slot("code", TextField()))
)


def find_by_code(campaign: Campaign, text: str) -> Participant | None:
    """Whose code this is in the campaign: a random one by its very letters, a chosen one by its looks."""
    text = text.strip()
    if not 1 <= len(text) <= LONGEST or not text.isascii():
        return None
    found = _BY_CODE.first(campaign=campaign.pk, code=text)
    if found is None and _CODE.fullmatch(text.lower()):
        rows = ChosenCode.objects.filter(campaign=campaign, key=look_of(text), released_at=None)
        row = rows.select_related("participant").first()
        found = row.participant if row else None
    if found is not None:
        found.campaign = campaign
    return found


def find_chosen(tenant: Tenant, texts: Collection[str]) -> dict[str, Participant]:
    """Whose chosen codes these texts are in any launched campaign of the tenant; what two campaigns have is nobody's. One query."""
    looks = {look_of(text): text for text in texts if _CODE.fullmatch(text.strip().lower())}
    if not looks:
        return {}
    rows = ChosenCode.objects.for_tenant(tenant).filter(key__in=looks, released_at=None)
    rows = rows.exclude(campaign__status="draft").select_related("participant__campaign__merchant").order_by("pk")
    found: dict[str, list[Participant]] = {}
    for row in rows:
        found.setdefault(looks[row.key], []).append(row.participant)
    return {text: people[0] for text, people in found.items() if len(people) == 1}


def check_code(text: str) -> str:
    """A code as it is kept, in small letters. Raises Refused: code_format, code_reserved."""
    code = text.strip().lower()
    if not _CODE.fullmatch(code) or "--" in code:
        message = _("A code has 3 to 16 letters a to z, digits and hyphens, such as asha-10.")
        raise Refused("code_format", message, field="code")
    if look_of(code) in _RESERVED_LOOKS or len(look_of(code)) < 2:
        raise Refused("code_reserved", _("This word can't be a code. Choose another one."), field="code")
    return code


def choose_code(*, participant: Participant, text: str, actor: Actor) -> Participant:
    """Give a participant a code of their choice; their first one and former ones keep working. "" goes back to the first one.

    Raises Refused: code_format, code_reserved, code_taken (409), too_many_codes (409).
    """
    code = check_code(text) if text.strip() else ""
    with transaction.atomic():
        person = (
            Participant.objects.select_for_update(no_key=True, of=("self",))
            .select_related("campaign", "merchant")
            .get(pk=participant.pk)
        )
        if code == person.vanity_code:
            return person
        if code:
            _hold(person, code)
        _set(person, code, actor)
    return person


def release_code(*, participant: Participant, actor: Actor) -> Participant:
    """Take a chosen code and all former ones away: they stop working at once, and nobody can choose them for 180 days."""
    with transaction.atomic():
        person = (
            Participant.objects.select_for_update(no_key=True, of=("self",))
            .select_related("campaign", "merchant")
            .get(pk=participant.pk)
        )
        released = ChosenCode.objects.filter(participant=person, released_at=None).update(released_at=clock.now())
        if released:
            _set(person, "", actor)
    return person


def _set(person: Participant, code: str, actor: Actor) -> None:
    person.vanity_code = code
    person.save(update_fields=["vanity_code"])
    happening = Happening(
        types.PARTICIPANT_CHANGED,
        "participant",
        person.public_id,
        campaign=person.campaign.public_id,
        participant=person.public_id,
        data={"fields": ["vanity_code"]},
    )
    record(person.tenant, actor, happening)


def _hold(person: Participant, code: str) -> None:
    """Make the code theirs: anew, again, or from somebody who lost it long ago."""
    key, now = look_of(code), clock.now()
    mine = ChosenCode.objects.filter(participant=person)
    if mine.filter(key=key, released_at=None).update(code=code):
        return
    if mine.filter(released_at=None).count() >= MOST:
        message = _(
            "Nobody can hold more than %(most)d codes, because former ones keep working. Use one of yours: %(codes)s."
        )
        codes = ", ".join(mine.filter(released_at=None).order_by("pk").values_list("code", flat=True))
        raise Refused("too_many_codes", message % {"most": MOST, "codes": codes}, field="code", status=409)
    free = ChosenCode.objects.filter(campaign=person.campaign, key=key, released_at__lte=now - REST)
    if free.update(participant=person, code=code, released_at=None, created_at=now):
        return
    if Participant.objects.filter(campaign=person.campaign, referral_code=code).exists():
        raise _taken(code)
    try:
        with transaction.atomic():
            ChosenCode.objects.create(
                merchant_id=person.merchant_id, is_test=person.is_test, campaign_id=person.campaign_id,
                participant=person, code=code, key=key,
            )  # fmt: skip
    except IntegrityError as error:
        raise _taken(code) from error


def _taken(code: str) -> Refused:
    message = _("Somebody has the code %(code)s, or one that looks like it. Choose another one.")
    return Refused("code_taken", message % {"code": code}, field="code", status=409)
