"""A campaign's Install page: each way to put it on the merchant's own site, with their ids filled in, and whether it is seen at work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_safe

from campaigns.destinations import destination
from campaigns.models import Campaign
from campaigns.sightings import sightings_of
from integrations import registry
from integrations.models import Connection
from participants.links import campaign_link, script_tag, site_of
from participants.models import Participant, QualifyingEvent, Visit
from referrals.accounts.models import ApiKey, SigningSecret
from referrals.web import install_snippets as snippets
from referrals.web.access import MerchantRequest, member, own
from referrals.web.campaigns import campaign_context
from referrals.web.purchase_list import SOURCES as PAYMENT_SOURCES
from referrals.web.templatetags.ui import ago, ago_really
from referrals.web.timeline import SOURCES as JOIN_SOURCES
from rewards.simulating import SOURCE as SIMULATED

EXAMPLE = "8Mnu79TD"
# A code that nobody has: the script then calls, and no visit is counted.
CHECK = "install-check"
# So many of the newest joins and payments are looked at for one of the kind.
LOOK_BACK = 200
# In the order of the page: its name, and the signals that say whether it works.
WAYS: dict[str, tuple[str | Promise, tuple[str, ...]]] = {
    "hosted": (lazy("Hosted page"), ("visit", "join_hosted")),
    "redirect": (lazy("Your own page"), ("visit", "script")),
    "embed": (lazy("Widgets"), ("widget",)),
    "app": (lazy("Logged-in customers"), ("identity",)),
    "sign-up": (lazy("Sign-ups"), ("script", "join")),
    "payment": (lazy("Payments"), ("payment",)),
}
HOSTED, BY_HAND = frozenset({"hosted", "form"}), frozenset({"manual", "import", SIMULATED})


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that was seen, or not: when, where or from what source, and what to do while it was not."""

    title: str
    at: datetime | None
    place: str
    missing: str
    really: bool = False


@member()
@require_safe
def campaign_install(request: MerchantRequest, public_id: str) -> HttpResponse:
    """One way of installing at a time; htmx asks for the live check alone."""
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    way = request.GET.get("way", "")
    way = way if way in WAYS else "hosted"
    seen = {"way": way, "campaign": campaign, "checks": _checks(campaign, way), "checked_at": timezone.now()}
    if request.htmx and request.htmx.target == "seen":
        return render(request, "web/campaigns/_install_seen.html", seen)
    context = {
        **campaign_context(request, campaign, "install"),
        **seen,
        "ways": [(name, words) for name, (words, _signals) in WAYS.items()],
        "template": f"web/campaigns/install/{way}.html",
        "host": site_of(campaign),
        "script": script_tag(campaign),
        **_FACTS[way](request, campaign),
    }
    return render(request, "web/campaigns/install.html", context)


def _hosted(request: MerchantRequest, campaign: Campaign) -> dict[str, Any]:
    return {"link": campaign_link(campaign), "button": snippets.link(campaign)}


def _redirect(request: MerchantRequest, campaign: Campaign) -> dict[str, Any]:
    return {"leads_to": destination(campaign, EXAMPLE), "check_url": _check_url(campaign)}


def _embed(request: MerchantRequest, campaign: Campaign) -> dict[str, Any]:
    return {"tags": snippets.tags(campaign), "widgets": snippets.WIDGETS}


def _app(request: MerchantRequest, campaign: Campaign) -> dict[str, Any]:
    chosen = request.GET.get("in", "")
    chosen = chosen if chosen in snippets.LANGUAGES else "python"
    name, _ending, markup = snippets.LANGUAGES[chosen]
    return {
        "tags": snippets.tags(campaign),
        "languages": [(key, words[0]) for key, words in snippets.LANGUAGES.items()],
        "language": chosen,
        "language_name": name,
        "function": snippets.identity(campaign, chosen),
        "markup": markup,
        "signing": SigningSecret.objects.for_tenant(campaign.tenant).first(),
    }


def _sign_up(request: MerchantRequest, campaign: Campaign) -> dict[str, Any]:
    return {
        "form_code": snippets.FORM,
        "call_code": snippets.CALL,
        "server_code": snippets.sign_up_call(campaign),
        "check_url": _check_url(campaign),
        "keys": _keys(campaign),
    }


def _payment(request: MerchantRequest, campaign: Campaign) -> dict[str, Any]:
    telling = Connection.objects.for_tenant(campaign.tenant).filter(removed_at=None, provider__in=registry.TELLING)
    return {
        "connected": telling.order_by("pk")[:20],
        "companies": snippets.of_providers(campaign),
        "server_code": snippets.payment_call(campaign),
        "token_code": snippets.payment_token(campaign),
        "keys": _keys(campaign),
    }


