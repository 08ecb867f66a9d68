"""Rewards that go out by themselves (issue 6, part 3; seed 004): each slot once, nothing lost, minimums, and what is left to people."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection as database

from campaigns.services import publish_rules
from integrations import issuing, methods
from integrations import payouts as carrier
from integrations.base import Way
from integrations.methods import Option
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import advancing, bans, lifecycle, payouts, queueing, routes, runs
from rewards.models import Payout, PayoutBatch, PayoutRoute, PayoutRun, Reward
from rewards.payout_guards import fund_batch
from rewards.queueing import Method
from tests.chaos.company import Company
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant
from tests.rewards.paying import FIRST, company, method

__all__ = ["company", "method"]  # fixtures
pytestmark = pytest.mark.django_db
EVERY = frozenset({"cash", "coupon", "store_credit", "gift_card"})
# Sunday; the merchant's zone is UTC.
THE_15TH = datetime(2026, 11, 15, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def ways(monkeypatch: pytest.MonkeyPatch, method: Method, **more: Any) -> None:
    """What can be chosen: by hand, and one company for everything."""
    mine = Method(FIRST, EVERY, account=method.account, **more)
    way = Way(name=FIRST, label="Stripe", summary="", kinds=EVERY, issuer="")
    made = [methods._own(methods.OWN[0]), Option(mine, "Stripe", "", way=way)]
    monkeypatch.setattr(methods, "options", lambda tenant: made)


@pytest.fixture(autouse=True)
def _one_company(monkeypatch: pytest.MonkeyPatch, method: Method) -> None:
    ways(monkeypatch, method)


@pytest.fixture
def before() -> Iterator[None]:
    """A week before the 15th."""
    with clock.at(THE_15TH - 7 * DAY):
        yield


def route(cast: Cast, kind: str = "cash", **fields: Any) -> PayoutRoute:
    way = methods.options(cast.tenant)[1].value
    given: dict[str, Any] = {"tenant": cast.tenant, "side": "referrer", "method": way, "options": {}}
    return issuing.set_route(actor=ACTOR, kind=kind, **given | fields)


def person(cast: Cast, **terms: Any) -> Participant:
    return make_participant(make_campaign(cast.tenant, [fixed_rule(kind=terms.pop("kind", "cash"), **terms)]))


def earn(asha: Participant, *names: str) -> list[Reward]:
    return [buy(make_friend(asha, f"{name}@example.net")).rewards[0] for name in names or ["maya"]]


def run(cast: Cast, at: datetime) -> int:
    with clock.at(at):
        return issuing.run_due(cast.tenant, at)


def states(*rewards: Reward) -> list[str]:
    return list(
        Reward.objects.filter(pk__in=[row.pk for row in rewards]).order_by("pk").values_list("state", flat=True)
    )


# --- seed 004, step 2, row by row ---


@pytest.mark.parametrize("kind", ["coupon", "store_credit"])
def test_coupon_and_store_credit_are_issued_at_once_after_review(alice: Cast, company: Company, kind: str) -> None:
    route(alice, kind)
    asha = person(alice, kind=kind, delivery="immediate", review_days=9)
    with clock.at(THE_15TH):
        (reward,) = earn(asha)
    assert (run(alice, THE_15TH + 8 * DAY), states(reward)) == (0, ["review"])
    with clock.at(THE_15TH + 9 * DAY):
        lifecycle.release_due(tenant=alice.tenant, until=THE_15TH + 9 * DAY)
    assert (run(alice, THE_15TH + 9 * DAY), states(reward)) == (1, ["queued"])
    assert (carrier.sweep(), states(reward), len(company.transfers)) == (1, ["issued"], 1)


def test_paypal_is_queued_until_the_merchant_funds_the_run(
    alice: Cast, method: Method, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways(monkeypatch, method, waits_for_funds=True)
    route(alice)
    (reward,) = earn(person(alice, delivery="immediate"))
    assert (run(alice, clock.now()), carrier.sweep(), states(reward)) == (1, 0, ["queued"])
    fund_batch(batch=PayoutBatch.objects.get(), actor=ACTOR)
    assert (carrier.sweep(), states(reward), len(company.transfers)) == (1, ["issued"], 1)


def test_balance_funded_tremendous_is_issued_at_once(alice: Cast, company: Company) -> None:
    route(alice, "gift_card")
    (reward,) = earn(person(alice, kind="gift_card", delivery="immediate"))
    assert (issuing.sweep(), carrier.sweep(), states(reward)) == (1, 1, ["issued"])


# --- slots ---


@pytest.mark.usefixtures("before")
def test_a_run_of_the_15th_takes_what_is_due_and_is_made_once(alice: Cast) -> None:
    made = route(alice)
    asha = person(alice, delivery="day_15")
    first = earn(asha, "f1", "f2")
    by_hand = earn(person_of_another_rule(alice))
    assert run(alice, THE_15TH - timedelta(seconds=1)) == 0
    with clock.at(THE_15TH + timedelta(minutes=1)):
        late = earn(asha, "f3")
    # Nobody worked on the 15th: it is made up for on the 17th, once, with what was due on the 15th.
    assert [run(alice, THE_15TH + 2 * DAY), run(alice, THE_15TH + 2 * DAY), run(alice, THE_15TH + 3 * DAY)] == [1, 0, 0]
    assert states(*first, *by_hand, *late) == ["queued", "queued", "due", "due"]
    row = PayoutRun.objects.get()
    assert (row.route, row.slot, row.due_at, row.made_at) == (made, "day_15:2026-11-15", THE_15TH, THE_15TH + 2 * DAY)
    assert row.batch is not None
    assert row.batch.key == f"run:{made.public_id}:day_15:2026-11-15"
    assert list(row.batch.payouts.values_list("amount_minor", flat=True)) == [3000]
    assert run(alice, THE_15TH + 30 * DAY) == 1
    assert states(*late) == ["queued"]


def person_of_another_rule(alice: Cast) -> Participant:
    return make_participant(make_campaign(alice.tenant, [fixed_rule(kind="cash")], name="By hand"))


@pytest.mark.usefixtures("before")
def test_what_left_review_while_nobody_worked_goes_with_the_slot(alice: Cast) -> None:
    route(alice)
    asha = person(alice, delivery="day_15", review_days=7)
    in_time = earn(asha, "f1")
    with clock.at(THE_15TH - 6 * DAY):
        too_late = earn(asha, "f2")
    assert (run(alice, THE_15TH + 2 * DAY), states(*in_time, *too_late)) == (1, ["queued", "due"])


@pytest.mark.usefixtures("before")
def test_slots_before_the_way_was_chosen_are_none_of_its(alice: Cast) -> None:
    reward = earn(person(alice, delivery="day_15"))
    with clock.at(THE_15TH + DAY):
        route(alice)
    assert (run(alice, THE_15TH + DAY), states(*reward), PayoutRun.objects.count()) == (0, ["due"], 0)
    assert run(alice, THE_15TH + 30 * DAY) == 1


@pytest.mark.usefixtures("before")
def test_weekly_runs_are_on_the_weekday_that_the_merchant_chose(alice: Cast) -> None:
    routes.set_calendar(tenant=alice.tenant, actor=ACTOR, weekday=4, hour=17)
    with pytest.raises(Refused):
        routes.set_calendar(tenant=alice.tenant, actor=ACTOR, weekday=7, hour=17)
    route(alice)
    reward = earn(person(alice, delivery="weekly"))
    friday = datetime(2026, 11, 13, 17, tzinfo=UTC)
    assert [run(alice, friday - timedelta(minutes=1)), run(alice, friday)] == [0, 1]
    assert states(*reward) == ["queued"]
    # A new weekday begins with its next one.
    with clock.at(friday + timedelta(hours=1)):
        routes.set_calendar(tenant=alice.tenant, actor=ACTOR, weekday=3, hour=9)
    assert run(alice, friday + timedelta(hours=1)) == 0


@pytest.mark.usefixtures("before")
def test_below_the_minimum_it_stays_due_and_is_collected(alice: Cast) -> None:
    route(alice)
    asha = person(alice, delivery="day_15", minimum_payout=Money(2500, "USD"))
    other = make_participant(asha.campaign, "noor@example.com")
    first, enough = earn(asha, "f1"), earn(other, "g1", "g2")
    assert run(alice, THE_15TH) == 1
    assert states(*first, *enough) == ["due", "queued", "queued"]
    assert PayoutRun.objects.get().below == 1
    _left, below = runs.by_minimum(list(Reward.objects.filter(pk=first[0].pk).select_related("rule")))
    assert below == {first[0].pk: runs.Below(Money(1500, "USD"), Money(2500, "USD"))}
    with clock.at(THE_15TH + DAY):
        second = earn(asha, "f2")
    assert run(alice, THE_15TH + 30 * DAY) == 1
    assert states(*first, *second) == ["queued", "queued"]
    assert Payout.objects.get(participant=asha).amount_minor == 3000


def test_what_was_taken_back_counts_against_the_minimum(alice: Cast) -> None:
    """15 dollars were issued and reversed: of 30 dollars due, 15 would be paid, which is below 25."""
    route(alice)
    asha = person(alice, delivery="immediate", minimum_payout=Money(2500, "USD"))
    (paid,) = earn(asha, "f0")
    payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[paid.pk], actor=ACTOR, key="by-hand-1")
    lifecycle.reverse(tenant=alice.tenant, reward_ids=[paid.pk], actor=ACTOR, note="Fraud")
    due = earn(asha, "f1", "f2")
    assert (issuing.sweep(), states(*due)) == (0, ["due", "due"])
    due += earn(asha, "f3")
    assert (issuing.sweep(), states(*due)) == (1, ["queued"] * 3)
    assert Payout.objects.get(method=FIRST).amount_minor == 3000


# --- what is left to people ---


def test_banned_and_held_are_left_out_and_lost_is_nothing(alice: Cast) -> None:
    route(alice)
    asha = person(alice, delivery="immediate")
    held, banned, fine = earn(asha), earn(make_participant(asha.campaign, "b@example.com"), "b1"), earn(asha, "f2")
    lifecycle.hold(tenant=alice.tenant, reward_ids=[held[0].pk], actor=ACTOR)
    bans.ban(participant=banned[0].participant, actor=ACTOR, reason="Spam")
    assert (issuing.sweep(), states(*held, *banned, *fine)) == (1, ["held", "held", "queued"])
    lifecycle.release(tenant=alice.tenant, reward_ids=[held[0].pk], actor=ACTOR)
    assert (issuing.sweep(), states(*held)) == (1, ["queued"])


@pytest.mark.parametrize("by_ban", [False, True])
def test_what_was_held_while_its_batch_waited_for_money_leaves_with_a_later_run(
    alice: Cast, method: Method, company: Company, monkeypatch: pytest.MonkeyPatch, by_ban: bool
) -> None:
    ways(monkeypatch, method, waits_for_funds=True)
    route(alice)
    (reward,) = earn(person(alice, delivery="immediate"))
    issuing.sweep()
    if by_ban:
        bans.ban(participant=reward.participant, actor=ACTOR, reason="Spam")
    else:
        lifecycle.hold(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR)
    fund_batch(batch=PayoutBatch.objects.get(), actor=ACTOR)
    assert (carrier.sweep(), company.transfers, Payout.objects.get().status) == (0, [], "failed")
    if by_ban:
        bans.unban(participant=reward.participant, actor=ACTOR)
    else:
        lifecycle.release(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR)
    assert (states(reward), issuing.sweep(), states(reward)) == (["due"], 1, ["queued"])


def test_what_a_person_took_back_is_not_sent_out_again(alice: Cast) -> None:
    route(alice)
    (reward,) = earn(person(alice, delivery="immediate"))
    issuing.sweep()
    queueing.withdraw(tenant=alice.tenant, payouts=[Payout.objects.get().pk], actor=ACTOR)
    assert (states(reward), issuing.sweep(), states(reward)) == (["due"], 0, ["due"])


def test_who_has_no_payout_address_is_waited_for(alice: Cast, method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    ways(monkeypatch, method, destination="paypal")
    route(alice)
    reward = earn(person(alice, delivery="immediate"))
    assert (issuing.sweep(), states(*reward), PayoutBatch.objects.count()) == (0, ["waiting"], 0)
    assert Reward.objects.get().reason == "waiting_for_recipient"


def test_a_way_that_is_gone_stops_the_run_says_why_and_is_made_up_for(
    alice: Cast, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = route(alice)
    reward = earn(person(alice, delivery="immediate"))
    monkeypatch.setattr(methods, "options", lambda tenant: [])
    assert (issuing.sweep(), states(*reward), PayoutRun.objects.count()) == (0, ["due"], 0)
    made.refresh_from_db()
    assert "connect its company first" in made.problem
    assert made.problem_since is not None
    ways(monkeypatch, method)
    assert (issuing.sweep(), states(*reward)) == (1, ["queued"])
    again = PayoutRoute.objects.get()
    assert (again.problem, again.problem_since) == ("", None)


def test_what_the_way_cannot_deliver_keeps_nothing_else_waiting(
    alice: Cast, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways(monkeypatch, method, currencies=frozenset({"USD"}))
    made = route(alice)
    rule = fixed_rule(1500, "EUR", kind="cash", delivery="immediate")
    euro = earn(
        make_participant(make_campaign(alice.tenant, [rule], currency="EUR", name="Euro"), "e@example.com"), "e1"
    )
    dollars = earn(person(alice, delivery="immediate"))
    assert issuing.sweep() + issuing.sweep() == 1
    assert states(*euro, *dollars) == ["due", "queued"]
    made.refresh_from_db()
    assert "can't be paid this way" in made.problem


def test_a_sum_that_fits_only_without_who_is_below_the_minimum_is_not_used_up(
    alice: Cast, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each alone comes to a sum that the company has not; so long as the other waits for its minimum, the way says why."""
    way = Way(name=FIRST, label="Stripe", summary="", kinds=EVERY, issuer="", obstacle=f"{__name__}.only_thirty")
    monkeypatch.setattr(methods, "options", lambda tenant: [Option(Method(FIRST, EVERY), "Stripe", "", way=way)] * 2)
    chosen = route(alice)
    terms = {"kind": "cash", "delivery": "immediate"}
    minimum = fixed_rule(1500, trigger="every_event", minimum_payout=Money(9900, "USD"), **terms)
    asha = make_participant(make_campaign(alice.tenant, [fixed_rule(1500, **terms), minimum]))
    buy(make_friend(asha, "maya@example.net"))
    rewards = list(Reward.objects.order_by("pk").select_related("rule"))
    free, bound = sorted(rewards, key=lambda row: row.rule.minimum_payout_minor or 0)
    assert run(alice, clock.now()) == 0
    chosen.refresh_from_db()
    assert ("no card of $15.00" in chosen.problem, PayoutRun.objects.count(), states(*rewards)) == (
        True,
        0,
        ["due", "due"],
    )
    # The other one may go now: both are one payout of thirty.
    Reward.objects.filter(pk=bound.pk).update(rule=free.rule)
    assert (run(alice, clock.now()), states(*rewards)) == (1, ["queued", "queued"])


