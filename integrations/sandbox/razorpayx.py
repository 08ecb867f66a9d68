"""RazorpayX: payouts to a UPI address or a bank account, whose key holds until they are final (PROVIDERS.md, section 8)."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import timedelta
from typing import Any

from integrations.base import Secrets
from integrations.sandbox import keys, scripts
from integrations.sandbox.base import Call, Company, Reply, Request, Route
from integrations.sandbox.scripts import Reason
from integrations.sandbox.state import Data
from referrals.lib.codes import random_text
from referrals.lib.money import Money
from referrals.lib.signing import hmac_hex

_KEY = "x-payout-idempotency"
# Reason and description of a payout that fails after it was taken.
_FAILS: dict[Reason, tuple[str, str, str]] = {
    "bad_recipient": ("beneficiary_vpa_invalid", "beneficiary_bank", "The beneficiary's VPA is invalid."),
    "account_closed": ("bank_account_invalid", "beneficiary_bank", "The beneficiary's account is closed or blocked."),
    "limit_exceeded": ("imps_not_allowed", "beneficiary_bank", "The beneficiary can't get as much by this mode."),
    "declined": ("beneficiary_bank_offline", "beneficiary_bank", "The beneficiary's bank is offline."),
}
# The same of a bank account, where that is something else than of a UPI address.
_FAILS_AT_A_BANK: dict[Reason, tuple[str, str, str]] = {
    "bad_recipient": ("invalid_ifsc_code", "beneficiary_bank", "The beneficiary's IFSC code is invalid."),
}
_WORDS = {
    "processing": ("payout_bank_processing", "beneficiary_bank", "Payout is being processed by our partner bank."),
    "processed": (
        "payout_processed",
        "beneficiary_bank",
        "Payout is processed and the money has been credited into the beneficiary account.",
    ),
    "reversed": ("payout_reversed", "beneficiary_bank", "The beneficiary's bank sent the money back."),
    "queued": ("low_balance", "business", "Payout is queued as there is insufficient balance in your account."),
    "cancelled": ("payout_cancelled", "business", "The payout was cancelled."),
}


class RazorpayX(Company):
    """`https://api.razorpay.com/v1`, Basic auth; secrets: key_id, key_secret, and webhook_secret for the signature."""

    slug = "razorpayx"

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/v1/payouts", self.create),
            Route("GET", "/v1/payouts", self.payouts),
            Route("GET", "/v1/payouts/{id}", self.payout),
            Route("POST", "/v1/payouts/{id}/cancel", self.cancel),
        )

    def key(self, request: Request) -> str:
        """The key's id and secret."""
        try:
            return base64.b64decode(super().key(request), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return ""

    def create(self, call: Call) -> Reply:
        """The composite call: contact and account come along. The same key brings the same payout, or 400 with other content."""
        body, key = call.json, call.request.headers.get(_KEY, "")
        wrong = _what_is_wrong(body, key)
        if wrong:
            return _error(400, *wrong)
        found = keys.original(call, key, body)
        if found is not None:
            name, same = found
            if same:
                return Reply(200, _shown(call.advance("payout", name) or {}))
            return _error(400, "Different request body sent for the same Idempotency Header", _KEY)
        money = Money(body["amount"], body["currency"])
        script = call.begin(money, key)
        if script.reason == "wrong_currency":
            return _error(400, "The currency should be INR.", "currency")
        queued = script.reason == "insufficient_funds" and bool(body.get("queue_if_low_balance"))
        if script.reason == "insufficient_funds" and not queued:
            return _error(400, "Your account does not have enough balance to carry out the payout operation.", "amount")
        name = f"pout_{random_text(14)}"
        keys.remember(call, key, body, name)
        fund, account = f"fa_{random_text(14)}", body["fund_account"]
        data = {
            "id": name,
            "fund_account_id": fund,
            "fund_account": _fund_account(call, fund, account),
            "to": (account.get("vpa") or {}).get("address")
            or (account.get("bank_account") or {}).get("account_number"),
            "amount": script.paid(money).minor,
            "body": {field: body.get(field) for field in ("mode", "purpose", "narration", "reference_id", "notes")},
            "status": "queued" if queued else "processing",
            "reason": script.reason,
            "created_at": int(call.now.timestamp()),
        }
        call.plan("payout", name, data, [] if queued else _steps(script))
        if body.get("reference_id"):
            call.state.add("reference", f"{body['reference_id']}/{name}", {"payout": name})
        _tell(call, "queued" if queued else "initiated", data)
        return Reply(200, _shown(data))

    def step(self, call: Call, kind: str, name: str, data: Data, word: str) -> None:
        """The bank has answered, or sent it back."""
        data["status"] = word
        if word == "processed":
            call.pay(name, to=data["to"], money=_money(data), reference=data["body"]["reference_id"] or "")
        elif word == "reversed":
            call.take_back(name)
        _tell(call, word, data)

    def payout(self, call: Call) -> Reply:
        """As it stands now."""
        data = call.advance("payout", call.params["id"])
        return Reply(200, _shown(data)) if data else self.missing()

    def payouts(self, call: Call) -> Reply:
        """All, the newest first; `reference_id` finds those of one."""
        wanted = call.request.query.get("reference_id")
        names = [name for name, _row in call.state.each("payout")]
        if wanted is not None:
            names = [row["payout"] for name, row in call.state.each("reference") if name.rpartition("/")[0] == wanted]
        items = [_shown(call.advance("payout", name) or {}) for name in names[::-1][:100]]
        return Reply(200, {"entity": "collection", "count": len(items), "items": items})

    def cancel(self, call: Call) -> Reply:
        """While it is queued only."""
        data = call.advance("payout", call.params["id"])
        if data is None:
            return self.missing()
        if data["status"] != "queued":
            return _error(400, "Payout is not in queued state.", "")
        call.state.put("payout", data["id"], {**data, "status": "cancelled"})
        return Reply(200, _shown({**data, "status": "cancelled"}))

    def sign(self, body: bytes, message: Data, secrets: Secrets) -> dict[str, str]:
        digest = hmac_hex(secrets.get("webhook_secret", "").encode(), body)
        return {
            "X-Razorpay-Signature": digest,
            "X-Razorpay-Event-Id": str(message.get("id", "")),
            "Content-Type": "application/json",
        }

    def denied(self) -> Reply:
        return _error(401, "Authentication failed", "")

    def busy(self) -> Reply:
        return Reply(429, _error(429, "Too many requests", "").content, {"Retry-After": "30"})

    def down(self) -> Reply:
        return _error(502, "The gateway could not be reached", "", "GATEWAY_ERROR")

    def missing(self) -> Reply:
        return _error(400, "The id provided does not exist", "")

    def malformed(self, message: str) -> Reply:
        return _error(400, message, "")


def _what_is_wrong(body: Data, key: str) -> tuple[str, str] | None:
    """Words and field of what RazorpayX refuses before it looks further."""
    account = body.get("fund_account")
    checks = [
        (re.fullmatch(r"[A-Za-z0-9_\- ]{4,36}", key), "Idempotency key is missing or malformed.", _KEY),
        (body.get("account_number"), "The account number field is required.", "account_number"),
        (
            type(body.get("amount")) is int and body["amount"] >= 100,
            "Minimum transaction amount is 100 paise.",
            "amount",
        ),
        (body.get("currency") == "INR", "The currency should be INR.", "currency"),
        (body.get("mode") in {"UPI", "IMPS", "NEFT", "RTGS"}, "Payout mode is invalid", "mode"),
        (body.get("purpose"), "The purpose field is required.", "purpose"),
        (
            len(body.get("reference_id") or "") <= 40,
            "The reference id may not be greater than 40 characters.",
            "reference_id",
        ),
        (
            re.fullmatch(r"[A-Za-z0-9 ]{0,30}", body.get("narration") or ""),
            "The narration may have 30 letters, digits and spaces.",
            "narration",
        ),
        (
            isinstance(account, dict) and (account.get("vpa") or account.get("bank_account")),
            "The fund account is required.",
            "fund_account",
        ),
    ]
    return next(((words, field) for fits, words, field in checks if not fits), None)


def _steps(script: scripts.Script) -> list[tuple[timedelta, str]]:
    if script.reason in _FAILS:
        return [(timedelta(), "failed")]
    back = [(scripts.BACK, "reversed")] if script.ending in {"returned", "reversed"} else []
    return [(scripts.SLOW if script.pace else timedelta(), "processed"), *back]


def _fund_account(call: Call, name: str, account: Data) -> dict[str, Any]:
    kind = "vpa" if account.get("vpa") else "bank_account"
    contact = account.get("contact") or {}
    known = {field: contact.get(field) for field in ("name", "contact", "email", "type", "reference_id")}
    at, contact_id = int(call.now.timestamp()), f"cont_{random_text(14)}"
    return {
        "id": name,
        "entity": "fund_account",
        "contact_id": contact_id,
        "contact": {"id": contact_id, "entity": "contact", **known, "active": True, "created_at": at},
        "account_type": kind,
        kind: account[kind],
        "batch_id": None,
        "active": True,
        "created_at": at,
    }


def _money(data: Data) -> Money:
    return Money(data["amount"], "INR")


def _shown(data: Data) -> dict[str, Any]:
    status = data["status"]
    fails = _FAILS if data["body"]["mode"] == "UPI" else {**_FAILS, **_FAILS_AT_A_BANK}
    reason, source, description = fails[data["reason"]] if status == "failed" else _WORDS[status]
    failed = status in {"failed", "reversed"}
    return {
        "id": data["id"],
        "entity": "payout",
        "fund_account_id": data["fund_account_id"],
        "fund_account": data["fund_account"],
        "amount": data["amount"],
        "currency": "INR",
        "notes": data["body"]["notes"] or [],
        "fees": 0,
        "tax": 0,
        "status": status,
        "purpose": data["body"]["purpose"],
        "utr": str(data["created_at"]) if status == "processed" else None,
        "mode": data["body"]["mode"],
        "reference_id": data["body"]["reference_id"],
        "narration": data["body"]["narration"],
        "batch_id": None,
        "failure_reason": description if failed else None,
        "created_at": data["created_at"],
        "status_details": {"reason": reason, "description": description, "source": source},
        "error": {
            "source": source if failed else None,
            "reason": reason if failed else None,
            "description": description if failed else None,
            "code": "NA",
            "step": "NA",
            "metadata": {},
        },
    }


def _tell(call: Call, word: str, data: Data) -> None:
    event = {
        "entity": "event",
        "account_id": "acc_PassalongTest",
        "event": f"payout.{word}",
        "contains": ["payout"],
        "payload": {"payout": {"entity": _shown(data)}},
        "created_at": int(call.now.timestamp()),
    }
    call.tell(f"payout.{word}", event)


def _error(status: int, description: str, field: str, code: str = "BAD_REQUEST_ERROR") -> Reply:
    details: dict[str, Any] = {"source": "business", "step": None, "reason": "input_validation_failed", "metadata": {}}
    content = {"code": code, "description": description, **details} | ({"field": field} if field else {})
    return Reply(status, {"error": content})
