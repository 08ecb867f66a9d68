"""Merchant pages under /app/. Each group of pages lists its own addresses; all share the namespace `web`."""

from __future__ import annotations

from django.urls import include, path

app_name = "web"
urlpatterns = [
    path("", include("referrals.web.campaign_urls")),
    path("", include("referrals.web.application_urls")),
    path("", include("referrals.web.purchase_urls")),
    path("", include("referrals.web.payout_setting_urls")),
    path("", include("referrals.web.reward_urls")),
    path("", include("referrals.web.fraud_urls")),
    path("", include("referrals.web.connection_urls")),
    path("", include("referrals.web.webhook_urls")),
    path("", include("referrals.web.account_urls")),
]
