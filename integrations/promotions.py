"""Promotion codes at a connected company: each participant of a campaign that asks for it gets one, with their referral code as its text.

Redeeming it attributes the referral without a cookie. save_plan() says what is wanted; look_over() makes the rows, for people who were
there before as for new ones, and finds what has to be switched off; work() makes one row true at the company. The network is never
called in a transaction.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from campaigns.link_models import OWN_CODE
from campaigns.models import Campaign
from campaigns.services import update_campaign
from integrations import registry
from integrations.accounts import account_of
from integrations.discounts import discount_of, from_json, to_json
from integrations.discounts import friend_rules as friend_rules
from integrations.models import Connection, PromotionCode, PromotionPlan
from integrations.remote import (
    LEASE,
    CodeOrder,
    Promotions,
    RemoteError,
    claim,
    promotions_of,
    put_off,
    settle,
)
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.queue import enqueue

CHUNK = 500
SWEEP_SECONDS = 45.0
# A participant's row may become visible after one with a higher key, but not so long after.
SETTLED = timedelta(seconds=60)
# What the key itself can't do is asked again so much later, for all rows of the plan at once.
_OF_THE_PLAN = frozenset(
    {
        "key_missing",
        "key_refused",
        "rights_missing",
        "coupon_missing",
        "coupon_over",
        "coupon_refused",
        "coupon_unsupported",
    }
)
logger = logging.getLogger(__name__)


def connections_for(tenant: Tenant) -> list[Connection]:
    """The tenant's connections whose company can keep promotion codes, newest first."""
    slugs = [kind.slug for kind in registry.every() if kind.promotions]
    rows = Connection.objects.for_tenant(tenant).filter(provider__in=slugs, removed_at=None).order_by("-pk")
    return list(rows[:50])


def plan_of(campaign: Campaign) -> PromotionPlan | None:
    """The campaign's plan, on or off."""
    return PromotionPlan.objects.select_related("connection").filter(campaign=campaign).first()


def save_plan(
    *,
    campaign: Campaign,
    actor: Actor,
    connection: Connection,
    chosen_coupon: str = "",
    rule_key: str = "",
    first_order_only: bool = True,
) -> PromotionPlan:
    """Give each participant a promotion code from now on, those who are there already too.

    Without `chosen_coupon` the coupon is made from the friend's reward `rule_key`; with both, the coupon stands for that reward. Raises
    Refused: promotions_unsupported, coupon_unsupported, coupon_format, rule_unknown, invalid_state (409, an ended campaign).
    """
    rules = {rule.key: rule for rule in friend_rules(campaign)}
    _check_plan(campaign, connection, chosen_coupon, rule_key, known=rule_key in rules)
    rule = rules.get(rule_key)
    discount = discount_of(rule) if rule is not None and not chosen_coupon else None
    wanted = {
        "connection": connection,
        "chosen_coupon": chosen_coupon,
        "rule_key": rule_key,
        "first_order_only": first_order_only,
        "discount": to_json(discount) if discount else {},
    }
    with transaction.atomic():
        start = {**wanted, "merchant_id": campaign.merchant_id, "is_test": campaign.is_test}
        row, created = PromotionPlan.objects.get_or_create(campaign=campaign, defaults=start)
        row = PromotionPlan.objects.select_for_update(no_key=True).select_related("campaign__merchant").get(pk=row.pk)
        differs = any(getattr(row, name) != value for name, value in wanted.items())
        changed = created or differs or not row.is_on
        if differs:
            _renew(row)
        for name, value in wanted.items():
            setattr(row, name, value)
        row.is_on, row.problem, row.said = True, "", ""
        row.looked_to, row.seen_to, row.looked_at = 0, 0, None
        row.save()
        PromotionCode.objects.filter(plan=row, state="failed").update(
            state="wanted", attempts=0, next_attempt_at=clock.wall()
        )
        if changed:
            _tell(row, actor, types.PROMOTIONS_ON)
        if not campaign.discount_code:
            # So that pages, pop-up and widgets tell visitors to enter it.
            update_campaign(campaign=campaign, actor=actor, discount_code=OWN_CODE)
        enqueue("integrations.promotions.work_on", row.pk)
    return row


