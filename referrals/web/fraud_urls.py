"""Addresses of the fraud review."""

from __future__ import annotations

from django.urls import path

from referrals.web import fraud, fraud_lists

urlpatterns = [
    path("fraud/", fraud.queue, name="fraud"),
    path("fraud/lists/", fraud_lists.lists, name="fraud_lists"),
    path("fraud/<str:public_id>/", fraud.case_page, name="fraud_case"),
    path("fraud/<str:public_id>/undo/", fraud.case_undo, name="fraud_undo"),
]
