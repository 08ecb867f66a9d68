"""Codes of a merchant's own list: filled, watched, and given once each (issue 6, part 2)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection

from integrations import coupon_alarms, issuing, methods
from participants.models import Participant
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import lifecycle, payout_guards
from rewards.coupons import giving
from rewards.coupons.lists import Stock, add_codes, change_list, close_list, low_lists, make_list, stock_of
from rewards.models import CouponCode, CouponList, LedgerEntry, Payout, PayoutBatch, PayoutGift, Reward
from rewards.payouts import issue_by_hand, outgoing
from rewards.personal import erase
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

TEN = Money(1000, "USD")


@pytest.fixture
def coupons(alice: Cast) -> CouponList:
    return make_list(tenant=alice.tenant, actor=ACTOR, name="Beans", worth=TEN, low_at=1)


def fill(coupons: CouponList, *codes: str) -> list[tuple[int, str]]:
    return add_codes(coupons=coupons, data="\n".join(codes).encode(), actor=ACTOR).wrong


def earn(cast: Cast, count: int, minor: int = 1000) -> list[Reward]:
    campaign = make_campaign(cast.tenant, [fixed_rule(minor, kind="coupon")])
    people = [make_participant(campaign, f"asha{n}@example.com") for n in range(count)]
    return [buy(make_friend(person, f"maya{n}@example.net")).rewards[0] for n, person in enumerate(people)]


def issue(cast: Cast, coupons: CouponList, *rewards: Reward, key: str = "request-1") -> PayoutBatch:
    keys = [row.pk for row in rewards]
    batch, _made = giving.issue(
        tenant=cast.tenant, reward_ids=keys, actor=ACTOR, key=key, options={"list": coupons.public_id}
    )
    return batch


@pytest.mark.django_db
def test_a_list_is_filled_and_what_is_not_new_is_named(alice: Cast, charlie: Cast, coupons: CouponList) -> None:
    wrong = fill(coupons, "BEANS-0001", "BEANS-0002", "BEANS-0001", "", "BE\x07ANS", "x" * 121)
    assert wrong == [
        (3, "It stands in line 1 already."), (5, "It has characters that no code has."),
        (6, "A code has at most 120 characters, a link 500."),
    ]  # fmt: skip
    table = b"PIN;Coupon Code;Link\r\n77;BEANS-0003;https://cards.example/3\r\n;BEANS-0002;\r\n;BEANS-0004;http://cards.example/4\r\n"
    done = add_codes(coupons=coupons, data=table, actor=ACTOR)
    assert (done.added, done.wrong) == (
        1, [(3, "This code was added before, to “Beans”."), (4, "A link begins with https://, and has no spaces.")],
    )  # fmt: skip
    assert stock_of([coupons]) == {coupons.pk: Stock(3, 0, 3, 0)}
    rows = CouponCode.objects.order_by("pk")
    assert [row.hint for row in rows] == ["0001", "0002", "0003"]
    assert rows[2].secrets == {"code": "BEANS-0003", "url": "https://cards.example/3", "pin": "77"}
    assert "BEANS" not in "".join(rows.values_list("sealed", flat=True))
    # The same codes at another business are theirs.
    theirs = make_list(tenant=charlie.tenant, actor=ACTOR, name="Beans", worth=TEN)
    assert fill(theirs, "BEANS-0001") == []
    told = Event.objects.for_tenant(alice.tenant).filter(type="coupon_list.changed").order_by("pk")
    assert [(row.data["what"], row.data["count"]) for row in told] == [("made", 0), ("filled", 2), ("filled", 1)]


@pytest.mark.django_db
def test_what_nobody_can_see_or_open_is_no_code(coupons: CouponList) -> None:
    """Two files put together have Windows' invisible mark in the middle: such a code would be refused at every till."""
    lines = (
        "code,url",
        "\ufeffBEANS-0001,",
        "\u200b,",
        "BE\u202eANS,",
        ",https://",
        ",https://a.example/x y",
        "BEANS\u00a01,",
    )
    wrong = [line for line, _why in add_codes(coupons=coupons, data="\n".join(lines).encode(), actor=ACTOR).wrong]
    assert (wrong, CouponCode.objects.count()) == ([2, 3, 4, 5, 6, 7], 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "file_empty"), (b"  \r\n", "file_empty"), (b"code,pin\r\n", "file_empty"), (b"PK\x03\x04", "file_unreadable"),
     (b"x" * (4 * 1024 * 1024 + 1), "file_too_large"), (b"x\n" * 20_001, "too_many_rows")],
)  # fmt: skip
def test_what_is_no_list_of_codes(coupons: CouponList, data: bytes, code: str) -> None:
    with pytest.raises(Refused) as caught:
        add_codes(coupons=coupons, data=data, actor=ACTOR)
    assert (caught.value.code, CouponCode.objects.count()) == (code, 0)


