"""What each guard does to each way of paying: the table of docs/payouts.md ("What keeps money in the house"), row by row."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F

from integrations import issuing, methods, veto
from integrations import payouts as carrier
from participants.models import Participant
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import bans, funding, lifecycle, queueing
from rewards import payout_guards as guards
from rewards.ceilings import LIMIT
from rewards.coupons import waiting
from rewards.coupons.lists import add_codes, close_list, make_list
from rewards.files import waiting as waiting_files
from rewards.files.freezing import content
from rewards.files.returned import mark_all
from rewards.models import (
    CouponCode,
    CouponList,
    LedgerEntry,
    Payout,
    PayoutBatch,
    PayoutFile,
    PayoutGift,
    PayoutRun,
    PayoutVeto,
    Reward,
)
from rewards.payouts import undo
from rewards.queueing import Method
from rewards.verify import differences
from tests.chaos.company import Company
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant
from tests.rewards.paying import company, method

__all__ = ["company", "method"]  # fixtures
pytestmark = pytest.mark.django_db
DANA = Actor("user", "us_dana", "Dana")
WAYS = ("company", "csv_file", "coupon_list", "manual")
TEN = Money(1000, "USD")


@pytest.fixture
def coupons(alice: Cast) -> CouponList:
    """A list with ten codes of ten dollars."""
    found = make_list(tenant=alice.tenant, actor=ACTOR, name="Beans", worth=TEN)
    add_codes(coupons=found, data="\n".join(f"BEANS-{n:04}" for n in range(10)).encode(), actor=ACTOR)
    return found


@pytest.fixture
def asha(alice: Cast) -> Participant:
    """Who gets custom rewards, which every way can pay."""
    return make_participant(make_campaign(alice.tenant, [fixed_rule(1000, kind="custom")]), "asha@example.com")


def limit(alice: Cast, **minor: int) -> None:
    guards.set_limits(tenant=alice.tenant, actor=ACTOR, currency="USD", limits=dict(minor))


def earn(asha: Participant, count: int = 1) -> list[Reward]:
    so_far = Reward.objects.count()
    return [buy(make_friend(asha, f"maya{so_far + n}@example.net")).rewards[0] for n in range(count)]


def pay(alice: Cast, way: str, method: Method, coupons: CouponList, rewards: list[Reward]) -> PayoutBatch:
    """Issue by this way, and let what a worker has to do be done."""
    keys, key = [row.pk for row in rewards], f"request-{PayoutBatch.objects.count()}-{Payout.objects.count()}"
    if way == "company":
        paid_by = Method(method.name, frozenset({"custom"}), account=method.account)
        batch, _made = queueing.queue(tenant=alice.tenant, reward_ids=keys, method=paid_by, actor=ACTOR, key=key)
        carrier.sweep()
    else:
        chosen = {"list": coupons.public_id} if way == "coupon_list" else {}
        option = methods.find(alice.tenant, way)
        batch, _made = methods.issue(option, tenant=alice.tenant, reward_ids=keys, actor=ACTOR, key=key, chosen=chosen)
    batch.refresh_from_db()
    return batch


def work() -> None:
    """Whatever a worker does by itself."""
    carrier.sweep()
    waiting.give()
    waiting_files.freeze_all()


def states(rewards: list[Reward]) -> list[str]:
    return list(
        Reward.objects.filter(pk__in=[row.pk for row in rewards]).order_by("pk").values_list("state", flat=True)
    )


def left(rewards: list[Reward]) -> list[bool]:
    """Whether each has left: it is issued, or stands in a file that was frozen."""
    return [state in {"issued", "sending"} for state in states(rewards)]


@pytest.mark.parametrize(
    ("first", "second", "field"),
    [
        *((first, second, "a_day_minor") for first in WAYS for second in WAYS),
        *(("manual", second, "a_person_a_day_minor") for second in WAYS),
    ],
)
def test_every_way_counts_for_a_day_s_ceiling(
    alice: Cast, asha: Participant, method: Method, coupons: CouponList, company: Company, first: str, second: str,
    field: str,
) -> None:  # fmt: skip
    limit(alice, **{field: 1500})
    one, two = earn(asha, 2)
    pay(alice, first, method, coupons, [one])
    assert left([one]) == [True]
    if second == "manual":
        # It was paid outside already: to refuse writing it down would only make the books wrong.
        pay(alice, second, method, coupons, [two])
        assert left([two]) == [True]
        return
    if second == "company":
        pay(alice, second, method, coupons, [two])
        late = Payout.objects.get(rewards=two)
        assert (late.status, late.attempts, states([two])) == ("queued", 0, ["queued"])
        assert late.message.startswith("Today's limit")
        return
    before = (Payout.objects.count(), CouponCode.objects.filter(payout=None).count())
    with pytest.raises(Refused) as refused:
        pay(alice, second, method, coupons, [two])
    assert (refused.value.code, refused.value.status) == ("limit_reached", 409)
    assert refused.value.message.startswith("Today's limit")
    assert states([two]) == ["due"]
    assert (Payout.objects.count(), CouponCode.objects.filter(payout=None).count()) == before
    # The next day it goes.
    Payout.objects.update(called_at=F("called_at") - timedelta(days=2))
    pay(alice, second, method, coupons, [two])
    assert left([two]) == [True]


@pytest.mark.parametrize("way", ["csv_file", "coupon_list"])
def test_what_is_above_a_ceiling_is_named_before_anything_is_issued(
    alice: Cast, asha: Participant, method: Method, coupons: CouponList, way: str
) -> None:
    bela = make_participant(asha.campaign, "bela@example.com")
    limit(alice, a_day_minor=1500)
    rewards = earn(asha) + earn(bela)
    option, chosen = methods.find(alice.tenant, way), {"list": coupons.public_id} if way == "coupon_list" else {}
    found = methods.preview(option, alice.tenant, [row.pk for row in rewards], chosen)
    assert (found.payable, found.refused) == (rewards[:1], [(rewards[1], LIMIT)])
    with pytest.raises(Refused) as refused:
        pay(alice, way, method, coupons, rewards)
    assert (refused.value.code, states(rewards), PayoutBatch.objects.count()) == ("limit_reached", ["due", "due"], 0)


def test_what_came_back_or_was_undone_leaves_its_room(
    alice: Cast, asha: Participant, method: Method, coupons: CouponList
) -> None:
    limit(alice, a_day_minor=1000)
    one, two, three = earn(asha, 3)
    mark_all(batch=pay(alice, "csv_file", method, coupons, [one]), kind="withdrawn", note="", actor=ACTOR)
    undo(batch=pay(alice, "manual", method, coupons, [two]), actor=ACTOR)
    pay(alice, "coupon_list", method, coupons, [three])
    assert (states([one, two, three]), list(differences())) == (["due", "due", "issued"], [])


@pytest.mark.parametrize("way", ["csv_file", "coupon_list"])
@pytest.mark.parametrize("delivery", ["immediate", "day_15"])
def test_a_run_takes_what_fits_and_the_rest_on_another_day(
    alice: Cast, coupons: CouponList, way: str, delivery: str
) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(1000, kind="coupon", delivery=delivery)])
    people = [make_participant(campaign, f"{name}@example.com") for name in ("asha", "bela", "cleo")]
    rewards = [buy(make_friend(person, f"of-{person.pk}@example.net")).rewards[0] for person in people]
    limit(alice, a_day_minor=2500)
    chosen = {"list": coupons.public_id} if way == "coupon_list" else {}
    route = issuing.set_route(
        tenant=alice.tenant, actor=ACTOR, side="referrer", kind="coupon", method=way, options=chosen
    )
    now = clock.now()
    moment = now if delivery == "immediate" else now + timedelta(days=32)
    made = [issuing.run_due(alice.tenant, moment) for _ in range(2)]
    assert (made, left(rewards)) == ([1, 0], [True, True, False])
    route.refresh_from_db()
    assert route.problem == "A limit for a day is used up. What is above it goes as soon as there is room again."
    Payout.objects.update(called_at=F("called_at") - timedelta(days=2))
    assert (issuing.run_due(alice.tenant, moment), left(rewards)) == (1, [True, True, True])
    route.refresh_from_db()
    assert (route.problem, issuing.run_due(alice.tenant, moment), PayoutRun.objects.count()) == ("", 0, 2)


@pytest.mark.parametrize("way", WAYS)
def test_the_switch_stops_every_way_but_what_was_paid_outside(
    alice: Cast, asha: Participant, method: Method, coupons: CouponList, company: Company, way: str
) -> None:
    guards.stop(tenant=alice.tenant, actor=ACTOR, note="Odd sums.")
    rewards = earn(asha)
    if way in {"csv_file", "coupon_list"}:
        with pytest.raises(Refused) as refused:
            pay(alice, way, method, coupons, rewards)
        assert (refused.value.code, states(rewards)) == ("payouts_stopped", ["due"])
        assert (Payout.objects.count(), LedgerEntry.objects.filter(kind="pay").count()) == (0, 0)
    else:
        pay(alice, way, method, coupons, rewards)
        assert states(rewards) == ["queued" if way == "company" else "issued"]
        assert company.transfers == []


@pytest.mark.parametrize("way", WAYS)
def test_a_second_person_s_word_comes_before_every_way_but_by_hand(
    alice: Cast, asha: Participant, method: Method, coupons: CouponList, company: Company, way: str
) -> None:
    limit(alice, second_person_above_minor=1500)
    rewards = earn(asha, 2)
    batch = pay(alice, way, method, coupons, rewards)
    if way == "manual":
        assert (batch.needs_approval, states(rewards)) == (False, ["issued", "issued"])
        return
    carrier.sweep()
    waiting.give()
    assert (batch.needs_approval, company.transfers) == (True, [])
    assert (CouponCode.objects.exclude(payout=None).count(), LedgerEntry.objects.filter(kind="pay").count()) == (0, 0)
    if way == "csv_file":
        assert states(rewards) == ["sending", "sending"]
        with pytest.raises(Refused, match="has to approve"):
            content(batch.files.get())
    else:
        assert states(rewards) == ["queued", "queued"]
    assert [row.pk for row in funding.waiting_for_somebody(alice.tenant)] == [batch.pk]
    with pytest.raises(Refused) as refused:
        guards.approve_batch(batch=batch, actor=ACTOR)
    assert refused.value.code == "same_person"
    guards.approve_batch(batch=batch, actor=DANA)
    carrier.sweep()
    waiting.give()
    assert left(rewards) == [True, True]
    assert list(funding.waiting_for_somebody(alice.tenant)) == []
    if way == "csv_file":
        assert content(PayoutBatch.objects.get().files.get())
    assert list(differences()) == []


# --- codes that wait ---


def wait_for_codes(alice: Cast, method: Method, coupons: CouponList, rewards: list[Reward]) -> PayoutBatch:
    """A batch of codes that a second person has yet to see."""
    limit(alice, second_person_above_minor=0)
    batch = pay(alice, "coupon_list", method, coupons, rewards)
    assert (set(states(rewards)), batch.completed_at) == ({"queued"}, None)
    return batch


def test_a_code_that_waited_is_given_once_and_as_any_other(
    alice: Cast, asha: Participant, method: Method, coupons: CouponList
) -> None:
    rewards = earn(asha, 2)
    batch = wait_for_codes(alice, method, coupons, rewards)
    assert carrier.sweep() == 0
    guards.approve_batch(batch=batch, actor=DANA)
    assert (carrier.sweep(), waiting.give(), waiting.give()) == (0, 2, 0)
    rows = batch.payouts.order_by("pk")
    assert [(row.status, row.gift.secrets["code"], row.gift.hint) for row in rows] == [
        ("paid", "BEANS-0000", "0000"),
        ("paid", "BEANS-0001", "0001"),
    ]
    used = CouponCode.objects.exclude(payout=None).order_by("pk")
    assert [(row.payout_id, row.sealed) for row in used] == [(row.pk, "") for row in rows]
    assert (states(rewards), LedgerEntry.objects.filter(kind="pay").count()) == (["issued", "issued"], 2)
    batch.refresh_from_db()
    assert (batch.completed_at is not None, list(differences())) == (True, [])


@pytest.mark.parametrize(
    ("what", "after"),
    [
        ("withdrawn", "due"), ("held", "held"), ("banned", "held"), ("stopped", "queued"), ("no room", "queued"), ("no code", "queued"),
        ("closed", "due"), ("expired", "due"),
    ],
)  # fmt: skip
def test_what_happened_while_a_code_waited(
    alice: Cast, asha: Participant, method: Method, coupons: CouponList, what: str, after: str
) -> None:
    rewards = earn(asha)
    batch = wait_for_codes(alice, method, coupons, rewards)
    payout = batch.payouts.get()
    match what:
        case "withdrawn":
            queueing.withdraw(payouts=[payout.pk], tenant=alice.tenant, actor=ACTOR)
        case "held":
            lifecycle.hold(tenant=alice.tenant, reward_ids=[rewards[0].pk], actor=ACTOR)
        case "banned":
            bans.ban(participant=asha, actor=ACTOR, reason="x")
        case "stopped":
            guards.stop(tenant=alice.tenant, actor=ACTOR, note="x")
        case "no room":
            limit(alice, a_day_minor=500, second_person_above_minor=0)
        case "no code":
            CouponCode.objects.all().delete()
        case "closed":
            close_list(coupons=coupons, actor=ACTOR)
        case "expired":
            CouponList.objects.update(expires_at=clock.now())
    if what != "withdrawn":
        guards.approve_batch(batch=batch, actor=DANA)
    assert (waiting.give(), states(rewards)) == (0, [after])
    assert not PayoutGift.objects.exists()
    assert (LedgerEntry.objects.filter(kind="pay").count(), list(differences())) == (0, [])
    payout.refresh_from_db()
    said = {
        "no room": "$10.00 is more than the limit of a whole day, $5.00.",
        "no code": "“Beans” has only 0 codes left.",
    }
    assert payout.message.startswith(said.get(what, ""))
    if after == "queued":  # it goes once the cause is gone
        guards.go_on(tenant=alice.tenant, actor=ACTOR)
        limit(alice, second_person_above_minor=0)
        add_codes(coupons=coupons, data=b"BEANS-NEW1", actor=ACTOR)
        assert (waiting.give(), states(rewards), list(differences())) == (1, ["issued"], [])


def test_too_few_codes_are_refused_before_anybody_is_asked(
    alice: Cast, asha: Participant, method: Method, coupons: CouponList
) -> None:
    limit(alice, second_person_above_minor=0)
    CouponCode.objects.filter(pk__in=CouponCode.objects.order_by("pk").values("pk")[1:]).delete()
    rewards = earn(asha, 2)
    with pytest.raises(Refused) as refused:
        pay(alice, "coupon_list", method, coupons, rewards)
    assert (refused.value.code, states(rewards), PayoutBatch.objects.count()) == ("no_codes", ["due", "due"], 0)


def own_system(alice: Cast, monkeypatch: pytest.MonkeyPatch, *statuses: int) -> list[str]:
    """A system of the merchant's that answers with these, one for each question; returns the ids that it was asked about."""
    veto.set_up(tenant=alice.tenant, actor=ACTOR, url="https://pay.example.com/may")
    asked: list[str] = []

    def answer(_endpoint: object, message_id: str, _data: object) -> tuple[int, str]:
        asked.append(message_id)
        return statuses[len(asked) - 1], "No."

    monkeypatch.setattr(veto, "ask", answer)
    return asked


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [200, 400, 503, "off"])
def test_a_merchant_s_own_system_is_asked_before_anything_leaves_but_by_hand(
    alice: Cast, asha: Participant, method: Method, coupons: CouponList, company: Company, monkeypatch: pytest.MonkeyPatch,
    way: str, status: int | str,
) -> None:  # fmt: skip
    asked = own_system(alice, monkeypatch, 0 if status == "off" else int(status))
    rewards = earn(asha)
    batch = pay(alice, way, method, coupons, rewards)
    if way == "manual":
        assert (states(rewards), PayoutVeto.objects.count()) == (["issued"], 0)
        return
    work()
    assert (states(rewards), PayoutFile.objects.count()) == (["queued"], 0)
    if status == "off":
        veto.switch_off(tenant=alice.tenant, actor=ACTOR)
    veto.sweep()
    work()
    assert asked == ([] if status == "off" else [batch.payouts.get().public_id])
    leaves = status in {200, "off"}
    after = {400: "void", 503: "queued"}.get(status if isinstance(status, int) else 0, "issued")
    assert states(rewards) == ["sending" if way == "csv_file" and leaves else after]
    assert PayoutFile.objects.count() == int(way == "csv_file" and leaves)
    assert (PayoutGift.objects.count(), len(company.transfers)) == (
        int(way == "coupon_list" and leaves),
        int(way == "company" and leaves),
    )
    work()
    assert list(differences()) == []


