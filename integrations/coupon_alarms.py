"""Mails to a merchant's team about a list of codes that runs low: once for each time that it does."""

from __future__ import annotations

import logging

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from referrals.accounts.models import Membership, Role
from referrals.lib import clock
from rewards.coupons.lists import low_lists
from rewards.models import CouponList

log = logging.getLogger(__name__)


def warn() -> int:
    """For the schedule: write to owners and admins of what they do not know yet. Returns how many lists it was about."""
    told = 0
    for row, left in low_lists():
        if not CouponList.objects.filter(pk=row.pk, alerted_at=None).update(alerted_at=clock.now()):
            continue
        try:
            _write(row, left)
        except OSError:
            log.exception("the mail about %s could not be sent", row.public_id)
            CouponList.objects.filter(pk=row.pk).update(alerted_at=None)
            continue
        told += 1
    return told


def _write(row: CouponList, left: int) -> None:
    members = Membership.objects.filter(merchant=row.merchant, role__in=[Role.OWNER, Role.ADMIN], user__is_active=True)
    with translation.override(settings.LANGUAGE_CODE), timezone.override(row.merchant.zone):
        url = f"{settings.SITE_URL}/app/settings/coupons/{row.public_id}/"
        text = render_to_string("integrations/mail/coupons_low.txt", {"list": row, "left": left, "url": url})
        subject = _("Few codes are left in “%(name)s”") % {"name": " ".join(row.name.split())[:80]}
        for address in members.order_by("pk").values_list("user__email", flat=True):
            send_mail(subject, text, None, [address])
