"""A payout's page, a batch that moves, "Needs attention", and what can be pressed there (issue 6, part 5)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.urls import reverse

from integrations.models import Connection, InboundEvent
from referrals.accounts.models import Role
from referrals.accounts.services import user_actor
from referrals.events.models import Event
from referrals.lib import clock
from referrals.web.payout_words import words_of
from rewards import lifecycle, payout_guards, sending, settling
from rewards.models import Payout, PayoutBatch, PayoutGift, PayoutVeto, Reward
from rewards.orders import Gift, Order, Outcome
from rewards.queueing import Method, queue
from rewards.verify import differences
from tests.factories import ACTOR, Cast, make_cast, make_reward
from tests.web.rewards.conftest import states

METHOD = Method("somewhere", frozenset({"cash"}))


def queued(cast: Cast, *rewards: Reward, key: str = "key-of-a-test", **more: Any) -> list[Payout]:
    """A batch on its way, its payouts in the order of the rewards."""
    batch, _made = queue(
        tenant=cast.tenant, reward_ids=[row.pk for row in rewards], method=METHOD, actor=ACTOR, key=key, **more
    )
    return list(batch.payouts.order_by("pk"))


def claimed(payout: Payout) -> Order:
    """A worker has it."""
    Payout.objects.filter(pk=payout.pk).update(next_attempt_at=Now() - timedelta(seconds=1))
    order = sending.claim(payout.pk)
    assert order is not None
    return order


def ended(payout: Payout, outcome: Outcome, key_life: timedelta = timedelta(0)) -> Payout:
    """One try that came to this."""
    settling.settle(claimed(payout), outcome, key_life=key_life)
    payout.refresh_from_db()
    return payout


def page(cast: Cast, name: str, *args: str, **query: str) -> str:
    """The text of a page that is there."""
    response = cast.client.get(reverse(f"web:{name}", args=args), query)
    assert response.status_code == 200
    return str(response.content.decode())


def press(cast: Cast, name: str, *args: str, **data: Any) -> Any:
    """Post a page's form."""
    return cast.client.post(reverse(f"web:{name}", args=args), data)


@pytest.mark.parametrize(
    ("outcome", "status", "words"),
    [
        (Outcome("paid", "ref-1"), "paid", ["It was paid.", "ref-1"]),
        (Outcome("sent", "ref-2"), "sent", ["took it and is delivering it"]),
        (
            Outcome("failed", "", "The account is closed."),
            "failed",
            ["said no: The account is closed.", "Mend the cause", "Try again"],
        ),
        (
            Outcome("failed", "", "No money left.", "waiting_for_funds"),
            "failed",
            ["No money left.", "Put money into the account", "Try again"],
        ),
        (
            Outcome("failed", "", "No such address.", "waiting_for_recipient"),
            "failed",
            ["No such address.", "Its rewards wait. Mend what is wrong"],
        ),
        (Outcome("failed", "", "Gone.", ""), "failed", ["It did not leave: Gone.", "Its rewards are due again."]),
        (Outcome("unsent", "", "No way there."), "sending", ["It has not left yet: No way there."]),
        (
            Outcome("ask", "", "It paid another amount."),
            "needs_attention",
            ["Nobody can tell", "It was paid…", "It was not paid…"],
        ),
    ],
)
def test_each_state_has_its_sentence_and_its_next_step(
    alice: Cast, due: list[Reward], outcome: Outcome, status: str, words: list[str]
) -> None:
    payout = ended(queued(alice, due[0])[0], outcome)

    shown = page(alice, "payout", payout.public_id)

    assert payout.status == status
    for text in ["$15.00", "asha@example.com", payout.key, outcome.message, *words]:
        assert text in shown
    assert f"/app/rewards/{due[0].public_id}/" in shown


@pytest.mark.parametrize(
    ("method", "destination", "words"),
    [
        ("stripe_balance", "", "once a customer of theirs is known at Halden’s bank"),
        ("tremendous", "", "Mend what is wrong, such as their e-mail address, then press “Try again”."),
        ("paypal", "pd_1", "when the person has a payout address that may be used"),
        ("of a company that is gone", "", "Mend what is wrong"),
    ],
)
def test_what_waits_for_its_recipient_says_for_what(method: str, destination: str, words: str) -> None:
    row = Payout(status="failed", reason="waiting_for_recipient", message="No.", method=method, destination=destination)
    said = words_of(row, "Halden’s bank")
    assert (said.text, words in said.next) == ("No.", True)


