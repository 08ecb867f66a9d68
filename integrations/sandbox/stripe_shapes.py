"""What the Stripe stand-in answers and tells: objects as Stripe's published fixtures have them (API 2026-10-28; PROVIDERS.md section 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Shape = dict[str, Any]
API_VERSION = "2026-10-28.endive"


def coupon(given: Mapping[str, Any], name: str, created: int) -> Shape:
    """A coupon from the request's fields; every amount is a text there, as in any form."""
    percent, amount = given.get("percent_off"), given.get("amount_off")
    return {
        "id": name, "object": "coupon", "created": created, "livemode": False, "valid": True, "times_redeemed": 0,
        "name": given.get("name"), "duration": given.get("duration", "once"), "duration_in_months": None,
        "percent_off": float(percent) if percent else None, "amount_off": int(amount) if amount else None,
        "currency": given.get("currency"), "max_redemptions": _int(given.get("max_redemptions")), "redeem_by": None,
        "metadata": given.get("metadata", {}),
    }  # fmt: skip


def promotion_code(given: Mapping[str, Any], name: str, created: int) -> Shape:
    """A promotion code; active from the start."""
    rest = given.get("restrictions", {})
    return {
        "id": name, "object": "promotion_code", "created": created, "livemode": False, "active": True,
        "code": given.get("code", ""), "customer": given.get("customer"), "customer_account": None,
        "expires_at": _int(given.get("expires_at")), "max_redemptions": _int(given.get("max_redemptions")), "times_redeemed": 0,
        "metadata": given.get("metadata", {}),
        "promotion": {"type": "coupon", "coupon": given.get("promotion", {}).get("coupon")},
        "restrictions": {
            "first_time_transaction": rest.get("first_time_transaction") == "true",
            "minimum_amount": _int(rest.get("minimum_amount")),
            "minimum_amount_currency": rest.get("minimum_amount_currency"),
        },
    }  # fmt: skip


def webhook_endpoint(given: Mapping[str, Any], name: str, created: int) -> Shape:
    """An endpoint without its secret, which only the answer to making it has."""
    return {
        "id": name, "object": "webhook_endpoint", "created": created, "livemode": False, "status": "enabled",
        "url": given["url"], "enabled_events": listed(given.get("enabled_events")), "api_version": given.get("api_version"),
        "description": given.get("description"), "application": None, "metadata": given.get("metadata", {}),
    }  # fmt: skip


def customer(given: Mapping[str, Any], name: str, created: int) -> Shape:
    """A customer."""
    return {
        "id": name, "object": "customer", "created": created, "livemode": False, "email": given.get("email"),
        "name": given.get("name"), "balance": 0, "currency": None, "delinquent": False, "description": given.get("description"),
        "metadata": given.get("metadata", {}),
    }  # fmt: skip


def balance_transaction(
    given: Mapping[str, Any], name: str, created: int, owner: str, amount: int, ending: int
) -> Shape:
    """A change of a customer's balance; negative is credit."""
    return {
        "id": name, "object": "customer_balance_transaction", "created": created, "livemode": False, "type": "adjustment",
        "customer": owner, "customer_account": None, "amount": amount, "currency": given.get("currency"), "ending_balance": ending,
        "description": given.get("description"), "metadata": given.get("metadata", {}), "credit_note": None, "invoice": None,
        "checkout_session": None,
    }  # fmt: skip


def checkout_session(given: Mapping[str, str], ids: Mapping[str, str], created: int) -> Shape:
    """A paid checkout; of a trial when nothing is to be paid."""
    amount = int(given["amount"])
    recurring = given.get("mode") == "subscription"
    code = ids.get("promotion_code")
    return {
        "id": ids["session"], "object": "checkout.session", "created": created, "livemode": False,
        "mode": "subscription" if recurring else "payment", "status": "complete",
        "payment_status": given.get("payment_status") or ("paid" if amount else "no_payment_required"),
        "amount_total": amount, "amount_subtotal": amount, "currency": given.get("currency", "usd"),
        "client_reference_id": given.get("client_reference_id"), "customer": ids.get("customer"),
        "customer_details": {"email": given.get("email"), "name": given.get("name"), "phone": None, "address": None,
                             "tax_exempt": "none", "tax_ids": []},
        "discounts": [{"coupon": None, "promotion_code": code}] if code else [],
        "invoice": ids.get("invoice"), "subscription": ids.get("subscription"),
        "payment_intent": None if recurring else ids["payment_intent"],
        "metadata": {},
    }  # fmt: skip


