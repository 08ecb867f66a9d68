"""The answer of a what-if as JSON: rule by rule, in total, and the first examples of each difference (API.md v2, `WhatIf`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from django.db.models import Count, Sum

from campaigns.models import Campaign
from campaigns.terms import RuleTerms
from campaigns.terms_json import money_to_json, terms_to_json
from participants.models import QualifyingEvent
from referrals.lib.money import Money
from rewards.budgets import FALLEN
from rewards.models import Decision, Reward
from rewards.whatif import differences
from rewards.whatif.differences import EXAMPLES, KINDS, Differences, Example, Line, Reason, Worth
from rewards.whatif.plan import NEW, REMOVED, UNCHANGED, Plan

SUMS = ("now", "then", *KINDS)


def report_of(campaign: Campaign, plan: Plan, found: Differences) -> dict[str, Any]:
    """Everything that was found. The rewards of rules that were not asked again are counted by the database."""
    _count_others(campaign, plan, found)
    names = _Names(campaign, found)
    numbers = {terms.key: number for number, terms in enumerate(plan.terms, 1)}
    rules = []
    for terms in plan.terms:
        sides = [side for key, side in found.lines if key == terms.key and side != terms.side]
        for side in (terms.side, *sides):
            line = found.line(terms.key, side)
            rules.append(_rule(terms, side, plan.status[terms.key], numbers[terms.key], line, names))
    totals = [_total(side, campaign.currency, found) for side in ("referrer", "invitee")]
    return {"currency": campaign.currency, "rules": rules, "totals": [total for total in totals if total is not None]}


def _rule(terms: RuleTerms, side: str, status: str, number: int, line: Line, names: _Names) -> dict[str, Any]:
    return {
        "id": None if status == NEW and terms.key.startswith("new-") else terms.key,
        "number": None if status == REMOVED else number,
        "status": status,
        "side": side,
        "rule": terms_to_json(terms),
        **_sums(line, names.campaign.currency),
        "examples": {kind: [names.example(one, terms.key) for one in line.examples[kind]] for kind in KINDS},
    }


def _total(side: str, currency: str, found: Differences) -> dict[str, Any] | None:
    lines = [line for (_key, of), line in found.lines.items() if of == side]
    if not lines:
        return None
    total = Line()
    for line in lines:
        for into, one in (
            (total.now, line.now),
            (total.then, line.then),
            *((total.kinds[k], line.kinds[k]) for k in KINDS),
        ):
            _join(into, one)
    return {"side": side, "currency": currency, **_sums(total, currency)}


def _join(into: differences.Sum, one: differences.Sum, sign: int = 1) -> None:
    into.rewards += sign * one.rewards
    into.minor += sign * one.minor
    for label, units in one.units.items():
        into.units[label] = into.units.get(label, 0) + sign * units


def _sums(line: Line, currency: str) -> dict[str, Any]:
    more = differences.Sum()
    _join(more, line.then)
    _join(more, line.now, -1)
    found = {"now": line.now, "then": line.then, "difference": more, **line.kinds}
    return {name: _sum_json(one, currency) for name, one in found.items()}


def _sum_json(one: differences.Sum, currency: str) -> dict[str, Any]:
    return {
        "rewards": one.rewards,
        "amount": money_to_json(Money(one.minor, currency)),
        "units": [{"units": units, "label": label} for label, units in sorted(one.units.items()) if units],
    }


def _count_others(campaign: Campaign, plan: Plan, found: Differences) -> None:
    others = plan.keys(UNCHANGED, REMOVED)
    gone = frozenset(plan.keys(REMOVED))
    standing = Reward.objects.filter(campaign=campaign).exclude(state__in=FALLEN)
    sums = standing.filter(rule_key__in=others).values_list("rule_key", "side", "units_label").order_by()
    for key, side, label, rewards, minor, units in sums.annotate(Count("pk"), Sum("amount_minor"), Sum("units")):
        line = found.line(key, side)
        for into in (line.now, line.kinds["gone"] if key in gone else line.then):
            into.add(Worth(minor, units or 0, label), rewards)
    for key in sorted(gone):
        first = standing.filter(rule_key=key).order_by("event__occurred_at", "event_id").values_list(
            "side", "event__occurred_at", "event_id", "amount_minor", "units", "units_label"
        )[:EXAMPLES]  # fmt: skip
        for side, at, event, minor, units, label in first:
            worth = Worth(minor, units or 0, label)
            found.line(key, side).examples["gone"].append(Example(at, event, worth, None, Reason("rule_removed", {})))


class _Names:
    """The names of the events that are shown, and the reasons that stand for them, in two queries."""

    def __init__(self, campaign: Campaign, found: Differences) -> None:
        self.campaign = campaign
        events = {one.event for line in found.lines.values() for kept in line.examples.values() for one in kept}
        rows = QualifyingEvent.objects.filter(pk__in=events)
        self.events = {
            pk: names
            for pk, *names in rows.values_list("pk", "public_id", "external_id", "type", "participant__public_id")
        }
        decided = Decision.objects.filter(event__in=events, current=True)
        self.reasons = {
            (event, key): reason for event, key, reason in decided.values_list("event", "rule_key", "reason")
        }

    def example(self, one: Example, key: str) -> dict[str, Any]:
        public_id, external_id, type_, participant = self.events.get(one.event, ["", "", "", ""])
        return {
            "event": public_id,
            "type": type_,
            "external_id": external_id,
            "participant": participant,
            "occurred_at": one.at.isoformat(timespec="milliseconds"),
            "before": _worth(one.before, self.campaign.currency),
            "after": _worth(one.after, self.campaign.currency),
            "decided": self.reasons.get((one.event, key), ""),
            "reason": one.reason.code,
            "facts": one.reason.facts,
        }


def _worth(worth: Worth | None, currency: str) -> dict[str, Any] | None:
    if worth is None:
        return None
    if worth.label:
        return {"amount": None, "units": worth.units, "label": worth.label}
    return {"amount": money_to_json(Money(worth.minor, currency)), "units": None, "label": ""}


COLUMNS = (
    "what", "rule", "rule_id", "status", "side", "rewards", "amount", "currency", "units", "event_id", "external_id",
    "participant_id", "occurred_at", "before", "after", "reason",
)  # fmt: skip


def lines_of(result: dict[str, Any], titles: Iterable[str] = ()) -> Iterator[list[object]]:
    """The answer as the lines of a table (COLUMNS): the sums of each rule and side, then its examples; the totals at the end."""
    names = dict(enumerate(titles))
    for place, rule in enumerate(result["rules"]):
        head = [names.get(place, rule["rule"]["trigger"]), rule["id"], rule["status"], rule["side"]]
        for name in (*SUMS, "difference"):
            yield [name, *head, *_cells(rule[name])]
        for kind in KINDS:
            for one in rule["examples"][kind]:
                yield [
                    f"example: {kind}", *head, "", "", result["currency"], "", one["event"], one["external_id"],
                    one["participant"], one["occurred_at"], _cell(one["before"]), _cell(one["after"]), one["reason"],
                ]  # fmt: skip
    for total in result["totals"]:
        for name in (*SUMS, "difference"):
            yield [f"total: {name}", "", "", "", total["side"], *_cells(total[name])]


def _cells(one: dict[str, Any]) -> list[object]:
    units = ", ".join(f"{unit['units']} {unit['label']}" for unit in one["units"])
    return [one["rewards"], _plain(one["amount"]), one["amount"]["currency"], units, *[""] * 7]


def _cell(worth: dict[str, Any] | None) -> Decimal | str:
    if worth is None:
        return ""
    return _plain(worth["amount"]) if worth["amount"] else f"{worth['units']} {worth['label']}"


def _plain(amount: dict[str, Any]) -> Decimal:
    return Money(amount["amount_minor"], amount["currency"]).major
