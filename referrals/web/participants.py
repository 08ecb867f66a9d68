"""The participants' list: search, filters, keyset pages, export; and adding somebody by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_safe

from campaigns.models import Campaign
from participants.friends import count_friends, is_referrer, shares_by_referral
from participants.links import share_link
from participants.models import Participant, Referral, ReferralShare
from participants.search import search
from referrals.accounts.models import Role
from referrals.accounts.tenancy import Tenant
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.lib.pages import PageError, keyset, render_part
from referrals.web import counts
from referrals.web.access import MerchantRequest, member
from referrals.web.answers import AnswerColumns, facts_cell, newest_agreements
from referrals.web.campaign_forms import apply_refusal
from referrals.web.exports import file_name, note_export, stream_csv
from referrals.web.filters import one_of
from referrals.web.participant_forms import NewParticipantForm
from rewards.balances import balances_of
from rewards.services import join

PAGE_SIZE = 50
EXPORT_CHUNK = 500
CAMPAIGNS_SHOWN = 200
ROLES = {"referrer": lazy("Referrers"), "friend": lazy("Friends")}
BANNED = {"yes": lazy("Banned"), "no": lazy("Not banned")}


@dataclass(frozen=True, slots=True)
class PeopleState:
    """What the address says: search words, filters, page."""

    q: str = ""
    campaign: Campaign | None = None
    role: str = ""
    banned: str = ""
    after: str = ""

    @classmethod
    def read(cls, query: QueryDict, tenant: Tenant) -> PeopleState:
        """From a query string. BadFilter names a value that is no choice; Http404 for a campaign that is not the tenant's."""
        campaign = None
        if public_id := query.get("campaign", ""):
            campaign = Campaign.objects.for_tenant(tenant).filter(public_id=public_id).first()
            if campaign is None:
                raise Http404
        return cls(
            q=" ".join(query.get("q", "").split())[:120],
            campaign=campaign,
            role=one_of(query, "role", ROLES),
            banned=one_of(query, "banned", BANNED),
            after=query.get("after", "")[:400],
        )

    def url(self, **changes: Any) -> str:
        """The address of this list, or of one that differs; another filter starts at the first page."""
        changes.setdefault("after", "")
        state = replace(self, **changes)
        pairs = {
            "q": state.q,
            "campaign": state.campaign.public_id if state.campaign else "",
            "role": state.role,
            "banned": state.banned,
            "after": state.after,
        }
        query = urlencode({name: value for name, value in pairs.items() if value})
        return f"{reverse('web:participants')}?{query}" if query else reverse("web:participants")

    @property
    def export_url(self) -> str:
        """Where the same list is a file."""
        _page, _mark, query = self.url().partition("?")
        return f"{reverse('web:participants_export')}?{query}"

    @property
    def is_narrowed(self) -> bool:
        """Whether search or a filter is on."""
        return bool(self.q or self.campaign or self.role or self.banned)

    def rows(self, tenant: Tenant) -> QuerySet[Participant]:
        """Everybody of the list, without order."""
        rows = Participant.objects.for_tenant(tenant)
        if self.campaign is not None:
            rows = rows.filter(campaign=self.campaign)
        if self.q:
            rows = rows.filter(search(self.q))
        if self.role == "referrer":
            rows = rows.filter(is_referrer())
        elif self.role == "friend":
            rows = rows.filter(Exists(Referral.objects.filter(invitee=OuterRef("pk"), detached_at=None)))
        if self.banned:
            rows = rows.filter(banned_at__isnull=self.banned == "no")
        return rows


@member()
def participant_list(request: MerchantRequest) -> HttpResponse:
    """Everybody, newest first."""
    state = PeopleState.read(request.GET, request.tenant)
    friends = Referral.objects.filter(referrer=OuterRef("pk"), detached_at=None)
    rows = state.rows(request.tenant).select_related("campaign", "referral__referrer")
    try:
        page = keyset(
            rows.annotate(friends=counts.CappedCount(friends)), sort="-joined_at", cursor=state.after, limit=PAGE_SIZE
        )
    except PageError as error:
        raise BadRequest(str(error)) from error
    context = {
        "state": state,
        "people": _people(page.rows),
        "campaigns": Campaign.objects.for_tenant(request.tenant).order_by("-pk")[:CAMPAIGNS_SHOWN],
        "roles": ROLES.items(),
        "banned": BANNED.items(),
        "prev_url": state.url(after=page.previous) if page.previous else "",
        "next_url": state.url(after=page.next) if page.next else "",
        "may_change": request.membership.may(Role.MANAGER),
    }
    return render_part(request, "web/participants/list.html", "web/participants/_list.html", context)


def _people(rows: Sequence[Participant]) -> list[dict[str, Any]]:
    balances = balances_of([row.pk for row in rows])
    shared = _shared_counts(rows)
    return [
        {
            "row": row,
            "friends": counts.words(shared.get(row.pk, row.friends)),
            "earned": Money(balances[row.pk].referrer.earned + balances[row.pk].invitee.earned, row.campaign.currency),
            "referrer": referrer_of(row),
        }
        for row in cast("Sequence[Any]", rows)
    ]


