"""Existing customers: by list, by purchase, by a source's word; by the time of the facts, whatever comes first."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns.models import Campaign
from participants import customers
from participants.models import CustomerUpload, KnownCustomer, Participant
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.errors import Refused
from rewards import customer_uploads as uploads
from rewards import customers as listing
from rewards import services
from rewards.models import Reward
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db
NOW = datetime.fromisoformat("2026-11-20T12:00:00+00:00")


@pytest.fixture
def new_only(alice: Cast) -> Campaign:
    """15 dollars for a new customer's first purchase."""
    return make_campaign(alice.tenant, [fixed_rule(new_customers_only=True)], since_days=3650)


def add(cast: Cast, *emails: str, since: datetime | None = None) -> listing.Listed:
    listed = [customers.by_email(cast.tenant, email, since) for email in emails]
    return listing.add(tenant=cast.tenant, listed=listed, actor=ACTOR)


def state() -> list[tuple[str, str]]:
    return list(Reward.objects.order_by("pk").values_list("state", "reason"))


def known(person: Participant) -> tuple[bool, str]:
    person.refresh_from_db()
    return person.existing_customer, person.customer_by


@pytest.mark.parametrize("spelling", ["Maya.Lin@gmail.com", "mayalin+shop@googlemail.com"])
def test_who_is_on_the_list_before_joining_is_no_new_customer(alice: Cast, new_only: Campaign, spelling: str) -> None:
    assert add(alice, spelling) == listing.Listed(1, 0, 0)
    maya = make_friend(make_participant(new_only), "mayalin@gmail.com")
    assert known(maya) == (True, "list")
    assert (buy(maya).decisions[0].reason, state()) == ("existing_customer", [])


def test_the_list_keeps_a_fingerprint_and_a_hint_and_not_the_address(alice: Cast, charlie: Cast) -> None:
    add(alice, "maya@example.net")
    add(charlie, "maya@example.net")
    rows = list(KnownCustomer.objects.order_by("pk"))
    assert [row.hint for row in rows] == ["m•••@example.net"] * 2
    assert rows[0].key != rows[1].key
    assert customers.why_customer(alice.tenant, "maya@example.net", before=clock.now()) == "list"


def test_who_is_added_later_counts_from_that_day_on_unless_a_date_says_otherwise(
    alice: Cast, new_only: Campaign
) -> None:
    maya = make_friend(make_participant(new_only))
    buy(maya)
    assert add(alice, "maya@example.net") == listing.Listed(1, 0, 0)
    assert (known(maya), state()) == ((False, ""), [("due", "")])
    # The day they became a customer lies after the join: they were new.
    assert add(alice, "maya@example.net", since=clock.now()) == listing.Listed(0, 1, 0)
    assert state() == [("due", "")]
    # It lies before: what was decided is decided again.
    assert add(alice, "maya@example.net", since=maya.joined_at - timedelta(days=1)) == listing.Listed(0, 1, 1)
    assert (known(maya), state()) == ((True, "list"), [("void", "existing_customer")])
    # A later date does not make it younger again.
    assert add(alice, "maya@example.net", since=clock.now()).decided == 0
    assert listing.remove(
        tenant=alice.tenant, listed=[customers.by_email(alice.tenant, "maya@example.net")], actor=ACTOR
    ) == listing.Listed(1, 0, 1)
    assert (known(maya), state()) == ((False, ""), [("due", "")])


def test_a_customer_id_that_a_payment_names_is_looked_up_when_it_comes(alice: Cast, new_only: Campaign) -> None:
    listed = [customers.by_id(alice.tenant, "cus_12345678")]
    listing.add(tenant=alice.tenant, listed=listed, actor=ACTOR)
    maya = make_friend(make_participant(new_only))
    assert known(maya) == (False, "")
    done = buy(maya, customer_id="cus_12345678")
    assert (done.decisions[0].reason, known(maya)) == ("existing_customer", (True, "list"))
    assert listing.remove(tenant=alice.tenant, listed=listed, actor=ACTOR).decided == 1
    assert state() == [("due", "")]


def test_a_sources_word_on_the_first_purchase_counts_if_it_was_before_the_join(new_only: Campaign) -> None:
    asha = make_participant(new_only)
    maya, ines = make_friend(asha), make_friend(asha, "ines@example.net")
    old = buy(maya, first_purchase_at=maya.joined_at - timedelta(seconds=1))
    new = buy(ines, first_purchase_at=ines.joined_at)
    assert (old.decisions[0].reason, new.decisions[0].reason) == ("existing_customer", "")
    assert known(maya) == (True, "source")


