"""Rows that are events: purchases, refunds, statuses of multi-step sales. Each goes the way that the API's would (rewards.services).

An event is once by its campaign, its source, and the source's number; a row without a number is told by what it says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import gettext as _

from campaigns.models import Campaign
from campaigns.terms import OWN_EVENTS, STATUS_EVENTS
from participants.models import CustomerReference, Participant, QualifyingEvent, Referral, Refund
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.emails import Email, EmailError, parse_email
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.lib.queries import Among
from rewards import refunds, services, statuses
from rewards.import_models import Import
from rewards.imports.rows import Wrong, campaigns_of
from rewards.imports.spelled import read_amount, read_day_or_moment

SOURCE = "csv"
_KINDS = {
    **dict.fromkeys(("", "purchase", "sale", "order", "paid", "payment"), "purchase"),
    **dict.fromkeys(("refund", "refunded"), "refund"),
    **dict.fromkeys(("cancelled", "canceled", "cancellation"), "cancelled"),
    **dict.fromkeys(("dispute", "disputed", "chargeback"), "dispute"),
}
TAKEN_BACK = frozenset({"refund", "cancelled", "dispute"})
Fact = tuple[int, str, str]  # campaign, source, the source's number


@dataclass(slots=True)
class Doing:
    """One row as it is read. `number` is the source's own id of the event, or of the one that is taken back."""

    line: int
    campaign: Campaign
    type: str
    email: Email | None
    customer_id: str
    number: str
    source: str
    occurred_at: datetime | None
    amount: Money | None
    refunded: Money | None = None
    event_id: str = ""

    @property
    def fact(self) -> Fact:
        """What an event is once by."""
        return self.campaign.pk, self.source, self.number

    @property
    def refund_id(self) -> str:
        """What a refund is once by, as its source's number: the order's, with what and how much was taken back when."""
        amount = "all" if self.amount is None else str(self.amount.minor)
        when = self.occurred_at.isoformat() if self.occurred_at else ""
        return f"{self.type}:{_digest(self.number, amount, when)}:{self.number}"[:255]


class DoingReader:
    """Reads rows as the merchant said that the file is to be read."""

    def __init__(self, upload: Import) -> None:
        self.at = upload.mapping
        self.default = upload.campaign
        self.campaigns = campaigns_of(upload.tenant) if "campaign" in self.at else {}
        self.zone = upload.merchant.zone
        self.order, self.mark = upload.date_order, upload.decimal_mark
        self.now = clock.now()

    def read(self, line: int, cells: Sequence[str]) -> Doing | Wrong:
        """One row, or why it can't be taken."""
        self.field = ""
        try:
            return self._doing(line, cells)
        except Refused as error:
            return Wrong(line, self.field or error.field, error.message)
        except EmailError as error:
            return Wrong(line, "email", str(error))

    def _cell(self, cells: Sequence[str], name: str) -> str:
        self.field = name
        column = self.at.get(name)
        text = cells[column] if column is not None and column < len(cells) else ""
        if not text.isprintable():
            raise Refused("invalid_characters", _("There are invisible characters in it."))
        return text

    def _doing(self, line: int, cells: Sequence[str]) -> Doing:
        campaign = self.default
        if wanted := self._cell(cells, "campaign"):
            if wanted not in self.campaigns:
                raise Refused("campaign_not_found", _("No campaign %(id)s.") % {"id": wanted[:40]})
            campaign = self.campaigns[wanted]
        type_ = self._type(cells)
        text = self._cell(cells, "email")
        email = parse_email(text) if text else None
        customer_id = self._cell(cells, "customer_id")[:255]
        if email is None and not customer_id:
            self.field = "email"
            raise Refused("blank", _("The row does not say who did it."))
        at = self._moment(cells)
        amount = self._money(cells, "amount", campaign)
        refunded = self._money(cells, "refunded", campaign)
        number = self._cell(cells, "external_id")
        if len(number) > 255:
            raise Refused("too_long", _("An external id has at most 255 characters."))
        if not number and type_ in TAKEN_BACK:
            raise Refused("blank", _("Say which order it takes back, by its number."))
        who = email.key if email else customer_id
        said = (who, type_, str(amount.minor) if amount else "", at.isoformat() if at else "")
        number = number or f"row:{_digest(*said)}"
        source = self._cell(cells, "source").lower()[:24] or SOURCE
        event_id = self._cell(cells, "event_id")
        return Doing(line, campaign, type_, email, customer_id, number, source, at, amount, refunded, event_id)

    def _type(self, cells: Sequence[str]) -> str:
        text = self._cell(cells, "type").strip()
        found = _KINDS.get(text.lower(), text if text.lower() not in statuses.STATUSES else text.lower())
        if len(found) > 40:
            raise Refused("too_long", _("At most %(limit)d characters fit.") % {"limit": 40})
        return found

    def _moment(self, cells: Sequence[str]) -> datetime | None:
        text = self._cell(cells, "occurred_at")
        if not text:
            return None
        at = read_day_or_moment(text, self.zone, self.order)
        if at > self.now:
            raise Refused("occurred_at", _("%(time)s is in the future.") % {"time": text[:40]})
        return at

    def _money(self, cells: Sequence[str], name: str, campaign: Campaign) -> Money | None:
        currency = self._cell(cells, "currency").upper()
        text = self._cell(cells, name)
        if not text:
            return None
        if currency and currency != campaign.currency:
            message = _("%(text)s is not in %(wanted)s, the currency here.")
            raise Refused("currency", message % {"text": f"{text} {currency}"[:40], "wanted": campaign.currency})
        return read_amount(text, campaign.currency, self.mark)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:24]


