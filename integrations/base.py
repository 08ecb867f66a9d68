"""What a provider is to us: a company that tells of payments, in the words of this product (ARCHITECTURE.md, "The provider interface").

A `Source` is pure: it reads bytes and gives facts, without database or network. What it needs to ask its company is a `look_up`,
kept apart so that the network is never called inside a transaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from referrals.lib import clock, http
from referrals.lib.codes import BASE62
from referrals.lib.money import Money
from rewards.orders import Order, Outcome

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

Fact = Literal[
    "signup", "purchase", "action", "refund", "refund_back", "cancelled", "dispute", "dispute_won", "stopped", "resumed",
    # How far a sale has come (rewards.statuses).
    "pending", "qualified", "approved", "denied",
    # About the account there, not about a payment (integrations.account_facts).
    "uninstalled", "data_asked_for", "erase_person", "erase_account",
    # Something became of a payout: the company is asked what (integrations.payouts.told).
    "payout",
]  # fmt: skip
# A text, or one that is translated when it is shown.
Text: TypeAlias = "str | _StrPromise"
Secrets = Mapping[str, str]


class ProviderError(Exception):
    """The company did not do what was asked; `retry` says whether trying again can help."""

    def __init__(self, message: str, *, retry: bool) -> None:
        super().__init__(message)
        self.retry = retry


class PayloadError(ValueError):
    """A genuine message that has not the shape its type promises."""


class Ignored(Exception):
    """A genuine message with nothing to do. `code` is one of integrations.outcomes, `facts` fill in its sentence."""

    def __init__(self, code: str, /, **facts: Any) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts


@dataclass(frozen=True, slots=True)
class Code:
    """Something that may name a referrer: a referral code, a promotion code, or a promotion code's id, which has to be looked up."""

    text: str
    kind: Literal["code", "promotion", "promotion_id"] = "code"


@dataclass(frozen=True, slots=True)
class Signal:
    """One fact that a company told us.

    `external_id` is the company's name for the fact, `references` its other names for the same payment. `money` of a refund is the
    total taken back so far, because that stays right whatever gets lost, comes twice or in another order; `is_part` where the company
    tells each part by itself. `stopped` and `resumed` are of a subscription, named in `metadata`. `is_first` is None when the company
    does not say. `also` is the same sum in other currencies, as the company itself counted it: the campaign's currency chooses.
    `action` is whatever else a person did, named by `event` as a rule names it ("demo_booked"), with or without a sum. The four
    statuses say how far a sale has come; `qualified` and `approved` may come with what it is worth.
    `elsewhere` are names that other companies have for the payment, each as (provider's slug, its name there): two sources that tell of
    one payment count once.
    """

    fact: Fact
    external_id: str
    references: tuple[str, ...]
    occurred_at: datetime
    money: Money | None = None
    also: tuple[Money, ...] = ()
    email: str = ""
    name: str = ""
    codes: tuple[Code, ...] = ()
    customer_id: str = ""
    is_first: bool | None = None
    is_part: bool = False
    # When the person first bought there, as far as the company says.
    first_purchase_at: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    elsewhere: tuple[tuple[str, str], ...] = ()
    event: str = ""

    def at(self, moment: datetime) -> Signal:
        """The same at another time."""
        return replace(self, occurred_at=moment)

    def in_currency(self, currency: str) -> Signal:
        """The same with the sum that the company counted in this currency; itself when it counted none."""
        for sum_ in self.also:
            if sum_.currency == currency:
                return replace(self, money=sum_)
        return self


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it came over HTTP: the raw body, the headers (found in any case), and the query of the address."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Account:
    """What a connection knows of the merchant's account there: the secrets, and the settings, which are not secret.

    `send` is the way there: everything that is asked of the company goes through it, so that a stand-in can answer in test mode.
    """

    secrets: Secrets = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    send: http.Send = http.request
    # Whether it is of the test side: companies with a sandbox of its own have other addresses there.
    is_test: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message on its way to being read. `kind` is its event_type(), which not every company writes into the body."""

    payload: Mapping[str, Any]
    kind: str
    account: Account = field(default_factory=Account)
    # When it came; the time of what it tells, where the company gives none.
    received_at: datetime = field(default_factory=clock.now)


class Source(Protocol):
    """Reads what a company sends. Pure: no database, no network."""

    # The header whose value proves who sent it; it is stored masked. Empty for a company that signs nothing.
    signature_header: str

    def verify(self, delivery: Delivery, account: Account) -> None:
        """Return when the body is genuine and recent; raise SignatureError for everything else, whatever the input."""

    def event_id(self, payload: Mapping[str, Any], delivery: Delivery) -> str:
        """The company's own id of this message; raises PayloadError."""

    def event_type(self, payload: Mapping[str, Any], delivery: Delivery) -> str:
        """What the company calls this kind of message; raises PayloadError."""

    def is_test(self, payload: Mapping[str, Any]) -> bool | None:
        """Whether it comes from the company's test mode; None when the company does not say."""

    def parse(self, message: Message) -> list[Signal]:
        """The facts in it, at least one; raises Ignored when there are none for us, PayloadError when it can't be read."""


