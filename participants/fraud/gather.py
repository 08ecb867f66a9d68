"""Facts of one referral from the database: a fixed number of queries, each by an index and bounded (docs/fraud.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.db.models import Avg, Count, Q

from campaigns.rules import rules_of
from participants.destinations import shared_destinations
from participants.fraud.facts import Facts, Person
from participants.fraud.identity import fold
from participants.fraud.lists import PAID_CLICKS, under
from participants.fraud.models import FraudBlock, Trace
from participants.fraud.traces import is_outside, shown
from participants.models import Participant, QualifyingEvent, Referral
from referrals.lib import clock

DAY, HOUR, JUST_NOW = timedelta(days=1), timedelta(hours=1), timedelta(seconds=5)
HOPS = 12
MOST_TRACES, MOST_ACCOUNTS, MOST_FRIENDS, MOST_SIBLINGS, MOST_PEOPLE = 100, 300, 200, 50, 100
# An average of fewer orders is none.
ORDERS, FEWEST_ORDERS = 100, 10
_ADDRESS_KEYS = ("shipping", "billing")


def facts_of(referral: Referral, event: QualifyingEvent | None) -> Facts:
    """What is known of this referral now; `referral` comes with referrer, invitee and visit.

    At most 6 queries and one for each hop of a chain of referrals (seldom more than one) as a friend joins, and 4 more for an event.
    """
    friend, referrer = referral.invitee, referral.referrer
    metadata = event.metadata if event is not None and isinstance(event.metadata, dict) else {}
    traces = _Traces.of(friend, referrer)
    joined = traces.joining
    crowd, signups = _at_address(referral, joined)
    friends = _friends(referral)
    cycle, mutual = _circle(referral)
    sales, refunded = _sales(friends.ids, event.occurred_at if event is not None else referral.created_at)
    clicked = referral.visit
    sites = [_host(metadata.get("referrer_url"))]
    sites += [clicked.referer.removeprefix("www."), clicked.channel] if clicked is not None else []
    hosts = [site for site in sites if site]
    blocked, banned_host = _blocks(referral, traces, hosts)
    same_payout, sharers = _payouts(referral)
    return Facts(
        _person(referrer),
        _person(friend),
        siblings=friends.addresses,
        same_payout=same_payout,
        payout_sharers=sharers,
        same_browser=traces.same_browser,
        same_address=traces.same_address,
        network=shown(joined.network) if joined else "",
        crowd=crowd,
        hosting=any(trace.hosting for trace in traces.friend),
        agent=joined.agent if joined else "",
        address_signups=signups,
        referrals_hour=friends.hour,
        referrals_day=friends.day,
        shared_at=referrer.joined_at,
        clicked_at=clicked.occurred_at if clicked is not None and is_outside(clicked.network or "") else None,
        joined_at=friend.joined_at,
        ordered_at=event.occurred_at if event is not None else None,
        blocked=blocked,
        source_host=hosts[0] if hosts else "",
        banned_host=banned_host,
        paid_click=_paid_click(metadata),
        unclicked_hour=friends.unclicked_hour,
        cycle=cycle,
        mutual=mutual,
        sales=sales,
        sales_refunded=refunded,
        amount=event.amount_minor if event is not None else None,
        minimum=_minimum(event),
        average=_average(event),
        same_recipient=_same_recipient(referrer, friend, metadata),
    )


def _payouts(referral: Referral) -> tuple[bool, int]:
    """What destinations.shared_destinations() says; nobody has an address at the moment they join, so that is not asked."""
    if clock.now() - referral.invitee.joined_at < JUST_NOW:
        return False, 0
    return shared_destinations(referral.invitee, referral.referrer)


def _person(participant: Participant) -> Person:
    return Person(participant.email_key, participant.identity_key, participant.first_name, participant.last_name)


@dataclass(frozen=True, slots=True)
class _Traces:
    """The newest traces of both people."""

    friend: Sequence[Trace]
    referrer: Sequence[Trace]

    @classmethod
    def of(cls, friend: Participant, referrer: Participant) -> _Traces:
        # The referrer may have been seen in another campaign of the merchant.
        people = Q(participant=friend) | Q(
            participant__merchant_id=referrer.merchant_id,
            participant__is_test__in=[referrer.is_test],
            participant__identity_key=referrer.identity_key,
        )
        rows = list(Trace.objects.filter(people).order_by("-at", "-pk")[:MOST_TRACES])
        return cls(
            [row for row in rows if row.participant_id == friend.pk],
            [row for row in rows if row.participant_id != friend.pk],
        )

    @property
    def joining(self) -> Trace | None:
        """The friend's first trace: as they joined."""
        return self.friend[-1] if self.friend else None

    @property
    def same_browser(self) -> bool:
        return bool({row.browser for row in self.friend} & {row.browser for row in self.referrer} - {""})

    @property
    def same_address(self) -> bool:
        return any(
            bool(mine.address) and mine.address == theirs.address and abs(mine.at - theirs.at) <= DAY
            for mine in self.friend
            for theirs in self.referrer
        )


