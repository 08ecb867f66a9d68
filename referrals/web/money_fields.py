"""Form fields for amounts: typed plainly in major units, kept as typed when they are wrong, given on as Money."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from referrals.lib.money import Money, MoneyError, exponent_of


class MoneyInput(forms.TextInput):
    """A text field with the currency in front of it."""

    def __init__(self, currency: str = "USD") -> None:
        super().__init__(attrs={"inputmode": "decimal", "autocomplete": "off", "spellcheck": "false"})
        self.currency = currency

    def format_value(self, value: Any) -> str | None:
        return value.plain() if isinstance(value, Money) else super().format_value(value)

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        control = super().render(name, value, attrs, renderer)
        return format_html('<div class="prefix"><span>{}</span>{}</div>', self.currency, control)


class MoneyField(forms.CharField):
    """An amount of one currency; cleans to Money, or None when empty and not required. Zero is refused, unless `zero` says otherwise."""

    widget = MoneyInput

    def __init__(self, *, zero: bool = False, **kwargs: Any) -> None:
        super().__init__(max_length=40, **kwargs)
        self.currency = "USD"
        self.zero = zero

    def use(self, currency: str) -> None:
        """Read and show amounts of this currency."""
        self.currency = currency
        self.widget.currency = currency

    def clean(self, value: Any) -> Any:
        text = super().clean(value).strip()
        if not text:
            return None
        try:
            money = Money.parse(text, self.currency)
        except MoneyError as error:
            raise ValidationError(self._message(error.code, text), code=error.code) from error
        if money.minor == 0 and not self.zero:
            raise ValidationError(self._message("amount_not_positive", text), code="amount_not_positive")
        return money

    def _message(self, code: str, text: str) -> str:
        facts = {"text": text[:40], "currency": self.currency, "decimals": exponent_of(self.currency)}
        if code == "amount_not_positive":
            return _("%(text)s is not above zero.") % facts
        if code == "amount_precision":
            return _("%(text)s has more decimals than %(currency)s has (%(decimals)d).") % facts
        return _("“%(text)s” is not an amount; write it like %(example)s.") % {
            **facts,
            "example": Money(1250, self.currency).plain(),
        }
