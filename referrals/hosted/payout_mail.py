"""The two mails about a payout address: confirm it, and that it changed. Both come whatever the reader wishes about notices."""

from __future__ import annotations

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _

from participants import destinations, mailing
from participants.models import MailOrder, PayoutDestination
from referrals.hosted.letters import Letter
from referrals.hosted.offer import day_text
from referrals.lib.emails import mask_email


def destination_of(order: MailOrder) -> PayoutDestination | None:
    """What the mail is about."""
    rows = PayoutDestination.objects.select_related("participant__campaign__merchant", "merchant")
    return rows.filter(public_id=order.subject_id).first()


def confirm_letter(order: MailOrder) -> Letter | None:
    """To the new address, or to the person's own where that is no mailbox; None when it waits no more, or test mode keeps silent."""
    row = destination_of(order)
    if row is None or row.ended_at is not None or row.confirmed_at is not None:
        return None
    if mailing.is_quiet_at(row.tenant, order.to or row.participant.email):
        return None
    said = {
        "merchant": row.merchant.name,
        "email": order.to,
        "hint": row.hint,
        "kind": kind_text(row),
        "owner": mask_email(row.participant.email),
    }
    wish = (
        _("%(owner)s wants rewards of %(merchant)s to be paid to %(email)s (%(kind)s).")
        if order.to
        else _("Somebody on your page wants your rewards of %(merchant)s to go to %(hint)s (%(kind)s).")
    )
    return Letter(
        subject=_("Confirm your payout address at %(merchant)s") % said,
        heading=_("Shall payouts go to this address?"),
        paragraphs=[
            wish % said,
            _("Press the button if that is right. Nothing is paid there before that."),
        ],
        button=_("Look at it and confirm"),
        url=_address("hosted:payout_confirm", destinations.confirm_token(row)),
        small=[_("It works for three days. You know nothing of this? Then do nothing, and nothing happens.")],
    )


def kind_text(row: PayoutDestination) -> str:
    """What kind of address it is: "PayPal"."""
    return str(row.get_method_display())


def changed_letter(order: MailOrder) -> Letter | None:
    """To the person's own address and the former one; None when it was taken back already."""
    row = destination_of(order)
    if row is None or row.usable_from is None or row.confirmed_at is None or row.end in {"taken_back", "removed"}:
        return None
    if mailing.is_quiet_at(row.tenant, order.to or row.participant.email):
        return None
    said = {
        "merchant": row.merchant.name,
        "hint": row.hint,
        "kind": kind_text(row),
        "day": day_text(row.usable_from, year=True),
    }
    held = row.usable_from > row.confirmed_at
    until = {"day": day_text(row.confirmed_at + PayoutDestination.HOLD, year=True)}
    return Letter(
        subject=_("Your payout address at %(merchant)s has changed") % said
        if held
        else _("Your payout address at %(merchant)s is confirmed") % said,
        heading=_("Payouts go to %(hint)s (%(kind)s)") % said,
        paragraphs=[
            _("Nothing is paid until %(day)s, so that you have time to object.") % said
            if held
            else _("From now on %(merchant)s can pay you there.") % said,
            _(
                "Was it you? Then there is nothing to do. If not, take it back; that ends every log-in to your page, too."
            ),
        ],
        button=_("It was not me"),
        url=_address("hosted:payout_keep", destinations.keep_token(row)),
        small=[_("It can be taken back until %(day)s.") % until],
    )


def _address(name: str, token: str) -> str:
    return f"{settings.SITE_URL}{reverse(name, args=[token])}"