@dataclass(frozen=True, slots=True)
class SecretField:
    """One secret that a merchant pastes: how it is asked for, what it looks like, and how it shows which mode it belongs to."""

    name: str
    label: Text
    hint: Text
    pattern: str
    wrong: Text
    required: bool = True
    # False for what is asked for along with them and may be shown, such as the address of a shop.
    is_secret: bool = True
    # Not asked for when this other secret is there: the company then tells it by itself (Provider.listening).
    unless: str = ""
    live_prefixes: tuple[str, ...] = ()
    test_prefixes: tuple[str, ...] = ()
    # How a made-up one begins, for trying the connection without an account there; "*" stands for the rest where that is not the end.
    made_up: str = ""
    made_up_of: str = BASE62
    # What we make of it, when the merchant asks us to or the company has none: "" for never.
    made: Literal["", "key", "standard"] = ""

    def make_up(self, rest: str) -> str:
        """A made-up one, of letters and digits that are the caller's."""
        return self.made_up.replace("*", rest) if "*" in self.made_up else self.made_up + rest

    def matches(self, value: str) -> bool:
        """Whether the value looks like this secret."""
        return re.fullmatch(self.pattern, value, re.ASCII) is not None

    def mode(self, value: str) -> bool | None:
        """True for a test secret, False for a live one, None when it does not show."""
        if value.startswith(self.test_prefixes) and self.test_prefixes:
            return True
        return False if self.live_prefixes and value.startswith(self.live_prefixes) else None


SampleKind = Literal["payment", "renewal", "refund", "dispute", "lead", "cancellation"]


@dataclass(frozen=True, slots=True)
class Scene:
    """What a test message tells: who, how much, and which of this customer's payments.

    `series` is the same for all messages about one made-up customer, 12 small letters and digits that the company's ids are made of.
    `payment` counts that customer's payments from 0: it is the payment itself, or the one that a refund or a dispute is about. `at` is
    the real time. `code` may be empty.
    """

    kind: SampleKind
    series: str
    payment: int
    at: datetime
    email: str
    name: str
    money: Money
    code: str = ""


class Samples(Protocol):
    """The company's own messages, as we would get them from it in its test mode: real shape, real signature, made-up content."""

    # What of it this company has at all.
    kinds: tuple[SampleKind, ...]

    def delivery(self, scene: Scene, account: Account) -> Delivery:
        """The message of one of `kinds`, signed with the account's own secret. Pure."""


class Issuer(Protocol):
    """Delivers rewards through a company: network, but no database (RELIABILITY section 4).

    `key_life` is how long sending again with the same key is safe: None for ever, zero never.
    """

    key_life: timedelta | None

    def send(self, order: Order, account: Account) -> Outcome:
        """One call, made once, with the order's key. What it raises is taken as an unknown outcome, but for HttpError that was not sent."""

    def check(self, order: Order, account: Account) -> Outcome | None:
        """What the company knows of this key; None when it says that it does not know it. Raises when it can't be asked."""


class Installing(Protocol):
    """Connecting through the company's own page on which a merchant allows an app (OAuth). Nothing is stored here."""

    def is_possible(self, account: Account) -> bool:
        """Whether there is an app: the merchant's own, named in the account, or the installation's."""

    def address(self, account: Account, *, back: str, state: str) -> str:
        """The company's page for the account's shop; `state` comes back from there. Raises ProviderError."""

    def finish(self, account: Account, query: Mapping[str, str]) -> dict[str, str]:
        """The secrets, from what the merchant's browser brought back. Raises SignatureError when that is not genuine, ProviderError."""


