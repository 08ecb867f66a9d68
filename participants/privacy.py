"""What is held about a person, table by table: what of it an export gives, and what becomes of it when their data is erased.

Money is never deleted and people's data can be (RELIABILITY section 8, "GDPR"): rows that say what was earned and paid stay, under ids that
lead to nobody. Every table of ours is in `HELD` or in `NOTHING`; a test walks them all, so that a new one is thought of. History
(events.Event) and the ledger can't be changed, so no name and no address is ever written there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from django.apps import apps
from django.db.models import Model, Q, QuerySet

from participants.customers import by_email
from participants.invites import fingerprint
from participants.inviting import address_key
from participants.models import CustomerReference, FriendInvitation, Participant, QualifyingEvent, Visit
from referrals.accounts.tenancy import Tenant
from referrals.lib.emails import parse_email

# What becomes of the rows when the person is erased: gone, emptied of what is personal, or kept as they are.
Fate = Literal["deleted", "emptied", "kept"]


@dataclass(frozen=True, slots=True)
class Person:
    """One address at one side of one merchant, in all of its campaigns."""

    tenant: Tenant
    email: str
    email_key: str
    identity_key: str
    keys: tuple[int, ...]
    ids: tuple[str, ...]
    # Ids that lead to them elsewhere: their events, what sources call them, and their browsers' visitor cookies.
    events: tuple[str, ...] = ()
    customer_ids: tuple[str, ...] = ()
    visitors: tuple[str, ...] = ()

    @property
    def side(self) -> dict[str, Any]:
        """The merchant and side as a filter that an index serves."""
        return {"merchant": self.tenant.merchant, "is_test__in": [self.tenant.is_test]}


Find = Callable[[Person], Q]


@dataclass(frozen=True, slots=True)
class Held:
    """One table: `name` in the export ("" leaves it out, and `why` says so), its `fields`, how rows are found, and what becomes of them."""

    label: str
    find: Find
    fate: Fate
    name: str = ""
    fields: tuple[str, ...] = ()
    empty: dict[str, Any] = field(default_factory=dict)
    why: str = ""

    @property
    def model(self) -> type[Model]:
        """The table's model."""
        return apps.get_model(self.label)

    def rows(self, person: Person) -> QuerySet[Any]:
        """The person's rows, read past managers that refuse to change history."""
        found: QuerySet[Any] = QuerySet(self.model).filter(self.find(person))
        return found


def _of(*paths: str) -> Find:
    """Rows that lead to the person along one of these keys."""

    def find(person: Person) -> Q:
        found = Q()
        for path in paths:
            found |= Q(**{f"{path}__in": person.keys})
        return found

    return find


def _at(path: str = "") -> Find:
    """Rows with the person's folded address at this side; `path` leads to the row that has merchant and is_test."""

    def find(person: Person) -> Q:
        return Q(email_key=person.email_key, **{f"{path}{name}": value for name, value in person.side.items()})

    return find


def _customer(person: Person) -> Q:
    keys = [by_email(person.tenant, person.email).key]
    return Q(key__in=keys, **person.side)


def _no_invite(person: Person) -> Q:
    email = parse_email(person.email)
    keys = [address_key(person.tenant, email), fingerprint(person.tenant, person.email_key)]
    return Q(key__in=keys, **person.side)


def _waiting(person: Person) -> Q:
    return Q(Q(event_ref__in=person.events) | Q(customer_id__in=person.customer_ids), **person.side)


def _messages(person: Person) -> Q:
    found = Q(event_ref__in=person.events) | Q(email_key=person.email_key) | Q(facts__email=person.email)
    return Q(found, **person.side)


def _history(person: Person) -> Q:
    return Q(Q(participant_ref__in=person.ids) | Q(referrer_ref__in=person.ids), **person.side)


def _told_elsewhere(path: str = "") -> Find:
    """Webhooks whose bodies hold the person's data."""

    def find(person: Person) -> Q:
        return Q(**{f"{path}person_ref__in": person.ids})

    return find


