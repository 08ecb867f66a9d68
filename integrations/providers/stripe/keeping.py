"""What we keep in a merchant's Stripe account: coupons, promotion codes, and the webhook endpoint (integrations.remote).

Every object that we make carries `passalong` in its metadata, which is how it is known again after an answer that got lost, also when
Stripe has forgotten the idempotency key (24 hours; PROVIDERS.md section 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, cast

import stripe

from integrations.base import Account
from integrations.providers.stripe.client import client_of
from integrations.providers.stripe.source import STRIPE_EXPONENTS
from integrations.remote import CodeOrder, Discount, EndpointOrder, MadeEndpoint, RemoteError
from referrals.lib.money import Money, exponent_of

MARK = "passalong"
# What Stripe lets a coupon's name have.
NAME_LENGTH = 40
# An account has sixteen endpoints at most, so that one page of the list has them all.
PAGE = 100


def _client(account: Account) -> stripe.StripeClient:
    if not account.secrets.get("api_key"):
        raise RemoteError("key_missing")
    return client_of(account)


@contextmanager
def _told() -> Iterator[None]:
    """Stripe's errors as ours."""
    try:
        yield
    except stripe.StripeError as error:
        raise _ours(error) from error


def _ours(error: stripe.StripeError) -> RemoteError:
    said = (error.user_message or type(error).__name__)[:300]
    if isinstance(error, stripe.AuthenticationError):
        return RemoteError("key_refused", said)
    if isinstance(error, stripe.PermissionError):
        return RemoteError("rights_missing", said)
    if isinstance(error, stripe.RateLimitError):
        return RemoteError("no_answer", said, retry=True, answered=False)
    if isinstance(error, stripe.IdempotencyError):
        # The key was used with other parameters: under a fresh one it is a request of its own.
        return RemoteError("no_answer", said, retry=True)
    if isinstance(error, stripe.InvalidRequestError):
        return RemoteError("refused", said)
    return RemoteError("no_answer", said, retry=True, answered=not isinstance(error, stripe.APIConnectionError))


def _is_gone(error: stripe.StripeError) -> bool:
    return isinstance(error, stripe.InvalidRequestError) and error.http_status == 404


def stripe_minor(money: Money) -> int:
    """An amount in the unit in which Stripe counts the currency; the opposite of what its source reads."""
    shift = STRIPE_EXPONENTS.get(money.currency, exponent_of(money.currency)) - exponent_of(money.currency)
    if shift >= 0:
        return int(money.minor * 10**shift)
    whole, rest = divmod(money.minor, int(10**-shift))
    if rest:
        raise RemoteError("refused", f"Stripe knows no decimals of {money.currency}.")
    return whole


