"""The developers' page: keys are shown once, belong to one side, and are changed by those who may."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from referrals.accounts import keys
from referrals.accounts.models import ApiKey, Role, SigningSecret
from referrals.accounts.services import user_actor
from referrals.accounts.signing import secrets_of
from referrals.events.models import Event
from tests.factories import Cast, make_campaign, make_cast
from tests.web.helpers import freshen

KEY = re.compile(r"\b[sp]k_(?:live|test)_[0-9A-Za-z]{43}\b")


def _create(cast: Cast, **data: object) -> str:
    freshen(cast.client, cast.user)
    values = {"name": "Shop server", "kind": "secret", "scopes": ["events"], **data}
    response = cast.client.post(reverse("web:developers"), values)
    assert response.status_code == 200
    (text,) = set(KEY.findall(response.content.decode()))
    return str(text)


def test_a_key_is_shown_once(alice: Cast) -> None:
    text = _create(alice)
    found = keys.authenticate(text)
    assert found is not None
    assert (found.name, found.scopes, found.created_by, found.tenant) == (
        "Shop server",
        ["events"],
        alice.user,
        alice.tenant,
    )
    body = alice.client.get(reverse("web:developers")).content.decode()
    assert KEY.findall(body) == []
    assert f"sk_live_…{text[-4:]}" in body
    assert "Record events and refunds" in body


def test_the_test_side_has_its_own_keys(alice: Cast) -> None:
    _create(alice, name="Live one")
    alice.client.post(reverse("web:switch_mode"), {"mode": "test"})
    assert _create(alice, name="Test one").startswith("sk_test_")
    body = alice.client.get(reverse("web:developers")).content.decode()
    assert "Test one" in body
    assert "Live one" not in body


def test_a_publishable_key_takes_no_scopes(alice: Cast) -> None:
    assert _create(alice, kind="publishable", scopes=["payouts"]).startswith("pk_live_")
    assert ApiKey.objects.get().scopes == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param({"name": ""}, "This field is required.", id="no name"),
        pytest.param({"kind": "master"}, "master is not one of the", id="unknown kind"),
        pytest.param({"scopes": ["everything"]}, "everything is not one of the", id="unknown scope"),
    ],
)
def test_a_bad_key_is_said(alice: Cast, data: dict[str, object], words: str) -> None:
    freshen(alice.client, alice.user)
    response = alice.client.post(reverse("web:developers"), {"name": "Shop", "kind": "secret", **data})
    assert response.status_code == 422
    assert words in response.content.decode()
    assert ApiKey.objects.count() == 0


def test_too_many_keys_are_refused(alice: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MAX_KEYS", 0)
    freshen(alice.client, alice.user)
    response = alice.client.post(reverse("web:developers"), {"name": "Shop", "kind": "secret"})
    assert response.status_code == 409
    assert b"Revoke one that is no longer used." in response.content


def test_a_key_is_rotated_and_both_work(alice: Cast) -> None:
    old_text = _create(alice)
    old = ApiKey.objects.get()
    response = alice.client.post(reverse("web:key_rotate", args=[old.public_id]), {"overlap_hours": "24"})
    (new_text,) = set(KEY.findall(response.content.decode()))
    assert keys.authenticate(old_text) is not None
    assert keys.authenticate(new_text) is not None
    body = alice.client.get(reverse("web:developers")).content.decode()
    assert "Rotated" in body
    again = alice.client.post(reverse("web:key_rotate", args=[old.public_id]), {"overlap_hours": "24"}, follow=True)
    assert b"revoked or rotated before" in again.content
    assert ApiKey.objects.count() == 2


def test_a_key_is_rotated_without_overlap(alice: Cast) -> None:
    old_text = _create(alice)
    alice.client.post(reverse("web:key_rotate", args=[ApiKey.objects.get().public_id]), {"overlap_hours": "0"})
    assert keys.authenticate(old_text) is None


def test_a_key_is_revoked(alice: Cast) -> None:
    text = _create(alice)
    address = reverse("web:key_revoke", args=[ApiKey.objects.get().public_id])
    assert b"Shop server is revoked" in alice.client.post(address, follow=True).content
    assert keys.authenticate(text) is None
    assert b"This key was revoked before." in alice.client.post(address, follow=True).content
    assert Event.objects.filter(type="api_key.revoked").count() == 1
    assert b"Keys that no longer work" in alice.client.get(reverse("web:developers")).content


@pytest.mark.parametrize("role", [Role.MANAGER, Role.VIEWER])
def test_managers_and_viewers_see_keys_and_change_none(alice: Cast, role: Role) -> None:
    _create(alice)
    member = make_cast("max@example.com", alice.merchant, role)
    freshen(member.client, member.user)
    body = member.client.get(reverse("web:developers")).content.decode()
    assert "Shop server" in body
    assert "Create key" not in body
    key = ApiKey.objects.get()
    assert member.client.get(reverse("web:key", args=[key.public_id])).status_code == 403
    for address in (
        reverse("web:developers"),
        reverse("web:key_rotate", args=[key.public_id]),
        reverse("web:key_revoke", args=[key.public_id]),
    ):
        assert member.client.post(address, {"name": "Mine", "kind": "secret"}).status_code == 403
    key.refresh_from_db()
    assert (ApiKey.objects.count(), key.revoked_at, key.expires_at) == (1, None, None)


@pytest.mark.parametrize("how", ["works", "rotated", "revoked"])
def test_the_page_of_a_key_offers_what_can_be_done(alice: Cast, how: str) -> None:
    text = _create(alice)
    key, actor = ApiKey.objects.get(), user_actor(alice.user)
    if how == "rotated":
        keys.rotate_api_key(key=key, actor=actor)
    elif how == "revoked":
        keys.revoke_api_key(key=key, actor=actor)
    body = alice.client.get(reverse("web:key", args=[key.public_id])).content.decode()
    assert text not in body
    assert ("Rotate key" in body) is (how == "works")
    assert ("Revoke now" in body) is (how != "revoked")


def test_the_page_names_the_ids_to_use(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    body = alice.client.get(reverse("web:developers")).content.decode()
    assert f'value="{campaign.public_id}"' in body
    assert f'value="{alice.merchant.public_id}"' in body
    assert 'href="/docs/"' in body


def test_the_page_costs_the_same_for_one_key_and_for_ten(
    alice: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(10):
        keys.create_api_key(
            tenant=alice.tenant, name=f"K{number}", actor=user_actor(alice.user), user=alice.user, scopes=["events"]
        )
    # session, user, memberships; keys, ended keys, signing secret, newest campaign; the menu's due count
    with django_assert_num_queries(8):
        alice.client.get(reverse("web:developers"))


def test_a_signing_secret_is_shown_once_and_kept_encrypted(alice: Cast, bob: Cast) -> None:
    address = reverse("web:signing_secret")
    freshen(bob.client, bob.user)
    assert bob.client.post(address).status_code == 403
    assert alice.client.post(address).status_code != 200  # asks who it is first
    assert SigningSecret.objects.count() == 0
    freshen(alice.client, alice.user)
    made = [re.findall(r"ss_live_[0-9A-Za-z]{43}", alice.client.post(address).content.decode()) for _ in range(2)]
    assert secrets_of(alice.tenant) == [made[1][0], made[0][0]]
    row = SigningSecret.objects.get()
    assert made[1][0] not in row.sealed
    body = alice.client.get(reverse("web:developers")).content.decode()
    assert f"…{made[1][0][-4:]}" in body
    assert "ss_live_" not in body
    assert [event.data["last4"] for event in Event.objects.filter(type="signing_secret.made").order_by("pk")] == [
        made[0][0][-4:], made[1][0][-4:],
    ]  # fmt: skip
