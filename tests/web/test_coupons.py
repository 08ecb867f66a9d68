"""Lists of codes on their pages: made, filled, watched on Home, closed."""

from __future__ import annotations

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from rewards.coupons.giving import issue
from rewards.models import CouponCode, CouponList
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db


def test_the_story_of_a_list(alice: Cast) -> None:
    url = reverse("web:coupon_lists")
    assert "No list yet" in alice.client.get(url).content.decode()
    form = {"name": "Beans", "currency": "USD", "worth": "10.00", "last_day": "2099-12-31", "low_at": "1"}
    wrong = alice.client.post(url, form | {"worth": "0", "last_day": "2001-01-01"})
    assert (wrong.status_code, CouponList.objects.count()) == (422, 0)
    past = alice.client.post(url, form | {"last_day": "2001-01-01"})
    assert (past.status_code, "That day is over" in past.content.decode()) == (422, True)
    # The last day there is has none after it.
    far = alice.client.post(url, form | {"last_day": "9999-12-31"})
    assert (far.status_code, "That is too far away" in far.content.decode()) == (422, True)
    alice.client.post(url, form)
    row = CouponList.objects.get()
    assert (row.worth.minor, row.low_at, str(row.expires_at)) == (1000, 1, "2100-01-01 00:00:00+00:00")
    assert re.search(r'data-label="Expires"><time[^>]*>31 Dec 2099<', alice.client.get(url).content.decode())
    assert "Another list has this name" in alice.client.post(url, form).content.decode()
    page, fill = reverse("web:coupon_list", args=[row.public_id]), reverse("web:coupon_fill", args=[row.public_id])
    assert "1 code added" in alice.client.post(fill, {"codes": "BEANS-0001"}, follow=True).content.decode()
    file = SimpleUploadedFile("codes.csv", b"code\nBEANS-0002\nBEANS-0001\n")
    answer = alice.client.post(fill, {"codes": "", "file": file}).content.decode()
    assert all(words in answer for words in ("1 code added", "1 line left out", "This code was added before"))
    assert "BEANS-000" not in answer
    empty = alice.client.post(fill, {"codes": " "})
    assert (empty.status_code, "There is no code in it." in empty.content.decode()) == (422, True)
    # One is given: the stock is low, and Home says so.
    person = make_participant(make_campaign(alice.tenant, [fixed_rule(1000, kind="coupon")]), first_name="Asha")
    reward = buy(make_friend(person)).rewards[0]
    home = reverse("web:home")
    assert "left in “Beans”" not in alice.client.get(home).content.decode()
    issue(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="request-1", options={"list": row.public_id})
    assert "1 code is left in “Beans”" in alice.client.get(home).content.decode()
    shown = alice.client.get(page).content.decode()
    assert all(words in shown for words in ("Only 1 code is left", "…0001", "Asha"))
    alice.client.post(page, {"name": "Coffee beans", "last_day": "", "low_at": "0"})
    row.refresh_from_db()
    assert (row.name, row.expires_at, row.low_at) == ("Coffee beans", None, 0)
    close = reverse("web:coupon_close", args=[row.public_id])
    assert "the 1 that is left" in alice.client.get(close).content.decode()
    assert "1 code forgotten" in alice.client.post(close, follow=True).content.decode()
    assert CouponCode.objects.count() == 1
    assert "Closed on" in alice.client.get(page).content.decode()


def test_another_business_list_is_not_there(alice: Cast, charlie: Cast) -> None:
    alice.client.post(reverse("web:coupon_lists"), {"name": "Beans", "currency": "USD", "worth": "10", "low_at": "1"})
    row = CouponList.objects.get()
    for name in ("coupon_list", "coupon_close"):
        assert charlie.client.get(reverse(f"web:{name}", args=[row.public_id])).status_code == 404
    answer = charlie.client.post(reverse("web:coupon_fill", args=[row.public_id]), {"codes": "THEIRS"})
    assert (answer.status_code, CouponCode.objects.count()) == (404, 0)
