"""Version 2's objects as JSON Schema, each property with a sample (API.md, "The bodies that matter most")."""

from __future__ import annotations

from campaigns.models import Campaign, CampaignType, RewardRule, Status
from integrations.models import InboundEvent
from participants.fraud.presets import PRESETS
from participants.models import Refund
from referrals.api.fields import MONEY_INPUT
from referrals.api.fraud import FRAUD
from referrals.api.schema import Schema, array, boolean, instant, optional, record, ref, text, whole
from referrals.api.v2.application_schemas import APPLICATION
from referrals.api.v2.base import page_schema
from referrals.api.v2.export_schemas import EXPORT
from referrals.api.v2.payout_routes import PAYOUT_ROUTES
from referrals.api.v2.payout_safety import PAYOUT_SAFETY
from referrals.api.v2.payout_schemas import PAYOUTS
from referrals.api.v2.report_schemas import CAMPAIGN_REPORT
from referrals.api.v2.rule_schemas import RULE, RULE_INPUT, RULE_KEY, SIDES
from referrals.api.v2.webhook_schemas import SCHEMAS as WEBHOOKS
from referrals.api.v2.what_if_schemas import WHAT_IF
from referrals.lib.money import CURRENCIES
from rewards.coming import KINDS as COMING
from rewards.models import State
from rewards.simulating import STEPS

