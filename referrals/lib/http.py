"""The one outbound client: time-outs, a size cap, public addresses only, no redirects (RELIABILITY section 8, "Egress").

posting.py is its twin for many messages at once.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import requests
from requests.adapters import HTTPAdapter
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import EXTRA_BLOCKED_NET_RANGES, InvalidIPAddress
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3.exceptions import HTTPError as BrokenAnswer
from urllib3.exceptions import NewConnectionError
from urllib3.util.ssl_match_hostname import CertificateError as OtherName

from referrals.lib.leash import POOLS

# A backslash, a blank or control character anywhere, or a user name before the host.
_AMBIGUOUS = re.compile(r"[\\\x00-\x20\x7f]|^[^/]*//[^/?#]*@")
CONNECT_SECONDS, READ_SECONDS = 3, 10
MAX_BYTES = 1024 * 1024
# What a message can come to without an answer (posting.py).
ERRORS = ("blocked_address", "unknown_host", "no_connection", "tls", "timeout", "broken")


class HttpError(Exception):
    """No usable answer. `retry` says whether trying again can help; `sent` whether the request may have had an effect."""

    def __init__(self, message: str, *, retry: bool, sent: bool) -> None:
        super().__init__(message)
        self.retry = retry
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers with lower-case names, and at most 1 MiB of body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Send(Protocol):
    """The way to a company: request() of this module, or a stand-in's that looks the same (integrations.sandbox)."""

    def __call__(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: Any = None
    ) -> Answer: ...


class _PublicAdapter(IPFilterAdapter):  # type: ignore[misc]  # requests_hardened has no types
    """Connects to the very address that was looked at, as its parent does, and only if is_public(), the rule of posting.py, lets it.

    The parent's own rule lets some forms of inner addresses through ([fec0::1], [::10.0.0.1]).
    """

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if not is_public(host["host"].strip("[]")):
            raise InvalidIPAddress(host["host"])
        return host, pool


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    private: bool = False,
) -> Answer:
    """One try at one request; raises HttpError. `private` lets loopback through, for the built-in sandbox only.

    3 seconds to connect, 10 for each sign of life, and leash.ANSWER_SECONDS for the whole answer.
    """
    if _AMBIGUOUS.search(url):
        # Two libraries read its host differently: the one that looks whether it is public, and the one that connects.
        raise HttpError("The address is not a plain one.", retry=False, sent=False)
    session = HTTPSession(
        Config(
            default_timeout=(CONNECT_SECONDS, READ_SECONDS),
            never_redirect=True,
            ip_filter_enable=not private,
            ip_filter_allow_loopback_ips=False,
            user_agent_override="Passalong",
        )
    )
    for scheme in ("http", "https"):
        adapter = HTTPAdapter() if private else _PublicAdapter(is_https_proto=scheme == "https")
        adapter.poolmanager.pool_classes_by_scheme = POOLS
        session.mount(f"{scheme}://", adapter)
    try:
        with session.request(method, url, headers=dict(headers or {}), data=body, stream=True) as response:
            content = response.raw.read(MAX_BYTES + 1, decode_content=True)
            if len(content) > MAX_BYTES:
                raise HttpError("The answer is larger than 1 MiB.", retry=False, sent=True)
            return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, content)
    except InvalidIPAddress as error:
        raise HttpError("The address is not a public one.", retry=False, sent=False) from error
    except requests.ConnectTimeout as error:
        raise HttpError("No connection within 3 seconds.", retry=True, sent=False) from error
    except (requests.RequestException, BrokenAnswer) as error:
        words = _not_begun(error)
        raise HttpError(words or f"No answer: {type(error).__name__}.", retry=True, sent=not words) from error


def _not_begun(error: Exception) -> str:
    """Why there was no connection to send anything through; "" when the request may have left.

    Of TLS only a certificate that is not accepted is meant: the client looks at it before it says a word.
    """
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError | OtherName):
            said = getattr(cause, "verify_message", "") or "it is another name's"
            return f"Its TLS certificate is not accepted: {said}. Nothing was sent."
        if isinstance(cause, socket.gaierror):
            return "Its host name is not found. Nothing was sent."
        if isinstance(cause, NewConnectionError):
            return "No connection. Nothing was sent."
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What led to an error, the innermost first: libraries wrap one in another."""
    found: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and len(found) < 10:
        found.append(at)
        at = at.__cause__ or at.__context__
    return reversed(found)


def is_public(address: str) -> bool:
    """Whether an IPv4 or IPv6 address is one of the public internet's, whatever dress it comes in (RELIABILITY F7)."""
    found: ipaddress.IPv4Address | ipaddress.IPv6Address
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    special = found.is_private or found.is_multicast or found.is_reserved or found.is_link_local or not found.is_global
    special = special or (isinstance(found, ipaddress.IPv6Address) and found.is_site_local)
    return not special and not any(found in network for network in EXTRA_BLOCKED_NET_RANGES)
