"""Web addresses that people typed, taken apart and put together without changing a byte that is not ours (RELIABILITY section 6, row 23).

Two parsers have to agree on where an address leads: browsers, `urlsplit` and `urllib3` differ on backslashes, tabs and user names,
and an open redirect lives in that difference (RELIABILITY section 8). What they disagree on is no address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus, unquote_plus, urlsplit

import idna
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

LONGEST = 2000
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{1,30}", re.ASCII)
# Schemes that run code, open files or carry another address inside: never an app's own.
_DANGEROUS = frozenset(
    "about blob chrome content data edge facetime file filesystem ftp ftps http https intent jar javascript mailto market mhtml "
    "ms-appx res resource sms smsto tel urn vbscript view-source ws wss".split()
)


@dataclass(frozen=True, slots=True)
class Address:
    """One address: `host` in lower case and ASCII (punycode), and the rest as it was typed. `port` is None for the scheme's own."""

    scheme: str
    host: str
    port: int | None
    path: str
    query: str | None
    fragment: str | None

    @property
    def origin(self) -> str:
        """Scheme, host and port: `https://shop.example.com`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port is not None else "")

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return self.host in LOCAL

    def text(self) -> str:
        """The whole address as it goes into a Location header: ASCII, with every ASCII byte of path, query and fragment as typed."""
        rest = (self.path or "/") + ("" if self.query is None else f"?{self.query}")
        rest += "" if self.fragment is None else f"#{self.fragment}"
        return self.origin + "".join(c if c.isascii() else quote(c) for c in rest)


def read_address(text: str) -> Address | None:
    """An http or https address with a host name; None for everything else, and for what two parsers read differently."""
    if not _is_plain(text):
        return None
    try:
        parts, other = urlsplit(text), parse_url(text)
        port = parts.port
    except (ValueError, LocationParseError):
        return None
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc or not parts.hostname:
        return None
    host, twin = ascii_host(parts.hostname), ascii_host((other.host or "").strip("[]"))
    if not host or host != twin or other.scheme != parts.scheme or other.port != port or other.auth is not None:
        return None
    if not text[:8].lower().startswith(("http://", "https://")) or port == 0:
        return None
    before, mark, fragment = text.partition("#")
    _start, has_query, query = before.partition("?")
    return Address(parts.scheme, host, port, parts.path, query if has_query else None, fragment if mark else None)


def _is_plain(text: str) -> bool:
    """Whether an address has no character that parsers drop, turn round or take for another."""
    return 0 < len(text) <= LONGEST and not any(
        c in '\\"<>`' or ord(c) <= 32 or 0x7F <= ord(c) <= 0xA0 or not (c.isprintable() or c.isascii()) for c in text
    )


def ascii_host(host: str) -> str:
    """A host name in lower case and punycode, an IPv4 or IPv6 address as it is; "" for what is none."""
    host = host.rstrip(".").lower()
    if host in LOCAL:
        return host
    if ":" in host:
        return host if re.fullmatch(r"[0-9a-f:.]{2,45}", host, re.ASCII) else ""
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii").lower()
        except idna.IDNAError:
            return ""
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        return ""
    return host


def is_host_name(host: str) -> bool:
    """Whether a host (from ascii_host) is a public name: two labels or more, and not a number in disguise."""
    labels = host.split(".")
    last = labels[-1]
    return len(labels) > 1 and host not in LOCAL and not last.isdigit() and not last.startswith("0x")


def page_origin(text: str) -> str:
    """The origin of a web page as browsers send it in `Origin`, from what was typed; "" unless https with a public name, or local.

    A path other than "/", a query or a user name is not an origin. Plain http is for pages on this machine only.
    """
    page = read_address(text)
    if page is None or page.path not in {"", "/"} or page.query is not None or page.fragment is not None:
        return ""
    if not page.is_local and (page.scheme != "https" or not is_host_name(page.host)):
        return ""
    usual = {"https": 443, "http": 80}[page.scheme]
    return page.origin if page.port != usual else page.origin.removesuffix(f":{usual}")


def with_pairs(address: Address, pairs: Mapping[str, str], *, instead: Iterable[str] = ()) -> Address:
    """The address with `name=value` pairs behind its query. Pairs that it has already stay as they are; those named in `instead` go."""
    gone = set(instead)
    kept = [part for part in (address.query or "").split("&") if part and _name(part) not in gone]
    known = {_name(part) for part in kept}
    kept += [f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs.items() if name not in known]
    return Address(address.scheme, address.host, address.port, address.path, "&".join(kept) or None, address.fragment)


def _name(part: str) -> str:
    return unquote_plus(part.partition("=")[0])


def app_scheme(text: str) -> str:
    """A scheme that an app may have registered, in lower case without "://"; "" for one that is unsafe or none."""
    scheme = text.strip().lower().removesuffix("://").removesuffix(":")
    return scheme if _SCHEME.fullmatch(scheme) and scheme not in _DANGEROUS else ""


def app_address(text: str, schemes: Iterable[str], pairs: Mapping[str, str]) -> str:
    """A link into an app, `scheme://place?query`, with the pairs behind its query; "" unless the scheme is one of `schemes`."""
    scheme, mark, rest = text.partition("://")
    if not mark or not text.isascii() or not _is_plain(text) or app_scheme(scheme) not in set(schemes) - {""}:
        return ""
    before, has_fragment, fragment = rest.partition("#")
    place, _mark, query = before.partition("?")
    kept = [part for part in query.split("&") if part and _name(part) not in pairs]
    kept += [f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs.items()]
    return f"{app_scheme(scheme)}://{place}?{'&'.join(kept)}" + (f"#{fragment}" if has_fragment else "")
