"""GiftCard Partners send a card once, whatever they answer, and every answer has its state and its sentence (seed 003; issue 6)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations import catalogue, inbox, payouts
from integrations.base import Account
from integrations.methods import find, preview
from integrations.models import CatalogueProduct, InboundEvent, SandboxRow
from integrations.providers.giftcards import api
from integrations.providers.giftcards.issuer import ISSUER, POST_ISSUER
from integrations.sandbox.sending import stand_in
from participants import destinations
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.http import Answer
from referrals.lib.money import Money
from rewards.models import Payout, PayoutGift
from rewards.orders import Order
from rewards.verify import differences
from tests.factories import ACTOR, Cast
from tests.integrations.issuers.story import PAID_ONCE, Story
from tests.integrations.sandbox.talking import NOON, minor_of

ORDER = Order(
    payout_id=1, public_id="po_1", key="po_key", number=1, method="giftcards", account="con_1",
    amount=Money(1500, "USD"), email="asha@example.com", name="Asha Rao", address="asha@example.com", note="",
    reference="", rewards=("rw_1",), is_test=True, called_at=datetime(2026, 11, 21, tzinfo=UTC), first_call=True,
    merchant="Halden Coffee", campaign="Spring refer-a-friend", options={"product": "CVS"},
)  # fmt: skip


@pytest.fixture
def side(alice: Cast) -> Tenant:
    return Tenant(alice.merchant, is_test=True)


def begin(side: Tenant, minor: int, method: str = "giftcards") -> Story:
    """A connection whose products are there."""
    story = Story.begin(side, "giftcards", method, minor, kind="gift_card")
    catalogue.refresh(story.connection)
    assert catalogue.fetch(story.connection.pk)
    return story


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "statuses", "reward", "paid", "words"),
    [
        ("plain", ["paid"], ("issued", ""), [0], ""),
        ("slow", ["sent"], ("issued", ""), [0], "say: Pending"),
        *PAID_ONCE,
        ("down", ["unknown", "unknown"], ("sending", ""), [], "GiftCard Partners answered 504: The request timed out"),
        ("insufficient_funds", ["failed"], ("attention", "waiting_for_funds"), [], "not enough money"),
        ("bad_recipient", ["failed"], ("waiting", "waiting_for_recipient"), [], "address is not valid"),
        ("limit_exceeded", ["failed"], ("attention", "provider_rejected"), [], "over the limit"),
        ("declined", ["failed"], ("attention", "provider_rejected"), [], "The order was declined"),
        ("key_revoked", ["failed"], ("attention", "provider_rejected"), [], "Paste them anew"),
        ("other_amount", ["needs_attention"], ("sending", ""), [-100], "$65.31"),
    ],
)
def test_each_fate_has_its_state_and_its_sentence_and_a_card_leaves_once(
    side: Tenant, name: str, statuses: list[str], reward: tuple[str, str], paid: list[int], words: str
) -> None:
    minor = 1500 if name == "plain" else minor_of(name)
    story = begin(side, minor)
    story.issue(product="CVS")
    story.live(minor, statuses, reward, paid, words)


@pytest.mark.django_db
def test_a_claim_link_is_the_recipient_s_also_when_the_first_answer_was_lost(side: Tenant) -> None:
    story = begin(side, minor_of("lost_after"))
    story.issue(product="CVS", delivery="Links", message="Thanks for participating!")
    assert [story.work(), story.work()] == ["unknown", "paid"]
    assert PayoutGift.objects.get().secrets["url"].startswith("https://cards.example/")
    line = SandboxRow.objects.get(kind="order").data["LineItems"][0]
    assert line["Personalization"]["Message"] == "Thanks for participating!"


@pytest.mark.django_db
def test_a_large_order_is_asked_about_until_a_message_says_that_it_is_done(side: Tenant) -> None:
    with clock.at(NOON):
        story = begin(side, minor_of("slow"))
        story.issue(product="CVS")
        assert (story.work(), story.ask()) == ("sent", "sent")
    with clock.at(NOON + timedelta(days=3)):
        stand_in(story.connection).advance()
        row = InboundEvent.objects.get()
        assert (row.type, inbox.process(row.pk)) == ("FulfillmentComplete", "processed")
        row.refresh_from_db()
        assert (row.outcome, payouts.ask(), story.now().status) == ("payout_told", 1, "paid")
    assert list(differences()) == []


@pytest.mark.django_db
def test_a_card_by_post_waits_for_an_address(side: Tenant) -> None:
    story = begin(side, 1500, "giftcards_post")
    option = find(side, f"giftcards_post:{story.connection.public_id}")
    assert [value for value, _label in option.choices_of("product", side)] == ["CVS", "PAPER"]
    assert [why for _reward, why in preview(option, side, [story.reward.pk]).refused] == ["waiting_for_recipient"]
    typed = {"name": "Asha Rao", "street": "Storgata 1", "postcode": "1771", "city": "Halden", "country": "NO"}
    asked = destinations.ask(participant=story.asha, method="postal", values=typed, actor=ACTOR)
    destinations.confirm(token=destinations.confirm_token(asked), actor=ACTOR)
    with clock.at(clock.now()):
        story.issue(product="CVS")
        assert story.work() == "sent"
    assert [to for to, _minor, _back in story.money()] == ["Storgata 1"]
    with clock.at(clock.now() + timedelta(days=3)):
        assert story.ask() == "paid"
    assert list(differences()) == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ({"product": "CVS"}, ""),
        ({}, ""),
        ({"product": "HALDEN"}, "Halden Coffee comes as $10.00, $25.00, $50.00, and not as $15.00."),
        ({"product": "PAPER"}, "Paper and Pens is not delivered like this."),
        ({"product": "NONE"}, "NONE is not among the products. Fetch them anew, or choose another one."),
    ],
)
def test_what_can_t_be_a_card_is_said_before_anything_is_ordered(
    side: Tenant, chosen: dict[str, str], why: str
) -> None:
    story = begin(side, 1500)
    option = find(side, f"giftcards:{story.connection.public_id}")
    assert [words for _reward, words in preview(option, side, [story.reward.pk], chosen).refused] == (
        [why] if why else []
    )
    if chosen.get("product") == "HALDEN":
        with pytest.raises(Refused) as error:
            story.issue(**chosen)
        assert (error.value.code, error.value.message) == ("method_unsuitable", why)
        assert Payout.objects.count() == 0


@pytest.mark.django_db
def test_the_catalogue_is_fetched_once_a_week_with_pictures_of_our_own(side: Tenant) -> None:
    story = Story.begin(side, "giftcards", "giftcards", 1500, kind="gift_card")
    assert (catalogue.sweep(), catalogue.sweep()) == (1, 0)
    rows = CatalogueProduct.objects.order_by("name")
    assert [(row.product, row.currency, row.amounts, row.is_fixed) for row in rows] == [
        ("CVS", "USD", [500, 50000], False), ("HALDEN", "USD", [1000, 2500, 5000], True), ("PAPER", "CAD", [500, 10000], False),
    ]  # fmt: skip
    assert {bytes(row.picture or b"")[8:12] for row in rows} == {b"WEBP"}
    state = catalogue.state_of(story.connection)
    assert state is not None
    assert state.due_at is not None
    assert state.fetched_at is not None
    assert (state.due_at - state.fetched_at, state.error) == (timedelta(days=7), "")
    catalogue.refresh(story.connection)
    assert (catalogue.fetch(story.connection.pk), catalogue.fetch(story.connection.pk)) == (True, False)
    assert CatalogueProduct.objects.count() == 3


@pytest.mark.django_db
def test_a_catalogue_that_can_t_be_fetched_says_why_and_keeps_what_it_has(
    side: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = begin(side, 1500)
    for status, body, words in (
        (500, b"", "GiftCard Partners answered 500."),
        (200, b"<html>", "The body is not JSON in UTF-8."),
        (200, b"{}", "The list of products can’t be read."),
    ):
        monkeypatch.setattr(api, "call", lambda *_args, status=status, body=body: Answer(status, {}, body))
        catalogue.refresh(story.connection)
        assert catalogue.fetch(story.connection.pk)
        state = catalogue.state_of(story.connection)
        assert state is not None
        assert (state.error, CatalogueProduct.objects.count()) == (words, 3)


# --- answers, one by one ---


class Said:
    """Gives a token and then prepared answers in turn."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.tokens = 0

    def __call__(self, method: str, url: str, *, headers: Any = None, body: Any = None) -> Answer:
        assert url.startswith("https://api.cards.example/v1/")
        if url.endswith("/Tokens"):
            assert (headers["Email"], headers["AccessToken"]) == ("elin@halden.example", "secret")
            self.tokens += 1
            return Answer(200, {}, b'{"Value": "token-%d", "ExpiresIn": 3600}' % self.tokens)
        assert headers["Authorization"].startswith("Bearer token-")
        self.asked.append(f"{method} {url.removeprefix('https://api.cards.example')}")
        status, content = self.answers.pop(0)
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        return Answer(status, {"retry-after": "30"} if status == 429 else {}, raw)

    @property
    def account(self) -> Account:
        """An account whose company is this."""
        secrets = {"base_url": "https://api.cards.example/", "email": "elin@halden.example", "access_token": "secret"}
        return Account(secrets, {}, self, True)


