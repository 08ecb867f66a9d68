"""The demo's payouts: each state that waits for somebody is there, and nothing of it asked a company."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from django.utils import timezone

from referrals.accounts.models import Role
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.web.demo import paying
from rewards import payouts
from rewards.coupons import lists
from rewards.models import Payout, PayoutBatch, PayoutReturn, PayoutRoute, Reward, State
from rewards.verify import differences
from tests.factories import Cast, buy, fixed_rule, make_campaign, make_friend, make_participant


@pytest.mark.django_db
def test_the_test_side_has_a_batch_for_every_person_that_is_needed(alice: Cast) -> None:
    tenant = replace(alice.tenant, is_test=True)
    owner = Actor("user", str(alice.user.pk), alice.user.email)
    colleague = paying.invite_colleague(tenant)
    paying.tell_test(tenant, owner, colleague, timezone.now())
    rows = Payout.objects.for_tenant(tenant).order_by("pk")
    assert [(row.batch.method, row.status, row.reason) for row in rows.select_related("batch")] == [
        ("tremendous", "paid", ""),
        ("tremendous", "paid", ""),
        ("tremendous", "sent", ""),
        ("tremendous", "failed", "waiting_for_recipient"),
        ("tremendous", "needs_attention", ""),
        *[("paypal", "queued", "")] * 3,
        *[("tremendous", "queued", "")] * 2,
    ]
    batches = PayoutBatch.objects.for_tenant(tenant).order_by("pk")
    assert [(row.needs_funding, row.needs_approval, row.created_by_id) for row in batches] == [
        (False, False, f"user:{alice.user.pk}"),
        (True, False, f"user:{alice.user.pk}"),
        (False, True, f"user:{colleague.ref}"),
    ]
    waiting = Reward.objects.for_tenant(tenant).filter(state=State.WAITING).order_by("pk")
    assert [str(row.participant) for row in waiting] == ["Quentin Moreau", "Rosa Keller", "Xenia Popov"]
    assert PayoutRoute.objects.for_tenant(tenant).count() == 2
    assert not Payout.objects.for_tenant(replace(tenant, is_test=False)).exists()
    assert alice.merchant.memberships.filter(role=Role.MANAGER).count() == 1
    assert list(differences()) == []


@pytest.mark.django_db
def test_the_live_side_has_codes_that_run_low_and_a_file_with_results(alice: Cast) -> None:
    tenant: Tenant = alice.tenant
    bags = make_participant(make_campaign(tenant, rules=(fixed_rule(1500, kind="coupon"),)), "bags@example.com")
    euro = make_campaign(tenant, currency="EUR", rules=(fixed_rule(900, "EUR", kind="cash"),))
    for number in range(9):
        buy(make_friend(bags, f"bag{number}@example.net"), external_id=f"bag-{number}")
    for number in range(4):
        sharer = make_participant(euro, f"euro{number}@example.com")
        buy(make_friend(sharer, f"friend{number}@example.net"), external_id=f"euro-{number}")
    owner = Actor("user", str(alice.user.pk), alice.user.email)
    # What the story has paid in ninety days counts as today's.
    story = make_participant(make_campaign(tenant, rules=(fixed_rule(320000),)), "story@example.com")
    large = buy(make_friend(story, "of-the-story@example.net"), external_id="story").rewards[0]
    payouts.issue_by_hand(tenant=tenant, reward_ids=[large.pk], actor=owner, key="the story's weekly run")
    paying.tell_live(tenant, owner, paying.invite_colleague(tenant), timezone.now())
    assert [(row.name, left) for row, left in lists.low_lists(tenant)] == [("First bag, $15 off", 12)]
    assert Counter(Payout.objects.values_list("batch__method", "status")) == {
        ("manual", "paid"): 1,
        ("coupon_list", "paid"): 9,
        ("paypal_file", "paid"): 2,
        ("paypal_file", "failed"): 1,
        ("paypal_file", "sending"): 1,
    }
    back = PayoutReturn.objects.get()
    assert (back.state, back.rows, back.wrong) == ("done", 4, 1)
    assert list(differences()) == []
