"""What grows with the number of friends, for the pages of those who invite: tiers as a table, milestones as a path to scale, prizes by
rank. Also what a participant has used of the limits for one person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from campaigns.models import Campaign
from campaigns.rules import amount_text, current_terms
from campaigns.terms import Amount, Percent, RuleTerms, Tier, Units
from campaigns.wording import counted_words, friends_words, span_words
from referrals.hosted.offer import KINDS, locale, money_text
from rewards.progress import Used

# What an amount is counted for in a row of a table.
HEADS: dict[str, str | Promise] = {"tier": gettext_lazy("Friends"), "leaderboard": gettext_lazy("Rank")}


@dataclass(frozen=True, slots=True)
class Step:
    """A row of a table, or a milestone: `at` is its place on the path in 0..1000, `state` "done", "next" or ""."""

    title: str
    amount: str
    state: str = ""
    at: int = 0


@dataclass(frozen=True, slots=True)
class Ladder:
    """The steps of one offer. `kind` is "table" or "path"; `reached` is how far the path is gone, in 0..1000; `note` names the next."""

    kind: str
    head: str
    steps: list[Step]
    note: str = ""
    reached: int = 0
    own: bool = False


@dataclass(frozen=True, slots=True)
class LimitLine:
    """How much of a limit for one person is used, in words and in 0..100."""

    text: str
    percent: int


@dataclass(slots=True)
class Extras:
    """Everything besides the main offer."""

    ladders: list[Ladder] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def extras(campaign: Campaign, friends: Mapping[str, int] | None = None) -> Extras:
    """What the page of somebody who invites shows; `friends` is how many of theirs counted, by rule, on their own page."""
    rules = [rule for rule in current_terms(campaign) if rule.side == "referrer"]
    found = Extras(notes=[note for rule in rules for note in _notes(rule)])
    for rule in rules:
        if rule.trigger in {"tier", "leaderboard"}:
            found.ladders.append(_table(rule, None if friends is None else friends.get(rule.key, 0)))
    for event in dict.fromkeys(rule.event for rule in rules if rule.trigger == "milestone"):
        milestones = [rule for rule in rules if rule.trigger == "milestone" and rule.event == event]
        number = None if friends is None else max(friends.get(rule.key, 0) for rule in milestones)
        found.ladders.append(_path(milestones, number))
    return found


def _worth(amount: Amount, kind: str) -> str:
    """An amount and what it is: "$10 in cash", "10% of each purchase", "1 free month"."""
    text = amount_text(amount, locale())
    if isinstance(amount, Units):
        return text
    return f"{text} {_('of each purchase') if isinstance(amount, Percent) else KINDS[kind]}"


def _table(rule: RuleTerms, number: int | None) -> Ladder:
    """Tiers or prizes; on one's own page the tier that the next friend falls into is marked."""
    now = None if number is None or rule.trigger == "leaderboard" else rule.tier_of(number + 1)
    steps = [
        Step(_range(tier, rule.trigger), _worth(tier.amount, rule.kind), "next" if tier == now else "")
        for tier in rule.tiers
    ]
    head = str(HEADS[rule.trigger])
    if number is None or rule.trigger == "leaderboard":
        return Ladder("table", head, steps)
    facts = {"friends": counted_words(rule.event, number), "amount": amount_text(now.amount, locale()) if now else ""}
    note = _("%(friends)s so far. The next one brings %(amount)s.") if now else _("%(friends)s so far.")
    return Ladder("table", head, steps, note % facts, own=True)


def _range(tier: Tier, trigger: str) -> str:
    facts = {"first": tier.first, "last": tier.last}
    if tier.last is None:
        return _("from %(first)d on") % facts
    if tier.first == tier.last:
        return str(tier.first) if trigger == "leaderboard" else _("number %(first)d") % facts
    return _("%(first)d to %(last)d") % facts


def _path(rules: Sequence[RuleTerms], number: int | None) -> Ladder:
    """Milestones drawn to scale. One that repeats stands where it comes next."""
    gone = number or 0
    marks = sorted(((_due(rule, gone), rule) for rule in rules), key=lambda mark: mark[0])
    end = max(at for at, _rule in marks)
    ahead = next((at for at, rule in marks if at > gone or rule.recurring), None)
    steps = []
    for at, rule in marks:
        state = "done" if at <= gone else "next" if at == ahead and number is not None else ""
        title = _("%(title)s (again and again)") if rule.recurring else "%(title)s"
        name = counted_words(rule.event, at)
        title %= {"title": f"{rule.label}: {name}" if rule.label else name}
        steps.append(Step(title, _worth(rule.amount, rule.kind), state, 1000 * at // end))
    if number is None:
        return Ladder("path", _("Milestones"), steps)
    counted = counted_words(rules[0].event, gone)
    reached = min(1000, 1000 * gone // end)
    if ahead is None:
        return Ladder(
            "path",
            _("Milestones"),
            steps,
            _("%(friends)s. Every milestone is reached.") % {"friends": counted},
            reached,
            own=True,
        )
    prize = next(amount_text(rule.amount, locale()) for at, rule in marks if at == ahead)
    facts = {"friends": counted, "more": ahead - gone, "amount": prize}
    note = _("%(friends)s so far. %(more)d more for %(amount)s.") % facts
    return Ladder("path", _("Milestones"), steps, note, reached, own=True)


def _due(rule: RuleTerms, gone: int) -> int:
    """The number of friends at which a milestone comes, or comes next."""
    nth = rule.nth or 1
    return (gone // nth + 1) * nth if rule.recurring else nth


def _notes(rule: RuleTerms) -> list[str]:
    """How long a commission runs, and the most that one person gets: said before it happens."""
    found = []
    if rule.trigger in {"every_event", "from_nth_event"}:
        found.append(
            _("For %(span)s after a friend joins.") % {"span": span_words(rule.within_days)}
            if rule.within_days
            else _("For as long as they buy.")
        )
    if rule.trigger == "leaderboard":
        found.append(
            _("Ranks go by %(friends)s; who got there first is ahead.") % {"friends": friends_words(rule.event)}
        )
    limits = rule.limits
    if limits.per_referrer is not None:
        text = _("You can earn %(amount)s at most. What is over it is not paid.")
        found.append(text % {"amount": money_text(limits.per_referrer)})
    if limits.per_referrer_year is not None:
        text = _("You can earn %(amount)s at most in a calendar year. What is over it is not paid.")
        found.append(text % {"amount": money_text(limits.per_referrer_year)})
    if limits.of_campaign:
        found.append(_("The offer has a budget. When it is spent, later rewards are not paid."))
    return found


def limit_lines(used: Sequence[Used]) -> list[LimitLine]:
    """What a participant has used of each limit for one person: at and after the limit as well as before it."""
    lines = []
    for item in used:
        facts = {"used": money_text(item.used), "limit": money_text(item.limit)}
        if item.used.minor >= item.limit.minor:
            text = (
                _("You have earned the most for this calendar year, %(limit)s.")
                if item.period == "year"
                else _("You have earned the most this offer gives, %(limit)s.")
            )
        else:
            text = (
                _("%(used)s of %(limit)s for this calendar year")
                if item.period == "year"
                else _("%(used)s of at most %(limit)s")
            )
        lines.append(LimitLine(text % facts, item.percent))
    return lines
