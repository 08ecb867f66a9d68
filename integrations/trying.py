"""Try a connection of the test side: its company's own message, made up and signed by our stand-in, comes in by the real way.

A made-up customer's payments are one series, so that a renewal, a refund or a dispute is about a payment that came before.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.datastructures import CaseInsensitiveMapping
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from integrations import inbox, registry
from integrations.accounts import account_of
from integrations.base import Delivery, SampleKind, Scene
from integrations.models import Connection, InboundEvent
from integrations.sandbox.sending import SETTING
from integrations.sandbox.state import Data, Rows
from integrations.services import is_ready, update_secrets
from integrations.setup import make_up, settings_fit
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.codes import random_text
from referrals.lib.errors import Refused
from referrals.lib.money import Money

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

WORDS: dict[SampleKind, _StrPromise] = {
    "payment": lazy("A first payment"),
    "renewal": lazy("Another payment by the same customer"),
    "refund": lazy("A refund of the last payment"),
    "dispute": lazy("A dispute about the last payment"),
    "lead": lazy("A lead"),
    "cancellation": lazy("The end of the customer’s subscription"),
}
# These begin a new customer; the others are about the last one.
NEW: frozenset[SampleKind] = frozenset({"payment", "lead"})
# These say what is paid.
WITH_MONEY: frozenset[SampleKind] = frozenset({"payment", "renewal"})
_MEMORY = ("_sample", "last")


@dataclass(frozen=True, slots=True)
class Customer:
    """The last made-up customer of a connection, and how many payments there were."""

    series: str
    email: str
    name: str
    code: str
    money: Money
    payments: int


def kinds(connection: Connection) -> list[SampleKind]:
    """What can be sent to this connection: nothing on the live side, and nothing before its secrets are there."""
    found = registry.samples(connection.provider) if connection.is_test and connection.removed_at is None else None
    return list(found.kinds) if found and is_ready(connection) else []


def last_customer(connection: Connection) -> Customer | None:
    """Whom a refund or a renewal would be about."""
    kept = Rows(connection).get(*_MEMORY)
    return _customer(kept) if kept else None


def make_up_secrets(*, connection: Connection, actor: Actor) -> Connection:
    """Secrets that no company gave, so that test messages can be sent without an account there; what is asked of the company goes to
    its stand-in, where there is one. Pasting real ones ends it. Refused: live_side (403), invalid_state (409) where secrets are.
    """
    if not connection.is_test:
        raise Refused("live_side", _("Made-up secrets are for test mode only. Switch to test mode."), status=403)
    kind = registry.get(connection.provider)
    if is_ready(connection):
        if kind.address_key:
            return connection  # it has nothing else
        raise Refused("invalid_state", _("This connection has its secrets already."), status=409)
    made = {field.name: make_up(field) for field in kind.secrets if field.required or field.made_up}
    settings = None if settings_fit(connection) else kind.made_up_settings
    with transaction.atomic():  # or what is asked of the company in between would really be asked
        row = update_secrets(connection=connection, actor=actor, secrets=made, settings=settings)
        Connection.objects.filter(pk=row.pk).update(settings={**row.settings, SETTING: True})
    row.refresh_from_db()
    return row


def send_test(
    *, connection: Connection, kind: str, money: Money | None = None, email: str = "", code: str = ""
) -> InboundEvent:
    """Send one test message through the front door, have it worked on, and give the row with what it led to.

    A new customer pays 50 units without `money`, and has a made-up address without `email`. Refused: live_side (403),
    invalid_state (409) without secrets, unknown_kind, no_test_payment (409) when a message is about a payment that there is not.
    """
    if not connection.is_test:
        message = _("A test message goes to a connection of test mode only. Switch to test mode.")
        raise Refused("live_side", message, status=403)
    found = next((known for known in kinds(connection) if known == kind), None)
    samples = registry.samples(connection.provider)
    if found is None or samples is None:
        if not is_ready(connection):
            raise Refused("invalid_state", _("Paste the secret first; the test message is signed with it."), status=409)
        message = _("%(provider)s has no such message.") % {"provider": registry.get(connection.provider).label}
        raise Refused("unknown_kind", message, field="kind")
    scene = _scene(connection, found, money, email.strip(), code.strip())
    account = account_of(connection)
    delivery = samples.delivery(scene, account)
    headers = {"Content-Type": "application/json", "User-Agent": "Passalong test message", **delivery.headers}
    delivery = Delivery(delivery.body, CaseInsensitiveMapping(headers), delivery.query)
    receipt = inbox.receive(connection.public_id, delivery)
    if receipt.status != 200:
        raise Refused(
            "invalid_state", _("The test message was not let in: %(why)s") % {"why": receipt.message}, status=409
        )
    name = registry.get(connection.provider).source.event_id(json.loads(delivery.body), delivery)
    row = InboundEvent.objects.get(connection=connection, event_id=name)
    inbox.process(row.pk)
    row.refresh_from_db()
    return row


def _scene(connection: Connection, kind: SampleKind, money: Money | None, email: str, code: str) -> Scene:
    """The message's content, and remember the customer for the next one."""
    state = Rows(connection)
    with state.work():
        kept = state.get(*_MEMORY)
        if kind in NEW:
            series = random_text(12).lower()
            name = f"Test {series[:4]}"
            customer = Customer(
                series, email or f"test-{series[:6]}@example.net", name, code, money or Money(5000, "USD"), 1
            )
        elif kept is None:
            raise Refused("no_test_payment", _("Send a first payment before: this message is about one."), status=409)
        else:
            customer = _customer(kept)
            if kind == "renewal":
                customer = replace(customer, payments=customer.payments + 1, money=money or customer.money)
        data = _data(customer)
        if kept is None:
            state.add(*_MEMORY, data)
        else:
            state.put(*_MEMORY, data)
    return Scene(
        kind=kind,
        series=customer.series,
        payment=customer.payments - 1,
        at=clock.wall(),
        email=customer.email,
        name=customer.name,
        money=customer.money,
        code=customer.code,
    )


def _customer(data: Data) -> Customer:
    money = Money(data["amount_minor"], data["currency"])
    return Customer(data["series"], data["email"], data["name"], data["code"], money, data["payments"])


def _data(customer: Customer) -> Data:
    return {
        "series": customer.series,
        "email": customer.email,
        "name": customer.name,
        "code": customer.code,
        "amount_minor": customer.money.minor,
        "currency": customer.money.currency,
        "payments": customer.payments,
    }
