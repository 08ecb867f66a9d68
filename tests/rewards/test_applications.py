"""Deciding on applications: once, by whoever comes first; who is let in takes part; a refusal can be taken back."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns import services
from campaigns.models import Campaign
from participants.models import Application, ApplicationMail, Participant
from referrals.events.models import Event
from referrals.lib.errors import Refused
from rewards.applications import approve, confirm, decide_many, decline, reconsider
from tests.factories import ACTOR, Cast, make_campaign, make_participant, percent_rule


@pytest.fixture
def partners(alice: Cast) -> Campaign:
    """Alice's running affiliate campaign."""
    return make_campaign(alice.tenant, [percent_rule("20")], preset_key="affiliate_12_months", name="Partners")


def wish(campaign: Campaign, email: str = "maya@example.net", **fields: Any) -> Application:
    values = {"first_name": "Maya", "last_name": "C", "language": "de", "status": "waiting", **fields}
    return Application.objects.create(
        merchant=campaign.merchant, is_test=campaign.is_test, campaign=campaign, email=email, email_key=email, **values
    )


def told() -> list[tuple[str, str]]:
    rows = Event.objects.filter(type__startswith="application.").order_by("pk")
    return list(rows.values_list("type", "participant_ref"))


def mails() -> list[str]:
    return list(ApplicationMail.objects.order_by("pk").values_list("kind", flat=True))


def test_approving_makes_the_person_a_participant(partners: Campaign) -> None:
    done = approve(application=wish(partners), actor=ACTOR, reason=" Welcome\u202e! ")
    maya = Participant.objects.get()
    assert (maya.email, maya.name, maya.source, maya.language) == ("maya@example.net", "Maya C", "hub", "de")
    assert (done.status, done.participant, done.reason) == ("approved", maya, "Welcome !")
    assert (done.decided_by, done.decided_at is not None) == ("alice@example.com", True)
    assert told() == [("application.approved", maya.public_id)]
    assert mails() == ["approved"]


def test_somebody_who_takes_part_already_stays_who_they_are(partners: Campaign) -> None:
    maya = make_participant(partners, "maya@example.net", first_name="M")
    assert approve(application=wish(partners), actor=ACTOR).participant == maya
    assert (Participant.objects.count(), Participant.objects.get().first_name) == (1, "M")


@pytest.mark.parametrize("status", ["unconfirmed", "approved"])
def test_what_is_decided_or_not_confirmed_is_refused_and_stays(partners: Campaign, status: str) -> None:
    person = make_participant(partners, "maya@example.net") if status == "approved" else None
    row = wish(partners, status=status, participant=person)
    for act in (approve, decline, reconsider):
        with pytest.raises(Refused) as refusal:
            act(application=row, actor=ACTOR)
        assert (refusal.value.code, refusal.value.status) == ("invalid_state", 409)
    row.refresh_from_db()
    assert (row.status, row.decided_at, told(), mails()) == (status, None, [], [])


def test_a_refusal_is_reconsidered_and_approved(partners: Campaign) -> None:
    row = decline(application=wish(partners), actor=ACTOR, reason="Not now")
    assert (row.status, row.reason, Participant.objects.count()) == ("declined", "Not now", 0)
    with pytest.raises(Refused):
        decline(application=row, actor=ACTOR)
    row = reconsider(application=row, actor=ACTOR)
    assert (row.status, row.reason, row.decided_at, row.decided_by) == ("waiting", "", None, "")
    row = decline(application=row, actor=ACTOR)
    assert approve(application=row, actor=ACTOR).status == "approved"
    assert [type_ for type_, _person in told()] == [
        "application.declined", "application.reconsidered", "application.declined", "application.approved",
    ]  # fmt: skip


def test_nobody_is_let_in_while_the_campaign_is_closed(partners: Campaign) -> None:
    services.pause(campaign=partners, actor=ACTOR)
    row = wish(partners)
    with pytest.raises(Refused) as refusal:
        approve(application=row, actor=ACTOR)
    row.refresh_from_db()
    assert (refusal.value.code, row.status, Participant.objects.count()) == ("campaign_paused", "waiting", 0)
    assert (told(), mails()) == ([], [])


def test_words_that_are_too_long_change_nothing(partners: Campaign) -> None:
    row = wish(partners)
    with pytest.raises(Refused) as refusal:
        decline(application=row, actor=ACTOR, reason="x" * 1001)
    row.refresh_from_db()
    assert (refusal.value.code, refusal.value.field, row.status) == ("too_long", "reason", "waiting")


def test_many_are_decided_at_once_and_others_are_left_out(alice: Cast, charlie: Cast, partners: Campaign) -> None:
    rows = [wish(partners, f"p{n}@example.net") for n in range(3)]
    decline(application=rows[0], actor=ACTOR)
    theirs = wish(make_campaign(charlie.tenant), "x@example.org")
    ids = [row.public_id for row in (*rows, theirs)]
    done = decide_many(tenant=alice.tenant, public_ids=ids, decision="approve", actor=ACTOR)
    assert done == (2, 1)
    theirs.refresh_from_db()
    assert (theirs.status, Participant.objects.count()) == ("waiting", 2)
    with pytest.raises(Refused) as refusal:
        decide_many(tenant=alice.tenant, public_ids=[theirs.public_id], decision="approve", actor=ACTOR)
    assert refusal.value.code == "nothing_selected"


def test_a_campaign_that_is_not_listed_takes_no_application(partners: Campaign) -> None:
    row = wish(partners, status="unconfirmed")
    with pytest.raises(Refused) as refusal:
        confirm(application=row, actor=ACTOR)
    row.refresh_from_db()
    assert (refusal.value.code, row.status, told()) == ("programme_closed", "unconfirmed", [])
