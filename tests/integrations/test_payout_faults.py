"""What goes wrong around a payout (RELIABILITY section 5, fault matrix): an expired certificate, a cache that is emptied, no mail server,
another key, no connection to the database. Nothing is lost, nothing is paid twice, and it goes on by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.core import mail as outbox
from django.core.cache import cache
from django.core.cache.backends.base import BaseCache
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, connections
from django.db.models.functions import Now
from django.utils import timezone

from integrations import payout_ways, registry, team_mails
from integrations import payouts as carrier
from integrations.base import Account
from integrations.models import Connection
from integrations.services import update_secrets
from participants.models import Participant
from referrals.hosted import mail
from referrals.hosted.models import Mail
from referrals.lib import clock, http
from rewards.models import Payout, PayoutAttempt, PayoutBatch
from rewards.orders import Order, Outcome
from rewards.payout_guards import fund_batch
from rewards.queueing import Method, queue, withdraw
from rewards.settling import decide
from rewards.verify import differences
from tests.chaos.company import Company, Issuer
from tests.factories import ACTOR, Cast
from tests.integrations.tls import Server, behind_tls, certificate
from tests.rewards.paying import FIRST, again, asha, company, earn, intend, ledger, method, state, with_issuer

__all__ = ["asha", "company", "method"]  # fixtures
pytestmark = pytest.mark.django_db


# --- TLS ---


class OverTls(Issuer):
    """Pays by one call to a server; whoever is asked knows nothing."""

    def __init__(self, server: Server) -> None:
        super().__init__(lambda verb, key, minor: (404, {}), None)
        self.server = server

    def send(self, order: Order, account: Account) -> Outcome:
        """POST."""
        answer = account.send("POST", self.server.url, body=b"{}")
        return Outcome("paid" if answer.status == 200 else "unknown", order.key)


@pytest.mark.parametrize(
    ("days_left", "host", "why"),
    [(-1, "localhost", "certificate has expired"), (30, "other.example.com", "Hostname mismatch")],
)
def test_a_company_whose_certificate_has_expired_is_sent_nothing_until_it_has_a_new_one(
    alice: Cast,
    asha: Participant,
    method: Method,
    monkeypatch: pytest.MonkeyPatch,
    socket_enabled: None,
    tmp_path: Path,
    days_left: int,
    host: str,
    why: str,
) -> None:
    old = certificate(tmp_path / "old.pem", days_left=days_left, host=host)
    new = certificate(tmp_path / "new.pem", days_left=30)
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(old.read_bytes() + new.read_bytes())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
    monkeypatch.setattr(payout_ways, "send_for", lambda row: partial(http.request, private=True))
    reward = earn(asha)
    payout = intend(alice, method, reward)
    with behind_tls(old) as server:
        monkeypatch.setattr(registry, "issuer", lambda slug: OverTls(server))
        for _ in range(2):
            again(payout)
            payout.refresh_from_db()
            # Not "unknown": the company's side was looked at before a word was said, so its key is as fresh as before.
            assert (payout.status, payout.called_at, state(reward)) == ("sending", None, ("sending", ""))
            assert payout.message.startswith("Its TLS certificate is not accepted: ")
            assert why in payout.message
            assert payout.message.endswith("Nothing was sent.")
        assert (server.got, ledger()[1:]) == (0, [])
        server.certificate = new
        again(payout)
        assert (server.got, state(reward)) == (1, ("issued", ""))
    assert ledger() == [("earn", 1500), ("pay", -1500)]
    tries = PayoutAttempt.objects.filter(payout=payout).order_by("number").values_list("state", flat=True)
    assert list(tries) == ["unsent", "unsent", "paid"]
    assert list(differences()) == []


def test_a_company_that_is_out_of_reach_for_three_days_is_a_person_s(
    alice: Cast, asha: Participant, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No call of these counts for the key, so the life of the key says nothing about how long it has been tried."""
    company = Company("original")
    with_issuer(monkeypatch, company)
    refused = http.HttpError("No connection. Nothing was sent.", retry=True, sent=False)
    reward = earn(asha)
    payout = intend(alice, method, reward)
    with monkeypatch.context() as patch:
        patch.setattr(Issuer, "send", mock.Mock(side_effect=refused))
        again(payout)
        PayoutAttempt.objects.update(began_at=clock.wall() - timedelta(hours=71))
        again(payout)
        payout.refresh_from_db()
        assert payout.status == "sending"
        PayoutAttempt.objects.filter(number=1).update(began_at=clock.wall() - timedelta(hours=73))
        again(payout)
    payout.refresh_from_db()
    assert (payout.status, payout.message) == ("needs_attention", "No connection. Nothing was sent.")
    decide(payout.pk, paid=False, actor=ACTOR, note="They have closed.")
    assert (state(reward), company.transfers, ledger()) == (("due", ""), [], [("earn", 1500)])


