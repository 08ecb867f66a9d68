"""One payment per debt: a friend's code at the checkout and a press of "Issue" can't both pay, whatever comes first (PRODUCT.md;
issue 6, part 6)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from integrations import payouts as carrier
from integrations.base import Account
from integrations.models import Connection
from participants.models import Participant
from referrals.lib import clock
from referrals.lib.errors import Refused
from rewards import bans, refunds
from rewards.balances import balances_of
from rewards.fraud import let_go
from rewards.given import given_by_code
from rewards.models import LedgerEntry, Payout, Reward
from rewards.orders import Order, Outcome
from rewards.queueing import Method, queue
from tests.chaos.company import Company, Issuer
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant
from tests.rewards.paying import FIRST, company

pytestmark = pytest.mark.django_db
__all__ = ["company"]  # a fixture


@pytest.fixture
def method(alice: Cast) -> Method:
    row = Connection(merchant=alice.merchant, is_test=alice.tenant.is_test, provider=FIRST)
    row.secrets = {}
    row.save()
    return Method(FIRST, frozenset({"coupon"}), account=row.public_id)


@pytest.fixture
def maya(alice: Cast) -> Participant:
    """A friend whose first purchase earns them 5 dollars."""
    return make_friend(make_participant(make_campaign(alice.tenant, [fixed_rule(500, side="invitee", kind="coupon")])))


def owed(maya: Participant) -> Reward:
    return next(row for row in buy(maya).rewards if row.participant_id == maya.pk)


def redeem(maya: Participant, reward: Reward) -> bool:
    return given_by_code(participant=maya, rule_key=reward.rule_key, actor=ACTOR)


def issue(alice: Cast, method: Method, reward: Reward, key: str = "request-1") -> Payout:
    batch, _made = queue(tenant=alice.tenant, reward_ids=[reward.pk], method=method, actor=ACTOR, key=key)
    return batch.payouts.get()


def state(reward: Reward) -> tuple[str, str]:
    reward.refresh_from_db()
    return reward.state, reward.reason


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], answer: Outcome | None = None) -> None:
    """While the call is on the wire, something happens; the company answers this, or pays."""
    send = Issuer.send

    def both(self: Issuer, order: Order, account: Account) -> Outcome:
        act()
        return answer or send(self, order, account)

    monkeypatch.setattr(Issuer, "send", both)


def test_what_was_given_at_the_checkout_can_not_be_issued(
    alice: Cast, maya: Participant, method: Method, company: Company
) -> None:
    reward = owed(maya)
    assert redeem(maya, reward)
    assert state(reward) == ("void", "given_by_code")
    with pytest.raises(Refused, match="that can't be done now"):
        issue(alice, method, reward)
    assert (Payout.objects.count(), company.transfers) == (0, [])


def test_a_code_redeemed_before_the_payout_leaves_stops_it(
    alice: Cast, maya: Participant, method: Method, company: Company
) -> None:
    reward = owed(maya)
    payout = issue(alice, method, reward)
    redeem(maya, reward)
    assert not carrier.work(payout.pk)
    payout.refresh_from_db()
    assert (payout.status, company.transfers, state(reward)) == ("failed", [], ("void", "given_by_code"))


@pytest.mark.parametrize("behind", [0, 10])
def test_a_code_redeemed_while_it_is_on_the_wire_is_taken_back_and_netted(
    alice: Cast, maya: Participant, method: Method, company: Company, monkeypatch: pytest.MonkeyPatch, behind: int
) -> None:
    """Also when the clock of the worker that has the shop's message is ten minutes slow (RELIABILITY INV-19)."""
    reward = owed(maya)
    payout = issue(alice, method, reward)

    def redeemed() -> None:
        with clock.at(clock.now() - timedelta(minutes=behind)):
            redeem(maya, reward)

    meanwhile(monkeypatch, redeemed)
    carrier.work(payout.pk)
    assert (company.transfers, state(reward)) == ([(payout.key, 500)], ("reversed", "given_by_code"))
    assert balances_of([maya.pk])[maya.pk].invitee.left == -500


@pytest.mark.parametrize("reason", ["", "waiting_for_recipient", "provider_rejected"])
@pytest.mark.parametrize("what", ["code", "refund"])
def test_what_fell_while_it_was_on_the_wire_is_not_due_again_when_the_company_says_no(
    alice: Cast,
    maya: Participant,
    method: Method,
    company: Company,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    reason: str,
) -> None:
    reward = owed(maya)
    payout = issue(alice, method, reward)

    def fell() -> None:
        if what == "code":
            redeem(maya, reward)
        else:
            side = alice.tenant
            refunds.refund(tenant=side, actor=ACTOR, source="manual", external_id="r1", event=reward.event)

    meanwhile(monkeypatch, fell, Outcome("failed", "", "No.", reason))
    carrier.work(payout.pk)
    assert state(reward) == ("void", "given_by_code" if what == "code" else "refunded")
    assert (company.transfers, balances_of([maya.pk])[maya.pk].invitee.left) == ([], 0)
    assert list(LedgerEntry.objects.order_by("pk").values_list("kind", "amount_minor")) == [
        ("earn", 500),
        ("reverse", -500),
    ]


@pytest.mark.parametrize("what", ["ban", "suspicion"])
def test_what_would_be_held_is_held_when_it_comes_back_from_the_wire(
    alice: Cast, maya: Participant, method: Method, company: Company, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    reward = owed(maya)
    payout = issue(alice, method, reward)

    def found_out() -> None:
        if what == "ban":
            bans.ban(participant=maya, actor=ACTOR, reason="Two accounts.")
        else:
            Participant.objects.filter(pk=maya.pk).update(fraud_holds=True)

    meanwhile(monkeypatch, found_out, Outcome("failed", "", "No.", ""))
    carrier.work(payout.pk)
    assert state(reward) == ("held", "referrer_banned" if what == "ban" else "held_for_review")
    with pytest.raises(Refused):
        issue(alice, method, reward, "request-2")
    if what == "ban":
        bans.unban(participant=maya, actor=ACTOR)
    else:
        let_go(maya, ACTOR)
    assert (state(reward), company.transfers) == (("due", ""), [])
