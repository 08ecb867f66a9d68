"""Everybody's own link, whether they take part or not yet (docs/invitations.md)."""

from __future__ import annotations

from participants.personal_links import personal_links
from referrals.accounts.models import Scope
from referrals.api.fields import EmailField, Group, Listing, Text
from referrals.api.finding import campaign_of
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import array, record, text
from referrals.api.v2.base import API, id_text

MOST = 500
_SAMPLE = [{"email": "maya@example.com", "name": "Maya Chen"}]
_LINK = record(
    {
        "email": text("The address, as sent.", "maya@example.com"),
        "link": text("Their own link; it works at once.", "https://refer.example.com/r/8Mnu79TD"),
        "participant": text("Who they are, when they take part already.", None, null=True),
    },
    about="Somebody's own link.",
)


@API.operation(
    "POST",
    "personal-links",
    tag="Participants",
    scope=Scope.PARTICIPANTS,
    body={
        "campaign": id_text("The campaign.", "JCu82f30F1", required=True),
        "people": Listing(
            about=f"Up to {MOST} people.",
            of=Group(
                about="Whose link is asked for.",
                fields={
                    "email": EmailField(about="Their address.", required=True),
                    "name": Text(about="Their name, for the invitation.", limit=80, blank=True, example="Maya Chen"),
                },
            ),
            most=MOST,
            least=1,
            required=True,
            example=_SAMPLE,
        ),
    },
    answer=record({"data": array(_LINK, "In the order of `people`.")}, about="Everybody's own link."),
    statuses={200: "Everybody has a link."},
    errors=("missing_field", "email_invalid", "campaign_not_found", "campaign_not_started", "blank", "too_long"),
)
def make_personal_links(call: Call) -> Answer:
    """Make personal links.

    Answers the own link of each person, to merge into a newsletter or to show in your shop. Who takes part has one; for everybody else a
    code is kept, and they become a participant when they take part or when somebody opens it. Nobody gets a mail. Idempotent: the same
    address always has the same link.
    """
    body = call.body
    campaign = campaign_of(call.tenant, body["campaign"])
    people = [(one["email"], one.get("name", "")) for one in body["people"]]
    found = personal_links(campaign=campaign, people=people)
    data = [
        {
            "email": one.email,
            "link": one.link,
            "participant": one.participant.public_id if one.participant else None,
        }
        for one in found
    ]
    return Answer({"data": data})
