"""A reward leaves through the payout machine to a stand-in in test mode: each amount's fate has its state, and money is counted there
(issue 6, part 7; RELIABILITY INV-05)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from integrations import payouts as carrier
from integrations import registry
from integrations.base import Account
from integrations.models import Connection
from integrations.sandbox.base import money_of
from integrations.sandbox.state import Rows
from referrals.accounts.tenancy import Tenant
from referrals.lib.http import Answer
from rewards.models import Payout
from rewards.orders import Order, Outcome
from rewards.queueing import Method, queue
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant
from tests.integrations.sandbox.talking import minor_of
from tests.integrations.sandbox.test_tremendous import order as body_of

pytestmark = pytest.mark.django_db
API = "https://testflight.tremendous.com/api/v2/orders"
KEY = {"Authorization": "Bearer TEST_key"}


class Issuer:
    """The shortest that will do: the company's real addresses, and `account.send`."""

    kinds = frozenset({"cash"})
    currencies: frozenset[str] = frozenset()
    destination = ""
    key_life: timedelta | None = None

    def send(self, order: Order, account: Account) -> Outcome:
        """POST; the order's key is the external_id."""
        body = json.dumps(body_of(order.key, order.amount.minor)).encode()
        return self._read(order, account.send("POST", API, headers=KEY, body=body))

    def check(self, order: Order, account: Account) -> Outcome | None:
        """GET by the external_id."""
        answer = account.send("GET", f"{API}/{order.key}", headers=KEY)
        return None if answer.status == 404 else self._read(order, answer)

    def _read(self, order: Order, answer: Answer) -> Outcome:
        if answer.status in {401, 402, 422}:
            return Outcome("failed", "", json.loads(answer.body)["errors"]["message"])
        if answer.status not in {200, 201}:
            return Outcome("unknown", "", f"It answered {answer.status}.")
        try:
            found: dict[str, Any] = json.loads(answer.body)["order"]
        except ValueError:
            return Outcome("unknown", "", "It answered what can't be read.")
        if found["payment"]["total"] != order.amount.json_number():
            return Outcome("ask", found["id"], "It paid another amount.")
        return Outcome("failed" if found["status"] == "FAILED" else "paid", found["id"])


@pytest.mark.parametrize(
    ("name", "statuses", "paid"),
    [
        ("plain", ["paid"], [0]),
        ("lost_before", ["unknown", "paid"], [0]),
        ("lost_after", ["unknown", "paid"], [0]),
        ("error_after", ["unknown", "paid"], [0]),
        ("busy", ["unknown", "paid"], [0]),
        ("garbage", ["unknown", "paid"], [0]),
        ("down", ["unknown", "unknown"], []),
        ("insufficient_funds", ["failed"], []),
        ("declined", ["failed"], []),
        ("other_amount", ["needs_attention"], [-100]),
    ],
)
def test_each_fate_has_its_state_and_money_leaves_once(
    alice: Cast, monkeypatch: pytest.MonkeyPatch, name: str, statuses: list[str], paid: list[int]
) -> None:
    side = Tenant(alice.merchant, is_test=True)
    minor = 1500 if name == "plain" else minor_of(name)
    asha = make_participant(make_campaign(side, [fixed_rule(minor, kind="cash")]))
    row = Connection(merchant=alice.merchant, is_test=True, provider="tremendous", settings={"stand_in": True})
    row.secrets = {"webhook_secret": "key"}
    row.save()
    monkeypatch.setattr(registry, "issuer", lambda slug: Issuer())
    reward = buy(make_friend(asha, "maya@example.net")).rewards[0]
    method = Method("tremendous", frozenset({"cash"}), account=row.public_id)
    batch, _made = queue(tenant=side, reward_ids=[reward.pk], method=method, actor=ACTOR, key="request-1")
    payout = batch.payouts.get()
    seen = []
    for _ in statuses:
        Payout.objects.filter(pk=payout.pk).update(next_attempt_at=Now() - timedelta(seconds=1))
        carrier.work(payout.pk)
        payout.refresh_from_db()
        seen.append(payout.status)
    assert seen == statuses
    assert [row.money.minor - minor for row in money_of(Rows(row))] == paid
    assert list(differences()) == []
