"""RELIABILITY section 6, as far as it touches the API: each row's input, the expected code, and that nothing changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from campaigns.models import Campaign
from participants.models import Participant, QualifyingEvent
from referrals.accounts.models import ApiKey
from referrals.lib import problems
from rewards.models import Reward
from tests.api.conftest import Caller, Reply, Shop

V1, V2 = "/api/v1/addParticipant", "/api/v2/participants"


def code(reply: Reply) -> str:
    """The error's code in either form."""
    return str(reply.data.get("error") or reply.data.get("code"))


RAW = [
    ("1 empty", b"", 400, "invalid_body"),
    ("1 null", b"null", 400, "invalid_body"),
    ("1 list", b"[]", 400, "invalid_body"),
    ("1 text", b'"x"', 400, "invalid_body"),
    ("2 not JSON", b"{'a': 1}", 400, "invalid_json"),
    ("2 cut off", b'{"id": "x', 400, "invalid_json"),
    ("2 byte order mark", b"\xef\xbb\xbf{}", 400, "invalid_json"),
    ("2 UTF-16", '{"id": "x"}'.encode("utf-16"), 400, "invalid_json"),
    ("2 UTF-16 without mark", '{"id": "x"}'.encode("utf-16-le"), 400, "invalid_json"),
    ("2 lone surrogate", rb'{"id": "\ud800"}', 400, "invalid_json"),
    ("2 surrogate in a name", rb'{"\udfff": 1}', 400, "invalid_json"),
    ("2 encoded surrogate", b'{"id": "\xed\xa0\x80"}', 400, "invalid_json"),
    ("2 NaN", b'{"id": NaN}', 400, "invalid_json"),
    ("2 Infinity", b'{"id": -Infinity}', 400, "invalid_json"),
    ("3 100,000 brackets", b"[" * 100_000, 400, "json_too_deep"),
    ("3 33 levels", b'{"a":' * 33 + b"1" + b"}" * 33, 400, "json_too_deep"),
    ("3 brackets in a text", b'{"id": "' + b"[" * 50 + b'"}', 422, "blank"),
    ("4 twice", b'{"id": 1, "id": 2}', 400, "duplicate_key"),
    ("4 twice, deeper", b'{"id": {"a": 1, "a": 2}}', 400, "duplicate_key"),
    ("4 surrogates twice", rb'{"\ud800": 1, "\ud800": 2}', 400, "duplicate_key"),
    ("5 too large", b'{"id": "' + b"a" * 262_144 + b'"}', 413, "body_too_large"),
    ("14 NUL in a text", rb'{"id": "a\u0000b"}', 400, "nul_byte"),
    ("14 NUL in a name", rb'{"\u0000": 1}', 400, "nul_byte"),
    ("14 NUL as it is", b'{"id": "a\x00b"}', 400, "invalid_json"),
    ("15 huge number", b'{"id": ' + b"9" * 5000 + b"}", 400, "invalid_type"),
    ("16 unknown field", b'{"id": "x", "admin": true}', 400, "unknown_field"),
]


@pytest.mark.parametrize("path", [V1, V2], ids=["v1", "v2"])
@pytest.mark.parametrize(("raw", "status", "expected"), [row[1:] for row in RAW], ids=[row[0] for row in RAW])
def test_bodies(shop: Shop, path: str, raw: bytes, status: int, expected: str) -> None:
    if path == V2:
        raw = raw.replace(b'"id"', b'"campaign"')
    if expected == "blank":
        status, expected = 400, "missing_field"
    reply = shop.api.send("POST", path, raw=raw)
    assert (reply.status, code(reply)) == (status, expected)
    assert Participant.objects.count() == 0


def test_a_text_of_brackets_is_only_a_text(shop: Shop) -> None:
    raw = json.dumps({"campaign": "[" * 50, "email": "a@example.com"}).encode()
    reply = shop.api.send("POST", V2, raw=raw)
    assert (reply.status, code(reply)) == (404, "campaign_not_found")


