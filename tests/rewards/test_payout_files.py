"""Paying with a file: frozen once, the same bytes for ever, marked line by line when it comes back (PRODUCT.md, "Issuing")."""

from __future__ import annotations

import csv
import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from participants.models import Participant, PayoutDestination
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import payout_guards, payouts
from rewards.files import reading
from rewards.files.formats import FORMATS, Entry, Payee, inert
from rewards.files.freezing import content, forget_erased, freeze, preview
from rewards.files.returned import mark_all, take_file, work_all
from rewards.models import LedgerEntry, Payout, PayoutBatch, PayoutFile, PayoutLine, PayoutReturn, Reward
from rewards.personal import erase
from rewards.refunds import refund
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

NAMES = ("asha", "bela", "cleo")


def entry(format_: str, address: str = "a@example.com", minor: int = 1250, currency: str = "USD", **more: str) -> str:
    payee = Payee(more.get("name", "Asha Rao"), address)
    return FORMATS[format_].line(Entry(payee, Money(minor, currency), "po_1", more.get("note", "Halden: Spring"), {}))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (entry("paypal_file"), "a@example.com,12.50,USD,po_1,Halden: Spring,PAYPAL,\r\n"),
        (entry("paypal_file", minor=2000, currency="JPY"), "a@example.com,2000,JPY,po_1,Halden: Spring,PAYPAL,\r\n"),
        (entry("paypal_file", minor=2000, currency="HUF"), "a@example.com,20,HUF,po_1,Halden: Spring,PAYPAL,\r\n"),
        (entry("paypal_file", note='=1+1, "x"'), 'a@example.com,12.50,USD,po_1,"1+1, ""x""",PAYPAL,\r\n'),
        (entry("wise_file"), "Asha Rao,a@example.com,po_1,PERSON,target,12.50,USD,USD\r\n"),
        (entry("csv_file", name="=cmd"),
         '"po_1","\t=cmd","a@example.com","email","12.50","USD","Halden: Spring","","",""\r\n'),
    ],
)  # fmt: skip
def test_lines_as_the_companies_want_them(line: str, expected: str) -> None:
    assert line == expected


def test_heads_and_words() -> None:
    assert FORMATS["paypal_file"].head() == ""
    assert FORMATS["wise_file"].head() == (
        "name,recipientEmail,paymentReference,receiverType,amountCurrency,amount,sourceCurrency,targetCurrency\r\n"
    )
    assert FORMATS["csv_file"].head()[0] == "\ufeff"
    assert (inert("\t=@x\r\ny\x00", 9), inert("a" * 9, 4)) == ("x y", "aaaa")


@pytest.mark.parametrize(
    ("format_", "payee", "money", "words"),
    [
        ("paypal_file", Payee("A", "+a@example.com"), Money(1, "USD"), "begins with +"),
        ("paypal_file", Payee("A", "a" * 120 + "@example.com"), Money(1, "USD"), "more than 127"),
        ("paypal_file", Payee("A", "a@example.com"), Money(150, "HUF"), "whole amounts"),
        ("wise_file", Payee("Asha", "a@example.com"), Money(1, "USD"), "first and a last name"),
        ("wise_file", Payee("R2 D2", "a@example.com"), Money(1, "USD"), "first and a last name"),
    ],
)
def test_what_can_not_stand_in_a_file(format_: str, payee: Payee, money: Money, words: str) -> None:
    assert words in FORMATS[format_].obstacle(payee, money)


