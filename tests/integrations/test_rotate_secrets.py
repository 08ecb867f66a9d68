"""`manage.py rotate_secrets`: every row readable before, during and after (RELIABILITY INV-25)."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from integrations.management.commands.rotate_secrets import sealed_tables
from integrations.models import Connection
from referrals.accounts.signing import new_secret, secrets_of
from referrals.lib.sealed import SealError
from tests.factories import ACTOR, Cast

OLD = "test:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
NEW = "k2:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="


def _link(cast: Cast, number: int) -> Connection:
    link = Connection(merchant=cast.merchant, provider="stripe")
    link.secrets = {"webhook_secret": f"whsec_{number}"}
    link.save()
    return link


def _rotate() -> str:
    out = StringIO()
    call_command("rotate_secrets", stdout=out)
    return out.getvalue().strip()


def _readable() -> list[str]:
    return [link.secrets["webhook_secret"] for link in Connection.objects.order_by("pk")]


def test_secrets_move_to_the_newest_key(alice: Cast, settings: Settings) -> None:
    for number in range(3):
        _link(alice, number)
    assert _rotate() == "0 sealed anew"
    signing = new_secret(tenant=alice.tenant, actor=ACTOR)
    settings.SECRETS_KEYS = [NEW, OLD]
    assert _readable() == ["whsec_0", "whsec_1", "whsec_2"]
    assert _rotate() == "4 sealed anew"
    assert _rotate() == "0 sealed anew"
    settings.SECRETS_KEYS = [NEW]
    assert _readable() == ["whsec_0", "whsec_1", "whsec_2"]
    assert secrets_of(alice.tenant) == [signing]


def test_a_run_that_was_stopped_is_run_again(alice: Cast, settings: Settings) -> None:
    first = _link(alice, 0)
    _link(alice, 1)
    settings.SECRETS_KEYS = [NEW, OLD]
    first.secrets = first.secrets
    first.save()
    assert _rotate() == "1 sealed anew"
    assert _readable() == ["whsec_0", "whsec_1"]


def test_a_row_that_cannot_be_opened_is_named_and_kept(alice: Cast, settings: Settings) -> None:
    lost, good = _link(alice, 0), _link(alice, 1)
    Connection.objects.filter(pk=lost.pk).update(sealed=good.sealed)
    settings.SECRETS_KEYS = [NEW, OLD]
    with pytest.raises(CommandError, match=lost.public_id):
        _rotate()
    settings.SECRETS_KEYS = [NEW]
    assert Connection.objects.get(pk=good.pk).secrets == {"webhook_secret": "whsec_1"}
    with pytest.raises(SealError):
        _ = Connection.objects.get(pk=lost.pk).secrets


def test_every_table_with_something_sealed_is_gone_through() -> None:
    found = {model._meta.label for model in sealed_tables()}
    known = {"integrations.Connection", "integrations.WebhookEndpoint", "accounts.SigningSecret"}
    assert found >= known | {"participants.PayoutDestination", "rewards.PayoutGift", "rewards.PayoutLine"}
    assert [model._meta.label for model in sealed_tables() if not hasattr(model, "_bound_to")] == []
