"""Whether PayPal sent a message: it is asked, because its signature can only be checked with a certificate that the message names."""

from __future__ import annotations

import json

from integrations.base import Account, Delivery, ProviderError
from integrations.providers.paypal.client import PayPalApi, PayPalError
from integrations.providers.paypal.source import HEADERS
from referrals.lib.http import HttpError
from referrals.lib.signing import SignatureError

PATH = "/v1/notifications/verify-webhook-signature"


def confirm(delivery: Delivery, account: Account) -> None:
    """Return when PayPal says SUCCESS; raise SignatureError when it says anything else, ProviderError when it can't be asked.

    The message goes back as it came, byte for byte: written anew, its signature would not fit any more.
    """
    about = {ours: delivery.headers.get(name, "") for name, ours in HEADERS.items()}
    about["webhook_id"] = account.secrets.get("webhook_id", "")
    body = json.dumps(about).encode()[:-1] + b', "webhook_event": ' + delivery.body.removeprefix(b"\xef\xbb\xbf") + b"}"
    api = PayPalApi(account)
    try:
        found = api.ask(api.endpoint + PATH, "POST", body, {"Content-Type": "application/json"})
    except HttpError as error:
        raise ProviderError(str(error), retry=error.retry) from error
    except PayPalError as error:
        if error.status in {400, 422}:
            raise SignatureError("PayPal can't read what proves this message.") from error
        raise
    if found.get("verification_status") != "SUCCESS":
        raise SignatureError("PayPal says that it did not send this.")
