"""The kill switch, ceilings for a day, and a second person's word (RELIABILITY section 4, "Also"; INV-16 for the last unit)."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from pytest_django.fixtures import Settings

from integrations import payouts as carrier
from participants.models import Participant
from referrals.accounts.keys import create_api_key
from referrals.accounts.models import Role
from referrals.accounts.services import user_actor
from referrals.api.auth import actor_of
from referrals.events.models import Event
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.errors import Refused
from rewards import payout_guards as guards
from rewards.models import Payout, PayoutLimit, PayoutStop
from rewards.queueing import Method
from tests.chaos.company import Company
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_cast, make_participant
from tests.rewards.paying import asha, company, earn, intend, method, state, with_issuer

__all__ = ["asha", "company", "method"]  # fixtures
pytestmark = pytest.mark.django_db
DANA = Actor("user", "us_dana", "Dana")


def limit(alice: Cast, **minor: int) -> PayoutLimit:
    return guards.set_limits(tenant=alice.tenant, actor=ACTOR, currency="USD", limits=dict(minor))


def told(prefix: str) -> list[str]:
    return list(Event.objects.filter(type__startswith=prefix).order_by("pk").values_list("type", flat=True))


def test_nothing_leaves_while_the_switch_is_thrown(
    alice: Cast, charlie: Cast, asha: Participant, method: Method, company: Company
) -> None:
    payout = intend(alice, method, earn(asha))
    guards.stop(tenant=charlie.tenant, actor=ACTOR, note="Not ours.")
    guards.stop(tenant=alice.tenant, actor=ACTOR, note="Odd sums.")
    guards.stop(tenant=alice.tenant, actor=ACTOR, note="Again.")
    assert (carrier.sweep(), carrier.work(payout.pk), company.transfers) == (0, False, [])
    assert PayoutStop.objects.for_tenant(alice.tenant).get().note == "Odd sums."
    assert (guards.go_on(tenant=alice.tenant, actor=ACTOR), guards.go_on(tenant=alice.tenant, actor=ACTOR)) == (
        True,
        False,
    )
    assert (carrier.sweep(), company.transfers) == (1, [(payout.key, 1500)])
    assert told("payout.stop") == ["payout.stopped", "payout.stopped"]


def test_the_installation_s_switch_stops_everybody(
    alice: Cast, asha: Participant, method: Method, company: Company, settings: Settings
) -> None:
    payout = intend(alice, method, earn(asha))
    settings.PAYOUTS_STOPPED = True
    assert (carrier.sweep(), carrier.work(payout.pk), company.transfers) == (0, False, [])
    settings.PAYOUTS_STOPPED = False
    assert carrier.sweep() == 1


def test_a_switch_needs_a_reason_and_limits_need_amounts(alice: Cast) -> None:
    with pytest.raises(Refused) as refused:
        guards.stop(tenant=alice.tenant, actor=ACTOR, note=" ")
    assert (refused.value.code, PayoutStop.objects.count()) == ("note_required", 0)
    with pytest.raises(Refused) as refused:
        limit(alice, a_day_minor=0)
    assert (refused.value.code, refused.value.field, PayoutLimit.objects.count()) == (
        "amount_not_positive",
        "a_day_minor",
        0,
    )


@pytest.mark.parametrize("field", ["a_day_minor", "a_person_a_day_minor"])
def test_what_is_above_a_day_s_ceiling_leaves_another_day(
    alice: Cast, asha: Participant, method: Method, company: Company, field: str
) -> None:
    limit(alice, **{field: 4000})
    rows = [intend(alice, method, earn(asha, f"f{n}")) for n in range(3)]
    assert carrier.sweep() == 2
    late = Payout.objects.exclude(status="paid").get()
    assert (len(company.transfers), late.status, late.attempts, late.called_at) == (2, "queued", 0, None)
    assert late.message.startswith("Today's limit")
    assert late.next_attempt_at is not None
    assert clock.wall() < late.next_attempt_at <= clock.wall() + timedelta(hours=25)
    assert carrier.sweep() == 0
    # The next day it goes.
    Payout.objects.filter(called_at__isnull=False).update(called_at=Now() - timedelta(days=2))
    Payout.objects.filter(pk=late.pk).update(next_attempt_at=Now())
    carrier.sweep()
    assert {key for key, _minor in company.transfers} == {row.key for row in rows}


@pytest.mark.parametrize("field", ["a_day_minor", "a_person_a_day_minor"])
def test_what_no_day_has_room_for_says_what_to_do(
    alice: Cast, asha: Participant, method: Method, company: Company, field: str
) -> None:
    limit(alice, **{field: 1499})
    payout = intend(alice, method, earn(asha))
    assert carrier.sweep() == 0
    payout.refresh_from_db()
    assert (payout.status, payout.attempts, company.transfers) == ("queued", 0, [])
    assert payout.message == (
        "$15.00 is more than the limit of a whole day, $14.99. Raise the limit, or pay it in smaller parts."
    )


def test_a_person_in_two_campaigns_has_one_ceiling(
    alice: Cast, asha: Participant, method: Method, company: Company
) -> None:
    limit(alice, a_person_a_day_minor=1500)
    again = make_participant(make_campaign(alice.tenant, [fixed_rule(1500, kind="cash")], name="Autumn"), asha.email)
    else_ = make_participant(asha.campaign, "else@example.com")
    rows = [intend(alice, method, earn(person, f"f{n}")) for n, person in enumerate((asha, again, else_))]
    assert carrier.sweep() == 2
    assert {key for key, _minor in company.transfers} == {rows[0].key, rows[2].key}
    rows[1].refresh_from_db()
    assert (rows[1].status, rows[1].message) == ("queued", "Today's limit for this person is used up.")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_workers_never_use_the_same_rest_of_a_day(
    alice: Cast, asha: Participant, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = Company("original")
    with_issuer(monkeypatch, company)
    limit(alice, a_day_minor=4500)
    keys = [intend(alice, method, earn(asha, f"f{n}")).pk for n in range(8)]
    start = threading.Barrier(8)

    def work(key: int) -> None:
        try:
            start.wait()
            carrier.work(key)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(minor for _key, minor in company.transfers) == 4500
    assert Payout.objects.filter(status="queued").count() == 5


def test_a_large_batch_waits_for_somebody_else(
    alice: Cast, asha: Participant, method: Method, company: Company
) -> None:
    limit(alice, second_person_above_minor=1500)
    small = intend(alice, method, earn(asha, "f1"))
    reward, other = earn(asha, "f2"), earn(asha, "f3")
    payout = intend(alice, method, reward, other)
    assert (carrier.sweep(), company.transfers, state(reward)[0]) == (1, [(small.key, 1500)], "queued")
    with pytest.raises(Refused) as refused:
        guards.approve_batch(batch=payout.batch, actor=ACTOR)
    assert (refused.value.code, carrier.sweep()) == ("same_person", 0)
    guards.approve_batch(batch=payout.batch, actor=DANA)
    assert (carrier.sweep(), len(company.transfers), state(reward)[0]) == (1, 2, "issued")
    for batch in (payout.batch, small.batch):
        with pytest.raises(Refused) as refused:
            guards.approve_batch(batch=batch, actor=DANA)
        assert refused.value.code == "invalid_state"
    assert told("payout.batch") == ["payout.batch.completed", "payout.batch.approved", "payout.batch.completed"]


def key_of(cast: Cast) -> Actor:
    """A key that this person made."""
    return actor_of(create_api_key(tenant=cast.tenant, name="Server", actor=ACTOR, user=cast.user)[0])


@pytest.mark.parametrize("maker", ["user", "key"])
@pytest.mark.parametrize("approver", ["user", "key", "other key"])
def test_a_key_is_no_second_person_beside_who_made_it(
    alice: Cast, asha: Participant, method: Method, maker: str, approver: str
) -> None:
    limit(alice, second_person_above_minor=1000)
    bella = make_cast("bella@kept.example.com", alice.merchant, Role.MANAGER)
    mine = {"user": user_actor(alice.user), "key": key_of(alice), "other key": key_of(alice)}
    batch = intend(alice, method, earn(asha), actor=mine[maker]).batch
    with pytest.raises(Refused) as refused:
        guards.approve_batch(batch=batch, actor=mine[approver])
    batch.refresh_from_db()
    assert (refused.value.code, batch.approved_at, Payout.objects.get().next_attempt_at) == ("same_person", None, None)
    others = {"user": user_actor(bella.user), "key": key_of(bella), "other key": key_of(bella)}
    assert guards.approve_batch(batch=batch, actor=others[approver]).approved_at is not None
