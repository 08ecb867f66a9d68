"""The operators' admin: for staff only, money and history to look at, no secrets, no inline code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from integrations.models import Connection
from referrals.accounts.keys import create_api_key
from referrals.accounts.models import Membership, Role, User
from referrals.accounts.services import invite, make_token, user_actor
from referrals.events.models import Event
from rewards.models import Decision, LedgerEntry, Payout, PayoutBatch, PayoutItem, Reward, RewardTally
from tests.factories import Cast, make_campaign, make_cast, make_merchant, make_reward
from tests.worlds import taken

APPS = {"referrals", "campaigns", "participants", "rewards", "integrations"}
OURS = sorted(
    (model for model in admin.site._registry if model.__module__.split(".")[0] in APPS),
    key=lambda model: model.__name__,
)
ALL = sorted(admin.site._registry, key=lambda model: model._meta.label)
MONEY = [LedgerEntry, Event, Decision, RewardTally, PayoutItem, Payout, PayoutBatch, Reward]
INLINE = re.compile(
    rb"""<script(?![^>]*\b(?:src|type="application/json")\b)[^>]*>|<style|\sstyle=|\son[a-z]+=""", re.IGNORECASE
)


@dataclass
class World:
    """Alice with a reward, a key, an invitation and a connection; and a superuser's client."""

    alice: Cast
    operator: Client


@pytest.fixture(scope="module")
def world(kept: None) -> World:
    """Once for the module."""
    alice = make_cast("alice@kept.example.com", make_merchant())
    operator = Client()
    user = User.objects.create_superuser("operator@kept.example.com", "a long password")
    operator.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    make_reward(make_campaign(alice.tenant))
    create_api_key(tenant=alice.tenant, name="Shop", actor=user_actor(alice.user))
    link = Connection(merchant=alice.merchant, provider="stripe")
    link.secrets = {"webhook_secret": "whsec_test"}
    link.save()
    invite(by=Membership.objects.get(user=alice.user), email="max@example.com", role=Role.VIEWER)
    return World(alice, operator)


operator = taken("operator")


def _url(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def test_every_model_of_ours_is_there(db: None) -> None:
    assert {model.__name__ for model in OURS} >= {
        "User", "Merchant", "Invitation", "ApiKey", "RateLimit", "Event", "Campaign", "RewardRule", "Participant", "Referral",
        "QualifyingEvent", "Refund", "Reward", "Decision", "LedgerEntry", "PayoutBatch", "Payout", "PayoutItem", "RewardTally",
        "Connection", "InboundEvent", "IdempotencyRecord",
    }  # fmt: skip


def test_the_address_is_a_setting_and_merchants_are_not_let_in(alice: Cast) -> None:
    assert reverse("admin:index") == "/operators/"
    assert alice.client.get("/operators/", follow=True).status_code == 403
    response = Client().get("/operators/")
    assert response.status_code == 302
    assert response["Location"].startswith("/operators/login/")
    assert Client().get(response["Location"])["Location"].startswith("/account/login/?next=")


@pytest.mark.parametrize("model", ALL, ids=lambda model: model._meta.label)
def test_lists_open_without_inline_code(model: type[Model], operator: Client) -> None:
    response = operator.get(_url(model, "changelist"), {"q": "x"} if admin.site._registry[model].search_fields else {})
    assert response.status_code == 200
    assert INLINE.findall(operator.get(_url(model, "changelist")).content) == []


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_rows_open_without_secrets_or_inline_code(model: type[Model], operator: Client) -> None:
    row = model._default_manager.first()
    if row is None:
        return
    body = operator.get(_url(model, "change", row.pk)).content
    assert INLINE.findall(body) == []
    text = body.decode()
    for name in ("password", "key_hash", "token_hash", "sealed", "nonce", "session_key"):
        secret = getattr(row, name, None)
        assert not secret or str(secret) not in text, name


@pytest.mark.parametrize("model", MONEY, ids=lambda model: model.__name__)
def test_money_and_history_are_not_edited_by_anybody(model: type[Model], operator: Client) -> None:
    before = list(model._default_manager.order_by("pk").values())
    row = model._default_manager.first()
    pk = row.pk if row else 1
    assert operator.get(_url(model, "add")).status_code == 403
    assert operator.post(_url(model, "change", pk), {"amount_minor": 1, "state": "issued"}).status_code in {302, 403}
    assert operator.post(_url(model, "delete", pk), {"post": "yes"}).status_code in {302, 403}
    operator.post(_url(model, "changelist"), {"action": "delete_selected", "_selected_action": [pk], "post": "yes"})
    assert list(model._default_manager.order_by("pk").values()) == before
    assert LogEntry.objects.count() == 0


@pytest.mark.parametrize("name", ["User", "Merchant", "Campaign", "Participant", "ApiKey", "Connection"])
def test_what_money_points_at_is_not_deleted(name: str, operator: Client) -> None:
    (model,) = [found for found in OURS if found.__name__ == name]
    row = model._default_manager.first()
    assert row is not None
    count = model._default_manager.count()
    assert operator.post(_url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert model._default_manager.count() == count


def test_an_invitations_link_is_not_shown(operator: Client, alice: Cast) -> None:
    invitation = alice.merchant.invitations.get()
    page = operator.get(_url(type(invitation), "change", invitation.pk)).content.decode()
    assert "max@example.com" in page
    assert make_token(invitation) not in page


def test_an_operator_gives_a_business_an_owner(operator: Client, alice: Cast, charlie: Cast) -> None:
    data = {
        "name": "Halden", "currency": "USD", "time_zone": "UTC", "website": "",
        "memberships-TOTAL_FORMS": 2, "memberships-INITIAL_FORMS": 1,
        "memberships-0-id": Membership.objects.get(user=alice.user).pk, "memberships-0-merchant": alice.merchant.pk,
        "memberships-0-user": alice.user.pk, "memberships-0-role": "viewer",
        "memberships-1-merchant": alice.merchant.pk, "memberships-1-user": charlie.user.pk, "memberships-1-role": "owner",
    }  # fmt: skip
    response = operator.post(_url(type(alice.merchant), "change", alice.merchant.pk), data)
    assert response.status_code == 302
    assert set(alice.merchant.memberships.values_list("user__email", "role")) == {
        (alice.user.email, "viewer"),
        ("charlie@example.org", "owner"),
    }
