"""Addresses of the affiliate hub, in the namespace of the other public pages."""

from __future__ import annotations

from django.urls import path

from referrals.hosted import hub

urlpatterns = [
    path("hub/", hub.directory, name="hub"),
    path("hub/<slug:slug>/", hub.programme, name="hub_programme"),
    path("programs", hub.elsewhere),
    path("programs/", hub.elsewhere),
    path("programs/<slug:slug>", hub.elsewhere),
    path("programs/<slug:slug>/", hub.elsewhere),
]
