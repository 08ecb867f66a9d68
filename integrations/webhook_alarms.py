"""Mails to a merchant's team about a webhook endpoint that does nothing but fail: after 24 and 72 hours, and when it is disabled."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from integrations.models import WebhookEndpoint
from referrals.accounts.models import Membership, Role
from referrals.lib import clock

log = logging.getLogger(__name__)
FIRST, SECOND = timedelta(hours=24), timedelta(hours=72)
# The last stage: it is disabled.
DISABLED = 3


def warn() -> int:
    """For the schedule: write to owners and admins of what they do not know yet. Returns how many endpoints it was about."""
    now = clock.wall()
    rows = WebhookEndpoint.objects.filter(removed_at=None, warned__lt=DISABLED).filter(
        Q(failing_since__lte=now - FIRST) | Q(disabled_reason__in=["gone", "failing"])
    )
    told = 0
    for row in rows.select_related("merchant").order_by("pk")[:500]:
        stage = _stage(row, now)
        if stage <= row.warned or not WebhookEndpoint.objects.filter(pk=row.pk, warned=row.warned).update(warned=stage):
            continue
        try:
            _write(row, stage)
        except OSError:
            log.exception("the mail about %s could not be sent", row.public_id)
            WebhookEndpoint.objects.filter(pk=row.pk, warned=stage).update(warned=row.warned)
            continue
        told += 1
    return told


def _stage(row: WebhookEndpoint, now: datetime) -> int:
    if row.disabled_reason in {"gone", "failing"}:
        return DISABLED
    if row.failing_since is None or row.disabled_at is not None:
        return 0
    return (now - row.failing_since >= FIRST) + (now - row.failing_since >= SECOND)


def _write(row: WebhookEndpoint, stage: int) -> None:
    members = Membership.objects.filter(merchant=row.merchant, role__in=[Role.OWNER, Role.ADMIN], user__is_active=True)
    with translation.override(settings.LANGUAGE_CODE), timezone.override(row.merchant.zone):
        context = {"endpoint": row, "stage": stage, "url": f"{settings.SITE_URL}/app/developers/webhooks/"}
        text = render_to_string("integrations/mail/webhook_failing.txt", context)
        subject = (
            _("Webhooks to %(name)s are disabled") if stage == DISABLED else _("Webhooks to %(name)s are failing")
        ) % {"name": " ".join(str(row).split())[:80]}
        for address in members.order_by("pk").values_list("user__email", flat=True):
            send_mail(subject, text, None, [address])
