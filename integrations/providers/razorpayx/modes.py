"""How a payout travels in India, by its amount (Razorpay's and the Reserve Bank's limits; amounts in paise)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from integrations.models import Connection
from referrals.lib.money import Money

LAKH = 100_000_00
# RazorpayX takes no less than one rupee.
LEAST = 100
UPI_MOST, IMPS_MOST, RTGS_LEAST = 1 * LAKH, 5 * LAKH, 2 * LAKH


def mode_of(method: str, paise: int, settings: Mapping[str, Any]) -> str:
    """UPI, IMPS, NEFT or RTGS; "" for an amount that can't travel this way."""
    if paise < LEAST:
        return ""
    if method == "razorpayx_upi":
        return "UPI" if paise <= UPI_MOST else ""
    if settings.get("bank_mode") == "NEFT":
        return "NEFT" if paise < RTGS_LEAST else "RTGS"
    return "IMPS" if paise <= IMPS_MOST else "RTGS"


def upi_obstacle(connection: Connection, amount: Money, chosen: Mapping[str, Any]) -> str:
    """Why UPI can't carry this sum (Way.obstacle); "" when it can."""
    del chosen
    if mode_of("razorpayx_upi", amount.minor, connection.settings):
        return ""
    return _("UPI carries 1 to 100,000 rupees. Choose a bank account for more.")


def bank_obstacle(connection: Connection, amount: Money, chosen: Mapping[str, Any]) -> str:
    """Why no transfer can carry this sum (Way.obstacle); "" when one can."""
    del chosen
    if mode_of("razorpayx_bank", amount.minor, connection.settings):
        return ""
    return _("RazorpayX pays nothing below 1 rupee.")
