"""Whether a person may be written to: unsubscribing (RFC 8058), bounces, and the quiet of test mode (docs/mail.md).

What somebody wishes, and what their mail server said, counts for their address with one merchant: in all of the merchant's campaigns.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from django.core import signing
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from participants.mail_models import MailBounce, MailStop
from participants.models import Participant
from participants.services import lock_person
from referrals.accounts.models import Membership
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import SYSTEM, Actor, Happening, record
from referrals.lib import clock

_SALT = "participants.mailing"
_FRIEND_SALT = "participants.mailing.friend"
# Enhanced status codes (RFC 3463) that speak of the address itself: bad mailbox, bad domain, no such address, moved, mailbox disabled.
_HARD_STATUS = re.compile(r"\b5\.(?:1\.(?:1|2|3|6|10)|2\.1)\b")
_STATUS = re.compile(r"\b5\.\d{1,3}\.\d{1,3}\b")
# Without an enhanced code, at RCPT: no such mailbox, user not local, mailbox name not allowed (RFC 5321, 4.2.3).
_HARD_REPLIES = frozenset({550, 551, 553})


def is_hard(code: int, text: str, *, at_rcpt: bool) -> bool:
    """Whether an SMTP reply says that the address will never work, rather than that it is full, or that we are not welcome.

    `at_rcpt`: the server said it of this one recipient. An enhanced status code (RFC 3463) goes first.
    """
    if not 500 <= code <= 599:
        return False
    if _STATUS.search(text):
        return _HARD_STATUS.search(text) is not None
    return at_rcpt and code in _HARD_REPLIES


def _same_address(participant: Participant) -> QuerySet[Participant]:
    return Participant.objects.for_tenant(participant.tenant).filter(email_key=participant.email_key)


def _tell(participant: Participant, actor: Actor, field: str) -> None:
    about = (types.PARTICIPANT_CHANGED, "participant", participant.public_id)
    where = {"campaign": participant.campaign.public_id, "participant": participant.public_id}
    record(participant.tenant, actor, Happening(*about, **where, data={"fields": [field]}))


def record_bounce(participant: Participant, code: int, text: str) -> bool:
    """Keep that the address bounced; False when that is known."""
    said = " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]
    try:
        with transaction.atomic():
            MailBounce.objects.create(participant=participant, email_key=participant.email_key, code=code, text=said)
            _tell(participant, SYSTEM, "mail_bounce")
    except IntegrityError:
        return False
    return True


def bounce_of(participant: Participant) -> MailBounce | None:
    """The newest standing bounce of the person's present address with this merchant."""
    rows = MailBounce.objects.filter(
        email_key=participant.email_key, cleared_at=None, participant__in=_same_address(participant)
    )
    return rows.order_by("-bounced_at", "-pk").first()


def clear_bounce(*, participant: Participant, actor: Actor) -> int:
    """Write to the address again; how many bounces that clears."""
    rows = MailBounce.objects.filter(
        email_key=participant.email_key, cleared_at=None, participant__in=_same_address(participant)
    )
    with transaction.atomic():
        cleared = rows.update(cleared_at=clock.wall())
        if cleared:
            _tell(participant, actor, "mail_bounce")
    return cleared


def is_quiet(participant: Participant) -> bool:
    """Whether test mode keeps silent towards this address: it writes to the merchant's own team only."""
    return is_quiet_at(participant.tenant, participant.email)


def is_quiet_at(tenant: Tenant, email: str) -> bool:
    """Whether test mode keeps silent towards an address, whoever has it."""
    if not tenant.is_test:
        return False
    team = Membership.objects.filter(merchant=tenant.merchant)
    return not team.filter(user__email__iexact=email).exists()


def stopped_kinds(participant: Participant) -> set[str]:
    """The kinds of mail that the address does not want; "" is all of them."""
    rows = MailStop.objects.filter(participant__in=_same_address(participant))
    return set(rows.values_list("kind", flat=True))


def wants(participant: Participant, kind: str) -> bool:
    """Whether the address wants mails of this kind."""
    return not stopped_kinds(participant) & {"", kind}


def stop(participant: Participant, kind: str = "") -> None:
    """No more mails of one kind, or of any. Said twice it is said once."""
    try:
        with transaction.atomic():
            MailStop.objects.create(participant=participant, kind=kind)
            _tell(participant, Actor("participant", "", _("Mail")), "mails")
    except IntegrityError:
        return


def resume(participant: Participant) -> int:
    """All mails again; how many wishes that takes back."""
    with transaction.atomic():
        gone: int = MailStop.objects.filter(participant__in=_same_address(participant)).delete()[0]
        if gone:
            _tell(participant, Actor("participant", "", _("Mail")), "mails")
    return gone


def choose(participant: Participant, stopped: Collection[str]) -> bool:
    """Set which kinds of mail the address does not want ("" is all); whether that changed anything. One Event for all of it."""
    with transaction.atomic():
        person = lock_person(participant.pk)
        before = stopped_kinds(person)
        if before == set(stopped):
            return False
        MailStop.objects.filter(participant__in=_same_address(person)).exclude(kind__in=stopped).delete()
        rows = [MailStop(participant=person, kind=kind) for kind in sorted(set(stopped) - before)]
        MailStop.objects.bulk_create(rows, ignore_conflicts=True)
        _tell(person, Actor("participant", "", _("Own page")), "mails")
    return True


def stop_token(participant: Participant, kind: str) -> str:
    """The signed text in a mail's unsubscribe address. It never grows old: an old mail must be able to end the mails (RFC 8058)."""
    return signing.dumps([participant.public_id, kind], salt=_SALT)


def read_stop_token(token: str) -> tuple[Participant, str] | None:
    """The person and kind of mail behind an unsubscribe address."""
    try:
        public_id, kind = signing.loads(token, salt=_SALT)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    rows = Participant.objects.select_related("campaign__merchant", "merchant")
    found = rows.filter(public_id=str(public_id)).first()
    return None if found is None else (found, str(kind))


def friend_token(campaign: Campaign, key: str) -> str:
    """The signed text in the unsubscribe address of a mail to somebody who is no participant; it never grows old.

    `key` is the mailbox's fingerprint, so that the address works when everything else of the invitation is forgotten.
    """
    return signing.dumps([campaign.public_id, key], salt=_FRIEND_SALT)


def read_friend_token(token: str) -> tuple[Campaign, str] | None:
    """The campaign and the mailbox's fingerprint behind such an address."""
    try:
        public_id, key = signing.loads(token, salt=_FRIEND_SALT)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    campaign = Campaign.objects.select_related("merchant").filter(public_id=str(public_id)).first()
    return None if campaign is None else (campaign, str(key))
