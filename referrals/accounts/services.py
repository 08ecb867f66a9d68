"""Businesses and their teams. Each change and its Event are one transaction; people who are not allowed to are refused here, not only
on the page. What concerns the team stands in the history of the live side.
"""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from referrals.accounts.models import Invitation, Membership, Merchant, Role, User, hash_token
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib.emails import EmailError, parse_email
from referrals.lib.errors import Refused
from referrals.lib.queue import enqueue

CHANGEABLE = frozenset({"name", "currency", "time_zone", "website"})
INVITATION_TASK = "referrals.accounts.mails.send_invitation"


def user_actor(user: User) -> Actor:
    """How history names a user: the key is theirs, the label stays readable when they leave."""
    return Actor("user", str(user.pk), user.email)


# --- The business ---


def create_merchant(
    *,
    name: str,
    owner: User,
    actor: Actor | None = None,
    currency: str = "USD",
    time_zone: str = "UTC",
    website: str = "",
) -> Merchant:
    """A business with its first owner, who is also the actor unless another is given. Raises Refused for a bad value."""
    merchant = Merchant(name=name.strip(), currency=currency, time_zone=time_zone, website=website)
    _check(merchant)
    with transaction.atomic():
        merchant.save()
        Membership.objects.create(merchant=merchant, user=owner, role=Role.OWNER)
        happening = Happening(types.MERCHANT_CREATED, "merchant", merchant.public_id, data={"name": merchant.name})
        record(Tenant(merchant), actor or user_actor(owner), happening)
    return merchant


def update_merchant(*, merchant: Merchant, actor: Actor, **fields: Any) -> bool:
    """Change name, currency, time_zone or website; whether anything was different. Raises Refused for a bad value.

    The currency is what new campaigns begin with; existing ones keep theirs.
    """
    unknown = set(fields) - CHANGEABLE
    if unknown:
        raise Refused("unknown_field", _("%(field)s can't be changed.") % {"field": min(unknown)}, field=min(unknown))
    with transaction.atomic():
        current = Merchant.objects.select_for_update().get(pk=merchant.pk)
        changes = {
            key: [getattr(current, key), value] for key, value in fields.items() if getattr(current, key) != value
        }
        for key, value in fields.items():
            setattr(current, key, value)
            setattr(merchant, key, value)
        _check(current)
        if not changes:
            return False
        current.save(update_fields=list(changes))
        record(
            Tenant(current),
            actor,
            Happening(types.MERCHANT_CHANGED, "merchant", current.public_id, data={"changes": changes}),
        )
    return True


def _check(merchant: Merchant) -> None:
    try:
        merchant.full_clean()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise Refused("invalid", messages[0], field=field) from error


# --- The team ---


def _must_manage(by: Membership, role: Role, target: Membership | None = None) -> None:
    """Admins and owners manage the team; nobody gives a role above their own, or touches somebody above them."""
    if not by.may(Role.ADMIN):
        raise Refused("role_too_low", _("Only admins and owners change the team."), status=403)
    if not by.may(role):
        raise Refused("role_too_high", _("You can't give a role above your own."), field="role", status=403)
    if target is not None and not by.may(Role(target.role)):
        raise Refused("role_too_low", _("Only an owner can change another owner."), status=403)


def invite(*, by: Membership, email: str, role: Role) -> Invitation:
    """Invite an address to the team and mail the link; an open invitation of that address is replaced.

    Raises Refused: `email_invalid`, `already_member`, `role_too_low`, `role_too_high`.
    """
    _must_manage(by, role)
    try:
        address = parse_email(email).address.lower()
    except EmailError as error:
        raise Refused("email_invalid", str(error), field="email") from error
    merchant = by.merchant
    if Membership.objects.filter(merchant=merchant, user__email=address).exists():
        raise Refused(
            "already_member", _("%(email)s is in the team already.") % {"email": address}, field="email", status=409
        )
    now = timezone.now()
    invitation = Invitation(
        merchant=merchant,
        email=address,
        role=role,
        invited_by=by.user,
        created_at=now,
        expires_at=now + Invitation.LIFE,
    )
    invitation.token_hash = hash_token(make_token(invitation))
    try:
        with transaction.atomic():
            Merchant.objects.select_for_update().get(pk=merchant.pk)
            merchant.invitations.filter(email=address, accepted_at=None, revoked_at=None).update(revoked_at=now)
            invitation.save()
            record(
                Tenant(merchant),
                user_actor(by.user),
                Happening(
                    types.MEMBER_INVITED,
                    "invitation",
                    invitation.public_id,
                    data={"email": address, "role": str(role)},
                ),
            )
            enqueue(INVITATION_TASK, invitation.pk)
    except IntegrityError as error:
        raise Refused(
            "already_invited", _("%(email)s was invited a moment ago.") % {"email": address}, field="email", status=409
        ) from error
    return invitation


def make_token(invitation: Invitation) -> str:
    """The secret in the mailed link: derived from the row and SECRET_KEY, so that the worker can write the mail and nothing stores it."""
    parts = f"{invitation.public_id}:{invitation.email}:{invitation.expires_at.timestamp()}"
    return salted_hmac("referrals.accounts.invitation", parts, algorithm="sha256").hexdigest()


