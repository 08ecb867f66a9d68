"""One table of operations per version: addresses, rights, fields, answers and the OpenAPI document all come from it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, path
from django.utils import timezone, translation
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from referrals.accounts import clocks
from referrals.accounts.models import ApiKey, Scope
from referrals.accounts.tenancy import Tenant
from referrals.api import auth, idempotency
from referrals.api.errors import error_answer
from referrals.api.fields import Field, read_query
from referrals.api.fields import read_body as read_fields
from referrals.api.idempotency import Answer, Stored
from referrals.api.parsers import read_body, read_file
from referrals.events.services import Actor

JSON = "application/json"
Method = Literal["GET", "POST", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked: who asks, for which tenant, and the values of query, body and address."""

    request: HttpRequest
    key: ApiKey
    tenant: Tenant
    actor: Actor
    query: dict[str, Any]
    body: dict[str, Any]
    params: dict[str, str]
    idempotency_key: str = ""
    # The body of an operation that takes a file.
    file: bytes = b""

    @property
    def is_public(self) -> bool:
        """Whether a publishable key asks: anybody, in a web page."""
        return self.key.kind == "publishable"


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What one method at one address does. `path` is as OpenAPI writes it; `answer` a JSON Schema; `errors` the documented codes."""

    method: Method
    path: str
    name: str
    title: str
    about: str
    tag: str
    scope: Scope
    handler: Handler
    answer: Mapping[str, Any]
    query: Mapping[str, Field] = field(default_factory=dict)
    body: Mapping[str, Field] = field(default_factory=dict)
    statuses: Mapping[int, str] = field(default_factory=lambda: {200: "What was asked for."})
    errors: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    publishable: bool = False
    key_required: bool = False
    test_only: bool = False
    # Looks at the call before its transaction begins: for questions to the network.
    before: Callable[[Call], None] | None = None
    # The media type of the answer, which is a text unless it is JSON.
    media: str = JSON
    # The body is a file instead of JSON: its media type, how many bytes are read of it, and a sample.
    takes: str = ""
    most_bytes: int = 0
    file_example: str = ""
    # It commits step by step by itself, and doing all of it again changes nothing.
    in_steps: bool = False

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.method != "GET"

    @property
    def body_required(self) -> bool:
        """Whether there has to be a body: a file, or a required field."""
        return bool(self.takes) or any(one.required for one in self.body.values())


class Api:
    """The operations of one version, in the order of its documentation."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.operations: list[Operation] = []

    def operation(self, method: Method, path: str, **options: Any) -> Callable[[Handler], Handler]:
        """Register the decorated function; `options` are Operation's, the text comes from its docstring."""

        def register(handler: Handler) -> Handler:
            title, _, about = (handler.__doc__ or "").strip().partition("\n")
            self.operations.append(
                Operation(
                    method=method,
                    path=path,
                    name=options.pop("name", "") or _camel(handler.__name__),
                    title=title.strip().rstrip("."),
                    about=" ".join(about.split()),
                    handler=handler,
                    **options,
                )
            )
            return handler

        return register

    def urls(self) -> list[URLPattern]:
        """One address per path, with a view that knows its methods."""
        grouped: dict[str, dict[str, Operation]] = {}
        for one in self.operations:
            grouped.setdefault(one.path, {})[one.method] = one
        return [
            path(
                f"api/{self.version}/{address.replace('{', '<str:').replace('}', '>')}",
                view_of(self.version, operations),
                name=f"{self.version}-{next(iter(operations.values())).name}",
            )
            for address, operations in grouped.items()
        ]


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class _AlwaysJson(BaseContentNegotiation):
    """Whatever the Accept header wishes, the answer is JSON."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return JSONRenderer(), "application/json"


class Endpoint(APIView):
    """One address. Checks the key, the limits and the fields, runs the operation once, and answers in JSON, errors included."""

    content_negotiation_class = _AlwaysJson
    schema = None
    version = ""
    operations: Mapping[str, Operation] = {}

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer in English whatever the browser prefers: programs read the messages."""
        with translation.override("en"):
            response = super().dispatch(request, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response

    def serve(self, request: Request, **params: str) -> HttpResponse:
        """Run the operation of the request's method."""
        http = request._request
        operation = self.operations["GET" if http.method == "HEAD" else str(http.method)]
        auth.refuse_tricks(http)
        key = auth.identify(http, self.version)
        tenant = Tenant(key.merchant, key.is_test)
        clocks.enter(tenant)
        auth.check_scope(key, operation.scope, publishable=operation.publishable)
        if operation.test_only:
            auth.need_test_key(key)
        allowance = auth.count_call(key, http, writes=operation.writes)
        query = read_query(operation.query, http.GET)
        once = idempotency.key_of(http, required=operation.key_required) if operation.writes else ""
        file = read_file(http, operation.takes, operation.most_bytes) if operation.takes else b""
        raw = {"sha256": hashlib.sha256(file).hexdigest()} if operation.takes else _raw_body(http, operation)
        call = Call(
            http,
            key,
            tenant,
            auth.actor_of(key),
            query,
            {} if operation.takes else read_fields(operation.body, raw),
            params,
            once,
            file,
        )
        # Days in sentences ("in review until") are the merchant's; moments are given in UTC with their offset.
        with timezone.override(tenant.merchant.zone):
            stored = _run(call, operation, raw)
        response = HttpResponse(stored.body, status=stored.status, content_type="application/json")
        for name, value in {**stored.headers, **auth.limit_headers(allowance)}.items():
            response[name] = value
        if stored.replayed:
            response["Idempotency-Replayed"] = "true"
        return response

    def handle_exception(self, exc: Exception) -> Any:
        """Every exception becomes the version's error form."""
        return error_answer(exc, self.request.path)


def _raw_body(http: HttpRequest, operation: Operation) -> dict[str, Any]:
    if not operation.writes:
        return {}
    empty = not http.META.get("CONTENT_LENGTH", "").strip("0") and "Transfer-Encoding" not in http.headers
    if not operation.body_required and empty:
        return {}
    return read_body(http)


def _run(call: Call, operation: Operation, raw: dict[str, Any]) -> Stored:
    if not operation.writes:
        answer = operation.handler(call)
        return Stored(answer.text(), answer.status, answer.headers)
    if operation.before:
        operation.before(call)
    if not call.idempotency_key:
        return idempotency.run(lambda: operation.handler(call), in_steps=operation.in_steps)
    return idempotency.run_once(
        call.tenant,
        call.idempotency_key,
        operation.method,
        call.request.path,
        raw,
        lambda: operation.handler(call),
        in_steps=operation.in_steps,
    )


def view_of(version: str, operations: Mapping[str, Operation]) -> Callable[..., HttpResponseBase]:
    """A view that has exactly these methods; any other is 405 before anything else is looked at."""
    names = [method.lower() for method in operations]
    methods: dict[str, Any] = dict.fromkeys(names, Endpoint.serve)
    methods["http_method_names"] = [*names, "head"] if "get" in names else names
    kind = type("Endpoint", (Endpoint,), {**methods, "version": version, "operations": dict(operations)})
    return cast(type[Endpoint], kind).as_view()
