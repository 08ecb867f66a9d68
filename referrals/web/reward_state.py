"""What the address of a rewards list says: stage, filter, order, page. Read once, written back into every link and form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import BadRequest, ValidationError
from django.db.models import QuerySet
from django.http import Http404, QueryDict
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from campaigns.models import Campaign, RewardRule
from referrals.accounts.tenancy import Tenant
from referrals.lib.money import CURRENCIES
from referrals.lib.pages import Page, PageError, keyset
from referrals.web.filters import one_of
from rewards.models import SIDES, Reward, RewardQuerySet
from rewards.pipeline import STAGES
from rewards.selection import RewardFilter

PAGE_SIZE = 50
# The whole list of columns that may be sorted by; nothing of a request reaches order_by() (RELIABILITY section 6, row 20).
SORTS = {"date": "stage_at", "amount": "amount_minor"}
DEFAULT_SORT = "-date"


@dataclass(frozen=True, slots=True)
class ListState:
    """One list as its address names it. `sort` is "date" or "amount", with "-" for descending; `after` is a cursor or ""."""

    stage: str
    campaign: Campaign | None = None
    q: str = ""
    kind: str = ""
    side: str = ""
    currency: str = ""
    sort: str = DEFAULT_SORT
    after: str = ""

    @classmethod
    def read(cls, query: QueryDict, tenant: Tenant) -> ListState:
        """From a query string; BadFilter names a value that is in no list, Http404 is for a campaign that is not the tenant's."""
        campaign = None
        if campaign_id := query.get("campaign", "").replace("\x00", ""):
            campaign = Campaign.objects.for_tenant(tenant).filter(public_id=campaign_id).first()
            if campaign is None:
                raise Http404
        return cls(
            stage=one_of(query, "stage", STAGES, "due"),
            campaign=campaign,
            q=" ".join(query.get("q", "").replace("\x00", "").split())[:120],
            kind=one_of(query, "kind", dict(RewardRule.KINDS)),
            side=one_of(query, "side", dict(SIDES)),
            currency=one_of(query, "currency", CURRENCIES),
            sort=one_of(query, "sort", {f"{sign}{name}" for name in SORTS for sign in ("", "-")}, DEFAULT_SORT),
            after=query.get("after", "").replace("\x00", "")[:400],
        )

    def query(self, **changes: Any) -> str:
        """The query string of this list, or of one that differs by `changes`; a changed filter starts at the first page."""
        if changes and "after" not in changes:
            changes["after"] = ""
        state = replace(self, **changes)
        pairs = {
            "stage": state.stage,
            "campaign": state.campaign.public_id if state.campaign else "",
            "q": state.q,
            "kind": state.kind,
            "side": state.side,
            "currency": state.currency,
            "sort": "" if state.sort == DEFAULT_SORT else state.sort,
            "after": state.after,
        }
        return urlencode({name: value for name, value in pairs.items() if value})

    def url(self, **changes: Any) -> str:
        """The address of this list, or of one that differs by `changes`."""
        return f"{reverse('web:rewards')}?{self.query(**changes)}"

    @property
    def is_narrowed(self) -> bool:
        """Whether more than stage and campaign narrows the list, so that the pipeline's figures don't count it."""
        return bool(self.q or self.kind or self.side or self.currency)

    @property
    def filters(self) -> int:
        """How many filters are on besides the search."""
        return sum(bool(value) for value in (self.campaign, self.kind, self.side, self.currency))

    @property
    def filter(self) -> RewardFilter:
        """The same as the rewards app has it, for selections."""
        return RewardFilter(
            stage=self.stage,
            campaign=self.campaign.public_id if self.campaign else "",
            q=self.q,
            kind=self.kind,
            side=self.side,
            currency=self.currency,
        )

    def rows(self, tenant: Tenant) -> RewardQuerySet:
        """Every reward of the list, without order."""
        # By key and not by public id: a join would keep the database from reading the campaign's index in order.
        rows = replace(self.filter, campaign="").apply(Reward.objects.for_tenant(tenant))
        return rows.filter(campaign=self.campaign) if self.campaign else rows

    def page(self, rows: QuerySet[Reward], *, limit: int = 0) -> Page[Reward]:
        """One page in the list's order, of PAGE_SIZE unless `limit` is given.

        BadRequest for a cursor that is damaged or belongs to a list in another order (RELIABILITY section 6, row 19).
        """
        column = SORTS[self.sort.removeprefix("-")]
        sort = f"-{column}" if self.sort.startswith("-") else column
        # A stage of several states is read state by state, each in the order of its index.
        parts = [rows.filter(state=state) for state in STAGES[self.stage]]
        try:
            return keyset(parts, sort=sort, cursor=self.after, limit=limit or PAGE_SIZE)
        except (PageError, TypeError, ValueError, ValidationError) as error:
            raise BadRequest(_("This page marker is damaged; go back to the first page.")) from error
