"""Whoever pays at a connected company is captured for invitations, though nobody knows them here and nothing else comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns.models import Campaign
from participants import captures, invites
from participants.models import Capture, Invite
from tests.factories import ACTOR, Cast
from tests.integrations.sending import connect, deliver, sample


@pytest.mark.parametrize(
    ("said", "consent"),
    [
        ({}, False),
        ({"consent": {"promotions": "opt_in"}}, True),
        ({"consent": {"promotions": "opt_out"}}, False),
        ({"metadata": {"marketing_consent": "Yes"}}, True),
        ({"metadata": {"marketing_consent": "no"}}, False),
    ],
)
def test_a_payer_whom_nobody_knows_is_captured_once(
    alice: Cast, campaign: Campaign, said: dict[str, Any], consent: bool
) -> None:
    connection = connect(alice.tenant)
    invites.save_settings(campaign, ACTOR, after_purchase=True, days_after=0)
    row = deliver(connection, sample("checkout.session.completed", **said))
    assert (row.state, row.outcome) == ("ignored", "no_participant")
    [found] = Capture.objects.all()
    assert (found.email, found.name, found.amount_minor, found.currency, found.source, found.consent) == (
        "maya@example.net", "Maya Lindqvist", 6420, "USD", "stripe", consent,
    )  # fmt: skip
    assert captures.plan() == int(consent)
    assert Invite.objects.count() == int(consent)


def test_nobody_is_captured_where_nothing_goes_out_by_itself(alice: Cast, campaign: Campaign) -> None:
    deliver(connect(alice.tenant), sample("checkout.session.completed"))
    assert Capture.objects.count() == 0
