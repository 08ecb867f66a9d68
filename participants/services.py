"""What people did, as facts: they joined, they came through a link, they bought, it was taken back. Worth is decided in `rewards`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from participants.attribution import Claim, Found, resolve
from participants.models import (
    CustomerReference,
    EventReference,
    Participant,
    QualifyingEvent,
    Referral,
    Refund,
    RefundReference,
)
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.emails import Email, EmailError, parse_email
from referrals.lib.errors import Refused
from referrals.lib.money import Money

CHANGEABLE = frozenset({"first_name", "last_name", "language", "note", "existing_customer"})


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A participant, whether this call made them, and the referral if they came through somebody."""

    participant: Participant
    created: bool
    referral: Referral | None
    referral_created: bool


def check_email(text: str, *, field: str = "email") -> Email:
    """The address, checked and folded; Refused `email_invalid` names it (RELIABILITY section 6, row 12)."""
    try:
        return parse_email(text)
    except EmailError as error:
        raise Refused("email_invalid", str(error), field=field) from error


def find_by_email(campaign: Campaign, email: str) -> Participant | None:
    """The campaign's participant with this address, folded as for joining; None also for text that is no address."""
    try:
        key = parse_email(email).key
    except EmailError:
        return None
    return Participant.objects.filter(campaign=campaign, email_key=key).first()


def closed_message(campaign: Campaign, reason: str) -> str:
    """Why nobody can join, in words that name the campaign."""
    return {
        "campaign_not_started": _("The campaign %(name)s has not started yet."),
        "campaign_paused": _("The campaign %(name)s is paused."),
        "campaign_ended": _("The campaign %(name)s has ended."),
    }[reason] % {"name": campaign.name}


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
) -> Enrolment:
    """Make a person a participant, or find them; bind them to a referrer once (PRODUCT.md, "Attribution").

    Idempotent by e-mail. Raises Refused: email_invalid, campaign_*, code_not_found, self_referral. Runs in the caller's
    transaction; the caller decides what joining is worth.
    """
    address = check_email(email)
    found = Participant.objects.filter(campaign=campaign, email_key=address.key).first()
    if found is not None:
        return _enrolled_before(found, campaign, claim, actor)
    reason = campaign.closed_reason(clock.now())
    if reason is not None:
        raise Refused(reason, closed_message(campaign, reason), details={"campaign": campaign.public_id})
    origin = resolve(campaign, address, claim)
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
        existing_customer=existing_customer or _was_customer(campaign, address),
    )
    try:
        with transaction.atomic():
            participant.save(force_insert=True)
    except IntegrityError:
        # Somebody else added the same person a moment ago: theirs is the one, and who sent them is still told by whoever knows.
        twin = Participant.objects.filter(campaign=campaign, email_key=address.key).first()
        if twin is None:
            raise
        return _enrolled_before(twin, campaign, claim, actor)
    happenings = [_joined(participant, origin)]
    referral = _bind(participant, origin) if origin else None
    if referral is not None:
        happenings.append(_referred(referral))
    record(campaign.tenant, actor, *happenings)
    return Enrolment(participant, True, referral, referral is not None)


def _name(text: str, field: str) -> str:
    text = " ".join(text.split())
    if len(text) > 80:
        raise Refused("too_long", _("A name has at most 80 characters."), field=field)
    return text


def _was_customer(campaign: Campaign, address: Email) -> bool:
    """Whether the same person already bought from this merchant, in any of its campaigns (PRODUCT.md, "Attribution")."""
    return QualifyingEvent.objects.filter(
        merchant_id=campaign.merchant_id,
        is_test=campaign.is_test,
        participant__email_key=address.key,
        participant__merchant_id=campaign.merchant_id,
        amount_minor__gt=0,
    ).exists()


def _referral_of(participant: Participant) -> Referral | None:
    return Referral.objects.filter(invitee=participant).select_related("referrer").first()


