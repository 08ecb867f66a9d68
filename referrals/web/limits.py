"""How much of each limit is used, for the campaign's overview and a person's page: shown before, at and after the limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.models import Campaign
from participants.models import Participant
from referrals.web.campaign_words import title_of
from rewards.progress import Used, budgets_of, limits_of, referrers_at_limit


@dataclass(frozen=True, slots=True)
class Bar:
    """One limit: what it is of, how much is used in words, and as a width in 0..1000. `full` says that nothing is left."""

    label: str
    rule: str
    text: str
    width: int
    full: bool


@dataclass(frozen=True, slots=True)
class Panel:
    """The budgets as bars, and one line for each limit for one person."""

    bars: list[Bar]
    lines: list[str]


def limits_panel(campaign: Campaign, locale: str) -> Panel | None:
    """The limits of a campaign; None when it has none. One query, and one for each limit for one person."""
    bars = [_bar(used, locale) for used in budgets_of(campaign)]
    lines = []
    for item in referrers_at_limit(campaign):
        facts = {"n": item.people, "limit": item.limit.format(locale)}
        if item.period == "year":
            text = ngettext(
                "%(n)d referrer has earned the most for this calendar year, %(limit)s.",
                "%(n)d referrers have earned the most for this calendar year, %(limit)s.",
                item.people,
            )
        else:
            text = ngettext(
                "%(n)d referrer has earned the most that one can, %(limit)s.",
                "%(n)d referrers have earned the most that one can, %(limit)s.",
                item.people,
            )
        lines.append(text % facts)
    return Panel(bars, lines) if bars or lines else None


def limits_of_person(person: Participant, locale: str) -> Sequence[Bar]:
    """What a referrer has used of the limits for one person. One query, or none."""
    return [_bar(used, locale) for used in limits_of(person)]


def _bar(used: Used, locale: str) -> Bar:
    labels = {
        "all": _("In all"),
        "year": _("This calendar year"),
        "month": _("This month"),
        "week": _("This week"),
        "day": _("Today"),
    }
    facts = {"used": used.used.format(locale), "limit": used.limit.format(locale)}
    text = _("%(used)s of %(limit)s: the limit is reached") if used.is_reached else _("%(used)s of %(limit)s")
    return Bar(labels[used.period], title_of(used.terms, locale), text % facts, used.percent * 10, used.is_reached)
