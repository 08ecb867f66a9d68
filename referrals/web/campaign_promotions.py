"""A campaign's promotion codes: whether its people get one at a connected company, for which discount, and how that is going."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_POST

from campaigns.models import Campaign
from campaigns.rules import reward_text
from integrations import promotions, registry
from integrations.models import Connection, PromotionCode, PromotionPlan
from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.web.access import MerchantRequest, member, own, refused
from referrals.web.campaign_forms import carry_out
from referrals.web.campaigns import campaign_context

FAILED_SHOWN = 50
OWN_COUPON = "coupon"


class PromotionForm(forms.Form):
    """Through which connection, and what the code gives."""

    connection = forms.ChoiceField(label=lazy("Account"))
    gives = forms.ChoiceField(label=lazy("What the code gives"), widget=forms.RadioSelect)
    chosen_coupon = forms.CharField(
        label=lazy("Id of the coupon"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"dir": "ltr", "autocapitalize": "none", "spellcheck": "false"}),
        help_text=lazy("Only for a coupon of yours. Its page in the account shows the id."),
    )
    stands_for = forms.ChoiceField(
        label=lazy("Your coupon stands for"),
        required=False,
        help_text=lazy("Who uses the code is then not owed that reward again."),
    )
    first_order_only = forms.BooleanField(
        label=lazy("Only for a customer’s first order"),
        required=False,
        help_text=lazy("The account refuses the code to whoever has paid there before."),
    )

    def __init__(self, campaign: Campaign, connections: list[Connection], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.use_required_attribute = False
        self.connections = {row.public_id: row for row in connections}
        self._choices("connection", [(row.public_id, str(_named(row))) for row in connections])
        locale = get_language() or "en"
        rules = [
            (rule.key, _("The friend’s reward: %(amount)s off") % {"amount": reward_text(rule, locale)})
            for rule in promotions.friend_rules(campaign)
        ]
        has_coupons = not connections or any(registry.get(row.provider).has_coupons for row in connections)
        own = [(OWN_COUPON, _("A coupon of mine"))] if has_coupons else []
        self._choices("gives", [*rules, *own])
        self._choices("stands_for", [("", _("Nothing else: it comes on top")), *rules])
        if not has_coupons:
            for name in ("chosen_coupon", "stands_for", "first_order_only"):
                del self.fields[name]

    def _choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        if isinstance(field, forms.ChoiceField):
            field.choices = choices

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("gives") == OWN_COUPON and not data.get("chosen_coupon"):
            self.add_error("chosen_coupon", _("Enter the coupon’s id."))
        return data

    def plan(self) -> dict[str, Any]:
        """What promotions.save_plan() takes."""
        data = self.cleaned_data
        is_own = data["gives"] == OWN_COUPON
        return {
            "connection": self.connections[data["connection"]],
            "chosen_coupon": data["chosen_coupon"].strip() if is_own else "",
            "rule_key": data["stands_for"] if is_own else data["gives"],
            "first_order_only": data.get("first_order_only", False),
        }


def _named(row: Connection) -> str:
    label = registry.get(row.provider).label
    return f"{label}: {row.label}" if row.label else str(label)


@member()
def campaign_promotions(request: MerchantRequest, public_id: str) -> HttpResponse:
    """The setting and its state; POST switches codes on, or changes what they give."""
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    plan = promotions.plan_of(campaign)
    connections = promotions.connections_for(request.tenant)
    data = request.POST if request.method == "POST" else None
    form = PromotionForm(campaign, connections, data, initial=_initial(campaign, plan, connections))
    status = carry_out(form, lambda: promotions.save_plan(campaign=campaign, actor=request.actor, **form.plan()))
    if status is None:
        said = _("Promotion codes are on. They are made within minutes, for those who are here already too.")
        messages.success(request, said)
        return redirect("web:campaign_promotions", campaign.public_id)
    context: dict[str, Any] = {
        **campaign_context(request, campaign, "links"),
        "form": form,
        "plan": plan,
        "connections": connections,
        "chooses": len(connections) > 1,
        "companies": [str(kind.label) for kind in registry.every() if kind.promotions],
        **_state(plan),
    }
    return render(request, "web/campaigns/promotions.html", context, status=status)


def _initial(campaign: Campaign, plan: PromotionPlan | None, connections: list[Connection]) -> dict[str, Any]:
    if plan is None:
        rules = promotions.friend_rules(campaign)
        gives = rules[0].key if rules else OWN_COUPON
        first = connections[0].public_id if connections else ""
        return {"connection": first, "gives": gives, "first_order_only": True}
    is_own = bool(plan.chosen_coupon)
    return {
        "connection": plan.connection.public_id,
        "gives": OWN_COUPON if is_own else plan.rule_key,
        "chosen_coupon": plan.chosen_coupon,
        "stands_for": plan.rule_key if is_own else "",
        "first_order_only": plan.first_order_only,
    }


def _state(plan: PromotionPlan | None) -> dict[str, Any]:
    """How many codes there are in each state, and those that could not be made."""
    if plan is None:
        return {"counts": [], "failed": []}
    codes = PromotionCode.objects.filter(plan=plan)
    found = dict(codes.order_by().values_list("state").annotate(n=Count("pk")))
    failed = codes.filter(state="failed").select_related("participant").order_by("pk")
    return {
        "counts": [(words, found[state]) for state, words in PromotionCode.STATES if found.get(state)],
        "failed": list(failed[:FAILED_SHOWN]),
        "waiting": found.get("wanted", 0) + found.get("ending", 0),
    }


@require_POST
@member(role=Role.MANAGER)
def campaign_promotions_off(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Switch all codes off."""
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    if promotions.turn_off(campaign=campaign, actor=request.actor) is not None:
        messages.success(request, _("Promotion codes are off. Those there are stop working within minutes."))
    return redirect("web:campaign_promotions", campaign.public_id)


@require_POST
@member(role=Role.MANAGER)
def campaign_promotions_again(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Have what failed tried at once."""
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    try:
        count = promotions.try_again(campaign=campaign)
    except Refused as error:
        return refused(request, error, back=reverse("web:campaign_promotions", args=[campaign.public_id]))
    said = ngettext("%(n)d code is tried again.", "%(n)d codes are tried again.", count) % {"n": count}
    messages.success(request, said)
    return redirect("web:campaign_promotions", campaign.public_id)
