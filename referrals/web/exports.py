"""Lists as CSV files: streamed in keyset pages, safe to open in a spreadsheet, written into the history.

Every file is UTF-8 with a byte order mark (so that Excel reads names right) and quotes every cell. Times are ISO 8601 in UTC, amounts
are major units with a point and no symbol, each with its currency in the next column. A cell that begins with = + - @ or a control
character gets a tab before it, so that no spreadsheet runs it as a formula; an importer strips that tab (UX.md, "CSV formula
injection"). Columns are listed in REWARD_COLUMNS and PAYOUT_COLUMNS; new ones are only ever added at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from referrals.events import types
from referrals.events.services import Happening, record
from referrals.lib import clock
from referrals.lib.cells import csv_lines
from referrals.lib.money import Money
from referrals.lib.pages import keyset
from referrals.web.access import MerchantRequest, member, own
from referrals.web.reward_state import ListState
from rewards.models import PayoutBatch, PayoutItem, Reward

_CHUNK = 1000
REWARD_COLUMNS = (
    "id",
    "state",
    "amount",
    "currency",
    "kind",
    "side",
    "name",
    "email",
    "referral_code",
    "campaign",
    "campaign_id",
    "event_type",
    "event_id",
    "event_source",
    "event_amount",
    "event_at",
    "friend_name",
    "friend_email",
    "state_since",
    "created_at",
    "review_ends_at",
    "issued_at",
    "payout_id",
    "payout_reference",
    "reason",
    "note",
)
PAYOUT_COLUMNS = (
    "payout_id",
    "reward_id",
    "amount",
    "currency",
    "name",
    "email",
    "side",
    "method",
    "status",
    "reference",
    "message",
    "paid_at",
    "batch_id",
    "batch_note",
)


def stream_csv(filename: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> StreamingHttpResponse:
    """A download of `rows` under a head of `columns`; rows are read while they are sent, so memory does not grow with them."""
    response = StreamingHttpResponse(csv_lines(columns, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def note_export(request: MerchantRequest, what: str, subject_id: str, query: str) -> None:
    """Write into the history that a list left the house: whose data, by whom, with which filter."""
    with transaction.atomic():
        data = {"what": what, "query": query}
        record(request.tenant, request.actor, Happening(types.EXPORT_MADE, "export", subject_id, data=data))


def file_name(what: str) -> str:
    """ "rewards-due-2026-11-20.csv", by the merchant's day."""
    return f"{what}-{timezone.localtime(clock.now()):%Y-%m-%d}.csv"


@require_safe
@member()
def rewards_export(request: MerchantRequest) -> StreamingHttpResponse:
    """The rewards of a list, with its filter and order, all pages."""
    state = replace(ListState.read(request.GET, request.tenant), after="")
    note_export(request, "rewards", state.stage, state.query())
    rows = state.rows(request.tenant).select_related("campaign", "participant", "event__participant", "payout")
    return stream_csv(file_name(f"rewards-{state.stage}"), REWARD_COLUMNS, reward_lines(state, rows))


def reward_lines(state: ListState, rows: QuerySet[Reward]) -> Iterator[Sequence[object]]:
    """The cells of each reward of a list, all pages, in pieces of fixed cost."""
    while True:
        page = state.page(rows, limit=_CHUNK)
        yield from (reward_line(reward) for reward in page.rows)
        if page.next is None:
            return
        state = replace(state, after=page.next)


def reward_line(reward: Reward) -> Sequence[object]:
    """The cells of one reward; its campaign, people, event and payout are read along."""
    person, event = reward.participant, reward.event
    friend = event.participant
    return (
        reward.public_id,
        reward.state,
        reward.amount.plain() if reward.units is None else str(reward.worth),
        reward.currency,
        reward.kind,
        reward.side,
        person.name,
        person.email,
        person.referral_code,
        reward.campaign.name,
        reward.campaign.public_id,
        event.type,
        event.external_id,
        event.source,
        event.amount.plain() if event.amount else "",
        utc(event.occurred_at),
        friend.name,
        friend.email,
        utc(reward.stage_at),
        utc(reward.created_at),
        utc(reward.review_ends_at),
        utc(reward.issued_at),
        reward.payout.public_id if reward.payout else "",
        reward.payout.reference if reward.payout else "",
        reward.reason,
        reward.note,
    )


@require_safe
@member()
def payout_export(request: MerchantRequest, public_id: str) -> StreamingHttpResponse:
    """A batch as a file: one line for each reward that went out."""
    batch = own(PayoutBatch.objects.all(), request, public_id)
    note_export(request, "payouts", batch.public_id, "")
    items = PayoutItem.objects.filter(payout__batch=batch).select_related("reward", "payout__participant")
    return stream_csv(file_name(f"payouts-{batch.public_id}"), PAYOUT_COLUMNS, _payout_lines(batch, items))


def _payout_lines(batch: PayoutBatch, items: QuerySet[Any]) -> Iterator[Sequence[object]]:
    cursor: str | None = ""
    while cursor is not None:
        page = keyset(items, sort="pk", cursor=cursor, limit=_CHUNK)
        for item in page.rows:
            item.payout.batch = batch
            yield payout_line(item)
        cursor = page.next


def payout_line(item: PayoutItem) -> Sequence[object]:
    """The cells of one reward that went out; its payout, batch and people are read along."""
    payout, person = item.payout, item.payout.participant
    return (
        payout.public_id,
        item.reward.public_id,
        Money(item.amount_minor, payout.currency).plain() if item.reward.units is None else str(item.reward.worth),
        payout.currency,
        person.name,
        person.email,
        payout.side,
        payout.method,
        payout.status,
        payout.reference,
        payout.message,
        utc(payout.paid_at),
        payout.batch.public_id,
        payout.batch.note,
    )


def utc(at: datetime | None) -> str:
    """A time as the files have it; empty for None."""
    return "" if at is None else at.astimezone(UTC).isoformat(timespec="seconds")
