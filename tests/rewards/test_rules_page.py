"""docs/rules.md carried out: each rule is published, what its table says happens, and the reward beside it is what the rule gives."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from campaigns import services
from campaigns.conditions import OPERATORS
from campaigns.models import Campaign
from campaigns.terms import Limits, Trigger
from campaigns.terms_json import terms_from_json
from participants.models import Participant
from referrals.lib import clock
from referrals.lib.money import Money
from rewards.leaderboard import close_leaderboards
from rewards.models import Reward, State
from rewards.statuses import set_status
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_participant

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "rules.md").read_text()
BLOCK = re.compile(
    r"^```json\n(.*?)^```\n\n\| What happens \| Reward \|\n\|---\|---\|\n((?:\|[^\n]*\|\n?)+)", re.DOTALL | re.MULTILINE
)
EXAMPLES = [
    (json.loads(block[1]), [line.strip("| ").split(" | ") for line in block[2].splitlines()])
    for block in BLOCK.finditer(PAGE)
]


def _friend(referrer: Participant, name: str) -> Participant:
    email = f"{name.lower()}@example.net"
    known = Participant.objects.filter(campaign=referrer.campaign, email=email).first()
    return known or make_friend(referrer, email, first_name=name)


def _play(campaign: Campaign, referrer: Participant, line: str) -> None:
    if line == "The campaign ends":
        services.end(campaign=campaign, actor=ACTOR)
        assert close_leaderboards() == 1
        return
    found = re.fullmatch(
        r"(\w+) (joins|is (?P<status>\w+)|buys for \$(?P<amount>[\d.]+)(?: with (?P<facts>.+))?)", line
    )
    assert found is not None, line
    friend = _friend(referrer, found[1])
    if found["status"]:
        set_status(participant=friend, status=found["status"], actor=ACTOR)
    elif found["amount"]:
        facts = dict(part.split(" ") for part in found["facts"].split(" and ")) if found["facts"] else {}
        buy(friend, Money.parse(found["amount"], "USD").minor, metadata=facts)


@pytest.mark.parametrize(
    ("rule", "lines"), EXAMPLES, ids=[f"{number}-{rule['trigger']}" for number, (rule, _) in enumerate(EXAMPLES)]
)
def test_each_example_gives_what_the_page_says(alice: Cast, rule: dict[str, Any], lines: list[list[str]]) -> None:
    closes: dict[str, Any] = {"ends_at": clock.now() + timedelta(days=30)} if rule["trigger"] == "leaderboard" else {}
    campaign = make_campaign(alice.tenant, [terms_from_json(rule, "USD")], **closes)
    referrer = make_participant(campaign)
    seen: list[int] = []
    for happens, reward in lines:
        _play(campaign, referrer, happens)
        new = Reward.objects.filter(campaign=campaign).exclude(pk__in=seen).exclude(state=State.VOID).order_by("pk")
        assert ([str(row.worth) for row in new] or ["nothing"]) == [reward], happens
        seen += [row.pk for row in new]


def test_the_page_has_every_trigger_limit_and_operator() -> None:
    assert {rule["trigger"] for rule, _lines in EXAMPLES} == set(get_args(Trigger))
    assert [
        name for name in (*Limits.__slots__, *OPERATORS) if f"{name}`" not in PAGE and f'"{name}"' not in PAGE
    ] == []
