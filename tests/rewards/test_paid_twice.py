"""What somebody would try who wants to be paid twice, or elsewhere: between the parts of the payout machine that do not know each other
(issue "Pay", parts 1, 4, 6 and 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from integrations import methods, veto
from integrations import payouts as carrier
from integrations.base import Way
from integrations.methods import Option
from integrations.models import Connection
from integrations.providers.paypal.issuer import body_of
from participants import destinations
from participants.models import Participant
from referrals.events.models import Event
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.http import HttpError
from referrals.lib.money import Money
from rewards import bans, lifecycle, payout_guards, personal
from rewards.files.freezing import freeze, preview
from rewards.files.returned import mark_all, take_file
from rewards.models import LedgerEntry, Payout, PayoutGift, PayoutVeto, VetoEndpoint
from rewards.orders import Gift, Order, Outcome
from rewards.queueing import Method, withdraw
from rewards.settling import learn
from tests.chaos.company import Company, Issuer
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_participant
from tests.rewards.paying import again, asha, company, earn, intend, ledger, method, state, with_issuer
from tests.rewards.test_sending import take_back

pytestmark = pytest.mark.django_db
__all__ = ["asha", "company", "method"]  # fixtures


def not_reached(monkeypatch: pytest.MonkeyPatch, payout: Payout) -> None:
    """One try while the company can't be reached at all."""
    with monkeypatch.context() as patch:
        refused = HttpError("No connection.", retry=True, sent=False)
        patch.setattr(Issuer, "send", mock.Mock(side_effect=refused))
        carrier.work(payout.pk)
    payout.refresh_from_db()
    assert (payout.status, payout.called_at) == ("sending", None)


@pytest.mark.parametrize(
    ("what", "after"),
    [
        ("ban", ("held", "referrer_banned")),
        ("erase", ("void", "recipient_erased")),
        ("refund", ("void", "refunded")),
        ("address", ("waiting", "waiting_for_recipient")),
    ],
)
def test_what_changes_while_the_company_is_out_of_reach_does_not_leave(
    alice: Cast,
    asha: Participant,
    method: Method,
    company: Company,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    after: Any,
) -> None:
    def enter(address: str) -> None:
        values = {"holder": "Asha Verma", "email": address}
        row = destinations.ask(participant=asha, method="wise_email", values=values, actor=ACTOR)
        assert destinations.confirm(token=destinations.confirm_token(row), actor=ACTOR) is not None

    enter("asha@pay.example")
    reward = earn(asha)
    payout = intend(alice, Method(method.name, method.kinds, method.account, destination="wise_email"), reward)
    not_reached(monkeypatch, payout)
    if what == "ban":
        bans.ban(participant=asha, actor=ACTOR, reason="Fraud.")
    elif what == "erase":
        personal.erase(participant=asha, actor=ACTOR)
    elif what == "refund":
        take_back(alice, reward)
    else:
        enter("other@pay.example")
    assert not again(payout)
    payout.refresh_from_db()
    assert (payout.status, company.transfers, state(reward)) == ("failed", [], after)


