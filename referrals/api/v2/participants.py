"""Participants: search, join, change, ban."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, QuerySet

from participants.codes import choose_code
from participants.friends import is_referrer
from participants.models import Participant, Referral
from participants.search import search, with_fact
from referrals.accounts.models import Scope
from referrals.api.errors import malformed
from referrals.api.fields import Choice, EmailField, Field, Flag, Metadata, Moment, MoneyField, Text
from referrals.api.finding import campaign_of, one
from referrals.api.fraud import seen_fields, seen_in
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import ref
from referrals.api.v2.base import API, PAGING, SOURCE, id_text, page_json, page_of
from referrals.api.v2.shapes import participants_json
from referrals.events.models import Event
from referrals.lib.errors import Refused
from rewards import bans, bonds, personal, services
from rewards.confirming import join_with_terms
from rewards.customers import change_participant
from rewards.statuses import STATUSES, set_status

TAG = "Participants"
MISSING = ("participant_not_found",)
FILTERS: dict[str, Field] = {
    "q": Text(about="The beginning of a name or address, or a whole referral code.", limit=120, example="noor"),
    "campaign": id_text("Only those of this campaign.", "JCu82f30F1"),
    "role": Choice(about="Who brought friends, or came as one.", options=("referrer", "friend"), example="friend"),
    "banned": Flag(about="Only those who are banned, or are not."),
    "created_from": Moment(about="Joined at this time or later."),
    "created_to": Moment(about="Joined before this time."),
    "updated_since": Moment(
        about="About whom anything was noted at this time or later: joined, changed, bought, earned."
    ),
    "metadata_key": Text(about="Only those with such a fact in `metadata`.", limit=40, example="plan"),
    "metadata_value": Text(about="With `metadata_key`: whose fact is this.", limit=500, example="pro"),
}
_REASON = Text(about="Why, for your records.", limit=300, required=True, example="Told us at the till who sent them")
# What the services call the fields of version 1.
_NAMES = {"referredByCode": "referred_by_code", "referredByEmail": "referred_by_email"}


@API.operation(
    "GET",
    "participants",
    tag=TAG,
    scope=Scope.READ,
    query={**FILTERS, **PAGING},
    answer=ref("ParticipantPage"),
    errors=("pagination", "date", "missing_field"),
)
def list_participants(call: Call) -> Answer:
    """List participants.

    Newest first, narrowed by any of the filters.
    """
    page = page_of(call, _filtered(call), sort="-joined_at")
    body, headers = page_json(call, page, participants_json(page.rows))
    return Answer(body, headers=headers)


def _filtered(call: Call) -> QuerySet[Participant]:
    rows = Participant.objects.for_tenant(call.tenant).select_related("campaign")
    query = call.query
    if "campaign" in query:
        rows = rows.filter(campaign__public_id=query["campaign"])
    if "created_from" in query:
        rows = rows.filter(joined_at__gte=query["created_from"])
    if "created_to" in query:
        rows = rows.filter(joined_at__lt=query["created_to"])
    if "banned" in query:
        rows = rows.filter(banned_at__isnull=not query["banned"])
    if "updated_since" in query:
        noted = Event.objects.filter(participant_ref=OuterRef("public_id"), created_at__gte=query["updated_since"])
        rows = rows.filter(Exists(noted))
    if "metadata_value" in query and "metadata_key" not in query:
        message = "'metadata_value' goes with 'metadata_key': name the fact that is to have it."
        raise malformed("missing_field", message, "metadata_key")
    if "metadata_key" in query:
        rows = rows.filter(with_fact(query["metadata_key"], query.get("metadata_value")))
    if query.get("role") == "referrer":
        rows = rows.filter(is_referrer())
    elif query.get("role") == "friend":
        rows = rows.filter(Exists(Referral.objects.filter(invitee=OuterRef("pk"), detached_at=None)))
    return rows.filter(search(query["q"])) if "q" in query else rows


@API.operation(
    "POST",
    "participants",
    tag=TAG,
    scope=Scope.PARTICIPANTS,
    body={
        "campaign": id_text("The campaign to join.", "JCu82f30F1", required=True),
        "email": EmailField(about="The address.", example="noor@example.com", required=True),
        "first_name": Text(about="First name.", limit=80, blank=True, example="Noor"),
        "last_name": Text(about="Last name.", limit=80, blank=True, example="Khan"),
        "language": Text(about="Their language.", limit=8, blank=True, example="en"),
        "referred_by_code": Text(about="The code they came with.", limit=64, blank=True, example="8Mnu79TD"),
        "referred_by_email": EmailField(about="The address of the participant who invited them."),
        **seen_fields(),
        "metadata": Metadata(
            about="Facts of your own, for conditions of rules; answers to the join form's questions are under their keys."
        ),
        "terms_accepted": Flag(about="Whether they accepted the campaign's terms; needed where it asks for that."),
        "customer_id": Text(
            about="Your own id of them: events that waited for it are decided.", limit=255, example="user-77"
        ),
    },
    answer=ref("Participant"),
    statuses={201: "They joined.", 200: "They had joined before."},
    headers={"Location": "The address of the participant."},
    errors=(
        "missing_field",
        "email_invalid",
        "ip_invalid",
        "campaign_not_found",
        "code_not_found",
        "referrer_not_found",
        "self_referral",
        "campaign_not_started",
        "campaign_paused",
        "campaign_ended",
        "terms_not_accepted",
    ),
)
def create_participant(call: Call) -> Answer:
    """Join a campaign.

    Idempotent by e-mail address: who has joined before is answered with 200. The first referrer stays.
    """
    body = call.body
    campaign = campaign_of(call.tenant, body["campaign"])
    try:
        joined = join_with_terms(
            accepted=body.get("terms_accepted", False),
            campaign=campaign,
            email=body["email"],
            actor=call.actor,
            source=SOURCE,
            first_name=body.get("first_name", ""),
            last_name=body.get("last_name", ""),
            language=body.get("language", ""),
            referred_by_code=body.get("referred_by_code", ""),
            referred_by_email=body.get("referred_by_email", ""),
            seen=seen_in(call),
            metadata=body.get("metadata"),
        )
    except Refused as error:
        error.field = _NAMES.get(error.field, error.field)
        raise
    joined.participant.campaign = campaign
    if "customer_id" in body:
        services.identify(
            participant=joined.participant, source=SOURCE, customer_id=body["customer_id"], actor=call.actor
        )
    address = f"/api/v2/participants/{joined.participant.public_id}"
    return Answer(participants_json([joined.participant])[0], 201 if joined.created else 200, {"Location": address})


@API.operation("GET", "participants/{id}", tag=TAG, scope=Scope.READ, answer=ref("Participant"), errors=MISSING)
def get_participant(call: Call) -> Answer:
    """Get a participant.

    With both balances, per side, from the ledger.
    """
    return _shown(_find(call))


@API.operation(
    "PATCH",
    "participants/{id}",
    tag=TAG,
    scope=Scope.PARTICIPANTS,
    body={
        "first_name": Text(about="First name.", limit=80, blank=True, example="Noor"),
        "last_name": Text(about="Last name.", limit=80, blank=True, example="Khan"),
        "language": Text(about="Their language.", limit=8, blank=True, example="en"),
        "vanity_code": Text(
            about="A code of their choice; empty goes back to the first one. Former ones keep working.",
            limit=64,
            blank=True,
            example="asha-10",
        ),
        "note": Text(about="Your note.", limit=4000, blank=True, lines=True, example="Met at the fair"),
        "existing_customer": Flag(about="Whether they were a customer before."),
        "metadata": Metadata(about="Facts of your own, all of them: they replace the ones before."),
    },
    answer=ref("Participant"),
    statuses={200: "The participant after the change."},
    errors=(*MISSING, "too_long", "code_format", "code_reserved", "code_taken", "too_many_codes"),
)
def update_participant(call: Call) -> Answer:
    """Change a participant.

    What is not named stays.
    """
    participant = _find(call)
    changes = dict(call.body)
    if "vanity_code" in changes:
        try:
            choose_code(participant=participant, text=changes.pop("vanity_code"), actor=call.actor)
        except Refused as error:
            error.field = "vanity_code"
            raise
    if changes:
        change_participant(participant=participant, actor=call.actor, **changes)
    return _shown(_find(call))


@API.operation(
    "POST",
    "participants/{id}/ban",
    tag=TAG,
    scope=Scope.PARTICIPANTS,
    body={"reason": Text(about="Why, for your records.", limit=300, required=True, example="Invites themselves")},
    answer=ref("Participant"),
    statuses={200: "The participant, banned."},
    errors=(*MISSING, "missing_field", "blank", "invalid_state"),
)
def ban_participant(call: Call) -> Answer:
    """Ban a participant.

    They earn nothing from now on, and rewards that have not left are held. Unbanning undoes it.
    """
    bans.ban(participant=_find(call), actor=call.actor, reason=call.body["reason"])
    return _shown(_find(call))


@API.operation(
    "POST",
    "participants/{id}/unban",
    tag=TAG,
    scope=Scope.PARTICIPANTS,
    body={"note": Text(about="Why, for your records.", limit=300, blank=True, example="Cleared up by phone")},
    answer=ref("Participant"),
    statuses={200: "The participant, no longer banned."},
    errors=(*MISSING, "invalid_state"),
)
def unban_participant(call: Call) -> Answer:
    """Unban a participant.

    Held rewards go on, and what happened meanwhile is decided again.
    """
    bans.unban(participant=_find(call), actor=call.actor, note=call.body.get("note", ""))
    return _shown(_find(call))


@API.operation(
    "POST",
    "participants/{id}/erase",
    tag=TAG,
    scope=Scope.PARTICIPANTS,
    answer=ref("Participant"),
    statuses={200: "What is left: ids and sums, with an address that nobody has."},
    errors=(*MISSING, "already_erased"),
)
def erase_participant(call: Call) -> Answer:
    """Erase a participant's personal data.

    In all campaigns of this side that have the address; it can't be undone. Rewards that have not left are void with the reason
    `recipient_erased`. Whoever joins later with the same address is somebody new.
    """
    personal.erase(participant=_find(call), actor=call.actor)
    return _shown(_find(call))


@API.operation(
    "POST",
    "participants/{id}/attach",
    tag=TAG,
    scope=Scope.PARTICIPANTS,
    body={
        "referrer": Text(
            about="Id, referral code or address of who invited them.",
            limit=254,
            required=True,
            example="noor@example.com",
        ),
        "reason": _REASON,
    },
    answer=ref("Participant"),
    statuses={200: "The participant, with their referrer."},
    errors=(
        *MISSING,
        "missing_field",
        "blank",
        "referrer_not_found",
        "email_invalid",
        "self_referral",
        "referrer_banned",
        "referral_loop",
        "already_referred",
    ),
)
def attach_participant(call: Call) -> Answer:
    """Attach a missed referral.

    As if they had come through this referrer on the day they joined: everything they did is decided again. Who has a referrer is
    detached first; detaching undoes it.
    """
    participant = _find(call)
    referrer = bonds.find_referrer(participant, call.body["referrer"])
    bonds.attach(participant=participant, referrer=referrer, actor=call.actor, reason=call.body["reason"])
    return _shown(_find(call))


@API.operation(
    "POST",
    "participants/{id}/detach",
    tag=TAG,
    scope=Scope.PARTICIPANTS,
    body={"reason": _REASON},
    answer=ref("Participant"),
    statuses={200: "The participant, without a referrer."},
    errors=(*MISSING, "missing_field", "blank", "not_referred"),
)
def detach_participant(call: Call) -> Answer:
    """Detach a wrong referral.

    What was earned by it and not issued is void; what was issued is taken back by a negative entry that the next payout nets. The
    referral stays as history; attaching undoes it.
    """
    bonds.detach(participant=_find(call), actor=call.actor, reason=call.body["reason"])
    return _shown(_find(call))


@API.operation(
    "POST",
    "participants/{id}/status",
    tag=TAG,
    scope=Scope.PARTICIPANTS,
    body={
        "status": Choice(about="How far their sale has come.", options=STATUSES, required=True, example="approved"),
        "note": Text(
            about="Why, for your records; required to deny.", limit=300, blank=True, example="Signed on Monday"
        ),
        "amount": MoneyField(about="What the sale is worth, for rules that give a share."),
    },
    answer=ref("Participant"),
    statuses={200: "The participant, with the status of their referral."},
    errors=(
        *MISSING,
        "missing_field",
        "not_referred",
        "note_required",
        "invalid_value",
        "currency",
        "amount_not_positive",
        "amount_changed",
        "campaign_not_started",
    ),
)
def set_participant_status(call: Call) -> Answer:
    """Set the status of a referral.

    For sales in several steps: pending, qualified, approved, denied. Approving qualifies too; any status can follow any, and the
    rewards follow.
    """
    body = call.body
    set_status(
        participant=_find(call),
        status=body["status"],
        actor=call.actor,
        note=body.get("note", ""),
        amount=body.get("amount"),
    )
    return _shown(_find(call))


def _find(call: Call) -> Participant:
    rows = Participant.objects.for_tenant(call.tenant).select_related("campaign", "merchant")
    return one(rows, "participant", call.params["id"])


def _shown(participant: Participant) -> Answer:
    return Answer(participants_json([participant])[0])
