"""What the tests of the campaign pages share: forms as a browser would send them."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns.models import Campaign
from tests.factories import Cast, make_campaign


@pytest.fixture
def draft(alice: Cast) -> Campaign:
    """A campaign of Alice's that nobody has launched."""
    return make_campaign(alice.tenant, launched=False, name="Autumn")


def rule(prefix: str, **changes: Any) -> dict[str, Any]:
    """The fields of one reward rule with the changes, as the form of that prefix sends them."""
    values: dict[str, Any] = {
        "side": "referrer",
        "trigger": "first_event",
        "nth": "",
        "amount_type": "fixed",
        "amount": "20",
        "percent": "",
        "cap": "",
        "kind": "cash",
        "minimum_purchase": "30",
        "max_purchases_per_friend": "",
        "review_days": "14",
        "new_customers_only": "on",
        **changes,
    }
    return {f"{prefix}-{name}": value for name, value in values.items() if value is not None}


def new_campaign(**changes: Any) -> dict[str, Any]:
    """The form for a new campaign, filled in well but for the changes."""
    friend = {"side": "invitee", "trigger": "join", "kind": "coupon", "minimum_purchase": "", "review_days": "0"}
    return {
        "preset": "refer_a_friend_double",
        "name": "Spring",
        "currency": "EUR",
        **rule("referrer"),
        **rule("invitee", **friend),
        **changes,
    }
