"""Messages for "send a test payment", made to fit the connection's own mapping, and signed as its settings say."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from integrations.base import Account, Delivery, SampleKind, Scene
from integrations.providers.webhook.fields import FIELDS
from integrations.providers.webhook.mapping import table
from integrations.providers.webhook.paths import steps_of
from integrations.providers.webhook.signing import key_of, signed_text
from referrals.lib.signing import sign_standard

_TELLS: Mapping[SampleKind, tuple[str, ...]] = {
    "payment": ("purchase",),
    "renewal": ("purchase",),
    "refund": ("refund_part", "refund_total"),
    "dispute": ("dispute",),
    "lead": ("signup",),
    "cancellation": ("stopped",),
}


class Samples:
    """One made-up customer. What the mapping has no word for is sent with a word that it leaves aside."""

    kinds: tuple[SampleKind, ...] = ("payment", "renewal", "refund", "dispute", "lead", "cancellation")

    def delivery(self, scene: Scene, account: Account) -> Delivery:
        """Every value where the mapping looks for it."""
        chosen = {field.name: str(account.settings.get(field.name, field.default)) for field in FIELDS}
        payload: dict[str, Any] = {}
        for path, value in _values(scene, chosen):
            put(payload, path, value)
        body = json.dumps(payload, separators=(",", ":")).encode()
        return _signed(body, f"{scene.series}{scene.payment}{scene.kind}", account, chosen)


def _values(scene: Scene, chosen: Mapping[str, str]) -> list[tuple[str, Any]]:
    payment = f"order_{scene.series}{scene.payment}"
    name = payment if scene.kind in {"payment", "renewal"} else f"{scene.kind}_{scene.series}{scene.payment}"
    words = {fact: word for word, fact in reversed(table(chosen["facts"], "facts").items())}
    word = next((words[fact] for fact in _TELLS[scene.kind] if fact in words), f"test.{scene.kind}")
    minor = chosen["amount_in"] == "minor"
    first, _, last = scene.name.partition(" ")
    names = [path.strip() for path in chosen["name"].split("+") if path.strip()]
    spread = [scene.name] if len(names) == 1 else [first, last]
    values: list[tuple[str, Any]] = [
        (chosen["fact_path"], word),
        (chosen["email"], scene.email),
        (chosen["customer_id"], scene.series),
        *zip(names, spread, strict=False),
        (chosen["code"].split(",")[0].strip(), scene.code),
        (chosen["amount"], scene.money.minor if minor else scene.money.plain()),
        (chosen["currency"], scene.money.currency),
        (chosen["occurred_at"], scene.at.isoformat(timespec="seconds")),
        (chosen["id"], name),
        (chosen["order"], "" if name == payment else payment),
        (chosen["subscription"], f"plan_{scene.series}"),
    ]
    return [(path, value) for path, value in values if path and value != ""]


def put(payload: dict[str, Any], path: str, value: Any) -> None:
    """Write a value where look() finds it; what is in the way stays, and the value is left out."""
    found: Any = payload
    steps = steps_of(path)
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        inner: Any = value if following is None else [] if isinstance(following, tuple) or following.isdigit() else {}
        if isinstance(step, tuple):
            if not isinstance(found, list):
                return
            twin = next((one for one in found if one.get(step[0]) == step[1]), None)
            if twin is None:
                twin = {step[0]: step[1]}
                found.append(twin)
            found = twin
        elif isinstance(found, list):
            if not step.isdigit():
                return
            found.extend({} for _ in range(int(step) + 1 - len(found)))
            if following is None:
                found[int(step)] = value
            found = found[int(step)]
        elif isinstance(found, dict):
            found = found.setdefault(step, inner)
        else:
            return


def _signed(body: bytes, name: str, account: Account, chosen: Mapping[str, str]) -> Delivery:
    secret, now = account.secrets["secret"], int(time.time())
    if chosen["scheme"] == "address":
        return Delivery(body, {}, {"key": secret})
    if chosen["scheme"] == "token":
        between = " " if chosen["prefix"].isalpha() else ""
        return Delivery(body, {chosen["header"]: f"{chosen['prefix']}{between}{secret}"})
    if chosen["scheme"] == "standard":
        stamp = {"webhook-id": name, "webhook-timestamp": str(now)}
        return Delivery(body, {**stamp, "webhook-signature": sign_standard(secret, name, now, body)})
    stamp = {chosen["time_header"]: str(now)} if chosen["time_header"] else {}
    text = signed_text(chosen["signed"], str(now) if stamp else "", body)
    digest = hmac.new(key_of(secret, chosen["key_form"]), text, hashlib.sha256).digest()
    written = base64.b64encode(digest).decode() if chosen["encoding"] == "base64" else digest.hex()
    return Delivery(body, {**stamp, chosen["header"]: chosen["prefix"] + written})
