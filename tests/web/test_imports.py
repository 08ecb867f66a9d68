"""The pages of an import: choose, map, look, apply, mend; and what is refused on the way."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from campaigns.models import Campaign
from participants.models import CustomerUpload, Participant
from rewards.imports import jobs
from rewards.models import Import
from tests.factories import Cast

pytestmark = pytest.mark.django_db
PAGE = "/app/settings/imports/"


def send(cast: Cast, campaign: Campaign, data: bytes, kind: str = "participants") -> tuple[int, str]:
    values = {"kind": kind, "campaign": campaign.public_id, "file": SimpleUploadedFile("old.csv", data)}
    answer = cast.client.post(PAGE, values)
    return answer.status_code, answer.headers.get("Location", "") or answer.content.decode()


def test_a_file_is_mapped_looked_at_applied_and_its_wrong_rows_fetched(
    alice: Cast, bob: Cast, campaign: Campaign
) -> None:
    data = "Kontakt;Vorname;Seit\nzoe@example.com;Zoë;03/04/2026\n=cmd@x;Ann;\n".encode("cp1252")
    status, page = send(alice, campaign, data)
    assert status == 302
    html = alice.client.get(page).content.decode()
    assert "Choose what the columns have" in html
    assert "Windows-1252" in html
    assert "Zoë" in html
    chosen = {"map_email": "0", "map_first_name": "1", "map_joined_at": "2", "campaign": campaign.public_id, "date_order": "auto",
              "decimal_mark": "auto", "has_header": "on"}  # fmt: skip
    lacking = alice.client.post(page, chosen | {"map_email": ""})
    assert (lacking.status_code, b"Choose the column that has: E-mail address" in lacking.content) == (422, True)
    assert alice.client.post(page, chosen).status_code == 302
    html = alice.client.get(page).content.decode()
    assert "0 new, 0 updated, 0 known, 2 wrong" in html
    assert "day first or month first" in html
    alice.client.post(page, chosen | {"date_order": "dmy"})
    html = bob.client.get(page).content.decode()
    assert "1 new, 0 updated, 0 known, 1 wrong" in html
    assert "Apply the right rows" not in html  # Bob only looks
    wrong = alice.client.get(f"{page}wrong.csv")
    text = b"".join(wrong.streaming_content).decode()  # type: ignore[attr-defined]  # a StreamingHttpResponse
    assert '"Kontakt","Vorname","Seit","reason"\r\n"\t=cmd@x","Ann","","E-mail address: ' in text
    assert bob.client.post(page, {"act": "apply"}).status_code == 403
    assert Participant.objects.count() == 0
    assert alice.client.post(page, {"act": "apply"}).status_code == 302
    assert Participant.objects.get().first_name == "Zoë"
    assert "The file is applied" in alice.client.get(page).content.decode()
    assert alice.client.post(page, {"act": "apply"}).status_code == 409
    assert (
        "Rows 1 to 2 of old.csv imported: 1 new, 0 changed"
        in alice.client.get("/app/settings/history/?kind=exports").content.decode()
    )


def test_what_can_t_be_started_says_so_and_keeps_nothing(alice: Cast, charlie: Cast, campaign: Campaign) -> None:
    for kind, data, status, text in (
        ("participants", b"", 422, "The file has no rows."),
        ("participants", b"x" * (jobs.MOST_BYTES + 1), 413, "larger than 10 MB"),
        ("nonsense", b"email\na@example.com\n", 422, "Select a valid choice"),
    ):
        answer = send(alice, campaign, data, kind)
        assert (answer[0], text in answer[1]) == (status, True)
    assert send(charlie, campaign, b"email\na@example.com\n")[0] == 422
    assert Import.objects.count() == 0
    assert send(alice, campaign, b"email\na@example.com\n", "customers")[0] == 302
    assert CustomerUpload.objects.count() == 1


def test_progress_is_shown_and_asked_for_again(
    alice: Cast, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "AT_ONCE", 0)
    _status, page = send(alice, campaign, b"email\na@example.com\n")
    html = alice.client.get(page).content.decode()
    assert 'hx-trigger="every 2s"' in html
    assert "<progress" in html
    jobs.sweep()
    assert "Apply the file" in alice.client.get(page).content.decode()
    alice.client.post(page, {"act": "drop"})
    assert alice.client.get(f"{page}wrong.csv").status_code == 404
