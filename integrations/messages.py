"""What arrived, as lists: one filter for the page, the file and API v2; working on many again; what may be shown; and forgetting.

A message is kept for 30 days. What it led to stays and explains itself: the event, its decisions and its rewards name their source.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from integrations.base import PayloadError
from integrations.models import Connection, InboundEvent
from integrations.outcomes import UNREAD
from integrations.reading import read_json
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.lib.emails import EmailError, parse_email
from referrals.lib.errors import Refused
from referrals.lib.queue import enqueue

KEPT = timedelta(days=30)
# How many may be worked on again at once.
MOST = 10_000
# How many rows one statement deletes.
_CHUNK = 2000
MASK = "•••"
# Names of fields and headers whose values prove something: they are never shown and, of headers, never stored.
SECRET_NAME = re.compile(
    r"secret|signature|password|passwd|token|authori[sz]ation|api[-_]?key|cookie|hmac|private[-_]?key|credential|cvc|card[-_]?number",
    re.IGNORECASE,
)
_PUBLIC_ID = re.compile(r"in_[0-9A-Za-z]{1,29}")
_EVENT_ID = re.compile(r"ev_[0-9A-Za-z]{1,29}")
# A payload deeper than this is shown as text.
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages of a side; an empty field filters nothing. `connection` is a public id, `since <= received at < until`."""

    state: str = ""
    outcome: str = ""
    connection: str = ""
    type: str = ""
    since: datetime | None = None
    until: datetime | None = None
    q: str = ""

    def apply(self, tenant: Tenant) -> QuerySet[InboundEvent]:
        """The messages, in no order. Every search uses an index: an address, our id, or the company's id, each of them whole."""
        rows = InboundEvent.objects.for_tenant(tenant)
        exact = {"state": self.state, "outcome": self.outcome, "type": self.type}
        rows = rows.filter(**{name: value for name, value in exact.items() if value})
        if self.connection:
            rows = rows.filter(connection__in=_ids(tenant, public_id=self.connection))
        if self.since:
            rows = rows.filter(received_at__gte=self.since)
        if self.until:
            rows = rows.filter(received_at__lt=self.until)
        return rows.filter(_search(tenant, self.q)) if self.q else rows


def _ids(tenant: Tenant, **wanted: str) -> list[int]:
    return list(
        Connection.objects.for_tenant(tenant).filter(**wanted).order_by("pk").values_list("pk", flat=True)[:500]
    )


def _search(tenant: Tenant, text: str) -> Q:
    if "@" in text:
        try:
            return Q(email_key=parse_email(text).key)
        except EmailError:
            return Q(pk__in=[])
    if _PUBLIC_ID.fullmatch(text):
        return Q(public_id=text)
    if _EVENT_ID.fullmatch(text):
        return Q(event_ref=text)
    return Q(connection__in=_ids(tenant), event_id=text)


def unread_types(tenant: Tenant, connection: Connection | None = None) -> list[tuple[str, int]]:
    """The types that nothing is made of, and how often each came in the last 30 days; the most frequent first, twenty at most."""
    rows = InboundEvent.objects.for_tenant(tenant).filter(outcome__in=UNREAD)
    if connection is not None:
        rows = rows.filter(connection=connection)
    counted = rows.order_by().values("type").annotate(n=Count("pk")).order_by("-n", "type")
    return [(row["type"], row["n"]) for row in counted[:20]]


def process_all(*, tenant: Tenant, found: MessageFilter, expected: int) -> int:
    """Have every message of a filter worked on once more, oldest first; returns how many. What they did before is not done twice.

    Those that a worker has right now are left to it. Refused 409 `selection_changed` when there are not `expected` any more (nobody
    agreed to that), 422 `too_many` above MOST.
    """
    with transaction.atomic():
        pks = list(found.apply(tenant).order_by("pk").values_list("pk", flat=True)[: MOST + 1])
        if len(pks) > MOST:
            raise Refused("too_many", _("That are more than %(most)s. Narrow the filter.") % {"most": f"{MOST:,}"})
        if len(pks) != expected:
            words = _("There are %(now)s messages now, not %(before)s. Look again, and confirm.")
            raise Refused("selection_changed", words % {"now": len(pks), "before": expected}, status=409)
        moved = sum(_again(pks[at : at + _CHUNK]) for at in range(0, len(pks), _CHUNK))
        if moved:
            enqueue("integrations.inbox.attend")
    return moved


def _again(pks: list[int]) -> int:
    taken = Q(state="received", attempts__gt=0, next_attempt_at__gt=clock.wall(), error="")
    rows = InboundEvent.objects.filter(pk__in=pks).exclude(taken)
    return rows.update(state="received", attempts=0, next_attempt_at=clock.wall(), processed_at=None)


def forget() -> int:
    """Delete messages that are older than 30 days and done; returns how many. By the real time, as on the live side."""
    before, gone = clock.wall() - KEPT, 0
    old = InboundEvent.objects.filter(received_at__lt=before).exclude(state="received").order_by("received_at")
    while pks := list(old.values_list("pk", flat=True)[:_CHUNK]):
        gone += InboundEvent.objects.filter(pk__in=pks).delete()[0]
    return gone


def kept_headers(headers: Mapping[str, str], signature_header: str, secrets: Iterable[str] = ()) -> dict[str, str]:
    """What is stored of a message's headers: those that prove something are masked, the rest cut to 200 characters, 40 at most.

    A header of any name that carries one of the connection's own secrets proves something, too.
    """
    kept = {}
    known = [secret for secret in secrets if len(secret) >= 8]
    for name, value in list(headers.items())[:40]:
        named = name.lower() == signature_header.lower() or SECRET_NAME.search(name) is not None
        proves = named or any(secret in value for secret in known)
        kept[name[:80]] = MASK if proves else value.replace("\x00", "")[:200]
    return kept


def pretty(body: bytes) -> str:
    """A payload to read: indented JSON with secrets masked, or the text as it is where it is no JSON."""
    try:
        return json.dumps(_masked(read_json(body)), indent=2, ensure_ascii=False)
    except (PayloadError, RecursionError):
        return body.decode("utf-8", "replace")


def _masked(value: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, dict):
        return {
            name: MASK if isinstance(inner, str) and inner and SECRET_NAME.search(name) else _masked(inner, depth + 1)
            for name, inner in value.items()
        }
    return [_masked(item, depth + 1) for item in value] if isinstance(value, list) else value