def test_netting_says_what_it_netted(alice: Cast, due: list[Reward]) -> None:
    ended(queued(alice, due[0])[0], Outcome("paid", "r"))
    lifecycle.reverse(tenant=alice.tenant, reward_ids=[due[0].pk], actor=ACTOR, note="Charged back")
    more = [make_reward(due[0].campaign, "asha@example.com", f"{name}@example.net") for name in ("one", "two")]
    (payout,) = queued(alice, *more, key="another-key")

    shown = page(alice, "payout", payout.public_id)

    assert payout.amount_minor == 1500
    assert "Rewards of $30.00, less $15.00 that was taken back after it had been issued." in shown
    assert "Charged back" in shown


def test_a_batch_moves_and_stops_asking_when_nothing_is_open(alice: Cast, due: list[Reward]) -> None:
    payouts = queued(alice, *due[:3])
    batch = payouts[0].batch
    url = reverse("web:payout_batch", args=[batch.public_id]) + "?ticks=1"
    moving = {"hx-request": "true", "hx-target": "progress"}

    whole = page(alice, "payout_batch", batch.public_id)
    ended(payouts[0], Outcome("paid", "ref-1"))
    part = alice.client.get(url, headers=moving).content.decode()
    ended(payouts[1], Outcome("failed", "", "The account is closed."))
    ended(payouts[2], Outcome("ask", "", "It paid another amount."))
    last = alice.client.get(url, headers=moving).content.decode()

    assert "0 of 3 payouts are out" in whole
    assert f'hx-get="{url}" hx-trigger="every 2s"' in whole
    assert "Look again" in whole
    assert "1 of 3 payouts are out" in part
    assert f'id="result-{payouts[0].public_id}" hx-swap-oob="true"' in part
    assert f'<span id="tick-{payouts[0].public_id}" hx-swap-oob="true"></span>' in part
    assert "<html" not in part
    assert "every 2s" not in last
    assert "Nothing of this batch is on its way any more." in last
    assert "The account is closed." in last
    assert page(alice, "payout_batch", batch.public_id, status="failed").count("data-open") == 1
    assert alice.client.get(url, {"status": "odd"}).status_code == 400


def test_what_has_not_left_is_withdrawn(alice: Cast, due: list[Reward]) -> None:
    payouts = queued(alice, *due[:4])
    batch = payouts[0].batch
    claimed(payouts[0])

    none = press(alice, "payout_withdraw", batch.public_id, what="ticked")
    ticked = press(
        alice,
        "payout_withdraw",
        batch.public_id,
        what="ticked",
        payout=[payouts[0].public_id, payouts[1].public_id],
    )
    said = alice.client.get(ticked["Location"]).content.decode()
    before = states(due[:4])
    press(alice, "payout_withdraw", batch.public_id, what="all")
    odd = press(alice, "payout_withdraw", batch.public_id)

    assert none.status_code == ticked.status_code == 303
    assert "1 payout withdrawn; its rewards are due again" in said
    assert "1 payout could not be withdrawn" in said
    assert before == ["sending", "due", "queued", "queued"]
    assert states(due[:4]) == ["sending", "due", "due", "due"]
    assert odd.status_code == 400
    assert press(alice, "payout_withdraw_one", payouts[0].public_id).status_code == 303
    assert states(due[:1]) == ["sending"]


def test_the_batch_offers_to_withdraw_exactly_what_its_payouts_pages_offer(alice: Cast, due: list[Reward]) -> None:
    more = [make_reward(due[0].campaign, f"{name}@example.com", f"{name}-f@example.net") for name in ("una", "vera")]
    rows = queued(alice, *due, *more)
    unreached, called, sent, unknown, asked, paid, failed, undone = rows[1:]
    claimed(called)
    for row, outcome in (
        (unreached, Outcome("unsent", "", "No way there.")),
        (sent, Outcome("sent", "ref-1")),
        (asked, Outcome("ask", "", "Who knows?")),
        (paid, Outcome("paid", "ref-2")),
        (failed, Outcome("failed", "", "No.")),
    ):
        ended(row, outcome)
    ended(unknown, Outcome("unknown", "", "No answer."), key_life=timedelta(hours=1))
    press(alice, "payout_withdraw_one", undone.public_id)

    shown = page(alice, "payout_batch", rows[0].batch.public_id)
    singly = [row for row in rows if "/withdraw/" in page(alice, "payout", row.public_id)]
    boxes = re.findall(r'name="payout" value="(\w+)"', shown)

    assert boxes == [row.public_id for row in singly] == [rows[0].public_id, unreached.public_id]
    assert "/withdraw/" in shown
    # Where only such a one is left the box stays, and one press on "all" would take it, too.
    press(alice, "payout_withdraw", rows[0].batch.public_id, what="ticked", payout=[rows[0].public_id])
    shown = page(alice, "payout_batch", rows[0].batch.public_id)
    assert re.findall(r'name="payout" value="(\w+)"', shown) == [unreached.public_id]
    press(alice, "payout_withdraw", rows[0].batch.public_id, what="ticked", payout=boxes)
    unreached.refresh_from_db()
    assert (unreached.status, unreached.message) == ("failed", "Withdrawn: nothing had been sent.")
    assert states(due[:2]) == ["due", "due"]
    assert 'name="payout"' not in page(alice, "payout_batch", rows[0].batch.public_id)
    assert press(alice, "payout_withdraw", rows[0].batch.public_id, what="all").status_code == 303
    assert list(rows[0].batch.payouts.order_by("pk").values_list("status", flat=True)) == [
        *("undone", "failed", "sending", "sent", "unknown", "needs_attention", "paid", "failed", "undone")
    ]


