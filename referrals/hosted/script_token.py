"""`Referrals.qualifyParticipant({token})`: a browser carries what the merchant's own server has signed (API.md, "Browser script").

The only call of the script that can lead to money. What it says is believed for its signature, never for who sent it; sent again, it
counts once by its `external_id`.
"""

from __future__ import annotations

import time
from typing import Any

import jwt

from campaigns.models import Campaign
from participants.models import Participant
from referrals.accounts.signing import secrets_of
from referrals.events.services import Actor
from referrals.hosted.script_calls import Call
from referrals.lib.emails import EmailError, parse_email
from referrals.lib.errors import Refused
from referrals.lib.money import Money, MoneyError, check_currency
from rewards import services

LONGEST_LIFE = 3600  # seconds that a token may be valid for
LONGEST_TOKEN = 4096
MOST_MINOR = 10**15


def qualify(call: Call) -> dict[str, Any]:
    """Record what the token says, and decide about it. The answer names no reward and nobody: pages of others may read it.

    Raises Refused: bad_token, token_signature, token_expired, token_audience (401), token_claims (422), signing_secret_missing
    (409), participant_not_found (404), not_referred, external_id_reused (409), and what `services.qualify` refuses.
    """
    claims = _claims(call.text("token", LONGEST_TOKEN), call.campaign)
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


def _claims(token: str, campaign: Campaign) -> dict[str, Any]:
    """What a token says, once one of the side's secrets has signed it for this campaign and not for long."""
    if not token:
        raise Refused("missing_field", "token is missing.", field="token", status=400)
    secrets = secrets_of(campaign.tenant)
    if not secrets:
        message = "There is no signing secret yet. Make one on the Developers page."
        raise Refused("signing_secret_missing", message, status=409)
    for number, secret in enumerate(secrets, 1):
        try:
            found = _decode(token, secret, campaign)
        except jwt.InvalidSignatureError as error:
            if number == len(secrets):
                raise _bad("token_signature", "The token is not signed with this business's signing secret.") from error
        else:
            return _checked(found)
    raise AssertionError("unreachable: every secret returns or raises")


def _decode(token: str, secret: str, campaign: Campaign) -> dict[str, Any]:
    try:
        # "iat" may lie a little ahead on the merchant's clock; only the end counts.
        options: Any = {"require": ["exp", "aud"], "verify_iat": False, "strict_aud": True}
        found: dict[str, Any] = jwt.decode(
            token, secret, algorithms=["HS256"], audience=campaign.public_id, options=options
        )
    except jwt.InvalidSignatureError:
        raise
    except jwt.ExpiredSignatureError as error:
        raise _bad("token_expired", "The token is no longer valid. Sign a new one.") from error
    except jwt.InvalidAudienceError as error:
        message = f"The token is for another campaign: aud must be {campaign.public_id}."
        raise _bad("token_audience", message) from error
    except jwt.MissingRequiredClaimError as error:
        raise _wrong(f"The token lacks {error.claim}.") from error
    except (jwt.PyJWTError, OverflowError) as error:
        raise _bad("bad_token", "This is no JWT that is signed with HS256.") from error
    return found


def _checked(claims: dict[str, Any]) -> dict[str, Any]:
    if int(claims["exp"]) - time.time() > LONGEST_LIFE:
        raise _wrong("The token is valid for longer than an hour: set exp to at most 3600 seconds from now.")
    for name in ("external_id", "email", "participant", "currency"):
        value = claims.get(name, "")
        if not isinstance(value, str) or len(value) > 200 or not value.isprintable():
            raise _wrong(f"{name} must be a text of at most 200 characters in one line.")
    if not claims.get("external_id", "").strip():
        raise _wrong("The token lacks external_id, your own name for this purchase.")
    if bool(claims.get("email")) == bool(claims.get("participant")):
        raise _wrong("The token must have either email or participant.")
    return claims


def _amount(claims: dict[str, Any]) -> Money | None:
    minor, currency = claims.get("amount_minor"), claims.get("currency", "")
    if minor is None and not currency:
        return None
    if type(minor) is not int or not 0 <= minor <= MOST_MINOR:
        raise _wrong("amount_minor must be a whole number, 0 or more: 1250 for 12.50.")
    try:
        return Money(minor, check_currency(currency))
    except MoneyError as error:
        raise _wrong(f"currency: {error}") from error


def _participant(campaign: Campaign, claims: dict[str, Any]) -> Participant:
    rows = Participant.objects.filter(campaign=campaign).select_related("referral")
    if claims.get("participant"):
        rows = rows.filter(public_id=claims["participant"])
    else:
        try:
            rows = rows.filter(email_key=parse_email(claims["email"]).key)
        except EmailError as error:
            raise _wrong(f"email: {error}") from error
    found = rows.first()
    if found is None:
        raise Refused("participant_not_found", "The token's person is not in this campaign.", field="token", status=404)
    found.campaign, found.merchant = campaign, campaign.merchant
    return found


def _bad(code: str, message: str) -> Refused:
    return Refused(code, message, field="token", status=401)


def _wrong(message: str) -> Refused:
    return Refused("token_claims", message, field="token")
