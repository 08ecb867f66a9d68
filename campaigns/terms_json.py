"""A reward rule from and to JSON: what the API and the editor exchange (API.md, `Rule`). Each refusal names its field and value."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, cast, get_args

from campaigns.conditions import ConditionsError, conditions_from_json, conditions_to_json
from campaigns.terms import (
    NO_LIMITS,
    NTH_TRIGGERS,
    REFERRER_TRIGGERS,
    STATUS_EVENTS,
    TIER_TRIGGERS,
    Amount,
    Delivery,
    Fixed,
    Kind,
    Limits,
    Percent,
    RuleTerms,
    Side,
    TermsError,
    Tier,
    Trigger,
    Units,
)
from referrals.lib.money import Money, MoneyError

_FIELDS = frozenset(
    "id side trigger event nth recurring label amount kind minimum_purchase max_purchases_per_friend new_customers_only"
    " within_days conditions limits review_days delivery minimum_payout tiers".split()
)
_LIMITS = tuple(Limits.__slots__)
MAX_TIERS = 50


def terms_from_json(data: object, currency: str, *, at: str = "rule") -> RuleTerms:
    """Read one `Rule` of API.md in the campaign's currency; raises TermsError naming the field and the value."""
    if not isinstance(data, dict):
        raise TermsError(at, "invalid_type", "A rule is an object.")
    for name in data:
        if name not in _FIELDS:
            raise TermsError(f"{at}.{name}", "unknown_field", f"A rule has no field {name!r}.")
    trigger = cast(Trigger, _choice(data, "trigger", Trigger, at))
    tiers = _tiers(data.get("tiers"), currency, f"{at}.tiers")
    given = data.get("amount")
    if given is None and tiers and trigger in TIER_TRIGGERS:
        given = amount_to_json(tiers[0].amount)
    key = data.get("id") or ""
    if not isinstance(key, str) or len(key) > 32:
        raise TermsError(f"{at}.id", "invalid_type", "A rule's id is the text that this API gave it.")
    terms = RuleTerms(
        key=key,
        side=cast(Side, _choice(data, "side", Side, at)),
        trigger=trigger,
        amount=tiers[0].amount if tiers else _amount(given, currency, f"{at}.amount"),
        kind=cast(Kind, _choice(data, "kind", Kind, at, "cash")),
        event=_event(data, trigger, at),
        nth=_count(data, "nth", at, low=1),
        recurring=_flag(data, "recurring", at),
        label=_label(data.get("label", ""), f"{at}.label"),
        minimum_purchase=_money(data.get("minimum_purchase"), currency, f"{at}.minimum_purchase"),
        max_purchases_per_friend=_count(data, "max_purchases_per_friend", at, low=1),
        new_customers_only=_flag(data, "new_customers_only", at),
        within_days=_count(data, "within_days", at, low=1, high=3650),
        conditions=_conditions(data, at),
        limits=_limits(data.get("limits"), currency, f"{at}.limits"),
        tiers=tiers,
        review_days=_count(data, "review_days", at, low=0, high=365) or 0,
        delivery=cast(Delivery, _choice(data, "delivery", Delivery, at, "manual")),
        minimum_payout=_money(data.get("minimum_payout"), currency, f"{at}.minimum_payout"),
    )
    check_terms(terms, at=at)
    return terms


def check_terms(terms: RuleTerms, *, at: str = "rule") -> None:
    """Refuse a rule that contradicts itself: TermsError at the field that has to change."""
    for wrong, field, code, message in _contradictions(terms):
        if wrong:
            raise TermsError(f"{at}.{field}", code, message)