def _at_address(referral: Referral, trace: Trace | None) -> tuple[int, int]:
    """(other people's accounts, this referrer's friends) at the friend's internet address within 24 hours around them."""
    if trace is None or not trace.address:
        return 0, 0
    rows = (
        Trace.objects.filter(
            merchant_id=trace.merchant_id,
            is_test__in=[trace.is_test],
            address=trace.address,
            at__gte=trace.at - DAY,
            at__lte=trace.at + DAY,
        )
        .order_by("participant_id")
        .values_list("participant_id", "participant__referral__referrer_id")
        .distinct()[:MOST_ACCOUNTS]
    )
    friends = others = 0
    for participant_id, referrer_id in rows:
        if referrer_id == referral.referrer_id:
            friends += 1
        elif participant_id != referral.referrer_id:
            others += 1
    return others, friends


@dataclass(frozen=True, slots=True)
class _Friends:
    """The referrer's friends up to this one, the newest 200."""

    ids: tuple[int, ...]
    addresses: tuple[str, ...]
    hour: int
    day: int
    unclicked_hour: int


def _friends(referral: Referral) -> _Friends:
    at = referral.created_at
    rows = list(
        Referral.objects.filter(referrer=referral.referrer_id, pk__lte=referral.pk, detached_at=None)
        .order_by("-pk")
        .values_list("invitee_id", "invitee__email_key", "created_at", "visit_id", "how")[:MOST_FRIENDS]
    )
    hour = [row for row in rows if row[2] > at - HOUR]
    return _Friends(
        tuple(row[0] for row in rows),
        tuple(row[1] for row in rows if row[0] != referral.invitee_id)[:MOST_SIBLINGS],
        len(hour),
        sum(row[2] > at - DAY for row in rows),
        sum(not row[3] and row[4] in {"code", "promotion_code"} for row in hour),
    )


def _circle(referral: Referral) -> tuple[int, bool]:
    """(people in the circle that the chain of referrers closes, or 0; whether the two invited each other in different campaigns).

    By mailbox over all campaigns of the merchant's side, 12 hops at most; one query for each hop.
    """
    friend, referrer = referral.invitee, referral.referrer
    frontier, seen = {referrer.identity_key}, {referrer.identity_key}
    for people in range(2, HOPS + 2):
        rows = Referral.objects.filter(
            standing_for__merchant_id=friend.merchant_id,
            standing_for__is_test__in=[friend.is_test],
            standing_for__identity_key__in=frontier,
        ).values_list("referrer__identity_key", "campaign_id")[:MOST_PEOPLE]
        parents = list(rows)
        hits = {campaign for identity, campaign in parents if identity == friend.identity_key}
        if hits:
            mutual = people == 2 and referral.campaign_id not in hits
            return (0, True) if mutual else (people, False)
        frontier = {identity for identity, _campaign in parents} - seen
        seen |= frontier
        if not frontier:
            break
    return 0, False


