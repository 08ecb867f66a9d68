"""The key pair with which the stand-in for Wise signs. Anybody may know it: it is believed on connections that go to the stand-in only
(integrations.providers.wise.source), and a message makes us ask there again, no more."""

from __future__ import annotations

import base64
from functools import cache

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_P = int(
    "f38977c49bd6f0eeda7720e2de7b5a59fff717567ac43b835948d149a4b36c65efe78e7c51d251213c5879fc27bb508eaea1406b6f814e2336de7382041a83f2"
    "c330e9003326bde1dccdec651be7827c98d8c4e9d46bea271b3caab4e317323f23206fbe30399abf4e5c5d7fbd20257a50ca264a404a2b12eae8f22484d9f7dd",
    16,
)
_Q = int(
    "bd1b52cc33dd87907bfe4091ba1a3e63200369a79a0944ea0f97e8d0b7b6afeb21e14df3454f2a8752445791e4b5e24df003f881eb1258c224ca517d2556975a"
    "31b41b60e098ca710c07a8a554d513930c100b10c5583939d592ffac568d27b2c6d2f0aba017b892475835548ccf1e3c9c3f330158e6296ec582cdd1964e8665",
    16,
)
_E = 65537


@cache
def _key() -> rsa.RSAPrivateKey:
    d = pow(_E, -1, (_P - 1) * (_Q - 1))
    parts = rsa.rsa_crt_dmp1(d, _P), rsa.rsa_crt_dmq1(d, _Q), rsa.rsa_crt_iqmp(_P, _Q)
    return rsa.RSAPrivateNumbers(_P, _Q, d, *parts, rsa.RSAPublicNumbers(_E, _P * _Q)).private_key()


def signed(body: bytes, token: str) -> bytes:
    """What is signed for one connection: Wise has one key for all of its customers, but this one is in everybody's hands."""
    return body + token.encode()


def sign(body: bytes, token: str = "") -> str:
    """SHA256withRSA in base64, as Wise's X-Signature-SHA256."""
    return base64.b64encode(_key().sign(signed(body, token), padding.PKCS1v15(), hashes.SHA256())).decode()


@cache
def public_pem() -> str:
    """The PEM that verifies it, in the form in which Wise publishes its own."""
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return _key().public_key().public_bytes(*form).decode()