@pytest.mark.parametrize(
    ("text", "minor", "currency", "fits"),
    [
        ("1250.00", 125000, "USD", True), ("1250", 125000, "USD", True), ("1,250.00", 125000, "USD", True),
        ("1.250,00", 125000, "USD", True), ("12,5", 1250, "USD", True), ("1,250", 125000, "USD", True), ("1.25", 125000, "USD", False),
        ("2000", 2000, "JPY", True), ("1.250", 1250, "KWD", True), ("-15.00", 1500, "USD", False), ("abc", 1500, "USD", False),
        ("$15.00", 1500, "USD", False), ("15.001", 1500, "USD", False),
    ],
)  # fmt: skip
def test_amounts_as_spreadsheets_write_them(text: str, minor: int, currency: str, fits: bool) -> None:
    assert reading.is_amount(text, Money(minor, currency)) is fits


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("payout_id,status,reference,message,amount", "po_1,paid,T1,,15.00"),
        ("Sender Item ID;Transaction status;Transaction ID;Error;Amount", "po_1;paid;T1;;15.00"),
        ("paymentReference\tstatus\ttransferId\tmessage\tamount", "po_1\tpaid\tT1\t\t15.00"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_columns_are_found_by_their_names(head: str, row: str, encoding: str) -> None:
    said = reading.read(f"{head}\r\n{row}\r\n".encode(encoding))
    assert said == [reading.Said(2, "po_1", "paid", "T1", "", "15.00")]


def test_paypals_own_file_has_no_head() -> None:
    said = reading.read(b"a@example.com,15.00,USD,po_1,Hello,PAYPAL,,FAILED,,RECEIVER_UNREGISTERED\r\n")
    assert said == [reading.Said(1, "po_1", "FAILED", "", "RECEIVER_UNREGISTERED", "15.00", "USD", "a@example.com")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "file_empty"), (b"\r\n \r\n", "file_empty"), (b"payout_id,status\r\n", "file_empty"),
        (b"PK\x03\x04xlsx", "file_unreadable"), (b"payout_id,status\r\n\x00\x01", "file_unreadable"),
        (b"name,amount\r\nAsha,15\r\n", "file_columns"), (b"payout_id,amount\r\npo_1,15\r\n", "file_columns"),
        (b"a@example.com,15.00,USD,po_1,Hello,PAYPAL,\r\n", "file_columns"),
        (b"payout_id,status\r\n" + b"x" * reading.MOST_BYTES, "file_too_large"),
        (b"payout_id,status\r\n" + b"po_1,paid\r\n" * (reading.MOST_ROWS + 1), "too_many_rows"),
        ("payout_id,status\r\npo_1,Zoë\r\n".encode() + "Zoë".encode("cp1252"), "file_unreadable"),
    ],
)  # fmt: skip
def test_every_wrong_kind_of_file_has_its_error(data: bytes, code: str) -> None:
    with pytest.raises(Refused) as caught:
        reading.read(data)
    assert (caught.value.code, caught.value.field) == (code, "file")


@pytest.mark.parametrize(
    ("state", "message", "expected"),
    [
        ("Paid", "", ("paid", "")), ("SUCCESS", "", ("paid", "")), ("outgoing_payment_sent", "", ("paid", "")),
        ("Unclaimed", "", ("sent", "")), ("", "", None), ("Pending", "", None), ("on hold", "", None),
        ("failed", "closed", ("failed", "provider_rejected")), ("FAILED", "RECEIVER_UNREGISTERED", ("failed", "waiting_for_recipient")),
        ("Returned", "", ("failed", "waiting_for_recipient")), ("DENIED", "INSUFFICIENT_FUNDS", ("failed", "waiting_for_funds")),
        ("not paid", "", ("failed", "")), ("bounced_back", "", ("failed", "waiting_for_recipient")),
    ],
)  # fmt: skip
def test_what_the_words_mean(state: str, message: str, expected: tuple[str, str] | None) -> None:
    outcome = reading.outcome_of(reading.Said(1, "po_1", state, "T1", message))
    assert (outcome and (outcome.state, outcome.reason if outcome.state == "failed" else "")) == expected


# --- with the database ---


@pytest.fixture
def due(alice: Cast) -> list[Reward]:
    """Three referrers with 15 dollars each, one of them paid in yen."""
    dollars = make_campaign(alice.tenant, [fixed_rule(1500, kind="cash")])
    yen = make_campaign(alice.tenant, [fixed_rule(2000, currency="JPY", kind="cash")], currency="JPY", name="Yen")
    found = []
    for name, campaign in zip(NAMES, (dollars, dollars, yen), strict=True):
        person = make_participant(campaign, f"{name}@example.com", first_name=name.title(), last_name="Rao")
        found.append(buy(make_friend(person, f"{name}-friend@example.net")).rewards[0])
    return found