def _enrolled_before(participant: Participant, campaign: Campaign, claim: Claim, actor: Actor) -> Enrolment:
    """A second join: the same participant, and the referrer they have; one without may still name one."""
    referral = _referral_of(participant)
    if referral is not None:
        return Enrolment(participant, False, referral, False)
    referral, bound = _bind_late(participant, campaign, claim, actor)
    return Enrolment(participant, False, referral, bound)


def _bind_late(
    participant: Participant, campaign: Campaign, claim: Claim, actor: Actor
) -> tuple[Referral | None, bool]:
    """Bind a participant to a referrer on a later call; the first one stays for good."""
    if claim.is_empty or campaign.closed_reason(clock.now()) is not None:
        return None, False
    address = Email(participant.email, participant.email_key, participant.identity_key)
    origin = resolve(campaign, address, claim)
    # Whoever already brought friends or bought was here before; a code now would rewrite history.
    if origin is None or Referral.objects.filter(referrer=participant).exists():
        return None, False
    if QualifyingEvent.objects.filter(participant=participant).exists():
        return None, False
    try:
        with transaction.atomic():
            referral = _bind(participant, origin)
    except IntegrityError:
        return Referral.objects.select_related("referrer").get(invitee=participant), False
    record(participant.tenant, actor, _referred(referral))
    return referral, True


def _bind(participant: Participant, origin: Found) -> Referral:
    return Referral.objects.create(
        merchant_id=participant.merchant_id,
        is_test=participant.is_test,
        campaign_id=participant.campaign_id,
        referrer=origin.referrer,
        invitee=participant,
        how=origin.how,
        visit_id=origin.visit_id,
    )


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
        data={"how": referral.how},
    )


def update_participant(*, participant: Participant, actor: Actor, **fields: Any) -> Participant:
    """Change names, language, note or the customer flag; raises Refused for another field or one that is too long."""
    with transaction.atomic():
        row = (
            Participant.objects.select_for_update(of=("self",), no_key=True)
            .select_related("campaign", "merchant")
            .get(pk=participant.pk)
        )
        changed = []
        for name, value in fields.items():
            if name not in CHANGEABLE:
                raise Refused(
                    "unknown_field",
                    _("A participant has no field %(n)r that can be changed.") % {"n": name},
                    field=name,
                    status=400,
                )
            limit = getattr(Participant._meta.get_field(name), "max_length", None)
            if limit is not None and len(value) > limit:
                raise Refused("too_long", _("At most %(limit)d characters fit.") % {"limit": limit}, field=name)
            if getattr(row, name) != value:
                setattr(row, name, value)
                changed.append(name)
        if changed:
            row.save(update_fields=changed)
            record(row.tenant, actor, _about(types.PARTICIPANT_CHANGED, row, {"fields": sorted(changed)}))
    return row


def _about(type_: str, participant: Participant, data: dict[str, Any]) -> Happening:
    return Happening(
        type_,
        "participant",
        participant.public_id,
        campaign=participant.campaign.public_id,
        participant=participant.public_id,
        data=data,
    )


def find_event(tenant: Tenant, source: str, references: Sequence[str]) -> QualifyingEvent | None:
    """The event that a source knows under any of these names."""
    if not references:
        return None
    row = (
        EventReference.objects.for_tenant(tenant)
        .filter(source=source, reference__in=list(references))
        .select_related("event__participant__campaign__merchant")
        .first()
    )
    return row.event if row else None


