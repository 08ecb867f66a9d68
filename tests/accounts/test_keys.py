"""API keys: shown once, kept as hashes, rotated, revoked, recognised."""

from __future__ import annotations

import re
import time
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from referrals.accounts import keys
from referrals.accounts.models import ApiKey, Membership, Merchant, Scope
from referrals.accounts.services import user_actor
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.events.services import Actor
from referrals.lib.errors import Refused


@pytest.fixture
def actor(owner: Membership) -> Actor:
    """Ann."""
    return user_actor(owner.user)


@pytest.fixture
def tenant(merchant: Merchant) -> Tenant:
    """The live side of Ann's business."""
    return Tenant(merchant)


@pytest.mark.parametrize(
    ("kind", "is_test", "prefix"),
    [("secret", False, "sk_live_"), ("secret", True, "sk_test_"), ("publishable", False, "pk_live_")],
)
def test_a_key_is_shown_once(merchant: Merchant, actor: Actor, kind: str, is_test: bool, prefix: str) -> None:
    scopes = ["payouts", "read"]
    side = Tenant(merchant, is_test)
    key, text = keys.create_api_key(tenant=side, name=" Shop ", actor=actor, kind=kind, scopes=scopes)
    assert re.fullmatch(prefix + r"[0-9A-Za-z]{43}", text)
    assert (key.name, key.prefix, key.last4) == ("Shop", prefix, text[-4:])
    assert key.scopes == (["read", "payouts"] if kind == "secret" else [])
    assert text not in str(ApiKey.objects.values().get())
    event = Event.objects.get(type="api_key.created")
    assert (event.subject_id, event.is_test, event.data) == (
        key.public_id,
        is_test,
        {"name": "Shop", "last4": text[-4:]},
    )


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({"name": ""}, "name_required", id="no name"),
        pytest.param({"name": "x" * 81}, "name_required", id="long name"),
        pytest.param({"kind": "master"}, "kind_unknown", id="unknown kind"),
        pytest.param({"scopes": ["read", "everything"]}, "scope_unknown", id="unknown scope"),
    ],
)
def test_a_bad_key_is_refused(tenant: Tenant, actor: Actor, fields: dict[str, str], code: str) -> None:
    with pytest.raises(Refused) as refused:
        keys.create_api_key(**{"tenant": tenant, "name": "Shop", "actor": actor, **fields})  # type: ignore[arg-type]  # mixed
    assert refused.value.code == code
    assert ApiKey.objects.count() == 0
    assert Event.objects.filter(type="api_key.created").count() == 0


