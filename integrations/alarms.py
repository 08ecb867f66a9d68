"""Mails to a merchant's owners and admins about a live connection in trouble: once when it begins, once when it is well again.

What the trouble is stands on the connection's row, so this job only compares it with what the team was told. Test connections are
left out: who tests is looking. An app that was uninstalled is told of at once (integrations.account_mails).
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from itertools import pairwise

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from integrations import registry
from integrations.models import Connection, InboundEvent
from referrals.accounts.models import Membership, Role
from referrals.lib import clock

# Fewer refused messages than this may be a stranger who tries an address.
REFUSED_FROM = 3
# Only what stays well for so long is well again: a connection that comes and goes writes two mails, not one a minute.
WELL_AFTER = timedelta(minutes=15)
# Silence is unusual when it is so many times the longest gap among the last messages, and never below a day.
GAPS, LOOKED_AT, NEEDED = 3, 100, 10
LEAST_QUIET = timedelta(hours=24)
log = logging.getLogger(__name__)


def trouble_of(row: Connection) -> str:
    """What is wrong with a connection: "refused", "failing", "key" or "" for nothing that a mail is written about."""
    if row.removed_at is not None or row.ended_at is not None:
        return ""
    if row.refused >= REFUSED_FROM:
        return "refused"
    if row.failing_since is not None:
        return "failing"
    return "key" if row.key_refused_at is not None else ""


def warn() -> int:
    """For the schedule: write about every trouble that began, and about what is well again. Returns how many connections it was about."""
    now = clock.wall()
    bad = (
        Q(failing_since__isnull=False)
        | Q(key_refused_at__isnull=False)
        | Q(refused__gte=REFUSED_FROM)
        | ~Q(warned_of="")
    )
    rows = Connection.objects.filter(bad, is_test__in=[False]).select_related("merchant").order_by("pk")
    return sum(_look(row, now) for row in rows[:1000])


def _look(row: Connection, now: datetime) -> bool:
    found, told = trouble_of(row), row.warned_of
    if not found and not told:
        return False
    mine = Connection.objects.filter(pk=row.pk, warned_of=told)
    if found == told:
        mine.update(warned_at=now)
        return False
    if not found and row.warned_at is not None and now - row.warned_at < WELL_AFTER and not _is_over(row):
        return False
    if not mine.update(warned_of=found, warned_at=now if found else None):
        return False  # another worker was first
    if not found and _is_over(row):
        return False  # nothing to be glad about: it was disconnected
    try:
        _write(row, found)
    except OSError:
        log.exception("the mail about %s could not be sent", row.public_id)
        Connection.objects.filter(pk=row.pk, warned_of=found).update(warned_of=told, warned_at=row.warned_at)
        return False
    return True


def _is_over(row: Connection) -> bool:
    return row.removed_at is not None or row.ended_at is not None


def _write(row: Connection, trouble: str) -> None:
    provider = registry.get(row.provider)
    name = " ".join((row.label or str(provider.label)).split())[:80]
    given_up = InboundEvent.objects.for_tenant(row.tenant).filter(connection=row, state="failed")
    with translation.override(settings.LANGUAGE_CODE), timezone.override(row.merchant.zone):
        subject = {
            "refused": _("%(name)s: messages are refused"),
            "failing": _("%(name)s: messages can’t be processed"),
            "key": _("%(name)s: the key is refused"),
            "": _("%(name)s is well again"),
        }[trouble]
        context = {
            "row": row,
            "name": name,
            "company": provider.label,
            "trouble": trouble,
            "given_up": given_up[:1000].count() if trouble == "failing" else 0,
            "url": settings.SITE_URL + reverse("web:connection", args=[row.public_id]),
        }
        text = render_to_string("integrations/mail/connection_trouble.txt", context)
        team = Membership.objects.filter(merchant=row.merchant, role__in=[Role.OWNER, Role.ADMIN], user__is_active=True)
        for address in team.order_by("pk").values_list("user__email", flat=True):
            send_mail(subject % {"name": name}, text, None, [address])


def learn() -> int:
    """For the schedule: how long a silence is usual for each connection, from its last messages. Returns how many were looked at."""
    rows = Connection.objects.filter(removed_at=None, last_event_at__isnull=False, provider__in=registry.TELLING)
    rows = rows.order_by("pk")
    looked = 0
    for row in rows.only("pk", "quiet_after").iterator():
        times = InboundEvent.objects.filter(connection=row, came_by="webhook").order_by("-id")
        moments = sorted(times.values_list("received_at", flat=True)[:LOOKED_AT])
        gaps = [later - earlier for earlier, later in pairwise(moments)]
        usual = int(max(LEAST_QUIET, GAPS * max(gaps)).total_seconds()) if len(moments) >= NEEDED else None
        if usual != row.quiet_after:
            Connection.objects.filter(pk=row.pk).update(quiet_after=usual)
        looked += 1
    return looked
