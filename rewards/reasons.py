"""What each condition says, to the merchant and to the participant, passed or failed. One entry for each code (PRODUCT.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from babel.dates import format_date
from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from referrals.lib.money import Money

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Reason:
    """The sentences of one code. `passed` and `failed` are the merchant's, `friendly` tells the participant why not."""

    passed: Text
    failed: Text
    friendly: Text


REASONS: dict[str, Reason] = {
    "not_referred": Reason(
        _("Came through a referral"),
        _("Did not come through anybody's link or code"),
        _("They did not come through your link"),
    ),
    "self_referral": Reason(
        _("Two different people"), _("Referrer and friend are the same person"), _("Inviting yourself does not count")
    ),
    "existing_customer": Reason(
        _("New customer"), _("Was a customer before"), _("Already a customer. Only new customers count")
    ),
    "campaign_not_started": Reason(
        _("The campaign had started"),
        _("Happened before the campaign started"),
        _("It was before the campaign started"),
    ),
    "campaign_paused": Reason(
        _("The campaign was not paused"),
        _("Happened while the campaign was paused"),
        _("The campaign was paused at the time"),
    ),
    "campaign_ended": Reason(
        _("The campaign was open"), _("Happened after the campaign ended"), _("The campaign had ended")
    ),
    "referrer_banned": Reason(
        _("Referrer in good standing"),
        _("The referrer is banned and cannot get rewards"),
        _("Your account can't earn rewards now"),
    ),
    "below_minimum_purchase": Reason(
        _("Above the minimum: %(amount)s, the campaign asks for %(minimum)s"),
        _("Below the minimum purchase: %(amount)s, the campaign asks for %(minimum)s"),
        _("Their order was below %(minimum)s"),
    ),
    "friend_purchase_limit": Reason(
        _("Within the purchases rewarded for one friend (%(limit)s)"),
        _("Exceeds the purchases rewarded for one friend (%(limit)s)"),
        _("You were already rewarded for this friend"),
    ),
    "payment_count_not_reached": Reason(
        _("Payment number %(payment)s, the rule asks for %(needed)s"),
        _("Payment number %(payment)s, the rule asks for %(needed)s"),
        _("This is order %(payment)s; your reward comes with order %(needed)s"),
    ),
    "refunded": Reason(_("Not refunded"), _("Refunded, cancelled or deleted"), _("Their order was refunded")),
    "disputed": Reason(
        _("Not disputed"), _("The payment is disputed with the bank"), _("Their payment is being checked")
    ),
    "already_referred": Reason(
        _("Referred once"), _("Was referred by somebody else before"), _("Somebody else invited them first")
    ),
    "cancelled": Reason(_("Not cancelled"), _("The order was cancelled"), _("Their order was cancelled")),
    "held_for_review": Reason(_("Not held"), _("Held until you decide"), _("We are checking this one")),
    "fraud_denied": Reason(_("No fraud found"), _("Declined as fraud"), _("This one was not accepted")),
    "denied_by_merchant": Reason(_("Not declined"), _("Declined by your team"), _("The shop declined this one")),
}


def sentence(condition: Mapping[str, Any], *, audience: str = "merchant") -> str:
    """One condition of a decision in plain words. `audience` is "merchant" or "participant".

    A code from a later release is shown as it is rather than hidden.
    """
    reason = REASONS.get(condition["code"])
    if reason is None:
        return str(condition["code"]).replace("_", " ")
    failed = reason.friendly if audience == "participant" else reason.failed
    text = reason.passed if condition["passed"] else failed
    return str(text) % _shown(condition.get("facts", {})) if "%(" in str(text) else str(text)


def reason_sentence(code: str, facts: Mapping[str, Any] | None = None, *, audience: str = "merchant") -> str:
    """A failing code in plain words; facts fill its blanks."""
    return sentence({"code": code, "passed": False, "facts": facts or {}}, audience=audience)


class _Blanks(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"


def _shown(facts: Mapping[str, Any]) -> _Blanks:
    locale = (get_language() or "en").replace("-", "_")
    return _Blanks({name: _show(value, locale) for name, value in facts.items()})


def _show(value: object, locale: str) -> str:
    if isinstance(value, dict) and "amount_minor" in value:
        return Money(value["amount_minor"], value["currency"]).format(locale)
    if isinstance(value, str) and len(value) > 18 and value[4] == "-":
        return format_date(datetime.fromisoformat(value), format="medium", locale=locale)
    return str(value)
