"""Addresses of what payouts obey: the switch and the limits. They stand before those of single batches."""

from __future__ import annotations

from django.urls import path

from referrals.web import payout_safety

urlpatterns = [
    path("settings/payouts/safety/", payout_safety.safety, name="payout_safety"),
    path("settings/payouts/safety/stop/", payout_safety.stop, name="payouts_stop"),
    path("settings/payouts/safety/go-on/", payout_safety.go_on, name="payouts_go_on"),
    path("settings/payouts/safety/limits/", payout_safety.limit, name="payout_limit"),
]
