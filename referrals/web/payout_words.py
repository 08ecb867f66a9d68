"""What a payout's state means and what comes next, in plain words: for the payout's own page, its batch and "Needs attention"."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.text import capfirst
from django.utils.translation import gettext as _

from integrations import registry
from referrals.lib import clock
from referrals.lib.money import Money
from referrals.web.checks import moment_words
from referrals.web.templatetags.ui import monies
from rewards.files.formats import FORMATS
from rewards.models import Payout
from rewards.payouts import MANUAL

# A payout's status to its colour; the words are Payout.STATUSES.
STATUS_TONES = {
    "queued": "sending",
    "sending": "sending",
    "sent": "sending",
    "paid": "issued",
    "failed": "problem",
    "unknown": "review",
    "needs_attention": "problem",
    "undone": "neutral",
}


@dataclass(frozen=True, slots=True)
class Words:
    """One sentence about where it stands, and what happens or what to do next ("" for nothing)."""

    text: str
    next: str = ""


def status_text(status: str) -> str:
    """A status as the pages name it."""
    return str(dict(Payout.STATUSES).get(status, status))


def words_of(payout: Payout, company: str, *, stopped: bool = False) -> Words:
    """The sentence of a payout, read with batch and question. `company` is who sends it, "" for nobody; `stopped`: nothing leaves now."""
    found = _words(payout, company, stopped=stopped)
    return Words(capfirst(found.text.strip()), capfirst(found.next.strip()))


def _words(payout: Payout, company: str, *, stopped: bool) -> Words:
    if payout.status == "queued":
        return _queued(payout, stopped=stopped)
    if payout.status == "failed":
        return _failed(payout, company)
    if payout.status == "undone":
        return Words(_("Taken back. Its rewards are due again."))
    if payout.status == "paid":
        return _paid(payout, company)
    if payout.status == "sending" and payout.method in FORMATS:
        return Words(
            _("It stands in a file that you pay with."), _("Bring back what became of it, on its batch's page.")
        )
    given = {"company": company or _("the company"), "at": _when(payout), "said": payout.message}
    return {
        "sending": _sending(payout, given),
        "sent": Words(
            payout.message or _("%(company)s took it and is delivering it.") % given,
            _("Its last word is still to come; it is asked by itself. Nothing to do."),
        ),
        "unknown": Words(
            _("No clear answer came; it may have been paid, or not. %(said)s") % given,
            _("%(company)s is asked %(at)s. Nothing is sent again before it has answered. Nothing to do.") % given,
        ),
        "needs_attention": Words(
            _("Nobody can tell whether it was paid, and it is not sent again by itself. %(said)s") % given,
            _("Look it up at %(company)s, then say here what happened.") % given,
        ),
    }[payout.status]


def _queued(payout: Payout, *, stopped: bool) -> Words:
    batch = payout.batch
    if batch.needs_approval and not batch.approved_at:
        return Words(_("Its batch is above your limit."), _("Somebody else of your team has to approve the batch."))
    if batch.needs_funding and not batch.funded_at:
        return Words(
            _("It waits until the money for its batch is there."),
            _("Say so on the batch's page when you have brought it."),
        )
    if stopped:
        return Words(_("Payouts are stopped."), _("It leaves when somebody lets them go on."))
    if payout.next_attempt_at and payout.next_attempt_at > clock.wall() and payout.message:
        return Words(payout.message, _("It leaves %(at)s by itself.") % {"at": _when(payout)})
    asked = getattr(payout, "veto", None)
    if asked is not None and not asked.answer:
        text = _("Your own system is asked before it leaves. %(said)s") % {"said": asked.message}
        return Words(text, _("It is asked every 15 minutes. Until it has answered this can be withdrawn."))
    if payout.next_attempt_at is None and payout.message:
        return Words(payout.message, _("It is tried again each minute. Until then it can be withdrawn."))
    return Words(_("It is in the queue."), _("It leaves within a minute. Until then it can be withdrawn."))


def _sending(payout: Payout, given: dict[str, str]) -> Words:
    if payout.message:
        return Words(_("It has not left yet: %(why)s") % {"why": payout.message}, _("It is tried %(at)s.") % given)
    return Words(_("It is on its way to %(company)s.") % given, _("The answer comes in seconds."))


def _paid(payout: Payout, company: str) -> Words:
    if not payout.amount_minor and payout.netted_minor:  # what is no money has an amount of nothing, too
        return Words(_("There was nothing to send: all of it settled what was taken back before."))
    if payout.method == MANUAL:
        return Words(_("Marked by hand: you paid it outside."))
    if company:
        return Words(_("%(company)s says that it was paid.") % {"company": company})
    return Words(_("It was paid."))


def _until(payout: Payout) -> str:
    """What its rewards wait for."""
    if payout.destination:
        return _("Its rewards wait. They go on by themselves when the person has a payout address that may be used.")
    found = registry.ways().get(payout.method)
    if found is None or not found[0].tells:
        # Its messages name no customers: a person mends it.
        return _("Its rewards wait. Mend what is wrong, such as their e-mail address, then press “Try again”.")
    return _(
        "Its rewards wait. They go on by themselves once a customer of theirs is known at %(company)s; or mend what is wrong and"
        " press “Try again”."
    )


def _failed(payout: Payout, company: str) -> Words:
    said = payout.message or _("It did not say why.")
    given = {"company": company or _("the company"), "said": said}
    return {
        "waiting_for_recipient": Words(
            said if payout.message else _("This person can't be paid yet."), _until(payout) % given
        ),
        "waiting_for_funds": Words(
            payout.message or _("There was not enough money in the account."),
            _("Put money into the account at %(company)s, then press “Try again”.") % given,
        ),
        "": Words(_("It did not leave: %(said)s") % given, _("Its rewards are due again.")),
    }.get(
        payout.reason,
        Words(
            _("%(company)s said no: %(said)s") % given,
            _("Mend the cause and try again, issue the rewards in another way, or decline them."),
        ),
    )


def _when(payout: Payout) -> str:
    at = payout.turn_at
    if at is None or at <= clock.wall():
        return _("within a minute")
    return _("on %(at)s") % {"at": moment_words(at)}


def netted_words(payout: Payout) -> str:
    """How the amount came about when it is not the sum of its rewards; "" when it is."""
    if not payout.netted_minor:
        return ""
    given = {
        "rewards": monies([Money(payout.amount_minor - payout.netted_minor, payout.currency)]),
        "netted": monies([Money(abs(payout.netted_minor), payout.currency)]),
    }
    if payout.netted_minor < 0:
        return _("Rewards of %(rewards)s, less %(netted)s that was taken back after it had been issued.") % given
    return _("Rewards of %(rewards)s, and %(netted)s that an issued reward became more by.") % given
