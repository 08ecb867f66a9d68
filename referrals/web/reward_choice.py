"""What a form of the rewards pages asks for: which rewards, which action, and what the person saw when they pressed."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from django import forms
from django.core.exceptions import BadRequest
from django.db import transaction
from django.db.models import Count, QuerySet, Sum
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money, exponent_of
from referrals.web.reward_state import ListState
from rewards import lifecycle
from rewards.models import Reward
from rewards.pipeline import STAGES
from rewards.queueing import try_again
from rewards.selection import Selection, resolve

# From where: the list, the inspector beside it, the reward's own page, that of the event it was earned for, or "Needs attention".
Origin = Literal["list", "pane", "page", "event", "attention"]
ORIGINS = get_args(Origin)
# What can be done with the rewards of a stage, the usual thing first.
STAGE_ACTIONS: dict[str, tuple[str, ...]] = {
    "review": ("approve", "hold", "void"),
    "due": ("issue", "hold", "void"),
    "sending": (),
    "issued": ("reverse",),
    "attention": ("release", "retry", "void"),
    "closed": ("restore",),
}
ACTIONS = frozenset(action for actions in STAGE_ACTIONS.values() for action in actions)
# What one press undoes: the opposite action, and the stage in which it finds the rewards.
UNDO = {"hold": ("release", "attention"), "void": ("restore", "closed")}
_UNDO_MOST = 60
_NOTE_SIZE = 500


@dataclass(frozen=True, slots=True)
class Totals:
    """How many rewards, of how many people, and how much of each currency (never added)."""

    count: int
    people: int
    amounts: tuple[Money, ...]

    @property
    def sums_text(self) -> str:
        """The sums as a form carries them: "EUR:450 USD:3000"."""
        return " ".join(sorted(f"{money.currency}:{money.minor}" for money in self.amounts))

    @property
    def sums_json(self) -> str:
        """The sums for the script that takes off what is unticked: [["USD", "3000", 2], ...]."""
        return json.dumps([[money.currency, str(money.minor), exponent_of(money.currency)] for money in self.amounts])


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rewards an action means, and how the list looked. `ids` and `excluded` are public ids."""

    state: ListState
    action: str
    origin: Origin
    ids: tuple[str, ...] = ()
    everything: bool = False
    excluded: tuple[str, ...] = ()
    expected: int = 0
    snapshot: datetime | None = None
    revision: int | None = None
    # The stage in which the person saw the rewards, where it is not the one of the list behind.
    seen: str = ""

    @classmethod
    def read(cls, data: QueryDict, tenant: Tenant) -> Choice:
        """From a posted form; BadRequest for what no form of ours sends, Refused `nothing_selected` for nothing ticked."""
        state = ListState.read(QueryDict(data.get("back", "")), tenant)
        origin: Any = data.get("from", "list")
        action, _colon, one = data.get("one", "").partition(":")
        action = action or data.get("action", "")
        if origin not in ORIGINS or (action and action not in ACTIONS):
            raise BadRequest(f"action {action[:20]!r} from {origin[:20]!r}")
        if data.get("all") == "1" and not one:
            return cls(state, action, origin, (), True, *_remembered(data))
        ids = (one,) if one else tuple(dict.fromkeys(data.getlist("reward")))
        return cls(state, action, origin, ids, revision=_number(data, "revision") if data.get("revision") else None)

    @classmethod
    def undoing(cls, query: QueryDict, data: QueryDict, tenant: Tenant) -> Choice:
        """The opposite of an action, from the Undo of its toast; BadRequest for what has none."""
        action, seen = UNDO.get(query.get("undo", ""), ("", ""))
        origin: Any = query.get("from", "list")
        if not action or origin not in ORIGINS:
            raise BadRequest("undo")
        back = data.get("back") or query.get("back") or "stage=due"
        ids = tuple(query.get("ids", "").split(",")[:_UNDO_MOST])
        return cls(ListState.read(QueryDict(back), tenant), action, origin, ids, seen=seen)

    @property
    def undo_query(self) -> str:
        """What undoing() reads, or nothing when the action can't be undone in one press."""
        if self.action not in UNDO or self.everything or len(self.ids) > _UNDO_MOST:
            return ""
        return urlencode({"undo": self.action, "ids": ",".join(self.ids), "from": self.origin})

    @property
    def selection(self) -> Selection:
        """As rewards.selection has it."""
        if self.everything:
            return Selection(
                filter=self.state.filter, excluded=self.excluded, expected=self.expected, snapshot=self.snapshot
            )
        return Selection(ids=self.ids)

    def totals(self, tenant: Tenant) -> Totals:
        """What the choice comes to now, in one query; 404 through resolve() is not asked here."""
        found = (
            self.rows(tenant)
            .values("currency")
            .annotate(n=Count("pk"), minor=Sum("amount_minor"), people=Count("participant", distinct=True))
        )
        per_currency = sorted(found.order_by(), key=lambda row: (-row["n"], row["currency"]))
        # A participant belongs to one campaign, and so to one currency: the numbers of people may be added.
        return Totals(
            count=sum(row["n"] for row in per_currency),
            people=sum(row["people"] for row in per_currency),
            amounts=tuple(Money(row["minor"], row["currency"]) for row in per_currency),
        )

    def rows(self, tenant: Tenant) -> QuerySet[Reward]:
        """The rewards that are chosen as things stand now; nothing is checked."""
        rows: QuerySet[Reward] = Reward.objects.for_tenant(tenant).filter(public_id__in=self.ids)
        if self.everything:
            rows = self.state.rows(tenant).exclude(public_id__in=self.excluded)
            if self.snapshot is not None:
                rows = rows.filter(stage_at__lte=self.snapshot)
        return rows

    def fields(self, expected: int) -> list[tuple[str, str]]:
        """Hidden fields that carry the choice through the question to the deed; `expected` is what the person is shown."""
        pairs = [("back", self.state.query(after=self.state.after)), ("from", self.origin), ("action", self.action)]
        if self.everything:
            snapshot = self.snapshot.isoformat() if self.snapshot else ""
            excluded = " ".join(self.excluded)
            pairs += [("all", "1"), ("expected", str(expected)), ("snapshot", snapshot), ("excluded", excluded)]
        else:
            pairs += [("reward", public_id) for public_id in self.ids]
        if self.revision is not None:
            pairs.append(("revision", str(self.revision)))
        return pairs


