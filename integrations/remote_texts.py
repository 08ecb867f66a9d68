"""What can go wrong with what we keep at a company, in the merchant's words: what happened and what to do."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

# `said` is what the company answered, in its own words.
SENTENCES = {
    "key_missing": _("There is no API key. Paste one on the connection’s page; it is tried again by itself."),
    "key_refused": _("The API key was refused: %(said)s Paste a valid one on the connection’s page."),
    "rights_missing": _("The API key may not do this: %(said)s Give it the rights named on the connection’s page."),
    "coupon_missing": _("There is no coupon with this id. Choose another one, or take the friend’s reward."),
    "coupon_refused": _("The coupon was refused: %(said)s Change the friend’s reward, or choose a coupon."),
    "coupon_unsupported": _(
        "Codes are made from the friend’s reward here. Leave the coupon empty, and choose a reward."
    ),
    "coupon_over": _("This coupon can’t be used any more. Choose another one."),
    "reward_missing": _("The friend’s reward is no discount any more. Set one in the rules, or choose a coupon."),
    "code_taken": _("Another promotion code has this text already. Switch that one off, then press “Try again”."),
    "not_connected": _("The connection is gone. Connect again, then choose it here."),
    "address_not_public": _("Messages can only be sent to an https address that is open to the internet."),
    "too_many": _("The account has as many addresses for messages as it may have. Delete one that is not used."),
    "no_answer": _("No answer: %(said)s It is tried again by itself."),
    "refused": _("The request was refused: %(said)s"),
}


def sentence(problem: str, said: str) -> str:
    """The sentence in the active language; "" without a problem."""
    return str(SENTENCES[problem]) % {"said": said} if problem in SENTENCES else problem
