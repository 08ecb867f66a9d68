"""Sales that take several steps, and whatever else people do, told by any system through a signed webhook (seed 001)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from integrations import inbox, registry
from integrations.base import SettingError
from integrations.models import Connection, InboundEvent
from integrations.providers.webhook import mapping
from participants.models import Participant, QualifyingEvent, Referral
from referrals.lib import clock
from rewards.models import Reward
from tests.factories import Cast, fixed_rule, make_campaign, make_participant

pytestmark = pytest.mark.django_db
SETTINGS = {
    "fact_path": "stage",
    "facts": "open = pending\nqualified = qualified\nwon = approved\nlost = denied\ndemo = action demo_booked",
    "email": "email",
    "code": "ref",
    "amount": "worth",
    "currency_fixed": "USD",
    "occurred_at": "at",
    "id": "id",
}


@pytest.fixture
def connection(alice: Cast) -> Connection:
    """A CRM that sends the stages of its deals."""
    fields = {field.name: field.default for field in registry.get("webhook").settings}
    row = Connection(merchant=alice.merchant, provider="webhook", settings={**fields, **SETTINGS})
    row.secrets = {}
    row.save()
    return row


def _told(connection: Connection, number: int, **body: Any) -> tuple[str, str]:
    """What became of a message: its state and its outcome."""
    row = InboundEvent.objects.create(
        merchant=connection.merchant, connection=connection, event_id=f"m{number}", type="deal", body=json.dumps(body).encode()
    )  # fmt: skip
    inbox.process(row.pk)
    row.refresh_from_db()
    return row.state, row.outcome


def _at(minutes: int) -> str:
    return (clock.wall() - timedelta(hours=1) + timedelta(minutes=minutes)).isoformat()


def test_a_lead_joins_qualifies_and_is_won_in_any_order_and_counts_once(alice: Cast, connection: Connection) -> None:
    campaign = make_campaign(
        alice.tenant,
        [fixed_rule(n, trigger="status", event=name) for name, n in (("qualified", 500), ("approved", 2500))],
    )
    code = make_participant(campaign).referral_code
    who = {"email": "maya@example.net", "ref": code}
    assert _told(connection, 1, stage="qualified", id="d1", at=_at(1), **who) == ("processed", "status_qualified")
    friend = Participant.objects.get(email="maya@example.net")
    assert Referral.objects.get(invitee=friend).status == "qualified"
    assert _told(connection, 3, stage="won", id="d1", at=_at(9), worth="49.00", **who) == (
        "processed",
        "status_approved",
    )
    assert sorted(Reward.objects.values_list("amount_minor", flat=True)) == [500, 2500]
    assert QualifyingEvent.objects.get(type="approved").amount_minor == 4900
    # An older word that comes late, and the same word again, change nothing.
    assert _told(connection, 2, stage="lost", id="d1", at=_at(5), **who) == ("ignored", "status_older")
    assert _told(connection, 4, stage="won", id="d1", at=_at(9), worth="49.00", **who) == (
        "processed",
        "status_approved",
    )
    assert (Referral.objects.get(invitee=friend).status, Reward.objects.count()) == ("approved", 2)
    # Later it falls through: what it earned goes.
    assert _told(connection, 5, stage="lost", id="d1", at=_at(20), email=who["email"]) == ("processed", "status_denied")
    assert set(Reward.objects.values_list("state", flat=True)) == {"void"}


def test_who_is_nobody_s_friend_is_told_so(alice: Cast, connection: Connection) -> None:
    make_campaign(alice.tenant)
    assert _told(connection, 1, stage="won", id="d1", email="x@example.net") == ("ignored", "no_participant")
    assert Referral.objects.count() == 0


def test_whatever_else_people_do_has_the_name_that_a_rule_gives_it_and_repeats(
    alice: Cast, connection: Connection
) -> None:
    code = make_participant(make_campaign(alice.tenant)).referral_code
    who = {"email": "maya@example.net", "ref": code}
    assert _told(connection, 1, stage="demo", id="a1", **who) == ("processed", "recorded")
    assert _told(connection, 2, stage="demo", id="a2", worth=12, **who) == ("processed", "recorded")
    assert _told(connection, 3, stage="demo", id="a2", worth=12, **who) == ("processed", "same_payment")
    events = QualifyingEvent.objects.filter(type="demo_booked").order_by("pk")
    assert list(events.values_list("external_id", "amount_minor")) == [("a1", None), ("a2", 1200)]


@pytest.mark.parametrize("facts", ["x = action", "x = action Demo", "x = booked", "x = action demo booked"])
def test_a_name_that_no_rule_can_have_is_refused_in_the_form(facts: str) -> None:
    fields = {field.name: field.default for field in registry.get("webhook").settings}
    with pytest.raises(SettingError) as refused:
        mapping.check({**fields, **SETTINGS, "facts": facts})
    assert refused.value.field == "facts"
