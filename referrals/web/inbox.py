"""The inbox: everything that companies sent in the last 30 days, what it led to or why it was ignored, and doing it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from django.contrib import messages
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST, require_safe

from integrations import registry, services, trying
from integrations.messages import MOST, pretty, process_all, unread_types
from integrations.models import Connection, InboundEvent
from integrations.outcomes import SENTENCES, name
from participants.models import Participant, QualifyingEvent
from referrals.accounts.models import Role
from referrals.accounts.tenancy import Tenant
from referrals.lib.errors import Refused
from referrals.lib.pages import render_part
from referrals.web.access import MerchantRequest, member, refused
from referrals.web.counts import capped, words
from referrals.web.exports import file_name, note_export, stream_csv, utc
from referrals.web.inbox_state import STATES, InboxState
from rewards.models import Payout, Reward

_CHUNK = 500
_CONNECTIONS = 200
COLUMNS = (
    "id", "received_at", "connection", "connection_id", "provider", "type", "event_id", "state", "outcome", "what", "event",
    "participant", "email", "attempts", "processed_at", "came_by", "error",
)  # fmt: skip


@require_safe
@member()
def inbox(request: MerchantRequest) -> HttpResponse:
    """The list over all connections, newest first."""
    state = InboxState.read(request.GET)
    page = state.page(request.tenant)
    count = len(page.rows) if page.next is None and not state.after else capped(state.found.apply(request.tenant))
    context = {
        "state": state,
        "inbound": [(item, *STATES[item.state], registry.get(item.connection.provider)) for item in page.rows],
        "connections": _connections(request.tenant),
        "states": [(name, label) for name, (_tone, label) in STATES.items()],
        "outcomes": [(code, name(code)) for code in SENTENCES],
        "unread": unread_types(request.tenant),
        "export_url": state.url("web:inbox_export"),
        "again_url": state.url("web:inbox_process"),
        "count": count,
        "prev_url": state.url(after=page.previous) if page.previous else "",
        "next_url": state.url(after=page.next) if page.next else "",
        "count_text": _("%(shown)s of %(count)s") % {"shown": len(page.rows), "count": words(count)},
        "live": ngettext("%(n)s message found", "%(n)s messages found", count) % {"n": words(count)},
        "may_change": request.membership.may(Role.MANAGER),
    }
    response = render_part(request, "web/inbox/list.html", "web/inbox/_part.html", context)
    if request.htmx:
        response["HX-Push-Url"] = state.url(after=state.after)
    return response


def _connections(tenant: Tenant) -> list[tuple[str, str]]:
    rows = Connection.objects.for_tenant(tenant).order_by("-pk")[:_CONNECTIONS]
    return [(row.public_id, row.label or str(registry.get(row.provider).label)) for row in rows]


@require_GET
@member()
def inbound(request: MerchantRequest, public_id: str) -> HttpResponse:
    """One message: what it led to or why it was ignored, what to do about it, its error, and the message itself."""
    row = _message(request.tenant, public_id)
    tone, label = STATES[row.state]
    event, payouts = None, Payout.objects.for_tenant(request.tenant)
    if row.event_ref:
        events = QualifyingEvent.objects.for_tenant(request.tenant).select_related("participant")
        event = events.filter(public_id=row.event_ref).first()
    context = {
        "row": row,
        "tone": tone,
        "words": label,
        "provider": registry.get(row.connection.provider),
        "payload": pretty(bytes(row.body)),
        "error": last_line(row.error),
        "event": event,
        "payout": payouts.filter(public_id=row.event_ref).first() if row.event_ref and not event else None,
        "person": event.participant if event else _person(request.tenant, row),
        "payment": _ignored_payment(request.tenant, row),
        "rewards": Reward.objects.filter(event=event).order_by("pk")[:20] if event else [],
        "may_change": request.membership.may(Role.MANAGER),
        "can_try": bool(trying.kinds(row.connection)),
    }
    return render(request, "web/connections/inbound.html", context)


def last_line(error: str) -> str:
    """The line that names the error; the traceback before it is for the operators of this installation."""
    return error.strip().rpartition("\n")[2][:500]


def _message(tenant: Tenant, public_id: str) -> InboundEvent:
    rows = InboundEvent.objects.for_tenant(tenant).select_related("connection")
    found = rows.filter(public_id=public_id).first()
    if found is None:
        raise Http404
    return found


def _person(tenant: Tenant, row: InboundEvent) -> Participant | None:
    """Whom a message without an event led to, such as a sign-up."""
    who = row.facts.get("participant")
    return Participant.objects.for_tenant(tenant).filter(public_id=who).first() if isinstance(who, str) else None


def _ignored_payment(tenant: Tenant, row: InboundEvent) -> InboundEvent | None:
    """The message of the payment that a refund belongs to, as long as it is kept."""
    name = row.facts.get("payment_message")
    return InboundEvent.objects.for_tenant(tenant).filter(public_id=name).first() if name else None


@require_POST
@member()
def inbound_process(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Work on a message again; what it did before is not done twice."""
    row = _message(request.tenant, public_id)
    back = reverse("web:inbound", args=[row.public_id])
    try:
        services.process_again(inbound=row)
    except Refused as error:
        return refused(request, error, back=back)
    messages.success(request, _("The message is being processed. Reload the page in a moment."))
    return redirect(back)


@member(change=Role.MANAGER)
def inbox_process(request: MerchantRequest) -> HttpResponse:
    """Say how many messages the filter finds and ask; a POST with that count works on all of them again."""
    state = InboxState.read(request.GET)
    if request.method != "POST":
        count = capped(state.found.apply(request.tenant), MOST)
        context = {
            "state": state,
            "count": count,
            "count_text": words(count, MOST),
            "most": MOST,
            "too_many": count > MOST,
        }
        return render(request, "web/inbox/process.html", context)
    try:
        expected = int(request.POST.get("count", "")[:9])
    except ValueError:
        expected = -1
    try:
        moved = process_all(tenant=request.tenant, found=state.found, expected=expected)
    except Refused as error:
        return refused(request, error, back=state.url("web:inbox_process"))
    text = ngettext("%(n)s message is being processed.", "%(n)s messages are being processed.", moved)
    messages.success(request, text % {"n": f"{moved:,}"})
    return redirect(state.url())


@require_safe
@member()
def inbox_export(request: MerchantRequest) -> StreamingHttpResponse:
    """The list with its filter, all pages, as CSV, without the messages' bodies."""
    state = replace(InboxState.read(request.GET), after="")
    note_export(request, "inbox", request.merchant.public_id, state.query())
    return stream_csv(file_name("messages"), COLUMNS, _lines(request.tenant, state))


def _lines(tenant: Tenant, state: InboxState) -> Iterator[Sequence[object]]:
    while True:
        page = state.page(tenant, limit=_CHUNK)
        yield from (_line(row) for row in page.rows)
        if page.next is None:
            return
        state = replace(state, after=page.next)


def _line(row: InboundEvent) -> Sequence[object]:
    return (
        row.public_id,
        utc(row.received_at),
        row.connection.label,
        row.connection.public_id,
        row.connection.provider,
        row.type,
        row.event_id,
        row.state,
        row.outcome,
        row.sentence,
        row.event_ref,
        row.facts.get("participant", ""),
        row.facts.get("email", ""),
        row.attempts,
        utc(row.processed_at),
        row.came_by,
        last_line(row.error),
    )
