"""What-if: what rules that are not in force would have given, before they are published. The worker answers; the page looks again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from campaigns import services
from campaigns.models import Status
from campaigns.terms import TermsError, Units
from campaigns.terms_json import terms_from_json
from participants.models import Participant
from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.lib.pages import render_part
from referrals.web.access import MerchantRequest, member, own, refused
from referrals.web.campaign_words import SIDES, title_of
from referrals.web.campaigns import campaign_context, locale
from referrals.web.exports import file_name, note_export, stream_csv
from referrals.web.reward_rows import named_by_source
from rewards.models import WhatIf
from rewards.reasons import reason_sentence
from rewards.whatif import jobs
from rewards.whatif.report import COLUMNS, lines_of

STATUSES = {
    "unchanged": ("neutral", lazy("Unchanged")),
    "changed": ("sending", lazy("Changed")),
    "new": ("issued", lazy("New")),
    "removed": ("problem", lazy("Removed")),
}
KINDS = {
    "created": (lazy("New"), lazy("Rewards there would be")),
    "gone": (lazy("Gone"), lazy("Rewards there would not be")),
    "larger": (lazy("Larger"), lazy("Rewards that would be larger")),
    "smaller": (lazy("Smaller"), lazy("Rewards that would be smaller")),
}
OWN_REASONS = {
    "rule_removed": lazy("The rule would not be there"),
    "other_event": lazy("The rule would no longer be about such an event"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """So many rewards and what they come to, in words."""

    name: str
    count: str
    worth: str


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """One event that would earn something else."""

    url: str
    name: str
    person: str
    at: datetime
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule on one side."""

    title: str
    tag: str
    status: str
    cells: list[Cell]
    examples: list[tuple[str, str, list[ExampleRow]]]


@member()
def what_if(request: MerchantRequest, public_id: str) -> HttpResponse:
    """How far it is, then what would differ; from here the rules can be published, or edited further."""
    row = _find(request, public_id)
    page = reverse("web:what_if", args=[row.public_id])
    if request.method == "POST":
        if request.POST.get("step") == "cancel":
            jobs.cancel(row)
            return redirect(page)
        try:
            version = services.publish_rules(
                campaign=row.campaign, rules=jobs.rules_of(row), actor=request.actor, revision=row.revision
            )
        except Refused as error:
            return refused(request, error, back=page)
        except TermsError as error:
            return refused(request, Refused(error.code, error.message), back=page)
        messages.success(request, _("Version %(n)d is in force") % {"n": version.number})
        return redirect("web:campaign_rules", row.campaign.public_id)
    context = {
        **campaign_context(request, row.campaign, "rules"),
        "row": row,
        "share": row.percent * 10,
        "may_publish": request.membership.may(Role.MANAGER) and row.campaign.status not in {Status.ENDED, Status.DRAFT},
        "is_old": row.campaign.revision != row.revision,
        "next_version": row.campaign.version.number + 1 if row.campaign.version else 1,
    }
    if row.result is not None:
        context |= _shown(request, row.result)
    return render_part(request, "web/campaigns/what_if.html", "web/campaigns/_what_if.html", context)


@require_safe
@member()
def what_if_export(request: MerchantRequest, public_id: str) -> StreamingHttpResponse | HttpResponse:
    """The answer as a file: the sums of each rule, its examples, and the totals."""
    row = _find(request, public_id)
    if row.result is None:
        return redirect("web:what_if", row.public_id)
    note_export(request, "what_if", row.public_id, "")
    titles = [_title(rule) for rule in row.result["rules"]]
    return stream_csv(file_name("what-if"), COLUMNS, lines_of(row.result, titles))


def _find(request: MerchantRequest, public_id: str) -> WhatIf:
    rows = WhatIf.objects.select_related("campaign__merchant", "campaign__version")
    return own(rows, request, public_id)


def _title(rule: dict[str, Any]) -> str:
    return title_of(terms_from_json(rule["rule"], _currency(rule)), locale())


def _currency(rule: dict[str, Any]) -> str:
    return str(rule["now"]["amount"]["currency"])


