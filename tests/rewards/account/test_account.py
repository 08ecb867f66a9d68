"""An account written away and read back: the same totals, nothing secret, all or nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command

from campaigns import services as campaign_services
from campaigns.models import Campaign
from integrations import payouts as carrier
from integrations.models import Connection, WebhookEndpoint
from participants.models import Participant, QualifyingEvent, Visit
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.errors import Refused
from rewards import payouts, sending, statuses
from rewards.account.archive import write_archive
from rewards.account.restore import restore
from rewards.account.tables import SECRET_COLUMNS, columns, is_empty, tables
from rewards.account.totals import totals
from rewards.bans import ban, unban
from rewards.models import Payout, Reward
from rewards.queueing import Method, queue
from rewards.refunds import refund
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_merchant, make_participant

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(alice: Cast) -> Tenant:
    """Two campaigns with rewards in several states, a payout, a refund, a ban, a status, visits, an image and a secret."""
    spring = make_campaign(alice.tenant, [fixed_rule(), fixed_rule(side="invitee", trigger="join")])
    other = make_campaign(
        alice.tenant, [fixed_rule(500, trigger="status", event="qualified", review_days=5)], name="Two"
    )
    asha = make_participant(spring)
    for n in range(3):
        buy(make_friend(asha, f"maya{n}@example.net"), external_id=f"o{n}")
    refund(
        tenant=alice.tenant,
        actor=ACTOR,
        source="manual",
        external_id="r",
        event=QualifyingEvent.objects.get(external_id="o1"),
    )
    due = Reward.objects.due().filter(participant=asha).order_by("pk").first()
    assert due is not None
    payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[due.pk], actor=ACTOR, key="batch-one", note="by hand")
    ines = make_friend(make_participant(other), "ines@example.net")
    statuses.set_status(participant=ines, status="qualified", actor=ACTOR)
    ban(participant=asha, actor=ACTOR, reason="test")
    Visit.objects.create(merchant=alice.merchant, campaign=spring, referrer=asha, visitor="v1", utm={"source": "x"})
    link = Connection(merchant=alice.merchant, provider="stripe")
    link.secrets = {"webhook_secret": "whsec_canary"}
    link.save()
    return alice.tenant


def written(tenant: Tenant, tmp_path: Path) -> Path:
    path = tmp_path / "account.zip"
    write_archive(tenant, path)
    return path


def test_it_adds_up_to_the_same_beside_its_original(account: Tenant, tmp_path: Path) -> None:
    before = totals(account)
    path = written(account, tmp_path)
    twin = Tenant(make_merchant("Halden again", "EUR"))
    done = restore(tenant=twin, path=path, actor=ACTOR)
    assert totals(twin) == before == totals(account)
    assert list(differences()) == []
    twin.merchant.refresh_from_db()
    assert twin.merchant.currency == "USD"
    # Beside its original everybody has a new id and a new code, and the history names the new ones.
    people = Participant.objects.for_tenant(twin).order_by("pk")
    old = Participant.objects.for_tenant(account).order_by("pk")
    assert [done.ids[row.public_id] for row in old] == [row.public_id for row in people]
    assert [done.codes[row.referral_code] for row in old] == [row.referral_code for row in people]
    told = Event.objects.for_tenant(twin).filter(type="participant.banned").get()
    assert told.participant_ref == people[0].public_id
    assert [row.status for row in Campaign.objects.for_tenant(twin)] == ["active", "active"]
    # What comes next is decided as in the original: a status again is none, and the friend's next purchase is the second.
    ines = Participant.objects.for_tenant(twin).get(email="ines@example.net")
    statuses.set_status(participant=ines, status="qualified", actor=ACTOR)
    assert totals(twin) == before
    again = buy(Participant.objects.for_tenant(twin).get(email="maya0@example.net"), external_id="o9")
    assert {row.reason for row in again.decisions} == {"referrer_banned"}


@pytest.mark.once  # PostgreSQL refuses to empty an account by deleting its ledger
def test_ids_and_codes_are_kept_where_nobody_has_them(account: Tenant, tmp_path: Path) -> None:
    path, before = written(account, tmp_path), totals(account)
    ids = set(Participant.objects.for_tenant(account).values_list("public_id", "referral_code"))
    for table in reversed(tables()):
        if table.model._meta.label == "campaigns.Campaign":
            table.rows(account).update(version=None, status="draft")
    for table in reversed(tables()):
        rows = table.rows(account)
        rows._raw_delete(using=rows.db) if not table.way else [row.delete() for row in rows]
    done = restore(tenant=account, path=path, actor=ACTOR)
    assert (done.ids, done.codes, totals(account)) == ({}, {}, before)
    assert set(Participant.objects.for_tenant(account).values_list("public_id", "referral_code")) == ids


def test_no_secret_is_in_it_and_every_table_says_why_it_is_left_out(account: Tenant, tmp_path: Path) -> None:
    path = written(account, tmp_path)
    with zipfile.ZipFile(path) as archive:
        text = b"".join(archive.read(name) for name in archive.namelist())
        manifest = json.loads(archive.read("manifest.json"))
    assert b"whsec_canary" not in text
    assert path.stat().st_mode & 0o077 == 0
    for table in tables():
        assert not {one.name for one in columns(table.model)} & SECRET_COLUMNS
    assert all(apps.get_model(label) for label in manifest["left_out"])


@pytest.mark.parametrize("how", ["cut", "byte", "line", "extra", "version", "strange", "no zip", "totals"])
def test_a_tampered_or_cut_archive_changes_nothing(account: Tenant, tmp_path: Path, how: str) -> None:
    path, bad = written(account, tmp_path), tmp_path / "bad.zip"
    shutil.copy(path, bad)
    data = bad.read_bytes()
    code = "archive_damaged"
    if how == "cut":
        bad.write_bytes(data[: len(data) * 2 // 3])
    elif how == "byte":
        bad.write_bytes(data[:900] + bytes([data[900] ^ 1]) + data[901:])
    elif how == "no zip":
        bad.write_bytes(b"email\na@example.com\n")
    else:
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(bad, "w") as new:
            for name in old.namelist():
                body = old.read(name)
                if name == "manifest.json":
                    manifest = json.loads(body)
                    if how == "version":
                        manifest["version"], code = 2, "archive_version"
                    if how == "strange":
                        manifest["files"][0]["columns"].append("is_admin")
                        code = "archive_version"
                    if how == "totals":
                        manifest["totals"]["participants"]["count"] += 1
                        code = "archive_totals"
                    body = json.dumps(manifest).encode()
                elif how == "line" and name.endswith("Participant.jsonl"):
                    body = body.replace(b"asha@example.com", b"eve1@example.com")
                new.writestr(name, body)
            if how == "extra":
                new.writestr("tables/more.jsonl", b"{}\n")
    twin = Tenant(make_merchant("Empty"))
    with pytest.raises(Refused) as caught:
        restore(tenant=twin, path=bad, actor=ACTOR)
    assert caught.value.code == code
    twin.merchant.refresh_from_db()
    assert (
        Campaign.objects.for_tenant(twin).count(),
        Event.objects.for_tenant(twin).count(),
        twin.merchant.time_zone,
    ) == (0, 0, "UTC")


def forged(path: Path, change: Callable[[str, dict[str, Any]], None]) -> Path:
    """A copy whose rows are changed, and whose sums are right again."""
    bad = path.with_name("forged.zip")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(bad, "w") as new:
        manifest = json.loads(old.read("manifest.json"))
        change("manifest", manifest)
        for item in manifest["files"]:
            rows = [json.loads(line) for line in old.read(item["name"]).splitlines()]
            for row in rows:
                change(item["table"], row)
            body = "".join(f"{json.dumps(row)}\n" for row in rows)
            item["sha256"] = hashlib.sha256(body.encode()).hexdigest()
            new.writestr(item["name"], body)
        new.writestr("manifest.json", json.dumps(manifest))
    return bad


def test_what_we_never_write_is_not_read_though_its_sums_are_right(account: Tenant, tmp_path: Path) -> None:
    path, twin = written(account, tmp_path), Tenant(make_merchant("Empty"))
    never: list[tuple[str, str, object]] = [
        ("rewards.Reward", "state", "gone"),
        ("campaigns.Campaign", "status", "open"),
        ("rewards.LedgerEntry", "kind", ""),
        ("rewards.Payout", "reference", "x" * 256),
        ("rewards.Payout", "amount_minor", -1),
        ("rewards.Payout", "batch_id", None),
        ("participants.Participant", "campaign_id", 10**9),
        ("participants.Participant", "public_id", "../../etc"),
        ("manifest", "time_zone", "Mars/Olympus"),
        ("manifest", "currency", "ZZZ"),
    ]
    for table, name, value in never:

        def change(label: str, row: dict[str, Any], one: tuple[str, str, object] = (table, name, value)) -> None:
            if label == one[0]:
                (row["business"] if label == "manifest" else row)[one[1]] = one[2]

        with pytest.raises(Refused) as caught:
            restore(tenant=twin, path=forged(path, change), actor=ACTOR)
        assert caught.value.code == "archive_damaged", (table, name)
        twin.merchant.refresh_from_db()
        assert (is_empty(twin, ()), twin.merchant.time_zone, twin.merchant.currency) == ("", "UTC", "USD")


def test_nothing_begins_to_move_in_an_account_that_was_read(account: Tenant, tmp_path: Path) -> None:
    """What was on its way stands still, host names are to be proven, and no endpoint is told of the history."""
    asha = Participant.objects.get(email="asha@example.com", banned_at__isnull=False)
    lifted = unban(participant=asha, actor=ACTOR)
    assert lifted.banned_at is None
    link = Connection.objects.for_tenant(account).get()
    method = Method("stripe", frozenset({"credit", "cash"}), account=link.public_id)
    one, two = [buy(make_friend(asha, f"zoe{n}@example.net")).rewards[0] for n in range(2)]
    for reward in (one, two):
        queue(tenant=account, reward_ids=[reward.pk], method=method, actor=ACTOR, key=f"the-batch-{reward.pk}")
    called = sending.claim(two.payout_items.get().payout_id)
    assert called is not None
    Campaign.objects.filter(name="Two").update(host="go.example.com", host_verified_at=clock.now())
    path, before = written(account, tmp_path), totals(account)

    twin = Tenant(make_merchant("Twin"))
    endpoint = WebhookEndpoint.objects.create(
        merchant=twin.merchant, is_test=twin.is_test, url="https://hook.example/x"
    )
    mine = Connection(merchant=twin.merchant, provider="stripe")
    mine.secrets = {}
    mine.save()

    def as_mine(label: str, row: dict[str, Any]) -> None:
        if label == "rewards.Payout":
            row["account"] = mine.public_id

    done = restore(tenant=twin, path=forged(path, as_mine), actor=ACTOR)
    stood = Payout.objects.for_tenant(twin).order_by("pk").values_list("status", "next_attempt_at")
    assert list(stood) == [("paid", None), ("undone", None), ("needs_attention", None)]
    states = Reward.objects.filter(public_id__in=[done.ids[row.public_id] for row in (one, two)]).order_by("pk")
    assert [row.state for row in states] == ["due", "sending"]
    Payout.objects.for_tenant(account).update(next_attempt_at=None)  # only the original's own would still leave
    assert (carrier.sweep(), list(differences()), totals(account)) == (0, [], before)
    assert Campaign.objects.for_tenant(twin).get(name="Two").host_verified_at is None
    endpoint.refresh_from_db()
    heard = Event.objects.for_tenant(twin).filter(pk__gt=endpoint.starts_after).order_by("pk")
    assert [row.type for row in heard] == [
        "reward.unqueued", "payout.undone", "payout.batch.completed", "payout.changed", "account.imported",
    ]  # fmt: skip


def test_an_account_that_has_something_takes_none(account: Tenant, charlie: Cast, tmp_path: Path) -> None:
    path = written(account, tmp_path)
    campaign_services.create_campaign(tenant=charlie.tenant, actor=ACTOR, name="Mine", currency="USD", rules=[])
    with pytest.raises(Refused) as caught:
        restore(tenant=charlie.tenant, path=path, actor=ACTOR)
    assert (caught.value.code, caught.value.status, Participant.objects.for_tenant(charlie.tenant).count()) == (
        "account_not_empty",
        409,
        0,
    )
    assert clock.now() is not None


def test_the_commands_write_it_and_read_it(account: Tenant, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, mapping = tmp_path / "a.zip", tmp_path / "ids.csv"
    call_command("export_account", account.merchant.public_id, str(path))
    twin = Tenant(make_merchant("Again"))
    call_command("import_account", twin.merchant.public_id, str(path), "--mapping", str(mapping))
    assert totals(twin) == totals(account)
    assert "ids and" in capsys.readouterr().out
    first = Participant.objects.for_tenant(account).order_by("pk")[0]
    assert f'"id","{first.public_id}","pt_' in mapping.read_text()
    for merchant, why in ((twin.merchant.public_id, "not empty"), ("mer_nobody", "no business")):
        with pytest.raises(CommandError, match=why):
            call_command("import_account", merchant, str(path))
    with pytest.raises(CommandError, match="no business"):
        call_command("export_account", "mer_nobody", str(tmp_path / "b.zip"))
    assert not (tmp_path / "b.zip").exists()
