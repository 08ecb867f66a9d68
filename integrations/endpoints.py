"""A merchant's webhook endpoints: where messages go, with which secrets, and sending some of them again (RELIABILITY section 3.1)."""

from __future__ import annotations

import base64
import os
import queue
import socket
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from integrations import outbox
from integrations.models import WebhookDelivery, WebhookEndpoint
from integrations.samples import sample_body
from integrations.webhook_models import KEPT
from referrals.accounts import limits
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.models import Event
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.addresses import is_host_name, read_address
from referrals.lib.errors import Refused
from referrals.lib.http import is_public

MOST = 16
MOST_SECRETS = 5
OVERLAP = timedelta(hours=24)
TESTS_A_MINUTE = 10
REPLAYS_AN_HOUR = 10
LOOK_UP_SECONDS = 2.0
# Names that never lead to the public internet, whatever a resolver says.
_PRIVATE_ENDS = (".localhost", ".local", ".internal", ".home.arpa", ".lan")


def create(
    *, tenant: Tenant, actor: Actor, url: str, label: str = "", chosen: Sequence[str] = ()
) -> tuple[WebhookEndpoint, str]:
    """A new endpoint and its secret, to be shown this once. Without `chosen` types it hears everything.

    Raises Refused: url_not_allowed, too_long, invalid_choice, too_many_endpoints (409).
    """
    secret, now = new_secret(), clock.wall()
    row = WebhookEndpoint(
        merchant=tenant.merchant,
        is_test=tenant.is_test,
        url=check_url(url, tenant),
        label=_label(label),
        types=check_types(chosen),
        created_at=clock.now(),
    )
    row.secrets = {"all": [{"secret": secret, "ends": None, "made": now.isoformat()}]}
    with transaction.atomic():
        type(tenant.merchant).objects.select_for_update(no_key=True).get(pk=tenant.merchant.pk)
        if WebhookEndpoint.objects.for_tenant(tenant).filter(removed_at=None).count() >= MOST:
            message = _("There are %(count)d endpoints already. Remove one that is not needed.")
            raise Refused("too_many_endpoints", message % {"count": MOST}, status=409)
        row.starts_after = outbox.begin()
        row.save(force_insert=True)
        record(tenant, actor, _happening(types.WEBHOOK_CREATED, row))
    return row, secret


def change(
    *,
    endpoint: WebhookEndpoint,
    actor: Actor,
    url: str | None = None,
    label: str | None = None,
    chosen: Sequence[str] | None = None,
) -> WebhookEndpoint:
    """Change what is given. What is under way goes to the new address. Raises what create() raises, and invalid_state (409)."""
    new_url = None if url is None else check_url(url, endpoint.tenant)
    with transaction.atomic():
        row = _locked(endpoint)
        before = (row.url, row.label, row.types)
        row.url = row.url if new_url is None else new_url
        row.label = row.label if label is None else _label(label)
        row.types = row.types if chosen is None else check_types(chosen)
        changed = [
            name
            for name, old, new in zip(("url", "label", "types"), before, (row.url, row.label, row.types), strict=True)
            if old != new
        ]
        if changed:
            row.save(update_fields=changed)
            record(row.tenant, actor, _happening(types.WEBHOOK_CHANGED, row, changed))
    return row


def rotate(*, endpoint: WebhookEndpoint, actor: Actor) -> tuple[WebhookEndpoint, str]:
    """A new secret, to be shown this once; those before sign along for 24 hours more.

    Raises Refused too_many_secrets (409) while five sign, and invalid_state (409).
    """
    secret, now = new_secret(), clock.wall()
    with transaction.atomic():
        row = _locked(endpoint)
        kept = [one for one in row.secrets["all"] if one["ends"] is None or datetime.fromisoformat(one["ends"]) > now]
        if len(kept) >= MOST_SECRETS:
            raise Refused("too_many_secrets", _("Five secrets sign at present. Wait until one has ended."), status=409)
        ends = (now + OVERLAP).isoformat()
        kept = [one | {"ends": one["ends"] or ends} for one in kept]
        row.secrets = {"all": [{"secret": secret, "ends": None, "made": now.isoformat()}, *kept]}
        row.save(update_fields=["sealed"])
        record(row.tenant, actor, _happening(types.WEBHOOK_ROTATED, row))
    return row, secret


def disable(*, endpoint: WebhookEndpoint, actor: Actor) -> WebhookEndpoint:
    """Send nothing from now on; what waits is not sent. Enabling undoes it. Refused invalid_state (409)."""
    with transaction.atomic():
        row = _locked(endpoint)
        if row.disabled_at is not None:
            raise Refused("invalid_state", _("This endpoint is disabled already."), status=409)
        stop(row, "by_hand", actor)
    return row


