"""Our own ways in the browser: files that come back with wrong lines, a list that runs out, by hand with a refusal, and a custom reward."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from playwright.sync_api import expect

from campaigns.terms import Units
from referrals.lib.money import Money
from rewards import bans
from rewards.coupons.lists import add_codes, make_list
from rewards.models import Payout, PayoutBatch, PayoutGift
from tests.browser.issuing import Desk, outcomes, payout_of
from tests.factories import ACTOR, buy, fixed_rule, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("way", "mark", "state"), [("wise_file", "paymentReference", "Status"), ("csv_file", "payout_id", "status")]
)
def test_a_file_comes_back_with_a_line_that_is_wrong(
    desk: Desk, tmp_path: Path, way: str, mark: str, state: str
) -> None:
    for name in ("asha", "bela", "cleo"):
        desk.owe(name, 1500, "cash", first_name=name.title(), last_name="Rao")
    desk.owe("cher", 1500, "cash", first_name="Cher")
    dialog = desk.ask(way, ["asha", "bela", "cleo", "cher"])
    if way == "wise_file":
        expect(dialog).to_contain_text("Wise needs a first and a last name: 1 reward")
    batch = desk.press(dialog, 3 if way == "wise_file" else 4)
    with desk.page.expect_download() as loading:
        desk.page.get_by_role("link", name="Download").first.click()
    text = Path(loading.value.path()).read_text(encoding="utf-8-sig")
    rows = {row["name"].strip(): row for row in csv.DictReader(io.StringIO(text))}

    # One is paid, one failed, one has another amount; the fourth stands in no line.
    back = tmp_path / "back.csv"
    lines = [f"{mark},amount,currency,{state},message"]
    for name, amount, became, why in (
        ("Asha Rao", "15.00", "paid", ""),
        ("Bela Rao", "15.00", "failed", "The account is closed"),
        ("Cleo Rao", "16.00", "paid", ""),
    ):
        lines.append(f"{rows[name][mark].strip()},{amount},USD,{became},{why}")
    back.write_text("\n".join(lines))
    desk.page.get_by_label("The file with results").set_input_files(back)
    desk.page.get_by_role("button", name="Bring back results").click()
    expect(desk.page.locator("#counts-title")).to_have_text("1 paid · 1 not paid · 1 wrong")
    expect(desk.page.locator("#return")).to_contain_text("The amount is 16.00 here, and 15.00 in the file")
    desk.reads(f"/app/payouts/{batch.public_id}/", "The company said no: The account is closed", "still open")
    assert outcomes() == [
        ("asha", "issued", ""),
        ("bela", "attention", "provider_rejected"),
        ("cher", "due" if way == "wise_file" else "sending", ""),
        ("cleo", "sending", ""),
    ]


def test_a_list_runs_out_and_the_next_one_waits_for_codes(desk: Desk) -> None:
    desk.owe("asha", 1500, "coupon")
    desk.owe("tariq", 1500, "coupon")
    beans = make_list(tenant=desk.side, actor=ACTOR, name="Beans", worth=Money(1500, "USD"))
    add_codes(coupons=beans, data=b"BEANS-0001", actor=ACTOR)
    dialog = desk.ask("coupon_list", ["asha", "tariq"])
    expect(dialog).to_contain_text("No code is left in “Beans”. Add codes to it; then it can be issued: 1 reward")
    desk.press(dialog, 1)
    assert PayoutGift.objects.get().secrets["code"] == "BEANS-0001"
    dialog = desk.ask("coupon_list", ["tariq"])
    expect(dialog).to_contain_text("Nobody can be paid this way")
    expect(dialog.locator('button[name="confirmed"]')).to_be_disabled()
    assert outcomes() == [("asha", "issued", ""), ("tariq", "due", "")]


def test_by_hand_is_refused_when_somebody_was_banned_meanwhile(desk: Desk) -> None:
    desk.owe("asha", 1500, "cash")
    tariq = desk.owe("tariq", 2000, "cash")
    dialog = desk.ask("manual", ["asha", "tariq"])
    bans.ban(participant=tariq, actor=ACTOR, reason="Odd orders")
    dialog.get_by_role("button", name="Mark 2 rewards as issued").click()
    expect(dialog).to_contain_text("2 rewards could be paid when you looked, 1 can now.")
    assert (PayoutBatch.objects.count(), outcomes()) == (0, [("asha", "due", ""), ("tariq", "held", "referrer_banned")])
    dialog.get_by_role("button", name="Mark 1 reward as issued").click()
    expect(desk.page.locator(".toast")).to_contain_text("1 reward marked as issued")
    assert outcomes() == [("asha", "issued", ""), ("tariq", "held", "referrer_banned")]


def test_a_custom_reward_is_handed_over_by_hand_only(desk: Desk) -> None:
    campaign = make_campaign(desk.side, [fixed_rule(kind="custom", amount=Units(1, "free month"))])
    asha = make_participant(campaign, "asha@example.com")
    buy(make_friend(asha, "maya@example.net"))
    dialog = desk.ask("manual", ["asha"])
    expect(dialog.locator(".total")).to_have_text("1 free month")
    dialog.get_by_role("button", name="Mark 1 reward as issued").click()
    expect(desk.page.locator(".toast")).to_contain_text("1 reward marked as issued")
    desk.payout_reads(payout_of("asha"), "1 free month", "Marked by hand: you paid it outside.")
    desk.open_own_page(asha)
    expect(desk.page.get_by_role("region", name="Your rewards")).to_contain_text("1 free month sent on")
    assert Payout.objects.get().status == "paid"
