"""Everything that "Purchases and referrals" lists, as template context: one page of rows, tabs, filters, what waits, what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import BadRequest
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from campaigns.models import Campaign, RewardRule
from integrations import registry
from integrations.models import Connection, InboundEvent
from integrations.outcomes import UNIDENTIFIED
from participants.friends import shares_by_referral
from participants.models import Participant, QualifyingEvent, ReferralShare, Refund, RefundReference, WaitingEvent
from participants.waiting import KEPT
from referrals.accounts.tenancy import Tenant
from referrals.lib.money import Money
from referrals.lib.pages import Page, PageError, keyset
from referrals.web.counts import capped, words
from referrals.web.purchase_state import PAGE_SIZE, WAITING, PurchaseState
from referrals.web.reward_list import Empty
from referrals.web.reward_rows import earned_for, named_by_source
from rewards.models import Decision, Reward
from rewards.purchases import OUTCOME_WORDS, OUTCOMES, Standing, standing_of
from rewards.reasons import CODES, reason_sentence, sentence

_CAMPAIGNS = 200
TONES = {"rewardable": "issued", "review": "review", "held": "problem", "refused": "neutral", "unruled": "neutral"}
SOURCES: dict[str, str | Promise] = {
    "api": gettext_lazy("API"),
    "manual": gettext_lazy("By hand"),
    "passalong": gettext_lazy("Passalong"),
    "import": gettext_lazy("From a file"),
    "csv": gettext_lazy("From a CSV file"),
    "script": gettext_lazy("Web page"),
}
TYPES: dict[str, str | Promise] = {"purchase": gettext_lazy("Purchases"), "join": gettext_lazy("Sign-ups")}


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab of the page."""

    label: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One event as the table prints it."""

    event: QualifyingEvent
    url: str
    friend: Participant
    referrer: Participant | None
    what: str
    reference: str
    source: str
    refunded: Money | None
    tone: str
    outcome: str
    why: str
    rewards: tuple[Reward, ...]
    # Whether others have a part of the friend beside the referrer.
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """One line of what waits: a payment without a person, or a refund without its payment."""

    title: str
    amount: Money | None
    source: str
    reference: str
    at: datetime
    text: str
    url: str


def reference_of(event: QualifyingEvent) -> str:
    """The source's own id of an event; empty where the source gave none and we made one."""
    return named_by_source(event.external_id)


def source_words(source: str) -> str:
    """Who told us of an event: "Stripe", "By hand"."""
    if source in SOURCES:
        return str(SOURCES[source])
    try:
        return str(registry.get(source).label)
    except KeyError:
        return source.replace("_", " ").capitalize()


def for_rows(rows: QuerySet[QualifyingEvent]) -> QuerySet[QualifyingEvent]:
    """The queryset with the people that make_rows() reads; no metadata is read for a list."""
    return rows.select_related("participant__referral__referrer", "campaign").defer("metadata")


def make_rows(events: Sequence[QualifyingEvent]) -> list[Row]:
    """The rows of a page; two queries, for the decisions and the rewards of all of them."""
    standings, rewards = standings_of(events)
    return [_row(event, standings[event.pk], rewards[event.pk]) for event in events]


def standings_of(events: Sequence[QualifyingEvent]) -> tuple[dict[int, Standing], dict[int, list[Reward]]]:
    """Outcome and rewards of each event, by its primary key; two queries."""
    decisions: dict[int, list[Decision]] = {event.pk: [] for event in events}
    rewards: dict[int, list[Reward]] = {event.pk: [] for event in events}
    for decision in Decision.objects.filter(event__in=list(decisions), current=True).order_by("pk"):
        decisions[decision.event_id].append(decision)
    for reward in Reward.objects.filter(event__in=list(rewards)).select_related("payout").order_by("pk"):
        rewards[reward.event_id].append(reward)
    return {pk: standing_of(decisions[pk], rewards[pk]) for pk in decisions}, rewards


def referrer_of(event: QualifyingEvent) -> Participant | None:
    """Who invited the friend; read along by for_rows()."""
    referral = getattr(event.participant, "referral", None)
    return referral.referrer if referral is not None and referral.detached_at is None else None


def shares_of(event: QualifyingEvent) -> list[ReferralShare]:
    """Who shares the friend; empty where one has the whole. One query, or none."""
    referral = getattr(event.participant, "referral", None)
    return shares_by_referral([referral]).get(referral.pk, []) if referral is not None else []


