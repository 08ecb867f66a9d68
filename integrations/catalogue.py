"""The products that a company sells to a merchant for rewards: fetched once a week or when somebody asks, kept in a table, and looked at
before anything is ordered (seed 003, "Retrieve products").

Pictures are fetched by us, decoded and written anew, because our pages load nothing from anywhere else (CSP).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext as _

from campaigns.images import read_image
from integrations import registry
from integrations.accounts import account_of
from integrations.base import Product, ProviderError
from integrations.models import Catalogue, CatalogueProduct, Connection
from integrations.sandbox.sending import send_for
from integrations.services import is_ready
from referrals.accounts import clocks
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.http import HttpError, Send
from referrals.lib.money import Money
from referrals.lib.queue import enqueue

# How long a list is good without being asked for again, how long a worker may take, and the pauses after a failure.
WEEK, LEASE = timedelta(days=7), timedelta(minutes=5)
BACK_OFF = (timedelta(minutes=5), timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
SECONDS = 40.0
JOB = "integrations.catalogue.fetch"
_FIELDS = ["name", "currency", "amounts", "is_fixed", "ways", "picture_url"]
_CACHE = "_catalogue_products"
logger = logging.getLogger(__name__)


def sweep() -> int:
    """For the schedule: fetch the lists that are due, and those of new connections. Returns how many."""
    slugs = [kind.slug for kind in registry.every() if kind.products]
    new = Connection.objects.filter(provider__in=slugs, removed_at=None, catalogue=None).order_by("-pk")[:500]
    for row in new:
        if is_ready(row):
            Catalogue.objects.get_or_create(
                connection=row, defaults={"merchant_id": row.merchant_id, "is_test": row.is_test}
            )
    due = Catalogue.objects.filter(due_at__lte=clock.wall(), connection__removed_at=None)
    end, done = time.monotonic() + SECONDS, 0
    for pk in due.order_by("due_at", "pk").values_list("connection", flat=True)[:100]:
        if time.monotonic() > end:
            break
        done += fetch(pk)
    return done


def refresh(connection: Connection) -> None:
    """Somebody asks: the list is fetched now. Refused 409 for a connection that is not finished."""
    if connection.removed_at is not None or not is_ready(connection):
        raise Refused(
            "invalid_state", _("Finish the connection first: its products are asked for with its secrets."), status=409
        )
    with transaction.atomic():
        row, _made = Catalogue.objects.get_or_create(
            connection=connection, defaults={"merchant_id": connection.merchant_id, "is_test": connection.is_test}
        )
        Catalogue.objects.filter(pk=row.pk).update(due_at=clock.wall(), attempts=0)
        CatalogueProduct.objects.filter(connection=connection, picture=None).update(looked_at=None)
        enqueue(JOB, connection.pk)


def fetch(connection_id: int) -> bool:
    """Fetch one list, if it is due; False when it is not, or when another worker has it."""
    row = Catalogue.objects.select_related("connection__merchant").filter(connection=connection_id).first()
    now = clock.wall()
    if row is None or row.due_at is None or row.due_at > now or row.connection.removed_at is not None:
        return False
    mine = Catalogue.objects.filter(pk=row.pk, due_at=row.due_at)
    if not mine.update(due_at=now + LEASE, attempts=F("attempts") + 1):
        return False
    row.attempts += 1
    try:
        with clocks.running(row.connection.tenant):
            _fetch(row, now)
    except (ProviderError, HttpError) as error:
        _failed(row, str(error))
    except Exception:
        logger.exception("the products of %s could not be fetched", row.connection.public_id)
        _failed(row, _("Something went wrong here; the log of this installation says what."))
    return True


def _fetch(row: Catalogue, now: datetime) -> None:
    connection = row.connection
    found = registry.products(connection.provider)
    products = list({one.id: one for one in found(account_of(connection))}.values()) if found else []
    with transaction.atomic():
        _keep(connection, products)
        Catalogue.objects.filter(pk=row.pk).update(fetched_at=now, due_at=now + WEEK, attempts=0, error="")
    _pictures(connection, send_for(connection))


def _failed(row: Catalogue, message: str) -> None:
    wait = BACK_OFF[min(row.attempts, len(BACK_OFF)) - 1]
    Catalogue.objects.filter(pk=row.pk).update(due_at=clock.wall() + wait, error=message[:300])


def _keep(connection: Connection, products: Sequence[Product]) -> None:
    """What is there now, and nothing that is not any more. A picture at another address is looked at anew."""
    mine = CatalogueProduct.objects.filter(connection=connection)
    mine.exclude(product__in=[one.id for one in products]).delete()
    before = dict(mine.values_list("product", "picture_url"))
    rows = [
        CatalogueProduct(
            merchant_id=connection.merchant_id, is_test=connection.is_test, connection=connection, product=one.id,
            name=one.name, currency=one.currency, amounts=list(one.amounts), is_fixed=one.is_fixed, ways=list(one.ways),
            picture_url=_address(one.picture),
        )
        for one in products
    ]  # fmt: skip
    moved = [row.product for row in rows if before.get(row.product, row.picture_url) != row.picture_url]
    CatalogueProduct.objects.bulk_create(
        rows, batch_size=500, update_conflicts=True, unique_fields=["connection", "product"], update_fields=_FIELDS
    )
    mine.filter(product__in=moved).update(picture=None, digest="", looked_at=None)


def _address(url: str) -> str:
    """An address that may be asked for a picture; "" for none."""
    try:
        is_plain = urlsplit(url).port in {None, 443} and url.startswith("https://")
    except ValueError:
        return ""
    return url if is_plain and len(url) <= 500 and url.isascii() and url.isprintable() else ""


def _pictures(connection: Connection, send: Send) -> None:
    """Fetch the pictures that were never looked at, as many as the time allows; the next run goes on."""
    waiting = CatalogueProduct.objects.filter(connection=connection, looked_at=None).exclude(picture_url="")
    end = time.monotonic() + SECONDS
    for row in waiting.order_by("name", "pk").defer("picture"):
        if time.monotonic() > end:
            Catalogue.objects.filter(connection=connection).update(due_at=clock.wall())
            return
        picture = _picture(row.picture_url, send)
        changes = {"picture": picture[0], "digest": picture[1]} if picture else {}
        CatalogueProduct.objects.filter(pk=row.pk).update(looked_at=clock.wall(), **changes)


def _picture(url: str, send: Send) -> tuple[bytes, str] | None:
    """The picture as we write it, and its hash; None for what can't be had or is none: the page then draws something neutral."""
    if not _address(url):
        return None
    try:
        answer = send("GET", url, headers={"Accept": "image/png, image/jpeg, image/webp"})
        if answer.status != 200:
            return None
        made = read_image(answer.body, "product")
    except (HttpError, Refused):
        return None
    return made.content, made.digest


