"""What the affiliate hub says about a programme, in words made from the rules in force: what is paid, for what, with which limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _

from campaigns.listing_models import Listing
from campaigns.models import Campaign
from campaigns.rules import current_terms, main_rule
from campaigns.terms import RuleTerms
from referrals.hosted.ladder import Extras, extras
from referrals.hosted.offer import Half, conditions_of, half_of, review_text
from referrals.lib import countries

MOST_COUNTRIES = 6
# The kinds of reward that can be filtered by.
REWARDS = {
    "cash": gettext_lazy("Cash"),
    "coupon": gettext_lazy("Coupons"),
    "store_credit": gettext_lazy("Store credit"),
    "gift_card": gettext_lazy("Gift cards"),
    "custom": gettext_lazy("Other rewards"),
}


@dataclass(frozen=True, slots=True)
class Pay:
    """One thing that a programme pays to an affiliate: how much, and a sentence without the amount ("of the order, for ...")."""

    amount: str
    text: str


@dataclass(frozen=True, slots=True)
class Paid:
    """Everything that a programme pays: the first thing in large letters, and what goes with it."""

    pays: list[Pay] = field(default_factory=list)
    friend: str = ""
    conditions: str = ""
    review: str = ""
    extras: Extras = field(default_factory=Extras)


def first_pay(campaign: Campaign) -> Pay | None:
    """The main thing that a programme pays; None where affiliates get nothing."""
    rule = main_rule(current_terms(campaign), "referrer")
    return None if rule is None else _pay(rule)


def paid_by(campaign: Campaign) -> Paid:
    """All that a programme's rules pay, and to the friends of affiliates as well."""
    rules = current_terms(campaign)
    mine = [rule for rule in rules if rule.side == "referrer"]
    friend = half_of("", main_rule(rules, "invitee"), you=False)
    first = mine[0] if mine else None
    return Paid(
        pays=[_pay(rule) for rule in mine],
        friend=_sentence(friend) if friend else "",
        conditions=conditions_of(first, about_friends=True),
        review=review_text(first, friend=True) if first else "",
        extras=extras(campaign),
    )


def _pay(rule: RuleTerms) -> Pay:
    half = half_of("", rule, you=False)
    if half is None:  # only without a rule
        return Pay("", "")
    return Pay(
        half.amount, _("%(what)s, %(when)s") % {"what": half.what, "when": half.when} if half.when else half.what
    )


def _sentence(half: Half) -> str:
    pay = f"{half.amount} {half.what}"
    return _("%(what)s, %(when)s") % {"what": pay, "when": half.when} if half.when else pay


def where(listing: Listing, *, most: int = MOST_COUNTRIES) -> str:
    """For which countries a programme is: "Everywhere", "Austria, Germany", "Austria, Germany and 3 more"."""
    codes = listing.country_codes
    if not codes:
        return _("Everywhere")
    known = countries.names(get_language() or "en")
    names = sorted((known.get(code, code) for code in codes), key=str.casefold)
    if len(names) <= most + 1:  # "and 1 more" is no shorter than its name
        return ", ".join(names)
    more = len(names) - most
    text = ngettext("%(names)s and %(n)d more", "%(names)s and %(n)d more", more)
    return text % {"names": ", ".join(names[:most]), "n": more}


def country_choices(codes: Sequence[str]) -> list[tuple[str, str]]:
    """Codes with their names in the active language, in the order of the names."""
    known = countries.names(get_language() or "en")
    return [(code, name) for code, name in known.items() if code in set(codes)]