def _check_plan(campaign: Campaign, connection: Connection, coupon: str, rule_key: str, *, known: bool) -> None:
    if connection.removed_at is not None or not registry.get(connection.provider).promotions:
        message = _("Promotion codes can't be made through this connection. Choose another one.")
        raise Refused("promotions_unsupported", message, field="connection")
    if coupon and not registry.get(connection.provider).has_coupons:
        message = _("Codes are made from the friend's reward in this account. Choose that instead of a coupon.")
        raise Refused("coupon_unsupported", message, field="gives")
    if campaign.status == "ended":
        raise Refused("invalid_state", _("The campaign has ended; codes can't be made any more."), status=409)
    if len(coupon) > 200 or (coupon and not (coupon.isascii() and coupon.isprintable() and " " not in coupon)):
        message = _("A coupon's id has letters, digits and signs without spaces, at most 200. Copy it whole.")
        raise Refused("coupon_format", message, field="chosen_coupon")
    if (rule_key and not known) or not (rule_key or coupon):
        message = _("Choose the friend's reward that the code gives, or enter the id of a coupon.")
        raise Refused("rule_unknown", message, field="rule_key")


def turn_off(*, campaign: Campaign, actor: Actor) -> PromotionPlan | None:
    """Make no more codes, and switch off those there are. Who redeemed one keeps what it gave."""
    with transaction.atomic():
        rows = PromotionPlan.objects.select_for_update(no_key=True).select_related("campaign__merchant")
        row = rows.filter(campaign=campaign, is_on=True).first()
        if row is None:
            return None
        row.is_on, row.problem, row.said = False, "", ""
        row.save(update_fields=["is_on", "problem", "said"])
        _tell(row, actor, types.PROMOTIONS_OFF)
        if campaign.shows_own_code:
            update_campaign(campaign=campaign, actor=actor, discount_code="")
        enqueue("integrations.promotions.work_on", row.pk)
    return row


def try_again(*, campaign: Campaign) -> int:
    """Have what failed or waits tried at once; how many codes. Nothing of the merchant's changes, so nothing is recorded."""
    now = clock.wall()
    with transaction.atomic():
        plan = PromotionPlan.objects.filter(campaign=campaign).first()
        if plan is None:
            return 0
        PromotionPlan.objects.filter(pk=plan.pk).update(problem="", said="")
        codes = PromotionCode.objects.filter(plan=plan)
        count = codes.filter(state="failed").update(state="wanted", attempts=0, next_attempt_at=now, problem="")
        count += codes.filter(state__in=["wanted", "ending"]).exclude(problem="").update(next_attempt_at=now)
        enqueue("integrations.promotions.work_on", plan.pk)
    return count


def _tell(plan: PromotionPlan, actor: Actor, type_: str) -> None:
    campaign = plan.campaign
    data = {"connection": plan.connection.public_id, "coupon": plan.chosen_coupon, "rule": plan.rule_key}
    record(plan.tenant, actor, Happening(type_, "campaign", campaign.public_id, campaign=campaign.public_id, data=data))


# From a plan to rows.


def look_over(plan_id: int) -> bool:
    """Bring the rows in line with the campaign and its people, a bounded number at a time. True when there is more to look at."""
    with transaction.atomic():
        plan = (
            PromotionPlan.objects.select_for_update(no_key=True, of=("self",))
            .select_related("campaign__merchant", "connection")
            .get(pk=plan_id)
        )
        if plan.connection.removed_at is not None:
            # There is no key to do anything with any more.
            PromotionCode.objects.filter(plan=plan).exclude(state="ended").update(state="ended", next_attempt_at=None)
            return False
        if not _is_running(plan):
            _switch(PromotionCode.objects.filter(plan=plan), on=False)
            return False
        _follow_the_rules(plan)
        banned = Participant.objects.filter(campaign=plan.campaign, banned_at__isnull=False)
        _switch(PromotionCode.objects.filter(plan=plan, participant__in=banned), on=False)
        _switch(PromotionCode.objects.filter(plan=plan, participant__banned_at=None), on=True)
        return _add_people(plan)


