"""A reward rule as JSON Schema, as it is read and as it is sent (API.md, `Rule`). docs/api/rules.md has an example of each."""

from __future__ import annotations

from campaigns.conditions import MAX_DEPTH, OPERATORS
from campaigns.models import RewardRule
from referrals.api.schema import Schema, array, boolean, optional, record, ref, text, whole

RULE_KEY = "rule_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"
SIDES = [name for name, _label in RewardRule.SIDES]
TRIGGERS = [name for name, _label in RewardRule.TRIGGERS]
_FIXED = record({"type": text("A fixed amount.", "fixed", enum=["fixed"]), "money": ref("Money")})
_PERCENT = record(
    {
        "type": text("A share of the purchase.", "percent", enum=["percent"]),
        "percent": text("Per cent, as text.", "10"),
        "cap": optional("Money", "At most this much."),
    }
)
_UNITS = record(
    {
        "type": text("Units of something.", "units", enum=["units"]),
        "units": whole("How many.", 1),
        "label": text("Of what.", "free month"),
    }
)
_AMOUNT = {"anyOf": [_FIXED, _PERCENT, _UNITS], "description": "How much."}
_LIMIT_TEXTS = {
    "per_referrer": "The most for one referrer, ever.",
    "per_referrer_year": "The most for one referrer in a calendar year of the merchant.",
    "campaign": "The budget for everybody, ever.",
    "campaign_month": "The budget in a month.",
    "campaign_week": "The budget in a week, Monday first.",
    "campaign_day": "The budget in a day.",
}
_CONDITIONS: Schema = {
    "type": ["object", "null"],
    "additionalProperties": True,
    "description": (
        'Conditions over attributes: {"all": [..]} or {"any": [..]} of {"of", "field", "op", "value"} and of further groups, at most'
        f" {MAX_DEPTH} deep. Operators: {', '.join(OPERATORS)}."
    ),
    "examples": [{"all": [{"of": "event", "field": "country", "op": "one_of", "value": ["NO", "SE"]}]}],
}
RULE = record(
    {
        "id": text("Stays the same through all versions of the rules.", RULE_KEY),
        "side": text("Who is rewarded.", "referrer", enum=SIDES),
        "trigger": text("What earns it (docs/rules.md).", "first_event", enum=TRIGGERS),
        "event": text("Which kind of event counts.", "purchase"),
        "nth": whole("For nth_event and from_nth_event the payment; for milestone the friends it takes.", 3, null=True),
        "recurring": boolean("Whether a milestone comes again for each `nth` more friends.", False),
        "label": text("A milestone's name.", "Gold"),
        "amount": _AMOUNT,
        "kind": text("What it is.", "cash", enum=[name for name, _ in RewardRule.KINDS]),
        "minimum_purchase": optional("Money", "Purchases below this earn nothing."),
        "max_purchases_per_friend": whole("How many purchases of one friend count.", 1, null=True),
        "new_customers_only": boolean("Whether earlier customers don't count.", True),
        "within_days": whole("Days after joining in which it must happen.", 365, null=True),
        "conditions": _CONDITIONS,
        "limits": record({name: optional("Money", about) for name, about in _LIMIT_TEXTS.items()}, about="Limits."),
        "review_days": whole("Days of review before it is due.", 14),
        "delivery": text("How it goes out.", "manual", enum=[name for name, _ in RewardRule.DELIVERIES]),
        "minimum_payout": optional("Money", "What is due to one person is collected until this is reached."),
        "tiers": array(
            record(
                {
                    "from": whole("The first friend, or rank, of it.", 1),
                    "to": whole("The last one; null for no end.", 4, null=True),
                    "amount": _AMOUNT,
                }
            ),
            "Tiers of friends (trigger tier) or prizes by rank (leaderboard), without gap or overlap.",
        ),
    },
    about="A reward rule.",
)
_MONEY_OR_NULL: Schema = {"anyOf": [ref("MoneyInput"), {"type": "null"}]}
_AMOUNT_INPUT: Schema = {
    "anyOf": [
        record({"type": _FIXED["properties"]["type"], "money": ref("MoneyInput")}),
        record({"type": _PERCENT["properties"]["type"], "percent": text("Per cent, as text.", "10")}),
        _UNITS,
    ]
}
RULE_INPUT: Schema = {
    "type": "object",
    "description": (
        "A rule as it is sent. An `id` keeps a rule's identity; without one it is a new rule. `amount` may be left out where there"
        " are `tiers`. docs/api/rules.md has an example of each."
    ),
    "required": ["side", "trigger"],
    "properties": {
        "id": text("Of the rule that is changed.", RULE_KEY),
        "side": RULE["properties"]["side"],
        "trigger": RULE["properties"]["trigger"],
        "amount": _AMOUNT_INPUT,
        "kind": RULE["properties"]["kind"],
        "event": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,39}$"},
        "nth": {"type": ["integer", "null"], "minimum": 1, "maximum": 1_000_000},
        "recurring": {"type": "boolean"},
        "label": {"type": "string", "maxLength": 60},
        "minimum_purchase": _MONEY_OR_NULL,
        "max_purchases_per_friend": {"type": ["integer", "null"], "minimum": 1, "maximum": 1_000_000},
        "new_customers_only": {"type": "boolean"},
        "within_days": {"type": ["integer", "null"], "minimum": 1, "maximum": 3650},
        "conditions": _CONDITIONS,
        "limits": {
            "type": ["object", "null"],
            "properties": dict.fromkeys(_LIMIT_TEXTS, _MONEY_OR_NULL),
            "additionalProperties": False,
        },
        "tiers": {
            "type": "array",
            "maxItems": 50,
            "items": {
                "type": "object",
                "required": ["from", "amount"],
                "properties": {
                    "from": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
                    "to": {"type": ["integer", "null"], "minimum": 1, "maximum": 1_000_000},
                    "amount": _AMOUNT_INPUT,
                },
                "additionalProperties": False,
            },
        },
        "review_days": {"type": ["integer", "null"], "minimum": 0, "maximum": 365},
        "delivery": {"type": "string", "enum": [name for name, _ in RewardRule.DELIVERIES]},
        "minimum_payout": _MONEY_OR_NULL,
    },
    "examples": [
        {
            "side": "referrer",
            "trigger": "first_event",
            "amount": {"type": "fixed", "money": {"amount_minor": 2000, "currency": "USD"}},
            "review_days": 14,
        },
        {
            "side": "referrer",
            "trigger": "tier",
            "tiers": [
                {"from": 1, "to": 4, "amount": {"type": "fixed", "money": {"amount_minor": 1000, "currency": "USD"}}},
                {"from": 5, "to": None, "amount": {"type": "percent", "percent": "12.5"}},
            ],
            "limits": {"per_referrer_year": {"amount_minor": 59900, "currency": "USD"}},
        },
    ],
}