def read_sums(data: QueryDict, name: str = "sums") -> dict[str, int] | None:
    """The sums that the person was shown, as Totals.sums_text wrote them; None without any, BadRequest for anything else."""
    if name not in data:
        return None
    sums = {}
    for part in data.get(name, "").split():
        currency, _colon, minor = part.partition(":")
        if not (minor.isascii() and minor.isdigit() and len(minor) <= 18):
            raise BadRequest(name)
        sums[currency] = int(minor)
    return sums


def world_of(tenant: Tenant) -> str:
    """Which side of the merchant a form belongs to, as it says in it."""
    return "test" if tenant.is_test else "live"


def refuse_other_side(data: QueryDict, tenant: Tenant) -> None:
    """A form made on the live side does nothing on the test side, and the other way round: the side may have been switched in
    another tab."""
    if data.get("world", world_of(tenant)) != world_of(tenant):
        message = _(
            "You switched between live and test mode in another tab; nothing was done. Here is the side you are on."
        )
        raise Refused("invalid_state", message, status=409)


def everything(state: ListState) -> Choice:
    """ "All that match", as of now."""
    return Choice(state, "", "list", everything=True, snapshot=clock.now())


def _remembered(data: QueryDict) -> tuple[tuple[str, ...], int, datetime]:
    """(excluded, expected, snapshot). What was shown and is not ticked is excluded from now on; what is ticked again, no more."""
    ticked, shown = set(data.getlist("reward")), data.get("shown", "").split()
    before = [public_id for public_id in data.get("excluded", "").split() if public_id not in ticked]
    excluded = tuple(dict.fromkeys([*before, *(public_id for public_id in shown if public_id not in ticked)]))
    try:
        snapshot = parse_datetime(data.get("snapshot", ""))
    except ValueError:
        snapshot = None
    if snapshot is None or timezone.is_naive(snapshot):
        raise BadRequest("snapshot")
    # The page said how many all were; every exclusion made since is one less.
    expected = _number(data, "expected") - (len(excluded) if shown else 0)
    return excluded, expected, snapshot


def _number(data: QueryDict, name: str) -> int:
    text = data.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise BadRequest(name)
    return int(text)


class NoteForm(forms.Form):
    """The words that go with an action; every later reader of the history sees them."""

    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=_NOTE_SIZE,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def __init__(self, *args: Any, action: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["note"]
        field.required = action in {"hold", "void", "reverse"}
        if field.required:
            field.label = _("Reason")
            field.help_text = _("Your team sees it in the history of the reward.")
        else:
            field.help_text = _("For example how and when you paid. Your team sees it in the history.")


class IssueForm(NoteForm):
    """Marking as issued; `key` is made with the form, so that a double press makes one batch (ARCHITECTURE.md, "Idempotency")."""

    key = forms.RegexField(r"^[0-9A-Za-z]{16,64}\Z", widget=forms.HiddenInput)

    field_order = ("note", "key")


_ACTS: dict[str, Callable[..., int]] = {
    "approve": lifecycle.approve,
    "hold": lifecycle.hold,
    "release": lifecycle.release,
    "void": lifecycle.void,
    "reverse": lifecycle.reverse,
    "restore": lifecycle.restore,
    "retry": try_again,
}


def carry_out(choice: Choice, *, tenant: Tenant, actor: Actor, note: str) -> int:
    """Do what is chosen to all of the rewards or none; returns how many. Refused as the services raise it, and `invalid_state`
    (409) when a reward is no longer as the page showed it (RELIABILITY section 6, row 40)."""
    with transaction.atomic():
        reward_ids = resolve(tenant, choice.selection)
        refuse_stale(choice, tenant, reward_ids)
        return _ACTS[choice.action](tenant=tenant, reward_ids=reward_ids, actor=actor, note=note)


def refuse_stale(choice: Choice, tenant: Tenant, reward_ids: Collection[int]) -> None:
    """Raise Refused `invalid_state` when a reward has left the stage in which the person saw it. In the caller's transaction."""
    if choice.everything:
        return
    rows = Reward.objects.for_tenant(tenant).filter(pk__in=reward_ids).select_for_update().order_by("pk")
    if choice.revision is None:
        states = STAGES[choice.seen or choice.state.stage]
        changed = sum(state not in states for state in rows.values_list("state", flat=True))
    else:
        changed = sum(revision != choice.revision for revision in rows.values_list("revision", flat=True))
    if changed:
        message = _("Somebody changed this meanwhile; nothing was done. Here it is as it stands now.")
        raise Refused("invalid_state", message, status=409, details={"changed": changed})