def find_invitation(token: str) -> Invitation | None:
    """The open invitation behind a link; None for one that was used, revoked, is too old, or never was."""
    found = Invitation.objects.select_related("merchant", "invited_by").filter(token_hash=hash_token(token)).first()
    return found if found is not None and found.is_open else None


def accept(*, invitation: Invitation, user: User) -> Membership:
    """Use the invitation, once. Raises Refused: `invitation_used`, `already_member`; the invitation then stays as it was."""
    now = timezone.now()
    with transaction.atomic():
        used = Invitation.objects.filter(
            pk=invitation.pk, accepted_at=None, revoked_at=None, expires_at__gt=now
        ).update(accepted_at=now)
        if not used:
            raise Refused(
                "invitation_used", _("This invitation was used or taken back. Ask for a new one."), status=409
            )
        try:
            with transaction.atomic():
                membership = Membership.objects.create(merchant=invitation.merchant, user=user, role=invitation.role)
        except IntegrityError as error:
            raise Refused("already_member", _("You are in this team already."), status=409) from error
        data = {"email": user.email, "role": invitation.role, "invitation": invitation.public_id}
        happening = Happening(types.MEMBER_JOINED, "member", membership.public_id, data=data)
        record(Tenant(invitation.merchant), user_actor(user), happening)
    return membership


def accept_as_new(*, invitation: Invitation, name: str, password: str) -> Membership:
    """Make an account for the invited address, which the mailed link has proved, and use the invitation with it.

    Raises Refused `account_exists` when the address has an account by now, and what accept() raises.
    """
    try:
        with transaction.atomic():
            user = User.objects.create_user(invitation.email, password, name=name.strip())
            EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
            return accept(invitation=invitation, user=user)
    except IntegrityError as error:
        message = _("%(email)s has an account already. Log in and open the link again.")
        raise Refused("account_exists", message % {"email": invitation.email}, status=409) from error


def resend_invitation(*, invitation: Invitation, by: Membership) -> None:
    """Mail the same link again. Raises Refused when it is no longer open."""
    _must_manage(by, Role(invitation.role))
    invitation.refresh_from_db()
    if not invitation.is_open:
        raise Refused("invitation_used", _("This invitation is no longer open. Send a new one."), status=409)
    enqueue(INVITATION_TASK, invitation.pk)


def revoke_invitation(*, invitation: Invitation, by: Membership) -> None:
    """Make the link useless. Raises Refused `invitation_used` when it was used or revoked before."""
    _must_manage(by, Role(invitation.role))
    with transaction.atomic():
        open_ones = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None)
        if not open_ones.update(revoked_at=timezone.now()):
            raise Refused("invitation_used", _("This invitation was used or taken back before."), status=409)
        data = {"email": invitation.email}
        happening = Happening(types.INVITATION_REVOKED, "invitation", invitation.public_id, data=data)
        record(Tenant(invitation.merchant), user_actor(by.user), happening)


def change_role(*, membership: Membership, role: Role, by: Membership) -> bool:
    """Give a member another role; whether it is another one. Raises Refused: `role_too_low`, `role_too_high`, `last_owner`."""
    with transaction.atomic():
        target, by = _locked(membership, by)
        _must_manage(by, role, target)
        if target.role == role:
            return False
        if target.role == Role.OWNER:
            _not_the_last_owner(target)
        data = {"email": target.user.email, "changes": {"role": [target.role, str(role)]}}
        target.role = role
        target.save(update_fields=["role"])
        happening = Happening(types.MEMBER_CHANGED, "member", target.public_id, data=data)
        record(Tenant(target.merchant), user_actor(by.user), happening)
    return True


def remove_member(*, membership: Membership, by: Membership) -> None:
    """Take somebody out of the team; everybody may leave. What they did stays. Raises Refused: `role_too_low`, `last_owner`."""
    with transaction.atomic():
        target, by = _locked(membership, by)
        if target.pk != by.pk:
            _must_manage(by, Role.VIEWER, target)
        if target.role == Role.OWNER:
            _not_the_last_owner(target)
        data = {"email": target.user.email, "role": target.role}
        happening = Happening(types.MEMBER_REMOVED, "member", target.public_id, data=data)
        target.delete()
        record(Tenant(target.merchant), user_actor(by.user), happening)


def _locked(membership: Membership, by: Membership) -> tuple[Membership, Membership]:
    """Both members as they are now, with the merchant locked, so that two owners can't remove each other at once."""
    Merchant.objects.select_for_update().get(pk=membership.merchant_id)
    rows = Membership.objects.select_related("user", "merchant").in_bulk([membership.pk, by.pk])
    if membership.pk not in rows or by.pk not in rows or membership.merchant_id != by.merchant_id:
        raise Refused("member_unknown", _("This person is not in the team any more."), status=404)
    return rows[membership.pk], rows[by.pk]


def _not_the_last_owner(target: Membership) -> None:
    if not Membership.objects.filter(merchant=target.merchant, role=Role.OWNER).exclude(pk=target.pk).exists():
        raise Refused("last_owner", _("A business needs an owner. Make somebody else an owner first."), status=409)


def invitation_url(invitation: Invitation) -> str:
    """The address in the mail."""
    return f"{settings.SITE_URL}/invitation/{make_token(invitation)}/"
