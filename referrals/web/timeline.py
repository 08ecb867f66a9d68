"""History in words: what happened, by whom, when; for a person's page and a campaign's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from campaigns.models import CampaignText, Status
from campaigns.terms import Units
from participants.fraud.models import FraudAction
from participants.fraud.scoring import level_label
from participants.models import Participant, Referral
from referrals.events import types
from referrals.events.models import Event
from referrals.lib.money import Money, MoneyError
from rewards.reasons import REASONS, reason_sentence


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a timeline: `tone` is a stage's name for the colour, or empty."""

    icon: str
    tone: str
    text: str
    by: str
    at: datetime
    url: str = ""


ACTORS = {
    "system": lazy("Passalong"),
    "participant": lazy("The participant"),
    "visitor": lazy("The participant"),
}
SOURCES = {
    "form": lazy("on the campaign's page"),
    "hosted": lazy("on the campaign's page"),
    "script": lazy("by the script on the merchant's page"),
    "widget": lazy("in the widget on the merchant's page"),
    "api": lazy("through the API"),
    "manual": lazy("added by hand"),
    "import": lazy("from a file"),
    "invite": lazy("by an invitation"),
    "simulation": lazy("simulated"),
}
STATUS_TEXTS = {
    Status.ACTIVE: lazy("Went live"),
    Status.PAUSED: lazy("Paused"),
    Status.ENDED: lazy("Ended"),
    Status.DRAFT: lazy("Back to draft"),
}
INVITE_STATES = {
    "paused": lazy("Invitations on %(list)s paused"),
    "sending": lazy("Invitations on %(list)s go on"),
    "stopped": lazy("Invitations on %(list)s stopped"),
}
FIELD_WORDS = {
    "listing": lazy("what the affiliate hub says"),
    "per_minute": lazy("how many invitations leave in a minute"),
    "after_purchase": lazy("whether buyers are invited"),
    "nth": lazy("after which purchase"),
    "minimum_minor": lazy("from which amount"),
    "days_after": lazy("days until the invitation"),
    "loop": lazy("whether captured addresses are invited"),
    "needs_consent": lazy("whether invitations need consent"),
    "mails": lazy("which mails are sent"),
    "mail_bounce": lazy("whether mail reaches the address"),
    "name": lazy("name"),
    "currency": lazy("currency"),
    "starts_at": lazy("start"),
    "ends_at": lazy("end"),
    "attribution_model": lazy("which click wins"),
    "fraud_preset": lazy("how strict the fraud check is"),
    "window_days": lazy("days that a click counts"),
    "landing_mode": lazy("where links lead"),
    "landing_url": lazy("page address"),
    "allowed_hosts": lazy("where deep links may lead"),
    "app_schemes": lazy("which apps links may open"),
    "script_origins": lazy("which pages may use the browser script"),
    "discount_code": lazy("discount code for friends"),
    "utm": lazy("UTM parameters"),
    "consent": lazy("when a cookie may be set"),
    "own_codes": lazy("whether people choose their own code"),
    "vanity_code": lazy("chosen code"),
    "link_name": lazy("name in links"),
    "asks_terms": lazy("whether the terms have to be accepted"),
    "terms_url": lazy("address of the terms"),
    "questions": lazy("questions of the join form"),
    "confirms_email": lazy("whether the address is confirmed first"),
    "host": lazy("own host name"),
    "default_language": lazy("default language"),
    "brand_color": lazy("brand colour"),
    "font": lazy("font"),
    "first_name": lazy("first name"),
    "last_name": lazy("last name"),
    "language": lazy("language"),
    "note": lazy("note"),
    "existing_customer": lazy("whether they were a customer before"),
    "logo": lazy("logo"),
    "hero": lazy("picture"),
}


def entries_of(events: Iterable[Event], *, viewpoint: str = "") -> list[Entry]:
    """Events as lines, in the given order. `viewpoint` is the public id of the person whose page it is.

    One query for the names of those between whom a friend is shared, if one is.
    """
    events = list(events)
    shared = {event.referrer_ref for event in events if event.type == types.REFERRAL_SHARED and event.referrer_ref}
    people = Participant.objects.filter(public_id__in=shared).order_by("pk") if shared else ()
    names = {person.public_id: str(person) for person in people}
    for event in events:
        if event.type == types.REFERRAL_SHARED and event.referrer_ref in names:
            event.data = {**event.data, "who": names[event.referrer_ref]}
    return [_entry(event, viewpoint) for event in events]


