"""What deciding needs from the database: one friend's events, and, where a rule looks at the referrer as a whole, those of the
referrer's other friends from a moment on, with what came before it already added up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, Sum
from django.db.models.functions import ExtractYear

from campaigns.conditions import fields_used
from campaigns.models import Campaign
from campaigns.rules import rules_of
from campaigns.terms import STATUS_EVENTS, RuleTerms
from participants.models import Participant, QualifyingEvent, Referral, Refund
from referrals.lib.money import Money
from referrals.lib.prepared import Prepared, Slot
from referrals.lib.queries import Among
from rewards.facts import Bond, EventFacts, PersonFacts, banned_since
from rewards.fold import Item, OfFriend, Standing
from rewards.models import Decision
from rewards.sharing import load_shares, share_facts

# What a friend's own records of a recurring payment's end and return are called.
STOPPED, RESUMED = "subscription_cancelled", "subscription_resumed"
_RANK = {"pending": 0, "qualified": 1, "approved": 2, "denied": 0}


@dataclass(frozen=True, slots=True)
class Stop:
    """A friend's recurring payments end, or come back (`type`); `subscription` is which of them, None for all."""

    at: datetime
    type: str
    subscription: object


@dataclass(frozen=True, slots=True)
class Asked:
    """One event to be decided under one rule: the rows behind the fold's item."""

    friend: Participant
    referral: Referral | None
    event: QualifyingEvent
    rule_id: int
    item: Item

    @property
    def key(self) -> tuple[int, str]:
        """Event and rule: what a decision and a reward are kept under."""
        return self.event.pk, self.item.terms.key


_BOND = Prepared(lambda: Referral.objects.filter(standing_for=Slot("friend")).select_related("referrer"))
_EVENTS = Prepared(lambda: QualifyingEvent.objects.filter(participant=Slot("friend")).order_by("occurred_at", "pk"))


def referral_of(friend: Participant) -> Referral | None:
    """The bond that stands, with the referrer, and with all who share the friend. One query, two if some do."""
    referral = next(iter(_BOND(friend=friend.pk)), None)
    load_shares([referral] if referral is not None else [])
    return referral


def events_of(friend: Participant) -> list[QualifyingEvent]:
    """All that a friend did, oldest first."""
    return _EVENTS(friend=friend.pk)


def asked_of(friend: Participant, referral: Referral | None, events: Sequence[QualifyingEvent]) -> list[Asked]:
    """Every (event, rule) of one friend."""
    return _Facts(friend.campaign, events).asked({friend.pk: (friend, referral)})


def asked_of_referrer(
    referrer: Participant,
    campaign: Campaign,
    keys: Collection[str],
    since: datetime | None,
    leave_out: int | None = None,
) -> list[Asked]:
    """Every (event, rule) of a referrer's friends from `since` on, for rules that look at the referrer as a whole.

    `leave_out` is a friend whose events the caller has already. Two queries.
    """
    # Who is shared counts for nobody as a whole (campaigns.splits).
    mine = QualifyingEvent.objects.filter(participant__referral__referrer=referrer, participant__referral__split_by="")
    events = mine.exclude(participant=leave_out)
    if since is not None:
        events = events.filter(occurred_at__gte=since)
    rows = list(events.order_by("occurred_at", "pk"))
    if not rows:
        return []
    people: dict[int, tuple[Participant, Referral | None]] = {}
    bonds = Referral.objects.filter(referrer=referrer, standing_for__in={row.participant_id for row in rows})
    for bond in bonds.select_related("invitee"):
        bond.referrer = referrer
        bond.invitee.campaign, bond.invitee.merchant = campaign, campaign.merchant
        people[bond.invitee_id] = (bond.invitee, bond)
    return [one for one in _Facts(campaign, rows).asked(people) if one.item.terms.key in keys]


