"""From any JSON to a fact, by what the merchant said about it. Every refusal names the field, the place and the value that stands there."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations import registry
from integrations.base import Code, Fact, Ignored, Message, PayloadError, SettingError, Signal
from integrations.providers.webhook.paths import look, steps_of
from integrations.reading import code_texts, ident, iso_moment, major_money, minor_money, moment, names, text
from referrals.lib.emails import EmailError, parse_email
from referrals.lib.money import Money

# What a message may tell, in the words of the form.
FACTS = (
    ("ignore", gettext_lazy("nothing; leave it aside")),
    ("purchase", gettext_lazy("a payment")),
    ("signup", gettext_lazy("a sign-up or a lead")),
    ("refund_part", gettext_lazy("a refund, with its own amount")),
    ("refund_total", gettext_lazy("a refund, with all that went back so far")),
    ("dispute", gettext_lazy("a dispute")),
    ("dispute_won", gettext_lazy("a dispute that was won")),
    ("stopped", gettext_lazy("a subscription that ended")),
    ("resumed", gettext_lazy("a subscription that goes on")),
    ("pending", gettext_lazy("a sale that is open again")),
    ("qualified", gettext_lazy("a lead that is qualified")),
    ("approved", gettext_lazy("a sale that is approved")),
    ("denied", gettext_lazy("a sale that came to nothing")),
)
# Anything else that people do, by the name that a rule has for it.
_ACTION = re.compile(r"action ([a-z][a-z0-9_]{0,39})")
# Of these an amount may be told, and need not.
_MAYBE_MONEY = {"qualified", "approved", "action"}
_FACTS = {name for name, _label in FACTS}
_WITH_MONEY = {"purchase", "refund_part", "refund_total"}
_ZERO = {0.0, "0", "0.0", "0.00"}
_TAKEN_BACK = {"refund_part", "refund_total", "dispute", "dispute_won"}
PATHS = (
    "fact_path", "email", "customer_id", "amount", "currency", "id", "order", "payment", "subscription", "occurred_at",
)  # fmt: skip
T = TypeVar("T")


class FieldError(PayloadError):
    """A value of a message that is not what its field needs; `field` is the setting's name."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def table(lines: str, field: str, *, once: bool = False) -> dict[str, str]:
    """`value = fact` or `name = path`, one a line; raises SettingError that names the line. `once`: also for what stands there twice."""
    found: dict[str, str] = {}
    for number, line in enumerate(lines.splitlines(), 1):
        if not line.strip():
            continue
        left, sign, right = line.rpartition("=") if field == "facts" else line.partition("=")
        if not sign or not left.strip() or not right.strip():
            words = _("Line %(number)d is %(line)r; write a value, an equals sign, and what it means.")
            raise SettingError(field, words % {"number": number, "line": line[:60]})
        if once and left.strip() in found:
            words = _("Line %(number)d says again what %(value)r means. Leave one line for it.")
            raise SettingError(field, words % {"number": number, "value": left.strip()[:60]})
        found[left.strip()] = right.strip()
    return found


def check(settings: Mapping[str, str]) -> None:
    """Raises SettingError for what can't be read, or can't lead to anything."""
    for name in PATHS:
        _check_path(name, settings[name])
    for name, joint in (("code", ","), ("name", "+")):
        for path in settings[name].split(joint) if settings[name] else ():
            _check_path(name, path.strip() or "..")
    for path in table(settings["metadata"], "metadata", once=True).values():
        _check_path("metadata", path)
    facts = set(table(settings["facts"], "facts", once=True).values()) | {settings["fact_else"]}
    for fact in table(settings["facts"], "facts").values():
        if fact not in _FACTS and not _ACTION.fullmatch(fact):
            words = _("%(fact)r is not something that a message can tell; write one of %(facts)s.")
            raise SettingError(
                "facts",
                words
                % {"fact": fact[:40], "facts": ", ".join([*(name for name, _label in FACTS), "action demo_booked"])},
            )
    if settings["facts"] and not settings["fact_path"]:
        raise SettingError("fact_path", _("Say where the value stands that the table below is about."))
    if facts <= {"ignore"}:
        raise SettingError("fact_else", _("As it is, every message is left aside. Choose what a message tells."))
    if not settings["email"] and not settings["customer_id"] and facts - _TAKEN_BACK - {"ignore"}:
        raise SettingError("email", _("Say where the e-mail address stands, or the customer’s id."))
    if facts & _WITH_MONEY and not settings["amount"]:
        raise SettingError("amount", _("Say where the amount stands."))
    if facts & _WITH_MONEY and not settings["currency"] and not settings["currency_fixed"]:
        raise SettingError(
            "currency_fixed", _("Say where the currency stands, or write the one that all amounts are in.")
        )
    if facts & _TAKEN_BACK and not settings["order"] and not settings["payment"]:
        raise SettingError("order", _("A refund or dispute has to name its payment: say where that id stands."))
    if settings["payment"] and not settings["payment_at"]:
        raise SettingError("payment_at", _("Choose the company whose id of the payment this is."))


