"""The merchant's veto: their own system is asked before a payout leaves, signed as their webhooks are (PRODUCT.md).

200: it leaves. 400: it is withdrawn and its rewards are void, with the system's words; restoring them undoes it. Anything else is asked
again every 15 minutes; after 72 hours without an answer it is withdrawn and its rewards are held until a person decides, because silence
never pays. The system is called outside of any transaction, and a question is asked until its answer is written down.
"""

from __future__ import annotations

import json
import logging
import time
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.utils.translation import gettext as _

from integrations.endpoints import check_url, is_local, new_secret
from referrals.accounts import clocks
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock, http
from referrals.lib.plain import one_line
from referrals.lib.queue import enqueue
from referrals.lib.sealed import SealError
from referrals.lib.signing import sign_standard
from rewards import lifecycle, vetoes
from rewards.models import Payout, PayoutItem, PayoutVeto, Reward, VetoEndpoint
from rewards.queueing import withdraw

AGAIN = timedelta(minutes=15)
PATIENCE = timedelta(hours=72)
LEASE = timedelta(minutes=1)
SWEEP_SECONDS = 45.0
TYPE = "payout.proposed"
# A question about nobody, to try the address with.
SAMPLE: dict[str, Any] = {
    "id": "po_0000000000000000000000",
    "method": "paypal",
    "amount": {"amount_minor": 1500, "currency": "USD"},
    "participant": {"id": "pt_0000000000000000000000", "email": "asha@example.com", "name": "Asha"},
    "rewards": [
        {
            "id": "rw_0000000000000000000000",
            "campaign": "JCu82f30F1",
            "amount": {"amount_minor": 1500, "currency": "USD"},
            "event": {"type": "purchase", "source": "api", "external_id": "order-1042", "email": "maya@example.net"},
        }
    ],
    "is_test": True,
}
OWN_SYSTEM = Actor("system", "", "Your own system")
logger = logging.getLogger(__name__)


# --- setting it up ---


def set_up(*, tenant: Tenant, actor: Actor, url: str) -> tuple[VetoEndpoint, str]:
    """Ask this address from now on; (the row, its secret, to be shown this once and "" when only the address changed).

    Raises Refused url_not_allowed.
    """
    address = check_url(url, tenant)
    secret = ""
    with transaction.atomic():
        row = VetoEndpoint.objects.for_tenant(tenant).select_for_update().first()
        if row is None:
            row, secret = VetoEndpoint(merchant=tenant.merchant, is_test=tenant.is_test), new_secret()
            row.secrets = {"secret": secret}
        row.url, row.is_on = address, True
        row.save()
        record(tenant, actor, Happening(types.VETO_CHANGED, "veto", row.public_id, data={"url": address, "on": True}))
    return row, secret


def rotate(*, tenant: Tenant, actor: Actor) -> str:
    """A new secret, to be shown this once; the former one signs nothing any more. "" when nothing was set up."""
    secret = new_secret()
    with transaction.atomic():
        row = VetoEndpoint.objects.for_tenant(tenant).select_for_update().first()
        if row is None:
            return ""
        row.secrets = {"secret": secret}
        row.save(update_fields=["sealed"])
        record(tenant, actor, Happening(types.VETO_CHANGED, "veto", row.public_id, data={"secret": "new"}))
    return secret


def switch_off(*, tenant: Tenant, actor: Actor) -> bool:
    """Ask nobody any more; what waits for an answer leaves. False when it was off."""
    with transaction.atomic():
        row = VetoEndpoint.objects.for_tenant(tenant).filter(is_on=True).select_for_update().first()
        if row is None:
            return False
        VetoEndpoint.objects.filter(pk=row.pk).update(is_on=False)
        waiting = PayoutVeto.objects.filter(payout__merchant=tenant.merchant, payout__is_test=tenant.is_test, answer="")
        waiting.update(next_at=clock.wall())
        record(tenant, actor, Happening(types.VETO_CHANGED, "veto", row.public_id, data={"on": False}))
        enqueue(vetoes.ASK)
    return True


# --- asking ---


def sweep() -> int:
    """For the schedule: ask what is due, the oldest first, for at most 45 seconds; how many were asked."""
    end = time.monotonic() + SWEEP_SECONDS
    asked = 0
    for pk in list(
        PayoutVeto.objects.filter(next_at__lte=clock.wall()).order_by("next_at").values_list("pk", flat=True)[:500]
    ):
        if time.monotonic() > end:
            break
        try:
            asked += work(pk)
        except Exception:
            # One that can't be worked on keeps no other one waiting.
            logger.exception("the question %s could not be asked", pk)
            _not_asked(pk)
    return asked


def _not_asked(veto_id: int) -> None:
    """A fault of ours is no clear answer either: asked again, and after 72 hours a person is. When not even that can be written, it is
    asked again when its lease ends."""
    row = PayoutVeto.objects.select_related("payout__merchant").filter(pk=veto_id, answer="").first()
    try:
        if row is not None:
            _wait(row, _("Passalong could not put the question together."))
    except Exception:
        logger.exception("the question %s could not be put off", veto_id)


