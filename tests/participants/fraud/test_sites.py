"""S12: the site that a friend's click came from."""

from __future__ import annotations

from campaigns.models import Campaign
from participants.fraud.gather import facts_of
from participants.models import Referral
from participants.visits import visit_row
from rewards import fraud_cases
from tests.factories import ACTOR, make_friend, make_participant


def test_the_page_that_the_link_stood_on_counts(campaign: Campaign) -> None:
    asha = make_participant(campaign)
    friend = make_friend(asha)
    visit = visit_row(referrer=asha, visitor="v", channel="newsletter", referer="www.coupons.example")
    visit.save()
    Referral.objects.filter(invitee=friend).update(visit=visit)
    referral = Referral.objects.select_related("referrer", "invitee", "visit").get()
    before = facts_of(referral, None)
    assert (before.source_host, before.banned_host) == ("coupons.example", False)
    fraud_cases.add_block(tenant=campaign.tenant, kind="host", value="coupons.example", actor=ACTOR, note="Codes")
    assert facts_of(referral, None).banned_host is True
