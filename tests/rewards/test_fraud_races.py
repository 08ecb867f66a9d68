"""Decisions about a suspicious referral while the friend buys, and two people deciding at once, on PostgreSQL."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from participants.fraud.models import FraudAction, FraudCase, FraudEvaluation
from participants.fraud.traces import Seen
from participants.models import Participant
from rewards import bans, fraud, fraud_cases
from rewards.models import Reward
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant
from tests.rewards.test_races import at_once

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
HOME = Seen("203.0.113.7", "Mozilla/5.0 Chrome/140.0", ("laptop",))
PHONE = Seen("203.0.113.7", "Mozilla/5.0 Chrome/140.0", ("phone",))


@pytest.fixture
def maya(alice: Cast) -> Participant:
    """A friend at the referrer's address, held, with one purchase."""
    campaign = make_campaign(alice.tenant, [fixed_rule(trigger="every_event")])
    friend = make_friend(make_participant(campaign, "asha@example.com", seen=HOME), seen=PHONE)
    buy(friend)
    return friend


def case_of(friend: Participant) -> FraudCase:
    return FraudCase.objects.select_related("participant__campaign", "referrer__campaign", "merchant").get(
        participant=friend
    )


def test_what_is_bought_while_it_is_approved_is_not_left_behind(maya: Participant) -> None:
    approve = partial(fraud_cases.approve, case=case_of(maya), actor=ACTOR, note="Sisters")
    done = at_once(approve, *[partial(buy, maya, external_id=f"order-{n}") for n in range(12)])
    assert isinstance(done[0], FraudAction)
    assert Counter(Reward.objects.values_list("state", flat=True)) == {"due": 13}
    assert FraudEvaluation.objects.filter(participant=maya, current=True, event=None).count() == 1
    assert list(differences()) == []


def test_what_is_bought_while_it_is_put_on_hold_is_held(maya: Participant) -> None:
    fraud_cases.approve(case=case_of(maya), actor=ACTOR, note="Sisters")
    hold = partial(fraud_cases.hold, case=case_of(maya), actor=ACTOR, note="Ask them")
    at_once(hold, *[partial(buy, maya, external_id=f"order-{n}") for n in range(12)])
    assert Counter(Reward.objects.values_list("state", flat=True)) == {"held": 13}


def test_two_people_decide_at_once_and_one_is_heard(maya: Participant) -> None:
    case = case_of(maya)
    acts = [partial(fraud_cases.deny, case=case, actor=ACTOR, note="One person")] * 4
    acts += [partial(fraud_cases.approve, case=case, actor=ACTOR, note="Sisters")] * 4
    done = at_once(*acts)
    assert Counter(type(item).__name__ for item in done) == {"FraudAction": 1, "str": 7}
    assert {item for item in done if isinstance(item, str)} == {"invalid_state"}
    assert FraudAction.objects.count() == 1
    action = FraudAction.objects.select_related("case__participant__campaign", "case__referrer", "merchant").get()
    undone = at_once(*[partial(fraud_cases.undo, action=action, actor=ACTOR)] * 6)
    assert Counter(isinstance(item, str) for item in undone) == {True: 5, False: 1}
    assert list(Reward.objects.values_list("state", flat=True)) == ["held"]
    assert list(differences()) == []


def test_looking_again_at_once_leaves_one_current_answer(maya: Participant) -> None:
    at_once(*[partial(fraud.look_again, Participant.objects.get(pk=maya.pk)) for _ in range(6)])
    assert FraudEvaluation.objects.filter(participant=maya, current=True, event=None).count() == 1
    assert FraudEvaluation.objects.filter(participant=maya, current=True).count() == 2


def test_trusting_banning_and_buying_at_once_wait_for_each_other(maya: Participant) -> None:
    asha = Participant.objects.get(email="asha@example.com")
    lena = make_friend(asha, "lena@example.org", seen=Seen("198.51.100.4", "Mozilla/5.0", ("desk",)))
    done = at_once(
        partial(fraud_cases.trust, case=case_of(maya), actor=ACTOR, note="Married"),
        partial(bans.ban, participant=asha, actor=ACTOR, reason="Spam"),
        *[partial(buy, friend, external_id=f"{friend.pk}-{n}") for n in range(4) for friend in (maya, lena)],
    )
    assert not [item for item in done if isinstance(item, str)]
    assert list(differences()) == []
