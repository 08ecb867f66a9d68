"""The weekly digest: on Mondays, to those whose link was opened or whose friends came in the week before; one row for each week.

Only campaigns whose merchant turned it on have one, and only on the live side: nobody's test clock makes weeks of mail.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Count
from django.utils import timezone

from campaigns.models import Campaign, CampaignMail, Status
from participants.models import Participant, Referral, Visit
from referrals.hosted.models import Mail

DAYS = 7
# From eight in the morning of Monday, in the merchant's time zone, for one day.
HOUR = 8
CHUNK = 2000


def week_before(moment: datetime, zone: ZoneInfo) -> tuple[str, datetime, datetime] | None:
    """The name of the week that ended this Monday at midnight ("2026-W47"), its start and its end; None when it is not Monday by day."""
    local = moment.astimezone(zone)
    if local.weekday() != 0 or local.hour < HOUR:
        return None
    return span_of(week_name(local - timedelta(days=1)), zone)


def week_name(day: datetime) -> str:
    """The ISO name of a day's week."""
    year, week, _day = day.isocalendar()
    return f"{year}-W{week:02d}"


def span_of(name: str, zone: ZoneInfo) -> tuple[str, datetime, datetime]:
    """A named week with its first moment and the first one after it, in the zone."""
    start = datetime.strptime(f"{name}-1", "%G-W%V-%u").replace(tzinfo=zone)
    return name, start, start + timedelta(days=DAYS)


def make_digests() -> int:
    """For the schedule, every hour: rows for last week's digests that are not there yet. How many were made."""
    chosen = CampaignMail.objects.filter(
        kind="digest", is_on=True, campaign__is_test=False, campaign__status=Status.ACTIVE
    )
    made = 0
    for row in chosen.select_related("campaign__merchant").order_by("pk"):
        week = week_before(timezone.now(), row.campaign.merchant.zone)
        if week is not None:
            made += _make(row.campaign, *week)
    return made


def _make(campaign: Campaign, name: str, start: datetime, end: datetime) -> int:
    opened = Visit.objects.filter(campaign=campaign, hidden_reason="", occurred_at__gte=start, occurred_at__lt=end)
    came = Referral.objects.filter(campaign=campaign, detached_at=None, created_at__gte=start, created_at__lt=end)
    people = set(opened.order_by().values_list("referrer_id", flat=True).distinct())
    people |= set(came.order_by().values_list("referrer_id", flat=True).distinct())
    known = set(
        Mail.objects.filter(participant__campaign=campaign, kind="digest", subject_id=name).values_list(
            "participant_id", flat=True
        )
    )
    fresh = sorted(people - known)
    made = 0
    for at in range(0, len(fresh), CHUNK):
        keys = Participant.objects.filter(pk__in=fresh[at : at + CHUNK], banned_at=None).values_list("pk", flat=True)
        rows = [Mail(participant_id=pk, kind="digest", subject_id=name) for pk in keys.order_by("pk")]
        made += len(Mail.objects.bulk_create(rows, ignore_conflicts=True))
    return made


def counted(participant: Participant, name: str) -> Counter[str]:
    """What a week brought one person: "opened" (people, not openings) and "joined"."""
    _name, start, end = span_of(name, participant.campaign.merchant.zone)
    opened = Visit.objects.filter(referrer=participant, hidden_reason="", occurred_at__gte=start, occurred_at__lt=end)
    came = Referral.objects.filter(referrer=participant, detached_at=None, created_at__gte=start, created_at__lt=end)
    people = opened.aggregate(n=Count("visitor", distinct=True))["n"]
    return Counter(opened=people, joined=came.count())
