"""The way to a connection's company: over the network, or to its stand-in when the connection says so (docs/test-mode.md, "Stand-ins").

A module that talks to a company takes `Account.send` and the company's real addresses, and can't tell which of the two it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import cast

from django.utils.datastructures import CaseInsensitiveMapping
from django.utils.module_loading import import_string

from integrations import registry
from integrations.base import Delivery, Secrets
from integrations.models import Connection, SandboxRow
from integrations.sandbox.base import Call, Company, Paid, StandIn, paid_of
from integrations.sandbox.state import Rows
from referrals.lib import http
from referrals.lib.queue import enqueue
from referrals.lib.sealed import SealError

# Which companies have a stand-in, by the provider's slug. One line each.
COMPANIES: dict[str, str] = {
    "giftcards": "integrations.sandbox.giftcards.GiftCards",
    "paypal": "integrations.sandbox.paypal.PayPal",
    "razorpayx": "integrations.sandbox.razorpayx.RazorpayX",
    "shopify": "integrations.sandbox.shopify.Shopify",
    "stripe": "integrations.sandbox.stripe.Stripe",
    "tremendous": "integrations.sandbox.tremendous.Tremendous",
    "wise": "integrations.sandbox.wise.Wise",
}
# The setting of a test connection that goes to the stand-in.
SETTING = "stand_in"


@cache
def company(slug: str) -> Company:
    """The company's stand-in; KeyError when it has none."""
    return cast(Company, import_string(COMPANIES[slug])())


def is_played(connection: Connection) -> bool:
    """Whether what this connection asks is answered by a stand-in: never on the live side."""
    return connection.is_test and bool(connection.settings.get(SETTING)) and connection.provider in COMPANIES


def send_for(connection: Connection) -> http.Send:
    """How to reach this connection's company: `Account.send`."""
    return stand_in(connection).send if is_played(connection) else http.request


def last_money(connection: Connection, limit: int = 50) -> list[Paid]:
    """What the stand-in of this connection sent, the newest first."""
    rows = SandboxRow.objects.filter(connection=connection, kind="_money").order_by("-pk")[:limit]
    return [paid_of(row.name, row.data) for row in rows]


class ConnectionStandIn(StandIn):
    """A stand-in whose memory is the database, and whose webhooks go to the connection's own address."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(company(connection.provider), Rows(connection), _secrets(connection), self._deliver)
        self._connection = connection

    def _deliver(self, body: bytes, headers: Mapping[str, str]) -> int:
        # The receipt is made where Account.send is given out, so this name is looked up when it is needed.
        name = registry.get(self._connection.provider).address_key
        query = {"key": self.secrets.get(name, "")} if name else {}
        delivery = Delivery(body, CaseInsensitiveMapping(headers), query)
        receipt = import_string("integrations.inbox.receive")(self._connection.public_id, delivery)
        return int(receipt.status)

    def after(self, call: Call) -> None:
        """Its webhooks leave after the answer, by a worker."""
        if call.told:
            enqueue("integrations.sandbox.messages.advance", self._connection.pk)


def stand_in(connection: Connection) -> ConnectionStandIn:
    """The stand-in that plays this connection's company. ValueError for a live connection, KeyError where there is none."""
    return ConnectionStandIn(connection)


def _secrets(connection: Connection) -> Secrets:
    try:
        return connection.secrets
    except SealError:
        return {}
