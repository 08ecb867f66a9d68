"""Connections and what they sent, for operators: to read, without secrets."""

from __future__ import annotations

from django.contrib import admin

from integrations.models import Connection, InboundEvent, WebhookDelivery, WebhookEndpoint
from referrals.accounts.operators import LookOnly


@admin.register(Connection)
class ConnectionAdmin(LookOnly):
    """Accounts at providers."""

    list_display = (
        "__str__",
        "provider",
        "merchant",
        "is_test",
        "last_event_at",
        "failing_since",
        "refused",
        "removed_at",
    )
    list_select_related = ("merchant",)
    list_filter = ("provider", "is_test")
    search_fields = ("=public_id", "merchant__name")
    exclude = ("sealed",)


@admin.register(InboundEvent)
class InboundEventAdmin(LookOnly):
    """Deliveries, without their bodies."""

    list_display = ("received_at", "type", "event_id", "connection", "state", "outcome", "attempts")
    list_select_related = ("connection",)
    list_filter = ("state",)
    search_fields = ("=public_id", "=event_id")
    exclude = ("body", "headers")
    ordering = ("-pk",)


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(LookOnly):
    """Where merchants have messages sent, without the secrets."""

    list_display = ("__str__", "merchant", "is_test", "failing_since", "failures", "disabled_reason", "removed_at")
    list_select_related = ("merchant",)
    list_filter = ("is_test", "disabled_reason")
    search_fields = ("=public_id", "merchant__name")
    exclude = ("sealed",)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(LookOnly):
    """Messages to merchants' systems, without their bodies."""

    list_display = ("created_at", "type", "message_id", "endpoint", "state", "attempts", "last_status", "last_error")
    list_select_related = ("endpoint",)
    list_filter = ("state",)
    search_fields = ("=public_id", "=message_id")
    exclude = ("body",)
    ordering = ("-pk",)
