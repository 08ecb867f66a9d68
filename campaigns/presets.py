"""Campaign templates: sensible rules for the common jobs, in minor units of a two-decimal currency (PRODUCT.md, "Campaigns")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from campaigns.models import CampaignType
from campaigns.terms import Fixed, Percent, RuleTerms, Tier, Units
from campaigns.wording import DAYS_OF_YEAR
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
    icon: str = "users"
    needs_end: bool = False

    @property
    def is_simple(self) -> bool:
        """Whether it is one rule for each side, which the page for a new campaign asks for at once."""
        return self.type == CampaignType.REFER_A_FRIEND


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


def _commission(days: int | None) -> RuleTerms:
    return RuleTerms(
        key="",
        side="referrer",
        trigger="every_event",
        amount=Percent(Decimal(10)),
        kind="cash",
        new_customers_only=True,
        within_days=days,
        review_days=30,
    )


def _subscribers(friends: int, what: str) -> RuleTerms:
    return RuleTerms(
        key="",
        side="referrer",
        trigger="milestone",
        amount=Units(1, what),
        kind="custom",
        event="join",
        nth=friends,
        label=what[:1].upper() + what[1:],
    )


def _milestone(friends: int, amount: int, currency: str, label: str, *, recurring: bool = False) -> RuleTerms:
    return RuleTerms(
        key="",
        side="referrer",
        trigger="milestone",
        amount=Fixed(_major(amount, currency)),
        kind="store_credit",
        nth=friends,
        recurring=recurring,
        label=label,
        new_customers_only=True,
        review_days=14,
    )


def _newsletter(_currency: str) -> list[RuleTerms]:
    return [
        _subscribers(3, gettext("sticker sheet")),
        _subscribers(10, gettext("mug")),
        _subscribers(25, gettext("T-shirt")),
    ]


def _milestones(currency: str) -> list[RuleTerms]:
    return [
        _milestone(3, 20, currency, gettext("Bronze")),
        _milestone(10, 100, currency, gettext("Silver")),
        _milestone(25, 300, currency, gettext("Gold"), recurring=True),
    ]


def _leaderboard(currency: str) -> list[RuleTerms]:
    prizes = tuple(Tier(rank, rank, Fixed(_major(amount, currency))) for rank, amount in ((1, 300), (2, 200), (3, 100)))
    return [
        RuleTerms(
            key="",
            side="referrer",
            trigger="leaderboard",
            amount=prizes[0].amount,
            kind="gift_card",
            tiers=prizes,
            new_customers_only=True,
            review_days=14,
        )
    ]


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
            "user",
        ),
        Preset(
            "affiliate_12_months",
            _("Affiliate, for 12 months"),
            _("Partners earn 10% of every purchase that their customers make in their first 12 months."),
            CampaignType.AFFILIATE,
            lambda _currency: [_commission(DAYS_OF_YEAR)],
            "percent",
        ),
        Preset(
            "affiliate_lifetime",
            _("Affiliate, for ever"),
            _("Partners earn 10% of every purchase for as long as their customers buy."),
            CampaignType.AFFILIATE,
            lambda _currency: [_commission(None)],
            "repeat",
        ),
        Preset(
            "newsletter",
            _("Newsletter"),
            _("Readers bring readers: small gifts for 3, 10 and 25 friends who join."),
            CampaignType.NEWSLETTER,
            _newsletter,
            "mail",
        ),
        Preset(
            "milestones",
            _("Milestones"),
            _("Rewards for 3 and for 10 friends who buy, and again for every 25."),
            CampaignType.MILESTONE,
            _milestones,
            "flag",
        ),
        Preset(
            "leaderboard",
            _("Leaderboard"),
            _("The three who bring the most buyers by a certain day win a prize."),
            CampaignType.LEADERBOARD,
            _leaderboard,
            "trophy",
            needs_end=True,
        ),
    )
}


def preset(key: str) -> Preset:
    """The template with this key; Refused names an unknown one."""
    found = PRESETS.get(key)
    if found is None:
        raise Refused("preset_not_found", f"No template {key!r}; use one of {', '.join(PRESETS)}.", field="preset")
    return found