@dataclass(slots=True)
class Found:
    """What is recorded about some rows: their people, their events (by fact, and by number alone), their refunds."""

    people: dict[tuple[int, str], Participant] = field(default_factory=dict)
    customers: dict[tuple[int, str], Participant] = field(default_factory=dict)
    events: dict[Fact, QualifyingEvent] = field(default_factory=dict)
    numbers: dict[tuple[int, str], list[QualifyingEvent]] = field(default_factory=dict)
    refunds: set[str] = field(default_factory=set)
    statuses: dict[int, str] = field(default_factory=dict)

    def person(self, row: Doing) -> Participant | None:
        """Whose row it is."""
        if row.email is not None:
            return self.people.get((row.campaign.pk, row.email.key))
        return self.customers.get((row.campaign.pk, row.customer_id))

    def event(self, row: Doing) -> QualifyingEvent | None:
        """The event that a row is, or takes back: of its own source, or of another if that is the only one with this number."""
        own = self.events.get(row.fact)
        same = self.numbers.get((row.campaign.pk, row.number), [])
        return own or (same[0] if len(same) == 1 and (row.type in TAKEN_BACK or row.event_id) else None)


def find(tenant: Tenant, rows: Sequence[Doing]) -> Found:
    """Everything that these rows are compared with, in five queries."""
    found = Found()
    campaigns = {row.campaign.pk for row in rows}
    emails = {row.email.key for row in rows if row.email}
    ids = {row.customer_id for row in rows if row.customer_id and row.email is None}
    people = Participant.objects.select_related("campaign__merchant", "merchant").filter(campaign__in=campaigns)
    for person in people.filter(Among("email_key", emails)):
        found.people[person.campaign_id, person.email_key] = person
    if ids:
        references = CustomerReference.objects.for_tenant(tenant).filter(Among("customer_id", ids)).order_by("pk")
        for one in references.select_related("participant__campaign__merchant", "participant__merchant"):
            found.customers[one.participant.campaign_id, one.customer_id] = one.participant
    numbers = {row.number for row in rows}
    events = QualifyingEvent.objects.for_tenant(tenant).filter(Among("external_id", numbers), campaign__in=campaigns)
    for event in events.order_by("pk"):
        found.events[event.campaign_id, event.source, event.external_id] = event
        found.numbers.setdefault((event.campaign_id, event.external_id), []).append(event)
    taken = {row.refund_id for row in rows if row.type in TAKEN_BACK}
    if taken:
        known = Refund.objects.for_tenant(tenant).filter(Among("external_id", taken), source=SOURCE)
        found.refunds = set(known.values_list("external_id", flat=True))
    if any(row.type in statuses.STATUSES for row in rows):
        keys = [person.pk for person in {*found.people.values(), *found.customers.values()}]
        found.statuses = dict(
            Referral.objects.filter(Among("standing_for_id", keys)).values_list("standing_for_id", "status")
        )
    return found


