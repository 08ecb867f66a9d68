"""A payout through a provider: intent, claim, ask first, call, settle; every outcome has its state, and money moves once
(RELIABILITY section 4; INV-04 to INV-06, INV-14, INV-15)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from integrations import payouts as carrier
from integrations.base import Account
from integrations.models import Connection
from participants import destinations
from participants.models import Participant
from referrals.events.models import Event
from referrals.lib.errors import Refused
from referrals.lib.http import HttpError
from rewards import bans, lifecycle, payouts, queueing, refunds, sending, settling
from rewards.balances import balances_of
from rewards.models import Payout, PayoutAttempt, PayoutBatch, Reward
from rewards.orders import Order, Outcome
from rewards.queueing import Method, queue, withdraw
from rewards.settling import decide, learn
from rewards.verify import differences
from tests.chaos.company import MODELS, Company, Issuer
from tests.factories import ACTOR, Cast, make_participant
from tests.rewards.paying import again, asha, company, earn, intend, ledger, method, state, with_issuer

pytestmark = pytest.mark.django_db
__all__ = ["asha", "company", "method"]


class Killed(BaseException):
    """The worker is gone."""


def test_a_payout_goes_from_due_to_issued_with_all_that_it_leaves_behind(
    alice: Cast, asha: Participant, method: Method, company: Company
) -> None:
    one, two = earn(asha, "f1"), earn(asha, "f2")
    payout = intend(alice, method, one, two)
    assert (payout.status, payout.amount_minor, state(one), ledger()) == (
        "queued",
        3000,
        ("queued", ""),
        [("earn", 1500), ("earn", 1500)],
    )
    assert carrier.sweep() == 1
    payout.refresh_from_db()
    assert (payout.status, payout.reference, payout.attempts, payout.next_attempt_at) == ("paid", "tr_0", 1, None)
    assert company.transfers == [(payout.key, 3000)]
    assert (state(one), state(two)) == (("issued", ""), ("issued", ""))
    assert ledger()[2:] == [("pay", -3000)]
    assert PayoutAttempt.objects.values_list("number", "state", "reference").get() == (1, "paid", "tr_0")
    assert PayoutBatch.objects.get().completed_at is not None
    told = Event.objects.filter(subject_id=one.public_id).order_by("pk").values_list("type", flat=True)
    assert list(told)[-3:] == ["reward.queued", "reward.sending", "reward.issued"]
    told = Event.objects.filter(type__startswith="payout.").order_by("pk").values_list("type", flat=True)
    assert list(told) == ["payout.created", "payout.changed", "payout.batch.completed"]
    assert carrier.sweep() == 0


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("fault", ["hang", "hang_after", "error", "error_after", "busy"])
def test_whatever_goes_wrong_with_a_call_the_company_pays_once(
    alice: Cast, asha: Participant, method: Method, monkeypatch: pytest.MonkeyPatch, model: str, fault: str
) -> None:
    company = Company(model)
    with_issuer(monkeypatch, company, [fault], timedelta(hours=24) if model == "life" else None)
    reward = earn(asha)
    payout = intend(alice, method, reward)
    assert carrier.work(payout.pk)
    payout.refresh_from_db()
    assert (payout.status, state(reward)[0], ledger()) == ("unknown", "sending", [("earn", 1500)])
    assert not carrier.work(payout.pk)  # it waits
    assert again(payout)
    payout.refresh_from_db()
    assert (payout.status, state(reward)[0]) == ("paid", "issued")
    assert company.transfers == [(payout.key, 1500)]
    assert company.calls["find"] == 1
    assert list(differences()) == []


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("point", ["before the call", "after the call", "before it is settled"])
def test_a_worker_that_dies_at_any_step_leaves_a_payout_that_is_paid_once(
    alice: Cast, asha: Participant, method: Method, monkeypatch: pytest.MonkeyPatch, model: str, point: str
) -> None:
    company = Company(model)
    with_issuer(monkeypatch, company, life=timedelta(hours=24) if model == "life" else None)
    payout = intend(alice, method, earn(asha))
    with monkeypatch.context() as patch:
        if point == "before it is settled":
            patch.setattr(settling, "settle", mock.Mock(side_effect=Killed))
        else:
            patch.setattr(Issuer, "send", _dying(point == "after the call"))
        with pytest.raises(Killed):
            carrier.work(payout.pk)
    payout.refresh_from_db()
    assert (payout.status, payout.attempts, ledger()) == ("sending", 1, [("earn", 1500)])
    assert not carrier.work(payout.pk)  # its lease runs
    assert again(payout)
    payout.refresh_from_db()
    assert (payout.status, company.transfers) == ("paid", [(payout.key, 1500)])
    assert list(PayoutAttempt.objects.order_by("number").values_list("state", flat=True)) == ["", "paid"]
    assert list(differences()) == []


def _dying(after: bool) -> Callable[..., Outcome]:
    def send(self: Issuer, order: Order, account: Account) -> Outcome:
        if after:
            self.call("pay", order.key, order.amount.minor)
        raise Killed

    return send


def test_a_key_that_is_too_old_is_not_used_again_and_a_person_is_asked(
    alice: Cast, asha: Participant, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = Company("life")
    with_issuer(monkeypatch, company, ["hang"], timedelta(hours=24))
    reward = earn(asha)
    payout = intend(alice, method, reward)
    carrier.work(payout.pk)
    Payout.objects.update(called_at=Now() - timedelta(hours=19, minutes=13))
    again(payout)
    payout.refresh_from_db()
    assert (payout.status, payout.next_attempt_at, company.transfers) == ("needs_attention", None, [])
    assert decide(payout.pk, paid=False, actor=ACTOR, note="Not in their list.") == "failed"
    assert (state(reward), ledger()) == (("due", ""), [("earn", 1500)])
    # A person's word counts once, and only when it is asked for.
    assert decide(payout.pk, paid=True, actor=ACTOR, note="Twice.") == "failed"
    assert ledger() == [("earn", 1500)]
    # The same debt leaves again with a key of its own.
    other = intend(
        alice,
        method,
        reward,
    )
    assert other.key != payout.key
    carrier.work(other.pk)
    assert company.transfers == [(other.key, 1500)]


def test_a_person_can_say_that_it_was_paid(
    alice: Cast, asha: Participant, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A company without keys and without a way to look: an unknown outcome is a person's at once (Shopify's store credit)."""
    company = Company("lookup")
    with_issuer(monkeypatch, company, ["hang_after"], timedelta(0))
    reward = earn(asha)
    payout = intend(alice, method, reward)
    carrier.work(payout.pk)
    payout.refresh_from_db()
    assert (payout.status, state(reward)[0]) == ("needs_attention", "sending")
    assert decide(payout.pk, paid=True, actor=ACTOR, note="Seen in the shop.") == "paid"
    assert (state(reward)[0], ledger()[1:], len(company.transfers)) == ("issued", [("pay", -1500)], 1)


