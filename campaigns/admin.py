"""Campaigns for operators: to read. They are changed on the merchant's pages, which keep versions and history."""

from __future__ import annotations

from django.contrib import admin

from campaigns.models import Campaign, CampaignImage, CampaignText, CampaignVersion, RewardRule, RuleTier, StatusChange
from referrals.accounts.operators import LookOnly


@admin.register(Campaign)
class CampaignAdmin(LookOnly):
    """Campaigns with their status."""

    list_display = ("name", "public_id", "merchant", "is_test", "status", "currency", "created_at")
    list_select_related = ("merchant",)
    list_filter = ("status", "type", "is_test")
    search_fields = ("name", "=public_id", "merchant__name")


@admin.register(CampaignVersion)
class CampaignVersionAdmin(LookOnly):
    """Published sets of rules."""

    list_display = ("campaign", "number", "published_at", "published_by")
    list_select_related = ("campaign", "published_by")
    search_fields = ("=campaign__public_id",)


@admin.register(RewardRule)
class RewardRuleAdmin(LookOnly):
    """The rules of each version."""

    list_display = ("version", "key", "side", "trigger", "amount_type", "amount_minor", "percent", "review_days")
    list_select_related = ("version",)
    search_fields = ("=key", "=version__campaign__public_id")


@admin.register(RuleTier)
class RuleTierAdmin(LookOnly):
    """The tiers and prizes of each rule."""

    list_display = ("rule", "first", "last", "amount_type", "amount_minor", "percent", "units")
    list_select_related = ("rule",)


@admin.register(StatusChange)
class StatusChangeAdmin(LookOnly):
    """From when a campaign had which status."""

    list_display = ("campaign", "status", "at")
    list_select_related = ("campaign",)
    search_fields = ("=campaign__public_id",)


@admin.register(CampaignText)
class CampaignTextAdmin(LookOnly):
    """What the pages say."""

    list_display = ("campaign", "language", "reward_header")
    list_select_related = ("campaign",)
    search_fields = ("=campaign__public_id",)


@admin.register(CampaignImage)
class CampaignImageAdmin(LookOnly):
    """Pictures, without their bytes."""

    list_display = ("campaign", "kind", "width", "height", "digest")
    list_select_related = ("campaign",)
    exclude = ("content",)
