"""Lists of codes: made, filled from a file or from what was pasted, watched, and closed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, F, Q, QuerySet
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.lib.tables import read_table, rows_of
from rewards.coupon_models import CouponCode, CouponList
from rewards.orders import Gift

MOST_BYTES = 4 * 1024 * 1024
MOST_CODES = 20_000
LONGEST, LONGEST_URL = 120, 500
_CHUNK = 1000
_SALT = "rewards.coupons.code"
# The names of columns, without what is between the words, to what they hold.
_NAMES = {
    "code": ("code", "couponcode", "coupon", "discountcode", "vouchercode", "voucher", "giftcard", "number"),
    "pin": ("pin", "securitycode"),
    "url": ("url", "link"),
}
_URL = re.compile(r"https://[^\s/?#]+([/?#]\S*)?")


@dataclass(frozen=True, slots=True)
class Stock:
    """How many codes of a list there are, how many were given, and how many can be given now."""

    all: int
    used: int
    left: int
    # Left over when the list's time was up: they are given no more.
    expired: int


@dataclass(slots=True)
class Added:
    """What filling a list came to: how many codes are new, and the lines that are not, with the reason."""

    added: int = 0
    wrong: list[tuple[int, str]] = field(default_factory=list)


def open_lists(tenant: Tenant) -> QuerySet[CouponList]:
    """The lists from which codes may be given, by name."""
    return CouponList.objects.for_tenant(tenant).filter(closed_at=None).order_by("name", "pk")


def make_list(
    *, tenant: Tenant, actor: Actor, name: str, worth: Money, expires_at: datetime | None = None, low_at: int = 20
) -> CouponList:
    """A new, empty list. Refused: name_taken (409), too_long, blank, amount_not_positive, in_the_past."""
    name = _checked_name(name)
    if worth.minor <= 0:
        raise Refused("amount_not_positive", _("A code has to be worth something."), field="worth")
    _check_end(expires_at)
    with transaction.atomic():
        try:
            with transaction.atomic():
                row = CouponList.objects.create(
                    merchant=tenant.merchant,
                    is_test=tenant.is_test,
                    name=name,
                    worth_minor=worth.minor,
                    currency=worth.currency,
                    expires_at=expires_at,
                    low_at=low_at,
                    created_by=actor.label,
                )
        except IntegrityError:
            raise _name_taken() from None
        _tell(row, actor, "made")
    return row


def change_list(*, coupons: CouponList, actor: Actor, name: str, expires_at: datetime | None, low_at: int) -> None:
    """Another name, end or alarm. What a code is worth stays. Refused: name_taken (409), too_long, blank, in_the_past."""
    name = _checked_name(name)
    if expires_at != coupons.expires_at:
        _check_end(expires_at)
    with transaction.atomic():
        try:
            with transaction.atomic():
                CouponList.objects.filter(pk=coupons.pk).update(name=name, expires_at=expires_at, low_at=low_at)
        except IntegrityError:
            raise _name_taken() from None
        coupons.refresh_from_db()
        rearm(coupons)
        _tell(coupons, actor, "changed")


def close_list(*, coupons: CouponList, actor: Actor) -> int:
    """No code of it is given any more, and those that are left are forgotten. Returns how many; 0 when it was closed before."""
    with transaction.atomic():
        if not CouponList.objects.filter(pk=coupons.pk, closed_at=None).update(closed_at=clock.now()):
            return 0
        left, _each = CouponCode.objects.filter(list=coupons, payout=None).delete()
        coupons.refresh_from_db()
        _tell(coupons, actor, "closed", count=left)
    return left


def add_codes(*, coupons: CouponList, data: bytes, actor: Actor) -> Added:
    """Fill a list from a file or what was pasted: one code in a line, or a table with the columns code, pin and url.

    Lines with what is there already, twice in the file or in this business, or can't be a code are named and left out. Refused:
    invalid_state (409) for a closed or expired list, file_empty, file_too_large, file_unreadable, too_many_rows.
    """
    if len(data) > MOST_BYTES:
        raise Refused("file_too_large", _("That is more than 4 MB. Split it."), field="file")
    found, done = _read(data), Added()
    with transaction.atomic():
        row = CouponList.objects.select_for_update(no_key=True).select_related("merchant").get(pk=coupons.pk)
        if row.closed_at is not None or row.is_expired:
            raise Refused("invalid_state", _("This list is closed, or its codes have expired."), status=409)
        seen: dict[str, int] = {}
        for start in range(0, len(found), _CHUNK):
            _add(row, found[start : start + _CHUNK], seen, done)
        if done.added:
            rearm(row)
            _tell(row, actor, "filled", count=done.added)
    done.wrong.sort()
    return done


def _add(row: CouponList, part: Sequence[tuple[int, Gift | str]], seen: dict[str, int], done: Added) -> None:
    """Insert what is new of some lines; whose code is there already is named."""
    new: dict[str, tuple[int, Gift]] = {}
    for line, gift in part:
        if isinstance(gift, str):
            done.wrong.append((line, gift))
            continue
        mark = fingerprint(row.tenant, gift)
        if mark in seen:
            done.wrong.append((line, _("It stands in line %(line)d already.") % {"line": seen[mark]}))
        else:
            seen[mark] = line
            new[mark] = (line, gift)
    known = _known(row.tenant, new)
    done.wrong += [
        (new.pop(mark)[0], _("This code was added before, to “%(list)s”.") % {"list": name})
        for mark, name in known.items()
    ]
    CouponCode.objects.bulk_create([_code(row, mark, gift) for mark, (_line, gift) in new.items()])
    done.added += len(new)


def _code(row: CouponList, mark: str, gift: Gift) -> CouponCode:
    made = CouponCode(merchant_id=row.merchant_id, is_test=row.is_test, list=row, fingerprint=mark, hint=gift.hint)
    made.secrets = {"code": gift.code, "url": gift.url, "pin": gift.pin}
    return made


def _known(tenant: Tenant, new: dict[str, tuple[int, Gift]]) -> dict[str, str]:
    """Of these codes those that the business has on this side, with the name of their list; also under a former SECRET_KEY."""
    names = {mark: mark for mark in new}
    for key in settings.SECRET_KEY_FALLBACKS:
        names |= {fingerprint(tenant, gift, key): mark for mark, (_line, gift) in new.items()}
    rows = CouponCode.objects.for_tenant(tenant).filter(fingerprint__in=names)
    return {names[mark]: name for mark, name in rows.values_list("fingerprint", "list__name")}


def _read(data: bytes) -> list[tuple[int, Gift | str]]:
    """(line, the code, or why there is none). Raises Refused as add_codes()."""
    if not data.strip():
        raise Refused("file_empty", _("There is no code in it."), field="file")
    columns: tuple[str, ...] = ()
    found: list[tuple[int, Gift | str]] = []
    for number, (line, cells) in enumerate(rows_of(read_table(data, western=True))):
        if number == 0:
            columns = _columns(cells)
            if columns:
                continue
        if len(found) >= MOST_CODES:
            raise Refused("too_many_rows", _("That is more than 20,000 codes. Split the list."), field="file")
        found.append((line, _gift(dict(zip(columns or ("code",), cells, strict=False)))))
    if not found:
        raise Refused("file_empty", _("There is no code in it."), field="file")
    return found


def _columns(cells: Sequence[str]) -> tuple[str, ...]:
    names = [re.sub(r"[\W_]", "", cell).casefold() for cell in cells]
    found = tuple(next((key for key, known in _NAMES.items() if name in known), "") for name in names)
    return found if "code" in found or "url" in found else ()


def _gift(values: dict[str, str]) -> Gift | str:
    code, pin, url = (values.get(name, "") for name in ("code", "pin", "url"))
    if not code and not url:
        return _("The line has no code.")
    if len(code) > LONGEST or len(pin) > LONGEST or len(url) > LONGEST_URL:
        return _("A code has at most 120 characters, a link 500.")
    if not all(map(_is_plain, code + pin + url)):
        return _("It has characters that no code has.")
    if url and not _URL.fullmatch(url):
        return _("A link begins with https://, and has no spaces.")
    return Gift(code, url, pin)


def _is_plain(char: str) -> bool:
    """Whether people see it as they type it: no control, no line's end, and nothing invisible, such as what begins a file of Windows."""
    return char == " " or unicodedata.category(char)[0] not in "CZ"


