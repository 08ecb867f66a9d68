"""Settings of the business, one more business, the team's page, and the history."""

from __future__ import annotations

import pytest
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from referrals.accounts.models import Invitation, Membership, Merchant, Role
from referrals.accounts.services import create_merchant, invite, user_actor
from referrals.events import types
from referrals.events.models import Event
from referrals.events.services import Happening, record
from referrals.web.history import GROUPS, PER_PAGE, WORDS
from referrals.web.timeline import WORDS as TIMELINE_WORDS
from tests.factories import Cast, make_campaign, make_cast, make_reward
from tests.web.helpers import freshen

BUSINESS = {"name": "Halden", "currency": "EUR", "time_zone": "Europe/Oslo", "website": "halden.example"}


def _me(cast: Cast) -> Membership:
    return Membership.objects.select_related("merchant", "user").get(user=cast.user)


# --- The business ---


def test_settings_are_saved(alice: Cast) -> None:
    response = alice.client.post(reverse("web:settings"), BUSINESS, follow=True)
    assert b"Settings saved" in response.content
    stored = Merchant.objects.get()
    assert (stored.name, stored.currency, stored.time_zone) == ("Halden", "EUR", "Europe/Oslo")
    assert stored.website == "https://halden.example"
    assert Event.objects.get().type == "merchant.changed"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"name": " "}, "This field is required.", id="no name"),
        pytest.param({"currency": "XXQ"}, "XXQ is not one of the available choices", id="unknown currency"),
        pytest.param({"time_zone": "Mars/Base"}, "Mars/Base is not one of the available choices", id="unknown zone"),
        pytest.param({"website": "javascript:alert(1)"}, "Enter a valid URL.", id="script as a website"),
    ],
)
def test_a_bad_setting_is_said_and_nothing_is_saved(alice: Cast, change: dict[str, str], words: str) -> None:
    response = alice.client.post(reverse("web:settings"), {**BUSINESS, **change})
    assert response.status_code == 422
    assert words in response.content.decode()
    # The frame of the page goes on showing what is stored.
    assert b"<b>Halden Coffee</b>" in response.content
    assert Merchant.objects.get().name == "Halden Coffee"
    assert Event.objects.count() == 0


def test_a_viewer_reads_the_settings(bob: Cast) -> None:
    body = bob.client.get(reverse("web:settings")).content.decode()
    assert "Admins and owners can change this." in body
    assert "Save settings" not in body
    assert body.count("disabled") >= 4


def test_one_more_business_becomes_the_one_shown(alice: Cast) -> None:
    data = {"name": "Second", "currency": "JPY", "time_zone": "Asia/Tokyo"}
    response = alice.client.post(reverse("web:new_business"), data, follow=True)
    assert b"Second is ready" in response.content
    made = Merchant.objects.get(name="Second")
    assert made.memberships.get().role == Role.OWNER
    assert response.context["request"].tenant.merchant == made


def test_a_business_without_a_name_is_not_made(alice: Cast) -> None:
    response = alice.client.post(reverse("web:new_business"), {"name": "", "currency": "USD", "time_zone": "UTC"})
    assert response.status_code == 422
    assert Merchant.objects.count() == 1


# --- The team ---


@pytest.mark.parametrize(
    ("page", "data"),
    [("team", {"email": "max@example.com", "role": "admin"}), ("developers", {"name": "Shop", "kind": "secret"})],
)
def test_the_password_is_asked_for_again_and_the_work_goes_on(alice: Cast, page: str, data: dict[str, str]) -> None:
    freshen(alice.client, alice.user, seconds_ago=301)
    address = reverse(f"web:{page}")
    response = alice.client.post(address, data)
    assert (response.status_code, response["Location"].split("?")[0]) == (302, "/account/reauthenticate/")
    assert Event.objects.count() == 0
    response = alice.client.post(response["Location"], {"password": "wrong"})
    assert Event.objects.count() == 0
    response = alice.client.post(
        f"/account/reauthenticate/?next={address}", {"password": "correct horse battery", "next": address}
    )
    assert response.status_code in {200, 302}
    assert Event.objects.get().type in {"member.invited", "api_key.created"}


