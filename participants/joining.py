"""Joining: a person becomes a participant, once, and somebody's friend, once (PRODUCT.md, "Attribution"; docs/attribution.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from math import lcm
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import TextField
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from participants.attribution import ALREADY_REFERRED, EXPIRED, Claim, Found, Lost, claimant, resolve
from participants.customers import why_customer
from participants.models import Participant, QualifyingEvent, Referral, ReferralShare
from participants.services import check_email, closed_message
from referrals.events import types
from referrals.events.models import Event
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.emails import Email
from referrals.lib.errors import Refused
from referrals.lib.prepared import Prepared, Slot, insert

# Why a later claim does not bind: a person has detached them before, and has the last word.
DETACHED = "detached"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A participant, whether this call made them, and the referral if they came through somebody."""

    participant: Participant
    created: bool
    referral: Referral | None
    referral_created: bool


_ENROLLED = Prepared(
    lambda: Participant.objects.filter(campaign=Slot("campaign"), email_key=Slot("email", TextField()))
)


def enrol(
    *,
    campaign: Campaign,
    email: str,
    actor: Actor,
    source: str,
    claim: Claim,
    first_name: str = "",
    last_name: str = "",
    language: str = "",
    fraud_level: str = "",
    existing_customer: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> Enrolment:
    """Make a person a participant, or find them; bind them to a referrer once (PRODUCT.md, "Attribution").

    Idempotent by e-mail. Raises Refused: email_invalid, campaign_*, code_not_found, self_referral. Runs in the caller's
    transaction; the caller decides what joining is worth.
    """
    address = check_email(email)
    found = _ENROLLED.first(campaign=campaign.pk, email=address.key)
    if found is not None:
        return _enrolled_before(found, campaign, claim, actor)
    reason = campaign.closed_reason(clock.now())
    if reason is not None:
        raise Refused(reason, closed_message(campaign, reason), details={"campaign": campaign.public_id})
    resolved = resolve(campaign, address, claim)
    origin = resolved.found
    customer_by = "hand" if existing_customer else why_customer(campaign.tenant, address.identity, before=clock.now())
    participant = Participant(
        merchant_id=campaign.merchant_id,
        is_test=campaign.is_test,
        campaign=campaign,
        email=address.address,
        email_key=address.key,
        identity_key=address.identity,
        first_name=_name(first_name, "first_name"),
        last_name=_name(last_name, "last_name"),
        language=language[:8],
        source=source,
        fraud_level=fraud_level,
        existing_customer=bool(customer_by),
        customer_by=customer_by,
        unreferred_reason=EXPIRED if resolved.is_expired else "",
        metadata=dict(metadata or {}),
    )
    if not insert([participant], unless_taken=True):
        # Somebody else added the same person a moment ago: theirs is the one, and who sent them is still told by whoever knows.
        twin = Participant.objects.get(campaign=campaign, email_key=address.key)
        return _enrolled_before(twin, campaign, claim, actor)
    happenings = [_joined(participant, origin)]
    referral = _bind(participant, origin) if origin else None
    if referral is not None:
        happenings += [_referred(referral), *credited(referral)]
    happenings += [_lost(participant, lost, origin) for lost in resolved.lost]
    record(campaign.tenant, actor, *happenings)
    return Enrolment(participant, True, referral, referral is not None)


def _name(text: str, field: str) -> str:
    text = " ".join(text.split())
    if len(text) > 80:
        raise Refused("too_long", _("A name has at most 80 characters."), field=field)
    return text


def _referral_of(participant: Participant) -> Referral | None:
    return Referral.objects.filter(standing_for=participant).select_related("referrer").first()


def _enrolled_before(participant: Participant, campaign: Campaign, claim: Claim, actor: Actor) -> Enrolment:
    """A second join: the same participant, and the referrer they have; one without may still name one."""
    referral = _referral_of(participant)
    if referral is not None:
        _tell_second_claim(participant, referral, campaign, claim, actor)
        return Enrolment(participant, False, referral, False)
    referral, bound = _bind_late(participant, campaign, claim, actor)
    return Enrolment(participant, False, referral, bound)


def _tell_second_claim(
    participant: Participant, referral: Referral, campaign: Campaign, claim: Claim, actor: Actor
) -> None:
    """Note on the friend's time line, once for each, who came too late: "why not me" can be answered."""
    named = {claim.code, claim.promotion_code, claim.cookie_code, claim.link_code} - {""}
    if not claim.email and named <= {referral.referrer.referral_code}:
        return
    other = claimant(campaign, claim)
    if other is not None and other.pk not in {referral.referrer_id, participant.pk}:
        _tell_refused(participant, other, ALREADY_REFERRED, referral.referrer, actor)


def _tell_refused(
    participant: Participant, claimed: Participant, reason: str, standing: Participant | None, actor: Actor
) -> None:
    told = Event.objects.filter(participant_ref=participant.public_id, referrer_ref=claimed.public_id)
    if not told.filter(type=types.REFERRAL_REFUSED).exists():
        record(participant.tenant, actor, _refused(participant, claimed, reason, standing))


def _bind_late(
    participant: Participant, campaign: Campaign, claim: Claim, actor: Actor
) -> tuple[Referral | None, bool]:
    """Bind a participant to a referrer on a later call; the first one stays for good."""
    if claim.is_empty or campaign.closed_reason(clock.now()) is not None:
        return None, False
    address = Email(participant.email, participant.email_key, participant.identity_key)
    resolved = resolve(campaign, address, claim)
    if resolved.found is None:
        return None, False
    # Whoever already brought friends or bought was here before; a code now would rewrite history.
    if reason := _here_before(participant):
        _tell_refused(participant, resolved.found.referrer, reason, None, actor)
        return None, False
    try:
        with transaction.atomic():
            referral = _bind(participant, resolved.found)
    except IntegrityError:
        # Two came at once: whoever was written first has them, and the other is told.
        standing = Referral.objects.select_related("referrer").get(standing_for=participant)
        if standing.referrer_id != resolved.found.referrer.pk:
            _tell_refused(participant, resolved.found.referrer, ALREADY_REFERRED, standing.referrer, actor)
        return standing, False
    lost = (_lost(participant, lost, resolved.found) for lost in resolved.lost)
    record(participant.tenant, actor, _referred(referral), *credited(referral), *lost)
    return referral, True


def _here_before(participant: Participant) -> str:
    """Why a participant without a referrer can't get one by a later claim; "" when they can."""
    # One that stands was made a moment ago by somebody else: the database will say so.
    if Referral.objects.filter(invitee=participant, standing_for=None).exists():
        return DETACHED
    if Referral.objects.filter(referrer=participant).exists():
        return "brought_friends"
    return "existing_customer" if QualifyingEvent.objects.filter(participant=participant).exists() else ""


def _bind(participant: Participant, origin: Found) -> Referral:
    shares = origin.shares if _may_split(participant.campaign, origin.model) else ()
    return bind(
        participant,
        referrer=origin.referrer,
        how=origin.how,
        visit_id=origin.visit_id,
        shares=shares,
        split_by=origin.model if shares else "",
    )


def _may_split(campaign: Campaign, model: str) -> bool:
    """Note on the campaign that its friends may be shared; False when somebody has just changed the model.

    From then on no rule can be published that contradicts it (campaigns.splits); the condition keeps the two apart.
    """
    if not model:
        return False
    if not campaign.has_splits:
        rows = Campaign.objects.filter(pk=campaign.pk, attribution_model=model)
        campaign.has_splits = bool(rows.update(has_splits=True))
    return campaign.has_splits


def bind(
    participant: Participant,
    *,
    referrer: Participant,
    how: str,
    visit_id: int | None = None,
    since: datetime | None = None,
    shares: Sequence[tuple[Participant, Fraction]] = (),
    split_by: str = "",
) -> Referral:
    """Add the bond, with its shares if several referrers have the friend; raises IntegrityError when one stands.

    `since` is when they came, now unless said otherwise.
    """
    referral = Referral(
        merchant_id=participant.merchant_id,
        is_test=participant.is_test,
        campaign_id=participant.campaign_id,
        referrer=referrer,
        invitee=participant,
        standing_for=participant,
        how=how,
        visit_id=visit_id,
        split_by=split_by if shares else "",
        created_at=since or clock.now(),
    )
    insert([referral])
    whole = lcm(*(part.denominator for _person, part in shares))
    ReferralShare.objects.bulk_create(
        ReferralShare(
            referral=referral, participant=person, position=number, numerator=int(part * whole), denominator=whole
        )
        for number, (person, part) in enumerate(shares, start=1)
    )
    return referral


def _joined(participant: Participant, origin: Found | None) -> Happening:
    return Happening(
        types.PARTICIPANT_CREATED,
        "participant",
        participant.public_id,
        campaign=participant.campaign.public_id,
        participant=participant.public_id,
        data={"source": participant.source, "referred_by": origin.referrer.public_id if origin else None},
    )


def _referred(referral: Referral) -> Happening:
    return Happening(
        types.REFERRAL_CREATED,
        "participant",
        referral.invitee.public_id,
        campaign=referral.invitee.campaign.public_id,
        participant=referral.invitee.public_id,
        referrer=referral.referrer.public_id,
        data={"how": referral.how} | ({"split_by": referral.split_by} if referral.split_by else {}),
    )


def credited(referral: Referral) -> list[Happening]:
    """A line for each referrer who shares the friend: on the friend's time line and on theirs."""
    if not referral.split_by:
        return []
    return [
        Happening(
            types.REFERRAL_SHARED,
            "participant",
            referral.invitee.public_id,
            campaign=referral.invitee.campaign.public_id,
            participant=referral.invitee.public_id,
            referrer=share.participant.public_id,
            data={"share": share.words},
        )
        for share in ReferralShare.objects.filter(referral=referral).select_related("participant").order_by("position")
    ]


def _lost(participant: Participant, lost: Lost, winner: Found | None) -> Happening:
    return _refused(participant, lost.referrer, lost.reason, winner.referrer if winner else None)


def _refused(participant: Participant, claimed: Participant, reason: str, standing: Participant | None) -> Happening:
    return Happening(
        types.REFERRAL_REFUSED,
        "participant",
        participant.public_id,
        campaign=participant.campaign.public_id,
        participant=participant.public_id,
        referrer=claimed.public_id,
        data={"reason": reason, "referred_by": standing.public_id if standing else None},
    )
