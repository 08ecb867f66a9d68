"""People and what they did, for operators: to read."""

from __future__ import annotations

from django.contrib import admin

from participants.models import (
    CustomerReference,
    CustomerUpload,
    EventReference,
    KnownCustomer,
    Participant,
    PortalLink,
    PortalSession,
    QualifyingEvent,
    Referral,
    Refund,
    Visit,
    WaitingEvent,
)
from referrals.accounts.operators import LookOnly


@admin.register(Participant)
class ParticipantAdmin(LookOnly):
    """Participants of all merchants."""

    list_display = ("email", "public_id", "campaign", "merchant", "is_test", "referral_code", "joined_at", "banned_at")
    list_select_related = ("campaign", "merchant")
    list_filter = ("is_test",)
    search_fields = ("=email_key", "=public_id", "=referral_code")


@admin.register(Referral)
class ReferralAdmin(LookOnly):
    """Who came through whom."""

    list_display = ("referrer", "invitee", "campaign", "how", "status", "created_at", "detached_at")
    list_select_related = ("referrer", "invitee", "campaign")
    search_fields = ("=referrer__email_key", "=invitee__email_key")


@admin.register(QualifyingEvent)
class QualifyingEventAdmin(LookOnly):
    """What may earn rewards."""

    list_display = ("public_id", "participant", "type", "amount", "source", "external_id", "occurred_at")
    list_select_related = ("participant",)
    search_fields = ("=public_id", "=external_id", "=participant__email_key")


@admin.register(Refund)
class RefundAdmin(LookOnly):
    """What was taken back."""

    list_display = ("public_id", "kind", "amount_minor", "currency", "source", "external_id", "occurred_at")
    search_fields = ("=public_id", "=external_id")


@admin.register(EventReference)
class EventReferenceAdmin(LookOnly):
    """Other names of a payment."""

    list_display = ("source", "reference", "event")
    list_select_related = ("event",)
    search_fields = ("=reference",)


@admin.register(CustomerReference)
class CustomerReferenceAdmin(LookOnly):
    """A source's names for people."""

    list_display = ("source", "customer_id", "participant")
    list_select_related = ("participant",)
    search_fields = ("=customer_id",)


@admin.register(Visit)
class VisitAdmin(LookOnly):
    """Opened links."""

    list_display = ("occurred_at", "campaign", "referrer", "hidden_reason", "channel", "network")
    list_select_related = ("campaign", "referrer")
    ordering = ("-pk",)


@admin.register(PortalLink)
class PortalLinkAdmin(LookOnly):
    """Mailed log-in links, without what would open them."""

    list_display = ("participant", "created_at", "sent_at", "used_at")
    list_select_related = ("participant",)
    exclude = ("nonce",)


@admin.register(PortalSession)
class PortalSessionAdmin(LookOnly):
    """Log-ins of participants, without their hashes."""

    list_display = ("participant", "created_at", "expires_at", "ended_at")
    list_select_related = ("participant",)
    exclude = ("token_hash",)


@admin.register(KnownCustomer)
class KnownCustomerAdmin(LookOnly):
    """Customers on a merchant's list, as hints."""

    list_display = ("hint", "since", "added_at")
    exclude = ("key",)


@admin.register(CustomerUpload)
class CustomerUploadAdmin(LookOnly):
    """Files with customers, without what stands in them."""

    list_display = ("name", "state", "rows", "added", "known", "wrong", "created_at")
    list_filter = ("state",)
    exclude = ("data", "columns", "wrong_rows")


@admin.register(WaitingEvent)
class WaitingEventAdmin(LookOnly):
    """Events that wait for their person."""

    list_display = ("recorded_at", "source", "customer_id", "type", "amount_minor", "currency", "found_at")
    search_fields = ("=customer_id", "=external_id")
