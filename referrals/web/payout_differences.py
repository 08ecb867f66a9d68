"""Where a company's books and ours don't agree: shown among what needs attention, ended by somebody who has looked."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from integrations import payout_checking
from integrations.models import PayoutDifference
from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.web.access import MerchantRequest, member, own, refused


@require_POST
@member(role=Role.MANAGER)
def payout_difference_end(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Somebody has looked, and says what it was."""
    row = own(PayoutDifference.objects.all(), request, public_id)
    back = reverse("web:payouts_attention")
    note = request.POST.get("note", "")[:500]
    try:
        payout_checking.end(tenant=request.tenant, public_id=row.public_id, actor=request.actor, note=note)
    except Refused as error:
        return refused(request, error, back=back)
    messages.success(request, _("Kept with what you found."))
    return HttpResponseRedirect(back, status=303)
