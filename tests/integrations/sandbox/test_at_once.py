"""Real concurrency on PostgreSQL: the same request eight times at once pays as often as the company would, which is once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database

from integrations.models import Connection
from integrations.sandbox.base import StandIn, money_of
from integrations.sandbox.sending import stand_in
from integrations.sandbox.state import Rows
from tests.factories import Cast, make_cast, make_merchant
from tests.integrations.sandbox.talking import basic
from tests.integrations.sandbox.test_paypal import PAYOUTS, batch
from tests.integrations.sandbox.test_razorpayx import payout
from tests.integrations.sandbox.test_tremendous import order

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
AT_ONCE = 8
KEY = {"Authorization": "Bearer TEST_key"}
CALLS: dict[str, tuple[str, dict[str, str], Any]] = {
    "tremendous": ("https://testflight.tremendous.com/api/v2/orders", KEY, order("rw_1")),
    "paypal": (f"https://api-m.sandbox.paypal.com{PAYOUTS}", KEY, batch("b1", 1500)),
    "razorpayx": (
        "https://api.razorpay.com/v1/payouts",
        {**basic("rzp_test_1", "s"), "X-Payout-Idempotency": "key-0001"},
        payout("rw_1"),
    ),
}


@pytest.fixture
def alice(transactional_db: None) -> Cast:
    return make_cast("alice@example.com", make_merchant())


@pytest.mark.parametrize("slug", list(CALLS))
def test_the_same_request_at_once_pays_once(alice: Cast, slug: str) -> None:
    row = Connection.objects.create(merchant=alice.merchant, is_test=True, provider=slug, settings={"stand_in": True})
    url, headers, body = CALLS[slug]
    statuses = _at_once(lambda: stand_in(row).send("POST", url, headers=headers, body=json.dumps(body)).status)
    assert len(statuses) == AT_ONCE
    assert set(statuses) <= {200, 201, 400, 429}
    assert {200, 201} & set(statuses)
    quiet = stand_in(row)
    quiet.deliver = None
    StandIn.advance(quiet)
    assert len(money_of(Rows(row))) == 1


def _at_once(call: Callable[[], int]) -> list[int]:
    """The call from eight threads that begin together."""
    barrier, found = threading.Barrier(AT_ONCE), []

    def run() -> None:
        try:
            barrier.wait(10)
            found.append(call())
        finally:
            database.close()

    threads = [threading.Thread(target=run) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found
