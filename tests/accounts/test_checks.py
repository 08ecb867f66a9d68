"""What the system checks say about an installation."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from referrals.accounts.checks import job_queue, production

GOOD = {
    "SECRETS_KEYS": ["k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="],
    "HTTPS": True,
    "EMAIL_URL": "smtp+tls://u:p@mail.example.com:587",
    "DEMO": False,
    "DEBUG": False,
}


def _use(settings: Settings, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(settings, name, value)


def test_the_shipped_queue_is_sound() -> None:
    assert job_queue(None) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"timeout": None}, "passalong.E001", id="no timeout"),
        pytest.param({"retry": 150}, "passalong.E001", id="retry too soon"),
        pytest.param({"queue_limit": 2}, "passalong.E002", id="two in memory"),
        pytest.param({"bulk": 5}, "passalong.E002", id="several at once"),
        pytest.param({"max_attempts": 0}, "passalong.E003", id="for ever"),
    ],
)
def test_a_queue_that_runs_things_twice_is_an_error(settings: Settings, change: dict[str, Any], code: str) -> None:
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, **change}
    assert [found.id for found in job_queue(None)] == [code]


def test_a_good_production_is_silent(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUSTED_PROXY_COUNT", "0")
    _use(settings, GOOD)
    assert production(None) == []


@pytest.mark.parametrize(
    ("change", "code", "is_error"),
    [
        pytest.param({"SECRETS_KEYS": []}, "passalong.E010", True, id="no key ring"),
        pytest.param({"EMAIL_URL": ""}, "passalong.W012", False, id="no mail"),
    ],
)
def test_what_production_lacks(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], code: str, is_error: bool
) -> None:
    monkeypatch.setenv("TRUSTED_PROXY_COUNT", "0")
    _use(settings, {**GOOD, **change})
    (found,) = production(None)
    assert (found.id, found.is_serious()) == (code, is_error)


def test_the_number_of_proxies_has_to_be_said(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRUSTED_PROXY_COUNT", raising=False)
    _use(settings, GOOD)
    assert [found.id for found in production(None)] == ["passalong.W011"]
    settings.HTTPS = False
    assert production(None) == []


@pytest.mark.parametrize("name", ["DEMO", "DEBUG"])
def test_a_trial_is_not_a_production(settings: Settings, name: str) -> None:
    _use(settings, {**GOOD, "SECRETS_KEYS": [], "EMAIL_URL": "", name: True})
    assert production(None) == []