class _Facts:
    """Turns rows of one campaign into plain values, with a fixed number of queries for any number of events."""

    def __init__(self, campaign: Campaign, events: Sequence[QualifyingEvent]) -> None:
        self.campaign = campaign
        self.events = events
        self.closed = campaign.closed_reasons(event.occurred_at for event in events)
        self.returned = _returned(events)
        self.zone = campaign.merchant.zone

    def asked(self, people: dict[int, tuple[Participant, Referral | None]]) -> list[Asked]:
        bonds = {pk: _bond(referral) for pk, (_friend, referral) in people.items()}
        persons = {
            pk: PersonFacts(
                one.identity_key,
                one.existing_customer,
                one.banned_at,
                one.unreferred_reason == "attribution_expired",
                one.given_rule,
            )
            for pk, (one, _) in people.items()
        }
        stops = _stops(self.events)
        found = []
        for event in self.events:
            if event.participant_id not in people:
                continue
            friend, referral = people[event.participant_id]
            facts: EventFacts | None = None
            for rule_id, terms in rules_of(event.version_id, self.campaign.currency):
                if not terms.rewards(event.type):
                    continue
                facts = facts or self._event(event, referral, stops.get(event.participant_id, ()))
                # A prize is the participant's own, whoever invited them.
                by = None if terms.trigger == "leaderboard" else referral
                attributes = _attributes(terms, event, friend, by, self.campaign)
                item = Item(terms, facts, persons[friend.pk], bonds[friend.pk] if by else None, friend.pk, attributes)
                found.append(Asked(friend, by, event, rule_id, item))
        return found

    def _event(self, event: QualifyingEvent, referral: Referral | None, stops: Iterable[Stop]) -> EventFacts:
        undone = is_undone(event.type, event.source, referral.status if referral else None)
        return EventFacts(
            id=event.pk,
            type=event.type,
            occurred_at=event.occurred_at,
            currency=event.currency,
            amount=event.amount,
            refunded=Money(event.refunded_minor, event.currency),
            returned=event.pk in self.returned,
            cancelled=event.cancelled_at is not None or undone,
            disputed_at=event.disputed_at,
            stopped_at=stopped_at(event.occurred_at, event.metadata, stops),
            # What was settled elsewhere happened in another product, whatever this campaign was then.
            closed_reason=None if event.settled else self.closed[event.occurred_at],
            day=event.occurred_at.astimezone(self.zone).date(),
            rank=event.metadata.get("rank") if event.type == "leaderboard" else None,
            settled=event.settled,
        )


def _bond(referral: Referral | None) -> Bond | None:
    if referral is None:
        return None
    referrer = referral.referrer
    shares = share_facts(referral)
    person = PersonFacts(referrer.identity_key, banned_at=banned_since(shares) if shares else referrer.banned_at)
    return Bond(person, referral.created_at, denied=referral.status == "denied", shares=shares)


def is_undone(type_: str, source: str, status: str | None) -> bool:
    """Whether the event is a status set by the merchant that the referral (its status; None: it is gone) no longer has."""
    is_status = type_ in STATUS_EVENTS and source == "passalong"
    return is_status and (status is None or _RANK[status] < _RANK[type_])


def _returned(events: Sequence[QualifyingEvent]) -> frozenset[int]:
    return returned([event.pk for event in events if not event.amount_minor and event.type != "join"])


def returned(free: Collection[int]) -> frozenset[int]:
    """Which of these events without an amount were taken back: there is no sum to tell it by. One query, if there is such an event."""
    if not free:
        return frozenset()
    return frozenset(Refund.objects.filter(Among("event_id", free), kind="refund").values_list("event_id", flat=True))


def _stops(events: Sequence[QualifyingEvent]) -> dict[int, list[Stop]]:
    found: dict[int, list[Stop]] = {}
    for event in events:
        if event.type in {STOPPED, RESUMED}:
            stop = Stop(event.occurred_at, event.type, event.metadata.get("subscription"))
            found.setdefault(event.participant_id, []).append(stop)
    return found


