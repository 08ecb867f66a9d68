"""Signing up makes the person, the business and the ownership, together or not at all."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from referrals.accounts.models import Membership, Merchant, Role, User
from referrals.events.models import Event
from referrals.lib.errors import Refused

FORM = {
    "name": "Ann Lee",
    "merchant_name": "Halden Coffee",
    "email": "Ann@Example.com",
    "password1": "a very long password",
    "time_zone": "Europe/Oslo",
}


@pytest.fixture(autouse=True)
def _no_attempts_yet() -> None:
    """Attempts are counted in the cache, which outlives a test."""
    cache.clear()


@pytest.mark.django_db
def test_everything_is_made_at_once() -> None:
    response = Client().post("/account/signup/", FORM)
    assert response.status_code == 302
    member = Membership.objects.get()
    assert (member.user.email, member.user.name, member.role) == ("ann@example.com", "Ann Lee", Role.OWNER)
    assert (member.merchant.name, member.merchant.time_zone) == ("Halden Coffee", "Europe/Oslo")
    assert Event.objects.get().actor_label == "ann@example.com"
    assert mail.outbox[0].to == ["ann@example.com"]


@pytest.mark.parametrize("zone", ["", "Mars/Base", "../../etc/passwd"])
@pytest.mark.django_db
def test_a_zone_that_is_none_becomes_utc(zone: str) -> None:
    Client().post("/account/signup/", {**FORM, "time_zone": zone})
    assert Merchant.objects.get().time_zone == "UTC"


@pytest.mark.django_db
def test_without_the_business_there_is_no_person() -> None:
    with (
        patch("referrals.accounts.adapter.create_merchant", side_effect=Refused("invalid", "no")),
        pytest.raises(Refused),
    ):
        Client().post("/account/signup/", FORM)
    assert (User.objects.count(), Merchant.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    "change",
    [{"merchant_name": ""}, {"name": ""}, {"email": "nobody"}, {"password1": "short"}, {"merchant_name": "x" * 121}],
    ids=["no business", "no name", "no address", "short password", "long business"],
)
@pytest.mark.django_db
def test_a_bad_answer_makes_nothing(change: dict[str, str]) -> None:
    assert Client().post("/account/signup/", {**FORM, **change}).status_code == 200
    assert (User.objects.count(), Merchant.objects.count()) == (0, 0)


@pytest.mark.django_db
def test_an_address_that_is_known_is_not_told() -> None:
    """The answers are the same; the owner of the address gets a mail instead."""
    ann = User.objects.create_user("ann@example.com")
    EmailAddress.objects.create(user=ann, email=ann.email, verified=True, primary=True)
    known = Client().post("/account/signup/", FORM)
    assert (User.objects.count(), Merchant.objects.count()) == (1, 0)
    new = Client().post("/account/signup/", {**FORM, "email": "new@example.com"})
    assert (known.status_code, known["Location"]) == (new.status_code, new["Location"])
    assert [message.to for message in mail.outbox] == [["ann@example.com"], ["new@example.com"]]


@pytest.mark.django_db
def test_sign_up_can_be_closed(settings: Settings) -> None:
    settings.SIGN_UP_OPEN = False
    Client().post("/account/signup/", FORM)
    assert User.objects.count() == 0


@pytest.mark.django_db
def test_many_wrong_passwords_from_changing_addresses_lock_the_account() -> None:
    """What a client writes into X-Forwarded-For is not believed (RELIABILITY section 7)."""
    User.objects.create_user("ann@example.com", "a very long password")
    words = []
    for number in range(8):
        data = {"login": "ann@example.com", "password": "wrong"}
        response = Client().post("/account/login/", data, headers={"X-Forwarded-For": f"192.0.2.{number}"})
        words.append("Too many" in response.content.decode())
    assert words[0] is False
    assert words[-1] is True
