"""Who brought them: the order of precedence of PRODUCT.md, "Attribution" (docs/attribution.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from operator import attrgetter
from typing import Any

from django.db.models import Count, Max, Min, Q
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from campaigns.splits import SPLITTING
from participants.attribution_models import weigh
from participants.codes import find_by_code
from participants.models import Participant, Visit
from referrals.lib import clock
from referrals.lib.emails import Email, EmailError, parse_email
from referrals.lib.errors import Refused

ALREADY_REFERRED = "already_referred"
EXPIRED = "attribution_expired"
# More different people's links than anybody opens before joining; the rest is not told.
MOST_CLICKED = 50


@dataclass(frozen=True, slots=True)
class Claim:
    """What a join says of who sent it.

    `code` and `email` are given outright, `promotion_code` stands on an order. `link_code` is that of the page they join on,
    `cookie_code` what the browser's signed cookie says, and `visitor` the cookie's id, under which the visits are kept.
    """

    code: str = ""
    promotion_code: str = ""
    email: str = ""
    cookie_code: str = ""
    visitor: str = ""
    link_code: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nobody is named at all."""
        return not (
            self.code or self.promotion_code or self.email or self.cookie_code or self.link_code or self.visitor
        )


@dataclass(frozen=True, slots=True)
class Found:
    """The referrer, how we know (Referral.HOW), and the visit that led here if there was one.

    Where several share the friend, `shares` says who gets which part of the whole, in the order of their first clicks, by which `model`.
    """

    referrer: Participant
    how: str
    visit_id: int | None = None
    shares: tuple[tuple[Participant, Fraction], ...] = ()
    model: str = ""

    @property
    def people(self) -> frozenset[int]:
        """The primary keys of all who get something."""
        return frozenset([self.referrer.pk, *(person.pk for person, _share in self.shares)])


@dataclass(frozen=True, slots=True)
class Lost:
    """Somebody whose link was opened, too, and why it does not count: `already_referred` or `attribution_expired`."""

    referrer: Participant
    reason: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """Whose the person is, if anybody's, and who else had a claim."""

    found: Found | None
    lost: tuple[Lost, ...] = ()

    @property
    def is_expired(self) -> bool:
        """Whether the person would be somebody's if they had come in time."""
        return self.found is None and any(lost.reason == EXPIRED for lost in self.lost)


@dataclass(frozen=True, slots=True)
class _Clicks:
    """One referrer's link as a visitor opened it: all in all, and within the window (None: not in it)."""

    referrer: Participant
    first: tuple[datetime, int] | None
    last: tuple[datetime, int] | None
    times: int = 0


def resolve(campaign: Campaign, invitee: Email, claim: Claim) -> Resolved:
    """The referrer whom `claim` names, by precedence: code, promotion code, address, then the links that were opened.

    A code or address given outright must be right: Refused `code_not_found` or `referrer_not_found` (404) names it, and
    `self_referral` refuses oneself. An opened link is only a memory: when it does not fit, it is passed over.
    """
    clicks = _clicks(campaign, invitee, claim.visitor)
    found = _named(campaign, invitee, claim) or _by_link(campaign, invitee, claim, clicks)
    lost = []
    for row in clicks:
        if found is None or row.referrer.pk not in found.people:
            lost.append(Lost(row.referrer, EXPIRED if row.first is None else ALREADY_REFERRED))
    return Resolved(found, tuple(lost))


def _named(campaign: Campaign, invitee: Email, claim: Claim) -> Found | None:
    if claim.code:
        referrer = find_by_code(campaign, claim.code)
        if referrer is None:
            message = _("No referral code %(code)s in the campaign %(campaign)s.")
            raise Refused(
                "code_not_found", message % {"code": claim.code[:40], "campaign": campaign.public_id},
                field="referredByCode", status=404,
            )  # fmt: skip
        return Found(_not_oneself(referrer, invitee), "code", _visit(campaign, referrer, claim.visitor))
    if claim.promotion_code:
        referrer = find_by_code(campaign, claim.promotion_code)
        if referrer is not None:
            return Found(_not_oneself(referrer, invitee), "promotion_code")
    if claim.email:
        return Found(_not_oneself(_by_email(campaign, claim.email), invitee), "email")
    return None


def _by_link(campaign: Campaign, invitee: Email, claim: Claim, clicks: list[_Clicks]) -> Found | None:
    """The first or the last opened link within the window, by the visits that are kept.

    Where none is kept of this visitor, the signed cookie's word and the page they stand on have to do.
    """
    inside = [row for row in clicks if row.first is not None]
    if len(inside) > 1 and campaign.attribution_model in SPLITTING:
        return _shared(campaign, claim, inside)
    if inside:
        last_click = campaign.attribution_model == "last_click"
        row = max(inside, key=attrgetter("last")) if last_click else min(inside, key=attrgetter("first"))
        how = "code" if row.referrer.referral_code == claim.link_code else "cookie"
        return Found(row.referrer, how, _visit(campaign, row.referrer, claim.visitor))
    remembered = [(claim.link_code, "code")] if clicks else [(claim.cookie_code, "cookie"), (claim.link_code, "code")]
    for code, how in remembered:
        referrer = find_by_code(campaign, code) if code else None
        if referrer is not None and referrer.identity_key != invitee.identity:
            return Found(
                referrer, "code" if code == claim.link_code else how, _visit(campaign, referrer, claim.visitor)
            )
    return None


