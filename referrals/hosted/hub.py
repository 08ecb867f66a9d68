"""`/hub/`: the public directory of affiliate programmes, and each programme's page (docs/hub.md; API.md, "Other addresses").

Nothing here is written and no cookie is set: the pages are the same for everybody. Programmes come by key, the newest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponsePermanentRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from campaigns.images import EXTENSIONS
from campaigns.listing_models import CATEGORIES, Listing
from campaigns.models import Campaign, CampaignImage, RewardRule
from participants.links import site_of
from referrals.accounts import clocks
from referrals.hosted import hub_page
from referrals.hosted.hub_form import ApplyForm, form_token
from referrals.hosted.hub_page import hub_page as page
from referrals.hosted.hub_words import REWARDS, Pay, country_choices, first_pay, paid_by, where
from referrals.hosted.og import image_address
from referrals.hosted.page import look, message
from referrals.lib import clock
from referrals.lib.pages import PageError, keyset
from referrals.lib.plain import one_line

PER_PAGE = 24
# So many listings at most are looked at for the filters' choices.
FILTERED = 5000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the address asks the directory for; a value that means nothing is passed over."""

    q: str = ""
    category: str = ""
    country: str = ""
    reward: str = ""

    @classmethod
    def read(cls, request: HttpRequest) -> Wanted:
        """From the query string."""
        given = request.GET
        country = given.get("country", "").upper()
        return cls(
            q=one_line(given.get("q", "")[:200])[:80],
            category=given.get("category", "") if given.get("category", "") in dict(CATEGORIES) else "",
            country=country if len(country) == 2 and country.isascii() and country.isalpha() else "",
            reward=given.get("reward", "") if given.get("reward", "") in REWARDS else "",
        )

    @property
    def pairs(self) -> dict[str, str]:
        """What is asked for, as pairs of an address."""
        return {item.name: getattr(self, item.name) for item in fields(self) if getattr(self, item.name)}

    def rows(self) -> QuerySet[Listing]:
        """The public listings that fit."""
        rows = Listing.objects.public(clock.now()).select_related("campaign__merchant", "campaign__version")
        if self.q:
            text = Q(campaign__name__icontains=self.q) | Q(campaign__merchant__name__icontains=self.q)
            rows = rows.filter(text | Q(description__icontains=self.q))
        if self.category:
            rows = rows.filter(category=self.category)
        if self.country:
            rows = rows.filter(Q(countries="") | Q(countries__contains=f" {self.country} "))
        if self.reward:
            of_version = RewardRule.objects.filter(version=OuterRef("campaign__version"), side="referrer")
            rows = rows.filter(Exists(of_version.filter(kind=self.reward)))
        return rows


@dataclass(frozen=True, slots=True)
class Card:
    """One programme in the directory."""

    url: str
    name: str
    merchant: str
    logo: str
    category: str
    where: str
    description: str
    pay: Pay | None
    at_once: bool


@require_safe
@page
def directory(request: HttpRequest) -> HttpResponseBase:
    """The programmes that anybody can apply to, with search and filters. A damaged page marker leads to the first page."""
    wanted = Wanted.read(request)
    lang = {"lang": request.GET["lang"]} if request.GET.get("lang") == get_language() else {}
    try:
        found = keyset(wanted.rows(), sort="-listed_at", cursor=request.GET.get("page", "")[:400], limit=PER_PAGE)
    except PageError:
        return redirect(f"{reverse('hosted:hub')}?{urlencode({**wanted.pairs, **lang})}")

    def beside(cursor: str | None) -> str:
        return f"?{urlencode({**wanted.pairs, **lang, 'page': cursor})}" if cursor else ""

    context = {
        "wanted": wanted,
        "cards": _cards(found.rows, lang),
        "lang": lang.get("lang", ""),
        "is_narrowed": bool(wanted.pairs),
        "previous_url": beside(found.previous),
        "next_url": beside(found.next),
        "canonical": hub_page.address("hub"),
        **_choices(wanted),
    }
    return hub_page.show(request, "hosted/hub.html", context, public=True)


