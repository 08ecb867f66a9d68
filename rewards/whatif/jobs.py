"""Asking what would be: small campaigns are answered at once, others by the worker in slices. The row WhatIf is the job (ADR 3, 9)."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from campaigns.models import Campaign
from campaigns.services import check_rules
from campaigns.terms import RuleTerms
from campaigns.terms_json import terms_from_json, terms_to_json
from participants.models import QualifyingEvent
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.codes import random_text
from referrals.lib.queue import enqueue
from rewards.models import WhatIf
from rewards.whatif.plan import plan_for
from rewards.whatif.replay import Progress, Replay
from rewards.whatif.report import report_of

log = logging.getLogger(__name__)
TASK = "rewards.whatif.jobs.carry_on"
# With at most so many events the answer is there before a page would be.
SMALL = 2000
SECONDS = 45.0
# Longer than a task may take (settings.Q_CLUSTER), so that no two workers are ever at it.
LEASE = timedelta(seconds=150)
MOST_ATTEMPTS = 3
KEPT = timedelta(days=7)


def ask(*, campaign: Campaign, rules: Sequence[RuleTerms], actor: Actor, revision: int | None = None) -> WhatIf:
    """What would differ under these rules. Done when the campaign is small, else queued; asked twice at once, it is the same row.

    An earlier question of the same person about the campaign that is still open is cancelled. Raises Refused and TermsError for rules
    that could not be published. `revision` of the campaign is what the editor showed; publishing from here refuses another one.
    """
    check_rules(campaign, rules)
    data = [terms_to_json(terms) for terms in rules]
    text = json.dumps([campaign.version_id, data], sort_keys=True)
    digest, who = hashlib.sha256(text.encode()).hexdigest(), f"{actor.kind}:{actor.ref}"[:320]
    events = QualifyingEvent.objects.filter(campaign=campaign).count()
    with transaction.atomic():
        mine = WhatIf.objects.filter(campaign=campaign, asked_by=who, state__in=WhatIf.OPEN)
        mine.exclude(digest=digest).update(state="cancelled", owner="", work={}, finished_at=clock.wall())
        try:
            with transaction.atomic():
                row = WhatIf.objects.create(
                    merchant=campaign.merchant,
                    is_test=campaign.is_test,
                    campaign=campaign,
                    rules=data,
                    digest=digest,
                    revision=campaign.revision if revision is None else revision,
                    asked_by=who,
                    events=events,
                )
        except IntegrityError:
            return mine.get(digest=digest)
        if events > SMALL:
            enqueue(TASK, row.pk)
    if events <= SMALL:
        carry_on(row.pk, None)
        row.refresh_from_db()
    return row


def cancel(what_if: WhatIf) -> bool:
    """Stop a question that is still open; its worker notices at its next read. False when it was over."""
    rows = WhatIf.objects.filter(pk=what_if.pk, state__in=WhatIf.OPEN)
    return bool(rows.update(state="cancelled", owner="", work={}, finished_at=clock.wall()))


def rules_of(what_if: WhatIf) -> list[RuleTerms]:
    """The rules that were asked about."""
    currency = what_if.campaign.currency
    return [terms_from_json(rule, currency, at=f"rules[{number}]") for number, rule in enumerate(what_if.rules)]


def carry_on(what_if_id: int, seconds: float | None = SECONDS) -> bool:
    """For the worker: a slice of the work. True when it is over, or somebody else has it.

    The attempt is counted before it starts, so that a question that kills its worker comes to an end too.
    """
    owner = random_text(22)
    free = WhatIf.objects.filter(pk=what_if_id).filter(Q(state="queued") | Q(state="running", leased_until__lt=Now()))
    claimed = free.update(state="running", owner=owner, leased_until=Now() + LEASE, attempts=F("attempts") + 1)
    if not claimed:
        return True
    row = WhatIf.objects.select_related("campaign__merchant", "campaign__version").get(pk=what_if_id)
    if row.attempts > MOST_ATTEMPTS:
        _update(row, owner, state="failed", work={}, finished_at=clock.wall())
        return True
    try:
        return _slice(row, owner, seconds)
    except Exception:
        if seconds is None:
            raise
        log.exception("what-if %s broke off", row.public_id)
        _update(row, owner, state="queued", owner="", leased_until=None)
        return False


def _slice(row: WhatIf, owner: str, seconds: float | None) -> bool:
    plan = plan_for(row.campaign, rules_of(row))
    replay = Replay(row.campaign, plan, Progress.load(row.work))

    def told() -> bool:
        return _update(row, owner, events_done=replay.progress.events, leased_until=Now() + LEASE)

    if replay.go_on(seconds, told):
        result = report_of(row.campaign, plan, replay.progress.differences)
        _update(
            row, owner, state="done", result=result, work={}, events_done=row.events, owner="", finished_at=clock.wall()
        )
        return True
    with transaction.atomic():
        if _update(row, owner, state="queued", work=replay.progress.dump(), attempts=0, owner="", leased_until=None):
            enqueue(TASK, row.pk)
            return False
    return True


def _update(row: WhatIf, holder: str, **values: Any) -> bool:
    """Change the row as long as it is ours; False when it was cancelled or another worker has it."""
    return bool(WhatIf.objects.filter(pk=row.pk, owner=holder, state="running").update(**values))


def sweep() -> int:
    """For the schedule: questions whose nudge or worker was lost go on. Returns how many there were."""
    lost = Q(state="queued", created_at__lt=Now() - timedelta(seconds=30)) | Q(state="running", leased_until__lt=Now())
    waiting = list(WhatIf.objects.filter(lost).order_by("pk").values_list("pk", flat=True)[:20])
    for pk in waiting:
        enqueue(TASK, pk)
    return len(waiting)


def forget_old() -> int:
    """For the schedule: answers are kept for seven days. Returns how many went."""
    old = WhatIf.objects.filter(created_at__lt=clock.wall() - KEPT).order_by("created_at").values_list("pk", flat=True)
    return WhatIf.objects.filter(pk__in=list(old[:1000])).delete()[0]
