"""Version 1's answers as JSON Schema, with the sample values of the documented contract (seed 002)."""

from __future__ import annotations

from typing import Any

from referrals.api.fraud import FRAUD
from referrals.api.schema import array, boolean, instant, number, record, text, whole

_PUBLIC_CAMPAIGN: dict[str, Any] = {
    "campaignId": text("The id of the campaign: 10 letters and digits.", "JCu82f30F1"),
    "campaignName": text("The name of the campaign.", "Q4 Growth Program"),
    "status": text("Where the campaign stands. A draft is told as Pause.", "Active", enum=["Active", "Pause", "End"]),
    "createdOn": instant("When the campaign was created.", "2023-10-11T00:36:27.753+00:00"),
    "end": instant("When the campaign ends, if that is set.", "2024-10-11T00:36:27.753+00:00", null=True),
    "hostURL": text("The campaign's page.", "https://referrals.example.com/campaign?id=JCu82f30F1"),
    "paused": boolean("Whether the campaign is paused.", False),
    "ended": boolean("Whether the campaign has ended.", False),
    "rewardHeader": text("Headline for friends.", "Refer a friend and win"),
    "rewardDescription": text("Text for friends (ours).", "Give friends $20 off their first order, and get $20."),
    "shareHeader": text("Headline of the share part (ours).", "Refer a friend and win"),
    "shareDescription": text("Text of the share part (ours).", "Use your link to give friends $20 off."),
    "referrerReward": number("What a referrer gets: an amount in major units, or a share (ours).", 20),
    "refereeReward": number("What a friend gets: an amount in major units, or a share (ours).", 20),
    "rewardType": text("What the numbers are (ours).", "Monetary", enum=["Monetary", "Percentage"]),
}
CAMPAIGN = record(
    {**_PUBLIC_CAMPAIGN, "totalParticipants": whole("How many people take part; for secret keys only (ours).", 8)},
    optional=("totalParticipants",),
    about="A campaign.",
)
_PUBLIC_PARTICIPANT: dict[str, Any] = {
    "email": text("The participant's address.", "johndoe@example.com"),
    "referralCode": text("The participant's own code.", "8Mnu09TD"),
    "campaignId": text("The campaign.", "JCu82f30F1"),
    "shareLink": text(
        "The participant's own link.", "https://referrals.example.com/campaign?id=JCu82f30F1&referralCode=8Mnu09TD"
    ),
}
PARTICIPANT = record(
    {
        "email": _PUBLIC_PARTICIPANT["email"],
        "firstName": text("First name.", "john"),
        "lastName": text("Last name.", "doe"),
        "referralCode": _PUBLIC_PARTICIPANT["referralCode"],
        "referredByCode": text("The code of whoever invited them.", "7ZZp9eBG", null=True),
        "createdOn": instant("When they joined.", "2023-11-04T15:41:08.828+00:00"),
        "campaignId": _PUBLIC_PARTICIPANT["campaignId"],
        "shareLink": _PUBLIC_PARTICIPANT["shareLink"],
        "totalReferrals": whole("How many friends came through them.", 0),
        "referralReward": number("Earned by referring, in major units.", 0),
        "referralRewardRedeemed": number("Of that, already issued.", 0),
        "referralRewardBalance": number("Of that, not issued yet.", 0),
        "refereeReward": number("Earned by joining, in major units.", 20),
        "refereeRewardRedeemed": number("Of that, already issued.", 0),
        "refereeRewardBalance": number("Of that, not issued yet.", 20),
        "rewardEventCompleted": boolean("Whether they did what earns the reward.", False),
        "fraudScore": text(
            "Empty for participants of whose browser nothing is known.", "", enum=["", "Low", "Medium", "High"]
        ),
        "fraud": FRAUD,
    },
    about="A participant with both balances.",
)
PUBLIC_PARTICIPANT = record(_PUBLIC_PARTICIPANT, about="What a publishable key is told about a participant (ours).")
VALIDITY = record(
    {
        "campaignId": text("The campaign.", "JCu82f30F1"),
        "code": text("The code that was asked about.", "7ZZp9eBG"),
        "valid": boolean("Whether a friend can join with this code now.", True),
    },
    about="The answer to whether a code can be used (ours).",
)
ERROR = record(
    {
        "status": whole("The HTTP status.", 404),
        "error": text("A stable code; /docs/errors/ lists them.", "campaign_not_found"),
        "message": text("What is wrong and what to do.", "No campaign JCu82f30F1."),
        "path": text("The address that was called.", "/api/v1/getCampaign"),
        "details": {
            "type": "object",
            "description": "Further facts; `field` names the input at fault.",
            "additionalProperties": True,
            "examples": [{"id": "JCu82f30F1"}],
        },
    },
    about="An error.",
)
SCHEMAS: dict[str, dict[str, Any]] = {
    "Campaign": CAMPAIGN,
    "Participant": PARTICIPANT,
    "PublicParticipant": PUBLIC_PARTICIPANT,
    "Participants": array({"$ref": "#/components/schemas/Participant"}, "Participants, as many as `size` says."),
    "Validity": VALIDITY,
    "Error": ERROR,
}
