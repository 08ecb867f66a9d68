"""How a merchant's own system proves who it is: Standard Webhooks, an HMAC in a header, the secret in a header, or in the address."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.base import Account, Delivery, SettingError
from referrals.lib.signing import SignatureError, check_timestamp, equal, sign_standard

SCHEMES = (
    ("standard", gettext_lazy("Standard Webhooks (webhook-id, webhook-timestamp, webhook-signature)")),
    ("hmac", gettext_lazy("HMAC-SHA256 in a header")),
    ("token", gettext_lazy("the secret itself in a header")),
    ("address", gettext_lazy("the secret in the address (?key=…), for systems that can do no better")),
)
# What an HMAC is made over. {time} is the time header's text, {body} the raw body.
SIGNED = (
    ("body", gettext_lazy("the body")),
    ("time.body", gettext_lazy("the time, a dot, the body")),
    ("timebody", gettext_lazy("the time and the body, with nothing between")),
    ("v0:time:body", gettext_lazy("v0:, the time, a colon, the body")),
)
_BETWEEN = {"body": None, "time.body": (b"", b"."), "timebody": (b"", b""), "v0:time:body": (b"v0:", b":")}
KEYS = (
    ("text", gettext_lazy("as it is written")),
    ("hex", gettext_lazy("as hex digits")),
    ("base64", gettext_lazy("as base64")),
)
_HEADER = re.compile(r"[A-Za-z0-9-]{1,60}")


def check(settings: Mapping[str, str]) -> None:
    """Raises SettingError for a header that is none, or a scheme that lacks what it needs."""
    for name in ("header", "time_header"):
        if settings[name] and not _HEADER.fullmatch(settings[name]):
            words = _("%(value)r is no name of a header; it has letters, digits and hyphens, such as X-Signature.")
            raise SettingError(name, words % {"value": settings[name][:60]})
    if settings["scheme"] in {"hmac", "token"} and not settings["header"]:
        raise SettingError(
            "header", _("Name the header that the signature or the secret comes in, such as X-Signature.")
        )
    if settings["scheme"] == "hmac" and settings["signed"] != "body" and not settings["time_header"]:
        raise SettingError("time_header", _("The time is part of what is signed: name the header that it comes in."))


def verify(delivery: Delivery, account: Account) -> None:
    """Return when the delivery proves that it knows the connection's secret; raise SignatureError for everything else."""
    secret = account.secrets.get("secret", "")
    chosen = account.settings
    if not secret:
        raise SignatureError("This connection has no secret yet.")
    scheme = chosen.get("scheme", "standard")
    if scheme == "hmac":
        _verify_hmac(delivery, secret, chosen)
    elif scheme == "token":
        given = delivery.headers.get(chosen.get("header", ""), "")
        if not equal(given, chosen.get("prefix", "") + (" " if _is_word(chosen) else "") + secret):
            raise SignatureError(f"The {chosen.get('header', '')} header has not this connection's secret.")
    elif scheme == "address":
        if not equal(delivery.query.get("key", ""), secret):
            raise SignatureError("The key in the address is not this connection's secret.")
    else:
        _verify_standard(delivery, secret)


def _is_word(chosen: Mapping[str, str]) -> bool:
    """Whether the prefix is a word of its own, such as Bearer, whose blank a form would have trimmed."""
    return chosen.get("prefix", "").isalpha()


def _verify_standard(delivery: Delivery, secret: str) -> None:
    """Standard Webhooks 1.0: any of the signatures that the header lists will do."""
    name, stamp = delivery.headers.get("webhook-id", ""), delivery.headers.get("webhook-timestamp", "")
    given = delivery.headers.get("webhook-signature", "")
    if not name or not given or len(given) > 2000:
        raise SignatureError("The webhook-id, webhook-timestamp or webhook-signature header is missing or too long.")
    at = check_timestamp(stamp)
    try:
        expected = sign_standard(secret, name, at, delivery.body)
    except (binascii.Error, ValueError) as error:
        raise SignatureError("The secret is not one of Standard Webhooks: whsec_ and base64.") from error
    if not any(equal(expected, one) for one in given.split(" ")):
        raise SignatureError("The signature does not fit the id, the time, the body and this connection's secret.")


def _verify_hmac(delivery: Delivery, secret: str, chosen: Mapping[str, str]) -> None:
    header = chosen.get("header", "")
    given = delivery.headers.get(header, "")
    prefix = chosen.get("prefix", "")
    if not given or len(given) > 500 or not given.startswith(prefix):
        begins = f" or does not begin with {prefix}" if prefix else ""
        raise SignatureError(f"The {header} header is missing, too long{begins}.")
    digest = hmac.new(
        key_of(secret, chosen.get("key_form", "text")), _signed(delivery, chosen), hashlib.sha256
    ).digest()
    expected = digest.hex() if chosen.get("encoding") != "base64" else base64.b64encode(digest).decode()
    found = given[len(prefix) :].strip()
    if not equal(expected, found.lower() if chosen.get("encoding") != "base64" else found):
        raise SignatureError("The signature does not fit what is signed and this connection's secret.")


def _signed(delivery: Delivery, chosen: Mapping[str, str]) -> bytes:
    """What the HMAC is made over. A time has to be within 300 s of ours, in seconds or milliseconds."""
    stamp = ""
    if chosen.get("time_header"):
        stamp = delivery.headers.get(chosen["time_header"], "")
        if not (stamp.isascii() and stamp.isdigit() and 9 <= len(stamp) <= 14):
            raise SignatureError(f"The {chosen['time_header']} header is missing or no time in seconds.")
        check_timestamp(stamp[:-3] if len(stamp) > 11 else stamp)
    return signed_text(chosen.get("signed", "body"), stamp, delivery.body)


def signed_text(form: str, stamp: str, body: bytes) -> bytes:
    """What the HMAC is made over, by the form's name in SIGNED."""
    around = _BETWEEN.get(form)
    return body if around is None else around[0] + stamp.encode() + around[1] + body


def key_of(secret: str, form: str) -> bytes:
    """The key, by the form's name in KEYS; raises SignatureError for a secret that is not of it."""
    try:
        if form == "hex":
            return bytes.fromhex(secret)
        if form == "base64":
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (ValueError, binascii.Error) as error:
        raise SignatureError(f"The secret can't be read {form}-decoded.") from error
    return secret.encode()