def invoice(given: Mapping[str, str], ids: Mapping[str, str], created: int) -> Shape:
    """A paid invoice of a subscription: its first, or a renewal (`billing_reason`)."""
    amount = int(given["amount"])
    return {
        "id": ids["invoice"], "object": "invoice", "created": created, "livemode": False, "status": "paid",
        "billing_reason": given.get("billing_reason", "subscription_cycle"), "amount_paid": amount, "amount_due": amount,
        "total": amount, "currency": given.get("currency", "usd"), "customer": ids.get("customer"),
        "customer_email": given.get("email"), "customer_name": given.get("name"), "discounts": [], "metadata": {},
        "lines": {"object": "list", "data": [], "has_more": False, "url": f"/v1/invoices/{ids['invoice']}/lines"},
        "parent": {"type": "subscription_details", "quote_details": None,
                   "subscription_details": {"metadata": {}, "subscription": ids.get("subscription")}},
        "status_transitions": {"finalized_at": created, "marked_uncollectible_at": None, "paid_at": created, "voided_at": None},
    }  # fmt: skip


def charge(paid: Mapping[str, Any], ids: Mapping[str, str], created: int) -> Shape:
    """A charge with what went back of it so far."""
    return {
        "id": ids["charge"], "object": "charge", "created": created, "livemode": False, "status": "succeeded", "captured": True,
        "amount": paid["amount"], "amount_captured": paid["amount"], "amount_refunded": paid["refunded"],
        "refunded": paid["refunded"] >= paid["amount"], "currency": paid["currency"], "paid": True,
        "customer": ids.get("customer"), "payment_intent": ids["payment_intent"], "disputed": False, "metadata": {},
    }  # fmt: skip


def refund(paid: Mapping[str, Any], ids: Mapping[str, str], created: int, amount: int, status: str) -> Shape:
    """One refund of a charge."""
    return {
        "id": ids["refund"], "object": "refund", "created": created, "amount": amount, "currency": paid["currency"],
        "charge": ids["charge"], "payment_intent": ids["payment_intent"], "status": status, "reason": None, "metadata": {},
    }  # fmt: skip


def dispute(paid: Mapping[str, Any], ids: Mapping[str, str], created: int, status: str) -> Shape:
    """A dispute of a charge."""
    return {
        "id": ids["dispute"], "object": "dispute", "created": created, "livemode": False, "amount": paid["amount"],
        "currency": paid["currency"], "charge": ids["charge"], "payment_intent": ids["payment_intent"], "status": status,
        "reason": "general", "is_charge_refundable": False, "metadata": {},
    }  # fmt: skip


def event(name: str, kind: str, thing: Shape, created: int) -> Shape:
    """The envelope of a webhook, and what the list of events has."""
    return {
        "id": name, "object": "event", "type": kind, "created": created, "livemode": False, "api_version": API_VERSION,
        "data": {"object": thing}, "pending_webhooks": 1, "request": {"id": None, "idempotency_key": None},
    }  # fmt: skip


def page(rows: Iterable[Shape], url: str, limit: int, after: str = "") -> Shape:
    """A list, newest first as it is given; `after` is the last id of the page before."""
    found = list(rows)
    if after:
        names = [row["id"] for row in found]
        found = found[names.index(after) + 1 :] if after in names else []
    return {"object": "list", "url": url, "data": found[:limit], "has_more": len(found) > limit}


def listed(value: Any) -> list[str]:
    """A list as a form sends it: `name[0]`, `name[1]`."""
    return [value[key] for key in sorted(value, key=int)] if isinstance(value, Mapping) else []


def _int(value: Any) -> int | None:
    return int(value) if value not in {None, ""} else None
