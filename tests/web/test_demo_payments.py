"""The demo's Stripe messages: received and worked on as real ones are, and the books still add up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.models import InboundEvent
from referrals.web.demo import payments
from rewards.models import Reward
from rewards.verify import differences
from tests.factories import ACTOR, Cast, make_campaign, make_friend, make_participant


@pytest.mark.django_db
def test_the_demo_s_messages_lead_to_rewards_and_to_reasons(alice: Cast) -> None:
    asha = make_participant(make_campaign(alice.tenant))
    for number in range(8):
        make_friend(asha, f"friend{number}@example.net")
    end = timezone.now() + timedelta(days=6)
    connection = payments.tell(alice.tenant, ACTOR, end)
    rows = list(InboundEvent.objects.order_by("pk"))
    assert [row.received_at for row in rows] == sorted(row.received_at for row in rows)
    outcomes = sorted(row.outcome for row in rows)
    assert outcomes == ["no_participant", "refunded", *["rewarded"] * payments.BUYERS, "type_unused"]
    assert Reward.objects.count() == payments.BUYERS
    connection.refresh_from_db()
    assert connection.last_event_at is not None
    assert list(differences()) == []
