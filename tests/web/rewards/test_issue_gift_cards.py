"""Gift cards from a catalogue, issued as a merchant does it in test mode: choose a product, see what does not fit, and the link arrives."""

from __future__ import annotations

import pytest
from django.urls import reverse

from integrations import catalogue, trying
from integrations.payouts import sweep
from integrations.services import connect
from referrals.accounts.tenancy import Tenant
from rewards.models import Payout, PayoutBatch, PayoutGift
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_reward
from tests.web.rewards.conftest import Post, hidden, states
from tests.web.rewards.test_issue import text_of

pytestmark = pytest.mark.django_db


def test_the_product_decides_who_can_be_paid_and_the_link_is_handed_over(alice: Cast, post: Post) -> None:
    alice.client.post(reverse("web:switch_mode"), {"mode": "test"})
    side = Tenant(alice.merchant, is_test=True)
    row = trying.make_up_secrets(connection=connect(tenant=side, actor=ACTOR, provider="giftcards"), actor=ACTOR)
    catalogue.refresh(row)
    catalogue.fetch(row.pk)
    owed = [
        make_reward(
            make_campaign(side, [fixed_rule(minor, kind="gift_card")], name=f"Of {minor}"),
            f"person{minor}@example.com",
            f"friend{minor}@example.net",
        )
        for minor in (1500, 2500)
    ]
    method = f"giftcards:{row.public_id}"
    asked = post(alice.client, "issue", *owed, method=method)
    assert "CVS Pharmacy · $5.00 to $500.00" in text_of(asked)
    assert "$40.00 2 rewards, 2 people" in text_of(asked)  # the first product, which is shown, fits both
    other = post(
        alice.client, "issue", *owed, method=method, asked=method, with_product="HALDEN", with_delivery="Links"
    )
    assert "Halden Coffee comes as $10.00, $25.00, $50.00, and not as $15.00: 1 reward" in text_of(other)
    tens = make_campaign(side, [fixed_rule(1000, kind="gift_card")], name="Tens")
    twice = [make_reward(tens, "person@example.com", f"friend{n}@example.net") for n in range(2)]
    apart = post(alice.client, "issue", *twice, method=method, asked=method, with_product="HALDEN")
    assert "2 of these rewards leave each by itself: what they come to together is not to be had" in text_of(apart)
    ids = [reward.public_id for reward in owed]
    chosen = {"method": method, "with_product": "HALDEN", "with_delivery": "Links", "key": "0123456789abcdefghijkl"}
    press = {**hidden(other), "reward": ids, **chosen}
    answer = alice.client.post(reverse("web:rewards_act"), press)
    batch = PayoutBatch.objects.get()
    assert answer["Location"] == f"/app/payouts/{batch.public_id}/"
    assert sweep() == 1
    assert states(owed) == ["due", "issued"]
    payout = Payout.objects.get()
    assert (payout.status, payout.amount_minor) == ("paid", 2500)
    link = PayoutGift.objects.get().secrets["url"]
    assert link.startswith("https://cards.example/")
    assert link not in alice.client.get(f"/app/payouts/{batch.public_id}/").content.decode()
