"""`POST /in/<connection>/`: where providers send their messages. The raw bytes go to integrations.inbox, which verifies them."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from integrations import installing
from integrations.base import Delivery
from integrations.inbox import MAX_BYTES, receive


@csrf_exempt
@require_POST
def inbound(request: HttpRequest, connection: str = "", app: str = "") -> JsonResponse:
    """Answer a provider, at a connection's address or at that of the installation's app: 200 once its message is stored, else an
    error in the form of API v1 that names no secret.

    No session and no CSRF token: the signature is the proof. 413 above 1 MiB, 415 for a compressed body.
    """
    try:
        length = int(request.headers.get("Content-Length") or 0)
    except ValueError:
        length = 0
    if length > MAX_BYTES:
        return _error(request, 413, "too_large", "A message may have 1 MiB.")
    if request.headers.get("Content-Encoding", "identity").lower() not in {"", "identity"}:
        return _error(request, 415, "content_encoding", "Send the message without compression.")
    delivery = Delivery(request.read(MAX_BYTES + 1), request.headers, request.GET.dict())
    receipt = installing.receive(app, delivery) if app else receive(connection, delivery)
    if receipt.status != 200:
        return _error(request, receipt.status, receipt.code, receipt.message)
    return JsonResponse({"received": True})


def _error(request: HttpRequest, status: int, code: str, message: str) -> JsonResponse:
    body = {"status": status, "error": code, "message": message, "path": request.path, "details": {}}
    return JsonResponse(body, status=status)


urlpatterns = [
    path("in/app/<slug:app>/", inbound, name="inbound_app"),
    path("in/<str:connection>/", inbound, name="inbound"),
]