def test_a_second_person_approves(alice: Cast, due: list[Reward]) -> None:
    payout_guards.set_limits(
        tenant=alice.tenant, actor=ACTOR, currency="USD", limits={"second_person_above_minor": 1000}
    )
    (payout,) = queued(alice, due[0])
    batch = payout.batch
    PayoutBatch.objects.filter(pk=batch.pk).update(created_by_id=payout_guards.identity(user_actor(alice.user)))
    bella = make_cast("bella@kept.example.com", alice.merchant, Role.MANAGER)

    own = page(alice, "payout_batch", batch.public_id)
    press(alice, "payout_approve", batch.public_id)
    batch.refresh_from_db()
    refused = batch.approved_at
    others = page(bella, "payout_batch", batch.public_id)
    press(bella, "payout_approve", batch.public_id)
    batch.refresh_from_db()

    assert "Somebody else of your team has to approve it" in own
    assert "every " not in own
    assert refused is None
    assert "Approve $15.00" in others
    assert batch.approved_by == bella.user.email


def test_a_stopped_side_says_who_stopped_it_and_why(alice: Cast, due: list[Reward]) -> None:
    (payout,) = queued(alice, due[0])
    payout_guards.stop(tenant=alice.tenant, actor=ACTOR, note="Something is wrong")

    assert "Something is wrong" in page(alice, "payout_batch", payout.batch.public_id)
    assert "Payouts are stopped." in page(alice, "payout", payout.public_id)


def test_needs_attention_has_both_sides_facts(alice: Cast, due: list[Reward]) -> None:
    assert "Nothing waits for you" in page(alice, "payouts_attention")
    payouts = queued(alice, *due[:3])
    ended(payouts[0], Outcome("ask", "ref-9", "It paid another amount."))
    ended(payouts[1], Outcome("failed", "", "The account is closed."))
    # One that was read from an archive: its tries stayed where it comes from.
    settling.settle(claimed(payouts[2]), Outcome("unknown"), key_life=timedelta(hours=1))
    payouts[2].tries.all().delete()
    settling.ask_a_person(payouts[2].pk, actor=ACTOR, message="Read from an archive.")

    shown = page(alice, "payouts_attention")

    assert "Read from an archive." in shown
    assert "It paid another amount." in shown
    assert payouts[0].key in shown
    assert "The provider rejected it: The account is closed." in shown
    assert f"/app/payouts/one/{payouts[1].public_id}/" in shown


@pytest.mark.parametrize(
    ("answer", "status", "state", "said"),
    [("paid", "paid", "issued", "Written down as paid"), ("unpaid", "failed", "due", "Written down as not paid")],
)
def test_a_person_decides_once(alice: Cast, due: list[Reward], answer: str, status: str, state: str, said: str) -> None:
    payout = ended(queued(alice, due[0])[0], Outcome("ask", "", "It paid another amount."))
    other = {"paid": "unpaid", "unpaid": "paid"}[answer]

    asked = page(alice, f"payout_{answer}", payout.public_id)
    empty = press(alice, f"payout_{answer}", payout.public_id, note=" ")
    untouched = Payout.objects.get(pk=payout.pk).status
    done = press(alice, f"payout_{answer}", payout.public_id, note="I called them")
    words = alice.client.get(done["Location"]).content.decode()
    again = press(alice, f"payout_{other}", payout.public_id, note="No, I was wrong")
    payout.refresh_from_db()

    assert ("twice" in asked) == (answer == "unpaid")
    assert ("goes without" in asked) == (answer == "paid")
    assert (empty.status_code, untouched) == (422, "needs_attention")
    assert (done.status_code, again.status_code) == (303, 303)
    assert said in words
    assert (payout.status, payout.message, states(due[:1])) == (status, "I called them", [state])
    assert list(differences()) == []


