"""A company's books against ours, both ways: what differs is asked about, and what can't be explained is told once (issue 6, part 1)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db.models.functions import Now
from django.test import Client

from integrations import payout_checking, registry
from integrations import payouts as carrier
from integrations.base import Account, Found, ProviderError, Way
from integrations.models import Connection, PayoutComparison, PayoutDifference
from participants.models import Participant
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards.models import LedgerEntry, Payout
from rewards.orders import Outcome
from tests.factories import ACTOR, Cast
from tests.integrations.test_payout_asking import Slow, asha, connection, ledger, sent, slow
from tests.rewards.paying import FIRST

pytestmark = pytest.mark.django_db
__all__ = ["asha", "connection", "slow"]


class Books:
    """What the company lists."""

    def __init__(self) -> None:
        self.rows: list[Found] = []
        self.spans: list[timedelta] = []
        self.problem: Exception | None = None

    def __call__(self, account: Account, since: datetime, until: datetime) -> Iterator[Found]:
        self.spans.append(until - since)
        if self.problem:
            raise self.problem
        yield from self.rows


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> Books:
    found = Books()
    way = Way(name=FIRST, label="Bank", summary="", kinds=frozenset({"cash"}), issuer="", recent="x")
    monkeypatch.setattr(registry, "ways", lambda: {FIRST: (registry.get(FIRST), way)})
    monkeypatch.setattr(registry, "recent", lambda method: found)
    return found


def listed(payout: Payout, minor: int = 0, state: Any = "paid", reference: str = "tr_9") -> Found:
    return Found(payout.key, reference, Money(minor or payout.amount_minor, "USD"), state, clock.wall())


def compare(times: int = 1) -> None:
    for _ in range(times):
        PayoutComparison.objects.update(next_at=clock.wall())
        payout_checking.compare_all()


def differences() -> list[tuple[str, int | None, int | None]]:
    return list(PayoutDifference.objects.order_by("pk").values_list("kind", "ours_minor", "theirs_minor"))


def old(payout: Payout) -> None:
    """Sent long enough ago to stand in the list."""
    Payout.objects.filter(pk=payout.pk).update(called_at=Now() - timedelta(minutes=30), check_at=None)


def test_books_that_agree_leave_nothing_and_are_read_in_short_and_long_spans(
    alice: Cast, asha: Participant, connection: Connection, slow: Slow, books: Books
) -> None:
    payout = sent(alice, asha, connection)
    old(payout)
    books.rows = [listed(payout, state="sent"), Found("their-own-7", "tr_1", Money(99, "USD"), "paid", clock.wall())]
    compare(2)
    assert (differences(), slow.asked) == ([], [])
    assert [span > timedelta(days=6) for span in books.spans] == [True, False]
    row = PayoutComparison.objects.get()
    assert (row.looked_at, row.problem) == (2, "")
    assert payout_checking.compare_all() == 0  # not for a quarter of an hour


@pytest.mark.parametrize("state", ["failed", "unknown"])
def test_what_the_company_paid_and_we_do_not_know_of_is_asked_about_and_booked(
    alice: Cast, asha: Participant, connection: Connection, slow: Slow, books: Books, state: Any
) -> None:
    slow.now = Outcome(state, "", "No.", "provider_rejected")
    payout = sent(alice, asha, connection)
    assert ledger()[1:] == []
    books.rows = [listed(payout)]
    slow.now = Outcome("paid", "tr_9")
    compare()
    carrier.ask()
    Payout.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=Now())
    carrier.sweep()
    payout.refresh_from_db()
    assert (payout.status, ledger()[1:], differences()) == ("paid", [("pay", -1500)], [])


def test_what_it_does_not_know_is_missing_until_it_knows_it(
    alice: Cast, asha: Participant, connection: Connection, slow: Slow, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    payout = sent(alice, asha, connection)
    old(payout)
    with monkeypatch.context() as patched:
        patched.setattr(slow, "check", lambda order, account: None)
        compare(2)
        assert carrier.ask() == 1
    assert differences() == [("missing", 1500, None)]
    compare()
    assert carrier.ask() == 1
    row = PayoutDifference.objects.get()
    assert (row.ended_at is not None, row.ended_by, row.note) == (True, "", "The company knows it now.")


def test_what_cannot_be_explained_is_told_once_and_ended_by_a_person(
    alice: Cast,
    bob: Cast,
    charlie: Cast,
    asha: Participant,
    connection: Connection,
    slow: Slow,
    books: Books,
    client: Client,
) -> None:
    payout = sent(alice, asha, connection)
    old(payout)
    stranger = Found("po_0000000000000000000000", "tr_5", Money(700, "USD"), "paid", clock.wall())
    books.rows = [listed(payout, 1400), listed(payout, 1500, reference="tr_10"), stranger]
    mail.outbox.clear()
    compare(3)
    assert differences() == [("twice", 1500, 1500), ("amount", 1500, 1400), ("stranger", None, 700)]
    assert [letter.subject for letter in mail.outbox] == ["3 payouts do not agree with the company"]
    assert stranger.key in mail.outbox[0].body
    assert Event.objects.filter(type="payout.difference_found").count() == 3
    assert LedgerEntry.objects.count() == 2
    client.force_login(alice.user)
    page = client.get("/app/payouts/attention/").content.decode()
    assert "The company paid another amount" in page
    assert "$14.00" in page
    one = PayoutDifference.objects.get(kind="amount")
    url = f"/app/payouts/difference/{one.public_id}/"
    assert [who.client.post(url, {"note": "x"}).status_code for who in (bob, charlie)] == [403, 404]
    client.force_login(alice.user)
    assert "Say what you found" in client.post(url, {"note": " "}, follow=True).content.decode()
    one.refresh_from_db()
    assert one.ended_at is None
    assert client.post(url, {"note": "A fee."}).status_code == 303
    with pytest.raises(Refused) as again:
        payout_checking.end(tenant=alice.tenant, public_id=one.public_id, actor=ACTOR, note="Once more.")
    assert again.value.code == "invalid_state"
    compare()
    assert (len(differences()), len(mail.outbox)) == (3, 1)
    assert [row.kind for row in payout_checking.open_differences(alice.tenant)] == ["twice", "stranger"]


def test_a_company_that_cannot_be_asked_is_asked_later_and_says_why(
    alice: Cast, asha: Participant, connection: Connection, slow: Slow, books: Books
) -> None:
    books.problem = ProviderError("The key is refused.", retry=False)
    compare()
    row = PayoutComparison.objects.get()
    assert (row.problem, row.done_at) == ("The key is refused.", None)
    assert row.next_at - clock.wall() > timedelta(minutes=25)
