"""What suspicion does to rewards: scored as people join and buy, held until somebody decides, let go when it is cleared."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns.models import Campaign
from participants.fraud import scoring, signals, traces
from participants.fraud.models import FraudCase, FraudEvaluation, Trace
from participants.fraud.signals import Signal
from participants.fraud.traces import Seen
from participants.models import Participant
from referrals.events.models import Event
from referrals.events.services import SYSTEM
from referrals.lib import clock
from rewards import fraud, lifecycle
from rewards.fraud_cases import add_block
from rewards.models import Reward, State
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

HOME, AWAY = "203.0.113.7", "198.51.100.9"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0 Safari/537.36"


def at(ip: str, *devices: str) -> Seen:
    """A person's browser at an address."""
    return Seen(ip, CHROME, devices)


def pair(campaign: Campaign, *, ip: str = HOME, friend: str = "maya@example.net", **fields: Any) -> Participant:
    """Asha at home, and a friend who joins from `ip`."""
    asha = make_participant(campaign, "asha@example.com", first_name="Asha", last_name="Rao", seen=at(HOME, "laptop"))
    return make_friend(asha, friend, first_name="Maya", last_name="Khan", seen=at(ip, "phone"), **fields)


def findings(friend: Participant, **which: Any) -> list[tuple[str, int]]:
    """The names and points of the current evaluation of joining, or of an event."""
    which = which or {"event": None}
    row = FraudEvaluation.objects.get(participant=friend, current=True, **which)
    return [(reason.name, reason.points) for reason in row.reasons.all()]


def stands(friend: Participant) -> list[tuple[str, str, str]]:
    """Side, state and reason of the rewards for the friend's events."""
    rows = Reward.objects.filter(event__participant=friend).order_by("event", "side", "pk")
    return [(row.side, row.state, row.reason) for row in rows]


def test_a_friend_from_elsewhere_is_low_and_pays(campaign: Campaign) -> None:
    maya = pair(campaign, ip=AWAY)
    done = buy(maya)
    maya.refresh_from_db()
    assert (maya.fraud_level, maya.fraud_holds, findings(maya)) == ("Low", False, [])
    assert findings(maya, event=done.event) == [("hasty_order", 15)]
    assert stands(maya) == [("referrer", "due", "")]
    assert not FraudCase.objects.exists()


def test_the_same_address_is_medium_and_holds_both_sides(alice: Cast) -> None:
    campaign = make_campaign(
        alice.tenant,
        [fixed_rule(), fixed_rule(side="invitee"), fixed_rule(side="invitee", trigger="join", event="join")],
    )
    maya = pair(campaign)
    assert (maya.fraud_level, maya.fraud_holds, findings(maya)) == ("Medium", True, [("same_address", 40)])
    buy(maya)
    assert stands(maya) == [
        ("invitee", "held", "held_for_review"), ("invitee", "held", "held_for_review"), ("referrer", "held", "held_for_review"),
    ]  # fmt: skip
    case = FraudCase.objects.get()
    assert (case.participant, case.status, case.level, case.score) == (maya, "open", "Medium", 55)
    told = Event.objects.get(type="fraud.flagged")
    assert (told.participant_ref, told.data["level"], told.data["score"]) == (maya.public_id, "Medium", 40)
    assert list(differences()) == []


def test_the_same_browser_and_address_are_seventy(campaign: Campaign) -> None:
    asha = make_participant(campaign, "asha@example.com", seen=at(HOME, "laptop"))
    maya = make_friend(asha, "maya@example.net", seen=at(HOME, "laptop"))
    assert (maya.fraud_level, findings(maya)) == ("High", [("same_browser", 60), ("same_address", 10)])


def test_an_address_of_the_day_before_yesterday_says_nothing(campaign: Campaign) -> None:
    with clock.at(clock.now() - timedelta(hours=25)):
        asha = make_participant(campaign, "asha@example.com", seen=at(HOME))
    assert make_friend(asha, "maya@example.net", seen=at(HOME)).fraud_level == "Low"


def test_a_crowds_address_says_little(campaign: Campaign) -> None:
    for number in range(21):
        make_participant(campaign, f"guest{number}@example.org", seen=at(HOME))
    assert findings(pair(campaign)) == [("crowded_address", 15)]


