"""What a person decides about a suspicious referral, each with its way back, and never about somebody else's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from campaigns.models import Campaign
from participants.fraud.models import FraudAction, FraudBlock, FraudCase, FraudEvaluation, Trace, TrustedPair
from participants.fraud.traces import Seen
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.lib.errors import Refused
from rewards import bans, fraud_cases, lifecycle, refunds, services
from rewards.models import Reward, State
from rewards.payouts import issue_by_hand
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant
from tests.rewards.splits import open_links

HOME = Seen("203.0.113.7", "Mozilla/5.0 Chrome/140.0", ("laptop",))


@pytest.fixture
def running(alice: Cast) -> Campaign:
    """Every purchase earns the referrer 15 dollars and the friend 5."""
    rules = [fixed_rule(trigger="every_event"), fixed_rule(500, side="invitee", trigger="every_event")]
    return make_campaign(alice.tenant, rules, name="Every purchase")


@pytest.fixture
def asha(running: Campaign) -> Participant:
    """Asha, at home."""
    return make_participant(running, "asha@example.com", first_name="Asha", last_name="Rao", seen=HOME)


@pytest.fixture
def maya(asha: Participant) -> Participant:
    """A friend at Asha's address in another browser: Medium, with one purchase."""
    friend = make_friend(asha, "maya@example.net", first_name="Maya", seen=Seen(HOME.ip, HOME.agent, ("phone",)))
    buy(friend)
    return friend


def case_of(friend: Participant) -> FraudCase:
    """The friend's case as it stands."""
    return FraudCase.objects.select_related("participant", "referrer", "campaign", "merchant").get(participant=friend)


def stands(friend: Participant) -> list[tuple[str, str]]:
    """State and reason of the friend's rewards, the referrer's last."""
    rows = Reward.objects.filter(event__participant=friend).order_by("event", "side", "pk")
    return [(row.state, row.reason) for row in rows]


HELD = [("held", "held_for_review")] * 2
DUE = [("due", "")] * 2


def approve(case: FraudCase) -> FraudAction:
    return fraud_cases.approve(case=case, actor=ACTOR, note="Sisters")


def hold(case: FraudCase) -> FraudAction:
    return fraud_cases.hold(case=case, actor=ACTOR, note="Ask them")


def deny(case: FraudCase) -> FraudAction:
    return fraud_cases.deny(case=case, actor=ACTOR, note="One person")


def ban(case: FraudCase) -> FraudAction:
    return fraud_cases.ban(case=case, actor=ACTOR, note="Ninth time")


def trust(case: FraudCase) -> FraudAction:
    return fraud_cases.trust(case=case, actor=ACTOR, note="Married")


def block_domain(case: FraudCase) -> FraudAction:
    return fraud_cases.block(case=case, kind="domain", actor=ACTOR, note="All of them")


def block_network(case: FraudCase) -> FraudAction:
    return fraud_cases.block(case=case, kind="network", actor=ACTOR, note="All of them")


DECIDED = [
    (approve, "approved", False, DUE, "Medium"),
    (hold, "held", True, HELD, "Medium"),
    (deny, "denied", True, [("void", "fraud_denied")] * 2, "Medium"),
    (ban, "held", True, HELD, "Medium"),
    (trust, "approved", False, DUE, "Low"),
    (block_domain, "open", True, HELD, "High"),
    (block_network, "open", True, HELD, "High"),
]


@pytest.mark.parametrize(
    ("act", "status", "holds", "rewards", "level"), DECIDED, ids=[row[0].__name__ for row in DECIDED]
)
def test_a_decision_and_its_way_back(
    act: Callable[[FraudCase], FraudAction],
    status: str,
    holds: bool,
    rewards: list[tuple[str, str]],
    level: str,
    maya: Participant,
) -> None:
    assert stands(maya) == HELD
    action = act(case_of(maya))
    maya.refresh_from_db()
    assert (case_of(maya).status, maya.fraud_holds, maya.fraud_level) == (status, holds, level)
    assert sorted(stands(maya)) == sorted(rewards)
    told = Event.objects.get(type="fraud.decided")
    assert (told.actor_label, told.data["action"], told.data["note"]) == (ACTOR.label, action.kind, action.note)

    fraud_cases.undo(action=action, actor=ACTOR)
    maya.refresh_from_db()
    assert (case_of(maya).status, maya.fraud_holds, maya.fraud_level) == ("open", True, "Medium")
    assert stands(maya) == HELD
    assert (TrustedPair.objects.count(), FraudBlock.objects.count()) == (0, 0)
    assert not Participant.objects.filter(banned_at__isnull=False).exists()
    assert Event.objects.filter(type="fraud.undone").count() == 1
    assert list(differences()) == []
    with pytest.raises(Refused) as again:
        fraud_cases.undo(action=FraudAction.objects.get(pk=action.pk), actor=ACTOR)
    assert again.value.code == "invalid_state"