def _contradictions(terms: RuleTerms) -> tuple[tuple[bool, str, str, str], ...]:
    """What can't go together: (whether it does, field, code, what to do)."""
    trigger, amounts = terms.trigger, terms.amounts
    percent = any(isinstance(amount, Percent) for amount in amounts)
    units = any(isinstance(amount, Units) for amount in amounts)
    nothing = "Joining has no purchase" if trigger == "join" else "There is no one purchase here"
    return (
        (
            percent and trigger in {"join", "milestone", "leaderboard"},
            "tiers" if terms.tiers else "amount.type",
            "percent_of_nothing",
            f"{nothing} to take a share of; use a fixed amount.",
        ),
        (
            (trigger in NTH_TRIGGERS) != (terms.nth is not None),
            "nth",
            "nth",
            "'nth' goes with the triggers nth_event, from_nth_event and milestone, and only with them.",
        ),
        (
            trigger in REFERRER_TRIGGERS and terms.side != "referrer",
            "side",
            "side",
            f"{trigger!r} counts friends, so it rewards the referrer.",
        ),
        (
            (trigger in TIER_TRIGGERS) != bool(terms.tiers),
            "tiers",
            "tiers",
            "'tiers' go with the triggers tier and leaderboard, and only with them.",
        ),
        (
            terms.recurring and trigger != "milestone",
            "recurring",
            "recurring",
            "'recurring' repeats a milestone; the trigger every_event rewards every purchase.",
        ),
        (
            trigger == "status" and terms.event not in STATUS_EVENTS,
            "event",
            "event",
            f"A status is one of {', '.join(STATUS_EVENTS)}.",
        ),
        (
            trigger not in {"status", "leaderboard", "milestone", "tier", "join"}
            and terms.event in {*STATUS_EVENTS, "join"},
            "event",
            "event",
            f"{terms.event!r} is recorded by Passalong; use the trigger that goes with it.",
        ),
        (
            units and terms.limits != NO_LIMITS,
            "limits",
            "limits",
            "Limits count money; units of something have none. Leave the limits out.",
        ),
        (
            terms.minimum_payout is not None and terms.delivery == "manual",
            "minimum_payout",
            "minimum_payout",
            "'minimum_payout' goes with a delivery that happens by itself; what you issue by hand you choose.",
        ),
        (
            terms.minimum_payout is not None and units,
            "minimum_payout",
            "minimum_payout",
            "A smallest payout counts money; units of something have none. Leave it out.",
        ),
        (
            trigger == "leaderboard" and any(tier.last is None for tier in terms.tiers),
            "tiers",
            "tiers",
            "A leaderboard's prizes end at a rank; give the last one a 'to'.",
        ),
        (
            trigger == "leaderboard" and terms.limits != NO_LIMITS,
            "limits",
            "limits",
            "A leaderboard's prizes are its limit. Leave the limits out.",
        ),
    )


def terms_to_json(terms: RuleTerms) -> dict[str, Any]:
    """One `Rule` of API.md, with every field."""
    return {
        "id": terms.key,
        "side": terms.side,
        "trigger": terms.trigger,
        "event": terms.event,
        "nth": terms.nth,
        "recurring": terms.recurring,
        "label": terms.label,
        "amount": amount_to_json(terms.amount),
        "kind": terms.kind,
        "minimum_purchase": money_to_json(terms.minimum_purchase),
        "max_purchases_per_friend": terms.max_purchases_per_friend,
        "new_customers_only": terms.new_customers_only,
        "within_days": terms.within_days,
        "conditions": conditions_to_json(terms.conditions),
        "limits": {name: money_to_json(getattr(terms.limits, name)) for name in _LIMITS},
        "review_days": terms.review_days,
        "delivery": terms.delivery,
        "minimum_payout": money_to_json(terms.minimum_payout),
        "tiers": [{"from": tier.first, "to": tier.last, "amount": amount_to_json(tier.amount)} for tier in terms.tiers],
    }


def amount_to_json(amount: Amount) -> dict[str, Any]:
    """The `amount` of a Rule (API.md)."""
    match amount:
        case Fixed(money):
            return {"type": "fixed", "money": money_to_json(money)}
        case Percent(rate, cap):
            return {"type": "percent", "percent": f"{rate.normalize():f}", "cap": money_to_json(cap)}
        case Units(units, label):
            return {"type": "units", "units": units, "label": label}