def visit_entry(referral: Referral) -> Entry:
    """The click that a referral came by, as a line; read the referral with its visit and referrer."""
    visit = referral.visit
    if visit is None:
        raise ValueError("The referral has no visit.")
    words = {"who": str(referral.referrer), "channel": visit.channel, "site": visit.referer}
    if visit.channel:
        text = _("Opened the link of %(who)s (%(channel)s)") % words
    elif visit.referer:
        text = _("Opened the link of %(who)s on %(site)s") % words
    else:
        text = _("Opened the link of %(who)s") % words
    return Entry("mouse-pointer-click", "", text, str(ACTORS["visitor"]), visit.occurred_at)


def _entry(event: Event, viewpoint: str) -> Entry:
    words = WORDS.get(event.type)
    if words is None:
        return Entry("circle-dot", "", event.type.replace(".", " ").replace("_", " "), _by(event), event.created_at)
    icon, tone, text = words
    said = text(event, viewpoint) if callable(text) else str(text)
    return Entry(icon, tone, said, _by(event), event.created_at)


def _by(event: Event) -> str:
    if event.actor_label:
        return event.actor_label
    return str(ACTORS.get(event.actor_kind, event.actor_kind.replace("_", " ")))


def _money(data: dict[str, Any]) -> str:
    if data.get("units") is not None:
        return str(Units(int(data["units"]), str(data.get("units_label", ""))))
    try:
        return Money(int(data["amount_minor"]), str(data["currency"])).format(get_language() or "en")
    except (KeyError, TypeError, ValueError, MoneyError):
        return ""


def _joined(event: Event, _viewpoint: str) -> str:
    source = SOURCES.get(str(event.data.get("source", "")))
    return _("Joined %(how)s") % {"how": source} if source else _("Joined")


def _referred(event: Event, viewpoint: str) -> str:
    mine = event.referrer_ref == viewpoint
    if event.data.get("reason"):
        text = _("A friend was attached by hand") if mine else _("Attached to a referrer by hand")
        return f"{text}: {event.data['reason']}"
    how = str(dict(Referral.HOW).get(event.data.get("how", ""), "")).lower()
    if mine:
        return _("Invited a friend who joined (%(how)s)") % {"how": how} if how else _("Invited a friend who joined")
    return _("Came through a referral (%(how)s)") % {"how": how} if how else _("Came through a referral")


def _payout_address(event: Event, _viewpoint: str) -> str:
    words = {
        "asked": _("Entered a payout address; it is to be confirmed"),
        "confirmed": _("Confirmed their payout address"),
        "changed": _("Changed their payout address; payouts wait for 72 hours"),
        "taken_back": _("The change of the payout address was taken back"),
        "removed": _("Removed their payout address"),
    }
    return words.get(str(event.data.get("step")), _("Payout address changed"))


def _friends_invited(event: Event, _viewpoint: str) -> str:
    if event.data.get("again"):
        return _("Reminded a friend whom they had invited by mail")
    count = int(event.data.get("count", 1))
    return ngettext("Invited %(n)d friend by mail", "Invited %(n)d friends by mail", count) % {"n": count}


def _friend_reminded(event: Event, viewpoint: str) -> str:
    mine = event.referrer_ref == viewpoint
    return _("Reminded a friend who has not ordered") if mine else _("Was reminded by the referrer")


def _refused(event: Event, viewpoint: str) -> str:
    """Why somebody else's claim on a friend does not count; on the friend's page, or on that somebody's."""
    reason = str(event.data.get("reason", ""))
    mine = event.referrer_ref == viewpoint
    code = (reason, mine)
    words = {
        ("already_referred", True): _("A friend who came through somebody else also opened or named this link"),
        ("already_referred", False): _("Another person's link or code did not count: they were referred already"),
        ("attribution_expired", True): _("A friend joined who had opened this link too long ago for it to count"),
        ("attribution_expired", False): _("A link was opened too long before joining to count"),
        ("existing_customer", True): _("A friend named this link who had bought before"),
        ("existing_customer", False): _("A later link or code did not count: they had bought before"),
        ("brought_friends", True): _("A friend named this link who had invited others before"),
        ("brought_friends", False): _("A later link or code did not count: they had invited others before"),
        ("detached", True): _("A friend named this link after they were detached by hand"),
        ("detached", False): _("A later link or code did not count: they were detached by hand"),
    }
    return words.get(code, _("Another person's link or code did not count"))


