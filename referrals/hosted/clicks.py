"""What a request for a referral link says about who sent it: a person's click, or a machine's (UX.md, bots; RELIABILITY section 8).

Pure functions over the WSGI environment, shared by the plain view and the fast path, so that both record the same. Everything that
comes from outside is cut to size and checked before it is kept (RELIABILITY F15: stored script through a logged header).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import crawleruseragents

from campaigns.link_models import UTM
from campaigns.link_settings import UTM_LENGTH
from referrals.lib.requests import client_ip_of

AGENT_LENGTH = 200
REFERER_LENGTH = 100
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,15}", re.ASCII)
_CHANNEL = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}", re.ASCII)
# What the crawler list does not know: Outlook's and other mail gates' link checkers.
_SCANNERS = re.compile(
    r"Microsoft Office|ms-office|Outlook|BingPreview|SafeLinks|Mimecast|Proofpoint|Barracuda|URLScan|GoogleImageProxy|YahooMailProxy",
    re.IGNORECASE,
)
_REFERER = re.compile(r"https?://([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?(?:[/?#]|$)", re.ASCII)
_REFERERS: dict[str, str] = {}
_AGENTS: dict[str, str] = {}
_AGENTS_MOST = 4096
# A mail gate opens every link of a message at once: this many different codes within one second from one address and agent.
BURST = 5
_bursts: dict[tuple[str, str], tuple[int, set[str]]] = {}
_BURSTS_MOST = 4096


def hidden_reason(environ: Mapping[str, Any], code: str) -> str:
    """Why this opening is not counted as a person's click; "" for a person's. At most 12 characters."""
    if environ.get("REQUEST_METHOD") == "HEAD":
        return "head"
    purpose = f"{environ.get('HTTP_SEC_PURPOSE', '')} {environ.get('HTTP_PURPOSE', '')} {environ.get('HTTP_X_MOZ', '')}"
    if "prefetch" in purpose or "prerender" in purpose or "preview" in purpose:
        return "prefetch"
    agent = str(environ.get("HTTP_USER_AGENT", ""))
    if reason := _agent_reason(agent):
        return reason
    # A click is a navigation; an image, a frame or a script's request is somebody stuffing cookies.
    if environ.get("HTTP_SEC_FETCH_MODE", "navigate") != "navigate":
        return "embedded"
    if environ.get("HTTP_SEC_FETCH_DEST", "document") != "document":
        return "embedded"
    return "scanner" if _is_burst(client_ip_of(environ), agent, code) else ""


def _agent_reason(agent: str) -> str:
    known = _AGENTS.get(agent)
    if known is None:
        if len(_AGENTS) >= _AGENTS_MOST:
            _AGENTS.clear()
        known = _AGENTS[agent] = _judge_agent(agent)
    return known


def _judge_agent(agent: str) -> str:
    if not agent.strip():
        return "no_agent"
    if _SCANNERS.search(agent):
        return "scanner"
    return "bot" if crawleruseragents.is_crawler(agent) else ""


def _is_burst(address: str, agent: str, code: str) -> bool:
    second = int(time.time())
    key = (address, agent)
    since, codes = _bursts.get(key, (0, set()))
    if since != second:
        if len(_bursts) >= _BURSTS_MOST:
            _bursts.clear()
        codes = set()
        _bursts[key] = (second, codes)
    codes.add(code)
    return len(codes) >= BURST


def channel(query: str) -> str:
    """Where the link was shared: `via`, else `utm_source`, of the query string; "" for anything but a short plain word."""
    if not query or len(query) > 2000:
        return ""
    try:
        values = parse_qs(query, max_num_fields=40)
    except ValueError:
        return ""
    for name in ("via", "utm_source"):
        text = values.get(name, [""])[0].strip().lower()
        if _CHANNEL.fullmatch(text):
            return text
    return ""


def plain_channel(query: str) -> str | None:
    """The channel of a query that is nothing but `via=<word>`, as our share buttons write it, or is empty; None for any other query."""
    if not query:
        return ""
    name, _mark, text = query.partition("=")
    return text if name == "via" and _CHANNEL.fullmatch(text) else None


def wanted_place(query: str) -> str:
    """The deep link that a link's query asks for by `to=`, unchecked; "" for none."""
    if "to=" not in query or len(query) > 4000:
        return ""
    try:
        return parse_qs(query, max_num_fields=40).get("to", [""])[0]
    except ValueError:
        return ""


def utm(query: str) -> dict[str, str]:
    """The UTM parameters of a query by name without "utm_": one printable line of at most 100 characters each."""
    if "utm_" not in query or len(query) > 2000:
        return {}
    try:
        values = parse_qs(query, max_num_fields=40)
    except ValueError:
        return {}
    found = {name: values.get(f"utm_{name}", [""])[0].strip()[:UTM_LENGTH] for name in UTM}
    return {name: text for name, text in found.items() if text and text.isprintable()}


def referer(environ: Mapping[str, Any]) -> str:
    """The host name of the page that the link stood on, for statistics; "" when the browser does not say, or says nonsense."""
    text = str(environ.get("HTTP_REFERER", ""))
    if not text:
        return ""
    known = _REFERERS.get(text)
    if known is None:
        if len(_REFERERS) >= _AGENTS_MOST:
            _REFERERS.clear()
        match = _REFERER.match(text)
        known = _REFERERS[text] = match[1].lower() if match and len(match[1]) <= REFERER_LENGTH else ""
    return known


def agent(environ: Mapping[str, Any]) -> str:
    """The browser's name of itself: printable characters only, cut to 200."""
    text = str(environ.get("HTTP_USER_AGENT", ""))[: AGENT_LENGTH * 2]
    return (text if text.isprintable() else "".join(c for c in text if c.isprintable()))[:AGENT_LENGTH]


def wants_no_cookie(environ: Mapping[str, Any]) -> bool:
    """Whether the browser asks not to be followed: Global Privacy Control, or the older Do Not Track (RELIABILITY section 8)."""
    return environ.get("HTTP_SEC_GPC") == "1" or environ.get("HTTP_DNT") == "1"


def is_code(text: str) -> bool:
    """Whether a text could be a referral code at all."""
    return _CODE.fullmatch(text) is not None
