"""What an account adds up to, in a form that does not know ids: the same before it is written away and after it is read back."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.db.models import Count, Sum

from participants.models import Participant, QualifyingEvent, Referral, Visit
from referrals.accounts.tenancy import Tenant
from rewards.balances import balances_of
from rewards.models import Decision, LedgerEntry, Payout, Reward, RewardTally

_CHUNK = 2000


def totals(tenant: Tenant) -> dict[str, Any]:
    """Sums by campaign's name, and a digest over the six numbers of every participant."""
    rewards = Reward.objects.for_tenant(tenant)
    tallies = RewardTally.objects.for_tenant(tenant)
    ledger = LedgerEntry.objects.for_tenant(tenant)
    return {
        "stages": _grouped(tallies, ("campaign__name", "currency", "state"), Sum("count"), Sum("amount_minor")),
        "rewards": _grouped(rewards, ("campaign__name", "currency", "state"), Count("pk"), Sum("amount_minor")),
        "ledger": _grouped(ledger, ("side", "kind", "currency"), Count("pk"), Sum("amount_minor")),
        "payouts": _grouped(Payout.objects.for_tenant(tenant), ("method", "status", "currency"), Count("pk"), Sum("amount_minor")),
        "events": _grouped(
            QualifyingEvent.objects.for_tenant(tenant), ("campaign__name", "type", "currency"), Count("pk"), Sum("amount_minor")
        ),
        "referrals": _grouped(
            Referral.objects.for_tenant(tenant).filter(detached_at=None), ("campaign__name", "status"), Count("pk"), Count("visit")
        ),
        "decisions": _grouped(
            Decision.objects.for_tenant(tenant).filter(current=True), ("side", "reason"), Count("pk"), Sum("amount_minor")
        ),
        "visits": _grouped(
            Visit.objects.filter(merchant=tenant.merchant, is_test=tenant.is_test), ("campaign__name", "hidden_reason"), Count("pk"),
            Count("visitor", distinct=True),
        ),
        "participants": _people(tenant),
    }  # fmt: skip


def _grouped(rows: Any, names: tuple[str, ...], number: Any, total: Any) -> list[list[Any]]:
    found = rows.order_by().values_list(*names).annotate(n=number, sum=total)
    lines = [[*(str(part) for part in row[: len(names)]), row[-2] or 0, row[-1] or 0] for row in found]
    return sorted(line for line in lines if line[-1] or line[-2])


def _people(tenant: Tenant) -> dict[str, Any]:
    """How many, and a digest of campaign, address and the six numbers, whatever their order."""
    whole, count, last = 0, 0, 0
    people = Participant.objects.for_tenant(tenant).order_by("pk").values_list("pk", "campaign__name", "email_key")
    while piece := list(people.filter(pk__gt=last)[:_CHUNK]):
        last = piece[-1][0]
        balances = balances_of([pk for pk, _name, _key in piece])
        for pk, name, key in piece:
            two = balances[pk]
            numbers = [
                two.referrer.earned,
                two.referrer.redeemed,
                two.referrer.left,
                two.invitee.earned,
                two.invitee.redeemed,
            ]
            line = json.dumps([name, key, *numbers, two.invitee.left])
            # A sum does not know an order; the digests of two accounts add up to the same only if they are the same lines.
            whole = (whole + int.from_bytes(hashlib.sha256(line.encode()).digest(), "big")) % 2**256
        count += len(piece)
    return {"count": count, "digest": f"{whole:064x}"}
