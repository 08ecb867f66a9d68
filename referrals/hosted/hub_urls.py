"""Addresses of the affiliate hub, in the namespace of the other public pages."""

from __future__ import annotations

from django.urls import path

from referrals.hosted import hub, hub_apply, hub_mine

urlpatterns = [
    path("hub/", hub.directory, name="hub"),
    path("hub/me/", hub_mine.mine, name="hub_mine"),
    path("hub/me/open/<str:token>/", hub_mine.open_link, name="hub_open"),
    path("hub/me/page/", hub_mine.open_one, name="hub_open_one"),
    path("hub/me/withdraw/", hub_mine.withdraw, name="hub_withdraw"),
    path("hub/me/out/", hub_mine.log_out, name="hub_out"),
    path("hub/applications/<str:token>/", hub_apply.application, name="hub_application"),
    path("hub/<slug:slug>/", hub_apply.programme, name="hub_programme"),
    path("hub/<slug:slug>/sent/", hub_apply.sent_page, name="hub_sent"),
    path("programs", hub.elsewhere),
    path("programs/", hub.elsewhere),
    path("programs/<slug:slug>", hub.elsewhere),
    path("programs/<slug:slug>/", hub.elsewhere),
]
