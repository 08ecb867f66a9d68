"""Batches that wait for money or for a second person: the page, "the money is there", the API, and the mails about them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core import mail
from django.db.models import F
from django.urls import reverse

from integrations import payouts as carrier
from integrations import team_mails
from referrals.accounts.keys import create_api_key
from referrals.accounts.models import Role, Scope
from referrals.accounts.services import user_actor
from referrals.lib import clock
from referrals.lib.money import Money
from rewards import funding, lifecycle, payout_guards, queueing, refunds
from rewards.models import PayoutBatch, PayoutFile, PayoutRoute, PayoutRun, Reward, TeamAlert
from rewards.queueing import Method
from tests.api.conftest import Caller
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_cast, make_friend, make_participant
from tests.web.helpers import freshen

pytestmark = pytest.mark.django_db
PAGE, FUND = "web:payouts_waiting", "web:payouts_fund"


def batch_of(cast: Cast, *minors: int, funds: bool = True, name: str = "Spring", currency: str = "USD") -> PayoutBatch:
    """A batch that waits for money: a payout to one person for each amount."""
    keys = []
    for number, minor in enumerate(minors):
        campaign = make_campaign(
            cast.tenant, [fixed_rule(minor, currency, kind="cash")], name=f"{name} {number}", currency=currency
        )
        person = make_participant(campaign, f"{name.lower()}{number}@example.com")
        keys.append(buy(make_friend(person, f"friend-{name.lower()}{number}@example.net")).rewards[0].pk)
    method = Method("tremendous", frozenset({"cash"}), account="con_1", waits_for_funds=funds)
    return queueing.queue(tenant=cast.tenant, reward_ids=keys, method=method, actor=ACTOR, key=f"batch-{name}")[0]


def funded() -> list[bool]:
    return [row.funded_at is not None for row in PayoutBatch.objects.order_by("pk")]


def test_several_batches_are_funded_together_after_one_question(alice: Cast) -> None:
    freshen(alice.client, alice.user)
    first, second = batch_of(alice, 1500, 2000), batch_of(alice, 900, name="Yule", currency="EUR")
    page = alice.client.get(reverse(PAGE)).content.decode()
    assert "$35.00 and €9.00" in page or "€9.00 and $35.00" in page
    asked = alice.client.get(reverse(FUND), {"batch": [first.public_id, second.public_id]})
    assert "can't be called back" in asked.content.decode()
    sums = asked.context["sums"]
    assert (json.loads(sums), funded()) == ({"EUR": 900, "USD": 3500}, [False, False])
    # A payout is withdrawn meanwhile: what was not seen does not leave.
    queueing.withdraw(payouts=[first.payouts.order_by("pk")[0].pk], tenant=alice.tenant, actor=ACTOR)
    data = {"batch": [first.public_id, second.public_id], "sums": sums}
    refused = alice.client.post(reverse(FUND), data)
    assert (refused.status_code, funded()) == (409, [False, False])
    data["sums"] = refused.context["sums"]
    assert json.loads(str(data["sums"])) == {"EUR": 900, "USD": 2000}
    assert alice.client.post(reverse(FUND), data)["Location"] == reverse(PAGE)
    assert funded() == [True, True]
    assert "Nothing waits for money." in alice.client.get(reverse(PAGE)).content.decode()
    for wrong in ("x", "[" * 3000, '{"USD": 1e999}'):
        assert alice.client.post(reverse(FUND), {**data, "sums": wrong}).status_code == 400


def test_what_was_held_or_taken_back_meanwhile_needs_no_money(alice: Cast) -> None:
    batch = batch_of(alice, 1500, 2000, 900)
    rewards = list(Reward.objects.order_by("pk"))
    assert funding.needed([batch]) == {batch.pk: [Money(4400, "USD")]}
    lifecycle.hold(tenant=alice.tenant, reward_ids=[rewards[0].pk], actor=ACTOR)
    assert funding.needed([batch]) == {batch.pk: [Money(2900, "USD")]}
    refunds.refund(tenant=alice.tenant, actor=ACTOR, source="manual", external_id="refund-1", event=rewards[1].event)
    assert funding.needed([batch]) == {batch.pk: [Money(900, "USD")]}
    # What is set off is smaller than what is held, and what is set off was never to leave.
    batch.payouts.filter(rewards=rewards[2]).update(netted_minor=-400, amount_minor=500)
    assert funding.needed([batch]) == {batch.pk: [Money(500, "USD")]}
    lifecycle.hold(tenant=alice.tenant, reward_ids=[rewards[2].pk], actor=ACTOR)
    assert funding.needed([batch]) == {batch.pk: [Money(0, "USD")]}
    # Nobody is asked for nothing, and the page says what to do.
    assert (team_mails.sweep(), mail.outbox) == (0, [])
    assert "It needs no money any more" in alice.client.get(reverse(PAGE)).content.decode()
    freshen(alice.client, alice.user)
    data = {"batch": batch.public_id, "sums": json.dumps({"USD": 0})}
    assert alice.client.post(reverse(FUND), data)["Location"] == reverse("web:payout_batch", args=[batch.public_id])
    carrier.sweep()
    assert set(batch.payouts.values_list("status", flat=True)) == {"failed"}
    assert sorted(Reward.objects.values_list("state", flat=True)) == ["held", "held", "void"]


def test_only_admins_say_so_after_their_password_and_only_of_their_own(alice: Cast, charlie: Cast) -> None:
    batch = batch_of(alice, 1500)
    manager = make_cast("mia@example.com", alice.merchant, Role.MANAGER)
    data = {"batch": batch.public_id, "sums": json.dumps({"USD": 1500})}
    for cast in (manager, charlie):
        freshen(cast.client, cast.user)
    assert manager.client.post(reverse(FUND), data).status_code == 403
    assert "Admins and owners say that the money is there." in manager.client.get(reverse(PAGE)).content.decode()
    charlie.client.post(reverse(FUND), data)
    freshen(alice.client, alice.user, seconds_ago=600)
    assert "reauthenticate" in alice.client.post(reverse(FUND), data)["Location"]
    assert funded() == [False]


def test_who_made_a_large_batch_cannot_approve_it_and_the_page_says_who_may(alice: Cast) -> None:
    limits = {"second_person_above_minor": 1000}
    payout_guards.set_limits(tenant=alice.tenant, actor=ACTOR, currency="USD", limits=limits)
    batch_of(alice, 1500, funds=False)
    PayoutBatch.objects.update(created_by_id="user:us_dana")
    page = alice.client.get(reverse(PAGE)).content.decode()
    assert "Any manager, admin or owner other than who made it can approve it." in page
    assert "Check and approve" in page
    PayoutBatch.objects.update(created_by_id=payout_guards.identity(user_actor(alice.user)))
    page = alice.client.get(reverse(PAGE)).content.decode()
    assert "You made it, so somebody else has to approve it" in page
    assert "Check and approve" not in page
    key, _text = create_api_key(tenant=alice.tenant, name="Server", actor=ACTOR, user=alice.user)
    PayoutBatch.objects.update(created_by_id=f"api_key:{key.public_id}")
    assert "Check and approve" not in alice.client.get(reverse(PAGE)).content.decode()


def test_the_api_funds_a_batch_once(alice: Cast) -> None:
    batch = batch_of(alice, 1500)
    api = Caller(create_api_key(tenant=alice.tenant, name="Server", actor=ACTOR, scopes=[Scope.PAYOUTS])[1])
    url = f"/api/v2/payout-batches/{batch.public_id}/fund"
    answers = [api.post(url), api.post(url)]
    assert [(answer.status, answer.data.get("code")) for answer in answers] == [(200, None), (409, "invalid_state")]
    assert funded() == [True]


# --- mails to the team ---


def later(days: int) -> None:
    TeamAlert.objects.filter(next_at__isnull=False).update(next_at=F("next_at") - timedelta(days=days))


def subjects() -> list[str]:
    found = [str(message.subject) for message in mail.outbox]
    mail.outbox.clear()
    return found


def test_a_run_that_waits_for_money_is_mailed_about_at_once_and_after_three_and_seven_days(alice: Cast) -> None:
    make_cast("mia@example.com", alice.merchant, Role.MANAGER)
    batch_of(alice, 1500)
    assert [team_mails.sweep(), team_mails.sweep()] == [1, 0]
    assert [(message.subject, message.to) for message in mail.outbox] == [
        ("A payout run waits for money", ["alice@example.com"])
    ]
    assert "$15.00" in str(mail.outbox[0].body)
    assert "/app/payouts/waiting/" in str(mail.outbox[0].body)
    mail.outbox.clear()
    seen = []
    for days in (2, 1, 3, 1, 30):  # after 2, 3, 6, 7 and 37 days
        later(days)
        seen.append(team_mails.sweep())
    assert (seen, len(subjects())) == ([0, 1, 0, 1, 0], 2)


def test_nothing_is_said_of_what_was_funded_meanwhile(alice: Cast) -> None:
    batch = batch_of(alice, 1500)
    team_mails._note("funding", team_mails._unfunded())
    payout_guards.fund_batch(batch=batch, actor=ACTOR)
    assert (team_mails.sweep(), subjects()) == (0, [])
    assert TeamAlert.objects.get().next_at is None


def custom(cast: Cast, *names: str) -> list[Reward]:
    asha = make_participant(make_campaign(cast.tenant, [fixed_rule(kind="custom")], name="Mugs"))
    return [buy(make_friend(asha, f"{name}@example.net")).rewards[0] for name in names]


def test_custom_rewards_alert_the_team_once_and_stay_due_until_somebody_marks_them(alice: Cast) -> None:
    """Seed 004: "Custom: an email alert is sent to the advocate and the merchant. Fulfilment is on you, manually." The advocate's is the
    notice "reward_due" of referrals.hosted.mail, which every kind has."""
    rows = custom(alice, "f1", "f2")
    assert [team_mails.sweep(), team_mails.sweep()] == [2, 0]
    assert "asha@example.com (Mugs)" in str(mail.outbox[0].body)
    assert subjects() == ["2 rewards wait for you to hand them over"]
    assert {row.state for row in Reward.objects.filter(pk__in=[row.pk for row in rows])} == {"due"}
    Reward.objects.update(stage_at=clock.now())
    assert (team_mails.sweep(), subjects()) == (0, [])


def test_a_mail_about_many_counts_all_of_them_and_lists_the_first(alice: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team_mails, "LISTED", 2)
    custom(alice, "f1", "f2", "f3")
    assert [team_mails.sweep(), team_mails.sweep()] == [3, 0]
    body = str(mail.outbox[0].body)
    assert (body.count("asha@example.com (Mugs)"), body.count("and 1 more")) == (2, 1)
    assert subjects() == ["3 rewards wait for you to hand them over"]


def test_nobody_is_mailed_about_what_is_old_or_of_the_test_side(alice: Cast) -> None:
    custom(alice, "f1")
    Reward.objects.update(stage_at=clock.wall() - timedelta(days=8))
    batch_of(alice, 1500)
    PayoutBatch.objects.update(is_test=True)
    assert (team_mails.sweep(), subjects()) == (0, [])


def test_a_mail_server_that_is_away_is_tried_again(alice: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_of(alice, 1500)

    def broken(*args: object) -> int:
        raise OSError("no route to host")

    monkeypatch.setattr(team_mails, "send_mail", broken)
    assert team_mails.sweep() == 0
    monkeypatch.undo()
    assert (team_mails.sweep(), subjects()) == (0, [])
    TeamAlert.objects.update(next_at=clock.wall())
    assert (team_mails.sweep(), subjects()) == (1, ["A payout run waits for money"])


def test_a_file_of_a_run_and_runs_that_fail_are_mailed_about(alice: Cast) -> None:
    batch = batch_of(alice, 1500, funds=False)
    PayoutBatch.objects.update(method="paypal_file")
    file = {"number": 1, "name": "x.csv", "currency": "USD", "amount_minor": 1500, "rows": 1, "size": 1}
    PayoutFile.objects.create(merchant=alice.merchant, batch=batch, **file)
    fields = {"merchant": alice.merchant, "side": "referrer"}
    route = PayoutRoute.objects.create(**fields, kind="cash", method="paypal_file")
    PayoutRun.objects.create(
        merchant=alice.merchant, route=route, slot="day_15:2026-11-15", due_at=clock.now(), batch=batch
    )
    PayoutRoute.objects.create(**fields, kind="coupon", problem="Gone.", problem_since=clock.now() - timedelta(hours=1))
    assert team_mails.sweep() == 2
    bodies = [str(message.body) for message in mail.outbox]
    assert sorted(subjects()) == ["A batch is ready for you to pay", "Rewards can't be paid by themselves"]
    assert any(f"/app/payouts/{batch.public_id}/" in body for body in bodies)
    assert any("Coupon: Gone." in body for body in bodies)
    assert team_mails.sweep() == 0
    # Well again, and failing anew: told anew.
    PayoutRoute.objects.filter(kind="coupon").update(problem="")
    team_mails.sweep()
    PayoutRoute.objects.filter(kind="coupon").update(problem="Gone again.")
    assert (team_mails.sweep(), subjects()) == (1, ["Rewards can't be paid by themselves"])
