"""Multi-step sales: pending, qualified, approved, denied, and back again."""

from __future__ import annotations

from decimal import Decimal

import pytest

from campaigns.terms import Percent
from participants.models import Participant, QualifyingEvent
from referrals.events.models import Event
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards.models import Decision, Reward
from rewards.statuses import set_status
from rewards.verify import differences
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_friend, make_participant, percent_rule

pytestmark = pytest.mark.django_db


@pytest.fixture
def friend(alice: Cast) -> Participant:
    rules = [
        fixed_rule(500, trigger="status", event="qualified"),
        percent_rule("10", trigger="status", event="approved"),
        fixed_rule(700, side="invitee", trigger="status", event="approved"),
    ]
    return make_friend(make_participant(make_campaign(alice.tenant, rules)))


def states() -> list[tuple[str, str, int, str]]:
    rows = Reward.objects.select_related("event").order_by("event__pk", "pk")
    return [(row.event.type, row.side, row.amount_minor, f"{row.state} {row.reason}".strip()) for row in rows]


def test_each_step_earns_its_own_once(friend: Participant) -> None:
    for _ in range(2):
        set_status(participant=friend, status="qualified", actor=ACTOR)
    assert states() == [("qualified", "referrer", 500, "due")]
    for _ in range(2):
        set_status(participant=friend, status="approved", actor=ACTOR, amount=Money(120_000, "USD"))
    assert states() == [
        ("qualified", "referrer", 500, "due"),
        ("approved", "referrer", 12_000, "due"),
        ("approved", "invitee", 700, "due"),
    ]
    told = Event.objects.filter(type="referral.status_changed").order_by("pk")
    assert [(event.data["from"], event.data["to"]) for event in told] == [
        ("pending", "qualified"),
        ("qualified", "approved"),
    ]
    assert list(differences()) == []


def test_a_jump_to_approved_qualifies_too(friend: Participant) -> None:
    set_status(participant=friend, status="approved", actor=ACTOR, amount=Money(1000, "USD"))
    assert states() == [
        ("qualified", "referrer", 500, "due"),
        ("approved", "referrer", 100, "due"),
        ("approved", "invitee", 700, "due"),
    ]


def test_a_denial_takes_everything_back_and_can_be_undone(friend: Participant) -> None:
    set_status(participant=friend, status="approved", actor=ACTOR, amount=Money(1000, "USD"))
    set_status(participant=friend, status="denied", actor=ACTOR, note="Never signed")
    assert [row[3] for row in states()] == ["void referral_denied"] * 3
    set_status(participant=friend, status="qualified", actor=ACTOR)
    assert [row[3] for row in states()] == ["due", "void referral_denied", "void referral_denied"]
    set_status(participant=friend, status="pending", actor=ACTOR)
    assert [row[3] for row in states()] == ["void cancelled", "void referral_denied", "void referral_denied"]
    reasons = Decision.objects.filter(current=True).order_by("pk").values_list("reason", flat=True)
    assert list(reasons) == ["cancelled"] * 3
    set_status(participant=friend, status="approved", actor=ACTOR)
    assert [row[3] for row in states()] == ["due", "due", "due"]
    assert list(differences()) == []


def test_an_amount_may_come_with_the_second_word(friend: Participant) -> None:
    set_status(participant=friend, status="approved", actor=ACTOR)
    assert [row[:3] for row in states()] == [("qualified", "referrer", 500), ("approved", "invitee", 700)]
    assert list(Decision.objects.filter(current=True, rewardable=False).values_list("reason", flat=True)) == [
        "below_minimum_purchase"
    ]
    set_status(participant=friend, status="approved", actor=ACTOR, amount=Money(2000, "USD"))
    assert ("approved", "referrer", 200, "due") in states()
    with pytest.raises(Refused) as refused:
        set_status(participant=friend, status="approved", actor=ACTOR, amount=Money(3000, "USD"))
    assert (refused.value.code, refused.value.status) == ("amount_changed", 409)
    assert ("approved", "referrer", 200, "due") in states()


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"status": "won"}, "invalid_choice", "status"),
        ({"status": "denied"}, "note_required", "note"),
        ({"status": "denied", "note": " "}, "note_required", "note"),
        ({"status": "pending", "amount": Money(100, "USD")}, "invalid_value", "amount"),
        ({"status": "approved", "amount": Money(100, "EUR")}, "currency", "amount"),
        ({"status": "approved", "amount": Money(0, "USD")}, "amount_not_positive", "amount"),
        ({"status": "qualified", "note": "x" * 301}, "too_long", "note"),
    ],
)
def test_what_can_not_be_is_named_and_changes_nothing(
    friend: Participant, given: dict[str, object], code: str, field: str
) -> None:
    with pytest.raises(Refused) as refused:
        set_status(participant=friend, actor=ACTOR, **given)  # type: ignore[arg-type]  # wrong on purpose
    assert (refused.value.code, refused.value.field) == (code, field)
    friend.referral.refresh_from_db()
    assert (friend.referral.status, QualifyingEvent.objects.count(), Reward.objects.count()) == ("pending", 0, 0)


def test_who_was_not_referred_has_no_status(friend: Participant) -> None:
    with pytest.raises(Refused) as refused:
        set_status(participant=friend.referral.referrer, status="qualified", actor=ACTOR)
    assert (refused.value.code, refused.value.status) == ("not_referred", 409)
    assert QualifyingEvent.objects.count() == 0


def test_a_share_of_a_sale_is_by_the_rule(alice: Cast) -> None:
    rule = percent_rule("12.5", trigger="status", event="approved", amount=Percent(Decimal("12.5"), Money(5000, "USD")))
    friend = make_friend(make_participant(make_campaign(alice.tenant, [rule])))
    set_status(participant=friend, status="approved", actor=ACTOR, amount=Money(1_000_000, "USD"))
    assert states() == [("approved", "referrer", 5000, "due")]
