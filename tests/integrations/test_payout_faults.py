"""What goes wrong around a payout (RELIABILITY section 5, fault matrix): an expired certificate, a cache that is emptied, no mail server,
no connection to the database. Nothing is lost, nothing is paid twice, and it goes on by itself."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from integrations import payout_ways, registry
from integrations.base import Account
from participants.models import Participant
from referrals.lib import http
from rewards.models import PayoutAttempt
from rewards.orders import Order, Outcome
from rewards.queueing import Method
from rewards.verify import differences
from tests.chaos.company import Issuer
from tests.factories import Cast
from tests.integrations.tls import Server, behind_tls, certificate
from tests.rewards.paying import again, asha, earn, intend, ledger, method, state

__all__ = ["asha", "method"]
pytestmark = pytest.mark.django_db


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
