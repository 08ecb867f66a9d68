"""The demo's payouts: on the live side codes of a list, a file with its results and the merchant's limits, none of which asks a company;
on the test side, at stand-ins, a batch in each of the states in which somebody has to do something."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from campaigns import services as campaigns
from campaigns.models import Campaign
from campaigns.terms import Fixed, Percent, RuleTerms
from integrations import issuing, methods, payouts
from integrations.models import Connection
from integrations.services import connect
from integrations.trying import make_up_secrets
from participants import destinations
from participants.models import Participant
from referrals.accounts.models import Membership, Role, User
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.codes import random_text
from referrals.lib.money import Money
from referrals.web.demo.issuing import join
from rewards import payout_guards, services
from rewards.coupons import lists
from rewards.files import returned
from rewards.files.formats import FORMATS
from rewards.models import Payout, PayoutBatch, Reward, State
from rewards.payouts import COUPONS

STORE = Actor("system", "", "Demo shop")
# Who looks over the owner's shoulder. Nobody knows the password; a team of two is what a second person needs.
COLLEAGUE = ("mikkel@halden.example", "Mikkel Dahl")
RULES = (
    RuleTerms(
        key="", side="referrer", trigger="first_event", amount=Percent(Decimal(10)), review_days=0, delivery="weekly"
    ),
    RuleTerms(
        key="",
        side="invitee",
        trigger="first_event",
        amount=Fixed(Money(500, "USD")),
        kind="store_credit",
        review_days=0,
        delivery="immediate",
    ),
)
# Who is owed how much, in cents, and whether they have said where to be paid. The amounts are those of docs/test-mode.md.
PAYPAL = (("Nadia", "Rossi", 4200, True), ("Omar", "Haddad", 3150, True), ("Pia", "Lund", 2680, True))
NOWHERE = (("Quentin", "Moreau", 3900, False), ("Rosa", "Keller", 1750, False))
LARGE = (("Sami", "Korhonen", 32000, False), ("Thea", "Berg", 28500, False))
# Paid; it takes days; nobody has that address; another amount was paid than was asked for.
MIXED = (
    ("Uma", "Iyer", 3400, False),
    ("Viktor", "Hahn", 1980, False),
    ("Wanda", "Nowak", 6601, False),
    ("Xenia", "Popov", 6611, False),
    ("Yusuf", "Demir", 6631, False),
)
OWED = (*PAYPAL, *NOWHERE, *LARGE, *MIXED)


def invite_colleague(tenant: Tenant) -> Actor:
    """A manager beside the owner."""
    user = User.objects.create_user(COLLEAGUE[0], name=COLLEAGUE[1])
    Membership.objects.create(merchant=tenant.merchant, user=user, role=Role.MANAGER)
    return Actor("user", str(user.pk), user.email)


def tell_live(tenant: Tenant, owner: Actor, colleague: Actor, end: datetime) -> None:
    """Limits, two lists of codes of which one runs low, and a PayPal file of which most lines have come back."""
    with transaction.atomic(), clock.at(end - timedelta(days=20)):
        # A day's limits go by the real clock, for which the ninety days of the story are one day: far above all of it.
        limits = {"a_day_minor": 2000000, "a_person_a_day_minor": 100000, "second_person_above_minor": 100000}
        payout_guards.set_limits(tenant=tenant, actor=owner, currency="USD", limits=limits)
        autumn = lists.make_list(
            tenant=tenant,
            actor=owner,
            name="First bag, $15 off",
            worth=Money(1500, "USD"),
            expires_at=end + timedelta(days=45),
        )
        lists.add_codes(coupons=autumn, data=_codes("BAG", 21), actor=owner)
        tin = lists.make_list(tenant=tenant, actor=owner, name="Birthday tin", worth=Money(1200, "USD"))
        lists.add_codes(coupons=tin, data=_codes("TIN", 60), actor=owner)
    with clock.at(end - timedelta(days=2)):
        issuing.set_route(tenant=tenant, actor=owner, side="referrer", kind="cash", method="paypal_file", options={})
    due = Reward.objects.for_tenant(tenant).due().order_by("stage_at", "pk")
    with transaction.atomic(), clock.at(end - timedelta(hours=6)):
        bags = due.filter(kind="coupon", amount_minor=1500, currency="USD", participant__banned_at=None)[:9]
        if bags:
            _issue(tenant, owner, COUPONS, _keys(bags), {"list": autumn.public_id})
    with transaction.atomic(), clock.at(end - timedelta(hours=4)):
        cash = due.filter(kind="cash", currency="EUR", participant__banned_at=None)[:6]
        if cash:
            batch = _issue(tenant, colleague, "paypal_file", _keys(cash), note="November, Kaffeevenner")
            returned.take_file(batch=batch, name="paypal-results.csv", data=_results(batch), actor=colleague)


def _results(batch: PayoutBatch) -> bytes:
    """What came back: all but the last line, the one before it failed, and a line of another file."""
    mark = FORMATS["paypal_file"].mark
    rows = ["payout_id,status,message"]
    open_ = list(batch.payouts.filter(status="sending").order_by("pk").values_list("public_id", flat=True))
    rows += [f"{mark(name)},paid," for name in open_[:-2]]
    rows += [f"{mark(name)},failed,The account can't receive payments." for name in open_[-2:-1]]
    return "\n".join([*rows, "ofanotherfile00000,paid,"]).encode()


def tell_test(tenant: Tenant, owner: Actor, colleague: Actor, end: datetime) -> None:
    """Payouts that wait for money, for a second person, for their recipient, and for somebody's word; and ways of paying by itself."""
    with transaction.atomic():
        with clock.at(end - timedelta(days=3)):
            campaign = campaigns.create_campaign(
                tenant=tenant,
                actor=owner,
                name="Partners to pay",
                currency="USD",
                preset_key="refer_a_friend_double",
                rules=RULES,
            )
            campaign = campaigns.launch(campaign=campaign, actor=owner)
        with clock.at(end - timedelta(hours=9)):
            people = {one[0]: _earn(campaign, *one) for one in OWED}
    with clock.at(end - timedelta(hours=3)):
        limits = {"second_person_above_minor": 50000}
        payout_guards.set_limits(tenant=tenant, actor=owner, currency="USD", limits=limits)
        paypal = _company(tenant, owner, "paypal", "PayPal to try")
        tremendous = Connection.objects.for_tenant(tenant).filter(provider="tremendous", removed_at=None).first()
        tremendous = tremendous or _company(tenant, owner, "tremendous", "Tremendous to try")
        routed = f"paypal:{paypal.public_id}"
        issuing.set_route(tenant=tenant, actor=owner, side="referrer", kind="cash", method=routed, options={})
        issuing.set_route(tenant=tenant, actor=owner, side="referrer", kind="gift_card", method="csv_file", options={})
        given = f"tremendous:{tremendous.public_id}"
    with clock.at(end):
        mixed = _issue(tenant, owner, given, _owed(people, MIXED), note="Try-out of Tremendous")
    # The stand-in is asked as a worker would, outside of any transaction.
    for key in Payout.objects.filter(batch=mixed).order_by("pk").values_list("pk", flat=True):
        payouts.work(key)
    with clock.at(end - timedelta(hours=2)):
        _issue(tenant, owner, routed, _owed(people, PAYPAL + NOWHERE), note="Partners, third week")
        _issue(tenant, colleague, given, _owed(people, LARGE), note="Two large ones")


