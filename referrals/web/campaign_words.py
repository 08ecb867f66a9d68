"""Reward rules in plain words, and what differs between two sets of them: for the overview and for publishing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from campaigns.models import RewardRule
from campaigns.terms import Amount, Fixed, Percent, RuleTerms, Tier, Units
from campaigns.wording import conditions_words, counted_words, friends_words, span_words

SIDES = dict(RewardRule.SIDES)
KINDS = dict(RewardRule.KINDS)
DELIVERED = {
    "immediate": lazy("Issued by itself, at once after review"),
    "weekly": lazy("Issued by itself, once a week"),
    "day_15": lazy("Issued by itself, on the 15th"),
    "month_end": lazy("Issued by itself, on the last day of the month"),
}


@dataclass(frozen=True, slots=True)
class RuleWords:
    """One rule: who gets what for what, and the conditions as short sentences."""

    key: str
    side: str
    who: str
    reward: str
    occasion: str
    conditions: list[str]


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What publishing would do to one rule: `kind` is added, removed or changed; `lines` are (before, after) pairs of sentences."""

    kind: str
    title: str
    lines: list[tuple[str, str]] = field(default_factory=list)


def amount_words(terms: RuleTerms, locale: str) -> str:
    """How much a rule gives: "$20.00", "10% of the purchase, at most $50.00"; with tiers the first and the last of them."""
    if len(terms.tiers) > 1:
        first, last = (one_amount(tier.amount, locale) for tier in (terms.tiers[0], terms.tiers[-1]))
        if first != last:
            return _("%(first)s to %(last)s") % {"first": first, "last": last}
    return one_amount(terms.amount, locale)


def one_amount(amount: Amount, locale: str) -> str:
    """One amount: "$20.00", "10% of the purchase, at most $50.00", "1 free month"."""
    match amount:
        case Fixed(money):
            return money.format(locale)
        case Percent(rate, cap):
            share = _("%(rate)s%% of the purchase") % {"rate": f"{rate.normalize():f}"}
            if cap is None:
                return share
            return _("%(share)s, at most %(cap)s") % {"share": share, "cap": cap.format(locale)}
        case Units():
            return str(amount)


def occasion_words(terms: RuleTerms) -> str:
    """What a rule rewards, as the end of the sentence "gets $20.00 for ..."."""
    own, nth = terms.side == "invitee", {"nth": terms.nth or 1}
    match terms.trigger:
        case "join":
            return _("joining") if own else _("each friend who joins")
        case "first_event":
            return _("their first purchase") if own else _("each friend's first purchase")
        case "every_event":
            return _("every purchase") if own else _("every purchase of a friend")
        case "nth_event":
            text = _("their purchase number %(nth)d") if own else _("each friend's purchase number %(nth)d")
            return text % nth
        case "from_nth_event":
            if own:
                return _("every purchase from number %(nth)d on") % nth
            return _("every purchase of a friend from number %(nth)d on") % nth
        case "status":
            if terms.event == "qualified":
                return _("being marked as qualified by you") if own else _("each friend whom you mark as qualified")
            return _("being approved by you") if own else _("each friend whom you approve")
        case _:
            return _referrer_occasion(terms)


def _referrer_occasion(terms: RuleTerms) -> str:
    """The occasions that count all friends of a referrer."""
    friends = friends_words(terms.event)
    if terms.trigger == "tier":
        return _("%(friends)s, by tier") % {"friends": friends}
    if terms.trigger == "leaderboard":
        return _("a place on the leaderboard of %(friends)s, when it closes") % {"friends": friends}
    counted = counted_words(terms.event, terms.nth or 1)
    text = (_("every %(friends)s") if terms.recurring else _("reaching %(friends)s")) % {"friends": counted}
    return _("%(text)s (%(label)s)") % {"text": text, "label": terms.label} if terms.label else text


def tier_words(tier: Tier, trigger: str, locale: str) -> str:
    """One tier or prize: "Friends 1 to 4: $10.00 each", "Rank 1: $100.00"."""
    facts = {"first": tier.first, "last": tier.last, "amount": one_amount(tier.amount, locale)}
    if trigger == "leaderboard":
        if tier.first == tier.last:
            return _("Rank %(first)d: %(amount)s") % facts
        return _("Ranks %(first)d to %(last)d: %(amount)s each") % facts
    if tier.last is None:
        return _("From friend %(first)d on: %(amount)s each") % facts
    if tier.first == tier.last:
        return _("Friend %(first)d: %(amount)s") % facts
    return _("Friends %(first)d to %(last)d: %(amount)s each") % facts