def _check_path(field: str, path: str) -> None:
    if not path:
        return
    try:
        steps_of(path)
    except ValueError as error:
        words = _("%(path)r is no place in a message; write names with dots, such as customer.email or items.0.price.")
        raise SettingError(field, words % {"path": path[:60]}) from error


def read(message: Message, settings: Mapping[str, str]) -> Signal:
    """The fact; raises Ignored when there is none for us, and FieldError for a value that can't be one."""
    payload = message.payload
    kind = _fact(payload, settings)
    action = _ACTION.fullmatch(kind)
    kind = "action" if action else kind
    order = _id(payload, settings, "order")
    name = _id(payload, settings, "id") or _made_of(payload)
    payment = _id(payload, settings, "payment", own=False)
    if kind in _TAKEN_BACK and not order and not payment:
        path = settings["order"] or settings["payment"]
        raise FieldError("order" if settings["order"] else "payment", _nothing(path))
    subscription = _id(payload, settings, "subscription", own=False)
    metadata = {key: _short(look(payload, path)) for key, path in table(settings["metadata"], "metadata").items()}
    if subscription:
        metadata["subscription"] = subscription
    about: dict[str, Any] = {
        "email": _email(payload, settings),
        "name": _name(payload, settings),
        "codes": _codes(payload, settings),
        "customer_id": _id(payload, settings, "customer_id"),
    }
    if (
        kind in {"signup", "purchase", *_MAYBE_MONEY, "pending", "denied"}
        and not about["email"]
        and not about["customer_id"]
    ):
        raise FieldError("email", _nothing(settings["email"] or settings["customer_id"]))
    return Signal(
        fact=cast(Fact, _FACT_OF.get(kind, kind)),
        external_id=f"{order or payment}/total"
        if kind == "refund_total"
        else f"{name}/{kind}"
        if kind in _TAKEN_BACK
        else name,
        references=names(order, "" if kind in _TAKEN_BACK else name),
        occurred_at=_time(payload, settings, message.received_at),
        money=_money(payload, settings, kind),
        is_part=kind == "refund_part",
        metadata={key: value for key, value in metadata.items() if value},
        elsewhere=_elsewhere(settings, payment),
        event=action[1] if action else "",
        **about,
    )


_FACT_OF: Mapping[str, Fact] = {"refund_part": "refund", "refund_total": "refund"}


def _fact(payload: Any, settings: Mapping[str, str]) -> str:
    path = settings["fact_path"]
    if not path:
        return settings["fact_else"]
    value = look(payload, path)
    said = _said(value)
    kind = table(settings["facts"], "facts").get(said, settings["fact_else"])
    if kind == "ignore":
        raise Ignored("fact_unused", value=_shown(value), path=path)
    return kind


