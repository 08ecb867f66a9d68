"""The campaign editor: design and texts with a live preview, reward rules with a diff before publishing, settings."""

from __future__ import annotations

import re
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from campaigns import services
from campaigns.models import Campaign, Status
from campaigns.preview import Preview, PreviewSide, preview_url
from campaigns.rules import current_terms
from campaigns.terms import RuleTerms, TermsError
from campaigns.texts import default_texts
from campaigns.theme import WHITE, checks, contrast, palette
from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.web.access import MerchantRequest, member, own
from referrals.web.campaign_forms import (
    INVITEE_TEXTS,
    REFERRER_TEXTS,
    TEXT_FIELDS,
    LookForm,
    SettingsForm,
    apply_refusal,
    carry_out,
    settings_initial,
)
from referrals.web.campaign_words import changes, title_of
from referrals.web.campaigns import campaign_context, locale
from referrals.web.rule_forms import RuleForm
from referrals.web.rule_set import opened, posted, problems_of
from rewards.models import WhatIf
from rewards.whatif import jobs as what_ifs

SIDES = ("invitee", "referrer")
LANGUAGES = [code for code, _name in settings.LANGUAGES]
TEXT_LIMIT = 20_000


def _language(request: MerchantRequest, campaign: Campaign) -> str:
    asked = request.POST.get("language") or request.GET.get("language", "")
    return asked if asked in LANGUAGES else campaign.default_language


def _side(value: str) -> PreviewSide:
    return cast(PreviewSide, value if value in SIDES else "invitee")


