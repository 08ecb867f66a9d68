"""What exists on the test side only: the clock, simulated referrals, and deleting all of it (API.md, "test keys only")."""

from __future__ import annotations

from typing import Any

from participants.models import Participant
from referrals.accounts.models import Scope, Wipe
from referrals.accounts.tenancy import Tenant
from referrals.api.errors import refused
from referrals.api.fields import Choice, Flag, Listing, Moment, MoneyField, Text, Whole
from referrals.api.finding import campaign_of, one
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import ref
from referrals.api.v2.base import API
from referrals.api.v2.shapes import events_json, moment, money, participants_json, refund_json, rewards_json
from rewards import advancing, simulating, wiping
from rewards.advancing import ClockState
from rewards.coming import Coming

TAG = "Test mode"
Json = dict[str, Any]


def clock_json(tenant: Tenant, state: ClockState) -> Json:
    """TestClock."""
    return {
        "now": moment(state.now),
        "moved": state.is_moved,
        "target": moment(state.target),
        "coming": [_coming_json(found) for found in state.coming],
        "happened": [
            {
                "at": moment(event.created_at),
                "type": event.type,
                "subject": {"type": event.subject_type, "id": event.subject_id},
            }
            for event in advancing.happened(tenant, state)
        ],
    }


def _coming_json(found: Coming) -> Json:
    return {
        "at": moment(found.at),
        "kind": found.kind,
        "subject": {"type": found.subject_type, "id": found.subject_id},
        "about": found.who,
        "amount": money(found.amount.minor, found.amount.currency) if found.amount else None,
    }


@API.operation("GET", "test-clock", tag=TAG, scope=Scope.READ, test_only=True, answer=ref("TestClock"))
def get_test_clock(call: Call) -> Answer:
    """Get the test clock.

    What time it is on the test side, what happens there next by itself, and what the last move led to.
    """
    return Answer(clock_json(call.tenant, advancing.state_of(call.tenant)))


@API.operation(
    "POST",
    "test-clock/advance",
    name="advanceTestClock",
    tag=TAG,
    scope=Scope.REWARDS,
    test_only=True,
    body={
        "to": Moment(about="Move to this moment.", example=None),
        "days": Whole(about="Move by so many days of the merchant's calendar.", low=-(10**9), high=10**9, example=14),
        "to_next": Flag(about="Move to the next thing that happens: `true`."),
    },
    answer=ref("TestClock"),
    statuses={200: "The clock is there.", 202: "The move is under way: ask for the clock until `target` is null."},
    errors=("one_of", "test_clock_backward", "test_clock_too_far", "test_clock_moving", "nothing_coming", "date"),
)
def advance_test_clock(call: Call) -> Answer:
    """Move the test clock.

    Forward only, by exactly one of `to`, `days` and `to_next`. Everything that the schedule would do on the way is done, each at its own
    time and in its own order; `happened` lists it. A long move goes on in the background.
    """
    body = call.body
    if len(body) != 1 or body.get("to_next") is False:
        raise refused("one_of", "Send exactly one of 'to', 'days' and 'to_next' (true).", "to")
    if "to" in body:
        state = advancing.advance(tenant=call.tenant, to=body["to"], actor=call.actor)
    elif "days" in body:
        state = advancing.advance_days(tenant=call.tenant, days=body["days"], actor=call.actor)
    else:
        state = advancing.advance_to_next(tenant=call.tenant, actor=call.actor)
    return Answer(clock_json(call.tenant, state), 200 if state.target is None else 202)


@API.operation(
    "POST",
    "campaigns/{id}/simulate",
    name="simulateReferral",
    tag=TAG,
    scope=Scope.EVENTS,
    test_only=True,
    body={
        "steps": Listing(
            about="The steps to play; visit, join and purchase unless you say otherwise.",
            of=Choice(about="", options=simulating.STEPS),
            most=len(simulating.STEPS),
            example=["visit", "join", "purchase"],
        ),
        "amount": MoneyField(about="What the friend pays; 50 of the campaign's currency unless you say otherwise."),
        "refund": MoneyField(
            about="What is taken back by the step `refund`; all of it unless you say otherwise.", example=None
        ),
        "referrer": Text(about="Whose friend it is, an id; somebody new unless you say otherwise.", limit=64),
    },
    answer=ref("Simulation"),
    statuses={201: "The referral was played."},
    errors=(
        "campaign_not_found",
        "participant_not_found",
        "steps",
        "amount_format",
        "amount_not_positive",
        "refund_too_large",
        "currency",
        "campaign_not_started",
        "campaign_paused",
        "campaign_ended",
    ),
)
def simulate_referral(call: Call) -> Answer:
    """Simulate a referral.

    Plays a visit, a join, a purchase and a refund through the same code as real ones, at the test clock's time, and shows what came of it.
    Addresses of simulated people reach nobody.
    """
    body = call.body
    campaign = campaign_of(call.tenant, call.params["id"])
    referrer = None
    if "referrer" in body:
        rows = (
            Participant.objects.for_tenant(call.tenant).filter(campaign=campaign).select_related("campaign__merchant")
        )
        referrer = one(rows, "participant", body["referrer"])
    story = simulating.simulate(
        campaign=campaign,
        actor=call.actor,
        steps=tuple(body.get("steps", ("visit", "join", "purchase"))),
        amount=body.get("amount"),
        refund=body.get("refund"),
        referrer=referrer,
    )
    people = participants_json([person for person in (story.referrer, story.friend) if person is not None])
    answer = {
        "campaign": campaign.public_id,
        "steps": list(story.steps),
        "referrer": people[0],
        "friend": people[1] if story.friend is not None else None,
        "visit": story.visit is not None,
        "event": events_json([story.event])[0] if story.event is not None else None,
        "refund": refund_json(story.refund, story.event)
        if story.refund is not None and story.event is not None
        else None,
        "rewards": rewards_json(story.rewards),
    }
    return Answer(answer, 201)


def wipe_json(wipe: Wipe | None) -> Json:
    """TestData."""
    if wipe is None:
        return {"status": "kept", "total": 0, "deleted": 0, "asked_at": None, "finished_at": None}
    return {
        "status": "deleting" if wipe.finished_at is None else "deleted",
        "total": wipe.total,
        "deleted": wipe.deleted,
        "asked_at": moment(wipe.asked_at),
        "finished_at": moment(wipe.finished_at),
    }


@API.operation("GET", "test-data", tag=TAG, scope=Scope.READ, test_only=True, answer=ref("TestData"))
def get_test_data(call: Call) -> Answer:
    """See how far deleting all test data has come.

    `kept` when nobody has ever asked for it.
    """
    return Answer(wipe_json(wiping.latest(call.tenant)))


@API.operation(
    "DELETE",
    "test-data",
    tag=TAG,
    scope=Scope.CAMPAIGNS,
    test_only=True,
    answer=ref("TestData"),
    statuses={202: "It is being deleted: ask again until `status` is `deleted`."},
)
def delete_test_data(call: Call) -> Answer:
    """Delete all test data.

    Every campaign, participant, event, reward, payout, message and line of history of the test side, and nothing else. Keys and connections
    stay, and the clock is back at the real time. Asked again while it runs, it is the same deletion.
    """
    return Answer(wipe_json(wiping.ask(tenant=call.tenant, actor=call.actor)), 202)
