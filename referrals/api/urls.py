"""The REST API, its documents, and the providers' webhooks."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import URLPattern, URLResolver, path, re_path
from django.views.decorators.csrf import csrf_exempt

from referrals.api import guides, openapi, reference
from referrals.api.errors import error_answer
from referrals.api.inbound import urlpatterns as inbound
from referrals.api.v1.views import API as V1
from referrals.api.v2.exports import export_file
from referrals.api.v2.resources import API as V2


@csrf_exempt
def unknown(request: HttpRequest, rest: str) -> HttpResponseBase:
    """JSON 404 for every other address below /api/, whatever the method."""
    return error_answer(Http404(), request.path)


app_name = "api"
urlpatterns: list[URLPattern | URLResolver] = [
    *inbound,
    *V1.urls(),
    *V2.urls(),
    path("api/v2/exports/<str:public_id>/file", export_file, name="export-file"),
    path("api/openapi-v1.json", openapi.serve, {"version": "v1"}, name="openapi-v1"),
    path("api/openapi-v2.json", openapi.serve, {"version": "v2"}, name="openapi-v2"),
    path("docs/", reference.overview, name="docs"),
    path("docs/errors/", reference.errors, name="docs-errors"),
    path("docs/guides/", guides.index, name="docs-guides"),
    re_path(r"^docs/guides/(?P<name>[a-zA-Z0-9/-]+)/\Z", guides.show, name="docs-guide"),
    re_path(r"^docs/guides/(?P<name>[a-zA-Z0-9/-]+)\.md\Z", guides.markdown, name="docs-markdown"),
    path("docs/<str:name>/", reference.version, name="docs-version"),
    re_path(r"^api/(?P<rest>.*)\Z", unknown, name="unknown"),
]