def test_there_is_an_end_to_the_number_of_keys(tenant: Tenant, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MAX_KEYS", 1)
    first, _ = keys.create_api_key(tenant=tenant, name="A", actor=actor)
    with pytest.raises(Refused, match="1 keys already"):
        keys.create_api_key(tenant=tenant, name="B", actor=actor)
    keys.revoke_api_key(key=first, actor=actor)
    keys.create_api_key(tenant=tenant, name="B", actor=actor)


def test_the_key_opens_its_own_side(merchant: Merchant, actor: Actor) -> None:
    _, text = keys.create_api_key(tenant=Tenant(merchant, True), name="Shop", actor=actor)
    found = keys.authenticate(text)
    assert found is not None
    assert found.tenant == Tenant(merchant, True)


@pytest.mark.parametrize(
    "text",
    ["", "sk_live_", "sk_live_" + "a" * 43, "sk_live_" + "a" * 42 + "ä", "x" * 10_000, "sk_live_" + "a" * 43 + "\n"],
    ids=["empty", "prefix only", "unknown", "not ASCII", "long", "line feed"],
)
@pytest.mark.django_db
def test_junk_opens_nothing(text: str) -> None:
    assert keys.authenticate(text) is None


def test_recognising_a_key_costs_two_queries_and_then_none(
    tenant: Tenant, actor: Actor, django_assert_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = keys.create_api_key(tenant=tenant, name="Shop", actor=actor)
    with django_assert_num_queries(2):  # the key with its merchant; that it was used
        assert keys.authenticate(text) is not None
    with django_assert_num_queries(0):
        assert keys.authenticate(text) is not None
    later = time.monotonic() + keys.CACHE_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    with django_assert_num_queries(1):
        assert keys.authenticate(text) is not None


def test_the_last_use_is_written_every_five_minutes(tenant: Tenant, actor: Actor) -> None:
    key, text = keys.create_api_key(tenant=tenant, name="Shop", actor=actor)
    assert key.last_used_at is None
    keys.authenticate(text)
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    keys.authenticate(text)
    assert ApiKey.objects.get().last_used_at == first
    keys._known.clear()
    ApiKey.objects.update(last_used_at=first - timedelta(minutes=6))
    keys.authenticate(text)
    assert ApiKey.objects.get().last_used_at >= first  # type: ignore[operator]  # written above


def test_a_revoked_key_opens_nothing(tenant: Tenant, actor: Actor) -> None:
    key, text = keys.create_api_key(tenant=tenant, name="Shop", actor=actor)
    assert keys.authenticate(text) is not None
    keys.revoke_api_key(key=key, actor=actor)
    assert keys.authenticate(text) is None
    with pytest.raises(Refused, match="revoked before"):
        keys.revoke_api_key(key=key, actor=actor)
    assert Event.objects.filter(type="api_key.revoked").count() == 1


def test_a_rotated_key_works_until_the_overlap_is_over(tenant: Tenant, actor: Actor) -> None:
    old, old_text = keys.create_api_key(tenant=tenant, name="Shop", actor=actor, scopes=["read", "events"])
    new, new_text = keys.rotate_api_key(key=old, actor=actor, overlap_hours=2)
    assert (new.name, new.scopes, new.expires_at) == ("Shop", ["read", "events"], None)
    assert keys.authenticate(old_text) is not None
    assert keys.authenticate(new_text) is not None
    assert new_text != old_text
    ends = ApiKey.objects.get(pk=old.pk).expires_at
    assert ends is not None
    assert timedelta(hours=1, minutes=59) < ends - timezone.now() <= timedelta(hours=2)
    ApiKey.objects.filter(pk=old.pk).update(expires_at=timezone.now())
    keys._known.clear()
    assert keys.authenticate(old_text) is None


def test_an_end_that_comes_while_a_key_is_remembered_counts(tenant: Tenant, actor: Actor) -> None:
    old, old_text = keys.create_api_key(tenant=tenant, name="Shop", actor=actor)
    keys.rotate_api_key(key=old, actor=actor, overlap_hours=1)
    found = keys.authenticate(old_text)
    assert found is not None
    found.expires_at = timezone.now() - timedelta(seconds=1)
    assert keys.authenticate(old_text) is None


@pytest.mark.parametrize("hours", [-1, 169])
def test_the_overlap_has_bounds(tenant: Tenant, actor: Actor, hours: int) -> None:
    key, _ = keys.create_api_key(tenant=tenant, name="Shop", actor=actor)
    with pytest.raises(Refused):
        keys.rotate_api_key(key=key, actor=actor, overlap_hours=hours)
    assert ApiKey.objects.get().expires_at is None


@pytest.mark.parametrize("how", ["revoked", "rotated"])
def test_a_key_is_rotated_once(tenant: Tenant, actor: Actor, how: str) -> None:
    key, _ = keys.create_api_key(tenant=tenant, name="Shop", actor=actor)
    if how == "revoked":
        keys.revoke_api_key(key=key, actor=actor)
    else:
        keys.rotate_api_key(key=key, actor=actor)
    count = ApiKey.objects.count()
    with pytest.raises(Refused) as refused:
        keys.rotate_api_key(key=key, actor=actor)
    assert refused.value.code == "key_revoked"
    assert ApiKey.objects.count() == count


def test_every_secret_key_may_read_and_a_publishable_one_may_not(tenant: Tenant, actor: Actor) -> None:
    secret, _ = keys.create_api_key(tenant=tenant, name="A", actor=actor, scopes=["events"])
    public, _ = keys.create_api_key(tenant=tenant, name="B", actor=actor, kind="publishable", scopes=["events"])
    assert [scope for scope in Scope if secret.allows(scope)] == [Scope.READ, Scope.EVENTS]
    assert [scope for scope in Scope if public.allows(scope)] == []
