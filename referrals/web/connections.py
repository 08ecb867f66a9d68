"""Connections: what can be connected, how each one is doing, what it sent and what that led to."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from integrations import installing, listening, reconciling, registry, services, setup, trying
from integrations.base import Provider
from integrations.models import Connection, InboundEvent, Reconciliation
from integrations.sandbox import sending as sandbox
from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.lib.pages import PageError, keyset, render_part
from referrals.web.access import MerchantRequest, member, own, refused
from referrals.web.campaign_forms import apply_refusal
from referrals.web.connection_forms import ConnectionForm, InstallForm
from referrals.web.filters import one_of
from referrals.web.inbox_state import STATES

PAGE_SIZE = 50
CONNECTIONS_SHOWN = 50
TONES = {"ok": "issued", "todo": "due", "warn": "due", "fail": "problem"}


@dataclass(frozen=True, slots=True)
class Card:
    """A connection as the list shows it."""

    row: Connection
    provider: Provider
    health: services.Health
    tone: str
    compared: Reconciliation | None = None

    @classmethod
    def of(cls, row: Connection, compared: Reconciliation | None = None) -> Card:
        """With its provider, its health, and its last comparison with what the company keeps."""
        found = services.health(row)
        return cls(row, registry.get(row.provider), found, TONES[found.tone], compared)

    @property
    def compared_words(self) -> str:
        """What the comparison found."""
        return reconciling.words(self.compared) if self.compared else ""

    @property
    def pays(self) -> str:
        """The ways in which it delivers rewards, "" for none."""
        return ", ".join(str(way.label) for way in self.provider.ways)

    @property
    def can_try(self) -> bool:
        """Whether a test message can be sent to it: on the test side, once its secrets are there."""
        return bool(trying.kinds(self.row))


@member(change=Role.ADMIN)
def connections(request: MerchantRequest) -> HttpResponse:
    """All connections, and the ways to make one; a POST begins a connection to `provider`."""
    if request.method == "POST":
        try:
            row = services.connect(
                tenant=request.tenant, actor=request.actor, provider=request.POST.get("provider", "")
            )
        except Refused as error:
            return refused(request, error, back=reverse("web:connections"))
        return redirect("web:connection", row.public_id)
    rows = list(
        Connection.objects.for_tenant(request.tenant)
        .filter(removed_at=None)
        .select_related("inbound_endpoint")
        .order_by("-pk")[:CONNECTIONS_SHOWN]
    )
    compared = reconciling.latest(rows)
    context = {
        "cards": [Card.of(row, compared.get(row.pk)) for row in rows],
        "groups": _groups(),
        "may_change": request.membership.may(Role.ADMIN),
        "docs_url": _first_url("api:docs", "api:reference", "web:developers"),
    }
    return render(request, "web/connections/list.html", context)


def _groups() -> list[tuple[str, str, list[Provider]]]:
    """Who can be connected, under a heading each with an id: who tells of payments, and who only pays. No empty ones."""
    every = registry.every()
    found = [
        ("telling", _("Tells of payments"), [kind for kind in every if kind.tells]),
        ("paying", _("Pays rewards"), [kind for kind in every if not kind.tells]),
    ]
    return [group for group in found if group[2]]


def _first_url(*names: str) -> str:
    """The first of these pages that exists."""
    for name in names:
        try:
            return reverse(name)
        except NoReverseMatch:
            continue
    return ""


@require_GET
@member()
def connection(request: MerchantRequest, public_id: str) -> HttpResponse:
    """How it is doing, how to set it up, and what it sent."""
    row = own(Connection.objects.select_related("inbound_endpoint"), request, public_id)
    provider = registry.get(row.provider)
    return _page(request, row, provider, ConnectionForm.of(row))


def _page(
    request: MerchantRequest,
    row: Connection,
    provider: Provider,
    form: ConnectionForm,
    status: int = 200,
    made: tuple[str, str] | None = None,
) -> HttpResponse:
    state = one_of(request.GET, "state", STATES)
    found = InboundEvent.objects.for_tenant(request.tenant).filter(connection=row).defer("body", "headers", "error")
    if state:
        found = found.filter(state=state)
    try:
        page = keyset(found, sort="-id", cursor=request.GET.get("after", "")[:400], limit=PAGE_SIZE)
    except PageError as error:
        raise BadRequest(str(error)) from error
    card = Card.of(row, reconciling.latest([row]).get(row.pk))
    context = {
        "card": card,
        "compares": bool(provider.pull),
        "compare_lacks": reconciling.lacks(row),
        "may_compare": request.membership.may(Role.MANAGER) and reconciling.is_possible(row),
        "provider": provider,
        "install": _install_form(row, provider) if installing.is_possible(row) else None,
        "is_ready": row.removed_at is None and services.is_ready(row),
        "address": listening.waits(row),
        "made_up": row.is_test and bool(row.settings.get(sandbox.SETTING)),
        "is_played": sandbox.is_played(row),
        "stand_in_money": sandbox.last_money(row) if sandbox.is_played(row) else [],
        "addresses": _addresses(request, row, provider),
        "made": made,
        "may_make": [field for field in provider.secrets if field.made],
        "guide_url": reverse("api:docs-guide", args=[f"connections/{provider.slug}"]),
        "form": form,
        "inbound": [(item, *STATES[item.state]) for item in page.rows],
        "state": state,
        "states": [(name, words) for name, (_tone, words) in STATES.items()],
        "prev_url": _list_url(row, state, page.previous) if page.previous else "",
        "next_url": _list_url(row, state, page.next) if page.next else "",
        "may_change": request.membership.may(Role.ADMIN) and row.removed_at is None,
    }
    return render_part(request, "web/connections/show.html", "web/connections/_inbound.html", context, status=status)


def _install_form(row: Connection, provider: Provider) -> InstallForm:
    """The one field of the way by a click, as it is known so far."""
    return InstallForm(provider, known=services.secrets_of(row).get(provider.install_field, ""))


def _addresses(request: MerchantRequest, row: Connection, provider: Provider) -> list[dict[str, str]]:
    """What to paste at the company, and what for. Where a secret stands in the address, only those see it who may change it."""
    may_see = request.membership.may(Role.ADMIN)
    whys = dict(provider.events)
    return [
        {"name": name, "why": str(whys.get(name, "")), "url": url}
        for name, url in setup.addresses(row, services.secrets_of(row) if may_see else {})
    ]


def _list_url(row: Connection, state: str, after: str) -> str:
    pairs = {name: value for name, value in (("state", state), ("after", after)) if value}
    return f"{reverse('web:connection', args=[row.public_id])}?{urlencode(pairs)}"


@require_POST
@member(change=Role.ADMIN)
def connection_secrets(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Save what was pasted. What is wrong is said next to its field, and no secret is sent back."""
    row = own(Connection.objects.all(), request, public_id)
    provider = registry.get(row.provider)
    was_ready = services.is_ready(row)
    if request.POST.get("make"):
        return _made(request, row, provider, request.POST["make"])
    form = ConnectionForm.of(row, request.POST)
    if not form.is_valid():
        return _page(request, row, provider, form, status=422)
    try:
        services.update_secrets(
            connection=row,
            actor=request.actor,
            secrets=form.secrets(),
            remove=form.removed(),
            settings=form.settings(),
            label=form.cleaned_data["label"],
        )
    except Refused as error:
        return _page(request, row, provider, form, status=max(apply_refusal(form, error), 422))
    row.refresh_from_db()
    if was_ready or (not services.is_ready(row) and listening.waits(row) is None):
        messages.success(request, _("The connection is saved."))
    elif not services.is_ready(row):
        words = _("The key is saved. The address for messages is being made in %(provider)s; look again in a minute.")
        messages.success(request, words % {"provider": provider.label})
    elif not provider.tells:
        messages.success(
            request, _("%(provider)s is connected. You can pay rewards through it.") % {"provider": provider.label}
        )
    else:
        words = _("%(provider)s is connected. Send a test message from there, or wait for the first payment.")
        messages.success(request, words % {"provider": provider.label})
    return redirect("web:connection", row.public_id)


