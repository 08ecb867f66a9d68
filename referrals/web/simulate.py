"""Simulate a referral: choose the steps, play them, and read what came of it (PRODUCT.md, "Test mode")."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from campaigns.models import Campaign
from participants.codes import find_by_code
from participants.models import Participant
from participants.services import find_by_email
from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.web.access import MerchantRequest, member, own
from referrals.web.campaign_forms import apply_refusal
from referrals.web.campaigns import campaign_context
from referrals.web.money_fields import MoneyField
from referrals.web.testing import only_on_the_test_side
from referrals.web.timeline import Entry
from rewards import simulating
from rewards.models import Decision
from rewards.reasons import reason_sentence
from rewards.simulating import Story

STEPS = [
    ("visit", lazy("Somebody opens the link")),
    ("join", lazy("They join")),
    ("purchase", lazy("They buy")),
    ("refund", lazy("The purchase is refunded")),
]


class SimulateForm(forms.Form):
    """Which steps, whose friend, and the amounts."""

    steps = forms.MultipleChoiceField(
        label=lazy("What happens"),
        choices=STEPS,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": lazy("Choose at least one step.")},
    )
    amount = MoneyField(label=lazy("They pay"), required=False, help_text=lazy("Leave empty for 50."))
    refund = MoneyField(label=lazy("Of it they get back"), required=False, help_text=lazy("Leave empty for all of it."))
    referrer = forms.CharField(
        label=lazy("Whose friend"),
        required=False,
        max_length=254,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=lazy("A referral code or an e-mail address of this campaign. Leave empty for somebody new."),
    )

    def __init__(self, *args: Any, campaign: Campaign, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.campaign = campaign
        for name in ("amount", "refund"):
            self.fields[name].use(campaign.currency)  # type: ignore[attr-defined]  # a MoneyField

    def clean_referrer(self) -> Participant | None:
        """Who it is, looked for in this campaign only."""
        text = self.cleaned_data["referrer"].strip()
        if not text:
            return None
        found = find_by_email(self.campaign, text) if "@" in text else find_by_code(self.campaign, text)
        if found is None:
            raise forms.ValidationError(_("Nobody in this campaign has %(text)s.") % {"text": text[:80]})
        return found


@member(change=Role.MANAGER)
def simulate_referral(request: MerchantRequest, public_id: str) -> HttpResponse:
    """The steps to choose; POST plays them. On the live side: how to get to the test side."""
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    if not request.tenant.is_test:
        return only_on_the_test_side(request, _("Simulate a referral"), campaign)
    posted = request.POST if request.method == "POST" else None
    form = SimulateForm(posted, campaign=campaign, initial={"steps": ["visit", "join", "purchase"]})
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            data = form.cleaned_data
            try:
                story = simulating.simulate(
                    campaign=campaign,
                    actor=request.actor,
                    steps=tuple(data["steps"]),
                    amount=data["amount"],
                    refund=data["refund"],
                    referrer=data["referrer"],
                )
            except Refused as error:
                status = apply_refusal(form, error)
            else:
                if story.friend is not None:
                    return redirect("web:simulated", campaign.public_id, story.friend.public_id)
                messages.success(request, _("%(who)s's link was opened once.") % {"who": story.referrer})
                return redirect("web:participant", story.referrer.public_id)
    context = {**campaign_context(request, campaign, "simulate"), "form": form}
    return render(request, "web/testing/simulate.html", context, status=status)


@member()
def simulated(request: MerchantRequest, public_id: str, friend: str) -> HttpResponse:
    """What a simulated friend has left behind, as it stands now, with the way on."""
    campaign = own(Campaign.objects.select_related("merchant"), request, public_id)
    if not request.tenant.is_test:
        return only_on_the_test_side(request, _("A simulated referral"), campaign)
    rows = Participant.objects.filter(campaign=campaign, source=simulating.SOURCE).select_related("campaign")
    person = own(rows, request, friend)
    story = simulating.story_of(person)
    context = {
        **campaign_context(request, campaign, "simulate"),
        "story": story,
        "entries": entries(story),
        "clears": simulating.next_clearing(story),
        "decisions": [_decided(row) for row in story.decisions],
    }
    return render(request, "web/testing/story.html", context)


def entries(story: Story) -> list[Entry]:
    """The steps in their order, each with its page."""
    found = []
    if story.visit is not None:
        text = _("%(who)s's link was opened") % {"who": story.referrer}
        found.append(Entry("mouse-pointer-click", "", text, "", story.visit.occurred_at, _person(story.referrer)))
        for share in story.shares[1:]:
            text = _("%(who)s's link was opened, too") % {"who": share.participant}
            found.append(
                Entry("mouse-pointer-click", "", text, "", story.visit.occurred_at, _person(share.participant))
            )
    friend = story.friend
    if friend is None:
        return found
    words = {"friend": friend, "who": story.referrer}
    text = _("%(friend)s joined through %(who)s") % words if story.referral else _("%(friend)s joined") % words
    if story.shares:
        parts = ", ".join(f"{share.participant} {share.words}" for share in story.shares)
        text = _("%(friend)s joined, shared between %(parts)s") % {"friend": friend, "parts": parts}
    found.append(Entry("user-plus", "", text, "", friend.joined_at, _person(friend)))
    event, locale = story.event, get_language() or "en"
    if event is not None:
        page = reverse("web:purchase", args=[event.public_id])
        text = _("Bought for %(amount)s") % {"amount": event.amount.format(locale) if event.amount else ""}
        found.append(Entry("shopping-bag", "issued", text, "", event.occurred_at, page))
        if story.refund is not None:
            back = event.refunded_minor if story.refund.amount_minor is None else story.refund.amount_minor
            text = _("%(amount)s refunded") % {"amount": Money(back, event.currency).format(locale)}
            found.append(Entry("rotate-ccw", "problem", text, "", story.refund.occurred_at, page))
    return found


def _person(row: Participant) -> str:
    return reverse("web:participant", args=[row.public_id])


def _decided(row: Decision) -> dict[str, Any]:
    page = reverse("web:purchase", args=[row.event.public_id])
    return {"row": row, "why_not": "" if row.rewardable else reason_sentence(row.reason), "url": page}
