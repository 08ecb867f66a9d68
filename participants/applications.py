"""Applying to an affiliate programme: once per campaign and address, and nothing counts before the address is confirmed by mail.

Known and new addresses are answered alike (RELIABILITY INV-30): what is different stands in the mail, which only its owner reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.core import signing
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from campaigns.listings import Question
from campaigns.models import Campaign
from participants import portal
from participants.models import Application, ApplicationMail, Participant
from participants.models import application_nonce as new_nonce
from participants.services import check_email
from referrals.events.services import Happening
from referrals.lib import clock
from referrals.lib.addresses import read_address
from referrals.lib.errors import Refused
from referrals.lib.plain import lines, one_line
from referrals.lib.queue import enqueue

MAIL_TASK = "referrals.hosted.hub_mail.send"
LENGTHS = {"short": 200, "long": 2000, "url": 500, "choice": 80}
_SALT = "participants.application"


def apply(
    *,
    campaign: Campaign,
    email: str,
    answers: Sequence[Mapping[str, str]] = (),
    first_name: str = "",
    last_name: str = "",
    language: str = "",
) -> None:
    """Keep an application and mail a link that confirms it. One that is not confirmed is replaced, and its older links end.

    Whoever applied before gets a mail that shows where it stands; whoever takes part already, the link to their page.
    Raises Refused: email_invalid.
    """
    address = check_email(email)
    values: dict[str, Any] = {
        "email": address.address,
        "first_name": one_line(first_name)[:80],
        "last_name": one_line(last_name)[:80],
        "language": language[:8],
        "answers": [dict(answer) for answer in answers],
    }
    member = Participant.objects.filter(campaign=campaign, email_key=address.key).first()
    if member is not None:
        portal.send_link(member)
        return
    with transaction.atomic():
        row = Application(
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
            mine = Application.objects.filter(campaign=campaign, email_key=address.key)
            fresh = values | {"nonce": new_nonce(), "created_at": clock.now()}
            mine.filter(status=Application.UNCONFIRMED).update(**fresh)
            row = mine.get()
        is_new = row.status == Application.UNCONFIRMED
        tell(row, ApplicationMail.CONFIRM if is_new else ApplicationMail.STATE)


def tell(application: Application, kind: str, *, after: timedelta = timedelta()) -> None:
    """Have the worker send a mail, at once or after a while, in which it can become untrue."""
    mail = ApplicationMail.objects.create(application=application, kind=kind, next_attempt_at=clock.wall() + after)
    if not after:
        enqueue(MAIL_TASK, mail.pk)


def answer_of(question: Question, given: str) -> dict[str, str]:
    """What was asked and said, as it is kept. Raises Refused at the question's key: required, too_long, invalid_choice, invalid_value."""
    text = lines(given) if question.kind == "long" else one_line(given)
    limit = LENGTHS[question.kind]
    if question.required and not text:
        raise Refused("required", _("Please answer this."), field=question.key)
    if len(text) > limit:
        message = _("The text is %(length)d characters long; at most %(limit)d fit.")
        raise Refused("too_long", message % {"length": len(text), "limit": limit}, field=question.key)
    if question.kind == "choice" and text and text not in question.choices:
        raise Refused("invalid_choice", _("Choose one of the answers."), field=question.key)
    if question.kind == "url" and text:
        page = read_address(text)
        if page is None:
            message = _("Enter a full web address, beginning with https://.")
            raise Refused("invalid_value", message, field=question.key)
        text = page.text()
    return {"key": question.key, "label": question.label, "kind": question.kind, "value": text}


def make_token(application: Application) -> str:
    """The signed text in the address of a mail about an application."""
    return signing.dumps([application.pk, application.nonce], salt=_SALT)


def find(token: str) -> Application | None:
    """The application behind a mailed link, for a week and until it is replaced. Looking changes nothing."""
    try:
        pk, nonce = signing.loads(token, salt=_SALT, max_age=Application.LIFE)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    rows = Application.objects.select_related("campaign__merchant", "merchant", "participant__campaign")
    return rows.filter(pk=pk, nonce=nonce).first()


def happening(type_: str, application: Application) -> Happening:
    """An Event about an application; without words of or about the person, because history is kept."""
    return Happening(
        type_,
        "application",
        application.public_id,
        campaign=application.campaign.public_id,
        participant=application.participant.public_id if application.participant else "",
    )


def forget() -> int:
    """Delete applications that nobody confirmed within a week. Returns how many; the schedule calls it."""
    rows = Application.objects.filter(status=Application.UNCONFIRMED, created_at__lt=clock.wall() - Application.LIFE)
    return rows.delete()[1].get("participants.Application", 0)