def test_what_stays_the_same_leaves_as_soon_as_the_company_is_there(
    alice: Cast, asha: Participant, method: Method, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    payout = intend(alice, method, earn(asha))
    not_reached(monkeypatch, payout)
    assert again(payout)
    assert company.transfers == [(payout.key, 1500)]


def test_who_was_erased_meanwhile_is_sent_nothing_again_and_a_person_is_asked(
    alice: Cast, asha: Participant, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = Company("original")
    with_issuer(monkeypatch, company, ["hang"])
    payout = intend(alice, method, earn(asha))
    carrier.work(payout.pk)
    personal.erase(participant=asha, actor=ACTOR)
    again(payout)
    payout.refresh_from_db()
    assert (payout.status, company.transfers) == ("needs_attention", [])
    assert "erased" in payout.message


def test_what_was_paid_after_all_does_not_leave_with_the_next_payout_that_waits(
    alice: Cast, asha: Participant, method: Method, company: Company
) -> None:
    reward = earn(asha)
    first = intend(alice, method, reward)
    carrier.work(first.pk)
    learn(first.pk, Outcome("failed", "", "It says no.", ""))
    second = intend(alice, method, reward)
    assert learn(first.pk, Outcome("paid", "tr_0")) == "paid"
    assert not carrier.work(second.pk)
    second.refresh_from_db()
    assert (second.status, len(company.transfers), state(reward)[0]) == ("failed", 1, "due")
    # Together with another one it is set off, and leaves.
    third = intend(alice, method, reward, earn(asha, "zoe"))
    assert (third.amount_minor, third.netted_minor) == (1500, -1500)
    assert carrier.work(third.pk)
    assert [minor for _key, minor in company.transfers] == [1500, 1500]
    assert sum(minor for _kind, minor in ledger()) == 0


def only_fifteen(connection: Connection | None, amount: Money, options: Mapping[str, Any]) -> str:
    """A company that has nothing but cards of fifteen dollars (Way.obstacle)."""
    return "" if amount.minor == 1500 else f"There is no card of {amount}."


def test_a_company_is_asked_whether_it_can_pay_what_leaves_and_not_each_reward(
    alice: Cast, asha: Participant, method: Method
) -> None:
    way = Way(
        name=method.name,
        label="Card",
        summary="",
        kinds=method.kinds,
        issuer="",
        obstacle=f"{__name__}.only_fifteen",
    )
    option = Option(method, "Card", "", way=way)
    one, two = earn(asha, "f1"), earn(asha, "f2")
    assert methods.preview(option, alice.tenant, [one.pk]).refused == []
    both = methods.preview(option, alice.tenant, [one.pk, two.pk])
    # Nobody has a card of thirty, so each is a card of its own.
    assert (both.refused, both.apart) == ([], frozenset({one.pk, two.pk}))
    # Five of the thirty are set off against what was taken back before: then neither is to be had.
    owe(alice, asha, 500)
    left = methods.preview(option, alice.tenant, [one.pk, two.pk])
    assert (left.refused, left.apart) == (
        [(one, "There is no card of $10.00."), (two, "There is no card of $10.00.")],
        frozenset(),
    )
    with pytest.raises(Refused, match=r"no card of \$10.00") as caught:
        methods.issue(option, tenant=alice.tenant, reward_ids=[one.pk, two.pk], actor=ACTOR, key="request-1")
    assert (caught.value.code, Payout.objects.count(), state(one)) == ("method_unsuitable", 0, ("due", ""))
    # Fifteen of them are: what is left is one card.
    owe(alice, asha, 1000)
    netted = methods.preview(option, alice.tenant, [one.pk, two.pk])
    assert (netted.refused, netted.apart) == ([], frozenset())
    assert [code for _row, code in methods.preview(option, alice.tenant, [one.pk]).refused] == []  # nothing to send


def owe(alice: Cast, person: Participant, minor: int, currency: str = "USD") -> None:
    LedgerEntry.objects.create(
        key=f"test:{person.public_id}:{minor}",
        merchant=alice.merchant,
        is_test=alice.tenant.is_test,
        participant=person,
        side="referrer",
        kind="adjust",
        note="A mistake.",
        amount_minor=-minor,
        currency=currency,
    )


def test_a_paypal_file_takes_whole_forints_of_what_leaves(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(1000_00, currency="HUF", kind="cash")], currency="HUF")
    person = make_participant(campaign)
    reward = earn(person)
    owe(alice, person, 50, "HUF")
    found = preview("paypal_file", alice.tenant, [reward.pk])
    assert found.refused == [(reward, "PayPal takes whole amounts only in HUF.")]
    with pytest.raises(Refused, match="whole amounts"):
        freeze("paypal_file", tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="request-1")
    assert state(reward) == ("due", "")


def test_a_file_is_not_marked_as_paid_before_the_second_person_agrees(alice: Cast, asha: Participant) -> None:
    limits = {"second_person_above_minor": 1000}
    payout_guards.set_limits(tenant=alice.tenant, actor=ACTOR, currency="USD", limits=limits)
    reward = earn(asha)
    batch, _made = freeze("csv_file", tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="request-1")
    data = f"payout_id,status\n{batch.payouts.get().public_id},paid\n".encode()
    marks: list[Callable[[], object]] = [
        lambda: mark_all(batch=batch, kind="paid", note="", actor=ACTOR),
        lambda: take_file(batch=batch, name="r.csv", data=data, actor=ACTOR),
    ]
    for mark in marks:
        with pytest.raises(Refused) as caught:
            mark()
        assert (caught.value.code, state(reward)[0], ledger()) == ("batch_waits", "sending", [("earn", 1500)])
    payout_guards.approve_batch(batch=batch, actor=Actor("user", "2", "bob@example.com"))
    batch.refresh_from_db()
    assert mark_all(batch=batch, kind="paid", note="", actor=ACTOR).paid == 1


def test_a_file_that_nobody_approves_can_be_withdrawn(alice: Cast, asha: Participant) -> None:
    limits = {"second_person_above_minor": 1000}
    payout_guards.set_limits(tenant=alice.tenant, actor=ACTOR, currency="USD", limits=limits)
    reward = earn(asha)
    batch, _made = freeze("csv_file", tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="request-1")
    assert mark_all(batch=batch, kind="withdrawn", note="", actor=ACTOR).failed == 1
    assert (state(reward), ledger()) == (("due", ""), [("earn", 1500)])


def test_nobody_is_asked_about_a_payout_that_was_withdrawn(
    alice: Cast, asha: Participant, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = VetoEndpoint(merchant=alice.merchant, is_test=alice.tenant.is_test, url="https://own.example/veto")
    endpoint.secrets = {"secret": "whsec_x"}
    endpoint.save()
    payout = intend(alice, method, earn(asha))
    assert withdraw(payouts=[payout.pk], tenant=alice.tenant, actor=ACTOR) == 1
    monkeypatch.setattr(veto, "ask", mock.Mock(side_effect=AssertionError("asked")))
    veto.sweep()
    assert PayoutVeto.objects.values_list("answer", "next_at").get() == ("gone", None)


def test_an_address_is_never_cut() -> None:
    address = "a" * 60 + "@" + "b" * 60 + ".example.com"
    order = Order(
        payout_id=1, public_id="po_1", key="po_1", number=1, method="paypal", account="con_1", amount=Money(100, "USD"),
        email=address, name="", address=address, note="", reference="", rewards=(), is_test=True,
        called_at=clock.wall() - timedelta(seconds=1), first_call=True,
    )  # fmt: skip
    assert len(address) > 127
    assert body_of([order], "ps_1")["items"][0]["receiver"] == address


def test_a_company_s_words_name_nobody(alice: Cast, asha: Participant, method: Method, company: Company) -> None:
    payout = intend(alice, method, earn(asha))
    carrier.work(payout.pk)
    learn(payout.pk, Outcome("failed", "", "No mailbox <asha@example.com>. Ask asha+x@pay.example.", ""))
    payout.refresh_from_db()
    assert payout.message == "No mailbox <(address)>. Ask (address)."
    told = Event.objects.filter(subject_id=payout.public_id).order_by("pk").last()
    assert told is not None
    assert told.data["message"] == payout.message


def test_an_answer_with_characters_that_no_database_keeps_counts_all_the_same(
    alice: Cast, asha: Participant, method: Method, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A company of which the money has left, and that could never be settled: asked every ten minutes, for ever."""
    odd = Outcome(
        "paid",
        "tr_\x00\ud83d",
        "Sent \udc00to\x00 her.",
        gift=Gift("ABCD-EFGH\x00", "https://x.example/\ud800", "1\x00"),
    )
    monkeypatch.setattr(Issuer, "send", lambda *_: odd)
    reward = earn(asha)
    payout = intend(alice, method, reward)
    assert carrier.work(payout.pk)
    payout.refresh_from_db()
    assert (payout.status, payout.reference, payout.message) == ("paid", "tr_\ufffd\ufffd", "Sent \ufffdto\ufffd her.")
    assert (state(reward), PayoutGift.objects.get().secrets["code"]) == (("issued", ""), "ABCD-EFGH\ufffd")


def test_words_without_an_address_stay_as_they_are() -> None:
    words = "We ordered $15.00 @ 10:00, and they say: “po_1@” is unknown."
    assert Outcome("ask", "", words).unnamed() == Outcome("ask", "", words)


def test_what_was_held_before_its_payout_was_withdrawn_is_in_none_any_more(
    alice: Cast, asha: Participant, method: Method, company: Company
) -> None:
    one, two = earn(asha, "f1"), earn(asha, "f2")
    payout = intend(alice, method, one, two)
    lifecycle.hold(tenant=alice.tenant, reward_ids=[one.pk], actor=ACTOR)
    assert withdraw(payouts=[payout.pk], tenant=alice.tenant, actor=ACTOR) == 1
    assert [state(one)[0], state(two)[0], one.payout, two.payout] == ["held", "due", None, None]
    lifecycle.release(tenant=alice.tenant, reward_ids=[one.pk], actor=ACTOR)
    assert carrier.work(intend(alice, method, one, two).pk)
    assert [minor for _key, minor in company.transfers] == [3000]
