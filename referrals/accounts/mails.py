"""Mails about accounts, written by the worker."""

from __future__ import annotations

from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from referrals.accounts.models import Invitation
from referrals.accounts.services import invitation_url


def send_invitation(pk: int) -> None:
    """Mail the link, unless the invitation was used or taken back meanwhile."""
    invitation = Invitation.objects.select_related("merchant", "invited_by").filter(pk=pk).first()
    if invitation is None or not invitation.is_open:
        return
    inviter = invitation.invited_by
    context = {"invitation": invitation, "url": invitation_url(invitation), "inviter": str(inviter) if inviter else ""}
    subject = _("Join %(merchant)s on Passalong") % {"merchant": " ".join(invitation.merchant.name.split())}
    send_mail(subject, render_to_string("accounts/mail/invitation.txt", context), None, [invitation.email])
