"""Promotion codes in the merchant's Stripe account: made for everybody, redeemed without a cookie, paid once, switched off (PRODUCT.md).

Stripe is its stand-in with a memory; every request goes through Stripe's own client.
"""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from campaigns import services as campaigns
from campaigns.models import Campaign
from campaigns.rules import current_terms
from campaigns.terms import Percent
from integrations import promotions, services
from integrations.models import Connection, PromotionCode, PromotionPlan
from integrations.providers.stripe.keeping import stripe_minor
from participants.models import Participant, Referral
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.http import Answer, HttpError
from referrals.lib.money import Money
from rewards.bans import ban, unban
from rewards.models import Decision, Reward
from rewards.verify import differences
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_friend, make_participant
from tests.integrations.sending import connect
from tests.integrations.stripe_account import KEY, Account, played

pytestmark = pytest.mark.django_db
FRIEND = fixed_rule(2000, side="invitee", trigger="join", event="join", kind="coupon")


@pytest.fixture
def stripe(monkeypatch: pytest.MonkeyPatch) -> Account:
    return played(monkeypatch)


@pytest.fixture
def connection(alice: Cast, stripe: Account) -> Connection:
    stripe.connection = connect(Tenant(alice.merchant, is_test=True), api_key=KEY)
    return stripe.connection


@pytest.fixture
def campaign(connection: Connection) -> Campaign:
    return make_campaign(connection.tenant, [fixed_rule(), FRIEND])


@pytest.fixture
def asha(campaign: Campaign) -> Participant:
    return make_participant(campaign)


def _key(campaign: Campaign) -> str:
    return promotions.friend_rules(campaign)[0].key


def _on(campaign: Campaign, connection: Connection, **fields: Any) -> PromotionPlan:
    fields = {"rule_key": _key(campaign)} | fields
    return promotions.save_plan(campaign=campaign, actor=ACTOR, connection=connection, **fields)


def _due_again() -> None:
    PromotionCode.objects.exclude(next_attempt_at=None).update(next_attempt_at=clock.wall())


def test_everybody_gets_a_code_and_a_redeemed_one_needs_no_cookie_and_pays_once(
    campaign: Campaign, connection: Connection, asha: Participant, stripe: Account
) -> None:
    assert PromotionCode.objects.count() == 0
    plan = _on(campaign, connection)
    assert stripe.asked == []  # nothing is asked in the request
    assert promotions.sweep() == 1
    (coupon,), (code,) = stripe.rows("coupon"), stripe.rows("promotion_code")
    assert (coupon["id"], coupon["amount_off"], coupon["currency"], coupon["duration"]) == (
        f"passalong-{campaign.public_id}-1", 2000, "usd", "once",
    )  # fmt: skip
    assert (code["code"], code["promotion"]["coupon"], code["restrictions"]["first_time_transaction"]) == (
        asha.referral_code, coupon["id"], True,
    )  # fmt: skip
    row = PromotionCode.objects.get()
    assert (row.state, row.remote_id, row.code, row.next_attempt_at) == ("active", code["id"], asha.referral_code, None)
    assert stripe.keys == [f"{coupon['id']}-v1", f"{row.request_key}-1"]
    assert promotions.code_of(asha) == asha.referral_code
    # Who comes later is found too, and nothing is made twice.
    ravi = make_participant(campaign, "ravi@example.com")
    PromotionPlan.objects.update(looked_at=clock.wall() - timedelta(minutes=2))
    assert promotions.sweep() == 1
    assert [promotions.sweep(), promotions.sweep()] == [0, 0]
    assert sorted(one["code"] for one in stripe.rows("promotion_code")) == sorted(
        [asha.referral_code, ravi.referral_code]
    )
    # A friend pays with the code, typed in other letters, and is known from nothing else.
    asked = len(stripe.asked)
    stripe.play("checkout", amount=6420, email="maya@example.net", promotion_code=asha.referral_code.lower())
    assert len(stripe.asked) == asked  # our own codes need no look-up
    referral = Referral.objects.get()
    assert (referral.referrer, referral.how, referral.invitee.email) == (asha, "promotion_code", "maya@example.net")
    assert [(r.side, r.state, r.amount_minor) for r in Reward.objects.order_by("pk")] == [("referrer", "due", 1500)]
    said = Decision.objects.get(side="invitee", current=True)
    assert (said.reason, said.rewardable) == ("given_by_code", False)
    assert list(differences()) == []
    assert Event.objects.filter(type="campaign.promotions_on").count() == 1
    assert plan.is_on