def fingerprint(tenant: Tenant, gift: Gift, key: str | None = None) -> str:
    """The same for one code at one side of one merchant; it says nothing without the installation's SECRET_KEY."""
    text = f"{tenant.merchant.pk}:{int(tenant.is_test)}:{gift.code or gift.url}"
    return salted_hmac(_SALT, text, secret=key, algorithm="sha256").hexdigest()


def stock_of(lists: Collection[CouponList]) -> dict[int, Stock]:
    """The stock of each list by primary key. One query."""
    rows = CouponCode.objects.filter(list__in=[row.pk for row in lists]).values("list").order_by()
    counts = {
        row["list"]: (row["all"], row["used"])
        for row in rows.annotate(all=Count("pk"), used=Count("pk", filter=Q(payout__isnull=False)))
    }
    found = {}
    for row in lists:
        count, used = counts.get(row.pk, (0, 0))
        left = 0 if row.is_expired or row.closed_at else count - used
        found[row.pk] = Stock(count, used, left, count - used - left)
    return found


def low_lists(tenant: Tenant | None = None) -> list[tuple[CouponList, int]]:
    """(list, how many are left) of the open lists of a side, or of all, that are at their alarm or below it; not of those that were never
    filled. One query."""
    rows = CouponList.objects.for_tenant(tenant) if tenant else CouponList.objects.all()
    rows = rows.filter(closed_at=None).filter(Q(expires_at=None) | Q(expires_at__gt=clock.now()))
    counted = rows.annotate(all=Count("codes"), left=Count("codes", filter=Q(codes__payout=None)))
    low = counted.filter(all__gt=0, left__lte=F("low_at"))
    return [(row, row.left) for row in low.select_related("merchant").order_by("pk")]


def rearm(coupons: CouponList) -> None:
    """Once there are enough codes again the team may be told anew that they run low."""
    if coupons.alerted_at is not None and stock_of([coupons])[coupons.pk].left > coupons.low_at:
        CouponList.objects.filter(pk=coupons.pk).update(alerted_at=None)


def _checked_name(name: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise Refused("blank", _("Give the list a name."), field="name")
    if len(name) > 80:
        raise Refused("too_long", _("A name has at most 80 characters."), field="name")
    return name


def _check_end(moment: datetime | None) -> None:
    if moment is not None and moment <= clock.now():
        raise Refused("in_the_past", _("That day is over. Choose a later one."), field="expires_at")


def _name_taken() -> Refused:
    return Refused("name_taken", _("Another list has this name."), field="name", status=409)


def _tell(row: CouponList, actor: Actor, what: str, *, count: int = 0) -> None:
    data = {"what": what, "name": row.name, "count": count}
    record(row.tenant, actor, Happening(types.COUPONS_CHANGED, "coupon_list", row.public_id, data=data))
