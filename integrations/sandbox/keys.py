"""How companies treat a request that is sent twice: the models that an issuer has to live with (PROVIDERS.md, section 0.9).

Look-up only (a model with no key at all) needs nothing from here: such a company pays again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from integrations.sandbox.base import Call, Lost, Refusal, Reply

_LONG_AGO = "1970-01-01T00:00:00+00:00"


def digest(value: Any) -> str:
    """The same for the same content, whatever the order of its fields."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def replay(call: Call, key: str, make: Callable[[], Reply], *, life: timedelta, differs: Callable[[], Reply]) -> Reply:
    """Stripe's: for `life` the first answer comes again, also when it was a 500; another request with the same key is refused.

    After that the key is new again, and the same request pays twice. What the amount's script ends before its effect is not kept.
    """
    if not key:
        return make()
    asked = digest([call.request.method, call.request.path, digest(call.request.body)])
    kept = call.state.get("_key", key)
    if kept is not None and datetime.fromisoformat(kept["at"]) + life > call.now:
        return (
            Reply(kept["status"], kept["content"], {"Idempotent-Replayed": "true"})
            if kept["asked"] == asked
            else differs()
        )
    row = {"asked": asked, "at": call.now.isoformat(), "status": 409, "content": None}
    if kept is None and not call.state.add("_key", key, row):
        return replay(call, key, make, life=life, differs=differs)  # somebody else was quicker: this is his answer now
    try:
        reply = call.fated(make())
    except (Lost, Refusal):
        call.state.put("_key", key, {**row, "at": _LONG_AGO})
        raise
    call.state.put("_key", key, {**row, "status": reply.status, "content": reply.content})
    return reply


def original(call: Call, key: str, content: Any) -> tuple[str, bool] | None:
    """Tremendous', Wise's: the name of what was made with this key, and whether the content is the same; None for a new key."""
    kept = call.state.get("_key", key)
    return None if kept is None else (kept["made"], kept["digest"] == digest(content))


def remember(call: Call, key: str, content: Any, made: str) -> None:
    """The key now stands for what is going to be made; said after Call.begin() and before anything is written.

    Refusal (429) when another request had the key a moment ago.
    """
    row = {"digest": digest(content), "made": made, "at": call.now.isoformat()}
    if not call.state.add("_key", key, row):
        raise Refusal(call.company.busy())


def taken(call: Call, key: str, *, life: timedelta) -> str:
    """PayPal's: the name of what was made with this key within its life, "" for a key that is new or forgotten."""
    kept = call.state.get("_key", key)
    if kept is None or datetime.fromisoformat(kept["at"]) + life <= call.now:
        return ""
    return str(kept["made"])


def take(call: Call, key: str, made: str, *, life: timedelta) -> None:
    """The key now stands for what is going to be made, also where an older one is forgotten; said when remember() is."""
    row = {"made": made, "at": call.now.isoformat()}
    if call.state.add("_key", key, row):
        return
    if taken(call, key, life=life):
        raise Refusal(call.company.busy())
    call.state.put("_key", key, row)
