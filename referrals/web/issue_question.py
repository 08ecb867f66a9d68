""" "Issue ...": by which method, what leaves in each currency, who can't be paid this way and why, and what happens next (UX.md).

Nothing is done here. What the page shows of what would be paid (its sums and its number) comes back with the press, so that nothing is
paid that nobody saw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django import forms
from django.db.models import Count
from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations import methods
from integrations.methods import Option
from referrals.accounts.tenancy import Tenant
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.web.connection_forms import setting_field
from referrals.web.reward_choice import Choice, IssueForm
from referrals.web.reward_rows import KIND_ICONS
from referrals.web.templatetags.ui import monies
from referrals.web.worths import units_of, worths
from rewards import ceilings, payout_guards
from rewards.models import Payout, PayoutItem, Reward
from rewards.payouts import MANUAL, Outgoing, outgoing
from rewards.queueing import NO_DESTINATION, Preview
from rewards.reasons import REASONS, reason_sentence

# How many people are named for a reason, and through how many of the last payouts the usual method is looked for.
_NAMED = 5
_LAST_PAYOUTS = 300
OPTION_PREFIX = "with_"


@dataclass(frozen=True, slots=True)
class Card:
    """One method to choose. `unfit` says why it can't deliver any of these rewards, "" when it can."""

    value: str
    id: str
    icon: str
    label: str
    via: str
    summary: str
    chosen: bool
    unfit: str


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why some can't be paid this way: how many rewards, whose, how much, and what becomes of them."""

    title: str
    sums: str
    names: str
    after: str


@dataclass(frozen=True, slots=True)
class Question:
    """What web/rewards/_issue.html prints."""

    title: str
    sums: str
    people: str
    cards: list[Card]
    unfit: list[Card]
    method: str
    obstacles: list[Obstacle]
    notes: list[tuple[str, str]]
    fields: list[tuple[str, str]]
    form: IssueForm
    options: forms.Form | None
    button: str
    can_issue: bool
    url: str
    cancel: str
    warning: str = ""


class OptionsForm(forms.Form):
    """What the chosen method asks for, such as a product or a message."""

    def __init__(self, option: Option, tenant: Tenant, data: QueryDict | None = None) -> None:
        super().__init__(data, prefix=None, auto_id="with-%s")
        for one in option.fields:
            made = setting_field(one)
            choices = option.choices_of(one.name, tenant)
            if choices:
                blank = [] if one.required or any(not value for value, _label in choices) else [("", "-")]
                made = forms.ChoiceField(
                    choices=[*blank, *choices], label=one.label, help_text=one.hint, required=one.required
                )
            made.initial = one.default
            made.widget.attrs.pop("dir", None)
            self.fields[f"{OPTION_PREFIX}{one.name}"] = made

    @property
    def chosen(self) -> dict[str, str]:
        """The values by their own names; of a form that is valid."""
        return {name.removeprefix(OPTION_PREFIX): value for name, value in self.cleaned_data.items() if value}

    @property
    def as_shown(self) -> dict[str, str]:
        """What would be sent if nothing were touched: each field's own value, of a list without one its first."""
        found = {}
        for name, made in self.fields.items():
            choices = [str(value) for value, _label in getattr(made, "choices", ())]
            value = str(made.initial or (choices[0] if choices else ""))
            if value:
                found[name.removeprefix(OPTION_PREFIX)] = value
        return found

    def add_refusal(self, refusal: Refused) -> bool:
        """Say a refusal at the field that it is about; False when it is about none of them."""
        name = f"{OPTION_PREFIX}{refusal.field}"
        if name not in self.fields:
            return False
        self.add_error(name, refusal.message)
        return True


def usual(tenant: Tenant, found: Sequence[Option], kinds: Mapping[str, int]) -> Option:
    """What these rewards are usually issued by: the last method that paid most of these kinds, else by hand. At most one query."""
    by_hand = next((one for one in found if one.value == MANUAL), found[0])
    if len(found) == 1 or not kinds:
        return by_hand
    kind = max(kinds, key=lambda name: (kinds[name], name))
    last = Payout.objects.for_tenant(tenant).order_by("-pk").values("pk")[:_LAST_PAYOUTS]
    items = PayoutItem.objects.filter(payout__in=last, reward__kind=kind).order_by("-payout")
    known = items.values_list("payout__method", "payout__account").first()
    return next((one for one in found if (one.method.name, one.method.account) == known), by_hand)


