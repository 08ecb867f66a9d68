"""Rewards: what is owed, and what a person decides about it."""

from __future__ import annotations

from collections.abc import Callable

from django.db.models import QuerySet

from referrals.accounts.models import Scope
from referrals.api.fields import Choice, Field, Listing, Text
from referrals.api.finding import one
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import ref
from referrals.api.v2.base import API, PAGING, expand_field, id_text, page_json, page_of
from referrals.api.v2.shapes import rewards_json
from rewards import lifecycle
from rewards.models import SIDES, Reward, State
from rewards.selection import SORTS, RewardFilter

TAG = "Rewards"
MISSING = ("reward_not_found",)
KINDS = ("cash", "coupon", "store_credit", "gift_card", "custom")
_EXPAND = expand_field("participant", "event")
FILTERS: dict[str, Field] = {
    "campaign": id_text("Only those of this campaign.", "JCu82f30F1"),
    "q": Text(about="A name, an address, a code, an order number.", limit=120, example="noor"),
    "kind": Choice(about="Only this kind.", options=KINDS, example="cash"),
    "side": Choice(about="Only this side.", options=tuple(name for name, _ in SIDES)),
    "currency": Text(about="Only this currency.", limit=3, example="USD"),
}


@API.operation(
    "GET",
    "rewards",
    tag=TAG,
    scope=Scope.READ,
    query={
        "status": Listing(
            about="Only those that stand there; several parted by commas.",
            of=Choice(about="", options=tuple(State.values)),
            most=len(State.values),
            example=["due"],
        ),
        **FILTERS,
        "participant": id_text("Only those of this participant.", "pt_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
        "sort": Choice(about="since (newest first), oldest, amount (largest first), smallest.", options=tuple(SORTS)),
        "expand": _EXPAND,
        **PAGING,
    },
    answer=ref("RewardPage"),
    errors=("pagination", "invalid_choice"),
)
def list_rewards(call: Call) -> Answer:
    """List rewards.

    The filters are those of the Rewards page: `status=due` is the Reward Due table.
    """
    query = call.query
    rows = RewardFilter(**{name: query[name] for name in FILTERS if name in query}).apply(
        Reward.objects.for_tenant(call.tenant)
    )
    if "status" in query:
        states = query["status"]
        rows = rows.filter(state=states[0]) if len(states) == 1 else rows.filter(state__in=states)
    if "participant" in query:
        rows = rows.filter(participant__public_id=query["participant"])
    page = page_of(call, _read(rows), sort=SORTS[query.get("sort", "since")])
    body, headers = page_json(call, page, rewards_json(page.rows, expand=query.get("expand", ())))
    return Answer(body, headers=headers)


@API.operation(
    "GET", "rewards/{id}", tag=TAG, scope=Scope.READ, query={"expand": _EXPAND}, answer=ref("Reward"), errors=MISSING
)
def get_reward(call: Call) -> Answer:
    """Get a reward.

    Where it stands, since when, and why.
    """
    return Answer(rewards_json([_find(call)], expand=call.query.get("expand", ()))[0])


def _read(rows: QuerySet[Reward]) -> QuerySet[Reward]:
    return rows.select_related("campaign", "participant__campaign", "event__participant__campaign", "payout")


def _find(call: Call) -> Reward:
    return one(_read(Reward.objects.for_tenant(call.tenant)), "reward", call.params["id"])


def _action(name: str, title: str, act: Callable[..., int], *, needs_note: bool = False) -> None:
    def handler(call: Call) -> Answer:
        note = call.body.get("note", "")
        act(tenant=call.tenant, reward_ids=[_find(call).pk], actor=call.actor, note=note)
        return Answer(rewards_json([_find(call)])[0])

    handler.__doc__ = title
    API.operation(
        "POST",
        f"rewards/{{id}}/{name}",
        name=f"{name}Reward",
        tag=TAG,
        scope=Scope.REWARDS,
        body={
            "note": Text(
                about="Why, for your records.",
                limit=500,
                required=needs_note,
                blank=not needs_note,
                example="Agreed by phone",
            )
        },
        answer=ref("Reward"),
        statuses={200: "The reward after it."},
        errors=(*MISSING, "invalid_state", *(("missing_field", "blank") if needs_note else ())),
    )(handler)


_action("approve", "Approve a reward.\n\nEnds the review early: the reward is due.", lifecycle.approve)
_action("hold", "Hold a reward.\n\nStops it until a person decides; silence never pays.", lifecycle.hold)
_action(
    "release", "Release a reward.\n\nUndoes a hold: back to review while its period runs, else due.", lifecycle.release
)
_action(
    "void",
    "Void a reward.\n\nDeclines a reward that has not left, by an opposite entry. The note says why.",
    lifecycle.void,
    needs_note=True,
)
_action(
    "reverse",
    "Reverse a reward.\n\nTakes an issued reward back by a negative entry. The note says why.",
    lifecycle.reverse,
    needs_note=True,
)
