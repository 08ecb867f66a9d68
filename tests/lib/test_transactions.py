"""In a test, too, a request has no transaction but its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.db.transaction import TransactionManagementError
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from referrals.accounts.models import Merchant
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.models import Event
from referrals.events.services import SYSTEM, Happening, record
from tests.factories import Cast


def _write(request: HttpRequest) -> HttpResponse:
    """Write history, as a page that forgot its transaction."""
    record(Tenant(Merchant.objects.get()), SYSTEM, Happening(types.VETO_CHANGED, "veto", "vet_1"))
    return HttpResponse("done")


def _lock(request: HttpRequest) -> HttpResponse:
    return HttpResponse("done" if Merchant.objects.select_for_update().exists() else "")


@transaction.atomic
def _properly(request: HttpRequest, do: Callable[[HttpRequest], HttpResponse]) -> HttpResponse:
    return do(request)


urlpatterns: list[Any] = [
    path("write", _write),
    path("lock", _lock),
    path("properly/write", _properly, {"do": _write}),
    path("properly/lock", _properly, {"do": _lock}),
]


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("deed", ["write", "lock"])
def test_the_transaction_of_a_test_is_not_the_requests(alice: Cast, client: Client, deed: str) -> None:
    before = Event.objects.count()
    with pytest.raises(TransactionManagementError):
        client.get(f"/{deed}")
    assert Event.objects.count() == before
    assert client.get(f"/properly/{deed}").content == b"done"
    assert Event.objects.count() == before + (deed == "write")
