"""Cookies only where the campaign may set them: always, after a yes, never; and never against the browser's own wish."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from campaigns.models import Campaign
from participants.models import Participant, Referral, Visit
from referrals.hosted import visitor


def _ask(campaign: Campaign, mode: str = "ask") -> None:
    Campaign.objects.filter(pk=campaign.pk).update(consent=mode)


def _token(html: str) -> str:
    found = re.search(r'action="/campaign/consent"><input type="hidden" name="token" value="([^"]+)"', html)
    return found[1] if found else ""


def test_nothing_is_kept_before_a_yes_and_the_visit_is_the_same_one_after(
    double: Campaign, asha: Participant, person: Client
) -> None:
    _ask(double)
    page = person.get(f"/r/{asha.referral_code}", follow=True)
    assert (page.status_code, dict(person.cookies)) == (200, {})
    visit = Visit.objects.get()
    answer = person.post("/campaign/consent", {"token": _token(page.content.decode())})
    assert answer.status_code == 303
    cookie = answer.cookies[f"ref_{double.public_id}"]
    assert cookie.value.startswith(f"{visit.visitor}-{asha.referral_code}-")
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", 90 * visitor.DAY)
    again = person.get(answer["Location"])
    assert "/campaign/consent" not in again.content.decode()
    assert Visit.objects.count() == 1
    # Who agreed once is remembered at the next click, too.
    person.get(f"/r/{asha.referral_code}")
    assert Visit.objects.values("visitor").distinct().count() == 1


@pytest.mark.parametrize("mode", ["ask", "never"])
def test_without_a_cookie_joining_on_the_page_still_counts(
    double: Campaign, asha: Participant, person: Client, mode: str
) -> None:
    _ask(double, mode)
    page = person.get(f"/r/{asha.referral_code}", follow=True)
    html = page.content.decode()
    assert (_token(html) != "") is (mode == "ask")
    token = re.search(r'name="token" value="([^"]+)"', html)
    assert token is not None
    person.post(page.redirect_chain[-1][0], {"email": "maya@example.net", "token": token[1]})
    assert Referral.objects.get().referrer == asha
    assert dict(person.cookies) == {}


def test_a_browser_that_wants_no_cookie_is_not_even_asked(double: Campaign, asha: Participant, person: Client) -> None:
    _ask(double)
    for name in ("sec-gpc", "dnt"):
        page = person.get(f"/r/{asha.referral_code}", follow=True, headers={name: "1"})
        assert "/campaign/consent" not in page.content.decode()


def test_machines_are_not_asked(double: Campaign, asha: Participant, person: Client) -> None:
    _ask(double)
    page = person.get(f"/r/{asha.referral_code}", follow=True, headers={"user-agent": "WhatsApp/2.23"})
    assert "/campaign/consent" not in page.content.decode()


@pytest.mark.parametrize("token", ["", "x", "a:b:c"])
def test_a_forged_yes_sets_nothing(db: Any, person: Client, token: str) -> None:
    answer = person.post("/campaign/consent", {"token": token})
    assert (answer.status_code, dict(answer.cookies)) == (410, {})
    assert person.get("/campaign/consent").status_code == 405


def test_a_yes_after_the_merchant_said_never_sets_nothing(double: Campaign, asha: Participant, person: Client) -> None:
    _ask(double)
    token = _token(person.get(f"/r/{asha.referral_code}", follow=True).content.decode())
    _ask(double, "never")
    answer = person.post("/campaign/consent", {"token": token})
    assert (answer.status_code, dict(answer.cookies)) == (303, {})
