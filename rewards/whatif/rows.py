"""A campaign's events as plain values, read in chunks: the same facts as rewards.loading, without a model instance for any row."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from django.db.models import QuerySet

from campaigns.conditions import fields_used
from campaigns.models import Campaign, RewardRule, StatusChange
from campaigns.terms import RuleTerms
from participants.models import QualifyingEvent
from referrals.lib.money import Money
from rewards.budgets import FALLEN
from rewards.facts import Bond, EventFacts, PersonFacts
from rewards.lifecycle import BY_HAND
from rewards.loading import (
    RESUMED,
    STOPPED,
    Stop,
    campaign_attributes,
    event_attributes,
    is_undone,
    person_attributes,
    returned,
    stopped_at,
)
from rewards.models import Reward
from rewards.whatif.differences import Given, Worth

CHUNK = 2000
_REFERRER = "participant__referral__referrer"
_PERSON = ("email", "email_key", "language", "source", "existing_customer", "metadata")
_FIELDS = (
    f"{_REFERRER}_id", "pk", "participant_id", "version_id", "type", "amount_minor", "source", "occurred_at", "recorded_at",
    "refunded_minor", "disputed_at", "cancelled_at", "participant__identity_key", "participant__existing_customer",
    "participant__banned_at", "participant__referral__created_at", "participant__referral__status", f"{_REFERRER}__identity_key",
    f"{_REFERRER}__banned_at",
)  # fmt: skip
Row = tuple[Any, ...]


class Read(NamedTuple):
    """One event as it is judged. The bond is as if the referrer were not banned; `banned_at` says since when they are."""

    referrer: int | None
    recorded_at: datetime
    version: int
    banned_at: datetime | None
    friend_id: int
    event: EventFacts
    friend: PersonFacts
    bond: Bond | None
    attributes: dict[str, dict[str, Any]] | None


class Recorded(NamedTuple):
    """What there is for an event under a rule: the reward that stands; whether a person declined it; whether one has fallen."""

    given: Given | None
    declined: bool
    fallen: bool


class Reader:
    """Reads the events of one campaign for these rules. Money values are kept, because most amounts come again and again."""

    def __init__(self, campaign: Campaign, rules: Sequence[RuleTerms]) -> None:
        self.campaign = campaign
        self.keys = frozenset(terms.key for terms in rules)
        self.types = _types(campaign, rules)
        self.asked = frozenset[str]().union(*(fields_used(terms.conditions) for terms in rules))
        events = QualifyingEvent.objects.filter(campaign=campaign)
        self.has_stops = events.filter(type__in=[STOPPED, RESUMED]).exists()
        self.needs_day = any(terms.limits.of_campaign or terms.limits.per_referrer_year for terms in rules)
        self.metadata = self.has_stops or "event" in self.asked or "leaderboard" in self.types
        self.more = self._more()
        self.closed = _closed(campaign)
        self.zone = campaign.merchant.zone
        self.money = lru_cache(maxsize=8192)(lambda minor: Money(minor, campaign.currency))
        self.campaign_known = campaign_attributes(campaign) if "campaign" in self.asked else None

    def _more(self) -> tuple[str, ...]:
        found: tuple[str, ...] = ("metadata",) if self.metadata else ()
        if "invitee" in self.asked:
            found += tuple(f"participant__{name}" for name in _PERSON)
        if "referrer" in self.asked:
            found += tuple(f"{_REFERRER}__{name}" for name in _PERSON)
        return found

    def rows(self) -> QuerySet[QualifyingEvent, Row]:
        """The events that the rules may be about."""
        events = QualifyingEvent.objects.filter(campaign=self.campaign, type__in=self.types)
        return events.values_list(*_FIELDS, *self.more)

    def chunks(
        self, rows: QuerySet[QualifyingEvent, Row]
    ) -> Iterator[tuple[list[Read], dict[tuple[int, str], Recorded]]]:
        """Events in the order of `rows`, and what is recorded of them, a chunk at a time: memory does not grow with their number."""
        stream = rows.iterator(chunk_size=CHUNK)
        while chunk := list(islice(stream, CHUNK)):
            yield self._read(chunk), self._recorded([row[1] for row in chunk])

    def _read(self, chunk: Sequence[Row]) -> list[Read]:
        back = returned([row[1] for row in chunk if not row[5] and row[4] != "join"])
        stops = self._stops({row[2] for row in chunk}) if self.has_stops else {}
        friends: dict[int, tuple[PersonFacts, Bond | None]] = {}
        return [self._one(row, back, stops, friends) for row in chunk]

    def _one(
        self,
        row: Row,
        back: Collection[int],
        stops: dict[int, list[Stop]],
        friends: dict[int, tuple[PersonFacts, Bond | None]],
    ) -> Read:
        (referrer, pk, friend_id, version, type_, minor, source, at, recorded_at, refunded, disputed_at, cancelled_at,
         identity, customer, banned, since, status, referrer_identity, referrer_banned, *more) = row  # fmt: skip
        people = friends.get(friend_id)
        if people is None:
            bond = None if referrer is None else Bond(PersonFacts(referrer_identity), since, status == "denied")
            people = friends[friend_id] = (PersonFacts(identity, customer, banned), bond)
        metadata = more[0] if self.metadata else {}
        event = EventFacts(
            pk,
            type_,
            at,
            self.campaign.currency,
            None if minor is None else self.money(minor),
            self.money(refunded),
            pk in back,
            cancelled_at is not None or is_undone(type_, source, status),
            disputed_at,
            stopped_at(at, metadata, stops[friend_id]) if friend_id in stops else None,
            self.closed(at),
            at.astimezone(self.zone).date() if self.needs_day else None,
            metadata.get("rank") if type_ == "leaderboard" else None,
        )
        attributes = self._attributes(event, source, more) if self.asked else None
        return Read(referrer, recorded_at, version, referrer_banned, friend_id, event, *people, attributes)

    def _attributes(self, event: EventFacts, source: str, more: list[Any]) -> dict[str, dict[str, Any]]:
        known: dict[str, dict[str, Any]] = {}
        if "event" in self.asked:
            known["event"] = event_attributes(event.type, event.amount, event.currency, source, more[0])
        people = more[1:] if self.metadata else more
        if "invitee" in self.asked:
            known["invitee"], people = person_attributes(*people[:6]), people[6:]
        if "referrer" in self.asked and people[0] is not None:
            known["referrer"] = person_attributes(*people[:6])
        if self.campaign_known is not None:
            known["campaign"] = self.campaign_known
        return known

    def _stops(self, friends: Collection[int]) -> dict[int, list[Stop]]:
        rows = QualifyingEvent.objects.filter(participant__in=friends, type__in=[STOPPED, RESUMED])
        found: dict[int, list[Stop]] = {}
        for friend, at, type_, given in rows.order_by("occurred_at", "pk").values_list(
            "participant_id", "occurred_at", "type", "metadata"
        ):
            found.setdefault(friend, []).append(Stop(at, type_, given.get("subscription")))
        return found

    def _recorded(self, events: Sequence[int]) -> dict[tuple[int, str], Recorded]:
        rows = Reward.objects.filter(event__in=events, rule_key__in=self.keys).order_by()
        found: dict[tuple[int, str], Recorded] = {}
        for event, key, side, state, reason, minor, units, label in rows.values_list(
            "event_id", "rule_key", "side", "state", "reason", "amount_minor", "units", "units_label"
        ):
            has_fallen = state in FALLEN
            given = None if has_fallen else (side, Worth(minor, units or 0, label))
            declined = has_fallen and reason in BY_HAND
            known = found.get((event, key))
            if known is not None:
                # After the friend was given to another referrer there are two, of which one stands.
                given, declined, has_fallen = (
                    known.given or given,
                    known.declined or declined,
                    known.fallen or has_fallen,
                )
            found[event, key] = Recorded(given, declined, has_fallen)
        return found


def _types(campaign: Campaign, rules: Iterable[RuleTerms]) -> frozenset[str]:
    """The events that these rules are about, or were in any version: what they gave then has to be found too."""
    keys = {terms.key for terms in rules}
    past = RewardRule.objects.filter(version__campaign=campaign, key__in=keys).values_list("trigger", "event_type")
    pairs = {*past, *((terms.trigger, terms.event) for terms in rules)}
    return frozenset("leaderboard" if trigger == "leaderboard" else event for trigger, event in pairs)


def _closed(campaign: Campaign) -> Callable[[datetime], str | None]:
    """Campaign.closed_reasons() for any number of moments, with one query for all of them."""
    changes = list(StatusChange.objects.filter(campaign=campaign).order_by("at", "pk").values_list("at", "status"))
    moments, since = [at for at, _status in changes], campaign.status_since

    def closed(at: datetime) -> str | None:
        if at >= since:
            return campaign.closed_reason(at)
        before = bisect_right(moments, at)
        return campaign.closed_reason(at, changes[before - 1][1] if before else "draft")

    return closed
