"""What Stripe keeps of the last thirty days, for the nightly comparison: its list of events, of the types that we use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

import stripe

from integrations.base import Account, ProviderError, Pulled
from integrations.providers.stripe.client import client_of
from integrations.providers.stripe.source import READERS

# An event may have twenty kilobytes, and an answer has a megabyte at most.
PAGE = 30
# Stripe takes twenty types at most. Older names of the same fact are left out: each fact comes under one of these.
TYPES = tuple(
    name
    for name in READERS
    if name not in {"invoice.payment_succeeded", "invoice.payment_failed", "refund.created", "charge.refund.updated"}
)


def events(account: Account, since: datetime, until: datetime) -> Iterator[Pulled]:
    """The events of `since` <= created < `until`, newest first; raises ProviderError."""
    if not account.secrets.get("api_key"):
        raise ProviderError("There is no API key.", retry=False)
    client = client_of(account)
    params: dict[str, Any] = {
        "created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())},
        "types": list(TYPES),
        "limit": PAGE,
    }
    while True:
        try:
            page = client.v1.events.list(cast(Any, params))
        except stripe.StripeError as error:
            final = isinstance(error, stripe.AuthenticationError | stripe.PermissionError | stripe.InvalidRequestError)
            words = error.user_message or "No answer from Stripe."
            raise ProviderError(words[:300], retry=not final) from error
        for event in page.data:
            yield Pulled(event.id, event.type, json.dumps(event.to_dict()).encode())
        if not page.has_more or not page.data:
            return
        params["starting_after"] = page.data[-1].id
