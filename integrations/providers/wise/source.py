"""What Wise tells of transfers: only that something happened. What became of one is asked there (PROVIDERS.md, sections 1 and 7).

Wise signs for all of its customers with one key, so a genuine message may be about anybody's transfer; one that is none of ours is
ignored. Messages come in any order, and more than once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from functools import cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from integrations.base import Account, Delivery, Ignored, Message, Signal
from integrations.reading import Object, ident, inner, iso_moment, need_ident, text, word
from integrations.sandbox import wise_key
from referrals.lib.signing import SignatureError

# Wise's public keys, as it publishes them: docs.wise.com, "Webhooks", "Verifying event signatures" (the same in github.com/transferwise/
# api-docs, 2026). The first signs what is live, the second what its sandbox sends.
LIVE_KEY = """-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvO8vXV+JksBzZAY6GhSO
XdoTCfhXaaiZ+qAbtaDBiu2AGkGVpmEygFmWP4Li9m5+Ni85BhVvZOodM9epgW3F
bA5Q1SexvAF1PPjX4JpMstak/QhAgl1qMSqEevL8cmUeTgcMuVWCJmlge9h7B1CS
D4rtlimGZozG39rUBDg6Qt2K+P4wBfLblL0k4C4YUdLnpGYEDIth+i8XsRpFlogx
CAFyH9+knYsDbR43UJ9shtc42Ybd40Afihj8KnYKXzchyQ42aC8aZ/h5hyZ28yVy
Oj3Vos0VdBIs/gAyJ/4yyQFCXYte64I7ssrlbGRaco4nKF3HmaNhxwyKyJafz19e
HwIDAQAB
-----END PUBLIC KEY-----
"""
SANDBOX_KEY = """-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwpb91cEYuyJNQepZAVfP
ZIlPZfNUefH+n6w9SW3fykqKu938cR7WadQv87oF2VuT+fDt7kqeRziTmPSUhqPU
ys/V2Q1rlfJuXbE+Gga37t7zwd0egQ+KyOEHQOpcTwKmtZ81ieGHynAQzsn1We3j
wt760MsCPJ7GMT141ByQM+yW1Bx+4SG3IGjXWyqOWrcXsxAvIXkpUD/jK/L958Cg
nZEgz0BSEh0QxYLITnW1lLokSx/dTianWPFEhMC9BgijempgNXHNfcVirg1lPSyg
z7KqoKUN0oHqWLr2U1A+7kqrl6O2nx3CKs1bj1hToT1+p4kcMoHXA7kA+VBLUpEs
VwIDAQAB
-----END PUBLIC KEY-----
"""
KINDS = ("transfers#state-change", "transfers#payout-failure", "transfers#refund", "transfers#active-cases")
# The setting of a connection that goes to the stand-in (integrations.sandbox.sending).
_STAND_IN = "stand_in"


class WiseSource:
    """Wise's webhooks of schema 2 and later. Test notifications, which Wise sends when an address is entered, are about nothing."""

    signature_header = "X-Signature-SHA256"

    def verify(self, delivery: Delivery, account: Account) -> None:
        """SHA256withRSA of the raw body in base64, by the key of the side. There is no time in it. Raises SignatureError."""
        token = account.secrets.get("api_token", "")
        if not token:
            raise SignatureError("This connection has no API token yet.")
        try:
            given = base64.b64decode(delivery.headers.get(self.signature_header, ""), validate=True)
        except (binascii.Error, ValueError) as error:
            raise SignatureError("The X-Signature-SHA256 header is malformed.") from error
        if not given:
            raise SignatureError("The X-Signature-SHA256 header is missing.")
        body, pem = delivery.body, SANDBOX_KEY if account.is_test else LIVE_KEY
        if account.settings.get(_STAND_IN):
            body, pem = wise_key.signed(body, token), wise_key.public_pem()
        try:
            _key(pem).verify(given, body, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature as error:
            raise SignatureError("The signature does not fit the body and Wise's key of this mode.") from error

    def event_id(self, payload: Object, delivery: Delivery) -> str:
        """The delivery's id; it stays the same when Wise sends it again. Without one, the body makes it."""
        given = delivery.headers.get("X-Delivery-Id", "")
        return word(given, "X-Delivery-Id", 255) if given else "body_" + hashlib.sha256(delivery.body).hexdigest()

    def event_type(self, payload: Object, delivery: Delivery) -> str:
        """Such as `transfers#state-change`."""
        kind = word(payload.get("event_type"), "event_type", 80)
        is_trial = delivery.headers.get("X-Test-Notification", "").lower() == "true"
        return f"test of {kind}"[:80] if is_trial else kind

    def is_test(self, payload: Object) -> bool | None:
        """Its key says so, not its body."""
        return None

    def parse(self, message: Message) -> list[Signal]:
        """The transfer it is about; raises Ignored for other kinds of message, PayloadError when it can't be read."""
        if message.kind not in KINDS:
            raise Ignored("type_unused", type=message.kind)
        data = inner(message.payload, "data")
        transfer = ident(inner(data, "resource").get("id")) or need_ident(data.get("transfer_id"), "the transfer's id")
        told = data.get("occurred_at") or message.payload.get("sent_at")
        at = iso_moment(told)
        state = text(data.get("current_state"))
        return [Signal("payout", f"{message.kind}/{transfer}/{state}/{at.isoformat()}", (transfer,), at)]


@cache
def _key(pem: str) -> rsa.RSAPublicKey:
    key = serialization.load_pem_public_key(pem.encode())
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError("Wise signs with RSA.")
    return key
