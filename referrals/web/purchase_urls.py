"""Addresses of purchases and referrals."""

from __future__ import annotations

from django.urls import path

from referrals.web import purchases

urlpatterns = [
    path("purchases/", purchases.purchases, name="purchases"),
    path("purchases/export.csv", purchases.purchases_export, name="purchases_export"),
    path("purchases/<str:public_id>/", purchases.purchase, name="purchase"),
    path("purchases/<str:public_id>/refund/", purchases.purchase_refund, name="purchase_refund"),
]