def add_event(
    *,
    participant: Participant,
    type_: str,
    amount: Money | None,
    source: str,
    external_id: str,
    occurred_at: datetime,
    metadata: Mapping[str, Any],
) -> tuple[QualifyingEvent, bool]:
    """Insert the fact, or find it: one row for (campaign, source, external id). Runs in the caller's transaction."""
    campaign = participant.campaign
    if campaign.version_id is None:
        raise Refused("campaign_not_started", closed_message(campaign, "campaign_not_started"))
    event = QualifyingEvent(
        merchant_id=participant.merchant_id,
        is_test=participant.is_test,
        campaign=campaign,
        version_id=campaign.version_id,
        participant=participant,
        type=type_,
        amount_minor=amount.minor if amount else None,
        currency=campaign.currency,
        source=source,
        external_id=external_id,
        occurred_at=occurred_at,
        metadata=dict(metadata),
    )
    try:
        with transaction.atomic():
            event.save(force_insert=True)
    except IntegrityError:
        twin = (
            QualifyingEvent.objects.filter(campaign=campaign, source=source, external_id=external_id)
            .select_related("participant__campaign__merchant")
            .first()
        )
        if twin is None:
            raise
        return twin, False
    return event, True


def name_event(event: QualifyingEvent, references: Sequence[str]) -> None:
    """Remember further names of the same payment. A name that is taken stays where it is."""
    rows = [
        EventReference(
            merchant_id=event.merchant_id, is_test=event.is_test, source=event.source, reference=name[:255], event=event
        )
        for name in dict.fromkeys(references)
    ]
    EventReference.objects.bulk_create(rows, ignore_conflicts=True)


def name_customer(participant: Participant, source: str, customer_id: str) -> None:
    """Remember a source's own id for this person."""
    CustomerReference.objects.bulk_create(
        [
            CustomerReference(
                merchant_id=participant.merchant_id,
                is_test=participant.is_test,
                source=source,
                customer_id=customer_id[:255],
                participant=participant,
            )
        ],
        ignore_conflicts=True,
    )


def add_refund(
    *,
    tenant: Tenant,
    source: str,
    external_id: str,
    event: QualifyingEvent | None,
    references: Sequence[str],
    amount: Money | None,
    kind: str,
    occurred_at: datetime,
) -> tuple[Refund, bool]:
    """Insert what was taken back, or find it: one row for (tenant, source, external id). Without an event it waits for one."""
    refund = Refund(
        merchant=tenant.merchant,
        is_test=tenant.is_test,
        event=event,
        kind=kind,
        amount_minor=amount.minor if amount else None,
        currency=amount.currency if amount else "",
        source=source,
        external_id=external_id[:255],
        occurred_at=occurred_at,
    )
    try:
        with transaction.atomic():
            refund.save(force_insert=True)
            if event is None:
                RefundReference.objects.bulk_create(_names_waited_for(refund, references))
    except IntegrityError:
        twin = Refund.objects.for_tenant(tenant).filter(source=source, external_id=external_id[:255]).first()
        if twin is None:
            raise
        return twin, False
    return refund, True


def _names_waited_for(refund: Refund, references: Sequence[str]) -> list[RefundReference]:
    return [
        RefundReference(
            merchant_id=refund.merchant_id,
            is_test=refund.is_test,
            refund=refund,
            source=refund.source,
            reference=name[:255],
        )
        for name in dict.fromkeys(references)
    ]


def claim_waiting_refunds(event: QualifyingEvent, references: Sequence[str]) -> int:
    """Give an event the refunds that came before it. Returns how many."""
    waiting = RefundReference.objects.for_tenant(event.tenant).filter(
        source=event.source, reference__in=set(references)
    )
    mine = set(waiting.values_list("refund_id", flat=True))
    if not mine:
        return 0
    RefundReference.objects.filter(refund__in=mine).delete()
    return Refund.objects.filter(pk__in=mine, event=None).update(event=event)


def taken_back(event: QualifyingEvent) -> tuple[int, datetime | None]:
    """(minor units refunded so far, since when disputed or None), summed over the event's rows."""
    total, disputed = 0, None
    for row in event.refunds.order_by("occurred_at", "pk"):
        if row.kind == "refund":
            total += event.amount_minor or 0 if row.amount_minor is None else row.amount_minor
        else:
            disputed = row.occurred_at if row.kind == "dispute" else None
    return min(total, event.amount_minor or total), disputed
