"""A key that its company refuses shows on the connection's card, and goes from it when the key works again."""

from __future__ import annotations

from typing import Any

import pytest

from integrations import alarms, services
from integrations.key_health import watched
from referrals.lib.http import Answer
from tests.factories import ACTOR, Cast
from tests.integrations.sending import connect

pytestmark = pytest.mark.django_db


class Company:
    """Answers with one status."""

    status = 401

    def __call__(self, method: str, url: str, **_more: Any) -> Answer:
        return Answer(self.status, {}, b"")


def test_a_refused_key_is_seen_told_of_and_forgotten(alice: Cast, mailoutbox: list[Any]) -> None:
    row, company = connect(alice.tenant), Company()
    send = watched(row, company)
    assert send("GET", "https://api.example").status == 401
    row.refresh_from_db()
    first = row.key_refused_at
    found = services.health(row)
    assert (found.tone, found.word, found.since) == ("fail", "Key refused", first)
    page = alice.client.get(f"/app/connections/{row.public_id}/").content.decode()
    assert "Stripe refuses the key" in page
    assert alarms.warn() == 1
    assert [mail.subject for mail in mailoutbox] == ["Stripe: the key is refused"]
    send("GET", "https://api.example")
    company.status = 403  # the key is good, and lacks a right
    watched(row, company)("GET", "https://api.example")
    row.refresh_from_db()
    assert row.key_refused_at == first
    company.status = 200
    watched(row, company)("GET", "https://api.example")
    row.refresh_from_db()
    assert (row.key_refused_at, services.health(row).word) == (None, "Waiting")


def test_another_key_is_given_a_chance(alice: Cast) -> None:
    row = connect(alice.tenant)
    watched(row, Company())("GET", "https://api.example")
    services.update_secrets(connection=row, actor=ACTOR, secrets={"api_key": "sk_live_0123456789abcdef"})
    row.refresh_from_db()
    assert row.key_refused_at is None
