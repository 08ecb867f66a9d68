"""The fast path of `GET /r/<code>`: a WSGI wrapper that answers a known link before Django wakes up (PERFORMANCE.md, section 2).

It knows nothing by itself. The plain view (referrals.hosted.short) leaves what it found about a link in the WSGI environment, and the
wrapper keeps that together with the headers of Django's own answer for half a minute. The same link asked for again is answered from
memory: classify the request, append one line to the click journal, redirect with the same headers, a fresh request id and cookie.

Everything unusual goes to Django as if this file were not there: another method, a query other than `via=`, a browser that already has this
campaign's cookie or wants none, an unknown host or scheme, a code that was not seen lately, a full disk. CLICK_JOURNAL=off leaves it
out altogether.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from referrals.hosted import clicks, journal, visitor
from referrals.lib.codes import BASE62
from referrals.lib.requests import client_ip_of

LIFE = 30.0  # seconds: how late a changed landing address or window is noticed
MOST = 50_000
TARGET = "passalong.click"
_SAFE_ID = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
_OWN = frozenset({"set-cookie", "x-request-id"})

Headers = list[tuple[str, str]]
StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Target:
    """What the view knows of a link: whose visits these are, and the campaign's cookie. `until` is when that stops being true."""

    merchant: int
    is_test: bool
    campaign: int
    campaign_id: str
    window_days: int
    referrer: int
    code: str
    until: float


class FastClicks:
    """The outermost WSGI application: answers what it can, hands on the rest."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.writer = journal.Writer()
        self.background = journal.Background(self.writer)
        self._known: dict[tuple[str, str, str, str], tuple[Target, Headers]] = {}

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if (
            not path.startswith("/r/")
            or environ.get("REQUEST_METHOD") != "GET"
            or environ.get("SCRIPT_NAME")
            or clicks.wants_no_cookie(environ)
        ):
            return self.application(environ, start_response)
        channel = clicks.plain_channel(environ.get("QUERY_STRING", ""))
        if channel is None:
            return self.application(environ, start_response)
        key = (
            path,
            environ.get("HTTP_HOST", ""),
            environ.get("wsgi.url_scheme", ""),
            environ.get("HTTP_X_FORWARDED_PROTO", ""),
        )
        known = self._known.get(key)
        if known is not None:
            answer = self._answer(environ, channel, *known)
            if answer is not None:
                start_response("302 Found", answer)
                return [b""]
        return self._learn(environ, start_response, key)

    def _answer(self, environ: dict[str, Any], channel: str, target: Target, headers: Headers) -> Headers | None:
        now = time.time()
        cookies = environ.get("HTTP_COOKIE", "")
        if now >= target.until or (cookies and visitor.cookie_name(target.campaign_id) in cookies):
            return None
        hidden = clicks.hidden_reason(environ, target.code)
        person = None if hidden else visitor.Visitor(new_id(22), target.code, int(now), target.code, int(now))
        data = journal.line(
            at=now,
            merchant=target.merchant,
            is_test=target.is_test,
            campaign=target.campaign,
            referrer=target.referrer,
            visitor=person.id if person else new_id(22),
            hidden=hidden,
            ip=client_ip_of(environ),
            agent=clicks.agent(environ),
            channel=channel,
            referer=clicks.referer(environ),
        )
        try:
            self.writer.append(data)
        except OSError:
            return None  # Django writes the row itself
        self.background.nudge()
        given = environ.get("HTTP_X_REQUEST_ID", "")
        answer = [*headers, ("X-Request-Id", given if _SAFE_ID.fullmatch(given) else new_id(16))]
        if person is not None:
            answer.append(("Set-Cookie", visitor.set_cookie_header(person, target.campaign_id, target.window_days)))
        return answer

    def _learn(
        self, environ: dict[str, Any], start_response: StartResponse, key: tuple[str, str, str, str]
    ) -> Iterable[bytes]:
        """Let Django answer, and keep its answer for the next time."""
        self._known.pop(key, None)
        environ.pop(TARGET, None)

        def listening(status: str, headers: Headers, *rest: Any) -> Any:
            target = environ.get(TARGET)
            # An answer to a browser with cookies may speak of them; only one to a stranger is kept.
            if isinstance(target, Target) and status.startswith("302 ") and not environ.get("HTTP_COOKIE"):
                if len(self._known) >= MOST:
                    self._known.clear()
                kept = [(name, value) for name, value in headers if name.lower() not in _OWN]
                self._known[key] = (target, kept)
            return start_response(status, headers, *rest)

        return self.application(environ, listening)


def wrap(application: Application) -> Application:
    """The application with the fast path before it, unless CLICK_JOURNAL is off."""
    return FastClicks(application) if settings.CLICK_JOURNAL else application


# Every byte as one of 62 letters. Eight letters come a little more often than the rest; 22 of them still hold 130 bits.
_LETTERS = bytes(BASE62[byte % 62].encode()[0] for byte in range(256))


def new_id(length: int) -> str:
    """Random base62 text in one draw of the system's generator: a visitor's id, a request's id."""
    return os.urandom(length).translate(_LETTERS).decode("ascii")
