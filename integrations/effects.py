"""What a signal does: who it is about, and which service to call. Runs in the caller's transaction; decides no amount."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db.models import BooleanField

from campaigns.terms import STATUS_EVENTS
from integrations import payouts, registry
from integrations.account_facts import FACTS as ACCOUNT_FACTS
from integrations.account_facts import account_did
from integrations.base import Code, Ignored, Signal
from integrations.ignored_payments import refund_without_payment
from integrations.models import InboundEvent
from integrations.outcomes import Effect as Effect
from integrations.outcomes import money_fact
from integrations.promotions import reward_given, whose
from participants import waiting
from participants.codes import find_chosen
from participants.models import CustomerReference, Participant, QualifyingEvent, Refund
from participants.names import Reference
from participants.services import find_event
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib.emails import EmailError, parse_email
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.lib.prepared import Prepared, Slot
from referrals.lib.queries import Among
from rewards import refunds
from rewards import services as rewards
from rewards.given import given_by_code
from rewards.loading import RESUMED, STOPPED
from rewards.locking import lock_people
from rewards.statuses import STATUSES, set_status

# More partial refunds of one payment than anybody makes.
MAX_REFUNDS = 200
# Of a subscription: the type of event that it becomes, and what the message's page says.
_SUBSCRIPTION = {
    "stopped": (STOPPED, "subscription_stopped"),
    "resumed": (RESUMED, "subscription_resumed"),
}
# What says that something was done before -> what the message that did it says.
_DONE_BEFORE = {
    "same_payment": ("rewarded", "recorded"),
    "joined_before": ("joined",),
    "refund_known": ("refunded", "refund_back", "order_cancelled", "disputed", "dispute_won"),
}

# Asked by every payment, with its text made once (ADR 13).
_BY_CODES = Prepared(
    lambda: (
        Participant.objects.filter(
            Among("referral_code", Slot("codes")), merchant=Slot("merchant"), is_test=Slot("is_test", BooleanField())
        )
        .exclude(campaign__status="draft")
        .select_related("campaign__merchant")
    )
)


def apply(row: InboundEvent, signal: Signal) -> Effect:
    """Carry a signal out; raises Ignored with the reason when there is nothing to do.

    A message that is worked on again, and finds only what it did itself, keeps its outcome.
    """
    try:
        effect = _applied(row, signal)
    except Ignored as reason:
        if _did_it_itself(row, reason.code):
            return Effect(row.outcome, row.facts, row.event_ref)
        raise
    if _did_it_itself(row, effect.code, effect.event_ref):
        return Effect(row.outcome, row.facts, row.event_ref)
    return effect


def _did_it_itself(row: InboundEvent, code: str, event_ref: str = "") -> bool:
    """Whether what is said to have been done before was done by this very message. No `event_ref`: nobody said which event it is."""
    return row.outcome in _DONE_BEFORE.get(code, ()) and event_ref in {"", row.event_ref}


def _applied(row: InboundEvent, signal: Signal) -> Effect:
    actor = Actor("provider", row.public_id, str(registry.get(row.connection.provider).label))
    try:
        if signal.fact in {"purchase", "action", "signup"}:
            return _customer_did(row, signal, actor)
        if signal.fact in STATUSES:
            return _sale_moved(row, signal, actor)
        if signal.fact in _SUBSCRIPTION:
            return _subscription_did(row, signal, actor)
        if signal.fact == "payout":
            return _payout_moved(row, signal)
        if signal.fact in ACCOUNT_FACTS:
            return account_did(row, signal, actor)
        return _taken_back(row, signal, actor)
    except Refused as error:
        raise Ignored("refused", message=error.message, code=error.code) from error


def _payout_moved(row: InboundEvent, signal: Signal) -> Effect:
    found = payouts.told(row.connection, signal.references)
    if not found:
        raise Ignored("payout_unknown", name=next(iter(signal.references), ""))
    return Effect("payout_told", {"name": signal.references[0]}, found)


def _customer_did(row: InboundEvent, signal: Signal, actor: Actor) -> Effect:
    """A payment or a free sign-up: by its code the payer joins; without one they have to be known."""
    tenant, source = row.connection.tenant, row.connection.provider
    codes = signal.codes
    if signal.email and not codes and (known := waiting.code_for(tenant, source, signal.customer_id)):
        codes = (Code(known),)  # it came with a message that named no address
    if signal.fact == "signup" and not codes and not _tells_whose_id(tenant, signal):
        # No payment that somebody could still be found for, so it is not listed as one.
        raise Ignored("no_code")
    code, referrer = _referrer(tenant, codes)
    redeemed = [one.text for one in codes if one.kind == "promotion"]
    if _is_nobody_s(tenant, source, signal):
        return _kept(row, signal, code, referrer, actor)
    if code is not None and referrer is not None:
        signal = _in_currency(signal, referrer)
        given = reward_given(referrer.campaign, redeemed)
        joined = _joined(tenant, source, signal, code, referrer, actor, given)
        participant, is_new = joined.participant, joined.created or joined.referral_created
    else:
        is_new = False
        participant = _known_friend(tenant, source, signal)
        signal = _in_currency(signal, participant)
    if redeemed and (given := reward_given(participant.campaign, redeemed)):
        given_by_code(participant=participant, rule_key=given, actor=actor)
    if signal.customer_id:
        rewards.identify(participant=participant, source=source, customer_id=signal.customer_id, actor=actor)
    who = {"email": participant.email, "campaign": participant.campaign.name, "participant": participant.public_id}
    if signal.fact == "signup":
        if referrer is None and not signal.customer_id:
            raise Ignored("nothing_paid")
        if referrer is None:
            return Effect("identified", {**who, "customer": signal.customer_id})
        return Effect("joined", {**who, "referrer": referrer.email}) if is_new else Effect("joined_before", who)
    return _qualified(row, signal, participant, actor, who)


def _tells_whose_id(tenant: Tenant, signal: Signal) -> bool:
    """Whether a sign-up without a code says which of the company's ids belongs to somebody's friend, for whom a payment may wait."""
    if not signal.customer_id:
        return False
    return any(_is_referred(person) for person in _by_keys(tenant, _key(signal.email)))


def _subscription_did(row: InboundEvent, signal: Signal, actor: Actor) -> Effect:
    """A subscription that ended or goes on: what it pays later earns a recurring commission no more, or again."""
    person = _known_friend(row.connection.tenant, row.connection.provider, signal)
    type_, outcome = _SUBSCRIPTION[signal.fact]
    lock_people(person)
    done = rewards.qualify(
        participant=person,
        actor=actor,
        source=row.connection.provider,
        external_id=signal.external_id,
        type=type_,
        occurred_at=signal.occurred_at,
        metadata=dict(signal.metadata),
    )
    return Effect(outcome, _about(done.event), done.event.public_id)


def _is_nobody_s(tenant: Tenant, source: str, signal: Signal) -> bool:
    """Whether a payment names only the company's id of a person, and nobody has that id here yet."""
    if signal.fact not in {"purchase", "action"} or signal.email or not signal.customer_id:
        return False
    return not _by_customer(tenant, source, signal.customer_id)


