"""Lists of customers to invite: looked at first, then sent when a person says so, with a pause and a stop (docs/invitations.md).

Every step is a row's state and can be interrupted anywhere (ADR 3): the lines of a chunk and how far the file is read are one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from itertools import islice

from django.db import transaction
from django.db.models import Count, OuterRef, Subquery
from django.utils.translation import gettext as _

from campaigns.mails import mail_setting
from campaigns.models import Campaign
from participants import invite_files, invites
from participants.invite_files import Person, WrongCell
from participants.models import Invite, InviteLine, InviteList
from participants.services import closed_message
from referrals.accounts import clocks
from referrals.events import types
from referrals.events.services import SYSTEM, Actor, Happening, record
from referrals.lib import clock, queue
from referrals.lib.errors import Refused

# Files up to this size are worked through at once; larger ones by the worker, with progress.
AT_ONCE = 1000
CHUNK = 1000
KEPT_WRONG = 1000
# A list that nobody sent is forgotten after so long, with everybody on it.
KEPT = timedelta(days=7)
_JOB = "participants.invite_lists.work"


def start(*, campaign: Campaign, name: str, data: bytes, everyone_agreed: bool, actor: Actor) -> InviteList:
    """Take a file and look at it. Refused: file_empty, file_too_large, file_unreadable, too_many_rows, column; nothing is kept then."""
    columns, count = invite_files.check_file(data)
    with transaction.atomic():
        row = InviteList.objects.create(
            merchant_id=campaign.merchant_id,
            is_test=campaign.is_test,
            campaign=campaign,
            name=" ".join("".join(c if c.isprintable() else " " for c in name).split())[:120] or "customers.csv",
            data=data,
            columns=asdict(columns),
            everyone_agreed=everyone_agreed,
            rows=count,
            actor=[actor.kind, actor.ref, actor.label],
        )
        if count > AT_ONCE:
            queue.enqueue(_JOB, row.pk)
    return _done_at_once(row)


def confirm(*, row: InviteList, actor: Actor) -> InviteList:
    """Send a list that was looked at; pressed twice it is sent once.

    Refused: invalid_state (409), mail_off (409), nobody_left (409), campaign_not_started|paused|ended.
    """
    row = fresh(row)
    campaign = row.campaign
    if reason := campaign.closed_reason(clock.now()):
        raise Refused(reason, closed_message(campaign, reason))
    if not mail_setting(campaign, invites.KIND).is_on:
        message = _("The mail “Invitation to customers” is switched off. Switch it on under Mails first.")
        raise Refused("mail_off", message, status=409)
    count = row.lines.filter(reason="").count()
    if row.state == "checked" and not count:
        raise Refused("nobody_left", _("Nobody on this list can be invited."), status=409)
    with transaction.atomic():
        if not _move(row, {"checked"}, "preparing", confirmed_at=clock.wall()):
            row = fresh(row)
            if row.confirmed_at is None:
                raise elsewhere()
            return row
        data = {"list": row.name, "count": count, "consent": "all" if row.everyone_agreed else "column"}
        _tell(row, actor, types.INVITES_STARTED, data)
        queue.enqueue(_JOB, row.pk)
    return _done_at_once(fresh(row))


def pause(*, row: InviteList, actor: Actor) -> None:
    """No mail leaves until resume(). Refused `invalid_state` unless it is being sent."""
    _change(row, {"sending"}, "paused", actor)


def resume(*, row: InviteList, actor: Actor) -> None:
    """Go on where it was paused. Refused `invalid_state`."""
    _change(row, {"paused"}, "sending", actor)


def stop(*, row: InviteList, actor: Actor) -> None:
    """Whoever has not got the mail by now gets none. Refused `invalid_state`."""
    with transaction.atomic():
        _change(row, {"preparing", "sending", "paused"}, "stopped", actor, finished_at=clock.wall())
        waiting = Invite.objects.filter(list=row, state="queued")
        waiting.update(state="left_out", reason="list_stopped", next_attempt_at=None)
        InviteLine.objects.filter(list=row, reason="", invite=None).update(reason="list_stopped")


def drop(*, row: InviteList) -> None:
    """Throw a list away that was not sent, with everybody on it. Refused `invalid_state`."""
    with transaction.atomic():
        if not _move(row, {"checking", "checked"}, "dropped", data=None, wrong_rows=[], finished_at=clock.wall()):
            raise elsewhere()
        InviteLine.objects.filter(list=row).delete()


def counts(row: InviteList) -> dict[str, int]:
    """How many readable lines have which reason; "" are those who get the mail."""
    found = row.lines.order_by().values_list("reason").annotate(Count("pk"))
    return dict(found)


def work(list_id: int) -> None:
    """What the worker does with a list; again from where it stood when it was interrupted. Nothing for one that is done."""
    row = InviteList.objects.select_related("campaign__merchant", "merchant").filter(pk=list_id).first()
    if row is None:
        return
    with clocks.running(row.tenant):
        if row.state == "checking":
            _check(row)
        elif row.state == "preparing":
            _prepare(row)


def work_all() -> int:
    """What the schedule does: lists that a lost nudge left behind, those that are sent, and those that nobody sent. How many."""
    open_ = InviteList.objects.filter(state__in=["checking", "preparing"]).order_by("pk")
    waiting = list(open_.values_list("pk", flat=True)[:20])
    for pk in waiting:
        work(pk)
    sending = InviteList.objects.filter(state="sending").select_related("campaign", "merchant").order_by("pk")
    ended = sum(_finish(row) for row in sending[:200])
    old = InviteList.objects.filter(state="checked", created_at__lt=clock.wall() - KEPT).order_by("pk")[:20]
    for row in old:
        drop(row=row)
    return len(waiting) + ended


def fresh(row: InviteList) -> InviteList:
    """The row as it is now."""
    return InviteList.objects.select_related("campaign__merchant", "merchant").get(pk=row.pk)


def elsewhere() -> Refused:
    """Somebody else has done something with the list meanwhile."""
    return Refused("invalid_state", _("This list is being worked on, or done. Reload the page."), status=409)


def _move(row: InviteList, sources: set[str], to: str, **changes: object) -> bool:
    return bool(InviteList.objects.filter(pk=row.pk, state__in=sources).update(state=to, **changes))


def _change(row: InviteList, sources: set[str], to: str, actor: Actor, **changes: object) -> None:
    with transaction.atomic():
        if not _move(row, sources, to, **changes):
            raise elsewhere()
        _tell(row, actor, types.INVITES_CHANGED, {"list": row.name, "state": to})


def _tell(row: InviteList, actor: Actor, type_: str, data: dict[str, object]) -> None:
    campaign = row.campaign.public_id
    record(row.tenant, actor, Happening(type_, "campaign", campaign, campaign=campaign, data=data))


def _done_at_once(row: InviteList) -> InviteList:
    if row.rows <= AT_ONCE:
        work(row.pk)
    return fresh(row)


def _check(row: InviteList) -> None:
    """Read the file from where it stood, a chunk a transaction; the file itself goes at the end."""
    items = invite_files.read(row, skip=row.position)
    wrong_rows = list(row.wrong_rows)
    position, wrong_count = row.position, row.wrong
    while chunk := list(islice(items, CHUNK)):
        people = [item for item in chunk if isinstance(item, Person)]
        wrong = [item for item in chunk if isinstance(item, WrongCell)]
        wrong_rows = (wrong_rows + [[one.line, one.column, one.value, one.reason] for one in wrong])[:KEPT_WRONG]
        wrong_count += len(wrong)
        with transaction.atomic():
            changes = {"position": position + len(chunk), "wrong": wrong_count, "wrong_rows": wrong_rows}
            rows = InviteList.objects.filter(pk=row.pk, state="checking", position=position)
            if not rows.update(**changes):
                return  # dropped, or another worker is at it
            InviteLine.objects.bulk_create(_lines(row, people))
        position += len(chunk)
    _move(row, {"checking"}, "checked", data=None)


def _lines(row: InviteList, people: Sequence[Person]) -> list[InviteLine]:
    keys = {person.email.key for person in people}
    seen = set(InviteLine.objects.filter(list=row, email_key__in=keys).values_list("email_key", flat=True))
    reasons = invites.left_out(row.campaign, keys)
    lines = []
    for person in people:
        key = person.email.key
        agreed = person.consent is not False if row.everyone_agreed else person.consent is True
        reason = "duplicate" if key in seen else reasons.get(key, "") if agreed else "no_consent"
        seen.add(key)
        lines.append(
            InviteLine(
                list=row, number=person.line, email=person.email.address, email_key=key, name=person.name, reason=reason
            )
        )
    return lines


def _prepare(row: InviteList) -> None:
    """Give everybody on the list their invitation with its link, a chunk a transaction; then the sender may have them."""
    while True:
        with transaction.atomic():
            # Against a stop in between: whoever comes second sees what the first has done.
            if not InviteList.objects.select_for_update().filter(pk=row.pk, state="preparing").exists():
                return
            lines = list(row.lines.filter(reason="", invite=None).order_by("number")[:CHUNK])
            if not lines:
                _move(row, {"preparing"}, "sending")
                break
            _prepare_chunk(row, lines)
    _finish(row)


def _prepare_chunk(row: InviteList, lines: Sequence[InviteLine]) -> None:
    reasons = invites.left_out(row.campaign, {line.email_key for line in lines})
    now = clock.wall()
    rows = invites.add(
        row.campaign,
        [
            Invite(
                merchant_id=row.merchant_id,
                is_test=row.is_test,
                campaign=row.campaign,
                email=line.email,
                email_key=line.email_key,
                name=line.name,
                source="list",
                list=row,
                state="queued",
                next_attempt_at=now,
            )
            for line in lines
            if line.email_key not in reasons
        ],
    )
    # Who has a link already, and never got a mail.
    ready = [one.pk for one in rows.values() if one.state == "ready"]
    took = Invite.objects.filter(pk__in=ready, state="ready").update(state="queued", list=row, next_attempt_at=now)
    if took:
        rows |= {one.email_key: one for one in Invite.objects.filter(pk__in=ready)}
    outcome: dict[str, list[int]] = {}
    for line in lines:
        found = rows.get(line.email_key)
        mine = found is not None and found.list_id == row.pk
        reason = "" if mine else "invited_before" if found is not None else reasons[line.email_key]
        outcome.setdefault(reason, []).append(line.pk)
    own = Invite.objects.filter(campaign=row.campaign_id, email_key=OuterRef("email_key")).values("pk")
    InviteLine.objects.filter(pk__in=outcome.pop("", [])).update(invite=Subquery(own[:1]))
    for reason, keys in outcome.items():
        InviteLine.objects.filter(pk__in=keys).update(reason=reason)


def _finish(row: InviteList) -> bool:
    """Close a list of which nothing waits any more; whether it was closed now."""
    if Invite.objects.filter(list=row, state="queued").exists():
        return False
    with transaction.atomic():
        if not _move(row, {"sending"}, "done", finished_at=clock.wall()):
            return False
        sent = Invite.objects.filter(list=row, state="sent").count()
        _tell(row, SYSTEM, types.INVITES_DONE, {"list": row.name, "count": sent})
    return True
