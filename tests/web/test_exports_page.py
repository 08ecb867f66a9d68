"""Lists as files in the background, exports that an import reads back, and the account's archive for owners only."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from campaigns.models import Campaign
from participants.models import Invite, KnownCustomer, Participant, Visit
from referrals.accounts.models import Role
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.web import list_exports
from rewards import statuses, transfers
from rewards.account.totals import totals
from rewards.imports import jobs
from rewards.models import Transfer
from tests.factories import ACTOR, Cast, buy, make_cast, make_friend, make_merchant, make_participant, make_reward, walk
from tests.web.helpers import freshen

pytestmark = pytest.mark.django_db
PAGE = "/app/settings/exports/"


@pytest.fixture
def people(alice: Cast, campaign: Campaign) -> Participant:
    """Asha with a friend who bought, and one row of everything that is a list."""
    asha = make_participant(campaign, first_name="=cmd|' /C calc'!A1", language="de")
    maya = make_friend(asha)
    buy(maya, external_id="o1")
    statuses.set_status(participant=maya, status="qualified", actor=ACTOR)
    Visit.objects.create(merchant=alice.merchant, campaign=campaign, referrer=asha, visitor="v", channel="mail")
    Visit.objects.create(
        merchant=alice.merchant, campaign=campaign, referrer=asha, visitor="b", channel="mail", hidden_reason="bot"
    )
    KnownCustomer.objects.create(merchant=alice.merchant, key="k", hint="o•••@example.com", since=clock.now())
    Invite.objects.create(
        merchant=alice.merchant, campaign=campaign, email="i@example.com", email_key="i@example.com", source="link"
    )
    return asha


def content(client: Client, url: str) -> bytes:
    answer = client.get(url)
    assert answer.status_code == 200, url
    return b"".join(answer.streaming_content)  # type: ignore[attr-defined]  # a StreamingHttpResponse


def test_every_list_is_a_file_whose_rows_are_its_own_and_no_formula(
    alice: Cast, charlie: Cast, people: Participant, tmp_path: Path
) -> None:
    assert list(list_exports.LISTS) == list(transfers.LISTS)
    rows = {}
    for name in transfers.LISTS:
        query = "stage=due" if name == "rewards" else ""
        path = tmp_path / f"{name}.csv"
        count = list_exports.write_list(alice.tenant, name, query, path)
        table = list(csv.reader(io.StringIO(path.read_text("utf-8-sig"))))
        assert len(table) == count + 1
        assert {len(row) for row in table} == {len(table[0])}
        if name != "history":  # which tells of the exports themselves
            assert path.read_bytes() == content(alice.client, f"/app/exports/list.csv?list={name}&{query}")
        rows[name] = count
        if name != "history":
            assert list_exports.write_list(charlie.tenant, name, query, path) == 0
        assert not any(cell.startswith(("=", "+", "-", "@")) for row in table for cell in row)
    assert {name: rows[name] for name in rows if name != "history"} == {
        "participants": 2, "referrals": 1, "purchases": 2, "rewards": 1, "payouts": 0, "visits": 1, "customers": 1,
        "invitations": 1, "fraud_cases": 0, "ledger": 1, "year_totals": 0,
    }  # fmt: skip
    for name, query, code in (
        ("nothing", "", "unknown_list"),
        ("rewards", "stage=x", "unknown_filter"),
        ("referrals", "campaign=x", "campaign_not_found"),
    ):
        with pytest.raises(Refused) as caught:
            list_exports.read_list(alice.tenant, name, query)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("list=rewards&state=bogus", "The list rewards has no filter state; it has stage, status, campaign, q, kind,"),
        ("list=rewards&stage=bogus", "The filter stage can&#x27;t be &#x27;bogus&#x27;."),
        ("list=referrals&status=bogus", "The filter status can&#x27;t be &#x27;bogus&#x27;."),
        ("list=history&kind=team", "The list history has no filter kind; it has none."),
    ],
)
def test_a_filter_that_a_list_has_not_is_named_and_no_file_is_sent(alice: Cast, query: str, words: str) -> None:
    answer = alice.client.get(f"/app/exports/list.csv?{query}")
    assert (answer.status_code, words in answer.content.decode()) == (400, True)
    assert Event.objects.filter(type="export.made").count() == 0


def test_rewards_are_filtered_by_stage_as_on_their_page_or_by_status_as_in_the_api(
    alice: Cast, campaign: Campaign
) -> None:
    due, held = make_reward(campaign), make_reward(campaign, "charlie@example.com", "noor@example.net")
    walk([held.pk], "held")
    for query, wanted in (
        ("", [due]), ("stage=attention", [held]), ("status=held", [held]), ("status=due,held", [due, held]), ("status=void", []),
    ):  # fmt: skip
        _columns, rows = list_exports.read_list(alice.tenant, "rewards", query)
        assert [row[0] for row in rows] == [one.public_id for one in wanted]


@pytest.mark.parametrize(
    ("name", "kind", "known"),
    [("participants", "participants", 2), ("purchases", "events", 2), ("referrals", "referrals", 1)],
)
def test_what_an_export_wrote_an_import_reads_back_as_nothing_new(
    alice: Cast, campaign: Campaign, people: Participant, tmp_path: Path, name: str, kind: str, known: int
) -> None:
    path = tmp_path / "x.csv"
    list_exports.write_list(alice.tenant, name, "", path)
    before = totals(alice.tenant)
    upload = jobs.start(
        tenant=alice.tenant, kind=kind, campaign=campaign, name="x.csv", data=path.read_bytes(), actor=ACTOR
    )
    assert (upload.preset, upload.added, upload.updated, upload.known, upload.wrong) == ("passalong", 0, 0, known, 0)
    jobs.apply(upload=upload)
    assert totals(alice.tenant) == before


def test_a_list_is_made_in_the_background_and_fetched(
    alice: Cast, bob: Cast, charlie: Cast, people: Participant
) -> None:
    assert alice.client.post(PAGE, {"name": "participants", "campaign": people.campaign.public_id}).status_code == 302
    row = Transfer.objects.get()
    assert 'hx-trigger="every 2s"' in alice.client.get(PAGE).content.decode()
    assert alice.client.get(f"{PAGE}{row.public_id}/list.csv").status_code == 404
    assert list_exports.sweep() == 1
    assert list_exports.sweep() == 0
    row.refresh_from_db()
    assert (row.state, row.rows) == ("done", 2)
    assert content(bob.client, f"{PAGE}{row.public_id}/list.csv") == content(
        alice.client, f"/app/exports/list.csv?{row.query}"
    )
    assert charlie.client.get(f"{PAGE}{row.public_id}/list.csv").status_code == 404
    assert Event.objects.filter(type="export.made", subject_id=row.public_id).get().data == {
        "what": "participants",
        "query": row.query,
    }
    for _n in range(transfers.AN_HOUR):
        alice.client.post(PAGE, {"name": "visits"})
    assert alice.client.post(PAGE, {"name": "visits"}).status_code == 429
    # A worker that died comes back after its lease; a file goes after a week.
    Transfer.objects.filter(name="visits").delete()
    Transfer.objects.update(state="working", claimed_at=clock.wall() - 2 * Transfer.LEASE)
    assert list_exports.sweep() == 1
    Transfer.objects.update(created_at=clock.wall() - 2 * Transfer.KEPT)
    stray = row.path.with_name("xp_stray.csv")
    stray.write_text("of a row that is gone")
    list_exports.sweep()
    assert stray.exists()
    os.utime(stray, (0, 0))
    list_exports.sweep()
    assert not stray.exists()
    assert (row.path.exists(), alice.client.get(f"{PAGE}{row.public_id}/list.csv").status_code) == (False, 404)


def test_the_account_leaves_and_comes_back_by_its_owner_only(alice: Cast, people: Participant) -> None:
    admin = make_cast("ada@example.com", alice.merchant, Role.ADMIN)
    assert admin.client.post(f"{PAGE}account/").status_code == 403
    # Without a log-in of the last minutes, the password is asked for.
    asked = alice.client.post(f"{PAGE}account/")
    assert (asked.status_code, Transfer.objects.count()) == (302, 0)
    owner = _fresh(alice)
    assert owner.post(f"{PAGE}account/")["Location"] == PAGE
    row = Transfer.objects.get()
    transfers.work(row.pk)
    assert admin.client.get(f"{PAGE}account/{row.public_id}.zip").status_code == 403
    assert owner.get(f"{PAGE}{row.public_id}/list.csv").status_code == 404
    data = content(owner, f"{PAGE}account/{row.public_id}.zip")
    assert Event.objects.filter(type="export.made").count() == 2
    # Into the full account it is refused, into an empty one it is read.
    read = f"{PAGE}account/read/"
    full = owner.post(read, {"file": SimpleUploadedFile("a.zip", data)})
    assert (full.status_code, Transfer.objects.count()) == (409, 1)
    eve = make_cast("eve@example.org", make_merchant("Empty"))
    there = _fresh(eve)
    assert there.post(read, {"file": SimpleUploadedFile("a.zip", data[:-40])}).status_code == 422
    changed = data[:900] + bytes([data[900] ^ 1]) + data[901:]
    assert there.post(read, {"file": SimpleUploadedFile("a.zip", changed)}).status_code == 302
    assert there.post(read, {"file": SimpleUploadedFile("a.zip", data)}).status_code == 302
    list_exports.sweep()
    bad, good = Transfer.objects.for_tenant(eve.tenant).order_by("pk")
    assert (bad.state, good.state, good.result["ids"] > 0) == ("failed", "done", True)
    assert totals(Tenant(eve.merchant)) == totals(alice.tenant)
    assert b'"id","' + people.public_id.encode() in content(there, f"{PAGE}account/{good.public_id}.zip")
    assert bad.error == "The archive can't be read: it was changed or cut. Nothing was changed."
    assert "The archive can&#x27;t be read: it was changed or cut. " in there.get(PAGE).content.decode()


def _zip(name: str, content: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, content)
    return made.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"email\na@example.com\n", "The archive can't be read: it is no zip file, or not the whole of it. Nothing was changed."),
        (_zip("a.csv", ""), "The archive can't be read: there is no manifest.json in it. Nothing was changed."),
        (_zip("manifest.json", "{"), "The archive can't be read: its manifest.json is no JSON, or was changed. Nothing was changed."),
        (_zip("manifest.json", "[]"), "The archive can't be read: it is no archive of an account. Nothing was changed."),
        (
            _zip("manifest.json", '{"format": "passalong-account", "version": 2}'),
            "The archive has version 2 of the format; this installation reads version 1.",
        ),
    ],
    ids=["no zip", "no manifest", "no json", "no object", "version"],
)  # fmt: skip
def test_what_is_no_archive_is_refused_at_the_form(alice: Cast, data: bytes, words: str) -> None:
    folder = Transfer(kind="restore").path.parent
    kept = set(folder.iterdir())
    answer = _fresh(alice).post(f"{PAGE}account/read/", {"file": SimpleUploadedFile("a.zip", data)})
    assert (answer.status_code, dict(answer.context["form"].errors)) == (422, {"file": [words]})
    assert (Transfer.objects.count(), set(folder.iterdir())) == (0, kept)


def _fresh(cast: Cast) -> Client:
    """The member's client, with a log-in of just now."""
    freshen(cast.client, cast.user)
    return cast.client