def test_a_file_is_frozen_when_the_last_answer_is_there(
    alice: Cast, asha: Participant, method: Method, coupons: CouponList, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [make_participant(asha.campaign, f"{name}@example.com") for name in ("bela", "cleo", "dora", "emil")]
    rewards = [earn(person)[0] for person in (asha, *people)]
    limit(alice, second_person_above_minor=1500, a_day_minor=1500)
    own_system(alice, monkeypatch, 200, 503, 400, 200, 200, 200)
    batch = pay(alice, "csv_file", method, coupons, rewards)
    assert (batch.needs_approval, PayoutVeto.objects.count()) == (True, 0)
    guards.approve_batch(batch=batch, actor=DANA)
    batch.refresh_from_db()
    veto.sweep()
    assert (waiting_files.freeze_all(), PayoutFile.objects.count()) == (0, 0)
    assert states(rewards) == ["queued", "queued", "void", "queued", "queued"]
    # While they wait, one is banned; the one that had no answer gets it.
    bans.ban(participant=people[3], actor=ACTOR, reason="x")
    PayoutVeto.objects.filter(answer="").update(next_at=clock.wall())
    veto.sweep()
    # As much as today's limit leaves; the rest in a second file on another day.
    assert (waiting_files.freeze_all(), states(rewards)) == (1, ["sending", "queued", "void", "queued", "held"])
    late = batch.payouts.filter(status="queued").order_by("pk")
    assert {row.message for row in late} == {"Today's limit for all payouts is used up."}
    limit(alice, second_person_above_minor=1500)
    assert (waiting_files.freeze_all(), waiting_files.freeze_all()) == (2, 0)
    assert states(rewards) == ["sending", "sending", "void", "sending", "held"]
    files = batch.files.order_by("number")
    assert [(row.number, row.rows) for row in files] == [(1, 1), (2, 2)]
    assert [row.sha256 for row in files] == [hashlib.sha256(content(row)).hexdigest() for row in files]
    mark_all(batch=batch, kind="paid", note="", actor=ACTOR)
    assert (states(rewards), list(differences())) == (["issued", "issued", "void", "issued", "held"], [])


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_all_ways_at_once_never_use_the_same_rest_of_a_day(
    alice: Cast, method: Method, coupons: CouponList, company: Company
) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(1000, kind="custom")])
    people = [make_participant(campaign, f"asha{n}@example.com") for n in range(12)]
    rewards = [earn(person)[0] for person in people]
    limit(alice, a_day_minor=5500)
    paid_by = Method(method.name, frozenset({"custom"}), account=method.account)
    keys = [row.pk for row in rewards[:4]]
    queueing.queue(tenant=alice.tenant, reward_ids=keys, method=paid_by, actor=ACTOR, key="request-all")
    queued = list(Payout.objects.order_by("pk").values_list("pk", flat=True))

    def one(number: int) -> str:
        try:
            if number < 4:
                carrier.work(queued[number])
            else:
                way = "csv_file" if number % 2 else "coupon_list"
                option = methods.find(alice.tenant, way)
                chosen = {"list": coupons.public_id} if way == "coupon_list" else {}
                methods.issue(
                    option, tenant=alice.tenant, reward_ids=[rewards[number].pk], actor=ACTOR, key=f"request-{number}",
                    chosen=chosen,
                )  # fmt: skip
        except Refused as refusal:
            return refusal.code
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(12) as pool:
        came = list(pool.map(one, range(12)))
    assert left(rewards).count(True) == 5
    assert set(came) <= {"done", "limit_reached"}
    assert list(differences()) == []
