"""A campaign that gives both sides something, a person who shares it, and browsers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from campaigns.models import Campaign
from campaigns.terms import Fixed
from participants.models import Participant
from referrals.hosted import clicks
from referrals.lib.money import Money
from tests.factories import Cast, fixed_rule, make_campaign, make_participant

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"


@pytest.fixture(autouse=True)
def _forget_bursts() -> None:
    """Every test starts with no recent clicks."""
    clicks._bursts.clear()


@pytest.fixture
def double(alice: Cast) -> Campaign:
    """20 dollars to the referrer for a first order from 30 dollars on, 15 to the friend for joining; new customers only."""
    return make_campaign(
        alice.tenant,
        [
            fixed_rule(
                2000, review_days=14, new_customers_only=True, minimum_purchase=Money(3000, "USD"), kind="store_credit"
            ),
            fixed_rule(
                side="invitee", trigger="join", event="join", amount=Fixed(Money(1500, "USD")), kind="coupon",
                new_customers_only=True,
            ),
        ],
        brand_color="#c93a17",
    )  # fmt: skip


@pytest.fixture
def asha(double: Campaign) -> Participant:
    """Asha shares the campaign."""
    return make_participant(double, "asha@example.com", first_name="Asha", last_name="Verma")


@pytest.fixture
def browser_client() -> Callable[..., Client]:
    """A person's browser without cookies; headers as keyword arguments of Client."""

    def make(**headers: Any) -> Client:
        return Client(
            headers={"user-agent": CHROME, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, **headers
        )

    return make


@pytest.fixture
def person(browser_client: Callable[..., Client]) -> Client:
    """One person's browser."""
    return browser_client()


@pytest.fixture
def data_dir(settings: Any, tmp_path: Path) -> Path:
    """A folder of one's own for the journal."""
    settings.DATA_DIR = tmp_path
    return tmp_path
