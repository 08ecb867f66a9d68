"""What the demo merchant offers, and how lively each campaign is."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from campaigns.terms import Fixed, Percent, RuleTerms
from referrals.lib.money import Money


@dataclass(frozen=True, slots=True)
class Plan:
    """A campaign of the demo: its offer, when it began (days ago), and what its people are like.

    `prices` are the usual order and its spread in minor units; `again` is the chance of a further order.
    """

    name: str
    currency: str
    color: str
    font: str
    began: int
    advocates: int
    prices: tuple[int, int]
    rules: tuple[RuleTerms, ...]
    texts: dict[str, str] = field(default_factory=dict)
    again: float = 0.15
    paused: int | None = None


PLANS = (
    Plan(
        name="Spring refer-a-friend",
        currency="USD",
        color="#c93a17",
        font="sans",
        began=88,
        advocates=70,
        prices=(5200, 2600),
        rules=(
            RuleTerms(
                key="",
                side="referrer",
                trigger="first_event",
                amount=Fixed(Money(1500, "USD")),
                kind="store_credit",
                minimum_purchase=Money(3000, "USD"),
                new_customers_only=True,
                review_days=9,
            ),
            RuleTerms(
                key="",
                side="invitee",
                trigger="join",
                amount=Fixed(Money(1500, "USD")),
                kind="coupon",
                event="join",
                new_customers_only=True,
            ),
        ),
        texts={
            "reward_header": "Your first bag, $15 off.",
            "reward_description": "Halden roasts to order and posts the next morning. Join with your e-mail address and"
            " $15 off your first order is yours.",
            "share_header": "Give $15. Get $15.",
            "share_description": "Friends take $15 off their first order. You get $15 store credit for each one who buys.",
            "share_message": "Fresh coffee from Halden, and $15 off your first bag:",
            "thank_you": "Welcome. $15 off your first order is yours.",
            "terms": "For new customers, on a first order of $30 or more. One reward for each friend. Orders that are"
            " returned within nine days do not count.",
        },
    ),
    Plan(
        name="Kaffeevenner, ten per cent",
        currency="EUR",
        color="#1f5c46",
        font="serif",
        began=71,
        advocates=36,
        prices=(4900, 2400),
        again=0.5,
        rules=(
            RuleTerms(
                key="",
                side="referrer",
                trigger="every_event",
                amount=Percent(Decimal(10), Money(2500, "EUR")),
                kind="cash",
                review_days=14,
                max_purchases_per_friend=6,
            ),
        ),
        texts={
            "share_header": "Ten per cent of every order.",
            "share_description": "You get 10% of what each friend spends, on their first six orders.",
        },
    ),
    Plan(
        name="Tokyo pop-up",
        currency="JPY",
        color="#7a2b4b",
        font="rounded",
        began=46,
        advocates=26,
        prices=(7200, 3600),
        paused=2,
        rules=(
            RuleTerms(
                key="",
                side="referrer",
                trigger="first_event",
                amount=Fixed(Money(2000, "JPY")),
                kind="gift_card",
                minimum_purchase=Money(5000, "JPY"),
                new_customers_only=True,
                review_days=3,
            ),
        ),
        texts={"share_header": "¥2,000 for every friend who visits the pop-up."},
    ),
)
