"""Erasing a person's data: the rows of participants.privacy.HELD are deleted, emptied or kept, in the caller's transaction."""

from __future__ import annotations

from django.db.models import Q

from participants.inviting import address_key, stop_address
from participants.models import CustomerUpload, HubAccess, Invite, InviteList, MailStop, Participant
from participants.privacy import HELD, Person
from referrals.lib import clock
from referrals.lib.codes import referral_code
from referrals.lib.emails import parse_email

DOMAIN = "erased.invalid"


def erase_rows(person: Person) -> None:
    """Do what the table says, and put tombstones in place of what names the person. The rows of the people are locked by the caller."""
    if MailStop.objects.filter(participant__in=person.keys, kind="").exists():
        # Who wanted no mails is not invited anew either; that outlives the wish's own row, as a fingerprint.
        stop_address(person.tenant, address_key(person.tenant, parse_email(person.email)))
    for held in HELD:
        rows = held.rows(person)
        if held.fate == "deleted":
            rows.delete()
        elif held.fate == "emptied":
            rows.update(**held.empty)
    _tombstones(person)
    for invite in Invite.objects.filter(email_key=person.email_key, **person.side).order_by("pk"):
        dead = f"{invite.public_id}@{DOMAIN}"
        Invite.objects.filter(pk=invite.pk).update(email=dead, email_key=dead.lower())
    _scrub_lists(person)
    if not Participant.objects.filter(email_key=person.email_key).exists():
        HubAccess.objects.filter(email_key=person.email_key).delete()


def _tombstones(person: Person) -> None:
    """Each membership gets an address that nobody has and a code that nobody knows, so that old links lead to nobody; it earns no more."""
    for row in Participant.objects.filter(pk__in=person.keys).order_by("pk"):
        dead = f"{row.public_id}@{DOMAIN}"
        Participant.objects.filter(pk=row.pk).update(
            email=dead,
            email_key=dead.lower(),
            identity_key=dead.lower(),
            referral_code=referral_code(),
            erased_at=clock.now(),
            banned_at=row.banned_at or clock.now(),
        )


def _scrub_lists(person: Person) -> None:
    """Lines of merchants' files that could not be read are kept to be mended; those that name the person go."""
    words = {person.email.casefold(), person.email_key}
    for model in (CustomerUpload, InviteList):
        rows = model.objects.for_tenant(person.tenant).exclude(wrong_rows=[]).filter(~Q(state="dropped"))
        for row in rows.order_by("pk"):
            kept = [line for line in row.wrong_rows if not any(word in str(line).casefold() for word in words)]
            if kept != row.wrong_rows:
                model.objects.filter(pk=row.pk).update(wrong_rows=kept)
