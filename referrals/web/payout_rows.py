"""Rows of the payout pages, ready to print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import BooleanField, Count, ExpressionWrapper, QuerySet, Sum
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations import methods, registry
from integrations.models import Connection
from referrals.accounts.tenancy import Tenant
from referrals.lib.money import Money, exponent_of
from referrals.web.payout_words import STATUS_TONES, Words, status_text, words_of
from referrals.web.templatetags.ui import ago, avatar, monies
from referrals.web.worths import NOTHING, units_of_batches, units_of_payouts, worths
from rewards import queueing
from rewards.models import Payout, PayoutBatch

# What somebody has to look at, before what goes on by itself, before what is over: which of them a batch's tag tells of.
_TELLING = (
    ("needs_attention", "problem"),
    ("unknown", "review"),
    ("queued", "sending"),
    ("sending", "sending"),
    ("failed", "problem"),
)


@dataclass(frozen=True, slots=True)
class Tag:
    """A word in a colour."""

    tone: str
    text: str


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One batch: how many people and how much per currency, and how far it is."""

    id: str
    url: str
    sums: str
    people: str
    method: str
    note: str
    by: str
    at: SafeString
    tag: Tag


@dataclass(frozen=True, slots=True)
class PayoutRow:
    """One payout: who, how much, for how many rewards, what came of it, and what comes next."""

    id: str
    url: str
    name: str
    email: str
    avatar: SafeString
    person_url: str
    amount: str
    money: Money
    rewards: str
    side: str
    netted: str
    tag: Tag
    words: Words
    reference: str
    method: str
    at: SafeString
    can_withdraw: bool

    @property
    def exponent(self) -> int:
        """How many decimals its currency has, for the script that adds up what is ticked."""
        return exponent_of(self.money.currency)


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


def batch_counts(batches: Sequence[PayoutBatch]) -> dict[int, Counter[str]]:
    """How many payouts of each status each batch has, by its primary key; in one query."""
    found: dict[int, Counter[str]] = {batch.pk: Counter() for batch in batches}
    rows = Payout.objects.filter(batch__in=[batch.pk for batch in batches]).values_list("batch_id", "status")
    for batch_id, status, count in rows.annotate(n=Count("pk")).order_by():
        found[batch_id][status] = count
    return found


def people_text(people: int) -> str:
    """ "3 people"."""
    return ngettext("%(n)s person", "%(n)s people", people) % {"n": f"{people:,}"}


def batch_tag(batch: PayoutBatch, counts: Mapping[str, int]) -> Tag:
    """How far a batch is, in a word."""
    if batch.undone_at:
        return Tag("neutral", _("Undone"))
    if (counts.get("queued") or counts.get("sending")) and batch.needs_approval and not batch.approved_at:
        return Tag("due", _("Waits for approval"))
    if counts.get("queued") and batch.needs_funding and not batch.funded_at:
        return Tag("due", _("Waits for money"))
    for status, tone in _TELLING:
        if counts.get(status):
            return Tag(tone, f"{counts[status]:,} · {status_text(status)}")
    if counts and set(counts) == {"undone"}:
        return Tag("neutral", _("Withdrawn"))
    return Tag("issued", _("Issued"))


def batch_rows(batches: Sequence[PayoutBatch]) -> list[BatchRow]:
    """Rows for a table of batches; three queries for all totals, none for an empty list."""
    totals, counts = (batch_totals(batches), batch_counts(batches)) if batches else ({}, {})
    units = units_of_batches(batches)
    return [
        BatchRow(
            id=batch.public_id,
            url=reverse("web:payout_batch", args=[batch.public_id]),
            sums=worths(totals[batch.pk][1], units.get(batch.pk, NOTHING)),
            people=people_text(totals[batch.pk][0]),
            method=method_text(batch.method),
            note=batch.note,
            by=batch.created_by,
            at=ago(batch.created_at),
            tag=batch_tag(batch, counts[batch.pk]),
        )
        for batch in batches
    ]


def method_text(method: str) -> str:
    """How the money goes, as "Issue" names it."""
    found = registry.ways().get(method)
    label = found[1].label if found else next((own.label for own in methods.OWN if own.name == method), "")
    return str(label) or method.replace("_", " ").capitalize()


def companies(tenant: Tenant, accounts: Iterable[str]) -> dict[str, str]:
    """What to call the connections of these public ids: the merchant's own name for each, else the company's. At most one query."""
    wanted = {account for account in accounts if account}
    if not wanted:
        return {}
    rows = Connection.objects.for_tenant(tenant).filter(public_id__in=wanted)
    return {row.public_id: row.label or _company(row.provider) for row in rows}


def _company(slug: str) -> str:
    return str(registry.get(slug).label) if slug in registry.SLUGS else slug.capitalize()


def _netted(payout: Payout) -> str:
    """What the payout settled besides its rewards: below zero for what was taken back after it had been issued."""
    if not payout.netted_minor:
        return ""
    return _("%(amount)s settled") % {"amount": monies([Money(payout.netted_minor, payout.currency)])}


def for_rows(payouts: QuerySet[Payout]) -> QuerySet[Payout]:
    """Payouts with all that payout_rows() reads."""
    known = payouts.select_related("participant", "batch", "shipment", "veto")
    return known.annotate(
        reward_count=Count("items"), can_withdraw=ExpressionWrapper(queueing.WITHDRAWABLE, BooleanField())
    )


def payout_rows(payouts: Sequence[Any], tenant: Tenant, *, stopped: bool = False) -> list[PayoutRow]:
    """Rows for payouts that were read by for_rows(); `stopped`: nothing leaves now. At most two queries."""
    units = units_of_payouts(payouts)
    named = companies(tenant, (payout.account for payout in payouts))
    rows = []
    for payout in payouts:
        person = payout.participant
        name = person.name or person.email
        count = payout.reward_count
        rows.append(
            PayoutRow(
                id=payout.public_id,
                url=reverse("web:payout", args=[payout.public_id]),
                name=name,
                email=person.email if person.name else "",
                avatar=avatar(name, person.email),
                person_url=reverse("web:participant", args=[person.public_id]),
                amount=worths([payout.amount], units.get(payout.pk, NOTHING)),
                money=payout.amount,
                netted=_netted(payout),
                rewards=ngettext("%(n)s reward", "%(n)s rewards", count) % {"n": f"{count:,}"},
                side=str(payout.get_side_display()),
                tag=Tag(STATUS_TONES.get(payout.status, "neutral"), status_text(payout.status)),
                words=words_of(payout, named.get(payout.account, ""), stopped=stopped),
                reference=payout.reference,
                method=method_text(payout.method),
                at=ago(payout.paid_at or payout.created_at),
                can_withdraw=payout.can_withdraw,
            )
        )
    return rows