def test_who_was_owed_the_reward_and_then_uses_the_code_is_not_owed_it_any_more(
    campaign: Campaign, connection: Connection, asha: Participant, stripe: Account
) -> None:
    maya = make_friend(asha)
    owed = Reward.objects.get(side="invitee")
    assert owed.state == "due"
    _on(campaign, connection)
    promotions.sweep()
    stripe.play("checkout", amount=6420, email=maya.email, promotion_code=asha.referral_code)
    owed.refresh_from_db()
    assert (owed.state, owed.reason) == ("void", "given_by_code")
    # Said again under its other names, nothing more happens.
    stripe.play("checkout", amount=6420, email=maya.email, promotion_code=asha.referral_code)
    assert Event.objects.filter(type="participant.given_by_code").count() == 1
    assert list(differences()) == []


@pytest.mark.parametrize("fault", ["no answer", "server error", "rate limit"])
def test_a_try_without_an_answer_makes_no_second_code(
    campaign: Campaign, connection: Connection, asha: Participant, stripe: Account, fault: str
) -> None:
    _on(campaign, connection)
    promotions.look_over(PromotionPlan.objects.get().pk)
    make_participant(campaign, "ravi@example.com")
    row = PromotionCode.objects.get()
    stripe.send("POST", "https://api.stripe.com/v1/coupons", headers={"Authorization": "Bearer k"},
                body=f"id=passalong-{campaign.public_id}-1&amount_off=2000&currency=usd")  # fmt: skip
    PromotionPlan.objects.update(coupon=f"passalong-{campaign.public_id}-1")
    # The code is made, and the answer is lost; or the request is refused for now.
    error = b'{"error": {"message": "later", "type": "api_error"}}'
    faults: dict[str, Exception | Answer] = {
        "no answer": HttpError("No answer: ReadTimeout.", retry=True, sent=True),
        "server error": Answer(500, {}, error),
        "rate limit": Answer(429, {}, error),
    }
    stripe.fault = faults[fault]
    assert promotions.work(row.pk) is False
    row.refresh_from_db()
    assert (row.state, row.attempts, row.problem) == ("wanted", 1, "no_answer")
    assert row.next_attempt_at is not None
    assert 24 <= (row.next_attempt_at - clock.wall()).total_seconds() <= 36
    assert promotions.work(row.pk) is True  # not due yet: nothing is done
    assert len(stripe.rows("promotion_code")) == (1 if fault == "no answer" else 0)
    _due_again()
    assert promotions.work(row.pk) is True
    row.refresh_from_db()
    assert (row.state, row.problem) == ("active", "")
    assert [code["id"] for code in stripe.rows("promotion_code")] == [row.remote_id]


@pytest.mark.parametrize(
    ("answer", "problem", "whole"),
    [
        ((401, "Invalid API Key provided: rk_test_****"), "key_refused", True),
        ((403, "The key does not have the required permissions"), "rights_missing", True),
        ((400, "An active promotion code with `code: X` already exists."), "code_taken", False),
        ((400, "Something else is wrong"), "refused", False),
    ],
)
def test_what_is_refused_is_said_in_words(
    campaign: Campaign,
    connection: Connection,
    asha: Participant,
    stripe: Account,
    answer: Any,
    problem: str,
    whole: bool,
) -> None:
    plan = _on(campaign, connection)
    make_participant(campaign, "ravi@example.com")
    promotions.look_over(plan.pk)
    PromotionPlan.objects.update(coupon="C")
    body = b'{"error": {"message": "%s", "type": "invalid_request_error"}}' % answer[1].encode()
    stripe.fault = Answer(answer[0], {}, body)
    row = PromotionCode.objects.order_by("pk")[0]
    assert promotions.work(row.pk) is not whole
    row.refresh_from_db()
    plan.refresh_from_db()
    assert (row.problem, row.state) == (problem, "wanted" if whole else "failed")
    assert plan.problem == (problem if whole else "")
    assert row.problem_sentence
    # Once it is mended, one press is enough.
    PromotionPlan.objects.update(coupon="")
    assert promotions.try_again(campaign=campaign) == 1
    promotions.sweep()
    assert PromotionCode.objects.filter(state="active").count() == 2
    plan.refresh_from_db()
    assert plan.problem == ""