@dataclass(frozen=True, slots=True)
class Offer:
    """What is chosen, what else can deliver some of these rewards, the usual one first, and what can't, with why."""

    option: Option
    fit: list[Option]
    unfit: list[tuple[Option, str]]


def offer(tenant: Tenant, choice: Choice, data: QueryDict) -> Offer:
    """What there is to choose, and what the form says of it, else the usual one.

    Refused `method_unknown` for what is not there, or no more. Four queries.
    """
    found = methods.options(tenant)
    kinds, currencies = _counted(tenant, choice, "kind"), _counted(tenant, choice, "currency")
    first = usual(tenant, found, kinds)
    named = data.get("method", "")
    option = first
    if named:
        wanted = methods.find(tenant, named).value
        option = next(one for one in found if one.value == wanted)
    fit, unfit = [], []
    for one in sorted(found, key=lambda each: each is not first):
        why = _unfit(one, kinds, currencies)
        if why and one is not option:
            unfit.append((one, why))
        else:
            fit.append(one)
    return Offer(option, fit, unfit)


def _unfit(option: Option, kinds: Mapping[str, int], currencies: Mapping[str, int]) -> str:
    """Why it can't deliver any of these rewards, before anybody is looked at; "" when it may."""
    if kinds and not option.method.kinds & set(kinds):
        return _("Does not deliver this kind of reward")
    if currencies and option.method.currencies and not option.method.currencies & set(currencies):
        return _("Does not pay in %(currencies)s") % {"currencies": ", ".join(sorted(currencies))}
    return ""


def _counted(tenant: Tenant, choice: Choice, column: str) -> dict[str, int]:
    return dict(choice.rows(tenant).values_list(column).annotate(n=Count("pk")).order_by())


def question(
    choice: Choice,
    tenant: Tenant,
    found: Offer,
    preview: Preview,
    form: IssueForm,
    options: OptionsForm | None,
    *,
    world: str,
    warning: str = "",
) -> Question:
    """The question for what is chosen, as it stands now."""
    option, leaving = found.option, outgoing(preview.payable, whole=preview.whole)
    count = len(preview.payable)
    rewards = ngettext("%(n)s reward", "%(n)s rewards", count) % {"n": f"{count:,}"}
    people = ngettext("%(n)s person", "%(n)s people", leaving.people) % {"n": f"{leaving.people:,}"}
    cards = [_card(one, chosen=one is option) for one in found.fit]
    by_hand = option.value == MANUAL
    back = reverse("web:reward", args=[choice.ids[0]]) if choice.origin == "page" and choice.ids else ""
    button = _("Mark %(rewards)s as issued") if by_hand else _("Issue %(rewards)s")
    return Question(
        title=_("Issue rewards"),
        sums=worths(leaving.sums, units_of(preview.payable)) if count else "",
        people=_("%(rewards)s, %(people)s") % {"rewards": rewards, "people": people},
        cards=cards,
        unfit=[_card(one, unfit=why) for one, why in found.unfit],
        method=option.value,
        obstacles=_obstacles(preview.refused),
        notes=_notes(option, tenant, preview, leaving),
        fields=[
            *choice.fields(choice.totals(tenant).count),
            ("sums", _as_field(preview.sums)),
            ("leaves", _as_field({money.currency: money.minor for money in leaving.sums})),
            ("payable", str(count)),
            ("world", world),
        ],
        form=form,
        options=options if options is not None and options.fields else None,
        button=button % {"rewards": rewards},
        can_issue=bool(count),
        url=reverse("web:rewards_act"),
        cancel=back or choice.state.url(after=choice.state.after),
        warning=warning,
    )


def _as_field(sums: Mapping[str, int]) -> str:
    """As reward_choice.read_sums() reads it."""
    return " ".join(sorted(f"{code}:{minor}" for code, minor in sums.items()))


def _card(option: Option, *, chosen: bool = False, unfit: str = "") -> Card:
    via = ""
    if option.connection is not None:
        via = option.connection.label or str(option.provider.label if option.provider else "")
    kinds = option.method.kinds
    icon = "hand-coins" if option.value == MANUAL else KIND_ICONS.get(next(iter(sorted(kinds)), ""), "send")
    if option.provider is not None:
        icon = option.provider.icon
    elif option.value != MANUAL and len(kinds) > 1:
        icon = "file-text"
    return Card(
        value=option.value,
        id=f"method-{option.value.replace(':', '-')}",
        icon=icon,
        label=str(option.label),
        via="" if via == str(option.label) else via,
        summary=str(option.summary),
        chosen=chosen,
        unfit=unfit,
    )


