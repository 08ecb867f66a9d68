"""What Shopify tells, read: its signature, the names of its messages, its sums in two currencies, and where a code may stand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from integrations.base import Account, Code, Delivery, Ignored, PayloadError, Signal
from integrations.providers.shopify import PROVIDER
from integrations.providers.shopify.asking import bought_since, with_order
from referrals.lib.money import Money
from referrals.lib.signing import SignatureError
from tests.integrations.sending import signals_of

SAMPLES = Path(__file__).parent.parent / "fixtures" / "shopify"
SECRET, SHOP = "shpss0123456789abcdef", "halden-roasts.myshopify.com"
ACCOUNT = Account({"shop": SHOP, "client_secret": SECRET})
SOURCE = PROVIDER.source
ASHA = Code("8Mnu79TD")


def sample(name: str, /, **changes: Any) -> dict[str, Any]:
    """A sample by its file's name; `changes` replace fields."""
    found: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())
    return found | changes


def topic_of(name: str) -> str:
    return name.partition(".")[0].replace("_", "/", 1)


def headers(body: bytes, topic: str, **more: str) -> dict[str, str]:
    """Headers of a genuine message, signed by the published recipe."""
    digest = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
    return {"X-Shopify-Hmac-Sha256": digest, "X-Shopify-Topic": topic, "X-Shopify-Shop-Domain": SHOP, **more}


def read(name: str, /, **changes: Any) -> Signal:
    (signal,) = signals_of(SOURCE, sample(name, **changes), {"X-Shopify-Topic": topic_of(name)})
    return signal


def name_of(name: str, /, *, given: dict[str, str] | None = None, **changes: Any) -> str:
    return SOURCE.event_id(
        sample(name, **changes), Delivery(b"{}", {"X-Shopify-Topic": topic_of(name), **(given or {})})
    )


def test_a_message_of_another_shop_of_the_same_app_is_refused() -> None:
    body = b'{"id": 1}'
    SOURCE.verify(Delivery(body, headers(body, "orders/paid")), ACCOUNT)
    other = headers(body, "orders/paid") | {"X-Shopify-Shop-Domain": "other.myshopify.com"}
    with pytest.raises(SignatureError, match="another shop"):
        SOURCE.verify(Delivery(body, other), ACCOUNT)


def test_a_message_is_named_by_what_happens_once_so_that_every_way_to_us_gives_the_same_name() -> None:
    assert name_of("orders_paid", given={"X-Shopify-Event-Id": "one"}) == "orders/paid/5551000000001"
    assert name_of("orders_paid", given={"X-Shopify-Webhook-Id": "two"}) == "orders/paid/5551000000001"
    assert name_of("orders_cancelled") == "orders/cancelled/5551000000001"
    assert name_of("refunds_create") == "refunds/create/880000000001/2"
    assert name_of("refunds_create.pending") == "refunds/create/880000000002/0"
    assert name_of("disputes_update.won") == "disputes/update/770000000001/chargeback/won"
    # What may happen again is named by its headers, and a sample that Shopify's admin sends is a new one each time.
    assert name_of("app_uninstalled", given={"X-Shopify-Event-Id": "ev1"}) == "app/uninstalled/55000000001/ev1"
    assert name_of("orders_paid", given={"X-Shopify-Test": "true", "X-Shopify-Webhook-Id": "w"}).endswith("/w")
    assert name_of("shop_redact").startswith("shop/redact/body_")


def test_a_message_without_a_topic_can_t_be_read() -> None:
    with pytest.raises(PayloadError):
        SOURCE.event_type({}, Delivery(b"{}"))


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("orders_paid", {}, False),
        ("orders_paid", {"test": True}, True),
        ("refunds_create", {}, False),
        ("refunds_create", {"transactions": []}, None),
        ("customers_create", {}, None),
        ("shop_redact", {}, None),
    ],
)
def test_an_order_says_whether_it_is_a_test(name: str, changes: dict[str, Any], expected: bool | None) -> None:
    assert SOURCE.is_test(sample(name, **changes)) is expected


def test_a_paid_order() -> None:
    signal = read("orders_paid.discount")
    assert signal == Signal(
        fact="purchase",
        external_id="5551000000002",
        references=("5551000000002", "gid://shopify/Order/5551000000002"),
        occurred_at=datetime(2026, 11, 21, 8, 14, 26, tzinfo=UTC),
        money=Money(4380, "USD"),
        email="maya@example.net",
        name="Maya Sundaram",
        codes=(Code("ASHA10", "promotion"),),
        customer_id="7450011223344",
        metadata={"order": "5551000000002", "order_name": "#1043", "marketing_consent": "yes"},
    )


def test_what_the_customer_saw_in_another_currency_stands_beside_the_shop_s_sum() -> None:
    signal = read("orders_paid.two_currencies")
    assert (signal.money, signal.also) == (Money(4000, "EUR"), (Money(4396, "USD"),))
    assert signal.in_currency("USD").money == Money(4396, "USD")
    assert signal.in_currency("GBP").money == Money(4000, "EUR")
    # The cart's attribute comes before the address, and each code once.
    assert signal.codes == (ASHA, Code("9Zzz11AA"))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("landing_site", "/?referralCode=8Mnu79TD"),
        ("landing_site", "https://shop.halden.example/products/blend?x=1&ref=8Mnu79TD#top"),
        ("landing_site_ref", "8Mnu79TD"),
        ("referring_site", "https://www.example.org/a?referral_code=8Mnu79TD"),
        ("note_attributes", [{"name": "ref", "value": "8Mnu79TD"}]),
    ],
)
def test_where_a_code_may_stand(place: str, value: Any) -> None:
    assert read("orders_paid", **{place: value}).codes == (ASHA,)


