"""Invitations that go out by themselves: off at first, once for a person ever, and never to whoever must not get them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail as outbox
from django.utils import timezone

from campaigns import services as campaigns
from campaigns.models import Campaign
from participants import captures, invites
from participants.models import Capture, CaptureName, Invite
from referrals.accounts.tenancy import Tenant
from referrals.hosted import invite_mail
from referrals.lib import clock
from referrals.lib.money import Money
from rewards import advancing
from tests.factories import ACTOR, Cast, make_campaign, make_participant


@pytest.fixture(autouse=True)
def _still() -> Iterator[None]:
    with time_machine.travel(timezone.now(), tick=False):
        yield


def pay(campaign: Campaign, email: str, minor: int = 5000, number: int = 1, **changes: Any) -> bool:
    values: dict[str, Any] = {
        "tenant": campaign.tenant,
        "email": email,
        "name": "Maya Chen",
        "source": "stripe",
        "references": [f"cs_{email}_{number}", f"in_{email}_{number}"],
        "occurred_at": clock.now(),
        "money": Money(minor, "USD"),
        "consent": True,
    }
    return captures.capture(**values | changes)


def turn_on(campaign: Campaign, **fields: Any) -> None:
    invites.save_settings(campaign, ACTOR, **({"after_purchase": True, "days_after": 7} | fields))


def planned() -> list[tuple[str, str, str, int]]:
    rows = Invite.objects.order_by("email_key")
    now = clock.now()
    return [
        (row.email_key, row.source, row.state, (row.next_attempt_at - now).days if row.next_attempt_at else -1)
        for row in rows
    ]


def later(days: float) -> Any:
    return time_machine.travel(timezone.now() + timedelta(days=days), tick=False)


def test_nothing_is_kept_before_it_is_turned_on(campaign: Campaign) -> None:
    assert pay(campaign, "maya@example.net") is False
    turn_on(campaign, after_purchase=False)
    assert pay(campaign, "maya@example.net") is False
    assert (Capture.objects.count(), captures.plan()) == (0, 0)


def test_a_buyer_is_invited_so_many_days_later_and_once_ever(campaign: Campaign) -> None:
    turn_on(campaign)
    assert pay(campaign, "maya@example.net") is True
    assert (captures.plan(), captures.plan()) == (1, 0)
    assert planned() == [("maya@example.net", "purchase", "queued", 7)]
    assert invite_mail.send_due() == 0
    pay(campaign, "maya@example.net", number=2)
    with later(7.1):
        assert (captures.plan(), invite_mail.send_due(), invite_mail.send_due()) == (0, 1, 0)
        pay(campaign, "maya@example.net", number=3)
    with later(20):
        assert (captures.plan(), invite_mail.send_due()) == (0, 0)
    assert [message.to for message in outbox.outbox] == [["maya@example.net"]]


def test_one_payment_in_two_forms_is_one_purchase(campaign: Campaign) -> None:
    turn_on(campaign, nth=2)
    pay(campaign, "maya@example.net")
    assert pay(campaign, "maya@example.net", references=["in_maya@example.net_1", "ch_1"]) is False
    assert (Capture.objects.count(), CaptureName.objects.count(), captures.plan()) == (1, 3, 0)
    pay(campaign, "maya@example.net", number=2)
    assert captures.plan() == 1


@pytest.mark.parametrize(
    ("settings", "purchases", "made"),
    [
        ({"nth": 1, "minimum_minor": 5000}, [4999], 0),
        ({"nth": 1, "minimum_minor": 5000}, [5000], 1),
        ({"nth": 2, "minimum_minor": 5000}, [4999, 5000], 0),
        ({"nth": 2, "minimum_minor": 5000}, [5000, 4999, 5000], 1),
        ({"nth": 3}, [1, 1], 0),
        ({"nth": 3}, [1, 1, 1, 1], 1),
        ({"nth": 1}, [0], 0),
        ({"loop": True, "after_purchase": False}, [0], 1),
    ],
)
def test_which_purchase_counts(campaign: Campaign, settings: dict[str, Any], purchases: list[int], made: int) -> None:
    turn_on(campaign, **settings)
    for number, minor in enumerate(purchases):
        pay(campaign, "maya@example.net", minor, number)
    assert captures.plan() == made


def test_another_currency_counts_only_where_no_amount_is_asked(campaign: Campaign) -> None:
    turn_on(campaign, minimum_minor=100)
    pay(campaign, "maya@example.net", money=Money(90000, "SEK"))
    assert captures.plan() == 0
    turn_on(campaign, minimum_minor=None)
    pay(campaign, "ido@example.net", money=Money(90000, "SEK"))
    assert [row[0] for row in (captures.plan(), planned())[1]] == ["ido@example.net", "maya@example.net"]


def test_who_is_never_invited(campaign: Campaign, alice: Cast) -> None:
    turn_on(campaign)
    make_participant(campaign, "asha@example.com")
    invites.refuse(alice.tenant, "stop@example.net", "stopped")
    invites.refuse(alice.tenant, "gone@example.net", "bounced")
    for email in ("asha@example.com", "stop@example.net", "gone@example.net", "no address"):
        pay(campaign, email)
    pay(campaign, "silent@example.net", consent=False)
    assert (captures.plan(), Invite.objects.count()) == (0, 0)
    turn_on(campaign, needs_consent=False)
    assert captures.plan() == 1
    assert [row[0] for row in planned()] == ["silent@example.net"]


def test_who_joins_or_is_switched_off_meanwhile_gets_no_mail(campaign: Campaign) -> None:
    turn_on(campaign)
    pay(campaign, "maya@example.net")
    pay(campaign, "ido@example.net")
    assert captures.plan() == 2
    make_participant(campaign, "maya@example.net")
    turn_on(campaign, after_purchase=False)
    with later(8):
        assert invite_mail.send_due() == 0
    found = Invite.objects.order_by("email_key").values_list("email_key", "state", "reason")
    assert list(found) == [
        ("ido@example.net", "left_out", "switched_off"),
        ("maya@example.net", "left_out", "participant"),
    ]


def test_the_loop_invites_everybody_who_is_captured_at_once(campaign: Campaign) -> None:
    turn_on(campaign, after_purchase=False, loop=True)
    pay(campaign, "maya@example.net")
    pay(campaign, "form@example.net", money=None)
    assert captures.plan() == 2
    assert [row[:3] for row in planned()] == [
        ("form@example.net", "loop", "queued"),
        ("maya@example.net", "loop", "queued"),
    ]
    assert invite_mail.send_due() == 2


def test_two_campaigns_invite_apart_and_a_paused_one_waits(campaign: Campaign, alice: Cast) -> None:
    other = make_campaign(alice.tenant, name="Other")
    for one in (campaign, other):
        turn_on(one, after_purchase=False, loop=True)
    campaigns.pause(campaign=other, actor=ACTOR)
    pay(campaign, "maya@example.net")
    assert (captures.plan(), Invite.objects.get().campaign_id) == (1, campaign.pk)
    campaigns.resume(campaign=Campaign.objects.get(pk=other.pk), actor=ACTOR)
    assert captures.plan() == 1


def test_the_test_side_keeps_its_own_time(alice: Cast) -> None:
    tenant = Tenant(alice.merchant, True)
    campaign = make_campaign(tenant)
    turn_on(campaign)
    pay(campaign, "alice@example.com")
    pay(campaign, "maya@example.net")
    assert captures.plan() == 1
    assert invite_mail.send_due() == 0
    advancing.advance_days(tenant=tenant, days=8, actor=ACTOR)
    assert invite_mail.send_due() == 1
    assert [message.to for message in outbox.outbox] == [["alice@example.com"]]


def test_captures_are_forgotten(campaign: Campaign) -> None:
    turn_on(campaign)
    pay(campaign, "maya@example.net")
    assert captures.forget() == 0
    with later(121):
        assert captures.forget() == 3
    pay(campaign, "maya@example.net")
    turn_on(campaign, after_purchase=False)
    assert captures.forget() == 3
    assert Capture.objects.count() == 0