PT, EV, RW, PO, PB, RE = (f"{prefix}_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3" for prefix in ("pt", "ev", "rw", "po", "pb", "re"))
CAMPAIGN_ID = "JCu82f30F1"
MONEY = record(
    {
        "amount_minor": whole("Minor units: cents, yen, fils.", 2000),
        "currency": text("ISO 4217.", "USD", enum=sorted(CURRENCIES)),
    },
    about="An amount in minor units and its currency.",
)
TEXTS = record(
    {
        "language": text("The language of these texts: the campaign's default.", "en"),
        "reward_header": text("Headline for friends; empty stands for a text made from the rules.", "$20 for you"),
        "reward_description": text("Text for friends.", "Join and get $20 off your first order."),
        "share_header": text("Headline for referrers.", "Give $20. Get $20."),
        "share_description": text("Text for referrers.", "You get $20 for each friend who buys."),
        "share_message": text("The message that is shared.", "Have a look: $20 for you."),
        "thank_you": text("After joining.", "You are in."),
        "terms": text("The offer's terms.", ""),
    }
)
CAMPAIGN = record(
    {
        "id": text("10 letters and digits.", CAMPAIGN_ID),
        "name": text("For your eyes.", "Summer"),
        "type": text("Its type.", "refer_a_friend", enum=list(CampaignType.values)),
        "status": text("Where it stands.", "active", enum=list(Status.values)),
        "currency": text("Of all its amounts; fixed once launched.", "USD", enum=sorted(CURRENCIES)),
        "starts_at": instant("Nobody can join before.", None, null=True),
        "ends_at": instant("Nobody can join from then on.", None, null=True),
        "rules": array(ref("Rule"), "The rules in force."),
        "milestones": array({"type": "object", "additionalProperties": True, "examples": [{}]}, "Milestones."),
        "texts": TEXTS,
        "theme": record(
            {
                "brand_color": text("The main colour.", "#0a6470"),
                "font": text("The font.", "sans", enum=[name for name, _ in Campaign.FONTS]),
            }
        ),
        "landing": record(
            {
                "mode": text("Where links lead.", "hosted", enum=[name for name, _ in Campaign.LANDINGS]),
                "url": text("Your page, for `redirect`.", None, null=True),
                "allowed_hosts": array(
                    text("A host name.", "blog.example.com"), "More sites that deep links may lead to."
                ),
                "app_schemes": array(text("A scheme.", "halden"), "Schemes of apps that deep links may open."),
                "script_origins": array(
                    text("An origin.", "https://shop.example.com"), "Pages that may use the browser script."
                ),
                "discount_code": text(
                    "What invited visitors of your pages are shown to enter when they pay; `{code}` is their friend's referral code.",
                    "WELCOME15",
                    null=True,
                ),
                "utm": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "description": "UTM parameters that your page gets, by name without `utm_`.",
                    "examples": [{"source": "friends"}],
                },
            }
        ),
        "joining": record(
            {
                "asks_terms": boolean("Whether people have to accept the terms.", False),
                "terms_url": text("The page with the terms; null for those of `texts`.", None, null=True),
                "confirms_email": boolean("Whether joining counts only once the address is confirmed by mail.", False),
                "questions": array(
                    {"type": "object", "additionalProperties": True},
                    "Questions of the form: key, kind, labels, options.",
                ),
            }
        ),
        "links": record(
            {
                "name": text("Stands before chosen codes in short links.", None, null=True),
                "host": text("The campaign's own host name, once it is proven.", None, null=True),
                "own_codes": boolean("Whether people may choose their own code.", True),
                "consent": text("When a cookie may be set.", "always", enum=[name for name, _ in Campaign.CONSENTS]),
            }
        ),
        "attribution": record(
            {
                "model": text(
                    "Which click counts, or how a friend is shared.",
                    "first_click",
                    enum=[name for name, _ in Campaign.MODELS],
                ),
                "window_days": whole("For how many days a click counts.", 60),
            }
        ),
        "fraud": record(
            {
                "preset": text("How strict the fraud check is.", "balanced", enum=list(PRESETS)),
                "medium": whole("From how many points on a referral is Medium.", 34),
                "high": whole("From how many points on it is High.", 67),
            }
        ),
        "is_test": boolean("Whether it belongs to the test side.", False),
        "link": text("The campaign's page.", f"https://referrals.example.com/campaign?id={CAMPAIGN_ID}"),
        "version": whole("The number of the rules' version.", 1, null=True),
        "created_at": instant("When it was made."),
        "launched_at": instant("When it was launched.", null=True),
    },
    about="A campaign.",
)
_SIDE = record({"earned": ref("Money"), "redeemed": ref("Money"), "left": ref("Money")})
PARTICIPANT = record(
    {
        "id": text("The participant.", PT),
        "campaign": text("The campaign.", CAMPAIGN_ID),
        "email": text("The address.", "noor@example.com"),
        "first_name": text("First name.", "Noor"),
        "last_name": text("Last name.", "Khan"),
        "referral_code": text("Their own code.", "8Mnu79TD"),
        "vanity_code": text("The code that they or you chose; the one above keeps working.", None, null=True),
        "link": text(
            "Their own link.", f"https://referrals.example.com/campaign?id={CAMPAIGN_ID}&referralCode=8Mnu79TD"
        ),
        "short_link": text("The same, shorter.", "https://referrals.example.com/r/8Mnu79TD"),
        "qr_svg": text("A picture of the short link, to print.", "https://referrals.example.com/r/8Mnu79TD/qr.svg"),
        "qr_png": text("The same as PNG.", "https://referrals.example.com/r/8Mnu79TD/qr.png"),
        "referred_by": text(
            "The participant who invited them; of several who share them, the one with the most.", PT, null=True
        ),
        "shared_by": array(
            record({"participant": text("Who has a part.", PT), "share": text("The part of each reward.", "1/3")}),
            "All who share them; empty when one participant has the whole.",
        ),
        "joined_at": instant("When they joined."),
        "existing_customer": boolean("Whether they were a customer before.", False),
        "banned": boolean("Whether they are banned.", False),
        "visits": whole("Clicks of people on their link.", 12),
        "visits_hidden": whole("Clicks of machines, not counted.", 31),
        "balances": record({"referrer": _SIDE, "invitee": _SIDE}, about="Earned, redeemed and left, for each side."),
        "fraud": FRAUD,
        "referrals": whole("How many friends came through them.", 3),
        "source": text("How they were added.", "api"),
        "language": text("Their language.", "en"),
        "ban_reason": text("Why they are banned.", ""),
        "note": text("Your note.", ""),
        "status": text("How far their sale has come; null when nobody invited them.", "pending", null=True),
        "metadata": {
            "type": "object",
            "additionalProperties": True,
            "description": "Facts of your own, for conditions of rules.",
            "examples": [{"country": "NO"}],
        },
    },
    about="A participant.",
)
CONDITION = record(
    {
        "code": text("What was checked.", "below_minimum_purchase"),
        "passed": {"type": ["boolean", "null"], "description": "Whether it held.", "examples": [True]},
        "facts": {
            "type": "object",
            "additionalProperties": True,
            "description": "What was looked at.",
            "examples": [{}],
        },
        "sentence": text("The same in words.", "Below the minimum purchase: $20.00, the campaign asks for $30.00"),
    }
)
DECISION = record(
    {
        "rule": text("The rule.", RULE_KEY),
        "side": text("Who would be rewarded.", "referrer", enum=SIDES),
        "rewardable": boolean("The outcome.", True),
        "reason": text("The first condition that failed.", None, null=True),
        "conditions": array(CONDITION, "Every condition that was checked."),
        "decided_at": instant("When."),
        "reward": text("What it led to; of several, the largest.", RW, null=True),
        "rewards": array(text("A reward.", RW), "All that it led to: one for each who shares the friend."),
        "amount": ref("Money"),
        "event": text("The event.", EV),
        "current": boolean("False when a later decision replaced it.", True),
        "sentence": text("The reason in words.", None, null=True),
        "can_change": text("What can still change it.", None, null=True),
    },
    about="An event checked against a rule.",
)
EVENT = record(
    {
        "id": text("The event.", EV),
        "campaign": text("The campaign.", CAMPAIGN_ID),
        "email": text("Whose event it is.", "noor@example.com"),
        "type": text("What happened.", "purchase"),
        "amount": optional("Money", "What was paid."),
        "source": text("Who told us.", "api"),
        "external_id": text("Its id at the source.", "order-1001", null=True),
        "occurred_at": instant("When it happened."),
        "refunded": optional("Money", "Taken back so far."),
        "rewardable": boolean("Whether it earned anything.", True),
        "decisions": array(ref("Decision"), "One for each rule."),
        "participant": {
            "anyOf": [text("The participant.", PT), ref("Participant")],
            "description": "An id, or the object with expand=participant.",
        },
        "recorded_at": instant("When we heard of it."),
        "disputed_at": instant("When the bank was asked to take it back.", null=True),
        "metadata": {
            "type": "object",
            "additionalProperties": True,
            "description": "Yours.",
            "examples": [{"plan": "pro"}],
        },
    },
    about="Something a participant did that may earn rewards.",
)
WAITING_EVENT = record(
    {
        "id": text("What waits; the event gets an id of its own.", "we_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
        "state": text("It waits for its person.", "waiting", enum=["waiting"]),
        "campaign": text("The campaign.", CAMPAIGN_ID),
        "customer_id": text("The id that nobody has yet.", "user-77"),
        "type": text("What happened.", "purchase"),
        "amount": optional("Money", "What was paid."),
        "source": text("Who told us.", "api"),
        "external_id": text("Its id at the source.", "order-1001", null=True),
        "occurred_at": instant("When it happened."),
        "recorded_at": instant("When we heard of it."),
    },
    about="An event that waits until somebody has its customer id.",
)
REFUND = record(
    {
        "id": text("The refund.", RE),
        "event": text("Of which event.", EV),
        "kind": text("What it is.", "refund", enum=[name for name, _ in Refund.KINDS]),
        "amount": optional("Money", "Null: all of it."),
        "source": text("Who told us.", "api"),
        "external_id": text("Its id at the source.", "refund-77", null=True),
        "occurred_at": instant("When it happened."),
        "recorded_at": instant("When we heard of it."),
    },
    about="Money taken back.",
)
REWARD = record(
    {
        "id": text("The reward.", RW),
        "campaign": text("The campaign.", CAMPAIGN_ID),
        "participant": {
            "anyOf": [text("Who gets it.", PT), ref("Participant")],
            "description": "An id, or the object with expand=participant.",
        },
        "side": text("Which side it is for.", "referrer", enum=SIDES),
        "rule": text("The rule it was made under.", RULE_KEY),
        "event": {
            "anyOf": [text("For what.", EV), ref("Event")],
            "description": "An id, or the object with expand=event.",
        },
        "kind": text("What it is.", "cash", enum=[name for name, _ in RewardRule.KINDS]),
        "amount": ref("Money"),
        "status": text("Where it stands.", "due", enum=list(State.values)),
        "reason": text("Why it stands there.", None, null=True),
        "review_ends_at": instant("When it leaves review.", null=True),
        "issued_at": instant("When it was issued.", None, null=True),
        "payout": text("The payout that delivers it.", None, null=True),
        "since": instant("Since when it stands there."),
        "created_at": instant("When it was earned."),
        "note": text("A person's words.", ""),
        "units": whole("How many of something that is no money; null for money.", None, null=True),
        "units_label": text("What the units are.", None, null=True),
    },
    about="What a participant is owed.",
)
CONNECTION = record(
    {
        "id": text("The connection.", "con_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
        "provider": text("The company.", "stripe"),
        "webhook_url": text(
            "Where the provider is to send its messages.",
            "https://referrals.example.com/in/con_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3/",
        ),
        "mode": text("Live or test.", "live", enum=["live", "test"]),
        "health": text("How it is doing; todo: something is left to do.", "todo", enum=["ok", "todo", "warn", "fail"]),
        "health_text": text("The same in words.", "The first message has not arrived yet."),
        "label": text("Your name for it.", "Main account"),
        "tells_of_payments": boolean("Whether it tells of payments; others only pay rewards.", True),
        "pays": array(
            text("A way.", "tremendous"), "The ways in which it delivers rewards; a payout's method is one of them."
        ),
        "settings": {
            "type": "object",
            "description": "What else it knows, by name; nothing of it is secret.",
            "additionalProperties": {"type": "string"},
            "example": {"currency": "USD"},
        },
        "created_at": instant("When it was made."),
        "last_event_at": instant("When it last sent a genuine message.", None, null=True),
        "removed_at": instant("When it was removed.", None, null=True),
    },
    about="An account at a payment company.",
)
INBOUND = record(
    {
        "id": text("The message.", "in_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
        "connection": text("Where it came from.", "con_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
        "event_id": text("The provider's id of it.", "evt_1PZ"),
        "type": text("The provider's type.", "checkout.session.completed"),
        "state": text("What became of it.", "processed", enum=[name for name, _ in InboundEvent.STATES]),
        "outcome": text("What it led to, as a code.", "rewarded", null=True),
        "message": text(
            "The same in words.", "Payment of $50.00 by noor@example.com in Summer. Rewards: 1.", null=True
        ),
        "advice": text("What can be done about it, if anything.", None, null=True),
        "event": text("The event it led to.", EV, null=True),
        "attempts": whole("How often it was tried.", 1),
        "came_by": text(
            "Sent by the company, or found by the nightly comparison.",
            "webhook",
            enum=[name for name, _ in InboundEvent.CAME_BY],
        ),
        "received_at": instant("When it arrived."),
        "processed_at": instant("When it was done.", null=True),
    },
    about="A message of a provider.",
)
PROBLEM = record(
    {
        "type": text("Where the code is explained.", "https://referrals.example.com/docs/errors/#campaign_not_found"),
        "title": text("The code in words.", "Campaign not found"),
        "status": whole("The HTTP status.", 404),
        "detail": text("What is wrong and what to do.", "No campaign JCu82f30F1."),
        "code": text("A stable code.", "campaign_not_found"),
        "field": text("The input at fault.", None, null=True),
        "request_id": text("Tell us this when you ask about it.", "1QmXfS0pKq2Vw9aB", null=True),
    },
    about="A problem document (RFC 9457); further members may follow.",
)
_SUBJECT = record(
    {
        "type": text("What it is.", "reward"),
        "id": text("Its id.", RW),
    }
)
TEST_CLOCK = record(
    {
        "now": instant("What time it is on the test side."),
        "moved": boolean("Whether the clock was ever moved; if not, it is the real time.", True),
        "target": instant("Where a move that is under way is going; null when the clock is there.", None, null=True),
        "coming": array(
            record(
                {
                    "at": instant("When."),
                    "kind": text("What kind of thing.", "review_ends", enum=COMING),
                    "subject": _SUBJECT,
                    "about": text("Whose reward, or which campaign.", "Noor Haddad"),
                    "amount": optional("Money", "How much, for a reward."),
                }
            ),
            "What happens next by itself, soonest first; ten at most.",
        ),
        "happened": array(
            record(
                {
                    "at": instant("When, by the test clock."),
                    "type": text("What, as in webhooks.", "reward.due"),
                    "subject": _SUBJECT,
                }
            ),
            "What happened on the last move, in order; the first fifty.",
        ),
    },
    about="The clock of the test side.",
)
TEST_DATA = record(
    {
        "status": text("Whether all of it is being deleted.", "deleting", enum=["kept", "deleting", "deleted"]),
        "total": whole("Rows there were when it was asked for.", 1200),
        "deleted": whole("Rows that are gone.", 0),
        "asked_at": instant("When it was last asked for.", null=True),
        "finished_at": instant("When that was done.", None, null=True),
    },
    about="How far deleting all test data has come.",
)
SIMULATION = record(
    {
        "campaign": text("The campaign.", CAMPAIGN_ID),
        "steps": array(text("A step.", "visit", enum=list(STEPS)), "The steps that were played, in order."),
        "referrer": ref("Participant"),
        "friend": optional("Participant", "Who joined; null without that step."),
        "visit": boolean("Whether a click was kept.", True),
        "event": optional("Event", "The purchase with its decisions; null without that step."),
        "refund": optional("Refund", "What was taken back; null without that step."),
        "rewards": array(ref("Reward"), "The rewards as they stand after the last step."),
    },
    about="A simulated referral: what a real friend would have left behind.",
)
SCHEMAS: dict[str, Schema] = {
    "Money": MONEY,
    "MoneyInput": {**MONEY_INPUT, "examples": [{"amount_minor": 5000, "currency": "USD"}]},
    "Campaign": CAMPAIGN,
    "Rule": RULE,
    "RuleInput": RULE_INPUT,
    "Participant": PARTICIPANT,
    "Application": APPLICATION,
    "Event": EVENT,
    "WaitingEvent": WAITING_EVENT,
    "Decision": DECISION,
    "Refund": REFUND,
    "Reward": REWARD,
    "PayoutRoutes": PAYOUT_ROUTES,
    **PAYOUTS,
    "PayoutSafety": PAYOUT_SAFETY,
    "Connection": CONNECTION,
    "InboundEvent": INBOUND,
    **WEBHOOKS,
    "TestClock": TEST_CLOCK,
    "TestData": TEST_DATA,
    "Simulation": SIMULATION,
    "WhatIf": WHAT_IF,
    "Export": EXPORT,
    "CampaignReport": CAMPAIGN_REPORT,
    "Problem": PROBLEM,
    **{
        f"{name}Page": page_schema(name)
        for name in "Campaign Participant Application Event Decision Refund Reward Payout Batch PayoutReturn Connection InboundEvent "
        "WebhookEndpoint Delivery Export".split()
    },
}
