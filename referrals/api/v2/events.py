"""Qualifying events, what was taken back of them, and how they were decided."""

from __future__ import annotations

from django.db.models import QuerySet

from participants import waiting
from participants.models import Participant, QualifyingEvent, Refund
from referrals.accounts.models import Scope
from referrals.api.errors import ApiError, malformed, used_elsewhere
from referrals.api.fields import Choice, EmailField, Flag, Metadata, Moment, MoneyField, Text
from referrals.api.finding import campaign_of, enrolled, one
from referrals.api.fraud import seen_fields, seen_in
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import ref
from referrals.api.v2.base import API, PAGING, SOURCE, expand_field, id_text, page_json, page_of
from referrals.api.v2.shapes import decision_json, events_json, refund_json, rewards_of, waiting_json
from referrals.lib.codes import random_text
from referrals.lib.emails import parse_email
from rewards import refunds, services
from rewards.models import SIDES, Decision
from rewards.reasons import CODES

TAG = "Events"
MISSING = ("event_not_found",)
_EXPAND = expand_field("participant")


@API.operation(
    "POST",
    "events",
    tag=TAG,
    scope=Scope.EVENTS,
    body={
        "campaign": id_text("The campaign.", "JCu82f30F1", required=True),
        "email": EmailField(about="The participant's address.", example="noor@example.com"),
        "customer_id": Text(
            about="Your id of the person, or an anonymous one. With an address it is remembered; alone it may wait for its person.",
            limit=255,
            example="user-77",
        ),
        "type": Text(about="What happened: purchase, unless you say otherwise.", limit=40, example="purchase"),
        "amount": MoneyField(about="What was paid, in the campaign's currency."),
        "external_id": Text(about="Your id of it: the same one counts once.", limit=255, example="order-1001"),
        "occurred_at": Moment(about="When it happened; now if not given."),
        "first_purchase_at": Moment(
            about="When they first bought from you, if you know: before they joined, they are no new customer."
        ),
        "metadata": Metadata(about="Facts of your own, given back as they are."),
        **seen_fields(),
    },
    answer={"anyOf": [ref("Event"), ref("WaitingEvent")]},
    statuses={
        201: "Recorded and decided.",
        200: "It was recorded before.",
        202: "Kept until somebody has this customer id (a WaitingEvent).",
    },
    headers={"Location": "The address of the event."},
    errors=(
        "missing_field",
        "campaign_not_found",
        "participant_not_found",
        "email_invalid",
        "ip_invalid",
        "amount_format",
        "amount_not_positive",
        "currency",
        "date",
        "occurred_at",
        "event_type",
        "campaign_not_started",
        "amount_changed",
        "external_id_reused",
    ),
)
def create_event(call: Call) -> Answer:
    """Record an event.

    Records what a participant did and decides every rule about it at once: the answer says for each rule whether it is rewardable, every
    condition with the facts looked at, and the reward it led to. Idempotent by `external_id`.

    With a `customer_id` and no address, the event is of whoever has this id in the campaign. When nobody has it yet, the event waits up
    to 90 days (202), and is decided as soon as an event or a join names the id together with an address.
    """
    body = call.body
    participant = _person(call)
    if participant is None:
        return _kept(call)
    done = services.qualify(
        participant=participant,
        actor=call.actor,
        source=SOURCE,
        type=body.get("type", "purchase"),
        amount=body.get("amount"),
        external_id=body.get("external_id", ""),
        occurred_at=body.get("occurred_at"),
        first_purchase_at=body.get("first_purchase_at"),
        customer_id=body.get("customer_id", ""),
        metadata=body.get("metadata"),
        seen=seen_in(call),
    )
    if done.event.participant_id != participant.pk:
        raise used_elsewhere(done.event.external_id)
    done.event.participant = participant
    address = f"/api/v2/events/{done.event.public_id}"
    return Answer(
        events_json([done.event], decided=(done.decisions, done.rewards))[0],
        201 if done.created else 200,
        {"Location": address},
    )


def _person(call: Call) -> Participant | None:
    """Whose event it is; None when only an id is given that nobody has. 400 when neither is, 404 for an unknown address."""
    body = call.body
    if "email" in body:
        return enrolled(call.tenant, body["campaign"], body["email"])
    if "customer_id" not in body:
        raise malformed("missing_field", "'email' is missing; or give a 'customer_id'.", "email")
    return waiting.person_of(campaign_of(call.tenant, body["campaign"]), SOURCE, body["customer_id"])


def _kept(call: Call) -> Answer:
    body = call.body
    row, _created = services.keep_waiting(
        campaign=campaign_of(call.tenant, body["campaign"]),
        actor=call.actor,
        source=SOURCE,
        customer_id=body["customer_id"],
        type=body.get("type", "purchase"),
        amount=body.get("amount"),
        external_id=body.get("external_id", ""),
        occurred_at=body.get("occurred_at"),
        first_purchase_at=body.get("first_purchase_at"),
        metadata=body.get("metadata"),
    )
    return Answer(waiting_json(row), 202)


