"""What can be chosen in "Issue ...": every way of every company that is connected on a side, and our own (PRODUCT.md, "Issuing")."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

from django.db import transaction
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from campaigns.terms import Kind
from integrations import registry
from integrations.base import Provider, SettingField, Text, Way
from integrations.models import Connection
from integrations.services import is_ready
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import payouts, queueing
from rewards.coupons import giving
from rewards.files import freezing
from rewards.files.formats import FORMATS
from rewards.models import PayoutBatch, Reward
from rewards.queueing import Method, Preview

EVERY_KIND: frozenset[str] = frozenset(get_args(Kind))


@dataclass(frozen=True, slots=True)
class OwnWay:
    """A way of paying that needs no company. `issue` takes what queueing.queue() takes, but for the method."""

    name: str
    label: Text
    summary: Text
    kinds: frozenset[str]
    issue: Callable[..., tuple[PayoutBatch, bool]]
    # The kind of payout address that it needs, and in which currencies it pays (empty: any).
    destination: str = ""
    currencies: frozenset[str] = frozenset()
    # Whether it delivers what is no money ("1 free month"), too.
    units: bool = False
    options: tuple[SettingField, ...] = ()
    # (tenant, field's name) -> ((value, label), ...), for options whose choices are the merchant's.
    choices: Callable[[Tenant, str], tuple[tuple[str, str], ...]] | None = None
    # Whether rewards may go out by it by themselves, and what the team then still has to do with the batch: they get a mail that says it.
    by_itself: bool = True
    then: Text = ""
    # (tenant, reward ids, chosen) -> what `issue` would pay of them, where that takes more than the kind, the currency and the address.
    preview: Callable[[Tenant, Collection[int], Mapping[str, Any]], Preview] | None = None
    # Whether it can be chosen on this side at all.
    is_there: Callable[[Tenant], bool] = lambda _tenant: True


def _by_hand(*, options: Mapping[str, Any] | None = None, **given: Any) -> tuple[PayoutBatch, bool]:
    del options
    return payouts.issue_by_hand(**given)


def _file(name: str, summary: Text, *options: SettingField) -> OwnWay:
    one = FORMATS[name]
    return OwnWay(
        name=name,
        label=one.label,
        summary=summary,
        kinds=freezing.kinds_of(one),
        currencies=one.currencies,
        issue=partial(freezing.freeze, name),
        then=one.what_to_do,
        preview=lambda tenant, reward_ids, _chosen: freezing.preview(name, tenant, reward_ids),
        options=options,
    )


OWN: tuple[OwnWay, ...] = (
    OwnWay(
        name=payouts.MANUAL,
        label=gettext_lazy("By hand"),
        summary=gettext_lazy("You pay outside and mark it here."),
        kinds=EVERY_KIND,
        issue=_by_hand,
        units=True,
        by_itself=False,
    ),
    _file(
        "paypal_file",
        gettext_lazy("You upload it at PayPal, and bring back what became of each line. Up to 5,000 lines in a file."),
    ),
    _file(
        "wise_file",
        gettext_lazy("You upload it at Wise, which writes to each recipient. Up to 1,000 lines in a file."),
        SettingField(
            name="source_currency",
            label=gettext_lazy("Paid from"),
            hint=gettext_lazy("The currency of your balance at Wise. Empty: the same as the reward."),
            is_currency=True,
            limit=3,
        ),
    ),
    _file("csv_file", gettext_lazy("A list to pay from at any bank; you bring it back with what became of each line.")),
    OwnWay(
        name=payouts.COUPONS,
        label=gettext_lazy("Codes from a list of yours"),
        summary=gettext_lazy(
            "Each reward gets a code that nobody else has, at once; it stands on the recipient's page."
        ),
        kinds=giving.KINDS,
        issue=giving.issue,
        preview=giving.preview,
        options=(SettingField(name="list", label=gettext_lazy("List"), required=True),),
        choices=giving.choices,
        is_there=giving.is_there,
    ),
)


@dataclass(frozen=True, slots=True)
class Option:
    """One thing to choose: a way of paying, and the connection through which it leaves."""

    method: Method
    label: Text
    summary: Text
    fields: tuple[SettingField, ...] = ()
    fee: Text = ""
    provider: Provider | None = None
    way: Way | None = None
    own: OwnWay | None = None
    connection: Connection | None = None

    @property
    def value(self) -> str:
        """What a form or a program names it by: "manual", or "tremendous:con_..."."""
        return f"{self.method.name}:{self.method.account}" if self.method.account else self.method.name

    @property
    def by_itself(self) -> bool:
        """Whether rewards may go out by it without anybody pressing a button."""
        return self.own is None or self.own.by_itself

    def choices_of(self, name: str, tenant: Tenant) -> tuple[tuple[str, str], ...]:
        """What one of `fields` may be, where the connection or the merchant's own data say so; else the field's own choices."""
        own = next(tuple((value, str(text)) for value, text in one.choices) for one in self.fields if one.name == name)
        if self.own is not None and self.own.choices is not None:
            return self.own.choices(tenant, name) or own
        if self.way is not None and self.way.choices:
            return tuple(import_string(self.way.choices)(self.connection, name)) or own
        return own


def options(tenant: Tenant) -> list[Option]:
    """Everything that can be chosen on this side, our own ways first. One query."""
    found = [_own(own) for own in OWN if own.is_there(tenant)]
    rows = Connection.objects.for_tenant(tenant).filter(removed_at=None, ended_at=None).order_by("pk")
    for row in rows:
        provider = registry.get(row.provider)
        if provider.ways and is_ready(row):
            found += [_through(provider, way, row) for way in provider.ways]
    return found


def find(tenant: Tenant, text: str) -> Option:
    """What a form or a program named (Option.value); Refused `method_unknown` names what was given."""
    for option in options(tenant):
        if text in {option.value, option.method.name if option.own else option.value}:
            return option
    message = _("No way of paying is called %(name)r here. Choose another one, or connect its company first.")
    raise Refused("method_unknown", message % {"name": text[:60]}, field="method")


def _own(own: OwnWay) -> Option:
    method = Method(own.name, own.kinds, currencies=own.currencies, destination=own.destination, units=own.units)
    return Option(method, own.label, own.summary, own.options, own=own)


def _through(provider: Provider, way: Way, row: Connection) -> Option:
    method = Method(
        name=way.name,
        kinds=way.kinds,
        account=row.public_id,
        currencies=way.currencies,
        destination=way.destination,
        waits_for_funds=way.waits_for_funds(row.settings),
    )
    return Option(method, way.label, way.summary, way.options, way.fee, provider, way, connection=row)


def preview(
    option: Option, tenant: Tenant, reward_ids: Collection[int], chosen: Mapping[str, Any] | None = None
) -> Preview:
    """What issue() would pay of these rewards, and which not with the reason's code, without doing anything."""
    if option.own is not None and option.own.preview is not None:
        return option.own.preview(tenant, reward_ids, chosen or {})
    found = queueing.preview(tenant, reward_ids, option.method)
    obstacles, apart = _obstacles(option, found.payable, chosen or {})
    refused = [(reward, obstacles[reward.pk]) for reward in found.payable if reward.pk in obstacles]
    return Preview([reward for reward in found.payable if reward.pk not in obstacles], found.refused + refused, apart)