@dataclass(frozen=True, slots=True)
class SettingField:
    """Something that a connection has to know and that is no secret. Values are texts; `choices` are (value, label)."""

    name: str
    label: Text
    hint: Text = ""
    default: str = ""
    choices: tuple[tuple[str, Text], ...] = ()
    required: bool = False
    # Several lines, such as a table.
    lines: bool = False
    limit: int = 200
    # A currency's code is checked against those we know.
    is_currency: bool = False
    # Two connections of one provider get different values of it, so that their ids don't meet.
    keeps_apart: bool = False
    # Under which heading it stands in the form.
    group: Text = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A payment as a company lists it: our key, its own id, the sum, what it says became of it, and when it was made.

    `key` is what Way.key_name makes of the payout's key, where the company is told something else than the key itself.
    """

    key: str
    reference: str
    money: Money
    state: Literal["paid", "sent", "failed"]
    at: datetime


# (account, since, until): every payment of ours that the company made since <= its time < until; raises ProviderError or HttpError.
Recent = Callable[[Account, datetime, datetime], Iterable[Found]]


def _never(settings: Mapping[str, Any]) -> bool:
    del settings
    return False


@dataclass(frozen=True, slots=True)
class Way:
    """One way in which a company delivers rewards; a payout's `method` is its name (at most 24 characters, unique among all companies).

    `summary` says what the recipient gets, how and when; `fee` what is known of the costs, in words. `kinds` are the rewards' kinds that
    it can deliver, `currencies` in which (empty: any), `destination` the kind of payout address that it needs ("one|other" for either,
    participants.destination_kinds; empty: the recipient's e-mail address will do). `issuer` is the dotted path of an Issuer object.
    """

    name: str
    label: Text
    summary: Text
    kinds: frozenset[str]
    issuer: str
    currencies: frozenset[str] = frozenset()
    destination: str = ""
    fee: Text = ""
    # Whether a batch waits until the merchant says that the money is at the company, by the connection's settings.
    waits_for_funds: Callable[[Mapping[str, Any]], bool] = _never
    # What the merchant does to bring the money there.
    funding: Text = ""
    # What is asked along with the method, such as a product or a message. `choices` is the dotted path of a function
    # (connection, field's name) -> ((value, label), ...), for fields whose choices the connection knows.
    options: tuple[SettingField, ...] = ()
    choices: str = ""
    # Dotted path of a function (connection, reward's amount, options) -> text: why this amount can't be delivered, "" when it can.
    obstacle: str = ""
    # For how long after a payment the company is still asked each day, because the money may come back.
    watch: timedelta = timedelta(0)
    # How many payouts of one batch, connection and currency leave in one call; above 1 the issuer is a shipping.Shipper, too.
    together: int = 1
    # Dotted path of a Recent, for companies that list what they paid.
    recent: str = ""
    # Dotted path of a function (payout's key) -> what the company knows it by, where that is not the key itself (Wise wants a UUID).
    key_name: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """Something that a company sells for rewards. `amounts` are minor units: those that there are when `is_fixed`, else the least and the
    most, none when it does not say. `ways` are the company's words for deliveries, none for any; `picture` an address of its own."""

    id: str
    name: str
    currency: str
    amounts: tuple[int, ...] = ()
    is_fixed: bool = False
    ways: tuple[str, ...] = ()
    picture: str = ""


Products = Callable[[Account], Iterable[Product]]


class SettingError(ValueError):
    """A setting that can't be: `field` names it, the text says what is wrong and what to write instead."""

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(message)
        self.field = field_name


@dataclass(frozen=True, slots=True)
class Preset:
    """An example of settings for one kind of sender, with a sample of what it sends. `about` says where its shape is documented."""

    slug: str
    label: Text
    about: Text
    settings: Mapping[str, str]
    sample: str
    source_url: str = ""


class App(Protocol):
    """The installation's app at a company, to whose own address messages about any merchant may come."""

    def account(self) -> Account | None:
        """What proves such a message; None where this installation has no app."""

    def whose(self, delivery: Delivery) -> str:
        """Whom it is about, by the provider's `install_field`; "" when it does not say."""


LookUp = Callable[[Sequence[Signal], Account], list[Signal]]
# Returns when the company says that it sent the message; raises SignatureError when it says no, ProviderError when it can't be asked.
Confirm = Callable[[Delivery, Account], None]


@dataclass(frozen=True, slots=True)
class Pulled:
    """A message as a company keeps it: id and type exactly as its Source reads them from a delivery, and the body in JSON.

    The same id is what tells that a message has arrived before, so it must never differ from the delivered one's.
    """

    event_id: str
    type: str
    body: bytes


# (account, since, until): what the company has to tell of since <= its time < until, in any order; raises ProviderError.
# Only types that the source makes something of. Called outside of transactions, and again with shorter spans where there is much.
Pull = Callable[[Account, datetime, datetime], Iterable[Pulled]]


@dataclass(frozen=True, slots=True)
class Provider:
    """A company, complete: pages, forms, choices and help derive from this, never from its slug."""

    slug: str
    label: Text
    summary: Text
    icon: str
    secrets: tuple[SecretField, ...]
    source: Source
    # The types of message to switch on at the company, and what each is for.
    events: tuple[tuple[str, Text], ...]
    steps: tuple[Text, ...]
    # How a payment there says who sent the payer, in the order in which it is looked for.
    matching: tuple[Text, ...]
    dashboard_url: str
    docs: str
    settings: tuple[SettingField, ...] = ()
    # Settings to go with made-up secrets, where there are none by themselves.
    made_up_settings: Mapping[str, str] = field(default_factory=dict)
    # Looks at all settings together; raises SettingError.
    check: Callable[[Mapping[str, str]], None] | None = None
    # Each type of message gets an address of its own, which names it: `?event=`.
    address_by_event: bool = False
    # The secret that stands in the address, because the company signs nothing: `?key=`.
    address_key: str = ""
    # What may be tried on a sample before it is saved, and examples of it.
    tries_samples: bool = False
    presets: tuple[Preset, ...] = ()
    # What its names for a payment look like among our references, for those who know it by {}.
    payment_names: tuple[str, ...] = ("{}",)
    # Dotted path of a LookUp, imported on first use: a company's package is large, and most messages need none of it.
    look_up: str = ""
    # Dotted path of a Pull, for companies that keep what they sent, and the names of the secrets without which it can't be asked.
    pull: str = ""
    # ("one|other" for either.)
    pull_needs: tuple[str, ...] = ()
    # How many days back it can be asked, when a merchant asks for more than the three of each night.
    pull_days: int = 3
    # Dotted path of the Samples, imported on first use: "send a test payment" on a connection of the test side.
    samples: str = ""
    # Dotted paths of what the company can keep for a merchant (integrations.remote): Promotions and Listening, made from an Account.
    promotions: str = ""
    # Whether such a code can be made for a coupon that the merchant has there already, and be for first orders only.
    has_coupons: bool = True
    listening: str = ""
    # The secrets with one of which that address is made, where the company signs with what it told before ("one|other").
    listening_needs: str = ""
    # Dotted path of an Installing, for companies with a page to allow an app on, and the field that says whose account it is.
    install: str = ""
    install_field: str = ""
    # Dotted path of an App, for companies that send some messages to an address of the app, for all of its merchants.
    app: str = ""
    # How a message is answered whose signature does not fit. Shopify wants 401 from apps of its store.
    refusal_status: int = 400
    # What merchants copy into their own pages and servers so that a payment names the code: what it is for, and the text, in which
    # @CAMPAIGN@ stands for the campaign's id, @HOST@ for the address of its scripts, and @LINK@ for its page.
    snippets: tuple[tuple[Text, str], ...] = ()
    # How it can deliver rewards.
    ways: tuple[Way, ...] = ()
    # Dotted path of a Products, for a company with a list to choose from (integrations.catalogue).
    products: str = ""
    # False for a company that tells of no payments: its messages are about payouts only.
    tells: bool = True
    # Dotted path of a Confirm, for a company whose signatures only it can check: asked before a message is read, outside of transactions.
    # The headers that it needs are kept as they came until then.
    confirm: str = ""
    confirm_headers: tuple[str, ...] = ()
    # How to get the key that lets us make the address for messages, and which rights it has to have.
    key_steps: tuple[Text, ...] = ()
    # Its label in the middle of a sentence, where that is not a company's name.
    mid_label: Text = ""

    @property
    def inline(self) -> Text:
        """What it is called in the middle of a sentence."""
        return self.mid_label or self.label