def test_ipv6_is_the_same_within_64_bits(campaign: Campaign) -> None:
    asha = make_participant(campaign, "asha@example.com", seen=at("2001:db8:1:2::1"))
    assert make_friend(asha, "maya@example.net", seen=at("2001:db8:1:2:9::7")).fraud_level == "Medium"
    assert make_friend(asha, "lena@example.net", seen=at("2001:db8:1:3::1")).fraud_level == "Low"


def test_without_anything_seen_nobody_is_scored(campaign: Campaign) -> None:
    """API.md v1: fraudScore is "" for participants created through the API."""
    asha = make_participant(campaign, "asha@example.com")
    maya = make_friend(asha, "maya@mailinator.com")
    buy(maya)
    assert (maya.fraud_level, stands(maya)) == ("", [("referrer", "due", "")])
    assert not FraudEvaluation.objects.exists()
    # A private network is nobody's: a trial on one's own machine.
    assert make_friend(asha, "lena@mailinator.com", seen=Seen("127.0.0.1")).fraud_level == ""


def test_an_event_that_brings_a_browser_scores_who_came_without(campaign: Campaign) -> None:
    asha = make_participant(campaign, "asha@example.com", seen=at(HOME))
    maya = make_friend(asha, "maya@example.net")
    done = buy(maya, seen=at(HOME))
    maya.refresh_from_db()
    assert (maya.fraud_level, findings(maya, event=done.event)[0]) == ("Medium", ("same_address", 40))
    assert stands(maya) == [("referrer", "held", "held_for_review")]


def test_what_a_trace_keeps(campaign: Campaign) -> None:
    pair(campaign)
    rows = list(Trace.objects.order_by("pk"))
    assert [row.network for row in rows] == ["203.0.113.0", "203.0.113.0"]
    assert (len(rows[0].address), rows[0].address == rows[1].address, rows[0].browser == rows[1].browser) == (
        22,
        True,
        False,
    )
    assert HOME not in "".join(f"{row.address}{row.browser}{row.agent}" for row in rows)
    Trace.objects.filter(pk=rows[0].pk).update(at=clock.now() - timedelta(days=91))
    assert traces.forget() == 1
    assert list(Trace.objects.values_list("pk", flat=True)) == [rows[1].pk]


def test_a_list_of_data_centres(campaign: Campaign, tmp_path: Any, settings: Any) -> None:
    listed = tmp_path / "networks.txt"
    listed.write_text("# hosting\n198.51.100.0/24  # one\nnonsense\n2001:db8::/32\n")
    settings.FRAUD_NETWORKS_FILE = str(listed)
    assert findings(pair(campaign, ip=AWAY)) == [("hosting_network", 25)]
    settings.FRAUD_NETWORKS_FILE = str(tmp_path / "missing.txt")
    assert not traces.is_hosting(AWAY)


def test_a_ring_over_three_people_and_each_other_over_two_campaigns(alice: Cast) -> None:
    one, two = make_campaign(alice.tenant), make_campaign(alice.tenant, name="Second")
    asha = make_participant(one, "asha@example.com")
    maya = make_friend(asha, "maya@example.net")
    assert findings(make_friend(make_participant(two, "maya@example.net"), "asha@example.com", seen=at(HOME))) == [
        ("mutual", 50)
    ]
    lena = make_friend(maya, "lena@example.org")
    three = make_campaign(alice.tenant, name="Third")
    assert findings(make_friend(make_participant(three, "lena@example.org"), "asha@example.com", seen=at(AWAY))) == [
        ("circle", 70)
    ]
    assert lena.fraud_level == ""


def test_a_burst_from_one_address(campaign: Campaign) -> None:
    asha = make_participant(campaign, "asha@example.com")
    names = "anna bela cleo dora elsa fina gina".split()
    people = [make_friend(asha, f"{name}@{name}.example", seen=at(AWAY)) for name in names]
    assert [person.fraud_level for person in people] == ["Low", "Low", "Low", "Low", "Low", "High", "High"]
    assert findings(people[-1]) == [("many_an_hour", 25), ("address_flood", 50)]


def test_refunds_average_and_the_own_door(campaign: Campaign) -> None:
    asha = make_participant(campaign, "asha@example.com", first_name="Asha", last_name="Rao")
    asha_buys = {"shipping_postcode": "110 001"}
    buy(asha, 5000, metadata=asha_buys)
    for number in range(10):
        buy(make_participant(campaign, f"guest{number}@example.org"), 5000)
    maya = make_friend(asha, "maya@example.net", first_name="Asha", last_name="Rao", seen=at(AWAY))
    done = buy(maya, 50000, metadata={"shipping_postcode": "110001", "shipping_name": "ASHA RAO", "gclid": "x"})
    assert findings(maya, event=done.event) == [
        ("same_name", 30), ("hasty_order", 15), ("paid_click", 30), ("unusual_order", 20), ("same_recipient", 40),
    ]  # fmt: skip
    maya.refresh_from_db()
    assert (maya.fraud_level, FraudCase.objects.get().score) == ("High", 100)


