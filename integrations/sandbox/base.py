"""The frame of a stand-in: a company's HTTP API with a memory, in pure Python (PROVIDERS.md, section 9; ADR 15).

A company is a class with routes. Its handlers get a Call and give a Reply; a handler that moves money says so:

    def create(self, call: Call) -> Reply:
        money, key = Money(...), call.json["external_id"]
        script = call.begin(money, key)            # may end the call here: lost, busy, down, denied
        if script.reason: return self._no(script.reason)
        call.pay(order_id, to=email, money=script.paid(money), reference=key)
        call.state.add("order", order_id, {...})
        call.tell("ORDERS.CREATED", {...})         # its webhook, now, late, twice, early or never
        return Reply(200, {...})

Everything that a handler does is kept together, and before the answer leaves. A handler refuses before it writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from integrations.base import Secrets
from integrations.sandbox import scripts
from integrations.sandbox.scripts import Script
from integrations.sandbox.state import Data, State
from referrals.lib import clock
from referrals.lib.codes import public_id
from referrals.lib.http import Answer, HttpError
from referrals.lib.money import Money

LATE = timedelta(hours=3)
# A key with this word in it was revoked, whatever else it is.
REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Request:
    """What came over HTTP; header names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: `content` is sent as JSON, or as it is when it is bytes; None for an empty body."""

    status: int
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The bytes that are sent."""
        if self.content is None:
            return b""
        return self.content if isinstance(self.content, bytes) else json.dumps(self.content).encode()


class Refusal(Exception):
    """The call ends with this reply; what was written so far stays."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply.status))
        self.reply = reply


class Lost(Exception):
    """The call ends without an answer; what was written so far stays."""


@dataclass
class Call:
    """One request at one account, and what its handler may do."""

    company: Company
    request: Request
    state: State
    secrets: Secrets
    now: datetime
    params: dict[str, str] = field(default_factory=dict)
    script: Script = scripts.PLAIN
    minor: int = 0
    choose: Callable[[int], Script] = scripts.of
    # Kinds and names of messages that leave before the answer, and whether any waits.
    early: list[str] = field(default_factory=list)
    told: bool = False

    @cached_property
    def json(self) -> dict[str, Any]:
        """The body as a JSON object; the company's own refusal for anything else."""
        try:
            found = json.loads(self.request.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Refusal(self.company.malformed("The body is not a JSON object."))
        return found

    @cached_property
    def form(self) -> dict[str, str]:
        """The body as a form, names as they are sent (`metadata[reward]`)."""
        return dict(parse_qsl(self.request.body.decode("utf-8", "replace"), keep_blank_values=True))

    def begin(self, money: Money, reference: str) -> Script:
        """The amount's script. Ends the call where it says so: at the first try for this reference, or at every one."""
        self.minor = money.minor
        self.script = script = self.choose(money.minor)
        if script.before and (script.always or self.state.add("_tried", f"{script.name}:{reference}"[:255], {})):
            if script.before == "lost":
                raise Lost
            refusals = {"busy": self.company.busy, "down": self.company.down, "denied": self.company.denied}
            raise Refusal(refusals[script.before]())
        return script

    def pay(self, name: str, *, to: str, money: Money, reference: str) -> None:
        """Money or its worth leaves to somebody, once for each name; KeyError when it did before. See money_of()."""
        amount = {"amount_minor": money.minor, "currency": money.currency}
        data = {"to": to, **amount, "reference": reference, "at": self.now.isoformat(), "back_at": ""}
        if not self.state.add("_money", name, data):
            raise KeyError(name)

    def take_back(self, name: str) -> None:
        """What was paid under this name came back, all of it; nothing when nothing was paid."""
        data = self.state.get("_money", name)
        if data is not None and not data["back_at"]:
            self.state.put("_money", name, {**data, "back_at": self.now.isoformat()})

    def tell(self, event: str, payload: Any, **kept: str) -> None:
        """Send the merchant a webhook, when the amount's script says. It is signed when it leaves (Company.sign, which sees `kept`)."""
        if self.script.webhook == "never":
            return
        data = {"event": event, "payload": payload, "id": public_id("msg"), "tries": 0, **kept}
        due = self.now + LATE if self.script.webhook == "late" else self.now
        for number in range(2 if self.script.webhook == "twice" else 1):
            name = f"{data['id']}/{number}"
            self.state.add("_message", name, data, due)
            if self.script.webhook == "early":
                self.early.append(name)
        self.told = True

    def plan(self, kind: str, name: str, data: Data, steps: list[tuple[timedelta, str]]) -> bool:
        """Keep an object that goes on by itself: after each delay (from now) Company.step() is called with the word."""
        moments = [[(self.now + delay).isoformat(), word] for delay, word in steps]
        due = datetime.fromisoformat(moments[0][0]) if moments else None
        return self.state.add(kind, name, {**data, "_steps": moments, "_minor": self.minor}, due)

    def advance(self, kind: str, name: str) -> Data | None:
        """The object after all steps whose time has come; None when there is no such object."""
        while True:
            data = self.state.get(kind, name)
            if data is None or not data.get("_steps"):
                return data
            moment, word = data["_steps"][0]
            if datetime.fromisoformat(moment) > self.now:
                return data
            data["_steps"] = data["_steps"][1:]
            kept = self.now, self.script
            self.now, self.script = datetime.fromisoformat(moment), scripts.of(data["_minor"])
            self.company.step(self, kind, name, data, word)
            self.now, self.script = kept
            due = datetime.fromisoformat(data["_steps"][0][0]) if data["_steps"] else None
            self.state.put(kind, name, data, due)

    def fated(self, reply: Reply) -> Reply:
        """The reply as the amount's script lets it leave; for models that keep an answer (keys.replay)."""
        return self.company.down() if self.script.after == "error" and reply.status < 300 else reply


Handler = Callable[[Call], Reply]


class Route:
    """A method and a path such as /v1/orders/{id}; the names in braces are the call's `params`."""

    def __init__(self, method: str, path: str, handler: Handler) -> None:
        self.method, self.path, self.handler = method, path, handler
        self._pattern = re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)) + "/?")

    def match(self, path: str) -> dict[str, str] | None:
        """What stands in the braces; None when it is another path."""
        found = self._pattern.fullmatch(path)
        return {name: unquote(value) for name, value in found.groupdict().items()} if found else None


