"""Each curl command of docs/api/ is carried out, top to bottom, and its answer compared with the one shown."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from campaigns.conditions import FIELDS as ENTITIES
from campaigns.conditions import OPERATORS
from campaigns.models import Campaign
from campaigns.terms import Limits
from participants.models import Participant
from referrals.api.v2.rule_schemas import RULE_INPUT, TRIGGERS
from rewards.models import PayoutBatch, PayoutFile, Reward
from tests.api.conftest import Caller, Reply, Shop, open_shop
from tests.factories import fixed_rule

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "api"
AMOUNTS = ("fixed", "percent", "units")
LIMITS = Limits.__slots__
BLOCK = re.compile(r"^```(sh|json)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass
class Example:
    """A command, and the answer that is shown under it."""

    command: str
    answer: Any = None


def examples(name: str) -> list[Example]:
    """The commands of one page with their answers."""
    found: list[Example] = []
    end = 0
    for block in BLOCK.finditer((FOLDER / name).read_text()):
        if block[1] == "sh":
            found.append(Example(block[2].strip()))
            end = block.end()
        elif found and not (FOLDER / name).read_text()[end : block.start()].strip():
            found[-1].answer = json.loads(block[2])
    return found


def carry_out(command: str, values: dict[str, str]) -> Reply:
    """Send what curl would send."""
    for name, value in values.items():
        command = command.replace(f"${name}", value)
    words = shlex.split(command.replace("\\\n", " "))
    assert words.pop(0) == "curl"
    method, address, data, headers = "GET", "", b"", {}
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name.replace("-", "_")] = value
        elif word == "-d":
            data = words.pop(0).encode()
        elif word == "--data-binary":
            data = values[words.pop(0)].encode()
        elif word != "-i":
            address = word
    assert "$" not in address
    return Caller("").send(method, address.removeprefix("http://localhost:8000"), raw=data, **headers)


def same_shape(shown: Any, real: Any, at: str = "") -> None:
    """The same names in the same order, and values of the same kind; what is fixed must be equal."""
    assert type(shown) is type(real), f"{at}: {shown!r} is shown, {real!r} is answered"
    if isinstance(shown, dict):
        assert list(shown) == list(real), at
        for name, value in shown.items():
            same_shape(value, real[name], f"{at}.{name}")
    elif isinstance(shown, list):
        assert len(shown) == len(real), at
        for number, value in enumerate(shown):
            same_shape(value, real[number], f"{at}[{number}]")
    elif isinstance(shown, bool | int | float):
        # Counts of a campaign that lives are the only numbers that may differ.
        assert shown == real or at.endswith("totalParticipants"), at


@pytest.fixture
def values(shop: Shop, campaign: Campaign, maya: Participant) -> dict[str, str]:
    """What the commands expect in the environment."""
    return {
        "PASSALONG": "http://localhost:8000",
        "KEY": shop.secret,
        "CAMPAIGN": campaign.public_id,
        "CODE": maya.referral_code,
        "REFERRER": maya.email,
    }


def test_version_1(values: dict[str, str]) -> None:
    found = examples("v1.md")
    assert len(found) == 7
    for example in found:
        reply = carry_out(example.command, values)
        assert reply.status == 200, (example.command, reply.data)
        if example.answer is not None:
            same_shape(example.answer, reply.data)
    assert sum(example.answer is not None for example in found) == 4


def test_test_mode(shop: Shop) -> None:
    side = open_shop("", is_test=True, merchant=shop.merchant)
    campaign = side.campaign(rules=[fixed_rule(2000, review_days=14)])
    values = {"PASSALONG": "http://localhost:8000", "KEY": side.secret, "CAMPAIGN": campaign.public_id}
    found = examples("test-mode.md")
    assert len(found) == 6
    for example, status in zip(found, (201, 200, 200, 200, 202, 200), strict=True):
        reply = carry_out(example.command, values)
        assert reply.status == status, (example.command, reply.data)
        if example.answer is not None:
            shown = {**example.answer, **({"total": reply.data["total"]} if "total" in reply.data else {})}
            same_shape(shown, reply.data)
    assert sum(example.answer is not None for example in found) == 2
    assert Reward.objects.get().state == "due"


def test_version_2(shop: Shop, values: dict[str, str]) -> None:
    found = examples("v2.md")
    assert len(found) == 26
    for example in found:
        values["DRAFT"] = Campaign.objects.latest("pk").public_id
        if reward := Reward.objects.filter(side="referrer").first():
            values |= {"REWARD": reward.public_id, "EVENT": reward.event.public_id}
        if batch := PayoutBatch.objects.first():
            values["BATCH"] = batch.public_id
        if file := PayoutFile.objects.first():
            values["FROZEN"] = file.batch.public_id
            values["@results.csv"] = f"payout_id,status\r\n{file.lines.get().mark},not_paid\r\n"
        reply = carry_out(example.command, values)
        assert reply.status in {200, 201, 202}, (example.command, reply.data)
        if example.answer is not None:
            same_shape(example.answer, reply.data)
    assert sum(example.answer is not None for example in found) == 9
    assert Reward.objects.get(side="referrer").state == "due"


def given(value: Any) -> Any:
    """The same without what is null."""
    if isinstance(value, dict):
        return {name: given(one) for name, one in value.items() if one is not None}
    return [given(one) for one in value] if isinstance(value, list) else value


def test_rules_in_json(shop: Shop, values: dict[str, str]) -> None:
    """Each object of rules.md is sent, as a rule or as a part of one, and comes back as it is shown."""
    (example,) = examples("rules.md")
    values["CAMPAIGN"] = shop.campaign(launched=False).public_id
    (base,) = carry_out(example.command, values).data["rules"]
    whole, *blocks = [
        json.loads(block[2]) for block in BLOCK.finditer((FOLDER / "rules.md").read_text()) if block[1] == "json"
    ]
    same_shape(whole, base)
    address = f"/api/v2/campaigns/{values['CAMPAIGN']}"
    for sent in blocks:
        rule = (
            sent
            if "trigger" in sent
            else {"side": "referrer", "trigger": "every_event", "amount": base["amount"], **sent}
        )
        reply = shop.api.patch(address, {"rules": [rule]})
        assert reply.status == 200, (sent, reply.data)
        (kept,) = reply.data["rules"]
        assert given({name: kept[name] for name in sent}) == given(sent)

    text = json.dumps(blocks)
    shown: list[str] = [name for names in (TRIGGERS, AMOUNTS, LIMITS, OPERATORS, ENTITIES) for name in names]
    assert [name for name in shown if f'"{name}"' not in text] == []


def test_every_field_of_the_input_stands_on_the_page_of_rules() -> None:
    text = (FOLDER / "rules.md").read_text()
    assert [name for name in RULE_INPUT["properties"] if f'"{name}":' not in text] == []
