"""Shopify's Admin API: one version, one way in, and what its answers mean (PROVIDERS.md, section 3).

Only GraphQL: the REST API is closed to new apps. Everything that is sent stands in queries.py and is checked against Shopify's own schema.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlencode

from integrations.base import Account, ProviderError
from referrals.lib.http import Answer, HttpError

# The one place. Shopify brings out a version each quarter and keeps each for a year.
API_VERSION = "2026-10"
# Tokens of the client credentials grant last for 24 hours; used for one less. By (shop, client id, secret), in this process only.
_TOKENS: dict[tuple[str, str, str], tuple[str, float]] = {}
_MARGIN = 3600.0


class Refusal(ProviderError):
    """Shopify answered no. `code` is its own word, such as TAKEN or ACCESS_DENIED; "" where it has none. `wait`: Retry-After, seconds."""

    def __init__(self, message: str, *, code: str = "", retry: bool = False, wait: int = 0) -> None:
        super().__init__(message[:300], retry=retry)
        self.code, self.wait = code, wait


def ask(account: Account, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The answer's `data`; raises ProviderError. One try: who asks is a row that tries again."""
    url = f"https://{account.secrets.get('shop', '')}/admin/api/{API_VERSION}/graphql.json"
    body = json.dumps({"query": query, "variables": dict(variables)})
    answer = _send(account, url, body, {"Content-Type": "application/json", "X-Shopify-Access-Token": token(account)})
    found = _read(answer)
    for error in found.get("errors") or ():
        _refuse(error)
    data = found.get("data")
    if not isinstance(data, dict):
        raise ProviderError("Shopify's answer has no data.", retry=True)
    return data


def change(account: Account, mutation: str, variables: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What the mutation `name` gives; raises ProviderError, and Refusal with the code of its first user error."""
    payload = ask(account, mutation, variables).get(name)
    if not isinstance(payload, dict):
        raise ProviderError(f"Shopify's answer has no {name}.", retry=True)
    for error in payload.get("userErrors") or ():
        raise Refusal(str(error.get("message") or ""), code=str(error.get("code") or ""))
    return payload


def token(account: Account) -> str:
    """The access token that was pasted or came with the installation; else one for a day, by the app's own id and secret.

    The second works for apps of the merchant's own organization (client credentials grant). Raises ProviderError.
    """
    secrets = account.secrets
    if secrets.get("access_token"):
        return secrets["access_token"]
    key = (secrets.get("shop", ""), secrets.get("client_id", ""), secrets.get("client_secret", ""))
    if not all(key):
        raise Refusal("There is no access token.", code="NO_TOKEN")
    kept, until = _TOKENS.get(key, ("", 0.0))
    if time.monotonic() < until:
        return kept
    form = {"grant_type": "client_credentials", "client_id": key[1], "client_secret": key[2]}
    found = exchange(account, form)
    seconds = found.get("expires_in")
    if type(seconds) is int and seconds > _MARGIN:
        _TOKENS[key] = (found["access_token"], time.monotonic() + seconds - _MARGIN)
    return str(found["access_token"])


def exchange(account: Account, form: Mapping[str, str]) -> dict[str, Any]:
    """The shop's answer to a request for an access token; raises ProviderError."""
    url = f"https://{account.secrets.get('shop', '')}/admin/oauth/access_token"
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    found = _read(_send(account, url, urlencode(form), headers))
    if not isinstance(found.get("access_token"), str) or not found["access_token"]:
        raise ProviderError("The shop gave no access token.", retry=False)
    return found


def _send(account: Account, url: str, body: str, headers: Mapping[str, str]) -> Answer:
    try:
        return account.send("POST", url, headers=headers, body=body.encode())
    except HttpError as error:
        raise ProviderError(str(error), retry=error.retry) from error


def _read(answer: Answer) -> dict[str, Any]:
    if answer.status == 429 or answer.status >= 500:
        words, after = f"Shopify answered {answer.status}.", answer.headers.get("retry-after", "").partition(".")[0]
        code = "THROTTLED" if answer.status == 429 else ""
        raise Refusal(words, code=code, retry=True, wait=int(after) if after.isdigit() else 0)
    if answer.status != 200:
        code = {401: "UNAUTHORIZED", 403: "ACCESS_DENIED"}.get(answer.status, "")
        raise Refusal(f"Shopify answered {answer.status}.", code=code)
    try:
        found = json.loads(answer.body)
    except ValueError as error:
        raise ProviderError("Shopify's answer is not JSON.", retry=True) from error
    if not isinstance(found, dict):
        raise ProviderError("Shopify's answer is not a JSON object.", retry=True)
    return found


def _refuse(error: Any) -> NoReturn:
    """Top-level errors: too many requests and faults are worth another try, a missing right is not."""
    known = error if isinstance(error, dict) else {}
    extensions = known.get("extensions")
    code = str(extensions.get("code") or "") if isinstance(extensions, dict) else ""
    retry = code in {"THROTTLED", "INTERNAL_SERVER_ERROR", "TIMEOUT"}
    raise Refusal(str(known.get("message") or "Shopify refused the question."), code=code, retry=retry)