def frozen(alice: Cast, due: list[Reward], name: str = "paypal_file", key: str = "request-1") -> PayoutBatch:
    batch, made = freeze(name, tenant=alice.tenant, reward_ids=[row.pk for row in due], actor=ACTOR, key=key)
    assert made
    return batch


def statuses(batch: PayoutBatch) -> list[str]:
    return list(batch.payouts.order_by("pk").values_list("status", flat=True))


def states(due: list[Reward]) -> list[str]:
    return list(Reward.objects.filter(pk__in=[row.pk for row in due]).order_by("pk").values_list("state", flat=True))


def sheet(*lines: tuple[Payout, str, str, str]) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["payout_id", "status", "reference", "message"])
    writer.writerows([payout.public_id, *said] for payout, *said in lines)
    return buffer.getvalue().encode()


@pytest.mark.django_db
def test_a_batch_is_frozen_and_gives_the_same_file_for_ever(alice: Cast, due: list[Reward]) -> None:
    batch = frozen(alice, due)
    again, made = freeze(
        "paypal_file", tenant=alice.tenant, reward_ids=[row.pk for row in due], actor=ACTOR, key="request-1"
    )
    assert (again.pk, made) == (batch.pk, False)
    one, two, three = batch.payouts.order_by("pk")
    assert (statuses(batch), states(due)) == (["sending"] * 3, ["sending"] * 3)
    assert not LedgerEntry.objects.filter(kind="pay").exists()
    # A currency, a file.
    yen, dollars = PayoutFile.objects.order_by("currency")
    assert [(row.number, row.currency, row.rows, row.amount_minor) for row in (yen, dollars)] == [
        (1, "JPY", 1, 2000), (2, "USD", 2, 3000),
    ]  # fmt: skip
    expected = (
        f"asha@example.com,15.00,USD,{one.public_id},Halden Coffee: Spring refer-a-friend,PAYPAL,\r\n"
        f"bela@example.com,15.00,USD,{two.public_id},Halden Coffee: Spring refer-a-friend,PAYPAL,\r\n"
    ).encode()
    assert content(dollars) == expected
    assert (dollars.size, dollars.sha256) == (len(expected), hashlib.sha256(expected).hexdigest())
    assert content(yen) == f"cleo@example.com,2000,JPY,{three.public_id},Halden Coffee: Yen,PAYPAL,\r\n".encode()
    Participant.objects.filter(email="asha@example.com").update(email="other@example.com", first_name="Zoe")
    alice.merchant.name = "Renamed"
    alice.merchant.save()
    assert content(PayoutFile.objects.get(pk=dollars.pk)) == expected
    # Nobody is called, and no worker takes it.
    assert not Payout.objects.filter(next_attempt_at__isnull=False).exists()
    assert list(differences()) == []


@pytest.mark.django_db
def test_a_recipient_more_is_no_query_more(alice: Cast, due: list[Reward]) -> None:
    with CaptureQueriesContext(connection) as one:
        frozen(alice, due[:1], key="request-a")
    campaign = due[0].campaign
    people = [make_participant(campaign, f"more{number}@example.com") for number in range(4)]
    more = [buy(make_friend(one, f"friend-of-{one.pk}@example.net")).rewards[0] for one in people]
    with CaptureQueriesContext(connection) as four:
        frozen(alice, more, key="request-b")
    assert len(four) == len(one)


@pytest.mark.django_db
def test_what_was_taken_is_not_locked_for_again(alice: Cast, due: list[Reward]) -> None:
    batch = frozen(alice, due)
    data = sheet(*[(payout, "paid", f"T{payout.pk}", "") for payout in batch.payouts.order_by("pk")])
    assert take_file(batch=batch, name="a.csv", data=data, actor=ACTOR).paid == 3
    with CaptureQueriesContext(connection) as again:
        back = take_file(batch=batch, name="a.csv", data=data, actor=ACTOR)
    assert (back.paid, back.same) == (0, 3)
    assert [query["sql"] for query in again if 'UPDATE "rewards_payout"' in query["sql"]] == []
    assert len(again) < 15