_FACTS = {
    "hosted": _hosted,
    "redirect": _redirect,
    "embed": _embed,
    "app": _app,
    "sign-up": _sign_up,
    "payment": _payment,
}


def _keys(campaign: Campaign) -> dict[str, ApiKey | None]:
    """The newest usable key of each kind, to be named by its ends; nobody can read it again."""
    usable = ApiKey.objects.for_tenant(campaign.tenant).usable(timezone.now()).order_by("-pk")
    found: dict[str, ApiKey | None] = {"secret": None, "publishable": None}
    for key in usable:
        found[key.kind] = found[key.kind] or key
    return found


def _check_url(campaign: Campaign) -> str:
    """A page of the merchant's with a code that nobody has; "" while no page is on the list."""
    origins = campaign.script_origins
    return f"{origins[0]}/?referralCode={CHECK}" if origins else ""


def _checks(campaign: Campaign, way: str) -> list[dict[str, Any]]:
    """The signals of a way for components/_checks.html."""
    checks = []
    for name in WAYS[way][1]:
        signal = _SIGNALS[name](campaign)
        if signal.at is None:
            checks.append({"state": "todo", "text": signal.title, "facts": signal.missing})
            continue
        when = ago_really(signal.at) if signal.really else ago(signal.at)
        facts = format_html("{} · {}", when, signal.place) if signal.place else when
        checks.append({"state": "ok", "text": signal.title, "facts": facts})
    return checks


def _visit(campaign: Campaign) -> Signal:
    newest = Visit.objects.filter(campaign=campaign, hidden_reason="").order_by("-occurred_at")
    at = newest.values_list("occurred_at", flat=True).first()
    missing = _("Nobody has opened a link yet. Open one of a participant yourself, in a private window.")
    return Signal(_("A link was opened"), at, "", missing)


def _join(campaign: Campaign, title: str, missing: str, wanted: frozenset[str] | None) -> Signal:
    rows = Participant.objects.filter(campaign=campaign).order_by("-joined_at", "-pk")
    for source, at in rows.values_list("source", "joined_at")[:LOOK_BACK]:
        if source in wanted if wanted is not None else source not in HOSTED | BY_HAND:
            return Signal(title, at, str(JOIN_SOURCES.get(source, source)), missing)
    return Signal(title, None, "", missing)


def _join_hosted(campaign: Campaign) -> Signal:
    missing = _(
        "Nobody has joined on the page yet. Fill it in yourself: you are a participant then, and nobody's friend."
    )
    return _join(campaign, _("Somebody joined on the page"), missing, HOSTED)


def _join_elsewhere(campaign: Campaign) -> Signal:
    missing = _("No sign-up has arrived yet. Sign up on your page with an address of your own.")
    return _join(campaign, _("A sign-up arrived"), missing, None)


def _payment_signal(campaign: Campaign) -> Signal:
    missing = _("No payment has arrived yet. Pay a small order in test mode, or send one from your server.")
    rows = QualifyingEvent.objects.filter(campaign=campaign).order_by("-occurred_at")
    for kind, source, at in rows.values_list("type", "source", "recorded_at")[:LOOK_BACK]:
        if kind != "join" and source not in BY_HAND:
            return Signal(_("A payment arrived"), at, str(PAYMENT_SOURCES.get(source, source.title())), missing)
    return Signal(_("A payment arrived"), None, "", missing)


def _sighting(campaign: Campaign, way: str, title: str, missing: str) -> Signal:
    at, origin = sightings_of(campaign).get(way, (None, ""))
    return Signal(title, at, origin, missing, really=True)


def _script(campaign: Campaign) -> Signal:
    missing = _("Not yet. Open a page that has the tag with ?referralCode=%(code)s behind its address.") % {
        "code": CHECK
    }
    if not campaign.script_origins:
        missing = _("Not yet: no page may call. Enter the origins of your pages on Links.")
    return _sighting(campaign, "script", _("The script called from a page"), missing)


def _widget(campaign: Campaign) -> Signal:
    missing = _("Not yet. Open a page with the widget; an ad blocker may keep it out.")
    if not campaign.script_origins:
        missing = _("Not yet: no page may show it. Enter the origins of your pages on Links.")
    return _sighting(campaign, "widget", _("A widget was shown on a page"), missing)


def _identity(campaign: Campaign) -> Signal:
    missing = _("Not yet. Log in to your own page; if the widget asks for an address, the browser's console says why.")
    return _sighting(campaign, "identity", _("A customer was shown their own link"), missing)


_SIGNALS = {
    "visit": _visit,
    "join_hosted": _join_hosted,
    "join": _join_elsewhere,
    "payment": _payment_signal,
    "script": _script,
    "widget": _widget,
    "identity": _identity,
}
