"""A campaign's report as JSON Schema."""

from __future__ import annotations

from referrals.api.schema import Schema, array, optional, record, ref, text, whole

_FIGURES = {
    "visits": whole("Clicks of people.", 41),
    "visits_hidden": whole("Clicks of machines, not counted.", 7),
    "joins": whole("Friends who joined through somebody.", 9),
    "conversions": whole("What those friends did that may earn rewards.", 6),
    "new_customers": whole("Friends whose first purchase it was.", 5),
    "revenue": ref("Money"),
    "reward_cost": ref("Money"),
}
CAMPAIGN_REPORT: Schema = record(
    {
        "campaign": text("The campaign.", "JCu82f30F1"),
        "from": text("The first day.", "2026-11-01"),
        "to": text("The last day.", "2026-11-20"),
        "time_zone": text("Whose days these are.", "Europe/Oslo"),
        "total": record(_FIGURES, about="All days together."),
        "cost_per_new_customer": optional("Money", "Reward cost for each new customer; null without one."),
        "days": array(record({"day": text("The day.", "2026-11-20"), **_FIGURES}), "One for each day, also for those without anything."),
        "channels": array(
            record({"channel": text("Where links were shared; null where that is not known.", "whatsapp", null=True), **_FIGURES}),
            "The 25 with most revenue. Their `visits_hidden` is 0: machines are not counted by channel.",
        ),
    },
    about="What a campaign brought and what it cost.",
)  # fmt: skip
