"""PayPal's own client over our way to companies: our time-outs, public addresses only, or a stand-in in test mode (ADR 5).

What it would do by itself and must not (PROVIDERS.md, section 0.2): wait for ever, ask for tokens in a circle when it is refused, send
"null" with a question, add a slash to addresses, and make up a new request id for each try.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import paypalrestsdk
from paypalrestsdk import exceptions

from integrations.base import Account, ProviderError
from integrations.reading import Object, each, text
from referrals.lib.http import HttpError

LIVE, SANDBOX = "https://api-m.paypal.com", "https://api-m.sandbox.paypal.com"
# Seconds of a token's life that are not used.
_MARGIN = 300.0
# Tokens by (host, client id, fingerprint of its secret): what they are, and until when; in this process only.
_TOKENS: dict[tuple[str, str, str], tuple[str, float]] = {}


class PayPalError(ProviderError):
    """PayPal answered, but not with what was asked for. `status` is HTTP's; `code` PayPal's own word, such as USER_BUSINESS_ERROR.

    `wait` is after how many seconds it wants to be asked again, 0 where it does not say.
    """

    def __init__(
        self, message: str, *, status: int, code: str = "", found: Object | None = None, wait: int = 0
    ) -> None:
        super().__init__(message[:300], retry=status in {200, 201, 408, 409, 425, 429} or status >= 500)
        self.status, self.code, self.wait = status, code, wait
        self.found: Object = found or {}

    @property
    def links(self) -> list[str]:
        """The addresses that PayPal points to."""
        return [text(link.get("href")) for link in each(self.found.get("links"))]

    @property
    def details(self) -> list[tuple[str, str]]:
        """(place in what was sent, what is wrong there)."""
        return [
            (text(row.get("field")), text(row.get("issue")) or text(row.get("description")))
            for row in each(self.found.get("details"))
        ]


@dataclass(frozen=True, slots=True)
class _Response:
    """What the package looks at in an answer."""

    status_code: int
    headers: Mapping[str, str]
    reason: str = ""


class PayPalApi(paypalrestsdk.Api):  # type: ignore[misc]  # theirs has no types
    """get() and post() are the package's; how a request is made, and how often, is ours. Both raise PayPalError and HttpError."""

    def __init__(self, account: Account) -> None:
        super().__init__(
            mode="sandbox" if account.is_test else "live",
            client_id=account.secrets.get("client_id", ""),
            client_secret=account.secrets.get("client_secret", ""),
            endpoint=SANDBOX if account.is_test else LIVE,
        )
        self._send = account.send

    def get_token_hash(self, *_args: Any, **_kwargs: Any) -> dict[str, str]:
        """The token, kept until shortly before it expires. What goes wrong here has sent nothing of what was to be sent."""
        kept, until = _TOKENS.get(self._name, ("", 0.0))
        if time.monotonic() >= until:
            self.token_hash = None
            try:
                found = super().get_token_hash()
            except HttpError as error:
                raise HttpError(str(error), retry=error.retry, sent=False) from error
            except exceptions.ConnectionError as error:
                raise _refused(error) from error
            except ValueError as error:
                raise HttpError("PayPal's answer to our log-in can't be read.", retry=True, sent=False) from error
            kept, life = _token(found)
            _TOKENS[self._name] = (kept, time.monotonic() + life - _MARGIN)
        return {"token_type": "Bearer", "access_token": kept}

    @property
    def _name(self) -> tuple[str, str, str]:
        secret = hashlib.sha256(str(self.client_secret).encode()).hexdigest()
        return (str(self.endpoint), str(self.client_id), secret)

    def request(
        self,
        url: str,
        method: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        refresh_token: str | None = None,
    ) -> dict[str, Any]:
        """One request; a second one only where a token that was kept is not taken any more, which has had no effect."""
        return self.ask(url, method, None if method == "GET" else json.dumps(body).encode(), headers or {})

    def ask(self, url: str, method: str, body: bytes | None, headers: Mapping[str, str]) -> dict[str, Any]:
        """request() with a body that is sent as it is."""
        was_kept = self._name in _TOKENS
        try:
            found = self.http_call(url, method, data=body, headers={**self.headers(), **headers})
        except exceptions.UnauthorizedAccess as error:
            _TOKENS.pop(self._name, None)
            if was_kept:
                return self.ask(url, method, body, headers)
            raise _read(error) from error
        except exceptions.ConnectionError as error:
            raise _read(error) from error
        except ValueError as error:
            raise PayPalError("PayPal's answer can't be read.", status=200) from error
        if not isinstance(found, dict):
            raise PayPalError("PayPal's answer is not a JSON object.", status=200)
        return found

    def http_call(self, url: str, method: str, **kwargs: Any) -> Any:
        """Through Account.send, and without a line in any log."""
        answer = self._send(method, url, headers=kwargs["headers"], body=kwargs.get("data"))
        content = answer.body.decode("utf-8", "replace")
        return self.handle_response(_Response(answer.status, answer.headers), content)


def _token(found: Any) -> tuple[str, float]:
    """The token in an answer and its life in seconds; raises HttpError where there is none."""
    kept, life = (found.get("access_token"), found.get("expires_in")) if isinstance(found, dict) else ("", 0)
    if not isinstance(kept, str) or not kept or type(life) is not int:
        raise HttpError("PayPal's answer to our log-in has no token.", retry=True, sent=False)
    return kept, float(life)


def _refused(error: exceptions.ConnectionError) -> Exception:
    """A token that was not given: PayPal is busy or down and has heard nothing of the payout, or it does not know us."""
    found = _read(error)
    if found.retry:
        return HttpError(f"PayPal did not let us log in ({found.status}).", retry=True, sent=False)
    return PayPalError(str(found), status=401, code=found.code or "AUTHENTICATION_FAILURE")


def _read(error: exceptions.ConnectionError) -> PayPalError:
    """An error of the package as ours."""
    response = cast(_Response, error.response)
    try:
        known = json.loads(error.content)
    except (TypeError, ValueError):
        known = None
    found: Object = known if isinstance(known, dict) else {}
    code = text(found.get("name")) or text(found.get("error"))
    words = text(found.get("message")) or text(found.get("error_description")) or f"It answered {response.status_code}."
    after = response.headers.get("retry-after", "")
    wait = int(after) if after.isascii() and after.isdigit() and len(after) < 6 else 0
    return PayPalError(words, status=response.status_code, code=code, found=found, wait=wait)
