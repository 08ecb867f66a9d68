"""Who may open a merchant page, on whose behalf: the `member` decorator, look-ups inside the tenant, and refusals as answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from allauth.account.authentication import get_authentication_records
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from referrals.accounts import clocks
from referrals.accounts.models import Membership, Merchant, Role, User
from referrals.accounts.services import user_actor
from referrals.accounts.tenancy import Tenant, TenantQuerySet
from referrals.events.services import Actor
from referrals.lib.errors import Refused

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails

P = ParamSpec("P")
M = TypeVar("M", bound=Model)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SESSION_MERCHANT = "merchant_id"
SESSION_TEST = "is_test"


class UserRequest(HttpRequest):
    """A request of somebody who is logged in."""

    user: User
    htmx: HtmxDetails


class MerchantRequest(UserRequest):
    """A request of a member, as views under `@member()` get it."""

    merchant: Merchant
    membership: Membership
    memberships: Sequence[Membership]
    tenant: Tenant
    actor: Actor


UserView = Callable[Concatenate[Any, P], HttpResponseBase]
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def attach(request: HttpRequest) -> bool:
    """Put merchant, membership, tenant and actor on the request of a logged-in user; False when they belong to no business.

    The session's choice counts while the membership exists, else the first one; one query.
    """
    if hasattr(request, "tenant"):
        return True
    if not isinstance(request.user, User):
        return False
    memberships = list(Membership.objects.filter(user=request.user).select_related("merchant").order_by("pk"))
    if not memberships:
        return False
    wanted = request.session.get(SESSION_MERCHANT)
    membership = next((found for found in memberships if found.merchant_id == wanted), memberships[0])
    found: Any = request
    found.merchant = membership.merchant
    found.membership = membership
    found.memberships = memberships
    found.tenant = Tenant(membership.merchant, bool(request.session.get(SESSION_TEST)))
    clocks.enter(found.tenant)
    found.actor = user_actor(request.user)
    return True


def signed_in(view: UserView[P]) -> View[P]:
    """The view needs somebody who is logged in, of whatever business."""

    @wraps(view)
    def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _to_login(request)
        response = view(request, *args, **kwargs)
        add_never_cache_headers(response)
        return response

    checked.needs = (None, None)  # type: ignore[attr-defined]  # read by the test that crawls every page
    return checked


def member(*, role: Role = Role.VIEWER, change: Role | None = None) -> Callable[[UserView[P]], View[P]]:
    """The view needs a member of the merchant with at least `role`; for requests that change something, with at least `change`.

    `change` is the greater of `role` and Manager unless given, so that a viewer changes nothing by oversight. Nobody logged in: to the
    log-in page and back. No business yet: to the page that makes one. A role too low: 403. The merchant's time zone is active meanwhile.
    """
    floor = role if role.covers(Role.MANAGER) else Role.MANAGER
    for_change = change or floor

    def wrap(view: UserView[P]) -> View[P]:
        @wraps(view)
        def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _to_login(request)
            if not attach(request):
                return redirect("web:new_business")
            membership: Membership = request.membership  # type: ignore[attr-defined]  # set by attach()
            needed = role if request.method in SAFE_METHODS else for_change
            if not membership.may(needed):
                return _too_low(request, needed)
            with timezone.override(membership.merchant.zone):
                response = view(request, *args, **kwargs)
            add_never_cache_headers(response)
            return response

        checked.needs = (role, for_change)  # type: ignore[attr-defined]  # read by the test that crawls every page
        return checked

    return wrap


def _to_login(request: HttpRequest) -> HttpResponse:
    if request.headers.get("HX-Request"):
        response = HttpResponse(status=204)
        response["HX-Redirect"] = redirect_to_login("/app/").url
        return response
    back = request.get_full_path() if request.method in SAFE_METHODS else "/app/"
    return redirect_to_login(back)


def _too_low(request: HttpRequest, needed: Role) -> HttpResponse:
    return render(request, "web/role_too_low.html", {"needed": needed.label}, status=403)


def fresh_login(view: UserView[P]) -> UserView[P]:
    """Keys, roles and secrets need proof of identity from the last five minutes (RELIABILITY section 7, "Merchant login").

    Stands under `@member()`. allauth asks for the password or second factor, and then carries out the suspended request.
    """

    @wraps(view)
    def checked(request: Any, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        records = get_authentication_records(request, request.user)
        latest = max((float(found.get("at", 0)) for found in records), default=0.0)
        if time.time() - latest > settings.ACCOUNT_REAUTHENTICATION_TIMEOUT:
            raise ReauthenticationRequired
        return view(request, *args, **kwargs)

    return checked


def own(rows: TenantQuerySet[M], request: MerchantRequest, public_id: str) -> M:
    """The tenant's own row of that public id; Http404 for everything else, whether it exists for somebody else or not at all."""
    found = rows.for_tenant(request.tenant).filter(public_id=public_id).first()
    if found is None:
        raise Http404
    return found


def refused(
    request: UserRequest, error: Refused, *, back: str, part: str = "", context: dict[str, Any] | None = None
) -> HttpResponse:
    """A service's refusal as an answer: a message on the page `back`; for htmx a toast, together with `part` as things stand now.

    htmx swaps 422 only, so that is the status of its answer whatever the error's own one is. Unknown things are Http404.
    """
    if error.status == 404:
        raise Http404
    if getattr(request, "htmx", None):
        data = {**(context or {}), "part": part, "toast_text": error.message}
        response = render(request, "web/_refused.html", data, status=422)
        if not part:
            response["HX-Reswap"] = "none"
        return response
    messages.error(request, error.message)
    return HttpResponseRedirect(back, status=303)
