"""Campaign pages: the list, making one, the overview, and what can be done with a whole campaign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import BadRequest
from django.db.models import Exists, OuterRef, QuerySet
from django.forms import ChoiceField
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_POST

from campaigns import services
from campaigns.models import Campaign, CampaignVersion, Status
from campaigns.presets import PRESETS
from campaigns.rules import current_terms
from campaigns.terms import RuleTerms, TermsError
from participants.links import campaign_link
from participants.models import Participant, QualifyingEvent, Referral, Visit
from referrals.accounts.models import Role
from referrals.events.models import Event
from referrals.lib.errors import Refused
from referrals.lib.money import CURRENCIES
from referrals.lib.pages import PageError, keyset
from referrals.web import counts
from referrals.web.access import MerchantRequest, member, own, refused
from referrals.web.campaign_forms import NewCampaignForm, apply_refusal
from referrals.web.campaign_words import RuleWords, full_text_of, words_of
from referrals.web.limits import limits_panel
from referrals.web.reward_pipeline import pipeline_context
from referrals.web.rule_forms import RuleForm, rule_initial, triggers_for
from referrals.web.timeline import entries_of
from rewards.models import Reward, State
from rewards.pipeline import due_by_campaign

PAGE_SIZE = 24
HISTORY = 30


@dataclass(frozen=True, slots=True)
class Action:
    """Something done to a whole campaign: from which statuses, and what the page says before and after."""

    service: Any
    sources: frozenset[str]
    label: Any
    title: Any
    text: Any
    done: Any


ACTIONS = {
    "launch": Action(
        services.launch,
        frozenset({Status.DRAFT}),
        lazy("Launch"),
        lazy("Launch this campaign?"),
        lazy("Its page opens to everybody with the link, and people can join. The currency is fixed from then on."),
        lazy("%(name)s is live"),
    ),
    "pause": Action(
        services.pause,
        frozenset({Status.ACTIVE}),
        lazy("Pause"),
        lazy("Pause this campaign?"),
        lazy("Links lead to a page that says it is paused. Nobody joins, and purchases made meanwhile earn nothing."),
        lazy("%(name)s is paused"),
    ),
    "resume": Action(
        services.resume,
        frozenset({Status.PAUSED}),
        lazy("Resume"),
        lazy("Resume this campaign?"),
        lazy(
            "People can join again, and purchases from now on earn rewards. Those made during the pause stay without."
        ),
        lazy("%(name)s is live again"),
    ),
    "end": Action(
        services.end,
        frozenset({Status.ACTIVE, Status.PAUSED}),
        lazy("End"),
        lazy("End this campaign for good?"),
        lazy(
            "Links lead to a page that says it has ended. Rewards earned so far go their way. It can't be opened again."
        ),
        lazy("%(name)s has ended"),
    ),
}


def locale() -> str:
    """The language of the page, for amounts."""
    return get_language() or "en"


def with_figures(rows: QuerySet[Campaign]) -> QuerySet[Campaign]:
    """Campaigns with their capped counts of participants, friends and purchases, in the same query."""
    mine = OuterRef("pk")
    bought = QualifyingEvent.objects.filter(campaign=mine).exclude(type="join")
    return rows.annotate(
        people=counts.CappedCount(Participant.objects.filter(campaign=mine)),
        friends=counts.CappedCount(Referral.objects.filter(campaign=mine, detached_at=None)),
        purchases=counts.CappedCount(bought),
    )


@member()
def campaign_list(request: MerchantRequest) -> HttpResponse:
    """Every campaign as a card, newest first."""
    rows = with_figures(Campaign.objects.for_tenant(request.tenant))
    try:
        page = keyset(rows, sort="-pk", cursor=request.GET.get("after", "")[:400], limit=PAGE_SIZE)
    except PageError as error:
        raise BadRequest(str(error)) from error
    due = due_by_campaign(request.tenant)
    cards = [
        {
            "campaign": row,
            "people": counts.words(row.people),
            "friends": counts.words(row.friends),
            "purchases": counts.words(row.purchases),
            "due": due[row.pk].amounts if row.pk in due else (),
        }
        for row in cast("Sequence[Any]", page.rows)
    ]
    context = {
        "cards": cards,
        "prev_url": _after(page.previous),
        "next_url": _after(page.next),
        "may_change": _may_change(request),
    }
    return render(request, "web/campaigns/list.html", context)


def _after(cursor: str | None) -> str:
    return f"{reverse('web:campaigns')}?after={cursor}" if cursor else ""


@member()
def campaign_new(request: MerchantRequest) -> HttpResponse:
    """Choose a template, name it, set the rewards of both sides: makes a draft."""
    data = request.POST if request.method == "POST" else None
    currency = _currency(data, request.merchant.currency)
    start = {"preset": next(iter(PRESETS)), "name": _("Refer a friend"), "currency": currency}
    start |= {"attribution_model": Campaign.MODELS[0][0]}
    form = NewCampaignForm(data, initial=start)
    suggestions = {terms.side: terms for terms in PRESETS["refer_a_friend_double"].rules(currency)}
    rules = [_side_form(side, suggestions[side], currency, data) for side in ("referrer", "invitee")]
    status = 200
    if data is not None:
        chosen = PRESETS.get(data.get("preset", ""), PRESETS["refer_a_friend_double"])
        # Templates of more than a rule for each side begin as they are; their rules are changed on their own page.
        wanted = rules[: len(chosen.rules(currency))] if chosen.is_simple else []
        # every part is asked, so that one round shows everything that is wrong
        if all([form.is_valid(), *(rule.is_valid() for rule in wanted)]):
            try:
                campaign = _create(request, form.cleaned_data, [rule.terms for rule in wanted] or None)
            except Refused as error:
                status = apply_refusal(form, error)
            except TermsError as error:
                # The rules are right by themselves; they don't go with friends that several share.
                form.add_error("attribution_model", error.message)
                status = 422
            else:
                if chosen.is_simple:
                    messages.success(request, _("Draft saved. Look at the pages, then launch."))
                    return redirect("web:campaign_design", campaign.public_id)
                messages.success(request, _("Draft saved. Set its rewards, then launch."))
                return redirect("web:campaign_rules", campaign.public_id)
        else:
            status = 422
    context = {
        "form": form,
        "referrer": rules[0],
        "friend": rules[1],
        "presets": PRESETS.values(),
        "may_change": _may_change(request),
    }
    return render(request, "web/campaigns/new.html", context, status=status)


def _currency(data: QueryDict | None, usual: str) -> str:
    """What the amounts are read in: the chosen currency if it is one, so that they stay as typed beside its error."""
    chosen = "" if data is None else data.get("currency", "")
    return chosen if chosen in CURRENCIES else usual


def _side_form(side: str, terms: RuleTerms, currency: str, data: QueryDict | None) -> RuleForm:
    """The form of one side's rule; which side is not for the browser to say."""
    form = RuleForm(data, initial=rule_initial(terms), currency=currency, prefix=side)
    form.fields["side"].disabled = True
    form.fields["key"].disabled = True
    cast(ChoiceField, form.fields["trigger"]).choices = triggers_for(side)
    return form


