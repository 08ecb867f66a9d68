"""Invitations, roles, and leaving."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.core import mail
from django.db import connections
from django.utils import timezone

from referrals.accounts import services
from referrals.accounts.mails import send_invitation
from referrals.accounts.models import Invitation, Membership, Merchant, Role, User
from referrals.events.models import Event
from referrals.lib.errors import Refused
from tests.accounts.conftest import MakeMember


def _history() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("type", flat=True))[1:]


def test_an_invitation_is_mailed_and_only_its_hash_is_kept(owner: Membership) -> None:
    invitation = services.invite(by=owner, email="Max@Example.com", role=Role.MANAGER)
    send_invitation(invitation.pk)
    (message,) = mail.outbox
    token = services.make_token(invitation)
    assert message.to == ["max@example.com"]
    assert f"http://localhost:8000/invitation/{token}/" in message.body
    assert message.subject == "Join Halden Coffee on Passalong"
    assert token not in str(Invitation.objects.values().get())
    assert services.find_invitation(token) == invitation
    assert _history() == ["member.invited"]


def test_a_name_cannot_add_headers_to_the_mail(owner: Membership) -> None:
    Merchant.objects.update(name="Halden\r\nBcc: everybody@example.org")
    send_invitation(services.invite(by=owner, email="max@example.com", role=Role.VIEWER).pk)
    assert mail.outbox[0].subject == "Join Halden Bcc: everybody@example.org on Passalong"


def test_accepting_works_once(owner: Membership) -> None:
    invitation = services.invite(by=owner, email="max@example.com", role=Role.MANAGER)
    max_, moe = (User.objects.create_user(email) for email in ("max@example.com", "moe@example.com"))
    assert services.accept(invitation=invitation, user=max_).role == Role.MANAGER
    with pytest.raises(Refused, match="used or taken back"):
        services.accept(invitation=invitation, user=moe)
    assert Membership.objects.count() == 2
    assert services.find_invitation(services.make_token(invitation)) is None
    assert _history() == ["member.invited", "member.joined"]


def test_accepting_makes_an_account_with_a_proved_address(owner: Membership) -> None:
    invitation = services.invite(by=owner, email="max@example.com", role=Role.ADMIN)
    membership = services.accept_as_new(invitation=invitation, name=" Max ", password="a long password")
    assert (membership.user.email, membership.user.name, membership.role) == ("max@example.com", "Max", Role.ADMIN)
    assert membership.user.emailaddress_set.get().verified  # type: ignore[attr-defined]  # allauth has no types
    assert membership.user.check_password("a long password")


def test_an_address_with_an_account_is_not_taken_over(owner: Membership) -> None:
    invitation = services.invite(by=owner, email="max@example.com", role=Role.ADMIN)
    User.objects.create_user("max@example.com", "his own password")
    with pytest.raises(Refused) as refused:
        services.accept_as_new(invitation=invitation, name="Max", password="another password")
    assert refused.value.code == "account_exists"
    assert User.objects.get(email="max@example.com").check_password("his own password")
    assert (Membership.objects.count(), Invitation.objects.get().accepted_at) == (1, None)


@pytest.mark.parametrize("how", ["revoked", "expired", "replaced", "unknown"])
def test_a_link_that_is_over_finds_nothing(owner: Membership, how: str) -> None:
    invitation = services.invite(by=owner, email="max@example.com", role=Role.VIEWER)
    token = services.make_token(invitation)
    if how == "revoked":
        services.revoke_invitation(invitation=invitation, by=owner)
    elif how == "expired":
        Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif how == "replaced":
        services.invite(by=owner, email="max@example.com", role=Role.VIEWER)
    else:
        token = "0" * 64
    assert services.find_invitation(token) is None
    if how != "unknown":
        invitation.refresh_from_db()
        with pytest.raises(Refused):
            services.accept(invitation=invitation, user=User.objects.create_user("max@example.com"))
        assert Membership.objects.count() == 1


def test_a_revoked_invitation_sends_no_mail(owner: Membership) -> None:
    invitation = services.invite(by=owner, email="max@example.com", role=Role.VIEWER)
    services.revoke_invitation(invitation=invitation, by=owner)
    send_invitation(invitation.pk)
    assert mail.outbox == []
    with pytest.raises(Refused, match="taken back before"):
        services.revoke_invitation(invitation=invitation, by=owner)
    with pytest.raises(Refused, match="no longer open"):
        services.resend_invitation(invitation=invitation, by=owner)
    assert _history() == ["member.invited", "invitation.revoked"]


def test_a_member_is_not_invited_again(owner: Membership) -> None:
    with pytest.raises(Refused) as refused:
        services.invite(by=owner, email="ANN@example.com", role=Role.VIEWER)
    assert refused.value.code == "already_member"
    assert Invitation.objects.count() == 0


@pytest.mark.parametrize(
    ("mine", "given", "code"),
    [
        pytest.param(Role.VIEWER, Role.VIEWER, "role_too_low", id="a viewer invites nobody"),
        pytest.param(Role.MANAGER, Role.VIEWER, "role_too_low", id="a manager invites nobody"),
        pytest.param(Role.ADMIN, Role.OWNER, "role_too_high", id="an admin makes no owner"),
    ],
)
def test_who_may_not_invite(join_team: MakeMember, mine: Role, given: Role, code: str) -> None:
    by = join_team("max@example.com", mine)
    with pytest.raises(Refused) as refused:
        services.invite(by=by, email="moe@example.com", role=given)
    assert refused.value.code == code
    assert Invitation.objects.count() == 0


@pytest.mark.parametrize(
    ("mine", "theirs", "given", "code"),
    [
        pytest.param(Role.OWNER, Role.OWNER, Role.VIEWER, "", id="an owner lowers another owner"),
        pytest.param(Role.OWNER, Role.VIEWER, Role.OWNER, "", id="an owner makes an owner"),
        pytest.param(Role.ADMIN, Role.MANAGER, Role.ADMIN, "", id="an admin makes an admin"),
        pytest.param(Role.ADMIN, Role.OWNER, Role.VIEWER, "role_too_low", id="an admin lowers no owner"),
        pytest.param(Role.ADMIN, Role.VIEWER, Role.OWNER, "role_too_high", id="an admin makes no owner"),
        pytest.param(Role.MANAGER, Role.VIEWER, Role.MANAGER, "role_too_low", id="a manager changes nobody"),
        pytest.param(Role.VIEWER, Role.VIEWER, Role.VIEWER, "role_too_low", id="a viewer changes nobody"),
    ],
)
def test_who_may_give_which_role(join_team: MakeMember, mine: Role, theirs: Role, given: Role, code: str) -> None:
    by, target = join_team("max@example.com", mine), join_team("moe@example.com", theirs)
    if not code:
        assert services.change_role(membership=target, role=given, by=by)
        assert Membership.objects.get(pk=target.pk).role == given
        assert Event.objects.get(type="member.changed").data == {
            "email": "moe@example.com",
            "changes": {"role": [theirs, given]},
        }
        return
    with pytest.raises(Refused) as refused:
        services.change_role(membership=target, role=given, by=by)
    assert refused.value.code == code
    assert Membership.objects.get(pk=target.pk).role == theirs
    assert _history() == []


@pytest.mark.parametrize("mine", [Role.ADMIN, Role.MANAGER, Role.VIEWER])
def test_nobody_lifts_themselves(join_team: MakeMember, mine: Role) -> None:
    me = join_team("max@example.com", mine)
    with pytest.raises(Refused):
        services.change_role(membership=me, role=Role.OWNER, by=me)
    assert Membership.objects.get(pk=me.pk).role == mine


def test_a_role_that_was_lowered_meanwhile_counts(owner: Membership, join_team: MakeMember) -> None:
    admin, moe = join_team("max@example.com", Role.ADMIN), join_team("moe@example.com", Role.VIEWER)
    services.change_role(membership=Membership.objects.get(pk=admin.pk), role=Role.VIEWER, by=owner)
    with pytest.raises(Refused):
        services.change_role(membership=moe, role=Role.ADMIN, by=admin)
    assert Membership.objects.get(pk=moe.pk).role == Role.VIEWER


def test_the_last_owner_stays(owner: Membership) -> None:
    for act in (
        lambda: services.change_role(membership=owner, role=Role.VIEWER, by=owner),
        lambda: services.remove_member(membership=owner, by=owner),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.code == "last_owner"
    assert Membership.objects.get().role == Role.OWNER
    assert _history() == []


@pytest.mark.parametrize("role", [Role.ADMIN, Role.VIEWER])
def test_everybody_may_leave(join_team: MakeMember, role: Role) -> None:
    me = join_team("max@example.com", role)
    services.remove_member(membership=me, by=me)
    assert Membership.objects.count() == 1
    assert User.objects.count() == 2
    assert _history() == ["member.removed"]


@pytest.mark.parametrize(
    ("mine", "theirs"), [(Role.ADMIN, Role.OWNER), (Role.MANAGER, Role.VIEWER), (Role.VIEWER, Role.ADMIN)]
)
def test_who_may_not_remove_whom(join_team: MakeMember, mine: Role, theirs: Role) -> None:
    by, target = join_team("max@example.com", mine), join_team("moe@example.com", theirs)
    with pytest.raises(Refused):
        services.remove_member(membership=target, by=by)
    assert Membership.objects.count() == 3


def test_a_member_of_another_business_is_unknown(owner: Membership) -> None:
    charlie = User.objects.create_user("charlie@example.org")
    theirs = Membership.objects.get(merchant=services.create_merchant(name="Other", owner=charlie))
    with pytest.raises(Refused) as refused:
        services.remove_member(membership=theirs, by=owner)
    assert refused.value.status == 404
    assert Membership.objects.count() == 2


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_owners_cannot_both_leave(owner: Membership, join_team: MakeMember) -> None:
    other, barrier = join_team("max@example.com", Role.OWNER), Barrier(2)

    def leave(me: Membership) -> bool:
        barrier.wait()
        try:
            services.remove_member(membership=me, by=me)
        except Refused:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(leave, [owner, other])) == [False, True]
    assert Membership.objects.get().role == Role.OWNER


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_one_link_lets_one_person_in(owner: Membership) -> None:
    invitation = services.invite(by=owner, email="max@example.com", role=Role.ADMIN)
    users = [User.objects.create_user(f"u{n}@example.com") for n in range(8)]
    barrier = Barrier(len(users))

    def join(user: User) -> bool:
        barrier.wait()
        try:
            services.accept(invitation=invitation, user=user)
        except Refused:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(len(users)) as pool:
        assert list(pool.map(join, users)).count(True) == 1
    assert Membership.objects.count() == 2
