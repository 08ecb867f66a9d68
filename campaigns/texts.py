"""What a campaign's pages say in a language: the merchant's words, then the default language's, then ours made from the rules."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from django.utils.translation import gettext as _
from django.utils.translation import override

from campaigns.models import Campaign, CampaignType
from campaigns.rules import current_terms, main_rule, reward_text
from campaigns.terms import Percent, RuleTerms
from campaigns.wording import counted_words, friends_words, span_words

LANGUAGES = ("en", "de", "ar")


@dataclass(frozen=True, slots=True)
class Texts:
    """Every text, none of them empty but `terms`."""

    reward_header: str
    reward_description: str
    share_header: str
    share_description: str
    share_message: str
    thank_you: str
    terms: str


def texts_for(campaign: Campaign, language: str) -> Texts:
    """The texts of `campaign` in `language`, each field with its own fallback."""
    rows = {row.language: row for row in campaign.texts.all()}
    ours = default_texts(campaign, language)
    chosen = {}
    for field in fields(Texts):
        candidates = [rows[code] for code in (language, campaign.default_language) if code in rows]
        chosen[field.name] = next((value for row in candidates if (value := getattr(row, field.name))), "") or getattr(
            ours, field.name
        )
    return Texts(**chosen)


def default_texts(campaign: Campaign, language: str) -> Texts:
    """Texts made from the rules, for every field that the merchant left empty."""
    rules = current_terms(campaign)
    with override(language):
        friend_rule, referrer_rule = main_rule(rules, "invitee"), main_rule(rules, "referrer")
        facts = {
            "friend": reward_text(friend_rule, language),
            "referrer": reward_text(referrer_rule, language),
            "merchant": campaign.merchant.name,
        }
        both = friend_rule is not None and referrer_rule is not None
        at_once = friend_rule is not None and friend_rule.trigger == "join"
        texts = _both(facts, at_once=at_once) if both else _one_sided(campaign, facts)
        if referrer_rule is not None:
            own = _by_trigger(referrer_rule, facts, several=len([r for r in rules if r.side == "referrer"]) > 1)
            if own is not None:
                texts = replace(texts, share_header=own[0], share_description=own[1])
        return texts


def _both(facts: dict[str, str], *, at_once: bool) -> Texts:
    """Both sides are rewarded; `at_once` says that the friend is for joining."""
    return Texts(
        reward_header=_("%(friend)s for you.") % facts,
        reward_description=_("Join with your e-mail address and get %(friend)s from %(merchant)s.") % facts
        if at_once
        else _("Join with your e-mail address, then get %(friend)s when you buy from %(merchant)s.") % facts,
        share_header=_("Give %(friend)s. Get %(referrer)s.") % facts,
        share_description=_("Friends get %(friend)s for joining. You get %(referrer)s for each one who buys.") % facts
        if at_once
        else _("Friends get %(friend)s when they buy, and you get %(referrer)s for each one who does.") % facts,
        share_message=_("%(merchant)s: here is %(friend)s for you.") % facts,
        thank_you=_("You are in. %(friend)s is yours.") % facts
        if at_once
        else _("You are in. %(friend)s comes when you buy.") % facts,
        terms="",
    )


def _one_sided(campaign: Campaign, facts: dict[str, str]) -> Texts:
    """Nothing for the friend, or nothing for the referrer."""
    if campaign.type == CampaignType.NEWSLETTER:
        return Texts(
            reward_header=_("A friend thinks you would like to read this."),
            reward_description=_("Join %(merchant)s with your e-mail address, and the next issue comes to you.")
            % facts,
            share_header=_("Share with your friends."),
            share_description=_("Share your link with people who would like %(merchant)s.") % facts,
            share_message=_("I read %(merchant)s and think you would like it.") % facts,
            thank_you=_("You are in. The next issue of %(merchant)s comes to you.") % facts,
            terms="",
        )
    return Texts(
        reward_header=_("A friend thought of you."),
        reward_description=_("Join %(merchant)s with your e-mail address.") % facts,
        share_header=_("Get %(referrer)s for each friend.") % facts
        if facts["referrer"]
        else _("Share with your friends."),
        share_description=_("Share your link. You get %(referrer)s for each friend who buys.") % facts
        if facts["referrer"]
        else _("Share your link with people who would like %(merchant)s.") % facts,
        share_message=_("Have a look at %(merchant)s.") % facts,
        thank_you=_("You are in. Welcome to %(merchant)s.") % facts,
        terms="",
    )


def _by_trigger(rule: RuleTerms, facts: dict[str, str], *, several: bool) -> tuple[str, str] | None:
    """Header and description for the referrer where a reward is not simply one for each friend who buys."""
    counted = counted_words(rule.event, rule.nth or 1)
    known = {**facts, "friends": counted, "n": str(rule.nth or 1), "merchant": facts["merchant"]}
    match rule.trigger:
        case "every_event" | "from_nth_event" if isinstance(rule.amount, Percent):
            header = _("Earn %(referrer)s of everything your friends buy.") % known
            if rule.within_days is None:
                return header, _(
                    "Share your link. You get %(referrer)s of each purchase, for as long as they buy."
                ) % known
            known["span"] = span_words(rule.within_days)
            text = _("Share your link. You get %(referrer)s of each purchase for %(span)s after a friend joins.")
            return header, text % known
        case "every_event" | "from_nth_event":
            text = _("Share your link. You get %(referrer)s for each purchase of a friend.")
            return _("Get %(referrer)s for every purchase of a friend.") % known, text % known
        case "milestone":
            more = _("Share your link. The first reward comes with %(friends)s, and there is more to reach.")
            one = _("Share your link. The reward comes with %(friends)s.")
            many = several or rule.recurring
            return _("%(friends)s: %(referrer)s for you.") % known, (more if many else one) % known
        case "tier":
            text = _("Share your link. You are rewarded for %(friends)s, and the reward grows with their number.")
            known["friends"] = friends_words(rule.event)
            return _("From %(referrer)s for each friend, and more with every tier.") % known, text % known
        case "leaderboard":
            text = _("Share your link. The first %(places)s on the leaderboard win when it closes.")
            places = str(rule.tiers[-1].last or rule.tiers[-1].first) if rule.tiers else "1"
            return _("Bring the most friends, win %(referrer)s.") % known, text % {**known, "places": places}
        case "join":
            text = _("Share your link. You get %(referrer)s for each friend who joins.")
            return None if facts["friend"] else (_("Get %(referrer)s for each friend.") % known, text % known)
        case "status":
            text = _("Share your link. You get %(referrer)s for each friend whom %(merchant)s confirms.")
            return None if facts["friend"] else (_("Get %(referrer)s for each friend.") % known, text % known)
    return None