def _is_running(plan: PromotionPlan) -> bool:
    """Whether codes should work: asked for, connected, and the campaign not over. A pause switches none off: it ends again."""
    over = plan.campaign.closed_reason(clock.now()) == "campaign_ended"
    return plan.is_on and not over and plan.connection.removed_at is None


def _switch(codes: QuerySet[PromotionCode], *, on: bool) -> None:
    fresh = {"attempts": 0, "next_attempt_at": clock.wall(), "problem": "", "said": ""}
    if on:
        codes.filter(state__in=["ending", "ended"]).update(state="wanted", **fresh)
        return
    codes.filter(state="active").update(state="ending", **fresh)
    # One that was tried may be there, although no answer said so; or the answer is on its way, so it is looked for later.
    tried = codes.filter(state="wanted").exclude(attempts=0, remote_id="")
    tried.update(state="ending", **{**fresh, "next_attempt_at": clock.wall() + LEASE})
    codes.filter(state__in=["wanted", "failed"]).update(state="ended", next_attempt_at=None)


def _follow_the_rules(plan: PromotionPlan) -> None:
    """A coupon that is made from the friend's reward follows it: another discount is another coupon."""
    if plan.chosen_coupon:
        return
    rule = next((rule for rule in friend_rules(plan.campaign) if rule.key == plan.rule_key), None)
    discount = discount_of(rule) if rule else None
    if discount is None:
        # The codes go on with the old discount until the merchant says what is to be.
        if plan.problem != "reward_missing":
            plan.problem, plan.said = "reward_missing", ""
            plan.save(update_fields=["problem", "said"])
    elif to_json(discount) != plan.discount:
        plan.discount, plan.problem, plan.said = to_json(discount), "", ""
        _renew(plan)
        plan.save(update_fields=["discount", "coupon", "problem", "said", "revision"])
    elif plan.problem == "reward_missing":
        plan.problem = ""
        plan.save(update_fields=["problem"])


def _renew(plan: PromotionPlan) -> None:
    """Every code is made anew, for another coupon or under other conditions: a promotion code's can't be changed."""
    plan.revision += 1
    plan.coupon = ""
    working = PromotionCode.objects.filter(plan=plan, state="active")
    working.update(state="wanted", attempts=0, next_attempt_at=clock.wall())


def _add_people(plan: PromotionPlan) -> bool:
    """A row for each participant who has none, in the order of their keys."""
    now = clock.wall()
    if plan.looked_at is None or plan.looked_at < now - SETTLED:
        # Where the last look came to: what was being written then is to be seen by now.
        plan.looked_to, plan.looked_at = plan.seen_to, now
    after = max(plan.looked_to, plan.seen_to)
    people = _people(plan, after) or (_people(plan, plan.looked_to) if after != plan.looked_to else [])
    rows = [
        PromotionCode(
            merchant_id=plan.merchant_id, is_test=plan.is_test, plan=plan, participant_id=pk, code=code,
            next_attempt_at=now,
        )
        for pk, code in people
    ]  # fmt: skip
    PromotionCode.objects.bulk_create(rows, ignore_conflicts=True)
    plan.seen_to = max([plan.seen_to, *(pk for pk, _code in people)])
    plan.save(update_fields=["looked_to", "seen_to", "looked_at"])
    return len(people) == CHUNK


def _people(plan: PromotionPlan, after: int) -> list[tuple[int, str]]:
    rows = Participant.objects.filter(campaign=plan.campaign, pk__gt=after, banned_at=None).order_by("pk")
    return list(rows.values_list("pk", "referral_code")[:CHUNK])


# From rows to the company.