HEADERS = [
    ("5 in pieces", {"Transfer_Encoding": "chunked", "Content_Length": ""}, 411, "length_required"),
    ("6 gzip", {"Content_Encoding": "gzip"}, 415, "unsupported_encoding"),
    ("7 form", {"Content_Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    ("7 text", {"Content_Type": "text/plain"}, 415, "unsupported_media_type"),
    ("7 multipart", {"Content_Type": "multipart/form-data; boundary=x"}, 415, "unsupported_media_type"),
    ("7 other charset", {"Content_Type": "application/json; charset=latin-1"}, 415, "unsupported_media_type"),
    ("36 override", {"X_HTTP_Method_Override": "DELETE"}, 405, "method_not_allowed"),
]


@pytest.mark.parametrize("path", [V1, V2], ids=["v1", "v2"])
@pytest.mark.parametrize(
    ("headers", "status", "expected"), [row[1:] for row in HEADERS], ids=[row[0] for row in HEADERS]
)
def test_headers(shop: Shop, path: str, headers: dict[str, str], status: int, expected: str) -> None:
    reply = shop.api.send("POST", path, raw=b"{}", **headers)
    assert (reply.status, code(reply)) == (status, expected)


AMOUNTS_1 = [
    ("8 zero", b"0", "amount_not_positive"),
    ("8 zero text", b'"0.00"', "amount_not_positive"),
    ("8 negative", b"-5", "amount_not_positive"),
    ("8 negative text", b'"-5"', "amount_not_positive"),
    ("8 negative zero", b"-0.00", "amount_not_positive"),
    ("9 NaN text", b'"NaN"', "amount_format"),
    ("9 Infinity text", b'"Infinity"', "amount_format"),
    ("9 1e400", b"1e400", "amount_format"),
    ("9 1e3", b"1e3", "amount_format"),
    ("9 underscore", b'"1_000"', "amount_format"),
    ("9 spaces", b'" 5 "', "amount_format"),
    ("9 Arabic digits", '"١٢"'.encode(), "amount_format"),
    ("9 full-width digits", '"１２"'.encode(), "amount_format"),
    ("9 hexadecimal", b'"0x10"', "amount_format"),
    ("9 true", b"true", "amount_format"),
    ("9 list", b"[5]", "amount_format"),
    ("9 comma", b'"12,50"', "amount_format"),
    ("9 plus", b'"+5"', "amount_format"),
    ("9 empty", b'""', "amount_format"),
    ("9 5,000 digits", b"9" * 5000, "amount_format"),
    ("9 5,000 digits as text", b'"' + b"9" * 5000 + b'"', "amount_format"),
    ("9 line feed", b'"5\\n"', "amount_format"),
    ("10 three decimals", b"10.001", "amount_precision"),
    ("10 three decimals as text", b'"10.001"', "amount_precision"),
]


@pytest.mark.parametrize(("amount", "expected"), [row[1:] for row in AMOUNTS_1], ids=[row[0] for row in AMOUNTS_1])
def test_amounts_of_version_1(
    shop: Shop, campaign: Campaign, friend: Participant, amount: bytes, expected: str
) -> None:
    start = json.dumps({"id": campaign.public_id, "email": friend.email})[:-1].encode()
    reply = shop.api.send("POST", "/api/v1/qualifyParticipant", raw=start + b', "amountPaid": ' + amount + b"}")
    assert (reply.status, code(reply), reply.data["details"]["field"]) == (422, expected, "amountPaid")
    assert QualifyingEvent.objects.filter(type="purchase").count() == 0


def test_yen_have_no_decimals(shop: Shop) -> None:
    campaign = shop.campaign(currency="JPY")
    maya = shop.participant(campaign, "maya@example.com")
    shop.participant(campaign, "noor@example.com", maya)
    body = {"id": campaign.public_id, "email": "noor@example.com", "amountPaid": 10.5}
    reply = shop.api.post("/api/v1/qualifyParticipant", body)
    assert (reply.status, code(reply)) == (422, "amount_precision")
    assert shop.api.post("/api/v1/qualifyParticipant", {**body, "amountPaid": 8000}).status == 200
    assert QualifyingEvent.objects.get(type="purchase").amount_minor == 8000


AMOUNTS_2 = [
    ("8 zero", b"0", 422, "amount_not_positive"),
    ("8 negative", b"-1", 422, "amount_not_positive"),
    ("8 negative zero", b"-0.00", 422, "amount_not_positive"),
    ("9 fraction", b"12.5", 422, "amount_format"),
    ("9 float", b"12.0", 422, "amount_format"),
    ("9 exponent", b"1e3", 422, "amount_format"),
    ("9 huge", b"9" * 5000, 422, "amount_format"),
    ("9 a quadrillion", b"1000000000000000", 422, "amount_format"),
    ("9 text", b'"1250"', 422, "amount_format"),
    ("9 true", b"true", 422, "amount_format"),
    ("9 null", b"null", 422, "amount_format"),
]


@pytest.mark.parametrize(
    ("amount", "status", "expected"), [row[1:] for row in AMOUNTS_2], ids=[row[0] for row in AMOUNTS_2]
)
def test_amounts_of_version_2(
    shop: Shop, campaign: Campaign, friend: Participant, amount: bytes, status: int, expected: str
) -> None:
    start = json.dumps({"campaign": campaign.public_id, "email": friend.email})[:-1].encode()
    raw = start + b', "amount": {"currency": "USD", "amount_minor": ' + amount + b"}}"
    reply = shop.api.send("POST", "/api/v2/events", raw=raw)
    assert (reply.status, code(reply), reply.data["field"]) == (status, expected, "amount.amount_minor")
    assert QualifyingEvent.objects.filter(type="purchase").count() == 0


@pytest.mark.parametrize("currency", ["usd", "US", "XXX", "EUR", "ＵＳＤ", "USD "])
def test_currencies(shop: Shop, campaign: Campaign, friend: Participant, currency: str) -> None:
    body = {"campaign": campaign.public_id, "email": friend.email, "amount": {"amount_minor": 1, "currency": currency}}
    reply = shop.api.post("/api/v2/events", body)
    assert (reply.status, code(reply)) == (422, "currency")
    v1 = {"id": campaign.public_id, "email": friend.email, "amountPaid": 1, "currency": currency}
    reply = shop.api.post("/api/v1/qualifyParticipant", v1)
    assert (reply.status, code(reply)) == (422, "currency")
    assert QualifyingEvent.objects.filter(type="purchase").count() == 0


EMAILS = [
    ("no TLD", "maya@example"),
    ("two at", "maya@@example.com"),
    ("line feed", "maya@example.com\nBcc: x@example.com"),
    ("carriage return", "maya\r@example.com"),
    ("too long", "m" * 250 + "@example.com"),
    ("override", "maya\u202e@example.com"),
    ("quoted", '"maya k"@example.com'),
    ("address literal", "maya@[127.0.0.1]"),
    ("empty", ""),
    ("spaces", "   "),
]


@pytest.mark.parametrize("email", [row[1] for row in EMAILS], ids=[row[0] for row in EMAILS])
def test_emails(shop: Shop, campaign: Campaign, email: str) -> None:
    for path, body in ((V1, {"id": campaign.public_id}), (V2, {"campaign": campaign.public_id})):
        reply = shop.api.post(path, {**body, "email": email})
        assert (reply.status, code(reply)) == (422, "email_invalid")
    assert Participant.objects.count() == 0


def test_a_name_in_another_script_is_accepted(shop: Shop, campaign: Campaign) -> None:
    reply = shop.api.post(V2, {"campaign": campaign.public_id, "email": "maya@bücher.example", "first_name": "مايا"})
    assert (reply.status, reply.data["first_name"]) == (201, "مايا")
    assert Participant.objects.get().email_key == "maya@xn--bcher-kva.example"


TEXTS = [
    ("too long", "x" * 81, "too_long"),
    ("combining marks", "e" + "\u0301" * 10_000, "too_long"),
    ("control characters", "a\x07b", "invalid_characters"),
    ("line feed", "a\nb", "invalid_characters"),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in TEXTS], ids=[row[0] for row in TEXTS])
def test_texts(shop: Shop, campaign: Campaign, text: str, expected: str) -> None:
    body = {"campaign": campaign.public_id, "email": "a@example.com", "first_name": text}
    reply = shop.api.post(V2, body)
    assert (reply.status, code(reply), reply.data["field"]) == (422, expected, "first_name")
    assert Participant.objects.count() == 0


@pytest.mark.parametrize("name", ["", "   ", "\u200b\u200d", "\u2060"], ids=["empty", "spaces", "zero width", "joiner"])
def test_a_name_must_be_visible(shop: Shop, name: str) -> None:
    reply = shop.api.post("/api/v2/campaigns", {"name": name})
    assert (reply.status, code(reply)) == (422, "blank")
    assert Campaign.objects.count() == 0


@pytest.mark.parametrize("name", ["merchant", "merchant_id", "is_test", "id", "referral_code", "banned", "campaign_id"])
def test_nothing_is_assigned_that_is_not_a_field(shop: Shop, campaign: Campaign, name: str) -> None:
    reply = shop.api.post(V2, {"campaign": campaign.public_id, "email": "a@example.com", name: "x"})
    assert (reply.status, code(reply), reply.data["field"]) == (400, "unknown_field", name)
    assert Participant.objects.count() == 0


PAGES = [
    "v1/getAllParticipants?id={id}&page=-1",
    "v1/getAllParticipants?id={id}&page=1000000000000000000000000000000",
    "v1/getAllParticipants?id={id}&size=1000000000",
    "v1/getAllParticipants?id={id}&size=0",
    "v1/getAllParticipants?id={id}&size=201",
    "v1/getAllParticipants?id={id}&page=%D9%A1",
    "v1/getAllParticipants?id={id}&page=1.0",
    "v2/participants?limit=0",
    "v2/participants?limit=101",
    "v2/participants?limit=-5",
    "v2/participants?cursor=broken",
    "v2/participants?cursor=WyJuIiwgMSwgMV0",
    "v2/rewards?cursor=WyJuIiwgImEiLCAxXQ",
    "v2/rewards?sort=amount&cursor=WyJuIiwgImEiLCAxXQ",
    "v2/rewards?sort=amount&cursor=WyJuIiwgeyJ0IjogIjIwMjYtMTEtMjBUMDA6MDA6MDArMDA6MDAifSwgMV0",
    "v2/campaigns?cursor=%FF%FE",
    "v2/campaigns?cursor=WyJuIiwgMWU5OTksIDFd",
    "v2/campaigns?cursor=W10",
]


@pytest.mark.parametrize("path", PAGES)
def test_pages(shop: Shop, campaign: Campaign, path: str) -> None:
    reply = shop.api.get(f"/api/{path}".replace("{id}", campaign.public_id))
    assert (reply.status, code(reply)) == (400, "pagination")


FILTERS = [
    "v1/getAllParticipants?id={id}&sort=password,asc",
    "v1/getAllParticipants?id={id}&sort=merchant__name,asc",
    "v1/getAllParticipants?id={id}&sort=createdOn,sideways",
    "v1/getAllParticipants?id={id}&sort=-createdOn",
    "v1/getAllParticipants?id={id}&merchant__name=x",
    "v1/getCampaign?id={id}&_connector=OR",
    "v2/participants?campaign__merchant=1",
    "v2/participants?_connector=OR",
    "v2/participants?--=1",
    "v2/rewards?amount_minor__gt=1",
    "v2/campaigns?order_by=name",
]


@pytest.mark.parametrize("path", FILTERS)
def test_filters(shop: Shop, campaign: Campaign, path: str) -> None:
    reply = shop.api.get(f"/api/{path}".replace("{id}", campaign.public_id))
    assert (reply.status, code(reply)) == (400, "unknown_filter")


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-20T10:00:00",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:60Z",
        "tomorrow",
        "2026-13-01T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
    ],
)
def test_dates(shop: Shop, campaign: Campaign, value: str) -> None:
    reply = shop.api.patch(f"/api/v2/campaigns/{campaign.public_id}", {"ends_at": value})
    assert (reply.status, code(reply), reply.data["field"]) == (422, "date", "ends_at")
    campaign.refresh_from_db()
    assert campaign.ends_at is None


