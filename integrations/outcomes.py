"""What became of a message, in the merchant's words. Rows keep the code and the facts, so that every reader gets their own language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from referrals.lib.money import Money


@dataclass(frozen=True, slots=True)
class Effect:
    """What was done: a code of SENTENCES, its facts, and the public id of the qualifying event, or of the payout."""

    code: str
    facts: dict[str, Any] = field(default_factory=dict)
    event_ref: str = ""


# Code -> sentence; the names in brackets are facts.
SENTENCES = {
    # Something was done.
    "rewarded": _("Payment of %(amount)s by %(email)s in %(campaign)s. Rewards: %(rewards)s."),
    "recorded": _("Payment of %(amount)s by %(email)s recorded in %(campaign)s; it earns nothing. Its page says why."),
    "same_payment": _("The same payment was counted before, under another of its names."),
    "joined": _("%(email)s joined %(campaign)s through %(referrer)s. Nothing was paid yet."),
    "joined_before": _("%(email)s was in %(campaign)s already. A sign-up counts once."),
    "identified": _("%(email)s in %(campaign)s is now known as the customer %(customer)s. Nothing was paid yet."),
    "refunded": _("%(amount)s taken back from the payment of %(email)s in %(campaign)s."),
    "order_cancelled": _("The order of %(email)s in %(campaign)s was cancelled."),
    "refund_back": _("A refund of %(amount)s to %(email)s in %(campaign)s failed; that much counts again."),
    "disputed": _("The payment of %(email)s in %(campaign)s is disputed."),
    "dispute_won": _("The dispute about the payment of %(email)s in %(campaign)s was won."),
    "subscription_stopped": _("A subscription of %(email)s in %(campaign)s ended; what it paid stays."),
    "subscription_resumed": _("A subscription of %(email)s in %(campaign)s goes on."),
    "status_pending": _("The sale of %(email)s in %(campaign)s is pending again."),
    "status_qualified": _("The sale of %(email)s in %(campaign)s is qualified."),
    "status_approved": _("The sale of %(email)s in %(campaign)s is approved."),
    "status_denied": _("The sale of %(email)s in %(campaign)s is denied."),
    "refund_waits": _("No payment that counted here belongs to this. If one counts later, this is taken off it."),
    "refund_of_ignored": _(
        "It belongs to a payment that was ignored: message %(payment_message)s. If that counts later, this is taken off it."
    ),
    "refund_known": _("This refund was counted before."),
    "waits_for_person": _(
        "Payment of %(amount)s by the customer %(customer)s, whom nobody knows yet. It counts when somebody has this id."
    ),
    "uninstalled": _("%(company)s told us that we were uninstalled there. Connect again to go on."),
    "data_asked_for": _(
        "%(email)s asks for the data held about them. Open their page and press “Download their data”."
    ),
    "data_asked_for_nobody": _(
        "%(email)s asks for the data held about them. They take part in no campaign; nothing is held."
    ),
    "person_erased": _("The data of the customer %(customer)s was erased, as they asked."),
    "nobody_erased": _(
        "The customer %(customer)s asked to be erased. They take part in no campaign; what named them is gone."
    ),
    "account_erased": _("%(company)s asked to have its shop’s data erased. That is being done."),
    "payout_told": _("Something became of the payout %(name)s. The company is asked what."),
    # Nothing was done, and why.
    "payout_unknown": _("It is about %(name)s, which no payout of this connection is."),
    "type_unused": _("Messages of the type %(type)s are not used."),
    "not_paid_yet": _("The checkout is not paid yet. It counts when the payment arrives."),
    "payment_failed": _("The payment failed."),
    "nothing_paid": _("Nothing was paid: a free order or a trial."),
    "dispute_lost": _("The dispute was lost; what it took back stays taken back."),
    "dispute_inquiry": _(
        "A bank asks about the payment. Nothing was taken back; it counts if it becomes a chargeback."
    ),
    "refund_by_charge": _("Refunds are counted from the charge’s own message."),
    "nothing_refunded": _("Nothing has been refunded."),
    "never_captured": _("The payment was never captured, so nothing was paid; its authorization went back by itself."),
    "unreadable": _("The message has not the shape we know: %(message)s"),
    "currency_unknown": _("The currency %(currency)s is not one we know."),
    "currency_differs": _("Paid in %(paid)s, but the campaign %(campaign)s counts in %(currency)s."),
    "wrong_mode_test": _("A test message on a live connection. Connect test mode for it."),
    "wrong_mode_live": _("A live message on a test connection. Connect live mode for it."),
    "no_participant": _("No participant with %(email)s and no referral code."),
    "no_participant_code": _("No participant with %(email)s, and no referrer has the code %(code)s."),
    "no_participant_promotion": _(
        "No participant with %(email)s. A promotion code was used, but without the API key we can't read which one."
    ),
    "no_code": _("It names no referral code."),
    "no_email": _("It names neither an e-mail address nor a customer we know."),
    "not_referred": _("%(email)s is in %(campaign)s, but nobody referred them."),
    "cancels_later": _("A subscription will end. What it pays until then still counts."),
    "fact_unused": _("The mapping has no use for the value %(value)s at %(path)s."),
    "refused": _("%(message)s"),
    "status_older": _("A later word about the sale of %(email)s in %(campaign)s has come already."),
    # It went wrong.
    "provider_refused": _("The provider refused our question: %(message)s"),
    "not_genuine": _("%(company)s says that it did not send this. Nothing of it was believed."),
    "gave_up": _(
        "It could not be processed, and no more tries follow (%(attempts)s made). Process it again when the cause is mended."
    ),
}

# Payments that wait: somebody may yet be found for them. An index of the model names the same.
UNIDENTIFIED = ("no_email", "no_participant", "no_participant_code", "no_participant_promotion", "not_referred")

# Code -> its name in a list of filters.
NAMES = {
    "rewarded": _("Payment with rewards"),
    "recorded": _("Payment that earns nothing"),
    "same_payment": _("Payment that was counted before"),
    "joined": _("Somebody joined"),
    "joined_before": _("Sign-up of somebody who was in already"),
    "refunded": _("Refund"),
    "disputed": _("Dispute"),
    "dispute_won": _("Dispute that was won"),
    "subscription_stopped": _("Subscription that ended"),
    "subscription_resumed": _("Subscription that goes on"),
    "status_pending": _("Sale that is pending again"),
    "status_qualified": _("Sale that is qualified"),
    "status_approved": _("Sale that is approved"),
    "status_denied": _("Sale that is denied"),
    "status_older": _("Older word about a sale"),
    "refund_waits": _("Refund that waits for its payment"),
    "refund_of_ignored": _("Refund of a payment that was ignored"),
    "refund_known": _("Refund that was counted before"),
    "waits_for_person": _("Payment that waits for its person"),
    "type_unused": _("Type that is not used"),
    "not_paid_yet": _("Not paid yet"),
    "payment_failed": _("Payment that failed"),
    "nothing_paid": _("Nothing was paid"),
    "dispute_lost": _("Dispute that was lost"),
    "refund_back": _("Refund that failed"),
    "refund_by_charge": _("Refund that another message counts"),
    "nothing_refunded": _("Nothing was refunded"),
    "never_captured": _("Payment that was never captured"),
    "unreadable": _("Could not be read"),
    "currency_unknown": _("Currency that is not known"),
    "currency_differs": _("Another currency than the campaign's"),
    "wrong_mode_test": _("Test message on a live connection"),
    "wrong_mode_live": _("Live message on a test connection"),
    "no_participant": _("Nobody with this address"),
    "no_participant_code": _("Nobody with this address or code"),
    "no_participant_promotion": _("Promotion code that could not be read"),
    "no_code": _("No referral code"),
    "no_email": _("Neither address nor customer"),
    "not_referred": _("Nobody referred them"),
    "refused": _("Refused by a rule"),
    "provider_refused": _("Refused by the company"),
    "not_genuine": _("Not sent by the company"),
    "gave_up": _("Given up after all tries"),
    "order_cancelled": _("Order that was cancelled"),
    "dispute_inquiry": _("Question of a bank"),
    "person_erased": _("Somebody’s data was erased"),
    "nobody_erased": _("Erasure asked for by somebody unknown"),
    "data_asked_for": _("Somebody asks for their data"),
    "data_asked_for_nobody": _("Somebody unknown asks for their data"),
    "account_erased": _("The shop’s data was erased"),
    "uninstalled": _("Uninstalled at the company"),
    "identified": _("Somebody’s customer id"),
    "payout_told": _("Word about a payout"),
    "payout_unknown": _("Word about a payout that is not ours"),
    "cancels_later": _("Subscription that will end"),
    "fact_unused": _("Left aside by the mapping"),
}

# Types that nothing is made of: counted for the merchant, who may know what they are.
UNREAD = ("type_unused",)

# Code -> what to do about it, for those where there is something to do.
ADVICE = {
    "fact_unused": _("If it tells of something, say what in the mapping of its connection, and process it again."),
    "type_unused": _(
        "Nothing has to be done. If it tells of a payment, send it through a connection of your own, whose fields you choose."
    ),
    "not_paid_yet": _("Wait: the company sends another message when the money has arrived."),
    "payment_failed": _("Nothing has to be done: a payment that works sends its own message."),
    "unreadable": _("If the company has changed its messages, update Passalong. Then process it again."),
    "currency_differs": _("A campaign counts in one currency. Make a campaign in this currency for these customers."),
    "wrong_mode_test": _("Switch to test mode, connect it there, and give the company that address for its test mode."),
    "wrong_mode_live": _("Switch to live mode, connect it there, and give the company that address for its live mode."),
    "no_participant": _(
        "If somebody referred them, add them with their referrer's code at Participants. Then process it again."
    ),
    "no_participant_code": _(
        "Check the code for a slip. Or add the person at Participants with the right code. Then process it again."
    ),
    "no_participant_promotion": _("Paste the API key on the connection's page. Then process it again."),
    "no_code": _(
        "If somebody referred them, let the sign-up carry the referral code; the connection's page says in which field."
    ),
    "no_email": _("Pass the customer's address or the referral code along; the connection's page says in which field."),
    "not_referred": _("If somebody did refer them, say so on the person's page. Then process it again."),
    "refused": _("If what it says can be mended, mend it. Then process it again."),
    "provider_refused": _(
        "Check the API key on the connection's page: it may be revoked or lack a right. Then process it again."
    ),
    "not_genuine": _(
        "If you know that the company did send it, compare the id of its webhook with the one on the connection’s page."
    ),
    "gave_up": _("Look at the error below, mend its cause, and process it again. Nothing is counted twice."),
    "waits_for_person": _(
        "Nothing has to be done. It counts by itself when a message or your system names this customer with an address."
    ),
    "refund_waits": _(
        "Nothing has to be done, unless the payment should have counted: look for it among the messages."
    ),
    "refund_of_ignored": _("Nothing has to be done. The payment's own message says why it was ignored."),
}

# The same, for a company that can be asked what it sent.
ADVICE_WITH_PULL = {
    "refund_waits": _(
        "Nothing has to be done, unless the payment should have counted: look for it among the messages,"
        " and if it never arrived, reconcile the connection."
    ),
}


def name(code: str) -> str:
    """An outcome as a list of filters names it."""
    return str(NAMES.get(code, code.replace("_", " ").capitalize()))


def advice(code: str, *, has_pull: bool = False) -> str:
    """What the merchant can do about a message; "" where there is nothing to do. `has_pull`: its company can be asked what it sent."""
    return str((ADVICE_WITH_PULL if has_pull and code in ADVICE_WITH_PULL else ADVICE).get(code, ""))


def sentence(code: str, facts: Mapping[str, Any]) -> str:
    """The sentence in the active language; "" for a row that has none yet."""
    if not code:
        return ""
    template = str(SENTENCES.get(code, code))
    return template % _Facts({name: _shown(value) for name, value in facts.items()})


def money_fact(money: Money) -> dict[str, Any]:
    """An amount as a fact."""
    return {"amount_minor": money.minor, "currency": money.currency}


def _shown(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"amount_minor", "currency"}:
        return Money(value["amount_minor"], value["currency"]).format(get_language() or "en")
    return "…" if value == "" else value


class _Facts(dict[str, Any]):
    """A fact that an old row lacks shows as dots instead of breaking its page."""

    def __missing__(self, name: str) -> str:
        return "…"