@pytest.mark.parametrize(
    "changes",
    [
        {"landing_site": "http://[::1"},
        {"landing_site": 7},
        {"landing_site": "/?" + "&".join(f"a{n}=1" for n in range(60))},
        {"note_attributes": [None, {"name": None}, "x"], "discount_codes": {"code": "A"}},
        {"discount_codes": [{"code": "two words"}]},
    ],
)
def test_junk_where_a_code_may_stand_is_passed_over(changes: dict[str, Any]) -> None:
    assert read("orders_paid", **changes).codes == ()


def test_a_refund_is_the_sum_of_what_went_through() -> None:
    signal = read("refunds_create")
    assert (signal.external_id, signal.money, signal.also) == ("refund_880000000001", Money(1000, "USD"), ())
    assert signal.references == ("5551000000001", "gid://shopify/Order/5551000000001")
    # Its lines say what it was in the shop's currency.
    both = read("refunds_create.two_currencies")
    assert (both.money, both.also) == (Money(2000, "EUR"), (Money(2198, "USD"),))
    # Where the sum differs from the lines, the order's rate holds.
    less = sample("refunds_create.two_currencies")
    less["transactions"][0]["amount"] = "10.99"
    (half,) = signals_of(SOURCE, less, {"X-Shopify-Topic": "refunds/create"})
    assert (half.money, half.also) == (Money(1000, "EUR"), (Money(1099, "USD"),))


@pytest.mark.parametrize(
    ("name", "changes", "code"),
    [
        ("orders_paid.free", {}, "nothing_paid"),
        ("orders_cancelled.unpaid", {}, "never_captured"),
        ("refunds_create.pending", {}, "nothing_refunded"),
        ("refunds_create", {"transactions": None}, "nothing_refunded"),
        ("disputes_create.inquiry", {}, "dispute_inquiry"),
        ("disputes_update.lost", {}, "dispute_lost"),
        ("customers_create", {"email": None}, "no_email"),
        ("products_update", {}, "type_unused"),
        ("orders_paid", {"total_price_set": None, "currency": "XXQ"}, "currency_unknown"),
    ],
)
def test_what_is_ignored_and_why(name: str, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Ignored) as caught:
        read(name, **changes)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("orders_paid", {"id": None}),
        ("orders_paid", {"processed_at": None, "created_at": None}),
        ("orders_paid", {"processed_at": "yesterday"}),
        ("orders_paid", {"total_price_set": {"shop_money": {"amount": "NaN", "currency_code": "USD"}}}),
        ("orders_paid", {"total_price_set": {"shop_money": {"amount": "1.999", "currency_code": "USD"}}}),
        ("orders_paid", {"total_price_set": [], "total_price": None}),
        ("refunds_create", {"order_id": None}),
        ("disputes_create", {"order_id": None}),
        ("customers_redact", {"customer": None}),
    ],
)
def test_a_message_that_has_not_its_shape_can_t_be_read(name: str, changes: dict[str, Any]) -> None:
    with pytest.raises(PayloadError):
        read(name, **changes)


def test_the_other_messages() -> None:
    facts = {
        name: (read(name).fact, read(name).external_id)
        for name in ("orders_cancelled", "disputes_create", "disputes_update.won", "app_uninstalled", "shop_redact")
    }
    assert facts == {
        "orders_cancelled": ("cancelled", "5551000000001/cancelled"),
        "disputes_create": ("dispute", "dispute_770000000001"),
        "disputes_update.won": ("dispute_won", "dispute_770000000001/won"),
        "app_uninstalled": ("uninstalled", "uninstalled_55000000001"),
        "shop_redact": ("erase_account", "erase_account_55000000001"),
    }
    assert read("customers_create").codes == (ASHA,)
    assert read("customers_create", note=None, tags="vip, ref: 8Mnu79TD").codes == (ASHA,)
    assert [read(f"customers_{name}").email for name in ("data_request", "redact")] == ["maya@example.net"] * 2


ORDERS = [{"id": f"gid://shopify/Order/{n}", "createdAt": f"2026-11-0{n}T10:00:00Z"} for n in (1, 2)]
CREATED = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "order", "orders", "expected"),
    [
        (1, 1, ORDERS[:1], None),
        (0, 1, [], None),
        # A later order of the same customer makes the first one no second one.
        (2, 1, ORDERS, None),
        (2, 2, ORDERS, datetime(2026, 11, 1, 10, tzinfo=UTC)),
        # More orders than the token may see: bought at the latest when they became a customer.
        (5, 1, ORDERS, CREATED),
        (5, 9, [], CREATED),
    ],
)
def test_since_when_a_customer_buys(
    count: int, order: int, orders: list[dict[str, str]], expected: datetime | None
) -> None:
    customer = {"createdAt": "2024-05-01T00:00:00Z", "orders": {"nodes": orders}}
    assert bought_since(customer, count, f"gid://shopify/Order/{order}") == expected


def test_the_shop_s_answer_adds_the_way_somebody_came() -> None:
    visit = {"landingPage": "https://shop.halden.example/?ref=8Mnu79TD", "referrerUrl": None}
    answer = {"customer": None, "customerJourneySummary": {"firstVisit": visit, "lastVisit": None}}
    signal = with_order(read("orders_paid"), answer)
    assert (signal.codes, signal.is_first, signal.first_purchase_at) == ((ASHA,), None, None)
    known = with_order(read("orders_paid"), {"customer": {"numberOfOrders": "1", "orders": {"nodes": []}}})
    assert known.is_first is True
