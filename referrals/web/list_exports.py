"""Every list as a file, in one way: a table of names, columns and rows with the page's filter; streamed, or written by the worker.

A page of a list that has its own export keeps it; here it is under the same name, for the background, the API and schedules
(`write_list`). Filters are the pages' own, as query strings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncDate
from django.http import Http404, HttpResponseBase, QueryDict
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_safe

from campaigns.models import Campaign
from participants.models import FraudCase, Invite, KnownCustomer, Referral, Visit
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.lib.errors import Refused
from referrals.web import books, exports, participants, purchases
from referrals.web.access import MerchantRequest, member
from referrals.web.answers import AnswerColumns
from referrals.web.exports import PAYOUT_COLUMNS, REWARD_COLUMNS, file_name, note_export, stream_csv, utc
from referrals.web.filters import BadFilter, bad_value, one_of
from referrals.web.participants import PeopleState
from referrals.web.purchase_list import for_rows
from referrals.web.purchase_state import PurchaseState
from referrals.web.reward_state import ListState
from rewards import transfers
from rewards.models import PayoutItem, State, Transfer

CHUNK = 1000
Rows = Iterable[Sequence[object]]


@dataclass(frozen=True, slots=True)
class Listed:
    """One list: its words, and how its columns and rows are read for a tenant with a filter (rewards.transfers.LISTS)."""

    label: str | Promise
    read: Callable[[Tenant, QueryDict], tuple[Sequence[str], Rows]]


def _pieces(rows: QuerySet[Any]) -> Iterator[Any]:
    """The rows by primary key, a thousand in a query."""
    last = 0
    while piece := list(rows.filter(pk__gt=last).order_by("pk")[:CHUNK]):
        last = piece[-1].pk
        yield from piece


def _campaign(tenant: Tenant, query: QueryDict) -> Campaign | None:
    public_id = query.get("campaign", "").replace("\x00", "")
    if not public_id:
        return None
    found = Campaign.objects.for_tenant(tenant).filter(public_id=public_id).first()
    if found is None:
        raise Http404
    return found


def _participants(tenant: Tenant, query: QueryDict) -> tuple[Sequence[str], Rows]:
    state = PeopleState.read(query, tenant)
    joining = AnswerColumns.of(tenant, state.campaign)
    return participants.columns_of(joining), participants.export_rows(state, tenant, joining)


def _purchases(tenant: Tenant, query: QueryDict) -> tuple[Sequence[str], Rows]:
    state = replace(PurchaseState.read(query, tenant), after="")
    if state.is_waiting:
        raise bad_value("outcome", state.outcome)
    return purchases.COLUMNS, purchases.export_lines(state, for_rows(state.rows(tenant)))


def _rewards(tenant: Tenant, query: QueryDict) -> tuple[Sequence[str], Rows]:
    """By the page's `stage`, in its order; or by `status` as in API v2, several parted by commas, in the order they were earned."""
    state = replace(ListState.read(query, tenant), after="")
    if status := query.get("status", ""):
        statuses = set(status.split(","))
        if query.get("stage"):
            raise BadFilter(_("Give stage or status, not both."))
        if not statuses <= set(State.values):
            raise bad_value("status", status)
        found = replace(state, stage="").rows(tenant).filter(state__in=statuses)
        found = found.select_related("campaign", "participant", "event__participant", "payout")
        return REWARD_COLUMNS, (exports.reward_line(row) for row in _pieces(found))
    rows = state.rows(tenant).select_related("campaign", "participant", "event__participant", "payout")
    return REWARD_COLUMNS, exports.reward_lines(state, rows)


REFERRAL_COLUMNS = (
    "friend_email", "friend_name", "referrer_email", "referrer_name", "referral_code", "campaign", "campaign_id", "how", "status",
    "referred_at", "shared_by",
)  # fmt: skip


def _referrals(tenant: Tenant, query: QueryDict) -> tuple[Sequence[str], Rows]:
    rows = Referral.objects.for_tenant(tenant).filter(detached_at=None)
    if campaign := _campaign(tenant, query):
        rows = rows.filter(campaign=campaign)
    if status := one_of(query, "status", dict(Referral.STATUSES)):
        rows = rows.filter(status=status)
    rows = rows.select_related("invitee", "referrer", "campaign").prefetch_related("shares__participant")
    return REFERRAL_COLUMNS, (
        (
            row.invitee.email, row.invitee.name, row.referrer.email, row.referrer.name, row.referrer.referral_code, row.campaign.name,
            row.campaign.public_id, row.how, row.status, utc(row.created_at),
            ", ".join(f"{share.participant.email} {share.words}" for share in row.shares.all()) if row.split_by else "",
        )
        for row in _pieces(rows)
    )  # fmt: skip


