"""What every page of a campaign costs: a fixed number of queries, whatever the campaign has seen."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns.models import Campaign
from referrals.accounts.tenancy import Tenant
from tests.factories import Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

# page of a campaign -> the most queries it may take, log-in and navigation included
COSTS = {"": 15, "design/": 13, "rules/": 8, "settings/": 7, "pause/": 7}


def _grow(tenant: Tenant, campaign: Campaign) -> None:
    asha = make_participant(campaign)
    for n in range(3):
        buy(make_friend(asha, f"f{n}@example.net"))
    make_campaign(tenant, name="Another")


@pytest.mark.parametrize(("rest", "most"), COSTS.items(), ids=[rest or "overview" for rest in COSTS])
def test_a_page_costs_the_same_whatever_happened(alice: Cast, rest: str, most: int) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(), fixed_rule(side="invitee", trigger="join", event="join")])
    url = f"/app/campaigns/{campaign.public_id}/{rest}"
    alice.client.get(url)  # published rules are kept in memory from here on
    with CaptureQueriesContext(connection) as quiet:
        assert alice.client.get(url).status_code == 200
    _grow(alice.tenant, campaign)
    with CaptureQueriesContext(connection) as busy:
        assert alice.client.get(url).status_code == 200

    assert len(busy) == len(quiet)
    assert len(busy) <= most