def _company(tenant: Tenant, owner: Actor, provider: str, label: str) -> Connection:
    begun = connect(tenant=tenant, actor=owner, provider=provider, label=label)
    return make_up_secrets(connection=begun, actor=owner)


def _earn(campaign: Campaign, first: str, last: str, minor: int, has_address: bool) -> Participant:
    """Somebody who is owed so much for one friend's purchase, with a payout address when they have one."""
    person = join(campaign, first, last, f"{first}.{last}@example.com")
    friend = join(campaign, "Friend", f"of {first}", f"of.{first}@example.net", person.referral_code)
    services.qualify(
        participant=friend,
        actor=STORE,
        source="api",
        amount=Money(minor * 10, "USD"),
        external_id=f"pay-{campaign.public_id}-{first.lower()}",
    )
    if has_address:
        actor = Actor("participant", "", person.email)
        asked = destinations.ask(participant=person, actor=actor, email=person.email)
        destinations.confirm(token=destinations.confirm_token(asked), actor=actor)
    return person


def _owed(people: Mapping[str, Participant], names: Collection[tuple[str, str, int, bool]]) -> list[int]:
    owed = [people[first].pk for first, *_rest in names]
    return _keys(Reward.objects.filter(participant__in=owed, side="referrer", state=State.DUE).order_by("pk"))


def _keys(rows: Collection[Reward]) -> list[int]:
    return [row.pk for row in rows]


def _issue(
    tenant: Tenant,
    actor: Actor,
    method: str,
    keys: list[int],
    chosen: Mapping[str, str] | None = None,
    note: str = "",
) -> PayoutBatch:
    batch, _made = methods.issue(
        methods.find(tenant, method),
        tenant=tenant,
        reward_ids=keys,
        actor=actor,
        key=f"demo-{random_text(16)}",
        note=note,
        chosen=chosen,
    )
    return batch


def _codes(prefix: str, count: int) -> bytes:
    return "\n".join(f"{prefix}-{random_text(8)}" for _ in range(count)).encode()
