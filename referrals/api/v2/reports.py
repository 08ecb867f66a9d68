"""A campaign's report: what it brought and what it cost, by day and by channel."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.utils.dateparse import parse_date

from campaigns.models import Campaign
from campaigns.terms_json import money_to_json
from referrals.accounts.models import Scope
from referrals.api.errors import refused
from referrals.api.fields import Text
from referrals.api.finding import campaign_of
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import ref
from referrals.api.v2.base import API
from referrals.api.v2.campaigns import MISSING, TAG
from referrals.lib import clock
from rewards.campaign_report import LONGEST, Figures, report

USUAL_DAYS = 30


@API.operation(
    "GET",
    "campaigns/{id}/report",
    tag=TAG,
    scope=Scope.READ,
    query={
        "from": Text(
            about="The first day, of your time zone: 29 days before `to` if not given.", limit=10, example="2026-11-01"
        ),
        "to": Text(about="The last day: today if not given.", limit=10, example="2026-11-20"),
    },
    answer=ref("CampaignReport"),
    errors=(*MISSING, "date"),
)
def get_campaign_report(call: Call) -> Answer:
    """Get a campaign's report.

    Visits, joins, conversions, new customers, revenue and reward cost of at most 366 days, by day and by channel. Only referred friends
    count; a refund counts on the day of its purchase.
    """
    campaign = campaign_of(call.tenant, call.params["id"])
    days = _days(call, campaign)
    found = report(campaign, days)
    total = found.total
    each = total.cost_per_customer
    return Answer(
        {
            "campaign": campaign.public_id,
            "from": days[0].isoformat(),
            "to": days[-1].isoformat(),
            "time_zone": campaign.merchant.time_zone,
            "total": _figures(total, campaign),
            "cost_per_new_customer": None if each is None else money_to_json(campaign.money(each)),
            "days": [{"day": day.isoformat(), **_figures(row, campaign)} for day, row in found.days.items()],
            "channels": [{"channel": name or None, **_figures(row, campaign)} for name, row in found.channels],
        }
    )


def _figures(row: Figures, campaign: Campaign) -> dict[str, Any]:
    return {
        "visits": row.visits,
        "visits_hidden": row.hidden,
        "joins": row.joins,
        "conversions": row.conversions,
        "new_customers": row.customers,
        "revenue": money_to_json(campaign.money(row.revenue)),
        "reward_cost": money_to_json(campaign.money(row.cost)),
    }


def _days(call: Call, campaign: Campaign) -> list[date]:
    last = _day(call, "to") or clock.now().astimezone(campaign.merchant.zone).date()
    first = _day(call, "from") or last - timedelta(days=USUAL_DAYS - 1)
    if not 0 <= (last - first).days < LONGEST:
        raise refused("date", f"'from' is at most {LONGEST - 1} days before 'to'.", "from")
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _day(call: Call, name: str) -> date | None:
    text = call.query.get(name, "")
    if not text:
        return None
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None or not 2000 <= day.year <= 2200:
        raise refused("date", f"'{name}' is a day such as 2026-11-20, between 2000 and 2200.", name)
    return day