def test_a_company_that_is_not_reached_keeps_its_key_fresh(
    alice: Cast, asha: Participant, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = Company("life")
    with_issuer(monkeypatch, company, life=timedelta(hours=24))
    payout = intend(alice, method, earn(asha))
    with monkeypatch.context() as patch:
        refused = HttpError("No connection.", retry=True, sent=False)
        patch.setattr(Issuer, "send", mock.Mock(side_effect=refused))
        carrier.work(payout.pk)
    payout.refresh_from_db()
    assert (payout.status, payout.called_at, payout.message) == ("sending", None, "No connection.")
    again(payout)
    payout.refresh_from_db()
    assert (payout.status, company.calls["find"]) == ("paid", 0)


@pytest.mark.parametrize(
    ("reason", "there"),
    [
        ("provider_rejected", "attention"),
        ("waiting_for_recipient", "waiting"),
        ("waiting_for_funds", "attention"),
        ("", "due"),
    ],
)
def test_a_clear_no_leaves_the_debt_where_it_can_be_paid_later(
    alice: Cast,
    asha: Participant,
    method: Method,
    company: Company,
    monkeypatch: pytest.MonkeyPatch,
    reason: str,
    there: str,
) -> None:
    reward = earn(asha)
    payout = intend(alice, method, reward)
    monkeypatch.setattr(Issuer, "send", lambda *_: Outcome("failed", "", "No.", reason))
    carrier.work(payout.pk)
    payout.refresh_from_db()
    assert (payout.status, payout.reason, payout.message) == ("failed", reason, "No.")
    assert (state(reward), ledger()) == ((there, reason), [("earn", 1500)])
    assert balances_of([asha.pk])[asha.pk].referrer.left == 1500


def test_an_answer_with_another_amount_is_for_a_person(
    alice: Cast, asha: Participant, method: Method, company: Company
) -> None:
    payout = intend(alice, method, earn(asha))
    company.pay(payout.key, 900)
    carrier.work(payout.pk)
    payout.refresh_from_db()
    assert (payout.status, payout.message, ledger()) == ("needs_attention", "It paid another amount.", [("earn", 1500)])


@pytest.mark.parametrize("what", ["hold", "ban", "refund", "void"])
def test_what_happens_before_the_claim_stops_the_payout(
    alice: Cast, asha: Participant, method: Method, company: Company, what: str
) -> None:
    reward = earn(asha)
    payout = intend(alice, method, reward)
    if what == "ban":
        bans.ban(participant=asha, actor=ACTOR, reason="Fraud.")
    elif what == "refund":
        take_back(alice, reward)
    else:
        lifecycle.hold(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR) if what == "hold" else lifecycle.void(
            tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, note="No."
        )
    before = state(reward)
    assert not carrier.work(payout.pk)
    payout.refresh_from_db()
    assert (payout.status, company.transfers, state(reward)) == ("failed", [], before)
    assert before[0] in {"held", "void"}
    reward.refresh_from_db()
    assert reward.payout is None


def take_back(alice: Cast, reward: Reward) -> None:
    refunds.refund(tenant=alice.tenant, actor=ACTOR, source="manual", external_id=f"r{reward.pk}", event=reward.event)


def test_a_payout_goes_without_what_was_held_meanwhile(
    alice: Cast, asha: Participant, method: Method, company: Company
) -> None:
    held, stays = earn(asha, "f1"), earn(asha, "f2")
    payout = intend(alice, method, held, stays)
    lifecycle.hold(tenant=alice.tenant, reward_ids=[held.pk], actor=ACTOR)
    carrier.work(payout.pk)
    payout.refresh_from_db()
    assert (payout.status, payout.amount_minor, company.transfers) == ("paid", 1500, [(payout.key, 1500)])
    assert (state(held)[0], state(stays)[0]) == ("held", "issued")


def test_a_refund_while_it_is_on_the_wire_is_netted_by_the_next_one(
    alice: Cast, asha: Participant, method: Method, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    reward = earn(asha)
    payout = intend(alice, method, reward)
    send = Issuer.send

    def refunded_meanwhile(self: Issuer, order: Order, account: Account) -> Outcome:
        take_back(alice, reward)
        assert state(reward)[0] == "sending"
        return send(self, order, account)

    with monkeypatch.context() as patch:
        patch.setattr(Issuer, "send", refunded_meanwhile)
        carrier.work(payout.pk)
    assert (state(reward), company.transfers) == (("reversed", "refunded"), [(payout.key, 1500)])
    assert ledger() == [("earn", 1500), ("pay", -1500), ("reverse", -1500)]
    later = intend(alice, method, earn(asha, "f2"))
    assert (later.amount_minor, later.netted_minor, later.status) == (0, -1500, "paid")
    assert balances_of([asha.pk])[asha.pk].referrer.left == 0


def test_what_one_payout_on_its_way_nets_the_next_does_not_net_again(
    alice: Cast, asha: Participant, method: Method, company: Company
) -> None:
    first = earn(asha, "f1")
    payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[first.pk], actor=ACTOR, key="by-hand-1")
    take_back(alice, first)
    second = intend(alice, method, earn(asha, "f2"), earn(asha, "f3"))
    third = intend(alice, method, earn(asha, "f4"))
    assert [(row.amount_minor, row.netted_minor) for row in (second, third)] == [(1500, -1500), (1500, 0)]
    carrier.sweep()
    assert sum(minor for _key, minor in company.transfers) == 3000
    assert balances_of([asha.pk])[asha.pk].referrer.left == 0


def test_money_that_comes_back_is_owed_again_and_can_leave_once_more(
    alice: Cast, asha: Participant, method: Method, company: Company
) -> None:
    reward = earn(asha)
    payout = intend(alice, method, reward)
    carrier.work(payout.pk)
    back = Outcome("failed", "", "Nobody claimed it.", "waiting_for_recipient")
    assert [learn(payout.pk, back), learn(payout.pk, back)] == ["failed", "failed"]
    assert state(reward) == ("waiting", "waiting_for_recipient")
    assert ledger() == [("earn", 1500), ("pay", -1500), ("pay_back", 1500)]
    # And the company changes its mind: it was paid after all. The debt is settled, and the next payout nets it.
    assert learn(payout.pk, Outcome("paid", "tr_0")) == "paid"
    assert ledger()[-1] == ("pay", -1500)
    assert balances_of([asha.pk])[asha.pk].referrer.left == 0
    assert queueing.try_again(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR) == 1
    later = intend(alice, method, reward)
    assert (later.amount_minor, later.status, len(company.transfers)) == (0, "paid", 1)
    assert state(reward)[0] == "issued"


def test_a_message_that_is_faster_than_the_answer_settles_it_once(
    alice: Cast, asha: Participant, method: Method, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    reward = earn(asha)
    payout = intend(alice, method, reward)
    send = Issuer.send

    def told_meanwhile(self: Issuer, order: Order, account: Account) -> Outcome:
        found = send(self, order, account)
        assert learn(payout.pk, Outcome("paid", found.reference)) == "paid"
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Issuer, "send", told_meanwhile)
        carrier.work(payout.pk)
    assert (state(reward)[0], ledger()[1:]) == ("issued", [("pay", -1500)])


def test_what_has_not_left_can_be_withdrawn_and_nothing_else(
    alice: Cast, asha: Participant, method: Method, company: Company
) -> None:
    one, two = earn(asha, "f1"), earn(asha, "f2")
    first, second = intend(alice, method, one), intend(alice, method, two)
    carrier.work(first.pk)
    assert withdraw(payouts=[first.pk, second.pk], tenant=alice.tenant, actor=ACTOR) == 1
    assert (state(one)[0], state(two)[0]) == ("issued", "due")
    assert not carrier.work(second.pk)
    assert len(company.transfers) == 1
    with pytest.raises(Refused) as refused:
        payouts.undo(batch=first.batch, actor=ACTOR)
    assert (refused.value.code, state(one)[0]) == ("invalid_state", "issued")


def test_the_same_request_pays_once_and_another_merchant_s_reward_is_not_found(
    alice: Cast, charlie: Cast, asha: Participant, method: Method, company: Company
) -> None:
    reward = earn(asha)
    call: dict[str, Any] = {"reward_ids": [reward.pk], "method": method, "actor": ACTOR}
    batch, made = queue(tenant=alice.tenant, key="request-1", **call)
    assert (made, queue(tenant=alice.tenant, key="request-1", **call)) == (True, (batch, False))
    for tenant, code in ((alice.tenant, "invalid_state"), (charlie.tenant, "reward_not_found")):
        with pytest.raises(Refused) as refused:
            queue(tenant=tenant, key="request-2", **call)
        assert refused.value.code == code
    assert (Payout.objects.count(), PayoutBatch.objects.count()) == (1, 1)


def test_who_has_no_payout_address_waits_and_the_others_are_paid(
    alice: Cast, asha: Participant, method: Method, company: Company
) -> None:
    needs = Method(method.name, method.kinds, method.account, destination="paypal")
    reward = earn(asha)
    found = queueing.preview(alice.tenant, [reward.pk], needs)
    assert [(row.pk, code) for row, code in found.refused] == [(reward.pk, "waiting_for_recipient")]
    with pytest.raises(Refused) as refused:
        queue(tenant=alice.tenant, reward_ids=[reward.pk], method=needs, actor=ACTOR, key="request-1")
    assert (refused.value.code, state(reward)[0]) == ("nothing_payable", "due")


def test_a_payout_address_that_was_changed_stops_what_has_not_left(
    alice: Cast, asha: Participant, method: Method, company: Company
) -> None:
    needs = Method(method.name, method.kinds, method.account, destination="wise_email")
    values = {"holder": "Asha Verma", "email": "asha@pay.example"}

    def enter(**changed: str) -> None:
        row = destinations.ask(participant=asha, method="wise_email", values=values | changed, actor=ACTOR)
        assert destinations.confirm(token=destinations.confirm_token(row), actor=ACTOR) is not None

    enter()
    reward = earn(asha)
    # The same account with another name may be paid at once; another account is held, and what was meant for it waits.
    for changed, after in (
        ({"holder": "Asha M Verma"}, ("due", "")),
        ({"email": "thief@pay.example"}, ("waiting", "waiting_for_recipient")),
    ):
        payout = intend(alice, needs, reward)
        enter(**changed)
        carrier.work(payout.pk)
        payout.refresh_from_db()
        assert (payout.status, company.transfers, state(reward)) == ("failed", [], after)
    assert queueing.wake() == 0


def test_nothing_leaves_through_somebody_else_s_connection(
    alice: Cast, charlie: Cast, asha: Participant, method: Method, company: Company
) -> None:
    reward = earn(asha)
    payout = intend(alice, method, reward)
    Connection.objects.update(merchant=charlie.merchant)
    assert carrier.work(payout.pk)
    payout.refresh_from_db()
    assert (payout.status, company.transfers, state(reward)) == ("failed", [], ("due", ""))
    assert payout.message == "Its connection is gone or can't be opened. Connect anew."


def test_a_payout_that_can_not_be_worked_on_keeps_no_other_one_waiting(
    alice: Cast, asha: Participant, method: Method, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = intend(alice, method, earn(asha, "f1")), intend(alice, method, earn(asha, "f2"))
    leave = sending.leave

    def broken(rows: list[Payout]) -> list[Payout]:
        if bad in rows:
            raise RuntimeError("Never mind.")
        return leave(rows)

    monkeypatch.setattr(sending, "leave", broken)
    assert (carrier.sweep(), company.transfers) == (1, [(good.key, 1500)])
    bad.refresh_from_db()
    assert (bad.status, bad.attempts, bad.called_at) == ("queued", 0, None)
    assert bad.message == "It could not be worked on (RuntimeError); it will be tried again."
    assert carrier.sweep() == 0
    monkeypatch.undo()


def test_a_batch_is_completed_once_also_when_nothing_of_it_leaves(
    alice: Cast, asha: Participant, method: Method, company: Company
) -> None:
    payout = intend(alice, method, earn(asha, "f1"))
    assert withdraw(payouts=[payout.pk], tenant=alice.tenant, actor=ACTOR) == 1
    first = earn(asha, "f2")
    payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[first.pk], actor=ACTOR, key="by-hand-1")
    take_back(alice, first)
    netted = intend(alice, method, earn(asha, "f3"))
    assert (netted.amount_minor, netted.status) == (0, "paid")
    told = Event.objects.filter(type="payout.batch.completed").order_by("pk").values_list("subject_id", flat=True)
    assert list(told) == [row.public_id for row in PayoutBatch.objects.order_by("pk")]
    assert PayoutBatch.objects.filter(completed_at=None).count() == 0


def test_many_are_intended_with_as_many_questions_as_few(alice: Cast, method: Method, asha: Participant) -> None:
    """History names the campaign of each payout, which is not read for each."""

    def asked(name: str, people: int) -> int:
        who = [make_participant(asha.campaign, f"{name}{number}@example.com") for number in range(people)]
        keys = [earn(person, f"{name}-friend{number}").pk for number, person in enumerate(who)]
        with CaptureQueriesContext(connection) as queries:
            queue(tenant=alice.tenant, reward_ids=keys, method=method, actor=ACTOR, key=f"many-{name}")
        return len(queries)

    few = asked("few", 2)
    assert asked("many", 7) == few
    assert Payout.objects.filter(status="queued").count() == 9
    assert list(differences()) == []