@pytest.fixture(autouse=True)
def no_tokens() -> None:
    api._TOKENS.clear()


def told(**changes: Any) -> dict[str, Any]:
    """An answer about ORDER."""
    order = {
        "Id": "OR-1",
        "PONumber": "po_key",
        "Status": "Complete",
        "Total": 15,
        "CurrencyCode": "USD",
        "Type": "DigitalDelivery",
    }
    return {name: value for name, value in {**order, **changes}.items() if value is not ...}


@pytest.mark.parametrize(
    ("status", "content", "state", "reason"),
    [
        (201, told(), "paid", ""),
        (200, told(Status="fulfilled"), "paid", ""),
        (201, told(Status="Pending"), "sent", ""),
        (201, told(Status="Being packed"), "sent", ""),
        (201, told(Status=...), "sent", ""),
        (201, told(Status="Cancelled"), "failed", "provider_rejected"),
        (201, told(Total=...), "paid", ""),
        (201, told(Total=..., LineItems=[{"Value": 15.00, "Quantity": 1}]), "paid", ""),
        (201, told(Total=..., LineItems=[{"Value": 15, "Quantity": 2}]), "ask", ""),
        (201, told(Total=14.99), "ask", ""),
        (201, told(CurrencyCode="CAD"), "ask", ""),
        (201, told(CurrencyCode="XXZ"), "unknown", ""),
        (201, told(Total="much"), "unknown", ""),
        (201, told(PONumber="another"), "ask", ""),
        (201, told(Id=...), "unknown", ""),
        (201, told(Type="Links"), "sent", ""),
        (201, told(Type="Links", LineItems=[{"Links": [{"Url": "javascript:alert(1)"}]}]), "sent", ""),
        (201, told(Type="Links", LineItems=[{"Links": ["https://cards.example/1"]}]), "paid", ""),
        (200, b"<!doctype html>", "unknown", ""),
        (200, [], "unknown", ""),
        (409, {"Message": "exists"}, "ask", ""),
        (422, {"Message": "Insufficient funds"}, "failed", "waiting_for_funds"),
        (400, {"Message": "Email is wrong"}, "failed", "waiting_for_recipient"),
        (400, {"Message": "Unknown product"}, "failed", "provider_rejected"),
        (403, b"", "failed", "provider_rejected"),
        (404, b"", "failed", "provider_rejected"),
        (429, b"", "unknown", ""),
        (504, b"", "unknown", ""),
        (302, b"", "unknown", ""),
    ],
)
def test_reading_answers(status: int, content: Any, state: str, reason: str) -> None:
    outcome = ISSUER.send(ORDER, Said((status, content)).account)
    assert (outcome.state, outcome.reason if state == "failed" else "") == (state, reason)
    assert outcome.wait == (30 if status == 429 else 0)
    assert bool(outcome.message) is (state != "paid")


