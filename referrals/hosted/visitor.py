"""The visitor's cookie: which referral link this browser opened first and last, signed, one cookie per campaign.

First-party, HttpOnly, SameSite=Lax, for the campaign's attribution window and a month. It names nobody: a random visitor id, two
referral codes and two times. Whose click counts is the campaign's choice (PRODUCT.md, "Attribution"): the first within the window,
or the last.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.utils.crypto import salted_hmac

from referrals.lib.codes import random_text
from referrals.lib.signing import equal

DAY = 86_400
# A landing page opened so soon after the same click is that click, not another one.
SAME_CLICK = 30
_PARTS = re.compile(
    r"([0-9A-Za-z]{22})-([0-9A-Za-z]{1,16})-([0-9a-f]{8})-([0-9A-Za-z]{1,16})-([0-9a-f]{8})-([0-9A-Za-z_~]{22})"
)


@dataclass(frozen=True, slots=True)
class Visitor:
    """What a cookie says; times are whole seconds since 1970."""

    id: str
    first_code: str
    first_at: int
    last_code: str
    last_at: int

    def code(self, model: str) -> str:
        """The code that counts under an attribution model, "first_click" or "last_click"."""
        return self.last_code if model == "last_click" else self.first_code

    def just_clicked(self, code: str, now: int) -> bool:
        """Whether this code was clicked a moment ago."""
        return self.last_code == code and 0 <= now - self.last_at <= SAME_CLICK


def cookie_name(campaign_id: str) -> str:
    """One cookie per campaign (its public id); bound to this very host when the site has https."""
    return f"__Host-ref_{campaign_id}" if settings.HTTPS else f"ref_{campaign_id}"


def read(cookies: Mapping[str, str], campaign_id: str, window_days: int, now: int) -> Visitor | None:
    """The visitor of a campaign; None without a cookie, with a forged one, or when the window of the last click is over.

    When only the first click is too old, the last one takes its place.
    """
    found = _signed(cookies, campaign_id)
    oldest = now - window_days * DAY
    if found is None or found.last_at < oldest:
        return None
    if found.first_at < oldest:
        return Visitor(found.id, found.last_code, found.last_at, found.last_code, found.last_at)
    return found


def id_of(cookies: Mapping[str, str], campaign_id: str) -> str:
    """The visitor's id, also when the window is over: then the visits tell that the click came too early. "" without a cookie."""
    found = _signed(cookies, campaign_id)
    return found.id if found else ""


def _signed(cookies: Mapping[str, str], campaign_id: str) -> Visitor | None:
    match = _PARTS.fullmatch(cookies.get(cookie_name(campaign_id), ""))
    if match is None:
        return None
    visitor, first, first_at, last, last_at, signature = match.groups()
    signed = f"{campaign_id}-{visitor}-{first}-{first_at}-{last}-{last_at}"
    if not any(equal(_sign(key, signed), signature) for key in _keys()):
        return None
    return Visitor(visitor, first, int(first_at, 16), last, int(last_at, 16))


def click(before: Visitor | None, code: str, now: int, known_id: str = "") -> Visitor:
    """The visitor after one more click on `code`; `known_id` is who they were before the window was over."""
    if before is None:
        return Visitor(known_id or random_text(22), code, now, code, now)
    return Visitor(before.id, before.first_code, before.first_at, code, now)


def max_age(window_days: int) -> int:
    """For how many seconds a browser keeps the cookie: the window, and a month in which a late friend can still be told why."""
    return (window_days + 30) * DAY


def write(visitor: Visitor, campaign_id: str) -> str:
    """The cookie's value."""
    text = f"{visitor.id}-{visitor.first_code}-{visitor.first_at:08x}-{visitor.last_code}-{visitor.last_at:08x}"
    return f"{text}-{_sign(_keys()[0], f'{campaign_id}-{text}')}"


def set_cookie_header(visitor: Visitor, campaign_id: str, window_days: int) -> str:
    """The whole `Set-Cookie` header, the same from the view and from the fast path."""
    parts = f"{cookie_name(campaign_id)}={write(visitor, campaign_id)}; HttpOnly; Max-Age={max_age(window_days)}; Path=/; SameSite=Lax"
    return f"{parts}; Secure" if settings.HTTPS else parts


@lru_cache(maxsize=1)
def _keys() -> tuple[bytes, ...]:
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return tuple(
        salted_hmac("referrals.hosted.visitor", "", secret=key, algorithm="sha256").digest() for key in secrets
    )


def _sign(key: bytes, text: str) -> str:
    digest = hmac.digest(key, text.encode("ascii"), hashlib.sha256)[:16]
    return base64.b64encode(digest, b"_~").decode("ascii").rstrip("=")
