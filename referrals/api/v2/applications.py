"""Applications to affiliate programmes: list, look, approve, decline, take a refusal back (docs/hub.md)."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from participants.models import Application
from referrals.accounts.models import Scope
from referrals.api.fields import Choice, Field, Text
from referrals.api.finding import campaign_of, one
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import ref
from referrals.api.v2.application_schemas import SHOWN
from referrals.api.v2.base import API, PAGING, id_text, page_json, page_of
from referrals.api.v2.shapes import moment
from rewards import applications

TAG = "Applications"
MISSING = ("application_not_found",)
_REASON = Text(
    about="Words for the applicant; they stand in the mail.",
    limit=applications.REASON_LENGTH,
    blank=True,
    example="Welcome! Write to us before you publish a price.",
)


@API.operation(
    "GET",
    "applications",
    tag=TAG,
    scope=Scope.READ,
    query={
        "status": Choice(about="Only those that stand here.", options=SHOWN, example="waiting"),
        "campaign": id_text("Only those to this campaign.", "JCu82f30F1"),
        **PAGING,
    },
    answer=ref("ApplicationPage"),
    errors=("pagination", "campaign_not_found", "invalid_choice"),
)
def list_applications(call: Call) -> Answer:
    """List applications.

    Those that were confirmed by mail, newest first.
    """
    rows = _rows(call)
    if "status" in call.query:
        rows = rows.filter(status=call.query["status"])
    if "campaign" in call.query:
        rows = rows.filter(campaign=campaign_of(call.tenant, call.query["campaign"]))
    page = page_of(call, rows, sort="-id")
    body, headers = page_json(call, page, [application_json(row) for row in page.rows])
    return Answer(body, headers=headers)


@API.operation("GET", "applications/{id}", tag=TAG, scope=Scope.READ, answer=ref("Application"), errors=MISSING)
def get_application(call: Call) -> Answer:
    """Get an application."""
    return Answer(application_json(_find(call)))


_BODY: dict[str, Field] = {"reason": _REASON}


@API.operation(
    "POST",
    "applications/{id}/approve",
    tag=TAG,
    scope=Scope.PARTICIPANTS,
    body=_BODY,
    answer=ref("Application"),
    statuses={200: "The application, approved; `participant` is who they are now."},
    errors=(*MISSING, "invalid_state", "too_long", "campaign_not_started", "campaign_paused", "campaign_ended"),
)
def approve_application(call: Call) -> Answer:
    """Approve an application.

    The applicant takes part from now on and gets their link by mail; one who was declined can be approved too.
    """
    applications.approve(application=_find(call), actor=call.actor, reason=call.body.get("reason", ""))
    return Answer(application_json(_find(call)))


@API.operation(
    "POST",
    "applications/{id}/decline",
    tag=TAG,
    scope=Scope.PARTICIPANTS,
    body=_BODY,
    answer=ref("Application"),
    statuses={200: "The application, declined."},
    errors=(*MISSING, "invalid_state", "too_long"),
)
def decline_application(call: Call) -> Answer:
    """Decline an application.

    The applicant hears of it by mail after a minute. Reconsidering undoes it.
    """
    applications.decline(application=_find(call), actor=call.actor, reason=call.body.get("reason", ""))
    return Answer(application_json(_find(call)))


@API.operation(
    "POST",
    "applications/{id}/reconsider",
    tag=TAG,
    scope=Scope.PARTICIPANTS,
    answer=ref("Application"),
    statuses={200: "The application, which waits again."},
    errors=(*MISSING, "invalid_state"),
)
def reconsider_application(call: Call) -> Answer:
    """Take a refusal back.

    The application waits again; a mail that has not gone out yet is not sent.
    """
    applications.reconsider(application=_find(call), actor=call.actor)
    return Answer(application_json(_find(call)))


def _rows(call: Call) -> QuerySet[Application]:
    rows = Application.objects.for_tenant(call.tenant).exclude(status=Application.UNCONFIRMED)
    return rows.select_related("campaign", "participant")


def _find(call: Call) -> Application:
    """The tenant's; what nobody has confirmed does not exist yet."""
    return one(_rows(call), "application", call.params["id"])


def application_json(row: Application) -> dict[str, Any]:
    """Application."""
    return {
        "id": row.public_id,
        "campaign": row.campaign.public_id,
        "status": row.status,
        "email": row.email,
        "first_name": row.first_name,
        "last_name": row.last_name,
        "answers": [
            {"question": answer["label"], "kind": answer["kind"], "answer": answer["value"]} for answer in row.answers
        ],
        "confirmed_at": moment(row.confirmed_at),
        "decided_at": moment(row.decided_at),
        "reason": row.reason,
        "participant": row.participant.public_id if row.participant else None,
    }
