"""Campaign templates: sensible rules for the common jobs, in minor units of a two-decimal currency (PRODUCT.md, "Campaigns")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from campaigns.models import CampaignType
from campaigns.terms import Fixed, RuleTerms
from referrals.lib.errors import Refused
from referrals.lib.money import Money, exponent_of


@dataclass(frozen=True, slots=True)
class Preset:
    """A template: its name, one sentence on when to use it, the campaign's type, and its rules in a given currency."""

    key: str
    label: str | Promise
    description: str | Promise
    type: CampaignType
    rules: Callable[[str], list[RuleTerms]]


def _major(units: int, currency: str) -> Money:
    """`units` of a currency like the dollar; a hundred times as many where a unit is worth about a cent."""
    return Money(units * 10 ** max(exponent_of(currency), 2), currency)


def _for_referrer(currency: str) -> RuleTerms:
    return RuleTerms(
        key="",
        side="referrer",
        trigger="first_event",
        amount=Fixed(_major(20, currency)),
        kind="cash",
        minimum_purchase=_major(30, currency),
        new_customers_only=True,
        review_days=14,
    )


def _for_friend(currency: str) -> RuleTerms:
    return RuleTerms(
        key="",
        side="invitee",
        trigger="join",
        amount=Fixed(_major(20, currency)),
        kind="coupon",
        event="join",
        new_customers_only=True,
    )


PRESETS: dict[str, Preset] = {
    preset.key: preset
    for preset in (
        Preset(
            "refer_a_friend_double",
            _("Refer a friend, both get something"),
            _(
                "A friend gets an amount off for joining; the one who invited them is rewarded after the first purchase."
            ),
            CampaignType.REFER_A_FRIEND,
            lambda currency: [_for_referrer(currency), _for_friend(currency)],
        ),
        Preset(
            "refer_a_friend_single",
            _("Refer a friend, one reward"),
            _("Only the one who invites is rewarded, after the friend's first purchase."),
            CampaignType.REFER_A_FRIEND,
            lambda currency: [_for_referrer(currency)],
        ),
    )
}


def preset(key: str) -> Preset:
    """The template with this key; Refused names an unknown one."""
    found = PRESETS.get(key)
    if found is None:
        raise Refused("preset_not_found", f"No template {key!r}; use one of {', '.join(PRESETS)}.", field="preset")
    return found