class StripePromotions:
    """Coupons and promotion codes with the merchant's key."""

    def __init__(self, account: Account) -> None:
        self._stripe = _client(account).v1

    def make_coupon(self, coupon_id: str, name: str, discount: Discount) -> None:
        """A coupon under an id of ours, for one payment; nothing when it is there."""
        if self._coupon(coupon_id) is not None:
            return
        params: dict[str, Any] = {
            "id": coupon_id,
            "name": name[:NAME_LENGTH],
            "duration": "once",
            "metadata": {MARK: coupon_id},
        }
        if discount.money is not None:
            params |= {"amount_off": stripe_minor(discount.money), "currency": discount.money.currency.lower()}
        else:
            # A percentage is no amount of money; Stripe takes two decimals of it.
            params["percent_off"] = float(round(discount.percent or Decimal(0), 2))
        with _told():
            try:
                self._stripe.coupons.create(cast(Any, params), {"idempotency_key": f"{coupon_id}-v1"})
            except stripe.InvalidRequestError as error:
                if error.code != "resource_already_exists":
                    raise

    def check_coupon(self, coupon_id: str) -> None:
        """Raise coupon_missing or coupon_over unless it can be used."""
        coupon = self._coupon(coupon_id)
        if coupon is None:
            raise RemoteError("coupon_missing")
        if not coupon.valid:
            raise RemoteError("coupon_over")

    def _coupon(self, coupon_id: str) -> stripe.Coupon | None:
        with _told():
            try:
                return self._stripe.coupons.retrieve(coupon_id)
            except stripe.InvalidRequestError as error:
                if _is_gone(error):
                    return None
                raise

    def drop_coupon(self, coupon_id: str) -> None:
        """Delete a coupon of ours, with which all its codes stop; nothing when it is gone."""
        with _told():
            try:
                self._stripe.coupons.delete(coupon_id)
            except stripe.InvalidRequestError as error:
                if not _is_gone(error):
                    raise

    def find_code(self, order: CodeOrder) -> str:
        """The id of the code that carries our mark and revision; "" when there is none."""
        with _told():
            found = self._stripe.promotion_codes.list({"code": order.text, "limit": PAGE})
        for row in found.data:
            metadata = row.metadata.to_dict() if row.metadata is not None else {}
            if metadata.get(MARK) == order.mark and (
                not order.revision or metadata.get("revision") == str(order.revision)
            ):
                return row.id
        return ""

    def make_code(self, order: CodeOrder) -> str:
        """Make it, and give its id. Raises code_taken when another active code has the text, in any case of its letters."""
        restrictions: dict[str, Any] = {"first_time_transaction": order.first_order_only}
        if order.minimum is not None:
            restrictions |= {
                "minimum_amount": stripe_minor(order.minimum),
                "minimum_amount_currency": order.minimum.currency.lower(),
            }
        params = {
            "promotion": {"type": "coupon", "coupon": order.coupon},
            "code": order.text,
            "restrictions": restrictions,
            "metadata": {MARK: order.mark, "revision": str(order.revision)},
        }
        with _told():
            try:
                made = self._stripe.promotion_codes.create(cast(Any, params), {"idempotency_key": order.key})
            except stripe.InvalidRequestError as error:
                if "already exists" in (error.user_message or "").lower():
                    raise RemoteError("code_taken", error.user_message or "") from error
                raise
        return made.id

    def switch(self, remote_id: str, *, on: bool) -> None:
        """Let a code work, or not any more; nothing when it is gone and not wanted."""
        with _told():
            try:
                self._stripe.promotion_codes.update(remote_id, {"active": on})
            except stripe.InvalidRequestError as error:
                if on or not _is_gone(error):
                    raise


class StripeListening:
    """Webhook endpoints with the merchant's key."""

    def __init__(self, account: Account) -> None:
        self._stripe = _client(account).v1

    def find(self, order: EndpointOrder) -> str:
        """The id of the endpoint that carries our mark or has this URL; "" when there is none."""
        with _told():
            found = self._stripe.webhook_endpoints.list({"limit": PAGE})
        rows = [
            row
            for row in found.data
            if row.url == order.url or (row.metadata is not None and row.metadata.to_dict().get(MARK) == order.mark)
        ]
        return rows[0].id if rows else ""

    def make(self, order: EndpointOrder) -> MadeEndpoint:
        """Make it; the answer is the only time that Stripe tells the secret."""
        params = {
            "url": order.url,
            "enabled_events": list(order.events),
            "description": "Passalong",
            "metadata": {MARK: order.mark},
        }
        with _told():
            try:
                made = self._stripe.webhook_endpoints.create(cast(Any, params), {"idempotency_key": order.key})
            except stripe.InvalidRequestError as error:
                raise _endpoint_refused(error) from error
        return MadeEndpoint(made.id, {"webhook_secret": made.secret or ""})

    def update(self, remote_id: str, order: EndpointOrder) -> bool:
        """Bring its list of events in line, and switch it on; False when it is gone."""
        params = {
            "enabled_events": list(order.events),
            "url": order.url,
            "disabled": False,
            "metadata": {MARK: order.mark},
        }
        with _told():
            try:
                self._stripe.webhook_endpoints.update(remote_id, cast(Any, params))
            except stripe.InvalidRequestError as error:
                if _is_gone(error):
                    return False
                raise
        return True

    def delete(self, remote_id: str) -> None:
        """Delete it; nothing when it is gone."""
        with _told():
            try:
                self._stripe.webhook_endpoints.delete(remote_id)
            except stripe.InvalidRequestError as error:
                if not _is_gone(error):
                    raise


def _endpoint_refused(error: stripe.InvalidRequestError) -> RemoteError:
    said = error.user_message or ""
    if error.param == "url":
        return RemoteError("address_not_public", said)
    if "maximum" in said.lower() or "limit" in said.lower():
        return RemoteError("too_many", said)
    return RemoteError("refused", said)
