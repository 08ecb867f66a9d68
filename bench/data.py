"""Data by the million, made inside the database; and the few rows that the measured requests name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection

from bench.load import raw
from campaigns import services as campaigns
from campaigns.models import Campaign
from campaigns.terms import Fixed, RuleTerms
from integrations.models import Connection
from integrations.services import connect
from participants.models import Participant
from referrals.accounts.keys import create_api_key
from referrals.accounts.models import Membership, Merchant, Role, Scope, User
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib.money import Money
from referrals.lib.signing import hmac_hex
from rewards import services
from rewards.models import LedgerEntry, Reward

ACTOR = Actor("system")
SECRET = "whsec_bench0123456789abcdefghijklmnop"


@dataclass
class World:
    """One merchant with a campaign, a referrer, keys and a log-in."""

    campaign: Campaign
    referrer: Participant
    key: str
    session: str
    connection: Connection


def make_world() -> World:
    """Everything the measured requests need, through the services."""
    merchant = Merchant.objects.create(name="Bench", currency="USD")
    tenant = Tenant(merchant)
    user = User.objects.create_user("bench@example.com", "bench-bench-bench")
    Membership.objects.create(merchant=merchant, user=user, role=Role.OWNER)
    rule = RuleTerms("", "referrer", "first_event", Fixed(Money(1500, "USD")))
    campaign = campaigns.create_campaign(tenant=tenant, actor=ACTOR, name="Bench", currency="USD", rules=[rule])
    campaign = campaigns.launch(campaign=campaign, actor=ACTOR)
    referrer = services.join(campaign=campaign, email="referrer@example.com", actor=ACTOR, source="manual").participant
    key = create_api_key(tenant=tenant, name="bench", kind="secret", scopes=list(Scope.values), actor=ACTOR, user=user)[
        1
    ]
    secrets = {"webhook_secret": SECRET}
    made = connect(tenant=tenant, provider="stripe", secrets=secrets, label="Bench", actor=ACTOR)
    return World(campaign, referrer, key, _session(user), made)


def _session(user: User) -> str:
    store = SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.save()
    return str(store.session_key)


def make_rewards(world: World, count: int, people: int = 0) -> None:
    """`count` due rewards for as many purchases, among so many people (a tenth as many), with their ledger lines, straight into the
    tables."""
    services.qualify(
        participant=services.join(
            campaign=world.campaign,
            email="seed@example.com",
            actor=ACTOR,
            source="manual",
            referred_by_code=world.referrer.referral_code,
        ).participant,
        actor=ACTOR,
        source="manual",
        amount=Money(5000, "USD"),
        external_id="seed",
    )
    reward = Reward.objects.get(event__external_id="seed")
    people, tag = people or max(count // 10, 10), f"b{count}"
    _copy_rows("participants_participant", reward.participant_id, people, {
        "public_id": f"'{tag}p' || i", "email": f"'{tag}p' || i || '@example.com'", "email_key": f"'{tag}p' || i || '@example.com'",
        "identity_key": f"'{tag}p' || i || '@example.com'", "referral_code": f"'{tag}' || i", "first_name": "'Person'",
        "last_name": "'' || i",
    })  # fmt: skip
    _copy_rows("participants_qualifyingevent", reward.event_id, count, {
        "public_id": f"'{tag}e' || i", "external_id": f"'{tag}order-' || i",
        "participant_id": _found("participants_participant", f"'{tag}p' || (1 + i % {people})"),
    })  # fmt: skip
    when = (
        "stage_at - i * INTERVAL '1 second'"
        if connection.vendor == "postgresql"
        else "datetime(stage_at, '-' || i || ' seconds')"
    )
    _copy_rows("rewards_reward", reward.pk, count, {
        "public_id": f"'{tag}r' || i", "stage_at": when,
        "event_id": _found("participants_qualifyingevent", f"'{tag}e' || i"),
        "participant_id": _found("participants_participant", f"'{tag}p' || (1 + (i * 7) % {people})"),
    })  # fmt: skip
    _copy_rows("rewards_ledgerentry", LedgerEntry.objects.get(reward=reward).pk, count, {
        "key": f"'{tag}l' || i", "reward_id": _found("rewards_reward", f"'{tag}r' || i"),
        "participant_id": _found("participants_participant", f"'{tag}p' || (1 + (i * 7) % {people})"),
    })  # fmt: skip
    _copy_rows("rewards_rewardtally", None, 1, {"count": str(count), "amount_minor": str(count * 1500)})
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _found(table: str, public_id: str) -> str:
    """The key of a copied row, looked up: requests that are still being answered may have taken keys in between."""
    return f"(SELECT found.id FROM {table} AS found WHERE found.public_id = {public_id})"


def _copy_rows(table: str, pk: int | None, count: int, changed: dict[str, str]) -> None:
    """Insert `count` copies of a row with some columns computed from i = 1 .. count."""
    with connection.cursor() as cursor:
        columns = [
            column.name
            for column in connection.introspection.get_table_description(cursor, table)
            if column.name != "id"
        ]
        values = ", ".join(changed.get(name, f'"{name}"') for name in columns)
        names = ", ".join(f'"{name}"' for name in columns)
        where = f"id = {pk}" if pk else f"id = (SELECT MAX(id) FROM {table})"
        cursor.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
            f" INSERT INTO {table} ({names}) SELECT {values} FROM (SELECT * FROM {table} WHERE {where}) AS one, n"
        )


def join_requests(world: World, count: int, prefix: str) -> Iterator[bytes]:
    """`POST /api/v1/addParticipant` for people nobody has seen."""
    headers = {"x-api-key": world.key, "Content-Type": "application/json"}
    for n in range(count):
        body = {
            "id": world.campaign.public_id,
            "email": f"{prefix}{n}@example.net",
            "referredByCode": world.referrer.referral_code,
        }
        yield raw("POST", "/api/v1/addParticipant", headers, json.dumps(body).encode())


def qualify_requests(world: World, emails: list[str]) -> Iterator[bytes]:
    """`POST /api/v1/qualifyParticipant`, one for each friend."""
    headers = {"x-api-key": world.key, "Content-Type": "application/json"}
    for n, email in enumerate(emails):
        body = {"id": world.campaign.public_id, "email": email, "amountPaid": 50, "externalId": f"bench-{n}"}
        yield raw("POST", "/api/v1/qualifyParticipant", headers, json.dumps(body).encode())


def webhook_body(world: World, name: str, stamp: int) -> bytes:
    """A checkout that somebody new paid, who came by the referrer's code."""
    session = {
        "id": f"cs_{name}", "object": "checkout.session", "payment_status": "paid", "amount_total": 5000, "currency": "usd",
        "client_reference_id": world.referrer.referral_code, "customer_details": {"email": f"{name}@example.net"},
    }  # fmt: skip
    event = {"id": f"evt_{name}", "object": "event", "type": "checkout.session.completed", "created": stamp, "livemode": True,
             "data": {"object": session}}  # fmt: skip
    return json.dumps(event).encode()


