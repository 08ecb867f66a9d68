"""Queries whose SQL is made once: the same rows as the query set's, for each call's own values."""

from __future__ import annotations

import pytest
from django.db.models import TextField
from django.db.transaction import TransactionManagementError
from pytest_django import DjangoAssertNumQueries

from campaigns.models import Campaign
from participants.models import Participant
from referrals.lib.prepared import Prepared, Slot
from referrals.lib.queries import Among
from tests.factories import make_participant


def by_email() -> Prepared[Participant]:
    """One person, with their campaign."""
    return Prepared(
        lambda: Participant.objects.select_related("campaign__merchant").filter(email_key=Slot("email", TextField()))
    )


def test_each_call_gives_its_own_rows(campaign: Campaign, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    asha, tomas = make_participant(campaign, "asha@example.com"), make_participant(campaign, "tomas@example.com")
    ask = by_email()
    with django_assert_num_queries(3):
        (first,), (second,), none = ask(email=asha.email_key), ask(email=tomas.email_key), ask(email="nobody")
        assert (first, second, none) == (asha, tomas, [])
        assert (first.campaign, first.campaign.merchant) == (campaign, campaign.merchant)
    (plain,) = Participant.objects.filter(pk=asha.pk)
    fields = [field.attname for field in Participant._meta.concrete_fields]
    assert [getattr(first, name) for name in fields] == [getattr(plain, name) for name in fields]


def test_a_list_is_one_value(campaign: Campaign) -> None:
    people = [make_participant(campaign, f"{name}@example.com") for name in ("asha", "tomas", "yuki")]
    ask = Prepared(lambda: Participant.objects.filter(Among("id", Slot("keys"))).order_by("-pk"))
    assert ask(keys=[people[0].pk, people[2].pk]) == [people[2], people[0]]
    assert ask(keys=[]) == []


def test_a_missing_value_is_named(db: None) -> None:
    with pytest.raises(KeyError, match="email"):
        by_email()()


@pytest.mark.django_db(transaction=True)
def test_rows_are_locked_in_a_transaction_only() -> None:
    ask = Prepared(lambda: Participant.objects.select_for_update().filter(pk=Slot("pk")))
    with pytest.raises(TransactionManagementError):
        ask(pk=1)
