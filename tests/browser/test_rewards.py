"""The Reward Due table as people use it: by mouse, by keyboard, without a script, on a phone, in the dark, from right to left."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from campaigns.models import Campaign
from referrals.web import reward_state
from rewards import lifecycle
from rewards.models import PayoutBatch, Reward
from rewards.payouts import issue_by_hand
from scripts.browser import NARROWEST, Watch, axe_violations_in_both_schemes, sideways_overflow
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_reward

pytestmark = pytest.mark.django_db(transaction=True)
NAMES = ("asha", "tomas", "yuki", "priya", "jonas", "grace")
Check = Callable[[Page], None]


@pytest.fixture
def due(campaign: Campaign) -> list[Reward]:
    """Six due rewards of 15 dollars and one of 2,000 yen, newest first as the list shows them."""
    made = [make_reward(campaign, f"{name}@example.com", f"friend-of-{name}@example.net") for name in NAMES]
    yen = make_campaign(campaign.tenant, name="Tokyo", currency="JPY", rules=[fixed_rule(2000, "JPY")])
    made.append(make_reward(yen, "ken@example.com", "mori@example.net", 9800))
    return made[::-1]


def let_in(context: BrowserContext, cast: Cast, live_server: LiveServer) -> None:
    """Log a browser in as one of the cast."""
    context.add_cookies([{"name": "session", "value": cast.client.cookies["session"].value, "url": live_server.url}])


@pytest.fixture
def rewards(page: Page, context: BrowserContext, alice: Cast, due: list[Reward], live_server: LiveServer) -> Page:
    """Alice looks at what is due."""
    let_in(context, alice, live_server)
    page.goto(f"{live_server.url}/app/rewards/?stage=due")
    expect(page.locator("#pane [data-opened]")).to_be_visible()
    return page


@pytest.fixture
def bare(browser: Browser, alice: Cast, due: list[Reward], live_server: LiveServer, watch: Watch) -> Iterator[Page]:
    """The same in a browser without a script."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1440, "height": 900})
    watch.attach(context)
    let_in(context, alice, live_server)
    page = context.new_page()
    page.goto(f"{live_server.url}/app/rewards/?stage=due")
    yield page
    context.close()


def tick(page: Page, reward: Reward) -> None:
    """Tick one row."""
    page.locator(f"#tick-{reward.public_id}").check()


def states(rewards: list[Reward]) -> list[str]:
    """Where they stand now."""
    found = dict(Reward.objects.filter(pk__in=[reward.pk for reward in rewards]).values_list("pk", "state"))
    return [found[reward.pk] for reward in rewards]


def test_ticking_sums_up_per_currency_and_shift_takes_the_range(rewards: Page, due: list[Reward]) -> None:
    tick(rewards, due[0])
    rewards.locator(f"#tick-{due[3].public_id}").click(modifiers=["Shift"])

    expect(rewards.locator("tbody .t-check input:checked")).to_have_count(4)
    expect(rewards.locator("[data-selected-count]")).to_have_text("4")
    expect(rewards.locator("[data-selected-sum]")).to_have_text("¥2,000 and $45.00")

    rewards.locator("#select-page").check()
    expect(rewards.locator("[data-selected-count]")).to_have_text("7")


def test_marking_as_issued_and_undo_stay_on_the_list(rewards: Page, due: list[Reward], axe: Check) -> None:
    tick(rewards, due[1])
    tick(rewards, due[2])
    rewards.locator("#act-issue").click()

    dialog = rewards.get_by_role("dialog", name="Issue rewards")
    expect(dialog).to_contain_text("$30.00")
    expect(dialog).to_contain_text("2 rewards, 2 people")
    expect(dialog.get_by_role("radio", name="By hand")).to_be_focused()
    axe(rewards)
    dialog.get_by_label("Note").fill("By bank on Friday")
    dialog.get_by_role("button", name="Mark 2 rewards as issued").click()

    toast = rewards.locator(".toast")
    expect(toast).to_contain_text("2 rewards marked as issued")
    expect(dialog).to_be_hidden()
    expect(rewards.locator("tbody tr")).to_have_count(5)
    expect(rewards.locator("#nav-rewards")).to_contain_text("5")
    expect(rewards.locator("#pipeline")).to_contain_text("$60.00")
    expect(rewards.locator("#live")).to_contain_text("2 rewards marked as issued")
    # The focus is on the row that took the place of the first one issued, not lost at the top of the page.
    expect(rewards.locator(f"#open-{due[3].public_id}")).to_be_focused()
    assert PayoutBatch.objects.get().note == "By bank on Friday"

    toast.get_by_role("button", name="Undo").click()
    expect(rewards.locator(".toast")).to_contain_text("Undone: 2 rewards are due again")
    expect(rewards.locator("tbody tr")).to_have_count(7)
    assert set(states(due)) == {"due"}
    assert rewards.url.endswith("/app/rewards/?stage=due")