def test_bans_the_end_and_switching_off_end_codes_and_unbanning_brings_them_back(
    campaign: Campaign, connection: Connection, asha: Participant, stripe: Account
) -> None:
    _on(campaign, connection)
    promotions.sweep()

    def states() -> tuple[str, bool]:
        return PromotionCode.objects.get().state, stripe.rows("promotion_code")[0]["active"]

    ban(participant=asha, actor=ACTOR, reason="Sells codes")
    promotions.sweep()
    assert states() == ("ended", False)
    assert promotions.code_of(asha) == ""
    unban(participant=asha, actor=ACTOR)
    promotions.sweep()
    assert states() == ("active", True)
    promotions.turn_off(campaign=campaign, actor=ACTOR)
    promotions.sweep()
    assert states() == ("ended", False)
    assert promotions.turn_off(campaign=campaign, actor=ACTOR) is None
    _on(campaign, connection)
    promotions.sweep()
    assert states() == ("active", True)
    campaigns.pause(campaign=campaign, actor=ACTOR)
    promotions.sweep()
    assert states() == ("active", True)
    campaigns.end(campaign=campaign, actor=ACTOR)
    promotions.sweep()
    assert states() == ("ended", False)
    assert len(stripe.rows("promotion_code")) == 1
    campaign.refresh_from_db()
    with pytest.raises(Refused) as caught:
        _on(campaign, connection)
    assert caught.value.code == "invalid_state"


def test_one_that_is_being_made_as_codes_are_switched_off_is_looked_for_later(
    campaign: Campaign, connection: Connection, asha: Participant, stripe: Account
) -> None:
    """The worker's answer comes after the switch: what it made is found by its mark and switched off."""
    plan = _on(campaign, connection)
    promotions.look_over(plan.pk)
    send = stripe.send

    def slow(method: str, url: str, **more: Any) -> Answer:
        answer = send(method, url, **more)
        if (method, url) == ("POST", "https://api.stripe.com/v1/promotion_codes"):
            promotions.turn_off(campaign=campaign, actor=ACTOR)
            promotions.look_over(plan.pk)
            assert promotions.sweep() == 0
        return answer

    stripe.send = slow  # type: ignore[method-assign]  # an answer that takes its time
    promotions.work(PromotionCode.objects.get().pk)
    row = PromotionCode.objects.get()
    assert (row.state, stripe.rows("promotion_code")[0]["active"]) == ("ending", True)
    stripe.send = send  # type: ignore[method-assign]  # later
    _due_again()
    promotions.sweep()
    assert (PromotionCode.objects.get().state, stripe.rows("promotion_code")[0]["active"]) == ("ended", False)


def test_codes_go_with_the_connection(
    campaign: Campaign, connection: Connection, asha: Participant, stripe: Account
) -> None:
    plan = _on(campaign, connection)
    promotions.sweep()
    assert services.leave(connection=connection, actor=ACTOR) is True
    assert stripe.rows("coupon")[0]["deleted"] is True
    asked = len(stripe.asked)
    promotions.sweep()
    assert (PromotionCode.objects.get().state, len(stripe.asked)) == ("ended", asked)
    # A coupon of the merchant's own is theirs: its codes go on, and leave() says that something is left.
    again = connect(connection.tenant, api_key=KEY)
    promotions.save_plan(campaign=campaign, actor=ACTOR, connection=again, chosen_coupon="MINE")
    PromotionPlan.objects.filter(pk=plan.pk).update(coupon="MINE")
    PromotionCode.objects.update(state="active")
    assert services.leave(connection=again, actor=ACTOR) is False


