"""What a participant reads of a payout: where it stands, how it went, and what was set off, in plain sentences (docs/portal.md)."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations import registry
from integrations.outlook import Outlook
from participants.destination_kinds import BY_NAME
from participants.models import Participant
from referrals.hosted.offer import day_text, money_text
from referrals.lib.money import Money
from rewards.files.formats import FORMATS
from rewards.models import Payout
from rewards.recipients import Wait

# Status -> (colour of the pill, its word).
PILLS: dict[str, tuple[str, str | Promise]] = {
    "queued": ("pending", gettext_lazy("In line")),
    "sending": ("pending", gettext_lazy("Being sent")),
    "unknown": ("pending", gettext_lazy("Being sent")),
    "needs_attention": ("pending", gettext_lazy("Being sent")),
    "sent": ("done", gettext_lazy("Sent")),
    "paid": ("done", gettext_lazy("Paid")),
    "failed": ("no", gettext_lazy("Came back")),
}


def pill(payout: Payout) -> tuple[str, str]:
    """The colour and the word of a payout's state."""
    if payout.status in Payout.GONE and not payout.amount_minor and payout.netted_minor:
        return "done", _("Set off")
    tone, word = PILLS.get(payout.status, ("no", ""))
    return tone, str(word)


def state_text(payout: Payout) -> str:
    """Where a payout stands, as a sentence; "" for one that never left."""
    day = day_text(payout.paid_at, year=True) if payout.paid_at else ""
    facts = {"amount": money_text(payout.amount), "day": day}
    if payout.status == "queued":
        return _("%(amount)s is in line and leaves soon.") % facts
    if payout.status == "sending":
        return _("%(amount)s is being sent.") % facts
    if payout.status in Payout.OPEN:
        return _("%(amount)s is being sent. It takes longer than usual; there is nothing you need to do.") % facts
    if payout.status == "failed":
        return _("%(amount)s was sent on %(day)s and came back.") % facts if day else ""
    if not day:
        return ""
    if payout.amount_minor:
        if payout.status == "sent":
            return _("%(amount)s was sent on %(day)s and is on its way to you.") % facts
        return _("%(amount)s was paid on %(day)s.") % facts
    if payout.netted_minor:
        return _("Nothing was sent on %(day)s: all of it was set off against a reward that was taken back.") % facts
    return _("It was given on %(day)s.") % facts


def ahead_text(found: Outlook) -> str:
    """When and how a due reward will be paid by itself, as a sentence; "" where nothing can be promised."""
    if found.by_hand or found.problem or not found.way:
        return ""
    if found.below is not None:
        facts = {"minimum": money_text(found.below.minimum), "so_far": money_text(found.below.so_far)}
        return _("It will be paid once %(minimum)s are due to you: %(so_far)s so far.") % facts
    if found.at is None:
        return _("It will be on its way in a few minutes.")
    facts = {"day": day_text(found.at), "way": str(found.company)}
    if not found.company:
        return _("It will be paid on %(day)s.") % facts
    return _("It will be paid on %(day)s by %(way)s.") % facts


def netted_text(payout: Payout) -> str:
    """What was set off or added, as a sentence; "" for nothing."""
    if not payout.netted_minor:
        return ""
    facts = {"amount": money_text(Money(abs(payout.netted_minor), payout.currency))}
    if payout.netted_minor < 0:
        return _("%(amount)s was set off against an earlier reward that was taken back after it had been paid.") % facts
    return _("%(amount)s was added, because an earlier reward grew after it had been paid.") % facts


def method_text(payout: Payout) -> str:
    """How a payout went: "PayPal"; by hand and by other ways of the merchant's own it is the merchant's name."""
    found = registry.ways().get(payout.method)
    if found is not None:
        return str(found[1].label)
    file = FORMATS.get(payout.method)
    if file is not None and len(file.kinds) == 1:
        return str(BY_NAME[next(iter(file.kinds))].label)
    return _("By %(merchant)s") % {"merchant": payout.merchant.name}


def wait_text(participant: Participant, wait: Wait) -> list[str]:
    """Why something waits for the person and what they can do, as sentences; none when nothing is asked of them."""
    if not wait.asks:
        return []
    merchant = participant.campaign.merchant.name
    facts = {"amount": waiting_sum(wait), "merchant": merchant, "email": participant.email}
    first, then = {
        "address": (
            _("%(amount)s from %(merchant)s waits for you."),
            _("Say where it is to be paid, and it is on its way."),
        ),
        "another": (
            _("%(amount)s from %(merchant)s waits for you."),
            _("%(merchant)s can't pay it to the address that you have given. Choose another kind of address."),
        ),
        "confirm": (
            _("%(amount)s from %(merchant)s waits for you."),
            _("Confirm the address from the mail that was sent, or enter it again for a new mail."),
        ),
        "rejected": (
            _("%(amount)s from %(merchant)s could not be paid to your address."),
            _("Enter another address, or mend what is wrong there and try this one again."),
        ),
        "account": (
            _("%(amount)s from %(merchant)s could not be given to you yet."),
            _(
                "It needs an account of yours there with the address %(email)s. When you have one, it goes on by itself."
            ),
        ),
        "unclaimed": (
            _("%(amount)s from %(merchant)s waits for you."),
            _("Claim it there with the address that it was sent to. What is not claimed in time goes back."),
        ),
    }[wait.situation]
    lines = [first % facts]
    if wait.message:
        lines.append(_("The answer was: “%(words)s”") % {"words": wait.message})
    return [*lines, then % facts]


def waiting_sum(wait: Wait) -> str:
    """What waits, always singular: "$30", "$30 + €5", "A reward". What is no money goes unnamed beside money."""
    if not wait.sums:
        return _("A reward") if wait.things < 2 else _("More than one reward")
    return " + ".join(money_text(money) for money in wait.sums)