def test_presets_of_the_campaign(alice: Cast) -> None:
    for preset, level in (("relaxed", "Low"), ("balanced", "Medium"), ("strict", "Medium")):
        campaign = make_campaign(alice.tenant, name=preset)
        Campaign.objects.filter(pk=campaign.pk).update(fraud_preset=preset)
        campaign.refresh_from_db()
        assert (preset, pair(campaign).fraud_level) == (preset, level)


def test_a_blocked_domain_is_high(alice: Cast, campaign: Campaign) -> None:
    add_block(tenant=alice.tenant, kind="domain", value="example.net", actor=ACTOR, note="Spam")
    assert findings(pair(campaign, ip=AWAY)) == [("blocked", 100)]


@pytest.mark.parametrize("code", [signal.code for signal in signals.SIGNALS])
def test_a_signal_that_raises_holds_and_the_purchase_is_recorded(
    code: str, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_facts: object) -> Any:
        raise RuntimeError("seeded")

    table = tuple(Signal(s.code, broken if s.code == code else s.check, s.variants) for s in signals.SIGNALS)
    monkeypatch.setattr(scoring.assess, "__kwdefaults__", {"signals": table})
    maya = pair(campaign, ip=AWAY)
    done = buy(maya)
    assert (done.created, maya.fraud_level, stands(maya)) == (
        True,
        "unknown",
        [("referrer", "held", "held_for_review")],
    )
    monkeypatch.undo()
    assert fraud.recheck_unknown() == 1
    maya.refresh_from_db()
    assert (maya.fraud_level, maya.fraud_holds, stands(maya)) == ("Low", False, [("referrer", "due", "")])
    assert FraudCase.objects.get().status == "approved"


def test_facts_that_cannot_be_read_hold(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nothing FROM nowhere")

    monkeypatch.setattr("participants.fraud.gather.facts_of", broken)
    maya = pair(campaign, ip=AWAY)
    assert buy(maya).created
    assert stands(maya) == [("referrer", "held", "held_for_review")]


def test_a_later_finding_holds_what_was_open(campaign: Campaign) -> None:
    rules = [fixed_rule(trigger="every_event", review_days=14)]
    campaign = make_campaign(campaign.tenant, rules, name="Every")
    maya = pair(campaign, ip=AWAY)
    buy(maya)
    assert stands(maya) == [("referrer", "review", "")]
    buy(maya, seen=at(HOME))
    assert stands(maya) == [("referrer", "held", "held_for_review")] * 2


def test_letting_go_leaves_what_a_person_holds(alice: Cast, campaign: Campaign) -> None:
    maya = pair(make_campaign(alice.tenant, [fixed_rule(trigger="every_event")], name="Every"), ip=AWAY)
    done = buy(maya)
    lifecycle.hold(tenant=alice.tenant, reward_ids=[done.rewards[0].pk], actor=ACTOR, note="Call her")
    buy(maya, seen=at(HOME))
    assert [state for _side, state, _reason in stands(maya)] == [State.HELD, State.HELD]
    Trace.objects.all().delete()
    fraud.look_again(maya)
    assert [state for _side, state, _reason in stands(maya)] == [State.HELD, State.DUE]
    assert fraud.held_by_suspicion(list(Reward.objects.filter(state=State.HELD))) == set()
    assert SYSTEM.kind == "system"


def test_the_number_of_queries_does_not_grow(campaign: Campaign) -> None:
    """At most 24 statements for a scored purchase beyond an unscored one, whatever the referrer's history (docs/fraud.md)."""
    asha = make_participant(campaign, "asha@example.com", seen=at(HOME))

    def counted(number: int, **seen: Any) -> int:
        friend = make_friend(asha, f"f{number}@f{number}.example", **seen)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            buy(friend)
        return len(queries)

    plain, scored = counted(1), counted(2, seen=at(AWAY))
    for number in range(3, 15):
        counted(number, seen=at(f"192.0.2.{number}"))
    assert counted(20, seen=at("192.0.2.200")) <= scored + 4  # the case that a burst opens
    assert scored - plain <= 24
    assert counted(30) == plain
