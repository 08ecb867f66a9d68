"""Addresses of webhook endpoints and their deliveries."""

from __future__ import annotations

from django.urls import path

from referrals.web import deliveries, webhooks

urlpatterns = [
    path("developers/webhooks/", webhooks.webhooks, name="webhooks"),
    path("developers/webhooks/<str:public_id>/", webhooks.endpoint_page, name="webhook"),
    path("developers/webhooks/<str:public_id>/rotate/", webhooks.rotate, name="webhook_rotate"),
    path("developers/webhooks/<str:public_id>/test/", webhooks.send_test, name="webhook_test"),
    path("developers/webhooks/<str:public_id>/enable/", webhooks.enable, name="webhook_enable"),
    path("developers/webhooks/<str:public_id>/disable/", webhooks.disable, name="webhook_disable"),
    path("developers/webhooks/<str:public_id>/replay/", webhooks.replay, name="webhook_replay"),
    path("developers/webhooks/<str:public_id>/remove/", webhooks.remove, name="webhook_remove"),
    path("developers/deliveries/", deliveries.delivery_list, name="deliveries"),
    path("developers/deliveries/export/", deliveries.delivery_export, name="deliveries_export"),
    path("developers/deliveries/<str:public_id>/", deliveries.delivery_page, name="delivery"),
    path("developers/deliveries/<str:public_id>/resend/", deliveries.resend, name="delivery_resend"),
]