def _shown(request: MerchantRequest, result: dict[str, Any]) -> dict[str, Any]:
    found = [one for rule in result["rules"] for kept in rule["examples"].values() for one in kept]
    people = Participant.objects.for_tenant(request.tenant).filter(public_id__in={one["participant"] for one in found})
    names = {person.public_id: str(person) for person in people}
    rules = [_rule_row(rule, names) for rule in result["rules"]]
    totals = [(SIDES[total["side"]], _cells(total)) for total in result["totals"]]
    differs = any(total[name]["rewards"] for total in result["totals"] for name in KINDS)
    heads = [_("Now"), _("Then"), *(str(head) for head, _about in KINDS.values()), _("Difference")]
    headlines = [line for total in result["totals"] if (line := _headline(total))]
    return {"rules": rules, "totals": totals, "differs": differs, "heads": heads, "headlines": headlines}


def _headline(total: dict[str, Any]) -> str:
    """One side's difference as a sentence: "Referrer: −25 rewards, +$35.00"; "" for none."""
    more = total["difference"]
    worth, number = _sum(more, signed=True), more["rewards"]
    if not worth and not number:
        return ""
    text = ngettext("%(side)s: %(n)s reward", "%(side)s: %(n)s rewards", abs(number)) if number else _("%(side)s")
    said = text % {"side": SIDES[total["side"]], "n": _count(number, signed=True)}
    return _("%(what)s, %(worth)s") % {"what": said, "worth": worth} if worth else said


def _rule_row(rule: dict[str, Any], names: dict[str, str]) -> RuleRow:
    tag, status = STATUSES[rule["status"]]
    examples = [
        (kind, str(KINDS[kind][1]), [_example_row(one, names) for one in kept])
        for kind, kept in rule["examples"].items()
        if kept
    ]
    return RuleRow(_title(rule), tag, str(status), _cells(rule), examples)


def _cells(sums: dict[str, Any]) -> list[Cell]:
    names = {"now": _("Now"), "then": _("Then"), **{kind: str(head) for kind, (head, _about) in KINDS.items()}}
    found = [Cell(name, _count(sums[key]["rewards"]), _sum(sums[key])) for key, name in names.items()]
    more = sums["difference"]
    return [*found, Cell(_("Difference"), _count(more["rewards"], signed=True), _sum(more, signed=True))]


def _count(number: int, *, signed: bool = False) -> str:
    sign = ("+" if number > 0 else "−" if number < 0 else "") if signed else ""
    return f"{sign}{abs(number):,}"


def _sum(one: dict[str, Any], *, signed: bool = False) -> str:
    """Money and units of a sum; "" for nothing."""
    parts = [
        (
            one["amount"]["amount_minor"],
            Money(abs(one["amount"]["amount_minor"]), one["amount"]["currency"]).format(locale()),
        )
    ]
    parts += [(unit["units"], str(Units(abs(unit["units"]), unit["label"]))) for unit in one["units"]]
    signs = [(("+" if value > 0 else "−") if signed else "") + text for value, text in parts if value]
    return " · ".join(signs)


def _example_row(one: dict[str, Any], names: dict[str, str]) -> ExampleRow:
    reason = one["reason"]
    if reason in OWN_REASONS:
        text = str(OWN_REASONS[reason])
    elif reason:
        text = reason_sentence(reason, one["facts"])
    else:
        text = _("Until now: %(why)s") % {"why": reason_sentence(one["decided"])} if one["decided"] else ""
    return ExampleRow(
        reverse("web:purchase", args=[one["event"]]) if one["event"] else "",
        named_by_source(one["external_id"]) or one["type"],
        names.get(one["participant"], ""),
        datetime.fromisoformat(one["occurred_at"]),
        _worth(one["before"]),
        _worth(one["after"]),
        text,
    )


def _worth(worth: dict[str, Any] | None) -> str:
    if worth is None:
        return _("nothing")
    if worth["amount"] is None:
        return str(Units(worth["units"], worth["label"]))
    return Money(worth["amount"]["amount_minor"], worth["amount"]["currency"]).format(locale())