def outcome(row: Doing, found: Found, seen: set[Fact]) -> str | Wrong:
    """What applying a row would do: "new", "updated", "known", or why it can't be. `seen` has what the file said before it."""
    person = found.person(row)
    event = found.event(row)
    if row.type in TAKEN_BACK:
        return _taking_back(row, event, found, seen)
    if event is not None:
        return _again(row, event)
    if person is None:
        return _nobody(row)
    if row.type in statuses.STATUSES:
        status = found.statuses.get(person.pk)
        if status is None:
            return Wrong(row.line, "type", _("%(who)s was not referred by anybody.") % {"who": person})
        return "known" if status == row.type else "updated"
    if row.type in OWN_EVENTS:
        message = _("%(type)r can't be recorded; joining, a status or the end of a leaderboard writes it.")
        return Wrong(row.line, "type", message % {"type": row.type})
    if row.campaign.version_id is None:
        return Wrong(
            row.line, "campaign", _("The campaign %(name)s has not started yet.") % {"name": row.campaign.name}
        )
    if row.fact in seen:
        return "known"
    seen.add(row.fact)
    return "new"


def _nobody(row: Doing) -> Wrong:
    if row.email is not None:
        message = _("Nobody in the campaign has the address %(who)s. Import participants and referrals first.")
        return Wrong(row.line, "email", message % {"who": row.email.address[:80]})
    message = _("Nobody in the campaign is known by the customer id %(id)s.")
    return Wrong(row.line, "customer_id", message % {"id": row.customer_id[:80]})


def _again(row: Doing, event: QualifyingEvent) -> str | Wrong:
    if row.amount is not None and event.amount_minor is not None and row.amount.minor != event.amount_minor:
        message = _(
            "The event %(id)s is recorded with %(old)s; the row says %(new)s. Record a refund, or use another number."
        )
        words = {"id": event.external_id[:80], "old": event.amount, "new": row.amount}
        return Wrong(row.line, "amount", message % words)
    return "updated" if row.refunded is not None and row.refunded.minor > event.refunded_minor else "known"


def _taking_back(row: Doing, event: QualifyingEvent | None, found: Found, seen: set[Fact]) -> str | Wrong:
    if row.refund_id in found.refunds:
        return "known"
    above = row.fact in seen
    if event is None and not above:
        message = _("There is no purchase with the number %(number)s, and none further up in the file.")
        return Wrong(row.line, "external_id", message % {"number": row.number[:80]})
    if event is not None and row.amount is not None and event.kept is not None and event.kept < row.amount:
        message = _("%(amount)s is more than the %(kept)s that are left of this payment.")
        return Wrong(row.line, "amount", message % {"amount": row.amount, "kept": event.kept})
    mark = (row.campaign.pk, "refund", row.refund_id)
    if mark in seen:
        return "known"
    seen.add(mark)
    return "new"


def record(row: Doing, found: Found, *, upload: Import, actor: Actor) -> None:
    """Do what a row says that was found new or updated; raises Refused as the services do. In the caller's transaction."""
    if row.type in TAKEN_BACK:
        _refund(row, upload, actor)
        return
    person = found.person(row)
    event = found.event(row)
    if event is None and person is not None:
        if row.type in statuses.STATUSES:
            amount = row.amount if row.type in STATUS_EVENTS else None
            note, settled = upload.name, not upload.decide
            statuses.set_status(
                participant=person, status=row.type, actor=actor, note=note, amount=amount, at=row.occurred_at, settled=settled
            )  # fmt: skip
            return
        event = services.qualify(
            participant=person,
            actor=actor,
            source=row.source,
            amount=row.amount,
            external_id=row.number,
            type=row.type,
            occurred_at=row.occurred_at,
            customer_id=row.customer_id,
            settled=not upload.decide,
        ).event
    if event is not None and row.refunded is not None and row.refunded.minor > event.refunded_minor:
        back = Money(row.refunded.minor - event.refunded_minor, event.currency)
        number = f"refunded:{row.refunded.minor}:{row.number}"[:255]
        event.participant = person or event.participant
        refunds.refund(
            tenant=upload.tenant, actor=actor, source=SOURCE, external_id=number, event=event, amount=back, occurred_at=row.occurred_at
        )  # fmt: skip


def _refund(row: Doing, upload: Import, actor: Actor) -> None:
    rows = QualifyingEvent.objects.filter(campaign=row.campaign, external_id=row.number)
    events = list(rows.select_related("participant__campaign__merchant").order_by("pk")[:2])
    own = [event for event in events if event.source == row.source]
    chosen = own or events
    if len(chosen) != 1:
        message = _("There is no purchase with the number %(number)s, and none further up in the file.")
        raise Refused("event_not_found", message % {"number": row.number[:80]}, field="external_id")
    refunds.refund(
        tenant=upload.tenant,
        actor=actor,
        source=SOURCE,
        external_id=row.refund_id,
        event=chosen[0],
        amount=row.amount,
        kind=row.type,
        occurred_at=row.occurred_at,
    )
