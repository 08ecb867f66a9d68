"""Tremendous pays a reward once, whatever it answers, and every answer has its state and its sentence (issue 6, parts 2 and 7)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations import inbox, pace, payouts, registry
from integrations.accounts import account_of
from integrations.base import Account, Found
from integrations.models import Connection, InboundEvent, SandboxRow
from integrations.providers.tremendous import api
from integrations.providers.tremendous.issuer import ISSUER, body_of
from integrations.sandbox.sending import stand_in
from integrations.setup import check_settings
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.http import Answer, HttpError
from referrals.lib.money import Money
from rewards.models import Payout, PayoutGift
from rewards.orders import Order, Outcome
from rewards.payout_guards import fund_batch
from rewards.verify import differences
from tests.factories import ACTOR, Cast
from tests.integrations.issuers.story import PAID_ONCE, Story
from tests.integrations.sandbox.talking import NOON, minor_of

ORDER = Order(
    payout_id=1, public_id="po_1", key="po_key", number=1, method="tremendous", account="con_1",
    amount=Money(1500, "USD"), email="asha@example.com", name="Asha Rao", address="asha@example.com", note="",
    reference="", rewards=("rw_1",), is_test=True, called_at=datetime(2026, 11, 21, tzinfo=UTC), first_call=True,
    merchant="Halden Coffee", language="de",
)  # fmt: skip
SETTINGS = {"funding": "balance", "campaign_id": "ABC123", "delivery": "EMAIL"}


@pytest.fixture
def side(alice: Cast) -> Tenant:
    return Tenant(alice.merchant, is_test=True)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "statuses", "reward", "paid", "words"),
    [
        ("plain", ["paid"], ("issued", ""), [0], ""),
        ("slow", ["sent"], ("issued", ""), [], "waits in Tremendous for somebody of your team"),
        *PAID_ONCE,
        ("down", ["unknown", "unknown"], ("sending", ""), [], "Tremendous answered 500: Internal server error"),
        ("insufficient_funds", ["failed"], ("attention", "waiting_for_funds"), [], "not enough money at Tremendous"),
        ("bad_recipient", ["failed"], ("waiting", "waiting_for_recipient"), [], "recipient email is invalid"),
        ("wrong_currency", ["failed"], ("attention", "provider_rejected"), [], "currency_code is not supported"),
        ("limit_exceeded", ["failed"], ("attention", "provider_rejected"), [], "over the limit of the organization"),
        ("declined", ["failed"], ("attention", "provider_rejected"), [], "could not carry the order out"),
        ("key_revoked", ["failed"], ("attention", "provider_rejected"), [], "Make a new one there"),
        ("other_amount", ["needs_attention"], ("sending", ""), [-100], "$65.31"),
    ],
)
def test_each_fate_has_its_state_and_its_sentence_and_money_leaves_once(
    side: Tenant, name: str, statuses: list[str], reward: tuple[str, str], paid: list[int], words: str
) -> None:
    minor = 1500 if name == "plain" else minor_of(name)
    story = Story.begin(side, "tremendous", "tremendous", minor, kind="cash")
    story.issue()
    story.live(minor, statuses, reward, paid, words)
    story.connection.refresh_from_db()
    assert (story.connection.key_refused_at is not None) is (name == "key_revoked")


@pytest.mark.django_db
def test_a_link_is_the_recipient_s_also_when_the_first_answer_was_lost(side: Tenant) -> None:
    story = Story.begin(side, "tremendous", "tremendous", minor_of("lost_after"), kind="gift_card")
    story.issue(delivery="LINK", message="Thank you!")
    assert [story.work(), story.work()] == ["unknown", "paid"]
    link = PayoutGift.objects.get().secrets["url"]
    assert link.startswith("https://testflight.tremendous.com/rewards/payout/")
    made = SandboxRow.objects.get(kind="reward").data
    assert made["method"] == "LINK"
    assert story.ask() == "paid"
    assert PayoutGift.objects.count() == 1


@pytest.mark.django_db
def test_an_invoice_is_waited_for(side: Tenant) -> None:
    story = Story.begin(side, "tremendous", "tremendous", 1500, kind="cash")
    Connection.objects.update(settings={**story.connection.settings, "funding": "invoice"})
    payout = story.issue()
    assert (payout.batch.needs_funding, payouts.sweep(), story.money()) == (True, 0, [])
    fund_batch(batch=payout.batch, actor=ACTOR)
    assert story.work() == "paid"
    assert [to for to, _minor, _back in story.money()] == ["asha@example.com"]
    assert list(differences()) == []


@pytest.mark.django_db
def test_a_mail_that_came_back_makes_the_reward_wait_with_the_money_back(side: Tenant) -> None:
    with clock.at(NOON):
        story = Story.begin(side, "tremendous", "tremendous", minor_of("returned"), kind="cash")
        story.issue()
        assert story.work() == "paid"
    with clock.at(NOON + timedelta(days=2)):
        stand_in(story.connection).advance()
        told = InboundEvent.objects.order_by("pk")
        assert sorted(told.values_list("type", flat=True)) == [
            "ORDERS.CREATED", "REWARDS.CANCELED", "REWARDS.DELIVERY.SUCCEEDED",
        ]  # fmt: skip
        for pk in told.values_list("pk", flat=True):
            inbox.process(pk)
        assert set(told.values_list("outcome", flat=True)) == {"payout_told"}
        assert payouts.ask() == 1
    assert (story.now().status, story.reward_now()) == ("failed", ("waiting", "waiting_for_recipient"))
    assert [back for _to, _minor, back in story.money()] == [True]
    assert list(differences()) == []


@pytest.mark.django_db
def test_a_message_before_the_answer_and_one_about_somebody_else_s_order(side: Tenant) -> None:
    story = Story.begin(side, "tremendous", "tremendous", minor_of("webhook_early"), kind="cash")
    story.issue()
    assert story.work() == "paid"  # the message came first, by the stand-in's own way
    for pk in InboundEvent.objects.order_by("pk").values_list("pk", flat=True):
        inbox.process(pk)
    assert set(InboundEvent.objects.values_list("outcome", flat=True)) == {"payout_told"}
    Payout.objects.filter(pk=story.now().pk).update(account="con_other")
    InboundEvent.objects.update(state="received", next_attempt_at=clock.wall(), attempts=0)
    for pk in InboundEvent.objects.order_by("pk").values_list("pk", flat=True):
        inbox.process(pk)
    assert set(InboundEvent.objects.values_list("outcome", flat=True)) == {"payout_unknown"}
    assert list(differences()) == []


@pytest.mark.django_db
def test_what_it_paid_is_listed_for_the_reconciler(side: Tenant) -> None:
    with clock.at(NOON):
        story = Story.begin(side, "tremendous", "tremendous", 1500, kind="cash")
        payout = story.issue()
        story.work()
        known = account_of(story.connection)
        found = list(api.recent(known, NOON - timedelta(days=1), NOON + timedelta(days=1)))
        assert found == [Found(payout.key, story.now().reference, Money(1500, "USD"), "paid", NOON)]
        assert list(api.recent(known, NOON + timedelta(hours=1), NOON + timedelta(days=1))) == []
        assert list(api.recent(known, NOON - timedelta(days=1), NOON)) == []


# --- answers, one by one ---


class Said:
    """Gives prepared answers in turn and keeps what was asked."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, method: str, url: str, *, headers: Any = None, body: Any = None) -> Answer:
        self.asked.append(f"{method} {url.removeprefix('https://testflight.tremendous.com/api/v2')}")
        status, content = self.answers.pop(0)
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        return Answer(status, {"retry-after": "7"} if status == 429 else {}, raw)

    @property
    def account(self) -> Account:
        """An account whose company is this."""
        return Account({"api_key": "TEST_key"}, SETTINGS, self, True)


