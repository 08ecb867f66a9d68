"""Addresses of rewards and payouts."""

from __future__ import annotations

from django.urls import path

from referrals.web import exports, payouts, rewards

urlpatterns = [
    path("rewards/", rewards.rewards, name="rewards"),
    path("rewards/act/", rewards.act, name="rewards_act"),
    path("rewards/export.csv", exports.rewards_export, name="rewards_export"),
    path("rewards/<str:public_id>/", rewards.reward, name="reward"),
    path("payouts/", payouts.payouts, name="payouts"),
    path("payouts/<str:public_id>/", payouts.payout_batch, name="payout_batch"),
    path("payouts/<str:public_id>/undo/", payouts.payout_undo, name="payout_undo"),
    path("payouts/<str:public_id>/export.csv", exports.payout_export, name="payout_export"),
]