def _in_files(person: Person) -> Q:
    """Lines of files that are over: what is on its way to the person arrives (rewards.files.freezing.forget_erased)."""
    open_still = ("queued", "sending", "unknown", "needs_attention")
    return Q(payout__participant__in=person.keys) & ~Q(payout__status__in=open_still)


def _trusted(person: Person) -> Q:
    return Q(Q(one=person.identity_key) | Q(other=person.identity_key), **person.side)


def _visits(person: Person) -> Q:
    return Q(visitor__in=person.visitors, **person.side)


def _captured(person: Person) -> Q:
    return Q(capture__email_key=person.email_key, **{f"capture__{name}": value for name, value in person.side.items()})


def _invited_by_friends(person: Person) -> Q:
    invitations = FriendInvitation.objects.filter(email_key=person.email_key, **person.side)
    return Q(subject_id__in=invitations.values("public_id"))


SUSPICION = "How suspicion is judged is not shown to the people concerned (docs/fraud.md)."
MONEY = "Says what was earned and paid; leads to nobody once the name and the address are gone."
HELD: tuple[Held, ...] = (
    # Who they are. The row itself gets a tombstone (tombstones()).
    Held(
        "participants.Participant", lambda person: Q(pk__in=person.keys), "emptied", "memberships",
        ("public_id", "campaign__name", "email", "first_name", "last_name", "referral_code", "vanity_code", "language", "source",
         "existing_customer", "hidden_on_board", "joined_at", "banned_at", "ban_reason", "note", "metadata"),
        {"first_name": "", "last_name": "", "vanity_code": "", "language": "", "note": "", "metadata": {}, "ban_reason": "",
         "customer_by": "", "fraud_level": "", "hidden_on_board": True},
    ),
    Held("participants.ChosenCode", _of("participant"), "deleted", "chosen_codes", ("code", "created_at", "released_at")),
    Held("participants.CustomerReference", _of("participant"), "deleted", "customer_ids", ("source", "customer_id")),
    Held("participants.KnownCustomer", _customer, "emptied", "customer_list", ("hint", "since", "added_at"), {"hint": ""},
         "A fingerprint stays on the merchant's own list, so that a customer is not taken for a new one."),
    Held("participants.Agreement", _of("participant"), "kept", "terms_accepted",
         ("terms__number", "terms__url", "source", "agreed_at"), why="That these terms were accepted, by an id that leads to nobody."),
    # Asking to join, and applying.
    Held("participants.JoinRequest", _at(), "deleted", "requests_to_join",
         ("email", "first_name", "last_name", "language", "answers", "created_at", "confirmed_at")),
    Held("participants.ApplicationMail", lambda person: Q(application__email_key=person.email_key,
         **{f"application__{name}": value for name, value in person.side.items()}), "deleted", "application_mails",
         ("kind", "created_at", "sent_at")),
    Held("participants.Application", _at(), "deleted", "applications",
         ("email", "first_name", "last_name", "language", "answers", "status", "reason", "created_at", "decided_at")),
    # Addresses that purchases and forms named, for the merchant's invitations.
    Held("participants.CaptureName", _captured, "deleted", "captured_names", ("source", "reference")),
    Held("participants.Capture", _at(), "deleted", "captured",
         ("email", "name", "source", "amount_minor", "currency", "consent", "occurred_at")),
    # Their page and their mails.
    Held("participants.PortalLink", _of("participant"), "deleted", "log_in_links", ("created_at", "sent_at", "used_at")),
    Held("participants.PortalSession", _of("participant"), "deleted", "log_ins", ("created_at", "seen_at", "ended_at", "agent")),
    Held("participants.MailStop", _of("participant"), "deleted", "mails_stopped", ("kind", "stopped_at")),
    Held("participants.MailBounce", _of("participant"), "deleted", "mails_bounced", ("code", "text", "bounced_at", "cleared_at")),
    Held("participants.MailOrder", _of("participant"), "deleted", "mails_asked_for", ("kind", "to", "created_at", "sent_at")),
    Held("hosted.Mail", _of("participant"), "deleted", "mails", ("kind", "created_at", "sent_at")),
    Held("hosted.WaitingNotice", _of("participant"), "deleted", "mails_about_waiting_rewards", ("since", "told")),
    Held("participants.PayoutDestination", _of("participant"), "deleted", "payout_addresses",
         ("method", "hint", "asked_at", "confirmed_at", "usable_from", "ended_at")),
    # Inviting and being invited. A mail to them that has not left goes before what it is about.
    Held(
        "participants.MailOrder", _invited_by_friends, "deleted", why="A mail to them that has not left; exported as invitation.",
    ),
    Held("participants.FriendInvitation", _of("participant"), "deleted", "invitations_sent",
         ("email", "invited_at", "reminders", "reminded_at")),
    Held("participants.FriendInvitation", _at(), "emptied", "invitations_by_friends", ("invited_at", "reminders"),
         {"email": "", "email_key": ""}),
    Held("participants.FriendReminder", _of("referral__invitee", "referral__referrer"), "kept", "reminders", ("number", "at"),
         why="A number and a date."),
    Held("participants.InviteLine", _at("list__"), "emptied", "invitation_lists", ("list__name", "number", "name"),
         {"email": "", "email_key": "", "name": ""}),
    Held("participants.Invite", _at(), "emptied", "invitations_by_the_merchant",
         ("email", "name", "code", "source", "state", "created_at", "sent_at", "opened_at"), {"name": ""}),
    Held("participants.NoInvite", _no_invite, "emptied", "no_invitations", ("reason", "at"), {"text": ""},
         "A fingerprint stays, so that nobody is written to who said no."),
    # What they did.
    Held("participants.Visit", _visits, "emptied", "visits", ("occurred_at", "channel", "utm", "referer", "network", "agent"),
         {"utm": {}, "referer": "", "network": None, "agent": "", "visitor": ""}),
    Held("participants.Trace", _of("participant"), "deleted", "browsers_seen", ("at", "network", "agent")),
    Held("participants.Referral", _of("invitee", "referrer"), "kept", "referrals", ("how", "status", "created_at", "detached_at"),
         why=MONEY),
    Held("participants.ReferralShare", _of("participant"), "kept", "shares", ("numerator", "denominator"), why=MONEY),
    Held("participants.QualifyingEvent", _of("participant"), "emptied", "events",
         ("type", "amount_minor", "currency", "source", "external_id", "occurred_at", "refunded_minor", "metadata"),
         {"metadata": {}}),
    Held("participants.EventReference", _of("event__participant"), "kept", "order_numbers", ("source", "reference"),
         why="A payment's number, so that a refund finds it."),
    Held("participants.Refund", _of("event__participant"), "kept", "refunds",
         ("kind", "amount_minor", "currency", "source", "external_id", "occurred_at"), why=MONEY),
    Held("participants.RefundReference", _of("refund__event__participant"), "kept", why="A payment's number.", name="refund_numbers",
         fields=("source", "reference")),
    Held("participants.WaitingEvent", _waiting, "emptied", "events_before_they_were_known",
         ("type", "amount_minor", "currency", "source", "customer_id", "occurred_at", "metadata"), {"customer_id": "", "metadata": {}}),
    Held("integrations.PromotionCode", _of("participant"), "kept", "promotion_codes", ("code", "state", "created_at"),
         why="The code's text, which leads to nobody, so that it can be switched off at the company."),
    Held("integrations.InboundEvent", _messages, "emptied", "messages_of_companies", ("type", "state", "received_at"),
         {"body": b"", "headers": {}, "facts": {}, "error": "", "email_key": ""}),
    Held("integrations.WebhookAttempt", _told_elsewhere("delivery__"), "emptied", empty={"answer": ""},
         why="What the merchant's own system answered; deleted after 30 days."),
    Held("integrations.WebhookDelivery", _told_elsewhere(), "emptied", "messages_to_the_merchants_systems", ("type", "created_at", "body"),
         {"body": ""}, "Deleted after 30 days."),
    Held("events.Event", _history, "kept", "history", ("type", "created_at"), why="History never holds a name or an address."),
    # Money. Decisions and rewards are told in words (rewards.personal).
    Held("rewards.Decision", _of("event__participant", "referrer"), "kept", "", why="Told in words: decisions."),
    Held("rewards.Reward", _of("participant"), "kept", "", why="Told in words: rewards."),
    Held("rewards.LedgerEntry", _of("participant"), "kept", "ledger", ("kind", "amount_minor", "currency", "created_at"), why=MONEY),
    Held("rewards.Payout", _of("participant"), "kept", "payouts",
         ("method", "amount_minor", "currency", "status", "created_at", "paid_at"), why=MONEY),
    Held("rewards.PayoutGift", _of("payout__participant"), "deleted", "gifts", ("hint", "made_at", "expires_at")),
    Held("rewards.PayoutLine", _in_files, "emptied", empty={"sealed": ""},
         why="A line of a file with which they were paid; of one that is still to be paid with, it goes once that is done."),
    Held("rewards.CouponCode", _of("payout__participant"), "emptied", empty={"hint": ""},
         why="A code of the merchant's list that they were given, told as a gift; it stays, so that nobody is given it again."),
    # Suspicion.
    Held("participants.FraudCase", _of("participant", "referrer"), "kept", why=SUSPICION),
    Held("participants.FraudEvaluation", _of("participant", "referral__referrer"), "kept", why=SUSPICION),
    Held("participants.FraudReason", _of("evaluation__participant", "evaluation__referral__referrer"), "emptied",
         empty={"evidence": {}}, why=SUSPICION),
    Held("participants.FraudAction", _of("case__participant", "case__referrer"), "emptied", empty={"note": ""}, why=SUSPICION),
    Held("participants.TrustedPair", _trusted, "deleted", why=SUSPICION),
)  # fmt: skip

