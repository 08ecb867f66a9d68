"""The first page: what is owed, what needs the merchant, thirty days at a glance, and the way to a first reward."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.models import Campaign, Status
from integrations.models import Connection
from integrations.services import health
from participants.fraud.models import FraudCase
from participants.models import Application, Participant, QualifyingEvent, Visit
from referrals.accounts.models import Role
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.web.access import MerchantRequest, member
from referrals.web.charts import Chart, Series, days_until, line_chart, per_day
from referrals.web.counts import capped, words
from referrals.web.reward_pipeline import pipeline_context
from referrals.web.templatetags.ui import monies
from rewards.coupons.lists import low_lists
from rewards.pipeline import StageTotals, pipeline

DAYS = 30
READ = 100
SHOWN = 5
SOON = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that waits for the merchant: an icon and tone, one line, one hint, and where to do it."""

    icon: str
    tone: str
    text: str
    hint: str
    url: str
    label: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step on the way to a first issued reward."""

    text: str
    hint: str
    url: str
    done: bool


@member()
def home(request: MerchantRequest) -> HttpResponse:
    """Pipeline, needs, chart and check list; a new merchant is asked to make a first campaign."""
    tenant = request.tenant
    campaigns = list(Campaign.objects.for_tenant(tenant).order_by("-pk")[:READ])
    if not campaigns:
        return render(request, "web/home/welcome.html", {"steps": steps(tenant, campaigns, [])})
    totals = pipeline(tenant)
    context: dict[str, Any] = {
        **pipeline_context(tenant, totals=totals),
        "needs": needs(tenant, campaigns, totals),
        "chart": month(tenant),
        "campaigns": [row for row in campaigns if row.status == Status.ACTIVE][:SHOWN],
        "may_change": request.membership.may(Role.MANAGER),
    }
    way = steps(tenant, campaigns, totals)
    if not all(step.done for step in way):
        context |= {"steps": way, "done": sum(step.done for step in way), "current": next(s for s in way if not s.done)}
    return render(request, "web/home/home.html", context)


def month(tenant: Tenant) -> Chart:
    """Clicks, joins and purchases of the last thirty days, today included, by the merchant's days. Three queries."""
    zone = tenant.merchant.zone
    days = days_until(clock.now().astimezone(zone).date(), DAYS)
    mine = Campaign.objects.for_tenant(tenant)
    clicks = Visit.objects.filter(campaign__in=mine, hidden_reason="")
    joins = Participant.objects.for_tenant(tenant)
    purchases = QualifyingEvent.objects.filter(campaign__in=mine).exclude(type="join")
    return line_chart(
        _("Clicks, joins and purchases in the last 30 days"),
        days,
        [
            Series("k-1", _("Clicks"), per_day(clicks, "occurred_at", days, zone)),
            Series("k-3", _("Joins"), per_day(joins, "joined_at", days, zone)),
            Series("k-2", _("Purchases"), per_day(purchases, "occurred_at", days, zone)),
        ],
        last=_("Today"),
    )


def needs(tenant: Tenant, campaigns: list[Campaign], totals: list[StageTotals]) -> list[Need]:
    """What waits for a person, most urgent first."""
    return [
        *_connection_needs(tenant),
        *_reward_needs({total.stage: total for total in totals}),
        *_coupon_needs(tenant),
        *_fraud_needs(tenant),
        *_application_needs(tenant, campaigns),
        *_campaign_needs(campaigns),
    ]


def _reward_needs(totals: dict[str, StageTotals]) -> list[Need]:
    found = []
    if (due := totals["due"]).count:
        text = ngettext("%(n)d reward is due", "%(n)d rewards are due", due.count) % {"n": due.count}
        found.append(Need("gift", "due", text, monies(due.amounts), _rewards("due"), _("Issue")))
    if (odd := totals["attention"]).count:
        text = ngettext("%(n)d reward needs you", "%(n)d rewards need you", odd.count) % {"n": odd.count}
        hint = _("Held, rejected, or waiting for the recipient: %(sums)s") % {"sums": monies(odd.amounts)}
        found.append(Need("circle-alert", "problem", text, hint, _rewards("attention"), _("Look")))
    return found


def _coupon_needs(tenant: Tenant) -> list[Need]:
    """Lists of codes that run low: rewards that find none stay due. One query."""
    found = []
    for row, left in low_lists(tenant)[:SHOWN]:
        text = ngettext("%(n)d code is left in “%(list)s”", "%(n)d codes are left in “%(list)s”", left)
        hint = _("Rewards that find none stay due.")
        url = reverse("web:coupon_list", args=[row.public_id])
        found.append(Need("tag", "problem", text % {"n": left, "list": row.name}, hint, url, _("Add codes")))
    return found


def _fraud_needs(tenant: Tenant) -> list[Need]:
    """Odd referrals that nobody has decided: silence never pays, so somebody has to know of them. One query."""
    count = capped(FraudCase.objects.for_tenant(tenant).filter(status=FraudCase.OPEN))
    if not count:
        return []
    facts = {"n": words(count)}
    text = ngettext("%(n)s referral looks odd", "%(n)s referrals look odd", count) % facts
    hint = _("Nothing of theirs is paid until you decide.")
    return [Need("shield-check", "problem", text, hint, reverse("web:fraud"), _("Review"))]


