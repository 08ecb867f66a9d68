"""Importing people: dry run, apply, the same file again, wrong rows corrected, a killed worker, opening balances."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns.models import Campaign
from participants.codes import find_by_code
from participants.models import ChosenCode, Participant, QualifyingEvent, Referral
from referrals.events.models import Event
from referrals.lib.cells import csv_lines
from referrals.lib.errors import Refused
from rewards.balances import balances_of
from rewards.imports import jobs
from rewards.imports.rows import rows_in
from rewards.models import Import, ImportFile, LedgerEntry, Reward
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db
HEAD = "email,first_name,last_name,referral_code,referred_by,joined_at,banned\n"


def begin(cast: Cast, campaign: Campaign, text: str | bytes, kind: str = "participants") -> Import:
    data = text if isinstance(text, bytes) else text.encode()
    return jobs.start(tenant=cast.tenant, kind=kind, campaign=campaign, name="old.csv", data=data, actor=ACTOR)


def apply(upload: Import) -> Import:
    return jobs.apply(upload=upload)


def counts(upload: Import) -> tuple[int, int, int, int]:
    upload.refresh_from_db()
    return upload.added, upload.updated, upload.known, upload.wrong


def wrong(upload: Import) -> list[str]:
    return [row[-1] for row in jobs.wrong_rows(upload)]


def test_people_come_with_their_codes_referrers_dates_and_bans_and_once(alice: Cast, campaign: Campaign) -> None:
    # Ben's referrer stands below him, and is named by code; Cleo's by address.
    file = (
        f"{HEAD}ben@example.com,Ben,Ito,,7ZZp9eBG,2026-02-01,no\n"
        "asha@example.com,Asha,Rao,7ZZp9eBG,,2026-01-31 12:00 UTC,\n"
        "cleo@example.com,Cleo,,cleo-10,asha@example.com,2026-03-01T00:00:00Z,yes\n"
    )
    upload = begin(alice, campaign, file)
    assert (upload.state, counts(upload), Participant.objects.count()) == ("checked", (3, 0, 0, 0), 0)
    upload = apply(upload)
    assert (upload.state, counts(upload)) == ("done", (3, 0, 0, 0))
    rows = list(Participant.objects.order_by("email").values_list("email", "source", "referral_code", "vanity_code"))
    (asha, ben, cleo) = Participant.objects.order_by("email")
    assert rows == [
        ("asha@example.com", "import", "7ZZp9eBG", ""),
        ("ben@example.com", "import", ben.referral_code, ""),
        ("cleo@example.com", "import", cleo.referral_code, "cleo-10"),
    ]
    assert [asha.joined_at.isoformat(), cleo.is_banned, ben.is_banned] == ["2026-01-31T12:00:00+00:00", True, False]
    found = find_by_code(campaign, "CLEO-1O")
    assert found == cleo
    bonds = Referral.objects.order_by("pk").values_list("referrer", "invitee", "how", "status", "created_at")
    assert list(bonds) == [
        (asha.pk, ben.pk, "code", "pending", ben.joined_at),
        (asha.pk, cleo.pk, "email", "pending", cleo.joined_at),
    ]
    told = Event.objects.get(type="import.applied")
    assert (told.data["added"], told.data["first"], told.data["last"], told.actor_label) == (3, 1, 3, ACTOR.label)
    assert QualifyingEvent.objects.count() == 0
    # The same file again: nothing new, and nothing is written.
    again = begin(alice, campaign, file)
    assert counts(again) == (0, 0, 3, 0)
    assert counts(apply(again)) == (0, 0, 3, 0)
    assert (
        Participant.objects.count(),
        Referral.objects.count(),
        Event.objects.filter(type="import.applied").count(),
    ) == (3, 2, 1)


def test_wrong_rows_come_back_with_reasons_and_go_in_once_they_are_corrected(
    alice: Cast, campaign: Campaign, charlie: Cast
) -> None:
    theirs = make_participant(make_campaign(charlie.tenant), "somebody@example.org")
    Participant.objects.filter(pk=theirs.pk).update(referral_code="TakenElse1")
    first = make_participant(campaign, "first@example.com")
    friend = make_friend(first, "friend@example.com")
    file = (
        f"{HEAD}nobody,A,,,,,\n"
        "ok@example.com,B,,TakenElse1,,,\n"
        "date@example.com,C,,,,03/04/2026,\n"
        "ref@example.com,D,,,ghost@example.com,,\n"
        "chain@example.com,D,,,ref@example.com,,\n"
        f"friend@example.com,E,,,ok@example.com,,\n"
        f"code@example.com,F,,{first.referral_code},,,\n"
        "ok@example.com,G,,,,,\n"
        'self@example.com,"=cmd|x",,,self+me@example.com,,\n'
        "ban@example.com,H,,,,,maybe\n"
        "long@example.com,I,,way-too-long-for-a-code,,,\n"
    )
    upload = begin(alice, campaign, file)
    assert counts(upload) == (1, 0, 0, 10)
    reasons = wrong(upload)
    for reason, text in zip(reasons, (
        "not an e-mail address", "day first or month first", "ghost@example.com", "ref@example.com", "Somebody else invited them",
        "Somebody has the code", "stands in line 3", "invited themselves", "neither yes nor no", "can't be kept",
    ), strict=True):  # fmt: skip
        assert text in reason
    assert Participant.objects.for_tenant(alice.tenant).count() == 2
    upload = apply(upload)
    assert counts(upload) == (1, 0, 0, 10)
    ok = Participant.objects.get(email="ok@example.com")
    # Elsewhere somebody has the code to the letter: here it is kept by its looks, and nobody is told.
    assert (ok.referral_code != "TakenElse1", find_by_code(campaign, "TakenElse1")) == (True, ok)
    assert friend.referral.referrer == first
    # The file of wrong rows, two of them mended, is a file to upload: the reasons are no matter.
    lines = [*csv_lines([*upload.columns, "reason"], jobs.wrong_rows(upload))]
    mended = "".join(lines).replace("03/04/2026", "2026-04-03").replace("ghost@example.com", "first@example.com")
    second = begin(alice, campaign, mended)
    assert counts(second) == (
        3,
        1,
        0,
        6,
    )  # "ok@example.com" is there now, and gets the name of the row that stood twice
    assert counts(apply(second)) == (3, 1, 0, 6)
    chain = Referral.objects.get(invitee__email="chain@example.com")
    assert chain.referrer.email == "ref@example.com"
    # Whose data is erased is in no file that we keep.
    jobs.forget_files(alice.tenant)
    assert ImportFile.objects.count() == 0


def test_who_is_there_is_changed_and_nothing_is_emptied(alice: Cast, campaign: Campaign) -> None:
    asha = make_participant(campaign, "asha@example.com", first_name="Asha", last_name="Rao")
    maya = make_participant(campaign, "maya@example.net")
    Participant.objects.filter(pk=maya.pk).update(banned_at="2026-01-01T00:00:00Z")
    head = "email,first_name,last_name,referral_code,referred_by,banned,existing_customer\n"
    file = f"{head}ASHA@Example.com,,Rau,asha-rau,,yes,yes\nmaya@example.net,,,,asha@example.com,no,\n"
    upload = begin(alice, campaign, file)
    assert counts(upload) == (0, 2, 0, 0)
    apply(upload)
    asha.refresh_from_db()
    maya.refresh_from_db()
    assert (asha.first_name, asha.last_name, asha.is_banned, asha.existing_customer) == ("Asha", "Rau", True, True)
    assert (asha.vanity_code, maya.is_banned, maya.referral.referrer) == ("asha-rau", True, asha)
    assert counts(begin(alice, campaign, file)) == (0, 0, 2, 0)


def test_opening_balances_are_lines_of_the_ledger_with_a_note_once(alice: Cast, campaign: Campaign) -> None:
    head = "email,firstName,referralCode,referredByCode,createdOn,shareLink,referralReward,referralRewardRedeemed,refereeReward\n"
    file = f"{head}asha@example.com,Asha,7ZZp9eBG,,2023-11-04T15:41:08.828+00:00,https://x.example/,40,12.5,20\n"
    for first in (True, False):
        upload = begin(alice, campaign, file)
        assert (upload.preset, counts(upload)) == ("referral_rocket", (1, 0, 0, 0) if first else (0, 0, 1, 0))
        apply(upload)
    asha = Participant.objects.get()
    balance = balances_of([asha.pk])[asha.pk].referrer
    assert (balance.earned, balance.redeemed, balance.left) == (2750, 0, 2750)
    lines = LedgerEntry.objects.order_by("pk").values_list("kind", "amount_minor", "note")
    assert list(lines) == [
        ("adjust", 4000, "Earned before the import (Referral Rocket)"),
        ("adjust", -1250, "Paid out before the import (Referral Rocket)"),
    ]


def test_referrals_need_who_invited_whom_and_their_status_earns_only_when_it_is_said(alice: Cast) -> None:
    rule = fixed_rule(trigger="status", event="qualified")
    campaign = make_campaign(alice.tenant, [rule])
    file = "Email,Referring Member Email,Status\nasha@example.com,,\nmaya@example.net,asha@example.com,qualified\n"
    upload = begin(alice, campaign, file.replace("asha@example.com,,\n", ""), "referrals")
    assert (upload.preset, counts(upload), wrong(upload)[0][:24]) == (
        "referral_rock",
        (0, 0, 0, 1),
        "Referrer's e-mail addres",
    )
    make_participant(campaign, "asha@example.com")
    upload = apply(begin(alice, campaign, file, "referrals"))
    assert counts(upload) == (1, 0, 1, 0)
    assert (Referral.objects.get().status, Reward.objects.count()) == ("qualified", 0)
    upload = begin(
        alice, campaign, "email,referred_by,status\nines@example.net,asha@example.com,qualified\n", "referrals"
    )
    mapping = upload.mapping
    upload = jobs.remap(
        upload=upload, mapping=mapping, has_header=True, date_order="auto", decimal_mark="auto", campaign=campaign, decide=True
    )  # fmt: skip
    apply(upload)
    assert list(Reward.objects.values_list("state", "amount_minor")) == [("due", 1500)]


def test_a_killed_worker_goes_on_where_it_stood(
    alice: Cast, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PEOPLE_BATCH", 3)
    rows = "".join(f"p{n}@example.com,p{n - 1}@example.com\n" for n in range(1, 8))
    upload = begin(alice, campaign, f"email,referred_by\np0@example.com,\n{rows}")
    apply_batch, bind_batch, left = jobs._apply_batch, jobs._bind_batch, [2]

    def dies(function: Callable[..., bool]) -> Callable[..., bool]:
        def run(*args: object) -> bool:
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            return function(*args)

        return run

    monkeypatch.setattr(jobs, "_apply_batch", dies(apply_batch))
    monkeypatch.setattr(jobs, "_bind_batch", dies(bind_batch))
    with pytest.raises(KeyboardInterrupt):
        apply(upload)
    assert (Participant.objects.count(), Import.objects.get().position) == (3, 3)
    left[0] = 4
    with pytest.raises(KeyboardInterrupt):
        jobs.sweep()
    assert (Participant.objects.count(), Referral.objects.count(), Import.objects.get().bound_to) == (8, 2, 3)
    assert jobs.sweep() == 1
    upload.refresh_from_db()
    assert (upload.state, counts(upload), Referral.objects.count()) == ("done", (8, 0, 0, 0), 7)
    # Two workers at one place: the second finds it taken.
    Import.objects.update(state="applying", position=3)
    upload.position = 0
    assert not apply_batch(upload, list(rows_in(upload))[:3], set())
    assert jobs.work(upload.pk)


def test_the_number_of_queries_does_not_grow_with_the_rows(alice: Cast, campaign: Campaign) -> None:
    taken = []
    for size in (2, 40):
        rows = "".join(f"q{size}x{n}@example.com,Aa1Code{size}x{n},q{size}x0@example.com\n" for n in range(1, size))
        upload = begin(alice, campaign, f"email,code,referred_by\nq{size}x0@example.com,,\n{rows}")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            apply(upload)
        taken.append(len(queries))
    assert taken[0] == taken[1]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "file_empty"),
        (b"email\n", "file_empty"),
        (b"email,e-mail\n", "duplicate_column"),
        (b"email,Email\na@example.com,b@example.com\n", "duplicate_column"),
        (b"\x00", "file_unreadable"),
        (b"a" * (jobs.MOST_BYTES + 1), "file_too_large"),
        (b"a@example.com\n" * 11, "too_many_rows"),
    ],
)
def test_a_file_that_can_t_be_read_leaves_nothing(
    alice: Cast, campaign: Campaign, data: bytes, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MOST_ROWS", 10)
    with pytest.raises(Refused) as caught:
        begin(alice, campaign, data)
    assert (caught.value.code, Import.objects.count()) == (code, 0)


def test_columns_are_chosen_where_they_can_t_be_guessed(alice: Cast, campaign: Campaign) -> None:
    upload = begin(alice, campaign, "who,when\nasha@example.com,03/04/2026\n".replace("asha@example.com", "Asha <x>"))
    assert (upload.state, jobs.preview(upload)) == ("mapping", [["Asha <x>", "03/04/2026"]])
    with pytest.raises(Refused, match="being worked on"):
        apply(upload)
    upload = begin(alice, campaign, "who,when\na1@example.com,03/04/2026\n".replace("who", "Who"))
    assert (upload.state, upload.mapping) == ("mapping", {})
    told = {"has_header": True, "decimal_mark": "auto", "campaign": campaign, "decide": False}
    with pytest.raises(Refused, match="E-mail address"):
        jobs.remap(upload=upload, mapping={"joined_at": 1}, date_order="dmy", **told)  # type: ignore[arg-type]  # many kinds
    with pytest.raises(Refused, match="chosen twice"):
        jobs.remap(upload=upload, mapping={"email": 0, "code": 0}, date_order="dmy", **told)  # type: ignore[arg-type]  # the same
    upload = jobs.remap(upload=upload, mapping={"email": 0, "joined_at": 1}, date_order="dmy", **told)  # type: ignore[arg-type]  # the same
    apply(upload)
    assert Participant.objects.get().joined_at.date().isoformat() in {"2026-04-03", "2026-04-02"}
    assert ChosenCode.objects.count() == 0
    jobs.drop(upload=begin(alice, campaign, "email\nb@example.com\n"))
    assert ImportFile.objects.count() == 2
