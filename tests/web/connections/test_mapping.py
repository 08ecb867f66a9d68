"""The page on which a merchant says what their own system's messages mean: tried before it is saved, and clear about nonsense."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations import registry, services
from integrations.models import Connection, InboundEvent
from integrations.setup import settings_of
from referrals.accounts.models import Membership, Role
from referrals.events.models import Event
from tests.factories import Cast

pytestmark = pytest.mark.django_db
OWN = dict(registry.get("webhook").made_up_settings)
SAMPLE = registry.get("webhook").presets[0].sample


@pytest.fixture
def row(alice: Cast) -> Connection:
    alice.client.post("/app/connections/", {"provider": "webhook"})
    return Connection.objects.get()


def _form(**changes: str) -> dict[str, str]:
    names = {field.name: field.default for field in registry.get("webhook").settings}
    return names | OWN | {"sample": SAMPLE} | changes


def test_from_nothing_to_a_system_that_is_connected(alice: Cast, row: Connection) -> None:
    path = f"/app/connections/{row.public_id}/"
    page = alice.client.get(path).content.decode()
    assert f"{path}mapping/" in page
    assert "Its secret is missing." in page
    made = alice.client.post(f"{path}secrets/", {"make": "secret"})
    row.refresh_from_db()
    assert row.secrets["secret"] in made.content.decode()
    assert "no-store" in made["Cache-Control"]
    assert row.secrets["secret"] not in alice.client.get(path).content.decode()
    assert services.health(row).text == "Its settings are not complete. Fill them in on its page."
    example = alice.client.get(f"{path}mapping/?example=tally").content.decode()
    assert 'value="Tally-Signature"' in example
    tried = alice.client.post(f"{path}mapping/", _form(**{"try": "1"})).content.decode()
    for words in ("What it would be", "A payment", "maya@example.net", "ASHA10", "49.00", "Nothing is saved yet."):
        assert words in tried
    row.refresh_from_db()
    assert row.settings == {}
    assert alice.client.post(f"{path}mapping/", _form()).status_code == 302
    row.refresh_from_db()
    assert {name: settings_of(row)[name] for name in OWN} == OWN
    assert services.health(row).word == "Waiting"
    assert Event.objects.filter(type="connection.changed").count() == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sample": "nonsense"}, "This is no JSON: Expecting value"),
        ({"sample": "[1]"}, "This is JSON, but no object"),
        ({"sample": '{"amount": NaN}'}, "This is no JSON: NaN is no JSON"),
        ({"sample": SAMPLE.replace("49.00", "\\ud800")}, "At amount stands &quot;\ufffd&quot;, which is no amount"),
        ({"sample": json.dumps({"event": "order.paid", "amount": "lots"})}, "At customer.email stands nothing."),
        (
            {"sample": SAMPLE.replace("49.00", "lots")},
            "At amount stands &quot;lots&quot;, which is no amount such as 49.00",
        ),
        ({"email": "a..b"}, "&#x27;a..b&#x27; is no place in a message"),
        ({"facts": "order.paid = sale"}, "&#x27;sale&#x27; is not something that a message can tell"),
        (
            {"facts": "a = purchase\nb = signup\n a= signup"},
            "Line 3 says again what &#x27;a&#x27; means. Leave one line for it.",
        ),
        ({"metadata": "plan = a\nplan = b"}, "Line 2 says again what &#x27;plan&#x27; means. Leave one line for it."),
        ({"scheme": "rot13"}, "rot13 is not one of the available choices"),
    ],
)
def test_nonsense_gets_a_clear_error_and_nothing_is_saved(
    alice: Cast, row: Connection, changes: dict[str, str], words: str
) -> None:
    answer = alice.client.post(f"/app/connections/{row.public_id}/mapping/", _form(**changes))
    assert answer.status_code == 422
    assert words in answer.content.decode()
    row.refresh_from_db()
    assert row.settings == {}


def test_the_last_real_message_is_there_to_be_tried(alice: Cast, row: Connection) -> None:
    InboundEvent.objects.create(
        merchant=alice.merchant, connection=row, event_id="1", type="message", body=b'{"token":"as-it-came"}'
    )
    page = alice.client.get(f"/app/connections/{row.public_id}/mapping/").content.decode()
    assert "&quot;token&quot;: &quot;as-it-came&quot;" in page


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MANAGER])
def test_who_may_not_change_it_reads_it(alice: Cast, row: Connection, role: Role) -> None:
    path = f"/app/connections/{row.public_id}/mapping/"
    assert alice.client.post(path, _form()).status_code == 302
    InboundEvent.objects.create(
        merchant=alice.merchant, connection=row, event_id="1", type="message", body=b'{"token":"as-it-came"}'
    )
    Membership.objects.filter(user=alice.user).update(role=role)
    page = alice.client.get(path).content.decode().partition("<h1")[2].partition("</main>")[0]
    assert "Only admins of your team can change this." in page
    assert OWN["email"] in page
    for gone in ("<button", "<form", "as-it-came", "?example="):
        assert gone not in page
    assert page.count("<input") + page.count("<select") + page.count("<textarea") == page.count(" disabled")


def test_outseta_s_page_has_an_address_for_each_activity_and_keeps_its_currency(alice: Cast) -> None:
    alice.client.post("/app/connections/", {"provider": "outseta"})
    row = Connection.objects.get()
    path = f"/app/connections/{row.public_id}/"
    page = alice.client.get(path).content.decode()
    for name, _why in registry.get("outseta").events:
        assert f'value="http://localhost:8000/in/{row.public_id}/?event={name}"' in page
    key = "0123456789abcdef" * 4
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"signing_key": key, "currency": "XXQ"}, "is no currency that we know"),
        ({"signing_key": key}, "This field is required."),
        ({"signing_key": "xyz", "currency": "USD"}, "only 0-9 and a-f"),
    ]
    for values, words in wrong:
        answer = alice.client.post(f"{path}secrets/", values)
        assert (answer.status_code, words in answer.content.decode()) == (422, True)
    assert alice.client.post(f"{path}secrets/", {"signing_key": key, "currency": "usd"}).status_code == 302
    row.refresh_from_db()
    assert (row.settings["currency"], services.is_ready(row)) == ("USD", True)


def test_memberspace_s_address_is_a_secret_for_admins_that_can_be_made_anew(alice: Cast) -> None:
    for _ in range(2):
        alice.client.post("/app/connections/", {"provider": "memberspace"})
    row = Connection.objects.get()
    path, key = f"/app/connections/{row.public_id}/", row.secrets["address_key"]
    assert f"?key={key}" in alice.client.get(path).content.decode()
    Membership.objects.filter(user=alice.user).update(role=Role.VIEWER)
    seen = alice.client.get(path).content.decode()
    assert key not in seen
    assert "Only admins of your team see the whole address" in seen
    Membership.objects.filter(user=alice.user).update(role=Role.OWNER)
    alice.client.post(f"{path}secrets/", {"make": "address_key"})
    row.refresh_from_db()
    assert row.secrets["address_key"] != key
    assert alice.client.post(f"{path}secrets/", {"make": "webhook_secret"}, follow=True).status_code in {200, 422}
    assert Connection.objects.get().secrets == row.secrets
