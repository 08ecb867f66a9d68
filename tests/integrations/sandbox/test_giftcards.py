"""The stand-in for GiftCard Partners: tokens, the seed's order in three ways of delivery, and a PONumber that is taken once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from integrations.sandbox.giftcards import GiftCards
from referrals.lib import clock
from tests.integrations.sandbox.talking import NOON, Talk, minor_of


@pytest.fixture
def talk() -> Talk:
    found = Talk(GiftCards(), "https://cards.example", {})
    with clock.at(NOON):
        status, token = found("POST", "/v1/Tokens", None, Email="elin@halden.example", AccessToken="secret")
    assert (status, token["ExpiresIn"]) == (200, 3600)
    found.headers = {"Authorization": f"Bearer {token['Value']}"}
    return found


def order(number: str, value: float = 15, kind: str = "DigitalDelivery", **changes: Any) -> dict[str, Any]:
    """Seed 003's example."""
    line: dict[str, Any] = {
        "ProductId": "CVS",
        "Value": value,
        "Quantity": 1,
        "Personalization": {"To": "Customer", "FromName": "Marketing Team", "Message": "Thanks!"},
    }
    if kind == "DigitalDelivery":
        line["DigitalDeliveryAddress"] = {"Email": "user@example.com"}
    if kind == "PhysicalShipment":
        line["ShippingAddress"] = {"Address1": "1 Main Street", "City": "Halden"}
    return {"Type": kind, "LineItems": [line | changes], "PONumber": number}


def test_an_order_is_taken_once_for_its_number(talk: Talk) -> None:
    with clock.at(NOON):
        status, made = talk("POST", "/v1/Orders", order("PROMO-4001"))
        assert (status, made["Status"], made["Total"]) == (201, "Complete", 15)
        assert talk("POST", "/v1/Orders", order("PROMO-4001", 20)) == (
            409,
            {"Id": made["Id"], "Message": "An order with this PONumber exists"},
        )
        assert talk("GET", f"/v1/Orders/{made['Id']}")[1]["PONumber"] == "PROMO-4001"
        assert talk.paid() == [("PROMO-4001", "user@example.com", 1500, False)]
        talk.stand_in.advance()
    assert [event["Event"] for event, _body, _headers in talk.got] == ["FulfillmentComplete"]


def test_links_come_with_the_order_and_post_takes_two_days(talk: Talk) -> None:
    with clock.at(NOON):
        links = talk("POST", "/v1/Orders", order("links", kind="Links"))[1]
        post = talk("POST", "/v1/Orders", order("post", kind="PhysicalShipment"))[1]
        assert links["LineItems"][0]["Links"][0]["Url"].startswith("https://cards.example/")
        assert (links["Status"], post["Status"]) == ("Complete", "Pending")
    with clock.at(NOON + timedelta(days=2)):
        token = talk("POST", "/v1/Tokens", None, Email="elin@halden.example", AccessToken="secret")[1]["Value"]
        assert talk("GET", f"/v1/Orders/{post['Id']}", None, Authorization=f"Bearer {token}")[1]["Status"] == "Complete"
        assert talk("GET", f"/v1/Orders/{post['Id']}")[0] == 401  # the first token was good for an hour


@pytest.mark.parametrize(("kind", "days"), [("DigitalDelivery", 2), ("PhysicalShipment", 4)])
def test_what_is_returned_is_cancelled_two_days_after_it_came(talk: Talk, kind: str, days: int) -> None:
    with clock.at(NOON):
        made = talk("POST", "/v1/Orders", order("back", minor_of("returned") / 100, kind))[1]
    for day, status in ((days - 1, "Complete"), (days, "Cancelled")):
        with clock.at(NOON + timedelta(days=day)):
            talk.stand_in.advance()
            row = talk.state.get("order", made["Id"])
            assert row is not None
            assert row["Status"] == status
            assert [back for *_rest, back in talk.paid()] == [status == "Cancelled"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"ProductId": "NONE"}, 400),
        ({"Value": 4}, 400),
        ({"Quantity": 0}, 400),
        ({"DigitalDeliveryAddress": {}}, 400),
        ({"ProductId": "PAPER"}, 400),
        ({"ProductId": "HALDEN", "Value": 11}, 400),
        ({"Value": minor_of("insufficient_funds") / 100}, 422),
        ({"Value": minor_of("declined") / 100}, 403),
        ({"Value": minor_of("down") / 100}, 504),
    ],
)
def test_what_is_refused_pays_nothing(talk: Talk, changes: dict[str, Any], status: int) -> None:
    with clock.at(NOON):
        assert talk("POST", "/v1/Orders", order("PROMO-1", **changes))[0] == status
        assert talk("POST", "/v1/Orders", order("PROMO-1"))[0] == 201  # the number is still free
    assert len(talk.paid()) == 1


def test_nobody_gets_in_without_a_token(talk: Talk) -> None:
    assert talk("POST", "/v1/Tokens", None, Email="elin", AccessToken="secret")[0] == 401
    assert talk("GET", "/v1/Products", None, Authorization="Bearer made-up")[0] == 401
    with clock.at(NOON):
        status, products = talk("GET", "/v1/Products")
    assert (status, [row["Id"] for row in products]) == (200, ["CVS", "HALDEN", "PAPER"])
