"""Version 1: the seven operations of the documented contract (API.md, "v1"; seed 002)."""

from __future__ import annotations

from collections.abc import Sequence

from campaigns.models import Campaign
from campaigns.rules import current_terms
from participants.codes import find_by_code
from participants.models import Participant
from referrals.accounts.models import Scope
from referrals.api.errors import ApiError, refused, used_elsewhere
from referrals.api.fields import Currency, EmailField, Flag, PlainAmount, Text
from referrals.api.finding import campaign_of, enrolled, referrer_of
from referrals.api.fraud import seen_fields, seen_in
from referrals.api.idempotency import Answer
from referrals.api.operations import Api, Call
from referrals.api.schema import ref
from referrals.api.v1.paging import PAGING, page_of
from referrals.api.v1.shapes import campaign_json, participants_json, public_participant_json
from referrals.lib.errors import Refused
from referrals.lib.money import Money, MoneyError
from rewards import services
from rewards.confirming import join_with_terms

API = Api("v1")
SOURCE = "api"
PAGE_HEADERS = {"X-Total-Count": "How many there are in all.", "Link": "The addresses of the next and previous page."}

_ID = Text(about="The id of the campaign.", example="JCu82f30F1", required=True, limit=64)
_EMAIL = EmailField(about="The participant's e-mail address.", example="johndoe@example.com", required=True)
_CODE = Text(about="A referral code.", example="7ZZp9eBG", required=True, limit=64)


@API.operation(
    "GET",
    "getCampaign",
    tag="Campaigns",
    scope=Scope.READ,
    publishable=True,
    query={"id": _ID},
    answer=ref("Campaign"),
    errors=("campaign_not_found",),
)
def get_campaign(call: Call) -> Answer:
    """Get a campaign.

    Get campaign program details for the given id. A publishable key may call it too, and is not told `totalParticipants`.
    """
    return Answer(campaign_json(campaign_of(call.tenant, call.query["id"]), public=call.is_public))


@API.operation(
    "POST",
    "addParticipant",
    tag="Participants",
    scope=Scope.PARTICIPANTS,
    publishable=True,
    body={
        "id": _ID,
        "email": _EMAIL,
        "referredByCode": Text(about="Code of the participant referring.", example="7ZZp9eBG", limit=64, blank=True),
        "referredByEmail": EmailField(about="E-mail address of the participant referring.", example="jane@example.com"),
        "firstName": Text(about="First name (ours).", example="John", limit=80, blank=True),
        "lastName": Text(about="Last name (ours).", example="Doe", limit=80, blank=True),
        "termsAccepted": Flag(about="Whether they accepted the campaign's terms, where it asks for that (ours)."),
        **seen_fields(camel=True),
    },
    answer={"anyOf": [ref("Participant"), ref("PublicParticipant")]},
    statuses={200: "The participant, new or known."},
    errors=(
        "campaign_not_found",
        "code_not_found",
        "referrer_not_found",
        "campaign_not_started",
        "campaign_paused",
        "campaign_ended",
        "email_invalid",
        "ip_invalid",
        "self_referral",
        "terms_not_accepted",
        "confirmation_needed",
    ),
)
def add_participant(call: Call) -> Answer:
    """Add a participant.

    Add a participant to a campaign by e-mail address, as a referral if `referredByCode` or `referredByEmail` is given. The same address
    again gives the same participant; a referrer, once known, stays. A publishable key is answered with the public fields only
    and may not send `referredByEmail`.
    """
    body = call.body
    if call.is_public and "referredByEmail" in body:
        message = "A publishable key can't use 'referredByEmail'; send 'referredByCode', or call from your server."
        raise ApiError(403, "secret_key_required", message, field="referredByEmail")
    campaign = campaign_of(call.tenant, body["id"])
    if call.is_public and campaign.confirms_email:
        message = "This campaign confirms addresses by mail: join on its page or by the browser script."
        raise ApiError(409, "confirmation_needed", message)
    joined = join_with_terms(
        accepted=body.get("termsAccepted", False),
        terms_field="termsAccepted",
        campaign=campaign,
        email=body["email"],
        actor=call.actor,
        source=SOURCE,
        first_name=body.get("firstName", ""),
        last_name=body.get("lastName", ""),
        referred_by_code=body.get("referredByCode", ""),
        referred_by_email=body.get("referredByEmail", ""),
        seen=seen_in(call),
    )
    if call.is_public:
        return Answer(public_participant_json(campaign, joined.participant))
    return _one(campaign, joined.participant)


@API.operation(
    "GET",
    "getParticipant",
    tag="Participants",
    scope=Scope.READ,
    query={"id": _ID, "email": _EMAIL},
    answer=ref("Participant"),
    errors=("campaign_not_found", "participant_not_found", "email_invalid"),
)
def get_participant(call: Call) -> Answer:
    """Get a participant.

    Get participant details for the given campaign and e-mail address.
    """
    participant = enrolled(call.tenant, call.query["id"], call.query["email"])
    return _one(participant.campaign, participant)