def _said(value: Any) -> str:
    """A value as the table of facts writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return text(value) if isinstance(value, str) else str(value) if isinstance(value, int) else ""


def _email(payload: Any, settings: Mapping[str, str]) -> str:
    value = look(payload, settings["email"]) if settings["email"] else None
    if value is None or value == "":
        return ""
    try:
        return parse_email(text(value)).address
    except EmailError as error:
        words = _("At %(path)s stands %(value)s, which is no e-mail address.")
        raise FieldError("email", words % {"path": settings["email"], "value": _shown(value)}) from error


def _name(payload: Any, settings: Mapping[str, str]) -> str:
    parts = [text(look(payload, path.strip())) for path in settings["name"].split("+") if path.strip()]
    return " ".join(part for part in parts if part)[:160]


def _codes(payload: Any, settings: Mapping[str, str]) -> tuple[Code, ...]:
    paths = [path.strip() for path in settings["code"].split(",") if path.strip()]
    return tuple(dict.fromkeys(code for path in paths for code in code_texts(look(payload, path))))


def _id(payload: Any, settings: Mapping[str, str], field: str, *, own: bool = True) -> str:
    """An id of the merchant's own system, kept apart from those of others by the connection's name for it."""
    value = look(payload, settings[field]) if settings[field] else None
    if value is None or value == "":
        return ""
    found = ident(value) if not isinstance(value, Mapping) else ""
    if not found:
        words = _("At %(path)s stands %(value)s, which is no id: a short text or a whole number.")
        raise FieldError(field, words % {"path": settings[field], "value": _shown(value)})
    return f"{settings['ids']}:{found}" if own and settings["ids"] else found


def _made_of(payload: Any) -> str:
    """A message without an id counts once for all that it says."""
    return "body_" + hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()


def _money(payload: Any, settings: Mapping[str, str], kind: str) -> Money | None:
    if kind not in _WITH_MONEY | _MAYBE_MONEY:
        return None
    amount = look(payload, settings["amount"]) if settings["amount"] else None
    if kind in _MAYBE_MONEY and (amount is None or amount == "" or _said(amount) in _ZERO or amount == 0):
        return None
    if amount is None:
        raise FieldError("amount", _nothing(settings["amount"]))
    if kind == "purchase" and (amount if isinstance(amount, float) else _said(amount)) in _ZERO:
        raise Ignored("nothing_paid")
    written = look(payload, settings["currency"]) if settings["currency"] else None
    currency = text(written) or settings["currency_fixed"]
    if not currency:
        raise FieldError("currency", _nothing(settings["currency"]))
    is_minor = settings["amount_in"] == "minor"
    if is_minor and isinstance(amount, str) and amount.isascii() and amount.isdigit() and len(amount) < 14:
        amount = int(amount)
    words = _("At %(path)s stands %(value)s, which is no amount such as %(example)s.")
    example = "4900" if is_minor else "49.00"
    message = words % {"path": settings["amount"], "value": _shown(amount), "example": f"{example} {currency[:10]}"}
    return _or(lambda: (minor_money if is_minor else major_money)(amount, currency), "amount", message)


def _time(payload: Any, settings: Mapping[str, str], received_at: datetime) -> datetime:
    value = look(payload, settings["occurred_at"]) if settings["occurred_at"] else None
    if value is None or value == "":
        return received_at
    words = _(
        "At %(path)s stands %(value)s, which is no time such as 2026-11-21T10:00:00Z, nor one in seconds since 1970."
    )
    return _or(lambda: _moment(value), "occurred_at", words % {"path": settings["occurred_at"], "value": _shown(value)})


def _moment(value: Any) -> datetime:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 15:
        value = int(value)
    if type(value) is int:
        return moment(value // 1000 if value > 10**11 else value)
    try:
        # A time without its zone is taken as UTC.
        at = datetime.fromisoformat(text(value))
        return at.replace(tzinfo=UTC) if at.tzinfo is None else iso_moment(value)
    except ValueError as error:
        raise PayloadError("a time is missing or malformed.") from error


def _elsewhere(settings: Mapping[str, str], payment: str) -> tuple[tuple[str, str], ...]:
    """The payment as the company that took it names it, in the way that its messages are read here."""
    if not payment or settings["payment_at"] not in registry.SLUGS:
        return ()
    company = registry.get(settings["payment_at"])
    return tuple((company.slug, form.format(payment)) for form in company.payment_names)


def _or(read_it: Callable[[], T], field: str, message: str) -> T:
    try:
        return read_it()
    except Ignored:
        raise
    except PayloadError as error:
        raise FieldError(field, message) from error


def _nothing(path: str) -> str:
    return _("At %(path)s stands nothing.") % {"path": path}


def _short(value: Any) -> str:
    return _said(value)[:200] if not isinstance(value, float) else str(value)


def _shown(value: Any) -> str:
    """A value of a message as JSON, short enough to be shown."""
    found = json.dumps(value, ensure_ascii=False)
    return found if len(found) <= 60 else f"{found[:60]}…"
