"""A campaign's Report: visits, joins, conversions, revenue, cost and rates, by day, channel, site and referrer; and as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from campaigns.models import Campaign
from referrals.lib import clock
from referrals.lib.money import Money, exponent_of
from referrals.web.access import MerchantRequest, member, own
from referrals.web.campaigns import campaign_context
from referrals.web.charts import Series, days_until, line_chart
from referrals.web.exports import note_export, stream_csv
from rewards.campaign_report import LONGEST, Figures, Report, report

SPANS = (7, 30, 90, 365)
CSV_COLUMNS = (
    "day", "visits", "bots_hidden", "joins", "conversions", "new_customers", "currency", "revenue", "reward_cost",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """The days that are shown, and the query that asks for them again."""

    days: list[date]
    query: str
    error: str = ""


def _span(request: MerchantRequest, campaign: Campaign) -> Span:
    """`from` and `to` (days of the merchant, at most a year), else the last `days`, 30 unless asked otherwise."""
    today = clock.now().astimezone(campaign.merchant.zone).date()
    given = request.GET.get("days", "")
    count = int(given) if given in {str(span) for span in SPANS} else 30
    usual = Span(days_until(today, count), f"days={count}")
    texts = request.GET.get("from", "")[:10], request.GET.get("to", "")[:10]
    if not any(texts):
        return usual
    try:
        first, last = parse_date(texts[0]), parse_date(texts[1])
    except ValueError:
        first = last = None
    if (
        first is None
        or last is None
        or first > last
        or (last - first).days >= LONGEST
        or not 2000 <= first.year <= 2200
    ):
        return Span(usual.days, usual.query, _("Choose two days, at most a year apart."))
    return Span(days_until(last, (last - first).days + 1), f"from={first}&to={last}")


def _campaign(request: MerchantRequest, public_id: str) -> Campaign:
    return own(Campaign.objects.select_related("merchant"), request, public_id)


@require_safe
@member()
def campaign_report(request: MerchantRequest, public_id: str) -> HttpResponse:
    """The figures, two charts and three tables."""
    campaign = _campaign(request, public_id)
    span = _span(request, campaign)
    found = report(campaign, span.days)
    address = reverse("web:campaign_report", args=[campaign.public_id])
    words = {7: _("7 days"), 30: _("30 days"), 90: _("90 days"), 365: _("A year")}
    context: dict[str, Any] = {
        **campaign_context(request, campaign, "report"),
        "span": span,
        "spans": [(words[count], f"{address}?days={count}", span.query == f"days={count}") for count in SPANS],
        "first": span.days[0].isoformat(),
        "last": span.days[-1].isoformat(),
        "stats": _stats(found.total, campaign),
        "charts": _charts(found, campaign),
        "channels": [(name or _("Not known"), _line(row, campaign)) for name, row in found.channels],
        "sites": found.sites,
        "referrers": [(person, _line(row, campaign)) for person, row in found.referrers],
        "is_empty": not any((found.total.visits, found.total.joins, found.total.conversions, found.total.cost)),
    }
    return render(request, "web/campaigns/report.html", context, status=422 if span.error else 200)


def _stats(total: Figures, campaign: Campaign) -> list[dict[str, Any]]:
    """The sums, each with one line below it."""
    hidden = ngettext("%(n)d bot hidden", "%(n)d bots hidden", total.hidden) % {"n": total.hidden}
    joined, bought = percent(total.join_rate), percent(total.customer_rate)
    new = ngettext("%(n)d new customer", "%(n)d new customers", total.customers) % {"n": total.customers}
    each = total.cost_per_customer
    return [
        {"label": _("Visits"), "value": total.visits, "hint": hidden if total.hidden else ""},
        {
            "label": _("Joins"),
            "value": total.joins,
            "hint": _("%(share)s of visits") % {"share": joined} if joined else "",
        },
        {
            "label": _("Conversions"),
            "value": total.conversions,
            "hint": _("%(new)s, %(share)s of joins") % {"new": new, "share": bought} if bought else new,
        },
        {"label": _("Revenue"), "money": campaign.money(total.revenue), "hint": _("Less refunds")},
        {"label": _("Reward cost"), "money": campaign.money(total.cost), "hint": _("Both sides, less what fell away")},
        {
            "label": _("Cost per new customer"),
            "money": campaign.money(each) if each is not None else None,
            "hint": "" if each is not None else _("No new customer yet"),
        },
    ]


def percent(rate: Fraction | None) -> str:
    """ "23.4%", rounded half up; "" for none."""
    if rate is None:
        return ""
    tenths = (2000 * rate.numerator + rate.denominator) // (2 * rate.denominator)
    return _("%(whole)d.%(tenth)d%%") % {"whole": tenths // 10, "tenth": tenths % 10}


def _charts(found: Report, campaign: Campaign) -> list[Any]:
    rows = list(found.days.values())
    days = list(found.days)
    here = clock.now().astimezone(campaign.merchant.zone).date()
    last = _("Today") if days[-1] == here else days[-1].isoformat()
    unit = {"currency": campaign.currency}
    return [
        line_chart(
            _("Visits, joins and conversions"),
            days,
            [
                Series("k-1", _("Visits"), [row.visits for row in rows]),
                Series("k-3", _("Joins"), [row.joins for row in rows]),
                Series("k-2", _("Conversions"), [row.conversions for row in rows]),
            ],
            last=last,
        ),
        line_chart(
            _("Revenue and reward cost in whole %(currency)s") % unit,
            days,
            [
                Series("k-2", _("Revenue"), _whole([row.revenue for row in rows], campaign)),
                Series("k-4", _("Reward cost"), _whole([row.cost for row in rows], campaign)),
            ],
            last=last,
        ),
    ]


def _whole(amounts: Sequence[int], campaign: Campaign) -> list[int]:
    """Each day in whole units of the currency, for a chart; what is rounded off is carried on, so that the days add up to the sum."""
    unit = 10 ** exponent_of(campaign.currency)
    found, before, total = [], 0, 0
    for minor in amounts:
        total += minor
        rounded = (2 * total + unit) // (2 * unit)
        found.append(rounded - before)
        before = rounded
    return found


def _line(row: Figures, campaign: Campaign) -> dict[str, Any]:
    return {
        "visits": row.visits,
        "joins": row.joins,
        "rate": percent(row.join_rate),
        "conversions": row.conversions,
        "revenue": campaign.money(row.revenue),
        "cost": campaign.money(row.cost),
    }


@require_safe
@member()
def campaign_report_csv(request: MerchantRequest, public_id: str) -> HttpResponseBase:
    """One row for each day of the same span."""
    campaign = _campaign(request, public_id)
    span = _span(request, campaign)
    note_export(request, "campaign_report", campaign.public_id, span.query)
    name = f"report-{campaign.public_id}-{span.days[0]}-{span.days[-1]}.csv"
    return stream_csv(name, CSV_COLUMNS, _csv(report(campaign, span.days), campaign))


def _csv(found: Report, campaign: Campaign) -> Iterator[list[object]]:
    for day, row in found.days.items():
        money = [str(Money(minor, campaign.currency).major) for minor in (row.revenue, row.cost)]
        counts = [row.visits, row.hidden, row.joins, row.conversions, row.customers]
        yield [day.isoformat(), *counts, campaign.currency, *money]
