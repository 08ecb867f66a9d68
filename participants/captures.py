"""Invitations that go out by themselves: after a purchase, or to everybody whose address a checkout or form captured.

Both are off until the merchant turns them on. A capture is kept only from then on; the invitation that it leads to is the one row that a
person has in a campaign, so nobody is invited twice, whatever is captured and however often the schedule runs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import BooleanField, Q, QuerySet

from campaigns.models import Campaign, Status
from participants import invites
from participants.models import Capture, CaptureName, Invite, InviteSettings
from referrals.accounts import clocks
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.lib.emails import EmailError, parse_email
from referrals.lib.money import Money
from referrals.lib.prepared import PreparedRows, Slot

KEPT = timedelta(days=120)
CHUNK = 1000
# A transaction that was slow to commit may show its rows later than their neighbours: look back this far each time.
LOOK_BACK = 500
_BY_ITSELF = Q(after_purchase=True) | Q(loop=True)
# Asked by every payment, with its text made once (ADR 13).
_WANTED = PreparedRows(
    lambda: InviteSettings.objects.filter(
        _BY_ITSELF, campaign__merchant=Slot("merchant"), campaign__is_test=Slot("is_test", BooleanField())
    ).values_list("pk")[:1]
)


def wanted(tenant: Tenant) -> bool:
    """Whether a campaign of this side invites by itself: else nothing is kept of people who never asked."""
    return bool(_WANTED(merchant=tenant.merchant.pk, is_test=tenant.is_test))


def capture(
    *,
    tenant: Tenant,
    email: str,
    source: str,
    references: Sequence[str],
    occurred_at: datetime,
    name: str = "",
    money: Money | None = None,
    consent: bool = False,
) -> bool:
    """Keep that somebody gave their address, once for each payment; whether it is new. False for text that is no address.

    `references` are the source's names of it, one at least. A later message about the same payment may add names, and a yes.
    """
    try:
        address = parse_email(email)
    except EmailError:
        return False
    names = list(dict.fromkeys(text[:255] for text in references if text))
    if not names or not wanted(tenant):
        return False
    try:
        with transaction.atomic():
            known = CaptureName.objects.for_tenant(tenant).filter(source=source, reference__in=names)
            row = Capture.objects.filter(names__in=known).order_by("pk").first()
            fresh = row is None
            if row is None:
                row = Capture.objects.create(
                    merchant=tenant.merchant,
                    is_test=tenant.is_test,
                    email=address.address,
                    email_key=address.key,
                    name=" ".join("".join(c if c.isprintable() else " " for c in name).split())[:80],
                    source=source,
                    amount_minor=money.minor if money is not None and money.minor > 0 else None,
                    currency=money.currency if money is not None else "",
                    consent=consent,
                    occurred_at=occurred_at,
                )
            elif consent and not row.consent:
                Capture.objects.filter(pk=row.pk).update(consent=True)
            there = set(known.values_list("reference", flat=True))
            CaptureName.objects.bulk_create(
                CaptureName(
                    merchant=tenant.merchant, is_test=tenant.is_test, capture=row, source=source, reference=text
                )
                for text in names
                if text not in there
            )
    except IntegrityError:
        # Another message about the same payment was a moment faster.
        return False
    return fresh


def plan() -> int:
    """For the schedule: make the invitations that captures lead to, each due in its time. How many were made."""
    rows = InviteSettings.objects.filter(_BY_ITSELF, campaign__status=Status.ACTIVE)
    made = 0
    for row in rows.select_related("campaign__merchant").order_by("pk"):
        with clocks.running(row.campaign.tenant):
            if row.campaign.closed_reason(clock.now()) is None:
                made += _plan(row)
    return made


def forget() -> int:
    """Delete captures that are too old, and those of sides that no longer invite by themselves. How many."""
    gone = Capture.objects.filter(recorded_at__lt=clock.wall() - KEPT).delete()[0]
    live = InviteSettings.objects.filter(_BY_ITSELF).values_list("campaign__merchant", "campaign__is_test")
    keep = Q(pk__in=[])
    for merchant, is_test in live:
        keep |= Q(merchant=merchant, is_test=is_test)
    return gone + Capture.objects.exclude(keep).delete()[0]


def _plan(row: InviteSettings) -> int:
    campaign = row.campaign
    facts = Capture.objects.for_tenant(campaign.tenant).filter(
        pk__gt=row.captured_to - LOOK_BACK, recorded_at__gte=row.since
    )
    if row.needs_consent:
        facts = facts.filter(consent=True)
    made = 0
    chunk = list(facts.order_by("pk")[: CHUNK + LOOK_BACK])
    if chunk:
        times = _times(row, chunk)
        people = {fact.email_key: fact for fact in chunk if fact.email_key in times}
        made = _invite(campaign, people, times, "loop" if row.loop else "purchase")
        InviteSettings.objects.filter(pk=row.pk).update(captured_to=chunk[-1].pk)
    return made


def _times(row: InviteSettings, facts: Sequence[Capture]) -> dict[str, datetime]:
    """When the mail to each is due, by folded address; who is not there yet (a first purchase, where the second counts) is missing."""
    if row.loop:
        return {fact.email_key: fact.occurred_at for fact in facts}
    bought: dict[str, list[datetime]] = {}
    for key, at in _purchases(row, {fact.email_key for fact in facts}).order_by("occurred_at", "pk"):
        bought.setdefault(key, []).append(at)
    delay = timedelta(days=row.days_after)
    return {key: times[row.nth - 1] + delay for key, times in bought.items() if len(times) >= row.nth}


def _purchases(row: InviteSettings, keys: Collection[str]) -> QuerySet[Capture, tuple[str, datetime]]:
    campaign = row.campaign
    rows = Capture.objects.for_tenant(campaign.tenant).filter(
        email_key__in=keys, amount_minor__isnull=False, recorded_at__gte=row.since
    )
    if row.minimum_minor:
        rows = rows.filter(currency=campaign.currency, amount_minor__gte=row.minimum_minor)
    return rows.values_list("email_key", "occurred_at")


def _invite(campaign: Campaign, people: dict[str, Capture], times: dict[str, datetime], source: str) -> int:
    """One invitation for each, due at its time, but for those who can't be invited now. How many were made or taken up."""
    out = invites.left_out(campaign, set(people))
    rows = [
        Invite(
            merchant_id=campaign.merchant_id,
            is_test=campaign.is_test,
            campaign=campaign,
            email=fact.email,
            email_key=key,
            name=fact.name,
            source=source,
            state="queued",
            next_attempt_at=times[key],
        )
        for key, fact in people.items()
        if key not in out
    ]
    if not rows:
        return 0
    with transaction.atomic():
        mine = {row.public_id for row in rows}
        found = invites.add(campaign, rows)
        made = sum(row.public_id in mine for row in found.values())
        for key, row in found.items():
            if row.state == "ready":
                due = Invite.objects.filter(pk=row.pk, state="ready")
                made += due.update(state="queued", source=source, next_attempt_at=times[key])
    return made