def test_a_number_that_is_taken_is_success_with_the_first_order() -> None:
    said = Said((409, {"Id": "OR-1"}), (200, told()))
    assert ISSUER.send(ORDER, said.account).state == "paid"
    assert said.asked == ["POST /v1/Orders", "GET /v1/Orders/OR-1"]
    assert ISSUER.send(ORDER, Said((409, {"Id": "OR-1"}), (200, told(PONumber="other"))).account).state == "ask"
    assert ISSUER.send(ORDER, Said((409, {"Id": "OR-1"}), (404, b"")).account).state == "unknown"


def test_a_token_is_used_until_it_ends_and_replaced_once_when_it_is_refused() -> None:
    said = Said((200, told()), (401, b""), (200, told()), (401, b""), (401, b""))
    known = replace(ORDER, reference="OR-1")
    assert ISSUER.check(known, said.account) is not None
    assert said.tokens == 1
    found = ISSUER.check(known, said.account)
    assert found is not None
    assert (found.state, said.tokens) == ("paid", 2)
    refused = ISSUER.check(known, said.account)
    assert refused is not None
    assert (refused.state, said.tokens) == ("unknown", 3)
    assert ISSUER.check(ORDER, said.account) is None  # without a number there is nothing to ask about


def test_what_is_ordered() -> None:
    personal = {"To": "Asha Rao", "FromName": "Halden Coffee", "Message": "Spring refer-a-friend"}
    line = {"ProductId": "CVS", "Value": 15, "Quantity": 1}
    assert ISSUER.body(ORDER) == {
        "Type": "DigitalDelivery",
        "LineItems": [{**line, "DigitalDeliveryAddress": {"Email": "asha@example.com"}, "Personalization": personal}],
        "PONumber": "po_key",
    }
    chosen = {"product": "CVS", "delivery": "Links", "to": "Dear friend", "from_name": "Elin", "message": "Thanks!"}
    assert ISSUER.body(replace(ORDER, options=chosen))["LineItems"] == [
        {**line, "Personalization": {"To": "Dear friend", "FromName": "Elin", "Message": "Thanks!"}}
    ]
    typed = {
        "name": "Asha Rao",
        "street": "Storgata 1",
        "more": "",
        "postcode": "1771",
        "city": "Halden",
        "country": "NO",
    }
    body = POST_ISSUER.body(replace(ORDER, details=typed))
    assert (body["Type"], body["LineItems"][0]["ShippingAddress"]) == (
        "PhysicalShipment",
        {"Name": "Asha Rao", "Address1": "Storgata 1", "City": "Halden", "PostalCode": "1771", "Country": "NO"},
    )
    none = POST_ISSUER.send(ORDER, Said().account)
    assert (none.state, none.reason) == ("failed", "waiting_for_recipient")


def test_products_are_read_under_whatever_names_they_come() -> None:
    row = {
        "ProductId": "A1",
        "ProductName": "Halden",
        "Currency": "usd",
        "DenominationType": "FixedAmount",
        "Denominations": ["25", 10.5, None, -1],
    }
    product = api.product_of(row)
    assert product is not None
    assert (product.id, product.name, product.currency, product.amounts, product.is_fixed) == (
        "A1",
        "Halden",
        "USD",
        (1050, 2500),
        True,
    )
    assert api.product_of({"Id": "A1", "CurrencyCode": "ZZZ"}) is None
    assert api.product_of({"Name": "no id"}) is None
