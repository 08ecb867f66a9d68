"""What every condition says: a table with one row for each code (PRODUCT.md, "Decisions"; seed 004).

A row with a colon in its name is the same code where its facts say something more particular, or where a fact is not known
(":bare"); rewards.reasons picks the row. docs/decisions.md is compared with this table by a test.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy as _n

Text = str | Promise
NOTHING = _("Nothing")


@dataclass(frozen=True, slots=True)
class Reason:
    """The sentences of one code. `passed` and `failed` are the merchant's; `friendly` tells the referrer why not, `own` the friend
    about what they did themselves (the same where empty). `change` says what can still change it, `act` names the page where
    (referrals.web.purchase_panel)."""

    passed: Text
    failed: Text
    friendly: Text
    change: Text = NOTHING
    act: str = ""
    own: Text = ""


REASONS: dict[str, Reason] = {
    # Who came through whom.
    "not_referred": Reason(
        _("Came through a referral"),
        _("Did not come through anybody's link or code"),
        _("They did not come through your link"),
        _("Attach the friend to whoever invited them; the event is then decided again"),
        "attach",
        _("You did not come through anybody's link"),
    ),
    "shared": Reason(
        _("Shared between %(people)s referrers, by the links that were opened"),
        _("Shared between %(people)s referrers"),
        _("It is shared between %(people)s people whose links were opened"),
    ),
    "shared:held": Reason(
        _("Shared between %(people)s referrers; the part of %(held)s of them waits, because of a ban"),
        _("Shared between %(people)s referrers; the part of %(held)s of them waits, because of a ban"),
        _("It is shared between %(people)s people whose links were opened; a part of it is not paid now"),
        _("Lift the ban; the part that waits is then paid"),
        "unban",
    ),
    "shared:bare": Reason(
        _("Shared between several referrers, by the links that were opened"),
        _("Shared between several referrers"),
        _("It is shared between several people whose links were opened"),
    ),
    "share_too_small": Reason(
        _("The part comes to an amount that can be paid"),
        _("Shared between several referrers, this part comes to nothing"),
        _("Shared with the other people whose links were opened, your part comes to nothing"),
        _("Nothing, unless the amount is corrected"),
    ),
    "self_referral": Reason(
        _("Two different people"),
        _("Referrer and friend are the same person"),
        _("Inviting yourself does not count"),
        _("Nothing: nobody is rewarded for inviting themselves"),
    ),
    "existing_customer": Reason(
        _("New customer"),
        _("Was a customer before"),
        _("Already a customer. Only new customers count"),
        _("The friend's page, if it is wrong that they were a customer before"),
        "friend",
        _("You were a customer before. Only new customers count"),
    ),
    "given_by_code": Reason(
        _("Not given by a promotion code"),
        _("Had it at the checkout, by the promotion code"),
        _("They had their discount at the checkout"),
        _("Nothing: it was given when the code was redeemed"),
        "",
        _("You had it at the checkout, when you used the code"),
    ),
    "already_referred": Reason(
        _("Referred once"),
        _("Was referred by somebody else before"),
        _("Somebody else invited them first"),
        _("Detach the earlier referral on the friend's page, if it was wrong"),
        "friend",
        _("Somebody else invited you first"),
    ),
    "attribution_expired": Reason(
        _("Within %(days)s days of the referral"),
        _("Came more than %(days)s days after the referral"),
        _("It was more than %(days)s days after they came through your link"),
        _("Nothing for this event. Change the days in the rules for later ones"),
        "rules",
        _("It was more than %(days)s days after you came through the link"),
    ),
    "attribution_expired:bare": Reason(
        _("Within the time that a click counts"),
        _("Came too long after the click"),
        _("It was too long after they used your link"),
        _("Attach the friend by hand, if it should count all the same"),
        "attach",
        _("It was too long after you used the link"),
    ),
    # When.
    "campaign_not_started": Reason(
        _("The campaign had started"),
        _("Happened before the campaign started"),
        _("It was before the campaign started"),
        _("Nothing: what was before the start does not count. Later events do"),
    ),
    "campaign_paused": Reason(
        _("The campaign was not paused"),
        _("Happened while the campaign was paused"),
        _("The campaign was paused at the time"),
        _("Nothing: what happens in a pause does not count. Resume the campaign for later events"),
        "campaign",
    ),
    "campaign_ended": Reason(
        _("The campaign was open"),
        _("Happened after the campaign ended"),
        _("The campaign had ended"),
        _("Nothing: what comes after the end does not count"),
    ),
    "referrer_banned": Reason(
        _("Referrer in good standing"),
        _("The referrer is banned and cannot get rewards"),
        _("Your account can't earn rewards now"),
        _("Lift the ban; what happened meanwhile is then decided again"),
        "unban",
        _("This can't be rewarded now"),
    ),
    # The purchase itself.
    "below_minimum_purchase": Reason(
        _("Above the minimum: %(amount)s, the campaign asks for %(minimum)s"),
        _("Below the minimum purchase: %(amount)s, the campaign asks for %(minimum)s"),
        _("Their order was below %(minimum)s"),
        _("Nothing, unless the amount is corrected"),
        own=_("Your order was below %(minimum)s"),
    ),
    "below_minimum_purchase:bare": Reason(
        _("Above the minimum purchase"),
        _("Below the minimum purchase"),
        _("Their order was too small"),
        _("Nothing, unless the amount is corrected"),
        own=_("Your order was too small"),
    ),
    "condition_not_met": Reason(
        _("Meets the rule's own conditions"),
        _("Does not meet the rule's conditions: %(failed)s"),
        _("It does not fit the offer's conditions"),
        _("Nothing for this event. Change the conditions in the rules for later ones"),
        "rules",
    ),
    "condition_not_met:bare": Reason(
        _("Meets the rule's own conditions"),
        _("Does not meet the rule's conditions"),
        _("It does not fit the offer's conditions"),
        _("Nothing for this event. Change the conditions in the rules for later ones"),
        "rules",
    ),
    # How often.
    "friend_purchase_limit": Reason(
        _("Within the purchases rewarded for one friend (%(limit)s)"),
        _("Exceeds the purchases rewarded for one friend (%(limit)s)"),
        _("You were already rewarded for this friend"),
        _("Nothing, unless an earlier purchase of this friend is refunded and makes room"),
        own=_("You were already rewarded for an earlier order"),
    ),
    "friend_purchase_limit:bare": Reason(
        _("Within the purchases rewarded for one friend"),
        _("Exceeds the purchases rewarded for one friend"),
        _("You were already rewarded for this friend"),
        _("Nothing, unless an earlier purchase of this friend is refunded and makes room"),
        own=_("You were already rewarded for an earlier order"),
    ),
    "payment_count_not_reached": Reason(
        _("Payment number %(payment)s, the rule asks for %(needed)s"),
        _("Payment number %(payment)s, the rule asks for %(needed)s"),
        _("This is order %(payment)s; your reward comes with order %(needed)s"),
        _("The next payments: number %(needed)s earns the reward"),
    ),
    "payment_count_not_reached:past": Reason(
        _("Payment number %(payment)s, the rule asks for %(needed)s"),
        _("Payment number %(payment)s, the rule asks for %(needed)s"),
        _("Only order %(needed)s counts; this is order %(payment)s"),
        _("Nothing, unless an earlier payment is refunded and this one moves up"),
    ),
    "payment_count_not_reached:bare": Reason(
        _("The payment that the rule asks for"),
        _("Not the payment that the rule asks for"),
        _("Your reward comes with another order"),
        _("The next payments"),
    ),
    # How much.
    # The number is that of the friend; on a leaderboard, the rank.
    "tier_not_reached": Reason(
        _("Tier reached: number %(friends)s, it begins at %(needed)s"),
        _("Tier not reached: number %(friends)s, it begins at %(needed)s"),
        _("You are at number %(friends)s; rewards begin at %(needed)s"),
        _n("%(more)s more friend who counts", "%(more)s more friends who count", "more"),
    ),
    "tier_not_reached:past": Reason(
        _("Within the tiers: number %(friends)s"),
        _("Beyond the last tier: number %(friends)s, it ends at %(last)s"),
        _("You are at number %(friends)s; rewards end at %(last)s"),
        _("Nothing for this event. Add a tier to the rules for later ones"),
        "rules",
    ),
    "tier_not_reached:bare": Reason(
        _("Tier reached"),
        _("The lowest tier is not reached"),
        _("A few more friends, and your rewards begin"),
        _("More friends who count"),
    ),
    "milestone_not_reached": Reason(
        _("Milestone reached: %(friends)s of %(needed)s friends"),
        _("Milestone not reached: %(friends)s of %(needed)s friends"),
        _("You have %(friends)s of %(needed)s friends for this reward"),
        _n("%(more)s more friend who counts", "%(more)s more friends who count", "more"),
    ),
    "milestone_not_reached:past": Reason(
        _("Milestone reached: %(friends)s of %(needed)s friends"),
        _("Not the friend who reached the milestone of %(needed)s: number %(friends)s"),
        _("The reward for %(needed)s friends came with another friend"),
        _("Nothing: the milestone belongs to friend number %(needed)s"),
    ),
    "milestone_not_reached:bare": Reason(
        _("Milestone reached"),
        _("Milestone not reached"),
        _("A few more friends, and this reward is yours"),
        _("More friends who count"),
    ),
    "settled_elsewhere": Reason(
        _("Not settled elsewhere"),
        _("Imported as history: its rewards were settled before the import"),
        _("It was settled before your account moved here"),
        _("Nothing: it counts as an earlier purchase, and earns nothing here. Later events do"),
    ),
    "referrer_limit": Reason(
        _("Within the most one referrer can earn: %(used)s of %(limit)s before this"),
        _("The referrer has earned the most that one can: %(used)s of %(limit)s"),
        _("You have earned the most this offer gives, %(limit)s"),
        _("Nothing for this event. Raise the limit in the rules for later ones"),
        "rules",
        _("The most this offer gives was reached"),
    ),
    "referrer_limit:cut": Reason(
        _("Cut to %(granted)s of %(wanted)s by the most one referrer can earn, %(limit)s"),
        _("Cut to %(granted)s of %(wanted)s by the most one referrer can earn, %(limit)s"),
        _("%(granted)s fill the most this offer gives, %(limit)s"),
        _("Nothing for this event. Raise the limit in the rules for later ones"),
        "rules",
    ),
    "referrer_limit:bare": Reason(
        _("Within the most one referrer can earn"),
        _("The referrer has earned the most that one can"),
        _("You have earned the most this offer gives"),
        _("Nothing for this event. Raise the limit in the rules for later ones"),
        "rules",
        _("The most this offer gives was reached"),
    ),
    "annual_limit": Reason(
        _("Within the most one referrer can earn in a calendar year: %(used)s of %(limit)s before this"),
        _("The referrer has earned the most for this calendar year: %(used)s of %(limit)s"),
        _("You have earned the most for this calendar year, %(limit)s"),
        _("Nothing for this event. The limit starts again on 1 January; raise it in the rules for later events"),
        "rules",
        _("The most for this calendar year was reached"),
    ),
    "annual_limit:cut": Reason(
        _("Cut to %(granted)s of %(wanted)s by the limit for a calendar year, %(limit)s"),
        _("Cut to %(granted)s of %(wanted)s by the limit for a calendar year, %(limit)s"),
        _("%(granted)s fill the most for this calendar year, %(limit)s"),
        _("Nothing for this event. The limit starts again on 1 January; raise it in the rules for later events"),
        "rules",
    ),
    "annual_limit:bare": Reason(
        _("Within the most one referrer can earn in a calendar year"),
        _("The referrer has earned the most for this calendar year"),
        _("You have earned the most for this calendar year"),
        _("Nothing for this event. The limit starts again on 1 January; raise it in the rules for later events"),
        "rules",
        _("The most for this calendar year was reached"),
    ),
    "budget_spent": Reason(
        _("Within the campaign's budget %(period)s: %(used)s of %(limit)s before this"),
        _("The campaign's budget %(period)s is spent: %(used)s of %(limit)s"),
        _("The offer's budget was used up at the time"),
        _("Nothing for this event. Raise the budget in the rules for later ones"),
        "rules",
    ),
    "budget_spent:cut": Reason(
        _("Cut to %(granted)s of %(wanted)s by the campaign's budget %(period)s, %(limit)s"),
        _("Cut to %(granted)s of %(wanted)s by the campaign's budget %(period)s, %(limit)s"),
        _("%(granted)s were left in the offer's budget"),
        _("Nothing for this event. Raise the budget in the rules for later ones"),
        "rules",
    ),
    "budget_spent:bare": Reason(
        _("Within the campaign's budget"),
        _("The campaign's budget is spent"),
        _("The offer's budget was used up at the time"),
        _("Nothing for this event. Raise the budget in the rules for later ones"),
        "rules",
    ),
    # What was taken back.
    "refunded": Reason(
        _("Not refunded"),
        _("Refunded, cancelled or deleted"),
        _("Their order was refunded"),
        _("Nothing: the money went back"),
        own=_("Your order was refunded"),
    ),
    "refunded:part": Reason(
        _("Refunded in part: %(refunded)s went back, the rest counts"),
        _("Refunded, cancelled or deleted"),
        _("Their order was refunded"),
        _("Nothing: the money went back"),
        own=_("Your order was refunded"),
    ),
    "cancelled": Reason(
        _("Not cancelled"),
        _("The order was cancelled"),
        _("Their order was cancelled"),
        _("Nothing for this one. What they pay after they resume counts again"),
        own=_("Your order was cancelled"),
    ),
    "disputed": Reason(
        _("Not disputed"),
        _("The payment is disputed with the bank"),
        _("Their payment is being checked"),
        _("The dispute: when you win it, the reward comes back"),
        own=_("Your payment is being checked"),
    ),
    # What people decided.
    "held_for_review": Reason(
        _("Not held"),
        _("Held until you decide"),
        _("We are checking this one"),
        _("Your decision: release it, or decline it"),
        "reward",
    ),
    "fraud_denied": Reason(
        _("No fraud found"),
        _("Declined as fraud"),
        _("This one was not accepted"),
        _("Restore it, if it was declined by mistake"),
        "reward",
    ),
    "denied_by_merchant": Reason(
        _("Not declined"),
        _("Declined by your team"),
        _("The shop declined this one"),
        _("Restore it, if it was declined by mistake"),
        "reward",
    ),
    "recipient_erased": Reason(
        _("The recipient's data is there"),
        _("The recipient had their data erased before it was paid"),
        _("You had your data erased before it was paid"),
    ),
    "referral_denied": Reason(
        _("The referral was not denied"),
        _("Your team denied the referral"),
        _("The shop declined this one"),
        _("Set the referral's status again: qualified or approved"),
        "reward",
    ),
    # On its way.
    "in_review_until": Reason(
        _("Review ended on %(until)s"),
        _("In review until %(until)s"),
        _("It clears on %(until)s"),
        _("It becomes due by itself on %(until)s. Approve it now, if you need not wait"),
        "approve",
    ),
    "in_review_until:bare": Reason(
        _("Review is over"),
        _("In review"),
        _("It is in review"),
        _("It becomes due when the review ends. Approve it now, if you need not wait"),
        "approve",
    ),
    "waiting_for_recipient": Reason(
        _("The recipient can be paid"),
        _("Waits for the recipient, who can't be paid yet"),
        _("We can't pay you yet. Check your payout address"),
        _("The recipient: they correct their payout address on their own page"),
        "person",
    ),
    "waiting_for_funds": Reason(
        _("The payout is funded"),
        _("Waits until the payout is funded"),
        _("It is approved and waits for the next payout"),
        _(
            "Bring the money to the provider. Then say under Payouts, Waiting, that it is there; what it refused, try again"
        ),
        "reward",
    ),
    "provider_rejected": Reason(
        _("Accepted by the provider"),
        _("The provider rejected it: %(message)s"),
        _("The payout did not work. We are looking into it"),
        _("Mend what the provider complains about, then send it again"),
        "reward",
    ),
    "provider_rejected:bare": Reason(
        _("Accepted by the provider"),
        _("The provider rejected it"),
        _("The payout did not work. We are looking into it"),
        _("Mend what the provider complains about, then send it again"),
        "reward",
    ),
}
# Every code by itself, in the order of the table.
CODES: tuple[str, ...] = tuple(name for name in REASONS if ":" not in name)

PERIODS: dict[str, Text] = {
    "all": _("as a whole"),
    "year": _("for that year"),
    "month": _("for that month"),
    "week": _("for that week"),
    "day": _("for that day"),
}
ENTITIES: dict[str, Text] = {
    "event": _("event"),
    "invitee": _("friend"),
    "referrer": _("referrer"),
    "campaign": _("campaign"),
}
# The operators of campaigns.conditions.
OPERATORS: dict[str, Text] = {
    "is": _("is"),
    "is_not": _("is not"),
    "contains": _("contains"),
    "does_not_contain": _("does not contain"),
    "starts_with": _("begins with"),
    "ends_with": _("ends with"),
    "more_than": _("is more than"),
    "at_least": _("is at least"),
    "less_than": _("is less than"),
    "at_most": _("is at most"),
    "one_of": _("is one of"),
    "none_of": _("is none of"),
}
