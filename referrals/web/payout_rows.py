"""Rows of the payout pages, ready to print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Sum
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from referrals.lib.money import Money
from referrals.web.templatetags.ui import ago, avatar, monies
from rewards.models import Payout, PayoutBatch

METHODS = {"manual": gettext_lazy("By hand")}
# A payout's status to (colour, words); what Payout.STATUSES says, as tags.
STATUS_TONES = {
    "queued": "sending",
    "sending": "sending",
    "sent": "sending",
    "paid": "issued",
    "failed": "problem",
    "unknown": "problem",
    "needs_attention": "problem",
    "undone": "neutral",
}


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One batch: how many people and how much per currency."""

    id: str
    url: str
    sums: str
    people: str
    method: str
    note: str
    by: str
    at: SafeString
    undone: bool


@dataclass(frozen=True, slots=True)
class PayoutRow:
    """One payout of a batch: who, how much, for how many rewards, and what came of it."""

    id: str
    name: str
    email: str
    avatar: SafeString
    person_url: str
    amount: str
    rewards: str
    reward_url: str
    side: str
    netted: str
    tone: str
    status: str
    reference: str
    message: str


def batch_totals(batches: Sequence[PayoutBatch]) -> dict[int, tuple[int, list[Money]]]:
    """(people, sums per currency) of each batch by primary key, in one query."""
    found: dict[int, tuple[int, list[Money]]] = {batch.pk: (0, []) for batch in batches}
    rows = Payout.objects.filter(batch__in=[batch.pk for batch in batches]).values("batch_id", "currency")
    for row in rows.annotate(people=Count("participant", distinct=True), minor=Sum("amount_minor")).order_by(
        "currency"
    ):
        people, sums = found[row["batch_id"]]
        found[row["batch_id"]] = (people + row["people"], [*sums, Money(row["minor"], row["currency"])])
    return found


def people_text(people: int) -> str:
    """ "3 people"."""
    return ngettext("%(n)s person", "%(n)s people", people) % {"n": f"{people:,}"}


def batch_rows(batches: Sequence[PayoutBatch]) -> list[BatchRow]:
    """Rows for a table of batches; one query for all totals, none for an empty list."""
    totals = batch_totals(batches) if batches else {}
    return [
        BatchRow(
            id=batch.public_id,
            url=reverse("web:payout_batch", args=[batch.public_id]),
            sums=monies(totals[batch.pk][1]),
            people=people_text(totals[batch.pk][0]),
            method=method_text(batch.method),
            note=batch.note,
            by=batch.created_by,
            at=ago(batch.created_at),
            undone=batch.undone_at is not None,
        )
        for batch in batches
    ]


def method_text(method: str) -> str:
    """How the money went."""
    return str(METHODS.get(method, method.replace("_", " ").capitalize()))


def _netted(payout: Any) -> str:
    """What the payout settled besides its rewards: below zero for what was taken back after it had been issued."""
    if not payout.netted_minor:
        return ""
    return _("%(amount)s settled") % {"amount": monies([Money(payout.netted_minor, payout.currency)])}


def payout_rows(payouts: Iterable[Any]) -> list[PayoutRow]:
    """Rows for the lines of one batch; `payouts` come with participant and the annotations `reward_count` and `first_reward`."""
    statuses = {name: str(words) for name, words in Payout.STATUSES}
    rows = []
    for payout in payouts:
        person = payout.participant
        name = person.name or person.email
        count = payout.reward_count
        rows.append(
            PayoutRow(
                id=payout.public_id,
                name=name,
                email=person.email if person.name else "",
                avatar=avatar(name, person.email),
                person_url=reverse("web:participant", args=[person.public_id]),
                amount=monies([payout.amount]),
                netted=_netted(payout),
                rewards=ngettext("%(n)s reward", "%(n)s rewards", count) % {"n": f"{count:,}"},
                reward_url=reverse("web:reward", args=[payout.first_reward]) if payout.first_reward else "",
                side=str(payout.get_side_display()),
                tone=STATUS_TONES.get(payout.status, "neutral"),
                status=statuses.get(payout.status, payout.status),
                reference=payout.reference,
                message=payout.message or (_("Marked by hand") if payout.method == "manual" else ""),
            )
        )
    return rows