def told(**changes: Any) -> dict[str, Any]:
    """An answer about ORDER; `delivery`, `method`, `amount`, `currency` change its reward."""
    reward = {
        "id": "RW1",
        "value": {"denomination": changes.pop("amount", 15.0), "currency_code": changes.pop("currency", "USD")},
        "delivery": {"method": changes.pop("method", "EMAIL"), "status": changes.pop("delivery", "SUCCEEDED")},
    }
    order = {"id": "OR1", "external_id": "po_key", "status": "EXECUTED", "created_at": "2026-11-21T10:00:00Z"}
    return {"order": {**order, "rewards": [reward], **changes}}


@pytest.mark.parametrize(
    ("status", "content", "state", "reason"),
    [
        (200, told(), "paid", ""),
        (201, told(), "paid", ""),
        (200, told(delivery="PENDING"), "sent", ""),
        (200, told(delivery="SCHEDULED"), "sent", ""),
        *[
            (200, told(status=status), "sent", "")
            for status in ("OPEN", "PENDING APPROVAL", "PENDING INTERNAL PAYMENT APPROVAL", "PENDING SETTLEMENT")
        ],
        (200, told(status="FAILED"), "failed", "provider_rejected"),
        (200, told(status="CANCELED"), "failed", "provider_rejected"),
        (200, told(status="CANCELED", delivery="FAILED"), "failed", "waiting_for_recipient"),
        (200, told(status="TURNED"), "unknown", ""),
        (200, told(amount=15.01), "ask", ""),
        (200, told(currency="EUR"), "ask", ""),
        (200, told(currency=None), "unknown", ""),
        (200, told(amount=None), "unknown", ""),
        (200, told(rewards=[]), "unknown", ""),
        (200, told(external_id="another"), "ask", ""),
        (200, b"<!doctype html>", "unknown", ""),
        (200, [], "unknown", ""),
        (200, {"order": None}, "unknown", ""),
        (409, {"errors": {"message": "taken"}}, "ask", ""),
        (402, {"errors": {"message": "no"}}, "failed", "waiting_for_funds"),
        (422, {"errors": {"message": "bad", "payload": {"reward": {"recipient": {"email": "no"}}}}}, "failed", "waiting_for_recipient"),
        (422, {"errors": {"message": "bad", "payload": {"reward": {"value": "no"}}}}, "failed", "provider_rejected"),
        (401, b"", "failed", "provider_rejected"),
        (403, b"{}", "failed", "provider_rejected"),
        (429, b"", "unknown", ""),
        (302, b"", "unknown", ""),
        (503, b"<html>", "unknown", ""),
    ],
)  # fmt: skip
def test_reading_answers(status: int, content: Any, state: str, reason: str) -> None:
    outcome = ISSUER.send(ORDER, Said((status, content)).account)
    assert (outcome.state, outcome.reason if state == "failed" else "") == (state, reason)
    assert outcome.wait == (7 if status == 429 else 0)
    assert bool(outcome.message) is (state != "paid")


