"""What becomes of a payout later: a company's message is a reason to ask it, and what it answers is what counts (issue 6, part 1)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from integrations import payouts as carrier
from integrations import registry
from integrations.base import Account, Signal, Way
from integrations.effects import apply
from integrations.methods import find, issue, options
from integrations.models import Connection, InboundEvent
from integrations.outcomes import Effect
from participants.models import Participant
from referrals.lib import clock
from referrals.lib.errors import Refused
from rewards.models import LedgerEntry, Payout, PayoutBatch, PayoutGift
from rewards.orders import Gift, Order, Outcome
from rewards.payout_guards import fund_batch
from rewards.queueing import Method
from rewards.verify import differences
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_participant
from tests.rewards.paying import FIRST, earn, intend, state

pytestmark = pytest.mark.django_db
CODE = Gift(code="HALDEN-4R7Q-2K9M", pin="1234")


class Slow:
    """Takes every payout and says later what became of it."""

    key_life = None

    def __init__(self) -> None:
        self.now = Outcome("sent", "tr_9", "On its way.")
        self.asked: list[Order] = []

    def send(self, order: Order, account: Account) -> Outcome:
        return self.now

    def check(self, order: Order, account: Account) -> Outcome | None:
        self.asked.append(order)
        return self.now


@pytest.fixture
def asha(alice: Cast) -> Participant:
    return make_participant(make_campaign(alice.tenant, [fixed_rule(1500, kind="cash")]))


@pytest.fixture
def connection(alice: Cast) -> Connection:
    row = Connection(merchant=alice.merchant, is_test=alice.tenant.is_test, provider=FIRST)
    row.secrets = {"webhook_secret": "whsec_x"}
    row.save()
    return row


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    found = Slow()
    monkeypatch.setattr(registry, "issuer", lambda slug: found)
    return found


def sent(alice: Cast, asha: Participant, connection: Connection) -> Payout:
    payout = intend(alice, Method(FIRST, frozenset({"cash"}), account=connection.public_id), earn(asha))
    assert carrier.sweep() == 1
    payout.refresh_from_db()
    return payout


def message(connection: Connection, *names: str) -> Effect:
    row = InboundEvent(connection=connection, merchant=connection.merchant, is_test=connection.is_test, type="transfer")
    return apply(row, Signal("payout", "msg_1", names, clock.now()))


def ledger() -> list[tuple[str, int]]:
    return list(LedgerEntry.objects.order_by("pk").values_list("kind", "amount_minor"))


def test_a_message_makes_us_ask_and_the_answer_counts_once(
    alice: Cast, asha: Participant, connection: Connection, slow: Slow
) -> None:
    payout = sent(alice, asha, connection)
    assert (payout.status, payout.reference, ledger()[1:]) == ("sent", "tr_9", [("pay", -1500)])
    assert Payout.objects.filter(check_at__gt=Now() + timedelta(minutes=4)).exists()
    assert carrier.ask() == 0  # not for five minutes
    slow.now = Outcome("paid", "tr_9", gift=CODE)
    for name in (payout.key, payout.public_id, "tr_9"):
        assert message(connection, "", name).code == "payout_told"
        assert carrier.ask() == 1
    payout.refresh_from_db()
    assert payout.check_at is None
    assert (payout.status, payout.checks, len(slow.asked)) == ("paid", 3, 3)
    gift = PayoutGift.objects.get()
    assert (gift.hint, gift.secrets) == ("2K9M", {"code": CODE.code, "url": "", "pin": "1234"})
    assert CODE.code not in gift.sealed
    # It came back: the opposite line, and what is owed waits.
    slow.now = Outcome("failed", "tr_9", "Returned.", "waiting_for_recipient")
    message(connection, "tr_9")
    carrier.ask()
    payout.refresh_from_db()
    assert (payout.status, ledger()[1:]) == ("failed", [("pay", -1500), ("pay_back", 1500)])
    assert list(differences()) == []


def test_messages_that_come_five_times_and_the_last_one_first_count_once(
    alice: Cast, asha: Participant, connection: Connection, slow: Slow
) -> None:
    """What a message says is not believed, so neither its order nor its number counts: the company says how it stands now."""
    payout = sent(alice, asha, connection)
    slow.now = Outcome("paid", "tr_9", gift=CODE)
    for name in ("paid", "taken", "created"):
        for _ in range(5):
            assert message(connection, "", payout.key, name).code == "payout_told"
        assert carrier.ask() == 1
    payout.refresh_from_db()
    assert (payout.status, ledger()[1:], len(slow.asked)) == ("paid", [("pay", -1500)], 3)
    assert PayoutGift.objects.count() == 1


def test_a_message_about_nothing_of_this_connection_is_ignored(
    alice: Cast, asha: Participant, connection: Connection, slow: Slow
) -> None:
    payout = sent(alice, asha, connection)
    other = Connection(merchant=alice.merchant, is_test=alice.tenant.is_test, provider=FIRST)
    other.secrets = {}
    other.save()
    with pytest.raises(Exception, match="payout_unknown"):
        message(other, payout.key)
    with pytest.raises(Exception, match="payout_unknown"):
        message(connection, "", "po_nobody")
    assert (carrier.ask(), slow.asked) == (0, [])


def test_a_message_that_comes_before_the_answer_is_looked_after_when_it_is_there(
    alice: Cast, asha: Participant, connection: Connection, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = slow.send

    def send(order: Order, account: Account) -> Outcome:
        assert message(connection, order.key).code == "payout_told"
        assert carrier.ask() == 0  # it is being sent
        return first(order, account)

    monkeypatch.setattr(slow, "send", send)
    payout = sent(alice, asha, connection)
    assert (payout.status, slow.asked) == ("sent", [])
    slow.now = Outcome("paid", "tr_9")
    assert carrier.ask() == 1
    payout.refresh_from_db()
    assert payout.status == "paid"


def test_without_messages_it_is_asked_by_and_by_and_one_who_cannot_be_asked_later_again(
    alice: Cast, asha: Participant, connection: Connection, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    payout = sent(alice, asha, connection)

    def wait() -> timedelta:
        Payout.objects.filter(pk=payout.pk).update(check_at=Now() - timedelta(seconds=1))
        assert carrier.ask() == 1
        payout.refresh_from_db()
        assert payout.check_at is not None
        return timedelta(minutes=round((payout.check_at - clock.wall()).total_seconds() / 60))

    assert [wait() for _ in range(5)] == [timedelta(minutes=n) for n in (30, 120, 360, 1440, 1440)]
    monkeypatch.setattr(slow, "check", lambda order, account: 1 / 0)
    assert wait() == timedelta(minutes=10)
    assert payout.status == "sent"


def test_a_person_who_asks_sees_what_the_company_says_now(
    alice: Cast, asha: Participant, connection: Connection, slow: Slow
) -> None:
    slow.now = Outcome("ask", "tr_9", "It paid another amount.")
    payout = sent(alice, asha, connection)
    assert payout.status == "needs_attention"
    slow.now = Outcome("paid", "tr_9")
    assert carrier.ask_now(payout.pk) == "paid"
    assert ledger()[1:] == [("pay", -1500)]


def test_what_is_on_its_way_when_a_person_asks_is_looked_after_from_then_on(
    alice: Cast, asha: Participant, connection: Connection, slow: Slow
) -> None:
    slow.now = Outcome("ask", "tr_9", "It can't be read.")
    payout = sent(alice, asha, connection)
    slow.now = Outcome("sent", "tr_9", "On its way.")
    assert carrier.ask_now(payout.pk) == "sent"
    assert Payout.objects.filter(check_at__gt=Now(), check_at__lt=Now() + timedelta(minutes=6)).exists()
    # Nobody tells us, and it comes back all the same.
    slow.now = Outcome("failed", "tr_9", "Returned.", "waiting_for_recipient")
    Payout.objects.update(check_at=Now())
    assert carrier.ask() == 1
    assert ledger()[1:] == [("pay", -1500), ("pay_back", 1500)]
    assert list(differences()) == []


def test_what_can_be_chosen_and_a_batch_that_waits_for_money(
    alice: Cast, asha: Participant, connection: Connection, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = Way(
        name=FIRST,
        label="Slowly",
        summary="It takes days.",
        kinds=frozenset({"cash"}),
        issuer="",
        waits_for_funds=lambda settings: True,
    )
    provider = registry.get(FIRST)
    monkeypatch.setattr(registry, "ways", lambda: {FIRST: (provider, way)})
    object.__setattr__(provider, "ways", (*provider.ways, way))
    try:
        values = [option.value for option in options(alice.tenant)]
        option = find(alice.tenant, f"{FIRST}:{connection.public_id}")
    finally:
        object.__setattr__(provider, "ways", provider.ways[:-1])
    assert values[0] == "manual"
    assert option.value in values
    with pytest.raises(Refused) as no:
        find(alice.tenant, "gold")
    assert no.value.code == "method_unknown"
    reward = earn(asha)
    given: dict[str, Any] = {"tenant": alice.tenant, "reward_ids": [reward.pk], "actor": ACTOR, "key": "request-1"}
    with pytest.raises(Refused) as no:
        issue(option, **given, chosen={"product": "x"})
    assert (no.value.code, no.value.field, PayoutBatch.objects.count()) == ("option", "product", 0)
    batch, made = issue(option, **given)
    assert (made, batch.needs_funding, carrier.sweep(), state(reward)) == (True, True, 0, ("queued", ""))
    fund_batch(batch=batch, actor=ACTOR)
    with pytest.raises(Refused) as no:
        fund_batch(batch=batch, actor=ACTOR)
    assert no.value.code == "invalid_state"
    assert (carrier.sweep(), state(reward)) == (1, ("issued", ""))