def work_on(plan_id: int) -> None:
    """For the worker, at once after a change: look the plan over and make what is due, for as long as a sweep takes."""
    end = time.monotonic() + SWEEP_SECONDS
    while look_over(plan_id) and time.monotonic() < end:
        pass
    _work_off(PromotionCode.objects.filter(plan_id=plan_id), end)


def sweep() -> int:
    """For the schedule: look every plan over, and make what is due. Returns how many codes were tried."""
    end = time.monotonic() + SWEEP_SECONDS
    # One look into the index for each plan: a join would read every code there is.
    open_codes = PromotionCode.objects.filter(plan=OuterRef("pk"), state__in=["wanted", "active", "ending"])
    plans = PromotionPlan.objects.filter(Q(is_on=True) | Exists(open_codes)).order_by("pk")
    for pk in list(plans.values_list("pk", flat=True)):
        while look_over(pk) and time.monotonic() < end:
            pass
    return _work_off(PromotionCode.objects.all(), end)


def _work_off(codes: QuerySet[PromotionCode], end: float) -> int:
    """Work on due rows until the time is over; of a plan that can't go on now, nothing more."""
    stuck: set[int] = set()
    tried = 0
    due = codes.filter(next_attempt_at__lte=clock.wall()).order_by("next_attempt_at", "pk")
    for pk, plan_id in list(due.values_list("pk", "plan_id")[:5000]):
        if time.monotonic() > end:
            break
        if plan_id in stuck:
            continue
        tried += 1
        if not work(pk):
            stuck.add(plan_id)
    return tried


def work(code_id: int) -> bool:
    """Make one row true at the company. False when its plan can't go on now."""
    row = claim(PromotionCode, code_id)
    if row is None:
        return True
    plan = PromotionPlan.objects.select_related("campaign__merchant", "connection").get(pk=row.plan_id)
    try:
        at = promotions_of(plan.connection.provider, account_of(plan.connection))
        if row.state == "ending":
            _end(row, at)
        else:
            _make(row, plan, _coupon(plan, at), at)
    except RemoteError as error:
        return _failed(row, plan, error)
    if plan.problem and plan.problem != "reward_missing":
        PromotionPlan.objects.filter(pk=plan.pk, problem=plan.problem).update(problem="", said="")
    return True


def _coupon(plan: PromotionPlan, at: Promotions) -> str:
    """The coupon of the plan, made or looked up when it is first needed."""
    if plan.coupon:
        return plan.coupon
    coupon = plan.chosen_coupon or coupon_id(plan)
    try:
        if plan.chosen_coupon:
            at.check_coupon(coupon)
        else:
            at.make_coupon(coupon, plan.campaign.name, from_json(plan.discount))
    except RemoteError as error:
        # Without a coupon there is no code: this is never about the one that happens to be in turn.
        problem = "coupon_refused" if error.problem == "refused" else error.problem
        raise RemoteError(problem, str(error), retry=error.retry, answered=error.answered) from error
    PromotionPlan.objects.filter(pk=plan.pk, revision=plan.revision).update(coupon=coupon)
    return coupon


def coupon_id(plan: PromotionPlan) -> str:
    """Our own id for the coupon, so that it can't be made twice; one for each discount."""
    return f"passalong-{plan.campaign.public_id}-{plan.revision}"


def _order(row: PromotionCode, plan: PromotionPlan, coupon: str) -> CodeOrder:
    discount = from_json(plan.discount)
    key = _request_key(row, plan)
    return CodeOrder(
        row.code, coupon, row.public_id, key, plan.revision, discount.minimum, plan.first_order_only, discount
    )


def _request_key(row: PromotionCode, plan: PromotionPlan) -> str:
    """The name of the request, the same for every try of one revision."""
    return f"{row.request_key}-{plan.revision}"