def test_what_failed_is_tried_again(alice: Cast, due: list[Reward]) -> None:
    payouts = queued(alice, *due[:2])
    for payout in payouts:
        ended(payout, Outcome("failed", "", "The account is closed."))
    reward = due[1]
    reward.refresh_from_db()

    press(alice, "payout_retry", payouts[0].public_id)
    back = alice.client.post(
        reverse("web:rewards_act"),
        {
            "back": "stage=attention",
            "from": "attention",
            "reward": reward.public_id,
            "revision": reward.revision,
            "action": "retry",
        },
    )
    again = press(alice, "payout_retry", payouts[0].public_id)

    assert states(due[:2]) == ["due", "due"]
    assert (back.status_code, back["Location"]) == (303, "/app/payouts/attention/")
    assert again.status_code == 303


def test_a_gift_is_shown_only_when_asked_for_and_the_history_says_so(alice: Cast, due: list[Reward]) -> None:
    payout = ended(queued(alice, due[0])[0], Outcome("paid", "r", gift=Gift("AAAA-BBBB-7788", pin="1234")))
    viewer = make_cast("vera@kept.example.com", alice.merchant, Role.VIEWER)

    shown = page(alice, "payout", payout.public_id)
    refused = press(viewer, "payout_gift", payout.public_id)
    seen = Event.objects.filter(type="payout.gift_seen").count()
    full = press(alice, "payout_gift", payout.public_id).content.decode()

    assert ("7788" in shown, "AAAA-BBBB" in shown) == (True, False)
    assert (refused.status_code, seen) == (403, 0)
    assert ("AAAA-BBBB-7788" in full, "1234" in full) == (True, True)
    assert Event.objects.filter(type="payout.gift_seen", subject_id=payout.public_id).count() == 1
    PayoutGift.objects.all().delete()
    assert press(alice, "payout_gift", payout.public_id).status_code == 404


def test_a_message_about_a_payout_leads_to_it(alice: Cast, due: list[Reward]) -> None:
    (payout,) = queued(alice, due[0])
    row = Connection(merchant=alice.merchant, provider="stripe")
    row.secrets = {"webhook_secret": "whsec_test"}
    row.save()
    message = InboundEvent.objects.create(
        merchant=alice.merchant,
        connection=row,
        event_id="m1",
        type="payout.paid",
        body=b"{}",
        outcome="payout_told",
        facts={"name": "x"},
        event_ref=payout.public_id,
    )

    assert reverse("web:inbound", args=[message.public_id]) in page(alice, "payout", payout.public_id)
    assert f"/app/payouts/one/{payout.public_id}/" in page(alice, "inbound", message.public_id)


def test_payouts_are_found_by_status_method_and_person(alice: Cast, charlie: Cast, due: list[Reward]) -> None:
    payouts = queued(alice, *due[:3])
    ended(payouts[0], Outcome("paid", "ref-77"))

    def found(**query: str) -> list[str]:
        return [row.id for row in alice.client.get(reverse("web:payouts_all"), query).context["rows"]]

    ids = [payout.public_id for payout in payouts]
    assert found() == ids[::-1]
    assert found(status="paid") == ids[:1]
    assert found(method="somewhere", status="queued") == ids[:0:-1]
    assert found(q="tomas@example.com") == ids[1:2]
    assert found(q="ref-77") == ids[:1]
    assert found(q=ids[2]) == ids[2:]
    assert found(q="nobody") == []
    assert alice.client.get(reverse("web:payouts_all"), {"status": "odd"}).status_code == 400
    assert charlie.client.get(reverse("web:payout", args=[ids[0]])).status_code == 404
    assert press(charlie, "payout_paid", ids[0], note="x").status_code == 404


def test_a_persons_page_lists_their_payouts_and_the_menu_counts_the_open_questions(
    alice: Cast, due: list[Reward]
) -> None:
    payout = ended(queued(alice, due[0])[0], Outcome("ask", "", "It paid another amount."))

    shown = page(alice, "participant", due[0].participant.public_id)

    assert f"/app/payouts/one/{payout.public_id}/" in shown
    assert '<span class="count num" id="nav-payouts">1<span class="vh"> waiting</span></span>' in shown


@pytest.mark.parametrize(
    ("answer", "message", "words"),
    [
        ("", "", "Your own system is asked before it leaves."),
        ("", "It answered 503.", "It answered 503."),
        ("allowed", "", "It leaves within a minute."),
    ],
)
def test_a_payout_says_that_your_own_system_is_asked_first(
    alice: Cast, due: list[Reward], answer: str, message: str, words: str
) -> None:
    (payout,) = queued(alice, due[0])
    next_at = None if answer else clock.wall()
    PayoutVeto.objects.create(payout=payout, answer=answer, message=message, next_at=next_at)

    assert words in page(alice, "payout", payout.public_id)
    assert words in page(alice, "payout_batch", payout.batch.public_id)
