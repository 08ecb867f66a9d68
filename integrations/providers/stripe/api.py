"""The few questions that we ask Stripe. One try each: the message that needs it is what is retried."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import stripe

from integrations.base import Account, Code, ProviderError, Signal
from integrations.providers.stripe.client import client_of

# Errors that stay the same however often one asks.
_FINAL = (stripe.AuthenticationError, stripe.PermissionError, stripe.InvalidRequestError)


class StripeApi:
    """The questions, with the merchant's key. Every call is tried once: the inbound row that needs it is what is retried."""

    def __init__(self, account: Account) -> None:
        self._client = client_of(account)

    def promotion_code(self, promotion_id: str) -> str:
        """The code that customers type; "" when Stripe knows no such promotion code. Raises ProviderError."""
        try:
            return self._client.v1.promotion_codes.retrieve(promotion_id).code
        except stripe.InvalidRequestError as error:
            if error.http_status == 404:
                return ""
            raise _ours(error) from error
        except stripe.StripeError as error:
            raise _ours(error) from error

    def invoices_of(self, payment_intent: str) -> list[str]:
        """The ids of the invoices that a payment intent paid; new API versions no longer say it on the charge."""
        try:
            found = self._client.v1.invoice_payments.list(
                {"payment": {"type": "payment_intent", "payment_intent": payment_intent}, "limit": 10}
            )
        except stripe.StripeError as error:
            raise _ours(error) from error
        ids = [item.invoice if isinstance(item.invoice, str) else item.invoice.id for item in found.data]
        return [name for name in ids if name]

    def promotions_of(self, invoice_id: str) -> list[str]:
        """The ids of the promotion codes behind an invoice's discounts."""
        try:
            invoice = self._client.v1.invoices.retrieve(invoice_id, {"expand": ["discounts"]}).to_dict()
        except stripe.StripeError as error:
            raise _ours(error) from error
        found = []
        for discount in invoice.get("discounts") or ():
            promotion = discount.get("promotion_code") if isinstance(discount, dict) else None
            found.append(promotion.get("id") if isinstance(promotion, dict) else promotion)
        return [name for name in found if name]


def _ours(error: stripe.StripeError) -> ProviderError:
    words = f"{type(error).__name__}: {error.user_message or 'no answer'}"[:300]
    return ProviderError(words, retry=not isinstance(error, _FINAL))


def look_up(signals: Sequence[Signal], account: Account) -> list[Signal]:
    """Fill in what only Stripe knows: the text behind a promotion code, and the invoice behind a refunded or disputed charge.

    Without an API key everything stays as it is. Raises ProviderError.
    """
    if not account.secrets.get("api_key"):
        return list(signals)
    api = StripeApi(account)
    return [_with_invoice(_with_codes(signal, api), api) for signal in signals]


def _with_codes(signal: Signal, api: StripeApi) -> Signal:
    if not any(code.kind == "promotion_id" for code in signal.codes):
        return signal
    codes = []
    for code in _named(signal, api):
        found = Code(api.promotion_code(code.text), "promotion") if code.kind == "promotion_id" else code
        if found.text:
            codes.append(found)
    return dataclasses.replace(signal, codes=tuple(dict.fromkeys(codes)))


def _named(signal: Signal, api: StripeApi) -> list[Code]:
    """The codes, with the discounts that an invoice only names (`di_...`) as the promotion codes behind them."""
    codes = [code for code in signal.codes if not code.text.startswith("di_")]
    if len(codes) < len(signal.codes):
        codes += [Code(name, "promotion_id") for name in api.promotions_of(signal.external_id)]
    return codes


def _with_invoice(signal: Signal, api: StripeApi) -> Signal:
    if signal.fact not in {"refund", "refund_back", "dispute", "dispute_won"}:
        return signal
    if any(name.startswith("in_") for name in signal.references):
        return signal
    intents = [name for name in signal.references if name.startswith("pi_")]
    invoices = [invoice for intent in intents for invoice in api.invoices_of(intent)]
    return dataclasses.replace(signal, references=(*signal.references, *invoices))
