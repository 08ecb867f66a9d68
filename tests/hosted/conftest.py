"""A campaign that gives both sides something, a person who shares it, browsers, and a mail server."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.test import Client, override_settings

from campaigns.models import Campaign
from campaigns.terms import Fixed
from participants.models import Participant
from referrals.lib.money import Money
from tests.factories import Cast, fixed_rule, make_campaign, make_participant

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"


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


class Inbox:
    """A mail server on loopback that keeps what it takes, or refuses."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuse = False
        self.reply = ""

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if self.reply:
            return self.reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.refuse:
            return "451 try later"
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        return "250 OK"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def smtp(settings: Any) -> Iterator[Inbox]:
    """Django's own SMTP backend, against a real server on loopback."""
    inbox, port = Inbox(), free_port()
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    with override_settings(
        EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=port,
        EMAIL_TIMEOUT=5,
    ):
        yield inbox
    controller.stop()
