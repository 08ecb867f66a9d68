"""Whose link counts: first or last click, within the window, by the visits kept on the server; and what the others are told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from campaigns.models import Campaign
from participants.models import Participant, Referral, Visit
from participants.visits import visit_row
from referrals.events.models import Event
from referrals.lib import clock
from rewards import bonds, services
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db
VISITOR = "v" * 22
NOW = datetime.fromisoformat("2026-11-20T12:00:00+00:00")


def click(referrer: Participant, at: datetime, hidden: str = "") -> Visit:
    visit = visit_row(referrer=referrer, visitor=VISITOR, at=at, hidden_reason=hidden)
    visit.save()
    return visit


def join(campaign: Campaign, email: str = "maya@example.net", **claim: Any) -> services.Joined:
    return services.join(campaign=campaign, email=email, actor=ACTOR, source="hosted", **claim)


def told(friend: Participant) -> list[tuple[str, str]]:
    rows = Event.objects.filter(participant_ref=friend.public_id, type="referral.refused").order_by("pk")
    return [(Participant.objects.get(public_id=row.referrer_ref).email[0], row.data["reason"]) for row in rows]


@pytest.mark.parametrize(
    ("model", "order", "winner"),
    [("first_click", "ab", "a"), ("first_click", "ba", "b"), ("last_click", "ab", "b"), ("last_click", "ba", "a")],
)
def test_two_referrers_links_in_both_orders_under_both_models(alice: Cast, model: str, order: str, winner: str) -> None:
    campaign = make_campaign(alice.tenant, attribution_model=model)
    people = {name: make_participant(campaign, f"{name}@example.com") for name in "ab"}
    with clock.at(NOW):
        visits = {name: click(people[name], NOW - timedelta(days=9 - n)) for n, name in enumerate(order)}
        # The page they stand on is the last one that they opened; the cookie says the same as the visits, or lies.
        done = join(
            campaign, visitor=VISITOR, link_code=people[order[1]].referral_code, cookie_code=people["a"].referral_code
        )
    assert done.referral is not None
    assert (done.referral.referrer, done.referral.visit_id) == (people[winner], visits[winner].pk)
    assert told(done.participant) == [("b" if winner == "a" else "a", "already_referred")]


@pytest.mark.parametrize("days", [1, 60, 365])
def test_the_window_s_last_second_counts_and_the_next_one_is_expired(alice: Cast, days: int) -> None:
    campaign = make_campaign(alice.tenant, window_days=days)
    asha = make_participant(campaign)
    click(asha, NOW - timedelta(days=days))
    with clock.at(NOW):
        inside = join(campaign, "in@example.net", visitor=VISITOR)
    with clock.at(NOW + timedelta(seconds=1)):
        outside = join(campaign, "out@example.net", visitor=VISITOR, cookie_code=asha.referral_code)
    assert inside.referral is not None
    assert (inside.referral.referrer, inside.referral.how) == (asha, "cookie")
    assert outside.referral is None
    assert outside.participant.unreferred_reason == "attribution_expired"
    assert told(outside.participant) == [("a", "attribution_expired")]
    # What they buy says so, too, until somebody attaches them.
    decision = buy(outside.participant).decisions[0]
    assert (decision.reason, decision.rewardable) == ("attribution_expired", False)
    bonds.attach(participant=outside.participant, referrer=asha, actor=ACTOR, reason="One second")
    assert outside.participant.qualifying_events.get().decisions.get(current=True).rewardable


def test_an_old_click_gives_way_to_a_newer_one_and_is_told(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, window_days=30)
    asha, ben = make_participant(campaign), make_participant(campaign, "ben@example.com")
    click(asha, NOW - timedelta(days=31))
    click(ben, NOW - timedelta(days=1))
    with clock.at(NOW):
        done = join(campaign, visitor=VISITOR)
    assert done.referral is not None
    assert (done.referral.referrer, done.participant.unreferred_reason) == (ben, "")
    assert told(done.participant) == [("a", "attribution_expired")]


def test_a_code_in_the_call_beats_every_click(campaign: Campaign) -> None:
    asha, ben = make_participant(campaign), make_participant(campaign, "ben@example.com")
    click(ben, clock.now() - timedelta(days=1))
    done = join(campaign, referred_by_code=asha.referral_code, visitor=VISITOR, cookie_code=ben.referral_code)
    assert done.referral is not None
    assert (done.referral.referrer, done.referral.how) == (asha, "code")
    assert told(done.participant) == [("b", "already_referred")]


def test_machines_clicks_and_one_s_own_count_for_nobody(campaign: Campaign) -> None:
    asha, ben = make_participant(campaign), make_participant(campaign, "ben@example.com")
    maya = make_participant(campaign, "maya@example.net")
    click(asha, clock.now() - timedelta(days=2), "bot")
    click(maya, clock.now() - timedelta(days=1))
    assert join(campaign, "maya+1@example.net", visitor=VISITOR, link_code=maya.referral_code).referral is None
    assert (Referral.objects.count(), told(maya)) == (0, [])
    click(ben, clock.now())
    late = join(campaign, "maya+2@example.net", visitor=VISITOR, link_code=maya.referral_code)
    assert late.referral is not None
    assert late.referral.referrer == ben


def test_without_kept_visits_the_signed_cookie_and_then_the_page_have_to_do(campaign: Campaign) -> None:
    asha, ben = make_participant(campaign), make_participant(campaign, "ben@example.com")
    by_cookie = join(
        campaign, "a@example.net", visitor=VISITOR, cookie_code=asha.referral_code, link_code=ben.referral_code
    )
    by_page = join(campaign, "b@example.net", link_code=ben.referral_code)
    assert by_cookie.referral is not None
    assert by_page.referral is not None
    assert (by_cookie.referral.referrer, by_cookie.referral.how) == (asha, "cookie")
    assert (by_page.referral.referrer, by_page.referral.how) == (ben, "code")


def test_who_comes_second_is_told_once_and_changes_nothing(campaign: Campaign) -> None:
    asha, ben = make_participant(campaign), make_participant(campaign, "ben@example.com")
    maya = make_friend(asha)
    for claim in ("referred_by_code", "promotion_code", "link_code"):
        join(campaign, maya.email, **{claim: ben.referral_code})
    join(campaign, maya.email, referred_by_email=ben.email)
    join(campaign, maya.email, referred_by_code=asha.referral_code)
    join(campaign, maya.email, referred_by_code="Zz9xYw8V")
    assert told(maya) == [("b", "already_referred")]
    assert Referral.objects.get().referrer == asha
    row = Event.objects.get(type="referral.refused")
    assert row.data == {"reason": "already_referred", "referred_by": asha.public_id}


def test_who_bought_before_can_t_be_claimed_later(campaign: Campaign) -> None:
    asha, maya = make_participant(campaign), make_participant(campaign, "maya@example.net")
    buy(maya, 5000)
    assert join(campaign, maya.email, referred_by_code=asha.referral_code).referral is None
    assert (Referral.objects.count(), told(maya)) == (0, [("a", "existing_customer")])


def test_the_database_lets_one_bond_stand_and_keeps_those_that_do_not(campaign: Campaign) -> None:
    asha, ben = make_participant(campaign), make_participant(campaign, "ben@example.com")
    maya = make_friend(asha)
    again = {
        "merchant_id": maya.merchant_id, "campaign": campaign, "referrer": ben, "invitee": maya, "how": "manual",
    }  # fmt: skip
    with pytest.raises(IntegrityError), transaction.atomic():
        Referral.objects.create(**again)
    old = Referral.objects.get()
    old.detached_at = clock.now()
    old.save(update_fields=["detached_at"])
    Referral.objects.create(**again)
    maya = Participant.objects.select_related("referral__referrer").get(pk=maya.pk)
    assert maya.referral.referrer == ben
    assert [bond.referrer for bond in maya.referrals_had.order_by("pk")] == [asha, ben]
    with pytest.raises(IntegrityError), transaction.atomic():
        Referral.objects.filter(referrer=asha).update(detached_at=None)
