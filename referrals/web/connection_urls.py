"""Addresses of connections and what they sent."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from referrals.web import (
    connection_install,
    connection_mapping,
    connection_products,
    connection_try,
    connections,
    inbox,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("connections/", connections.connections, name="connections"),
    path("connections/messages/", inbox.inbox, name="inbox"),
    path("connections/messages/export.csv", inbox.inbox_export, name="inbox_export"),
    path("connections/messages/process/", inbox.inbox_process, name="inbox_process"),
    path("connections/messages/<str:public_id>/", inbox.inbound, name="inbound"),
    path("connections/messages/<str:public_id>/process/", inbox.inbound_process, name="inbound_process"),
    path("connections/installed/", connection_install.connection_installed, name="connection_installed"),
    path("connections/<str:public_id>/install/", connection_install.connection_install, name="connection_install"),
    path("connections/<str:public_id>/", connections.connection, name="connection"),
    path("connections/<str:public_id>/reconcile/", connections.connection_reconcile, name="connection_reconcile"),
    path("connections/<str:public_id>/secrets/", connections.connection_secrets, name="connection_secrets"),
    path("connections/<str:public_id>/try/", connection_try.connection_try, name="connection_try"),
    path("connections/<str:public_id>/made-up/", connection_try.connection_make_up, name="connection_make_up"),
    path("connections/<str:public_id>/listen/", connections.connection_listen, name="connection_listen"),
    path("connections/<str:public_id>/mapping/", connection_mapping.connection_mapping, name="connection_mapping"),
    path("connections/<str:public_id>/products/", connection_products.connection_products, name="connection_products"),
    path(
        "connections/<str:public_id>/products/fetch/",
        connection_products.connection_products_fetch,
        name="connection_products_fetch",
    ),
    path(
        "connections/<str:public_id>/products/<str:digest>.webp",
        connection_products.connection_product_picture,
        name="connection_product_picture",
    ),
    path("connections/<str:public_id>/disconnect/", connections.connection_disconnect, name="connection_disconnect"),
]
