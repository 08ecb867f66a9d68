"""Joining and who is thanked for it: precedence, once, never oneself, and by the name of what is wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from campaigns import services as campaigns
from campaigns.models import Campaign
from campaigns.terms import Fixed, RuleTerms
from participants.models import Participant, Referral
from participants.visits import counts_of, visit_row
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import services
from rewards.balances import balances_of
from rewards.models import Reward
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db


def join(campaign: Campaign, email: str, **claim: Any) -> services.Joined:
    return services.join(campaign=campaign, email=email, actor=ACTOR, source="api", **claim)


def test_a_code_binds_the_friend_to_its_owner_and_history_says_so(campaign: Campaign) -> None:
    asha = make_participant(campaign)
    joined = join(campaign, "maya@example.net", referred_by_code=asha.referral_code, first_name=" Maya  Lin ")
    assert (joined.created, joined.participant.first_name) == (True, "Maya Lin")
    assert joined.referral is not None
    assert (joined.referral.referrer, joined.referral.how) == (asha, "code")
    told = Event.objects.filter(participant_ref=joined.participant.public_id).order_by("pk")
    assert [event.type for event in told] == ["participant.created", "referral.created"]


def test_joining_twice_is_the_same_participant_with_the_first_referrer(campaign: Campaign) -> None:
    asha, ben = make_participant(campaign), make_participant(campaign, "ben@example.com")
    first = join(campaign, "Maya@Example.net", referred_by_code=asha.referral_code)
    again = join(campaign, "maya@example.net", referred_by_code=ben.referral_code)
    assert (again.created, again.participant, again.referral) == (False, first.participant, first.referral)
    assert Referral.objects.get().referrer == asha


def test_someone_without_a_referrer_may_name_one_later_unless_they_have_friends_already(campaign: Campaign) -> None:
    asha, ben = make_participant(campaign), make_participant(campaign, "ben@example.com")
    late = join(campaign, "ben@example.com", referred_by_code=asha.referral_code)
    assert late.referral is not None
    assert late.referral.referrer == asha
    make_friend(asha, "carl@example.com")
    round_about = join(campaign, asha.email, referred_by_code=ben.referral_code)
    assert round_about.referral is None
    assert Referral.objects.filter(invitee=asha).count() == 0


def test_precedence_is_code_then_promotion_code_then_address_then_cookie(campaign: Campaign) -> None:
    people = [make_participant(campaign, f"{name}@example.com") for name in ("code", "promo", "mail", "cookie")]
    claims: dict[str, Any] = {
        "referred_by_code": people[0].referral_code,
        "promotion_code": people[1].referral_code,
        "referred_by_email": people[2].email,
        "cookie_code": people[3].referral_code,
    }
    found = []
    for number, name in enumerate(list(claims)):
        referral = join(campaign, f"f{number}@example.net", **claims).referral
        assert referral is not None
        found.append((referral.referrer.email.split("@")[0], referral.how))
        del claims[name]
    assert found == [("code", "code"), ("promo", "promotion_code"), ("mail", "email"), ("cookie", "cookie")]


@pytest.mark.parametrize(
    ("claim", "code", "status"),
    [
        ({"referred_by_code": "Zz9xYw8V"}, "code_not_found", 404),
        ({"referred_by_email": "nobody@example.com"}, "referrer_not_found", 404),
        ({"referred_by_email": "no address"}, "email_invalid", 422),
    ],
)
def test_a_wrong_code_or_address_names_itself_and_nobody_joins(
    campaign: Campaign, claim: dict[str, str], code: str, status: int
) -> None:
    with pytest.raises(Refused) as refused:
        join(campaign, "maya@example.net", **claim)
    assert (refused.value.code, refused.value.status) == (code, status)
    assert next(iter(claim.values())) in refused.value.message
    assert Participant.objects.count() == 0


@pytest.mark.parametrize("email", ["asha.v@gmail.com", "ash.av@googlemail.com", "ashav+friend@gmail.com"])
def test_nobody_refers_themselves_under_another_spelling(campaign: Campaign, email: str) -> None:
    asha = make_participant(campaign, "ashav@gmail.com")
    with pytest.raises(Refused) as refused:
        join(campaign, email, referred_by_code=asha.referral_code)
    assert (refused.value.code, Participant.objects.count()) == ("self_referral", 1)
    # A cookie is only a memory: one's own is passed over.
    assert join(campaign, email, cookie_code=asha.referral_code).referral is None


def test_a_code_of_another_campaign_is_unknown_here(alice: Cast, campaign: Campaign) -> None:
    other = make_participant(make_campaign(alice.tenant, name="Autumn"))
    with pytest.raises(Refused) as refused:
        join(campaign, "maya@example.net", referred_by_code=other.referral_code)
    assert refused.value.code == "code_not_found"
    assert campaign.public_id in refused.value.message


@pytest.mark.parametrize(("action", "code"), [("pause", "campaign_paused"), ("end", "campaign_ended")])
def test_a_closed_campaign_takes_nobody_new_and_still_knows_its_people(
    campaign: Campaign, action: str, code: str
) -> None:
    asha = make_participant(campaign)
    closed = getattr(campaigns, action)(campaign=campaign, actor=ACTOR)
    with pytest.raises(Refused) as refused:
        join(closed, "maya@example.net")
    assert (refused.value.code, Participant.objects.count()) == (code, 1)
    assert join(closed, asha.email).participant == asha


def test_dates_open_and_close_a_campaign(alice: Cast) -> None:
    early = make_campaign(alice.tenant, starts_at=clock.now() + timedelta(days=1))
    with pytest.raises(Refused) as refused:
        join(early, "maya@example.net")
    assert refused.value.code == "campaign_not_started"
    with clock.at(clock.now() + timedelta(days=2)):
        assert join(early, "maya@example.net").created is True


def test_the_friend_s_reward_is_recorded_at_join_and_once(alice: Cast) -> None:
    """API.md v1: refereeReward is "recorded at join"; the documented sample shows 20 before the event is complete."""
    friend_rule = RuleTerms("", "invitee", "join", Fixed(Money(2000, "USD")), kind="coupon", event="join")
    campaign = make_campaign(alice.tenant, [fixed_rule(), friend_rule])
    maya = make_friend(make_participant(campaign))
    join(campaign, maya.email)
    reward = Reward.objects.get()
    assert (reward.participant, reward.side, reward.kind, reward.state) == (maya, "invitee", "coupon", "due")
    assert balances_of([maya.pk])[maya.pk].invitee.left == 2000


def test_who_bought_before_is_no_new_customer(alice: Cast) -> None:
    first = make_campaign(alice.tenant)
    buy(make_participant(first, "maya@example.net"), 5000)
    second = make_campaign(alice.tenant, [fixed_rule(new_customers_only=True)], name="Autumn")
    done = buy(make_friend(make_participant(second), "maya@example.net"), 5000)
    assert (done.decisions[0].reason, done.rewards) == ("existing_customer", [])


def test_visits_of_people_and_of_machines_are_counted_apart(campaign: Campaign) -> None:
    asha = make_participant(campaign)
    for reason in ("", "", "bot"):
        visit_row(
            referrer=asha, visitor="v" * 22, hidden_reason=reason, ip="203.0.113.77", agent="x\x00y\n" * 200
        ).save()
    counts = counts_of([asha.pk])[asha.pk]
    assert (counts.counted, counts.hidden) == (2, 1)
    visit = asha.visits.first()
    assert visit is not None
    assert (visit.network, len(visit.agent)) == ("203.0.113.0", 200)
    friend = join(campaign, "maya@example.net", referred_by_code=asha.referral_code, visitor="v" * 22)
    assert friend.referral is not None
    assert friend.referral.visit_id == asha.visits.order_by("occurred_at").values_list("pk", flat=True)[0]
