"""docs/webhooks.md is true: its samples are what is sent, its code verifies what is sent."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from campaigns.models import Campaign
from integrations import endpoints, outbox
from integrations.models import WebhookDelivery
from integrations.samples import ABOUT, AT, SAMPLES, sample_body, sample_data
from referrals.events import types
from referrals.events.services import SYSTEM, Happening, record
from referrals.lib.signing import sign_standard
from rewards import bans, payouts, refunds, statuses
from rewards.models import PayoutBatch
from tests.factories import ACTOR, Cast, make_reward

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text()
CODE = dict(re.findall(r"^```(python|js|php|ruby)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
CALLS = {
    "python": "import json, sys\nprint(verify(json.loads(sys.argv[1]), sys.stdin.buffer.read()))",
    "js": 'console.log(verify(JSON.parse(process.argv[1]), require("node:fs").readFileSync(0)) ? "True" : "False");',
    "php": 'echo verify(json_decode($argv[1], true), file_get_contents("php://stdin")) ? "True" : "False";',
    "ruby": 'require "json"\nputs(verify(JSON.parse(ARGV[0]), STDIN.read) ? "True" : "False")',
}
PROGRAMS = {"python": [sys.executable, "-c"], "js": ["node", "-e"], "php": ["php", "-r"], "ruby": ["ruby", "-e"]}


@pytest.mark.once
def test_each_type_is_shown_with_the_sample_that_a_test_message_has() -> None:
    assert set(SAMPLES) == set(ABOUT) == types.WEBHOOK_TYPES
    for name in SAMPLES:
        section = PAGE.split(f"\n### {name}\n")[1].split("\n### ")[0]
        shown = json.loads(section.split("```json\n")[1].split("```")[0])
        assert shown == {"type": name, "timestamp": AT, "data": sample_data(name, is_test=False)}
        assert ABOUT[name] in section
        assert f"| [`{name}`](#" in PAGE
        assert list(json.loads(sample_body(name, is_test=True))) == ["type", "timestamp", "data"]


def is_like(sample: Any, real: Any, at: str) -> None:
    """The same names in the same order wherever neither is null or empty; facts of one's own differ from case to case."""
    if at.endswith((".metadata", ".facts", ".statuses")):
        return
    if isinstance(sample, dict) and isinstance(real, dict):
        kept = at.endswith(
            ".conditions[]"
        )  # PostgreSQL keeps the names of what is stored as JSON in an order of its own
        assert (
            (sorted(sample), sorted(real)) == (sorted(real), sorted(sample)) if kept else list(sample) == list(real)
        ), at
        for name in sample:
            is_like(sample[name], real[name], f"{at}.{name}")
    elif isinstance(sample, list) and isinstance(real, list) and sample and real:
        is_like(sample[0], real[0], f"{at}[]")


def test_the_samples_have_the_names_of_what_really_happens(alice: Cast, campaign: Campaign) -> None:
    endpoints.create(tenant=alice.tenant, actor=ACTOR, url="https://hooks.example.com/")
    reward = make_reward(campaign)
    friend = reward.event.participant
    statuses.set_status(participant=friend, status="approved", actor=ACTOR)
    payouts.issue_by_hand(tenant=alice.tenant, actor=ACTOR, reward_ids=[reward.pk], key="key-of-the-test")
    refunds.refund(tenant=alice.tenant, event=reward.event, actor=ACTOR, source="manual", external_id="r1")
    bans.ban(participant=friend, actor=ACTOR, reason="x")
    with transaction.atomic():
        batch = PayoutBatch.objects.get().public_id
        told = {"level": "high", "score": 80, "reasons": [{"code": "a", "name": "a", "points": 80}]}
        milestone = {"friends": 1, "label": "One", "event": reward.event.public_id}
        record(
            alice.tenant,
            SYSTEM,
            Happening(types.PAYOUT_BATCH_COMPLETED, "payout_batch", batch),
            Happening(types.FRAUD_FLAGGED, "participant", friend.public_id, participant=friend.public_id, data=told,
                      referrer=reward.participant.public_id),
            Happening(types.MILESTONE_REACHED, "reward", reward.public_id, participant=friend.public_id, data=milestone),
            Happening(types.PARTICIPANT_ERASED, "participant", "pt_gone", participant="pt_gone"),
            Happening(types.CAMPAIGN_STATUS_CHANGED, "campaign", campaign.public_id, data={"from": "active", "to": "paused"}),
        )  # fmt: skip
    while outbox.dispatch():
        pass
    found = {row.type: json.loads(row.body) for row in WebhookDelivery.objects.order_by("pk")}
    missing = {
        types.REWARD_FAILED,
        types.REWARD_HELD,
        types.REWARD_VOIDED,
    }  # of one kind with the other moves of a reward
    assert set(SAMPLES) - set(found) <= missing
    for name, body in found.items():
        assert list(body["data"])[-2:] == ["sequence", "is_test"]
        is_like(sample_data(name, is_test=False), body["data"], name)


@pytest.mark.once
@pytest.mark.parametrize("language", sorted(CALLS))
def test_the_code_on_the_page_verifies_and_refuses(language: str) -> None:
    if shutil.which(PROGRAMS[language][0]) is None:
        pytest.skip(f"{PROGRAMS[language][0]} is not installed")
    secret, body, stamp = endpoints.new_secret(), '{"data":"Åsa"}'.encode(), int(time.time())
    good = sign_standard(secret, "evt_1", stamp, body)
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(stamp), "webhook-signature": f"v1,AAAA {good}"}
    old = str(stamp - 1000)
    late = {**headers, "webhook-timestamp": old, "webhook-signature": sign_standard(secret, "evt_1", int(old), body)}
    code = CODE[language].removeprefix("<?php\n") + CALLS[language]
    for given, text, wanted in ((headers, body, "True"), (headers, body + b" ", "False"), (late, body, "False")):
        done = subprocess.run(
            [*PROGRAMS[language], code, json.dumps(given)], input=text, capture_output=True, check=True,
            env={"WEBHOOK_SECRET": secret, "PATH": "/usr/bin:/bin:/usr/local/bin"},
        )  # fmt: skip
        assert done.stdout.decode().strip() == wanted