def _obstacles(
    option: Option, rewards: Sequence[Reward], chosen: Mapping[str, Any]
) -> tuple[dict[int, str], frozenset[int]]:
    """(why the company can't deliver these rewards, those that leave each by itself), by primary key.

    It is asked about what leaves: all of one person and side together, netted. What it does not have as one, such as two gift cards of a
    fixed amount, is asked for one by one. Whatever is left out is not netted with, so the rest is asked for anew.
    """
    found: dict[int, str] = {}
    if option.way is None or not option.way.obstacle:
        return found, frozenset()
    ask = partial(import_string(option.way.obstacle), option.connection)
    while True:
        left = [reward for reward in rewards if reward.pk not in found]
        together = [
            (group, str(ask(Money(amount, group[0].currency), chosen)))
            for group, amount in payouts.portions(left)
            if amount
        ]
        several = [reward for group, why in together if why and len(group) > 1 for reward in group]
        apart = frozenset(reward.pk for reward in several)
        wrong = {group[0].pk: why for group, why in together if why and len(group) == 1}
        for (reward,), amount in payouts.portions(several, apart):
            if amount and (why := str(ask(Money(amount, reward.currency), chosen))):
                wrong[reward.pk] = why
        if not wrong:
            return found, apart
        found |= wrong


def issue(
    option: Option,
    *,
    tenant: Tenant,
    reward_ids: Collection[int],
    actor: Actor,
    key: str,
    note: str = "",
    sums: Mapping[str, int] | None = None,
    chosen: Mapping[str, Any] | None = None,
    leaving: Mapping[str, int] | None = None,
) -> tuple[PayoutBatch, bool]:
    """Issue rewards by what was chosen: (batch, made now). Raises Refused as queueing.queue(), and `option` for a wrong `chosen`.

    `leaving` is what the caller believes to leave after netting, minor units by currency: when it is another sum, nothing is made.
    """
    with transaction.atomic():
        given = {"tenant": tenant, "reward_ids": reward_ids, "actor": actor, "key": key, "note": note, "sums": sums}
        batch, made = _issue(option, given, chosen or {})
        if made and leaving is not None:
            payouts.refuse_other_payouts(batch, leaving)
    return batch, made


def _issue(option: Option, given: dict[str, Any], chosen: Mapping[str, Any]) -> tuple[PayoutBatch, bool]:
    tenant, reward_ids = given["tenant"], given["reward_ids"]
    values = checked(option, tenant, chosen)
    if option.own is not None:
        return option.own.issue(**given, options=values)
    payable = queueing.preview(tenant, reward_ids, option.method).payable
    obstacles, apart = _obstacles(option, payable, values)
    for reward in payable:
        if reward.pk in obstacles:
            details = {"reward": reward.public_id}
            raise Refused("method_unsuitable", obstacles[reward.pk], field="method", details=details)
    return queueing.queue(**given, method=option.method, options=values, apart=apart)


def checked(option: Option, tenant: Tenant, chosen: Mapping[str, Any]) -> dict[str, str]:
    """The values of the way's own fields. Refused `option`, naming the field, for what can't be."""
    values = {}
    known = {one.name for one in option.fields}
    for name in chosen:
        if name not in known:
            raise Refused("option", _("This way of paying has no %(name)r.") % {"name": name[:40]}, field=name[:40])
    for one in option.fields:
        value = str(chosen.get(one.name) or one.default).strip()
        choices = [key for key, _label in option.choices_of(one.name, tenant)]
        if one.required and not value:
            raise Refused("option", _("Fill in %(name)s.") % {"name": one.label}, field=one.name)
        if len(value) > one.limit or (value and choices and value not in choices):
            message = _("%(name)s can't be %(value)r.")
            raise Refused("option", message % {"name": one.label, "value": value[:60]}, field=one.name)
        if value:
            values[one.name] = value
    return values
