"""The log-in to all programmes of one address, over all merchants: a mailed one-time link, then a session (RELIABILITY section 7).

It proves an address and nothing else. Both guard a door, so they keep the real time whatever a test clock says.
"""

from __future__ import annotations

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse

from participants import portal
from participants.models import Application, HubAccess, Participant
from participants.services import check_email
from referrals.accounts.models import hash_token, new_token
from referrals.lib import clock
from referrals.lib.queue import enqueue

MAIL_TASK = "referrals.hosted.hub_mail.send_access"
_SALT = "participants.hub_access"


def memberships(email_key: str) -> QuerySet[Participant]:
    """Everything that an address takes part in on this installation's live sides, the newest first."""
    return Participant.objects.filter(email_key=email_key, is_test__in=[False]).order_by("-pk")


def applications(email_key: str) -> QuerySet[Application]:
    """The applications of an address on live sides that led to no membership, the newest first."""
    rows = Application.objects.filter(email_key=email_key, is_test__in=[False], participant=None)
    return rows.exclude(status=Application.UNCONFIRMED).order_by("-pk")


def ask(*, email: str, language: str = "") -> None:
    """Mail a link to somebody who has a programme or an application; nothing to a stranger. Raises Refused email_invalid."""
    address = check_email(email)
    if not (memberships(address.key).exists() or applications(address.key).exists()):
        return
    with transaction.atomic():
        access = HubAccess.objects.create(email=address.address, email_key=address.key, language=language[:8])
        enqueue(MAIL_TASK, access.pk)


def address_of(access: HubAccess) -> str:
    """The mailed address; made from the row, so nothing secret has to be queued."""
    token = signing.dumps([access.pk, access.nonce], salt=_SALT)
    return f"{settings.SITE_URL}{reverse('hosted:hub_open', args=[token])}"


def find_link(token: str) -> HubAccess | None:
    """The link behind a token while it still works: unused and younger than ten minutes. Looking does not use it."""
    try:
        pk, nonce = signing.loads(token, salt=_SALT, max_age=HubAccess.LINK_LIFE)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    access = HubAccess.objects.filter(pk=pk, nonce=nonce, used_at=None).first()
    if access is None or access.created_at + HubAccess.LINK_LIFE < clock.wall():
        return None
    return access


def open_link(token: str, *, agent: str = "") -> str:
    """Use a link: exactly one caller gets the token for the session's cookie, everybody else ""."""
    access = find_link(token)
    if access is None:
        return ""
    text, now = new_token(), clock.wall()
    used = HubAccess.objects.filter(pk=access.pk, used_at=None).update(
        used_at=now,
        token_hash=hash_token(text),
        expires_at=now + HubAccess.SESSION_LIFE,
        agent="".join(c for c in agent if c.isprintable())[:200],
    )
    return text if used == 1 else ""


def session_for(token: str) -> HubAccess | None:
    """The live session of a cookie's token."""
    if not token or len(token) > 100:
        return None
    return HubAccess.objects.filter(token_hash=hash_token(token), ended_at=None, expires_at__gt=clock.wall()).first()


def end_session(access: HubAccess) -> None:
    """Log this browser out."""
    HubAccess.objects.filter(pk=access.pk, ended_at=None).update(ended_at=clock.wall())


def open_page(access: HubAccess, public_id: str, *, agent: str = "") -> portal.Opened | None:
    """A session for the own page in one programme, for who has proved its address here; None for anybody else's."""
    person = memberships(access.email_key).filter(public_id=public_id[:32]).select_related("campaign__merchant").first()
    if person is None or access.used_at is None:
        return None
    return portal.start_session(person, proved_at=access.used_at, agent=agent)


def forget() -> int:
    """Delete links and sessions that are over. Returns how many; the schedule calls it."""
    now = clock.wall()
    over = HubAccess.objects.filter(created_at__lt=now - HubAccess.SESSION_LIFE - HubAccess.LINK_LIFE)
    unused = HubAccess.objects.filter(token_hash=None, created_at__lt=now - HubAccess.SESSION_LIFE / 30)
    return over.delete()[0] + unused.delete()[0]