def only_thirty(connection: object, amount: Money, options: object) -> str:
    """A company that has nothing but cards of thirty dollars (Way.obstacle)."""
    return "" if amount.minor == 3000 else f"There is no card of {amount}."


def test_a_campaign_s_own_way_goes_before_the_one_of_all(alice: Cast) -> None:
    asha = person(alice, delivery="immediate")
    own = route(alice, campaign=asha.campaign)
    general = route(alice)
    needs = routes.needs_of(alice.tenant)
    assert [routes.route_for([general, own], need) for need in needs] == [own]
    routes.remove_route(route=own, actor=ACTOR)
    assert [routes.route_for([general], need) for need in needs] == [general]
    routes.remove_route(route=own, actor=ACTOR)
    told = Event.objects.filter(type__startswith="payout.route").order_by("pk").values_list("type", flat=True)
    assert list(told) == ["payout.route_set", "payout.route_set", "payout.route_removed"]


def test_rules_that_are_over_need_no_way_but_what_is_owed_by_them_does(alice: Cast) -> None:
    def needs() -> list[tuple[str, str]]:
        return [(need.kind, need.delivery) for need in routes.needs_of(alice.tenant)]

    draft = make_campaign(alice.tenant, [fixed_rule(delivery="weekly")], name="Draft", launched=False)
    asha = person(alice, delivery="day_15")
    assert (draft.status, needs()) == ("draft", [("cash", "day_15")])
    earn(asha)
    publish_rules(campaign=asha.campaign, rules=[fixed_rule(kind="coupon")], actor=ACTOR)
    assert needs() == [("cash", "day_15")]
    Reward.objects.update(state="void")
    assert needs() == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"method": "manual"}, "method_by_hand"),
        ({"method": "gold"}, "method_unknown"),
        ({"kind": "custom"}, "method_unsuitable"),
        ({"options": {"colour": "red"}}, "option"),
    ],
)
def test_a_way_that_cannot_be_is_refused(alice: Cast, fields: dict[str, Any], code: str) -> None:
    with pytest.raises(Refused) as refused:
        route(alice, **{"kind": "cash", **fields})
    assert (refused.value.code, PayoutRoute.objects.count()) == (code, 0)


