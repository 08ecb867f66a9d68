"""Addresses of the applications to the merchant's programmes."""

from __future__ import annotations

from django.urls import path

from referrals.web import applications

urlpatterns = [
    path("applications/", applications.application_list, name="applications"),
    path("applications/<str:public_id>/", applications.application_page, name="application"),
    path(
        "applications/<str:public_id>/reconsider/",
        applications.application_reconsider,
        name="application_reconsider",
    ),
]
