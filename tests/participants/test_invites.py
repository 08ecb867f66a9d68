"""Lists of customers to invite: what will happen is said before it does, and nothing happens twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns import mails
from campaigns import services as campaigns
from campaigns.models import Campaign
from participants import invite_lists, invite_report, invites, mailing
from participants.models import Invite, InviteLine, InviteList, Participant
from referrals.events.models import Event
from referrals.lib.errors import Refused
from rewards.invited import accept
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_participant

HEAD = "name,email,consent\n"


def upload(campaign: Campaign, rows: str, *, everyone: bool = False) -> InviteList:
    return invite_lists.start(
        campaign=campaign, name="customers.csv", data=(HEAD + rows).encode(), everyone_agreed=everyone, actor=ACTOR
    )


def lines(row: InviteList) -> list[tuple[str, str]]:
    return list(row.lines.order_by("number").values_list("email", "reason"))


def states(row: InviteList) -> list[tuple[str, str, str]]:
    found = Invite.objects.filter(list=row).order_by("email_key")
    return list(found.values_list("email_key", "state", "reason"))


def history() -> list[tuple[str, object]]:
    rows = Event.objects.filter(type__startswith="campaign.invites").order_by("pk")
    return [(event.type, event.data.get("state") or event.data.get("count")) for event in rows]


def test_everybody_who_gets_no_mail_has_a_reason(campaign: Campaign, alice: Cast) -> None:
    make_participant(campaign, "asha@example.com")
    # Elsewhere with this merchant: what they wish there counts here too.
    other = make_campaign(alice.tenant, name="Autumn")
    mailing.stop(make_participant(other, "stop@example.net"))
    mailing.stop(make_participant(other, "kind@example.net"), "digest")
    mailing.record_bounce(make_participant(other, "gone@example.net"), 550, "5.1.1 unknown")
    invites.refuse(alice.tenant, "never@example.net", "stopped")
    row = upload(
        campaign,
        "Maya,maya@example.net,yes\nAsha,Asha@Example.com,yes\nStop,stop@example.net,yes\nKind,kind@example.net,yes\n"
        "Gone,gone@example.net,yes\nNever,never@example.net,yes\nNo,no@example.net,no\nNone,none@example.net,\n"
        "Maya again,MAYA@example.net,yes\nBroken,broken,yes\n",
    )
    assert (row.state, row.rows, row.wrong, row.data) == ("checked", 10, 1, None)
    assert lines(row) == [
        ("maya@example.net", ""),
        ("Asha@Example.com", "participant"),
        ("stop@example.net", "stopped"),
        ("kind@example.net", ""),
        ("gone@example.net", "bounced"),
        ("never@example.net", "stopped"),
        ("no@example.net", "no_consent"),
        ("none@example.net", "no_consent"),
        ("MAYA@example.net", "duplicate"),
    ]
    assert invite_lists.counts(row) == {
        "": 2, "participant": 1, "stopped": 2, "bounced": 1, "no_consent": 2, "duplicate": 1,
    }  # fmt: skip
    assert [wrong[:3] for wrong in row.wrong_rows] == [[11, "email", "broken"]]
    assert set(invites.REASONS) >= set(invite_lists.counts(row)) - {""}
    # Nothing has happened yet.
    assert (Invite.objects.count(), history()) == (0, [])


def test_who_says_that_everybody_agreed_is_still_held_to_a_no(campaign: Campaign) -> None:
    row = upload(campaign, "A,a@example.net,\nB,b@example.net,no\n", everyone=True)
    assert lines(row) == [("a@example.net", ""), ("b@example.net", "no_consent")]


def test_test_mode_writes_to_the_team_only(alice: Cast) -> None:
    campaign = make_campaign(type(alice.tenant)(alice.merchant, True))
    row = upload(campaign, "Alice,alice@example.com,yes\nMaya,maya@example.net,yes\n")
    assert lines(row) == [("alice@example.com", ""), ("maya@example.net", "test_mode")]


def test_confirming_twice_sends_once(campaign: Campaign) -> None:
    row = upload(campaign, "Maya,maya@example.net,yes\nIdo,ido@example.net,yes\n")
    first = invite_lists.confirm(row=row, actor=ACTOR)
    again = invite_lists.confirm(row=row, actor=ACTOR)
    assert (first.state, again.state) == ("sending", "sending")
    assert states(row) == [("ido@example.net", "queued", ""), ("maya@example.net", "queued", "")]
    assert history() == [("campaign.invites_started", 2)]
    # Nobody takes part yet, and everybody has a link of their own.
    assert Participant.objects.count() == 0
    codes = set(Invite.objects.values_list("code", flat=True))
    assert len(codes) == 2
    assert all(len(code) == 8 for code in codes)


def test_a_second_list_invites_nobody_twice(campaign: Campaign) -> None:
    one = upload(campaign, "Maya,maya@example.net,yes\n")
    two = upload(campaign, "Maya,maya@example.net,yes\nIdo,ido@example.net,yes\n")
    assert invite_lists.counts(two) == {"": 2}
    invite_lists.confirm(row=one, actor=ACTOR)
    invite_lists.confirm(row=two, actor=ACTOR)
    assert lines(two) == [("maya@example.net", "invited_before"), ("ido@example.net", "")]
    assert states(two) == [("ido@example.net", "queued", "")]
    assert lines(upload(campaign, "Maya,maya@example.net,yes\n")) == [("maya@example.net", "invited_before")]


def _pause(campaign: Campaign) -> None:
    campaigns.pause(campaign=campaign, actor=ACTOR)


def _switch_off(campaign: Campaign) -> None:
    mails.save_mail(
        campaign=campaign, kind="customer", is_on=False, language="en", subject="", opening="", actor=ACTOR
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "consent", "code"),
    [(_pause, "yes", "campaign_paused"), (_switch_off, "yes", "mail_off"), (lambda _campaign: None, "no", "nobody_left")],
)  # fmt: skip
def test_what_can_not_be_sent(campaign: Campaign, before: Callable[[Campaign], None], consent: str, code: str) -> None:
    row = upload(campaign, f"Maya,maya@example.net,{consent}\n")
    before(campaign)
    with pytest.raises(Refused) as caught:
        invite_lists.confirm(row=invite_lists.fresh(row), actor=ACTOR)
    assert caught.value.code == code
    assert (invite_lists.fresh(row).state, Invite.objects.count(), history()) == ("checked", 0, [])


def test_pause_go_on_and_stop(campaign: Campaign) -> None:
    row = invite_lists.confirm(row=upload(campaign, "A,a@example.net,yes\nB,b@example.net,yes\n"), actor=ACTOR)
    invite_lists.pause(row=row, actor=ACTOR)
    assert invites.due(campaign, timezone.now(), 10) == []
    with pytest.raises(Refused, match="Reload"):
        invite_lists.pause(row=row, actor=ACTOR)
    invite_lists.resume(row=row, actor=ACTOR)
    first, second = invites.due(campaign, timezone.now(), 10)
    taken = Invite.objects.get(pk=first)
    assert invites.claim(taken, timezone.now()) is True
    invites.settle(taken, "sent")
    invite_lists.stop(row=row, actor=ACTOR)
    assert states(row) == [("a@example.net", "sent", ""), ("b@example.net", "left_out", "list_stopped")]
    assert invites.claim(Invite.objects.get(pk=second), timezone.now()) is False
    assert history() == [
        ("campaign.invites_started", 2),
        ("campaign.invites_changed", "paused"),
        ("campaign.invites_changed", "sending"),
        ("campaign.invites_changed", "stopped"),
    ]


def test_a_claim_is_asked_again_by_the_database_after_a_lock(campaign: Campaign) -> None:
    """Conditions in a subquery over the table itself are not: two workers would both have the row (PostgreSQL, READ COMMITTED)."""
    invite_lists.confirm(row=upload(campaign, "A,a@example.net,yes\n"), actor=ACTOR)
    with CaptureQueriesContext(connection) as queries:
        assert invites.claim(Invite.objects.get(), timezone.now()) is True
    [update] = [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]
    assert 'FROM "participants_invite"' not in update


def test_a_mail_on_its_way_while_the_list_is_stopped_counts_as_sent(campaign: Campaign) -> None:
    row = invite_lists.confirm(row=upload(campaign, "A,a@example.net,yes\n"), actor=ACTOR)
    invites.claim(invite := Invite.objects.get(), timezone.now())
    invite_lists.stop(row=row, actor=ACTOR)
    invites.settle(invite, "sent")
    assert states(row) == [("a@example.net", "sent", "")]


def test_a_list_is_over_when_nothing_waits(campaign: Campaign) -> None:
    row = invite_lists.confirm(row=upload(campaign, "A,a@example.net,yes\n"), actor=ACTOR)
    assert invite_lists.work_all() == 0
    invites.claim(invite := Invite.objects.get(), timezone.now())
    invites.settle(invite, "sent")
    assert (invite_lists.work_all(), invite_lists.work_all()) == (1, 0)
    assert invite_lists.fresh(row).state == "done"
    assert history() == [("campaign.invites_started", 1), ("campaign.invites_done", 1)]


def test_a_list_that_is_thrown_away_leaves_nobody(campaign: Campaign) -> None:
    row = upload(campaign, "A,a@example.net,yes\n")
    invite_lists.drop(row=row)
    assert (InviteLine.objects.count(), invite_lists.fresh(row).state) == (0, "dropped")
    with pytest.raises(Refused, match="Reload"):
        invite_lists.confirm(row=row, actor=ACTOR)
    assert Invite.objects.count() == 0


def test_a_worker_killed_in_a_long_file_goes_on_where_it_stood(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invite_lists, "AT_ONCE", 0)
    monkeypatch.setattr(invite_lists, "CHUNK", 2)
    rows = "".join(f"P{n},p{n}@example.net,yes\n" for n in range(5)) + "Twice,p0@example.net,yes\nNo,nobody,yes\n"
    row = upload(campaign, rows)
    assert (row.state, row.position) == ("checking", 0)
    lines_of, calls = invite_lists._lines, []

    def killed(*args: object) -> list[InviteLine]:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return lines_of(*args)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(invite_lists, "_lines", killed)
    with pytest.raises(KeyboardInterrupt), transaction.atomic():
        invite_lists.work(row.pk)
    # The test's own transaction took the first chunk back as well; in production it would stand. Either way the end is the same.
    invite_lists.work(row.pk)
    row = invite_lists.fresh(row)
    assert (row.state, row.position, row.wrong) == ("checked", 7, 1)
    assert [reason for _email, reason in lines(row)] == ["", "", "", "", "", "duplicate"]
    row = invite_lists.confirm(row=row, actor=ACTOR)
    assert row.state == "preparing"
    invite_lists.work(row.pk)
    invite_lists.work(row.pk)
    assert invite_lists.fresh(row).state == "sending"
    assert len(states(row)) == 5


def test_taking_part_gives_the_code_that_was_kept(campaign: Campaign) -> None:
    invite_lists.confirm(row=upload(campaign, "Maya Chen,maya@example.net,yes\n"), actor=ACTOR)
    invite = Invite.objects.select_related("campaign__merchant", "participant").get()
    person = accept(invite=invite, actor=ACTOR)
    assert (person.referral_code, person.first_name, person.last_name, person.source) == (
        invite.code, "Maya", "Chen", "invite",
    )  # fmt: skip
    assert accept(invite=Invite.objects.select_related("campaign").get(), actor=ACTOR).pk == person.pk
    assert Participant.objects.get().referral_code == invite.code


def test_who_had_joined_meanwhile_keeps_their_own_code(campaign: Campaign) -> None:
    invite_lists.confirm(row=upload(campaign, "Maya,maya@example.net,yes\n"), actor=ACTOR)
    maya = make_participant(campaign, "maya@example.net")
    invite = Invite.objects.select_related("campaign__merchant", "participant").get()
    assert accept(invite=invite, actor=ACTOR).referral_code == maya.referral_code != invite.code


def test_what_came_of_it(campaign: Campaign) -> None:
    people = ("a", "b", "c", "d")
    row = upload(campaign, "".join(f"{one},{one}@example.net,yes\n" for one in people) + "E,e@example.net,no\n")
    invite_lists.confirm(row=row, actor=ACTOR)
    for invite in Invite.objects.filter(email_key__in=["a@example.net", "b@example.net", "c@example.net"]):
        invites.claim(invite, timezone.now())
        invites.settle(invite, "sent")
    for name in ("a", "b"):
        one = Invite.objects.select_related("campaign__merchant", "participant").get(email_key=f"{name}@example.net")
        invites.note_opened(one)
        person = accept(invite=one, actor=ACTOR)
    buy(make_friend(person, "friend@example.org"))
    assert invite_report.funnel(Invite.objects.filter(list=row)) == invite_report.Funnel(
        invited=4, waiting=1, sent=3, opened=2, joined=2, converted=1
    )
    found = [
        (one.line.email, one.state, one.reason, one.joined_at is not None, one.converted)
        for one in invite_report.outcomes(row)
    ]
    assert found == [
        ("a@example.net", "sent", "", True, False),
        ("b@example.net", "sent", "", True, True),
        ("c@example.net", "sent", "", False, False),
        ("d@example.net", "queued", "", False, False),
        ("e@example.net", "left_out", "no_consent", False, False),
    ]