@pytest.mark.django_db
def test_many_lines_are_several_files(alice: Cast, due: list[Reward], monkeypatch: pytest.MonkeyPatch) -> None:
    object.__setattr__(FORMATS["csv_file"], "limit", 1)
    try:
        batch = frozen(alice, due, "csv_file")
    finally:
        object.__setattr__(FORMATS["csv_file"], "limit", 20_000)
    assert [row.rows for row in batch.files.order_by("number")] == [1, 1, 1]


@pytest.mark.django_db
def test_who_can_not_stand_in_it_is_named_and_nothing_changes(alice: Cast, due: list[Reward]) -> None:
    asha, bela, _cleo = (row.participant for row in due)
    Participant.objects.filter(pk=asha.pk).update(last_name="")
    held = PayoutDestination(participant=bela, merchant=alice.merchant, is_test=alice.tenant.is_test, method="wise_email",
                             hint="h", fingerprint="f", confirmed_at=clock.now(),
                             usable_from=clock.now() + timedelta(hours=72))  # fmt: skip
    held.secrets = {"address": "bela@wise.example"}
    held.save()
    found = preview("wise_file", alice.tenant, [row.pk for row in due])
    assert [row.pk for row in found.payable] == [due[2].pk]
    assert dict(found.refused) == {due[0]: "Wise needs a first and a last name.", due[1]: "waiting_for_recipient"}
    with pytest.raises(Refused, match=r"Asha.*can't stand in this file.*first and a last name") as caught:
        frozen(alice, due, "wise_file")
    assert (caught.value.code, states(due), PayoutBatch.objects.count()) == ("method_unsuitable", ["due"] * 3, 0)
    # Whose address is held waits; a PayPal file knows no address at Wise.
    batch = frozen(alice, due[1:], "wise_file")
    assert (states(due), statuses(batch)) == (["due", "waiting", "sending"], ["sending"])
    assert preview("paypal_file", alice.tenant, [due[0].pk]).refused == []
    PayoutDestination.objects.update(participant=asha, usable_from=clock.now())
    assert preview("paypal_file", alice.tenant, [due[0].pk]).refused == [
        (due[0], "They want to be paid otherwise: Wise, by e-mail.")
    ]


@pytest.mark.django_db
def test_a_file_waits_for_a_second_person_and_none_is_made_while_all_is_stopped(alice: Cast, due: list[Reward]) -> None:
    payout_guards.set_limits(
        tenant=alice.tenant, actor=ACTOR, currency="USD", limits={"second_person_above_minor": 2000}
    )
    batch = frozen(alice, due[:2])
    file = batch.files.get()
    with pytest.raises(Refused) as caught:
        content(file)
    assert caught.value.code == "batch_waits"
    payout_guards.approve_batch(batch=batch, actor=type(ACTOR)("user", "2", "bob@example.com"))
    assert content(PayoutFile.objects.get(pk=file.pk)).count(b"\r\n") == 2
    assert statuses(batch) == ["sending", "sending"]
    payout_guards.stop(tenant=alice.tenant, actor=ACTOR, note="a thief")
    with pytest.raises(Refused) as caught:
        frozen(alice, due[2:], key="request-2")
    assert (caught.value.code, states(due)) == ("payouts_stopped", ["sending", "sending", "due"])