# Tables that hold nothing about participants, or nothing that stays; each with the reason.
NOTHING: dict[str, str] = {
    **dict.fromkeys(
        (
            "accounts.ApiKey", "accounts.Invitation", "accounts.Membership", "accounts.Merchant", "accounts.MerchantClock",
            "accounts.SigningSecret", "accounts.User", "accounts.User_groups", "accounts.User_user_permissions", "accounts.Wipe",
        ),
        "The merchant's own team and its keys.",
    ),
    **dict.fromkeys(
        (
            "campaigns.Campaign", "campaigns.CampaignImage", "campaigns.CampaignMail", "campaigns.CampaignText",
            "campaigns.CampaignVersion", "campaigns.Listing", "campaigns.RewardRule", "campaigns.RuleTier", "campaigns.StatusChange",
            "integrations.Connection", "integrations.WebhookEndpoint", "integrations.PromotionPlan", "integrations.InboundEndpoint",
            "participants.InviteSettings", "participants.TermsVersion", "participants.FraudBlock",
        ),
        "What the merchant set.",
    ),
    **dict.fromkeys(
        ("campaigns.Sighting", "hosted.Bookmark", "hosted.ClickSegment", "rewards.BudgetUse", "rewards.RewardTally", "rewards.PayoutBatch",
         "integrations.Reconciliation", "integrations.OutboxPosition"),
        "Counts, sums and positions.",
    ),
    "accounts.RateLimit": "Keyed hashes that are deleted when their span is over.",
    "api.IdempotencyRecord": "Answers to the merchant's own programs, deleted after seven days.",
    "integrations.SandboxRow": "What a stand-in remembers of the test side, deleted with the test data.",
    "rewards.PayoutItem": "Which rewards a payout is for; found by the payout.",
    "rewards.PayoutAttempt": "When a company was asked and what it answered; found by the payout.",
    "rewards.CouponList": "What the merchant set.",
    "rewards.PayoutFile": "The head, the sum and the check sum of a file; what it says of people stands in its lines.",
    "rewards.PayoutReturn": "A merchant's file, deleted as it is worked through; what was wrong names payouts by their ids.",
    "integrations.PayoutComparison": "When a connection was compared last.",
    "integrations.PayoutDifference": "Sums and ids of payments; a person is found by the payout.",
    "rewards.PayoutShipment": "A list of payouts that one call carries, by their ids and sums.",
    "integrations.Catalogue": "What a company sells.",
    "integrations.CatalogueProduct": "What a company sells.",
    "rewards.YearlyNotice": "A sum that a merchant set.",
    "rewards.VetoEndpoint": "An address that a merchant set.",
    "rewards.PayoutVeto": "What the merchant's own system answered; found by the payout.",
    "rewards.PayoutLimit": "Sums that a merchant set.",
    "rewards.PayoutRoute": "Names a way of paying and a member of the merchant's team.",
    "rewards.PayoutCalendar": "A weekday and an hour.",
    "rewards.PayoutRun": "Names a batch.",
    "rewards.TeamAlert": "Names a reward or a batch.",
    "rewards.PayoutStop": "Names a member of the merchant's team.",
    "rewards.WhatIf": "Names people by their ids only; deleted after seven days.",
    "participants.CustomerUpload": "A merchant's file, deleted as it is applied or after a day; lines that could not be read are scrubbed.",
    "rewards.ExportSchedule": "Names a list, a filter and a member of the merchant's team.",
    "rewards.Transfer": "Names lists and filters; its file is the merchant's own, deleted after a week.",
    "rewards.Import": "A file's name, its columns' names, and counts.",
    "rewards.ImportFile": "A merchant's file, deleted after a week, and at once when anybody's data is erased.",
    "participants.InviteList": "A merchant's file, deleted once it is looked at; lines that could not be read are scrubbed.",
    "participants.HubAccess": "A log-in over all merchants, of none of them; deleted when no merchant knows the address any more.",
}  # fmt: skip


