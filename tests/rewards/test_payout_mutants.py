"""Known bugs of a payout machine, switched on one at a time: each has to show in the money or in the books (RELIABILITY section 5,
"Seeded-mutant gate"). One life with everything that goes wrong on the wire is played with each; without a bug, nothing shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from integrations import payouts as carrier
from participants.models import Participant
from referrals.lib.codes import random_text
from rewards import lifecycle, meanwhile, ordering, payout_guards, refunds, sending, settling
from rewards.models import LedgerEntry, Payout, PayoutBatch, Reward, State
from rewards.orders import Outcome
from rewards.queueing import Method
from rewards.verify import differences
from tests.chaos.company import Company, Issuer
from tests.factories import ACTOR, Cast
from tests.rewards.paying import again, asha, earn, intend, method, with_issuer

pytestmark = pytest.mark.django_db
__all__ = ["asha", "method"]
Patch = pytest.MonkeyPatch


def a_new_key_for_each_try(patch: Patch) -> None:
    """The key is made at the call and not with the intent."""
    real = ordering.order_of
    patch.setattr(sending, "order_of", lambda row, **given: replace(real(row, **given), key=f"po_{random_text(22)}"))


def nobody_is_asked_first(patch: Patch) -> None:
    """After an answer that got lost it is sent again at once."""
    patch.setattr(Issuer, "check", lambda self, order, account: None)


def keys_live_for_ever(patch: Patch) -> None:
    """A key is used again however old it is."""
    patch.setattr(sending, "may_send_again", lambda order, key_life: True)


def the_last_look_is_forgotten(patch: Patch) -> None:
    """What was held since the intent leaves all the same."""
    patch.setattr(sending, "_cut_again", lambda row, ready, items, paid: True)


def a_lease_is_nobody_s(patch: Patch) -> None:
    """Whoever looks may take what somebody else is working on."""
    real = sending.claim

    def claim(payout_id: int, **given: Any) -> Any:
        Payout.objects.filter(pk=payout_id, next_attempt_at__isnull=False).update(next_attempt_at=Now())
        return real(payout_id, **given)

    patch.setattr(sending, "claim", claim)


def an_unknown_is_a_no(patch: Patch) -> None:
    """No answer counts as not paid."""
    real = settling._apply

    def apply(row: Any, order: Any, outcome: Any, key_life: Any) -> str:
        if outcome.state == "unknown":
            outcome = replace(outcome, state="failed", reason="")
        return real(row, order, outcome, key_life)

    patch.setattr(settling, "_apply", apply)


def no_line_in_the_ledger(patch: Patch) -> None:
    """Money leaves without a line."""
    patch.setattr(settling, "write_ledger", lambda *args: None)


def what_came_meanwhile_is_forgotten(patch: Patch) -> None:
    """A refund that came while the payout was on the wire changes nothing."""
    patch.setattr(meanwhile, "decide_again", lambda friends, actor: None)


def what_it_did_not_pay_is_gone(patch: Patch) -> None:
    """A clear no leaves the debt nowhere."""
    patch.setattr(settling, "send_back", lambda *args, **kwargs: None)


def the_switch_is_not_asked(patch: Patch) -> None:
    """The kill switch stops the sweep and not the claim."""
    patch.setattr(payout_guards, "is_stopped", lambda tenant: False)


def another_amount_is_fine(patch: Patch) -> None:
    """What the company paid is not compared with what was asked for."""
    patch.setattr(Issuer, "_read", lambda self, order, status, body: Outcome("paid", body.get("id", "x")))


MUTANTS: tuple[Callable[[Patch], None], ...] = (
    a_new_key_for_each_try,
    nobody_is_asked_first,
    keys_live_for_ever,
    the_last_look_is_forgotten,
    a_lease_is_nobody_s,
    an_unknown_is_a_no,
    no_line_in_the_ledger,
    what_came_meanwhile_is_forgotten,
    what_it_did_not_pay_is_gone,
    the_switch_is_not_asked,
    another_amount_is_fine,
)


class Life:
    """Payouts that meet each trouble once. `wrong()` says what the company's books and ours show."""

    def __init__(self, alice: Cast, asha: Participant, method: Method, patch: Patch) -> None:
        self.alice, self.asha, self.method, self.patch = alice, asha, method, patch
        self.found: list[str] = []
        self.count = 0

    def wrong(self) -> list[str]:
        """One word for each trouble that did not end as it has to."""
        for trouble in (
            self._lost_answer, self._old_key, self._held, self._slow_worker, self._refund_on_the_wire, self._no, self._stopped,
            self._other_amount,
        ):  # fmt: skip
            try:
                trouble()
            except Exception as error:
                self.found.append(f"{trouble.__name__}: {type(error).__name__}")
        if list(differences()):
            self.found.append("the books do not add up")
        return self.found

    def _begin(self, model: str, faults: list[str], life: timedelta | None = None) -> tuple[Company, Reward, Payout]:
        company = Company(model)
        with_issuer(self.patch, company, faults, life)
        self.count += 1
        reward = earn(self.asha, f"friend{self.count}")
        return company, reward, intend(self.alice, self.method, reward)

    def _expect(self, company: Company, reward: Reward, *, times: int, state: str) -> None:
        """How often the reward's money left, where it stands now, and whether the ledger says the same."""
        reward.refresh_from_db()
        lines = LedgerEntry.objects.filter(payout__items__reward=reward, kind="pay").count()
        if (len(company.transfers), lines, reward.state) != (times, times, state):
            self.found.append(f"paid {len(company.transfers)} times, {lines} lines, {reward.state}")

    def _lost_answer(self) -> None:
        for model in ("lookup", "original"):
            company, reward, payout = self._begin(model, ["hang_after"])
            carrier.work(payout.pk)
            if reward_is_free(reward):
                self.found.append("an unknown outcome is due again")
            again(payout)
            self._expect(company, reward, times=1, state="issued")

    def _old_key(self) -> None:
        company, reward, payout = self._begin("life", ["hang_after"], timedelta(hours=24))
        carrier.work(payout.pk)
        Payout.objects.filter(pk=payout.pk).update(called_at=Now() - timedelta(hours=25))
        company.forget_keys()
        again(payout)
        if len(company.transfers) != 1:
            self.found.append("an old key paid once more")
        settling.decide(payout.pk, paid=True, actor=ACTOR, note="In their list.")
        self._expect(company, reward, times=1, state="issued")

    def _held(self) -> None:
        company, reward, payout = self._begin("original", [])
        lifecycle.hold(tenant=self.alice.tenant, reward_ids=[reward.pk], actor=ACTOR)
        carrier.work(payout.pk)
        self._expect(company, reward, times=0, state="held")

    def _slow_worker(self) -> None:
        company, reward, payout = self._begin("lookup", [])
        first = sending.claim(payout.pk)
        second = sending.claim(payout.pk)
        for order in (first, second):
            if order is not None:
                company.pay(order.key, order.amount.minor)
        if first is not None:
            settling.settle(first, Outcome("paid", "tr_0"), key_life=None)
        if second is not None:
            settling.settle(second, Outcome("paid", "tr_0"), key_life=None)
        self._expect(company, reward, times=1, state="issued")

    def _refund_on_the_wire(self) -> None:
        company, reward, payout = self._begin("original", [])
        order = sending.claim(payout.pk)
        assert order is not None
        refunds.refund(
            tenant=self.alice.tenant, actor=ACTOR, source="manual", external_id=f"r{self.count}", event=reward.event
        )
        company.pay(order.key, order.amount.minor)
        settling.settle(order, Outcome("paid", "tr_0"), key_life=None)
        self._expect(company, reward, times=1, state="reversed")
        # The debt of it is set off by what comes next; here it is forgiven, so that the next troubles stand alone.
        if reward.state == State.REVERSED:
            LedgerEntry.objects.create(
                key=f"adjust:{reward.public_id}", merchant=self.alice.merchant, participant=self.asha, side=reward.side,
                kind="adjust", amount_minor=1500, currency="USD", note="Forgiven.",
            )  # fmt: skip

    def _no(self) -> None:
        company, reward, payout = self._begin("original", ["refused"])
        carrier.work(payout.pk)
        self._expect(company, reward, times=0, state="attention")

    def _stopped(self) -> None:
        company, reward, payout = self._begin("original", [])
        payout_guards.stop(tenant=self.alice.tenant, actor=ACTOR, note="Something is odd.")
        carrier.work(payout.pk)
        self._expect(company, reward, times=0, state="queued")
        payout_guards.go_on(tenant=self.alice.tenant, actor=ACTOR)
        carrier.work(payout.pk)

    def _other_amount(self) -> None:
        company, _reward, payout = self._begin("original", [])
        company.pay(payout.key, 1400)
        carrier.work(payout.pk)
        payout.refresh_from_db()
        if (payout.status, len(company.transfers)) != ("needs_attention", 1):
            self.found.append(f"another amount was paid, and it is {payout.status}")


def reward_is_free(reward: Reward) -> bool:
    """Whether somebody could issue it once more."""
    reward.refresh_from_db()
    return reward.state in {State.DUE, State.ATTENTION, State.WAITING}


@pytest.fixture
def life(alice: Cast, asha: Participant, method: Method, monkeypatch: pytest.MonkeyPatch) -> Iterator[Life]:
    yield Life(alice, asha, method, monkeypatch)
    assert PayoutBatch.objects.count() >= 8


def test_without_a_bug_nothing_shows(life: Life) -> None:
    assert life.wrong() == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_each_bug_shows(life: Life, mutant: Callable[[Patch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)
    assert life.wrong() != []
