"""Paying with a file and with codes of one's own, as a merchant does it: out, back, and what is left."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from rewards.models import PayoutGift, Reward
from tests.browser.merchant import log_in
from tests.browser.test_issue import keeps_the_rules
from tests.factories import Cast, fixed_rule, make_campaign, make_reward

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_file_goes_out_and_comes_back_and_codes_are_given(
    page: Page, alice: Cast, live_server: LiveServer, tmp_path: Path
) -> None:
    cash, code = (make_campaign(alice.tenant, [fixed_rule(1500, kind=kind)], name=kind) for kind in ("cash", "coupon"))
    make_reward(cash, "asha@example.com", "of-asha@example.net")
    make_reward(cash, "bela@example.com", "of-bela@example.net")
    make_reward(code, "cleo@example.com", "of-cleo@example.net")
    log_in(page, alice.client, live_server)

    # A list of codes.
    page.goto(f"{live_server.url}/app/settings/coupons/")
    page.get_by_label("Name").fill("Beans")
    page.get_by_label("A code is worth").fill("15")
    page.get_by_role("button", name="Make the list").click()
    page.get_by_label("Codes, one in a line").fill("BEANS-0001\nBEANS-0001")
    page.get_by_role("button", name="Add codes").click()
    expect(page.get_by_role("status").filter(has_text="1 line left out")).to_contain_text(
        "It stands in line 1 already."
    )
    keeps_the_rules(page)

    # One reward gets the code, the other two are another kind.
    page.goto(f"{live_server.url}/app/rewards/?stage=due")
    page.locator("#select-page").check()
    page.locator("#act-issue").click()
    dialog = page.get_by_role("dialog", name="Issue rewards")
    dialog.get_by_role("radio", name="Codes from a list of yours").check()
    expect(dialog).to_contain_text("Beans: $15.00, 1 code left")
    dialog.get_by_role("button", name="Issue 1 reward").click()
    expect(page.locator("#progress-title")).to_have_text("1 of 1 payout is out")
    assert PayoutGift.objects.get().secrets["code"] == "BEANS-0001"

    # A file for the others.
    page.goto(f"{live_server.url}/app/rewards/?stage=due")
    page.locator("#select-page").check()
    page.locator("#act-issue").click()
    dialog.get_by_role("radio", name="PayPal mass payment file").check()
    dialog.get_by_role("button", name="Issue 2 rewards").click()
    expect(page.locator("#files")).to_be_visible()
    with page.expect_download() as loading:
        page.get_by_role("link", name="Download paypal").click()
    lines = Path(loading.value.path()).read_text().splitlines()
    assert [line.split(",")[:3] for line in lines] == [
        [f"{name}@example.com", "15.00", "USD"] for name in ("asha", "bela")
    ]
    keeps_the_rules(page)

    # It comes back: one is paid, one line is wrong; the rest is withdrawn.
    back = tmp_path / "back.csv"
    back.write_text(f"{lines[0]},paid,T1\n{lines[1].replace('15.00', '16.00')},paid,T2\n")
    page.get_by_label("The file with results").set_input_files(back)
    page.get_by_role("button", name="Bring back results").click()
    expect(page.locator("#counts-title")).to_have_text("1 paid · 1 wrong")
    expect(page.locator("#return")).to_contain_text("The amount is 16.00 here, and 15.00 in the file that was issued.")
    keeps_the_rules(page)
    page.get_by_role("link", name="Back to the batch").click()
    page.get_by_role("link", name="Withdraw the rest").click()
    keeps_the_rules(page)
    page.get_by_role("button", name="Withdraw").click()
    expect(page.locator(".toast")).to_contain_text("1 payout withdrawn")

    assert sorted(Reward.objects.values_list("participant__email", "state")) == [
        ("asha@example.com", "issued"),
        ("bela@example.com", "due"),
        ("cleo@example.com", "issued"),
    ]
