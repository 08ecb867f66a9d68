"""What a campaign's page says besides the merchant's own texts: the ticket, the conditions, the steps, the questions.

All of it is made from the rules in force, so that a page never promises what the rules do not give.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from babel.core import Locale, UnknownLocaleError
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext_lazy, ngettext, to_locale
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from campaigns.rules import amount_text, current_terms, main_rule, reward_text
from campaigns.terms import Fixed, Percent, RuleTerms, Units
from campaigns.wording import counted_words
from referrals.lib import days
from referrals.lib.money import Money

Words = str | Promise
KINDS: dict[str, Words] = {
    "cash": gettext_lazy("in cash"),
    "coupon": gettext_lazy("coupon"),
    "store_credit": gettext_lazy("store credit"),
    "gift_card": gettext_lazy("gift card"),
    "custom": gettext_lazy("reward"),
}
# When a reward comes, told to the friend ("you") and to the one who invites ("they").
WHEN: dict[str, tuple[Words, Words]] = {
    "join": (gettext_lazy("as soon as you join"), gettext_lazy("as soon as they join")),
    "first_event": (gettext_lazy("after your first order"), gettext_lazy("after their first order")),
    "every_event": (gettext_lazy("for every order of yours"), gettext_lazy("for every order of theirs")),
    "nth_event": (
        gettext_lazy("with order number %(nth)s of yours"),
        gettext_lazy("with order number %(nth)s of theirs"),
    ),
    "from_nth_event": (
        gettext_lazy("for every order from number %(nth)s on"),
        gettext_lazy("for every order from number %(nth)s on"),
    ),
    "milestone": (gettext_lazy("for %(friends)s"), gettext_lazy("for %(friends)s")),
    "tier": (gettext_lazy("per friend, more with each tier"), gettext_lazy("per friend, more with each tier")),
    "leaderboard": (gettext_lazy("for the first place"), gettext_lazy("for the first place")),
    "status": (gettext_lazy("once you are confirmed"), gettext_lazy("once they are confirmed")),
}


@dataclass(frozen=True, slots=True)
class Half:
    """One half of the ticket: for whom, the amount in big letters, and what it is and when."""

    who: str
    amount: str
    what: str
    when: str


@dataclass(frozen=True, slots=True)
class Line:
    """A step, or a question with its answer."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Offer:
    """Everything derived; `top` is the reader's half of the ticket, `bottom` the other person's (None without a reward)."""

    top: Half
    bottom: Half | None
    until: str
    button: str
    conditions: str
    steps: list[Line]
    questions: list[Line]


def locale() -> str:
    """The active language as Babel spells it."""
    name = to_locale(get_language() or "en")
    try:
        Locale.parse(name)
    except (ValueError, UnknownLocaleError):
        return "en"
    return name


def day_text(at: datetime, *, year: bool = False) -> str:
    """A day in the active time zone: "20 Dec", with `year` "20 Dec 2026"."""
    return days.day_text(at, locale(), year=year)


def money_text(money: Money) -> str:
    """An amount without the decimals of a whole one: $30, $12.50."""
    return amount_text(Fixed(money), locale())


def worth_text(worth: Money | Units) -> str:
    """What a reward gives: money as money_text, units as "1 free month"."""
    return str(worth) if isinstance(worth, Units) else money_text(worth)


def given_text(worth: Money | Units, kind: str) -> str:
    """What a reward is: "$15 store credit", "1 free month"."""
    text = worth_text(worth)
    return text if isinstance(worth, Units) else f"{text} {KINDS[kind]}"


def closed_words(campaign: Campaign, reason: str) -> tuple[str, str, str]:
    """What is said of a campaign that nobody can join now (`Campaign.closed_reason`): an icon's name, a heading, a sentence."""
    merchant = {"merchant": campaign.merchant.name}
    if reason == "campaign_not_started" and campaign.starts_at is not None:
        heading = _("This starts on %(day)s") % {"day": day_text(campaign.starts_at, year=True)}
        text = _("Keep the link: from that day on it leads to the offer of %(merchant)s.") % merchant
        return "calendar-clock", heading, text
    if reason == "campaign_paused":
        text = _("%(merchant)s has paused it. Your link stays valid; try again in a few days.") % merchant
        return "circle-pause", _("This offer is taking a break"), text
    text = _("%(merchant)s has closed it. Rewards that were earned before are not lost.") % merchant
    return "calendar-x", _("This offer has ended"), text


