"""The table of version 2 with all its operations: each module named here adds its own when it is read."""

from __future__ import annotations

from referrals.api.v2 import (
    applications,
    campaigns,
    connections,
    customers,
    events,
    exports,
    participants,
    payout_choosing,
    payout_doings,
    payout_files,
    payout_routes,
    payout_safety,
    payouts,
    personal_links,
    reports,
    rewards,
    testing,
    webhooks,
    what_if,
)
from referrals.api.v2.base import API

RESOURCES = (
    campaigns,
    participants,
    applications,
    personal_links,
    customers,
    events,
    rewards,
    payouts,
    payout_routes,
    payout_choosing,
    payout_doings,
    payout_files,
    payout_safety,
    connections,
    webhooks,
    testing,
    what_if,
    reports,
    exports,
)

__all__ = ["API", "RESOURCES"]