def _shared(event: Event, viewpoint: str) -> str:
    """One line for each referrer who shares a friend: on the friend's page with the name, on the referrer's with what it is of."""
    words = {"share": event.data.get("share", ""), "who": event.data.get("who") or event.referrer_ref}
    if event.referrer_ref == viewpoint:
        return _("Shares a friend with others whose links were opened: %(share)s of each reward") % words
    return _("%(share)s credited to %(who)s, whose link was opened") % words


def _detached(event: Event, viewpoint: str) -> str:
    mine = event.referrer_ref == viewpoint
    text = _("A friend was detached by hand") if mine else _("Detached from their referrer by hand")
    return f"{text}: {event.data['reason']}" if event.data.get("reason") else text


def _flagged(event: Event, viewpoint: str) -> str:
    level = level_label(str(event.data.get("level", "")))
    if event.referrer_ref == viewpoint:
        return _("A friend's referral waits for review: %(level)s risk") % {"level": level}
    return _("Held for review: %(level)s risk, %(score)s points") % {
        "level": level,
        "score": event.data.get("score", 0),
    }


def _fraud_act(event: Event) -> str:
    return str(dict(FraudAction.KINDS).get(str(event.data.get("action", "")), ""))


def _fraud_decided(event: Event, _viewpoint: str) -> str:
    words = {"action": _fraud_act(event), "note": event.data.get("note", "")}
    return _("Fraud review: %(action)s: %(note)s") % words


def _fraud_undone(event: Event, _viewpoint: str) -> str:
    return _("Fraud review undone: %(action)s") % {"action": _fraud_act(event)}


def _recorded(event: Event, viewpoint: str) -> str:
    amount = _money(event.data)
    kind = str(event.data.get("type") or event.data.get("event_type") or "purchase").replace("_", " ")
    facts = {"kind": kind, "amount": amount}
    if event.referrer_ref and event.referrer_ref == viewpoint and event.participant_ref != viewpoint:
        return (
            _("A friend's %(kind)s of %(amount)s was recorded") % facts
            if amount
            else _("A friend's %(kind)s was recorded") % facts
        )
    if kind == "purchase":
        return _("Bought for %(amount)s") % facts if amount else _("Bought something")
    return _("%(kind)s of %(amount)s recorded") % facts if amount else _("%(kind)s recorded") % facts


def _refunded(event: Event, _viewpoint: str) -> str:
    amount = _money(event.data)
    if event.data.get("kind") == "refund_back":
        return _("A refund of %(amount)s failed: that much counts again") % {"amount": amount}
    return _("%(amount)s refunded") % {"amount": amount} if amount else _("Payment refunded in full")


def _disputed(event: Event, _viewpoint: str) -> str:
    won = event.data.get("kind") == "dispute_won"
    return _("Dispute won: the payment stands") if won else _("Payment disputed with the bank")


def _reward(sentence: Any, without: Any) -> Callable[[Event, str], str]:
    """A sentence about a reward with its %(amount)s, or `without` where none was noted; the person's words or the reason after it."""

    def said(event: Event, _viewpoint: str) -> str:
        amount = _money(event.data)
        text = str(sentence) % {"amount": amount} if amount else str(without)
        reason = str(event.data.get("reason", ""))
        why = event.data.get("note") or (reason_sentence(reason) if reason in REASONS else "")
        return f"{text}: {why}" if why else text

    return said


def _amount_changed(event: Event, _viewpoint: str) -> str:
    data, currency = event.data, event.data.get("currency")
    before = _money({"amount_minor": data.get("from_minor"), "currency": currency})
    after = _money({"amount_minor": data.get("to_minor"), "currency": currency})
    if not (before and after):
        return _("The reward's amount changed")
    return _("Reward changed from %(before)s to %(after)s") % {"before": before, "after": after}


def _payout(sentence: Any) -> Callable[[Event, str], str]:
    return lambda event, _viewpoint: str(sentence) % {"amount": _money(event.data)}


def _payout_changed(event: Event, _viewpoint: str) -> str:
    """What became of a payout on its way, by its new status; with another amount, what was taken out of it."""
    if "to" not in event.data:
        return _("Payout is %(amount)s now: a reward was taken out of it") % {"amount": _money(event.data)}
    words = {
        "sent": _("Payout of %(amount)s sent"),
        "paid": _("Payout of %(amount)s paid"),
        "failed": _("Payout of %(amount)s failed"),
        "unknown": _("Payout of %(amount)s: no clear answer yet"),
        "needs_attention": _("Payout of %(amount)s needs somebody to look"),
    }
    return words.get(str(event.data["to"]), _("Payout of %(amount)s changed")) % {"amount": _money(event.data)}


