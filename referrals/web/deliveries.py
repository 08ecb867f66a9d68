"""Developers, Deliveries: what was sent to webhook endpoints in the last 30 days, each try and its answer, and sending once more."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST, require_safe

from integrations import endpoints
from integrations.models import WebhookDelivery, WebhookEndpoint
from integrations.samples import ABOUT
from referrals.accounts.models import Role
from referrals.accounts.tenancy import Tenant, TenantQuerySet
from referrals.lib.errors import Refused
from referrals.lib.pages import Page, PageError, keyset, render_part
from referrals.web.access import MerchantRequest, member, refused
from referrals.web.exports import file_name, note_export, stream_csv, utc
from referrals.web.filters import one_of
from referrals.web.webhooks import STATES

PAGE_SIZE = 50
_CHUNK = 500
COLUMNS = (
    "id", "created_at", "endpoint_id", "url", "type", "webhook_id", "object", "sample", "state", "attempts", "last_status", "last_error",
    "delivered_at",
)  # fmt: skip


# Why a try had no answer (referrals.lib.http.ERRORS), in words.
ERRORS = {
    "blocked_address": lazy("The host name leads to an address that is not public."),
    "unknown_host": lazy("The host name is not known."),
    "no_connection": lazy("There was no connection."),
    "tls": lazy("Its certificate is not valid."),
    "timeout": lazy("There was no answer in time."),
    "broken": lazy("The connection broke off."),
}


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """What the address of the list says: a filter, and where in the list."""

    endpoint: str = ""
    state: str = ""
    type: str = ""
    q: str = ""
    after: str = ""

    @classmethod
    def read(cls, query: QueryDict) -> DeliveryState:
        """From the address. BadFilter names a value that is in no list."""
        return cls(
            query.get("endpoint", "")[:32],
            one_of(query, "state", STATES),
            one_of(query, "type", ABOUT),
            query.get("q", "").strip()[:64],
            query.get("after", "")[:600],
        )

    def rows(self, tenant: Tenant) -> TenantQuerySet[WebhookDelivery]:
        """The tenant's deliveries with the filter."""
        rows = WebhookDelivery.objects.for_tenant(tenant).select_related("endpoint").defer("body")
        if self.endpoint:
            rows = rows.filter(endpoint__public_id=self.endpoint)
        if self.q:
            rows = rows.filter(message_id=self.q) | rows.filter(subject_id=self.q)
        wanted = {name: value for name, value in (("state", self.state), ("type", self.type)) if value}
        return rows.filter(**wanted)

    def query(self) -> str:
        """The filter as it stands in an address, without the place."""
        pairs = {"endpoint": self.endpoint, "state": self.state, "type": self.type, "q": self.q}
        return urlencode({name: value for name, value in pairs.items() if value})

    def url(self, name: str = "web:deliveries", after: str = "") -> str:
        """The address of a page of this list."""
        parts = [part for part in (self.query(), urlencode({"after": after}) if after else "") if part]
        return reverse(name) + (f"?{'&'.join(parts)}" if parts else "")


def _page(state: DeliveryState, tenant: Tenant, limit: int = PAGE_SIZE) -> Page[WebhookDelivery]:
    rows = state.rows(tenant)
    return keyset(rows, sort="-pk", cursor=state.after, limit=limit)


@require_safe
@member()
def delivery_list(request: MerchantRequest) -> HttpResponse:
    """The list, newest first; `part` for htmx."""
    state, status = DeliveryState.read(request.GET), 200
    try:
        page = _page(state, request.tenant)
    except PageError:
        state, status = replace(state, after=""), 400
        page = _page(state, request.tenant)
    known = WebhookEndpoint.objects.for_tenant(request.tenant).order_by("-pk")[:50]
    context = {
        "state": state,
        "rows": [(row, *STATES[row.state]) for row in page.rows],
        "endpoints": [(row.public_id, str(row)) for row in known],
        "states": [(name, label) for name, (_tone, label) in STATES.items()],
        "types": list(ABOUT),
        "export_url": state.url("web:deliveries_export"),
        "prev_url": state.url(after=page.previous) if page.previous else "",
        "next_url": state.url(after=page.next) if page.next else "",
        "count_text": ngettext("%(n)d delivery shown", "%(n)d deliveries shown", len(page.rows))
        % {"n": len(page.rows)},
        "filtered": bool(state.query()),
    }
    return render_part(request, "web/webhooks/deliveries.html", "web/webhooks/_deliveries.html", context, status=status)


@require_safe
@member()
def delivery_export(request: MerchantRequest) -> StreamingHttpResponse:
    """The list with its filter as a file, all pages; without the bodies, which name people."""
    state = replace(DeliveryState.read(request.GET), after="")
    note_export(request, "deliveries", state.endpoint or "all", state.query())
    return stream_csv(file_name("deliveries"), COLUMNS, _lines(state, request.tenant))


def _lines(state: DeliveryState, tenant: Tenant) -> Iterator[Sequence[object]]:
    while True:
        page = _page(state, tenant, _CHUNK)
        for row in page.rows:
            yield (
                row.public_id, utc(row.created_at), row.endpoint.public_id, row.endpoint.url, row.type, row.message_id, row.subject_id,
                "yes" if row.is_sample else "no", row.state, row.attempts, row.last_status or "", row.last_error, utc(row.delivered_at),
            )  # fmt: skip
        if page.next is None:
            return
        state = replace(state, after=page.next)


@require_GET
@member()
def delivery_page(request: MerchantRequest, public_id: str) -> HttpResponse:
    """One message: its tries with their answers, and its body."""
    row = _delivery(request.tenant, public_id)
    tone, label = STATES[row.state]
    context = {
        "row": row,
        "tone": tone,
        "words": label,
        "tries": [(one, ERRORS.get(one.error, one.error)) for one in row.tries.order_by("-pk")[:100]],
        "body": _pretty(row.body),
        "about": ABOUT.get(row.type, ""),
        "may_manage": request.membership.may(Role.MANAGER),
    }
    return render(request, "web/webhooks/delivery.html", context)


def _pretty(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body


@member()
@require_POST
def resend(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Send one message once more."""
    row = _delivery(request.tenant, public_id)
    back = reverse("web:delivery", args=[row.public_id])
    try:
        endpoints.resend(delivery=row)
    except Refused as error:
        return refused(request, error, back=back)
    messages.success(request, _("It goes out again. Reload this page in a moment."))
    return redirect(back)


def _delivery(tenant: Tenant, public_id: str) -> WebhookDelivery:
    rows = WebhookDelivery.objects.for_tenant(tenant).select_related("endpoint__merchant")
    found = rows.filter(public_id=public_id).first()
    if found is None:
        raise Http404
    return found
