"""How much a rule gives, as form fields: one amount, or a row for each tier of friends or rank of a leaderboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as lazy

from campaigns.terms import Amount, Fixed, Percent, Tier, Units
from campaigns.terms_json import money_to_json
from referrals.lib.money import CURRENCIES
from referrals.web.money_fields import MoneyField

AMOUNT_TYPES = [
    ("fixed", lazy("A fixed amount")),
    ("percent", lazy("A share of the purchase")),
    ("units", lazy("Units of something")),
]
SHARE = lazy("Enter a share above 0 and at most 100, such as 12.5.")


def count_field(label: Any, **kwargs: Any) -> forms.IntegerField:
    """A whole number from 1 that may stay empty."""
    wrong = {name: lazy("Enter a whole number from 1 to 1,000,000.") for name in ("invalid", "min_value", "max_value")}
    wrong |= kwargs.pop("error_messages", {})
    return forms.IntegerField(
        label=label, required=False, min_value=1, max_value=1_000_000, error_messages=wrong, **kwargs
    )


class Choice(forms.ChoiceField):
    """A choice that always says something, so that it is never marked as optional; left out, it is the first of them."""

    always = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)


class AmountForm(forms.Form):
    """One amount: fixed, a share of the purchase with a cap, or units of something that is no money."""

    amount_type = forms.ChoiceField(label=lazy("How much"), choices=AMOUNT_TYPES)
    amount = MoneyField(
        label=lazy("Amount"), required=False, error_messages={"required": lazy("Enter the amount of the reward.")}
    )
    percent = forms.CharField(
        label=lazy("Per cent"),
        required=False,
        max_length=10,
        error_messages={"required": SHARE},
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    cap = MoneyField(label=lazy("At most"), required=False)
    units = count_field(lazy("How many"), error_messages={"required": lazy("Enter how many, 1 or more.")})
    units_label = forms.CharField(
        label=lazy("Of what"),
        required=False,
        max_length=60,
        error_messages={"required": lazy("Say what they get, such as free month.")},
    )

    def __init__(self, *args: Any, currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.currency = currency if currency in CURRENCIES else "USD"
        self.use_required_attribute = False
        for field in self.fields.values():
            if isinstance(field, MoneyField):
                field.use(self.currency)

    def require_amount(self) -> None:
        """Ask for the fields that go with the chosen type, and for no others."""
        chosen = self["amount_type"].value()
        self.fields["percent"].required = chosen == "percent"
        self.fields["units"].required = self.fields["units_label"].required = chosen == "units"
        self.fields["amount"].required = chosen not in {"percent", "units"}

    def amount_json(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The cleaned fields as the `amount` of API.md."""
        match data["amount_type"]:
            case "percent":
                return {"type": "percent", "percent": data["percent"].strip(), "cap": money_to_json(data["cap"])}
            case "units":
                return {"type": "units", "units": data["units"], "label": data["units_label"]}
            case _:
                return {"type": "fixed", "money": money_to_json(data["amount"])}


class TierForm(AmountForm):
    """One tier of friends or ranks with its amount. A row without any number or amount is left out."""

    first = count_field(lazy("From"), error_messages={"required": lazy("Enter the number that it begins with.")})
    last = count_field(lazy("To"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["amount_type"] = Choice(label=lazy("How much"), choices=AMOUNT_TYPES)
        self.order_fields(("first", "last", "amount_type"))
        self.is_left_out = not any(
            self[name].value() for name in ("first", "last", "amount", "percent", "cap", "units", "units_label")
        )
        if not self.is_left_out:
            self.fields["first"].required = True
            self.require_amount()

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        data["amount_type"] = data.get("amount_type") or "fixed"
        return data

    def as_json(self) -> dict[str, Any]:
        """The row as a tier of API.md."""
        data = self.cleaned_data
        return {"from": data["first"], "to": data["last"], "amount": self.amount_json(data)}


# From a place within `amount` or `tiers[n]` (TermsError.field) to the form's field.
PLACES = {
    "from": "first",
    "to": "last",
    "amount.percent": "percent",
    "amount.cap": "cap",
    "amount.money": "amount",
    "amount.units": "units",
    "amount.label": "units_label",
    "amount.type": "amount_type",
    "amount": "amount",
}


def amount_place(path: str) -> str | None:
    """The field of AmountForm or TierForm that a refusal's path is about; None when it is about none of them."""
    return next(
        (field for place, field in PLACES.items() if path == place or path.startswith((f"{place}.", f"{place}["))), None
    )


def amount_values(amount: Amount) -> dict[str, Any]:
    """An amount as the values of AmountForm."""
    match amount:
        case Fixed(money):
            return {"amount_type": "fixed", "amount": money}
        case Percent(rate, cap):
            return {"amount_type": "percent", "percent": f"{rate.normalize():f}", "cap": cap}
        case Units(units, label):
            return {"amount_type": "units", "units": units, "units_label": label}


def tier_values(tier: Tier) -> dict[str, Any]:
    """A tier as the values of TierForm."""
    return {"first": tier.first, "last": tier.last, **amount_values(tier.amount)}