def test_another_reward_is_another_coupon_and_the_code_keeps_its_text(connection: Connection, stripe: Account) -> None:
    campaign = make_campaign(connection.tenant, [fixed_rule(), fixed_rule(2000, side="invitee", kind="coupon")])
    asha = make_participant(campaign)
    _on(campaign, connection)
    promotions.sweep()
    (first,) = stripe.rows("promotion_code")
    rules = current_terms(campaign)
    other = [
        rule if rule.side == "referrer" else dataclasses.replace(rule, amount=Percent(Decimal("12.5")))
        for rule in rules
    ]
    campaigns.publish_rules(campaign=campaign, rules=other, actor=ACTOR)
    promotions.sweep()
    old, new = stripe.rows("promotion_code")
    assert (old["id"], old["active"], new["active"], new["code"]) == (first["id"], False, True, asha.referral_code)
    coupon = stripe.state.get("coupon", new["promotion"]["coupon"])
    assert coupon is not None
    assert (coupon["id"], coupon["percent_off"]) == (f"passalong-{campaign.public_id}-2", 12.5)
    assert PromotionCode.objects.get().remote_id == new["id"]
    assert promotions.sweep() == 0
    # Without a discount to give, the codes stay and the page says so.
    none = [rule for rule in rules if rule.side == "referrer"]
    campaigns.publish_rules(campaign=campaign, rules=none, actor=ACTOR)
    promotions.sweep()
    assert PromotionPlan.objects.get().problem == "reward_missing"
    assert stripe.rows("promotion_code")[1]["active"] is True


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"rule_key": "rule_nobody"}, "rule_unknown"),
        ({"rule_key": ""}, "rule_unknown"),
        ({"chosen_coupon": "with space"}, "coupon_format"),
        ({"chosen_coupon": "x" * 201}, "coupon_format"),
    ],
)
def test_a_plan_that_can_not_be_is_refused(
    campaign: Campaign, connection: Connection, stripe: Account, fields: Any, code: str
) -> None:
    with pytest.raises(Refused) as caught:
        _on(campaign, connection, **fields)
    assert caught.value.code == code
    assert not PromotionPlan.objects.exists()
    assert not Event.objects.filter(type="campaign.promotions_on").exists()


def test_a_chosen_coupon_is_looked_at_first_and_a_minimum_goes_along(connection: Connection, stripe: Account) -> None:
    rule = fixed_rule(500, side="invitee", kind="coupon", minimum_purchase=Money(3000, "USD"))
    campaign = make_campaign(connection.tenant, [fixed_rule(), rule])
    make_participant(campaign)
    _on(campaign, connection, chosen_coupon="HALDEN")
    promotions.sweep()
    plan = PromotionPlan.objects.get()
    assert (plan.problem, plan.coupon, stripe.rows("promotion_code")) == ("coupon_missing", "", [])
    stripe.send("POST", "https://api.stripe.com/v1/coupons", headers={"Authorization": "Bearer k"},
                body="id=HALDEN&percent_off=15")  # fmt: skip
    promotions.try_again(campaign=campaign)
    promotions.sweep()
    assert stripe.rows("promotion_code")[0]["promotion"]["coupon"] == "HALDEN"
    _on(campaign, connection, first_order_only=False)
    promotions.sweep()
    made = stripe.rows("promotion_code")[-1]["restrictions"]
    assert made == {"first_time_transaction": False, "minimum_amount": 3000, "minimum_amount_currency": "usd"}
    assert [row["active"] for row in stripe.rows("promotion_code")] == [False, True]


@pytest.mark.parametrize(
    ("minor", "currency", "stripes"), [(2000, "USD", 2000), (500, "JPY", 500), (5000, "KWD", 5000), (7, "ISK", 700)]
)
def test_amounts_are_written_in_stripes_units(minor: int, currency: str, stripes: int) -> None:
    assert stripe_minor(Money(minor, currency)) == stripes