def friend_offer(campaign: Campaign, referrer: str) -> Offer:
    """The page of somebody who was invited; `referrer` is the first name of who invited them, or ""."""
    rules = current_terms(campaign)
    mine, theirs = main_rule(rules, "invitee"), main_rule(rules, "referrer")
    name = referrer or _("your friend")
    top = half_of(_("For you"), mine, you=True) or Half(
        _("For you"), campaign.merchant.name, _("An invitation from %(name)s") % {"name": name}, ""
    )
    amount = reward_text(mine, locale())
    return Offer(
        top=top,
        bottom=half_of(_("For %(name)s") % {"name": name}, theirs, you=True),
        until=_until(campaign),
        button=_("Get my %(amount)s") % {"amount": amount} if amount else _("Join"),
        conditions=conditions_of(mine or theirs),
        steps=_friend_steps(campaign, mine, theirs, name),
        questions=_questions(campaign, mine, theirs),
    )


def referrer_offer(campaign: Campaign) -> Offer:
    """The page of somebody who wants a link of their own."""
    rules = current_terms(campaign)
    friend, mine = main_rule(rules, "invitee"), main_rule(rules, "referrer")
    top = half_of(_("For you"), mine, you=False)
    bottom = half_of(_("For each friend"), friend, you=False)
    if top is None:
        top, bottom = bottom, None
    return Offer(
        top=top or Half(_("For you"), campaign.merchant.name, _("A link of your own"), ""),
        bottom=bottom,
        until=_until(campaign),
        button=_("Get my link"),
        conditions=conditions_of(mine or friend, about_friends=True),
        steps=_referrer_steps(friend, mine),
        questions=_questions(campaign, friend, mine, for_referrer=True),
    )


def half_of(who: str, rule: RuleTerms | None, *, you: bool) -> Half | None:
    """A rule as one half of a ticket; `you` says whether the friend reads it. None without a rule."""
    if rule is None:
        return None
    if isinstance(rule.amount, Percent):
        what = _("of your order") if you and rule.side == "invitee" else _("of the order")
        if rule.amount.cap is not None:
            what = _("%(what)s, at most %(cap)s") % {"what": what, "cap": money_text(rule.amount.cap)}
    elif isinstance(rule.amount, Units):
        return Half(who, str(rule.amount.units), rule.amount.label, when_text(rule, you=you))
    else:
        what = str(KINDS[rule.kind])
    return Half(who, reward_text(rule, locale()), what, when_text(rule, you=you))


def when_text(rule: RuleTerms, *, you: bool) -> str:
    """When a rule rewards, with the friend as "you" or as "they"."""
    words = WHEN.get(rule.trigger)
    if words is None:
        return ""
    facts = {"nth": rule.nth, "friends": counted_words(rule.event, rule.nth or 1)}
    return str(words[0 if you else 1]) % facts


def _until(campaign: Campaign) -> str:
    return _("Until %(day)s") % {"day": day_text(campaign.ends_at)} if campaign.ends_at else ""


def conditions_of(rule: RuleTerms | None, *, about_friends: bool = False) -> str:
    """One sentence: "For new customers, on orders of $30 or more." Empty without conditions."""
    if rule is None:
        return ""
    least = money_text(rule.minimum_purchase) if rule.minimum_purchase else ""
    if about_friends:
        if rule.new_customers_only and least:
            return _("Friends count when they are new customers and order for %(least)s or more.") % {"least": least}
        if rule.new_customers_only:
            return _("Friends count when they are new customers.")
        return _("Friends count when they order for %(least)s or more.") % {"least": least} if least else ""
    if rule.new_customers_only and least:
        return _("For new customers, on orders of %(least)s or more.") % {"least": least}
    if rule.new_customers_only:
        return _("For new customers.")
    return _("On orders of %(least)s or more.") % {"least": least} if least else ""


def _friend_steps(campaign: Campaign, mine: RuleTerms | None, theirs: RuleTerms | None, name: str) -> list[Line]:
    merchant = campaign.merchant.name
    steps = [Line(_("Join"), _("Your e-mail address is all it takes."))]
    least = next((rule.minimum_purchase for rule in (mine, theirs) if rule and rule.minimum_purchase), None)
    if any(rule is not None and not _by_joining(rule) for rule in (mine, theirs)) or (mine is None and theirs is None):
        order = (
            _("Spend %(least)s or more at %(merchant)s.") % {"least": money_text(least), "merchant": merchant}
            if least
            else _("Buy what you like at %(merchant)s.") % {"merchant": merchant}
        )
        steps.append(Line(_("Place your first order"), order))
    if theirs is not None:
        steps.append(_their_step(theirs, name))
    elif mine is not None:
        title = _("You get %(amount)s") % {"amount": reward_text(mine, locale())}
        steps.append(Line(title, review_text(mine)))
    return steps


