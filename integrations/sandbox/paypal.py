"""PayPal Payouts: batches whose items have lives of their own, and whose ids are refused for 30 days (PROVIDERS.md, section 6)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import zlib
from datetime import timedelta
from typing import Any

from integrations.base import Secrets
from integrations.sandbox import keys, scripts
from integrations.sandbox.base import Call, Company, Refusal, Reply, Request, Route
from integrations.sandbox.scripts import Reason
from integrations.sandbox.state import Data
from referrals.lib import clock
from referrals.lib.codes import random_text
from referrals.lib.money import Money, MoneyError
from referrals.lib.signing import equal

HOST = "https://api-m.sandbox.paypal.com"
PAYOUTS, ITEMS = "/v1/payments/payouts", "/v1/payments/payouts-item"
KEY_LIFE = timedelta(days=30)
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
# What an item's errors.name says; UNCLAIMED where the money waits for an account, else FAILED.
_NO: dict[Reason, tuple[str, str, str]] = {
    "bad_recipient": ("UNCLAIMED", "RECEIVER_UNREGISTERED", "Receiver is unregistered"),
    "account_closed": ("FAILED", "RECEIVER_ACCOUNT_LOCKED", "Receiver's account is locked or closed"),
    "wrong_currency": ("FAILED", "RECEIVER_COUNTRY_NOT_ALLOWED", "Receiver can't have this currency"),
    "limit_exceeded": ("FAILED", "RECEIVING_LIMIT_EXCEEDED", "Receiver's limit is exceeded"),
    "declined": ("FAILED", "RISK_DECLINE", "The transaction was declined for a risk"),
    "insufficient_funds": ("FAILED", "INSUFFICIENT_FUNDS", "Sender has not enough funds"),
}
# An item's status -> the last word of its event.
_EVENTS = {
    "SUCCESS": "SUCCEEDED",
    "FAILED": "FAILED",
    "UNCLAIMED": "UNCLAIMED",
    "RETURNED": "RETURNED",
    "REFUNDED": "REFUNDED",
    "REVERSED": "REVERSED",
}


class PayPal(Company):
    """`https://api-m.sandbox.paypal.com`; secrets: client_id, client_secret, and webhook_id, which the signature is made with."""

    slug = "paypal"

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/v1/oauth2/token", self.token),
            Route("POST", PAYOUTS, self.create),
            Route("GET", f"{PAYOUTS}/{{id}}", self.batch),
            Route("GET", f"{ITEMS}/{{id}}", self.item),
            Route("POST", f"{ITEMS}/{{id}}/cancel", self.cancel),
            Route("POST", "/v1/notifications/verify-webhook-signature", self.verify),
        )

    def key(self, request: Request) -> str:
        """A token; for the token itself the client's id and secret."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme != "Basic":
            return value
        try:
            return base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return ""

    def token(self, call: Call) -> Reply:
        """For the client's id and secret; a revoked one has got no further than this."""
        scope = "https://uri.paypal.com/payments/payouts"
        token = f"A21AA{random_text(40)}"
        return Reply(200, {"scope": scope, "access_token": token, "token_type": "Bearer", "expires_in": 32400})

    def create(self, call: Call) -> Reply:
        """201 with a batch that is PENDING; 400 USER_BUSINESS_ERROR with a link to the first one while its id is remembered."""
        header = call.json.get("sender_batch_header") or {}
        items, sent_id = call.json.get("items"), header.get("sender_batch_id") or ""
        if not isinstance(items, list) or not 1 <= len(items) <= 15000:
            return self.malformed("items has 1 to 15000 elements")
        moneys = [_money(item) for item in items]
        if len({money.currency for money in moneys}) > 1:
            return self.malformed("all items of a batch have one currency")
        if sent_id and (made := keys.taken(call, sent_id, life=KEY_LIFE)):
            message = "User business error. Batch with given sender_batch_id already exists"
            return _error(400, "USER_BUSINESS_ERROR", message, f"{PAYOUTS}/{made}")
        # The batch's own fate is that of its first item with one; the others' scripts are theirs alone.
        fates = [money for money in moneys if _is_of_batch(money)]
        leading = (fates or moneys)[0]
        script = call.begin(leading, sent_id or repr(call.request.body))
        denied = any(scripts.of(money.minor).reason == "insufficient_funds" for money in moneys)
        batch_id = random_text(13, _LETTERS)
        if sent_id:
            keys.take(call, sent_id, batch_id, life=KEY_LIFE)
        names = [
            self._keep(call, batch_id, sent_id, item, money, denied) for item, money in zip(items, moneys, strict=True)
        ]
        call.minor = leading.minor
        shown = {
            name: header[name] for name in ("sender_batch_id", "email_subject", "email_message") if header.get(name)
        }
        data = {"id": batch_id, "status": "PENDING", "header": shown, "items": names, "at": _time(call)}
        call.plan("batch", batch_id, data, [(timedelta(), "DENIED" if denied else "SUCCESS")])
        call.script = script
        return Reply(201, {"batch_header": _header(data), "links": _links(f"{PAYOUTS}/{batch_id}", "self")})

    def _keep(self, call: Call, batch_id: str, sent_id: str, item: Data, money: Money, denied: bool) -> str:
        """An item of a batch, and what will become of it."""
        script = scripts.of(money.minor)
        call.minor = money.minor
        name = random_text(13, _LETTERS)
        reason: Reason = "insufficient_funds" if denied else script.reason
        first = _NO[reason][0] if reason else "UNCLAIMED" if script.ending == "unclaimed" else "SUCCESS"
        steps = [(scripts.SLOW if script.pace else timedelta(), first)]
        if first == "UNCLAIMED":
            steps.append((scripts.UNCLAIMED, "RETURNED"))
        elif script.ending:
            steps.append((scripts.BACK, "REFUNDED" if script.ending == "returned" else "REVERSED"))
        paid = script.paid(money)
        kept = {
            key: item[key]
            for key in ("recipient_type", "note", "receiver", "sender_item_id", "recipient_wallet")
            if key in item
        }
        data = {
            "id": name,
            "batch": batch_id,
            "sender_batch_id": sent_id,
            "status": "PENDING",
            "minor": paid.minor,
            "currency": paid.currency,
            "item": kept,
            "reason": "bad_recipient" if first == "UNCLAIMED" else reason,
            "at": _time(call),
        }
        call.plan("item", name, data, steps)
        return name

    def step(self, call: Call, kind: str, name: str, data: Data, word: str) -> None:
        """A batch is worked through, or an item's status changes, and money with it."""
        if kind == "batch":
            data["status"] = word
            resource = {"batch_header": {**_header(data), "time_completed": _time(call)}}
            return _tell(call, f"PAYMENT.PAYOUTSBATCH.{word}", "payouts", resource)
        data["status"], data["at"] = word, _time(call)
        if word in {"SUCCESS", "UNCLAIMED"}:
            money, item = Money(data["minor"], data["currency"]), data["item"]
            call.pay(name, to=item["receiver"], money=money, reference=item.get("sender_item_id", ""))
        elif word != "FAILED":
            call.take_back(name)
        return _tell(call, f"PAYMENT.PAYOUTS-ITEM.{_EVENTS[word]}", "payouts_item", _item(data))

    def batch(self, call: Call) -> Reply:
        """The batch and a page of its items, as they stand now."""
        data = call.advance("batch", call.params["id"])
        if data is None:
            return self.missing()
        size = _whole(call, "page_size", 1000)
        start = (_whole(call, "page", 1) - 1) * size
        items = [call.advance("item", name) or {} for name in data["items"][start : start + size]]
        total = len(data["items"])
        pages = {"total_items": total, "total_pages": -(-total // size)}
        links = _links(f"{PAYOUTS}/{data['id']}", "self")
        return Reply(
            200, {**pages, "batch_header": _header(data), "items": [_item(row) for row in items], "links": links}
        )

    def item(self, call: Call) -> Reply:
        """One item as it stands now."""
        data = call.advance("item", call.params["id"])
        return Reply(200, {**_item(data), "sender_batch_id": data["sender_batch_id"]}) if data else self.missing()

    def cancel(self, call: Call) -> Reply:
        """Only what nobody has claimed; the money comes back."""
        data = call.advance("item", call.params["id"])
        if data is None:
            return self.missing()
        if data["status"] != "UNCLAIMED":
            return _error(400, "ITEM_INCORRECT_STATUS", "The item is not unclaimed", "")
        self.step(call, "item", data["id"], data, "RETURNED")
        call.state.put("item", data["id"], {**data, "_steps": []})
        return Reply(200, {**_item(data), "sender_batch_id": data["sender_batch_id"]})

    def sign(self, body: bytes, message: Data, secrets: Secrets) -> dict[str, str]:
        """The five headers. PayPal signs with a certificate, which verify() stands for."""
        name = message.get("id") or f"msg-{zlib.crc32(body)}"
        at = clock.wall().isoformat(timespec="seconds").replace("+00:00", "Z")
        return {
            "PAYPAL-TRANSMISSION-ID": name,
            "PAYPAL-TRANSMISSION-TIME": at,
            "PAYPAL-TRANSMISSION-SIG": _signature(name, at, secrets.get("webhook_id", ""), body),
            "PAYPAL-CERT-URL": f"{HOST}/v1/notifications/certs/CERT-passalong-stand-in",
            "PAYPAL-AUTH-ALGO": "SHA256withRSA",
            "Content-Type": "application/json",
        }

    def verify(self, call: Call) -> Reply:
        """SUCCESS for what sign() signed, byte for byte and for this webhook_id; FAILURE for everything else."""
        given = call.json
        # Whoever asks puts the message in as it came; one that was written anew is known only if we write it the same way.
        _before, _name, raw = call.request.body.partition(b'"webhook_event": ')
        anew = json.dumps(given.get("webhook_event"), separators=(",", ":")).encode()
        name, at = str(given.get("transmission_id", "")), str(given.get("transmission_time", ""))
        webhook_id, signature = call.secrets.get("webhook_id", ""), str(given.get("transmission_sig", ""))
        fits = any(equal(_signature(name, at, webhook_id, body), signature) for body in (raw[:-1], anew))
        fits = fits and given.get("webhook_id") == webhook_id
        return Reply(200, {"verification_status": "SUCCESS" if fits else "FAILURE"})

    def denied(self) -> Reply:
        return _error(401, "AUTHENTICATION_FAILURE", "Authentication failed", "")

    def busy(self) -> Reply:
        return Reply(429, _error(429, "RATE_LIMIT_REACHED", "Too many requests", "").content, {"Retry-After": "30"})

    def down(self) -> Reply:
        return _error(500, "INTERNAL_SERVER_ERROR", "An internal server error occurred.", "")

    def missing(self) -> Reply:
        return _error(404, "INVALID_RESOURCE_ID", "Requested resource ID was not found.", "")

    def malformed(self, message: str) -> Reply:
        return _error(400, "VALIDATION_ERROR", message, "")


def _is_of_batch(money: Money) -> bool:
    script = scripts.of(money.minor)
    return bool(script.before or script.after)


def _money(item: Any) -> Money:
    try:
        money = Money.parse(str(item["amount"]["value"]), str(item["amount"]["currency"]))
        if not item["receiver"] or money.minor == 0:
            raise KeyError("receiver")
    except (MoneyError, KeyError, TypeError) as error:
        raise Refusal(_error(400, "VALIDATION_ERROR", f"Invalid request: {error}", "")) from error
    return money


def _whole(call: Call, name: str, default: int) -> int:
    """A number in the address, 1 to 1,000; Refusal for anything else."""
    text = call.request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1000):
        raise Refusal(call.company.malformed(f"{name} is 1 to 1000"))
    return int(text)


def _header(data: Data) -> dict[str, Any]:
    return {
        "payout_batch_id": data["id"],
        "batch_status": data["status"],
        "time_created": data["at"],
        "sender_batch_header": data["header"],
    }


def _item(data: Data) -> dict[str, Any]:
    money = Money(data["minor"], data["currency"])
    shown: dict[str, Any] = {
        "payout_item_id": data["id"],
        "transaction_status": data["status"],
        "payout_item_fee": {"currency": money.currency, "value": Money(0, money.currency).plain()},
        "payout_batch_id": data["batch"],
        "payout_item": {**data["item"], "amount": {"currency": money.currency, "value": money.plain()}},
        "links": _links(f"{ITEMS}/{data['id']}", "self") + _links(f"{PAYOUTS}/{data['batch']}", "batch"),
    }
    if data["status"] != "PENDING":
        shown |= {"transaction_id": f"T{data['id']}", "time_processed": data["at"]}
    if data["status"] in {"FAILED", "UNCLAIMED", "RETURNED"}:
        _status, name, message = _NO[data["reason"]]
        shown["errors"] = {"name": name, "message": message, "debug_id": data["id"]}
    return shown


def _links(path: str, rel: str) -> list[dict[str, str]]:
    return [{"href": f"{HOST}{path}", "rel": rel, "method": "GET"}]


def _time(call: Call) -> str:
    return call.now.isoformat(timespec="seconds").replace("+00:00", "Z")


def _tell(call: Call, event: str, kind: str, resource: dict[str, Any]) -> None:
    summary = event.lower().replace(".", " ")
    content = {"id": f"WH-{random_text(17, _LETTERS)}", "create_time": _time(call), "resource_type": kind}
    call.tell(event, {**content, "event_type": event, "summary": summary, "resource": resource, "links": []})


def _signature(name: str, at: str, webhook_id: str, body: bytes) -> str:
    """Over the same text as PayPal's, `id|time|webhook_id|crc32(body)`, with the webhook's id for a key."""
    text = f"{name}|{at}|{webhook_id}|{zlib.crc32(body)}"
    digest = hmac.new(webhook_id.encode(), text.encode(), hashlib.sha256).digest()
    # PayPal's own file wants a letter or a digit at its beginning.
    return base64.b64encode(bytes(3) + digest).decode()


def _error(status: int, name: str, message: str, path: str) -> Reply:
    content: dict[str, Any] = {"name": name, "message": message, "debug_id": random_text(13).lower()}
    return Reply(status, content | ({"links": _links(path, "self")} if path else {}))