def _row(event: QualifyingEvent, standing: Standing, rewards: Sequence[Reward]) -> Row:
    return Row(
        event=event,
        url=reverse("web:purchase", args=[event.public_id]),
        friend=event.participant,
        referrer=referrer_of(event),
        what=earned_for(event),
        reference=reference_of(event),
        source=source_words(event.source),
        refunded=Money(event.refunded_minor, event.currency) if event.refunded_minor else None,
        tone=TONES[standing.outcome],
        outcome=str(OUTCOME_WORDS[standing.outcome]),
        why=why_words(standing),
        rewards=tuple(rewards),
        is_shared=referrer_of(event) is not None and bool(event.participant.referral.split_by),
    )


def why_words(standing: Standing) -> str:
    """The first reason in words, or what an event without any decision means."""
    if standing.why is not None:
        return sentence(standing.why)
    return _("No rule is about this") if standing.outcome == "unruled" else ""


def list_context(tenant: Tenant, state: PurchaseState) -> dict[str, Any]:
    """Context of web/purchases/list.html and its parts. A fixed number of queries whatever the size of the tables."""
    context: dict[str, Any] = {
        "state": state,
        "here_url": state.url(after=state.after),
        "tabs": _tabs(state),
        "campaigns": Campaign.objects.for_tenant(tenant).only("public_id", "name").order_by("-pk")[:_CAMPAIGNS],
        "types": _types(tenant, state),
        "sources": _sources(tenant, state),
        "reasons": [(code, reason_sentence(code)) for code in CODES],
        "export_url": f"{reverse('web:purchases_export')}?{state.query()}",
    }
    if state.is_waiting:
        return context | _waiting_context(tenant, state)
    found = state.rows(tenant)
    page = state.page(for_rows(found))
    rows = make_rows(page.rows)
    count = len(rows) if page.next is None and not state.after else capped(found)
    return context | {
        "rows": rows,
        "prev_url": state.url(after=page.previous) if page.previous else "",
        "next_url": state.url(after=page.next) if page.next else "",
        "count_text": _("%(shown)s of %(count)s") % {"shown": len(rows), "count": words(count)},
        "live": ngettext("%(n)s event found", "%(n)s events found", count) % {"n": words(count)},
        "empty": None if rows else _empty(state),
    }


def _tabs(state: PurchaseState) -> list[Tab]:
    names = {"": _("All"), **OUTCOMES, WAITING: _("Waiting")}
    return [Tab(str(label), state.url(outcome=name), state.outcome == name) for name, label in names.items()]


def _types(tenant: Tenant, state: PurchaseState) -> list[tuple[str, str]]:
    """Purchases, sign-ups, and the events that rules of this side name."""
    named = RewardRule.objects.filter(
        version__campaign__merchant=tenant.merchant, version__campaign__is_test=tenant.is_test
    )
    events = {*named.order_by().values_list("event_type", flat=True).distinct()[:50], state.type} - {"", *TYPES}
    return [*((name, str(label)) for name, label in TYPES.items()), *((name, _titled(name)) for name in sorted(events))]


