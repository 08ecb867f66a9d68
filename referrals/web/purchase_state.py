"""What the address of "Purchases and referrals" says: outcome, filters, search, page. Read once, written back into every link."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import Http404, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from participants.models import QualifyingEvent
from referrals.accounts.tenancy import Tenant
from referrals.lib.pages import Page, PageError, keyset
from referrals.web.filters import bad_value, one_day, one_of
from rewards.purchases import OUTCOMES, EventFilter
from rewards.reasons import CODES

PAGE_SIZE = 50
WAITING = "waiting"
# What waits: payments that nobody could be found for, events of an id that nobody has yet, refunds that came before their payment.
WAITS = ("payment", "person", "refund")
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,39}")


@dataclass(frozen=True, slots=True)
class PurchaseState:
    """One list as its address names it. `outcome` is a key of OUTCOMES, "waiting" or "" (all); `after` is a cursor or ""."""

    outcome: str = ""
    campaign: Campaign | None = None
    type: str = ""
    source: str = ""
    reason: str = ""
    since: date | None = None
    until: date | None = None
    waits: str = "payment"
    q: str = ""
    after: str = ""

    @classmethod
    def read(cls, query: QueryDict, tenant: Tenant) -> PurchaseState:
        """From a query string; BadFilter names a value that is in no list, Http404 is for a campaign that is not the tenant's."""
        campaign = None
        if campaign_id := query.get("campaign", "").replace("\x00", ""):
            campaign = Campaign.objects.for_tenant(tenant).filter(public_id=campaign_id).first()
            if campaign is None:
                raise Http404
        return cls(
            outcome=one_of(query, "outcome", {*OUTCOMES, WAITING}),
            campaign=campaign,
            type=_name(query, "type"),
            source=_name(query, "source"),
            reason=one_of(query, "reason", CODES),
            since=one_day(query, "since"),
            until=one_day(query, "until"),
            waits=one_of(query, "waits", WAITS) or "payment",
            q=" ".join(query.get("q", "").replace("\x00", "").split())[:120],
            after=query.get("after", "").replace("\x00", "")[:400],
        )

    def query(self, **changes: Any) -> str:
        """The query string of this list, or of one that differs by `changes`; a changed filter starts at the first page."""
        state = replace(self, **{"after": "", **changes})
        pairs = {
            "outcome": state.outcome,
            "campaign": state.campaign.public_id if state.campaign else "",
            "type": state.type,
            "source": state.source,
            "reason": state.reason,
            "since": state.since.isoformat() if state.since else "",
            "until": state.until.isoformat() if state.until else "",
            "waits": state.waits if state.outcome == WAITING and state.waits != "payment" else "",
            "q": state.q,
            "after": state.after,
        }
        return urlencode({name: value for name, value in pairs.items() if value})

    def url(self, **changes: Any) -> str:
        """The address of this list, or of one that differs by `changes`."""
        query = self.query(**changes)
        return f"{reverse('web:purchases')}?{query}" if query else reverse("web:purchases")

    @property
    def is_waiting(self) -> bool:
        """Whether it is the list of what waits, which is not of events."""
        return self.outcome == WAITING

    @property
    def filters(self) -> int:
        """How many filters are on besides tab and search."""
        return sum(
            bool(value) for value in (self.campaign, self.type, self.source, self.reason, self.since or self.until)
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether search or a filter is on besides the tab."""
        return bool(self.q or self.filters)

    def rows(self, tenant: Tenant) -> QuerySet[QualifyingEvent]:
        """Every event of the list, without order. Days are the merchant's."""
        return EventFilter(
            outcome=self.outcome,
            campaign=self.campaign.pk if self.campaign else None,
            type=self.type,
            source=self.source,
            reason=self.reason,
            since=_midnight(self.since) if self.since else None,
            until=_midnight(self.until + timedelta(days=1)) if self.until else None,
            q=self.q,
        ).apply(tenant)

    def page(self, rows: QuerySet[QualifyingEvent], *, limit: int = 0) -> Page[QualifyingEvent]:
        """One page, newest first, of PAGE_SIZE unless `limit` is given; BadRequest for a damaged cursor."""
        try:
            return keyset(rows, sort="-occurred_at", cursor=self.after, limit=limit or PAGE_SIZE)
        except (PageError, TypeError, ValueError) as error:
            raise BadRequest(_("This page marker is damaged; go back to the first page.")) from error


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))


def _name(query: QueryDict, name: str) -> str:
    value = query.get(name, "")
    if value and not _NAME.fullmatch(value):
        raise bad_value(name, value)
    return value
