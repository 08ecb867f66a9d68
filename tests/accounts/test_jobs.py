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
    jobs = list(Schedule.objects.values_list("func", flat=True))
    assert "referrals.accounts.jobs.forget" in jobs
    assert all(callable(import_string(job)) for job in jobs)


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
