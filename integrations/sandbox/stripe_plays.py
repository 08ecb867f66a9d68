"""What people do at Stripe's own pages, played: they pay, renew, get money back, dispute. Each is told of as Stripe tells of it.

A payment is known by its charge: `play/checkout` answers with all its ids, and the others take the charge's.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from integrations.sandbox import stripe_shapes as shapes
from integrations.sandbox.base import Call, Refusal, Reply
from integrations.sandbox.stripe_shapes import Shape
from referrals.lib.codes import random_text

# For how long Stripe can be asked what it told.
EVENTS_KEPT = timedelta(days=30)
# How a list's `created` is compared.
_WITHIN = {"gte": operator.ge, "gt": operator.gt, "lte": operator.le, "lt": operator.lt}
_PREFIX = {
    "session": "cs_test_", "payment_intent": "pi_", "charge": "ch_", "invoice": "in_", "subscription": "sub_", "refund": "re_",
    "dispute": "dp_", "customer": "cus_",
}  # fmt: skip


def checkout(call: Call) -> Reply:
    """A paid checkout: `amount`, `currency`, `email`; `client_reference_id`, `promotion_code` (its text), `mode=subscription`, `customer`.

    A subscription's first invoice is told of too, before the session, as it may be.
    """
    given = call.form
    recurring = given.get("mode") == "subscription"
    ids = _ids("session", "payment_intent", "charge", *(("invoice", "subscription") if recurring else ()))
    ids["customer"] = given.get("customer") or _id("customer")
    if text := given.get("promotion_code"):
        ids["promotion_code"] = _redeem(call, text)
    now = seconds(call)
    amount = int(given["amount"])
    call.minor = amount
    paid = {"ids": ids, "amount": amount, "refunded": 0, "currency": given.get("currency", "usd"), "given": given}
    call.state.add("paid", ids["charge"], paid)
    if recurring:
        call.state.add("subscription", ids["subscription"], {"ids": ids, "given": given})
        tell(call, "invoice.paid", shapes.invoice({**given, "billing_reason": "subscription_create"}, ids, now))
    session = shapes.checkout_session(given, ids, now)
    tell(call, "checkout.session.completed", session)
    return Reply(200, {"session": session, "ids": ids})


def renewal(call: Call) -> Reply:
    """A later invoice of a `subscription`, of `amount`."""
    kept = call.state.get("subscription", call.form.get("subscription", ""))
    if kept is None:
        raise Refusal(call.company.missing())
    ids = {**kept["ids"], **_ids("payment_intent", "charge", "invoice")}
    given = {**kept["given"], "amount": call.form["amount"], "billing_reason": "subscription_cycle"}
    paid = {"ids": ids, "amount": int(given["amount"]), "refunded": 0, "currency": given.get("currency", "usd")}
    call.state.add("paid", ids["charge"], {**paid, "given": given})
    made = shapes.invoice(given, ids, seconds(call))
    tell(call, "invoice.paid", made)
    return Reply(200, {"invoice": made, "ids": ids})


def refund(call: Call) -> Reply:
    """Money of a `charge` goes back: `amount`, or all that is left."""
    paid = _paid(call)
    amount = int(call.form.get("amount") or paid["amount"] - paid["refunded"])
    paid["refunded"] += amount
    call.state.put("paid", paid["ids"]["charge"], paid)
    ids = {**paid["ids"], "refund": _id("refund")}
    made = shapes.refund(paid, ids, seconds(call), amount, "succeeded")
    tell(call, "charge.refunded", shapes.charge(paid, ids, seconds(call)))
    tell(call, "refund.created", made)
    return Reply(200, made)


def dispute(call: Call) -> Reply:
    """A `charge` is disputed, or its dispute ends: `status` needs_response, won or lost."""
    paid, status = _paid(call), call.form.get("status", "needs_response")
    ids = {**paid["ids"], "dispute": f"dp_{paid['ids']['charge'][3:]}"}
    made = shapes.dispute(paid, ids, seconds(call), status)
    ended = status in {"won", "lost"}
    tell(call, "charge.dispute.closed" if ended else "charge.dispute.created", made)
    if status != "lost":
        tell(call, f"charge.dispute.funds_{'reinstated' if ended else 'withdrawn'}", made)
    return Reply(200, made)


def list_events(call: Call) -> Reply:
    """What was told, newest first: `created[gte]`, `created[lte]`, `types[]`, `starting_after`, `limit`."""
    query = call.request.query
    oldest = int((call.now - EVENTS_KEPT).timestamp())
    types = {value for name, value in query.items() if name.startswith("types[")}
    rows = [
        row
        for _name, row in reversed(call.state.each("event"))
        if row["created"] >= oldest and is_of(row, query) and (not types or row["type"] in types)
    ]
    return paged(call, rows)


def list_invoice_payments(call: Call) -> Reply:
    """Which invoices a payment intent paid; newer versions of the API don't say it on the charge."""
    wanted = call.request.query.get("payment[payment_intent]", "")
    rows = [
        {"id": f"inpay_{row['ids']['invoice'][3:]}", "object": "invoice_payment", "invoice": row["ids"]["invoice"]}
        for _name, row in call.state.each("paid")
        if row["ids"]["payment_intent"] == wanted and "invoice" in row["ids"]
    ]
    return paged(call, rows)


def tell(call: Call, kind: str, thing: Shape) -> None:
    """Keep an event, and send it to the endpoint when it listens to this type (or none was made: then it was set up by hand)."""
    made = shapes.event(f"evt_{random_text(24)}", kind, thing, seconds(call))
    call.state.add("event", made["id"], made)
    ends = [row for _name, row in call.state.each("webhook_endpoint") if not row.get("deleted")]
    if not ends or any(kind in row["enabled_events"] and row["status"] == "enabled" for row in ends):
        call.tell(kind, made)


def is_of(row: Shape, query: Mapping[str, str]) -> bool:
    """Whether something was made in the span that a list is asked for: `created[gte]`, `[gt]`, `[lte]`, `[lt]`."""
    made: int = row["created"]
    asked = {name: query.get(f"created[{name}]") for name in _WITHIN}
    return all(_WITHIN[name](made, int(bound)) for name, bound in asked.items() if bound)


def paged(call: Call, rows: Iterable[Shape]) -> Reply:
    """A page of a list as the query asks for it."""
    query = call.request.query
    limit = min(int(query.get("limit") or 10), 100)
    return Reply(200, shapes.page(rows, call.request.path, limit, query.get("starting_after", "")))


def seconds(call: Call) -> int:
    """The time of the call as Stripe writes times."""
    return int(call.now.timestamp())


def _redeem(call: Call, text: str) -> str:
    for name, row in call.state.each("promotion_code"):
        coupon = call.state.get("coupon", row["promotion"]["coupon"])
        if row["active"] and row["code"].lower() == text.lower() and coupon and not coupon.get("deleted"):
            row["times_redeemed"] += 1
            call.state.put("promotion_code", name, row)
            return name
    raise Refusal(call.company.malformed("This code is invalid."))


def _paid(call: Call) -> dict[str, Any]:
    found = call.state.get("paid", call.form.get("charge", ""))
    if found is None:
        raise Refusal(call.company.missing())
    return found


def _id(kind: str) -> str:
    return f"{_PREFIX[kind]}{random_text(24)}"


def _ids(*kinds: str) -> dict[str, str]:
    return {kind: _id(kind) for kind in kinds}