@pytest.mark.django_db
def test_lines_are_marked_once_whatever_comes_back_again(alice: Cast, due: list[Reward]) -> None:
    batch = frozen(alice, due)
    asha, bela, cleo = batch.payouts.order_by("pk")
    first = sheet((asha, "paid", "T1", ""), (bela, "FAILED", "T2", "RECEIVER_UNREGISTERED"), (cleo, "pending", "", ""))
    row = take_file(batch=batch, name="back.csv", data=first, actor=ACTOR)
    assert [getattr(row, name) for name in PayoutReturn.COUNTS] == [1, 0, 1, 0, 1, 0]
    assert (row.state, row.sealed, row.rows) == ("done", "", 3)
    assert (statuses(batch), states(due)) == (["paid", "failed", "sending"], ["issued", "waiting", "sending"])
    bela.refresh_from_db()
    assert (bela.reference, bela.message, bela.reason) == ("T2", "RECEIVER_UNREGISTERED", "waiting_for_recipient")
    assert LedgerEntry.objects.filter(kind="pay").count() == 1
    again = take_file(batch=batch, name="back.csv", data=first, actor=ACTOR)
    assert (again.same, again.still_open, again.paid, again.failed) == (2, 1, 0, 0)
    # Returned weeks later; the first file once more does not pay it again.
    take_file(batch=batch, name="late.csv", data=sheet((asha, "Returned", "T1", "")), actor=ACTOR)
    assert states(due) == ["waiting", "waiting", "sending"]
    take_file(batch=batch, name="back.csv", data=first, actor=ACTOR)
    assert statuses(batch) == ["failed", "failed", "sending"]
    assert LedgerEntry.objects.filter(kind__in=["pay", "pay_back"]).count() == 2
    # The rest in one word.
    mark_all(batch=batch, kind="paid", note="T-all", actor=ACTOR)
    assert statuses(batch) == ["failed", "failed", "paid"]
    batch.refresh_from_db()
    assert batch.completed_at is not None
    with pytest.raises(Refused) as caught:
        mark_all(batch=batch, kind="paid", note="", actor=ACTOR)
    assert caught.value.code == "invalid_state"
    assert list(differences()) == []


@pytest.mark.django_db
def test_wrong_lines_are_named_and_change_nothing(alice: Cast, charlie: Cast, due: list[Reward]) -> None:
    batch, other = frozen(alice, due[:2]), frozen(alice, due[2:], key="request-2")
    asha, bela = batch.payouts.order_by("pk")
    head = "payout_id,status,amount,currency,recipient\r\n"
    lines = [
        f"{asha.public_id},paid,16.00,USD,asha@example.com",
        f"{asha.public_id},paid,15.00,USD,asha@example.com",
        f"{bela.public_id},paid,15.00,USD,thief@example.com",
        f"{other.payouts.get().public_id},paid,,,",
        "po_nobody,paid,,,",
        "asha@example.com,paid,,,",
        ",paid,,,",
    ]
    row = take_file(batch=batch, name="x.csv", data=(head + "\r\n".join(lines)).encode(), actor=ACTOR)
    assert [(line, mark) for line, mark, _why in row.wrong_rows] == [
        (2, asha.public_id), (3, asha.public_id), (4, bela.public_id), (5, other.payouts.get().public_id), (6, "po_nobody"),
        (7, ""), (8, ""),
    ]  # fmt: skip
    assert [why for _line, _mark, why in row.wrong_rows] == [
        "It stands in the lines 2, 3. Keep one of them.",
        "It stands in the lines 2, 3. Keep one of them.",
        "The recipient is another one than in the file that was issued.",
        f"This payout belongs to the batch {other.public_id}. Bring its file back there.",
        "No payout of this batch is called that.",
        "No payout of this batch is called that.",
        "The line names no payout.",
    ]
    assert (row.wrong, statuses(batch), statuses(other)) == (7, ["sending", "sending"], ["sending"])
    for said, words in (
        (f"{asha.public_id},paid,16.00,USD,", "The amount is 16.00 here, and 15.00"),
        (f"{asha.public_id},paid,15,EUR,", "The currency is EUR here, and USD"),
        (f"{asha.public_id},maybe,,,", "The status 'maybe' is none that we know"),
    ):
        row = take_file(batch=batch, name="x.csv", data=(head + said).encode(), actor=ACTOR)
        assert row.wrong_rows[0][2].startswith(words)
    assert statuses(batch) == ["sending", "sending"]
    # Another merchant's payout is nobody's.
    theirs = make_participant(make_campaign(charlie.tenant, [fixed_rule(kind="cash")]), "dora@example.com")
    earned = buy(make_friend(theirs, "dora-friend@example.net")).rewards[0]
    foreign, _made = freeze("csv_file", tenant=charlie.tenant, reward_ids=[earned.pk], actor=ACTOR, key="request-1")
    row = take_file(batch=batch, name="x.csv", data=sheet((foreign.payouts.get(), "paid", "", "")), actor=ACTOR)
    assert (row.wrong_rows[0][2], statuses(foreign)) == ("No payout of this batch is called that.", ["sending"])