def work(veto_id: int) -> bool:
    """Ask one question, if it is due and nobody else has it."""
    row = _take(veto_id)
    if row is None:
        return False
    tenant = row.payout.tenant
    if row.payout.status != "queued":
        # Withdrawn meanwhile: there is nothing to ask about any more, and nobody else is told of it.
        _answered(row, "gone", "")
        return True
    with clocks.running(tenant):
        endpoint = vetoes.endpoint_of(tenant)
        if endpoint is None:
            _allow(row, "off")
            return True
        try:
            status, words = ask(endpoint, row.payout.public_id, question(row.payout))
        except SealError:
            status, words = 0, _("Its secret can't be opened. Make a new one.")
        if status == 200:
            _allow(row, "allowed", words)
        elif status == 400:
            _refuse(row, words)
        else:
            _wait(row, words)
    return True


def question(payout: Payout) -> dict[str, Any]:
    """What is asked: the payout, whom it goes to, and what they earned it by."""
    items = (
        PayoutItem.objects.filter(payout=payout)
        .order_by("pk")
        .select_related("reward__event__participant", "reward__campaign")
    )
    person = payout.participant
    return {
        "id": payout.public_id,
        "method": payout.method,
        "amount": {"amount_minor": payout.amount_minor, "currency": payout.currency},
        "participant": {"id": person.public_id, "email": person.email, "name": person.name},
        "rewards": [
            {
                "id": item.reward.public_id,
                "campaign": item.reward.campaign.public_id,
                "amount": {"amount_minor": item.amount_minor, "currency": payout.currency},
                "event": {
                    "type": item.reward.event.type,
                    "source": item.reward.event.source,
                    "external_id": item.reward.event.external_id,
                    "email": item.reward.event.participant.email,
                },
            }
            for item in items
        ],
        "is_test": payout.is_test,
    }


def ask(endpoint: VetoEndpoint, message_id: str, data: dict[str, Any]) -> tuple[int, str]:
    """One call: the status, 0 for no answer, and the system's words. Raises SealError."""
    at = int(clock.wall().timestamp())
    body = json.dumps({"type": TYPE, "timestamp": clock.wall().isoformat(), "data": data}).encode()
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": sign_standard(endpoint.secrets["secret"], message_id, at, body),
    }
    found = urlsplit(endpoint.url)
    private = is_local(found.hostname or "", found.port, endpoint.tenant)
    try:
        answer = http.request("POST", endpoint.url, headers=headers, body=body, private=private)
    except http.HttpError as error:
        return 0, str(error)
    return answer.status, _words(answer)


def _words(answer: http.Answer) -> str:
    """`{"reason": "..."}`, or a short text."""
    text = answer.body[:4000].decode("utf-8", "replace").replace("\x00", "").strip()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and isinstance(found.get("reason"), str):
        text = found["reason"]
    elif found is not None or text.startswith("<") or answer.status not in {200, 400}:
        text = "" if answer.status in {200, 400} else _("It answered %(status)d.") % {"status": answer.status}
    # JSON can name what no database keeps: NUL, and halves of surrogate pairs.
    return one_line(text)[:300]


# --- what an answer does ---


def _take(veto_id: int) -> PayoutVeto | None:
    now = clock.wall()
    rows = PayoutVeto.objects.select_related("payout__participant__campaign", "payout__merchant", "payout__batch")
    row = rows.filter(pk=veto_id, answer="", next_at__lte=now).first()
    if row is None:
        return None
    mine = PayoutVeto.objects.filter(pk=row.pk, next_at=row.next_at, answer="")
    return row if mine.update(next_at=now + LEASE, attempts=row.attempts + 1) else None


def _allow(row: PayoutVeto, answer: str, message: str = "") -> None:
    with transaction.atomic():
        if _answered(row, answer, message):
            vetoes.go(Payout.objects.filter(pk=row.payout_id, status="queued", attempts=0))


def _refuse(row: PayoutVeto, message: str) -> None:
    with transaction.atomic():
        rewards = _withdrawn(row, "refused", message)
        if rewards:
            note = _("Your system refused it: %(why)s") % {"why": message or _("no reason given")}
            lifecycle.void(tenant=row.payout.tenant, reward_ids=rewards, actor=OWN_SYSTEM, note=note[:500])


def _wait(row: PayoutVeto, message: str) -> None:
    if clock.wall() - row.created_at < PATIENCE:
        PayoutVeto.objects.filter(pk=row.pk, answer="").update(next_at=clock.wall() + AGAIN, message=message[:500])
        return
    with transaction.atomic():
        rewards = _withdrawn(row, "silent", message)
        if rewards:
            note = _("Your system gave no answer for 72 hours (%(why)s). Release it and issue it to ask again.")
            lifecycle.hold(
                tenant=row.payout.tenant, reward_ids=rewards, actor=OWN_SYSTEM, note=(note % {"why": message})[:500]
            )


def _answered(row: PayoutVeto, answer: str, message: str) -> bool:
    mine = PayoutVeto.objects.filter(pk=row.pk, answer="")
    return bool(mine.update(answer=answer, message=message[:500], next_at=None))


def _withdrawn(row: PayoutVeto, answer: str, message: str) -> list[int]:
    """The rewards of the payout, due again; none when they have left it before."""
    if not _answered(row, answer, message):
        return []
    rewards = list(
        Reward.objects.filter(payout=row.payout_id, state="queued").order_by("pk").values_list("pk", flat=True)
    )
    done = withdraw(payouts=[row.payout_id], tenant=row.payout.tenant, actor=OWN_SYSTEM, note=message[:500])
    return rewards if done else []
