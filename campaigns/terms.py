"""The terms of a reward rule as plain values: what eligibility reads, what the API and the editor exchange (API.md, `Rule`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, cast, get_args

from referrals.lib.money import Money, MoneyError

Side = Literal["referrer", "invitee"]
Trigger = Literal[
    "join",
    "first_event",
    "every_event",
    "nth_event",
    "from_nth_event",
    "milestone",
    "tier",
    "leaderboard",
    "status",
]
Kind = Literal["cash", "coupon", "store_credit", "gift_card", "custom"]
Delivery = Literal["manual", "immediate", "weekly", "day_15", "month_end"]
# What this release decides. The model holds the rest of API.md's Rule; saving it is refused by name, never ignored.
DECIDED_TRIGGERS: frozenset[str] = frozenset({"join", "first_event", "every_event", "nth_event", "from_nth_event"})


class TermsError(ValueError):
    """A rule that can't be kept; `field` names the value at fault ("rules[0].amount.percent")."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same amount each time."""

    money: Money


@dataclass(frozen=True, slots=True)
class Percent:
    """A share of the purchase, at most `cap`."""

    rate: Decimal
    cap: Money | None = None


Amount = Fixed | Percent


@dataclass(frozen=True, slots=True)
class RuleTerms:
    """One rule's terms. `key` stays the same through all versions of the campaign's rules; `nth` counts from 1."""

    key: str
    side: Side
    trigger: Trigger
    amount: Amount
    kind: Kind = "cash"
    event: str = "purchase"
    nth: int | None = None
    minimum_purchase: Money | None = None
    max_purchases_per_friend: int | None = None
    new_customers_only: bool = False
    review_days: int = 0
    delivery: Delivery = "manual"


_NOT_YET: tuple[tuple[str, object], ...] = (
    ("within_days", None),
    ("minimum_payout", None),
    ("tiers", []),
)
_FIELDS = frozenset(
    [
        "id",
        "side",
        "trigger",
        "event",
        "nth",
        "amount",
        "kind",
        "minimum_purchase",
        "max_purchases_per_friend",
        "new_customers_only",
        "within_days",
        "limits",
        "review_days",
        "delivery",
        "minimum_payout",
        "tiers",
    ]
)