@API.operation(
    "POST",
    "qualifyParticipant",
    tag="Participants",
    scope=Scope.EVENTS,
    body={
        "id": _ID,
        "email": _EMAIL,
        "amountPaid": PlainAmount(about="What they paid, in major units, as a number or a text.", example="250"),
        "externalId": Text(about="Your id of the payment: the same one counts once.", example="order-1001", limit=255),
        "currency": Currency(about="The currency of `amountPaid`: the campaign's (ours)."),
        **seen_fields(camel=True),
    },
    answer=ref("Participant"),
    statuses={200: "The participant after it was decided."},
    errors=(
        "campaign_not_found",
        "participant_not_found",
        "not_referred",
        "amount_format",
        "amount_precision",
        "amount_not_positive",
        "amount_changed",
        "external_id_reused",
        "currency",
        "email_invalid",
        "ip_invalid",
        "campaign_not_started",
    ),
)
def qualify_participant(call: Call) -> Answer:
    """Mark the qualifying event complete.

    The referrer becomes eligible for the reward. Only a referred participant can complete a qualifying event. With `externalId` it
    is idempotent: the same id counts once, and another amount for it is refused. Without it, a second call for the same person changes
    nothing where the campaign rewards the first event only.
    """
    body = call.body
    participant = enrolled(call.tenant, body["id"], body["email"])
    campaign = participant.campaign
    amount = _amount(body.get("amountPaid"), body.get("currency"), campaign)
    if referrer_of(participant) is None:
        message = f"{participant.email} was not referred by anybody; only referred participants can complete the event."
        raise refused("not_referred", message, "email")
    external_id = body.get("externalId", "")
    implied = f"first:{participant.public_id}" if not external_id and _first_only(campaign) else ""
    try:
        done = services.qualify(
            participant=participant,
            actor=call.actor,
            source=SOURCE,
            amount=amount,
            external_id=external_id or implied,
            seen=seen_in(call),
        )
        if done.event.participant_id != participant.pk:
            raise used_elsewhere(external_id, "externalId")
    except Refused as error:
        # The second call without an id changes nothing, whatever amount it names.
        if not implied or error.code != "amount_changed":
            raise
    return Answer(participants_json(campaign, [participant], completed=True)[0])


@API.operation(
    "GET",
    "getAllParticipants",
    tag="Participants",
    scope=Scope.READ,
    query={"id": _ID, **PAGING},
    answer=ref("Participants"),
    headers=PAGE_HEADERS,
    errors=("campaign_not_found", "pagination"),
)
def get_all_participants(call: Call) -> Answer:
    """List participants.

    Get all participants of a campaign, 20 at a time unless `size` says otherwise.
    """
    campaign = campaign_of(call.tenant, call.query["id"])
    keys, headers = page_of(call, Participant.objects.filter(campaign=campaign))
    return Answer(participants_json(campaign, _people(keys)), headers=headers)


@API.operation(
    "GET",
    "getAllReferrals",
    tag="Participants",
    scope=Scope.READ,
    query={"id": _ID, "email": _EMAIL, **PAGING},
    answer=ref("Participants"),
    headers=PAGE_HEADERS,
    errors=("campaign_not_found", "participant_not_found", "email_invalid", "pagination"),
)
def get_all_referrals(call: Call) -> Answer:
    """List the referrals of a participant.

    Return all people that came through a participant, 20 at a time unless `size` says otherwise.
    """
    referrer = enrolled(call.tenant, call.query["id"], call.query["email"])
    friends = Participant.objects.filter(referral__referrer=referrer, referral__detached_at=None)
    keys, headers = page_of(call, friends)
    return Answer(participants_json(referrer.campaign, _people(keys)), headers=headers)


@API.operation(
    "GET",
    "validateCode",
    tag="Campaigns",
    scope=Scope.READ,
    publishable=True,
    query={"id": _ID, "code": _CODE},
    answer=ref("Validity"),
    errors=("campaign_not_found",),
)
def validate_code(call: Call) -> Answer:
    """Check a referral code.

    Whether a friend can join with this code now. Unknown codes, and those of a campaign that is not running, are not valid; which of the
    two it is is not told.
    """
    campaign = campaign_of(call.tenant, call.query["id"])
    code = call.query["code"]
    found = find_by_code(campaign, code)
    known = found is not None and not found.is_banned
    return Answer({"campaignId": campaign.public_id, "code": code, "valid": known and campaign.is_open})


def _one(campaign: Campaign, participant: Participant) -> Answer:
    return Answer(participants_json(campaign, [participant])[0])


def _people(keys: Sequence[int]) -> list[Participant]:
    found = Participant.objects.in_bulk(keys)
    return [found[key] for key in keys if key in found]


def _amount(text: str | None, currency: str | None, campaign: Campaign) -> Money | None:
    if currency is not None and currency != campaign.currency:
        message = f"{currency} is not the campaign's currency, {campaign.currency}."
        raise refused("currency", message, "currency")
    if text is None:
        return None
    try:
        amount = Money.parse(text, campaign.currency)
    except MoneyError as error:
        raise refused(error.code, error.message, "amountPaid") from error
    if amount.minor == 0:
        raise refused("amount_not_positive", f"{text} is not above zero.", "amountPaid")
    return amount


def _first_only(campaign: Campaign) -> bool:
    """Whether no rule looks at a second event of the same friend."""
    fields: set[str] = {terms.trigger for terms in current_terms(campaign)}
    return fields <= {"join", "first_event"}
