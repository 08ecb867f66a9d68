"""Deciding on applications: confirming by the applicant, approving, declining and reconsidering by the merchant (docs/hub.md).

Approving joins the person in the same transaction as its Event. Two who decide at once: the first one's word stands.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from campaigns.listings import listing_of
from participants.applications import happening, tell
from participants.fraud.traces import Seen
from participants.models import Application, ApplicationMail
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import SYSTEM, Actor, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.plain import lines
from rewards.services import join

SOURCE = "hub"
REASON_LENGTH = 1000
# A refusal is mailed after a minute: until then it can be taken back without a word to the applicant.
GRACE = timedelta(minutes=1)


def confirm(*, application: Application, actor: Actor, seen: Seen | None = None) -> Application:
    """The applicant's address is proved: from now on the merchant sees it, or it is approved at once. Said again, it changes nothing.

    Raises Refused campaign_* when the campaign has closed meanwhile, `programme_closed` when it left the hub.
    """
    with transaction.atomic():
        row = _locked(application)
        if row.status != Application.UNCONFIRMED:
            return row
        reason = row.campaign.closed_reason(clock.now())
        listing = listing_of(row.campaign)
        if reason is not None or not listing.is_on:
            message = _("This programme takes nobody at the moment. Try again later.")
            raise Refused(reason or "programme_closed", message, status=409)
        row.status, row.confirmed_at = Application.WAITING, clock.now()
        row.save(update_fields=["status", "confirmed_at"])
        record(row.tenant, actor, happening(types.APPLICATION_RECEIVED, row))
        if listing.approval == "automatic":
            _approve(row, SYSTEM, "", seen)
    return row


def approve(*, application: Application, actor: Actor, reason: str = "") -> Application:
    """Let an applicant in, also one who was declined: they take part from now on and hear of it by mail.

    Raises Refused: invalid_state, too_long, campaign_* when nobody can join now.
    """
    reason = _checked(reason)
    with transaction.atomic():
        row = _locked(application)
        _expect(row, {Application.WAITING, Application.DECLINED})
        _approve(row, actor, reason, None)
    return row


def decline(*, application: Application, actor: Actor, reason: str = "") -> Application:
    """Say no, with words for the applicant or without; it can be reconsidered. Raises Refused: invalid_state, too_long."""
    reason = _checked(reason)
    with transaction.atomic():
        row = _locked(application)
        _expect(row, {Application.WAITING})
        _decide(row, Application.DECLINED, actor, reason)
        tell(row, ApplicationMail.DECLINED, after=GRACE)
        record(row.tenant, actor, happening(types.APPLICATION_DECLINED, row))
    return row


def reconsider(*, application: Application, actor: Actor) -> Application:
    """Take a refusal back: the application waits again. Raises Refused invalid_state."""
    with transaction.atomic():
        row = _locked(application)
        _expect(row, {Application.DECLINED})
        row.status, row.decided_at, row.decided_by, row.reason = Application.WAITING, None, "", ""
        row.save(update_fields=["status", "decided_at", "decided_by", "reason"])
        record(row.tenant, actor, happening(types.APPLICATION_RECONSIDERED, row))
    return row


def withdraw(*, application: Application, actor: Actor) -> None:
    """The applicant wants no more: a waiting application is deleted with what it says. Raises Refused invalid_state."""
    with transaction.atomic():
        row = _locked(application)
        _expect(row, {Application.WAITING})
        record(row.tenant, actor, happening(types.APPLICATION_WITHDRAWN, row))
        row.delete()


_MANY: dict[str, Callable[..., Application]] = {"approve": approve, "decline": decline}


def decide_many(
    *, tenant: Tenant, public_ids: Collection[str], decision: str, actor: Actor, reason: str = ""
) -> tuple[int, int]:
    """Approve or decline ("approve", "decline") all that wait among these, each in its own transaction. Returns (done, left out).

    What somebody else has decided meanwhile is left out. Raises Refused: nothing_selected, too_long, and campaign_* at the first one,
    because then nobody can join.
    """
    _checked(reason)
    rows = Application.objects.for_tenant(tenant).filter(public_id__in=public_ids).order_by("pk")
    chosen = list(rows.select_related("campaign__merchant"))
    if not chosen:
        raise Refused("nothing_selected", _("Tick at least one application."))
    done = 0
    for row in chosen:
        if row.status != Application.WAITING:
            continue
        try:
            _MANY[decision](application=row, actor=actor, reason=reason)
        except Refused as error:
            if error.code != "invalid_state":
                raise
        else:
            done += 1
    return done, len(chosen) - done


def _approve(row: Application, actor: Actor, reason: str, seen: Seen | None) -> None:
    row.participant = join(
        campaign=row.campaign,
        email=row.email,
        actor=actor,
        source=SOURCE,
        first_name=row.first_name,
        last_name=row.last_name,
        language=row.language,
        seen=seen,
    ).participant
    _decide(row, Application.APPROVED, actor, reason)
    tell(row, ApplicationMail.APPROVED)
    record(row.tenant, actor, happening(types.APPLICATION_APPROVED, row))


def _decide(row: Application, status: str, actor: Actor, reason: str) -> None:
    row.status, row.decided_at, row.decided_by, row.reason = status, clock.now(), actor.label[:300], reason
    row.save(update_fields=["status", "decided_at", "decided_by", "reason", "participant"])


def _locked(application: Application) -> Application:
    rows = Application.objects.select_for_update(of=("self",)).select_related("campaign__merchant", "merchant")
    return rows.get(pk=application.pk)


def _expect(row: Application, statuses: set[str]) -> None:
    if row.status not in statuses:
        message = _("This application is %(status)s already.") % {"status": row.get_status_display().lower()}
        raise Refused("invalid_state", message, status=409, details={"status": row.status})


def _checked(reason: str) -> str:
    text = lines(reason)
    if len(text) > REASON_LENGTH:
        message = _("The text is %(length)d characters long; at most %(limit)d fit.")
        raise Refused("too_long", message % {"length": len(text), "limit": REASON_LENGTH}, field="reason")
    return text
