"""How rewards are paid: choosing a way in two steps, what is missing, the calendar, the runs; and what a due reward says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.urls import reverse

from integrations import issuing, methods
from integrations.base import SettingField, Way
from integrations.methods import Option
from integrations.outlook import outlook, words
from referrals.accounts.models import Role
from referrals.lib import clock
from referrals.lib.money import Money
from rewards.models import PayoutCalendar, PayoutRoute, PayoutRun, Reward
from rewards.queueing import Method
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_cast, make_friend, make_participant
from tests.rewards.paying import FIRST, method
from tests.web.helpers import freshen

__all__ = ["method"]  # fixtures
NEW = "web:payout_route_new"
BEFORE = datetime(2026, 11, 10, 12, tzinfo=UTC)
KINDS = frozenset({"cash", "coupon"})


@pytest.fixture(autouse=True)
def way(alice: Cast, method: Method, monkeypatch: pytest.MonkeyPatch) -> str:
    """What can be chosen: by hand, and one company that asks for a message."""
    freshen(alice.client, alice.user)
    fields = (SettingField("message", "Message", required=True, limit=20),)
    company = Way(name=FIRST, label="Stripe", summary="Arrives at once.", kinds=KINDS, issuer="", options=fields)
    mine = Method(FIRST, KINDS, account=method.account)
    made = [methods._own(methods.OWN[0]), Option(mine, "Stripe", "Arrives at once.", fields, way=company)]
    monkeypatch.setattr(methods, "options", lambda tenant: made)
    return made[1].value


def due(cast: Cast, *names: str, **terms: Any) -> list[Reward]:
    asha = make_participant(make_campaign(cast.tenant, [fixed_rule(kind="cash", **terms)]))
    return [buy(make_friend(asha, f"{name}@example.net")).rewards[0] for name in names or ["maya"]]


def test_a_way_is_chosen_in_two_steps_and_kept_once(alice: Cast, way: str) -> None:
    due(alice, delivery="day_15")
    page = alice.client.get(reverse("web:payout_routes")).content.decode()
    assert "Cash for referrers in Spring refer-a-friend, on the 15th" in page
    assert "1 reward waits" in page
    first = alice.client.get(reverse(NEW), {"side": "referrer", "kind": "cash"}).content.decode()
    assert "Arrives at once." in first
    assert 'value="manual"' not in first
    chosen = {"side": "referrer", "kind": "cash", "campaign": "", "method": way}
    assert 'name="message"' in alice.client.get(reverse(NEW), chosen).content.decode()
    empty = alice.client.post(reverse(NEW), {**chosen, "save": "1"})
    assert (empty.status_code, PayoutRoute.objects.count()) == (422, 0)
    for _press in range(2):
        alice.client.post(reverse(NEW), {**chosen, "save": "1", "message": "Thank you"})
    row = PayoutRoute.objects.get()
    assert (row.method, row.options, row.created_by) == (way, {"message": "Thank you"}, "alice@example.com")
    page = alice.client.get(reverse("web:payout_routes")).content.decode()
    assert "1 reward waits" not in page
    assert "Stripe" in page
    history = alice.client.get(reverse("web:history"), {"kind": "rewards"}).content.decode()
    assert "Cash goes out by itself: stripe" in history


def test_a_kind_that_the_way_can_not_deliver_is_refused_where_it_was_chosen(alice: Cast, way: str) -> None:
    wrong = {"side": "referrer", "kind": "gift_card", "campaign": "", "method": way, "message": "x", "save": "1"}
    answer = alice.client.post(reverse(NEW), wrong)
    assert (answer.status_code, PayoutRoute.objects.count()) == (422, 0)
    assert "Nothing can deliver this by itself yet" in answer.content.decode()
    assert "First say for which rewards" in alice.client.get(reverse(NEW)).content.decode()
    unknown = alice.client.get(reverse(NEW), {**wrong, "kind": "cash", "method": "gold"})
    assert unknown.status_code == 422


def test_the_calendar_is_the_merchant_s(alice: Cast) -> None:
    url = reverse("web:payout_calendar")
    assert alice.client.post(url, {"weekday": "9", "hour": "9"}).status_code == 422
    assert PayoutCalendar.objects.count() == 0
    alice.client.post(url, {"weekday": "4", "hour": "17"})
    row = PayoutCalendar.objects.get()
    assert (row.weekday, row.hour) == (4, 17)
    history = alice.client.get(reverse("web:history"), {"kind": "rewards"}).content.decode()
    assert "Payouts run at 17:00, weekly ones on Friday" in history


def test_a_way_shows_its_runs_and_goes(alice: Cast, way: str) -> None:
    with clock.at(BEFORE):
        row = issuing.set_route(
            tenant=alice.tenant, actor=ACTOR, side="referrer", kind="cash", method=way, options={"message": "Hi"}
        )
        due(alice, delivery="day_15")
    with clock.at(datetime(2026, 11, 17, 12, tzinfo=UTC)):
        assert issuing.run_due(alice.tenant, clock.now()) == 1
    page = alice.client.get(reverse("web:payout_route", args=[row.public_id])).content.decode()
    assert "$15.00" in page
    assert "made up for on" in page
    assert PayoutRun.objects.get().batch is not None
    alice.client.post(reverse("web:payout_route_remove", args=[row.public_id]))
    assert PayoutRoute.objects.count() == 0
    assert "Nothing is paid by itself" in alice.client.get(reverse("web:payout_routes")).content.decode()


def test_only_admins_change_it_and_only_after_their_password(alice: Cast, bob: Cast, way: str) -> None:
    manager = make_cast("mia@example.com", alice.merchant, Role.MANAGER)
    posts = [(NEW, {"side": "referrer", "kind": "cash", "method": way, "message": "x", "save": "1"})]
    posts.append(("web:payout_calendar", {"weekday": "1", "hour": "1"}))
    for cast in (bob, manager):
        freshen(cast.client, cast.user)
        assert cast.client.get(reverse("web:payout_routes")).status_code == 200
        assert [cast.client.post(reverse(name), data).status_code for name, data in posts] == [403, 403]
    freshen(alice.client, alice.user, seconds_ago=600)
    assert all("reauthenticate" in alice.client.post(reverse(name), data)["Location"] for name, data in posts)
    assert (PayoutRoute.objects.count(), PayoutCalendar.objects.count()) == (0, 0)


def test_a_due_reward_says_when_and_how_it_goes(alice: Cast, way: str) -> None:
    def said(*rewards: Reward) -> list[str]:
        rows = Reward.objects.filter(pk__in=[row.pk for row in rewards]).select_related("rule").order_by("pk")
        found = outlook(alice.tenant, list(rows), now=BEFORE)
        return [words(found[row.pk], "en") for row in rows if row.pk in found]

    with clock.at(BEFORE):
        plain, slotted = due(alice), due(alice, delivery="day_15")
        little = due(alice, delivery="month_end", minimum_payout=Money(2500, "USD"))
        assert said(*slotted) == ["Goes out by itself once a way of paying is chosen for it"]
        issuing.set_route(
            tenant=alice.tenant, actor=ACTOR, side="referrer", kind="cash", method=way, options={"message": "Hi"}
        )
    assert said(*plain, *slotted, *little) == [
        "Goes out on Nov. 15, 2026 by Stripe",
        "Waits until $25.00 is reached: $15.00 so far",
    ]
