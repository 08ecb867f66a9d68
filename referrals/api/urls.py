"""The REST API, its documents, and the providers' webhooks."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import URLPattern, URLResolver, re_path
from django.views.decorators.csrf import csrf_exempt

from referrals.api.errors import error_answer
from referrals.api.inbound import urlpatterns as inbound
from referrals.api.v1.views import API as V1
from referrals.api.v2 import campaigns, events, participants, payouts, rewards
from referrals.api.v2.base import API as V2


@csrf_exempt
def unknown(request: HttpRequest, rest: str) -> HttpResponseBase:
    """JSON 404 for every other address below /api/, whatever the method."""
    return error_answer(Http404(), request.path)


# Each module adds its operations to version 2's table when it is read; this is their order in the reference.
RESOURCES = (campaigns, participants, events, rewards, payouts)
app_name = "api"
urlpatterns: list[URLPattern | URLResolver] = [
    *inbound,
    *V1.urls(),
    *V2.urls(),
    re_path(r"^api/(?P<rest>.*)\Z", unknown, name="unknown"),
]
