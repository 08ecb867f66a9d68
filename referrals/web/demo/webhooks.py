"""The demo's webhooks: an endpoint of the test side that was told what was simulated there, and once did not answer."""

from __future__ import annotations

from integrations import endpoints, outbox
from integrations.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock


def begin(tenant: Tenant, owner: Actor) -> WebhookEndpoint:
    """The endpoint, before anything happens."""
    url = "https://hooks.halden.example/passalong"
    return endpoints.create(tenant=tenant, actor=owner, url=url, label="Halden's CRM")[0]


def tell(endpoint: WebhookEndpoint) -> None:
    """What happened is laid out and was sent: the last message is waiting for its second try to no avail."""
    while outbox.dispatch():
        pass
    now = clock.wall()
    rows = WebhookDelivery.objects.filter(endpoint=endpoint)
    for number, row in enumerate(rows.order_by("pk")):
        WebhookAttempt.objects.create(delivery=row, at=now, ms=80 + 7 * number, status=200, answer="ok")
    rows.update(state="delivered", attempts=1, next_attempt_at=None, delivered_at=now, last_status=200, created_at=now)
    last = rows.order_by("-pk")[0]
    WebhookAttempt.objects.filter(delivery=last).update(status=503, answer="Down for maintenance", retry_after="120")
    WebhookDelivery.objects.filter(pk=last.pk).update(state="failed", attempts=10, last_status=503, delivered_at=None)
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(last_success_at=now)
