"""The page behind a mailed invitation, for people with and without an account."""

from __future__ import annotations

import pytest
from django.test import Client

from referrals.accounts.models import Invitation, Membership, Role, User
from referrals.accounts.services import invitation_url, invite, revoke_invitation
from tests.factories import Cast

NEW = {"name": "Max", "password": "a long password"}


@pytest.fixture
def link(alice: Cast) -> str:
    """The address in Max's mail."""
    by = Membership.objects.get(user=alice.user)
    made = invite(by=by, email="max@example.com", role=Role.MANAGER)
    return invitation_url(made).removeprefix("http://localhost:8000")


def test_opening_the_link_changes_nothing(link: str) -> None:
    for _ in range(3):
        response = Client().get(link)
        assert response.status_code == 200
    body = response.content.decode()
    assert "Alice invites you as Manager." in body
    assert "Create account and join" in body
    assert response["Referrer-Policy"] == "same-origin"
    assert "no-store" in response["Cache-Control"]
    assert (Invitation.objects.get().accepted_at, Membership.objects.count()) == (None, 1)


def test_somebody_new_gets_an_account_and_is_in(link: str, alice: Cast) -> None:
    client = Client()
    response = client.post(link, NEW, follow=True)
    assert b"Welcome to Halden Coffee" in response.content
    member = Membership.objects.get(user__email="max@example.com")
    assert (member.merchant, member.role, member.user.name) == (alice.merchant, Role.MANAGER, "Max")
    assert response.context["request"].user == member.user
    assert Client().post(link, NEW).status_code == 404
    assert Membership.objects.count() == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param({"name": ""}, "This field is required.", id="no name"),
        pytest.param({"password": "short"}, "too short", id="short password"),
        pytest.param({"password": "max@example.com"}, "too similar", id="password is the address"),
        pytest.param({"password": "password1234"}, "too common", id="common password"),
    ],
)
def test_a_bad_answer_is_said(link: str, data: dict[str, str], words: str) -> None:
    response = Client().post(link, {**NEW, **data})
    assert response.status_code == 422
    assert words in response.content.decode()
    assert (User.objects.count(), Invitation.objects.get().accepted_at) == (1, None)


def test_somebody_with_an_account_logs_in_first(link: str) -> None:
    User.objects.create_user("max@example.com", "correct horse battery")
    client = Client()
    assert f'href="/account/login/?next={link}"' in client.get(link).content.decode()
    response = client.post(link, NEW)
    assert (response.status_code, response["Location"]) == (302, f"/account/login/?next={link}")
    assert (User.objects.count(), Membership.objects.count()) == (2, 1)


def test_whoever_is_logged_in_joins_as_themselves(link: str, alice: Cast, charlie: Cast) -> None:
    assert b"You are logged in as charlie@example.org." in charlie.client.get(link).content
    response = charlie.client.post(link, follow=True)
    assert b"Welcome to Halden Coffee" in response.content
    assert response.context["request"].tenant.merchant == alice.merchant
    assert set(charlie.user.memberships.values_list("merchant__name", flat=True)) == {
        "Halden Coffee",
        "Charlie's Chairs",
    }


def test_a_member_does_not_use_the_link_up(link: str, alice: Cast) -> None:
    assert b"You are in this team already." in alice.client.post(link, follow=True).content
    assert Invitation.objects.get().accepted_at is None


@pytest.mark.parametrize("how", ["revoked", "made up"])
def test_a_link_that_is_over_says_so(link: str, alice: Cast, how: str) -> None:
    if how == "revoked":
        revoke_invitation(invitation=Invitation.objects.get(), by=Membership.objects.get())
    else:
        link = "/invitation/" + "0" * 64 + "/"
    for response in (Client().get(link), Client().post(link, NEW), alice.client.post(link)):
        assert response.status_code == 404
        assert b"This invitation no longer works" in response.content
    assert Membership.objects.count() == 1


def test_a_form_without_its_token_is_refused(link: str) -> None:
    assert Client(enforce_csrf_checks=True).post(link, NEW).status_code == 403
    assert Membership.objects.count() == 1
