"""Asking Wise: its addresses, its refusals in words, and the steps of one payout, which end at the first that does not work."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

from django.utils.translation import gettext as _

from integrations.answers import Ended, fill, json_of, plain, wait_of
from integrations.base import Account, ProviderError
from referrals.lib.http import Answer, HttpError
from rewards.orders import Outcome

LIVE, SANDBOX = "https://api.wise.com", "https://api.wise-sandbox.com"
# The steps of one payout may take this long together, so that nobody else begins them anew (sending.LEASE).
PATIENCE = 40.0
_JSON = {"Content-Type": "application/json", "Accept": "application/json"}
# What a refusal of one step (400, 404, 422) means for the payout, in Wise's words.
Meaning = Callable[[str], Outcome]


class NotAllowed(Ended):
    """Wise does not let this token do it (403): certainly nothing was done."""


class Client:
    """One payout's way to Wise. `reached` says whether a step was answered: from then on a lost connection leaves an unknown outcome."""

    def __init__(
        self, account: Account, *, is_test: bool, first_call: bool = False, patience: float = PATIENCE
    ) -> None:
        self.account = account
        self.host = SANDBOX if is_test else LIVE
        self.first_call = first_call
        self.reached = False
        # Wise's own code of the last refusal.
        self.code = ""
        self._end = time.monotonic() + patience

    @cached_property
    def profile(self) -> str:
        """The profile that pays: the one that was entered, else the token's only business. Raises Ended."""
        entered = str(self.account.secrets.get("profile_id", ""))
        if entered:
            return entered
        answer = self.send("GET", "/v2/profiles")
        rows = json_of(answer) if answer.status == 200 else None
        if not isinstance(rows, list):
            raise Ended(self._refusal(answer, _no_profile))
        found = [str(row.get("id")) for row in rows if isinstance(row, dict) and row.get("type") == "BUSINESS"]
        if len(found) != 1:
            message = _("The API token belongs to %(count)s businesses at Wise. Enter the number of the one that pays.")
            raise Ended(Outcome("failed", "", message % {"count": len(found)}))
        return found[0]

    def step(self, method: str, path: str, body: Any, *, refused: Meaning) -> Any:
        """One step that changes something; raises Ended when it was not done, or when nobody can tell whether it was."""
        if time.monotonic() > self._end:
            raise Ended(Outcome("unknown", "", _("Wise answers too slowly. It goes on from there at the next try.")))
        try:
            answer = self.send(method, path, body)
        except HttpError as error:
            if self.reached and not error.sent:
                raise Ended(Outcome("unknown", "", str(error))) from error
            raise
        self.reached = True
        if 200 <= answer.status < 300:
            return self._content(answer)
        self.code = _code(answer)
        outcome = self._refusal(answer, refused)
        raise NotAllowed(outcome) if answer.status == 403 else Ended(outcome)

    def look(self, path: str) -> Any:
        """One question; None for 404. Raises ProviderError when it is not answered, HttpError when it is lost."""
        answer = self.send("GET", path)
        if answer.status == 404:
            return None
        if 200 <= answer.status < 300:
            found = json_of(answer)
            if isinstance(found, dict | list):
                return found
        words = _("Wise can't be asked: it answered %(status)s. %(words)s")
        message = fill(words, status=answer.status, words=_said(answer))
        raise ProviderError(message, retry=answer.status not in {401, 403})

    def send(self, method: str, path: str, body: Any = None) -> Answer:
        """One request, as it is."""
        headers = _JSON | {"Authorization": f"Bearer {self.account.secrets.get('api_token', '')}"}
        content = None if body is None else json.dumps(body)
        return self.account.send(method, self.host + path, headers=headers, body=content)

    def _content(self, answer: Answer) -> dict[str, Any]:
        found = json_of(answer)
        if not isinstance(found, dict):
            raise Ended(Outcome("unknown", "", _("Wise answered something that can't be read.")))
        return found

    def _refusal(self, answer: Answer, refused: Meaning) -> Outcome:
        if answer.status == 429:
            words = _("Wise asks us to wait: too many requests.")
            return Outcome("unknown", "", words, wait=wait_of(answer))
        if answer.status in {401, 403}:
            # Once something may be there, "not allowed" does not say that nothing was done.
            state: Any = "failed" if self.first_call else "unknown"
            return Outcome(state, "", _denied(answer))
        if answer.status in {400, 404, 422}:
            return refused(_said(answer))
        words = _("Wise could not do it: it answered %(status)s. %(words)s")
        return Outcome("unknown", "", fill(words, status=answer.status, words=_said(answer)))


def _no_profile(words: str) -> Outcome:
    return Outcome(
        "unknown", "", fill(_("Wise did not say which businesses the API token has. %(words)s"), words=words)
    )


def wants_approval(answer: Answer) -> bool:
    """Whether Wise wants a person to approve it: strong customer authentication (PSD2), which a server can't give."""
    return answer.status == 403 and bool(answer.headers.get("x-2fa-approval"))


def _denied(answer: Answer) -> str:
    if answer.status == 401:
        return _(
            "Wise does not take the API token: it is wrong, revoked or expired. Make a new one at Wise and enter it."
        )
    if wants_approval(answer):
        return _(
            "Wise wants a person to approve each payment (strong customer authentication, in the UK and the EEA), which no "
            "program can do. Nothing was paid. Use the file for Wise, or ask Wise to allow payments through the API."
        )
    return _("Wise does not allow this with the API token. It needs full access, and the profile has to be its own.")


def _code(answer: Answer) -> str:
    found = json_of(answer)
    errors = found.get("errors") if isinstance(found, dict) else None
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    return plain(first.get("code"), 80)


def _said(answer: Answer) -> str:
    """Wise's own words: {"errors": [{"message", "path"}]}, or a message by itself."""
    found = json_of(answer)
    errors = found.get("errors") if isinstance(found, dict) else None
    if isinstance(errors, list):
        said = [plain(error.get("message")) for error in errors[:3] if isinstance(error, dict)]
        return " ".join(text if text.endswith((".", "!", "?")) else f"{text}." for text in said if text)
    return plain(found.get("message")) if isinstance(found, dict) else ""