def money_to_json(money: Money | None) -> dict[str, Any] | None:
    """Money as API v2 has it: {"amount_minor", "currency"}, or null."""
    return None if money is None else {"amount_minor": money.minor, "currency": money.currency}


def _event(data: dict[str, Any], trigger: str, at: str) -> str:
    if trigger == "join":
        return "join"
    event = data.get("event", "approved" if trigger == "status" else "purchase")
    if not isinstance(event, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", event):
        raise TermsError(
            f"{at}.event", "event", "An event's name is 1 to 40 of a-z, 0-9 and _, starting with a letter."
        )
    if event == "leaderboard":
        raise TermsError(f"{at}.event", "event", "'leaderboard' is recorded by Passalong when one closes.")
    return event


def _conditions(data: dict[str, Any], at: str) -> Any:
    try:
        return conditions_from_json(data.get("conditions"), at="conditions")
    except ConditionsError as error:
        raise TermsError(f"{at}.{error.field}", error.code, error.message) from error


def _limits(value: object, currency: str, at: str) -> Limits:
    if value is None:
        return NO_LIMITS
    if not isinstance(value, dict):
        raise TermsError(at, "invalid_type", "'limits' is an object.")
    for name in value:
        if name not in _LIMITS:
            raise TermsError(f"{at}.{name}", "unknown_field", f"{name!r} is not one of {', '.join(_LIMITS)}.")
    return Limits(**{name: _money(value.get(name), currency, f"{at}.{name}") for name in _LIMITS})


def _tiers(value: object, currency: str, at: str) -> tuple[Tier, ...]:
    """Tiers in their order, each beginning where the one before ends (seed 004, FlexiTiers)."""
    if value in (None, []):
        return ()
    if not isinstance(value, list) or len(value) > MAX_TIERS:
        raise TermsError(at, "invalid_type", f"'tiers' is a list of at most {MAX_TIERS}.")
    tiers: list[Tier] = []
    for number, item in enumerate(value):
        place = f"{at}[{number}]"
        if not isinstance(item, dict) or not set(item) <= {"from", "to", "amount"}:
            raise TermsError(place, "invalid_type", 'A tier is {"from": 1, "to": 4, "amount": {..}}.')
        first, last = _count(item, "from", place, low=1), _count(item, "to", place, low=1)
        if first is None:
            raise TermsError(f"{place}.from", "required", "Say with which friend the tier begins.")
        if last is not None and last < first:
            raise TermsError(f"{place}.to", "tiers", f"{last} comes before the tier's first friend, {first}.")
        if tiers:
            _follows(tiers[-1], first, f"{place}.from")
        tiers.append(Tier(first, last, _amount(item.get("amount"), currency, f"{place}.amount")))
    return tuple(tiers)


def _follows(before: Tier, first: int, at: str) -> None:
    if before.last is None:
        raise TermsError(at, "tiers", "The tier before has no end, so none can follow it.")
    if first <= before.last:
        raise TermsError(at, "tiers", f"{first} overlaps the tier before, which ends with {before.last}.")
    if first != before.last + 1:
        raise TermsError(at, "tiers", f"{first} leaves a gap: the tier before ends with {before.last}.")


def _label(value: object, at: str) -> str:
    if not isinstance(value, str) or len(value) > 60:
        raise TermsError(at, "too_long", "A label is text of at most 60 characters.")
    return value.strip()


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
            'An amount is {"type": "fixed", "money": ..}, {"type": "percent", "percent": "10"} or {"type": "units", ..}.',
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
            units, label = _count(value, "units", at, low=1), _label(value.get("label", ""), f"{at}.label")
            if units is None or not label:
                field = "label" if units else "units"
                raise TermsError(
                    f"{at}.{field}", "required", "Units need a number and a label, such as 1 'free month'."
                )
            return Units(units, label)
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