def _sales(friends: Iterable[int], until: datetime) -> tuple[int, int]:
    """(purchases of these people up to a moment, how many of them were taken back or disputed)."""
    back = Q(refunded_minor__gt=0) | Q(disputed_at__isnull=False)
    sales = QualifyingEvent.objects.filter(participant__in=list(friends), amount_minor__gt=0, occurred_at__lte=until)
    found = sales.aggregate(sales=Count("pk"), back=Count("pk", filter=back))
    return found["sales"], found["back"]


def _minimum(event: QualifyingEvent | None) -> int | None:
    """The smallest purchase that a rule asks for; no query where the version's rules are known."""
    if event is None or not event.amount_minor:
        return None
    minimums = [
        terms.minimum_purchase.minor
        for _pk, terms in rules_of(event.version_id, event.currency)
        if terms.minimum_purchase
    ]
    return min(minimums, default=None)


def _average(event: QualifyingEvent | None) -> int | None:
    """The average of the campaign's newest orders without this one; None when they are too few."""
    if event is None or not event.amount_minor:
        return None
    newest = (
        QualifyingEvent.objects.filter(
            campaign=event.campaign_id, amount_minor__gt=0, occurred_at__lte=event.occurred_at
        )
        .exclude(pk=event.pk)
        .order_by("-occurred_at")[:ORDERS]
    )
    found = newest.aggregate(count=Count("pk"), average=Avg("amount_minor"))
    return round(found["average"]) if found["count"] >= FEWEST_ORDERS else None


def _same_recipient(referrer: Participant, friend: Participant, metadata: Mapping[str, Any]) -> bool:
    """Whether an order goes to, or is paid by, the name and postcode of the referrer's own orders. One query if it names a postcode."""
    mine = _recipients(metadata, friend)
    if not mine:
        return False
    theirs = (
        QualifyingEvent.objects.filter(
            participant__merchant_id=referrer.merchant_id,
            participant__is_test__in=[referrer.is_test],
            participant__identity_key=referrer.identity_key,
        )
        .order_by("-occurred_at")
        .values_list("metadata", flat=True)[:20]
    )
    return any(mine & _recipients(data, referrer) for data in theirs if isinstance(data, dict))


def _recipients(metadata: Mapping[str, Any], person: Participant) -> set[str]:
    """Name and postcode of an order's metadata, folded: `shipping_postcode`, `shipping_name`, `billing_…`, or a ready `shipping_hash`."""
    found = set()
    for kind in _ADDRESS_KEYS:
        postcode = re.sub(r"[\s-]+", "", str(metadata.get(f"{kind}_postcode") or "")).casefold()
        name = fold(str(metadata.get(f"{kind}_name") or person.name))
        if postcode and name:
            found.add(f"{postcode}|{name}")
        if metadata.get(f"{kind}_hash"):
            found.add(f"#{metadata[f'{kind}_hash']}")
    return found


def _host(url: object) -> str:
    try:
        return (urlsplit(str(url)).hostname or "").removeprefix("www.") if url else ""
    except ValueError:
        return ""


def _paid_click(metadata: Mapping[str, Any]) -> str:
    """The parameter of an advertisement, in the metadata itself or in its `landing_url`."""
    try:
        query = dict(parse_qsl(urlsplit(str(metadata.get("landing_url") or "")).query, max_num_fields=100))
    except ValueError:
        query = {}
    return next((name for name in PAID_CLICKS if metadata.get(name) or query.get(name)), "")


def _blocks(referral: Referral, traces: _Traces, hosts: Sequence[str]) -> tuple[str, bool]:
    """(the merchant's block that the friend falls under or "", whether a site that they came from is blocked). One query."""
    names: dict[str, set[str]] = {"domain": set(), "network": set(), "host": set()}
    rows = FraudBlock.objects.for_tenant(referral.tenant).order_by("pk").values_list("kind", "value")
    for kind, value in rows:
        names[kind].add(value)
    domain = referral.invitee.email_key.rpartition("@")[2]
    network = next((shown(t.network) for t in traces.friend if t.network and shown(t.network) in names["network"]), "")
    blocked = domain if under(domain, frozenset(names["domain"])) else network
    return blocked, any(under(host, frozenset(names["host"])) for host in hosts)
