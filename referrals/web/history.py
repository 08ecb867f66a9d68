"""The history of the business: who did what and when, newest first."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.urls import reverse
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from campaigns.models import RewardRule
from referrals.accounts.models import Role
from referrals.events import types
from referrals.events.models import Event
from referrals.lib.money import Money
from referrals.lib.pages import PageError, keyset, render_part
from referrals.web.access import MerchantRequest, member
from referrals.web.filters import one_of
from referrals.web.timeline import Entry, entries_of

PER_PAGE = 50
# What the filter offers -> the types it stands for.
GROUPS: dict[str, tuple[Any, frozenset[str]]] = {
    "campaigns": (lazy("Campaigns"), frozenset(name for name in types.ALL_TYPES if name.startswith("campaign."))),
    "participants": (
        lazy("People"),
        frozenset(
            name
            for name in types.ALL_TYPES
            if name.startswith(("participant.", "referral.", "friend.", "event.", "terms.", "join.", "application."))
        ),
    ),
    "rewards": (
        lazy("Rewards"),
        frozenset(
            name
            for name in types.ALL_TYPES
            if name.startswith(("reward.", "payout.", "milestone.", "fraud.", "coupon_list.", "veto."))
        ),
    ),
    "team": (
        lazy("Team and keys"),
        frozenset(
            name
            for name in types.ALL_TYPES
            if name.startswith(("merchant.", "customers.", "member.", "invitation.", "api_key.", "signing_secret."))
        ),
    ),
    "connections": (
        lazy("Connections"),
        frozenset(name for name in types.ALL_TYPES if name.startswith(("connection.", "webhook_endpoint."))),
    ),
    "exports": (
        lazy("Imports and exports"),
        frozenset(
            {
                types.IMPORT_APPLIED,
                types.ACCOUNT_IMPORTED,
                types.EXPORT_MADE,
                types.EXPORT_SCHEDULED,
                types.EXPORT_UNSCHEDULED,
            }
        ),
    ),
    "test": (lazy("Test mode"), frozenset({types.TEST_CLOCK_MOVED, types.TEST_DATA_DELETED})),
}
# Type -> icon and words; the facts come from the event's data.
WORDS: dict[str, tuple[str, Any]] = {
    types.MERCHANT_CREATED: ("building-2", lazy("Business created: %(name)s")),
    types.MERCHANT_CHANGED: ("settings", lazy("Settings changed: %(changes)s")),
    types.MEMBER_INVITED: ("mail", lazy("%(email)s invited as %(role)s")),
    types.MEMBER_JOINED: ("user-plus", lazy("%(email)s joined the team as %(role)s")),
    types.MEMBER_CHANGED: ("users", lazy("Role of %(email)s changed: %(changes)s")),
    types.MEMBER_REMOVED: ("users", lazy("%(email)s left the team")),
    types.INVITATION_REVOKED: ("mail", lazy("Invitation of %(email)s taken back")),
    types.API_KEY_CREATED: ("key-round", lazy("API key %(name)s (…%(last4)s) created")),
    types.API_KEY_REVOKED: ("key-round", lazy("API key %(name)s (…%(last4)s) revoked")),
    types.SIGNING_MADE: ("key-round", lazy("Signing secret …%(last4)s made")),
    types.CONNECTION_CREATED: ("plug", lazy("Connection added")),
    types.CONNECTION_CHANGED: ("plug", lazy("Connection changed")),
    types.CONNECTION_REMOVED: ("plug", lazy("Connection removed")),
    types.WEBHOOK_CREATED: ("code-xml", lazy("Webhook endpoint added: %(host)s")),
    types.WEBHOOK_CHANGED: ("code-xml", lazy("Webhook endpoint changed: %(host)s")),
    types.WEBHOOK_ROTATED: ("key-round", lazy("New secret for the webhook endpoint %(host)s")),
    types.WEBHOOK_DISABLED: ("ban", lazy("Webhook endpoint disabled: %(host)s")),
    types.WEBHOOK_ENABLED: ("code-xml", lazy("Webhook endpoint enabled: %(host)s")),
    types.WEBHOOK_REMOVED: ("code-xml", lazy("Webhook endpoint removed: %(host)s")),
    types.CONNECTION_ENDED: ("plug", lazy("Uninstalled at the company")),
    types.PRIVACY_ASKED: ("shield-check", lazy("A shop passed on a request about privacy")),
    types.CUSTOMERS_ADDED: ("users", lazy("Customers added to the list: %(count)s")),
    types.CUSTOMERS_REMOVED: ("users", lazy("Customers taken off the list: %(count)s")),
    types.ACCOUNT_IMPORTED: ("upload", lazy("Account of %(from)s read from an archive: %(rows)s rows")),
    types.IMPORT_APPLIED: (
        "upload",
        lazy("Rows %(first)s to %(last)s of %(file)s imported: %(added)s new, %(updated)s changed"),
    ),
    types.EXPORT_SCHEDULED: ("download", lazy("Scheduled an export: %(what)s")),
    types.EXPORT_UNSCHEDULED: ("download", lazy("Scheduled export removed: %(what)s")),
    types.EXPORT_MADE: ("download", lazy("List exported")),
    types.FRAUD_LISTS_CHANGED: ("shield-check", lazy("Fraud lists changed: %(value)s")),
    types.TEST_CLOCK_MOVED: ("fast-forward", lazy("Test clock moved to %(to)s")),
    types.TEST_DATA_DELETED: ("eraser", lazy("All test data deleted: %(rows)s rows")),
    types.PAYOUT_CREATED: ("wallet", lazy("Rewards issued together")),
    types.PAYOUTS_STOPPED: ("octagon-x", lazy("All payouts stopped: %(note)s")),
    types.PAYOUTS_RESUMED: ("play", lazy("Payouts go on")),
    types.PAYOUT_LIMITS_CHANGED: ("settings", lazy("Limits of payouts in %(currency)s: %(limits)s")),
    types.PAYOUT_ROUTE_SET: ("workflow", lazy("%(kind)s goes out by itself: %(method)s")),
    types.PAYOUT_ROUTE_REMOVED: ("workflow", lazy("%(kind)s goes out by itself no more: %(method)s")),
    types.PAYOUT_CALENDAR_CHANGED: ("calendar", lazy("Payouts run at %(hour)s:00, weekly ones on %(weekday)s")),
    types.PAYOUT_BATCH_APPROVED: ("check", lazy("Batch of payouts approved by a second person")),
    types.PAYOUT_DIFFERENCE_FOUND: ("circle-alert", lazy("A company's books and ours don't agree about a payout")),
    types.PAYOUT_DIFFERENCE_ENDED: ("check", lazy("Somebody looked at a payout that did not agree")),
    types.YEARLY_NOTICE_CHANGED: ("wallet", lazy("Yearly total from which people are marked: changed (%(currency)s)")),
    types.VETO_CHANGED: ("shield-check", lazy("Asking your own system before paying: changed")),
    types.PAYOUT_BATCH_FUNDED: ("wallet", lazy("Money for a batch of payouts said to be there")),
    types.COUPONS_CHANGED: ("tag", lazy("List of codes %(name)s: %(what)s %(count)s")),
    types.PAYOUT_CHANGED: ("wallet", lazy("Payout: %(to)s")),
    types.PAYOUT_BATCH_COMPLETED: ("wallet", lazy("Batch of payouts completed")),
    types.PAYOUT_GIFT_SEEN: ("eye", lazy("Looked at what a payout gave")),
    types.PAYOUT_UNDONE: ("undo-2", lazy("Issuing undone")),
}
# Which page tells more about a subject.
PAGES = {
    "application": "web:application",
    "campaign": "web:campaign",
    "participant": "web:participant",
    "payout_route": "web:payout_route",
    "reward": "web:reward",
}


@member(role=Role.VIEWER)
def history(request: MerchantRequest) -> HttpResponse:
    """One page of the history, filtered by kind; `part` for htmx."""
    kind = one_of(request.GET, "kind", GROUPS)
    rows = Event.objects.for_tenant(request.tenant)
    if kind:
        rows = rows.filter(type__in=GROUPS[kind][1])
    status = 200
    try:
        page = keyset(rows, sort="-id", cursor=request.GET.get("page", ""), limit=PER_PAGE)
    except PageError:
        status = 400
        page = keyset(rows, sort="-id", limit=PER_PAGE)
    context = {
        "entries": _lines(list(page.rows)),
        "damaged": status == 400,
        "kind": kind,
        "kinds": [("", _("All")), *((name, label) for name, (label, _types) in GROUPS.items())],
        "prev_url": _url(kind, page.previous),
        "next_url": _url(kind, page.next),
    }
    return render_part(request, "web/settings/history.html", "web/settings/_history.html", context, status=status)


def _url(kind: str, cursor: str | None) -> str:
    if cursor is None:
        return ""
    return f"{reverse('web:history')}?{urlencode({'kind': kind, 'page': cursor} if kind else {'page': cursor})}"


def _lines(events: list[Event]) -> list[dict[str, Any]]:
    return [
        {"entry": entry, "event": event, "subject": _subject(event)}
        for event, entry in zip(events, (_entry(event) for event in events), strict=True)
    ]


def _entry(event: Event) -> Entry:
    (entry,) = entries_of([event])
    if event.type not in WORDS:
        return entry
    icon, words = WORDS[event.type]
    return Entry(icon, "", str(words) % _Facts(event.data), entry.by, event.created_at)


class _Facts(dict[str, str]):
    """The event's data as words; what is missing is left out, so that an old line never breaks the page."""

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__({key: str(value) for key, value in data.items()})
        if "weekday" in data:
            self["weekday"] = str(WEEKDAYS[data["weekday"]])
        if "kind" in data and "method" in data:
            self["kind"] = str(dict(RewardRule.KINDS).get(data["kind"], data["kind"]))
            self["method"] = str(data["method"]).partition(":")[0].replace("_", " ")
        roles = {str(value): str(label) for value, label in Role.choices}
        if "role" in self:
            self["role"] = roles.get(self["role"], self["role"])
        if "second_person_above_minor" in data:
            self["limits"] = _limits(data)
        changes = data.get("changes")
        if isinstance(changes, dict):
            pairs = [
                f"{key.replace('_', ' ')}: {roles.get(str(old), old) or '–'} → {roles.get(str(new), new) or '–'}"
                for key, (old, new) in changes.items()
            ]
            self["changes"] = ", ".join(pairs)

    def __missing__(self, key: str) -> str:
        return "–"


def _limits(data: dict[str, Any]) -> str:
    """What the limits of payouts are since then: "$500.00 a day"."""
    words = {
        "a_day_minor": _("%(amount)s a day"),
        "a_person_a_day_minor": _("%(amount)s a day for one person"),
        "second_person_above_minor": _("a second person above %(amount)s"),
    }
    amounts = {name: data.get(name) for name in words}
    told = [
        words[name] % {"amount": Money(minor, data["currency"])}
        for name, minor in amounts.items()
        if isinstance(minor, int)
    ]
    return ", ".join(told) or _("none")


def _subject(event: Event) -> dict[str, str]:
    """A link to what the event is about, where it has a page."""
    name = PAGES.get(event.subject_type)
    if name:
        return {"url": reverse(name, args=[event.subject_id]), "label": event.subject_id}
    if event.participant_ref:
        return {"url": reverse(PAGES["participant"], args=[event.participant_ref]), "label": event.participant_ref}
    return {}