def test_a_bounced_mail_is_paid_again_only_when_the_first_reward_is_cancelled() -> None:
    bounced = told(delivery="FAILED")
    done = Said((200, bounced), (200, {}))
    assert ISSUER.check(ORDER, done.account) == Outcome(
        "failed", "OR1",
        "Tremendous could not deliver the e-mail, and has cancelled the reward. Issue it again as a link, or in another way.",
        "waiting_for_recipient",
    )  # fmt: skip
    assert done.asked == ["GET /orders/po_key", "POST /rewards/RW1/cancel"]
    kept = ISSUER.check(ORDER, Said((200, bounced), (422, {"errors": {"message": "redeemed"}})).account)
    assert kept is not None
    assert (kept.state, "(redeemed)" in kept.message) == ("sent", True)


def test_a_link_is_asked_for_once_and_only_a_link_is_shown() -> None:
    lost = told(method="LINK")
    answers = Said((200, lost), (200, {"reward": {"link": "https://t.example/1"}}))
    found = ISSUER.check(ORDER, answers.account)
    assert found is not None
    assert (found.state, found.gift and found.gift.url) == ("paid", "https://t.example/1")
    again = ISSUER.check(replace(ORDER, has_gift=True), Said((200, lost)).account)
    assert again is not None
    assert (again.state, again.gift) == ("paid", None)
    for bad in ("javascript:alert(1)", "http://t.example", "", None):
        none = ISSUER.check(ORDER, Said((200, lost), (200, {"reward": {"link": bad}})).account)
        assert none is not None
        assert (none.state, none.gift) == ("sent", None)


def test_an_order_that_stands_was_sent_even_if_the_question_about_its_link_got_nowhere() -> None:
    placed, asked = told(method="LINK"), []

    def send(method: str, url: str, *, headers: Any = None, body: Any = None) -> Answer:
        asked.append(url)
        if len(asked) > 1:
            raise HttpError("No connection. Nothing was sent.", retry=True, sent=False)
        return Answer(200, {}, json.dumps(placed).encode())

    with pytest.raises(HttpError) as lost:
        ISSUER.send(ORDER, replace(Said().account, send=send))
    # "unsent" would let a ban or another address give it up while the money is gone.
    assert (len(asked), lost.value.sent) == (2, True)


def test_asking_tells_unknown_orders_from_companies_that_do_not_answer() -> None:
    assert ISSUER.check(ORDER, Said((404, b"")).account) is None
    for status in (401, 429, 500):
        found = ISSUER.check(ORDER, Said((status, b"")).account)
        assert found is not None
        assert found.state == "unknown"


def test_what_is_ordered() -> None:
    account = Said().account
    assert body_of(ORDER, account) == {
        "external_id": "po_key",
        "payment": {"funding_source_id": "balance"},
        "reward": {
            "value": {"denomination": 15, "currency_code": "USD"},
            "recipient": {"email": "asha@example.com", "name": "Asha Rao"},
            "delivery": {"method": "EMAIL", "meta": {"sender_name": "Halden Coffee"}},
            "campaign_id": "ABC123",
            "language": "de",
        },
    }
    other = replace(account, settings={"funding": "invoice", "funding_source": "BANK01", "products": "AAAA1\nBBBB2"})
    body = body_of(replace(ORDER, options={"delivery": "LINK", "campaign_id": "XYZ9"}), other)
    assert body["payment"] == {"funding_source_id": "BANK01"}
    assert (body["reward"]["products"], body["reward"]["campaign_id"]) == (["AAAA1", "BBBB2"], "XYZ9")
    assert body["reward"]["delivery"]["method"] == "LINK"


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({}, "campaign_id"),
        ({"campaign_id": "abc!"}, "campaign_id"),
        ({"products": "AAAA1, x"}, "products"),
        ({"products": "AAAA1", "funding_source": "my bank"}, "funding_source"),
        ({"products": "AAAA1", "funding": "credit"}, "funding"),
    ],
)
def test_settings_that_can_t_be(settings: dict[str, str], field: str) -> None:
    with pytest.raises(Refused) as error:
        check_settings(registry.get("tremendous"), settings)
    assert error.value.field == field


def test_calls_keep_below_what_the_company_allows() -> None:
    naps: list[float] = []
    for _ in range(7):
        pace.keep("an account", a_second=5, now=lambda: 10.0, sleep=naps.append)
    assert naps == [pytest.approx(0.2), pytest.approx(0.4)]