@pytest.mark.django_db
def test_each_reward_gets_a_code_of_its_own_at_once(alice: Cast, coupons: CouponList) -> None:
    fill(coupons, "BEANS-0001", "BEANS-0002", "BEANS-0003")
    one, two = earn(alice, 2)
    batch = issue(alice, coupons, one, two)
    assert issue(alice, coupons, one, two).pk == batch.pk
    payouts = list(batch.payouts.order_by("pk"))
    assert [(row.status, row.amount_minor, row.method) for row in payouts] == [("paid", 1000, "coupon_list")] * 2
    assert [row.gift.secrets["code"] for row in payouts] == ["BEANS-0001", "BEANS-0002"]
    assert [row.gift.hint for row in payouts] == ["0001", "0002"]
    used = CouponCode.objects.filter(payout__isnull=False).order_by("pk")
    assert [(row.payout_id, row.sealed, row.hint) for row in used] == [(row.pk, "", row.gift.hint) for row in payouts]
    assert set(Reward.objects.values_list("state", flat=True)) == {"issued"}
    assert (LedgerEntry.objects.filter(kind="pay").count(), list(differences())) == (2, [])
    assert stock_of([coupons])[coupons.pk] == Stock(3, 2, 1, 0)
    # Erased: the gift is gone, and the code is given to nobody else.
    erase(participant=one.participant, actor=ACTOR)
    assert CouponCode.objects.filter(hint="").count() == 1
    (three,) = earn(alice, 1)
    issue(alice, coupons, three, key="request-2")
    assert PayoutGift.objects.order_by("-pk")[0].secrets["code"] == "BEANS-0003"


@pytest.mark.django_db
def test_what_it_can_not_pay_is_said_before_and_refused_then(alice: Cast, coupons: CouponList) -> None:
    option = methods.find(alice.tenant, "coupon_list")
    assert option.choices_of("list", alice.tenant) == ((coupons.public_id, "Beans: $10.00, 0 codes left"),)
    fill(coupons, "BEANS-0001")
    one, two = earn(alice, 2)
    (large,) = earn(alice, 1, 1500)
    chosen = {"list": coupons.public_id}
    found = methods.preview(option, alice.tenant, [one.pk, two.pk, large.pk], chosen)
    assert ([row.pk for row in found.payable], found.refused) == (
        [one.pk],
        [(large, "A code of “Beans” is worth $10.00, this reward $15.00."),
         (two, "No code is left in “Beans”. Add codes to it; then it can be issued.")],
    )  # fmt: skip
    for rewards, code in (((one, two), "no_codes"), ((one, large), "method_unsuitable")):
        with pytest.raises(Refused) as caught:
            issue(alice, coupons, *rewards)
        assert caught.value.code == code
    payout_guards.stop(tenant=alice.tenant, actor=ACTOR, note="a thief")
    with pytest.raises(Refused) as caught:
        issue(alice, coupons, one)
    assert caught.value.code == "payouts_stopped"
    payout_guards.go_on(tenant=alice.tenant, actor=ACTOR)
    CouponList.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    coupons.refresh_from_db()
    assert stock_of([coupons])[coupons.pk] == Stock(1, 0, 0, 1)
    with pytest.raises(Refused, match="expired"):
        issue(alice, coupons, one)
    assert close_list(coupons=coupons, actor=ACTOR) == 1
    assert close_list(coupons=coupons, actor=ACTOR) == 0
    with pytest.raises(Refused) as caught:
        issue(alice, coupons, one)
    assert caught.value.code == "coupon_list_unknown"
    assert not giving.is_there(alice.tenant)
    assert set(Reward.objects.values_list("state", flat=True)) == {"due"}
    assert (Payout.objects.count(), PayoutBatch.objects.count(), CouponCode.objects.count()) == (0, 0, 0)


@pytest.mark.django_db
def test_another_business_list_is_none(charlie: Cast, coupons: CouponList) -> None:
    (one,) = earn(charlie, 1)
    with pytest.raises(Refused) as caught:
        issue(charlie, coupons, one)
    assert caught.value.code == "coupon_list_unknown"


@pytest.mark.django_db
def test_what_was_taken_back_settles_whole_codes_only(alice: Cast, coupons: CouponList) -> None:
    fill(coupons, "BEANS-0001", "BEANS-0002")
    campaign = make_campaign(alice.tenant, [fixed_rule(1000, kind="coupon")])
    asha = make_participant(campaign)
    first, second, third = (buy(make_friend(asha, f"maya{n}@example.net")).rewards[0] for n in range(3))
    issue(alice, coupons, first)
    lifecycle.reverse(tenant=alice.tenant, reward_ids=[first.pk], actor=ACTOR, note="returned")
    batch = issue(alice, coupons, second, third, key="request-2")
    assert list(batch.payouts.order_by("pk").values_list("amount_minor", "netted_minor")) == [(0, -1000), (1000, 0)]
    assert (CouponCode.objects.filter(payout=None).count(), list(differences())) == (0, [])