def test_an_earlier_purchase_under_another_spelling_counts_also_when_it_is_heard_of_later(
    alice: Cast, new_only: Campaign
) -> None:
    first = make_campaign(alice.tenant, name="First", since_days=3650)
    before = make_participant(first, "maya+old@example.net")
    maya = make_friend(make_participant(new_only))
    buy(before, occurred_at=maya.joined_at - timedelta(days=3))
    assert buy(maya).decisions[0].reason == "existing_customer"
    assert known(maya) == (True, "purchase")


def test_a_persons_word_outweighs_the_list_and_is_decided_at_once(alice: Cast, new_only: Campaign) -> None:
    add(alice, "maya@example.net")
    maya = make_friend(make_participant(new_only))
    buy(maya)
    listing.change_participant(participant=maya, actor=ACTOR, existing_customer=False)
    assert (known(maya), state()) == ((False, "hand"), [("due", "")])
    assert add(alice, "maya@example.net", since=NOW - timedelta(days=999)).decided == 0
    listing.change_participant(participant=maya, actor=ACTOR, existing_customer=True)
    assert state() == [("void", "existing_customer")]


def test_emptying_the_list_decides_again_whom_only_it_named(alice: Cast, new_only: Campaign) -> None:
    add(alice, "maya@example.net", "ines@example.net")
    asha = make_participant(new_only)
    for email in ("maya@example.net", "ines@example.net"):
        buy(make_friend(asha, email))
    assert state() == []
    assert listing.remove_all(tenant=alice.tenant, actor=ACTOR) == listing.Listed(2, 0, 2)
    assert state() == [("due", ""), ("due", "")]
    counts = Event.objects.filter(type__startswith="customers.").order_by("pk").values_list("type", "data")
    assert list(counts) == [("customers.added", {"count": 2}), ("customers.removed", {"count": 2})]


def test_asking_costs_one_query(alice: Cast, new_only: Campaign) -> None:
    friend = make_friend(make_participant(new_only))
    maya = Participant.objects.select_related("merchant").get(pk=friend.pk)
    with CaptureQueriesContext(connection) as queries:
        listing.note(maya, ACTOR, customer_id="cus_1", first_purchase_at=None)
    assert len(queries) == 1


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda tenant: customers.by_email(tenant, "no address"), "email_invalid"),
        (lambda tenant: customers.by_email(tenant, "a@example.com", clock.now() + timedelta(days=1)), "occurred_at"),
        (lambda tenant: customers.by_id(tenant, "  "), "blank"),
        (lambda tenant: customers.by_id(tenant, "x" * 256), "too_long"),
        (lambda tenant: customers.by_id(tenant, "a\x00b"), "invalid_characters"),
    ],
)
def test_what_is_no_customer_is_refused_by_name(alice: Cast, make: Callable[[Any], Any], code: str) -> None:
    with pytest.raises(Refused) as refused:
        make(alice.tenant)
    assert refused.value.code == code


# --- Files ---


def upload(cast: Cast, text: str | bytes, name: str = "customers.csv") -> CustomerUpload:
    data = text if isinstance(text, bytes) else text.encode()
    return uploads.start(tenant=cast.tenant, name=name, data=data, actor=ACTOR)


def counts(row: CustomerUpload) -> tuple[str, int, int, int, int]:
    row.refresh_from_db()
    return row.state, row.added, row.known, row.wrong, row.decided


def test_a_dry_run_says_exactly_what_applying_does(alice: Cast, new_only: Campaign) -> None:
    add(alice, "known@example.net")
    maya = make_friend(make_participant(new_only))
    buy(maya)
    rows = ["Name;E-Mail;Customer since", "Maya;maya@example.net;2020-01-31", "K;known@example.net;"]
    rows += ["Twice;new@example.net;", "Twice;new+1@example.net;", "Bad;nobody;", "Late;late@example.net;31/31/2020"]
    rows += [";;", "Empty;;"]
    row = upload(alice, "\ufeff" + "\r\n".join(rows))
    assert (row.column, row.kind, row.since_column, row.has_header, row.rows) == (1, "email", 2, True, 7)
    assert counts(row) == ("checked", 2, 2, 3, 0)
    assert (KnownCustomer.objects.count(), state()) == (1, [("due", "")])
    uploads.apply(upload=row)
    assert counts(row) == ("done", 2, 2, 3, 1)
    assert (row.data, KnownCustomer.objects.count(), state()) == (None, 3, [("void", "existing_customer")])
    assert [(line, text) for line, text, _reason in row.wrong_rows] == [(6, "nobody"), (7, "late@example.net"), (8, "")]
    with pytest.raises(Refused) as refused:
        uploads.apply(upload=row)
    assert (refused.value.code, KnownCustomer.objects.count()) == ("invalid_state", 3)