def test_what_has_not_reached_its_company_can_be_withdrawn_and_paid_another_way(
    alice: Cast, asha: Participant, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = Company("original")
    with_issuer(monkeypatch, company, ["", "hang_after"])
    first, second = earn(asha, "maya"), earn(asha, "ken")
    payout = intend(alice, method, first)
    with monkeypatch.context() as patch:
        refused = http.HttpError("No connection. Nothing was sent.", retry=True, sent=False)
        patch.setattr(Issuer, "send", mock.Mock(side_effect=refused))
        again(payout)
    assert b"/withdraw/" in alice.client.get(f"/app/payouts/one/{payout.public_id}/").content
    alice.client.post(f"/app/payouts/one/{payout.public_id}/withdraw/")
    payout.refresh_from_db()
    assert (payout.status, payout.reason, payout.next_attempt_at) == ("failed", "", None)
    assert (state(first), first.payout, again(payout), company.transfers) == (("due", ""), None, False, [])
    assert again(intend(alice, method, first))
    # One that may have arrived is left alone.
    lost = intend(alice, method, second)
    again(lost)
    assert withdraw(payouts=[payout.pk, lost.pk], tenant=alice.tenant, actor=ACTOR) == 0
    assert (len(company.transfers), list(differences())) == (2, [])
    assert b"/withdraw/" not in alice.client.get(f"/app/payouts/one/{lost.public_id}/").content


# --- keys ---


@pytest.mark.parametrize(("changed", "asked"), [("api_key", True), ("webhook_secret", False)])
def test_what_one_account_may_have_paid_is_not_sent_again_through_another(
    alice: Cast, asha: Participant, method: Method, monkeypatch: pytest.MonkeyPatch, changed: str, asked: bool
) -> None:
    first, second = Company("original"), Company("original")
    with_issuer(monkeypatch, first, ["hang_after"])
    reward = earn(asha)
    payout = intend(alice, method, reward)
    again(payout)
    row = Connection.objects.get(public_id=method.account)
    secrets = {
        "webhook_secret": "whsec_" + "x" * 32,
        changed: {"api_key": "sk_live_", "webhook_secret": "whsec_"}[changed] + "y" * 40,
    }
    update_secrets(connection=row, actor=ACTOR, secrets=secrets)
    # Another account does not know it; the same account, of which only the messages' secret is new, does.
    with_issuer(monkeypatch, second if asked else first)
    again(payout)
    payout.refresh_from_db()
    assert (len(first.transfers), second.transfers) == (1, [])
    if asked:
        assert (payout.status, payout.message) == ("needs_attention", payout_ways.OTHER_KEY)
        decide(payout.pk, paid=True, actor=ACTOR, note="Seen in the former account.")
    assert (state(reward), ledger()) == (("issued", ""), [("earn", 1500), ("pay", -1500)])


def test_what_never_arrived_leaves_once_when_only_the_secret_of_the_messages_is_new(
    alice: Cast, asha: Participant, method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = Company("original")
    with_issuer(monkeypatch, company, ["hang"])
    payout = intend(alice, method, earn(asha))
    again(payout)
    row = Connection.objects.get(public_id=method.account)
    update_secrets(connection=row, actor=ACTOR, secrets={"webhook_secret": "whsec_" + "x" * 32})
    again(payout)
    assert company.transfers == [(payout.key, 1500)]


# --- the cache ---


class NoCache(BaseCache):
    """A cache whose server is gone."""

    def __init__(self, _location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """It is gone."""
        raise ConnectionError("The cache is gone.")

    add = set = touch = delete = clear = incr = get_many = set_many = get


@pytest.mark.parametrize("how", ["emptied", "gone"])
def test_a_cache_that_is_emptied_or_gone_changes_nothing_about_payouts(
    alice: Cast, asha: Participant, method: Method, monkeypatch: pytest.MonkeyPatch, settings: Any, how: str
) -> None:
    company = Company("original")
    faults = ["hang_after", ""]
    if how == "gone":
        settings.CACHES = {"default": {"BACKEND": f"{__name__}.NoCache"}}
        with pytest.raises(ConnectionError):
            cache.get("anything")

    def call(verb: str, key: str, minor: int) -> tuple[int, dict[str, Any]]:
        if how == "emptied":
            cache.clear()  # while the company is being called
        return company.find(key) if verb == "find" else company.pay(key, minor, faults.pop(0))

    monkeypatch.setattr(registry, "issuer", lambda slug: Issuer(call, None))
    rewards = [earn(asha, name) for name in ("maya", "ken")]
    payouts = [intend(alice, method, reward) for reward in rewards]
    if how == "emptied":
        cache.clear()  # between queueing and sending
    assert carrier.sweep() == 2
    again(payouts[0])  # its answer got lost
    assert [state(reward) for reward in rewards] == [("issued", "")] * 2
    assert sorted(company.transfers) == sorted((payout.key, 1500) for payout in payouts)
    assert ledger()[2:] == [("pay", -1500)] * 2
    assert list(differences()) == []


# --- the mail server ---


class NoMailServer(BaseEmailBackend):
    """Nobody listens there."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Nothing."""
        raise ConnectionRefusedError(111, "Connection refused")


def test_without_a_mail_server_payouts_are_paid_and_mails_leave_later_once(
    alice: Cast, asha: Participant, method: Method, company: Company, settings: Any
) -> None:
    mail.note_history()
    mail.note_rewards()
    here, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, f"{__name__}.NoMailServer"
    paid, funded = earn(asha, "maya"), earn(asha, "ken")
    intend(alice, method, paid)
    funding = Method(FIRST, method.kinds, account=method.account, waits_for_funds=True)
    batch, _made = queue(
        tenant=alice.tenant, reward_ids=[funded.pk], method=funding, actor=ACTOR, key="waits-for-money"
    )
    assert (carrier.sweep(), state(paid), company.transfers[0][1]) == (1, ("issued", ""), 1500)
    assert (team_mails.sweep(), mail.sweep()) == (0, 0)
    waiting = Mail.objects.get(participant=asha, kind="reward_issued")
    assert (waiting.sent_at, waiting.attempts) == (None, 1)
    # Nobody can be told of it; it goes all the same, when somebody looks.
    fund_batch(batch=PayoutBatch.objects.get(pk=batch.pk), actor=ACTOR)
    assert (carrier.sweep(), state(funded), len(company.transfers)) == (1, ("issued", ""), 2)

    settings.EMAIL_BACKEND = here
    with time_machine.travel(timezone.now() + timedelta(minutes=20)):
        for _ in range(2):
            team_mails.sweep()
            mail.sweep()
    told = [str(message.subject) for message in outbox.outbox if message.to == [asha.email] and "$" in message.subject]
    assert told == ["Halden Coffee sent you $15 in cash"] * 2
    # What waited for money does not any more, so nobody is told to bring it.
    assert [message.to for message in outbox.outbox if "wait" in message.subject] == []


# --- the database's connections ---


@contextmanager
def room_for(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever connects from now on shares so many connections; one more is refused as by `max_connections` (SQLSTATE 53300)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user")
        owner, may = cursor.fetchone()
        if not may:
            pytest.skip("Making a role of few connections needs a superuser.")
        cursor.execute(f"CREATE ROLE narrow LOGIN PASSWORD 'narrow' CONNECTION LIMIT {number} IN ROLE {owner}")
    try:
        with monkeypatch.context() as patch:
            patch.setitem(connections.databases["default"], "USER", "narrow")
            patch.setitem(connections.databases["default"], "PASSWORD", "narrow")
            yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP ROLE narrow")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("room", [0, 3])
def test_when_the_database_has_few_connections_left_those_do_the_work(
    alice: Cast,
    asha: Participant,
    method: Method,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    room: int,
) -> None:
    company = Company("original")
    with_issuer(monkeypatch, company, ["hang_after", "", "error_after"])
    payouts = [intend(alice, method, earn(asha, f"f{number}")) for number in range(12)]
    with room_for(room, monkeypatch):
        # Without any the sweep has its own; what is done by whom is up to the threads.
        assert carrier.sweep() == 12
    assert 12 - room <= len([line for line in caplog.messages if "one payout at a time less" in line]) <= 12
    statuses = sorted(Payout.objects.values_list("status", flat=True))
    assert statuses == ["paid"] * 10 + ["unknown"] * 2
    Payout.objects.filter(status="unknown").update(next_attempt_at=Now())
    assert carrier.sweep() == 2
    assert sorted(company.transfers) == sorted((payout.key, 1500) for payout in payouts)
    assert ledger()[12:] == [("pay", -1500)] * 12
    assert list(differences()) == []
