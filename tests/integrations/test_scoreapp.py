"""ScoreApp: a lead joins through the code it came with, once, and is never a payment (PROVIDERS.md, section 4)."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from integrations import inbox, registry
from integrations.base import Account, Code, Delivery, Ignored
from integrations.models import Connection, InboundEvent
from participants.models import QualifyingEvent, Referral
from referrals.lib.signing import SignatureError
from tests.factories import Cast, make_campaign, make_participant
from tests.integrations.sending import signals_of

SOURCE = registry.get("scoreapp").source
SAMPLES = Path(__file__).parent.parent / "fixtures" / "scoreapp"


def sample(name: str, **changes: Any) -> dict[str, Any]:
    """One of our samples; `changes` are fields of its lead."""
    payload: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())
    payload["data"] |= changes
    return payload


@pytest.mark.parametrize("name", ["LEAD_SIGNED_UP", "QUIZ_FINISHED", "LEAD_DETAILS_UPDATED"])
def test_a_lead_is_somebody_who_joins_and_no_payment(name: str) -> None:
    (signal,) = signals_of(SOURCE, sample(name))
    assert (signal.fact, signal.money, signal.email, signal.name) == ("signup", None, "maya@example.net", "Maya Iyer")
    assert signal.codes == (Code("ASHACODE"),)


@pytest.mark.parametrize(("name", "code"), [("QUIZ_STARTED", "no_email"), ("QUIZ_FINISHED.no_code", "no_code")])
def test_what_can_join_nobody_is_ignored_with_the_reason(name: str, code: str) -> None:
    with pytest.raises(Ignored) as caught:
        signals_of(SOURCE, sample(name))
    assert caught.value.code == code


def test_both_ways_of_signing_are_taken_and_no_third() -> None:
    secrets, body = {"webhook_secret": "halden-quiz"}, b'{ "event_name": "X", "n": "\xc3\xa9" }'

    def signed(form: bytes) -> dict[str, str]:
        return {"Scoreapp-Signature": hmac.new(b"halden-quiz", form, hashlib.sha256).hexdigest()}

    SOURCE.verify(Delivery(body, signed(body)), Account(secrets))
    SOURCE.verify(Delivery(body, signed(b'{"event_name":"X","n":"\xc3\xa9"}')), Account(secrets))
    for wrong in (signed(b'{"event_name":"Y"}'), signed(b""), {}):
        with pytest.raises(SignatureError):
            SOURCE.verify(Delivery(body, wrong), Account(secrets))


@pytest.mark.django_db
def test_several_messages_of_one_lead_join_once(alice: Cast) -> None:
    asha = make_participant(make_campaign(alice.tenant))
    connection = Connection.objects.create(merchant=alice.merchant, provider="scoreapp")
    outcomes = []
    for name in ("QUIZ_STARTED", "LEAD_SIGNED_UP", "QUIZ_FINISHED"):
        payload = json.loads(json.dumps(sample(name)).replace("ASHACODE", asha.referral_code))
        row = InboundEvent.objects.create(
            merchant=alice.merchant,
            connection=connection,
            event_id=SOURCE.event_id(payload, Delivery(b"")),
            type=name,
            body=json.dumps(payload).encode(),
        )
        inbox.process(row.pk)
        row.refresh_from_db()
        outcomes.append((row.state, row.outcome))
    assert outcomes == [("ignored", "no_email"), ("processed", "joined"), ("processed", "joined_before")]
    assert row.sentence == "maya@example.net was in Spring refer-a-friend already. A sign-up counts once."
    assert Referral.objects.get().invitee.email == "maya@example.net"
    assert not QualifyingEvent.objects.exclude(type="join").exists()
