"""Rewards that wait until their recipient is a customer of the company that is to pay them: they wake by themselves."""

from __future__ import annotations

from django.db.models import F, OuterRef, Subquery

from integrations.models import Connection
from participants.models import CustomerReference
from referrals.events import types
from rewards.models import PayoutItem, Reward, State
from rewards.queueing import NO_DESTINATION, due_again, last_word


def wake(limit: int = 500) -> int:
    """Make due what waits since a payout failed, once its company's newest id of the person is not the one that was tried then. What was
    issued another way since, and waits for a payout address now, is left to queueing.wake.

    An issuer that lets a reward wait for want of a customer says in its outcome's `reference` which one it tried, "" for none. No clock
    is asked, so an id that became known while the company was being asked is not missed. Returns how many.
    """
    last = PayoutItem.objects.filter(reward=OuterRef("pk")).order_by("-pk")
    source = Connection.objects.filter(public_id=OuterRef("account")).values("provider")
    known = CustomerReference.objects.filter(participant=OuterRef("participant"), source=OuterRef("source"))
    waiting = (
        Reward.objects.filter(state=State.WAITING, reason=NO_DESTINATION)
        .annotate(last_word=last_word())
        .exclude(last_word=types.REWARD_WAITING)
        .annotate(
            account=Subquery(last.values("payout__account")[:1]), tried=Subquery(last.values("payout__reference")[:1])
        )
        .annotate(source=Subquery(source[:1]))
        .annotate(newest=Subquery(known.order_by("-pk").values("customer_id")[:1]))
        .filter(newest__isnull=False)
        .exclude(newest=F("tried"))
    )
    return due_again(set(waiting.order_by("pk").values_list("pk", flat=True)[:limit]))
