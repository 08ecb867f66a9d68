"""The switch and the limits: their page, the banner, and what a key may do to them."""

from __future__ import annotations

import pytest
from django.urls import reverse
from pytest_django.fixtures import Settings

from referrals.accounts.keys import create_api_key
from referrals.accounts.models import Role, Scope
from referrals.lib.errors import Refused
from rewards import payout_guards as guards
from rewards.models import PayoutLimit, PayoutStop
from rewards.payout_tighten import tighten
from tests.api.conftest import Caller
from tests.factories import ACTOR, Cast, make_cast
from tests.web.helpers import freshen

PAGE = "web:payout_safety"


def limits_of(cast: Cast) -> list[tuple[str, int | None, int | None, int | None]]:
    rows = PayoutLimit.objects.for_tenant(cast.tenant).order_by("currency")
    return [(r.currency, r.a_day_minor, r.a_person_a_day_minor, r.second_person_above_minor) for r in rows]


def test_stopping_needs_a_reason_and_no_password(alice: Cast) -> None:
    url = reverse("web:payouts_stop")
    nothing = alice.client.post(url, {"note": " "})
    assert (nothing.status_code, PayoutStop.objects.count()) == (422, 0)
    assert "so that it can be explained later" in nothing.content.decode()
    answer = alice.client.post(url, {"note": "Odd sums"}, follow=True)
    page = answer.content.decode()
    assert "Payouts are stopped: nothing leaves." in page
    assert "Odd sums" in page
    assert "Let payouts go on" in page


def test_every_page_about_paying_says_that_all_is_stopped(alice: Cast, settings: Settings) -> None:
    pages = [reverse(f"web:{name}") for name in ("rewards", "payouts", "payout_safety")]
    others = [reverse(f"web:{name}") for name in ("home", "campaigns", "settings")]
    said = 'id="payouts-stopped"'
    assert not any(said in alice.client.get(page).content.decode() for page in pages)
    guards.stop(tenant=alice.tenant, actor=ACTOR, note="Odd sums <b>")
    assert all(said in alice.client.get(page).content.decode() for page in pages)
    assert "Odd sums &lt;b&gt;" in alice.client.get(pages[0]).content.decode()
    assert not any(said in alice.client.get(page).content.decode() for page in others)
    guards.go_on(tenant=alice.tenant, actor=ACTOR)
    settings.PAYOUTS_STOPPED = True
    assert "for every business on this installation" in alice.client.get(pages[1]).content.decode()


def test_going_on_and_limits_ask_for_the_password_again(alice: Cast) -> None:
    guards.stop(tenant=alice.tenant, actor=ACTOR, note="Odd sums")
    freshen(alice.client, alice.user, seconds_ago=600)
    limit = {"currency": "USD", "a_day_minor": "500"}
    for name, data in (("payouts_go_on", {}), ("payout_limit", limit)):
        assert "reauthenticate" in alice.client.post(reverse(f"web:{name}"), data)["Location"]
    assert (PayoutStop.objects.count(), limits_of(alice)) == (1, [])
    freshen(alice.client, alice.user)
    for name, data in (("payouts_go_on", {}), ("payout_limit", limit)):
        assert alice.client.post(reverse(f"web:{name}"), data)["Location"] == reverse(PAGE)
    assert (PayoutStop.objects.count(), limits_of(alice)) == (0, [("USD", 50000, None, None)])


def test_limits_are_typed_kept_and_told(alice: Cast) -> None:
    freshen(alice.client, alice.user)
    url = reverse("web:payout_limit")
    wrong = alice.client.post(url, {"currency": "USD", "a_day_minor": "0", "a_person_a_day_minor": "12.345"})
    page = wrong.content.decode()
    assert (wrong.status_code, limits_of(alice)) == (422, [])
    assert "0 is not above zero." in page
    assert "12.345 has more decimals than USD has" in page
    alice.client.post(url, {"currency": "USD", "a_person_a_day_minor": "600", "second_person_above_minor": "0"})
    assert limits_of(alice) == [("USD", None, 60000, 0)]
    alice.client.post(url, {"currency": "XXX", "a_day_minor": "1"})
    assert limits_of(alice) == [("USD", None, 60000, 0)]
    history = alice.client.get(reverse("web:history"), {"kind": "rewards"}).content.decode()
    assert "Limits of payouts in USD: $600.00 a day for one person, a second person above $0.00" in history
    alice.client.post(url, {"currency": "USD"})
    assert limits_of(alice) == [("USD", None, None, None)]


def test_who_may(alice: Cast, bob: Cast) -> None:
    manager = make_cast("mia@example.com", alice.merchant, Role.MANAGER)
    for cast in (bob, manager):
        freshen(cast.client, cast.user)
        assert cast.client.get(reverse(PAGE)).status_code == 200
        for name in ("payouts_go_on", "payout_limit"):
            assert cast.client.post(reverse(f"web:{name}"), {"currency": "USD", "a_day_minor": "1"}).status_code == 403
    assert bob.client.post(reverse("web:payouts_stop"), {"note": "No"}).status_code == 403
    assert (PayoutStop.objects.count(), limits_of(alice)) == (0, [])
    manager.client.post(reverse("web:payouts_stop"), {"note": "Odd"})
    assert PayoutStop.objects.get().stopped_by == "mia@example.com"


def test_a_key_stops_and_lowers_and_never_lifts(alice: Cast) -> None:
    secret = create_api_key(tenant=alice.tenant, name="Server", actor=ACTOR, scopes=[Scope.READ, Scope.PAYOUTS])[1]
    api = Caller(secret)
    usd = {"amount_minor": 5000, "currency": "USD"}
    assert api.post("/api/v2/payout-safety/limits", {"a_day": usd}).data["limits"] == [
        {"currency": "USD", "a_day": usd, "a_person_a_day": None, "second_person_above": None}
    ]
    more = api.post("/api/v2/payout-safety/limits", {"a_day": {"amount_minor": 5001, "currency": "USD"}})
    assert (more.status, more.data["code"], more.data["field"]) == (403, "limit_loosened", "a_day")
    assert api.post("/api/v2/payout-safety/limits", {}).status == 400
    euro = {"a_day": usd, "a_person_a_day": {"amount_minor": 1, "currency": "EUR"}}
    assert api.post("/api/v2/payout-safety/limits", euro).data["code"] == "currency"
    assert limits_of(alice) == [("USD", 5000, None, None)]
    stopped = api.post("/api/v2/payout-safety/stop", {"note": "Odd sums"})
    assert (stopped.status, stopped.data["stopped"], stopped.data["note"]) == (200, True, "Odd sums")
    assert api.get("/api/v2/payout-safety").data == stopped.data


def test_a_refused_lowering_leaves_no_row(alice: Cast) -> None:
    with pytest.raises(Refused) as refused:
        tighten(tenant=alice.tenant, actor=ACTOR, currency="USD", limits={"a_day_minor": 0})
    assert (refused.value.code, limits_of(alice)) == ("amount_not_positive", [])
