"""How a service's refusal reaches the person: a message after a redirect, or a toast and the row as it is now."""

from __future__ import annotations

import pytest
from django.contrib.messages import get_messages
from django.contrib.messages.storage.cookie import CookieStorage
from django.http import Http404
from django.test import RequestFactory
from django_htmx.middleware import HtmxDetails

from referrals.lib.errors import Refused
from referrals.web.access import UserRequest, refused

WRONG_STATE = Refused("invalid_state", "This reward is <issued>.", status=409)


def _request(*, htmx: bool) -> UserRequest:
    request = UserRequest()
    request.META = RequestFactory().get("/").META | ({"HTTP_HX_REQUEST": "true"} if htmx else {})
    request.method = "POST"
    request.htmx = HtmxDetails(request)
    setattr(request, "_messages", CookieStorage(request))  # noqa: B010 -- what the messages middleware does
    return request


def test_a_plain_form_goes_back_with_a_message() -> None:
    request = _request(htmx=False)
    response = refused(request, WRONG_STATE, back="/app/rewards/")
    assert (response.status_code, response["Location"]) == (303, "/app/rewards/")
    assert [(message.level_tag, message.message) for message in get_messages(request)] == [
        ("error", "This reward is <issued>.")
    ]


def test_htmx_gets_a_toast_and_nothing_is_swapped() -> None:
    response = refused(_request(htmx=True), WRONG_STATE, back="/app/rewards/")
    body = response.content.decode()
    assert (response.status_code, response["HX-Reswap"]) == (422, "none")
    assert 'id="toasts" hx-swap-oob="beforeend"' in body
    assert "This reward is &lt;issued&gt;." in body


def test_htmx_gets_the_part_as_it_is_now() -> None:
    context = {"icon": "inbox", "title": "As it is now"}
    response = refused(_request(htmx=True), WRONG_STATE, back="/", part="components/_empty.html", context=context)
    assert response.status_code == 422
    assert "HX-Reswap" not in response
    assert "As it is now" in response.content.decode()


@pytest.mark.parametrize("htmx", [False, True])
def test_what_does_not_exist_is_a_404(htmx: bool) -> None:
    with pytest.raises(Http404):
        refused(_request(htmx=htmx), Refused("reward_not_found", "No such reward.", status=404), back="/")
