"""Who may be invited, their one invitation with its link, and what becomes of it (docs/invitations.md; ADR 14).

What somebody wishes, and what their mail server said, counts for their address with one merchant: in all of the merchant's campaigns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.core import signing
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as lazy

from campaigns.models import Campaign
from participants.links import site_of
from participants.models import Invite, InviteList, InviteSettings, MailBounce, MailStop, NoInvite, Participant
from referrals.accounts.models import Membership
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.emails import EmailError, parse_email

KIND = "customer"  # of campaigns.mails.KINDS
MOST_ATTEMPTS = 8  # over about eight hours
_SALT = "participants.invites"
# Why somebody gets no invitation, or got none in the end.
REASONS: dict[str, str | Promise] = {
    "no_consent": lazy("Did not agree to get mail"),
    "participant": lazy("Takes part already"),
    "stopped": lazy("Wants no mails from you"),
    "bounced": lazy("Their address bounced"),
    "duplicate": lazy("Stands twice in the file"),
    "invited_before": lazy("Was invited before"),
    "test_mode": lazy("Test mode writes to your team only"),
    "list_stopped": lazy("You stopped the list"),
    "campaign_ended": lazy("The campaign had ended"),
    "mail_off": lazy("The mail was switched off"),
    "switched_off": lazy("You switched these invitations off"),
    "gave_up": lazy("The mail server did not take it"),
    "erased": lazy("Asked to be erased"),
}


def settings_of(campaign: Campaign) -> InviteSettings:
    """What counts for a campaign's invitations, saved or not."""
    return InviteSettings.objects.filter(campaign=campaign).first() or InviteSettings(campaign=campaign)


def save_settings(campaign: Campaign, actor: Actor, **fields: object) -> InviteSettings:
    """Set how a campaign's invitations are sent; an Event when something changed."""
    with transaction.atomic():
        row, _made = InviteSettings.objects.get_or_create(campaign=campaign)
        row = InviteSettings.objects.select_for_update().get(pk=row.pk)
        changed = sorted(name for name, value in fields.items() if getattr(row, name) != value)
        for name in changed:
            setattr(row, name, fields[name])
        if row.by_itself and row.since is None:
            row.since = clock.now()
        elif not row.by_itself:
            row.since = None
        if changed:
            row.save(update_fields=[*changed, "since"])
            data = {"fields": changed}
            told = Happening(types.INVITES_CHANGED, "campaign", campaign.public_id, campaign.public_id, data=data)
            record(campaign.tenant, actor, told)
    return row


def fingerprint(tenant: Tenant, email_key: str) -> str:
    """How an address that wants no invitation is kept: the same text has another fingerprint at each merchant, on each side."""
    return hashlib.sha256(f"{tenant.merchant.pk}:{int(tenant.is_test)}:invite:{email_key}".encode()).hexdigest()


def mailbox_of(email_key: str) -> str:
    """The mailbox behind a folded address; the address itself where it can't be read."""
    try:
        return parse_email(email_key).identity
    except EmailError:
        return email_key


def unwelcome(tenant: Tenant, keys: Collection[str]) -> dict[str, str]:
    """Which folded addresses get no invitation of this merchant, and why: stopped, bounced, test_mode. Four queries at most."""
    found: dict[str, str] = {}
    mine = {f"participant__{name}": value for name, value in _side(tenant).items()}
    bounced = MailBounce.objects.filter(email_key__in=keys, cleared_at=None, **mine)
    found.update(dict.fromkeys(bounced.values_list("email_key", flat=True), "bounced"))
    stops = MailStop.objects.filter(participant__email_key__in=keys, kind__in=["", KIND], **mine)
    found.update(dict.fromkeys(stops.values_list("participant__email_key", flat=True), "stopped"))
    # Friends' invitations keep the mailbox behind the address, without a tag after a + (participants.inviting).
    prints: dict[str, set[str]] = {}
    for key in keys:
        for text in {key, mailbox_of(key)}:
            prints.setdefault(fingerprint(tenant, text), set()).add(key)
    rows = NoInvite.objects.for_tenant(tenant).filter(key__in=prints).order_by("reason")
    for text, reason in rows.values_list("key", "reason"):
        found.update(dict.fromkeys(prints[text], reason))
    if tenant.is_test:
        team = Membership.objects.filter(merchant=tenant.merchant).values_list("user__email", flat=True)
        known = {email.lower() for email in team}
        found.update({key: "test_mode" for key in keys if key not in known and key not in found})
    return found


def _side(tenant: Tenant) -> dict[str, object]:
    return {"merchant": tenant.merchant, "is_test__in": [tenant.is_test]}


