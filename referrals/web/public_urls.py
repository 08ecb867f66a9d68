"""Pages without log-in that belong to no campaign: front door, invitations, health."""

from __future__ import annotations

from django.urls import path

from referrals.web import dev_mail, front, health, invitations

app_name = "public"
urlpatterns = [
    path("", front.front, name="front"),
    path("invitation/<str:token>/", invitations.invitation, name="invitation"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("robots.txt", front.robots, name="robots"),
    path("favicon.ico", front.favicon, name="favicon"),
    path("dev/mail/", dev_mail.mails, name="mails"),
]
