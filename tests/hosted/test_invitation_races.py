"""Several workers at once: every invitation leaves once, and nobody on two lists gets two."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest
from django.core import mail as outbox
from django.db import connections

from participants import invite_lists, invites
from participants.models import Invite
from referrals.hosted import invite_mail
from tests.factories import ACTOR, make_campaign, make_cast, make_merchant


def together(*acts: Callable[[], object]) -> list[object]:
    barrier, answers = threading.Barrier(len(acts)), []

    def run(act: Callable[[], object]) -> None:
        try:
            barrier.wait(timeout=30)
            answers.append(act())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_presses_two_lists_and_two_workers_send_each_mail_once() -> None:
    campaign = make_campaign(make_cast("alice@example.com", make_merchant()).tenant)
    people = [f"p{number}@example.net" for number in range(30)]
    lists = []
    for order in (people, people[::-1]):
        data = ("email,consent\n" + "".join(f"{one},yes\n" for one in order)).encode()
        lists.append(invite_lists.start(campaign=campaign, name="c.csv", data=data, everyone_agreed=False, actor=ACTOR))
    answers = together(*(lambda row=row: invite_lists.confirm(row=row, actor=ACTOR) for row in [*lists, *lists]))
    assert len(answers) == 4
    invite_lists.work_all()
    assert Invite.objects.count() == 30
    lines = [row.lines.order_by("number").values_list("reason", flat=True) for row in lists]
    assert Counter(reason for found in lines for reason in found) == {"": 30, "invited_before": 30}
    sent = together(invite_mail.send_due, invite_mail.send_due, invite_mail.send_due)
    assert sum(int(str(count)) for count in sent) <= 30
    # What two workers counted for the same mail is left of the minute's allowance.
    invites.save_settings(campaign, ACTOR, per_minute=1000)
    invite_mail.send_due()
    assert Counter(message.to[0] for message in outbox.outbox) == dict.fromkeys(people, 1)
