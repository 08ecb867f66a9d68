"""The promotion codes' page: on, how it goes, what failed and why, off; and the code on the pages of those it is for."""

from __future__ import annotations

import pytest
from django.test import Client

from campaigns.models import Campaign
from integrations import promotions
from integrations.models import PromotionCode, PromotionPlan
from participants.links import share_link
from tests.factories import Cast, fixed_rule, make_campaign, make_participant
from tests.integrations.sending import connect

pytestmark = pytest.mark.django_db
FRIEND = fixed_rule(2000, side="invitee", trigger="join", event="join", kind="coupon")


@pytest.fixture
def campaign(alice: Cast) -> Campaign:
    return make_campaign(alice.tenant, [fixed_rule(), FRIEND])


def _at(campaign: Campaign, end: str = "") -> str:
    return f"/app/campaigns/{campaign.public_id}/promotion-codes/{end}"


def test_from_no_connection_to_codes_and_off_again(alice: Cast, bob: Cast, campaign: Campaign, client: Client) -> None:
    page = alice.client.get(_at(campaign)).content.decode()
    assert "Connect it with a key first." in page
    assert "Give everybody a code" not in page
    connection = connect(alice.tenant, api_key="rk_live_0123456789abcdef")
    page = alice.client.get(_at(campaign)).content.decode()
    assert "The friend’s reward: $20 off" in page
    key = promotions.friend_rules(campaign)[0].key
    wrong = alice.client.post(_at(campaign), {"connection": connection.public_id, "gives": "coupon"})
    assert (wrong.status_code, "Enter the coupon’s id." in wrong.content.decode()) == (422, True)
    assert not PromotionPlan.objects.exists()
    asha = make_participant(campaign)
    data = {"connection": connection.public_id, "gives": key, "first_order_only": "on"}
    assert alice.client.post(_at(campaign), data).status_code == 302
    plan = PromotionPlan.objects.get()
    assert (plan.rule_key, plan.chosen_coupon, plan.first_order_only, plan.is_on) == (key, "", True, True)
    # Visitors and the participant are told the code; here it failed, and the page says why.
    campaign.refresh_from_db()
    assert campaign.shows_own_code
    assert f"<b>{asha.referral_code}</b>" in client.get(share_link(asha)).content.decode()
    promotions.look_over(plan.pk)
    PromotionCode.objects.update(state="failed", problem="code_taken", next_attempt_at=None)
    page = alice.client.get(_at(campaign)).content.decode()
    assert "Another promotion code has this text already." in page
    assert alice.client.post(_at(campaign, "again/")).status_code == 302
    assert PromotionCode.objects.get().state == "wanted"
    assert alice.client.post(_at(campaign, "off/")).status_code == 302
    plan.refresh_from_db()
    campaign.refresh_from_db()
    assert (plan.is_on, campaign.discount_code) == (False, "")


def test_a_coupon_of_the_merchant_s_own(alice: Cast, campaign: Campaign) -> None:
    connection = connect(alice.tenant, api_key="rk_live_0123456789abcdef")
    data = {"connection": connection.public_id, "gives": "coupon", "chosen_coupon": " HALDEN ", "stands_for": ""}
    assert alice.client.post(_at(campaign), data).status_code == 302
    plan = PromotionPlan.objects.get()
    assert (plan.chosen_coupon, plan.rule_key, plan.first_order_only) == ("HALDEN", "", False)
    page = alice.client.get(_at(campaign)).content.decode()
    assert 'value="HALDEN"' in page
