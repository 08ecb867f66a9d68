"""Who has to do something to be paid is told three times at most; what was given to use is mailed once, and stands on the page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail as outbox
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.utils import timezone

from campaigns import mails
from campaigns import services as campaigns
from integrations.models import WebhookDelivery
from participants import destinations, mailing
from participants.models import Participant
from referrals.events.models import Event
from referrals.hosted import mail, reward_mail
from referrals.hosted.given import Given
from referrals.hosted.letters import given_rows
from referrals.hosted.models import Mail, WaitingNotice
from rewards import payouts, queueing
from rewards.models import Payout, PayoutGift, Reward
from rewards.orders import Outcome
from rewards.settling import learn
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant
from tests.hosted.test_portal import opened, text_of
from tests.rewards.test_recipients import confirmed, wait

CODE = "GIFT-4711-AB9X"


@pytest.fixture
def asha(alice: Cast) -> Participant:
    """Asha, to whom gift cards are owed; what is said of it before today is over."""
    mail.note_history()
    mail.note_rewards()
    campaign = make_campaign(alice.tenant, [fixed_rule(1500, kind="gift_card")])
    return make_participant(campaign, "asha@example.com", first_name="Asha")


def earn(asha: Participant, name: str = "maya") -> Reward:
    return buy(make_friend(asha, f"{name}@example.net", first_name=name.title())).rewards[0]


def sent(*, days: float = 0) -> list[str]:
    """The subjects of the mails that leave now, or in some days."""
    outbox.outbox.clear()
    with time_machine.travel(timezone.now() + timedelta(days=days)):
        mail.sweep()
    return [str(message.subject) for message in outbox.outbox]


def test_who_has_to_do_something_is_told_three_times_at_most(asha: Participant) -> None:
    rewards = [earn(asha, name) for name in ("maya", "ken")]
    sent()
    for reward in rewards:
        wait(reward)
    assert sent() == ["$30 waits for you"]
    [message] = outbox.outbox
    assert "Say where it is to be paid, and it is on its way." in message.body
    assert "You can do that on your own page." in message.body
    assert "http://localhost:8000/me/?campaign=" in message.body
    assert "List-Unsubscribe" in message.extra_headers
    assert [sent(days=day) for day in (1, 6.9, 7.1, 8, 29.9)] == [[], [], ["$30 waits for you"], [], []]
    # Another one begins to wait meanwhile: that is the same matter.
    wait(earn(asha, "lea"))
    assert "$45 waits for you" in sent(days=30.1)
    assert "This is the last mail about it." in outbox.outbox[-1].body
    assert [sent(days=day) for day in (60, 91, 150, 365)] == [[], [], [], []]
    assert WaitingNotice.objects.get().told == 3


def test_it_begins_anew_once_something_was_settled(asha: Participant, alice: Cast) -> None:
    reward = earn(asha)
    sent()
    wait(reward)
    assert sent() == ["$15 waits for you"]
    # It is tried again by itself, and fails again: nothing new to say.
    Reward.objects.update(state="due", reason="")
    sent()
    wait(reward)
    assert sent() == []
    row = destinations.ask(participant=asha, email="asha@pay.example", actor=ACTOR)
    destinations.confirm(token=destinations.confirm_token(row), actor=ACTOR)
    assert queueing.wake() == 1
    sent()
    assert not WaitingNotice.objects.exists()
    wait(reward, failed={"destination": row.public_id, "message": "This account is closed."})
    assert sent() == ["$15 waits for you"]
    assert "The answer was: “This account is closed.”" in outbox.outbox[0].body
    Reward.objects.update(state="due", reason="")
    payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="press-0001")
    assert sent() == ["Halden Coffee sent you $15 gift card"]
    assert not WaitingNotice.objects.exists()


def test_who_has_yet_to_claim_money_at_a_company_is_told(asha: Participant, alice: Cast, person: Client) -> None:
    payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[earn(asha).pk], actor=ACTOR, key="press-0001")
    sent()
    payout = Payout.objects.get()
    Payout.objects.update(status="sent")
    words = "PayPal told the recipient that money waits for them."
    said = Outcome("sent", "", words, "waiting_for_recipient")
    assert [learn(payout.pk, said), learn(payout.pk, said)] == ["sent", "sent"]
    assert sent() == ["$15 waits for you"]
    assert f"The answer was: “{words}”" in outbox.outbox[0].body
    assert "You can do that on your own page." not in outbox.outbox[0].body
    assert "Claim it there with the address" in text_of(opened(person, asha).get("/me/"))
    assert sent(days=7.1) == ["$15 waits for you"]
    assert learn(payout.pk, Outcome("paid", "tx-1")) == "paid"
    assert sent(days=31) == []
    assert not WaitingNotice.objects.exists()
    payout.refresh_from_db()
    assert (payout.reason, payout.message) == ("", "")


def test_nobody_is_told_who_has_nothing_to_do_or_wants_no_mail(asha: Participant) -> None:
    reward = earn(asha)
    sent()
    confirmed(asha, "asha@pay.example")
    wait(reward)
    confirmed(asha, "other@pay.example")  # held for 72 hours
    assert [text for text in sent() if "waits" in text] == []
    Reward.objects.update(state="due")
    WaitingNotice.objects.all().delete()
    mailing.stop(asha, "payout_needs_you")
    wait(reward)
    assert sent(days=4) == []
    mailing.resume(asha)
    WaitingNotice.objects.all().delete()
    mails.save_mail(
        campaign=asha.campaign, kind="payout_needs_you", is_on=False, language="en", subject="", opening="", actor=ACTOR
    )
    assert sent(days=4) == []


def test_it_speaks_the_participants_language(asha: Participant) -> None:
    campaigns.save_texts(campaign=asha.campaign, language="de", actor=ACTOR, texts={"share_header": "Gib 15"})
    Participant.objects.filter(pk=asha.pk).update(language="de")
    reward = earn(asha)
    sent()
    wait(reward)
    assert sent() == ["15 $ wartet auf dich"]
    assert "Sag, wohin es gehen soll" in outbox.outbox[0].body


def give(alice: Cast, *rewards: Reward, **secrets: str) -> Payout:
    """Rewards paid with something to use."""
    ids = [reward.pk for reward in rewards]
    payouts.issue_by_hand(tenant=alice.tenant, reward_ids=ids, actor=ACTOR, key=f"batch-{ids}")
    payout = Payout.objects.order_by("-pk")[0]
    # The end of 3 November: on the 4th no till takes it.
    row = PayoutGift(merchant=payout.merchant, payout=payout, hint="AB9X", expires_at=datetime(2027, 11, 4, tzinfo=UTC))
    row.secrets = {"code": "", "url": "", "pin": "", **secrets}
    row.save()
    return payout


def test_what_is_given_is_mailed_once_and_stands_on_the_page(
    asha: Participant, alice: Cast, person: Client, caplog: pytest.LogCaptureFixture
) -> None:
    rewards = [earn(asha, name) for name in ("maya", "ken")]
    sent()
    payout = give(alice, *rewards, code=CODE, pin="9021", url="https://cards.example/x")
    assert sent() == ["Your reward from Halden Coffee is here"]
    [message] = outbox.outbox
    assert message.to == ["asha@example.com"]
    for words in (
        "$30 gift card is yours",
        f"Code: {CODE}",
        "PIN: 9021",
        "https://cards.example/x",
        "until 3 Nov 2027",
    ):
        assert words in message.body
    assert isinstance(message, EmailMultiAlternatives)
    html = str(message.alternatives[0][0])
    assert CODE in html
    # Between right-to-left words the parts of a PIN such as "1234 5678" would change places.
    assert '<bdi dir="ltr">9021</bdi>' in html
    # A long name or address breaks, and the mail stays as wide as the window.
    assert html.count("table-layout: fixed") >= 2
    assert 'href="https://cards.example/x"' in html
    assert sent() == []

    page = opened(person, asha).get("/me/").content.decode()
    assert page.count(CODE) == 1
    assert 'href="https://cards.example/x" target="_blank" rel="noopener noreferrer"' in page
    assert "It is good until 3 Nov 2027." in page
    receipt = text_of(person.get(f"/me/receipts/{payout.public_id}"))
    assert "Ending in AB9X" in receipt
    for place in (receipt, person.post("/me/data.json").content.decode(), caplog.text, repr(Given(CODE))):
        assert CODE not in place
    told = [*Event.objects.order_by("pk").values_list("data", flat=True)]
    told += WebhookDelivery.objects.order_by("pk").values_list("body", flat=True)
    told += Mail.objects.order_by("pk").values_list("subject_id", flat=True)
    assert CODE not in str(told)


@pytest.mark.parametrize("stopped", ["by the person", "by the merchant", "came back"])
def test_a_gift_stops_like_every_notice(asha: Participant, alice: Cast, person: Client, stopped: str) -> None:
    reward = earn(asha)
    sent()
    if stopped == "by the person":
        mailing.stop(asha, "gift")
    elif stopped == "by the merchant":
        mails.save_mail(
            campaign=asha.campaign, kind="gift", is_on=False, language="en", subject="", opening="", actor=ACTOR
        )
    payout = give(alice, reward, code=CODE)
    if stopped == "came back":
        Payout.objects.filter(pk=payout.pk).update(status="failed")
        Reward.objects.filter(pk=reward.pk).update(state="waiting", payout=None)
        assert all(CODE not in str(message.body) for message in outbox.outbox)
        assert CODE not in opened(person, asha).get("/me/").content.decode()
    else:
        assert sent() == ["Halden Coffee sent you $15 gift card"]
        assert CODE not in outbox.outbox[0].body
        assert CODE in opened(person, asha).get("/me/").content.decode()


def test_what_was_tampered_with_is_left_out(asha: Participant, alice: Cast, caplog: pytest.LogCaptureFixture) -> None:
    payout = give(alice, earn(asha), code=CODE)
    PayoutGift.objects.filter(payout=payout).update(sealed="x" + PayoutGift.objects.get().sealed)
    row = Mail.objects.create(participant=asha, kind="gift", subject_id=payout.public_id)
    assert reward_mail.gift_facts(row) is None
    assert re.search("can't be opened", caplog.text)


@pytest.mark.parametrize(
    ("given", "rows", "link"),
    [
        (Given("A", "https://x.example/1", "2"), [("Code", "A"), ("PIN", "2")], "https://x.example/1"),
        (Given("", "javascript:alert(1)"), [("Address", "javascript:alert(1)")], ""),
        (Given("", "http://x.example"), [("Address", "http://x.example")], ""),
    ],
)
def test_only_safe_addresses_are_links(given: Given, rows: Any, link: str) -> None:
    assert (given_rows(given), given.link) == (rows, link)
