"""What a campaign's pages say in a language: the merchant's words, then the default language's, then ours made from the rules."""

from __future__ import annotations

from dataclasses import dataclass, fields

from django.utils.translation import gettext as _
from django.utils.translation import override

from campaigns.models import Campaign
from campaigns.rules import current_terms, main_rule, reward_text

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
        friend_rule = main_rule(rules, "invitee")
        friend = reward_text(friend_rule, language)
        at_once = friend_rule is not None and friend_rule.trigger == "join"
        referrer = reward_text(main_rule(rules, "referrer"), language)
        facts = {"friend": friend, "referrer": referrer, "merchant": campaign.merchant.name}
        if friend and referrer:
            return Texts(
                reward_header=_("%(friend)s for you.") % facts,
                reward_description=_("Join with your e-mail address and get %(friend)s from %(merchant)s.") % facts
                if at_once
                else _("Join with your e-mail address, then get %(friend)s when you buy from %(merchant)s.") % facts,
                share_header=_("Give %(friend)s. Get %(referrer)s.") % facts,
                share_description=_("Friends get %(friend)s for joining. You get %(referrer)s for each one who buys.")
                % facts
                if at_once
                else _("Friends get %(friend)s when they buy, and you get %(referrer)s for each one who does.") % facts,
                share_message=_("%(merchant)s: here is %(friend)s for you.") % facts,
                thank_you=_("You are in. %(friend)s is yours.") % facts
                if at_once
                else _("You are in. %(friend)s comes when you buy.") % facts,
                terms="",
            )
        return Texts(
            reward_header=_("A friend thought of you."),
            reward_description=_("Join %(merchant)s with your e-mail address.") % facts,
            share_header=_("Get %(referrer)s for each friend.") % facts if referrer else _("Share with your friends."),
            share_description=_("Share your link. You get %(referrer)s for each friend who buys.") % facts
            if referrer
            else _("Share your link with people who would like %(merchant)s.") % facts,
            share_message=_("Have a look at %(merchant)s.") % facts,
            thank_you=_("You are in. Welcome to %(merchant)s.") % facts,
            terms="",
        )