def _obstacles(refused: Sequence[tuple[Reward, str]]) -> list[Obstacle]:
    found: dict[str, list[Reward]] = {}
    for reward, code in refused:
        found.setdefault(code, []).append(reward)
    return [_obstacle(code, rewards) for code, rewards in found.items()]


# Why a method can't deliver a reward to somebody now, by the code of rewards.queueing; another text is a company's own.
def _why(code: str) -> str:
    words = {
        "not_due": _("No longer due"),
        "kind_not_payable": _("Another kind of reward than this method delivers"),
        "currency_not_payable": _("In a currency that this method does not pay"),
        NO_DESTINATION: _("No payout address for this method yet"),
        "referrer_banned": _("Banned"),
        ceilings.LIMIT: _("Above a limit for today"),
    }
    if code in words:
        return words[code]
    return reason_sentence(code) if code in REASONS else code


def _obstacle(code: str, rewards: Sequence[Reward]) -> Obstacle:
    names = list(dict.fromkeys(str(reward.participant) for reward in rewards))
    shown = ", ".join(names[:_NAMED])
    if len(names) > _NAMED:
        more = len(names) - _NAMED
        shown = ngettext("%(names)s and %(n)s more", "%(names)s and %(n)s more", more) % {
            "names": shown,
            "n": f"{more:,}",
        }
    sums: Counter[str] = Counter()
    for reward in rewards:
        sums[reward.currency] += reward.amount_minor
    count = ngettext("%(n)s reward", "%(n)s rewards", len(rewards)) % {"n": f"{len(rewards):,}"}
    if code == NO_DESTINATION:
        after = _("They wait, and are due again by themselves when the person has confirmed one.")
    else:
        after = _("They stay as they are.")
    return Obstacle(
        title=_("%(why)s: %(count)s") % {"why": _why(code).rstrip("."), "count": count},
        sums=worths([Money(minor, currency) for currency, minor in sorted(sums.items()) if minor], units_of(rewards)),
        names=shown,
        after=after,
    )


def _notes(option: Option, tenant: Tenant, preview: Preview, leaving: Outgoing) -> list[tuple[str, str]]:
    """(icon, sentence) of what is worth knowing before the press."""
    notes: list[tuple[str, str]] = []
    if option.value == MANUAL:
        notes.append(("info", _("You have paid outside Passalong; this records it. It can be undone.")))
    if leaving.debtors:
        notes.append(("scale", _settled(leaving)))
    if preview.apart:
        text = _("%(n)s of these rewards leave each by itself: what they come to together is not to be had this way.")
        notes.append(("split", text % {"n": f"{len(preview.apart):,}"}))
    if option.fee:
        notes.append(("receipt", _("Fees: %(fee)s") % {"fee": option.fee}))
    if option.own is not None and option.own.then:
        notes.append(("list-checks", str(option.own.then)))
    if option.value == MANUAL or not preview.payable:
        return notes
    if option.method.waits_for_funds:
        bring = str(option.way.funding) if option.way and option.way.funding else ""
        text = _("It waits until you say that the money is there.")
        notes.append(("wallet", f"{text} {bring}".strip()))
    if payout_guards.needs_second_person(
        tenant, [Payout(amount_minor=m.minor, currency=m.currency) for m in leaving.sums]
    ):
        notes.append(("shield-check", _("This is above your limit: somebody else of your team has to approve it.")))
    if option.own is None and payout_guards.is_stopped(tenant):
        notes.append(("octagon-pause", _("Payouts are stopped: it waits until somebody lets them go on.")))
    return notes


def _settled(leaving: Outgoing) -> str:
    """Who owes something is paid less, and by how much in all."""
    text = ngettext(
        "%(n)s of these people owes what was taken back after it had been issued: their payout is less by it, %(sums)s in all.",
        "%(n)s of these people owe what was taken back after it had been issued: their payouts are less by it, %(sums)s in all.",
        leaving.debtors,
    )
    owed = [Money(-money.minor, money.currency) for money in leaving.netted if money.minor < 0]
    return text % {"n": f"{leaving.debtors:,}", "sums": monies(owed)}