def person_of(participant: Participant) -> Person:
    """The person behind a participant: the same address in all campaigns of this side. Four queries."""
    same = Participant.objects.for_tenant(participant.tenant).filter(email_key=participant.email_key).order_by("pk")
    rows = list(same.values_list("pk", "public_id"))
    keys = tuple(pk for pk, _id in rows)
    events = QualifyingEvent.objects.filter(participant__in=keys).values_list("public_id", flat=True)
    customers = CustomerReference.objects.filter(participant__in=keys).values_list("customer_id", flat=True)
    visitors = Visit.objects.filter(pk__in=_own_clicks(keys)).exclude(visitor="").values_list("visitor", flat=True)
    return Person(
        participant.tenant, participant.email, participant.email_key, participant.identity_key,
        keys, tuple(public_id for _pk, public_id in rows),
        tuple(events), tuple(customers), tuple(sorted(set(visitors))),
    )  # fmt: skip


def _own_clicks(keys: tuple[int, ...]) -> QuerySet[Any]:
    """The click through which each of them came: what is known of their own visits."""
    referral = apps.get_model("participants.Referral")
    found: QuerySet[Any] = referral.objects.filter(invitee__in=keys, visit__isnull=False).values("visit")
    return found


def exported(person: Person) -> dict[str, list[dict[str, Any]]]:
    """Everything that the table gives of a person, by the export's names; one query for each table."""
    found: dict[str, list[dict[str, Any]]] = {}
    for held in HELD:
        if held.name:
            rows = held.rows(person).order_by("pk").values(*held.fields)
            found[held.name] = [{name.replace("__", "_"): value for name, value in row.items()} for row in rows]
    return found