@member()
def campaign_design(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Colours, logo and texts of one language; the real page beside them."""
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    language = _language(request, campaign)
    images = frozenset(campaign.images.values_list("kind", flat=True))
    fallback = {name: getattr(default_texts(campaign, language), name) for name in TEXT_FIELDS}
    posted = request.method == "POST"
    form = LookForm(
        request.POST if posted else None,
        request.FILES if posted else None,
        initial=None if posted else _look_initial(campaign, language),
        fallback=fallback,
        images=images,
    )
    status = 200
    if posted:
        if form.is_valid():
            try:
                _save_look(request, campaign, form, language)
            except Refused as error:
                status = _image_refusal(form, error)
            else:
                messages.success(request, _("Design saved"))
                here = reverse("web:campaign_design", args=[campaign.public_id])
                return HttpResponseRedirect(f"{here}?language={language}")
        else:
            status = 422
    side = _side(request.GET.get("side", "") or request.POST.get("side", ""))
    unsaved = _unsaved(request) if posted else ({}, {})
    preview = Preview(side, language, *unsaved)
    context = {
        **campaign_context(request, campaign, "design"),
        "form": form,
        "language": language,
        "languages": settings.LANGUAGES,
        "side": side,
        "invitee_fields": [form[name] for name in INVITEE_TEXTS],
        "referrer_fields": [form[name] for name in REFERRER_TEXTS],
        "color_note": color_note(form["brand_color"].value() or campaign.brand_color),
        "preview_url": preview_url(campaign, preview, editor=str(request.user.pk)),
        "images": images,
    }
    return render(request, "web/campaigns/design.html", context, status=status)


def _look_initial(campaign: Campaign, language: str) -> dict[str, Any]:
    row = campaign.texts.filter(language=language).first()
    texts = {name: getattr(row, name) for name in TEXT_FIELDS} if row else {}
    return {"revision": campaign.revision, "brand_color": campaign.brand_color, "font": campaign.font, **texts}


def _save_look(request: MerchantRequest, campaign: Campaign, form: LookForm, language: str) -> None:
    """Everything or nothing: a refused picture leaves the texts as they were."""
    data = form.cleaned_data
    with transaction.atomic():
        services.update_campaign(
            campaign=campaign,
            actor=request.actor,
            revision=data["revision"],
            brand_color=data["brand_color"].lower(),
            font=data["font"],
        )
        services.save_texts(campaign=campaign, language=language, actor=request.actor, texts=form.texts())
        for kind in ("logo", "hero"):
            if isinstance(data.get(kind), UploadedFile):
                services.set_image(campaign=campaign, kind=kind, upload=data[kind], actor=request.actor)
            elif data.get(f"remove_{kind}"):
                services.remove_image(campaign=campaign, kind=kind, actor=request.actor)


def _image_refusal(form: LookForm, error: Refused) -> int:
    """A refused picture is said at the file that was chosen."""
    if error.field == "image":
        error.field = "logo" if form.cleaned_data.get("logo") else "hero"
    return apply_refusal(form, error)


@require_POST
@member(change=Role.VIEWER)
def campaign_preview(request: MerchantRequest, public_id: str) -> HttpResponse:
    """What the form says right now, as the address of a preview: JSON for the script, a redirect inside the frame without it.

    Saves nothing; values that could not be saved are shown as they would be, cut to length.
    """
    campaign = own(Campaign.objects.all(), request, public_id)
    texts, look = _unsaved(request)
    preview = Preview(_side(request.POST.get("side", "")), _language(request, campaign), texts, look)
    url = preview_url(campaign, preview, editor=str(request.user.pk))
    if request.accepts("text/html"):
        return HttpResponseRedirect(url, status=303)
    return JsonResponse({"url": url, "note": color_note(look.get("brand_color", campaign.brand_color))})


def _unsaved(request: MerchantRequest) -> tuple[dict[str, str], dict[str, str]]:
    texts = {name: request.POST[name].strip()[:TEXT_LIMIT] for name in TEXT_FIELDS if name in request.POST}
    look = {}
    if re.fullmatch(r"#[0-9a-fA-F]{6}", request.POST.get("brand_color", ""), re.ASCII):
        look["brand_color"] = request.POST["brand_color"].lower()
    if request.POST.get("font") in dict(Campaign.FONTS):
        look["font"] = request.POST["font"]
    return texts, look


def color_note(color: str) -> str:
    """Where a brand colour fails WCAG AA, with its ratio and the nearest colour that passes, and what the pages use instead."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", str(color), re.ASCII):
        return _("Use a colour such as #c93a17.")
    found = palette(color)
    said = []
    for check in checks(color):
        facts = {"ratio": f"{check.ratio:.1f}", "needed": f"{check.needed:g}", "nearest": check.nearest}
        facts |= {
            "dark": f"{contrast(found.brand, found.on_brand):.1f}",
            "mark": found.mark,
            "mark_dark": found.mark_dark,
        }
        if check.place == "text" and check.passes:
            said.append(_("White text on it reads well, contrast %(ratio)s.") % facts)
        elif check.place == "text" and found.on_brand == WHITE:
            said.append(
                _(
                    "White text on it has a contrast of %(ratio)s, and %(needed)s is needed. The nearest colour that passes is %(nearest)s;"
                    " the page uses that."
                )
                % facts
            )
        elif check.place == "text":
            said.append(
                _(
                    "White text on it has a contrast of %(ratio)s, and %(needed)s is needed, so buttons get dark text, contrast %(dark)s."
                    " The nearest colour for white text is %(nearest)s."
                )
                % facts
            )
        elif not check.passes:
            text = (
                _(
                    "Bars in it can hardly be seen on the light page, contrast %(ratio)s of %(needed)s; they are drawn in %(mark)s."
                )
                if check.place == "light"
                else _(
                    "Bars in it can hardly be seen on the dark page, contrast %(ratio)s of %(needed)s; they are drawn in %(mark_dark)s."
                )
            )
            said.append(text % facts)
    return " ".join(said)