class Company:
    """A company's API. Subclasses give `slug` and routes(), and say refusals, signatures and steps in the company's words."""

    slug = ""

    def routes(self) -> tuple[Route, ...]:
        """Method, path and handler of each operation."""
        raise NotImplementedError

    def key(self, request: Request) -> str:
        """The key that came with a request; "" without one. Bearer, unless the company has another way."""
        return request.headers.get("authorization", "").partition(" ")[2]

    def sign(self, body: bytes, message: Data, secrets: Secrets) -> dict[str, str]:
        """The headers of a webhook, signed at the time it leaves with the connection's own secret."""
        raise NotImplementedError

    def step(self, call: Call, kind: str, name: str, data: Data, word: str) -> None:
        """An object of plan() goes on: change `data`, pay, take back, tell."""
        raise NotImplementedError

    def denied(self) -> Reply:
        """The key is missing or revoked."""
        return Reply(401, {"error": {"message": "Unauthorized"}})

    def busy(self) -> Reply:
        """Too many requests."""
        return Reply(429, {"error": {"message": "Too many requests"}}, {"Retry-After": "30"})

    def down(self) -> Reply:
        """The company has a fault."""
        return Reply(503, {"error": {"message": "Service unavailable"}})

    def missing(self) -> Reply:
        """No such path or object."""
        return Reply(404, {"error": {"message": "Not found"}})

    def malformed(self, message: str) -> Reply:
        """A request that can't be read, or lacks something."""
        return Reply(400, {"error": {"message": message}})

    def answer(self, call: Call) -> Reply:
        """Check the key, find the route, run its handler."""
        key = self.key(call.request)
        if not key or REVOKED in key:
            return self.denied()
        for route in self.routes():
            params = route.match(call.request.path) if route.method == call.request.method else None
            if params is not None:
                call.params = params
                return route.handler(call)
        return self.missing()


