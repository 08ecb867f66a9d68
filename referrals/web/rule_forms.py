"""One reward rule as a form: what for, how much, for whom, up to which limit. Amounts and tiers: rule_amounts.py; conditions over
attributes: rule_conditions.py; adding and removing rows: rule_rows.py. What can't be kept is decided by campaigns/terms_json.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from campaigns.models import Campaign, RewardRule
from campaigns.splits import check_rule_of
from campaigns.terms import NO_LIMITS, REFERRER_TRIGGERS, TIER_TRIGGERS, Limits, RuleTerms, TermsError
from campaigns.terms_json import amount_to_json, money_to_json, terms_from_json, terms_to_json
from campaigns.wording import days_of_months, months_of_days
from referrals.web.money_fields import MoneyField
from referrals.web.rule_amounts import (
    SHARE,
    AmountForm,
    Choice,
    TierForm,
    amount_place,
    amount_values,
    count_field,
    tier_values,
)
from referrals.web.rule_conditions import Conditions, condition_values
from referrals.web.rule_rows import count_of

COUNTED = frozenset({"nth_event", "from_nth_event"})
EVENTS = [
    ("purchase", lazy("A purchase")),
    ("join", lazy("Joining")),
    ("other", lazy("An event of your own")),
]
STATUSES = [("approved", lazy("Approved")), ("qualified", lazy("Qualified"))]
UNITS_OF_TIME = [("days", lazy("days")), ("months", lazy("months"))]
LIMITS = tuple(Limits.__slots__)
# Rows for tiers that a rule without any begins with.
EMPTY_TIERS = 2


DAYS = lazy("Enter a number of days from 0 to 365.")


class RuleForm(AmountForm):
    """One reward rule. Valid data becomes `terms`. `base` is the rule as it stands: what the form does not show stays as it is there."""

    key = forms.CharField(required=False, max_length=32, widget=forms.HiddenInput)
    side = forms.ChoiceField(label=lazy("Who gets it"), choices=RewardRule.SIDES)
    trigger = forms.ChoiceField(label=lazy("What for"), choices=RewardRule.TRIGGERS)
    nth = count_field(
        lazy("Which purchase"),
        help_text=lazy("3 means the third."),
        error_messages={"required": lazy("Say which purchase: 3 means the third.")},
    )
    friends = count_field(
        lazy("Friends it takes"), error_messages={"required": lazy("Say how many friends it takes, such as 5.")}
    )
    recurring = forms.BooleanField(label=lazy("Again for each so many more friends"), required=False)
    label = forms.CharField(
        label=lazy("Name of the milestone"),
        required=False,
        max_length=60,
        help_text=lazy("Shown on the participant's path."),
    )
    counts = Choice(label=lazy("What counts"), choices=EVENTS)
    event_name = forms.CharField(
        label=lazy("Name of your event"),
        required=False,
        max_length=40,
        help_text=lazy("As it is sent to us: a-z, 0-9 and _."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "dir": "ltr"}),
    )
    status = Choice(label=lazy("Which status"), choices=STATUSES)
    kind = forms.ChoiceField(label=lazy("Given as"), choices=RewardRule.KINDS)
    minimum_purchase = MoneyField(label=lazy("Smallest purchase"), required=False)
    max_purchases_per_friend = count_field(lazy("Rewarded purchases per friend"))
    within = count_field(lazy("Only this long after joining"), help_text=lazy("Leave empty for no end."))
    within_unit = Choice(label=lazy("Days or months"), choices=UNITS_OF_TIME)
    review_days = forms.IntegerField(
        label=lazy("Days in review"),
        min_value=0,
        max_value=365,
        help_text=lazy("Refunds in this time cancel the reward."),
        error_messages=dict.fromkeys(("required", "invalid", "min_value", "max_value"), DAYS),
    )
    new_customers_only = forms.BooleanField(label=lazy("Only for new customers"), required=False)
    delivery = Choice(
        label=lazy("Issued"),
        choices=RewardRule.DELIVERIES,
        help_text=lazy("By itself it goes the way that you choose under “How rewards are paid”."),
    )
    minimum_payout = MoneyField(
        label=lazy("Smallest payout to one person"),
        required=False,
        help_text=lazy("What is due to a person is collected until it reaches this."),
    )
    limit_per_referrer = MoneyField(label=lazy("For one referrer, ever"), required=False)
    limit_per_referrer_year = MoneyField(label=lazy("For one referrer in a calendar year"), required=False)
    limit_campaign = MoneyField(label=lazy("For everybody, ever"), required=False)
    limit_campaign_month = MoneyField(label=lazy("For everybody in a month"), required=False)
    limit_campaign_week = MoneyField(label=lazy("For everybody in a week"), required=False)
    limit_campaign_day = MoneyField(label=lazy("For everybody in a day"), required=False)

    terms: RuleTerms
    # The rule of this key as it stands, in words; "" for a new one. Set by the page.
    in_force = ""

    def __init__(self, *args: Any, currency: str, base: RuleTerms | None = None, **kwargs: Any) -> None:
        super().__init__(*args, currency=currency, **kwargs)
        self.base = base
        if self.currency == "USD":
            self.fields["limit_per_referrer_year"].help_text = _(
                "599 keeps each person below 600 dollars a year, where United States tax forms begin."
            )
        trigger = self["trigger"].value()
        if trigger not in TIER_TRIGGERS:
            self.require_amount()
        self.fields["nth"].required = trigger in COUNTED
        self.fields["friends"].required = trigger == "milestone"
        values = self._flat()
        self.tiers = [
            TierForm(
                self.data if self.is_bound else None,
                initial={name: values.get(f"tier-{number}-{name}") for name in TierForm.base_fields},
                currency=currency,
                prefix=f"{self.prefix}-tier-{number}",
            )
            for number in range(count_of(values, "tier-") or EMPTY_TIERS)
        ]
        self.tier_errors: list[str] = []
        self.conditions = Conditions(values, prefix=str(self.prefix), bound=self.is_bound)

    def _flat(self) -> Mapping[str, Any]:
        """What was typed, or the first values, by the names within this rule."""
        if not self.is_bound:
            return dict(self.initial)
        stem = f"{self.prefix}-"
        return {name.removeprefix(stem): self.data[name] for name in self.data if name.startswith(stem)}

    @property
    def has_limits(self) -> bool:
        """Whether a limit is set or refused, so that they have to be seen."""
        return any(self[name].value() or (self.is_bound and self[name].errors) for name in self.limit_names)

    @property
    def limit_names(self) -> list[str]:
        """The fields of the limits."""
        return [f"limit_{name}" for name in LIMITS]

    @property
    def has_conditions(self) -> bool:
        """Whether there is a row to be seen."""
        return bool(self.conditions.rows or self.conditions.errors)

    @property
    def tier_button(self) -> str:
        """The id of the button that adds a tier."""
        return f"{self.prefix}-add-tier"

    @property
    def test_button(self) -> str:
        """The id of the button that adds a condition."""
        return f"{self.prefix}-add-test"

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        rows = [tier for tier in self.tiers if not tier.is_left_out] if data.get("trigger") in TIER_TRIGGERS else []
        # every part is asked, so that one round shows everything that is wrong
        wrong = [not self.conditions.is_valid(), *(not tier.is_valid() for tier in rows)]
        if any(wrong):
            self.add_error(None, _("Look at the rows marked below."))
        if self.errors:
            return data
        if data["trigger"] in TIER_TRIGGERS and not rows:
            text = _("Add at least one rank.") if data["trigger"] == "leaderboard" else _("Add at least one tier.")
            self.tiers[0].add_error("first", text)
            self.add_error(None, text)
            return data
        try:
            self.terms = terms_from_json(self._rule(data, rows), self.currency)
        except TermsError as error:
            self._place(error, rows)
        return data

    def check_shared(self, campaign: Campaign) -> bool:
        """Whether the rule goes with a campaign whose friends are shared; if not, it is said at the field."""
        try:
            check_rule_of(campaign, self.terms)
        except TermsError as error:
            self._place(error, [])
            return False
        return True

    def _rule(self, data: dict[str, Any], rows: list[TierForm]) -> dict[str, Any]:
        """The form as a `Rule` of API.md, over what the rule says that the form does not show."""
        trigger = data["trigger"]
        rule = terms_to_json(self.base) if self.base is not None else {}
        rule |= {
            "id": data["key"],
            "side": data["side"],
            "trigger": trigger,
            "event": self._event(data),
            "nth": {"milestone": data["friends"]}.get(trigger, data["nth"] if trigger in COUNTED else None),
            "recurring": data["recurring"] and trigger == "milestone",
            "label": data["label"] if trigger == "milestone" else "",
            "amount": rows[0].as_json()["amount"] if rows else self.amount_json(data),
            "tiers": [tier.as_json() for tier in rows],
            "kind": data["kind"],
            "minimum_purchase": money_to_json(data["minimum_purchase"]),
            "max_purchases_per_friend": data["max_purchases_per_friend"],
            "within_days": self._days(data),
            "new_customers_only": data["new_customers_only"],
            "conditions": self.conditions.as_json(),
            "limits": {name: money_to_json(data[f"limit_{name}"]) for name in LIMITS},
            "review_days": data["review_days"],
            "delivery": data["delivery"] or "manual",
            "minimum_payout": money_to_json(data["minimum_payout"]),
        }
        units = any(amount["type"] == "units" for amount in [rule["amount"], *(row["amount"] for row in rule["tiers"])])
        if units or trigger == "leaderboard":
            # The page does not ask for them: limits count money, and prizes are limited by their ranks.
            rule["limits"] = None
        if units or rule["delivery"] == "manual":
            rule["minimum_payout"] = None
        return rule

    def _event(self, data: dict[str, Any]) -> str:
        match data["trigger"]:
            case "join":
                return "join"
            case "status":
                return data["status"] or "approved"
        return data["event_name"] if data["counts"] == "other" else data["counts"] or "purchase"

    def _days(self, data: dict[str, Any]) -> int | None:
        span: int | None = data["within"]
        if span is None or data["within_unit"] != "months":
            return span
        return days_of_months(span)

    def _place(self, error: TermsError, rows: list[TierForm]) -> None:
        """Say a refusal at its field, in the page's words."""
        path = error.field.removeprefix("rule.")
        if path.startswith("conditions"):
            self.conditions.place(path, error.message)
            self.add_error(None, _("Look at the rows marked below."))
            return
        tier = re.match(r"tiers\[([0-9]+)\]\.?(.*)", path)
        if tier is not None:
            row, place = rows[int(tier[1])], amount_place(tier[2])
            row.add_error(place, SHARE if place == "percent" else self._words(error))
            self.add_error(None, _("Look at the rows marked below."))
            return
        if path == "tiers":
            self.tier_errors.append(self._words(error))
            self.add_error(None, self._words(error))
            return
        self.add_error(*self._field(path, error))

    def _field(self, path: str, error: TermsError) -> tuple[str | None, str]:
        trigger = self.cleaned_data["trigger"]
        if path.startswith("amount"):
            place = amount_place(path)
            return place, str(SHARE) if place == "percent" else self._words(error)
        if path.startswith("limits"):
            name = f"limit_{path.removeprefix('limits.').partition('.')[0]}"
            return (name if name in self.fields else "limit_per_referrer"), error.message
        if path == "event":
            own = self.cleaned_data["counts"] == "other"
            return "status" if trigger == "status" else "event_name" if own else "counts", self._words(error)
        if path == "side":
            return "trigger" if self.fields["side"].disabled else "side", self._words(error)
        if path == "nth" and trigger == "milestone":
            return "friends", self._words(error)
        if path == "within_days":
            return "within", _("%(days)s days are more than ten years, 3650 days; leave it empty for ever.") % {
                "days": self._days(self.cleaned_data)
            }
        name = path.partition(".")[0]
        return (name if name in self.fields else None), self._words(error)

    def _words(self, error: TermsError) -> str:
        """What to do, told to somebody who sees the form and not the API."""
        if error.code == "percent_of_nothing":
            if self.cleaned_data["trigger"] == "join":
                return _("Joining has no purchase to take a share of; choose a fixed amount.")
            return _("There is no one purchase here to take a share of; choose a fixed amount.")
        if error.code == "side":
            return _("This counts a referrer's friends, so only the referrer can be rewarded for it.")
        if error.code == "event" and self.cleaned_data["counts"] == "join":
            return _("Joining happens once; choose “When they join” as what for, or count purchases.")
        if error.code == "event":
            name = self.cleaned_data["event_name"]
            return _("“%(name)s” can't be an event's name: use a-z, 0-9 and _, and none of ours.") % {"name": name}
        if error.field == "rule.tiers" and self.cleaned_data["trigger"] == "leaderboard":
            return _("A leaderboard's prizes end at a rank; fill in the last “To”.")
        return error.message