def _kept(row: InboundEvent, signal: Signal, code: Code | None, referrer: Participant | None, actor: Actor) -> Effect:
    """Keep a payment until somebody has the company's id: a later message with an address, or the shop's own word."""
    found, created = waiting.keep(
        tenant=row.connection.tenant,
        campaign=referrer.campaign if referrer else None,
        source=row.connection.provider,
        customer_id=signal.customer_id,
        type_=_type(signal),
        amount=signal.money,
        external_id=signal.external_id,
        references=_names(signal),
        occurred_at=signal.occurred_at,
        metadata=dict(signal.metadata),
        first_purchase_at=signal.first_purchase_at,
        code=code.text if code else "",
    )
    if created:
        data = {"customer_id": signal.customer_id[:64], "external_id": found.external_id, "source": found.source}
        told = Happening(types.EVENT_WAITING, "event", found.public_id, campaign=found.scope, data=data)
        record(row.connection.tenant, actor, told)
    facts = {"customer": signal.customer_id, "amount": money_fact(signal.money) if signal.money else ""}
    return Effect("waits_for_person", facts)


def _qualified(
    row: InboundEvent, signal: Signal, participant: Participant, actor: Actor, who: dict[str, Any]
) -> Effect:
    # Whatever is decided about one person happens in turn: two names of one payment must not both look new.
    participant, _referral = lock_people(participant)
    source = row.connection.provider
    try:
        done = rewards.qualify(
            participant=participant,
            actor=actor,
            source=source,
            type=_type(signal),
            external_id=signal.external_id,
            amount=signal.money,
            occurred_at=signal.occurred_at,
            references=_names(signal),
            customer_id=signal.customer_id,
            first_purchase_at=signal.first_purchase_at,
            metadata=dict(signal.metadata),
        )
    except Refused as error:
        # Another name of a payment may show another sum, such as an invoice partly paid from a balance: the first one stands.
        if error.code == "amount_changed":
            return Effect("same_payment", who)
        raise
    facts = {**who, "amount": money_fact(signal.money) if signal.money else "", "rewards": len(done.rewards)}
    if not done.created:
        return Effect("same_payment", facts, done.event.public_id)
    return Effect("rewarded" if done.rewards else "recorded", facts, done.event.public_id)


