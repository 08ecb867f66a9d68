"""A campaign's Invitations page: lists of customers, what will happen before anything is sent, progress, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from campaigns import mails
from campaigns.models import Campaign, Status
from participants import invite_lists, invite_report, invites, personal_links
from participants.customer_files import MOST_BYTES
from participants.links import site_of
from participants.models import Invite, InviteList
from participants.personal_links import PersonalLink
from referrals.accounts import limits
from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.web.access import MerchantRequest, member, own
from referrals.web.campaign_forms import carry_out
from referrals.web.campaign_mails import TESTS_AN_HOUR
from referrals.web.campaigns import campaign_context
from referrals.web.exports import file_name, note_export, stream_csv, utc
from referrals.web.invite_forms import ListForm, SettingsForm

LISTS_SHOWN = 20
WRONG_SHOWN = 20
LINK_COLUMNS = ("email", "name", "link")
OUTCOME_COLUMNS = (
    "line",
    "email",
    "name",
    "state",
    "reason",
    "sent_at",
    "opened_at",
    "joined_at",
    "friend_paid",
    "link",
)


@member()
def campaign_invites(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Lists, figures and settings; POST takes a file."""
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    form = ListForm(*(request.POST, request.FILES) if request.method == "POST" else (None,))
    made: list[InviteList] = []

    def act() -> None:
        file = form.cleaned_data["file"]
        made.append(
            invite_lists.start(
                campaign=campaign,
                name=file.name,
                # One byte more than fits says that it is too large, without reading the rest.
                data=file.read(MOST_BYTES + 1),
                everyone_agreed=form.cleaned_data["consent"] == "all",
                actor=request.actor,
            )
        )

    status = carry_out(form, act)
    if status is None:
        return redirect("web:invite_list", made[0].public_id)
    return _shown(request, campaign, form, status)


