"""Which front end answers which address; nothing else lives here (ARCHITECTURE.md, "Files")."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("referrals.hosted.urls")),
    path("app/", include("referrals.web.urls")),
    path("account/", include("allauth.urls")),
    path("", include("referrals.api.urls")),
    path("", include("referrals.web.public_urls")),
    path(f"{settings.OPERATOR_PATH}/", admin.site.urls),
]

handler400 = "referrals.web.errors.bad_request"
handler403 = "referrals.web.errors.permission_denied"
handler404 = "referrals.web.errors.not_found"
handler500 = "referrals.web.errors.server_error"
