"""What every provider has to hold, whoever it is: one that is new in the registry is asked the same questions by itself.

Never a 500, never a lost good message, never a double reward (issue "Listen", bad input).
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.utils.datastructures import CaseInsensitiveMapping

from campaigns.terms import Percent
from integrations import inbox, registry
from integrations.base import Account, Delivery, Ignored, Message, PayloadError, Provider, SampleKind, Signal
from integrations.models import InboundEvent
from integrations.outcomes import SENTENCES
from integrations.sandbox.sending import COMPANIES
from participants.models import Participant, QualifyingEvent
from referrals.accounts.tenancy import Tenant
from referrals.lib.signing import SignatureError
from rewards.models import Reward
from rewards.verify import differences
from tests.factories import Cast, fixed_rule, make_campaign, make_participant
from tests.integrations.speaking import NAMED, account, connect, first, fixtures, read, say, send, signed, told

PROVIDERS = pytest.mark.parametrize("provider", registry.every(), ids=list(registry.SLUGS))
MEBIBYTE = 1024 * 1024


@pytest.fixture
def test_side(alice: Cast) -> Tenant:
    return Tenant(alice.merchant, is_test=True)


@pytest.fixture
def asha(test_side: Tenant) -> Participant:
    return make_participant(make_campaign(test_side, [fixed_rule(trigger="every_event", amount=Percent(Decimal(10)))]))


@pytest.fixture(params=registry.every(), ids=list(registry.SLUGS))
def provider(request: pytest.FixtureRequest) -> Provider:
    found: Provider = request.param
    return found


@pytest.fixture
def known(provider: Provider) -> Account:
    return account(provider)


def _work() -> list[str]:
    """Have everything worked on that waits; the outcomes."""
    return [inbox.process(pk) for pk in InboundEvent.objects.order_by("pk").values_list("pk", flat=True)]


# --- what it says of itself ---


@PROVIDERS
def test_it_is_complete(provider: Provider) -> None:
    assert registry.SLUGS[provider.slug].endswith(".PROVIDER")
    assert provider.events
    assert provider.steps
    assert provider.docs.startswith("https://")
    assert provider.tells is (provider.slug in registry.TELLING)
    assert bool(provider.matching) is bool(registry.samples(provider.slug)) is provider.tells
    assert provider.tells or (provider.ways and provider.slug in COMPANIES)
    assert {provider.address_key} - {""} <= {field.name for field in provider.secrets if field.made}


@PROVIDERS
def test_good_secrets_look_right_and_others_do_not(provider: Provider) -> None:
    good = account(provider).secrets
    for field in provider.secrets:
        assert field.name not in good or field.matches(good[field.name])
        for bad in ("", "x", "é" * 40, good.get(field.name, "a") + "\n"):
            assert not field.matches(bad)


# --- who sent it ---


@PROVIDERS
def test_a_genuine_body_is_let_in_and_a_tampered_byte_is_not(provider: Provider) -> None:
    known = account(provider)
    delivery = say(provider, first(provider), known)
    provider.source.verify(delivery, known)
    if provider.address_key or provider.confirm:
        return  # nothing signs the body: the key in the address is all there is; or the company is asked (test_genuine.py)
    body = delivery.body
    for position in (0, len(body) // 2, len(body) - 1):
        tampered = bytearray(body)
        tampered[position] ^= 1
        with pytest.raises(SignatureError):
            provider.source.verify(replace(delivery, body=bytes(tampered)), known)
    for changed in (body + b"x", b"", body[:-1]):
        with pytest.raises(SignatureError):
            provider.source.verify(replace(delivery, body=changed), known)


@PROVIDERS
def test_no_secret_another_secret_and_junk_let_nobody_in(provider: Provider) -> None:
    known = account(provider)
    delivery = say(provider, first(provider), known)
    for other in (Account({}, known.settings), account(provider))[: 1 if provider.confirm else 2]:
        with pytest.raises(SignatureError):
            provider.source.verify(delivery, other)
    headers, query = dict(delivery.headers), dict(delivery.query)
    for junk in ("", "\xe9", "a" * 9000, "t=1,v1=", ",", "=", "v1,v1,v1", "0" * 64, "\udc80"):
        names = [name for name in headers if "Type" not in name and "Version" not in name and "Attempt" not in name]
        broken = Delivery(
            delivery.body, CaseInsensitiveMapping(headers | dict.fromkeys(names, junk)), dict.fromkeys(query, junk)
        )
        with pytest.raises(SignatureError):
            provider.source.verify(broken, known)
    with pytest.raises(SignatureError):
        provider.source.verify(Delivery(delivery.body, CaseInsensitiveMapping({}), {}), known)


@PROVIDERS
@pytest.mark.parametrize("seconds", [-400, 400])
def test_where_a_time_is_signed_an_old_and_a_future_one_are_refused(
    provider: Provider, seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, real = account(provider), time.time
    now = signed(provider, b"{}", known, monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: real() + seconds)
        then = signed(provider, b"{}", known, monkeypatch)
    if dict(then.headers) == dict(now.headers) or provider.confirm:
        provider.source.verify(then, known)  # no time is signed: replays are caught by the message's id
    else:
        with pytest.raises(SignatureError):
            provider.source.verify(then, known)


# --- what it says ---


@PROVIDERS
def test_every_fixture_parses_and_every_event_has_one(provider: Provider) -> None:
    used, codes = set(), set()
    for name, payload in fixtures(provider).items():
        used.add(provider.source.event_type(payload, told(provider, name, payload)))
        try:
            signals = read(provider, name, payload)
        except Ignored as reason:
            codes.add(reason.code)
        else:
            assert signals
            assert all(isinstance(signal, Signal) for signal in signals)
    assert codes <= SENTENCES.keys()
    assert {name for name, _why in provider.events} <= used


def _broken(thing: Any) -> Iterator[Any]:
    """The same with null, a list, a text, a number, a truth or an empty object in the place of each part of it, one at a time."""
    wrong: tuple[Any, ...] = (None, [], "x", -1, 1e308, True, {}, "\x00", [None])
    places: list[tuple[Any, Any]] = []

    def walk(part: Any) -> None:
        for key, value in list(part.items()) if isinstance(part, dict) else list(enumerate(part)):
            places.append((part, key))
            if isinstance(value, (dict, list)):
                walk(value)

    walk(thing)
    for part, key in places:
        kept = part[key]
        for value in wrong:
            part[key] = value
            yield thing
        if isinstance(part, dict):
            del part[key]
            yield thing
        part[key] = kept


@PROVIDERS
def test_null_where_an_object_should_be_is_a_reason_and_never_a_fault(provider: Provider) -> None:
    tried = 0
    for name, payload in fixtures(provider).items():
        for broken in _broken(copy.deepcopy(payload)):
            tried += 1
            try:
                signals = read(provider, name, broken)
            except (Ignored, PayloadError):
                continue
            assert all(signal.external_id and "\x00" not in signal.external_id for signal in signals)
            assert all(signal.money is None or signal.money.minor > 0 for signal in signals)
    assert tried > 50


# --- through the front door ---


@pytest.mark.django_db
def test_bad_input_is_refused_with_its_reason_and_the_good_message_still_counts(
    provider: Provider, known: Account, test_side: Tenant, asha: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect(provider, test_side, known)
    another = connect(provider, test_side)
    good = say(provider, first(provider), known, code=asha.referral_code)
    for body in (b"\xff\xfe{}", b"[]", b"null", b'"x"', b"", b"{", b"[" * 5000, b"{}", b'{"a":' * 5000, b'{"type": 7}'):
        answer = send(connection, signed(provider, body, known, monkeypatch))
        assert answer.status_code in {200, 400}, (body[:10], answer.content)
        if body != b"{}" and not body.startswith(b'{"type'):
            assert answer.status_code == 400, body[:10]
    assert send(another, good).status_code == (200 if provider.confirm else provider.refusal_status)
    assert send("con_nobody", good).status_code == 404
    assert send(connection, replace(good, body=good.body.ljust(MEBIBYTE + 1))).status_code == 413
    # Where only the company can tell, it is asked before anything is believed.
    assert InboundEvent.objects.filter(connection=another).count() == (1 if provider.confirm else 0)
    for _ in range(3):
        assert send(connection, good).status_code == 200
        _work()
    assert set(InboundEvent.objects.values_list("outcome", flat=True)) <= {
        "rewarded", "joined", "joined_before", "type_unused", "unreadable", "fact_unused", "payout_unknown",
    } | ({"not_genuine"} if provider.confirm else set())  # fmt: skip
    earns = first(provider) == "payment"
    assert list(Reward.objects.values_list("amount_minor", flat=True)) == ([500] if earns else [])
    kept = json.dumps(list(InboundEvent.objects.values_list("headers", flat=True)))
    assert not any(known.secrets.get(field.name, "none") in kept for field in provider.secrets if field.is_secret)
    assert list(differences()) == []


@pytest.mark.django_db
def test_an_unknown_kind_is_kept_as_it_came_and_ignored_with_a_reason(
    provider: Provider, known: Account, test_side: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect(provider, test_side, known)
    name, payload = next(iter(fixtures(provider).items()))
    query = dict(say(provider, first(provider), known).query)
    for key in ("type", "event", "event_name", "event_type", "Event"):
        if key in payload:
            payload[key] = "something.new"
    payload.pop("livemode", None)
    delivery = signed(provider, json.dumps(payload).encode(), known, monkeypatch)
    named = NAMED[provider.slug]("something_new") if provider.slug in NAMED else {}
    headers = CaseInsensitiveMapping({**delivery.headers, **named})
    query |= {"event": "SomethingNew"} if provider.address_by_event else {}
    delivery = replace(delivery, headers=headers, query=query)
    assert send(connection, delivery).status_code == 200, name
    assert _work() == ["ignored"]
    row = InboundEvent.objects.get()
    assert bytes(row.body) == delivery.body
    assert row.outcome in {"type_unused", "fact_unused"}
    assert row.sentence != ""
    assert Reward.objects.count() == 0


AFTER: tuple[SampleKind, ...] = ("refund", "dispute", "renewal")


def later_kinds(provider: Provider) -> list[SampleKind]:
    """What a company tells of a payment afterwards; nothing for one that tells of leads only."""
    samples = registry.samples(provider.slug)
    return [kind for kind in AFTER if samples is not None and kind in samples.kinds]


FOLLOWED = [found for found in registry.every() if later_kinds(found)]


@pytest.mark.django_db
@pytest.mark.parametrize("provider", FOLLOWED, ids=[found.slug for found in FOLLOWED])
def test_the_order_in_which_messages_come_makes_no_difference(
    provider: Provider, known: Account, test_side: Tenant, asha: Participant
) -> None:
    later = later_kinds(provider)
    found = []
    for number, backwards in enumerate((False, True)):
        connection = connect(provider, test_side, known)
        messages = [
            say(provider, kind, known, code=asha.referral_code, payment=10 * number + (kind == "renewal"))
            for kind in ("payment", *later)
        ]
        # A renewal names nobody where it comes first: it follows the payment, as it does in life.
        order = [*messages[1:], messages[0]] if backwards and "renewal" not in later else messages
        if backwards and "renewal" in later:
            order = [*messages[1:-1], messages[0], messages[-1]]
        for delivery in [*order, *order]:
            assert send(connection, delivery).status_code == 200
            _work()
        events = QualifyingEvent.objects.filter(type="purchase").order_by("-pk")[: 1 + ("renewal" in later)]
        found.append(sorted((event.amount_minor, event.refunded_minor, bool(event.disputed_at)) for event in events))
        assert QualifyingEvent.objects.filter(type="purchase").count() == (1 + ("renewal" in later)) * (number + 1)
    assert found[0] == found[1]
    assert list(differences()) == []


def test_a_message_that_was_not_made_for_it_is_read_by_no_source() -> None:
    """Every source under every other one's messages: a reason or a refusal, never a fault."""
    for reader in registry.every():
        for writer in registry.every():
            for payload in fixtures(writer).values():
                headers = CaseInsensitiveMapping({"X-Shopify-Topic": "orders/paid"})
                delivery = Delivery(json.dumps(payload).encode(), headers, {"event": "AccountCreated"})
                try:
                    kind = reader.source.event_type(payload, delivery)
                    reader.source.event_id(payload, delivery)
                    reader.source.is_test(payload)
                    reader.source.parse(Message(payload, kind, account(reader)))
                except (Ignored, PayloadError):
                    continue