def _shared(campaign: Campaign, claim: Claim, inside: list[_Clicks]) -> Found:
    """Everybody whose link was opened within the window, by the campaign's model.

    Where one name has to stand for them (lists, version 1, the fraud check) it is the one with the largest part; of equal ones the
    one who was first, who brought the friend.
    """
    ordered = sorted(inside, key=attrgetter("first"))
    last = max(inside, key=attrgetter("last")).referrer
    people = {row.referrer.pk: row.referrer for row in ordered}
    parts = weigh({row.referrer.pk: row.times for row in ordered}, last.pk, campaign.attribution_model)
    primary = people[max(parts, key=lambda key: parts[key])]
    how = "code" if primary.referral_code == claim.link_code else "cookie"
    shares = tuple((people[key], part) for key, part in parts.items())
    return Found(primary, how, _visit(campaign, primary, claim.visitor), shares, campaign.attribution_model)


def _clicks(campaign: Campaign, invitee: Email, visitor: str) -> list[_Clicks]:
    """Whose links this visitor opened, one row for each person; one's own link is passed over."""
    if not visitor:
        return []
    inside = Q(occurred_at__gte=window_start(campaign))
    rows = (
        Visit.objects.filter(visitor=visitor, campaign=campaign, hidden_reason="")
        .values("referrer_id")
        .annotate(
            first=Min("occurred_at", filter=inside),
            first_id=Min("pk", filter=inside),
            last=Max("occurred_at", filter=inside),
            last_id=Max("pk", filter=inside),
            times=Count("pk", filter=inside),
        )
        .order_by("referrer_id")[:MOST_CLICKED]
    )
    times = {row["referrer_id"]: row for row in rows}
    people = Participant.objects.filter(pk__in=times).order_by("pk") if times else ()
    return [
        _Clicks(person, *_ends(times[person.pk]), times[person.pk]["times"])
        for person in people
        if person.identity_key != invitee.identity
    ]


def _ends(row: Any) -> tuple[tuple[datetime, int] | None, tuple[datetime, int] | None]:
    if row["first"] is None:
        return None, None
    return (row["first"], row["first_id"]), (row["last"], row["last_id"])


def window_start(campaign: Campaign) -> datetime:
    """The earliest moment at which a visit still counts now: the window's very last second is inside."""
    return clock.now() - timedelta(days=campaign.window_days)


def _by_email(campaign: Campaign, email: str) -> Participant:
    try:
        key = parse_email(email).key
    except EmailError as error:
        raise Refused("email_invalid", str(error), field="referredByEmail") from error
    referrer = Participant.objects.filter(campaign=campaign, email_key=key).first()
    if referrer is None:
        message = _("No participant %(email)s in the campaign %(campaign)s.")
        raise Refused(
            "referrer_not_found", message % {"email": email[:80], "campaign": campaign.public_id},
            field="referredByEmail", status=404,
        )  # fmt: skip
    return referrer


def _not_oneself(referrer: Participant, invitee: Email) -> Participant:
    if referrer.identity_key == invitee.identity:
        raise Refused(
            "self_referral",
            _("Nobody can refer themselves: this code belongs to the same person."),
            field="referredByCode",
        )
    return referrer


def _visit(campaign: Campaign, referrer: Participant, visitor: str) -> int | None:
    """The visitor's visit on this referrer's link that counts: the first within the window, or the last."""
    if not visitor:
        return None
    order = "-" if campaign.attribution_model == "last_click" else ""
    return (
        Visit.objects.filter(
            visitor=visitor,
            campaign=campaign,
            referrer=referrer,
            hidden_reason="",
            occurred_at__gte=window_start(campaign),
        )
        .order_by(f"{order}occurred_at", f"{order}pk")
        .values_list("pk", flat=True)
        .first()
    )


def claimant(campaign: Campaign, claim: Claim) -> Participant | None:
    """Whom a claim names first, without judging it: for telling a second referrer why they came too late."""
    for code in (claim.code, claim.promotion_code):
        if code and (found := find_by_code(campaign, code)) is not None:
            return found
    if claim.email:
        try:
            return _by_email(campaign, claim.email)
        except Refused:
            return None
    code = claim.link_code or claim.cookie_code
    return find_by_code(campaign, code) if code else None
