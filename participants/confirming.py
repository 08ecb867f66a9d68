"""Double opt-in: whoever fills in the form is asked by mail whether they meant it, and joins when they say so (docs/hosted.md).

Asked twice is asked once: one open request for an address and campaign. The first referrer named stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core import signing
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from participants.attribution import Claim, claimant
from participants.fraud.traces import Seen
from participants.join_answers import Answers, terms_version
from participants.models import JoinRequest, Participant
from participants.services import check_email, closed_message
from referrals.accounts import limits
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.codes import random_text
from referrals.lib.emails import Email
from referrals.lib.errors import Refused
from referrals.lib.queue import enqueue

_SALT, _WAIT = "participants.confirming", "participants.confirming.wait"
MAIL_TASK = "referrals.hosted.confirm_mail.send"
# Requests that are over are forgotten this long after they were made.
KEPT = JoinRequest.LIFE * 2


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who wants to join, as the form or the script says it."""

    email: str
    first_name: str = ""
    last_name: str = ""
    language: str = ""
    source: str = "hosted"
    claim: Claim = field(default_factory=Claim)
    answers: Answers = field(default_factory=Answers)
    seen: Seen | None = None


def ask(*, campaign: Campaign, who: Applicant, actor: Actor) -> JoinRequest:
    """Keep the request and mail the question. Raises Refused: email_invalid, campaign_*. Known addresses are asked like new ones."""
    address = check_email(who.email)
    reason = campaign.closed_reason(clock.now())
    if reason is not None:
        raise Refused(reason, closed_message(campaign, reason), details={"campaign": campaign.public_id})
    with transaction.atomic():
        referrer = claimant(campaign, who.claim)
        if referrer is not None and referrer.identity_key == address.identity:
            referrer = None
        values = _values(campaign, who, referrer)
        row, made = _insert(campaign, address, values)
        if not made:
            _renew(row, values)
        if made:
            where = {"campaign": campaign.public_id, "referrer": referrer.public_id if referrer else ""}
            told = Happening(types.JOIN_REQUESTED, "campaign", campaign.public_id, **where, data={"source": who.source})
            record(campaign.tenant, actor, told)
    send_again(row)
    return row


def _values(campaign: Campaign, who: Applicant, referrer: Participant | None) -> dict[str, Any]:
    seen = who.seen
    return {
        "email": check_email(who.email).address,
        "first_name": who.first_name,
        "last_name": who.last_name,
        "language": who.language[:8],
        "source": who.source,
        "link_code": who.claim.link_code[:64],
        "cookie_code": who.claim.cookie_code[:64],
        "visitor": who.claim.visitor,
        "referrer": referrer,
        "answers": who.answers.values,
        "terms": terms_version(campaign, who.answers.terms),
        "seen": {"ip": seen.ip, "agent": seen.agent[:200], "devices": list(seen.devices)} if seen else {},
    }


def _insert(campaign: Campaign, address: Email, values: dict[str, Any]) -> tuple[JoinRequest, bool]:
    row = JoinRequest(
        merchant_id=campaign.merchant_id,
        is_test=campaign.is_test,
        campaign=campaign,
        email_key=address.key,
        **values,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        twin = JoinRequest.objects.filter(campaign=campaign, email_key=address.key, confirmed_at=None).first()
        if twin is None:
            raise
        return twin, False
    return row, True


def _renew(row: JoinRequest, values: dict[str, Any]) -> None:
    """Said again: one that is over begins anew, an open one that nobody brought may still name a referrer."""
    rows = JoinRequest.objects.filter(pk=row.pk, confirmed_at=None)
    if is_over(row):
        nonce = random_text(22)
        rows.filter(created_at=row.created_at).update(**values, nonce=nonce, created_at=clock.wall(), mails=0)
    elif row.referrer_id is None and values["referrer"] is not None:
        named = {name: values[name] for name in ("link_code", "cookie_code", "visitor", "referrer")}
        rows.filter(referrer=None).update(**named)
    row.refresh_from_db()


def is_over(row: JoinRequest) -> bool:
    """Whether the question has waited too long for its answer."""
    return row.created_at + JoinRequest.LIFE < clock.wall()


def send_again(row: JoinRequest) -> bool:
    """Ask the worker for a mail, at most three an hour and five in all; False when there were enough."""
    if is_over(row) or row.confirmed_at is not None or row.mails >= JoinRequest.MOST_MAILS:
        return False
    if not limits.allow(f"join-confirm:{row.email_key}:{row.campaign_id}", 3, 3600):
        return False
    waiting = JoinRequest.objects.filter(pk=row.pk, mails__lt=JoinRequest.MOST_MAILS, confirmed_at=None)
    with transaction.atomic():
        if waiting.update(mails=F("mails") + 1, mail_due_at=clock.wall()) != 1:
            return False
        enqueue(MAIL_TASK, row.pk)
    return True


def waiting_for(participant: Participant) -> QuerySet[JoinRequest]:
    """Who came through this person and has yet to confirm, newest first."""
    since = clock.wall() - JoinRequest.LIFE
    rows = JoinRequest.objects.filter(referrer=participant, confirmed_at=None, created_at__gt=since)
    return rows.order_by("-pk")


def count_waiting(campaign: Campaign) -> int:
    """How many have filled in the form and not confirmed yet."""
    since = clock.wall() - JoinRequest.LIFE
    return JoinRequest.objects.filter(campaign=campaign, confirmed_at=None, created_at__gt=since).count()


def confirm_token(row: JoinRequest) -> str:
    """The signed text in the mailed address; made from the row, so nothing secret has to be queued."""
    return signing.dumps([row.pk, row.nonce], salt=_SALT)


def find_request(token: str) -> JoinRequest | None:
    """The request behind a mailed token, confirmed or not, while it is not over."""
    return _find(token, _SALT)


def wait_token(row: JoinRequest) -> str:
    """The signed name of a request for the page after the form: it can ask for another mail, and nothing else."""
    return signing.dumps([row.pk, row.nonce], salt=_WAIT)


def find_waiting(token: str) -> JoinRequest | None:
    """The request behind a page's token."""
    return _find(token, _WAIT)


def _find(token: str, salt: str) -> JoinRequest | None:
    try:
        pk, nonce = signing.loads(token, salt=salt, max_age=JoinRequest.LIFE)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    rows = JoinRequest.objects.filter(pk=pk, nonce=nonce).select_related("campaign__merchant", "terms", "participant")
    row = rows.first()
    return None if row is None or is_over(row) else row


def mark_confirmed(row: JoinRequest, participant: Participant, at: datetime) -> bool:
    """Close a request; False when somebody else has done so."""
    rows = JoinRequest.objects.filter(pk=row.pk, confirmed_at=None)
    return rows.update(confirmed_at=at, participant=participant, mail_due_at=None) == 1


def forget_requests() -> int:
    """Delete requests that nobody confirmed in time, and what confirmed ones said besides. Returns how many rows went."""
    gone, _each = JoinRequest.objects.filter(created_at__lt=clock.wall() - KEPT).delete()
    return int(gone)


def refuse_over() -> Refused:
    """410: the mailed link is too old, or another one has taken its place."""
    return Refused("link_expired", _("This link has expired. Fill in the form once more."), status=410)
