"""Many at once: one application for an address, one decision, one participant."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connections

from participants.applications import apply
from participants.models import Application, ApplicationMail, Participant
from referrals.events.models import Event
from referrals.lib.errors import Refused
from rewards.applications import approve, decline
from tests.factories import ACTOR, make_campaign, make_cast, make_merchant, percent_rule


def at_once(*acts: Callable[[], object]) -> list[str]:
    """Start all at the same moment; the codes of those that were refused, in order."""
    barrier, refused = threading.Barrier(len(acts)), []

    def run(act: Callable[[], object]) -> None:
        try:
            barrier.wait(timeout=30)
            act()
        except Refused as refusal:
            refused.append(refusal.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(refused)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_one_application_and_one_decision() -> None:
    tenant = make_cast("alice@example.com", make_merchant()).tenant
    campaign = make_campaign(tenant, [percent_rule("20")], preset_key="affiliate_12_months")
    presses = [lambda: apply(campaign=campaign, email="maya@example.net", first_name="Maya") for _number in range(8)]
    assert at_once(*presses) == []
    row = Application.objects.get()
    assert (row.status, ApplicationMail.objects.filter(kind="confirm").count()) == ("unconfirmed", 8)
    Application.objects.update(status="waiting")
    yes = [lambda: approve(application=row, actor=ACTOR) for _number in range(5)]
    no = [lambda: decline(application=row, actor=ACTOR) for _number in range(5)]
    refused = at_once(*yes, *no)
    row.refresh_from_db()
    decided = Event.objects.filter(type__startswith="application.")
    people = Participant.objects.count()
    assert (row.status, people, decided.filter(type="application.approved").count()) == ("approved", 1, 1)
    # The first decision stands, but for a refusal that an approval took up again.
    assert refused == ["invalid_state"] * (9 - decided.filter(type="application.declined").count())
