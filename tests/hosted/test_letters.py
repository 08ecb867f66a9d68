"""What the mails say is true of the campaign that sends them."""

from __future__ import annotations

import pytest

from campaigns.presets import preset
from campaigns.terms import RuleTerms
from referrals.hosted import letters
from tests.factories import Cast, fixed_rule, make_campaign


@pytest.mark.parametrize(
    ("rules", "promised"),
    [
        ([fixed_rule()], ["You get $15 in cash after their first order."]),
        ([fixed_rule(side="invitee")], []),
        ([fixed_rule(trigger="milestone", nth=3)], []),
        (preset("leaderboard").rules("USD"), []),
    ],
    ids=["for each friend", "for the friend only", "for three friends", "for the first ranks"],
)
def test_a_friend_who_joined_promises_only_what_one_friend_brings(
    alice: Cast, rules: list[RuleTerms], promised: list[str]
) -> None:
    campaign = make_campaign(alice.tenant, rules, launched=False)
    letter = letters.notice(campaign, "friend_joined", letters.Facts("Asha", "Maya C."))
    assert letter.paragraphs == ["Maya C. came through your link to Halden Coffee.", *promised]