def _choices(wanted: Wanted) -> dict[str, Any]:
    """The categories and countries that programmes have now; what is chosen is always among them. One query."""
    pairs = Listing.objects.public(clock.now()).values_list("category", "countries").distinct()[:FILTERED]
    known = list(pairs)
    categories = {category for category, _codes in known} | {wanted.category}
    codes = {code for _category, text in known for code in text.split()} | {wanted.country}
    return {
        "categories": [(name, label) for name, label in CATEGORIES if name in categories],
        "countries": country_choices(sorted(codes)),
        "rewards": REWARDS.items(),
    }


def _cards(rows: Any, lang: dict[str, str]) -> list[Card]:
    """The programmes of one page; their logos are one query more, and their rules are kept in memory."""
    logos = logos_of([row.campaign for row in rows])
    query = f"?{urlencode(lang)}" if lang else ""
    return [
        Card(
            url=f"{reverse('hosted:hub_programme', args=[row.slug])}{query}",
            name=row.campaign.name,
            merchant=row.campaign.merchant.name,
            logo=logos.get(row.campaign_id, ""),
            category=row.get_category_display(),
            where=where(row, most=3),
            description=row.description,
            pay=first_pay(row.campaign),
            at_once=row.approval == "automatic",
        )
        for row in rows
    ]


def logos_of(campaigns: Sequence[Campaign]) -> dict[int, str]:
    """The addresses of the logos that campaigns have, by primary key. One query."""
    ids = {campaign.pk: campaign.public_id for campaign in campaigns}
    rows = CampaignImage.objects.filter(campaign__in=ids, kind="logo").values_list("campaign_id", "digest")
    facts = {pk: {"campaign_id": ids[pk], "digest": digest, "ext": EXTENSIONS["logo"]} for pk, digest in rows}
    return {pk: reverse("hosted:logo", kwargs=values) for pk, values in facts.items()}


def find_listing(slug: str) -> Listing | None:
    """The listing of that name, on or off, with its campaign; from here on it is the campaign's time."""
    rows = Listing.objects.select_related("campaign__merchant", "campaign__version")
    listing = rows.filter(slug=slug[:60]).first()
    if listing is not None:
        clocks.enter(listing.campaign.tenant)
    return listing


def is_open(listing: Listing) -> bool:
    """Whether people can apply now. The test side's programmes can be tried out by their address; the directory has none of them."""
    campaign = listing.campaign
    return listing.is_on and campaign.type == "affiliate" and campaign.closed_reason(clock.now()) is None


def application_address(campaign: Campaign) -> str:
    """Where people apply to a campaign that lets nobody in without a decision; "" for every other one. No query but for affiliates."""
    if campaign.type != "affiliate" or not settings.HUB:
        return ""
    listing = Listing.objects.filter(campaign=campaign, is_on=True, approval="manual").first()
    return hub_page.address("hub_programme", listing.slug) if listing is not None else ""


def no_programme(request: HttpRequest) -> HttpResponse:
    """There is none of that name, or it takes nobody now: 404 with the same words."""
    response = message(
        request,
        None,
        heading=_("This programme is not open"),
        text=_("It has closed, takes a break, or never was here. Others are in the directory."),
        icon="store",
        status=404,
        url=reverse("hosted:hub"),
        label=_("See all programmes"),
    )
    response["Cache-Control"] = "no-store"
    return response


def programme_page(request: HttpRequest, listing: Listing, form: ApplyForm, *, status: int = 200) -> HttpResponse:
    """The page itself, in the campaign's look; it is the same for everybody until somebody has filled in its form."""
    campaign = listing.campaign
    with timezone.override(campaign.merchant.zone):
        context = look(campaign) | {
            "listing": listing,
            "paid": paid_by(campaign),
            "where": where(listing),
            "category": listing.get_category_display(),
            "form": form,
            "token": form_token(listing),
            "canonical": hub_page.address("hub_programme", listing.slug),
            "og_image": f"{site_of(campaign)}{image_address(campaign, get_language() or 'en')}",
            "home_url": reverse("hosted:hub"),
        }
        return hub_page.show(request, "hosted/hub_programme.html", context, status=status, public=not form.is_bound)


@require_safe
def elsewhere(request: HttpRequest, slug: str = "") -> HttpResponse:
    """`/programs` and `/programs/<slug>` lead to the hub, with whatever the address asks for."""
    target = reverse("hosted:hub_programme", args=[slug]) if slug else reverse("hosted:hub")
    query = request.META.get("QUERY_STRING", "")
    return HttpResponsePermanentRedirect(f"{target}?{query}" if query else target)
