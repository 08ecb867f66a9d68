"""What RazorpayX says of a payout, in the words of this product (PROVIDERS.md, section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from integrations.answers import fill, plain
from rewards.orders import Outcome, Result

# Its statuses. One that is not here is not known.
STATES: dict[str, Result] = {
    "queued": "sent",
    "pending": "sent",
    "scheduled": "sent",
    "processing": "sent",
    "processed": "paid",
    "reversed": "failed",
    "cancelled": "failed",
    "rejected": "failed",
    "failed": "failed",
}
_FUNDS = frozenset({"low_balance", "insufficient_funds", "insufficient_balance"})
# What the recipient has to mend: there is no such address or account, or it takes no money.
_RECIPIENT = frozenset(
    {
        "beneficiary_vpa_invalid", "invalid_vpa", "bank_account_invalid", "bank_account_closed", "bank_account_frozen",
        "bank_account_dormant", "invalid_ifsc_code", "nre_account", "imps_not_allowed",
    }
)  # fmt: skip
# What goes away by itself: the reward is due again.
_PASSING = frozenset(
    {
        "beneficiary_bank_offline", "beneficiary_psp_offline", "partner_bank_offline", "beneficiary_bank_failure", "gateway_timeout",
        "gateway_technical_error", "gateway_degraded", "server_error", "bank_window_closed",
    }
)  # fmt: skip


def read(status: str, details: Mapping[str, Any], name: str) -> Outcome:
    """What a payout's status means; `details` are its status_details."""
    state = STATES.get(status)
    if state is None:
        message = _("RazorpayX says of the payout what is not known here: %(status)s.")
        return Outcome("unknown", name, message % {"status": status[:60]})
    if state == "failed":
        return Outcome("failed", name, _why(status, details), _reason(status, str(details.get("reason"))))
    return Outcome(state, name, _on_the_way(status))


def _on_the_way(status: str) -> str:
    words = {
        "queued": _("RazorpayX has queued it until there is enough money in the account. Add money there."),
        "pending": _("It waits for somebody's approval in RazorpayX."),
        "scheduled": _("RazorpayX has planned it for later."),
    }
    return words.get(status, "")


def _reason(status: str, code: str) -> str:
    if status in {"cancelled", "rejected"}:
        return "provider_rejected"
    if code in _FUNDS:
        return "waiting_for_funds"
    if code in _RECIPIENT:
        return "waiting_for_recipient"
    return "" if code in _PASSING else "provider_rejected"


def _why(status: str, details: Mapping[str, Any]) -> str:
    code, theirs = str(details.get("reason")), plain(details.get("description"))
    if status == "cancelled":
        return _("It was cancelled in RazorpayX. Nothing was paid.")
    if status == "rejected":
        return _("Somebody rejected it in RazorpayX. Nothing was paid.")
    if code in _FUNDS:
        return _("There is not enough money in your RazorpayX account. Add money there, then try again.")
    if code in _RECIPIENT:
        words = _("The recipient's payout address can't be paid. %(theirs)s They have to enter another one.")
    elif code in _PASSING:
        words = _("A bank could not be reached. %(theirs)s Nothing was paid; try again.")
    elif status == "reversed":
        words = _("The bank sent the money back to your RazorpayX account. %(theirs)s")
    else:
        words = _("RazorpayX did not pay. %(theirs)s")
    return fill(words, theirs=theirs)
