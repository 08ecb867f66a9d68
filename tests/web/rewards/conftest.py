"""Rewards to act on: seven due ones of seven people, a page of three, and ways to post the list's form."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import pytest
from django.test import Client
from django.urls import reverse

from campaigns.models import Campaign
from referrals.web import reward_state
from rewards.models import Reward
from tests.factories import Cast, make_campaign, make_cast, make_merchant, make_reward
from tests.worlds import taken

NAMES = ("asha", "tomas", "yuki", "priya", "jonas", "grace", "sam")


class Post(Protocol):
    """Posts an action; the list is "due" unless `back` says otherwise."""

    def __call__(self, client: Client, action: str, *rewards: Reward, **fields: Any) -> Any: ...


@dataclass
class World:
    """Alice's business with seven due rewards of 15 dollars, oldest first."""

    alice: Cast
    campaign: Campaign
    due: list[Reward]


@pytest.fixture(scope="module")
def world(kept: None) -> World:
    """Once for each module."""
    alice = make_cast("alice@kept.example.com", make_merchant("Halden Coffee"))
    campaign = make_campaign(alice.tenant)
    due = [make_reward(campaign, f"{name}@example.com", f"friend-of-{name}@example.net") for name in NAMES]
    return World(alice, campaign, due)


due = taken("due")


@pytest.fixture
def pages_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rewards on a page."""
    monkeypatch.setattr(reward_state, "PAGE_SIZE", 3)


@pytest.fixture
def post() -> Post:
    """Post the list's form with these rewards ticked."""

    def send(client: Client, action: str, *rewards: Reward, **fields: Any) -> Any:
        headers = {"hx-request": "true"} if fields.pop("htmx", False) else {}
        data = {"back": "stage=due", "action": action, "reward": [reward.public_id for reward in rewards], **fields}
        return client.post(reverse("web:rewards_act"), data, headers=headers)

    return send


def ids_in(response: Any) -> list[str]:
    """The public ids of the rows, in their order."""
    return re.findall(r'<tr data-row="(rw_\w+)"', response.content.decode())


def hidden(response: Any) -> dict[str, str]:
    """The hidden fields of a page, by name; the last one wins. With what the button of a question says."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', response.content.decode())
    if '<button class="btn btn--primary" name="confirmed" value="1"' in response.content.decode():
        found.append(("confirmed", "1"))
    return {name: value.replace("&amp;", "&") for name, value in found}


def states(rewards: list[Reward]) -> list[str]:
    """Where they stand in the database now."""
    found = dict(Reward.objects.filter(pk__in=[reward.pk for reward in rewards]).values_list("pk", "state"))
    return [found[reward.pk] for reward in rewards]


Count = Callable[[int], Any]
