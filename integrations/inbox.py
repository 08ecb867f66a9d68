"""Messages from providers: receive() stores a genuine one and answers, process() acts on it later (RELIABILITY section 3.2).

The row is the job: it carries its state, its attempts and when it is next due; a task in the queue only says "look now".
"""

from __future__ import annotations

import dataclasses
import logging
import random
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import CharField, DateTimeField, F, JSONField, Q

from integrations import capturing, genuine, registry
from integrations.accounts import account_of
from integrations.base import (
    Account,
    Code,
    Delivery,
    Ignored,
    Message,
    PayloadError,
    Provider,
    ProviderError,
    Pulled,
    Signal,
)
from integrations.effects import Effect, apply
from integrations.models import Connection, InboundEvent
from integrations.promotions import known_texts
from integrations.reading import read_json
from referrals.accounts import clocks
from referrals.lib import clock
from referrals.lib.emails import EmailError, parse_email
from referrals.lib.prepared import Prepared, PreparedRows, PreparedUpdate, Slot, insert
from referrals.lib.queue import enqueue
from referrals.lib.signing import SignatureError

MAX_BYTES = 1024 * 1024
MAX_ATTEMPTS = 7
# From this try on a message that does not work is trouble of its connection.
TRIES_OF_TROUBLE = 3
# How long a worker may take before another one may believe it dead; more than django-q2's time-out of 120 s.
LEASE = timedelta(minutes=5)
# Seconds before the next try, by the number of tries made, +-20 %.
BACK_OFF = (30, 120, 600, 1800, 7200, 28800)
# A message that a lost nudge left behind is picked up when it is this old.
NUDGE_LOST = timedelta(seconds=60)
SWEEP_SECONDS = 45.0
# A process nudges at most so often, and whom it nudged stays for longer than that, at most so long at a time.
NUDGE_SECONDS, LINGER_SECONDS, ATTEND_SECONDS = 0.1, 0.5, 10.0
# How many rows are read at once by a worker that works on all that wait.
BATCH = 100
_NOBODY = Account({"webhook_secret": "whsec_of_nobody_0000000000000000"})
_ACCEPTED = "received"
logger = logging.getLogger(__name__)
# What every message asks, with its text made once (ADR 13).
_CONNECTION = Prepared(
    lambda: Connection.objects.select_related("merchant").filter(public_id=Slot("public_id"), removed_at=None)
)
_WAITING = Prepared(
    lambda: InboundEvent.objects.filter(
        pk=Slot("pk"), state="received", next_attempt_at__lte=Slot("now", DateTimeField())
    ).select_related("connection__merchant")
)
_TAKE = PreparedUpdate(
    lambda: InboundEvent.objects.filter(
        pk=Slot("pk"), state="received", attempts=Slot("attempts"), next_attempt_at=Slot("due", DateTimeField())
    ),
    attempts=F("attempts") + 1,
    next_attempt_at=Slot("lease", DateTimeField()),
)
_LOCK = PreparedRows(lambda: Connection.objects.select_for_update(no_key=True).filter(pk=Slot("pk")).values_list("pk"))
_SETTLE = PreparedUpdate(
    lambda: InboundEvent.objects.filter(pk=Slot("pk"), state="received", attempts=Slot("attempts")),
    state=Slot("state", CharField()),
    outcome=Slot("outcome", CharField()),
    facts=Slot("facts", JSONField()),
    event_ref=Slot("event_ref", CharField()),
    email_key=Slot("email_key", CharField()),
    error="",
    next_attempt_at=None,
    processed_at=Slot("done", DateTimeField()),
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a provider: HTTP status, a stable code, and words. Nothing in it is secret."""

    status: int
    code: str
    message: str = ""


class _Nudged:
    """When this process last nudged."""

    at = float("-inf")

    def now(self) -> None:
        """It did just now."""
        self.at = time.monotonic()


_nudged = _Nudged()


def receive(connection_id: str, delivery: Delivery) -> Receipt:
    """Check who sent it, store it, and have it worked on. No business is done here: a provider waits only seconds.

    413 above 1 MiB; 404 for a connection that does not exist, after the same work as for one that does; 400, or what the provider
    wants (Provider.refusal_status), for a signature that is missing, wrong, old or from the future, with no row but counted on the
    connection; 200 for a genuine message, also when it comes again.
    """
    if len(delivery.body) > MAX_BYTES:
        return Receipt(413, "too_large", "A message may have 1 MiB.")
    connection = _CONNECTION.first(public_id=connection_id[:32])
    provider = registry.get(connection.provider if connection else next(iter(registry.SLUGS)))
    account = account_of(connection) if connection else _NOBODY
    try:
        provider.source.verify(delivery, account)
    except Exception as error:
        # Any junk in a header is a refusal, never a fault of ours (RELIABILITY F8).
        if connection is None:
            return Receipt(404, "not_found", "There is no such connection.")
        if not isinstance(error, SignatureError):
            logger.warning("verifying a message for %s raised %s", connection.public_id, type(error).__name__)
        Connection.objects.filter(pk=connection.pk).update(refused=F("refused") + 1, last_refused_at=clock.now())
        return Receipt(
            provider.refusal_status,
            "signature",
            str(error) if isinstance(error, SignatureError) else "The signature is malformed.",
        )
    if connection is None:
        return Receipt(404, "not_found", "There is no such connection.")
    with clocks.running(connection.tenant):
        try:
            payload = _read(delivery.body)
            row = _row(connection, provider, payload, delivery, account)
        except PayloadError as error:
            return Receipt(400, "payload", str(error))
        return _store(connection, row)


def _read(body: bytes) -> dict[str, Any]:
    """A JSON object; raises PayloadError for everything else."""
    payload = read_json(body)
    if not isinstance(payload, dict):
        raise PayloadError("The body is not a JSON object.")
    return payload


def _row(
    connection: Connection, provider: Provider, payload: dict[str, Any], delivery: Delivery, account: Account
) -> InboundEvent:
    source = provider.source
    hidden = [account.secrets.get(field.name, "") for field in provider.secrets if field.is_secret]
    return InboundEvent(
        merchant_id=connection.merchant_id,
        is_test=connection.is_test,
        connection=connection,
        event_id=source.event_id(payload, delivery),
        type=source.event_type(payload, delivery),
        body=delivery.body,
        headers=genuine.headers_to_keep(provider, delivery, hidden),
        confirmed=False if provider.confirm else None,
        received_at=clock.now(),
        next_attempt_at=clock.wall(),
    )


def _store(connection: Connection, row: InboundEvent) -> Receipt:
    """One row for (connection, event id), and its nudge in the same transaction."""
    now = clock.now()
    fresh = {}
    # At most once a minute, so that a busy connection's row is not written for every message.
    if connection.last_event_at is None or now - connection.last_event_at > timedelta(minutes=1) or connection.refused:
        fresh = {"last_event_at": now, "refused": 0}
    return Receipt(200, _ACCEPTED, "" if _insert(row, fresh) else "It was received before.")


def _insert(row: InboundEvent, fresh: Mapping[str, Any]) -> bool:
    """Whether it is new; `fresh` are changes of its connection."""
    with transaction.atomic():
        if not insert([row], unless_taken=True):
            return False
        if fresh:
            Connection.objects.filter(pk=row.connection_id).update(**fresh)
        _nudge()
    return True


def _nudge() -> None:
    """Ask a worker to attend, but not for every message of a busy connection: it stays a moment for those that follow."""
    if time.monotonic() - _nudged.at < NUDGE_SECONDS:
        return
    enqueue("integrations.inbox.attend")
    # Only a nudge that was committed counts.
    transaction.on_commit(_nudged.now)


def take_in(connection: Connection, pulled: Sequence[Pulled]) -> int:
    """Store those messages that never arrived here, as if they had; returns how many. At the time of the connection's side."""
    names = [item.event_id for item in pulled]
    known = set(
        InboundEvent.objects.filter(connection=connection, event_id__in=names).values_list("event_id", flat=True)
    )
    new = [item for item in pulled if item.event_id not in known and len(item.body) <= MAX_BYTES]
    return sum(_insert(_pulled_row(connection, item), {}) for item in new)


def _pulled_row(connection: Connection, item: Pulled) -> InboundEvent:
    return InboundEvent(
        merchant_id=connection.merchant_id,
        is_test=connection.is_test,
        connection=connection,
        event_id=item.event_id,
        type=item.type,
        body=item.body,
        came_by="pull",
        received_at=clock.now(),
        next_attempt_at=clock.wall(),
    )


def process(inbound_id: int) -> str:
    """Act on a stored message, once in effect however often this is called; returns its state.

    Attempts are counted before the work, in a transaction of their own, so that one which kills its worker is given up after
    MAX_ATTEMPTS as well (RELIABILITY F2). The effect and the row's new state commit together.
    """
    row = _claim(inbound_id)
    if row is None:
        return InboundEvent.objects.values_list("state", flat=True).filter(pk=inbound_id).first() or "deleted"
    with clocks.running(row.connection.tenant):
        return _act(row)


def _act(row: InboundEvent) -> str:
    """What process() does with a message that it has claimed, at the time of its side; returns the state."""
    if row.attempts > MAX_ATTEMPTS:
        return _finish(row, "failed", Effect("gave_up", {"attempts": MAX_ATTEMPTS}))
    try:
        effect = _work(row)
    except Ignored as reason:
        return _finish(row, "ignored", Effect(reason.code, reason.facts))
    except PayloadError as error:
        return _finish(row, "failed", Effect("unreadable", {"message": str(error)}))
    except Exception as error:
        logger.exception("processing %s failed", row.public_id)
        return _retry(row, error)
    return "processed" if effect else "received"


def _claim(inbound_id: int) -> InboundEvent | None:
    """Take the row for the length of a lease; None when it is done, not due, or somebody else's. By the real time, like all tries."""
    now = clock.wall()
    row = _WAITING.first(pk=inbound_id, now=now)
    if row is None:
        return None
    taken = _TAKE(pk=row.pk, attempts=row.attempts, due=row.next_attempt_at, lease=now + LEASE)
    row.attempts += 1
    row.merchant = row.connection.merchant
    return row if taken else None


def _work(row: InboundEvent) -> bool:
    """Read, ask the company if need be, and apply. The network is done before the transaction begins. False: the lease was lost."""
    provider = registry.get(row.connection.provider)
    payload = _read(bytes(row.body))
    mode = provider.source.is_test(payload)
    if mode is not None and mode is not row.is_test:
        raise Ignored("wrong_mode_test" if mode else "wrong_mode_live")
    account = account_of(row.connection)
    genuine.confirm(row, provider, account)
    message = Message(payload, row.type, account, row.received_at)
    signals, refusal = _looked_up(row, account, provider.source.parse(message))
    ahead = clocks.ahead(row.connection.tenant)
    signals = [_in_time(signal, row.received_at, ahead) for signal in signals]
    capturing.note(row, signals)
    with transaction.atomic():
        # One message of a connection at a time: a checkout and its invoice, or a payment and its refund, never race each other.
        # No stronger lock than this, or storing the next message would have to wait for it.
        _LOCK(pk=row.connection_id)
        try:
            effects = [apply(row, signal) for signal in signals]
        except Ignored as reason:
            if refusal and reason.code == "no_participant_promotion":
                raise Ignored("provider_refused", message=refusal) from reason
            raise
        done = _settled(row, "processed", effects[0])
        if not done:
            transaction.set_rollback(True)
        elif row.connection.failing_since is not None:
            _recovered(row)
    return done


def _recovered(row: InboundEvent) -> None:
    """The connection is well again once nothing of it has failed, and nothing is being tried again for long."""
    mine = InboundEvent.objects.for_tenant(row.tenant).filter(connection_id=row.connection_id)
    waiting = mine.filter(state="received", next_attempt_at__isnull=False, attempts__gte=TRIES_OF_TROUBLE)
    if not mine.filter(state="failed").exists() and not waiting.exclude(error="").exists():
        Connection.objects.filter(pk=row.connection_id).update(failing_since=None)


def _looked_up(row: InboundEvent, account: Account, signals: list[Signal]) -> tuple[list[Signal], str]:
    """The signals with what only the company knows. One that refuses us for good does not stop what can be done without it."""
    signals = _with_our_codes(row, signals)
    ask = registry.look_up(row.connection.provider)
    if ask is None:
        return signals, ""
    try:
        return ask(signals, account), ""
    except ProviderError as error:
        if error.retry:
            raise
        return signals, str(error)


def _with_our_codes(row: InboundEvent, signals: list[Signal]) -> list[Signal]:
    """The texts of promotion codes that we made ourselves; the company need not be asked for them."""
    ids = [code.text for signal in signals for code in signal.codes if code.kind == "promotion_id"]
    known = known_texts(row.connection.tenant, ids)
    if not known:
        return signals
    return [
        dataclasses.replace(
            signal,
            codes=tuple(
                Code(known[code.text], "promotion") if code.kind == "promotion_id" and code.text in known else code
                for code in signal.codes
            ),
        )
        for signal in signals
    ]


def _in_time(signal: Signal, received_at: datetime, ahead: timedelta) -> Signal:
    """The signal with a time that can be: providers keep messages for a month at most, and their clocks are not ours.

    Whole seconds mean "somewhere in this second": its end is taken, so that a payment in the very second of a campaign's launch is
    not before it. On a test side the provider's time is the real one, so what the clock is `ahead` by is added (ADR 7).
    """
    at = signal.occurred_at + ahead
    if at.microsecond == 0:
        at = at.replace(microsecond=999_999)
    if received_at - timedelta(days=30) <= at:
        return signal.at(min(at, received_at))
    return signal.at(received_at)


def _settled(row: InboundEvent, state: str, effect: Effect) -> bool:
    """Write the outcome if the row is still ours; the error of earlier tries goes."""
    return bool(
        _SETTLE(
            pk=row.pk,
            attempts=row.attempts,
            state=state,
            outcome=effect.code,
            facts=effect.facts,
            event_ref=effect.event_ref,
            email_key=_email_key(effect.facts.get("email")),
            done=clock.now(),
        )
    )


def _email_key(email: Any) -> str:
    try:
        return parse_email(email).key if isinstance(email, str) else ""
    except EmailError:
        return ""


def _finish(row: InboundEvent, state: str, effect: Effect) -> str:
    """A row that ends without an effect; one that failed marks its connection."""
    with transaction.atomic():
        kept = row.error
        settled = _settled(row, state, effect)
        if settled and state == "failed":
            InboundEvent.objects.filter(pk=row.pk).update(error=kept)
            _in_trouble(row)
        elif settled and row.connection.failing_since is not None:
            _recovered(row)
    return state


def _in_trouble(row: InboundEvent) -> None:
    Connection.objects.filter(pk=row.connection_id, failing_since=None).update(failing_since=clock.now())


def _retry(row: InboundEvent, error: Exception) -> str:
    """Keep the error outside of what was rolled back, and come back later; after the last try the row has failed."""
    row.error = "".join(traceback.format_exception(error))[-4000:].replace("\x00", "")
    if row.attempts >= MAX_ATTEMPTS or (isinstance(error, ProviderError) and not error.retry):
        return _finish(row, "failed", Effect("gave_up", {"attempts": row.attempts}))
    delay = BACK_OFF[min(row.attempts, len(BACK_OFF)) - 1] * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
    InboundEvent.objects.filter(pk=row.pk, state="received", attempts=row.attempts).update(
        error=row.error, next_attempt_at=clock.wall() + timedelta(seconds=delay)
    )
    if row.attempts >= TRIES_OF_TROUBLE:
        _in_trouble(row)
    return "received"


def drain() -> int:
    """Work on everything that waits, oldest first, as long as one run may take; how many were tried. Asked for by a nudge."""
    return _work_on(Q())


def attend() -> int:
    """What a nudge asks for: work on what waits, and stay until nothing more came for a moment; how many were tried.

    After a few seconds it makes room for other work and asks to be called again.
    """
    end = quiet = time.monotonic()
    end += ATTEND_SECONDS
    tried = 0
    while time.monotonic() - quiet < LINGER_SECONDS:
        if time.monotonic() > end:
            enqueue("integrations.inbox.attend")
            break
        done = _work_on(Q(), max(end - time.monotonic(), 0.0))
        tried += done
        if done:
            quiet = time.monotonic()
        else:
            time.sleep(LINGER_SECONDS / 10)
    return tried


def sweep() -> int:
    """Work on what is due: rows whose nudge was lost, whose worker died, or whose next try has come. Returns how many were tried.

    It does the work itself instead of queueing it, so that it also helps where no worker runs.
    """
    return _work_on(Q(attempts__gt=0) | Q(next_attempt_at__lte=clock.wall() - NUDGE_LOST))


def _work_on(which: Q, seconds: float = SWEEP_SECONDS) -> int:
    """Work on those that are due, a batch after the other; each row is claimed by itself, so that several workers share them."""
    end, tried = time.monotonic() + seconds, 0
    while True:
        due = InboundEvent.objects.filter(which, state="received", next_attempt_at__lte=clock.wall())
        pks = list(due.order_by("next_attempt_at", "pk").values_list("pk", flat=True)[:BATCH])
        for pk in pks:
            if time.monotonic() > end:
                return tried
            process(pk)
            tried += 1
        if len(pks) < BATCH:
            return tried
