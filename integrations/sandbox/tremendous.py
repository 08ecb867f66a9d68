"""Tremendous: orders of one reward, by e-mail or link; an external_id brings the first order back (PROVIDERS.md, section 5)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from integrations.base import Secrets
from integrations.sandbox import keys, scripts
from integrations.sandbox.base import Call, Company, Refusal, Reply, Route
from integrations.sandbox.scripts import Reason
from integrations.sandbox.state import Data
from referrals.lib.codes import random_text
from referrals.lib.money import Money, MoneyError
from referrals.lib.signing import hmac_hex

BASE = "/api/v2"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
# HTTP status and words of each refusal; `declined` is no refusal but an order that fails.
_NO: dict[Reason, tuple[int, str]] = {
    "insufficient_funds": (402, "The funding source has not enough funds"),
    "bad_recipient": (422, "recipient email is invalid"),
    "account_closed": (422, "recipient is blocked"),
    "wrong_currency": (422, "currency_code is not supported by the products"),
    "limit_exceeded": (422, "denomination is over the limit of the organization"),
}
PRODUCTS = (("OKMHM2X2OHYV", "Amazon.com", "merchant_card", "US"), ("Q24BD9EZ332JT", "Virtual Visa", "visa_card", "US"))


class Tremendous(Company):
    """`https://testflight.tremendous.com/api/v2`; secrets: api_key, and webhook_key for the signature."""

    slug = "tremendous"

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", f"{BASE}/orders", self.create),
            Route("GET", f"{BASE}/orders", self.orders),
            Route("GET", f"{BASE}/orders/{{id}}", self.order),
            Route("GET", f"{BASE}/rewards/{{id}}", self.reward),
            Route("POST", f"{BASE}/rewards/{{id}}/cancel", self.cancel),
            Route("POST", f"{BASE}/rewards/{{id}}/resend", self.resend),
            Route("POST", f"{BASE}/rewards/{{id}}/generate_link", self.link),
            Route("GET", f"{BASE}/funding_sources", self.funding_sources),
            Route("GET", f"{BASE}/products", self.products),
        )

    def sign(self, body: bytes, message: Data, secrets: Secrets) -> dict[str, str]:
        digest = hmac_hex(secrets.get("webhook_key", "").encode(), body)
        return {"Tremendous-Webhook-Signature": f"sha256={digest}", "Content-Type": "application/json"}

    def create(self, call: Call) -> Reply:
        """A new order is 200; the same external_id brings the first one back with 201, or 409 when the content differs."""
        body = call.json
        external_id = body.get("external_id") or ""
        reward = body.get("reward")
        if not isinstance(reward, dict):
            return self.malformed("reward is missing")
        money = _money(self, reward.get("value"))
        recipient, method = reward.get("recipient") or {}, (reward.get("delivery") or {}).get("method", "EMAIL")
        if not (recipient.get("email") or recipient.get("phone") or method == "LINK"):
            return _error(422, "recipient email or phone is missing")
        if not (reward.get("campaign_id") or reward.get("products")):
            return _error(422, "campaign_id or products is missing")
        found = keys.original(call, external_id, body) if external_id else None
        if found is not None:
            name, same = found
            return (
                Reply(201, self._shown(call, name)) if same else _error(409, "external_id was used for another order")
            )
        script = call.begin(money, external_id or repr(body))
        if script.reason in _NO:
            return _error(*_NO[script.reason])
        order_id, reward_id = random_text(12, _LETTERS), random_text(12, _LETTERS)
        if external_id:
            keys.remember(call, external_id, body, order_id)
        paid = script.paid(money)
        data = {
            "id": reward_id,
            "order_id": order_id,
            "minor": paid.minor,
            "currency": paid.currency,
            "recipient": {name: recipient.get(name) for name in ("name", "email", "phone")},
            "method": method,
            "to": recipient.get("email") or recipient.get("phone") or "",
            "external_id": external_id,
            "created_at": _time(call),
            "order": "FAILED" if script.reason else "PENDING APPROVAL" if script.pace else "EXECUTED",
            "delivery": "PENDING",
            "campaign_id": reward.get("campaign_id"),
        }
        call.state.add("order", order_id, {"reward": reward_id})
        delay = scripts.SLOW if script.pace else timedelta()
        steps = [] if script.reason else [(delay, "deliver")]
        if script.ending in {"returned", "reversed"}:
            steps.append((scripts.BACK, "cancel"))
        if not script.pace and not script.reason:
            call.pay(reward_id, to=data["to"], money=paid, reference=external_id)
        call.plan("reward", reward_id, data, steps)
        _tell(call, "ORDERS.FAILED" if script.reason else "ORDERS.CREATED", order_id, "orders")
        return Reply(200, self._shown(call, order_id, with_link=True))

    def step(self, call: Call, kind: str, name: str, data: Data, word: str) -> None:
        """An order is approved and delivered; a reward is cancelled."""
        if word == "cancel":
            data["delivery"], data["order"] = "FAILED", "CANCELED"
            call.take_back(name)
            _tell(call, "REWARDS.CANCELED", name, "rewards")
            return
        if data["order"] != "EXECUTED":
            data["order"] = "EXECUTED"
            money = Money(data["minor"], data["currency"])
            call.pay(name, to=data["to"], money=money, reference=data["external_id"])
            _tell(call, "ORDERS.APPROVED", data["order_id"], "orders")
        data["delivery"] = "SUCCEEDED"
        if data["method"] != "LINK":
            _tell(call, "REWARDS.DELIVERY.SUCCEEDED", name, "rewards")

    def order(self, call: Call) -> Reply:
        """By its id, or by the external_id."""
        name = call.params["id"]
        kept = call.state.get("_key", name)
        name = kept["made"] if kept else name
        return Reply(200, self._shown(call, name)) if call.state.get("order", name) else self.missing()

    def orders(self, call: Call) -> Reply:
        """All, the newest first; `external_id` finds one."""
        if "external_id" in call.request.query:
            kept = call.state.get("_key", call.request.query["external_id"])
            names = [kept["made"]] if kept else []
        else:
            names = [name for name, _row in call.state.each("order")][::-1]
        shown = [self._shown(call, name)["order"] for name in names[:100]]
        return Reply(200, {"orders": shown, "total_count": len(names)})

    def reward(self, call: Call) -> Reply:
        """As it stands now."""
        data = call.advance("reward", call.params["id"])
        return Reply(200, {"reward": _reward(data)}) if data else self.missing()

    def cancel(self, call: Call) -> Reply:
        """While nobody has used it; here that is always, once."""
        data = call.advance("reward", call.params["id"])
        if data is None:
            return self.missing()
        if data["order"] == "CANCELED":
            return _error(422, "reward can't be canceled")
        self.step(call, "reward", data["id"], data, "cancel")
        call.state.put("reward", data["id"], {**data, "_steps": []})
        return Reply(200, {})

    def resend(self, call: Call) -> Reply:
        """Nothing to see but that the reward exists."""
        return Reply(200, {}) if call.state.get("reward", call.params["id"]) else self.missing()

    def link(self, call: Call) -> Reply:
        """A fresh link to the reward."""
        name = call.params["id"]
        found = call.state.get("reward", name)
        return Reply(200, {"reward": {"id": name, "link": _link(name)}}) if found else self.missing()

    def funding_sources(self, call: Call) -> Reply:
        """A balance and invoices."""
        meta = {"available_amount": 10000.0, "available_cents": 1_000_000, "currency_code": "USD"}
        balance = {"id": "BALANCE00001", "method": "balance", "usage_permissions": ["api_orders"], "meta": meta}
        invoice = {"id": "INVOICE00001", "method": "invoice", "usage_permissions": ["api_orders"], "meta": {}}
        return Reply(200, {"funding_sources": [balance, invoice]})

    def products(self, call: Call) -> Reply:
        """Two of very many."""
        return Reply(200, {"products": [_product(*row) for row in PRODUCTS]})

    def denied(self) -> Reply:
        return _error(401, "Unauthorized")

    def busy(self) -> Reply:
        return Reply(429, _error(429, "Too many requests").content, {"Retry-After": "1"})

    def down(self) -> Reply:
        return _error(500, "Internal server error")

    def missing(self) -> Reply:
        return _error(404, "Resource not found")

    def malformed(self, message: str) -> Reply:
        return _error(400, message)

    def _shown(self, call: Call, order_id: str, *, with_link: bool = False) -> dict[str, Any]:
        row = call.state.get("order", order_id) or {}
        data = call.advance("reward", row["reward"]) or {}
        amount = Money(data["minor"], data["currency"])
        reward = _reward(data)
        if with_link and data["method"] == "LINK":
            reward["delivery"]["link"] = _link(data["id"])
        number = amount.json_number()
        return {
            "order": {
                "id": order_id,
                "external_id": data["external_id"] or None,
                "campaign_id": data["campaign_id"],
                "created_at": data["created_at"],
                "status": data["order"],
                "channel": "API",
                "payment": {
                    "subtotal": number,
                    "total": number,
                    "fees": 0,
                    "discount": 0,
                    "currency_code": amount.currency,
                },
                "invoice_id": None,
                "rewards": [reward],
            }
        }


def _money(company: Tremendous, value: Any) -> Money:
    """`{"denomination": 15.5, "currency_code": "USD"}`."""
    try:
        return Money.parse(str(value["denomination"]).removesuffix(".0"), value.get("currency_code") or "USD")
    except (MoneyError, KeyError, TypeError) as error:
        raise Refusal(_error(422, f"value is invalid: {error}")) from error


def _reward(data: Data) -> dict[str, Any]:
    money = Money(data["minor"], data["currency"])
    return {
        "id": data["id"],
        "order_id": data["order_id"],
        "created_at": data["created_at"],
        "value": {"denomination": money.json_number(), "currency_code": money.currency},
        "recipient": data["recipient"],
        "custom_fields": [],
        "delivery": {"method": data["method"], "status": data["delivery"]},
    }


def _product(name: str, label: str, category: str, country: str) -> dict[str, Any]:
    return {
        "id": name,
        "name": label,
        "description": label,
        "category": category,
        "disclosure": "",
        "skus": [{"min": 1, "max": 2000, "currency_code": "USD"}],
        "currency_codes": ["USD"],
        "countries": [{"abbr": country}],
        "images": [],
    }


def _link(name: str) -> str:
    return f"https://testflight.tremendous.com/rewards/payout/{name.lower()}"


def _time(call: Call) -> str:
    return call.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _tell(call: Call, event: str, name: str, kind: str) -> None:
    """Thin: what happened to what. The receiver asks again."""
    resource = {"resource": {"id": name, "type": kind}, "meta": {}}
    uuid = f"{random_text(8).lower()}-{random_text(12).lower()}"
    call.tell(event, {"event": event, "uuid": uuid, "created_utc": _time(call), "payload": resource})


def _error(status: int, message: str) -> Reply:
    return Reply(status, {"errors": {"message": message, "payload": {}}})