def _made(request: MerchantRequest, row: Connection, provider: Provider, name: str) -> HttpResponse:
    """A secret made by us, shown this once."""
    try:
        value = services.make_secret(connection=row, actor=request.actor, name=name)
    except Refused as error:
        return refused(request, error, back=reverse("web:connection", args=[row.public_id]))
    row.refresh_from_db()
    label = next(str(field.label) for field in provider.secrets if field.name == name)
    shown = None if name == provider.address_key else (label, value)
    response = _page(request, row, provider, ConnectionForm.of(row), made=shown)
    response["Cache-Control"] = "no-store"
    return response


@member(change=Role.ADMIN)
def connection_disconnect(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Ask, then disconnect."""
    row = own(Connection.objects.all(), request, public_id)
    if request.method != "POST":
        return render(request, "web/connections/disconnect.html", {"card": Card.of(row)})
    try:
        gone = services.leave(connection=row, actor=request.actor)
    except Refused as error:
        return refused(request, error, back=reverse("web:connections"))
    words = {"provider": registry.get(row.provider).label}
    messages.success(request, _("%(provider)s is disconnected.") % words)
    if not gone:
        left = _(
            "Look in %(provider)s for what we made there, which could not be deleted: the endpoint, and promotion codes."
        )
        messages.warning(request, left % words)
    return redirect("web:connections")


@require_POST
@member()
def connection_reconcile(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Compare what the company keeps with what arrived here, now and not only at night."""
    row = own(Connection.objects.all(), request, public_id)
    back = reverse("web:connection", args=[row.public_id])
    try:
        reconciling.ask(connection=row, longest="longest" in request.POST)
    except Refused as error:
        return refused(request, error, back=back)
    messages.success(request, _("It is being compared. Reload the page in a moment."))
    return redirect(back)


@require_POST
@member(role=Role.ADMIN)
def connection_listen(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Have the address for messages made again, or once more after a failure."""
    row = own(Connection.objects.all(), request, public_id)
    services.listen(connection=row)
    messages.success(request, _("It is tried again. Look again in a minute."))
    return redirect("web:connection", row.public_id)
