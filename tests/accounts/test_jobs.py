"""The hourly clean-up, and `manage.py sweep`, which runs all that is scheduled."""

from __future__ import annotations

import time
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.models import Schedule

from referrals.accounts.jobs import forget
from referrals.accounts.models import RateLimit
from referrals.schedule import JOBS, keep
from tests.factories import Cast


def test_what_is_over_is_forgotten(alice: Cast) -> None:
    now = int(time.time())
    RateLimit.objects.create(key_hash="old", count=1, resets_at=now - 1)
    RateLimit.objects.create(key_hash="new", count=1, resets_at=now + 60)
    Session.objects.create(session_key="old", session_data="", expire_date=timezone.now() - timedelta(seconds=1))
    assert forget() == 2
    assert RateLimit.objects.get().key_hash == "new"
    assert alice.client.get("/app/settings/").status_code == 200


@pytest.mark.django_db
def test_every_scheduled_job_exists() -> None:
    rows = Schedule.objects.order_by("name").values_list("name", "func", "minutes", "schedule_type", "repeats")
    assert list(rows) == sorted((*job, "I", -1) for job in JOBS)
    assert all(callable(import_string(job.func)) for job in JOBS)


@pytest.mark.django_db
def test_the_schedule_is_mended_and_what_was_added_by_hand_stays() -> None:
    due = timezone.now() + timedelta(minutes=3)
    Schedule.objects.filter(name="forget what is over").update(minutes=7, func="gone.away", next_run=due)
    Schedule.objects.filter(name="fold the tallies").delete()
    Schedule.objects.create(name="back up", func="shop.backup", minutes=5)
    keep(using="default")
    assert Schedule.objects.count() == len(JOBS) + 1
    mended = Schedule.objects.get(name="forget what is over")
    assert (mended.func, mended.minutes, mended.next_run) == ("referrals.accounts.jobs.forget", 60, due)
    assert Schedule.objects.get(name="fold the tallies").func == "rewards.jobs.fold"
    assert Schedule.objects.get(name="back up").minutes == 5


@pytest.mark.django_db
def test_sweep_runs_each_job_once() -> None:
    out = StringIO()
    call_command("sweep", stdout=out)
    assert len(out.getvalue().splitlines()) == Schedule.objects.count()


@pytest.mark.django_db
def test_a_broken_job_is_named_and_the_others_run() -> None:
    Schedule.objects.create(name="broken", func="referrals.accounts.models.nothing")
    RateLimit.objects.create(key_hash="old", count=1, resets_at=0)
    with pytest.raises(CommandError, match=r"referrals\.accounts\.models\.nothing: ImportError"):
        call_command("sweep", stdout=StringIO())
    assert RateLimit.objects.count() == 0