@pytest.mark.parametrize("act", [row[0] for row in DECIDED], ids=[row[0].__name__ for row in DECIDED])
def test_no_decision_without_a_reason(
    act: Callable[[FraudCase], FraudAction], maya: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = case_of(maya)
    kind = {"kind": act.__name__.removeprefix("block_")} if act.__name__.startswith("block") else {}
    named = getattr(fraud_cases, act.__name__.split("_")[0])
    with pytest.raises(Refused) as refusal:
        named(case=case, actor=ACTOR, note="  ", **kind)
    assert refusal.value.code == "note_required"
    assert (stands(maya), FraudAction.objects.count()) == (HELD, 0)


def test_what_was_let_pass_does_not_hold_again_and_what_is_new_does(maya: Participant) -> None:
    approve(case_of(maya))
    buy(maya)
    assert stands(maya) == DUE * 2
    buy(maya, metadata={"gclid": "x"})
    assert stands(maya) == HELD * 3
    assert case_of(maya).status == "open"


def test_high_asks_twice_and_is_left_out_of_many(asha: Participant, maya: Participant) -> None:
    lena = make_friend(asha, "lena@example.org", seen=HOME)
    buy(lena)
    high = case_of(lena)
    assert high.level == "High"
    with pytest.raises(Refused) as refusal:
        approve(high)
    assert (refusal.value.code, stands(lena)) == ("confirm_high", HELD)
    ids = list(FraudCase.objects.values_list("pk", flat=True))
    assert fraud_cases.approve_many(tenant=maya.tenant, case_ids=ids, actor=ACTOR, note="Looked at") == (1, 1)
    assert (stands(maya), stands(lena)) == (DUE, HELD)
    fraud_cases.approve(case=high, actor=ACTOR, note="Twins", confirmed=True)
    assert stands(lena) == DUE


def test_another_merchants_cases_are_not_there(maya: Participant, charlie: Cast) -> None:
    ids = list(FraudCase.objects.values_list("pk", flat=True))
    assert fraud_cases.approve_many(tenant=charlie.tenant, case_ids=ids, actor=ACTOR, note="Mine") == (0, 0)
    assert fraud_cases.approve_many(tenant=Tenant(maya.merchant, True), case_ids=ids, actor=ACTOR, note="Test") == (
        0,
        0,
    )
    assert stands(maya) == HELD


def test_a_decision_on_what_was_decided_meanwhile_changes_nothing(maya: Participant) -> None:
    deny(case_of(maya))
    for act in (approve, hold, deny, trust):
        with pytest.raises(Refused) as refusal:
            act(case_of(maya))
        assert refusal.value.code == "invalid_state"
    assert stands(maya) == [("void", "fraud_denied")] * 2
    # A new decision about the facts does not bring back what a person has declined; what comes later waits.
    buy(maya)
    assert stands(maya) == [*[("void", "fraud_denied")] * 2, *HELD]


def test_undoing_an_approval_leaves_what_was_paid(alice: Cast, maya: Participant) -> None:
    action = approve(case_of(maya))
    paid = Reward.objects.filter(side="referrer").get()
    issue_by_hand(tenant=alice.tenant, reward_ids=[paid.pk], actor=ACTOR, key="by-bank-1", note="By bank")
    fraud_cases.undo(action=action, actor=ACTOR)
    assert stands(maya) == [("held", "held_for_review"), ("issued", "")]


def test_an_older_decision_is_undone_after_the_newer_one(maya: Participant) -> None:
    first, second = hold(case_of(maya)), deny(case_of(maya))
    with pytest.raises(Refused) as refusal:
        fraud_cases.undo(action=first, actor=ACTOR)
    assert refusal.value.code == "invalid_state"
    assert fraud_cases.undo(action=second, actor=ACTOR).status == "held"
    assert fraud_cases.undo(action=first, actor=ACTOR).status == "open"
    assert stands(maya) == HELD


def test_a_denied_reward_whose_purchase_was_refunded_stays_void(alice: Cast, maya: Participant) -> None:
    action = deny(case_of(maya))
    event = Reward.objects.first().event  # type: ignore[union-attr]  # there are two
    refunds.refund(tenant=alice.tenant, actor=ACTOR, source="manual", external_id="r1", event=event)
    fraud_cases.undo(action=action, actor=ACTOR)
    assert stands(maya) == [("void", "fraud_denied")] * 2


def test_a_ban_and_a_suspicion_each_hold_for_themselves(asha: Participant, maya: Participant) -> None:
    bans.ban(participant=asha, actor=ACTOR, reason="Spam")
    approve(case_of(maya))
    assert stands(maya) == [("due", ""), ("held", "referrer_banned")]
    bans.unban(participant=Participant.objects.get(pk=asha.pk), actor=ACTOR)
    assert stands(maya) == DUE


def test_a_trusted_pair_is_trusted_either_way_round(alice: Cast, maya: Participant) -> None:
    trust(case_of(maya))
    other = make_campaign(alice.tenant, name="Other")
    maya_again = make_participant(other, "maya@example.net", seen=HOME)
    assert make_friend(maya_again, "asha@example.com", seen=HOME).fraud_level == "Low"
    assert make_friend(maya_again, "lena@example.org", seen=HOME).fraud_level == "High"


def test_nothing_is_blocked_that_everybody_uses(asha: Participant) -> None:
    friend = make_friend(asha, "maya@gmail.com", seen=HOME)
    with pytest.raises(Refused) as refusal:
        block_domain(case_of(friend))
    assert refusal.value.code == "nothing_to_block"
    Trace.objects.all().delete()
    with pytest.raises(Refused):
        block_network(case_of(friend))
    assert not FraudBlock.objects.exists()


def test_lists_are_changed_by_hand_and_told(alice: Cast, maya: Participant) -> None:
    assert fraud_cases.add_block(tenant=alice.tenant, kind="host", value="coupons.example", actor=ACTOR, note="Codes")
    assert not fraud_cases.add_block(
        tenant=alice.tenant, kind="host", value="coupons.example", actor=ACTOR, note="Codes"
    )
    fraud_cases.remove_block(block=FraudBlock.objects.get(), actor=ACTOR)
    trust(case_of(maya))
    fraud_cases.remove_trust(pair=TrustedPair.objects.get(), actor=ACTOR)
    told = Event.objects.filter(type="fraud.lists_changed").order_by("pk")
    assert [row.data["change"] for row in told] == ["blocked", "unblocked", "untrusted"]
    assert not FraudBlock.objects.exists()


def test_an_evaluation_is_kept_and_replaced(maya: Participant) -> None:
    before = FraudEvaluation.objects.filter(current=True).count()
    action = trust(case_of(maya))
    fraud_cases.undo(action=action, actor=ACTOR)
    joined = FraudEvaluation.objects.filter(participant=maya, event=None).order_by("pk")
    assert [(row.level, row.current) for row in joined] == [("Medium", False), ("Low", False), ("Medium", True)]
    assert joined[0].inputs_hash == joined[2].inputs_hash
    assert FraudEvaluation.objects.filter(current=True).count() == before
    assert lifecycle.SUSPECT == "held_for_review"
    assert State.HELD in {state for state, _reason in stands(maya)}


def test_of_several_who_share_a_friend_the_worst_pair_speaks_and_all_parts_wait(alice: Cast) -> None:
    """Nobody hides behind a stranger's click: Ben lives where the friend does, Asha stands for both."""
    campaign = make_campaign(alice.tenant, [fixed_rule(1001)], attribution_model="linear")
    asha = make_participant(
        campaign, "asha@example.com", first_name="Asha", seen=Seen("198.51.100.9", HOME.agent, ("laptop",))
    )
    ben = make_participant(campaign, "ben@example.com", first_name="Ben", seen=HOME)
    open_links({"a": asha, "b": ben}, "ab", "v" * 22)
    maya = services.join(
        campaign=campaign,
        email="maya@example.net",
        actor=ACTOR,
        source="hosted",
        visitor="v" * 22,
        seen=Seen(HOME.ip, HOME.agent, ("phone",)),
    ).participant
    buy(maya)
    case = FraudCase.objects.get()
    assert (case.participant, case.referrer, case.level) == (maya, ben, "Medium")
    assert maya.referral.referrer == asha
    held = ("held", "held_for_review")
    rows = Reward.objects.order_by("participant_id")
    assert list(rows.values_list("amount_minor", "state", "reason")) == [(501, *held), (500, *held)]
    done = fraud_cases.trust(case=case, actor=ACTOR, note="A family")
    assert (done.before["one"], done.before["other"]) == ("ben@example.com", "maya@example.net")
    assert list(rows.values_list("amount_minor", "state")) == [(501, "due"), (500, "due")]
    fraud_cases.undo(action=done, actor=ACTOR)
    assert list(rows.values_list("state", flat=True)) == ["held", "held"]
    # Banning on the case's page bans the one of the suspicious pair.
    fraud_cases.ban(case=FraudCase.objects.get(), actor=ACTOR, note="Own orders")
    assert set(Participant.objects.exclude(banned_at=None).values_list("email", flat=True)) == {"ben@example.com"}
