"""Wise: quotes, recipients, batch groups of transfers, funding; a customerTransactionId brings its transfer back (PROVIDERS.md, section 7).

Rates are 1 and nothing costs a fee: the figures show which field is which, and no more.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

from integrations.base import Secrets
from integrations.sandbox import keys, scripts, wise_key
from integrations.sandbox.base import Call, Company, Refusal, Reply, Route
from integrations.sandbox.scripts import Reason
from integrations.sandbox.state import Data
from referrals.lib.codes import random_text
from referrals.lib.money import Money, MoneyError

PROFILE = 16556786
_GROUP = "/v3/profiles/{profile}/batch-groups"
# What a transfer is refused for when it is made.
_NO: dict[Reason, str] = {
    "bad_recipient": "The recipient does not exist.",
    "wrong_currency": "The recipient can't get this currency.",
    "limit_exceeded": "The amount is over the limit.",
}
_MOST = 1000


class Wise(Company):
    """`https://api.wise-sandbox.com`; secrets: api_token. Webhooks are signed with the stand-in's own key (wise_key)."""

    slug = "wise"

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v2/profiles", self.profiles),
            Route("POST", "/v3/profiles/{profile}/quotes", self.quote),
            Route("POST", "/v1/accounts", self.recipient),
            Route("POST", _GROUP, self.open_group),
            Route("GET", f"{_GROUP}/{{group}}", self.group),
            Route("PATCH", f"{_GROUP}/{{group}}", self.close_group),
            Route("POST", f"{_GROUP}/{{group}}/transfers", self.transfer),
            Route("POST", "/v3/profiles/{profile}/batch-payments/{group}/payments", self.fund),
            Route("POST", "/v1/transfers", self.transfer),
            Route("GET", "/v1/transfers", self.transfers),
            Route("GET", "/v1/transfers/{id}", self.one_transfer),
            Route("PUT", "/v1/transfers/{id}/cancel", self.cancel_transfer),
            Route("POST", "/v3/profiles/{profile}/transfers/{id}/payments", self.fund_one),
            Route("POST", "/v1/simulation/balance/topup", self.top_up),
        )

    def profiles(self, call: Call) -> Reply:
        """A business."""
        return Reply(200, [{"type": "BUSINESS", "id": PROFILE, "businessName": "Test", "currentState": "VISIBLE"}])

    def quote(self, call: Call) -> Reply:
        """Good for one transfer."""
        body = call.json
        target = _money(body.get("targetAmount") or body.get("sourceAmount"), body.get("targetCurrency"))
        source = Money(target.minor, _money(1, body.get("sourceCurrency")).currency)
        name = str(uuid.uuid4())
        data = {"minor": target.minor, "source": source.currency, "target": target.currency}
        call.state.add("quote", name, {**data, "used": ""})
        at = _time(call)
        return Reply(
            200,
            {
                "id": name,
                "sourceCurrency": source.currency,
                "targetCurrency": target.currency,
                "sourceAmount": source.json_number(),
                "targetAmount": target.json_number(),
                "payOut": body.get("payOut") or "BANK_TRANSFER",
                "rate": 1.0,
                "createdTime": at,
                "user": 1,
                "profile": PROFILE,
                "rateType": "FIXED",
                "providedAmountType": "TARGET" if body.get("targetAmount") else "SOURCE",
                "status": "PENDING",
            },
        )

    def recipient(self, call: Call) -> Reply:
        """By address or by bank details."""
        body = call.json
        details = body.get("details") or {}
        if not (body.get("accountHolderName") and body.get("currency") and body.get("type")):
            return _error(400, "NOT_VALID", "accountHolderName, currency and type are needed", "accountHolderName")
        number = _number(4)
        to = details.get("email") or details.get("IBAN") or details.get("accountNumber") or body["accountHolderName"]
        call.state.add("recipient", str(number), {"to": to, "currency": body["currency"]})
        return Reply(
            200,
            {
                "id": number,
                "creatorId": 1,
                "profileId": PROFILE,
                "name": {"fullName": body["accountHolderName"]},
                "currency": body["currency"],
                "type": body["type"],
                "active": True,
                "ownedByCustomer": False,
            },
        )

    def open_group(self, call: Call) -> Reply:
        """201 with a group that is NEW."""
        body, name = call.json, str(uuid.uuid4())
        if not body.get("name") or len(body["name"]) > 100:
            return _error(422, "NOT_VALID", "The name has 1 to 100 characters", "name")
        currency = _money(1, body.get("sourceCurrency")).currency
        data = {"id": name, "version": 1, "name": body["name"], "sourceCurrency": currency, "status": "NEW"}
        call.state.add("group", name, {**data, "transferIds": [], "paid": False})
        return Reply(201, {**data, "transferIds": [], "payInDetails": []})

    def group(self, call: Call) -> Reply:
        """As it stands."""
        return Reply(200, _group(self._group(call)))

    def close_group(self, call: Call) -> Reply:
        """COMPLETED: nothing more comes in, and nothing is paid yet. CANCELLED: nothing will be."""
        data, body = self._group(call), call.json
        if body.get("version") != data["version"]:
            return _error(409, "CONFLICT", "The version is not the group's", "version")
        may = {"NEW": {"COMPLETED", "CANCELLED"}, "COMPLETED": {"CANCELLED"}}.get(data["status"], set())
        if data["paid"] or body.get("status") not in may:
            return _error(422, "NOT_VALID", "The group can't get this status", "status")
        data |= {"status": body["status"], "version": data["version"] + 1}
        for number in data["transferIds"] if body["status"] == "CANCELLED" else ():
            row = call.state.get("transfer", str(number)) or {}
            call.state.put("transfer", str(number), {**row, "status": "cancelled"})
        call.state.put("group", data["id"], data)
        return Reply(200, _group(data))

    def transfer(self, call: Call) -> Reply:
        """One quote, one transfer; the same customerTransactionId brings the first one back."""
        body = call.json
        key = str(body.get("customerTransactionId") or "")
        if not _is_uuid(key):
            return _error(422, "NOT_VALID", "customerTransactionId is no UUID", "customerTransactionId")
        if found := keys.original(call, key, None):
            return Reply(200, _transfer(call.advance("transfer", found[0]) or {}))
        group = self._group(call) if "group" in call.params else None
        quote = call.state.get("quote", str(body.get("quoteUuid")))
        recipient = call.state.get("recipient", str(body.get("targetAccount")))
        if quote is None or quote["used"]:
            return _error(422, "NOT_VALID", "The quote does not exist or is used", "quoteUuid")
        if recipient is None:
            return _error(422, "NOT_VALID", "The recipient does not exist", "targetAccount")
        if group and (group["status"] != "NEW" or len(group["transferIds"]) >= _MOST):
            return _error(422, "NOT_VALID", "The group takes no more transfers", "batchGroupId")
        money = Money(quote["minor"], quote["target"])
        script = call.begin(money, key)
        if script.reason in _NO:
            return _error(422, "NOT_VALID", _NO[script.reason], "targetAccount")
        number = _number(5)
        keys.remember(call, key, None, str(number))
        data = {
            "id": number,
            "to": recipient["to"],
            "targetAccount": body["targetAccount"],
            "quoteUuid": body["quoteUuid"],
            "customerTransactionId": key,
            "minor": script.paid(money).minor,
            "source": quote["source"],
            "target": quote["target"],
            "reference": (body.get("details") or {}).get("reference") or "",
            "status": "incoming_payment_waiting",
            "created": _time(call),
        }
        call.plan("transfer", str(number), data, [])
        call.state.put("quote", str(body["quoteUuid"]), {**quote, "used": str(number)})
        if group:
            call.state.put("group", group["id"], {**group, "transferIds": [*group["transferIds"], number]})
        return Reply(200, _transfer(data))

    def fund(self, call: Call) -> Reply:
        """Pay a closed group from the balance, all of it or nothing; asked again, it is alreadyPaid."""
        group = self._group(call)
        if group["status"] != "COMPLETED":
            return _error(422, "NOT_VALID", "The group is not completed", "status")
        shown = _group(group) | {"groupType": "API", "fileName": None, "shortId": 1, "userId": 1, "profileId": PROFILE}
        if group["paid"]:
            return Reply(200, shown | {"alreadyPaid": True})
        rows = [call.state.get("transfer", str(number)) or {} for number in group["transferIds"]]
        rows = [row for row in rows if row["status"] != "cancelled"]
        if any(self._is_poor(call, row) for row in rows):
            return _error(422, "BALANCE_INSUFFICIENT_FUNDS", "There is not enough money in the balance", "type")
        for row in rows:
            self._send(call, row)
        call.state.put("group", group["id"], {**group, "paid": True})
        return Reply(200, shown | {"alreadyPaid": False})

    def fund_one(self, call: Call) -> Reply:
        """Pay one transfer from the balance; asked again, it is the same payment."""
        data = call.advance("transfer", call.params["id"])
        if data is None:
            return self.missing()
        if data["status"] == "cancelled":
            return Reply(200, {"type": "BALANCE", "status": "REJECTED", "errorCode": "transfer.cancelled"})
        if data["status"] == "incoming_payment_waiting" and not data["_steps"]:
            if self._is_poor(call, data):
                return Reply(200, {"type": "BALANCE", "status": "REJECTED", "errorCode": "transfer.insufficient_funds"})
            self._send(call, data)
        return Reply(200, {"type": "BALANCE", "status": "COMPLETED", "errorCode": None})

    def _is_poor(self, call: Call, data: Data) -> bool:
        short = scripts.of(data["_minor"]).reason == "insufficient_funds"
        return short and call.state.get("balance", "topped up") is None

    def _send(self, call: Call, data: Data) -> None:
        """A funded transfer is on its way, as its amount says."""
        script = scripts.of(data["_minor"])
        money = Money(data["minor"], data["target"])
        call.pay(str(data["id"]), to=data["to"], money=money, reference=data["customerTransactionId"])
        words = ["processing", "funds_converted"]
        late: list[tuple[timedelta, str]] = [(scripts.SLOW if script.pace else timedelta(), "outgoing_payment_sent")]
        if script.reason == "declined":
            late = [(timedelta(), "cancelled")]
        elif script.reason == "account_closed" or script.ending in {"returned", "reversed"}:
            late += [(scripts.BACK, "bounced_back"), (scripts.BACK, "funds_refunded")]
        steps = [(timedelta(), word) for word in words] + late
        data["_steps"] = [[(call.now + delay).isoformat(), word] for delay, word in steps]
        call.state.put("transfer", str(data["id"]), data, call.now)

    def step(self, call: Call, kind: str, name: str, data: Data, word: str) -> None:
        """The next state, told with the one before it."""
        before, data["status"] = data["status"], word
        if word in {"funds_refunded", "cancelled"}:
            call.take_back(name)
        resource = {"type": "transfer", "id": data["id"], "profile_id": PROFILE, "account_id": data["targetAccount"]}
        states = {"current_state": word, "previous_state": before, "occurred_at": _time(call)}
        envelope = {"subscription_id": str(uuid.uuid5(uuid.NAMESPACE_URL, "passalong")), "schema_version": "2.0.0"}
        event = {
            "data": {"resource": resource, **states},
            **envelope,
            "event_type": "transfers#state-change",
            "sent_at": _time(call),
        }
        call.tell("transfers#state-change", event)

    def one_transfer(self, call: Call) -> Reply:
        """As it stands now."""
        data = call.advance("transfer", call.params["id"])
        return Reply(200, _transfer(data)) if data else self.missing()

    def cancel_transfer(self, call: Call) -> Reply:
        """While no money is on its way; it can't be undone."""
        data = call.advance("transfer", call.params["id"])
        if data is None:
            return self.missing()
        if data["status"] != "incoming_payment_waiting" or data["_steps"]:
            return _error(409, "transfer.cancellation.not.allowed", "The transfer can't be cancelled any more", "")
        call.state.put("transfer", str(data["id"]), {**data, "status": "cancelled"})
        return Reply(200, _transfer({**data, "status": "cancelled"}))

    def transfers(self, call: Call) -> Reply:
        """The newest first, of a span of time and from an offset."""
        query = call.request.query
        since, until = query.get("createdDateStart", ""), query.get("createdDateEnd", "9")
        names = [name for name, row in call.state.each("transfer") if since <= row["created"] <= until][::-1]
        first, most = int(query.get("offset", "0")), int(query.get("limit", "100"))
        return Reply(200, [_transfer(call.advance("transfer", name) or {}) for name in names[first : first + most]])

    def top_up(self, call: Call) -> Reply:
        """From now on the balance is enough for anything."""
        call.state.add("balance", "topped up", {})
        return Reply(200, {"state": "COMPLETED"})

    def sign(self, body: bytes, message: Data, secrets: Secrets) -> dict[str, str]:
        signature = wise_key.sign(body, secrets.get("api_token", ""))
        headers = {"X-Signature-SHA256": signature, "X-Delivery-Id": str(message.get("id", ""))}
        return headers | {"Content-Type": "application/json"}

    def denied(self) -> Reply:
        return _error(401, "UNAUTHORIZED", "Invalid token", "")

    def busy(self) -> Reply:
        return Reply(429, _error(429, "RATE_LIMIT", "Too many requests", "").content, {"Retry-After": "30"})

    def down(self) -> Reply:
        return _error(500, "INTERNAL", "An internal error", "")

    def missing(self) -> Reply:
        return _error(404, "NOT_FOUND", "Not found", "")

    def malformed(self, message: str) -> Reply:
        return _error(400, "NOT_VALID", message, "")

    def _group(self, call: Call) -> Data:
        found = call.state.get("group", call.params["group"])
        if found is None:
            raise Refusal(self.missing())
        return found


