"""Webhook pages: adding with a secret shown once, what can be done to an endpoint, and the list of deliveries."""

from __future__ import annotations

from datetime import timedelta

import pytest

from campaigns.models import Campaign
from integrations import endpoints, outbox
from integrations.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from referrals.lib import clock
from tests.factories import ACTOR, Cast, make_participant
from tests.web.helpers import freshen

LIST = "/app/developers/webhooks/"
HOOK = {"url": "https://hooks.example.com/in", "label": "CRM", "types": ["participant.created"]}


@pytest.fixture
def endpoint(alice: Cast) -> WebhookEndpoint:
    """Alice's, which wants everything."""
    return endpoints.create(tenant=alice.tenant, actor=ACTOR, url="https://hooks.example.com/in", label="CRM")[0]


def test_the_secret_is_shown_once_and_needs_a_fresh_log_in(alice: Cast) -> None:
    assert alice.client.post(LIST, HOOK).status_code == 302
    assert WebhookEndpoint.objects.count() == 0
    freshen(alice.client, alice.user)
    answer = alice.client.post(LIST, HOOK).content.decode()
    row = WebhookEndpoint.objects.get()
    (secret,) = row.live_secrets(clock.wall())
    assert secret.startswith("whsec_")
    assert secret.replace("+", "&#x2B;") in answer or secret in answer
    page = f"{LIST}{row.public_id}/"
    assert secret not in alice.client.get(page).content.decode() + alice.client.get(LIST).content.decode()
    newer = alice.client.post(f"{page}rotate/")
    assert newer.status_code == 200
    row.refresh_from_db()
    assert len(row.live_secrets(clock.wall())) == 2


@pytest.mark.parametrize("url", ["http://hooks.example.com/", "https://localhost/", "https://10.0.0.1/x", "nonsense"])
def test_a_wrong_address_is_refused_next_to_its_field(alice: Cast, url: str) -> None:
    freshen(alice.client, alice.user)
    answer = alice.client.post(LIST, {**HOOK, "url": url})
    assert answer.status_code == 422
    assert answer.context["form"].errors["url"]
    assert WebhookEndpoint.objects.count() == 0


def test_what_can_be_done_to_an_endpoint(alice: Cast, bob: Cast, campaign: Campaign, endpoint: WebhookEndpoint) -> None:
    page = f"{LIST}{endpoint.public_id}/"
    assert bob.client.post(f"{page}disable/").status_code == 403
    alice.client.post(page, {**HOOK, "label": "Shop"})
    endpoint.refresh_from_db()
    assert (endpoint.label, endpoint.types) == ("Shop", ["participant.created"])
    answer = alice.client.post(f"{page}test/", {"type": "reward.due"})
    delivery = WebhookDelivery.objects.get()
    assert answer["Location"] == f"/app/developers/deliveries/{delivery.public_id}/"
    assert (delivery.is_sample, delivery.type) == (True, "reward.due")
    alice.client.post(f"{page}disable/")
    make_participant(campaign)
    alice.client.post(f"{page}enable/", {"since": "1"})
    delivery.refresh_from_db()
    assert delivery.state == "pending"
    told = WebhookDelivery.objects.exclude(pk=delivery.pk).values_list("type", "state")
    assert list(told) == [("participant.created", "pending")]
    WebhookDelivery.objects.update(state="failed", next_attempt_at=None)
    alice.client.post(f"{page}replay/")
    assert set(WebhookDelivery.objects.values_list("state", flat=True)) == {"pending"}
    alice.client.post(f"{page}remove/")
    endpoint.refresh_from_db()
    assert endpoint.removed_at is not None
    assert alice.client.get(page).status_code == 200
    assert alice.client.get(LIST).context["endpoints"] == []


def test_deliveries_are_listed_filtered_shown_and_exported(
    alice: Cast, charlie: Cast, campaign: Campaign, endpoint: WebhookEndpoint
) -> None:
    for number in range(3):
        make_participant(campaign, f"p{number}@example.com", first_name="<b>Ada</b>")
    while outbox.dispatch():
        pass
    failed = WebhookDelivery.objects.order_by("pk")[0]
    WebhookDelivery.objects.filter(pk=failed.pk).update(
        state="failed", last_status=500, attempts=10, next_attempt_at=None, created_at=clock.wall() - timedelta(days=1)
    )
    WebhookAttempt.objects.create(delivery=failed, status=500, ms=87, answer="<script>alert(1)</script>")
    base = "/app/developers/deliveries/"
    assert len(alice.client.get(base).context["rows"]) == 3
    (found,) = alice.client.get(f"{base}?state=failed&endpoint={endpoint.public_id}").context["rows"]
    assert found[0].pk == failed.pk
    assert len(alice.client.get(f"{base}?q={failed.message_id}").context["rows"]) == 1
    assert alice.client.get(f"{base}?after=damaged").status_code == 400
    text = alice.client.get(f"{base}{failed.public_id}/").content.decode()
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text
    assert "p0@example.com" in text
    assert charlie.client.get(f"{base}{failed.public_id}/").status_code == 404
    assert charlie.client.get(base).context["rows"] == []
    file = b"".join(alice.client.get(f"{base}export/?state=failed")).decode("utf-8-sig").splitlines()
    assert len(file) == 2
    assert file[1].split(",")[8:11] == ['"failed"', '"10"', '"500"']
    alice.client.post(f"{base}{failed.public_id}/resend/")
    failed.refresh_from_db()
    assert (failed.state, failed.attempts) == ("pending", 0)
