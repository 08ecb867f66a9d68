"""Tokens that a merchant's own server signs with its secret, so that a browser may carry what it says (docs/script.md, docs/widgets.md).

JWT, HS256, for one campaign (`aud`) and for an hour at most (`exp`): a token that got away is of no use tomorrow, nor elsewhere.
"""

from __future__ import annotations

import time
from typing import Any

import jwt

from campaigns.models import Campaign
from referrals.accounts.signing import secrets_of
from referrals.lib.errors import Refused

LONGEST_LIFE = 3600  # seconds that a token may be valid for
LONGEST_TOKEN = 4096


def read_token(token: str, campaign: Campaign) -> dict[str, Any]:
    """What a token says, once one of the side's secrets has signed it for this campaign and not for long.

    Raises Refused: missing_field (400), signing_secret_missing (409), bad_token, token_signature, token_expired, token_audience
    (401), token_claims (422).
    """
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
            if int(found["exp"]) - time.time() > LONGEST_LIFE:
                message = "The token is valid for longer than an hour: set exp to at most 3600 seconds from now."
                raise wrong_claims(message)
            return found
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
        raise wrong_claims(f"The token lacks {error.claim}.") from error
    except (jwt.PyJWTError, OverflowError) as error:
        raise _bad("bad_token", "This is no JWT that is signed with HS256.") from error
    return found


def text_claim(claims: dict[str, Any], name: str, limit: int = 200) -> str:
    """A claim that is a text in one line, "" when it is missing. Raises Refused token_claims (422)."""
    value = claims.get(name, "")
    if not isinstance(value, str) or len(value) > limit or not value.isprintable():
        raise wrong_claims(f"{name} must be a text of at most {limit} characters in one line.")
    return value


def wrong_claims(message: str) -> Refused:
    """422: the signature is right, and what it says is not."""
    return Refused("token_claims", message, field="token")


def _bad(code: str, message: str) -> Refused:
    return Refused(code, message, field="token", status=401)