def _type(signal: Signal) -> str:
    """What the event is called: a payment is a purchase, anything else has its own name."""
    return signal.event if signal.fact == "action" else "purchase"


def _sale_moved(row: InboundEvent, signal: Signal, actor: Actor) -> Effect:
    """A sale that takes several steps: who comes with a code and an address joins first. A word older than the last one changes nothing."""
    tenant, source = row.connection.tenant, row.connection.provider
    code, referrer = _referrer(tenant, signal.codes)
    if code is not None and referrer is not None and signal.email:
        person = _joined(tenant, source, signal, code, referrer, actor, "").participant
    else:
        person = _known_friend(tenant, source, signal)
    signal = _in_currency(signal, person)
    lock_people(person)
    if _is_older(row, signal, person):
        raise Ignored("status_older", email=person.email, campaign=person.campaign.name)
    label = str(registry.get(source).label)
    set_status(
        participant=person,
        status=signal.fact,
        actor=actor,
        note=(signal.metadata.get("reason") or label)[:300] if signal.fact == "denied" else "",
        amount=signal.money if signal.fact in STATUS_EVENTS else None,
        at=signal.occurred_at,
    )
    who = {"email": person.email, "campaign": person.campaign.name, "participant": person.public_id}
    return Effect(f"status_{signal.fact}", {**who, "at": signal.occurred_at.isoformat()})


def _is_older(row: InboundEvent, signal: Signal, person: Participant) -> bool:
    """Whether this connection has told of a later step of the person's sale: messages come in any order."""
    told = InboundEvent.objects.for_tenant(row.tenant).filter(connection=row.connection_id, email_key=person.email_key)
    told = told.filter(outcome__in=[f"status_{name}" for name in STATUSES]).exclude(pk=row.pk).order_by("-id")
    moments = [
        datetime.fromisoformat(facts["at"])
        for facts in told.values_list("facts", flat=True)[:50]
        if facts.get("participant") == person.public_id and "at" in facts
    ]
    return any(moment > signal.occurred_at for moment in moments)


def _names(signal: Signal) -> list[Reference]:
    """What the source calls the payment, and what other companies call it."""
    return [*signal.references, *signal.elsewhere]


