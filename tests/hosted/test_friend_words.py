"""Every state of a friend in plain words: what they did, what the shop decided, how long the offer runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from campaigns.terms import RuleTerms
from participants.models import Participant
from referrals.hosted.friend_words import deed, quiet_words
from rewards.statuses import set_status
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant
from tests.hosted.test_portal import opened, text_of

JOINED = datetime(2026, 11, 1, 12, tzinfo=UTC)
PLAIN = fixed_rule()
THIRTY = fixed_rule(within_days=30)
STATUS = fixed_rule(trigger="status", event="approved")


@pytest.mark.parametrize(
    ("rule", "days", "known", "said"),
    [
        (PLAIN, 5, {}, ("Joined, no order yet.", "pending", "Joined")),
        (None, 5, {}, ("Joined, no order yet.", "pending", "Joined")),
        (THIRTY, 5, {}, ("Joined, no order yet. The offer runs out on 1 Dec.", "pending", "Joined")),
        (THIRTY, 31, {}, ("Joined, no order. The offer ran out for them on 1 Dec.", "no", "Too late")),
        (STATUS, 5, {}, ("Joined. The shop decides what comes next.", "pending", "Joined")),
        (STATUS, 5, {"did": "qualified", "status": "qualified"}, ("Taken up by the shop.", "pending", "Taken up")),
        (STATUS, 5, {"did": "approved", "status": "approved"}, ("Accepted by the shop.", "pending", "Accepted")),
        (STATUS, 5, {"status": "denied"}, ("The shop declined this one.", "no", "Not eligible")),
        (THIRTY, 31, {"did": "purchase"}, ("Ordered.", "pending", "Ordered")),
        (PLAIN, 5, {"did": "trial_started"}, ("Trial started.", "pending", "Seen")),
        (PLAIN, 5, {"counts": True}, ("Joined. Counts on the leaderboard.", "done", "Counted")),
        (PLAIN, 5, {"counts": True, "did": "purchase"}, ("Ordered. Counts on the leaderboard.", "done", "Counted")),
    ],
)
def test_a_friend_of_whom_nothing_was_decided(
    rule: RuleTerms | None, days: int, known: dict[str, Any], said: tuple[str, str, str]
) -> None:
    facts: dict[str, Any] = {"did": "", "status": "pending", "counts": False, **known}
    assert quiet_words(joined_at=JOINED, rule=rule, now=JOINED + timedelta(days=days), **facts) == said


@pytest.mark.parametrize(
    ("type_", "words"), [("join", "Joined."), ("purchase", "Ordered."), ("demo_booked", "Demo booked.")]
)
def test_what_somebody_did(type_: str, words: str) -> None:
    assert deed(type_) == words


def test_a_sale_in_steps_is_told_as_such(alice: Cast, person: Client) -> None:
    asha = make_participant(make_campaign(alice.tenant, [STATUS]), "asha@example.com")
    maya = make_friend(asha, "maya@example.net", first_name="Maya")
    opened(person, asha)

    def told() -> str:
        return text_of(person.get("/me/"))

    assert "Maya Joined. The shop decides what comes next." in told()
    set_status(participant=maya, status="qualified", actor=ACTOR)
    assert "Clicks 0 Joined 1 Ordered 0" in told()
    assert "Ordered." not in told()
    set_status(participant=maya, status="approved", actor=ACTOR)
    assert "Maya Accepted by the shop. $15 is approved and on its way. Approved" in told()
    buy(Participant.objects.get(pk=maya.pk), 5000)
    assert "Clicks 0 Joined 1 Ordered 1" in told()
