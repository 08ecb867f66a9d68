"""The report "Attribution" of a campaign: who would get how much under which model, and as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_safe

from campaigns.models import Campaign
from participants.attribution_models import MODELS
from referrals.lib.money import Money
from referrals.web.access import MerchantRequest, member, own
from referrals.web.campaigns import campaign_context
from referrals.web.exports import note_export, stream_csv
from rewards.attribution_report import MEASURES, Report, Row, report

SHOWN = 200
MODEL_WORDS = {
    "first_click": lazy("First click"),
    "last_click": lazy("Last click"),
    "linear": lazy("Linear"),
    "position": lazy("Position 40/20/40"),
}
MEASURE_WORDS = {
    "revenue": lazy("What friends paid"),
    "rewards": lazy("Rewards earned"),
    "friends": lazy("Friends"),
}
CSV_COLUMNS = ("referrer_id", "name", "email", "code", "measure", "currency", "recorded", *MODELS)


def _asked(request: MerchantRequest, public_id: str) -> tuple[Campaign, str]:
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    measure = request.GET.get("of", "")
    return campaign, measure if measure in MEASURES else MEASURES[0]


@require_safe
@member()
def campaign_attribution(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Each referrer with what is recorded and what each model gives; the columns add up to the same."""
    campaign, measure = _asked(request, public_id)
    found = report(campaign, measure)
    address = reverse("web:campaign_attribution", args=[campaign.public_id])
    context = {
        **campaign_context(request, campaign, "attribution"),
        "report": found,
        "measure": measure,
        "measures": [(name, label, f"{address}?of={name}") for name, label in MEASURE_WORDS.items()],
        "models": [(name, label, name == campaign.attribution_model) for name, label in MODEL_WORDS.items()],
        "in_force": MODEL_WORDS[campaign.attribution_model],
        "rows": [_line(row, measure, campaign.currency) for row in found.rows[:SHOWN]],
        "more": max(0, len(found.rows) - SHOWN),
        "total": _shown(found.total, measure, campaign.currency),
    }
    return render(request, "web/campaigns/attribution.html", context)


def _line(row: Row, measure: str, currency: str) -> dict[str, Any]:
    return {
        "referrer": row.referrer,
        "recorded": _shown(row.recorded, measure, currency),
        "models": [
            {
                "label": MODEL_WORDS[model],
                "value": _shown(row.models[model], measure, currency),
                "difference": _signed(row.difference(model), measure, currency),
            }
            for model in MODELS
        ],
    }


def _shown(value: int, measure: str, currency: str) -> Any:
    """Money, or friends as a plain number: whole, or with two decimals."""
    if measure != "friends":
        return Money(value, currency)
    return str(value // 100) if value % 100 == 0 else f"{value / 100:.2f}"


def _signed(value: int, measure: str, currency: str) -> dict[str, Any] | None:
    return {"up": value > 0, "value": _shown(abs(value), measure, currency)} if value else None


@require_safe
@member()
def campaign_attribution_csv(request: MerchantRequest, public_id: str) -> HttpResponseBase:
    """All rows of the report."""
    campaign, measure = _asked(request, public_id)
    note_export(request, "attribution", campaign.public_id, f"of={measure}")
    lines = _csv(report(campaign, measure), measure, campaign.currency)
    return stream_csv(f"attribution-{campaign.public_id}-{measure}.csv", CSV_COLUMNS, lines)


def _csv(found: Report, measure: str, currency: str) -> Iterator[list[object]]:
    for row in found.rows:
        person = row.referrer
        values = [row.recorded, *(row.models[model] for model in MODELS)]
        plain = [_plain(value, measure, currency) for value in values]
        money = "" if measure == "friends" else currency
        yield [person.public_id, person.name, person.email, person.referral_code, measure, money, *plain]


def _plain(value: int, measure: str, currency: str) -> str:
    return f"{value / 100:.2f}" if measure == "friends" else str(Money(value, currency).major)
