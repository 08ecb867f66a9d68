"""What the fraud pages show, read in a fixed number of queries: rows of the queue, two people side by side, what is at stake."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Max, Q, Sum
from django.utils import timezone
from django.utils.translation import get_language, ngettext, to_locale
from django.utils.translation import gettext as _

from participants.fraud.assessing import worst_of
from participants.fraud.identity import fold
from participants.fraud.models import FraudCase, FraudEvaluation, FraudReason, Trace
from participants.fraud.presets import HIGH, LOW, MEDIUM, PRESETS
from participants.fraud.scoring import level_label, sentence
from participants.fraud.signals import VARIANTS
from participants.fraud.traces import shown
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.lib.days import day_text
from referrals.lib.money import Money
from referrals.web.templatetags.ui import browser
from referrals.web.timeline import SOURCES
from rewards.fraud import SUSPECT
from rewards.models import Reward, State

SPAN = timedelta(days=30)
TONES = {HIGH: "problem", MEDIUM: "review", LOW: "neutral"}
TOP = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason in words, with its points."""

    code: str
    points: int
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One case of the queue."""

    case: FraudCase
    level: str
    tone: str
    findings: Sequence[Finding]
    stake: Sequence[Money]


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the two people side by side; `same` when it is the same of both."""

    label: str
    referrer: str
    friend: str
    same: bool


def tone(level: str) -> str:
    """The colour of a level."""
    return TONES.get(level, "review")


def rows_of(cases: Sequence[FraudCase]) -> list[Row]:
    """The queue's rows; three queries whatever their number."""
    friends = [case.participant_id for case in cases]
    found, stakes = findings_of(friends), stakes_of(friends)
    return [
        Row(
            case,
            level_label(case.level),
            tone(case.level),
            found.get(case.participant_id, ()),
            stakes.get(case.participant_id, ()),
        )
        for case in cases
    ]


def findings_of(friends: Iterable[int]) -> dict[int, list[Finding]]:
    """The reasons of the evaluation that speaks for each friend, the weightiest first. Two queries."""
    worst = worst_of(friends)
    owner = {row.pk: friend for friend, row in worst.items()}
    found: dict[int, list[Finding]] = {}
    for reason in FraudReason.objects.filter(evaluation__in=list(owner)).order_by("-points", "pk"):
        text = sentence(reason.name, reason.evidence)
        found.setdefault(owner[reason.evaluation_id], []).append(Finding(reason.code, reason.points, text))
    return found


def stakes_of(friends: Iterable[int]) -> dict[int, list[Money]]:
    """What suspicion holds for each friend's events, on both sides, per currency."""
    sums = (
        Reward.objects.filter(event__participant__in=list(friends), state=State.HELD, reason=SUSPECT)
        .values("event__participant", "currency")
        .annotate(minor=Sum("amount_minor"))
        .order_by("event__participant", "currency")
    )
    found: dict[int, list[Money]] = {}
    for row in sums:
        found.setdefault(row["event__participant"], []).append(Money(row["minor"], row["currency"]))
    return found


def side_by_side(case: FraudCase) -> list[Fact]:
    """The two people, line by line, and where they are the same."""
    friend, referrer = case.participant, case.referrer
    traces = list(Trace.objects.filter(participant__in=[friend, referrer]).order_by("at", "pk")[:200])
    theirs, mine = _seen(traces, referrer), _seen(traces, friend)
    lines = [
        (_("Name"), referrer.name, friend.name, bool(friend.name) and fold(referrer.name) == fold(friend.name)),
        (_("E-mail address"), referrer.email, friend.email, _domain(referrer) == _domain(friend)),
        (_("Joined"), _moment(referrer), _moment(friend), False),
        (_("Network"), _listed(theirs.networks), _listed(mine.networks), bool(theirs.addresses & mine.addresses)),
        (_("Browser"), _listed(theirs.agents), _listed(mine.agents), bool(set(theirs.agents) & set(mine.agents))),
        (_("Devices"), _count(theirs.browsers), _count(mine.browsers), bool(theirs.browsers & mine.browsers)),
        (_("How they came"), _came(referrer), _came(friend), False),
    ]
    return [Fact(label, one or "–", other or "–", same) for label, one, other, same in lines]