def _referrer(tenant: Tenant, codes: Sequence[Code]) -> tuple[Code | None, Participant | None]:
    """The first of the codes that belongs to somebody in a launched campaign. Merchants put other things in these fields, too."""
    readable = [code for code in codes if code.kind != "promotion_id"]
    if not readable:
        return None, None
    found = {
        participant.referral_code: participant
        for participant in _BY_CODES(
            merchant=tenant.merchant.pk, is_test=tenant.is_test, codes=[code.text for code in readable]
        )
    }
    found |= find_chosen(tenant, [code.text for code in readable if code.text not in found])
    if typed := [code.text for code in readable if code.kind == "promotion" and code.text not in found]:
        for text, person in whose(tenant, typed).items():
            # From here on by the code as it is kept, and not as somebody typed it.
            readable = [replace(code, text=person.referral_code) if code.text == text else code for code in readable]
            found[person.referral_code] = person
    for code in readable:
        if code.text in found:
            return code, found[code.text]
    return None, None


def _joined(
    tenant: Tenant, source: str, signal: Signal, code: Code, referrer: Participant, actor: Actor, given: str
) -> rewards.Joined:
    """The payer as a participant of the referrer's campaign; joins them when they are not in it yet."""
    if not signal.email:
        known = _by_customer(tenant, source, signal.customer_id)
        mine = [person for person in known if person.campaign_id == referrer.campaign_id]
        if not mine:
            raise Ignored("no_email")
        return rewards.Joined(mine[0], created=False, referral=None)
    first, _, last = signal.name.partition(" ")
    return rewards.join(
        campaign=referrer.campaign,
        email=signal.email,
        actor=actor,
        source=source,
        first_name=first[:80],
        last_name=last[:80],
        referred_by_code="" if code.kind == "promotion" else code.text,
        promotion_code=code.text if code.kind == "promotion" else "",
        given_rule=given,
    )


def _known_friend(tenant: Tenant, source: str, signal: Signal) -> Participant:
    """Who paid, by the company's customer id, else by e-mail address; in several campaigns, the one that the payment counts for.

    The id was learnt in one campaign; the person it names may have been invited to another one since.

    A payment counts once. Among the campaigns in which somebody referred the person, one that is running and has the payment's
    currency comes first, then the earliest referral.
    """
    keys = {person.email_key for person in _by_customer(tenant, source, signal.customer_id)}
    people = _by_keys(tenant, keys or _key(signal.email))
    if not people:
        raise _nobody(signal)
    referred = [person for person in people if _is_referred(person)]
    if not referred:
        raise Ignored("not_referred", email=people[0].email, campaign=people[0].campaign.name)
    currencies = {sum_.currency for sum_ in (signal.money, *signal.also) if sum_ is not None}
    return min(
        referred,
        key=lambda person: (
            person.campaign.currency not in currencies,
            person.campaign.status != "active",
            person.referral.created_at,
            person.pk,
        ),
    )


def _nobody(signal: Signal) -> Ignored:
    codes = [code.text for code in signal.codes if code.kind != "promotion_id"]
    if not signal.email and not codes:
        return Ignored("no_email")
    if codes:
        return Ignored("no_participant_code", email=signal.email, code=", ".join(codes)[:100])
    if signal.codes:
        return Ignored("no_participant_promotion", email=signal.email)
    return Ignored("no_participant", email=signal.email)


def _is_referred(person: Participant) -> bool:
    referral = getattr(person, "referral", None)
    return referral is not None and referral.detached_at is None


def _by_customer(tenant: Tenant, source: str, customer_id: str) -> list[Participant]:
    if not customer_id:
        return []
    rows = (
        CustomerReference.objects.for_tenant(tenant)
        .filter(source=source, customer_id=customer_id)
        .exclude(participant__campaign__status="draft")
        .select_related("participant__campaign__merchant", "participant__referral")[:50]
    )
    return [row.participant for row in rows]


def _key(email: str) -> set[str]:
    try:
        return {parse_email(email).key}
    except EmailError:
        return set()