@API.operation(
    "GET",
    "events",
    tag=TAG,
    scope=Scope.READ,
    query={
        "campaign": id_text("Only those of this campaign.", "JCu82f30F1"),
        "participant": id_text("Only those of this participant.", "pt_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
        "email": EmailField(about="Only those of this address."),
        "type": Text(about="Only this kind.", limit=40, example="purchase"),
        "source": Text(about="Only those of this source.", limit=24, example="api"),
        "external_id": Text(about="Only the one with this id at its source.", limit=255, example="order-1001"),
        "expand": _EXPAND,
        **PAGING,
    },
    answer=ref("EventPage"),
    errors=("pagination", "email_invalid", "invalid_choice"),
)
def list_events(call: Call) -> Answer:
    """List events.

    Newest first, each with its current decisions.
    """
    rows, query = _rows(call), call.query
    if "campaign" in query:
        rows = rows.filter(campaign__public_id=query["campaign"])
    if "participant" in query:
        rows = rows.filter(participant__public_id=query["participant"])
    if "email" in query:
        rows = rows.filter(participant__email_key=parse_email(query["email"]).key)
    rows = rows.filter(**{name: query[name] for name in ("type", "source", "external_id") if name in query})
    page = page_of(call, rows)
    body, headers = page_json(call, page, events_json(page.rows, expand=query.get("expand", ())))
    return Answer(body, headers=headers)


@API.operation(
    "GET", "events/{id}", tag=TAG, scope=Scope.READ, query={"expand": _EXPAND}, answer=ref("Event"), errors=MISSING
)
def get_event(call: Call) -> Answer:
    """Get an event.

    With its current decisions.
    """
    return Answer(events_json([_find(call)], expand=call.query.get("expand", ()))[0])


@API.operation(
    "POST",
    "events/{id}/refunds",
    tag=TAG,
    scope=Scope.EVENTS,
    body={
        "amount": MoneyField(about="How much was taken back; all of it if not given."),
        "external_id": Text(about="Your id of the refund: the same one counts once.", limit=255, example="refund-77"),
        "kind": Choice(about="refund, unless the bank is involved.", options=tuple(name for name, _ in Refund.KINDS)),
        "occurred_at": Moment(about="When it happened; now if not given."),
    },
    answer=ref("Refund"),
    statuses={201: "Recorded, and its rewards decided again.", 200: "It was recorded before."},
    errors=(
        *MISSING,
        "amount_format",
        "amount_not_positive",
        "currency",
        "refund_too_large",
        "amount_changed",
        "external_id_reused",
        "date",
        "occurred_at",
    ),
)
def create_refund(call: Call) -> Answer:
    """Record a refund.

    Takes back all of a payment or a part, and decides its rewards again: what is not issued shrinks or is void, what is issued is
    reversed by an opposite entry. Idempotent by `external_id`; without `amount` and `external_id` it is all of the payment, once.
    """
    event, body = _find(call), call.body
    amount = body.get("amount")
    implied = f"auto:{random_text(22)}" if amount is not None or "kind" in body else f"all:{event.public_id}"
    done = refunds.refund(
        tenant=call.tenant,
        actor=call.actor,
        source=SOURCE,
        external_id=body.get("external_id", implied),
        event=event,
        amount=amount,
        kind=body.get("kind", "refund"),
        occurred_at=body.get("occurred_at"),
    )
    refund = done.refund
    if refund.event_id != event.pk:
        raise used_elsewhere(refund.external_id)
    if not done.created and amount is not None and refund.amount_minor != amount.minor:
        message = f"The refund {refund.external_id[:64]} is already recorded with another amount; use another id."
        raise ApiError(409, "amount_changed", message, field="amount")
    return Answer(refund_json(refund, event), 201 if done.created else 200)


@API.operation(
    "GET", "events/{id}/refunds", tag=TAG, scope=Scope.READ, query=PAGING, answer=ref("RefundPage"), errors=MISSING
)
def list_refunds(call: Call) -> Answer:
    """List the refunds of an event.

    Newest first.
    """
    event = _find(call)
    page = page_of(call, Refund.objects.for_tenant(call.tenant).filter(event=event))
    body, headers = page_json(call, page, [refund_json(refund, event) for refund in page.rows])
    return Answer(body, headers=headers)


@API.operation(
    "GET",
    "decisions",
    tag=TAG,
    scope=Scope.READ,
    query={
        "event": id_text("Only those about this event.", "ev_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
        "campaign": id_text("Only those of this campaign.", "JCu82f30F1"),
        "rewardable": Flag(about="Only those with this outcome."),
        "reason": Choice(about="Only those with this reason.", options=CODES, example="below_minimum_purchase"),
        "side": Choice(about="Only those for this side.", options=tuple(name for name, _ in SIDES)),
        "since": Moment(about="Only those made then or later."),
        "current": Flag(about="False for those that a later decision replaced."),
        **PAGING,
    },
    answer=ref("DecisionPage"),
    errors=("pagination", "invalid_choice", "date"),
)
def list_decisions(call: Call) -> Answer:
    """List decisions.

    Every event checked against every rule, newest first, with each condition, the facts that were looked at, both in words, and what
    can still change it. The codes are explained in docs/decisions.md.
    """
    rows, query = Decision.objects.for_tenant(call.tenant).select_related("event"), call.query
    if "event" in query:
        rows = rows.filter(event__public_id=query["event"])
    if "campaign" in query:
        rows = rows.filter(event__campaign__public_id=query["campaign"])
    rows = rows.filter(**{name: query[name] for name in ("rewardable", "current", "reason", "side") if name in query})
    if "since" in query:
        rows = rows.filter(decided_at__gte=query["since"])
    page = page_of(call, rows, sort="-decided_at")
    rewards = rewards_of({row.event_id for row in page.rows})
    data = [
        decision_json(row, row.event, rewards.get((row.event_id, row.rule_key, row.side), []) if row.current else [])
        for row in page.rows
    ]
    body, headers = page_json(call, page, data)
    return Answer(body, headers=headers)


def _rows(call: Call) -> QuerySet[QualifyingEvent]:
    return QualifyingEvent.objects.for_tenant(call.tenant).select_related("participant__campaign")


def _find(call: Call) -> QualifyingEvent:
    return one(_rows(call), "event", call.params["id"])
