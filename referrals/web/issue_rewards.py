"""Issuing what is chosen in a list of rewards: the question, and the deed, which leads to the batch and its progress."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations import methods
from referrals.lib.codes import random_text
from referrals.lib.errors import Refused
from referrals.lib.pages import wants_part
from referrals.web.access import MerchantRequest
from referrals.web.issue_question import Offer, OptionsForm, offer, question
from referrals.web.reward_choice import Choice, IssueForm, read_sums, world_of
from rewards.models import PayoutBatch, Reward
from rewards.payouts import MANUAL
from rewards.queueing import NO_DESTINATION, Preview
from rewards.selection import resolve

Done = Callable[..., HttpResponse]


def ask(
    request: MerchantRequest,
    choice: Choice,
    *,
    form: IssueForm | None = None,
    options: OptionsForm | None = None,
    status: int = 200,
    warning: str = "",
) -> HttpResponse:
    """The question with what is chosen in it. A method that is no longer there gives way to the usual one, and is said."""
    tenant = request.tenant
    try:
        found = offer(tenant, choice, request.POST)
    except Refused as refusal:
        usual = offer(tenant, choice, QueryDict())
        return _show(request, choice, usual, form, OptionsForm(usual.option, tenant), 422, refusal.message)
    if options is None:
        options = _given(found.option, request)
    return _show(request, choice, found, form, options, status, warning)


def _show(
    request: MerchantRequest,
    choice: Choice,
    found: Offer,
    form: IssueForm | None,
    options: OptionsForm,
    status: int,
    warning: str,
) -> HttpResponse:
    tenant = request.tenant
    keys = list(choice.rows(tenant).order_by("pk").values_list("pk", flat=True))
    wanted = options.chosen if options.is_bound and options.is_valid() else options.as_shown
    preview = methods.preview(found.option, tenant, keys, wanted)
    context = question(
        choice,
        tenant,
        found,
        preview,
        form or _again(request),
        options,
        world=world_of(tenant),
        warning=warning,
    )
    in_dialog = wants_part(request)
    page = "web/rewards/_issue.html" if in_dialog else "web/rewards/issue.html"
    response = render(request, page, {"ask": context, "in_dialog": in_dialog}, status=status)
    if in_dialog:
        response["HX-Retarget"] = "#ask"
        response["HX-Reswap"] = "innerHTML"
        response["HX-Push-Url"] = "false"
    return response


def _given(option: methods.Option, request: MerchantRequest) -> OptionsForm:
    """The method's own fields: with what was filled in, when it is the method that it was filled in for."""
    same = request.POST.get("asked") == option.value
    return OptionsForm(option, request.tenant, request.POST if same else None)


def _again(request: MerchantRequest) -> IssueForm:
    """Note and key as they are in the form on the page; a new key where there is none yet."""
    key = request.POST.get("key", "")
    note = request.POST.get("note", "")
    return IssueForm(action="issue", initial={"key": key or random_text(22), "note": note[:500]})


def issue(request: MerchantRequest, choice: Choice, done: Done) -> HttpResponse:
    """Do it, once for each key. By hand: back to the list with Undo; any other way: to the batch, where its progress shows."""
    tenant = request.tenant
    form = IssueForm(request.POST, action="issue")
    if not form.is_valid():
        return ask(request, choice, form=form, status=422)
    key, note = form.cleaned_data["key"], form.cleaned_data["note"]
    # A double press: what it wanted is done, and its rewards are no longer there to be chosen.
    batch = PayoutBatch.objects.for_tenant(tenant).filter(key=key).first()
    if batch is None:
        option = methods.find(tenant, request.POST.get("method") or MANUAL)
        options = OptionsForm(option, tenant, request.POST)
        if not options.is_valid():
            return ask(request, choice, form=form, options=options, status=422)
        try:
            batch = _deed(request, choice, option, options, key=key, note=note)
        except Refused as refusal:
            if refusal.code == "option" and options.add_refusal(refusal):
                return ask(request, choice, form=form, options=options, status=422)
            if refusal.code in {"method_unsuitable", "nothing_payable", "option", "limit_reached"}:
                return ask(request, choice, warning=refusal.message, status=422)
            raise
    if batch.method == MANUAL:
        return _marked(request, choice, batch, done)
    return _to(request, batch)


def _deed(
    request: MerchantRequest, choice: Choice, option: methods.Option, options: OptionsForm, *, key: str, note: str
) -> PayoutBatch:
    tenant = request.tenant
    keys = resolve(tenant, choice.selection)
    preview = methods.preview(option, tenant, keys, options.chosen)
    _refuse_other(request, preview)
    if preview.payable and "payable" in request.POST:
        # The others stay as they are; those without a payout address wait for it.
        keys = [row.pk for row in preview.payable]
        keys += [row.pk for row, code in preview.refused if code == NO_DESTINATION]
    try:
        batch, _made = methods.issue(
            option,
            tenant=tenant,
            reward_ids=keys,
            actor=request.actor,
            key=key,
            note=note,
            sums=read_sums(request.POST),
            chosen=options.chosen,
            leaving=read_sums(request.POST, "leaves"),
        )
    except Refused as refusal:
        if refusal.field != "amounts":
            raise
        # The rewards are worth what they were, but what is set off is another sum by now.
        message = _("The amounts have changed since you looked. Check them and confirm again.")
        raise Refused("selection_changed", message, status=409) from refusal
    return batch


def _refuse_other(request: MerchantRequest, preview: Preview) -> None:
    """As many as the person was shown: what can be paid by the method may have changed since."""
    shown = request.POST.get("payable")
    if shown is None:
        return
    if not (shown.isascii() and shown.isdigit() and len(shown) <= 9):
        raise BadRequest("payable")
    if int(shown) != len(preview.payable):
        message = _(
            "%(expected)d rewards could be paid when you looked, %(now)d can now. Check them and confirm again."
        )
        words = {"expected": int(shown), "now": len(preview.payable)}
        raise Refused("selection_changed", message % words, status=409, details=words)


def _marked(request: MerchantRequest, choice: Choice, batch: PayoutBatch, done: Done) -> HttpResponse:
    issued = Reward.objects.for_tenant(request.tenant).filter(payout_items__payout__batch=batch).count()
    words = ngettext("%(n)s reward", "%(n)s rewards", issued) % {"n": f"{issued:,}"}
    link = format_html('<a href="{}">{}</a>', reverse("web:payout_batch", args=[batch.public_id]), words)
    text = format_html(ngettext("{} marked as issued", "{} marked as issued", issued), link)
    return done(request, choice, text, undo=reverse("web:payout_undo", args=[batch.public_id]))


def _to(request: MerchantRequest, batch: PayoutBatch) -> HttpResponse:
    url = reverse("web:payout_batch", args=[batch.public_id])
    count = batch.payouts.count()
    words = ngettext("%(n)s payout made", "%(n)s payouts made", count)
    messages.success(request, words % {"n": f"{count:,}"})
    if wants_part(request):
        response = HttpResponse(status=204)
        response["HX-Redirect"] = url
        return response
    return HttpResponseRedirect(url, status=303)