def test_a_large_slot_is_several_batches_of_whole_people(
    alice: Cast, monkeypatch: pytest.MonkeyPatch, before: None
) -> None:
    monkeypatch.setattr(runs, "MOST", 2)
    route(alice)
    asha = person(alice, delivery="day_15")
    others = [make_participant(asha.campaign, f"p{n}@example.com") for n in range(2)]
    rewards = earn(asha, "a1", "a2", "a3") + earn(others[0], "b1") + earn(others[1], "c1")
    assert [run(alice, THE_15TH) for _ in range(3)] == [1, 1, 0]
    assert set(states(*rewards)) == {"queued"}
    rows = PayoutRun.objects.order_by("pk").values_list("slot", "more")
    assert list(rows) == [("day_15:2026-11-15", True), ("day_15:2026-11-15/2", False)]


def test_moving_the_test_clock_to_the_15th_pays(alice: Cast, method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    side = Tenant(alice.merchant, is_test=True)
    cast = Cast(alice.user, alice.merchant, side, alice.client)
    route(cast)
    asha = person(cast, delivery="day_15", review_days=1)
    reward = earn(asha)
    state = advancing.advance_days(tenant=side, days=62, actor=ACTOR)
    assert state.target is None
    row = PayoutRun.objects.get()
    assert (row.slot.partition("-")[0].partition(":")[0], row.due_at.day, row.made_at, states(*reward)) == (
        "day_15",
        15,
        row.due_at,
        ["queued"],
    )
    assert issuing.sweep() == 0  # the real time is none of a side with a clock of its own


def test_what_comes_next_names_the_run(alice: Cast) -> None:
    side = Tenant(alice.merchant, is_test=True)
    cast = Cast(alice.user, alice.merchant, side, alice.client)
    made = route(cast)
    earn(person(cast, delivery="month_end"))
    found = [one for one in advancing.state_of(side).coming if one.kind == "payout_run"]
    assert [(one.subject_id, one.who) for one in found] == [(made.public_id, "Cash")]
    advancing.advance_to_next(tenant=side, actor=ACTOR)
    assert PayoutRun.objects.get().slot.startswith("month_end:")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_workers_make_one_batch_of_a_slot(alice: Cast, before: None) -> None:
    route(alice)
    reward = earn(person(alice, delivery="day_15"), "f1", "f2", "f3")
    start, made = threading.Barrier(4), []

    def work() -> None:
        try:
            start.wait()
            made.append(run(alice, THE_15TH))
        finally:
            database.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [0, 0, 0, 1]
    assert (PayoutBatch.objects.count(), PayoutRun.objects.count(), set(states(*reward))) == (1, 1, {"queued"})
    assert Payout.objects.get().amount_minor == 4500


@pytest.mark.django_db(transaction=True)
def test_a_run_that_breaks_half_way_leaves_nothing_and_is_made_later(
    alice: Cast, before: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    route(alice)
    reward = earn(person(alice, delivery="day_15"))
    whole = queueing._intend

    def broken(*args: Any) -> None:
        whole(*args)
        raise RuntimeError("the worker died")

    monkeypatch.setattr(queueing, "_intend", broken)
    with pytest.raises(RuntimeError):
        run(alice, THE_15TH)
    assert (PayoutRun.objects.count(), PayoutBatch.objects.count(), states(*reward)) == (0, 0, ["due"])
    monkeypatch.setattr(queueing, "_intend", whole)
    assert (run(alice, THE_15TH + DAY), states(*reward)) == (1, ["queued"])
