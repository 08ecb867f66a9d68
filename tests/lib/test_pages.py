"""Keyset pages: every row once, in both directions, whatever the ties; broken markers are refused."""

from __future__ import annotations

import base64
import json

import pytest

from referrals.events.models import Event
from referrals.lib.pages import PageError, keyset
from rewards.models import Reward
from tests.factories import Cast, make_campaign, make_reward

pytestmark = pytest.mark.django_db


@pytest.fixture
def rewards(alice: Cast) -> list[Reward]:
    """Seven rewards, three of them of one amount."""
    campaign = make_campaign(alice.tenant)
    made = [make_reward(campaign, f"r{n}@example.com", f"f{n}@example.net") for n in range(7)]
    for reward, minor in zip(made, [500, 100, 500, 900, 500, 100, 700], strict=True):
        Reward.objects.filter(pk=reward.pk).update(amount_minor=minor)
    return list(Reward.objects.order_by("pk"))


@pytest.mark.parametrize("sort", ["amount_minor", "-amount_minor", "stage_at", "-stage_at"])
def test_walking_forth_and_back_meets_every_row_once(rewards: list[Reward], sort: str) -> None:
    wanted = list(Reward.objects.order_by(sort, "-pk" if sort.startswith("-") else "pk").values_list("pk", flat=True))
    seen: list[int] = []
    back: list[int] = []
    cursor = ""
    while True:
        page = keyset(Reward.objects.all(), sort=sort, cursor=cursor, limit=2)
        seen += [row.pk for row in page.rows]
        if page.next is None:
            break
        cursor = page.next
    assert seen == wanted
    while page.previous is not None:
        page = keyset(Reward.objects.all(), sort=sort, cursor=page.previous, limit=2)
        back = [row.pk for row in page.rows] + back
    assert back == wanted[: len(back)]
    assert len(back) == 6
    assert page.previous is None


def _cursor(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    ["x", "é", "AAAA", _cursor(["x", 1, 1]), _cursor(["n", 1, -1]), _cursor(["n", 10**30, 1]), _cursor(["n", None, 1]), _cursor([]),
     _cursor(["n", {"t": "2026-01-01T00:00:00"}, 1]), _cursor(["n", "a\x00", 1]), _cursor({"a": 1})],
)  # fmt: skip
def test_a_damaged_marker_is_refused(db: None, cursor: str) -> None:
    with pytest.raises(PageError):
        keyset(Event.objects.all(), sort="id", cursor=cursor)


@pytest.mark.parametrize("sort", ["amount_minor", "-amount_minor", "stage_at", "-stage_at"])
def test_a_list_in_parts_is_walked_as_one(rewards: list[Reward], sort: str) -> None:
    """Two querysets without a row in common page like the one they make together."""
    pks = [reward.pk for reward in rewards]
    parts = [Reward.objects.filter(pk__in=pks[::2]), Reward.objects.filter(pk__in=pks[1::2])]
    wanted = list(Reward.objects.order_by(sort, "-pk" if sort.startswith("-") else "pk").values_list("pk", flat=True))

    page = keyset(parts, sort=sort, limit=3)
    pages = [page]
    while page.next is not None:
        page = keyset(parts, sort=sort, cursor=page.next, limit=3)
        pages.append(page)

    assert [row.pk for one in pages for row in one.rows] == wanted
    assert page.previous is not None
    back = keyset(parts, sort=sort, cursor=page.previous, limit=3)
    assert [row.pk for row in back.rows] == [row.pk for row in pages[-2].rows]


@pytest.mark.parametrize("sort", ["-created_at", "-id"])
@pytest.mark.parametrize(
    "value", ["abc", 5, {"t": "2026-01-01T00:00:00+00:00"}, True], ids=["text", "number", "time", "flag"]
)
def test_a_marker_of_another_list_is_refused_or_understood(db: None, sort: str, value: object) -> None:
    try:
        page = keyset(Event.objects.all(), sort=sort, cursor=_cursor(["n", value, 5]))
    except PageError:
        return
    assert list(page.rows) == []


def test_a_marker_nested_too_deeply_is_refused(db: None) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    with pytest.raises(PageError):
        keyset(Event.objects.all(), sort="id", cursor=deep)