@require_POST
@member(role=Role.MANAGER)
def campaign_invite_settings(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Save how invitations are sent."""
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    form = SettingsForm(campaign, invites.settings_of(campaign), request.POST)
    status = carry_out(form, lambda: invites.save_settings(campaign, request.actor, **form.values()))
    if status is None:
        messages.success(request, _("Settings saved"))
        return redirect("web:campaign_invites", public_id)
    return _shown(request, campaign, ListForm(), status, form)


def _shown(
    request: MerchantRequest,
    campaign: Campaign,
    form: ListForm,
    status: int,
    settings_form: SettingsForm | None = None,
) -> HttpResponse:
    chosen = invites.settings_of(campaign)
    rows = InviteList.objects.for_tenant(request.tenant).filter(campaign=campaign).defer("data", "wrong_rows")
    context: dict[str, Any] = {
        **campaign_context(request, campaign, "invites"),
        "form": form,
        "settings_form": settings_form or SettingsForm(campaign, chosen),
        "thank_you": thank_you_form(campaign),
        "lists": rows.exclude(state="dropped").order_by("-pk")[:LISTS_SHOWN],
        "funnel": invite_report.funnel(Invite.objects.filter(campaign=campaign)),
    }
    return render(request, "web/campaigns/invites.html", context, status=status)


def thank_you_form(campaign: Campaign) -> str:
    """What a shop puts on its thank-you page; the token is made by its own server for each customer."""
    address = f"{site_of(campaign)}/invited/for/{campaign.public_id}"
    return (
        f'<form method="post" action="{address}">\n'
        f'  <input type="hidden" name="identity" value="TOKEN SIGNED BY YOUR SERVER">\n'
        f"  <button>{_('Get my link for friends')}</button>\n"
        f"</form>"
    )


def _list(request: MerchantRequest, public_id: str) -> InviteList:
    rows = InviteList.objects.select_related("campaign__merchant", "merchant").defer("data")
    return own(rows, request, public_id)


@member()
def invite_list(request: MerchantRequest, public_id: str) -> HttpResponse:
    """One list: what will happen, then what happens, then what came of it."""
    row = _list(request, public_id)
    status, problem = 200, ""
    if request.method == "POST":
        try:
            _act(request, row, request.POST.get("act", ""))
        except Refused as error:
            status, problem, row = error.status, error.message, _list(request, public_id)
        else:
            if request.POST.get("act") == "drop":
                return redirect("web:campaign_invites", row.campaign.public_id)
            return redirect("web:invite_list", public_id)
    campaign = row.campaign
    language = campaign.default_language if campaign.default_language in dict(settings.LANGUAGES) else "en"
    counts = invite_lists.counts(row)
    context: dict[str, Any] = {
        **campaign_context(request, campaign, "invites"),
        "list": row,
        "problem": problem,
        "to_send": counts.get("", 0),
        "left_out": [(label, counts[code]) for code, label in invites.REASONS.items() if code in counts],
        "wrong": row.wrong_rows[:WRONG_SHOWN],
        "no_consent_column": row.columns.get("consent") is None and not row.everyone_agreed,
        "per_minute": invites.settings_of(campaign).per_minute,
        "funnel": invite_report.funnel(Invite.objects.filter(list=row)) if row.confirmed_at else None,
        "preview_url": f"/me/mail-preview/{mails.preview_token(campaign, invites.KIND, language)}",
    }
    return render(request, "web/campaigns/invite_list.html", context, status=status)


def _act(request: MerchantRequest, row: InviteList, act: str) -> None:
    if act == "confirm":
        invite_lists.confirm(row=row, actor=request.actor)
    elif act == "drop":
        invite_lists.drop(row=row)
    elif act == "test":
        _test(request, row.campaign)
    elif act in CHANGES:
        CHANGES[act](row=row, actor=request.actor)


CHANGES = {"pause": invite_lists.pause, "resume": invite_lists.resume, "stop": invite_lists.stop}


def _test(request: MerchantRequest, campaign: Campaign) -> None:
    if not limits.allow(f"mail-test:{request.user.pk}", TESTS_AN_HOUR, 3600):
        raise Refused("rate_limited", _("That were many tests. Try again in an hour."), status=429)
    language = campaign.default_language if campaign.default_language in dict(settings.LANGUAGES) else "en"
    mails.ask_for_test(campaign=campaign, kind=invites.KIND, language=language, user_id=request.user.pk)
    messages.success(request, _("A test is on its way to %(email)s") % {"email": request.user.email})


@require_safe
@member()
def invite_list_wrong(request: MerchantRequest, public_id: str) -> HttpResponseBase:
    """The rows that can't be taken, with reasons, safe to open in a spreadsheet."""
    row = own(InviteList.objects.defer("data"), request, public_id)
    return stream_csv("invitations-wrong-rows.csv", ("line", "column", "value", "reason"), row.wrong_rows)


@require_safe
@member()
def invite_list_outcome(request: MerchantRequest, public_id: str) -> HttpResponseBase:
    """Every person on a list and what became of their invitation."""
    row = _list(request, public_id)
    note_export(request, "invitations", row.public_id, "")
    return stream_csv(file_name("invitations"), OUTCOME_COLUMNS, _outcome_lines(row))


@require_POST
@member(role=Role.MANAGER)
def invite_list_links(request: MerchantRequest, public_id: str) -> HttpResponseBase:
    """Everybody on a list with their own link, to merge into a newsletter; nobody is mailed."""
    row = _list(request, public_id)
    if row.campaign.status == Status.DRAFT or row.state in {"checking", "dropped"}:
        messages.error(
            request, _("This list has no links yet. Launch the campaign, and wait until the list was looked at.")
        )
        return redirect("web:invite_list", public_id)
    note_export(request, "personal_links", row.public_id, "")
    return stream_csv(file_name("links"), LINK_COLUMNS, _link_lines(personal_links.links_of_list(row)))


@require_safe
@member()
def campaign_invite_links(request: MerchantRequest, public_id: str) -> HttpResponseBase:
    """Every participant with their own link."""
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    note_export(request, "personal_links", campaign.public_id, "")
    return stream_csv(file_name("links"), LINK_COLUMNS, _link_lines(personal_links.links_of_participants(campaign)))


def _link_lines(found: Iterable[PersonalLink]) -> Iterator[tuple[str, str, str]]:
    return ((one.email, one.name, one.link) for one in found)


def _outcome_lines(row: InviteList) -> Iterator[tuple[object, ...]]:
    for one in invite_report.outcomes(row):
        invite = one.line.invite
        if invite is not None:
            invite.campaign = row.campaign
        yield (
            one.line.number,
            one.line.email,
            one.line.name,
            one.state,
            one.reason,
            utc(invite.sent_at) if invite else "",
            utc(invite.opened_at) if invite else "",
            utc(one.joined_at),
            "yes" if one.converted else "no",
            invites.link_of(invite) if invite else "",
        )
