"""What a webhook says (docs/webhooks.md): `{"type", "timestamp", "data"}`, made from an Event and the rows that it names.

Names are those of the API, version 2, and so are the values. A body tells what the Event tells: a reward's `status` is the one that it
came to then, whatever it is by now. It holds the personal data of one person at most, whose id is kept beside it for erasing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from campaigns.models import Campaign
from participants.links import share_link, short_link
from participants.models import CustomerReference, Participant, QualifyingEvent
from referrals.events import types
from referrals.events.models import Event
from rewards.models import Payout, PayoutBatch, Reward

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """A body's text, and the public id of the person whose data it holds, if any."""

    text: str
    person: str


@dataclass(frozen=True, slots=True)
class Rows:
    """What a batch of events names, by public id."""

    people: dict[str, Participant]
    customer_ids: dict[int, list[str]]
    rewards: dict[str, Reward]
    events: dict[str, QualifyingEvent]
    campaigns: dict[str, Campaign]
    batches: dict[str, Json]
    sequences: dict[int, int]


def make(events: Sequence[Event], sequences: dict[int, int]) -> dict[int, Made]:
    """The bodies of events of types.WEBHOOK_TYPES, by the events' primary keys. Six queries at most, whatever their number.

    `sequences`: each event's number in its object's own history, counted from 1; what has a lower one is older.
    """
    rows = _read(events, sequences)
    return {event.pk: Made(text(event.type, event.created_at, _data(event, rows)), _person(event)) for event in events}


