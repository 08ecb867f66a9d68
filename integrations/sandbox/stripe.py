"""Stripe's stand-in: coupons, promotion codes, webhook endpoints, customers and their balance, events, and payments that are told of.

Stripe's own model of a key: for a day the first answer comes again, 500s included, and other parameters are refused (PROVIDERS.md, 0.9).
What a person does at Stripe's pages (pay, renew, ask back, dispute) is done under /v1/play, which the real one has not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from integrations.base import Secrets
from integrations.sandbox import keys
from integrations.sandbox import stripe_plays as plays
from integrations.sandbox import stripe_shapes as shapes
from integrations.sandbox.base import Call, Company, Handler, Refusal, Reply, Route
from integrations.sandbox.state import Data
from referrals.lib import clock
from referrals.lib.codes import random_text
from referrals.lib.money import Money
from referrals.lib.signing import hmac_hex

KEY_LIFE = timedelta(hours=24)
_PART = re.compile(r"\[([^\]]*)\]")
# What each of an amount's reasons is called here.
WORDS = {
    "insufficient_funds": "balance_insufficient", "bad_recipient": "resource_missing", "account_closed": "account_closed",
    "wrong_currency": "currency_mismatch", "limit_exceeded": "amount_too_large", "declined": "not_allowed",
}  # fmt: skip


def nested(form: Mapping[str, str]) -> dict[str, Any]:
    """`promotion[coupon]=x` as {"promotion": {"coupon": "x"}}; lists keep their numbers as names."""
    found: dict[str, Any] = {}
    for name, value in form.items():
        path = [name.partition("[")[0], *_PART.findall(name)]
        place = found
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = value
    return found


class Stripe(Company):
    """See the module."""

    slug = "stripe"

    def routes(self) -> tuple[Route, ...]:
        once = self._once
        return (
            Route("POST", "/v1/coupons", once(self.make_coupon)),
            Route("GET", "/v1/coupons/{id}", lambda call: self.show(call, "coupon")),
            Route("DELETE", "/v1/coupons/{id}", lambda call: self.drop(call, "coupon")),
            Route("POST", "/v1/promotion_codes", once(self.make_code)),
            Route("GET", "/v1/promotion_codes", self.list_codes),
            Route("GET", "/v1/promotion_codes/{id}", lambda call: self.show(call, "promotion_code")),
            Route("POST", "/v1/promotion_codes/{id}", once(self.switch_code)),
            Route("POST", "/v1/webhook_endpoints", once(self.make_endpoint)),
            Route("GET", "/v1/webhook_endpoints", lambda call: self.list_all(call, "webhook_endpoint")),
            Route("POST", "/v1/webhook_endpoints/{id}", once(self.change_endpoint)),
            Route("DELETE", "/v1/webhook_endpoints/{id}", lambda call: self.drop(call, "webhook_endpoint")),
            Route("POST", "/v1/customers", once(self.make_customer)),
            Route("GET", "/v1/customers", lambda call: self.list_all(call, "customer", "email")),
            Route("GET", "/v1/customers/{id}", lambda call: self.show(call, "customer")),
            Route("POST", "/v1/customers/{id}/balance_transactions", once(self.credit)),
            Route("GET", "/v1/customers/{id}/balance_transactions", self.list_credits),
            Route("GET", "/v1/events", plays.list_events),
            Route("GET", "/v1/invoice_payments", plays.list_invoice_payments),
            Route("POST", "/v1/play/checkout", plays.checkout),
            Route("POST", "/v1/play/renewal", plays.renewal),
            Route("POST", "/v1/play/refund", plays.refund),
            Route("POST", "/v1/play/dispute", plays.dispute),
        )

    # The company's manners.

    def sign(self, body: bytes, message: Data, secrets: Secrets) -> dict[str, str]:
        """`t=<seconds>,v1=<hex>` over `<t>.<body>`, at the time it leaves."""
        stamp = str(int(clock.wall().timestamp()))
        key = str(secrets.get("webhook_secret", "")).encode()
        digest = hmac_hex(key, stamp.encode() + b"." + body)
        return {"Stripe-Signature": f"t={stamp},v1={digest}", "Content-Type": "application/json; charset=utf-8"}

    def step(self, call: Call, kind: str, name: str, data: Data, word: str) -> None:
        """Nothing goes on by itself here."""
        raise NotImplementedError

    def denied(self) -> Reply:
        return _error(401, "invalid_request_error", "Invalid API Key provided")

    def busy(self) -> Reply:
        return _error(429, "invalid_request_error", "Too many requests", code="rate_limit")

    def down(self) -> Reply:
        return _error(500, "api_error", "Something went wrong on our end")

    def missing(self) -> Reply:
        return _error(404, "invalid_request_error", "No such object", code="resource_missing", param="id")

    def malformed(self, message: str, code: str = "parameter_invalid", param: str = "") -> Reply:
        return _error(400, "invalid_request_error", message, code=code, param=param)

    def _once(self, make: Handler) -> Handler:
        """A POST under the model of the key."""

        def handler(call: Call) -> Reply:
            key = call.request.headers.get("idempotency-key", "")
            words = "Keys for idempotent requests can only be used with the same parameters they were first used with."
            differs = _error(400, "idempotency_error", words)
            return keys.replay(call, key, lambda: make(call), life=KEY_LIFE, differs=lambda: differs)

        return handler

    # Objects.

    def make_coupon(self, call: Call) -> Reply:
        given = nested(call.form)
        name = given.get("id") or random_text(8)
        if not (given.get("percent_off") or given.get("amount_off")):
            raise Refusal(self.malformed("Must provide percent_off or amount_off.", "parameter_missing"))
        if given.get("amount_off") and not given.get("currency"):
            raise Refusal(self.malformed("Must provide currency with amount_off.", "parameter_missing", "currency"))
        if len(given.get("name") or "") > 40:
            raise Refusal(self.malformed("Invalid string: at most 40 characters.", "string_too_long", "name"))
        made = shapes.coupon(given, name, plays.seconds(call))
        if not call.state.add("coupon", name, made):
            raise Refusal(self.malformed("Coupon already exists.", "resource_already_exists"))
        return Reply(200, made)

    def make_code(self, call: Call) -> Reply:
        given = nested(call.form)
        coupon = call.state.get("coupon", given.get("promotion", {}).get("coupon", ""))
        if coupon is None:
            raise Refusal(self.malformed("No such coupon", "resource_missing", "promotion[coupon]"))
        text = given.get("code") or random_text(8).upper()
        if not re.fullmatch(r"[A-Za-z0-9-]{1,500}", text):
            raise Refusal(self.malformed("Only letters, digits and dashes.", param="code"))
        self._refuse_twin(call, text, given.get("customer"))
        name = f"promo_{random_text(24)}"
        if given.get("max_redemptions") == "1" and coupon["amount_off"]:
            # A code that works once is a reward: its worth leaves.
            coupon = self._give(call, given, coupon, name)
        made = shapes.promotion_code({**given, "code": text}, name, plays.seconds(call))
        call.state.add("promotion_code", name, made)
        return Reply(200, _expanded(made, coupon) if "expand" in given else made)

    def _give(self, call: Call, given: Data, coupon: Data, name: str) -> Data:
        money = Money(coupon["amount_off"], coupon["currency"].upper())
        reference = given.get("metadata", {}).get("passalong", name)
        script = call.begin(money, reference)
        if script.reason:
            raise Refusal(self.malformed(script.reason, WORDS[script.reason], "customer"))
        call.pay(name, to=given.get("customer") or "", money=script.paid(money), reference=reference)
        coupon = {**coupon, "amount_off": script.paid(money).minor}
        call.state.put("coupon", coupon["id"], coupon)
        return coupon

    def _refuse_twin(self, call: Call, text: str, customer: str | None) -> None:
        """A text is taken once among the active codes of a customer, and of everybody; letters in any case are the same."""
        for _name, row in call.state.each("promotion_code"):
            if row["active"] and row["code"].lower() == text.lower() and row["customer"] in {customer, None}:
                words = f"An active promotion code with `code: {text}` already exists."
                raise Refusal(self.malformed(words, "resource_already_exists", "code"))

    def switch_code(self, call: Call) -> Reply:
        row = self._need(call, "promotion_code")
        on = call.form.get("active", "true") == "true"
        if on and not row["active"]:
            self._refuse_twin(call, row["code"], row["customer"])
            if call.state.get("coupon", row["promotion"]["coupon"]) is None:
                raise Refusal(self.malformed("The coupon of this promotion code is deleted.", param="active"))
        row["active"] = on
        call.state.put("promotion_code", row["id"], row)
        return Reply(200, row)

    def list_codes(self, call: Call) -> Reply:
        query = call.request.query
        rows = [row for _name, row in reversed(call.state.each("promotion_code"))]
        if "code" in query:
            rows = [row for row in rows if row["code"].lower() == query["code"].lower()]
        if "active" in query:
            rows = [row for row in rows if row["active"] is (query["active"] == "true")]
        if "coupon" in query:
            rows = [row for row in rows if row["promotion"]["coupon"] == query["coupon"]]
        rows = [row for row in rows if plays.is_of(row, query)]
        if "expand[0]" in query:
            rows = [_expanded(row, call.state.get("coupon", row["promotion"]["coupon"]) or {}) for row in rows]
        return plays.paged(call, rows)

    def make_endpoint(self, call: Call) -> Reply:
        given = nested(call.form)
        if not str(given.get("url", "")).startswith("https://") and not call.secrets.get("loopback"):
            raise Refusal(self.malformed("Invalid URL: must be a publicly accessible https URL.", "url_invalid", "url"))
        if len(call.state.each("webhook_endpoint")) >= 16:
            raise Refusal(self.malformed("You have reached the maximum of 16 test webhook endpoints."))
        name = f"we_{random_text(24)}"
        made = shapes.webhook_endpoint(given, name, plays.seconds(call))
        call.state.add("webhook_endpoint", name, made)
        return Reply(200, {**made, "secret": f"whsec_{random_text(32)}"})

    def change_endpoint(self, call: Call) -> Reply:
        row = self._need(call, "webhook_endpoint")
        given = nested(call.form)
        if "enabled_events" in given:
            row["enabled_events"] = shapes.listed(given["enabled_events"])
        if "disabled" in given:
            row["status"] = "disabled" if given["disabled"] == "true" else "enabled"
        row["url"] = given.get("url", row["url"])
        call.state.put("webhook_endpoint", row["id"], row)
        return Reply(200, row)

    def make_customer(self, call: Call) -> Reply:
        name = f"cus_{random_text(14)}"
        made = shapes.customer(nested(call.form), name, plays.seconds(call))
        call.state.add("customer", name, made)
        return Reply(200, made)

    def credit(self, call: Call) -> Reply:
        """A credit is negative; its worth leaves to the customer."""
        owner, given = self._need(call, "customer"), nested(call.form)
        amount, currency = int(given["amount"]), given["currency"]
        if owner["currency"] not in {None, currency}:
            words = f"The customer's balance is in {owner['currency']}."
            raise Refusal(self.malformed(words, "currency_mismatch", "currency"))
        name = f"cbtxn_{random_text(24)}"
        if amount < 0:
            money = Money(-amount, currency.upper())
            reference = given.get("metadata", {}).get("passalong", name)
            script = call.begin(money, reference)
            if script.reason:
                raise Refusal(self.malformed(script.reason, WORDS[script.reason]))
            money = script.paid(money)
            amount = -money.minor
            call.pay(name, to=owner["id"], money=money, reference=reference)
        owner["balance"] += amount
        owner["currency"] = currency
        call.state.put("customer", owner["id"], owner)
        made = shapes.balance_transaction(given, name, plays.seconds(call), owner["id"], amount, owner["balance"])
        call.state.add("balance_transaction", name, made)
        return Reply(200, made)

    def list_credits(self, call: Call) -> Reply:
        owner = self._need(call, "customer")["id"]
        rows = [row for _name, row in reversed(call.state.each("balance_transaction")) if row["customer"] == owner]
        return plays.paged(call, rows)

    def show(self, call: Call, kind: str) -> Reply:
        return Reply(200, self._need(call, kind))

    def drop(self, call: Call, kind: str) -> Reply:
        row = self._need(call, kind)
        call.state.put(kind, row["id"], {**row, "deleted": True})
        return Reply(200, {"id": row["id"], "object": row["object"], "deleted": True})

    def list_all(self, call: Call, kind: str, *filters: str) -> Reply:
        rows = [row for _name, row in reversed(call.state.each(kind)) if not row.get("deleted")]
        for name in filters:
            if name in call.request.query:
                rows = [row for row in rows if row.get(name) == call.request.query[name]]
        return plays.paged(call, rows)

    def _need(self, call: Call, kind: str) -> Data:
        row = call.state.get(kind, call.params["id"])
        if row is None or row.get("deleted"):
            raise Refusal(self.missing())
        return row


def _expanded(row: Data, coupon: Data) -> Data:
    return {**row, "promotion": {**row["promotion"], "coupon": coupon}}


def _error(status: int, kind: str, message: str, code: str = "", param: str = "") -> Reply:
    told = {"type": kind, "message": message, "code": code, "param": param}
    return Reply(status, {"error": {name: value for name, value in told.items() if value}})
