"""What a friend did and where they stand, in a referrer's plain words (PRODUCT.md, "Pages for the people invited and inviting")."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from campaigns.terms import STATUS_EVENTS, RuleTerms
from referrals.hosted.offer import day_text

# What is no purchase and no event of the merchant's own naming.
NO_ORDER = frozenset({"join", *STATUS_EVENTS})
Words = tuple[str, str, str]


def deed(type_: str) -> str:
    """What somebody did, as a sentence: "Ordered."."""
    words = {
        "join": _("Joined."),
        "purchase": _("Ordered."),
        "qualified": _("Taken up by the shop."),
        "approved": _("Accepted by the shop."),
    }
    # The merchant's own events have no translation: "trial_started" is "Trial started.".
    return words.get(type_) or f"{type_.replace('_', ' ').strip().capitalize()}."


def waits(words: Words) -> bool:
    """Whether these words of quiet_words() tell of somebody who has joined, and whose order is awaited."""
    return words[2] == _("Joined")


def quiet_words(
    *, did: str, status: str, counts: bool, joined_at: datetime, rule: RuleTerms | None, now: datetime
) -> Words:
    """A friend about whom nothing was decided for the referrer: the sentence, the pill's colour and its word.

    `did` is the type of the last thing they did, "" for nothing but joining; `status` what the merchant set; `rule` the offer's first rule.
    """
    if counts:
        return f"{deed(did or 'join')} {_('Counts on the leaderboard.')}", "done", _("Counted")
    if status == "denied":
        return _("The shop declined this one."), "no", _("Not eligible")
    if did:
        word = {"purchase": _("Ordered"), "qualified": _("Taken up"), "approved": _("Accepted")}
        return deed(did), "pending", word.get(did, _("Seen"))
    if rule is not None and rule.trigger == "status":
        return _("Joined. The shop decides what comes next."), "pending", _("Joined")
    if rule is None or rule.within_days is None or rule.trigger == "join":
        return _("Joined, no order yet."), "pending", _("Joined")
    ends = joined_at + timedelta(days=rule.within_days)
    if ends < now:
        text = _("Joined, no order. The offer ran out for them on %(day)s.")
        return text % {"day": day_text(ends)}, "no", _("Too late")
    return _("Joined, no order yet. The offer runs out on %(day)s.") % {"day": day_text(ends)}, "pending", _("Joined")
