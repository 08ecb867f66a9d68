"""Making and changing a business."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from referrals.accounts.keys import authenticate
from referrals.accounts.models import ApiKey, Membership, Merchant, Role, Scope, User
from referrals.accounts.services import create_merchant, update_merchant, user_actor
from referrals.events.models import Event
from referrals.lib.errors import Refused


def test_a_new_business_has_its_owner_and_one_line_of_history(owner: Membership) -> None:
    assert (owner.role, owner.merchant.currency, owner.merchant.time_zone) == (Role.OWNER, "USD", "UTC")
    event = Event.objects.get()
    assert (event.type, event.subject_id, event.actor_label) == (
        "merchant.created",
        owner.merchant.public_id,
        "ann@example.com",
    )
    assert (event.merchant_id, event.is_test) == (owner.merchant_id, False)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"name": " "}, "name", id="no name"),
        pytest.param({"name": "x" * 121}, "name", id="long name"),
        pytest.param({"currency": "usd"}, "currency", id="currency in small letters"),
        pytest.param({"currency": "XXQ"}, "currency", id="unknown currency"),
        pytest.param({"time_zone": "Mars/Base"}, "time_zone", id="unknown zone"),
        pytest.param({"website": "javascript:alert(1)"}, "website", id="script for a website"),
    ],
)
@pytest.mark.django_db
def test_a_bad_value_is_refused_and_nothing_is_made(fields: dict[str, Any], field: str) -> None:
    user = User.objects.create_user("ann@example.com")
    with pytest.raises(Refused) as refused:
        create_merchant(**{"name": "Halden", "owner": user, **fields})
    assert (refused.value.code, refused.value.field) == ("invalid", field)
    assert (Merchant.objects.count(), Membership.objects.count(), Event.objects.count()) == (0, 0, 0)


def test_a_change_says_what_it_was(owner: Membership, merchant: Merchant) -> None:
    actor = user_actor(owner.user)
    assert update_merchant(merchant=merchant, actor=actor, name="Halden", currency="EUR", website="")
    stored = Merchant.objects.get()
    assert (stored.name, stored.currency) == ("Halden", "EUR")
    event = Event.objects.get(type="merchant.changed")
    assert event.data == {"changes": {"name": ["Halden Coffee", "Halden"], "currency": ["USD", "EUR"]}}


def test_no_change_leaves_no_history(owner: Membership, merchant: Merchant) -> None:
    assert not update_merchant(merchant=merchant, actor=user_actor(owner.user), name="Halden Coffee")
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    "fields", [{"time_zone": "Mars/Base"}, {"public_id": "mer_x"}], ids=["bad value", "fixed field"]
)
def test_a_refused_change_changes_nothing(owner: Membership, merchant: Merchant, fields: dict[str, str]) -> None:
    before = Merchant.objects.values().get()
    with pytest.raises(Refused):
        update_merchant(merchant=merchant, actor=user_actor(owner.user), **fields)
    assert Merchant.objects.values().get() == before
    assert Event.objects.count() == 1


@pytest.mark.django_db
def test_the_command_makes_a_business_with_both_keys() -> None:
    out = StringIO()
    call_command("create_merchant", name="Halden", email="Ann@Example.com", password="pw", json=True, stdout=out)
    answer = json.loads(out.getvalue())
    assert sorted(answer) == ["live_key", "merchant", "test_key"]
    assert answer["merchant"] == Merchant.objects.get().public_id
    live, test = authenticate(answer["live_key"]), authenticate(answer["test_key"])
    assert live is not None
    assert test is not None
    assert (live.is_test, test.is_test) == (False, True)
    assert live.scopes == test.scopes == list(Scope.values)
    user = User.objects.get()
    assert user.email == "ann@example.com"
    assert user.check_password("pw")
    assert user.emailaddress_set.get().verified  # type: ignore[attr-defined]  # allauth has no types


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"email": "nobody"}, "nobody", id="no address"),
        pytest.param({"currency": "XXQ"}, "XXQ", id="no currency"),
        pytest.param({"email": "ann@example.com"}, "ann@example.com", id="address in use"),
    ],
)
@pytest.mark.django_db
def test_the_command_names_what_is_wrong(options: dict[str, str], words: str) -> None:
    User.objects.create_user("ann@example.com")
    with pytest.raises(CommandError, match=words):
        call_command("create_merchant", **{"name": "Halden", "email": "bea@example.com", "password": "pw", **options})
    assert (Merchant.objects.count(), User.objects.count(), ApiKey.objects.count()) == (0, 1, 0)