def _changed(event: Event, _viewpoint: str) -> str:
    fields = [str(name) for name in event.data.get("fields", [])]
    language = event.data.get("language")
    texts = {field.name for field in CampaignText._meta.get_fields()}
    if language and fields and set(fields) <= texts:
        return _("Texts changed (%(language)s)") % {"language": str(language)}
    named = ", ".join(str(FIELD_WORDS.get(name, name.replace("_", " "))) for name in fields)
    return _("Changed: %(fields)s") % {"fields": named} if named else _("Changed")


def _status(event: Event, _viewpoint: str) -> str:
    to = event.data.get("to", "")
    if event.data.get("from") == Status.PAUSED and to == Status.ACTIVE:
        return _("Resumed")
    return str(STATUS_TEXTS.get(to, to))


def _rules(event: Event, _viewpoint: str) -> str:
    number, count = int(event.data.get("version", 1)), len(event.data.get("rules", []))
    rules = ngettext("%(n)d rule", "%(n)d rules", count) % {"n": count}
    return _("Version %(number)d of the rules published, %(rules)s") % {"number": number, "rules": rules}


def _banned(event: Event, _viewpoint: str) -> str:
    return _("Banned: %(reason)s") % {"reason": event.data.get("reason", "")}


def _accepted(event: Event, _viewpoint: str) -> str:
    return _("Accepted version %(version)s of the terms") % {"version": event.data.get("version", "")}


def _created(event: Event, _viewpoint: str) -> str:
    return _("Copied from another campaign") if event.data.get("copied_from") else _("Created as a draft")


def _invites_started(event: Event, _viewpoint: str) -> str:
    count = int(event.data.get("count", 0))
    words = {"list": event.data.get("list", ""), "n": count}
    said = ngettext("Invitations to %(n)d person on %(list)s", "Invitations to %(n)d people on %(list)s", count) % words
    return said if event.data.get("consent") == "column" else _("%(text)s, who all agreed") % {"text": said}


def _invites_changed(event: Event, viewpoint: str) -> str:
    said = INVITE_STATES.get(str(event.data.get("state", "")))
    return str(said) % {"list": event.data.get("list", "")} if said else _changed(event, viewpoint)


def _invites_done(event: Event, _viewpoint: str) -> str:
    count = int(event.data.get("count", 0))
    words = {"list": event.data.get("list", ""), "n": count}
    return ngettext("%(n)d invitation on %(list)s sent", "%(n)d invitations on %(list)s sent", count) % words