def left_out(campaign: Campaign, keys: Collection[str]) -> dict[str, str]:
    """Which addresses get no invitation to this campaign, and why: participant, stopped, bounced, invited_before, test_mode."""
    before = Invite.objects.filter(campaign=campaign, email_key__in=keys).exclude(state="ready")
    found = dict.fromkeys(before.values_list("email_key", flat=True), "invited_before")
    found |= unwelcome(campaign.tenant, keys)
    there = Participant.objects.filter(campaign=campaign, email_key__in=keys)
    return found | dict.fromkeys(there.values_list("email_key", flat=True), "participant")


def add(campaign: Campaign, rows: Iterable[Invite]) -> dict[str, Invite]:
    """Insert invitations that are not there yet, in the caller's transaction; every row of these addresses, by folded address.

    In one order, so that two who add the same people wait for each other and don't lock up.
    """
    wanted = sorted(rows, key=lambda row: row.email_key)
    Invite.objects.bulk_create(wanted, ignore_conflicts=True)
    found = Invite.objects.filter(campaign=campaign, email_key__in=[row.email_key for row in wanted])
    return {row.email_key: row for row in found}


def link_of(invite: Invite) -> str:
    """The own link that is kept for somebody; reads the campaign, so select it along."""
    return f"{site_of(invite.campaign)}/r/{invite.code}"


def token_of(invite: Invite) -> str:
    """The signed name of an invitation, for the page that a mail leads to. It never grows old: the mail lies in the box for years."""
    return signing.Signer(salt=_SALT).sign_object(invite.public_id)


def read_token(token: str) -> Invite | None:
    """The invitation behind such a name."""
    try:
        public_id = signing.Signer(salt=_SALT).unsign_object(token)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    rows = Invite.objects.select_related("campaign__merchant", "merchant", "participant__campaign__merchant")
    return rows.filter(public_id=str(public_id)).first()


def find_code(text: str) -> Invite | None:
    """Whose kept code this is, in a campaign that was launched; by its very letters."""
    rows = Invite.objects.select_related("campaign__merchant", "merchant", "participant__campaign__merchant")
    return rows.filter(code=text).exclude(campaign__status="draft").first()


def note_opened(invite: Invite) -> None:
    """Keep when a person first opened the page or the link of an invitation; later openings change nothing."""
    Invite.objects.filter(pk=invite.pk, opened_at=None).update(opened_at=clock.now())


def due(campaign: Campaign, now: datetime, most: int) -> list[int]:
    """Invitations of a campaign whose mail is to be tried now, oldest first."""
    rows = Invite.objects.filter(campaign=campaign, state="queued", next_attempt_at__lte=now).filter(_may_leave())
    return list(rows.order_by("next_attempt_at", "pk").values_list("pk", flat=True)[:most])


def _may_leave() -> Q:
    """Not by a join: an UPDATE would put every condition into a subquery, and PostgreSQL does not ask that again after a lock."""
    return Q(list=None) | Q(list__in=InviteList.objects.filter(state="sending").values("pk"))


def claim(invite: Invite, now: datetime) -> bool:
    """Take one mail upon oneself: count the attempt before the work and say when the next one is. False when somebody else has it,
    or when the merchant has just paused or stopped the list."""
    pause = timedelta(minutes=2 ** (invite.attempts + 1))
    rows = Invite.objects.filter(pk=invite.pk, state="queued", attempts=invite.attempts, next_attempt_at__lte=now)
    return bool(rows.filter(_may_leave()).update(attempts=F("attempts") + 1, next_attempt_at=now + pause))


def settle(invite: Invite, state: str, reason: str = "") -> None:
    """What became of a mail that was claimed: sent, left_out or failed."""
    changes: dict[str, object] = {"state": state, "reason": reason, "next_attempt_at": None}
    if state == "sent":
        # Also where the list was stopped while the mail was on its way.
        Invite.objects.filter(pk=invite.pk).update(**changes, sent_at=clock.now())
    else:
        Invite.objects.filter(pk=invite.pk, state="queued").update(**changes)


def refuse(tenant: Tenant, email_key: str, reason: str, *, code: int = 0, text: str = "") -> None:
    """Keep that an address gets no invitation any more: "stopped" or "bounced". Said twice it is said once."""
    said = " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]
    try:
        with transaction.atomic():
            NoInvite.objects.create(
                merchant=tenant.merchant, is_test=tenant.is_test, key=fingerprint(tenant, email_key),
                reason=reason, code=code, text=said,
            )  # fmt: skip
    except IntegrityError:
        return


def allow(tenant: Tenant, email_key: str) -> None:
    """Take back that somebody wants no invitations."""
    key = fingerprint(tenant, email_key)
    NoInvite.objects.for_tenant(tenant).filter(key=key, reason="stopped").delete()
