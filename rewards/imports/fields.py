"""What a file may have in its columns, which names such columns commonly have, and whose export it seems to be.

A preset is recognised by names of columns that together stand in one product's export only. Where those names come from is said at
each; docs/imports.md says it to merchants too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from referrals.lib.errors import Refused

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a row may say: its `name` in a mapping, its `label` on the page, and the `names` that columns of it have."""

    name: str
    label: Text
    names: tuple[str, ...]
    kinds: tuple[str, ...] = ("participants", "referrals")
    required: tuple[str, ...] = ()
    hint: Text = ""


_ALL = ("participants", "referrals", "events")
_EVENTS = ("events",)
FIELDS: tuple[Field, ...] = (
    Field("email", lazy("E-mail address"), (
        "email", "mail", "emailaddress", "participantemail", "friendemail", "customeremail", "affiliateemail", "memberemail",
        "referredemail", "inviteeemail", "advocateemail",
    ), _ALL, ("participants", "referrals"), lazy("Of the participant; of the friend in a file of referrals or events.")),
    Field("customer_id", lazy("Customer id"), ("customerid", "stripecustomerid", "customer"), _EVENTS,
          hint=lazy("A source's own id of the person, where the file has no address.")),
    Field("first_name", lazy("First name"), ("firstname", "vorname", "givenname")),
    Field("last_name", lazy("Last name"), ("lastname", "nachname", "surname", "familyname")),
    Field("name", lazy("Full name"), ("name", "fullname", "displayname")),
    Field("code", lazy("Referral code"), ("referralcode", "code", "token", "affiliatetoken", "linktoken", "slug", "refcode")),
    Field("referrer_email", lazy("Referrer's e-mail address"), (
        "referredby", "referredbyemail", "referreremail", "referringmemberemail", "invitedby", "referringemail",
    ), ("participants", "referrals")),
    Field("referrer_code", lazy("Referrer's code"), ("referredbycode", "referrercode", "referringcode", "referralcodeused"),
          ("participants", "referrals")),
    Field("joined_at", lazy("Joined"), (
        "joinedat", "joined", "createdon", "createdat", "created", "createdt", "datecreated", "signupdate", "dateadded", "registered",
    )),
    Field("banned", lazy("Banned"), ("banned", "isbanned", "disabledflag", "blocked", "disabled")),
    Field("existing_customer", lazy("Was a customer before"), ("existingcustomer",)),
    Field("language", lazy("Language"), ("language", "locale")),
    Field("status", lazy("Status of the referral"), ("status", "referralstatus"), ("referrals",),
          hint=lazy("pending, qualified, approved or denied.")),
    Field("earned", lazy("Earned so far"), (), ("participants",), hint=lazy("Becomes an opening balance in the ledger.")),
    Field("paid", lazy("Paid out so far"), (), ("participants",), hint=lazy("Is taken off the opening balance.")),
    Field("owed", lazy("Still owed"), (), ("participants",), hint=lazy("An opening balance that is open.")),
    Field("type", lazy("What it is"), ("type", "event", "eventtype"), _EVENTS,
          hint=lazy("purchase unless said otherwise; refund, cancelled; qualified, approved, denied, pending; or your own event's name.")),
    Field("amount", lazy("Amount"), ("amount", "amountpaid", "total", "saleamount", "purchaseamount", "invoiceamount", "ordertotal"),
          _EVENTS),
    Field("currency", lazy("Currency"), ("currency", "currencycode"), ("participants", "events")),
    Field("external_id", lazy("Order or invoice number"), (
        "externalid", "externalreferenceid", "orderid", "ordernumber", "order", "invoiceid", "invoice", "invoicenumber", "transactionid",
        "referenceid", "purchaseid",
    ), _EVENTS, hint=lazy("For a refund: the number of the order. The same number is imported once.")),
    Field("occurred_at", lazy("When"), (
        "occurredat", "date", "orderdate", "purchasedate", "timestamp", "time", "createdat", "created", "invoicedate", "paidat",
    ), _EVENTS),
    Field("source", lazy("Source"), ("source",), _EVENTS,
          hint=lazy("Where the event was first recorded, such as stripe; csv if nothing is said.")),
    Field("refunded", lazy("Refunded so far"), ("refunded", "amountrefunded", "refundedamount"), _EVENTS),
    Field("event_id", lazy("Passalong's own id"), (), _EVENTS),
    Field("campaign", lazy("Campaign of the row"), ("campaignid",), _ALL, hint=lazy("By id, for a file of several campaigns.")),
)  # fmt: skip
BY_NAME: Mapping[str, Field] = {one.name: one for one in FIELDS}


@dataclass(frozen=True, slots=True)
class Preset:
    """A product's export: names of columns (folded) that tell it, and what they hold where the common names would not say."""

    slug: str
    label: str
    tells: frozenset[str]
    columns: Mapping[str, str] = field(default_factory=dict)
    # Columns that must not be taken for what their name says elsewhere.
    ignored: frozenset[str] = frozenset()
    kinds: tuple[str, ...] = ("participants", "referrals")