def _by_keys(tenant: Tenant, keys: set[str]) -> list[Participant]:
    return list(
        Participant.objects.for_tenant(tenant)
        .filter(email_key__in=keys)
        .exclude(campaign__status="draft")
        .select_related("campaign__merchant", "referral")
        .order_by("pk")[:50]
    )


def _in_currency(signal: Signal, participant: Participant) -> Signal:
    """With the sum in the campaign's currency; raises Ignored when the company told none. Money is never converted."""
    campaign = participant.campaign
    signal = signal.in_currency(campaign.currency)
    if signal.money is not None and signal.money.currency != campaign.currency:
        paid = signal.money.currency
        raise Ignored("currency_differs", paid=paid, campaign=campaign.name, currency=campaign.currency)
    return signal


def _taken_back(row: InboundEvent, signal: Signal, actor: Actor) -> Effect:
    """A refund, a cancellation or a dispute. One that comes before its payment is remembered until that arrives."""
    if signal.also and (event := find_event(row.connection.tenant, row.connection.provider, signal.references)):
        signal = signal.in_currency(event.currency)
    external_id, money = signal.external_id, signal.money
    if signal.fact == "refund" and not signal.is_part:
        external_id, money = _next_refund(row, signal)
    call: dict[str, Any] = {
        "tenant": row.connection.tenant,
        "actor": actor,
        "source": row.connection.provider,
        "external_id": external_id,
        "references": _names(signal),
        "kind": signal.fact,
        "occurred_at": signal.occurred_at,
        "rivals": [slug for slug in registry.SLUGS if slug != row.connection.provider],
    }
    try:
        done = refunds.refund(amount=money, **call)
    except Refused as error:
        if error.code != "refund_too_large":
            raise
        # More than is left, because a part was taken back by hand before: all that is left goes.
        done = refunds.refund(amount=None, **call)
    if not done.created:
        return Effect("refund_known", event_ref=done.event.public_id if done.event else "")
    if done.event is None:
        return refund_without_payment(row, signal)
    words = {
        "refund": "refunded",
        "refund_back": "refund_back",
        "cancelled": "order_cancelled",
        "dispute": "disputed",
        "dispute_won": "dispute_won",
    }[signal.fact]
    facts = {**_about(done.event), "amount": money_fact(money) if money else ""}
    return Effect(words, facts, done.event.public_id)


def _next_refund(row: InboundEvent, signal: Signal) -> tuple[str, Money]:
    """Stripe and others tell the total taken back so far; what is new is the total less what is recorded and did not fail.

    So a message that was lost, came twice or out of order makes no difference. The rows are numbered, and their unique names see
    to it that a number is taken once.
    """
    if signal.money is None:
        raise Ignored("nothing_refunded")
    names = [f"{signal.external_id}#{number}" for number in range(1, MAX_REFUNDS + 1)]
    rows = (
        Refund.objects.for_tenant(row.connection.tenant)
        .filter(source=row.connection.provider, external_id__in=names)
        .values_list("amount_minor", flat=True)
    )
    recorded = list(rows)
    failed = Refund.objects.for_tenant(row.connection.tenant).filter(
        source=row.connection.provider,
        kind="refund_back",
        external_id__startswith=f"{signal.external_id}#failed/",
        # What failed after this total was told is still in it.
        occurred_at__lt=signal.occurred_at,
    )
    back = sum(minor or 0 for minor in failed.values_list("amount_minor", flat=True))
    rest = 0 if None in recorded else signal.money.minor + back - sum(minor or 0 for minor in recorded)
    if rest <= 0 or len(recorded) >= MAX_REFUNDS:
        raise Ignored("refund_known")
    return names[len(recorded)], Money(rest, signal.money.currency)


def _about(event: QualifyingEvent) -> dict[str, Any]:
    person = event.participant
    return {"email": person.email, "campaign": person.campaign.name, "participant": person.public_id}
