"""The page of existing customers: look up, upload with a dry run, wrong rows as a safe file, remove one or all."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from participants.models import CustomerUpload, KnownCustomer
from tests.factories import Cast

pytestmark = pytest.mark.django_db
PAGE = "/app/settings/customers/"


def send(cast: Cast, text: str) -> CustomerUpload:
    response = cast.client.post(PAGE, {"file": SimpleUploadedFile("old.csv", text.encode())})
    upload = CustomerUpload.objects.order_by("-pk").first()
    assert upload is not None
    assert (response.status_code, response["Location"]) == (302, f"{PAGE}files/{upload.public_id}/")
    return upload


def test_a_list_is_looked_at_mapped_applied_and_emptied(alice: Cast) -> None:
    upload = send(alice, "name,contact\nMaya,maya@example.net\nInes,ines@example.net\nX,=HYPERLINK(1)\n")
    page = f"{PAGE}files/{upload.public_id}/"
    assert b"0 new, 0 known, 3 wrong" in alice.client.get(page).content
    alice.client.post(page, {"column": "1", "kind": "email", "since_column": "", "has_header": "on"})
    html = alice.client.get(page).content
    assert b"2 new, 0 known, 1 wrong" in html
    assert b"=HYPERLINK(1)" in html
    wrong = alice.client.get(f"{page}wrong.csv")
    assert b'"4","\t=HYPERLINK(1)"' in b"".join(wrong.streaming_content)  # type: ignore[attr-defined]  # a StreamingHttpResponse
    assert KnownCustomer.objects.count() == 0
    alice.client.post(page, {"act": "apply"})
    assert KnownCustomer.objects.count() == 2
    html = alice.client.get(f"{PAGE}?q=Maya%2B1@example.net").content
    assert b"2 customers on the list" in html
    assert b"on the list, customer since" in html
    alice.client.post(f"{PAGE}remove/", {"q": "maya+1@example.net"})
    assert KnownCustomer.objects.count() == 1
    assert b"not on the list" in alice.client.get(f"{PAGE}?q=maya@example.net").content
    alice.client.post(f"{PAGE}add/", {"q": "cus_1"})
    assert b"Remove all 2 customers?" in alice.client.get(f"{PAGE}remove/").content
    alice.client.post(f"{PAGE}remove/")
    assert KnownCustomer.objects.count() == 0


def test_a_wrong_file_or_mapping_says_so_at_its_field(alice: Cast) -> None:
    empty = alice.client.post(PAGE, {"file": SimpleUploadedFile("old.csv", b"")})
    assert (empty.status_code, CustomerUpload.objects.count()) == (422, 0)
    assert b"The file has no rows." in empty.content
    upload = send(alice, "name,email\nMaya,maya@example.net\n")
    page = f"{PAGE}files/{upload.public_id}/"
    same = alice.client.post(page, {"column": "1", "kind": "email", "since_column": "1", "has_header": "on"})
    assert same.status_code == 422
    assert b"The dates stand in another column" in same.content
    alice.client.post(page, {"act": "drop"})
    again = alice.client.post(page, {"act": "apply"})
    assert (again.status_code, KnownCustomer.objects.count()) == (409, 0)