def _shared_counts(rows: Sequence[Participant]) -> dict[int, int]:
    """How many friends those have who may share some; the others' are counted with the list."""
    people = [row for row in rows if row.campaign.has_splits]
    return {row.pk: 0 for row in people} | count_friends(people) if people else {}


def shares_text(participant: Participant, shares: Mapping[int, Sequence[ReferralShare]]) -> str:
    """ "a@example.com 1/3, b@example.com 2/3" for who is shared; `shares` are by referral."""
    referral = getattr(participant, "referral", None)
    rows = shares.get(referral.pk, ()) if referral is not None else ()
    return ", ".join(f"{row.participant.email} {row.words}" for row in rows)


def referrer_of(participant: Participant) -> Participant | None:
    """Who invited them; the referral has to be selected along, and detached ones don't count."""
    referral = getattr(participant, "referral", None)
    return referral.referrer if referral is not None and referral.detached_at is None else None


COLUMNS = (
    "id", "campaign", "email", "first_name", "last_name", "referral_code", "link", "referred_by", "joined_at",
    "existing_customer", "banned", "friends", "currency", "earned", "issued", "left", "shared_by",
)  # fmt: skip


@require_safe
@member()
def participants_export(request: MerchantRequest) -> HttpResponseBase:
    """The list as it is filtered, as CSV, read and sent in pieces."""
    state = PeopleState.read(request.GET, request.tenant)
    note_export(request, "participants", request.merchant.public_id, state.url().partition("?")[2])
    joining = AnswerColumns.of(request.tenant, state.campaign)
    return stream_csv(file_name("participants"), columns_of(joining), export_rows(state, request.tenant, joining))


def columns_of(joining: AnswerColumns) -> Sequence[str]:
    """The names of the export's columns."""
    return (*COLUMNS, *joining.heads, "campaign_id", "language", "metadata")


def export_rows(state: PeopleState, tenant: Tenant, joining: AnswerColumns) -> Iterator[list[str]]:
    """One list of cells for each person, by primary key, in pieces of fixed cost."""
    friends = Referral.objects.filter(referrer=OuterRef("pk"), detached_at=None)
    rows = state.rows(tenant).select_related("campaign", "referral__referrer")
    rows = rows.annotate(friends=counts.CappedCount(friends)).order_by("pk")
    last = 0
    while piece := list(rows.filter(pk__gt=last)[:EXPORT_CHUNK]):
        last = piece[-1].pk
        balances = balances_of([row.pk for row in piece])
        shared = _shared_counts(piece)
        bonds = (row.referral for row in piece if referrer_of(row) is not None)
        shares = shares_by_referral(bonds)
        accepted = newest_agreements(piece)
        for row in cast("list[Any]", piece):
            both = balances[row.pk]
            earned = Money(both.referrer.earned + both.invitee.earned, row.campaign.currency)
            issued = Money(both.referrer.redeemed + both.invitee.redeemed, row.campaign.currency)
            referrer = referrer_of(row)
            yield [
                row.public_id,
                row.campaign.name,
                row.email,
                row.first_name,
                row.last_name,
                row.referral_code,
                share_link(row),
                referrer.email if referrer else "",
                row.joined_at.isoformat(timespec="seconds"),
                "yes" if row.existing_customer else "no",
                "yes" if row.banned_at else "no",
                counts.words(shared.get(row.pk, row.friends)),
                row.campaign.currency,
                earned.plain(),
                issued.plain(),
                (earned - issued).plain(),
                shares_text(row, shares),
                *joining.cells(row, accepted),
                row.campaign.public_id,
                row.language,
                facts_cell(row),
            ]


@member(role=Role.MANAGER)
def participant_new(request: MerchantRequest) -> HttpResponse:
    """Add somebody by hand; adding the same address again finds the person who is there."""
    posted = request.method == "POST"
    start = {"campaign": request.GET.get("campaign", "")}
    form = NewParticipantForm(request.POST if posted else None, initial=start, tenant=request.tenant)
    status = 200
    if posted:
        status = 422
        if form.is_valid():
            try:
                return _add(request, form)
            except Refused as error:
                if error.field.startswith("referredBy"):
                    error.field = "referrer"
                # an unknown referrer is a mistake in this form, not a page that does not exist
                error.status = 422 if error.status == 404 else error.status
                status = apply_refusal(form, error)
    return render(request, "web/participants/new.html", {"form": form}, status=status)


def _add(request: MerchantRequest, form: NewParticipantForm) -> HttpResponse:
    data = form.cleaned_data
    campaign: Campaign = data["campaign"]
    referrer: str = data["referrer"].strip()
    done = join(
        campaign=campaign,
        email=data["email"],
        actor=request.actor,
        source="manual",
        first_name=data["first_name"],
        last_name=data["last_name"],
        existing_customer=data["existing_customer"],
        referred_by_email=referrer if "@" in referrer else "",
        referred_by_code="" if "@" in referrer else referrer,
    )
    who = {"who": done.participant.name or done.participant.email}
    if done.created:
        messages.success(request, _("%(who)s added") % who)
    else:
        messages.info(request, _("%(who)s was already there; nothing was changed.") % who)
    return redirect("web:participant", done.participant.public_id)
