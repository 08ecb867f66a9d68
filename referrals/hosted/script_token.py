"""`Referrals.qualifyParticipant({token})`: a browser carries what the merchant's own server has signed (API.md, "Browser script").

The only call of the script that can lead to money. What it says is believed for its signature, never for who sent it; sent again, it
counts once by its `external_id`.
"""

from __future__ import annotations

from typing import Any

from campaigns.models import Campaign
from participants.models import Participant
from referrals.events.services import Actor
from referrals.hosted.script_calls import Call
from referrals.hosted.signed import LONGEST_TOKEN, read_token, text_claim, wrong_claims
from referrals.lib.emails import EmailError, parse_email
from referrals.lib.errors import Refused
from referrals.lib.money import Money, MoneyError, check_currency
from rewards import services

MOST_MINOR = 10**15


def qualify(call: Call) -> dict[str, Any]:
    """Record what the token says, and decide about it. The answer names no reward and nobody: pages of others may read it.

    Raises Refused: bad_token, token_signature, token_expired, token_audience (401), token_claims (422), signing_secret_missing
    (409), participant_not_found (404), not_referred, external_id_reused (409), and what `services.qualify` refuses.
    """
    claims = _checked(read_token(call.text("token", LONGEST_TOKEN), call.campaign))
    external_id = claims["external_id"]
    participant = _participant(call.campaign, claims)
    referral = getattr(participant, "referral", None)
    if referral is None or referral.detached_at is not None:
        message = "The token's person was not referred by anybody; only referred participants can complete the event."
        raise Refused("not_referred", message, field="token")
    done = services.qualify(
        participant=participant,
        actor=Actor("api", "", "Browser script, signed by the merchant's server"),
        source="script",
        amount=_amount(claims),
        external_id=external_id,
    )
    if done.event.participant_id != participant.pk:
        message = f"The external_id {external_id} names an event of somebody else."
        raise Refused("external_id_reused", message, field="token", status=409)
    return {"qualified": True, "externalId": external_id}


def _checked(claims: dict[str, Any]) -> dict[str, Any]:
    for name in ("external_id", "email", "participant", "currency"):
        text_claim(claims, name)
    if not claims.get("external_id", "").strip():
        raise wrong_claims("The token lacks external_id, your own name for this purchase.")
    if bool(claims.get("email")) == bool(claims.get("participant")):
        raise wrong_claims("The token must have either email or participant.")
    return claims


def _amount(claims: dict[str, Any]) -> Money | None:
    minor, currency = claims.get("amount_minor"), claims.get("currency", "")
    if minor is None and not currency:
        return None
    if type(minor) is not int or not 0 <= minor <= MOST_MINOR:
        raise wrong_claims("amount_minor must be a whole number, 0 or more: 1250 for 12.50.")
    try:
        return Money(minor, check_currency(currency))
    except MoneyError as error:
        raise wrong_claims(f"currency: {error}") from error


def _participant(campaign: Campaign, claims: dict[str, Any]) -> Participant:
    rows = Participant.objects.filter(campaign=campaign).select_related("referral")
    if claims.get("participant"):
        rows = rows.filter(public_id=claims["participant"])
    else:
        try:
            rows = rows.filter(email_key=parse_email(claims["email"]).key)
        except EmailError as error:
            raise wrong_claims(f"email: {error}") from error
    found = rows.first()
    if found is None:
        raise Refused("participant_not_found", "The token's person is not in this campaign.", field="token", status=404)
    found.campaign, found.merchant = campaign, campaign.merchant
    return found