@member()
def campaign_rules(request: MerchantRequest, public_id: str) -> HttpResponse:
    """The reward rules of both sides. A launched campaign shows what changes before it is published as the next version."""
    campaign = own(Campaign.objects.select_related("merchant", "version"), request, public_id)
    current = current_terms(campaign)
    step = request.POST.get("step", "") if request.method == "POST" else ""
    asked = _asked(request, campaign)
    before = current if asked is None else what_ifs.rules_of(asked)
    rules = posted(request.POST, current, campaign.currency) if step else opened(before, campaign.currency)
    forms = rules.forms
    context: dict[str, Any] = {
        **campaign_context(request, campaign, "rules"),
        "revision": request.POST.get("revision", campaign.revision) if step else (asked or campaign).revision,
        "next_version": campaign.version.number + 1 if campaign.version else 1,
    }
    status = 200
    if step in {"review", "publish", "what_if"}:
        status = _check(request, campaign, forms, current, step, context)
        if status == 303 and step == "what_if":
            return redirect("web:what_if", context["what_if"].public_id)
        if status == 303:
            return redirect("web:campaign_rules", campaign.public_id)
    titles = {rule.key: title_of(rule, locale()) for rule in current}
    for form in forms:
        form.in_force = titles.get(str(form["key"].value()), "")
    context |= {"forms": forms, "count": len(forms), "most": services.MAX_RULES, "focus": rules.focus}
    return render(request, "web/campaigns/rules.html", context, status=status)


def _asked(request: MerchantRequest, campaign: Campaign) -> WhatIf | None:
    """The what-if from which somebody comes back to editing."""
    public_id = request.GET.get("what_if", "")
    rows = WhatIf.objects.for_tenant(request.tenant).filter(campaign=campaign).select_related("campaign")
    return rows.filter(public_id=public_id).first() if public_id and request.method == "GET" else None


def _check(
    request: MerchantRequest,
    campaign: Campaign,
    forms: list[RuleForm],
    current: list[RuleTerms],
    step: str,
    context: dict[str, Any],
) -> int:
    """Check the rules and, for "publish" or a draft, put them in force, or ask what they would change. Returns the status; 303: done."""
    wrong = [form for form in forms if not (form.is_valid() and form.check_shared(campaign))]
    if wrong:
        context["problems"] = problems_of(forms)
        return 422
    terms = [form.terms for form in forms]
    if step == "review" and campaign.status != Status.DRAFT:
        context["changes"] = changes(current, terms, locale())
        context["reviewing"] = True
        return 200
    raw = request.POST.get("revision", "")
    revision = int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 10 else 0
    try:
        if step == "what_if":
            context["what_if"] = what_ifs.ask(campaign=campaign, rules=terms, actor=request.actor, revision=revision)
            return 303
        version = services.publish_rules(campaign=campaign, rules=terms, actor=request.actor, revision=revision)
    except (Refused, TermsError) as error:
        context["error"] = error.message
        return error.status if isinstance(error, Refused) else 422
    if campaign.status == Status.DRAFT:
        messages.success(request, _("Rules saved"))
    elif campaign.version_id == version.pk:
        messages.info(request, _("Nothing was different, so version %(n)d stays in force.") % {"n": version.number})
    else:
        messages.success(request, _("Version %(n)d is in force") % {"n": version.number})
    return 303


@member()
def campaign_settings(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Name, currency, dates, attribution, how strict the fraud check is."""
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    launched = campaign.status != Status.DRAFT
    form = SettingsForm(
        request.POST if request.method == "POST" else None, initial=settings_initial(campaign), launched=launched
    )
    status = carry_out(
        form,
        lambda: services.update_campaign(
            campaign=campaign, actor=request.actor, revision=form.cleaned_data["revision"], **form.changes()
        ),
    )
    if status is None:
        messages.success(request, _("Settings saved"))
        return redirect("web:campaign_settings", campaign.public_id)
    context = {**campaign_context(request, campaign, "settings"), "form": form}
    return render(request, "web/campaigns/settings.html", context, status=status)
