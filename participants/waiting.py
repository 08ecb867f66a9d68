"""Keeping what came before its person was known, and finding it again by the source's id of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from campaigns.models import Campaign
from participants.models import CustomerReference, Participant, WaitingEvent
from participants.names import Reference
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.lib.money import Money

# For how long something waits; then nobody is expected any more.
KEPT = timedelta(days=90)


def keep(
    *,
    tenant: Tenant,
    campaign: Campaign | None,
    source: str,
    customer_id: str,
    type_: str,
    amount: Money | None,
    external_id: str,
    occurred_at: datetime,
    references: Sequence[Reference] = (),
    metadata: Mapping[str, Any] | None = None,
    first_purchase_at: datetime | None = None,
    code: str = "",
) -> tuple[WaitingEvent, bool]:
    """Insert the fact, or find it: one row for (campaign or none, source, external id). Runs in the caller's transaction."""
    scope = campaign.public_id if campaign else ""
    row = WaitingEvent(
        merchant=tenant.merchant,
        is_test=tenant.is_test,
        campaign=campaign,
        scope=scope,
        customer_id=customer_id[:255],
        code=code[:16],
        type=type_,
        amount_minor=amount.minor if amount else None,
        currency=amount.currency if amount else "",
        source=source,
        external_id=external_id[:255],
        references=list(references),
        occurred_at=occurred_at,
        first_purchase_at=first_purchase_at,
        metadata=dict(metadata or {}),
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        twin = WaitingEvent.objects.for_tenant(tenant).filter(scope=scope, source=source, external_id=row.external_id)
        found = twin.first()
        if found is None:
            raise
        return found, False
    return row, True


def take(participant: Participant, source: str, customer_id: str) -> list[WaitingEvent]:
    """What waits for this person, oldest first, locked and marked as found.

    Of a company's messages, which name no campaign, only somebody's friend gets them, in the campaign's own currency: else they would
    count for the first campaign that the person happens to be in.
    """
    campaign = participant.campaign
    rows = (
        WaitingEvent.objects.for_tenant(participant.tenant)
        .filter(source=source, customer_id=customer_id, found_at=None)
        .order_by("occurred_at", "pk")
        .select_for_update(of=("self",))
    )
    mine = [row for row in rows if row.scope == campaign.public_id or (not row.scope and _fits(row, participant))]
    if mine:
        WaitingEvent.objects.filter(pk__in=[row.pk for row in mine]).update(found_at=clock.now())
    return mine


def _fits(row: WaitingEvent, participant: Participant) -> bool:
    return getattr(participant, "referral", None) is not None and row.currency in {"", participant.campaign.currency}


def code_for(tenant: Tenant, source: str, customer_id: str) -> str:
    """The referrer's code that came with something waiting for this id; "" if there is none."""
    if not customer_id:
        return ""
    rows = WaitingEvent.objects.for_tenant(tenant).filter(source=source, customer_id=customer_id, found_at=None)
    return rows.exclude(code="").order_by("pk").values_list("code", flat=True).first() or ""


def person_of(campaign: Campaign, source: str, customer_id: str) -> Participant | None:
    """Who has a source's id in a campaign."""
    row = (
        CustomerReference.objects.for_tenant(campaign.tenant)
        .filter(source=source, customer_id=customer_id, participant__campaign=campaign)
        .select_related("participant__campaign__merchant", "participant__merchant")
        .order_by("pk")
        .first()
    )
    return row.participant if row else None


def forget() -> int:
    """Delete what waited for too long, and what was found that long ago. Returns how many; the schedule calls it."""
    return WaitingEvent.objects.filter(recorded_at__lt=clock.wall() - KEPT).delete()[0]
