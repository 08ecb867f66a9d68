"""Stripe's own client over our way to companies: our time-outs, public addresses only, or a stand-in in test mode (Account.send)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import stripe

from integrations.base import Account
from referrals.lib.http import HttpError, Send

API_BASE = "https://api.stripe.com"


class SendClient(stripe.HTTPClient):
    """One try for each request, because the row that needs it is what is retried."""

    name = "passalong"

    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """Body, status and headers; raises APIConnectionError where no answer came."""
        try:
            answer = self._send(method.upper(), url, headers=headers, body=post_data)
        except HttpError as error:
            raise stripe.APIConnectionError(str(error)) from error  # type: ignore[no-untyped-call]  # theirs has no types
        return answer.body.decode("utf-8", "replace"), answer.status, answer.headers

    def close(self) -> None:
        """Nothing is kept open."""


def client_of(account: Account) -> stripe.StripeClient:
    """Stripe with the merchant's key, which is to be there."""
    return stripe.StripeClient(
        account.secrets["api_key"],
        base_addresses={"api": API_BASE},
        max_network_retries=0,
        http_client=SendClient(account.send),
    )