def _create(request: MerchantRequest, data: dict[str, Any], rules: list[RuleTerms] | None) -> Campaign:
    return services.create_campaign(
        tenant=request.tenant,
        actor=request.actor,
        name=data["name"],
        currency=data["currency"],
        preset_key=data["preset"],
        rules=rules,
        **({"ends_at": data["ends_at"]} if data["ends_at"] else {}),
        **({"attribution_model": data["attribution_model"]} if data["attribution_model"] else {}),
    )


@member()
def campaign_page(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Overview: funnel, rules in words, link to try, versions, history."""
    campaign = own(Campaign.objects.select_related("version"), request, public_id)
    history = Event.objects.filter(subject_id=campaign.public_id).order_by("-pk")[:HISTORY]
    context = {
        **campaign_context(request, campaign, "overview"),
        **pipeline_context(request.tenant, campaign=campaign),
        "funnel": funnel(campaign),
        "rules": rules_in_words(campaign),
        "versions": versions_of(campaign),
        "limits": limits_panel(campaign, locale()),
        "history": entries_of(history),
        "link": campaign_link(campaign),
    }
    return render(request, "web/campaigns/overview.html", context)


def campaign_context(request: MerchantRequest, campaign: Campaign, tab: str) -> dict[str, Any]:
    """What the head of every page of one campaign needs."""
    actions = [name for name, action in ACTIONS.items() if campaign.status in action.sources]
    return {
        "campaign": campaign,
        "tab": tab,
        "actions": [(name, ACTIONS[name]) for name in actions],
        "may_change": _may_change(request),
        "hub_is_on": settings.HUB,
    }


def _may_change(request: MerchantRequest) -> bool:
    return request.membership.may(Role.MANAGER)


def rules_in_words(campaign: Campaign) -> list[RuleWords]:
    """The rules in force, for reading."""
    return [words_of(terms, locale()) for terms in current_terms(campaign)]


def versions_of(campaign: Campaign) -> list[tuple[CampaignVersion, list[str]]]:
    """The newest versions, each with a line for each rule. Three queries."""
    rows = campaign.versions.select_related("published_by").prefetch_related("rules__tiers")[:HISTORY]
    return [(row, [full_text_of(rule.terms(campaign.currency), locale()) for rule in row.rules.all()]) for row in rows]


def funnel(campaign: Campaign) -> list[dict[str, Any]]:
    """Clicks, friends who joined, friends who bought, rewards made for it: capped counts and widths in 0..1000."""
    bought = QualifyingEvent.objects.filter(participant=OuterRef("invitee")).exclude(type="join")
    friends = Referral.objects.filter(campaign=campaign, detached_at=None)
    kept = Reward.objects.filter(campaign=campaign, side="referrer").exclude(state__in=[State.VOID, State.REVERSED])
    found = [
        (_("Clicks"), counts.capped(Visit.objects.filter(campaign=campaign, hidden_reason=""))),
        (_("Joined"), counts.capped(friends)),
        (_("Bought"), counts.capped(friends.filter(Exists(bought)))),
        (_("Rewarded"), counts.capped(kept)),
    ]
    most = max(count for _label, count in found) or 1
    machines = counts.capped(Visit.objects.filter(campaign=campaign).exclude(hidden_reason=""))
    notes = [hidden_text(machines) if machines else "", "", "", ""]
    return [
        {
            "label": label,
            "count": counts.words(count),
            "width": round(1000 * count / most),
            "share": _share(count, found[index - 1][1]) if index else "",
            "note": notes[index],
        }
        for index, (label, count) in enumerate(found)
    ]


def hidden_text(count: int) -> str:
    """ "31 bots hidden", of a capped count."""
    return ngettext("%(n)s bot hidden", "%(n)s bots hidden", count) % {"n": counts.words(count)}


def _share(count: int, before: int) -> str:
    """How many of the step before: "23%"; nothing where it can't be said."""
    if not before or count > before or before > counts.CAP:
        return ""
    return _("%(share)d%%") % {"share": round(100 * count / before)}


@member()
def campaign_action(request: MerchantRequest, public_id: str, action: str) -> HttpResponse:
    """Launch, pause, resume or end: GET says what will happen, POST does it."""
    campaign = own(Campaign.objects.all(), request, public_id)
    known = ACTIONS[action]
    back = reverse("web:campaign", args=[campaign.public_id])
    if request.method != "POST":
        context = {
            **campaign_context(request, campaign, "overview"),
            "action": known,
            "name": action,
            "possible": campaign.status in known.sources,
        }
        return render(request, "web/campaigns/confirm.html", context)
    try:
        known.service(campaign=campaign, actor=request.actor)
    except Refused as error:
        return refused(request, error, back=back)
    messages.success(request, known.done % {"name": campaign.name})
    return redirect(back)


@require_POST
@member(role=Role.MANAGER)
def campaign_duplicate(request: MerchantRequest, public_id: str) -> HttpResponse:
    """A draft with the same rules, texts and look."""
    campaign = own(Campaign.objects.all(), request, public_id)
    copy = services.duplicate(campaign=campaign, actor=request.actor)
    messages.success(request, _("Copied as a draft"))
    return redirect("web:campaign", copy.public_id)
