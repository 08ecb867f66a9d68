"""Messages of any provider in a test: made by its own samples, so that one that is new in the registry is asked everything at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils.datastructures import CaseInsensitiveMapping

from integrations import registry
from integrations.base import Account, Delivery, Message, Provider, SampleKind, Scene, Signal
from integrations.models import Connection
from integrations.sandbox.sending import SETTING, company
from integrations.setup import make_up
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.lib.money import Money

FIXTURES = Path(__file__).parent.parent / "fixtures"


def account(provider: Provider) -> Account:
    """Made-up secrets, and the settings that go with them; a company that only pays is played by its stand-in, which signs for it."""
    secrets = {field.name: make_up(field) for field in provider.secrets if field.required or not provider.tells}
    settings: dict[str, Any] = {field.name: field.default for field in provider.settings}
    settings |= dict(provider.made_up_settings) | ({} if provider.tells else {SETTING: True})
    return Account(secrets, settings)


def connect(provider: Provider, tenant: Tenant, known: Account | None = None) -> Connection:
    """A connection on the test side that knows the account."""
    known = known or account(provider)
    row = Connection(
        merchant=tenant.merchant, is_test=tenant.is_test, provider=provider.slug, settings=dict(known.settings)
    )
    row.secrets = dict(known.secrets)
    if not provider.tells:
        row.settings[SETTING] = True  # whoever only pays is asked about each message
    row.save()
    return row


def say(provider: Provider, kind: SampleKind, known: Account, *, code: str = "", payment: int = 0) -> Delivery:
    """A genuine message about Maya, 50.00 USD; of a company that only pays, its first status message."""
    samples = registry.samples(provider.slug)
    if not provider.tells:
        return _status(provider, json.dumps(next(iter(fixtures(provider).values()))).encode(), known)
    assert samples is not None
    scene = Scene(
        kind, "maya12halden", payment, clock.wall(), "maya@example.net", "Maya Iyer", Money(5000, "USD"), code
    )
    found = samples.delivery(scene, known)
    return replace(found, headers=CaseInsensitiveMapping(dict(found.headers)))


def _status(provider: Provider, body: bytes, known: Account) -> Delivery:
    """What its stand-in would send."""
    headers = company(provider.slug).sign(body, {}, known.secrets)
    query = {"key": known.secrets[provider.address_key]} if provider.address_key else {}
    return Delivery(body, CaseInsensitiveMapping(headers), query)


def first(provider: Provider) -> SampleKind:
    """What this company tells first of somebody."""
    samples = registry.samples(provider.slug)
    return "lead" if samples is None or "payment" not in samples.kinds else "payment"


def send(connection: Connection | str, delivery: Delivery) -> Any:
    """Through the front door, as it is."""
    name = connection if isinstance(connection, str) else connection.public_id
    query = f"?{urlencode(delivery.query)}" if delivery.query else ""
    headers = dict(delivery.headers)
    return Client().post(f"/in/{name}/{query}", data=delivery.body, content_type="application/json", headers=headers)


class _Raw(str):
    """A text that is encoded as these bytes, whatever they are."""

    raw: bytes

    def encode(self, *_args: Any) -> bytes:
        return self.raw


def signed(provider: Provider, body: bytes, known: Account, monkeypatch: pytest.MonkeyPatch) -> Delivery:
    """Any body, signed as this company would: its own samples sign it in the place of theirs."""
    if not provider.tells:
        return _status(provider, body, known)
    text = _Raw("")
    text.raw = body
    with monkeypatch.context() as patched:
        module = type(registry.samples(provider.slug)).__module__
        patched.setattr(f"{module}.json", SimpleNamespace(dumps=lambda *_args, **_options: text))
        return say(provider, first(provider), known, payment=99)


def fixtures(provider: Provider) -> dict[str, dict[str, Any]]:
    """Our samples of the company's messages, by their names."""
    paths = sorted((FIXTURES / provider.slug).glob("*.json"))
    return {path.stem: json.loads(path.read_text()) for path in paths}


def _shopify(kind: str) -> dict[str, str]:
    return {"X-Shopify-Topic": kind.replace("_", "/", 1), "X-Shopify-Event-Id": f"event-{kind}"}


# Headers that name what a message is, for companies whose bodies do not.
NAMED = {"shopify": _shopify}


def told(provider: Provider, name: str, payload: Any) -> Delivery:
    """What came with a fixture: those companies that name the event outside of the body say it by the fixture's name."""
    kind = name.split(".")[0]
    headers = NAMED[provider.slug](kind) if provider.slug in NAMED else {}
    query = {"event": kind} if provider.address_by_event else {}
    return Delivery(json.dumps(payload).encode(), CaseInsensitiveMapping(headers), query)


def read(provider: Provider, name: str, payload: Any, known: Mapping[str, Any] | None = None) -> list[Signal]:
    """What its source makes of a fixture; raises what that raises."""
    delivery = told(provider, name, payload)
    chosen = account(provider)
    kind = provider.source.event_type(payload, delivery)
    provider.source.event_id(payload, delivery)
    return provider.source.parse(Message(payload, kind, replace(chosen, settings={**chosen.settings, **(known or {})})))