def _make(row: PromotionCode, plan: PromotionPlan, coupon: str, at: Promotions) -> None:
    """Make the code, or find that it was made by a try that heard no answer; one of a former coupon is switched off first."""
    if row.remote_id and row.revision == plan.revision:
        at.switch(row.remote_id, on=True)
        settle(row, state="active")
        return
    if row.remote_id:
        at.switch(row.remote_id, on=False)
    order = _order(row, plan, coupon)
    remote_id = at.find_code(order) if row.attempts > 1 else ""
    remote_id = remote_id or at.make_code(order)
    settle(row, state="active", remote_id=remote_id, revision=plan.revision)


def _end(row: PromotionCode, at: Promotions) -> None:
    remote_id = row.remote_id or at.find_code(CodeOrder(row.code, "", row.public_id, row.request_key))
    if remote_id:
        at.switch(remote_id, on=False)
    settle(row, state="ended", remote_id=remote_id)


def _failed(row: PromotionCode, plan: PromotionPlan, error: RemoteError) -> bool:
    """What is wrong with the account stops the whole plan for a while; what is wrong with one code is said on it."""
    logger.info("promotion code %s: %s", row.public_id, error.problem)
    if error.problem in _OF_THE_PLAN:
        put_off(row, error, attempts=row.attempts - 1)
        PromotionPlan.objects.filter(pk=plan.pk).update(problem=error.problem, said=str(error)[:300])
        return False
    if error.retry:
        changes = {"request_key": PromotionCode().request_key} if error.answered else {}
        put_off(row, error, **changes)
        return False
    settle(row, state="failed", problem=error.problem, said=str(error)[:300])
    return True


def drop(connection: Connection) -> bool:
    """Before a connection's key is forgotten: delete our coupons there, with which all their codes stop. False when codes go on working."""
    done = True
    for plan in PromotionPlan.objects.filter(connection=connection).exclude(coupon="").order_by("pk"):
        working = PromotionCode.objects.filter(plan=plan, state__in=["active", "ending"]).exists()
        if plan.chosen_coupon:
            done = done and not working
            continue
        try:
            promotions_of(connection.provider, account_of(connection)).drop_coupon(plan.coupon)
        except RemoteError as error:
            logger.info("coupon %s stays: %s", plan.coupon, error.problem)
            done = False
    return done


# What a redeemed code says.


def whose(tenant: Tenant, texts: Sequence[str]) -> dict[str, Participant]:
    """Whose codes these redeemed texts are, in any case of their letters: buyers type them. What two people have is nobody's. One query."""
    low = {text.lower(): text for text in texts}
    rows = PromotionCode.objects.for_tenant(tenant).annotate(low=Lower("code")).filter(low__in=low, revision__gt=0)
    rows = rows.exclude(plan__campaign__status="draft").select_related("participant__campaign__merchant").order_by("pk")
    found: dict[str, set[Participant]] = {}
    for row in rows:
        found.setdefault(low[row.code.lower()], set()).add(row.participant)
    return {text: next(iter(people)) for text, people in found.items() if len(people) == 1}


def known_texts(tenant: Tenant, remote_ids: Sequence[str]) -> dict[str, str]:
    """The texts of those of the company's ids that we made, so that it need not be asked. One query, none without ids."""
    if not remote_ids:
        return {}
    rows = PromotionCode.objects.for_tenant(tenant).filter(remote_id__in=remote_ids)
    return dict(rows.values_list("remote_id", "code"))


def reward_given(campaign: Campaign, texts: Sequence[str]) -> str:
    """The key of the friend's reward that one of these redeemed codes of the campaign stands for; "" when it is none of ours."""
    if not texts:
        return ""
    rows = PromotionCode.objects.annotate(low=Lower("code")).filter(low__in=[text.lower() for text in texts])
    rows = rows.filter(plan__campaign=campaign, merchant=campaign.merchant_id, is_test=campaign.is_test, revision__gt=0)
    return rows.values_list("plan__rule_key", flat=True).first() or ""


def code_of(participant: Participant) -> str:
    """The code that friends of this participant can type at the checkout; "" when there is none that works."""
    rows = PromotionCode.objects.filter(participant=participant, state="active", plan__is_on=True)
    return rows.values_list("code", flat=True).first() or ""