@pytest.mark.django_db
def test_a_debt_that_is_less_than_a_code_is_not_said_to_be_set_off(alice: Cast, coupons: CouponList) -> None:
    """What the question says leaves is what leaves: else nobody who names the amounts could ever issue it."""
    fill(coupons, "BEANS-0001")
    terms = [fixed_rule(400, kind="coupon", trigger="nth_event", nth=2), fixed_rule(1000, kind="coupon")]
    asha = make_participant(make_campaign(alice.tenant, terms))
    friend = make_friend(asha)
    (whole,) = buy(friend).rewards
    small = next(row for row in buy(friend).rewards if row.amount_minor == 400)
    issue_by_hand(tenant=alice.tenant, reward_ids=[small.pk], actor=ACTOR, key="by-hand-1")
    lifecycle.reverse(tenant=alice.tenant, reward_ids=[small.pk], actor=ACTOR, note="returned")
    option, chosen = methods.find(alice.tenant, "coupon_list"), {"list": coupons.public_id}
    found = methods.preview(option, alice.tenant, [whole.pk], chosen)
    leaving = outgoing(found.payable, whole=found.whole)
    assert (leaving.sums, leaving.netted, leaving.debtors) == ([TEN], [], 0)
    batch, _made = methods.issue(
        option, tenant=alice.tenant, reward_ids=[whole.pk], actor=ACTOR, key="request-1", chosen=chosen,
        leaving={money.currency: money.minor for money in leaving.sums},
    )  # fmt: skip
    assert batch.payouts.get().amount == TEN


@pytest.mark.django_db
def test_what_goes_out_by_itself_waits_for_codes_and_says_so(alice: Cast, coupons: CouponList) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(1000, kind="coupon", delivery="immediate")])
    for n in range(2):
        buy(make_friend(make_participant(campaign, f"asha{n}@example.com"), f"maya{n}@example.net"))
    fill(coupons, "BEANS-0001")
    route = issuing.set_route(tenant=alice.tenant, actor=ACTOR, side="referrer", kind="coupon", method="coupon_list",
                              options={"list": coupons.public_id})  # fmt: skip
    due = Reward.objects.due()
    assert (issuing.run_due(alice.tenant, clock.now()), due.count()) == (1, 1)
    route.refresh_from_db()
    assert "No code is left in “Beans”. Add codes to it" in route.problem
    assert (issuing.run_due(alice.tenant, clock.now()), due.count()) == (0, 1)
    fill(coupons, "BEANS-0002")
    assert (issuing.run_due(alice.tenant, clock.now()), due.count()) == (1, 0)
    route.refresh_from_db()
    assert (route.problem, PayoutGift.objects.count(), list(differences())) == ("", 2, [])


@pytest.mark.django_db
def test_the_team_hears_once_that_few_are_left(alice: Cast, coupons: CouponList) -> None:
    assert (coupon_alarms.warn(), low_lists(alice.tenant)) == (0, [])
    fill(coupons, "BEANS-0001", "BEANS-0002", "BEANS-0003")
    assert coupon_alarms.warn() == 0
    one, two = earn(alice, 2)
    issue(alice, coupons, one, two)
    assert low_lists(alice.tenant) == [(coupons, 1)]
    assert [coupon_alarms.warn(), coupon_alarms.warn()] == [1, 0]
    assert [(row.subject, row.to) for row in mail.outbox] == [("Few codes are left in “Beans”", ["alice@example.com"])]
    assert "1 code is left in “Beans” of Halden Coffee." in mail.outbox[0].body
    # More of them: it may be said anew.
    fill(coupons, "BEANS-0004")
    assert coupon_alarms.warn() == 0
    coupons.refresh_from_db()
    change_list(coupons=coupons, actor=ACTOR, name="Beans", expires_at=None, low_at=2)
    assert [coupon_alarms.warn(), coupon_alarms.warn()] == [1, 0]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_never_give_a_code_twice(alice: Cast, coupons: CouponList) -> None:
    fill(coupons, *(f"BEANS-{n:04}" for n in range(10)))
    rewards = earn(alice, 20)

    def one(number: int) -> str:
        try:
            issue(alice, coupons, rewards[number], key=f"request-{number}")
        except Refused as refusal:
            return refusal.code
        finally:
            connection.close()
        return "given"

    with ThreadPoolExecutor(20) as pool:
        came = sorted(pool.map(one, range(20)))
    assert came == ["given"] * 10 + ["no_codes"] * 10
    given = [row.secrets["code"] for row in PayoutGift.objects.order_by("pk")]
    assert sorted(given) == [f"BEANS-{n:04}" for n in range(10)]
    assert Participant.objects.filter(payouts__status="paid").count() == 10
    assert list(differences()) == []
