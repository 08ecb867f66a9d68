"""What ScoreApp tells us: people who take a quiz and leave their address; leads, no payments (PROVIDERS.md, section 4)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from integrations.base import Account, Code, Delivery, Ignored, Message, Signal
from integrations.reading import Object, code_texts, codes_in, each, inner, iso_moment, need_ident, text, word
from referrals.lib.signing import SignatureError, equal, hmac_hex

_PLACES = ("utm_term", "utm_content", "utm_campaign", "utm_source", "utm_medium")
_LEADS = {"QUIZ_STARTED", "QUIZ_FINISHED", "LEAD_SIGNED_UP", "LEAD_DETAILS_UPDATED"}


class ScoreAppSource:
    """ScoreApp's webhooks. It has no test mode, and gives a message no id and no time of its own."""

    signature_header = "Scoreapp-Signature"

    def verify(self, delivery: Delivery, account: Account) -> None:
        """HMAC-SHA256 in hex by the webhook's secret, over the body, or over the body written again as JavaScript does.

        ScoreApp's own example signs the second. Raises SignatureError.
        """
        secret = account.secrets.get("webhook_secret", "").encode()
        given = delivery.headers.get(self.signature_header, "")
        if not secret:
            raise SignatureError("This connection has no webhook secret yet.")
        if len(given) != 64:
            raise SignatureError("The Scoreapp-Signature header is missing or malformed.")
        if not any(equal(hmac_hex(secret, form), given) for form in (delivery.body, *_again(delivery.body))):
            raise SignatureError("The signature does not fit the body and this connection's webhook secret.")

    def event_id(self, payload: Object, delivery: Delivery) -> str:
        """Made of the kind, the lead and the address: a lead is told several times, and again when its details change."""
        lead = inner(payload, "data")
        told = [self.event_type(payload, delivery), need_ident(lead, "the lead's id"), text(lead.get("email")).lower()]
        return "lead_" + hashlib.sha256("\n".join(told).encode()).hexdigest()

    def event_type(self, payload: Object, delivery: Delivery) -> str:
        """Such as `LEAD_SIGNED_UP`."""
        return word(payload.get("event_name"), "event_name", 80)

    def is_test(self, payload: Object) -> bool | None:
        """ScoreApp does not say."""
        return None

    def parse(self, message: Message) -> list[Signal]:
        """The lead as somebody who joins through the code; raises Ignored with the reason for all others."""
        kind, payload = message.kind, message.payload
        if kind not in _LEADS:
            raise Ignored("type_unused", type=kind)
        lead = inner(payload, "data")
        codes = tuple(dict.fromkeys(_codes(lead)))
        if not codes:
            raise Ignored("no_code")
        if not text(lead.get("email")):
            raise Ignored("no_email")
        return [
            Signal(
                fact="signup",
                external_id=need_ident(lead, "the lead's id"),
                references=(),
                occurred_at=iso_moment(lead.get("finished_at") or lead.get("started_at")),
                email=text(lead.get("email")),
                name=f"{text(lead.get('first_name'))} {text(lead.get('last_name'))}".strip()[:160],
                codes=codes,
            )
        ]


def _again(body: bytes) -> Iterator[bytes]:
    """The body as JSON.stringify() writes it: no spaces, nothing escaped that need not be, and 1.0 is 1."""
    try:
        read = json.loads(body, parse_float=_number)
        yield json.dumps(read, separators=(",", ":"), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return


def _number(digits: str) -> int | float:
    value = float(digits)
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def _codes(lead: Object) -> Iterator[Code]:
    """In a question of the lead form that has the name of a code, else in the address that the quiz was opened with."""
    for question in each(lead.get("lead_form_questions")):
        answers: dict[str, Any] = {text(question.get("question")): _answer(question)}
        yield from codes_in(answers)
    for place in _PLACES:
        yield from code_texts(lead.get(place))


def _answer(question: Object) -> str:
    return next((text(answer.get("answer")) for answer in each(question.get("answers"))), "")