Words = tuple[str, str, Any]
WORDS: dict[str, Words] = {
    types.PARTICIPANT_CREATED: ("user-plus", "", _joined),
    types.PARTICIPANT_CHANGED: ("pencil", "", _changed),
    types.JOIN_REQUESTED: (
        "hourglass",
        "",
        lazy("Somebody came through their link and has yet to confirm their address"),
    ),
    types.TERMS_ACCEPTED: ("file-check", "", _accepted),
    types.PARTICIPANT_BANNED: ("ban", "problem", _banned),
    types.PARTICIPANT_UNBANNED: ("undo-2", "", lazy("Ban lifted")),
    types.PARTICIPANT_ERASED: ("eraser", "", lazy("Personal data erased")),
    types.PAYOUT_ADDRESS: ("wallet", "", _payout_address),
    types.FRIEND_INVITED: ("mail", "", _friends_invited),
    types.FRIEND_REMINDED: ("mail", "", _friend_reminded),
    types.REFERRAL_CREATED: ("users", "", _referred),
    types.REFERRAL_REFUSED: ("users", "", _refused),
    types.REFERRAL_SHARED: ("split", "", _shared),
    types.REFERRAL_DETACHED: ("unlink", "", _detached),
    types.REFERRAL_STATUS_CHANGED: ("users", "", lazy("Status of the referral changed")),
    types.FRAUD_FLAGGED: ("shield-alert", "problem", _flagged),
    types.FRAUD_DECIDED: ("shield-check", "", _fraud_decided),
    types.FRAUD_UNDONE: ("undo-2", "", _fraud_undone),
    types.EVENT_RECORDED: ("shopping-bag", "issued", _recorded),
    types.EVENT_REFUNDED: ("rotate-ccw", "problem", _refunded),
    types.EVENT_WAITING: ("hourglass", "", lazy("An event waits for its person")),
    types.EVENT_DISPUTED: ("circle-alert", "problem", _disputed),
    types.REWARD_CREATED: ("gift", "review", _reward(lazy("Earned %(amount)s"), lazy("Earned a reward"))),
    types.REWARD_DUE: ("gift", "due", _reward(lazy("%(amount)s became due"), lazy("The reward became due"))),
    types.REWARD_HELD: ("pause", "review", _reward(lazy("%(amount)s put on hold"), lazy("The reward was put on hold"))),
    types.REWARD_RELEASED: (
        "play",
        "",
        _reward(lazy("%(amount)s released from hold"), lazy("The reward was released from hold")),
    ),
    types.REWARD_QUEUED: (
        "hourglass",
        "",
        _reward(lazy("%(amount)s queued for payout"), lazy("The reward was queued")),
    ),
    types.REWARD_UNQUEUED: (
        "undo-2",
        "due",
        _reward(
            lazy("%(amount)s taken out of its payout, and due again"), lazy("Taken out of its payout, and due again")
        ),
    ),
    types.REWARD_SENDING: ("send", "", _reward(lazy("%(amount)s on its way"), lazy("The reward is on its way"))),
    types.REWARD_WAITING: (
        "hourglass",
        "",
        _reward(lazy("%(amount)s waits for its recipient"), lazy("The reward waits for its recipient")),
    ),
    types.REWARD_ISSUED: ("check", "issued", _reward(lazy("%(amount)s issued"), lazy("The reward was issued"))),
    types.REWARD_ISSUE_UNDONE: (
        "undo-2",
        "due",
        _reward(lazy("Issuing of %(amount)s undone"), lazy("Issuing of the reward undone")),
    ),
    types.REWARD_FAILED: (
        "circle-alert",
        "problem",
        _reward(lazy("%(amount)s could not be sent"), lazy("The reward could not be sent")),
    ),
    types.REWARD_VOIDED: ("x", "", _reward(lazy("%(amount)s cancelled"), lazy("The reward was cancelled"))),
    types.REWARD_RESTORED: ("undo-2", "", _reward(lazy("%(amount)s restored"), lazy("The reward was restored"))),
    types.REWARD_REVERSED: (
        "rotate-ccw",
        "problem",
        _reward(lazy("%(amount)s taken back"), lazy("The reward was taken back")),
    ),
    types.REWARD_CHANGED: ("pencil", "", _amount_changed),
    types.PAYOUT_CREATED: ("wallet", "", _payout(lazy("Payout of %(amount)s made"))),
    types.PAYOUT_CHANGED: ("wallet", "", _payout_changed),
    types.PAYOUT_UNDONE: ("undo-2", "", _payout(lazy("Payout of %(amount)s undone"))),
    types.PAYOUT_GIFT_SEEN: ("eye", "", lazy("Looked at what was given")),
    types.APPLICATION_RECEIVED: ("clipboard-list", "", lazy("Application received")),
    types.APPLICATION_APPROVED: ("clipboard-check", "issued", lazy("Application approved")),
    types.APPLICATION_DECLINED: ("clipboard-x", "problem", lazy("Application declined")),
    types.APPLICATION_WITHDRAWN: ("undo-2", "", lazy("Application withdrawn by the applicant")),
    types.APPLICATION_RECONSIDERED: ("undo-2", "", lazy("Application taken up again")),
    types.CAMPAIGN_CREATED: ("plus", "", _created),
    types.CAMPAIGN_CHANGED: ("pencil", "", _changed),
    types.CAMPAIGN_STATUS_CHANGED: ("megaphone", "issued", _status),
    types.CAMPAIGN_RULES_PUBLISHED: ("scroll-text", "", _rules),
    types.PROMOTIONS_ON: ("tag", "issued", lazy("Promotion codes switched on")),
    types.PROMOTIONS_OFF: ("tag", "", lazy("Promotion codes switched off")),
    types.PARTICIPANT_GIVEN: ("tag", "issued", lazy("Had their reward at the checkout, by a promotion code")),
    types.CAMPAIGN_LISTED: ("store", "issued", lazy("Listed in the affiliate hub")),
    types.CAMPAIGN_UNLISTED: ("store", "", lazy("Taken off the affiliate hub")),
    types.INVITES_STARTED: ("send", "", _invites_started),
    types.INVITES_CHANGED: ("mail", "", _invites_changed),
    types.INVITES_DONE: ("check", "issued", _invites_done),
}