def stop(row: WebhookEndpoint, reason: str, actor: Actor) -> None:
    """Disable a locked, enabled endpoint in the caller's transaction."""
    row.disabled_at, row.disabled_reason = clock.wall(), reason
    row.save(update_fields=["disabled_at", "disabled_reason"])
    _drop_waiting(row)
    record(row.tenant, actor, _happening(types.WEBHOOK_DISABLED, row, [reason]))


def enable(*, endpoint: WebhookEndpoint, actor: Actor, since: datetime | None = None) -> int:
    """Send again from now on; with `since` also what happened from then and was not delivered. Returns how many messages that are.

    Raises Refused invalid_state (409).
    """
    with transaction.atomic():
        row = _locked(endpoint)
        if row.disabled_at is None:
            raise Refused("invalid_state", _("This endpoint is enabled already."), status=409)
        row.disabled_at, row.disabled_reason, row.starts_after = None, "", outbox.begin()
        row.failing_since, row.failures, row.warned = None, 0, 0
        row.save(
            update_fields=["disabled_at", "disabled_reason", "starts_after", "failing_since", "failures", "warned"]
        )
        record(row.tenant, actor, _happening(types.WEBHOOK_ENABLED, row))
        return _replay(row, since) if since is not None else 0


def remove(*, endpoint: WebhookEndpoint, actor: Actor) -> WebhookEndpoint:
    """Send nothing any more and forget the secrets; what was sent stays to be looked at. Refused invalid_state (409)."""
    with transaction.atomic():
        row = _locked(endpoint)
        row.removed_at, row.secrets = clock.now(), {"all": []}
        row.save(update_fields=["removed_at", "sealed"])
        _drop_waiting(row)
        record(row.tenant, actor, _happening(types.WEBHOOK_REMOVED, row))
    return row


def resend(*, delivery: WebhookDelivery) -> WebhookDelivery:
    """Send one message once more, with a new round of tries; same id, same bytes.

    Refused invalid_state (409) while it is on its way, when the endpoint is disabled, and once a person in it was erased.
    """
    with transaction.atomic():
        endpoint = _locked(delivery.endpoint)
        _must_be_enabled(endpoint)
        moved = (
            WebhookDelivery.objects.filter(pk=delivery.pk)
            .exclude(state="sending")
            .exclude(body="")
            .update(state="pending", attempts=0, next_attempt_at=clock.wall(), delivered_at=None)
        )
        if not moved:
            message = _("This message can't be sent now. It is on its way, or a person in it was erased.")
            raise Refused("invalid_state", message, status=409)
    delivery.refresh_from_db()
    return delivery


def replay(*, endpoint: WebhookEndpoint, since: datetime) -> int:
    """Send again what happened since then and has not arrived, also what happened while the endpoint was disabled; how many.

    What is older than 30 days is not kept. Raises Refused: invalid_state (409), rate_limited (429).
    """
    key = f"webhook-replay:{endpoint.pk}"
    if not limits.allow(key, REPLAYS_AN_HOUR, 3600):
        raise Refused("rate_limited", _("That were many replays. Try again in an hour."), status=429)
    with transaction.atomic():
        row = _locked(endpoint)
        _must_be_enabled(row)
        return _replay(row, since)


def _replay(row: WebhookEndpoint, since: datetime) -> int:
    """Failed and stopped messages go out again; events without a message for this endpoint get one. Not those before 30 days ago."""
    now = clock.wall()
    since = max(since, now - KEPT)
    again = WebhookDelivery.objects.filter(endpoint=row, state__in=["failed", "stopped"]).exclude(body="")
    count = again.filter(created_at__gte=since).update(
        state="pending", attempts=0, next_attempt_at=now, delivered_at=None
    )
    wanted = types.WEBHOOK_TYPES if not row.types else set(row.types)
    missed = (
        Event.objects.for_tenant(row.tenant)
        .filter(created_at__gte=since, type__in=wanted, pk__lte=row.starts_after)
        .exclude(pk__in=WebhookDelivery.objects.filter(endpoint=row, event__isnull=False).values("event"))
        .order_by("pk")
    )
    while batch := list(missed[: outbox.BATCH]):
        count += outbox.deliver_pairs([(event, row) for event in batch], now)
    return count


def replay_failed(*, endpoint: WebhookEndpoint) -> int:
    """Send again all messages that failed for good; how many. Raises what replay() raises."""
    if not limits.allow(f"webhook-replay:{endpoint.pk}", REPLAYS_AN_HOUR, 3600):
        raise Refused("rate_limited", _("That were many replays. Try again in an hour."), status=429)
    with transaction.atomic():
        row = _locked(endpoint)
        _must_be_enabled(row)
        failed = WebhookDelivery.objects.filter(endpoint=row, state="failed").exclude(body="")
        return failed.update(state="pending", attempts=0, next_attempt_at=clock.wall(), delivered_at=None)