@dataclass(frozen=True, slots=True)
class _Seen:
    networks: Sequence[str]
    agents: Sequence[str]
    addresses: frozenset[str]
    browsers: frozenset[str]


def _seen(traces: Sequence[Trace], person: Participant) -> _Seen:
    own = [row for row in traces if row.participant_id == person.pk]
    return _Seen(
        list(dict.fromkeys(shown(row.network) for row in own if row.network)),
        list(dict.fromkeys(browser(row.agent) for row in own if row.agent)),
        frozenset(row.address for row in own) - {""},
        frozenset(row.browser for row in own) - {""},
    )


def _count(browsers: frozenset[str]) -> str:
    number = len(browsers)
    return ngettext("%(n)d browser", "%(n)d browsers", number) % {"n": number} if number else ""


def _domain(person: Participant) -> str:
    return person.email_key.rpartition("@")[2]


def _came(person: Participant) -> str:
    """The page or the program they joined by: "On the campaign's page", "API"."""
    words = str(SOURCES.get(person.source, person.source.replace("_", " ")))
    return words[:1].upper() + words[1:]


def _moment(person: Participant) -> str:
    """To the second: how close two people joined is evidence."""
    at = timezone.localtime(person.joined_at)
    return f"{day_text(at, to_locale(get_language() or 'en'))}, {at:%H:%M:%S}"


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(texts[:3])


def top_signals(tenant: Tenant) -> list[tuple[str, str, int]]:
    """What was found most often in the last 30 days: (its code, a short name, on how many referrals). One query."""
    rows = (
        FraudReason.objects.filter(
            evaluation__merchant=tenant.merchant,
            evaluation__is_test__in=[tenant.is_test],
            evaluation__decided_at__gte=clock.now() - SPAN,
            evaluation__current=True,
            points__gt=0,
        )
        .values("code", "name")
        .annotate(people=Count("evaluation__participant", distinct=True))
        .order_by("-people", "name")[:TOP]
    )
    return [(row["code"], signal_name(row["name"]), row["people"]) for row in rows]


def signal_name(name: str) -> str:
    """A finding for a list: its sentence with an ellipsis for what differs from case to case."""
    if name not in VARIANTS:
        return name.replace("_", " ")
    return re.sub(r"%\(\w+\)s", "…", re.sub(r"\s*\(%\(\w+\)s\)", "", str(VARIANTS[name][1].sentence)))


@dataclass(frozen=True, slots=True)
class Preview:
    """What a preset would have done with the last 30 days: referrals held, how many of them High, and the money waiting."""

    preset: str
    held: int
    high: int
    money: Sequence[Money]


def previews(tenant: Tenant) -> list[Preview]:
    """For each preset, by the scores that were given. Four queries."""
    since = clock.now() - SPAN
    scores = (
        FraudEvaluation.objects.for_tenant(tenant)
        .filter(decided_at__gte=since, current=True)
        .values("participant")
        .annotate(worst=Max("score"))
    )
    wanted = {
        f"{name}_{what}": Count("participant", filter=Q(worst__gte=getattr(preset, what)))
        for name, preset in PRESETS.items()
        for what in ("medium", "high")
    }
    counts = scores.aggregate(**wanted)
    found = []
    for name, preset in PRESETS.items():
        flagged = scores.filter(worst__gte=preset.medium).values("participant")
        sums = (
            Reward.objects.for_tenant(tenant)
            .filter(event__participant__in=flagged, created_at__gte=since)
            .exclude(state__in=[State.VOID, State.REVERSED])
            .values("currency")
            .annotate(minor=Sum("amount_minor"))
            .order_by("currency")
        )
        money = [Money(row["minor"], row["currency"]) for row in sums]
        found.append(Preview(name, counts[f"{name}_medium"], counts[f"{name}_high"], money))
    return found


def rewards_at_stake(case: FraudCase) -> list[Any]:
    """The rewards of the friend's events, newest first."""
    rows = Reward.objects.filter(event__participant=case.participant).select_related("participant", "campaign", "event")
    return list(rows.order_by("-pk")[:50])
