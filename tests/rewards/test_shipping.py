"""Several payouts in one call: frozen before it, never cut again, each with its own outcome, paid once (RELIABILITY 4; ADR 17)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from integrations import payouts as carrier
from integrations import registry, shipping
from integrations.base import Way
from integrations.models import Connection
from participants.models import Participant
from referrals.lib.errors import Refused
from referrals.lib.http import HttpError
from rewards import bans, lifecycle, payout_guards, settling
from rewards import shipping as rows
from rewards.models import LedgerEntry, Payout, PayoutAttempt, PayoutBatch, PayoutShipment, Reward
from rewards.orders import Order, Outcome, Shipped
from rewards.queueing import Method, queue, withdraw
from rewards.settling import decide, learn
from rewards.verify import differences
from tests.chaos.company import Company, Shipper
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db
SLUG = "stripe"  # any registered provider: what its own ways are is not tested here
LIFE = timedelta(days=30)


class Killed(BaseException):
    """The worker is gone."""


class Batches:
    """A company that takes three payouts in one call, and whose calls go wrong on order."""

    def __init__(self) -> None:
        self.company = Company("batch")
        self.faults: list[str] = []
        self.issuer = Shipper(self._call, LIFE)
        self.asked: list[str] = []

    def _call(self, verb: str, key: str, what: Any) -> tuple[int, dict[str, Any]]:
        self.asked.append(verb)
        if verb == "batch":
            return self.company.batch(key)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "killed":
            raise Killed
        if fault == "unreachable":
            raise HttpError("No connection within 3 seconds.", retry=True, sent=False)
        return self.company.ship(key, what, fault)

    def paid(self) -> list[tuple[str, int]]:
        return sorted(self.company.transfers)


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch) -> Iterator[Batches]:
    found = Batches()
    way = Way(SLUG, "Batches", "", frozenset({"cash"}), issuer="", together=3)
    monkeypatch.setattr(registry, "issuer", lambda slug: found.issuer)
    monkeypatch.setattr(registry, "ways", lambda: {SLUG: (registry.get(SLUG), way)})
    yield found
    assert list(differences()) == []


@pytest.fixture
def batch(alice: Cast, bank: Batches) -> PayoutBatch:
    """Payouts of 15.00 to three people."""
    return make_batch(alice, "first", 3)


def make_batch(alice: Cast, name: str, people: int, destination: str = "") -> PayoutBatch:
    row = Connection(merchant=alice.merchant, is_test=alice.tenant.is_test, provider=SLUG)
    row.secrets = {}
    row.save()
    campaign = make_campaign(alice.tenant, [fixed_rule(1500, kind="cash")])
    referrers = [make_participant(campaign, f"{name}{number}@example.com") for number in range(people)]
    rewards = [buy(make_friend(one, f"{one.pk}@example.net")).rewards[0] for one in referrers]
    method = Method(SLUG, frozenset({"cash"}), account=row.public_id, destination=destination)
    keys = [reward.pk for reward in rewards]
    made, _new = queue(tenant=alice.tenant, reward_ids=keys, method=method, actor=ACTOR, key=f"request-{name}")
    return made


def payouts(batch: PayoutBatch) -> list[Payout]:
    return list(batch.payouts.order_by("pk").select_related("participant"))


def states(batch: PayoutBatch) -> list[str]:
    return [row.status for row in payouts(batch)]


def again() -> int:
    """Every lease and every wait is over: the next worker takes what is left."""
    PayoutShipment.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=Now() - timedelta(seconds=1))
    return carrier.sweep()


def test_a_batch_leaves_in_one_call_and_each_payout_has_its_own_outcome(batch: PayoutBatch, bank: Batches) -> None:
    assert carrier.sweep() == 1
    shipment = PayoutShipment.objects.get()
    assert (states(batch), bank.asked) == (["paid"] * 3, ["ship", "batch"])
    assert bank.paid() == sorted((row.public_id, 1500) for row in payouts(batch))
    assert (shipment.key, shipment.reference, shipment.attempts) == (shipment.public_id, "ba_0", 1)
    assert (shipment.next_attempt_at, shipment.is_over, len(shipment.digest)) == (None, False, 64)
    for row in payouts(batch):
        assert (row.shipment, row.reference, row.attempts) == (shipment, f"ba_0/{row.public_id}", 1)
        assert row.next_attempt_at is None
    assert PayoutAttempt.objects.filter(state="paid", number=1).count() == 3
    assert LedgerEntry.objects.filter(kind="pay", amount_minor=-1500).count() == 3
    batch.refresh_from_db()
    assert batch.completed_at is not None
    assert (again(), len(bank.company.transfers)) == (0, 3)


def test_one_call_carries_no_more_than_it_may(alice: Cast, bank: Batches) -> None:
    batch = make_batch(alice, "many", 7)
    assert carrier.sweep() == 3
    sizes = sorted(shipment.payouts.count() for shipment in PayoutShipment.objects.all())
    assert (states(batch), sizes, len(bank.company.transfers)) == (["paid"] * 7, [1, 3, 3], 7)


def test_a_large_batch_keeps_no_other_one_waiting(alice: Cast, bank: Batches) -> None:
    make_batch(alice, "large", 7)
    make_batch(alice, "small", 1)
    order = [kind for kind, _pk in carrier._due()]
    assert order == ["pack", "pack"]
    assert [carrier._whatever_comes(piece) for piece in carrier._due()] == [True, True]
    assert len(bank.company.transfers) == 4


@pytest.mark.parametrize("fault", ["hang", "hang_after", "error", "error_after", "busy"])
def test_a_repeat_is_the_same_call_under_the_same_key_and_pays_once(
    batch: PayoutBatch, bank: Batches, fault: str
) -> None:
    bank.faults = [fault]
    carrier.sweep()
    assert (states(batch), carrier.sweep()) == (["unknown"] * 3, 0)  # not before its time
    before = PayoutShipment.objects.get()
    assert before.next_attempt_at is not None
    assert {row.turn_at for row in payouts(batch)} == {before.next_attempt_at}
    assert again() == 1
    after = PayoutShipment.objects.get()
    assert (after.key, after.digest, after.called_at, after.attempts) == (
        before.key,
        before.digest,
        before.called_at,
        2,
    )
    assert (states(batch), bank.paid()) == (["paid"] * 3, sorted((row.public_id, 1500) for row in payouts(batch)))
    assert [row.attempts for row in payouts(batch)] == [2, 2, 2]
    assert PayoutAttempt.objects.filter(number=1, state="unknown").count() == 3


def test_what_may_not_leave_at_the_claim_is_not_in_it(alice: Cast, bank: Batches) -> None:
    batch = make_batch(alice, "some", 6)
    held, banned, gone, *_fine, over = payouts(batch)
    lifecycle.hold(tenant=alice.tenant, reward_ids=[reward_of(held).pk], actor=ACTOR)
    bans.ban(participant=banned.participant, actor=ACTOR, reason="Suspicious.")
    withdraw(payouts=[gone.pk], tenant=alice.tenant, actor=ACTOR)
    payout_guards.set_limits(tenant=alice.tenant, actor=ACTOR, currency="USD", limits={"a_day_minor": 3000})
    assert carrier.sweep() == 2
    # Who was stopped has used up nothing of today's limit.
    assert states(batch) == ["failed", "failed", "undone", "paid", "paid", "queued"]
    assert bank.paid() == sorted((row.public_id, 1500) for row in payouts(batch)[3:5])
    assert (over.status, payouts(batch)[5].message) == ("queued", "Today's limit for all payouts is used up.")
    assert (again(), PayoutShipment.objects.count()) == (0, 2)


def reward_of(payout: Payout) -> Reward:
    return Reward.objects.get(payout=payout)


def test_nothing_leaves_while_the_switch_is_thrown_not_even_a_repeat(
    alice: Cast, batch: PayoutBatch, bank: Batches
) -> None:
    payout_guards.stop(tenant=alice.tenant, actor=ACTOR, note="Odd sums.")
    assert (carrier.sweep(), states(batch), bank.asked) == (0, ["queued"] * 3, [])
    payout_guards.go_on(tenant=alice.tenant, actor=ACTOR)
    bank.faults = ["hang"]
    carrier.sweep()
    payout_guards.stop(tenant=alice.tenant, actor=ACTOR, note="Odd sums.")
    assert (again(), states(batch), rows.claim(PayoutShipment.objects.get().pk)) == (0, ["unknown"] * 3, None)


def test_what_a_message_has_settled_meanwhile_is_settled_once_and_sent_again_unchanged(
    batch: PayoutBatch, bank: Batches
) -> None:
    bank.faults = ["hang_after"]
    carrier.sweep()
    first, *others = payouts(batch)
    learn(first.pk, Outcome("paid", "tr_9"))
    assert again() == 1
    assert (states(batch), len(bank.company.transfers)) == (["paid"] * 3, 3)
    assert LedgerEntry.objects.filter(kind="pay").count() == 3
    assert (payouts(batch)[0].reference, payouts(batch)[0].attempts) == ("tr_9", 1)
    assert [row.attempts for row in payouts(batch)[1:]] == [2 for _other in others]


@pytest.mark.parametrize("change", ["address", "person", "age"])
def test_what_can_not_be_sent_again_as_it_was_goes_to_a_person(batch: PayoutBatch, bank: Batches, change: str) -> None:
    bank.faults = ["hang"]
    carrier.sweep()
    if change == "address":
        Participant.objects.filter(pk=payouts(batch)[1].participant_id).update(email="other@example.com")
    elif change == "age":
        PayoutShipment.objects.update(called_at=Now() - LIFE * 0.81)
    else:
        settling.ask_a_person(payouts(batch)[1].pk, actor=ACTOR, message="What is this?")
        decide(payouts(batch)[1].pk, paid=False, actor=ACTOR, note="PayPal knows nothing of it.")
    assert again() == 1
    left = [row for row in states(batch) if row != "failed"]
    assert (set(left), bank.company.transfers, bank.asked) == ({"needs_attention"}, [], ["ship"])
    assert PayoutShipment.objects.get().is_over
    assert again() == 0
    for row in payouts(batch):
        decide(row.pk, paid=False, actor=ACTOR, note="PayPal knows nothing of it.")
    assert Reward.objects.filter(state="due").count() == 3


def test_three_days_without_a_word_are_enough(batch: PayoutBatch, bank: Batches) -> None:
    bank.faults = ["error", "error"]
    carrier.sweep()
    Payout.objects.update(called_at=Now() - settling.PATIENCE - timedelta(minutes=1))
    again()
    assert (states(batch), again()) == (["needs_attention"] * 3, 0)


def test_a_company_that_was_not_reached_knows_nothing_and_its_key_stays_fresh(
    batch: PayoutBatch, bank: Batches
) -> None:
    bank.faults = ["unreachable"]
    carrier.sweep()
    assert (states(batch), PayoutShipment.objects.get().called_at) == (["sending"] * 3, None)
    assert again() == 1
    assert (states(batch), bank.asked) == (["paid"] * 3, ["ship", "ship", "batch"])


def test_what_changes_while_the_company_is_out_of_reach_is_taken_out(batch: PayoutBatch, bank: Batches) -> None:
    bank.faults = ["unreachable", "hang"]
    carrier.sweep()
    first, second, third = payouts(batch)
    bans.ban(participant=second.participant, actor=ACTOR, reason="Fraud.")
    assert again() == 1
    second.refresh_from_db()
    assert (states(batch), second.shipment) == (["unknown", "failed", "unknown"], None)
    # From now on it is never cut again: a ban comes too late, and the repeat is the same call.
    bans.ban(participant=third.participant, actor=ACTOR, reason="Fraud.")
    assert again() == 1
    assert (states(batch), bank.paid()) == (["paid", "failed", "paid"], sorted([(first.key, 1500), (third.key, 1500)]))
    held = Reward.objects.order_by("pk").values_list("state", flat=True)
    assert list(held) == ["issued", "held", "issued"]


def test_a_shipment_of_which_nothing_is_left_is_not_sent(batch: PayoutBatch, bank: Batches) -> None:
    bank.faults = ["unreachable"]
    carrier.sweep()
    for payout in payouts(batch):
        bans.ban(participant=payout.participant, actor=ACTOR, reason="Fraud.")
    assert (again(), again()) == (0, 0)
    assert (states(batch), bank.asked) == (["failed"] * 3, ["ship"])


def test_what_is_refused_as_a_whole_is_due_again_or_waits(batch: PayoutBatch, bank: Batches) -> None:
    bank.faults = ["refused"]
    carrier.sweep()
    assert (states(batch), bank.company.transfers, again()) == (["failed"] * 3, [], 0)
    assert {(row.state, row.reason) for row in Reward.objects.all()} == {("attention", "provider_rejected")}


def test_one_that_the_company_does_not_name_is_unknown_and_another_amount_goes_to_a_person(
    batch: PayoutBatch, bank: Batches
) -> None:
    bank.faults = ["hang_after"]
    carrier.sweep()
    first, second, third = payouts(batch)
    bank.company.batches[0] = [(first.public_id, 1500), (second.public_id, 1400)]
    again()
    assert states(batch) == ["paid", "needs_attention", "unknown"]
    assert "does not name" in payouts(batch)[2].message
    bank.company.batches[0].append((third.public_id, 1500))
    again()
    # Its name is known by now, so the company was asked, and nothing was sent again.
    assert (states(batch), bank.asked[-1], bank.company.calls["ship"]) == (
        ["paid", "needs_attention", "paid"],
        "batch",
        2,
    )


@pytest.mark.parametrize("where", ["packed", "called", "half settled"])
def test_after_a_crash_the_next_worker_goes_on_by_asking(
    batch: PayoutBatch, bank: Batches, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, done = settling.settle, 0

    def settle(order: Order, outcome: Outcome, **kept: Any) -> str:
        nonlocal done
        done += 1
        if where == "called" or done == 2:
            raise Killed
        return real(order, outcome, **kept)

    if where == "packed":
        bank.faults = ["killed"]
    else:
        monkeypatch.setattr(settling, "settle", settle)
    with pytest.raises(Killed):
        carrier.sweep()
    monkeypatch.setattr(settling, "settle", real)
    assert carrier.sweep() == 0  # the lease is still good
    assert again() == 1
    assert (states(batch), len(bank.company.transfers)) == (["paid"] * 3, 3)
    assert LedgerEntry.objects.filter(kind="pay").count() == 3


def test_an_answer_after_the_lease_is_lost_changes_nothing(batch: PayoutBatch, bank: Batches) -> None:
    mine = rows.pack(payouts(batch)[0].pk, 3, lease=timedelta(seconds=-1))
    assert mine is not None
    theirs = rows.claim(mine.shipment.shipment_id)
    assert theirs is not None
    outcomes = {row.public_id: Outcome("paid", "tr_1") for row in payouts(batch)}
    rows.settle(mine, outcomes, reference="ba_7", key_life=LIFE)
    assert (states(batch), PayoutShipment.objects.get().reference) == (["sending"] * 3, "")
    assert rows.claim(mine.shipment.shipment_id) is None
    rows.settle(theirs, outcomes, reference="ba_8", key_life=LIFE)
    assert (states(batch), PayoutShipment.objects.get().reference) == (["paid"] * 3, "ba_8")
    for row in payouts(batch):
        assert row.reference == "tr_1"


def test_a_connection_that_is_gone_pays_nothing(batch: PayoutBatch, bank: Batches) -> None:
    Connection.objects.update(provider="shopify")
    carrier.sweep()
    assert (states(batch), bank.asked) == (["failed"] * 3, [])
    assert Reward.objects.filter(state="due").count() == 3


def test_a_message_about_the_whole_makes_us_ask_once_for_all(
    alice: Cast, batch: PayoutBatch, bank: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = bank.issuer.send_many

    def later(*given: Any) -> Any:
        real(*given)
        return Shipped({row.public_id: Outcome("sent") for row in payouts(batch)}, "ba_0")

    monkeypatch.setattr(bank.issuer, "send_many", later)
    carrier.sweep()
    assert (states(batch), carrier.ask()) == (["sent"] * 3, 0)
    connection = Connection.objects.get()
    assert not carrier.told(connection, ["ba_1", "ps_nobody"])
    bank.asked.clear()
    assert carrier.told(connection, ["ba_0"])
    assert carrier.ask() == 1
    assert (states(batch), bank.asked) == (["paid"] * 3, ["batch"])
    # One that has a name of its own, and is the only one due, is asked about by itself.
    monkeypatch.setattr(bank.issuer, "check", lambda order, account: Outcome("failed", order.reference, "Returned."))
    assert carrier.told(connection, [payouts(batch)[1].reference])
    assert carrier.ask() == 1
    assert (states(batch), bank.asked) == (["paid", "failed", "paid"], ["batch"])


def test_who_is_alone_because_of_another_currency_or_time_has_a_shipment_of_its_own(
    alice: Cast, batch: PayoutBatch, bank: Batches
) -> None:
    first = payouts(batch)[0]
    Payout.objects.filter(pk=first.pk).update(next_attempt_at=Now() + timedelta(hours=1))
    assert carrier.sweep() == 1
    assert states(batch) == ["queued", "paid", "paid"]
    with pytest.raises(Refused):
        withdraw_sent(alice, batch)
    Payout.objects.filter(pk=first.pk).update(next_attempt_at=Now())
    assert (carrier.sweep(), states(batch), PayoutShipment.objects.count()) == (1, ["paid"] * 3, 2)


def withdraw_sent(alice: Cast, batch: PayoutBatch) -> None:
    """Nothing of what has left can be withdrawn; of what has not, its rewards can."""
    if withdraw(payouts=[row.pk for row in payouts(batch)[1:]], tenant=alice.tenant, actor=ACTOR) == 0:
        raise Refused("invalid_state", "Nothing was withdrawn.")


def test_a_method_without_company_is_shipped_by_nobody(batch: PayoutBatch) -> None:
    assert shipping.shipper("manual") is None
    assert shipping.methods() == [SLUG]