def send_test(*, endpoint: WebhookEndpoint, type_: str) -> WebhookDelivery:
    """Send a sample of this type. Raises Refused: invalid_choice, rate_limited (429), invalid_state (409)."""
    check_types([type_])
    if not limits.allow(f"webhook-test:{endpoint.merchant_id}", TESTS_A_MINUTE, 60):
        raise Refused("rate_limited", _("That were many tests. Try again in a minute."), status=429)
    with transaction.atomic():
        row = _locked(endpoint)
        _must_be_enabled(row)
        delivery = WebhookDelivery(
            merchant_id=row.merchant_id, is_test=row.is_test, endpoint=row, type=type_, is_sample=True,
            body=sample_body(type_, is_test=row.is_test),
        )  # fmt: skip
        delivery.message_id = delivery.subject_id = delivery.public_id
        delivery.save(force_insert=True)
    return delivery


def _must_be_enabled(row: WebhookEndpoint) -> None:
    if row.disabled_at is not None:
        raise Refused("invalid_state", _("This endpoint is disabled. Enable it first."), status=409)


def _locked(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    row = WebhookEndpoint.objects.select_for_update(no_key=True).select_related("merchant").get(pk=endpoint.pk)
    if row.removed_at is not None:
        raise Refused("invalid_state", _("This endpoint is removed. Add it anew."), status=409)
    return row


def _drop_waiting(row: WebhookEndpoint) -> None:
    waiting = WebhookDelivery.objects.filter(endpoint=row, next_attempt_at__isnull=False)
    waiting.update(state="stopped", next_attempt_at=None)


def new_secret() -> str:
    """`whsec_` and base64 of 32 random bytes (Standard Webhooks)."""
    return "whsec_" + base64.b64encode(os.urandom(32)).decode()


def check_types(chosen: Sequence[str]) -> list[str]:
    """The types in the documented order, each once; Refused invalid_choice names one that there is not."""
    for name in chosen:
        if name not in types.WEBHOOK_TYPES:
            message = _("%(name)r is not an event that webhooks tell of.") % {"name": str(name)[:40]}
            raise Refused("invalid_choice", message, field="types")
    return sorted(set(chosen))


def check_url(url: str, tenant: Tenant) -> str:
    """The address if messages may go there; Refused url_not_allowed says what is wrong (RELIABILITY section 6, row 22).

    https, a public name, port 443, 8443 or 1024 and above, no user name. What LOCAL_WEBHOOKS names is allowed on the test side, over
    http too. Where the name leads to is asked by refuse_private() outside of any transaction, and again at every connection.
    """
    url = url.strip()
    found = read_address(url)
    if found is None or found.fragment is not None:
        raise _not_allowed(_("Give an address such as https://hooks.example.com/passalong."))
    if is_local(found.host, found.port, tenant):
        return url
    if found.scheme != "https":
        raise _not_allowed(_("The address has to begin with https."))
    if ":" in found.host or not is_host_name(found.host) or found.host.endswith(_PRIVATE_ENDS):
        raise _not_allowed(_("The address has to be a public host name."))
    if found.port is not None and found.port not in {443, 8443} and found.port < 1024:
        raise _not_allowed(_("Port %(port)d can't be used. Use 443, 8443 or one from 1024.") % {"port": found.port})
    return url


def refuse_private(url: str, tenant: Tenant) -> None:
    """Look an address' host name up, before create() and change(): Refused url_not_allowed when it leads inside. Not in a transaction."""
    found = read_address(check_url(url, tenant))
    if found is None or is_local(found.host, found.port, tenant):
        return
    if not all(is_public(address) for address in look_up(found.host)):
        raise _not_allowed(_("The host name leads to an address that is not public."))


def is_local(host: str, port: int | None, tenant: Tenant) -> bool:
    """Whether this is one of the operator's own hosts, which the test side may reach (LOCAL_WEBHOOKS)."""
    name = f"[{host}]" if ":" in host else host
    return tenant.is_test and f"{name}:{port}" in settings.LOCAL_WEBHOOKS


def _not_allowed(message: str) -> Refused:
    return Refused("url_not_allowed", message, field="url")


def look_up(host: str) -> list[str]:
    """The addresses of a name; none when it has none, or when nobody answers within two seconds."""
    answers: queue.Queue[list[str]] = queue.Queue()

    def ask() -> None:
        try:
            infos = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
        except OSError:
            infos = []
        answers.put([str(info[4][0]) for info in infos])

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=LOOK_UP_SECONDS)
    except queue.Empty:
        return []


def _label(text: str) -> str:
    text = " ".join(text.replace("\x00", "").split())
    if len(text) > 80:
        raise Refused("too_long", _("A name has at most 80 characters."), field="label")
    return text


def _happening(type_: str, row: WebhookEndpoint, changed: Sequence[str] = ()) -> Happening:
    host = (read_address(row.url) or read_address("https://-.example")) if row.url else None
    data = {"host": host.host if host else "", "changed": list(changed)}
    return Happening(type_, "webhook_endpoint", row.public_id, data=data)
