"""Somebody's data is erased while their payout is on its way: what arrives is paid, and what does not is given up for good, as
everything else of theirs that had not left (docs/portal.md; RELIABILITY section 8, "GDPR")."""

from __future__ import annotations

import pytest

from integrations import payouts as carrier
from participants.models import Participant
from referrals.lib.errors import Refused
from referrals.lib.http import HttpError
from rewards import lifecycle, payouts
from rewards.balances import balances_of
from rewards.orders import Outcome
from rewards.personal import erase
from rewards.queueing import Method, queue
from rewards.settling import decide, learn
from rewards.verify import differences
from tests.chaos.company import Company, Issuer
from tests.factories import ACTOR, Cast
from tests.rewards.paying import again, asha, company, earn, intend, ledger, method, state, with_issuer

__all__ = ["asha", "company", "method"]  # fixtures
pytestmark = pytest.mark.django_db
GIVEN_UP = ("void", "recipient_erased")


def test_what_a_person_says_was_not_paid_is_given_up(
    alice: Cast, asha: Participant, method: Method, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_issuer(monkeypatch, company, ["hang"])
    reward = earn(asha)
    payout = intend(alice, method, reward)
    carrier.work(payout.pk)
    erase(participant=asha, actor=ACTOR)
    assert state(reward) == ("sending", "")
    again(payout)
    payout.refresh_from_db()
    assert (payout.status, company.transfers) == ("needs_attention", [])
    decide(payout.pk, paid=False, actor=ACTOR, note="Not in their list.")
    assert (state(reward), reward.payout, ledger()) == (GIVEN_UP, None, [("earn", 1500), ("reverse", -1500)])
    # Nobody can issue it any more.
    with pytest.raises(Refused):
        queue(tenant=alice.tenant, reward_ids=[reward.pk], method=method, actor=ACTOR, key="once-more")
    with pytest.raises(Refused):
        lifecycle.release(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR)


@pytest.mark.parametrize("reason", ["", "provider_rejected", "waiting_for_recipient", "waiting_for_funds"])
def test_what_comes_back_is_given_up(
    alice: Cast, asha: Participant, method: Method, company: Company, reason: str
) -> None:
    reward = earn(asha)
    payout = intend(alice, method, reward)
    carrier.work(payout.pk)
    erase(participant=asha, actor=ACTOR)
    assert state(reward) == ("issued", "")
    assert learn(payout.pk, Outcome("failed", "", "Nobody claimed it.", reason)) == "failed"
    assert (state(reward), reward.payout) == (GIVEN_UP, None)
    assert ledger() == [("earn", 1500), ("pay", -1500), ("pay_back", 1500), ("reverse", -1500)]
    assert balances_of([asha.pk])[asha.pk].referrer.left == 0


def test_what_never_left_is_given_up(
    alice: Cast, asha: Participant, method: Method, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    reward = earn(asha)
    payout = intend(alice, method, reward)
    with monkeypatch.context() as patch:

        def unreachable(self: Issuer, *_: object) -> Outcome:
            raise HttpError("No connection. Nothing was sent.", retry=True, sent=False)

        patch.setattr(Issuer, "send", unreachable)
        carrier.work(payout.pk)
    erase(participant=asha, actor=ACTOR)
    again(payout)
    assert (state(reward), company.transfers) == (GIVEN_UP, [])


def test_what_was_marked_by_hand_and_is_undone_is_given_up(alice: Cast, asha: Participant) -> None:
    reward = earn(asha)
    batch, _made = payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="by-hand-1")
    erase(participant=asha, actor=ACTOR)
    payouts.undo(batch=batch, actor=ACTOR, note="Never paid.")
    assert (state(reward), reward.payout) == (GIVEN_UP, None)
    assert [minor for _kind, minor in ledger()] == [1500, -1500, 1500, -1500]
    assert list(differences()) == []