def _application_needs(tenant: Tenant, campaigns: list[Campaign]) -> list[Need]:
    """People who want to take part in a programme of the affiliate hub. One query, none without an affiliate campaign."""
    if not any(row.type == "affiliate" for row in campaigns):
        return []
    count = capped(Application.objects.for_tenant(tenant).filter(status=Application.WAITING))
    if not count:
        return []
    text = ngettext("%(n)s application waits", "%(n)s applications wait", count) % {"n": words(count)}
    hint = _("Somebody wants to take part in a programme.")
    return [Need("clipboard-list", "due", text, hint, reverse("web:applications"), _("Decide"))]


def _rewards(stage: str) -> str:
    return f"{reverse('web:rewards')}?stage={stage}"


def _connection_needs(tenant: Tenant) -> list[Need]:
    """Connections that fail, refuse, ended or fell silent: nothing arrives until somebody looks. One query."""
    rows = Connection.objects.for_tenant(tenant).filter(removed_at=None).order_by("-pk")[:READ]
    states = [(row, health(row)) for row in rows]
    bad = [(row, state) for row, state in states if row.refused or row.failing_since or state.tone in {"fail", "warn"}]
    bad.sort(key=lambda pair: (pair[0].failing_since is None, pair[0].failing_since or clock.now(), pair[0].pk))
    found = []
    for row, state in bad[:SHOWN]:
        name = {"name": str(row).capitalize() if row.label == "" else row.label}
        if row.refused:
            text = _("%(name)s: deliveries are refused") % name
            hint = ngettext(
                "%(n)d with a wrong signature. Check the webhook secret.",
                "%(n)d with a wrong signature. Check the webhook secret.",
                row.refused,
            ) % {"n": row.refused}
        elif row.failing_since:
            text = _("%(name)s is failing") % name
            hint = _("Purchases that arrive are kept, but not counted yet.")
        else:
            text = f"{name['name']}: {state.word}"
            hint = state.text
        found.append(Need("plug", "problem", text, hint, reverse("web:connection", args=[row.public_id]), _("Mend")))
    return found


def _campaign_needs(campaigns: list[Campaign]) -> list[Need]:
    found = []
    now = clock.now()
    for row in campaigns:
        url, name = reverse("web:campaign", args=[row.public_id]), {"name": row.name}
        if row.status == Status.DRAFT:
            launch = reverse("web:campaign_action", args=[row.public_id, "launch"])
            found.append(
                Need("megaphone", "", _("%(name)s is a draft") % name, _("Nobody can join yet."), launch, _("Launch"))
            )
        elif row.status == Status.PAUSED:
            resume = reverse("web:campaign_action", args=[row.public_id, "resume"])
            hint = _("Nobody can join, and purchases earn nothing.")
            found.append(Need("pause", "due", _("%(name)s is paused") % name, hint, resume, _("Resume")))
        elif row.status == Status.ACTIVE and row.ends_at is not None and row.ends_at < now + SOON:
            over = row.ends_at <= now
            text = _("%(name)s has passed its end date") % name if over else _("%(name)s ends within a week") % name
            settings = reverse("web:campaign_settings", args=[row.public_id])
            found.append(Need("calendar-clock", "due", text, "", settings if over else url, _("Look")))
    return found[:SHOWN]


def steps(tenant: Tenant, campaigns: list[Campaign], totals: list[StageTotals]) -> list[Step]:
    """The way to a first reward issued. At most three small queries; none once rewards were issued."""
    counts = {total.stage: total.count for total in totals}
    issued = bool(counts.get("issued"))
    launched = next((row for row in campaigns if row.status != Status.DRAFT), None)
    people = issued or (launched is not None and Participant.objects.for_tenant(tenant).exists())
    events = QualifyingEvent.objects.filter(campaign__in=Campaign.objects.for_tenant(tenant)).exclude(type="join")
    bought = issued or (people and events.exists())
    first = campaigns[-1] if campaigns else None
    new = reverse("web:campaign_new")
    page = reverse("web:campaign", args=[(launched or first).public_id]) if (launched or first) else new  # type: ignore[union-attr]  # asked in the condition
    install = reverse("web:campaign_install", args=[launched.public_id]) if launched else page
    return [
        Step(_("Create a campaign"), _("A template and two amounts are enough."), new, first is not None),
        Step(_("Launch it"), _("Look at the pages first; nothing is public before."), page, launched is not None),
        Step(_("Share its link"), _("With your best customers, on your own site, in a newsletter."), install, people),
        Step(
            _("Let purchases arrive"),
            _("Connect Stripe, use the API, or record them by hand."),
            reverse("web:connections"),
            bought,
        ),
        Step(_("Issue a first reward"), _("Rewards wait in the Due list until you do."), _rewards("due"), issued),
    ]
