"""The participant's own page: mailed one-time links and the sessions they open (RELIABILITY section 7).

Both guard a door, so they keep the real time on the test side too: moving its clock neither logs anybody out nor opens anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.core import signing
from django.db import transaction
from django.db.models import QuerySet

from participants.fraud import traces
from participants.fraud.traces import Seen
from participants.models import HubAccess, Participant, PortalLink, PortalSession
from referrals.accounts.models import hash_token, new_token
from referrals.lib import clock
from referrals.lib.queue import enqueue

_SALT = "participants.portal"
MAIL_TASK = "referrals.hosted.mail.send_portal_link"
SEEN_STEP = timedelta(minutes=5)
FRESH = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Opened:
    """A fresh session and the token for its cookie; the token is never stored."""

    session: PortalSession
    token: str


def send_link(participant: Participant) -> PortalLink:
    """Make a one-time link and ask the worker to mail it; both or neither."""
    with transaction.atomic():
        link = PortalLink.objects.create(participant=participant, created_at=clock.wall())
        enqueue(MAIL_TASK, link.pk)
    return link


def make_token(link: PortalLink) -> str:
    """The signed text that stands in the mailed address; made from the row, so nothing secret has to be queued."""
    return signing.dumps([link.pk, link.nonce], salt=_SALT)


def find_link(token: str) -> PortalLink | None:
    """The link behind a token while it still works: unused and younger than ten minutes. Looking does not use it."""
    try:
        pk, nonce = signing.loads(token, salt=_SALT, max_age=PortalLink.LIFE)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    link = (
        PortalLink.objects.filter(pk=pk, nonce=nonce, used_at=None)
        .select_related("participant__campaign__merchant")
        .first()
    )
    if link is None or link.created_at + PortalLink.LIFE < clock.wall():
        return None
    return link


def open_link(token: str, *, agent: str = "", seen: Seen | None = None) -> Opened | None:
    """Use a link: exactly one caller gets a session, everybody else None. What was seen of the browser is kept as a trace."""
    link = find_link(token)
    if link is None:
        return None
    now = clock.wall()
    with transaction.atomic():
        if PortalLink.objects.filter(pk=link.pk, used_at=None).update(used_at=now) != 1:
            return None
        opened = _open(link.participant, agent)
        if seen is not None:
            traces.keep(link.participant, replace(seen, devices=(*seen.devices, device_of(opened.token))))
        return opened


def _open(participant: Participant, agent: str, proved_at: datetime | None = None) -> Opened:
    text, since = new_token(), proved_at or clock.wall()
    session = PortalSession.objects.create(
        participant=participant,
        created_at=since,
        token_hash=hash_token(text),
        expires_at=since + PortalSession.LIFE,
        agent="".join(c for c in agent if c.isprintable())[:200],
    )
    return Opened(session, text)


def start_session(participant: Participant, *, proved_at: datetime, agent: str = "") -> Opened:
    """A session for somebody who proved their address by a mailed link in the affiliate hub (participants.hub_access).

    It is as old as that proof: it ends when the hub's does, and is no fresh log-in because somebody has pressed a button.
    """
    return _open(participant, agent, proved_at)


def end_hub_sessions(email_key: str) -> int:
    """Log an address out of the affiliate hub, whose log-in opens the own pages of all its programmes. Returns how many."""
    return HubAccess.objects.filter(email_key=email_key, ended_at=None).update(ended_at=clock.wall())


def device_of(token: str) -> str:
    """The browser's id that a session's cookie makes, for comparing browsers (participants.fraud)."""
    return hash_token(token) if 0 < len(token) <= 100 else ""


def session_for(token: str) -> PortalSession | None:
    """The live session of a cookie's token."""
    if not token or len(token) > 100:
        return None
    now = clock.wall()
    session = (
        PortalSession.objects.filter(token_hash=hash_token(token), ended_at=None, expires_at__gt=now)
        .select_related("participant__campaign__merchant")
        .first()
    )
    if session is not None and session.seen_at < now - SEEN_STEP:
        PortalSession.objects.filter(pk=session.pk).update(seen_at=now)
        session.seen_at = now
    return session


def sessions_of(participant: Participant) -> list[PortalSession]:
    """Where this person is logged in with this merchant, used last first; at most 50."""
    rows = _live_sessions(participant)
    return list(rows.order_by("-seen_at", "-pk")[:50])


def end_sessions(participant: Participant, *, which: int | None = None, but: PortalSession | None = None) -> int:
    """Log out one browser (`which`, by key) or all, `but` the one that asks. Only the person's own. Returns how many."""
    rows = _live_sessions(participant)
    if which is not None:
        rows = rows.filter(pk=which)
    else:
        end_hub_sessions(participant.email_key)
    if but is not None:
        rows = rows.exclude(pk=but.pk)
    return rows.update(ended_at=clock.wall())


def is_fresh(session: PortalSession) -> bool:
    """Whether this log-in comes from a mail of the last quarter of an hour: enough for what can't be undone."""
    return clock.wall() - session.created_at <= FRESH


def _live_sessions(participant: Participant) -> QuerySet[PortalSession]:
    return PortalSession.objects.filter(
        participant__merchant_id=participant.merchant_id,
        participant__is_test__in=[participant.is_test],
        participant__email_key=participant.email_key,
        ended_at=None,
        expires_at__gt=clock.wall(),
    )


def end_session(session: PortalSession) -> None:
    """Log this browser out."""
    PortalSession.objects.filter(pk=session.pk, ended_at=None).update(ended_at=clock.wall())
