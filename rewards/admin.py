"""Money for operators: to read, superusers included. It moves through services only, which keep the ledger true."""

from __future__ import annotations

from django.contrib import admin

from referrals.accounts.operators import LookOnly
from rewards.models import Decision, LedgerEntry, Payout, PayoutAttempt, PayoutBatch, PayoutItem, Reward, RewardTally


@admin.register(Reward)
class RewardAdmin(LookOnly):
    """What is owed."""

    list_display = ("public_id", "participant", "side", "amount", "state", "reason", "stage_at", "merchant", "is_test")
    list_select_related = ("participant", "merchant")
    list_filter = ("state", "side", "is_test")
    search_fields = ("=public_id", "=participant__email_key")
    ordering = ("-pk",)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(LookOnly):
    """The ledger."""

    list_display = ("created_at", "key", "participant", "side", "kind", "amount", "actor")
    list_select_related = ("participant",)
    list_filter = ("kind", "side")
    search_fields = ("=key", "=participant__email_key")
    ordering = ("-pk",)


@admin.register(Decision)
class DecisionAdmin(LookOnly):
    """Why, and why not."""

    list_display = ("decided_at", "event", "rule_key", "side", "rewardable", "reason", "current")
    list_select_related = ("event",)
    list_filter = ("rewardable", "current")
    search_fields = ("=event__public_id", "=rule_key")
    ordering = ("-pk",)


@admin.register(PayoutBatch)
class PayoutBatchAdmin(LookOnly):
    """What was issued together."""

    list_display = ("public_id", "merchant", "is_test", "method", "created_by", "created_at", "undone_at")
    list_select_related = ("merchant",)
    search_fields = ("=public_id",)


@admin.register(Payout)
class PayoutAdmin(LookOnly):
    """One delivery to one person."""

    list_display = ("public_id", "participant", "amount", "method", "status", "reference", "created_at", "paid_at")
    list_select_related = ("participant",)
    list_filter = ("status", "method")
    search_fields = ("=public_id", "=reference", "=participant__email_key")


@admin.register(PayoutItem)
class PayoutItemAdmin(LookOnly):
    """Which reward went out in which payout."""

    list_display = ("payout", "reward", "amount_minor")
    list_select_related = ("payout", "reward", "reward__participant")
    search_fields = ("=payout__public_id", "=reward__public_id")


@admin.register(PayoutAttempt)
class PayoutAttemptAdmin(LookOnly):
    """Each try at sending a payout, and what the company said."""

    list_display = ("payout", "number", "state", "reference", "began_at", "ended_at")
    list_select_related = ("payout",)
    search_fields = ("=payout__public_id", "=reference")


@admin.register(RewardTally)
class RewardTallyAdmin(LookOnly):
    """The pipeline's running sums."""

    list_display = ("campaign", "state", "currency", "count", "amount_minor")
    list_select_related = ("campaign",)
