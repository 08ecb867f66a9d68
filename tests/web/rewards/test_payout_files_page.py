"""The files on a batch's page: downloaded, brought back, and what is left marked or withdrawn."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from referrals.accounts.models import Role
from referrals.events.models import Event
from rewards import payout_guards
from rewards.files.freezing import content, freeze
from rewards.models import PayoutBatch, PayoutReturn
from tests.factories import ACTOR, Cast, make_campaign, make_cast, make_reward

pytestmark = pytest.mark.django_db


@pytest.fixture
def batch(alice: Cast) -> PayoutBatch:
    campaign = make_campaign(alice.tenant)
    rewards = [make_reward(campaign, f"{name}@example.com", f"{name}@example.net") for name in ("asha", "bela")]
    keys = [row.pk for row in rewards]
    return freeze("csv_file", tenant=alice.tenant, reward_ids=keys, actor=ACTOR, key="only-once")[0]


def test_a_file_goes_out_and_comes_back(alice: Cast, batch: PayoutBatch) -> None:
    file, url = batch.files.get(), reverse("web:payout_batch", args=[batch.public_id])
    page = alice.client.get(url).content.decode()
    assert all(
        words in page
        for words in (file.name, file.sha256[:16], "2 lines · $30.00", "Bring back results", "2 lines are still open")
    )
    for _time in range(2):
        got = alice.client.get(reverse("web:payout_file", args=[file.public_id]))
        assert (got.content, got["Content-Disposition"]) == (content(file), f'attachment; filename="{file.name}"')
    assert Event.objects.filter(type="export.made", subject_id=file.public_id).count() == 2
    one, two = batch.payouts.order_by("pk")
    lines = f"payout_id,status,message\n{one.public_id},paid,\n{two.public_id},maybe,\n"
    back = reverse("web:payout_return_file", args=[batch.public_id])
    answer = alice.client.post(back, {"file": SimpleUploadedFile("back.csv", lines.encode())}, follow=True)
    row = PayoutReturn.objects.get()
    assert answer.redirect_chain == [(reverse("web:payout_return", args=[row.public_id]), 302)]
    assert "1 paid · 1 wrong" in answer.content.decode()
    assert "none that we know" in answer.content.decode()
    wrong = alice.client.get(reverse("web:payout_return_wrong", args=[row.public_id])).getvalue().decode()
    assert wrong.splitlines()[1].startswith(f'"3","{two.public_id}","The status')
    sheet = alice.client.get(reverse("web:payout_sheet", args=[batch.public_id])).getvalue().decode().splitlines()
    assert [line.split(",")[4] for line in sheet[1:]] == ['"paid"', '""']
    # What is left, in one word; it asks first.
    rest = reverse("web:payout_rest_withdrawn", args=[batch.public_id])
    assert "Withdraw 1 open line?" in alice.client.get(rest).content.decode()
    assert "1 payout withdrawn" in alice.client.post(rest, {"note": "later"}, follow=True).content.decode()
    assert list(batch.payouts.order_by("pk").values_list("status", flat=True)) == ["paid", "failed"]
    # Nothing is left: said, and nothing changed.
    assert "Nothing of this batch is open" in alice.client.post(rest, {"note": ""}, follow=True).content.decode()
    assert "Bring back results" in alice.client.get(url).content.decode()


def test_a_wrong_file_is_said_at_the_field_and_changes_nothing(alice: Cast, batch: PayoutBatch) -> None:
    back = reverse("web:payout_return_file", args=[batch.public_id])
    for body, words in (
        (b"PK\x03\x04x", "This is no text file"),
        (b"", "no rows"),
        (b"a,b\n1,2", "It needs payout_id and status"),
    ):
        answer = alice.client.post(back, {"file": SimpleUploadedFile("x.xlsx", body)})
        assert (answer.status_code, words in answer.content.decode()) == (422, True)
    assert alice.client.post(back, {}).status_code == 422
    assert (PayoutReturn.objects.count(), batch.payouts.filter(status="sending").count()) == (0, 2)


def test_a_viewer_gets_no_addresses_and_nobody_before_it_is_approved(alice: Cast, batch: PayoutBatch) -> None:
    url = reverse("web:payout_file", args=[batch.files.get().public_id])
    viewer = make_cast("vera@example.com", alice.merchant, Role.VIEWER)
    assert viewer.client.get(url).status_code == 403
    PayoutBatch.objects.update(needs_approval=True)
    assert payout_guards.waits(PayoutBatch.objects.get())
    page = alice.client.get(reverse("web:payout_batch", args=[batch.public_id])).content.decode()
    assert "once somebody else of your team has approved" in page
    assert "asha@example.com" not in alice.client.get(url, follow=True).content.decode().partition("Recipients")[0]