PRESETS: tuple[Preset, ...] = (
    # What docs/exports.md says. Its sums follow from the rewards, and are not imported as opening balances.
    Preset("passalong", "Passalong", frozenset({"referralcode", "joinedat", "existingcustomer", "left"}),
           {"referredby": "referrer_email"}, frozenset({"earned", "issued", "id"})),
    Preset("passalong", "Passalong", frozenset({"friendemail", "externalid", "recordedat", "outcome"}),
           {"friendemail": "email", "id": "event_id"}, frozenset({"referrername"}), _EVENTS),
    Preset("passalong", "Passalong", frozenset({"friendemail", "referreremail", "referredat"}),
           {"friendemail": "email", "referredat": "joined_at", "referralcode": "referrer_code"}, kinds=("referrals",)),
    # The fields of its API (seed 002); that its file has the same names is not confirmed.
    Preset("referral_rocket", "Referral Rocket", frozenset({"referralcode", "referredbycode", "sharelink"}),
           {"createdon": "joined_at", "referralreward": "earned", "referralrewardredeemed": "paid"}, frozenset({"refereereward"})),
    # The fields of a member in its public API reference; that its file has the same names is not confirmed.
    Preset("referral_rock", "Referral Rock", frozenset({"referralcode", "programname"}),
           {"createdt": "joined_at", "disabledflag": "banned", "rewardspendingamount": "owed"}, frozenset({"externalidentifier"})),
    Preset("referral_rock", "Referral Rock", frozenset({"referringmemberemail"}),
           {"referringmemberemail": "referrer_email", "referringmembercode": "referrer_code"}, kinds=("referrals",)),
    # Its public guide for importing names these columns: one row for each referred customer, the affiliate's own data in front.
    Preset("rewardful", "Rewardful", frozenset({"token", "email", "paypalemail"}), {"token": "code", "createdat": "joined_at"}),
    Preset("rewardful", "Rewardful", frozenset({"affiliateid", "links", "email"}), {"linktoken": "code", "createdat": "joined_at"}),
    # Its reports name advocates and referral links; the names of the columns are not confirmed.
    Preset("referralcandy", "ReferralCandy", frozenset({"advocateemail"}), {"advocateemail": "email", "referrallink": "code"},
           kinds=("participants",)),
    # What its API takes for a purchase has these names.
    Preset("referralcandy", "ReferralCandy", frozenset({"invoiceamount", "externalreferenceid"}),
           {"externalreferenceid": "external_id", "ordertimestamp": "occurred_at", "invoiceamount": "amount", "email": "email",
            "currencycode": "currency"}, kinds=_EVENTS),
)  # fmt: skip


def fold(name: str) -> str:
    """The name of a column as it is compared: "Referral Code", "referral_code" and "referralCode" are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def fields_for(kind: str) -> list[Field]:
    """What a file of this kind may say."""
    return [one for one in FIELDS if kind in one.kinds]


@dataclass(frozen=True, slots=True)
class Guess:
    """How a file seems to be meant."""

    has_header: bool
    preset: str
    mapping: dict[str, int]


def guess(kind: str, first: Sequence[str]) -> Guess:
    """From the first row. Raises Refused `duplicate_column` when two columns that matter have one name."""
    if any("@" in cell for cell in first):
        at = next(number for number, cell in enumerate(first) if "@" in cell)
        return Guess(False, "", {"email": at})
    names = [fold(cell) for cell in first]
    preset = next((one for one in PRESETS if kind in one.kinds and one.tells <= set(names)), None)
    mapping: dict[str, int] = {}
    for number, name in enumerate(names):
        found = _field(kind, name, preset)
        if found is None:
            continue
        if name and names.count(name) > 1:
            message = _("Two columns are called %(name)s. Rename or remove one of them.")
            raise Refused("duplicate_column", message % {"name": first[number][:80]}, field="file")
        mapping.setdefault(found, number)
    return Guess(True, preset.slug if preset else "", mapping)


def _field(kind: str, name: str, preset: Preset | None) -> str | None:
    if preset is not None:
        if name in preset.ignored:
            return None
        if found := preset.columns.get(name):
            return found if kind in BY_NAME[found].kinds else None
    return next((one.name for one in fields_for(kind) if name in one.names), None)


def missing(kind: str, mapping: Mapping[str, int]) -> str:
    """What a file of this kind must say and does not, in words; "" when nothing is missing."""
    for one in fields_for(kind):
        if kind in one.required and one.name not in mapping:
            return _("Choose the column that has: %(field)s.") % {"field": one.label}
    if kind == "referrals" and not {"referrer_email", "referrer_code"} & set(mapping):
        return _("Choose the column that says who invited them, by address or by code.")
    if kind == "events" and not {"email", "customer_id"} & set(mapping):
        return _("Choose the column that says who did it, by address or by customer id.")
    return ""


def preset_label(slug: str) -> str:
    """The product's name; "" for a file of nobody's."""
    return next((one.label for one in PRESETS if one.slug == slug), "")
