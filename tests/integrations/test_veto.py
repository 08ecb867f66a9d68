"""The merchant's own system is asked before a payout leaves: 200 pays, 400 refuses with its words, anything else is asked again for 72
hours and then asks a person (issue 6, part 8)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from integrations import endpoints, veto
from integrations import payouts as carrier
from integrations.models import Connection
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from rewards.models import LedgerEntry, Payout, PayoutVeto, Reward, VetoEndpoint
from rewards.queueing import Method
from rewards.verify import differences
from tests.chaos.company import Company
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_participant
from tests.integrations.receiver import Receiver, receiving
from tests.rewards.paying import FIRST, earn, intend, state, with_issuer
from tests.web.helpers import freshen

pytestmark = pytest.mark.django_db


@pytest.fixture
def system(socket_enabled: None, settings: Any) -> Iterator[Receiver]:
    """The merchant's own system, on the test side's list of local addresses."""
    with receiving() as found:
        settings.LOCAL_WEBHOOKS = [f"127.0.0.1:{found.port}"]
        yield found


@pytest.fixture
def tester(alice: Cast) -> Cast:
    return Cast(alice.user, alice.merchant, Tenant(alice.merchant, is_test=True), alice.client)


@pytest.fixture
def asha(tester: Cast) -> Participant:
    return make_participant(make_campaign(tester.tenant, [fixed_rule(1500, kind="cash")]))


@pytest.fixture
def method(tester: Cast) -> Method:
    row = Connection(merchant=tester.merchant, is_test=True, provider=FIRST)
    row.secrets = {}
    row.save()
    return Method(FIRST, frozenset({"cash"}), account=row.public_id)


@pytest.fixture
def company(monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    found = Company("original")
    with_issuer(monkeypatch, found)
    yield found
    assert list(differences()) == []


def answer(system: Receiver, status: int, body: bytes = b"{}") -> None:
    system.answer = lambda got: (status, {}, body)


def later(hours: float = 0) -> None:
    """The next turn has come; the question was first asked so many hours ago."""
    PayoutVeto.objects.filter(answer="").update(next_at=clock.wall(), created_at=clock.wall() - timedelta(hours=hours))


def asked(tester: Cast, method: Method, asha: Participant, system: Receiver) -> tuple[Payout, Reward, str]:
    _row, secret = veto.set_up(tenant=tester.tenant, actor=ACTOR, url=system.url)
    reward = earn(asha)
    return intend(tester, method, reward), reward, secret


def test_a_payout_leaves_when_the_system_agrees_and_the_question_is_signed(
    tester: Cast, asha: Participant, method: Method, company: Company, system: Receiver
) -> None:
    payout, reward, secret = asked(tester, method, asha, system)
    assert (carrier.sweep(), state(reward)) == (0, ("queued", ""))
    assert veto.sweep() == 1
    assert (carrier.sweep(), state(reward), company.transfers) == (1, ("issued", ""), [(payout.key, 1500)])
    (got,) = system.got
    read: Any = Webhook(secret).verify(got.body, got.headers)
    assert (read["type"], got.headers["webhook-id"]) == ("payout.proposed", payout.public_id)
    assert read["data"] | {"rewards": []} == {
        "id": payout.public_id,
        "method": FIRST,
        "amount": {"amount_minor": 1500, "currency": "USD"},
        "participant": {"id": asha.public_id, "email": "asha@example.com", "name": asha.name},
        "rewards": [],
        "is_test": True,
    }
    assert [one["event"]["email"] for one in read["data"]["rewards"]] == ["maya@example.net"]
    assert veto.sweep() == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"reason": "Staff member"}', "Staff member"),
        (b"Staff\n member", "Staff member"),
        (b"<html>no</html>", ""),
        (b'["x"]', ""),
        (b"\xff\x00", "\ufffd"),
        (rb'{"reason": "Staff\u0000\ud83d\u202emember"}', "Staff member"),
        (b"[" * 5000, "[" * 300),
    ],
)
def test_what_the_system_refuses_is_void_with_its_words_and_can_be_restored(
    tester: Cast, asha: Participant, method: Method, company: Company, system: Receiver, body: bytes, words: str
) -> None:
    payout, reward, _secret = asked(tester, method, asha, system)
    answer(system, 400, body)
    veto.sweep()
    payout.refresh_from_db()
    assert (payout.status, state(reward)) == ("undone", ("void", "denied_by_merchant"))
    assert reward.note == f"Your system refused it: {words or 'no reason given'}"
    assert PayoutVeto.objects.values_list("answer", "message", "next_at").get() == ("refused", words, None)
    assert (carrier.sweep(), company.transfers) == (0, [])
    assert list(LedgerEntry.objects.order_by("pk").values_list("kind", "amount_minor")) == [
        ("earn", 1500),
        ("reverse", -1500),
    ]


def test_no_clear_answer_is_asked_again_and_after_72_hours_a_person_is(
    tester: Cast, asha: Participant, method: Method, company: Company, system: Receiver
) -> None:
    payout, reward, _secret = asked(tester, method, asha, system)
    for status in (500, 302, 204, 401, 429):
        answer(system, status)
        assert veto.sweep() == 1
        row = PayoutVeto.objects.get()
        assert (row.answer, row.message) == ("", f"It answered {status}.")
        assert row.next_at is not None
        assert timedelta(minutes=14) < row.next_at - clock.wall() <= timedelta(minutes=15)
        assert veto.sweep() == 0
        later(71)
    veto.sweep()
    assert (state(reward), carrier.sweep()) == (("queued", ""), 0)
    later(73)
    veto.sweep()
    payout.refresh_from_db()
    assert (payout.status, state(reward), company.transfers) == ("undone", ("held", "held_for_review"), [])
    assert "72 hours" in reward.note


def test_switching_it_off_lets_what_waits_leave_and_another_side_is_never_asked(
    alice: Cast, tester: Cast, asha: Participant, method: Method, company: Company, system: Receiver
) -> None:
    _payout, reward, _secret = asked(tester, method, asha, system)
    answer(system, 503)
    veto.sweep()
    assert veto.switch_off(tenant=tester.tenant, actor=ACTOR)
    assert not veto.switch_off(tenant=tester.tenant, actor=ACTOR)
    veto.sweep()
    assert (carrier.sweep(), state(reward), len(system.got)) == (1, ("issued", ""), 1)
    live = make_participant(make_campaign(alice.tenant, [fixed_rule(900, kind="cash")]), "asha@example.com")
    veto.set_up(tenant=tester.tenant, actor=ACTOR, url=system.url)
    assert earn(live).state == "due"
    assert not PayoutVeto.objects.filter(answer="").exists()


def test_the_page_refuses_inner_addresses_and_shows_the_secret_once(
    alice: Cast, bob: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    freshen(alice.client, alice.user)
    page = "/app/settings/payouts/veto/"
    assert "Off: payouts leave" in alice.client.get(page).content.decode()
    refused = alice.client.post(f"{page}save/", {"url": "https://127.0.0.1/"})
    assert (refused.status_code, VetoEndpoint.objects.count()) == (422, 0)
    monkeypatch.setattr(endpoints, "look_up", lambda host: ["93.184.216.34"])
    made = alice.client.post(f"{page}save/", {"url": "https://api.example.com/may-pay"})
    secret = VetoEndpoint.objects.get().secrets["secret"]
    assert secret in made.content.decode()
    shown = alice.client.get(page).content.decode()
    assert (secret in shown, "On: nothing leaves" in shown) == (False, True)
    assert bob.client.post(f"{page}off/").status_code == 403
    assert VetoEndpoint.objects.get().is_on
    VetoEndpoint.objects.update(sealed="gone.AAAA")
    assert "secret can&#x27;t be opened" in alice.client.post(f"{page}try/").content.decode()
    assert alice.client.post(f"{page}off/").status_code == 302
    assert not VetoEndpoint.objects.get().is_on


def test_a_made_up_question_changes_nothing(tester: Cast, asha: Participant, system: Receiver) -> None:
    row, _secret = veto.set_up(tenant=tester.tenant, actor=ACTOR, url=system.url)
    answer(system, 400, json.dumps({"reason": "Never heard of them."}).encode())
    assert veto.ask(row, "test_1", veto.SAMPLE) == (400, "Never heard of them.")
    assert (PayoutVeto.objects.count(), Reward.objects.count()) == (0, 0)


def test_a_question_that_can_not_be_asked_keeps_no_other_one_waiting(
    tester: Cast, asha: Participant, method: Method, company: Company, system: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    veto.set_up(tenant=tester.tenant, actor=ACTOR, url=system.url)
    rewards = [earn(asha, name) for name in ("maya", "ken", "lea")]
    payouts = [intend(tester, method, reward) for reward in rewards]
    question = veto.question

    def broken(payout: Payout) -> dict[str, Any]:
        if payout == payouts[0]:
            raise RuntimeError("a row that nobody can read")
        return question(payout)

    with monkeypatch.context() as patch:
        patch.setattr(veto, "question", broken)
        assert veto.sweep() == 2
        assert (carrier.sweep(), [state(reward)[0] for reward in rewards]) == (2, ["queued", "issued", "issued"])
        assert veto.sweep() == 0
    row = PayoutVeto.objects.get(payout=payouts[0])
    assert (row.answer, row.attempts, row.message) == ("", 1, "Passalong could not put the question together.")
    assert row.next_at is not None
    assert timedelta(minutes=14) < row.next_at - clock.wall() <= veto.AGAIN
    later()
    assert (veto.sweep(), carrier.sweep(), state(rewards[0])) == (1, 1, ("issued", ""))


def test_a_question_that_can_never_be_asked_goes_to_a_person_after_72_hours(
    tester: Cast, asha: Participant, method: Method, company: Company, system: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    payout, reward, _secret = asked(tester, method, asha, system)
    monkeypatch.setattr(veto, "question", lambda payout: 1 / 0)
    for hours, found in ((71, ("queued", "")), (73, ("held", "held_for_review"))):
        later(hours)
        assert (veto.sweep(), carrier.sweep(), state(reward)) == (0, 0, found)
    payout.refresh_from_db()
    assert (payout.status, company.transfers, system.got) == ("undone", [], [])
    assert "could not put the question together" in reward.note
