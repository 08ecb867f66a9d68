"""Queries whose SQL is made once: the same rows as the query set's, for each call's own values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.db.models import Count, DateTimeField, DurationField, JSONField, TextField, Value
from django.db.transaction import TransactionManagementError
from pytest_django import DjangoAssertNumQueries

from campaigns.models import Campaign
from participants.models import CustomerReference, Participant
from referrals.lib.prepared import FEW, Prepared, PreparedRows, PreparedUpdate, Slot, insert, insert_missing
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


def test_sums_and_moments_are_rows(campaign: Campaign) -> None:
    people = [make_participant(campaign, f"{name}@example.com") for name in ("asha", "tomas", "yuki")]
    ask = PreparedRows(
        lambda: (
            Participant.objects.filter(Among("id", Slot("keys")), joined_at__lte=Slot("until", DateTimeField()))
            .values_list("language")
            .annotate(Count("pk"))
            .order_by()
        )
    )
    keys, last = [person.pk for person in people[:2]], people[2].joined_at
    assert ask(keys=keys, until=last) == [("", 2)]
    assert ask(keys=keys, until=people[0].joined_at - timedelta(seconds=1)) == []


def reference(person: Participant, name: str) -> CustomerReference:
    """A row that the database takes once."""
    return CustomerReference(
        merchant_id=person.merchant_id, is_test=person.is_test, source="stripe", customer_id=name, participant=person
    )


@pytest.mark.parametrize("number", [1, FEW, FEW + 1])
def test_new_rows_are_what_django_would_have_written(
    campaign: Campaign, number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    person = make_participant(campaign, "asha@example.com")
    rows = [reference(person, f"cus_{index:02}") for index in range(number)]
    with django_assert_num_queries(1):
        assert insert(rows) == rows
    assert list(CustomerReference.objects.order_by("customer_id")) == rows
    assert [row.pk for row in rows] == list(
        CustomerReference.objects.order_by("customer_id").values_list("pk", flat=True)
    )
    assert not any(row._state.adding for row in rows)
    assert insert([]) == []


def test_every_kind_of_value_is_kept(campaign: Campaign) -> None:
    like = make_participant(campaign, "asha@example.com", metadata={"plan": ["pro", None]})
    written = Participant(
        merchant=like.merchant, campaign=campaign, email="b@example.com", email_key="b@example.com", source="api",
        identity_key="b@example.com", existing_customer=True, metadata=like.metadata, joined_at=like.joined_at,
    )  # fmt: skip
    insert([written])
    read = Participant.objects.get(pk=written.pk)
    fields = [field.attname for field in Participant._meta.concrete_fields]
    assert [getattr(read, name) for name in fields] == [getattr(written, name) for name in fields]


def test_what_stands_already_is_left_alone(campaign: Campaign) -> None:
    person = make_participant(campaign, "asha@example.com")
    (first,) = insert([reference(person, "cus_1")], unless_taken=True)
    second = reference(person, "cus_1")
    assert list(insert([second], unless_taken=True)) == []
    assert not second.pk
    with pytest.raises(IntegrityError), transaction.atomic():
        insert([second])
    assert CustomerReference.objects.get() == first
    with pytest.raises(ValueError, match="one by one"):
        insert([reference(person, "cus_2"), second], unless_taken=True)
    assert CustomerReference.objects.get() == first


def test_of_several_rows_those_that_are_missing_are_written(
    campaign: Campaign, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    person = make_participant(campaign)
    (first,) = insert([reference(person, "cus_1")])
    rows = [reference(person, name) for name in ("cus_1", "cus_2", "cus_3")]
    with django_assert_num_queries(1):
        insert_missing(rows)
    insert_missing([])
    assert [row.pk for row in rows] == [None, None, None]
    found = CustomerReference.objects.order_by("customer_id").values_list("customer_id", flat=True)
    assert list(found) == ["cus_1", "cus_2", "cus_3"]
    assert CustomerReference.objects.get(customer_id="cus_1") == first


def test_a_row_of_an_unsaved_one_is_refused(campaign: Campaign) -> None:
    with pytest.raises(ValueError, match="unsaved related object"):
        insert([reference(Participant(merchant=campaign.merchant), "cus_1")])
    assert not CustomerReference.objects.exists()


def test_an_update_changes_what_its_conditions_name_and_writes_what_fields_write(campaign: Campaign) -> None:
    one, other = (make_participant(campaign, f"{name}@example.com", metadata={}) for name in ("asha", "bela"))
    change = PreparedUpdate(
        lambda: Participant.objects.filter(pk=Slot("pk"), banned_at=None, email=Slot("email", TextField())),
        metadata=Slot("metadata", JSONField()),
        banned_at=Slot("at", DateTimeField()),
        note="told",
    )
    at = datetime(2026, 11, 21, 12, 30, 15, 250_000, tzinfo=UTC)
    values = {"pk": one.pk, "metadata": {"plan": ["pro", None]}, "at": at}
    assert change(**values, email="somebody@example.com") == 0
    assert [change(**values, email="asha@example.com") for _ in range(2)] == [1, 0]
    one.refresh_from_db()
    assert (one.metadata, one.banned_at, one.note) == ({"plan": ["pro", None]}, at, "told")
    other.refresh_from_db()
    assert (other.metadata, other.banned_at, other.note) == ({}, None, "")
    with pytest.raises(KeyError):
        change(pk=one.pk)


def test_an_update_can_give_back_what_now_stands_in_a_column(campaign: Campaign) -> None:
    one, other = make_participant(campaign, "asha@example.com"), make_participant(campaign, "tomas@example.com")
    wait = PreparedUpdate(
        lambda: Participant.objects.filter(Among("pk", Slot("people")), banned_at=None),
        banned_at=Value(datetime(2026, 11, 21, 12, tzinfo=UTC)) + Slot("wait", DurationField()),
    )
    assert (
        wait.returning("banned_at", people=[one.pk, other.pk], wait=timedelta(minutes=90))
        == [datetime(2026, 11, 21, 13, 30, tzinfo=UTC)] * 2
    )
    assert wait.returning("banned_at", people=[one.pk, other.pk], wait=timedelta(0)) == []
    one.refresh_from_db()
    assert one.banned_at == datetime(2026, 11, 21, 13, 30, tzinfo=UTC)