def test_a_double_click_on_the_confirmation_makes_one_batch(rewards: Page, due: list[Reward]) -> None:
    rewards.locator(f"#one-{due[1].public_id}").click()
    rewards.get_by_role("button", name="Mark 1 reward as issued").dblclick()

    expect(rewards.locator(".toast")).to_contain_text("1 reward marked as issued")
    assert PayoutBatch.objects.count() == 1
    assert states(due[:3]) == ["due", "issued", "due"]


def test_by_keyboard_alone(rewards: Page, due: list[Reward]) -> None:
    keys = rewards.keyboard
    keys.press("j")
    keys.press("x")
    keys.press("j")
    keys.press("j")
    keys.press("Shift+X")
    expect(rewards.locator("tbody .t-check input:checked")).to_have_count(3)

    keys.press("i")
    dialog = rewards.get_by_role("dialog", name="Issue rewards")
    expect(dialog).to_contain_text("3 rewards, 3 people")
    keys.press("Escape")
    expect(dialog).to_be_hidden()
    expect(rewards.locator(f"#open-{due[2].public_id}")).to_be_focused()

    keys.press("?")
    expect(rewards.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


def test_the_inspector_opens_beside_the_list_and_acts(rewards: Page, due: list[Reward]) -> None:
    link = rewards.locator(f"#open-{due[2].public_id}")
    link.click()

    pane = rewards.locator("#pane")
    expect(pane).to_contain_text("friend-of-jonas@example.net")
    expect(pane).to_contain_text("Why this is due")
    expect(rewards.locator(f"tr[data-row={due[2].public_id}]")).to_have_class(re.compile("is-open"))
    expect(link).to_be_focused()
    expect(rewards.locator("#live")).to_contain_text("jonas@example.com, $15.00: details shown")

    pane.get_by_role("button", name="Hold…").click()
    dialog = rewards.get_by_role("dialog", name="Hold")
    dialog.get_by_label("Reason").fill("Looks odd")
    dialog.get_by_role("button", name="Hold 1 reward").click()

    expect(rewards.locator(".toast")).to_contain_text("1 reward on hold")
    expect(pane).to_contain_text("Why this is on hold")
    expect(pane).to_contain_text("Looks odd")
    expect(rewards.locator("tbody tr")).to_have_count(6)

    rewards.locator(".toast").get_by_role("button", name="Undo").click()
    expect(rewards.locator(".toast")).to_contain_text("1 reward released")
    expect(pane).to_contain_text("Why this is due")
    expect(rewards.locator("tbody tr")).to_have_count(7)


def test_the_second_tab_is_told_and_sees_the_list_as_it_is(rewards: Page, due: list[Reward], alice: Cast) -> None:
    tick(rewards, due[1])
    rewards.locator("#act-void").click()
    rewards.get_by_label("Reason").fill("Not this one")
    lifecycle.hold(tenant=alice.tenant, reward_ids=[due[1].pk], actor=ACTOR)
    rewards.get_by_role("button", name="Decline 1 reward").click()

    expect(rewards.get_by_role("alert")).to_contain_text("Somebody changed this meanwhile; nothing was done.")
    expect(rewards.locator("tbody tr")).to_have_count(6)
    assert states([due[1]]) == ["held"]


def test_typing_narrows_the_list_and_keeps_the_cursor(rewards: Page, due: list[Reward]) -> None:
    field = rewards.get_by_role("searchbox", name="Filter this list")
    field.press_sequentially("yuki", delay=20)

    expect(rewards.locator("tbody tr")).to_have_count(1)
    expect(rewards.locator("#live")).to_have_text("1 reward found")
    expect(field).to_be_focused()
    expect(field).to_have_value("yuki")
    assert "q=yuki" in rewards.url

    field.fill("")
    expect(rewards.locator("tbody tr")).to_have_count(7)
    rewards.get_by_label("Campaign").select_option(label="Tokyo")
    expect(rewards.locator("tbody tr")).to_have_count(1)
    expect(rewards.locator("#pipeline")).to_contain_text("¥2,000")
    expect(rewards.locator("#export")).to_have_attribute("href", re.compile("campaign="))


def test_all_that_match_over_several_pages(
    page: Page,
    context: BrowserContext,
    alice: Cast,
    due: list[Reward],
    live_server: LiveServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reward_state, "PAGE_SIZE", 3)
    let_in(context, alice, live_server)
    page.goto(f"{live_server.url}/app/rewards/?stage=due")
    tick(page, due[0])
    page.get_by_role("button", name="Select all 7").click()
    expect(page.locator("[data-selected-count]")).to_have_text("7")
    expect(page.locator("#select-all")).to_be_focused()

    page.locator(f"#tick-{due[1].public_id}").uncheck()
    expect(page.locator("[data-selected-count]")).to_have_text("6")
    expect(page.locator("[data-selected-sum]")).to_have_text("$75.00 and ¥2,000")
    page.get_by_role("button", name="Next page").click()
    expect(page.locator(f"#tick-{due[3].public_id}")).to_be_checked()
    expect(page.locator("[data-selected-count]")).to_have_text("6")

    page.locator("#act-issue").click()
    page.get_by_role("button", name="Mark 6 rewards as issued").click()
    expect(page.locator(".toast")).to_contain_text("6 rewards marked as issued")
    assert states(due) == ["issued", "due", *["issued"] * 5]


def test_everything_works_without_a_script(bare: Page, due: list[Reward]) -> None:
    expect(bare.locator("tbody tr")).to_have_count(7)
    tick(bare, due[1])
    tick(bare, due[2])
    bare.get_by_role("button", name="Issue…").click()
    expect(bare.get_by_role("heading", level=1)).to_have_text("Issue rewards")
    expect(bare.locator("main")).to_contain_text("$30.00")
    bare.get_by_role("button", name="Mark 2 rewards as issued").click()
    expect(bare.locator(".toast")).to_contain_text("2 rewards marked as issued")
    expect(bare.locator("tbody tr")).to_have_count(5)
    bare.get_by_role("button", name="Undo").click()
    expect(bare.locator("tbody tr")).to_have_count(7)

    bare.get_by_role("searchbox", name="Filter this list").fill("yuki")
    bare.get_by_role("button", name="Apply").click()
    expect(bare.locator("tbody tr")).to_have_count(1)
    bare.locator("a[data-open]").click()
    expect(bare.get_by_role("heading", name="Why this is due")).to_be_visible()
    bare.get_by_role("button", name="Decline…").click()
    bare.get_by_label("Reason").fill("By mistake")
    bare.get_by_role("button", name="Decline 1 reward").click()
    expect(bare.get_by_role("heading", name="Why this was refused")).to_be_visible()
    bare.get_by_role("button", name="Restore").click()
    expect(bare.get_by_role("heading", name="Why this is due")).to_be_visible()
    assert set(states(due)) == {"due"}


def test_on_a_phone_a_name_opens_the_rewards_own_page(
    page: Page, context: BrowserContext, alice: Cast, due: list[Reward], live_server: LiveServer
) -> None:
    let_in(context, alice, live_server)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{live_server.url}/app/rewards/?stage=due")
    expect(page.locator("#pane")).to_be_hidden()
    tick(page, due[0])
    expect(page.get_by_role("region", name="Selection")).to_be_in_viewport()
    page.get_by_role("button", name="Filters").click()
    expect(page.get_by_label("Reward type")).to_be_visible()
    page.keyboard.press("Escape")

    page.locator(f"#open-{due[2].public_id}").click()
    page.wait_for_url(f"**/app/rewards/{due[2].public_id}/")
    expect(page.get_by_role("heading", name="Why this is due")).to_be_visible()


@pytest.mark.parametrize("width", [1440, 390])
def test_every_page_keeps_the_rules(
    browser: Browser,
    alice: Cast,
    due: list[Reward],
    live_server: LiveServer,
    watch: Watch,
    width: int,
) -> None:
    batch, _made = issue_by_hand(tenant=alice.tenant, reward_ids=[due[0].pk], actor=ACTOR, key="k" * 22, note="x")
    lifecycle.hold(tenant=alice.tenant, reward_ids=[due[1].pk], actor=ACTOR, note="Looks odd")
    lifecycle.void(tenant=alice.tenant, reward_ids=[due[2].pk], actor=ACTOR, note="No")
    context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    watch.attach(context)
    let_in(context, alice, live_server)
    page = context.new_page()
    addresses = [
        "/app/rewards/",
        *(f"/app/rewards/?stage={stage}" for stage in ("review", "due", "issued", "attention", "closed")),
        f"/app/rewards/{due[2].public_id}/",
        "/app/payouts/",
        f"/app/payouts/{batch.public_id}/",
    ]
    for address in addresses:
        page.goto(f"{live_server.url}{address}")
        page.wait_for_load_state("networkidle")
        boxes = page.locator("tbody .t-check input")
        if boxes.count():
            boxes.first.check()
        assert axe_violations_in_both_schemes(page) == [], address
        assert sideways_overflow(page) == "", address
        page.set_viewport_size({"width": NARROWEST, "height": 900})
        assert sideways_overflow(page) == "", address
        page.set_viewport_size({"width": width, "height": 900})
    context.close()


def test_from_right_to_left_and_on_paper(rewards: Page, due: list[Reward], axe: Check, fits: Check) -> None:
    rewards.context.add_cookies([{"name": "django_language", "value": "ar", "url": rewards.url}])
    rewards.reload()
    expect(rewards.locator("html")).to_have_attribute("dir", "rtl")
    axe(rewards)
    fits(rewards)
    first, pane = rewards.locator("#rewards").bounding_box(), rewards.locator("#pane").bounding_box()
    assert first is not None
    assert pane is not None
    assert pane["x"] < first["x"]

    rewards.emulate_media(media="print")
    expect(rewards.locator("#rewards")).to_be_visible()
    for hidden in ("#pane", ".bulk", ".side", "#tools"):
        expect(rewards.locator(hidden)).to_be_hidden()