def _number(first: int) -> int:
    """An id as Wise's are, its first digit saying what it is of."""
    return int(f"{first}{random_text(11, '0123456789')}")


def _money(amount: Any, currency: Any) -> Money:
    try:
        return Money.parse(f"{Decimal(str(amount)).normalize():f}", str(currency))
    except (MoneyError, ArithmeticError) as error:
        raise Refusal(_error(422, "NOT_VALID", "The amount or the currency is wrong", "targetAmount")) from error


def _is_uuid(text: str) -> bool:
    try:
        return bool(uuid.UUID(text))
    except ValueError:
        return False


def _group(data: Data) -> dict[str, Any]:
    names = ("id", "version", "name", "sourceCurrency", "status", "transferIds")
    return {name: data[name] for name in names} | {"payInDetails": []}


def _transfer(data: Data) -> dict[str, Any]:
    money = Money(data["minor"], data["target"])
    return {
        "id": data["id"],
        "user": 1,
        "targetAccount": data["targetAccount"],
        "sourceAccount": None,
        "quote": None,
        "quoteUuid": data["quoteUuid"],
        "status": data["status"],
        "reference": data["reference"],
        "rate": 1.0,
        "created": data["created"],
        "business": PROFILE,
        "transferRequest": None,
        "details": {"reference": data["reference"]},
        "hasActiveIssues": False,
        "sourceCurrency": data["source"],
        "sourceValue": money.json_number(),
        "targetCurrency": data["target"],
        "targetValue": money.json_number(),
        "customerTransactionId": data["customerTransactionId"],
    }


def _time(call: Call) -> str:
    return call.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _error(status: int, code: str, message: str, path: str) -> Reply:
    return Reply(status, {"timestamp": random_text(8), "errors": [{"code": code, "message": message, "path": path}]})