def stopped_at(at: datetime, metadata: Mapping[str, Any], stops: Iterable[Stop]) -> datetime | None:
    """Since when the friend's recurring payments were cancelled at `at`; a subscription's end stops only its own. `stops` in order."""
    own = metadata.get("subscription")
    since = None
    for stop in stops:
        theirs = stop.subscription
        if stop.at <= at and (theirs is None or own is None or theirs == own):
            since = stop.at if stop.type == STOPPED else None
    return since


def _attributes(
    terms: RuleTerms, event: QualifyingEvent, friend: Participant, referral: Referral | None, campaign: Campaign
) -> dict[str, dict[str, Any]] | None:
    """The facts that a rule's conditions ask for, by entity and field (campaigns.conditions.FIELDS)."""
    asked = fields_used(terms.conditions)
    if not asked:
        return None
    known: dict[str, dict[str, Any]] = {}
    if "event" in asked:
        known["event"] = event_attributes(event.type, event.amount, event.currency, event.source, event.metadata)
    if "invitee" in asked:
        known["invitee"] = _person(friend)
    if "referrer" in asked and referral is not None:
        known["referrer"] = _person(referral.referrer)
    if "campaign" in asked:
        known["campaign"] = campaign_attributes(campaign)
    return known


def event_attributes(
    type_: str, amount: Money | None, currency: str, source: str, given: Mapping[str, Any]
) -> dict[str, Any]:
    """What conditions can ask of an event; `given` is its metadata."""
    return {
        "type": type_,
        "amount": amount.major if amount else None,
        "currency": currency,
        "source": source,
        **{name: given.get(name) for name in ("country", "product", "plan", "quantity")},
        **_metadata(given),
    }


def campaign_attributes(campaign: Campaign) -> dict[str, Any]:
    """What conditions can ask of a campaign."""
    return {"id": campaign.public_id, "name": campaign.name, "type": campaign.type, "currency": campaign.currency}


def _person(person: Participant) -> dict[str, Any]:
    return person_attributes(
        person.email, person.email_key, person.language, person.source, person.existing_customer, person.metadata
    )


def person_attributes(
    email: str, email_key: str, language: str, source: str, existing_customer: bool, given: Mapping[str, Any]
) -> dict[str, Any]:
    """What conditions can ask of a friend or a referrer; `given` is their metadata."""
    return {
        "email": email,
        "email_domain": email_key.rpartition("@")[2],
        "country": given.get("country"),
        "language": language,
        "source": source,
        "existing_customer": existing_customer,
        **_metadata(given),
    }


def _metadata(given: Mapping[str, Any]) -> dict[str, Any]:
    return {f"metadata.{name}": value for name, value in given.items()}


def standing_before(
    referrer: Participant, campaign: Campaign, keys: Collection[str], since: datetime | None, friends: Collection[int]
) -> dict[str, Standing]:
    """What the referrer's friends came to before `since`, by rule; with the figures of each of `friends`. Three queries."""
    standings = {key: Standing() for key in keys}
    if since is None:
        return standings
    before = Decision.objects.filter(
        referrer=referrer, rule_key__in=keys, current=True, event__occurred_at__lt=since
    ).order_by()
    counted = before.filter(counted=True)
    for key, number in counted.values_list("rule_key").annotate(n=Count("event__participant", distinct=True)):
        standings[key].friends = number
    years = counted.annotate(year=ExtractYear("event__occurred_at", tzinfo=campaign.merchant.zone))
    for key, year, minor in years.values_list("rule_key", "year").annotate(total=Sum("amount_minor")):
        standings[key].by_year[year] = minor
        standings[key].granted += minor
    figures = before.filter(event__participant__in=friends).values_list("rule_key", "event__participant").annotate(
        earlier=Count("pk"), counted_=Count("pk", filter=Q(counted=True)),
        rewarded=Count("pk", filter=Q(rewardable=True) | Q(counted=True, event__settled=True)),
    )  # fmt: skip
    for key, friend, earlier, number, rewarded in figures:
        standings[key].of_friend[friend] = OfFriend(rewarded, number, earlier)
    return standings
