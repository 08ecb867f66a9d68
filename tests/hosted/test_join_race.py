"""Many presses of the same button at once: one participant, one referral, one reward (RELIABILITY INV-03, INV-17)."""

from __future__ import annotations

import threading

import pytest
from django.db import connections
from django.test import Client

from campaigns.terms import Fixed
from participants.models import Participant, Referral
from referrals.hosted.join import form_token
from referrals.lib.money import Money
from rewards.models import Reward
from tests.factories import fixed_rule, make_campaign, make_cast, make_merchant, make_participant
from tests.hosted.conftest import CHROME


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_forty_presses_join_once_through_one_of_two_friends() -> None:
    campaign = make_campaign(
        make_cast("alice@example.com", make_merchant()).tenant,
        [fixed_rule(2000), fixed_rule(side="invitee", trigger="join", event="join", amount=Fixed(Money(1500, "USD")))],
    )
    codes = [make_participant(campaign, f"{name}@example.com").referral_code for name in ("asha", "bela")]
    token = form_token(campaign)
    barrier = threading.Barrier(40)
    answers: list[int] = []

    def press(number: int) -> None:
        try:
            client = Client(headers={"user-agent": CHROME}, REMOTE_ADDR=f"203.0.113.{number}")
            barrier.wait(timeout=30)
            answer = client.post(
                f"/campaign?id={campaign.public_id}&referralCode={codes[number % 2]}",
                {"email": "maya@example.net", "token": token},
            )
            answers.append(answer.status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=press, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [303] * 40
    assert Participant.objects.filter(email_key="maya@example.net").count() == 1
    assert (Referral.objects.count(), Reward.objects.count()) == (1, 1)