def limits_of(terms: RuleTerms, locale: str) -> list[tuple[str, str]]:
    """(name, sentence) of every limit."""
    words = {
        "per_referrer": _("At most %(amount)s for one referrer"),
        "per_referrer_year": _("At most %(amount)s for one referrer in a calendar year"),
        "campaign": _("A budget of %(amount)s in all"),
        "campaign_month": _("A budget of %(amount)s a month"),
        "campaign_week": _("A budget of %(amount)s a week"),
        "campaign_day": _("A budget of %(amount)s a day"),
    }
    found = [(name, text, getattr(terms.limits, name)) for name, text in words.items()]
    return [(f"limits.{name}", text % {"amount": money.format(locale)}) for name, text, money in found if money]


def conditions_of(terms: RuleTerms, locale: str) -> list[tuple[str, str]]:
    """(name, sentence) of every condition that the rule sets, and of what happens between earning and getting."""
    found: list[tuple[str, str]] = []
    if terms.tiers:
        found.append(("tiers", "; ".join(tier_words(tier, terms.trigger, locale) for tier in terms.tiers)))
    if terms.trigger in {"first_event", "every_event", "nth_event", "from_nth_event"} and terms.event != "purchase":
        found.append(("event", _("Only events called %(event)s") % {"event": terms.event}))
    if terms.minimum_purchase is not None:
        text = _("Purchases of at least %(amount)s") % {"amount": terms.minimum_purchase.format(locale)}
        found.append(("minimum_purchase", text))
    if terms.new_customers_only:
        found.append(("new_customers_only", _("New customers only")))
    if terms.within_days is not None:
        text = _("For %(span)s after joining") % {"span": span_words(terms.within_days)}
        found.append(("within_days", text))
    if terms.max_purchases_per_friend is not None:
        most = terms.max_purchases_per_friend
        text = ngettext("At most %(n)d purchase per friend", "At most %(n)d purchases per friend", most) % {"n": most}
        found.append(("max_purchases_per_friend", text))
    if terms.conditions is not None:
        found.append(("conditions", _("Only when %(conditions)s") % {"conditions": conditions_words(terms.conditions)}))
    found += limits_of(terms, locale)
    found.append(("review_days", review_words(terms.review_days)))
    if terms.delivery != "manual":
        found.append(("delivery", str(DELIVERED[terms.delivery])))
    if terms.minimum_payout is not None:
        text = _("Collected until %(amount)s are due to one person") % {"amount": terms.minimum_payout.format(locale)}
        found.append(("minimum_payout", text))
    return found


def review_words(days: int) -> str:
    """How long a reward waits before it is due."""
    if days == 0:
        return _("Due at once")
    return ngettext("Due after %(n)d day in review", "Due after %(n)d days in review", days) % {"n": days}


def words_of(terms: RuleTerms, locale: str) -> RuleWords:
    """One rule in words."""
    return RuleWords(
        key=terms.key,
        side=terms.side,
        who=str(SIDES[terms.side]),
        reward=_("%(amount)s as %(kind)s")
        % {"amount": amount_words(terms, locale), "kind": str(KINDS[terms.kind]).lower()},
        occasion=occasion_words(terms),
        conditions=[sentence for _name, sentence in conditions_of(terms, locale)],
    )


def title_of(terms: RuleTerms, locale: str) -> str:
    """One rule as one line: "Referrer: $20.00 as cash for each friend's first purchase"."""
    words = words_of(terms, locale)
    return _("%(who)s: %(reward)s for %(occasion)s") % {
        "who": words.who,
        "reward": words.reward,
        "occasion": words.occasion,
    }


def full_text_of(terms: RuleTerms, locale: str) -> str:
    """One rule with all its conditions as one line, for the history of versions."""
    conditions = [sentence for _name, sentence in conditions_of(terms, locale)]
    return " · ".join((title_of(terms, locale), *conditions))


def changes(old: Sequence[RuleTerms], new: Sequence[RuleTerms], locale: str) -> list[RuleChange]:
    """What publishing `new` in place of `old` changes, rule by rule; empty when they say the same."""
    before = {terms.key: terms for terms in old}
    after = {terms.key: terms for terms in new if terms.key}
    found = [RuleChange("removed", title_of(terms, locale)) for terms in old if terms.key not in after]
    for terms in new:
        was = before.get(terms.key) if terms.key else None
        if was is None:
            lines = [("", sentence) for _name, sentence in conditions_of(terms, locale)]
            found.append(RuleChange("added", title_of(terms, locale), lines))
        elif was != terms:
            found.append(RuleChange("changed", title_of(was, locale), list(_differences(was, terms, locale))))
    return found


def _differences(was: RuleTerms, now: RuleTerms, locale: str) -> Iterator[tuple[str, str]]:
    if title_of(was, locale) != title_of(now, locale):
        yield title_of(was, locale), title_of(now, locale)
    old, new = dict(conditions_of(was, locale)), dict(conditions_of(now, locale))
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            yield old.get(name, ""), new.get(name, "")
