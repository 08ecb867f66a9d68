"""Mails to a merchant's owners and admins about what a company told of the account. Written by the worker."""

from __future__ import annotations

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _

from integrations import registry
from integrations.models import InboundEvent
from referrals.accounts.models import Membership, Role


def send(inbound_id: int) -> None:
    """Mail what a message led to, with the way to its page; nothing once it is gone."""
    row = InboundEvent.objects.select_related("connection__merchant").filter(pk=inbound_id).first()
    if row is None:
        return
    name = row.connection.label or str(registry.get(row.connection.provider).label)
    ended = row.outcome == "uninstalled"
    words = _("%(name)s is disconnected") if ended else _("Somebody asks for their data")
    context = {
        "row": row,
        "name": name,
        "ended": ended,
        "merchant": row.connection.merchant,
        "url": settings.SITE_URL + reverse("web:inbound", args=[row.public_id]),
    }
    team = Membership.objects.filter(merchant=row.merchant_id, role__in=[Role.OWNER, Role.ADMIN])
    for email in team.order_by("pk").values_list("user__email", flat=True):
        send_mail(words % {"name": name}, render_to_string("connections/mail/account.txt", context), None, [email])