def text(type_: str, at: datetime, data: Json) -> str:
    """The body as it is sent: JSON in UTF-8 without blanks, names in a fixed order."""
    body = {"type": type_, "timestamp": moment(at), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def moment(value: datetime | None) -> str | None:
    """Milliseconds and offset, as in the API."""
    return None if value is None else value.astimezone(UTC).isoformat(timespec="milliseconds")


def money(minor: int | None, currency: str) -> Json | None:
    """{"amount_minor", "currency"}, or null."""
    return None if minor is None else {"amount_minor": minor, "currency": currency}


def _person(event: Event) -> str:
    return event.participant_ref if event.type in _ABOUT_A_PERSON else ""


def _read(events: Sequence[Event], sequences: dict[int, int]) -> Rows:
    people = _by_id(
        Participant.objects.filter(
            public_id__in={ref for e in events for ref in (e.participant_ref, e.referrer_ref) if ref}
        ).select_related("campaign", "referral__referrer")
    )
    customer_ids: dict[int, list[str]] = {}
    known = CustomerReference.objects.filter(participant__in=[person.pk for person in people.values()])
    for pk, customer in known.order_by("pk").values_list("participant_id", "customer_id"):
        customer_ids.setdefault(pk, []).append(customer)
    rewards = Reward.objects.filter(public_id__in=_subjects(events, "reward")).select_related("event", "payout")
    facts = QualifyingEvent.objects.filter(public_id__in=_subjects(events, "event"))
    campaigns = Campaign.objects.filter(public_id__in=_subjects(events, "campaign"))
    return Rows(
        people, customer_ids, _by_id(rewards), _by_id(facts), _by_id(campaigns), 
        _batches({event.subject_id for event in events if event.type == types.PAYOUT_BATCH_COMPLETED}), sequences,
    )  # fmt: skip


def _subjects(events: Iterable[Event], kind: str) -> set[str]:
    return {event.subject_id for event in events if event.subject_type == kind}


def _by_id(rows: Iterable[Any]) -> dict[str, Any]:
    return {row.public_id: row for row in rows}


def _batches(ids: set[str]) -> dict[str, Json]:
    if not ids:
        return {}
    found: dict[str, Json] = {}
    for batch in PayoutBatch.objects.filter(public_id__in=ids):
        found[batch.public_id] = {
            "id": batch.public_id,
            "method": batch.method,
            "note": batch.note,
            "created_at": moment(batch.created_at),
            "payouts": 0,
            "statuses": {},
            "totals": [],
        }
    totals: dict[tuple[str, str], int] = {}
    rows = Payout.objects.filter(batch__public_id__in=ids).order_by("currency", "pk")
    for batch_id, status, currency, minor in rows.values_list("batch__public_id", "status", "currency", "amount_minor"):
        one = found[batch_id]
        one["payouts"] += 1
        one["statuses"][status] = one["statuses"].get(status, 0) + 1
        totals[batch_id, currency] = totals.get((batch_id, currency), 0) + minor
    for (batch_id, currency), minor in totals.items():
        found[batch_id]["totals"].append(money(minor, currency))
    return found


def _data(event: Event, rows: Rows) -> Json:
    said = _SAYS[event.type](event, rows)
    return {**said, "sequence": rows.sequences.get(event.pk, 0), "is_test": event.is_test}


def _participant(event: Event, rows: Rows) -> Json:
    return person_json(rows.people.get(event.participant_ref), event, rows)


def person_json(person: Participant | None, event: Event, rows: Rows) -> Json:
    """A person as every body about one has them; only the ids once their data is erased."""
    ids = {"id": event.participant_ref, "campaign": event.campaign_ref}
    if person is None or person.erased_at is not None:
        return ids
    bond = getattr(person, "referral", None)
    return {
        **ids,
        "email": person.email,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "language": person.language,
        "referral_code": person.referral_code,
        "link": share_link(person),
        "short_link": short_link(person),
        "referred_by": bond.referrer.public_id if bond else None,
        "status": bond.status if bond else None,
        "source": person.source,
        "joined_at": moment(person.joined_at),
        "existing_customer": person.existing_customer,
        "banned": person.is_banned,
        "customer_ids": rows.customer_ids.get(person.pk, []),
        "metadata": person.metadata,
    }


def _referrer(event: Event, rows: Rows) -> Json | None:
    """Who referred them, by id and code: their own data is not in a body about somebody else."""
    if not event.referrer_ref:
        return None
    person = rows.people.get(event.referrer_ref)
    return {"id": event.referrer_ref, "referral_code": person.referral_code if person else None}


def _of_person(*names: str) -> Callable[[Event, Rows], Json]:
    def say(event: Event, rows: Rows) -> Json:
        return {"participant": _participant(event, rows)} | {name: event.data.get(name) for name in names}

    return say


def _erased(event: Event, rows: Rows) -> Json:
    return {"participant": {"id": event.participant_ref, "campaign": event.campaign_ref}}


def _referral(event: Event, rows: Rows) -> Json:
    return {
        "participant": _participant(event, rows),
        "referrer": _referrer(event, rows),
        "how": event.data.get("how"),
        "split_by": event.data.get("split_by"),
    }


def _referral_status(event: Event, rows: Rows) -> Json:
    return {
        "participant": _participant(event, rows),
        "referrer": _referrer(event, rows),
        "previous_status": event.data.get("from"),
        "status": event.data.get("to"),
        "note": event.data.get("note"),
    }


def _fact(event: Event, rows: Rows) -> Json:
    row = rows.events.get(event.subject_id)
    currency = row.currency if row else event.data.get("currency", "")
    return {
        "id": event.subject_id,
        "campaign": event.campaign_ref,
        "participant": event.participant_ref,
        "type": row.type if row else event.data.get("type"),
        "amount": money(row.amount_minor if row else event.data.get("amount_minor"), currency),
        "refunded": money((row.refunded_minor or None) if row else None, currency),
        "source": row.source if row else event.data.get("source"),
        "external_id": row.external_id if row else event.data.get("external_id"),
        "occurred_at": moment(row.occurred_at) if row else None,
        "metadata": row.metadata if row else {},
    }


def _recorded(event: Event, rows: Rows) -> Json:
    return {
        "event": _fact(event, rows),
        "participant": _participant(event, rows),
        "referrer": _referrer(event, rows),
        "decisions": [
            {
                "rule": one["rule"],
                "side": one["side"],
                "rewardable": one["rewardable"],
                "reason": one["reason"],
                "conditions": one.get("conditions", []),
            }
            for one in event.data.get("decisions", [])
        ],
    }


def _refunded(event: Event, rows: Rows) -> Json:
    data = event.data
    return {
        "event": _fact(event, rows),
        "participant": _participant(event, rows),
        "refund": {
            "id": data.get("refund"),
            "kind": data.get("kind"),
            "amount": money(data.get("amount_minor"), data.get("currency", "")),
        },
    }


def _reward_part(event: Event, rows: Rows) -> Json:
    row, data = rows.rewards.get(event.subject_id), event.data
    return {
        "id": event.subject_id,
        "campaign": event.campaign_ref,
        "participant": event.participant_ref,
        "side": row.side if row else None,
        "rule": row.rule_key if row else None,
        "event": row.event.public_id if row else data.get("event"),
        "kind": row.kind if row else None,
        "amount": money(data.get("amount_minor", row.amount_minor if row else None), row.currency if row else ""),
        "units": row.units if row else data.get("units"),
        "units_label": (row.units_label or None) if row else None,
        "status": data.get("to", data.get("state", row.state if row else None)),
        "reason": data.get("reason"),
        "review_ends_at": moment(row.review_ends_at) if row else None,
        "payout": row.payout.public_id if row and row.payout else None,
        "created_at": moment(row.created_at) if row else None,
    }


def _reward(event: Event, rows: Rows) -> Json:
    return {
        "reward": _reward_part(event, rows),
        "participant": _participant(event, rows),
        "previous_status": event.data.get("from"),
        "reason": event.data.get("reason"),
        "conditions": event.data.get("conditions", []),
        "note": event.data.get("note"),
    }


def _milestone(event: Event, rows: Rows) -> Json:
    return {
        "reward": _reward_part(event, rows),
        "participant": _participant(event, rows),
        "friends": event.data.get("friends"),
        "label": event.data.get("label"),
    }


def _batch(event: Event, rows: Rows) -> Json:
    return {"batch": rows.batches.get(event.subject_id, {"id": event.subject_id})}


def _campaign(event: Event, rows: Rows) -> Json:
    row = rows.campaigns.get(event.subject_id)
    return {
        "campaign": {
            "id": event.subject_id,
            "name": row.name if row else None,
            "type": row.type if row else None,
            "currency": row.currency if row else None,
            "starts_at": moment(row.starts_at) if row else None,
            "ends_at": moment(row.ends_at) if row else None,
        },
        "previous_status": event.data.get("from"),
        "status": event.data.get("to"),
    }


def _flagged(event: Event, rows: Rows) -> Json:
    return {
        "participant": _participant(event, rows),
        "referrer": _referrer(event, rows),
        "level": event.data.get("level"),
        "score": event.data.get("score"),
        "reasons": event.data.get("reasons", []),
    }


_SAYS: dict[str, Callable[[Event, Rows], Json]] = {
    types.PARTICIPANT_CREATED: _of_person("source", "referred_by"),
    types.PARTICIPANT_BANNED: _of_person("reason"),
    types.PARTICIPANT_ERASED: _erased,
    types.REFERRAL_CREATED: _referral,
    types.REFERRAL_STATUS_CHANGED: _referral_status,
    types.EVENT_RECORDED: _recorded,
    types.EVENT_REFUNDED: _refunded,
    types.REWARD_CREATED: _reward,
    types.REWARD_DUE: _reward,
    types.REWARD_HELD: _reward,
    types.REWARD_ISSUED: _reward,
    types.REWARD_FAILED: _reward,
    types.REWARD_VOIDED: _reward,
    types.REWARD_REVERSED: _reward,
    types.PAYOUT_BATCH_COMPLETED: _batch,
    types.MILESTONE_REACHED: _milestone,
    types.CAMPAIGN_STATUS_CHANGED: _campaign,
    types.FRAUD_FLAGGED: _flagged,
}
_ABOUT_A_PERSON = frozenset(_SAYS) - {
    types.PARTICIPANT_ERASED,
    types.PAYOUT_BATCH_COMPLETED,
    types.CAMPAIGN_STATUS_CHANGED,
}