# --- choosing ---


def products_of(connection: Connection) -> dict[str, CatalogueProduct]:
    """The connection's products by the company's ids, without their pictures; asked for once for each connection that was read."""
    kept: dict[str, CatalogueProduct] | None = vars(connection).get(_CACHE)
    if kept is None:
        rows = CatalogueProduct.objects.filter(connection=connection).order_by("name", "pk").defer("picture")
        kept = {row.product: row for row in rows}
        vars(connection)[_CACHE] = kept
    return kept


def choices(connection: Connection, *ways: str) -> tuple[tuple[str, str], ...]:
    """(id, name and sums) of the products that are delivered in one of these ways."""
    return tuple(
        (row.product, f"{row.name} · {sums_in_words(row)}" if row.amounts else row.name)
        for row in products_of(connection).values()
        if not row.ways or set(ways) & set(row.ways)
    )


def sums_in_words(row: CatalogueProduct) -> str:
    """ "$10.00, $25.00, $50.00", or "$5.00 to $500.00"."""
    sums = [money.format() for money in row.sums]
    if row.is_fixed or len(sums) < 2:
        return ", ".join(sums)
    return _("%(least)s to %(most)s") % {"least": sums[0], "most": sums[-1]}


def obstacle(connection: Connection, amount: Money, product: str, way: str) -> str:
    """Why an amount can't be had as this product in this way, in words; "" when it can, and when no product is chosen yet."""
    if not product:
        return ""
    row = products_of(connection).get(product)
    if row is None:
        return _("%(product)s is not among the products. Fetch them anew, or choose another one.") % {
            "product": product[:60]
        }
    if row.ways and way not in row.ways:
        return _("%(product)s is not delivered like this.") % {"product": row.name}
    if row.currency != amount.currency:
        return _("%(product)s comes in %(currency)s only.") % {"product": row.name, "currency": row.currency}
    if not row.amounts or _is_had(row, amount.minor):
        return ""
    words = {"product": row.name, "sums": sums_in_words(row), "amount": amount.format()}
    return _("%(product)s comes as %(sums)s, and not as %(amount)s.") % words


def _is_had(row: CatalogueProduct, minor: int) -> bool:
    return minor in row.amounts if row.is_fixed else row.amounts[0] <= minor <= row.amounts[-1]


def state_of(connection: Connection) -> Catalogue | None:
    """How the connection's list is doing; None when it was never asked for."""
    return Catalogue.objects.filter(connection=connection).first()


def search(connection: Connection, text: str) -> QuerySet[CatalogueProduct]:
    """The products whose name or id has the text in it, without their pictures."""
    rows = CatalogueProduct.objects.for_tenant(connection.tenant).filter(connection=connection).defer("picture")
    return rows.filter(Q(name__icontains=text) | Q(product__icontains=text)) if text else rows
