"""The products that a company sells for rewards: a page with pictures, a button that fetches them anew, and the pictures themselves."""

from __future__ import annotations

import re

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from campaigns.images import CONTENT_TYPES
from integrations import catalogue, registry
from integrations.base import Provider
from integrations.models import CatalogueProduct, Connection
from referrals.accounts.models import Role
from referrals.lib.errors import Refused
from referrals.lib.pages import PageError, keyset
from referrals.web.access import MerchantRequest, member, own, refused

PAGE_SIZE = 48
# A picture's address changes with its content; only the team sees it.
_FOREVER = "private, max-age=31536000, immutable"


def _own(request: MerchantRequest, public_id: str) -> tuple[Connection, Provider]:
    """The side's connection to a company with products; 404 for everything else."""
    row = own(Connection.objects.filter(removed_at=None), request, public_id)
    provider = registry.get(row.provider)
    if not provider.products:
        raise Http404
    return row, provider


@require_GET
@member()
def connection_products(request: MerchantRequest, public_id: str) -> HttpResponse:
    """All that may be ordered, by name; `q` finds some of it."""
    row, provider = _own(request, public_id)
    text = " ".join(request.GET.get("q", "").replace("\x00", "").split())[:80]
    try:
        page = keyset(
            catalogue.search(row, text), sort="name", cursor=request.GET.get("after", "")[:400], limit=PAGE_SIZE
        )
    except PageError as error:
        raise BadRequest(str(error)) from error
    context = {
        "row": row,
        "provider": provider,
        "state": catalogue.state_of(row),
        "products": [(one, catalogue.sums_in_words(one), _spoken(one.ways)) for one in page.rows],
        "q": text,
        "prev_url": _url(row, text, page.previous),
        "next_url": _url(row, text, page.next),
        "may_fetch": request.membership.may(Role.MANAGER),
    }
    return render(request, "web/connections/products.html", context)


def _spoken(ways: list[str]) -> str:
    """The company's words for deliveries as words: "DigitalDelivery" as "Digital delivery"."""
    return ", ".join(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", way).capitalize() for way in ways)


def _url(row: Connection, text: str, after: str | None) -> str:
    if not after:
        return ""
    query = urlencode({name: value for name, value in (("q", text), ("after", after)) if value})
    return f"{reverse('web:connection_products', args=[row.public_id])}?{query}"


@require_POST
@member(role=Role.MANAGER)
def connection_products_fetch(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Fetch them now, and not only once a week."""
    row, provider = _own(request, public_id)
    back = reverse("web:connection_products", args=[row.public_id])
    try:
        catalogue.refresh(row)
    except Refused as error:
        return refused(request, error, back=back)
    words = _("The products are being fetched from %(provider)s. Reload the page in a moment.")
    messages.success(request, words % {"provider": provider.label})
    return redirect(back)


@require_GET
@member()
def connection_product_picture(request: MerchantRequest, public_id: str, digest: str) -> HttpResponse:
    """A picture as we wrote it; 404 for one that is not there (any more)."""
    row, _provider = _own(request, public_id)
    rows = CatalogueProduct.objects.for_tenant(row.tenant).filter(connection=row, digest=digest).exclude(digest="")
    found = rows.exclude(picture=None).first()
    if found is None or found.picture is None:
        raise Http404
    response = HttpResponse(bytes(found.picture), content_type=CONTENT_TYPES["product"])
    response["Cache-Control"] = _FOREVER
    response["X-Content-Type-Options"] = "nosniff"
    return response