# Takes a webhook's body and headers to the merchant; gives the HTTP status of the merchant's answer.
Deliver = Callable[[bytes, Mapping[str, str]], int]


class StandIn:
    """A company's door for one account. `send` has the shape of referrals.lib.http.request, so that a client can't tell them apart."""

    def __init__(
        self,
        company: Company,
        state: State,
        secrets: Secrets,
        deliver: Deliver | None = None,
        choose: Callable[[int], Script] = scripts.of,
    ) -> None:
        """`choose` gives the script of an amount in minor units; a test of chaos gives its own, by chance and not by amount."""
        self.company, self.state, self.secrets, self.deliver = company, state, secrets, deliver
        self.choose = choose

    def send(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: Any = None) -> Answer:
        """One request, to whatever host; raises HttpError where the answer is lost."""
        content = body.encode() if isinstance(body, str) else body or b""
        parts = urlsplit(url)
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        request = Request(method, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), lower, content)
        call = Call(self.company, request, self.state, self.secrets, clock.now(), choose=self.choose)
        lost = False
        with self.state.work():
            try:
                reply = call.fated(self.company.answer(call))
            except Refusal as refusal:
                reply = refusal.reply
            except Lost:
                reply, lost = Reply(504), True
        for name in call.early:
            self.hand_over(name)
        self.after(call)
        if lost or (call.script.after == "lost" and reply.status < 300):
            raise HttpError("No answer: ReadTimeout.", retry=True, sent=True)
        if call.script.after == "garbage" and reply.status < 300:
            reply = Reply(200, b"<!doctype html><title>Welcome</title>", {"Content-Type": "text/html"})
        kind = {"content-type": "application/json"}
        return Answer(reply.status, kind | {k.lower(): v for k, v in reply.headers.items()}, reply.body)

    def after(self, call: Call) -> None:
        """Called when a call's work is kept; sending.py asks a worker to deliver its webhooks."""

    def advance(self) -> int:
        """Let everything go on whose time has come, and deliver the webhooks that wait. Returns how many things moved."""
        waiting = self.state.due(clock.now())
        for kind, name in waiting:
            if kind != "_message":
                with self.state.work():
                    call = Call(self.company, Request("", "", {}, {}, b""), self.state, self.secrets, clock.now())
                    call.advance(kind, name)
        messages = [name for kind, name in self.state.due(clock.now()) if kind == "_message"]
        return sum(kind != "_message" for kind, _name in waiting) + sum(self.hand_over(name) for name in messages)

    def hand_over(self, name: str) -> bool:
        """Deliver one webhook; one that is not taken comes again after five minutes, five times. True when it was taken."""
        with self.state.work():
            message = self.state.get("_message", name)
            if message is None or self.deliver is None or message.get("taken") or message["tries"] >= 5:
                return False
            message["tries"] += 1
            self.state.put("_message", name, message, clock.now() + timedelta(minutes=5))
        body = json.dumps(message["payload"], separators=(",", ":")).encode()
        taken = 200 <= self.deliver(body, self.company.sign(body, message, self.secrets)) < 300
        with self.state.work():
            again = not taken and message["tries"] < 5
            due = clock.now() + timedelta(minutes=5) if again else None
            self.state.put("_message", name, {**message, "taken": taken}, due)
        return taken


@dataclass(frozen=True, slots=True)
class Paid:
    """Money that a stand-in really sent: what a judge counts (RELIABILITY, INV-05)."""

    name: str
    to: str
    money: Money
    reference: str
    is_back: bool


def money_of(state: State) -> list[Paid]:
    """All money that left this account, in order."""
    return [paid_of(name, row) for name, row in state.each("_money")]


def paid_of(name: str, row: Data) -> Paid:
    """One kept payment."""
    money = Money(row["amount_minor"], row["currency"])
    return Paid(name, row["to"], money, row["reference"], bool(row["back_at"]))
