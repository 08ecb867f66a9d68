"""What the address of the inbox says: search, filters, page. Read once, written back into every link."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from django.core.exceptions import BadRequest
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from integrations.messages import MessageFilter
from integrations.models import InboundEvent
from integrations.outcomes import SENTENCES
from referrals.accounts.tenancy import Tenant
from referrals.lib.pages import Page, PageError, keyset
from referrals.web.filters import one_day, one_of

PAGE_SIZE = 50
# State of a message -> the tag's colour and words.
STATES = {
    "received": ("sending", lazy("Waiting")),
    "processed": ("issued", lazy("Processed")),
    "ignored": ("neutral", lazy("Ignored")),
    "failed": ("problem", lazy("Failed")),
}


@dataclass(frozen=True, slots=True)
class InboxState:
    """One list as its address names it; `connection` is a public id, `after` a cursor or ""."""

    state: str = ""
    outcome: str = ""
    connection: str = ""
    type: str = ""
    since: date | None = None
    until: date | None = None
    q: str = ""
    after: str = ""

    @classmethod
    def read(cls, query: QueryDict) -> InboxState:
        """From a query string; BadFilter names a value that is in no list."""
        return cls(
            state=one_of(query, "state", STATES),
            outcome=one_of(query, "outcome", SENTENCES),
            connection=_text(query, "connection", 32),
            type=_text(query, "type", 80),
            since=one_day(query, "since"),
            until=one_day(query, "until"),
            q=_text(query, "q", 255),
            after=_text(query, "after", 400),
        )

    def query(self, **changes: Any) -> str:
        """The query string of this list, or of one that differs by `changes`; a changed filter starts at the first page."""
        state = replace(self, **{"after": "", **changes})
        pairs = {
            "state": state.state,
            "outcome": state.outcome,
            "connection": state.connection,
            "type": state.type,
            "since": state.since.isoformat() if state.since else "",
            "until": state.until.isoformat() if state.until else "",
            "q": state.q,
            "after": state.after,
        }
        return urlencode({name: value for name, value in pairs.items() if value})

    def url(self, page: str = "web:inbox", **changes: Any) -> str:
        """The address of this list, or of one that differs by `changes`; or of another page about it."""
        query = self.query(**changes)
        return f"{reverse(page)}?{query}" if query else reverse(page)

    @property
    def filters(self) -> int:
        """How many filters are on besides the search."""
        return sum(
            bool(value) for value in (self.state, self.outcome, self.connection, self.type, self.since or self.until)
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether search or a filter is on."""
        return bool(self.q or self.filters)

    @property
    def found(self) -> MessageFilter:
        """The filter. Days are the merchant's, the last one included."""
        return MessageFilter(
            state=self.state,
            outcome=self.outcome,
            connection=self.connection,
            type=self.type,
            since=_midnight(self.since) if self.since else None,
            until=_midnight(self.until + timedelta(days=1)) if self.until else None,
            q=self.q,
        )

    def page(self, tenant: Tenant, *, limit: int = 0) -> Page[InboundEvent]:
        """One page, newest first, of PAGE_SIZE unless `limit` is given; BadRequest for a damaged cursor."""
        rows = self.found.apply(tenant).select_related("connection").defer("body", "headers")
        try:
            return keyset(rows, sort="-received_at", cursor=self.after, limit=limit or PAGE_SIZE)
        except (PageError, TypeError, ValueError) as error:
            raise BadRequest(_("This page marker is damaged; go back to the first page.")) from error


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))


def _text(query: QueryDict, name: str, limit: int) -> str:
    return query.get(name, "").replace("\x00", "").strip()[:limit]
