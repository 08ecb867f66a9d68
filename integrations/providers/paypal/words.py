"""What PayPal's words mean: the state of a payout, where its rewards go, and a sentence that says what to do (PROVIDERS.md, section 6)."""

from __future__ import annotations

from rewards.orders import Outcome, Result

RECIPIENT, FUNDS, REJECTED, AGAIN = "waiting_for_recipient", "waiting_for_funds", "provider_rejected", ""

# An item's status -> our state, where the rewards go when it is "failed" (of "sent": who has to do something), and the sentence.
STATUSES: dict[str, tuple[Result, str, str]] = {
    "SUCCESS": ("paid", "", ""),
    "PENDING": ("sent", "", "PayPal is working on it."),
    "ONHOLD": (
        "sent",
        "",
        "PayPal holds it to look at it. It is paid after that, or comes back; there is nothing to do.",
    ),
    "UNCLAIMED": (
        "sent",
        RECIPIENT,
        "PayPal told the recipient that money waits for them. What nobody claims comes back after 30 days.",
    ),
    "FAILED": ("failed", REJECTED, "PayPal did not pay it."),
    "RETURNED": (
        "failed",
        RECIPIENT,
        "Nobody claimed it, so the money came back. It leaves again when the recipient has another address.",
    ),
    "BLOCKED": ("failed", REJECTED, "PayPal blocked it. Ask PayPal why before you pay it again."),
    "REFUNDED": ("failed", REJECTED, "The recipient sent the money back. Ask them before you pay it again."),
    "REVERSED": ("failed", REJECTED, "PayPal took the money back from the recipient. Ask PayPal why."),
    "DENIED": ("failed", REJECTED, "PayPal did not pay it."),
    "CANCELED": ("failed", REJECTED, "It was cancelled at PayPal."),
}

# Why, in PayPal's word -> where the rewards go, and the sentence.
REASONS: dict[str, tuple[str, str]] = {
    "RECEIVER_UNREGISTERED": (
        RECIPIENT,
        "There is no PayPal account with this address. The recipient has to open one, or to name another address.",
    ),
    "RECEIVER_UNCONFIRMED": (RECIPIENT, "The recipient has to confirm this address at PayPal first."),
    "RECEIVER_ACCOUNT_LOCKED": (
        RECIPIENT,
        "The recipient's PayPal account is locked or closed. They have to settle that with PayPal, or name another address.",
    ),
    "RECEIVER_COUNTRY_NOT_ALLOWED": (RECIPIENT, "PayPal pays nothing to the recipient's country. Choose another way."),
    "RECEIVER_STATE_RESTRICTED": (RECIPIENT, "PayPal pays nothing to the recipient's state. Choose another way."),
    "RECEIVING_LIMIT_EXCEEDED": (
        RECIPIENT,
        "The recipient can't receive more at PayPal. They have to raise their limit there, or name another address.",
    ),
    "PENDING_RECIPIENT_NON_HOLDING_CURRENCY_PAYMENT_PREFERENCE": (
        RECIPIENT,
        "The recipient has to accept this currency in their PayPal account.",
    ),
    "INSUFFICIENT_FUNDS": (FUNDS, "There is too little money in your PayPal account. Add some, and issue it again."),
    "SPENDING_LIMIT_EXCEEDED": (
        FUNDS,
        "Your PayPal account has reached the limit of what it may pay out. Ask PayPal to raise it, and issue it again.",
    ),
    "RISK_DECLINE": (
        REJECTED,
        "PayPal declined it because of a risk that it sees. Ask PayPal before you pay it again.",
    ),
    "SELF_PAY_NOT_ALLOWED": (REJECTED, "The recipient's address is that of your own PayPal account."),
    "SENDER_ACCOUNT_LOCKED": (REJECTED, "Your PayPal account is locked. Settle that with PayPal, and issue it again."),
    "SENDER_ACCOUNT_UNVERIFIED": (REJECTED, "Your PayPal account is not verified. Verify it, and issue it again."),
    "REQUIRED_SCOPE_MISSING": (
        REJECTED,
        "Your PayPal app has no right to pay out. Switch on “Payouts” in it at PayPal, and issue it again.",
    ),
    "AUTHENTICATION_FAILURE": (
        REJECTED,
        "PayPal does not accept the client ID and secret. Paste them anew on the connection's page, and issue it again.",
    ),
}
REASONS["NOT_AUTHORIZED"] = REASONS["REQUIRED_SCOPE_MISSING"]
REASONS["invalid_client"] = REASONS["AUTHENTICATION_FAILURE"]


def outcome(status: str, reference: str, error: str = "") -> Outcome:
    """What became of an item: PayPal's status, its id of the item, and the name of its error. An unknown status is an unknown outcome."""
    if status not in STATUSES:
        return Outcome("unknown", reference, f"PayPal gives it a status that we don't know: {status[:40] or 'none'}.")
    state, reason, words = STATUSES[status]
    if error and status in {"FAILED", "UNCLAIMED", "DENIED"}:
        known = REASONS.get(error)
        said = known[1] if known else words
        words = f"{said} {words}" if known and status == "UNCLAIMED" else said
        words = f"{words} (PayPal: {error[:60]})"
        reason = known[0] if known and state == "failed" else reason
    return Outcome(state, reference, words, reason if state == "failed" or reason else "provider_rejected")


def refusal(code: str, said: str) -> Outcome:
    """A call that PayPal refused before it paid anything."""
    reason, words = REASONS.get(code, (REJECTED, f"PayPal refused the payout: {said}"))
    return Outcome("failed", "", words, reason)
