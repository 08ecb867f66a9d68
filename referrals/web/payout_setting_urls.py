"""Addresses of what payouts obey: how rewards are paid by themselves, the switch and the limits."""

from __future__ import annotations

from django.urls import path

from referrals.web import coupons, payout_routes, payout_safety, payout_veto, payout_waiting

urlpatterns = [
    path("payouts/waiting/", payout_waiting.payouts_waiting, name="payouts_waiting"),
    path("payouts/waiting/fund/", payout_waiting.payouts_fund, name="payouts_fund"),
    path("settings/payouts/", payout_routes.payout_routes, name="payout_routes"),
    path("settings/payouts/calendar/", payout_routes.payout_calendar, name="payout_calendar"),
    path("settings/payouts/ways/new/", payout_routes.payout_route_new, name="payout_route_new"),
    path("settings/payouts/ways/<str:public_id>/", payout_routes.payout_route, name="payout_route"),
    path(
        "settings/payouts/ways/<str:public_id>/remove/", payout_routes.payout_route_remove, name="payout_route_remove"
    ),
    path("settings/payouts/veto/", payout_veto.payout_veto, name="payout_veto"),
    path("settings/payouts/veto/save/", payout_veto.payout_veto_save, name="payout_veto_save"),
    path("settings/payouts/veto/secret/", payout_veto.payout_veto_rotate, name="payout_veto_rotate"),
    path("settings/payouts/veto/off/", payout_veto.payout_veto_off, name="payout_veto_off"),
    path("settings/payouts/veto/try/", payout_veto.payout_veto_try, name="payout_veto_try"),
    path("settings/payouts/safety/", payout_safety.safety, name="payout_safety"),
    path("settings/payouts/safety/stop/", payout_safety.stop, name="payouts_stop"),
    path("settings/payouts/safety/go-on/", payout_safety.go_on, name="payouts_go_on"),
    path("settings/payouts/safety/limits/", payout_safety.limit, name="payout_limit"),
    path("settings/coupons/", coupons.coupon_lists, name="coupon_lists"),
    path("settings/coupons/<str:public_id>/", coupons.coupon_list, name="coupon_list"),
    path("settings/coupons/<str:public_id>/codes/", coupons.coupon_fill, name="coupon_fill"),
    path("settings/coupons/<str:public_id>/close/", coupons.coupon_close, name="coupon_close"),
]