def _payouts(tenant: Tenant, query: QueryDict) -> tuple[Sequence[str], Rows]:
    rows = PayoutItem.objects.filter(payout__merchant=tenant.merchant, payout__is_test__in=[tenant.is_test])
    if campaign := _campaign(tenant, query):
        rows = rows.filter(reward__campaign=campaign)
    rows = rows.select_related("reward", "payout__participant", "payout__batch")
    return PAYOUT_COLUMNS, (exports.payout_line(item) for item in _pieces(rows))


VISIT_COLUMNS = ("day", "campaign", "campaign_id", "channel", "clicks", "people", "hidden")


def _visits(tenant: Tenant, query: QueryDict) -> tuple[Sequence[str], Rows]:
    campaigns = Campaign.objects.for_tenant(tenant).order_by("pk")
    if campaign := _campaign(tenant, query):
        campaigns = campaigns.filter(pk=campaign.pk)
    return VISIT_COLUMNS, _visit_lines(tenant, campaigns)


def _visit_lines(tenant: Tenant, campaigns: QuerySet[Campaign]) -> Iterator[Sequence[object]]:
    """Clicks by campaign, day and channel; a month in a query, so that no database adds up millions at once."""
    zone = tenant.merchant.zone
    for campaign in campaigns:
        rows = Visit.objects.filter(campaign=campaign)
        first = rows.order_by("occurred_at").values_list("occurred_at", flat=True).first()
        last = rows.order_by("-occurred_at").values_list("occurred_at", flat=True).first()
        if first is None or last is None:
            continue
        start = timezone.localtime(first, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        while start <= last:
            end = start + timedelta(days=31)
            counted = rows.filter(occurred_at__gte=start, occurred_at__lt=end).annotate(
                day=TruncDate("occurred_at", tzinfo=zone)
            )
            seen = Q(hidden_reason="")
            days = counted.values_list("day", "channel").annotate(
                clicks=Count("pk", filter=seen), people=Count("visitor", filter=seen, distinct=True), hidden=Count("pk", filter=~seen)
            )  # fmt: skip
            for day, channel, clicks, people, hidden in days.order_by("day", "channel"):
                yield (day.isoformat(), campaign.name, campaign.public_id, channel, clicks, people, hidden)
            start = end


CUSTOMER_COLUMNS = ("customer", "customer_since", "added_at")


def _customers(tenant: Tenant, _query: QueryDict) -> tuple[Sequence[str], Rows]:
    """Hints only: the addresses are not kept (participants.customer_models)."""
    rows = _pieces(KnownCustomer.objects.for_tenant(tenant))
    return CUSTOMER_COLUMNS, ((row.hint, utc(row.since), utc(row.added_at)) for row in rows)


INVITATION_COLUMNS = (
    "id", "campaign", "campaign_id", "email", "name", "code", "source", "state", "reason", "created_at", "sent_at", "opened_at",
    "participant",
)  # fmt: skip


def _invitations(tenant: Tenant, query: QueryDict) -> tuple[Sequence[str], Rows]:
    rows = Invite.objects.for_tenant(tenant).select_related("campaign", "participant")
    if campaign := _campaign(tenant, query):
        rows = rows.filter(campaign=campaign)
    if state := one_of(query, "state", dict(Invite.STATES)):
        rows = rows.filter(state=state)
    return INVITATION_COLUMNS, (
        (
            row.public_id, row.campaign.name, row.campaign.public_id, row.email, row.name, row.code, row.source, row.state, row.reason,
            utc(row.created_at), utc(row.sent_at), utc(row.opened_at), row.participant.public_id if row.participant else "",
        )
        for row in _pieces(rows)
    )  # fmt: skip


FRAUD_COLUMNS = (
    "friend", "friend_email", "referrer", "referrer_email", "campaign", "campaign_id", "level", "score", "status", "opened_at",
)  # fmt: skip


def _fraud_cases(tenant: Tenant, query: QueryDict) -> tuple[Sequence[str], Rows]:
    rows = FraudCase.objects.for_tenant(tenant).select_related("participant", "referrer", "campaign")
    if status := one_of(query, "status", dict(FraudCase.STATUSES)):
        rows = rows.filter(status=status)
    if campaign := _campaign(tenant, query):
        rows = rows.filter(campaign=campaign)
    return FRAUD_COLUMNS, (
        (
            row.participant.public_id, row.participant.email, row.referrer.public_id, row.referrer.email, row.campaign.name,
            row.campaign.public_id, row.level, row.score, row.status, utc(row.opened_at),
        )
        for row in _pieces(rows)
    )  # fmt: skip


HISTORY_COLUMNS = ("id", "type", "at", "by", "subject_type", "subject", "campaign", "participant", "referrer")


def _history(tenant: Tenant, _query: QueryDict) -> tuple[Sequence[str], Rows]:
    rows = Event.objects.for_tenant(tenant)
    return HISTORY_COLUMNS, (
        (
            row.public_id, row.type, utc(row.created_at), row.actor_label or row.actor_kind, row.subject_type, row.subject_id,
            row.campaign_ref, row.participant_ref, row.referrer_ref,
        )
        for row in _pieces(rows)
    )  # fmt: skip


LISTS: dict[str, Listed] = {
    "participants": Listed(lazy("Participants"), _participants),
    "referrals": Listed(lazy("Referrals"), _referrals),
    "purchases": Listed(lazy("Purchases and other events"), _purchases),
    "rewards": Listed(lazy("Rewards"), _rewards),
    "payouts": Listed(lazy("Payouts"), _payouts),
    "visits": Listed(lazy("Clicks by day and channel"), _visits),
    "customers": Listed(lazy("Existing customers"), _customers),
    "invitations": Listed(lazy("Invitations"), _invitations),
    "fraud_cases": Listed(lazy("Fraud cases"), _fraud_cases),
    "history": Listed(lazy("History"), _history),
    "ledger": Listed(lazy("Books: every line of the ledger"), books.ledger_list),
    "year_totals": Listed(lazy("Yearly totals of each recipient"), books.year_list),
}


def read_list(tenant: Tenant, name: str, query: str) -> tuple[Sequence[str], Rows]:
    """The columns and rows of a named list with a page's filter; where in the list the page stood (`after`) does not count.

    Raises Refused: unknown_list, unknown_filter, campaign_not_found.
    """
    listed = LISTS.get(name)
    if listed is None:
        raise Refused("unknown_list", _("There is no list %(name)r.") % {"name": name[:40]}, field="list")
    asked = QueryDict(query, mutable=True)
    asked.pop("after", None)
    transfers.check_filters(name, asked.dict())
    try:
        return listed.read(tenant, asked)
    except BadFilter as error:
        raise Refused("unknown_filter", str(error), field="filter", status=400) from error
    except Http404 as error:
        raise Refused("campaign_not_found", _("No such campaign."), field="filter", status=404) from error


def write_list(tenant: Tenant, name: str, query: str, path: Path) -> int:
    """Write a named list with a page's filter to a file, whole or not at all; returns how many rows. For schedules and the background.

    Raises Refused as read_list(). Whoever calls it writes it into the history (types.EXPORT_MADE).
    """
    with timezone.override(tenant.merchant.zone):
        columns, rows = read_list(tenant, name, query)
        return transfers.write_csv(path, columns, rows)


def work(transfer_id: int) -> None:
    """What the worker does with a list that somebody ordered."""
    transfers.carry_out(transfer_id, _make)


def sweep() -> int:
    """For the schedule: all files that wait, lists and accounts."""
    return transfers.sweep(_make)


def _make(row: Transfer) -> dict[str, Any]:
    rows = write_list(row.tenant, row.name, row.query, row.path)
    return {"rows": rows, "size": row.path.stat().st_size}


@require_safe
@member()
def list_export(request: MerchantRequest) -> HttpResponseBase:
    """A list (`?list=`, participants if nothing is said) with its filter, read and sent in pieces."""
    name = request.GET.get("list", "participants")
    if name not in LISTS:
        raise Http404
    query = request.GET.copy()
    query.pop("list", None)
    try:
        columns, rows = read_list(request.tenant, name, query.urlencode())
    except Refused as error:
        raise (Http404() if error.status == 404 else BadFilter(error.message)) from error
    note_export(request, name, request.merchant.public_id, request.GET.urlencode())
    return stream_csv(file_name(name.replace("_", "-")), columns, rows)