def test_somebody_is_invited(alice: Cast) -> None:
    freshen(alice.client, alice.user)
    response = alice.client.post(reverse("web:team"), {"email": "max@example.com", "role": "manager"}, follow=True)
    assert b"Invitation sent to max@example.com" in response.content
    invitation = Invitation.objects.get()
    assert (invitation.email, invitation.role, invitation.invited_by) == ("max@example.com", "manager", alice.user)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param({"email": "nobody", "role": "viewer"}, "Enter a valid email address.", id="no address"),
        pytest.param({"email": "max@example.com", "role": "king"}, "king is not one of the", id="no role"),
        pytest.param({"email": "alice@example.com", "role": "viewer"}, "is in the team already", id="a member"),
    ],
)
def test_a_bad_invitation_is_said(alice: Cast, data: dict[str, str], words: str) -> None:
    freshen(alice.client, alice.user)
    response = alice.client.post(reverse("web:team"), data)
    assert response.status_code in {409, 422}
    assert words in response.content.decode()
    assert Invitation.objects.count() == 0


def test_invitations_have_a_daily_limit(alice: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    freshen(alice.client, alice.user)
    monkeypatch.setattr("referrals.web.team.INVITATIONS_PER_DAY", 1)
    alice.client.post(reverse("web:team"), {"email": "max@example.com", "role": "viewer"})
    response = alice.client.post(reverse("web:team"), {"email": "moe@example.com", "role": "viewer"})
    assert response.status_code == 429
    assert Invitation.objects.count() == 1


def test_an_admin_is_not_offered_to_make_owners(alice: Cast) -> None:
    admin = make_cast("ada@example.com", alice.merchant, Role.ADMIN)
    body = admin.client.get(reverse("web:team")).content.decode()
    assert 'value="admin"' in body
    assert 'value="owner"' not in body
    freshen(admin.client, admin.user)
    response = admin.client.post(reverse("web:team"), {"email": "max@example.com", "role": "owner"})
    assert response.status_code == 422
    assert Invitation.objects.count() == 0


def test_a_role_is_changed(alice: Cast, bob: Cast) -> None:
    freshen(alice.client, alice.user)
    address = reverse("web:member_role", args=[_me(bob).public_id])
    response = alice.client.post(address, {"role": "admin"}, follow=True)
    assert b"Bob has the role Admin now" in response.content
    assert _me(bob).role == Role.ADMIN


@pytest.mark.parametrize(("role", "words"), [("king", "Choose one of the roles."), ("viewer", "needs an owner")])
def test_a_role_that_can_t_be_given_is_said(alice: Cast, role: str, words: str) -> None:
    freshen(alice.client, alice.user)
    address = reverse("web:member_role", args=[_me(alice).public_id])
    assert words in alice.client.post(address, {"role": role}, follow=True).content.decode()
    assert _me(alice).role == Role.OWNER


def test_somebody_is_removed(alice: Cast, bob: Cast) -> None:
    freshen(alice.client, alice.user)
    address = reverse("web:member_remove", args=[_me(bob).public_id])
    assert b"Bob is no longer in the team" in alice.client.post(address, follow=True).content
    assert not Membership.objects.filter(user=bob.user).exists()
    assert bob.client.get(reverse("web:settings"))["Location"] == reverse("web:new_business")


def test_a_viewer_leaves_but_removes_nobody(alice: Cast, bob: Cast) -> None:
    freshen(bob.client, bob.user)
    response = bob.client.post(reverse("web:member_remove", args=[_me(alice).public_id]), follow=True)
    assert b"Only admins and owners change the team." in response.content
    bob.client.post(reverse("web:member_remove", args=[_me(bob).public_id]))
    assert [row.user for row in Membership.objects.all()] == [alice.user]


def test_an_invitation_is_sent_again_and_taken_back(alice: Cast) -> None:
    invitation = invite(by=_me(alice), email="max@example.com", role=Role.VIEWER)
    again = reverse("web:invitation_resend", args=[invitation.public_id])
    back = reverse("web:invitation_revoke", args=[invitation.public_id])
    assert b"sent again to max@example.com" in alice.client.post(again, follow=True).content
    assert b"max@example.com taken back" in alice.client.post(back, follow=True).content
    assert b"no longer open" in alice.client.post(again, follow=True).content
    assert b"taken back before" in alice.client.post(back, follow=True).content
    assert Invitation.objects.get().revoked_at is not None


def test_names_are_text(alice: Cast) -> None:
    make_cast("eve@example.com", alice.merchant)
    Membership.objects.get(user__email="eve@example.com").user.__class__.objects.filter(email="eve@example.com").update(
        name='<img src=x onerror="alert(1)">'
    )
    Merchant.objects.update(name="<script>alert(1)</script>")
    body = alice.client.get(reverse("web:team")).content.decode()
    assert "<img src=x" not in body
    assert "<script>alert" not in body


def test_the_team_costs_the_same_for_two_and_for_ten(
    alice: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(8):
        make_cast(f"m{number}@example.com", alice.merchant, Role.VIEWER)
    # session, user, memberships; members, invitations; the menu's due count
    with django_assert_num_queries(6):
        alice.client.get(reverse("web:team"))


# --- History ---


def _happen(cast: Cast, count: int, is_test: bool = False) -> None:
    happenings = [
        Happening(types.MEMBER_REMOVED, "member", f"mem_{number}", data={"email": f"m{number}@example.com"})
        for number in range(count)
    ]
    record(cast.tenant, user_actor(cast.user), *happenings)


def test_history_is_read_page_by_page(alice: Cast, charlie: Cast) -> None:
    _happen(charlie, 1)
    _happen(alice, PER_PAGE + 1)
    first = alice.client.get(reverse("web:history"))
    assert len(first.context["entries"]) == PER_PAGE
    assert f"m{PER_PAGE}@example.com left the team" in first.content.decode()
    second = alice.client.get(first.context["next_url"])
    assert [line["entry"].text for line in second.context["entries"]] == ["m0@example.com left the team"]
    assert second.context["next_url"] == ""
    assert len(alice.client.get(second.context["prev_url"]).context["entries"]) == PER_PAGE


def test_history_is_filtered(alice: Cast) -> None:
    make_reward(make_campaign(alice.tenant))
    _happen(alice, 1)
    for kind, (_label, wanted) in GROUPS.items():
        page = alice.client.get(reverse("web:history"), {"kind": kind})
        shown = {line["event"].type for line in page.context["entries"]}
        assert shown <= wanted
        assert bool(shown) is Event.objects.filter(type__in=wanted).exists()
    everything = alice.client.get(reverse("web:history"), {"kind": ""})
    assert len(everything.context["entries"]) == Event.objects.count()


def test_each_type_of_event_is_in_a_filter_and_has_words() -> None:
    assert frozenset().union(*(wanted for _label, wanted in GROUPS.values())) == types.ALL_TYPES
    speechless = types.ALL_TYPES - set(WORDS) - set(TIMELINE_WORDS)
    # Written by later parts; shown by their names until then.
    assert speechless <= {types.PAYOUT_BATCH_COMPLETED, types.MILESTONE_REACHED, types.FRAUD_FLAGGED}


def test_history_survives_lines_without_facts(alice: Cast) -> None:
    names = sorted(types.ALL_TYPES)
    for part in (names[30:], names[:30]):  # the list shows fifty lines, the newest first
        record(alice.tenant, user_actor(alice.user), *(Happening(name, "thing", "x") for name in part))
        response = alice.client.get(reverse("web:history"))
        assert response.status_code == 200
    assert "API key – (…–) created" in response.content.decode()


@pytest.mark.parametrize("cursor", ["x", "%00", "W10", "é"])
def test_a_damaged_marker_shows_the_first_page(alice: Cast, cursor: str) -> None:
    response = alice.client.get(reverse("web:history"), {"page": cursor})
    assert response.status_code == 400


def test_history_answers_htmx_with_its_part(alice: Cast) -> None:
    _happen(alice, 1)
    response = alice.client.get(reverse("web:history"), headers={"HX-Request": "true"})
    assert b"<html" not in response.content
    assert b"m0@example.com left the team" in response.content
    assert "HX-Request" in response["Vary"]


def test_history_of_a_change_says_from_what_to_what(alice: Cast) -> None:
    create_merchant(name="Other", owner=alice.user)
    alice.client.post(reverse("web:settings"), {**BUSINESS, "website": ""})
    body = alice.client.get(reverse("web:history")).content.decode()
    assert "name: Halden Coffee → Halden" in body
    assert "Business created: Other" not in body


def test_a_page_of_history_costs_the_same_for_one_and_for_fifty(
    alice: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    _happen(alice, PER_PAGE)
    # session, user, memberships; events; the menu's due count
    with django_assert_num_queries(5):
        alice.client.get(reverse("web:history"))
