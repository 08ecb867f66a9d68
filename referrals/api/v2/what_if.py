"""What-if: what a campaign's real events would have earned under rules that are not in force. Changes nothing."""

from __future__ import annotations

from typing import Any

from referrals.accounts.models import Scope
from referrals.api.fields import Choice, Json
from referrals.api.finding import campaign_of, one
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import array, ref
from referrals.api.v2.base import API
from referrals.api.v2.campaigns import MISSING, RULE_ERRORS, TAG, read_rules
from referrals.api.v2.shapes import moment
from referrals.lib.cells import csv_lines
from rewards.models import WhatIf
from rewards.whatif import jobs
from rewards.whatif.report import COLUMNS, lines_of

FORMAT = {
    "format": Choice(about="`csv` for a table; or send `Accept: text/csv`.", options=("json", "csv"), example="json")
}


@API.operation(
    "POST",
    "campaigns/{id}/what-if",
    tag=TAG,
    scope=Scope.CAMPAIGNS,
    query=FORMAT,
    body={
        "rules": Json(
            about="All rules as they would be; an `id` keeps a rule's identity, one that is left out is removed.",
            kind=list,
            shape=array(ref("RuleInput"), "Rules."),
            required=True,
            example=[{"side": "referrer", "trigger": "every_event", "amount": {"type": "percent", "percent": "5"}}],
        )
    },
    answer=ref("WhatIf"),
    statuses={200: "The answer.", 202: "It is being worked out: ask for the address in `Location`."},
    headers={"Location": "The address of the what-if."},
    errors=(*MISSING, "missing_field", *RULE_ERRORS),
)
def ask_what_if(call: Call) -> Answer:
    """Ask what other rules would have given.

    All events of the campaign are judged as if these rules had been in force all along, and compared with the rewards that stand. A
    rule that stays as it is keeps what was decided. Up to 2,000 events are answered at once, more by the worker. A question of the
    same key about this campaign that is still open is stopped. Nothing of the campaign is changed.
    """
    campaign = campaign_of(call.tenant, call.params["id"])
    rules = read_rules(call.body["rules"], campaign.currency)
    row = jobs.ask(campaign=campaign, rules=rules, actor=call.actor)
    return _answer(call, row, {"Location": f"/api/v2/what-ifs/{row.public_id}"})


@API.operation(
    "GET",
    "what-ifs/{id}",
    tag=TAG,
    scope=Scope.READ,
    query=FORMAT,
    answer=ref("WhatIf"),
    errors=("what_if_not_found", "invalid_choice"),
)
def get_what_if(call: Call) -> Answer:
    """Get a what-if.

    How far it is, and the answer once it is there. Kept for seven days.
    """
    rows = WhatIf.objects.for_tenant(call.tenant).select_related("campaign")
    return _answer(call, one(rows, "what_if", call.params["id"]), {})


def _answer(call: Call, row: WhatIf, headers: dict[str, str]) -> Answer:
    wants_csv = call.query.get("format") == "csv" or (
        "format" not in call.query and "text/csv" in call.request.headers.get("Accept", "")
    )
    if wants_csv and row.result is not None:
        lines = "".join(csv_lines(COLUMNS, lines_of(row.result)))
        return Answer(lines, 200, headers | {"Content-Type": "text/csv; charset=utf-8"})
    return Answer(what_if_json(row), 202 if row.is_open and call.request.method == "POST" else 200, headers)


def what_if_json(row: WhatIf) -> dict[str, Any]:
    """WhatIf."""
    return {
        "id": row.public_id,
        "campaign": row.campaign.public_id,
        "status": row.state,
        "progress": {"events": row.events, "done": min(row.events_done, row.events)},
        "created_at": moment(row.created_at),
        "finished_at": moment(row.finished_at),
        "expires_at": moment(row.created_at + jobs.KEPT),
        "result": row.result,
    }
