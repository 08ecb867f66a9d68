"""Every company is asked for the very amount that is owed, in its own way of writing it: yen without decimals, dinars with three, forints
whole where PayPal wants them, and the largest sums that there are (ARCHITECTURE.md, "Money")."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from integrations.providers.giftcards.issuer import ISSUER as GIFT_CARDS
from integrations.providers.paypal.issuer import body_of as paypal_body
from integrations.providers.paypal.issuer import obstacle
from integrations.providers.shopify.amounts import decimal_text
from integrations.providers.stripe.keeping import stripe_minor
from integrations.providers.tremendous.issuer import body_of as tremendous_body
from integrations.remote import RemoteError
from referrals.lib.money import Money
from tests.integrations.issuers.test_tremendous import ORDER, SETTINGS, Said

LARGEST = 10**12 - 1  # in major units, as amounts come in (referrals.lib.money)


@pytest.mark.parametrize(
    ("money", "major", "in_stripe"),
    [
        (Money(1500, "USD"), "15", 1500),
        (Money(1, "USD"), "0.01", 1),
        (Money(1500, "JPY"), "1500", 1500),
        (Money(1505, "KWD"), "1.505", 1505),
        (Money(1, "KWD"), "0.001", 1),
        (Money(15, "ISK"), "15", 1500),  # Stripe counts these two as if they had cents
        (Money(15, "UGX"), "15", 1500),
        (Money(1500, "MGA"), "15", 15),  # and this one as if it had none
        (Money(LARGEST * 100 + 99, "USD"), "999999999999.99", LARGEST * 100 + 99),
        (Money(LARGEST * 1000 + 999, "KWD"), "999999999999.999", LARGEST * 1000 + 999),
        (Money(LARGEST, "JPY"), "999999999999", LARGEST),
    ],
)
def test_the_amount_that_is_asked_for_is_the_one_that_is_owed(money: Money, major: str, in_stripe: int) -> None:
    order, account = replace(ORDER, amount=money), Said().account
    sent: dict[str, Any] = {
        "tremendous": json.loads(
            json.dumps(tremendous_body(order, replace(account, settings=SETTINGS))), parse_float=str
        )["reward"]["value"]["denomination"],
        "giftcards": json.loads(json.dumps(GIFT_CARDS.body(order)), parse_float=str)["LineItems"][0]["Value"],
        "wise": json.loads(json.dumps(money.json_number()), parse_float=str),
        "shopify": decimal_text(money),
        "paypal": paypal_body([order], "ps_1")["items"][0]["amount"]["value"],
    }
    assert {name: Decimal(value) for name, value in sent.items()} == dict.fromkeys(sent, Decimal(major))
    assert stripe_minor(money) == in_stripe


def test_what_a_company_can_not_write_is_refused_and_never_rounded() -> None:
    with pytest.raises(RemoteError, match="no decimals of MGA"):
        stripe_minor(Money(1550, "MGA"))
    assert "HUF" in obstacle(None, Money(150_050, "HUF"), {})  # type: ignore[arg-type]  # which connection is not asked about
    assert paypal_body([replace(ORDER, amount=Money(150_000, "HUF"))], "ps_1")["items"][0]["amount"]["value"] == "1500"
