"""Version 1's JSON: field order and sample values of the documented contract (API.md, "v1"; seed 002)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count

from campaigns.models import Campaign, Status
from campaigns.rules import current_terms, main_rule
from campaigns.terms import Fixed, Percent, RuleTerms, Units
from campaigns.texts import texts_for
from participants.fraud.assessing import shown_for
from participants.fraud.presets import UNKNOWN
from participants.links import campaign_link, share_link
from participants.models import Participant, QualifyingEvent, Referral
from referrals.api.finding import referrer_of
from referrals.lib import clock
from referrals.lib.money import Money
from referrals.lib.prepared import PreparedRows, Slot
from referrals.lib.queries import Among
from rewards.balances import Balances, balances_of

STATUS_WORDS = {
    Status.DRAFT: "Pause",
    Status.ACTIVE: "Active",
    Status.PAUSED: "Pause",
    Status.ENDED: "End",
}


def moment(value: datetime | None) -> str | None:
    """`2023-11-04T15:41:08.828+00:00`: milliseconds and an offset."""
    return None if value is None else value.astimezone(UTC).isoformat(timespec="milliseconds")


def campaign_json(campaign: Campaign, *, public: bool) -> dict[str, Any]:
    """A campaign; without the number of participants for a publishable key."""
    terms = current_terms(campaign)
    referrer, invitee = main_rule(terms, "referrer"), main_rule(terms, "invitee")
    texts = texts_for(campaign, campaign.default_language)
    closed = campaign.closed_reason(clock.now())
    found: dict[str, Any] = {
        "campaignId": campaign.public_id,
        "campaignName": campaign.name,
        "status": "End" if closed == "campaign_ended" else STATUS_WORDS[Status(campaign.status)],
        "createdOn": moment(campaign.created_at),
        "end": moment(campaign.ends_at),
        "hostURL": campaign_link(campaign),
        "paused": campaign.status in {Status.PAUSED, Status.DRAFT},
        "ended": closed == "campaign_ended",
        "rewardHeader": texts.reward_header,
        "rewardDescription": texts.reward_description,
        "shareHeader": texts.share_header,
        "shareDescription": texts.share_description,
        "referrerReward": _reward_number(referrer),
        "refereeReward": _reward_number(invitee),
        "rewardType": _reward_type(referrer or invitee),
    }
    if not public:
        found["totalParticipants"] = Participant.objects.filter(campaign=campaign).count()
    return found


def _reward_number(rule: RuleTerms | None) -> int | float:
    if rule is None:
        return 0
    match rule.amount:
        case Fixed(money):
            return money.json_number()
        case Percent(rate):
            return int(rate) if rate == rate.to_integral_value() else float(rate)
        case Units(units):
            return units


def _reward_type(rule: RuleTerms | None) -> str:
    match rule.amount if rule else None:
        case Percent():
            return "Percentage"
        case Units(_, label):
            return label
    return "Monetary"


_FRIENDS = PreparedRows(
    lambda: (
        Referral.objects.filter(Among("referrer_id", Slot("people")), detached_at=None)
        .values_list("referrer_id")
        .annotate(Count("pk"))
        .order_by()
    )
)
_COMPLETED = PreparedRows(
    lambda: (
        QualifyingEvent.objects.filter(Among("participant_id", Slot("people")))
        .exclude(type="join")
        .values_list("participant_id")
        .distinct()
        .order_by()
    )
)
_CODES = PreparedRows(
    lambda: Referral.objects.filter(Among("standing_for_id", Slot("people"))).values_list(
        "standing_for_id", "referrer__referral_code"
    )
)


def participants_json(
    campaign: Campaign, people: Sequence[Participant], *, completed: bool | None = None
) -> list[dict[str, Any]]:
    """Participants of one campaign, whatever their number with four queries (PERFORMANCE.md, "List 20 via API").

    `completed` is known right after qualifying; a referrer that was read along is not asked for again.
    """
    keys = [person.pk for person in people]
    balances = balances_of(keys)
    friends: dict[int, int] = dict(_FRIENDS(people=keys))
    done = set(keys) if completed else set()
    if completed is None:
        done = {person for (person,) in _COMPLETED(people=keys)}
    codes: Mapping[int, str] = _referrer_codes(people)
    fraud = shown_for(people)
    return [
        participant_json(
            campaign,
            person,
            balances[person.pk],
            friends=friends.get(person.pk, 0),
            referred_by=codes.get(person.pk),
            completed=person.pk in done,
            fraud=fraud[person.pk],
        )
        for person in people
    ]


def _referrer_codes(people: Sequence[Participant]) -> dict[int, str]:
    """The codes of those who invited them, by participant."""
    unread = [person.pk for person in people if "referral" not in person._state.fields_cache]
    found: dict[int, str] = dict(_CODES(people=unread)) if unread else {}
    for person in people:
        if "referral" in person._state.fields_cache and (referrer := referrer_of(person)) is not None:
            found[person.pk] = referrer.referral_code
    return found


def participant_json(
    campaign: Campaign,
    person: Participant,
    balances: Balances,
    *,
    friends: int,
    referred_by: str | None,
    completed: bool,
    fraud: Mapping[str, Any],
) -> dict[str, Any]:
    """One participant in the documented order; amounts in major units of the campaign's currency."""

    def number(minor: int) -> int | float:
        return Money(minor, campaign.currency).json_number()

    person.campaign = campaign
    return {
        "email": person.email,
        "firstName": person.first_name,
        "lastName": person.last_name,
        "referralCode": person.referral_code,
        "referredByCode": referred_by,
        "createdOn": moment(person.joined_at),
        "campaignId": campaign.public_id,
        "shareLink": share_link(person),
        "totalReferrals": friends,
        "referralReward": number(balances.referrer.earned),
        "referralRewardRedeemed": number(balances.referrer.redeemed),
        "referralRewardBalance": number(balances.referrer.left),
        "refereeReward": number(balances.invitee.earned),
        "refereeRewardRedeemed": number(balances.invitee.redeemed),
        "refereeRewardBalance": number(balances.invitee.left),
        "rewardEventCompleted": completed,
        "fraudScore": "" if person.fraud_level == UNKNOWN else person.fraud_level,
        "fraud": fraud,
    }


def public_participant_json(campaign: Campaign, person: Participant) -> dict[str, Any]:
    """What a page with a publishable key may see: nothing that the visitor did not type, but their own public link."""
    person.campaign = campaign
    return {
        "email": person.email,
        "referralCode": person.referral_code,
        "campaignId": campaign.public_id,
        "shareLink": share_link(person),
    }