def rule_initial(terms: RuleTerms) -> dict[str, Any]:
    """A rule's terms as the form's values, rows included."""
    months = months_of_days(terms.within_days) if terms.within_days else None
    known = terms.event in {"purchase", "join"}
    own = not known and terms.trigger != "status"
    values = {
        "key": terms.key,
        "side": terms.side,
        "trigger": terms.trigger,
        "nth": terms.nth if terms.trigger in COUNTED else None,
        "friends": terms.nth if terms.trigger == "milestone" else None,
        "recurring": terms.recurring,
        "label": terms.label,
        "counts": "other"
        if own
        else "join"
        if known and terms.event == "join" and terms.trigger != "join"
        else "purchase",
        "event_name": terms.event if own else "",
        "status": terms.event if terms.trigger == "status" else "approved",
        **(amount_values(terms.amount) if not terms.tiers else {"amount_type": amount_to_json(terms.amount)["type"]}),
        "kind": terms.kind,
        "minimum_purchase": terms.minimum_purchase,
        "max_purchases_per_friend": terms.max_purchases_per_friend,
        "within": months or terms.within_days,
        "within_unit": "months" if months else "days",
        "new_customers_only": terms.new_customers_only,
        "review_days": terms.review_days,
        "delivery": terms.delivery,
        "minimum_payout": terms.minimum_payout,
        **{f"limit_{name}": getattr(terms.limits, name) for name in LIMITS if terms.limits != NO_LIMITS},
        "tier-count": str(len(terms.tiers)),
    }
    for number, tier in enumerate(terms.tiers):
        values |= {f"tier-{number}-{name}": value for name, value in tier_values(tier).items()}
    return values | condition_values(terms.conditions)


def triggers_for(side: str) -> list[tuple[str, Any]]:
    """What a new campaign's form offers a side: only a referrer has friends to count, and tiers come with the rules' own page."""
    left_out = TIER_TRIGGERS if side == "referrer" else REFERRER_TRIGGERS
    return [choice for choice in RewardRule.TRIGGERS if choice[0] not in left_out]