def test_a_file_can_be_read_another_way_before_it_is_applied(alice: Cast) -> None:
    row = upload(alice, "who\tnumber\nmaya\tcus_1\nines\tcus_2\n")
    assert counts(row) == ("checked", 0, 0, 2, 0)
    row = uploads.remap(upload=row, has_header=True, column=1, kind="id", since_column=None)
    assert counts(row) == ("checked", 2, 0, 0, 0)
    for wrong in ({"column": 2}, {"since_column": 9}, {"since_column": 1}, {"kind": "name"}):
        with pytest.raises(Refused):
            uploads.remap(
                upload=row,
                **{"has_header": True, "column": 1, "kind": "id", "since_column": None} | wrong,  # type: ignore[arg-type]  # wrong on purpose
            )
    assert counts(row) == ("checked", 2, 0, 0, 0)
    headless = upload(alice, "maya@example.net\nines@example.net")
    assert (headless.has_header, counts(headless)) == (False, ("checked", 2, 0, 0, 0))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "file_empty"),
        (b"\n , \n", "file_empty"),
        ("email\nmaya@b\u00fccher.example".encode("latin-1"), "file_unreadable"),
        (b"email\nma\x00ya@example.net", "file_unreadable"),
        (b"email\n" + b"x" * 200_000, "file_unreadable"),
        (b"a," * 60 + b"\n", "file_unreadable"),
        (b"email\n" + b"a@example.net\n" * 100_001, "too_many_rows"),
        (b"x" * (16 * 1024 * 1024 + 1), "file_too_large"),
    ],
)
def test_a_file_that_can_t_be_taken_is_refused_and_not_kept(alice: Cast, data: bytes, code: str) -> None:
    with pytest.raises(Refused) as refused:
        upload(alice, data)
    assert (refused.value.code, CustomerUpload.objects.count()) == (code, 0)


def test_a_large_file_is_the_workers_and_goes_on_where_it_was_interrupted(
    alice: Cast, new_only: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    maya = make_friend(make_participant(new_only), "c1500@example.net")
    buy(maya)
    lines = "\n".join(f"c{n}@example.net,2020-01-01" for n in range(2500))
    row = upload(alice, f"email,customer_since\n{lines}")
    assert (row.state, row.position, row.percent) == ("checking", 0, 0)
    uploads.work(row.pk)
    assert counts(row) == ("checked", 2500, 0, 0, 0)
    uploads.apply(upload=row)

    def fail(*_args: Any) -> int:
        raise RuntimeError("the lights went out")

    with monkeypatch.context() as patch:
        patch.setattr(uploads, "recheck", fail)
        with pytest.raises(RuntimeError):
            uploads.work(row.pk)
    row.refresh_from_db()
    assert (row.state, row.position, row.decided_to, KnownCustomer.objects.count()) == ("applying", 1000, 0, 1000)
    assert uploads.work_all() == 1
    assert counts(row) == ("done", 2500, 0, 0, 1)
    assert (KnownCustomer.objects.count(), state()) == (2500, [("void", "existing_customer")])
    assert Event.objects.get(type="customers.added").data == {"count": 2500, "file": "customers.csv"}


def test_a_file_that_nobody_applies_goes_after_a_day(alice: Cast) -> None:
    row = upload(alice, "email\nmaya@example.net")
    assert uploads.work_all() == 0
    CustomerUpload.objects.update(created_at=clock.wall() - timedelta(days=1, seconds=1))
    assert uploads.work_all() == 1
    row.refresh_from_db()
    assert (row.state, row.data) == ("dropped", None)


def test_joining_with_the_word_of_a_person_is_by_hand(campaign: Campaign) -> None:
    joined = services.join(
        campaign=campaign, email="maya@example.net", actor=ACTOR, source="manual", existing_customer=True
    )
    assert known(joined.participant) == (True, "hand")


# --- Whoever writes the column decides again ---

ROOT = Path(customers.__file__).resolve().parents[1]
# New people have decided nothing yet; everything else goes through rewards.customers, which decides their events again.
WRITERS = {
    ("participants/joining.py", "Participant"),
    ("rewards/customers.py", "assigned"),
    ("rewards/customers.py", "update"),
    ("rewards/customers.py", "update_participant"),
}
# What takes the word of a person further to one of those, and what only reads.
HANDED_ON = {"enrol", "join", "change_participant", "filter", "exclude"}


def writers(path: Path) -> Iterator[str]:
    """How a module writes a participant's `existing_customer`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr == "existing_customer" and isinstance(node.ctx, ast.Store):
            yield "assigned"
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name == "update_participant" or any(word.arg == "existing_customer" for word in node.keywords):
                yield name


def test_nobody_else_writes_whether_somebody_was_a_customer() -> None:
    found = set()
    for package in ("referrals", "campaigns", "participants", "rewards", "integrations"):
        for path in (ROOT / package).rglob("*.py"):
            if "migrations" not in path.parts:
                found |= {(path.relative_to(ROOT).as_posix(), name) for name in writers(path)}
    assert {one for one in found if one[1] not in HANDED_ON} == WRITERS
