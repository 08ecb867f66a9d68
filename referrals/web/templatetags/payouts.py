"""Words and colours of payouts for templates that have the rows themselves."""

from __future__ import annotations

from django import template

from referrals.web.payout_rows import method_text
from referrals.web.payout_words import STATUS_TONES

register = template.Library()


@register.filter
def payout_method(method: str) -> str:
    """How the money goes, as "Issue" names it."""
    return method_text(method)


@register.filter
def payout_tone(status: str) -> str:
    """The colour of a payout's status, as tags have it."""
    return STATUS_TONES.get(status, "neutral")