def _titled(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _sources(tenant: Tenant, state: PurchaseState) -> list[tuple[str, str]]:
    telling = Connection.objects.for_tenant(tenant).filter(provider__in=registry.TELLING)
    connected = telling.order_by().values_list("provider", flat=True).distinct()
    names = dict.fromkeys(["api", "manual", "passalong", *sorted(connected), state.source])
    return [(name, source_words(name)) for name in names if name]


def _waiting_context(tenant: Tenant, state: PurchaseState) -> dict[str, Any]:
    page, lines = waiting_page(tenant, state)
    kinds = {
        "payment": _("Payments without a person"),
        "person": _("Waiting for their person"),
        "refund": _("Refunds without a payment"),
    }
    return {
        "rows": (),
        "lines": lines,
        "kinds": [Tab(label, state.url(waits=name), state.waits == name) for name, label in kinds.items()],
        "prev_url": state.url(after=page.previous) if page.previous else "",
        "next_url": state.url(after=page.next) if page.next else "",
        "count_text": _("%(shown)s shown") % {"shown": len(lines)},
        "live": ngettext("%(n)s thing waits", "%(n)s things wait", len(lines)) % {"n": len(lines)},
        "empty": None if lines else _nothing_waits(state),
    }


def waiting_page(tenant: Tenant, state: PurchaseState, limit: int = PAGE_SIZE) -> tuple[Page[Any], list[Waiting]]:
    """A page of what waits, newest first; of refunds, two queries. BadRequest for a damaged cursor."""
    try:
        if state.waits == "refund":
            refunds = keyset(_refunds(tenant, state.q), sort="-pk", cursor=state.after, limit=limit)
            return refunds, _refund_lines(refunds.rows)
        if state.waits == "person":
            kept = keyset(_without_person(tenant, state.q), sort="-pk", cursor=state.after, limit=limit)
            return kept, [_kept_line(row) for row in kept.rows]
        payments = keyset(_payments(tenant, state.q), sort="-pk", cursor=state.after, limit=limit)
    except (PageError, TypeError, ValueError) as error:
        raise BadRequest(_("This page marker is damaged; go back to the first page.")) from error
    return payments, [_payment_line(row) for row in payments.rows]


def _without_person(tenant: Tenant, text: str) -> QuerySet[WaitingEvent]:
    """Events whose source knows only its own id of somebody; found by that id or by the event's."""
    rows = WaitingEvent.objects.for_tenant(tenant).filter(found_at=None)
    return rows.filter(Q(customer_id=text) | Q(external_id=text)) if text else rows


def _kept_line(row: WaitingEvent) -> Waiting:
    until = date_format(timezone.localtime(row.recorded_at + KEPT), "j M Y")
    text = _("Counts as soon as an event or a join names this id together with an address. Kept until %(day)s.")
    return Waiting(
        title=row.customer_id,
        amount=row.amount,
        source=source_words(row.source),
        reference=named_by_source(row.external_id),
        at=row.occurred_at,
        text=text % {"day": until},
        url="",
    )


def _payments(tenant: Tenant, reference: str) -> QuerySet[InboundEvent]:
    rows = InboundEvent.objects.for_tenant(tenant).filter(outcome__in=UNIDENTIFIED)
    rows = rows.select_related("connection").defer("body", "headers")
    return rows.filter(event_id=reference) if reference else rows


def _refunds(tenant: Tenant, reference: str) -> QuerySet[Refund]:
    rows = Refund.objects.for_tenant(tenant).filter(event=None)
    return rows.filter(pk__in=_refunds_named(tenant, reference)) if reference else rows


def _refunds_named(tenant: Tenant, text: str) -> set[int]:
    named = RefundReference.objects.for_tenant(tenant).filter(reference=text).values_list("refund_id", flat=True)
    own = Refund.objects.for_tenant(tenant).filter(event=None, external_id=text).values_list("pk", flat=True)
    return {*named[:PAGE_SIZE], *own[:PAGE_SIZE]}


def _refund_lines(refunds: Iterable[Refund]) -> list[Waiting]:
    rows = list(refunds)
    names: dict[int, str] = {}
    for name in RefundReference.objects.filter(refund__in=[row.pk for row in rows]).order_by("-pk"):
        names[name.refund_id] = name.reference
    text = _("It waits for its payment. If that arrives, this is taken off it; nothing else is needed.")
    return [
        Waiting(
            title=row.get_kind_display(),
            amount=Money(row.amount_minor, row.currency) if row.amount_minor and row.currency else None,
            source=source_words(row.source),
            reference=names.get(row.pk, row.external_id),
            at=row.occurred_at,
            text=text,
            url="",
        )
        for row in rows
    ]


def _payment_line(row: InboundEvent) -> Waiting:
    paid = row.facts.get("amount")
    amount = Money(paid["amount_minor"], paid["currency"]) if isinstance(paid, dict) and paid else None
    return Waiting(
        title=row.facts.get("email") or _("Nobody known"),
        amount=amount,
        source=source_words(row.connection.provider),
        reference=row.event_id,
        at=row.received_at,
        text=row.sentence,
        url=reverse("web:inbound", args=[row.public_id]),
    )


def _nothing_waits(state: PurchaseState) -> Empty:
    if state.waits == "person":
        text = _("An event whose source knows only its own id of a person stands here until somebody has that id.")
    elif state.waits == "refund":
        text = _("A refund that comes before its payment stands here until the payment arrives.")
    else:
        text = _("A payment by somebody we can't find stands here: without a code, or by somebody nobody referred.")
    return Empty("circle-check", _("Nothing waits"), text, state.url(outcome=""), _("See all purchases"))


def _empty(state: PurchaseState) -> Empty:
    if state.is_narrowed:
        text = _("Look for the beginning of a name or an e-mail address, a referral code, an order or invoice number.")
        return Empty("search-x", _("Nothing matches"), text, PurchaseState(state.outcome).url(), _("Clear the filters"))
    if state.outcome:
        text = _("Events stand here by what became of them. All of them are one press away.")
        return Empty("circle-check", _("Nothing here"), text, state.url(outcome=""), _("See all purchases"))
    text = _("What invited people do appears here, with the reasons why it earned a reward or why not.")
    return Empty(
        "shopping-bag", _("Nothing recorded yet"), text,
        reverse("web:connections"), _("Connect a provider"), reverse("web:participants"), _("Record one by hand"),
    )  # fmt: skip