@pytest.mark.django_db
def test_what_was_not_paid_is_withdrawn_and_due_again_net_of_what_was_taken_back(
    alice: Cast, due: list[Reward]
) -> None:
    batch = frozen(alice, due)
    asha, _bela, _cleo = batch.payouts.order_by("pk")
    # Taken back while it is on its way: it can't be stopped, and is settled with the next payout.
    refund(tenant=alice.tenant, actor=ACTOR, source="manual", external_id="r", event=due[1].event)
    take_file(batch=batch, name="x.csv", data=sheet((asha, "paid", "T1", "")), actor=ACTOR)
    row = mark_all(batch=batch, kind="withdrawn", note="Not this month", actor=ACTOR)
    assert (row.failed, row.same, row.note) == (2, 1, "Not this month")
    assert (statuses(batch), states(due)) == (["paid", "failed", "failed"], ["issued", "void", "due"])
    assert list(differences()) == []
    second = frozen(alice, due[2:], "csv_file", key="request-2")
    assert [row.amount_minor for row in second.payouts.all()] == [2000]
    # Marked as paid by the first file after all: the ledger says so, and the next payout nets it.
    with pytest.raises(Refused) as caught:
        take_file(batch=payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[], actor=ACTOR, key="by-hand-1")[0],
                  name="x", data=b"x", actor=ACTOR)  # fmt: skip
    assert caught.value.code == "invalid_state"


@pytest.mark.django_db
def test_a_large_file_is_a_workers(alice: Cast, due: list[Reward], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rewards.files.returned.AT_ONCE", 2)
    monkeypatch.setattr("rewards.files.returned.CHUNK", 2)
    batch = frozen(alice, due)
    row = mark_all(batch=batch, kind="paid", note="", actor=ACTOR)
    assert (row.state, statuses(batch)) == ("working", ["sending"] * 3)
    assert work_all() == 1
    row.refresh_from_db()
    assert (row.state, row.paid, row.position, statuses(batch)) == ("done", 3, 3, ["paid"] * 3)
    assert work_all() == 0


@pytest.mark.django_db
def test_erasing_leaves_no_address_in_files_that_are_over(alice: Cast, due: list[Reward]) -> None:
    batch = frozen(alice, due[:2])
    asha, bela = batch.payouts.order_by("pk")
    take_file(batch=batch, name="x.csv", data=sheet((asha, "paid", "T1", "")), actor=ACTOR)
    for person in (asha.participant, bela.participant):
        erase(participant=person, actor=ACTOR)
    file = batch.files.get()
    # Who is still to be paid with it stands in it until they are.
    assert (b"asha" in content(file), b"bela@example.com" in content(file)) == (False, True)
    assert forget_erased() == 0
    take_file(batch=batch, name="x.csv", data=sheet((bela, "paid", "T2", "")), actor=ACTOR)
    assert (forget_erased(), content(file)) == (1, b"")
    assert PayoutLine.objects.filter(sealed="").count() == 2
    assert (statuses(batch), list(differences())) == (["paid", "paid"], [])


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_file_brought_back_by_several_at_once_pays_once(alice: Cast, due: list[Reward]) -> None:
    batch = frozen(alice, due)
    first, second, third = batch.payouts.order_by("pk")
    data = sheet((first, "paid", "T1", ""), (second, "failed", "", "closed"), (third, "paid", "T3", ""))

    def bring(number: int) -> PayoutReturn:
        try:
            return take_file(batch=batch, name=f"{number}.csv", data=data, actor=ACTOR)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        rows = list(pool.map(bring, range(6)))
    assert sum(row.paid for row in rows) == 2
    assert (sum(row.failed for row in rows), sum(row.same for row in rows)) == (1, 15)
    assert (statuses(batch), states(due)) == (["paid", "failed", "paid"], ["issued", "attention", "issued"])
    assert LedgerEntry.objects.filter(kind="pay").count() == 2
    assert list(differences()) == []