def test_the_end_is_after_the_start(shop: Shop, campaign: Campaign) -> None:
    body = {"starts_at": "2027-01-02T00:00:00Z", "ends_at": "2027-01-01T00:00:00Z"}
    reply = shop.api.patch(f"/api/v2/campaigns/{campaign.public_id}", body)
    assert (reply.status, code(reply)) == (422, "ends_before_start")


@pytest.mark.parametrize("path", ["v1/getCampaign?id=a%00b", "v2/campaigns/a%00b", "v2/participants?q=%00"])
def test_nul_in_the_address(shop: Shop, path: str) -> None:
    reply = shop.api.get(f"/api/{path}")
    assert (reply.status, code(reply)) == (400, "nul_byte")
    form = problems.PROBLEM if "v2" in path else "application/json"
    assert reply.headers["Content-Type"] == form


@pytest.mark.parametrize("method", ["HEAD", "TRACE", "PUT", "GET", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", ["/api/v1/addParticipant", "/api/v2/events/x/refunds"])
def test_other_methods(shop: Shop, method: str, path: str) -> None:
    if path.endswith("refunds") and method in {"GET", "HEAD"}:
        assert shop.api.send(method, path).status == 404
        return
    reply = shop.api.send(method, path)
    assert reply.status == 405
    assert "POST" in reply.headers["Allow"]
    if method != "HEAD":
        assert code(reply) == "method_not_allowed"


def test_keys_that_are_not_valid(shop: Shop, campaign: Campaign) -> None:
    path1, path2 = f"/api/v1/getCampaign?id={campaign.public_id}", f"/api/v2/campaigns/{campaign.public_id}"
    for text in ("", "sk_live_" + "x" * 43, shop.secret[:-1], shop.secret + "x", "ключ", shop.secret.upper()):
        for path in (path1, path2):
            reply = Caller("").get(path, x_api_key=text, Authorization=f"Bearer {text}")
            assert (reply.status, code(reply)) == (401, "unauthorized")
    assert Caller("").get(path2, Authorization=f"Basic {shop.secret}").status == 401


def test_revoked_and_expired_keys(shop: Shop, campaign: Campaign) -> None:
    for column in ("revoked_at", "expires_at"):
        caller = shop.key("read")
        latest = ApiKey.objects.latest("pk")
        ApiKey.objects.filter(pk=latest.pk).update(**{column: "2026-01-01T00:00:00Z"})
        assert caller.get(f"/api/v2/campaigns/{campaign.public_id}").status == 401


def test_a_key_in_the_address_is_refused(shop: Shop, campaign: Campaign) -> None:
    for query in (f"api_key={shop.secret}", f"x={shop.secret}", "x-api-key=1", "access_token=1"):
        reply = shop.api.get(f"/api/v1/getCampaign?id={campaign.public_id}&{query}")
        assert (reply.status, code(reply)) == (400, "key_in_url")
        assert shop.secret not in json.dumps(reply.data)


def test_a_secret_key_in_a_browser_is_refused(shop: Shop, campaign: Campaign) -> None:
    path = f"/api/v1/getCampaign?id={campaign.public_id}"
    reply = shop.api.get(path, Origin="https://shop.example.com")
    assert (reply.status, code(reply)) == (403, "secret_key_in_browser")
    assert shop.page.get(path, Origin="https://shop.example.com").status == 200


def test_a_publishable_key_may_do_three_things(shop: Shop, campaign: Campaign, maya: Participant) -> None:
    shown = shop.page.get(f"/api/v1/getCampaign?id={campaign.public_id}")
    assert (shown.status, "totalParticipants" in shown.data) == (200, False)
    check = f"/api/v1/validateCode?id={campaign.public_id}&code={maya.referral_code}"
    assert shop.page.get(check).data["valid"] is True
    body = {"id": campaign.public_id, "email": maya.email, "referredByCode": ""}
    joined = shop.page.post(V1, body)
    assert (joined.status, list(joined.data)) == (200, ["email", "referralCode", "campaignId", "shareLink"])
    by_email = shop.page.post(V1, {**body, "referredByEmail": "someone@example.com"})
    assert (by_email.status, code(by_email)) == (403, "secret_key_required")
    for path in (f"/api/v1/getParticipant?id={campaign.public_id}&email={maya.email}", "/api/v2/campaigns"):
        refused = shop.page.get(path)
        assert (refused.status, code(refused)) == (403, "secret_key_required")
    assert shop.page.post("/api/v1/qualifyParticipant", body).status == 403


def test_scopes(shop: Shop, campaign: Campaign, friend: Participant) -> None:
    reader = shop.key("read")
    assert reader.get(f"/api/v2/campaigns/{campaign.public_id}").status == 200
    calls: list[tuple[str, dict[str, Any], str]] = [
        ("/api/v2/campaigns", {"name": "X"}, "campaigns"),
        ("/api/v2/participants", {"campaign": campaign.public_id, "email": "x@example.com"}, "participants"),
        ("/api/v2/events", {"campaign": campaign.public_id, "email": friend.email}, "events"),
        ("/api/v2/payouts", {"rewards": ["x"], "method": "manual"}, "payouts"),
        ("/api/v2/rewards/x/approve", {}, "rewards"),
    ]
    before = (Campaign.objects.count(), Participant.objects.count(), QualifyingEvent.objects.count())
    for path, body, scope in calls:
        reply = reader.post(path, body, Idempotency_Key="k")
        assert (reply.status, code(reply), reply.data["scope"]) == (403, "missing_scope", scope)
    assert (Campaign.objects.count(), Participant.objects.count(), QualifyingEvent.objects.count()) == before
    assert Reward.objects.filter(state="issued").count() == 0


def test_too_many_requests(shop: Shop, campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.conf.settings.API_REQUESTS_PER_MINUTE", 2)
    path = f"/api/v2/campaigns/{campaign.public_id}"
    first, second, third = (shop.api.get(path) for _ in range(3))
    assert [first.headers["RateLimit-Remaining"], second.headers["RateLimit-Remaining"]] == ["1", "0"]
    assert (third.status, code(third)) == (429, "rate_limited")
    assert 0 < int(third.headers["Retry-After"]) <= 60


def test_a_publishable_key_is_limited_by_the_visitor(shop: Shop, campaign: Campaign) -> None:
    bodies = [{"id": campaign.public_id, "email": f"p{number}@example.com"} for number in range(11)]
    statuses = [shop.page.post(V1, body).status for body in bodies]
    assert statuses == [200] * 10 + [429]
    assert Participant.objects.count() == 10
    assert shop.api.post(V1, bodies[-1]).status == 200


def test_an_unforeseen_error_is_json_and_logged(
    shop: Shop, campaign: Campaign, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("rewards.services.join", broken)
    for path, body in ((V1, {"id": campaign.public_id}), (V2, {"campaign": campaign.public_id})):
        reply = shop.api.post(path, {**body, "email": "a@example.com"})
        assert (reply.status, code(reply)) == (500, "internal")
        assert "secret detail" not in json.dumps(reply.data)
    assert "secret detail" in caplog.text


@pytest.mark.parametrize(
    "path", ["/api/", "/api/v1/", "/api/v1/getcampaign", "/api/v3/x", "/api/v2/campaigns/", "/api/../x"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_unknown_addresses_are_json(shop: Shop, method: str, path: str) -> None:
    if path == "/api/../x":
        path = "/api/%2e%2e/x"
    reply = shop.api.send(method, path)
    assert (reply.status, code(reply)) == (404, "not_found")
