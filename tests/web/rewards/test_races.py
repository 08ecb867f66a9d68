"""Presses that meet in the same instant: one of them wins, the others are told (RELIABILITY section 6, row 40)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from rewards.models import LedgerEntry, PayoutBatch, Reward, State
from tests.factories import Cast, fixed_rule, make_campaign, make_reward

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def together(*presses: Callable[[], int]) -> list[int]:
    """Run them at the same moment, each on a connection of its own; their answers in the order of the presses."""
    barrier, answers = threading.Barrier(len(presses)), [0] * len(presses)

    def run(number: int, press: Callable[[], int]) -> None:
        barrier.wait()
        try:
            answers[number] = press()
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(presses)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def press(cast: Cast, action: str, reward: Reward, stage: str, **fields: str) -> Callable[[], int]:
    """One tab of the same person pressing a button."""
    session = cast.client.cookies["session"].value
    data = {"back": f"stage={stage}", "action": action, "reward": reward.public_id, "confirmed": "1", **fields}

    def send() -> int:
        client = Client()
        client.cookies["session"] = session
        return client.post(reverse("web:rewards_act"), data).status_code

    return send


def test_approve_and_decline_in_one_instant(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, rules=[fixed_rule(review_days=7)])
    for number in range(5):
        reward = make_reward(campaign, f"r{number}@example.com", f"f{number}@example.net")

        answers = together(
            press(alice, "approve", reward, "review"), press(alice, "void", reward, "review", note="Not this one")
        )

        reward.refresh_from_db()
        assert Counter(answers) == {303: 1, 409: 1}
        assert reward.state == (State.DUE if answers[0] == 303 else State.VOID)
        assert reward.revision == 1


def test_ten_clicks_on_one_confirmation_make_one_batch(alice: Cast) -> None:
    reward = make_reward(make_campaign(alice.tenant))
    click = press(alice, "issue", reward, "due", key="0123456789abcdefghijkl")

    answers = together(*[click] * 10)

    assert set(answers) == {303}
    assert PayoutBatch.objects.count() == 1
    assert LedgerEntry.objects.filter(kind="pay").count() == 1


def test_ten_people_issue_the_same_reward_once(alice: Cast) -> None:
    reward = make_reward(make_campaign(alice.tenant))
    clicks = [press(alice, "issue", reward, "due", key=f"key{number}0123456789abcdef") for number in range(10)]

    answers = together(*clicks)

    assert Counter(answers) == {303: 1, 409: 9}
    assert PayoutBatch.objects.count() == 1
    assert LedgerEntry.objects.filter(kind="pay").count() == 1