def _their_step(rule: RuleTerms, name: str) -> Line:
    """What the friend's doing is worth to who invited them; one of many friends, where many are counted."""
    facts = {"name": name, "amount": reward_text(rule, locale()), "friends": counted_words(rule.event, rule.nth or 1)}
    if rule.trigger == "leaderboard":
        return Line(_("%(name)s climbs the leaderboard") % facts, _("The first place wins %(amount)s.") % facts)
    if rule.trigger == "milestone":
        return Line(_("%(name)s comes closer to a reward") % facts, _("%(amount)s for %(friends)s.") % facts)
    return Line(_("%(name)s gets %(amount)s") % facts, review_text(rule))


def _my_step(rule: RuleTerms) -> Line:
    """What one's friends are worth to oneself."""
    facts = {"amount": reward_text(rule, locale()), "friends": counted_words(rule.event, rule.nth or 1)}
    if rule.trigger == "leaderboard":
        return Line(_("Be the first"), _("The first place wins %(amount)s when the leaderboard closes.") % facts)
    if rule.trigger == "milestone":
        return Line(_("You get %(amount)s for %(friends)s") % facts, review_text(rule, friend=True))
    return Line(_("You get %(amount)s") % facts, review_text(rule, friend=True))


def _referrer_steps(friend: RuleTerms | None, mine: RuleTerms | None) -> list[Line]:
    given = (
        _("They get %(amount)s, %(when)s.")
        % {"amount": reward_text(friend, locale()), "when": when_text(friend, you=False)}
        if friend
        else _("They see that you thought of them.")
    )
    steps = [
        Line(_("Get your link"), _("It is yours at once, and we mail it to you.")),
        Line(_("Share it with friends"), given),
    ]
    if mine is not None:
        steps.append(_my_step(mine))
    return steps


def _by_joining(rule: RuleTerms) -> bool:
    """Whether nobody has to buy for it."""
    return "join" in {rule.trigger, rule.event}


def review_text(rule: RuleTerms, *, friend: bool = False) -> str:
    """How long a reward is checked before it is due, with the payer as "you" or as "they"."""
    if rule.review_days == 0:
        return _("As soon as everything is in order.")
    if _by_joining(rule):
        return ngettext("%(days)s day after joining.", "%(days)s days after joining.", rule.review_days) % {
            "days": rule.review_days
        }
    if friend:
        return ngettext(
            "%(days)s day after they pay, so returns are covered.",
            "%(days)s days after they pay, so returns are covered.",
            rule.review_days,
        ) % {"days": rule.review_days}
    return ngettext(
        "%(days)s day after you pay, so returns are covered.",
        "%(days)s days after you pay, so returns are covered.",
        rule.review_days,
    ) % {"days": rule.review_days}


def _questions(
    campaign: Campaign, friend: RuleTerms | None, referrer: RuleTerms | None, *, for_referrer: bool = False
) -> list[Line]:
    facts = {"merchant": campaign.merchant.name}
    new_only = any(rule and rule.new_customers_only for rule in (friend, referrer))
    if for_referrer:
        who = Line(
            _("Whom can I invite?"),
            _("Anyone who has not bought from %(merchant)s before. You can't invite yourself.") % facts
            if new_only
            else _("Anyone you like but yourself. Each person counts once.") % facts,
        )
        proof = Line(
            _("How do I see what I have earned?"),
            _("On your own page. We mail you a link that opens it, so there is no password to remember."),
        )
    else:
        who = Line(
            _("Who can use this offer?"),
            _("Anyone who has not bought from %(merchant)s before, once per person.") % facts
            if new_only
            else _("Anyone, once per person."),
        )
        proof = Line(
            _("Can I invite friends as well?"),
            _("Yes. When you join you get a link of your own, and a page that shows what it has earned."),
        )
    return [
        who,
        Line(
            _("What happens to my e-mail address?"),
            _("%(merchant)s uses it for this offer: to send what you earn and a link to your own page.") % facts,
        ),
        proof,
    ]