def terms_from_json(data: object, currency: str, *, at: str = "rule") -> RuleTerms:
    """Read one `Rule` of API.md in the campaign's currency; raises TermsError naming the field and the value."""
    if not isinstance(data, dict):
        raise TermsError(at, "invalid_type", "A rule is an object.")
    for name in data:
        if name not in _FIELDS:
            raise TermsError(f"{at}.{name}", "unknown_field", f"A rule has no field {name!r}.")
    trigger = _choice(data, "trigger", Trigger, at)
    if trigger not in DECIDED_TRIGGERS:
        raise TermsError(
            f"{at}.trigger",
            "unsupported",
            f"{trigger!r} can't be decided by this release; use one of {', '.join(sorted(DECIDED_TRIGGERS))}.",
        )
    _refuse_undecided(data, at)
    side = _choice(data, "side", Side, at)
    amount = _amount(data.get("amount"), currency, f"{at}.amount")
    if trigger == "join" and isinstance(amount, Percent):
        raise TermsError(
            f"{at}.amount.type",
            "percent_of_nothing",
            "Joining has no purchase to take a share of; use a fixed amount.",
        )
    nth = _count(data, "nth", at, low=1)
    if (trigger in {"nth_event", "from_nth_event"}) != (nth is not None):
        raise TermsError(
            f"{at}.nth",
            "nth",
            "'nth' goes with the triggers nth_event and from_nth_event, and only with them.",
        )
    event = data.get("event", "purchase")
    if not isinstance(event, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", event):
        raise TermsError(
            f"{at}.event", "event", "An event's name is 1 to 40 of a-z, 0-9 and _, starting with a letter."
        )
    key = data.get("id") or ""
    if not isinstance(key, str) or len(key) > 32:
        raise TermsError(f"{at}.id", "invalid_type", "A rule's id is the text that this API gave it.")
    return RuleTerms(
        key=key,
        side=cast(Side, side),
        trigger=cast(Trigger, trigger),
        amount=amount,
        kind=cast(Kind, _choice(data, "kind", Kind, at, "cash")),
        event="join" if trigger == "join" else event,
        nth=nth,
        minimum_purchase=_money(data.get("minimum_purchase"), currency, f"{at}.minimum_purchase"),
        max_purchases_per_friend=_count(data, "max_purchases_per_friend", at, low=1),
        new_customers_only=_flag(data, "new_customers_only", at),
        review_days=_count(data, "review_days", at, low=0, high=365) or 0,
        delivery=cast(Delivery, _manual_only(data, at)),
    )


def terms_to_json(terms: RuleTerms) -> dict[str, Any]:
    """One `Rule` of API.md, with every field."""
    return {
        "id": terms.key,
        "side": terms.side,
        "trigger": terms.trigger,
        "event": terms.event,
        "nth": terms.nth,
        "amount": amount_to_json(terms.amount),
        "kind": terms.kind,
        "minimum_purchase": money_to_json(terms.minimum_purchase),
        "max_purchases_per_friend": terms.max_purchases_per_friend,
        "new_customers_only": terms.new_customers_only,
        "within_days": None,
        "limits": {"per_referrer": None, "per_referrer_year": None, "campaign": None},
        "review_days": terms.review_days,
        "delivery": terms.delivery,
        "minimum_payout": None,
        "tiers": [],
    }


def amount_to_json(amount: Amount) -> dict[str, Any]:
    """The `amount` of a Rule (API.md)."""
    if isinstance(amount, Fixed):
        return {"type": "fixed", "money": money_to_json(amount.money)}
    return {"type": "percent", "percent": f"{amount.rate.normalize():f}", "cap": money_to_json(amount.cap)}


def money_to_json(money: Money | None) -> dict[str, Any] | None:
    """Money as API v2 has it: {"amount_minor", "currency"}, or null."""
    return None if money is None else {"amount_minor": money.minor, "currency": money.currency}


def _refuse_undecided(data: dict[str, Any], at: str) -> None:
    for name, empty in _NOT_YET:
        if data.get(name) not in (None, empty):
            raise TermsError(f"{at}.{name}", "unsupported", f"'{name}' can't be decided by this release; leave it out.")
    limits = data.get("limits")
    if limits is None:
        return
    if not isinstance(limits, dict):
        raise TermsError(f"{at}.limits", "invalid_type", "'limits' is an object.")
    for name, value in limits.items():
        if value is not None:
            raise TermsError(
                f"{at}.limits.{name}", "unsupported", "Limits can't be decided by this release; leave it out."
            )


def _manual_only(data: dict[str, Any], at: str) -> str:
    delivery = _choice(data, "delivery", Delivery, at, "manual")
    if delivery != "manual":
        raise TermsError(
            f"{at}.delivery",
            "unsupported",
            f"{delivery!r} needs automatic issuing, which this release has not; use 'manual'.",
        )
    return delivery


def _choice(data: dict[str, Any], name: str, kind: Any, at: str, default: str | None = None) -> str:
    allowed = get_args(kind)
    value = data.get(name, default)
    if value not in allowed:
        raise TermsError(f"{at}.{name}", "invalid_choice", f"{value!r} is not one of {', '.join(allowed)}.")
    return cast(str, value)


def _count(data: dict[str, Any], name: str, at: str, *, low: int, high: int = 1_000_000) -> int | None:
    value = data.get(name)
    if value is None:
        return None
    if type(value) is not int or not low <= value <= high:
        raise TermsError(f"{at}.{name}", "out_of_range", f"{value!r} is not a whole number from {low} to {high}.")
    return value


def _flag(data: dict[str, Any], name: str, at: str) -> bool:
    value = data.get(name, False)
    if type(value) is not bool:
        raise TermsError(f"{at}.{name}", "invalid_type", f"{value!r} is not true or false.")
    return value


def _money(value: object, currency: str, at: str) -> Money | None:
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) != {"amount_minor", "currency"}:
        raise TermsError(at, "invalid_type", 'Money is {"amount_minor": 1250, "currency": "USD"}.')
    minor = value["amount_minor"]
    if type(minor) is not int or not 0 < minor < 10**12:
        raise TermsError(
            f"{at}.amount_minor",
            "amount_not_positive",
            f"{minor!r} is not a whole number of minor units above 0.",
        )
    if value["currency"] != currency:
        raise TermsError(
            f"{at}.currency", "currency", f"{value['currency']!r} is not the campaign's currency, {currency}."
        )
    return Money(minor, currency)


def _amount(value: object, currency: str, at: str) -> Amount:
    if not isinstance(value, dict):
        raise TermsError(
            at,
            "required",
            'An amount is {"type": "fixed", "money": ..} or {"type": "percent", "percent": "10"}.',
        )
    match value.get("type"):
        case "fixed":
            money = _money(value.get("money"), currency, f"{at}.money")
            if money is None:
                raise TermsError(f"{at}.money", "required", "A fixed amount needs 'money'.")
            return Fixed(money)
        case "percent":
            return Percent(
                parse_percent(value.get("percent"), f"{at}.percent"),
                _money(value.get("cap"), currency, f"{at}.cap"),
            )
        case "units":
            raise TermsError(
                f"{at}.type",
                "unsupported",
                "'units' can't be decided by this release; use 'fixed' or 'percent'.",
            )
        case other:
            raise TermsError(f"{at}.type", "invalid_choice", f"{other!r} is not one of fixed, percent, units.")


def parse_percent(value: object, at: str) -> Decimal:
    """A share as text: above 0, at most 100, at most 4 decimals; raises TermsError."""
    if not isinstance(value, str) or not re.fullmatch(r"(0|[1-9][0-9]{0,2})(\.[0-9]{1,4})?", value, re.ASCII):
        raise TermsError(at, "percent", f'{value!r} is not a share written as text, such as "12.5".')
    rate = Decimal(value)
    if not 0 < rate <= 100:
        raise TermsError(at, "percent", f"{value} is not above 0 and at most 100.")
    return rate


def fixed_from_text(text: str, currency: str, at: str) -> Fixed:
    """A fixed amount typed in major units; raises TermsError."""
    try:
        money = Money.parse(text.strip(), currency)
    except MoneyError as error:
        raise TermsError(at, error.code, error.message) from error
    if money.minor == 0:
        raise TermsError(at, "amount_not_positive", "The amount must be above zero.")
    return Fixed(money)