def webhook_requests(world: World, count: int, stamp: int, tag: str = "hook") -> Iterator[bytes]:
    """Signed Stripe messages, each another event."""
    for n in range(count):
        body = webhook_body(world, f"{tag}{n}", stamp)
        signature = hmac_hex(SECRET.encode(), f"{stamp}.".encode() + body)
        headers = {"Content-Type": "application/json", "Stripe-Signature": f"t={stamp},v1={signature}"}
        yield raw("POST", f"/in/{world.connection.public_id}/", headers, body)


def join_friends(world: World, count: int) -> Iterator[str]:
    """Addresses of `count` friends of the referrer, who have joined and not bought, made inside the database."""
    friend = services.join(
        campaign=world.campaign, email="model@example.net", actor=ACTOR, source="manual", referred_by_code=world.referrer.referral_code
    ).participant  # fmt: skip
    assert friend.referral is not None
    _copy_rows("participants_participant", friend.pk, count, {
        "public_id": "'benchf' || i", "email": "'f' || i || '@example.net'", "email_key": "'f' || i || '@example.net'",
        "identity_key": "'f' || i || '@example.net'", "referral_code": "'F' || i",
    })  # fmt: skip
    friend_id = _found("participants_participant", "'benchf' || i")
    keys = {"invitee_id": friend_id, "standing_for_id": friend_id}
    _copy_rows("participants_referral", friend.referral.pk, count, keys)
    for n in range(count):
        yield f"f{n + 1}@example.net"
