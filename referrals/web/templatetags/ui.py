"""Template tags of the design system: money, times, people, icons and stages, as every page shows them.

Load with `{% load ui %}`. Locale is the active language; times are in the active time zone.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

import lucide
from babel.core import Locale, UnknownLocaleError
from babel.dates import format_timedelta
from babel.lists import format_list
from babel.numbers import format_decimal
from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, to_locale
from django.utils.translation import gettext_lazy as _

from campaigns.terms import Units
from referrals.lib import clock
from referrals.lib.money import Money

register = template.Library()

TINTS = 5

# A reward's status -> (stage of the pipeline, words on the tag). The stage names the colours: .c-<stage>, .tag--<stage>.
STAGES = {
    "review": ("review", _("In review")),
    "due": ("due", _("Due")),
    "queued": ("sending", _("Queued")),
    "sending": ("sending", _("Sending")),
    "issued": ("issued", _("Issued")),
    "held": ("review", _("On hold")),
    "waiting": ("due", _("Waiting for details")),
    "attention": ("problem", _("Needs attention")),
    "void": ("neutral", _("Declined")),
    "reversed": ("neutral", _("Taken back")),
}
CAMPAIGN_STAGES = {
    "draft": ("neutral", _("Draft")),
    "active": ("issued", _("Active")),
    "paused": ("due", _("Paused")),
    "ended": ("neutral", _("Ended")),
}


def _locale() -> str:
    """The active language as Babel spells it; English for one that Babel does not know."""
    name = to_locale(get_language() or "en")
    try:
        Locale.parse(name)
    except (ValueError, UnknownLocaleError):
        return "en"
    return name


@register.filter
def money(value: Money | Units | int | None, currency: str = "") -> str:
    """`{{ reward.worth|money }}` for a Money, `{{ minor|money:"USD" }}` for minor units: $15.00, ¥2,000; "1 free month" for units.

    Nothing for None.
    """
    if value is None:
        return ""
    if isinstance(value, Units):
        return str(value)
    amount = value if isinstance(value, Money) else Money(int(value), currency)
    return amount.format(_locale())


@register.filter
def monies(values: Iterable[Money] | None) -> str:
    """Sums of several currencies side by side, never added: "$30.00 and ¥2,000" (ARCHITECTURE.md, "Money")."""
    return listed([money(value) for value in values or ()])


def listed(texts: Sequence[str]) -> str:
    """Things side by side, as the active language lists them; nothing for none."""
    return format_list(texts, locale=_locale()) if texts else ""


@register.filter
def monies_more(values: Iterable[Money] | None) -> str:
    """All but the first of several sums, for the line under a big figure: "+ €15.00, ¥2,000"; else nothing."""
    texts = [money(value) for value in list(values or ())[1:]]
    return f"+ {', '.join(texts)}" if texts else ""


@register.filter
def number(value: int | None) -> str:
    """A count with the locale's separators: 1,204."""
    return "" if value is None else format_decimal(value, locale=_locale())


@register.filter
def moment(value: datetime | None) -> SafeString:
    """The exact time in the active zone, `<time datetime="…">18 Nov 2026, 09:12</time>`; nothing for None."""
    if value is None:
        return mark_safe("")
    return _time_tag(value, _exact(value), title="")


@register.filter
def day(value: datetime | None) -> SafeString:
    """The day in the active zone, `<time datetime="…" title="exact">18 Nov 2026</time>`; nothing for None."""
    if value is None:
        return mark_safe("")
    return _time_tag(value, date_format(timezone.localtime(value), "j M Y"), title=_exact(value))


@register.filter
def ago(value: datetime | None, now: datetime | None = None) -> SafeString:
    """How long ago (or in how long), with the exact time in `datetime` and `title`. Nothing for None."""
    if value is None:
        return mark_safe("")
    seconds = (value - (now or clock.now())).total_seconds()
    # To the unit that is shown, so that a long list asks Babel for few texts and not for one per row.
    unit = 1 if abs(seconds) < 60 else 60 if abs(seconds) < 3600 else 3600 if abs(seconds) < 86_400 else 86_400
    # What happens at this moment has happened: never "in 0 seconds".
    return _time_tag(value, _relative(round(seconds / unit) * unit or -1, _locale()), title=_exact(value))


@register.filter
def ago_really(value: datetime | None) -> SafeString:
    """As ago, by the real time also where a test clock runs: for log-ins, keys and further tries."""
    return ago(value, clock.wall())


@lru_cache(maxsize=2048)
def _relative(seconds: int, locale: str) -> str:
    return format_timedelta(timedelta(seconds=seconds), add_direction=True, locale=locale)


def _exact(value: datetime) -> str:
    local = timezone.localtime(value)
    return f"{_day_text(local.date(), get_language() or 'en')}, {local:%H:%M}"


@lru_cache(maxsize=2048)
def _day_text(value: date, language: str) -> str:
    """A day in the active language; `language` tells the cached ones apart."""
    return date_format(value, "j M Y")


def _time_tag(value: datetime, text: str, *, title: str) -> SafeString:
    iso = value.isoformat(timespec="seconds")
    if title:
        return format_html('<time datetime="{}" title="{}">{}</time>', iso, title, text)
    return format_html('<time datetime="{}">{}</time>', iso, text)


@register.filter
def masked(email: str) -> str:
    """An address that can be shown to another participant: m•••@example.com."""
    name, at, host = email.rpartition("@")
    return f"{name[:1]}•••@{host}" if at else "•••"


def initials(name: str) -> str:
    """At most two capitals of a name, one of an address: "Asha Verma" is AV, "maya@example.com" is M."""
    words = name.split("@")[0].split() if "@" in name else name.split()
    letters = [word[0] for word in words if word[0].isalnum()]
    picked = letters if len(letters) < 2 else [letters[0], letters[-1]]
    if "@" in name:
        picked = picked[:1]
    return "".join(picked).upper() or "?"


def tint(seed: str) -> int:
    """One of the five avatar tints, always the same for the same text (letter case apart)."""
    return zlib.crc32(seed.strip().lower().encode()) % TINTS + 1


@register.simple_tag
def avatar(name: str, email: str = "", size: str = "") -> SafeString:
    """`{% avatar person.name person.email size="lg" %}`: a decorative disc with initials; sizes "", "lg", "xl"."""
    css = f"ava ava--{tint(email or name)}" + (f" ava--{size}" if size else "")
    return format_html('<span class="{}" aria-hidden="true">{}</span>', css, initials(name or email))


@register.simple_tag
def merchant_mark(name: str, seed: str = "", small: bool = False) -> SafeString:
    """`{% merchant_mark merchant.name merchant.public_id %}`: the merchant's first letter on its colour."""
    css = f"brand__mark brand__mark--{tint(seed or name)}" + (" brand__mark--sm" if small else "")
    return format_html('<span class="{}" aria-hidden="true">{}</span>', css, initials(name)[:1])


# Icons that point along the line of reading; the style sheet turns them round on right-to-left pages.
_MIRRORED = frozenset({"arrow-left", "arrow-right", "chevron-left", "chevron-right", "log-out", "send", "undo-2"})


@lru_cache(maxsize=512)
def _svg(name: str, size: int, stroke: str) -> str:
    extra = {"class": "flip"} if name in _MIRRORED else {}
    return lucide._render_icon(name, size, stroke_width=stroke, aria_hidden="true", focusable="false", **extra)


@register.simple_tag
def icon(name: str, size: int = 16, stroke: str = "2") -> SafeString:
    """`{% icon "search" 15 %}`: a Lucide icon as inline SVG, hidden from screen readers.

    Unknown names raise lucide.IconDoesNotExist.
    """
    # the icon names come from our templates, the markup from the lucide package
    return mark_safe(_svg(str(name), size, str(stroke)))  # noqa: S308


@register.filter
def stage(status: str) -> str:
    """The pipeline's stage of a reward or campaign status, for .c-… and .tag--…: "queued" is "sending"."""
    return (STAGES.get(status) or CAMPAIGN_STAGES.get(status) or ("neutral", ""))[0]


@register.filter
def stage_label(status: str) -> str:
    """The words for a reward or campaign status: "attention" is "Needs attention"."""
    return str((STAGES.get(status) or CAMPAIGN_STAGES.get(status) or ("neutral", status))[1])


@register.simple_tag
def stage_tag(status: str) -> SafeString:
    """`{% stage_tag reward.status %}`: the coloured tag; the colour is never the only sign."""
    return format_html('<span class="tag tag--{}">{}</span>', stage(status), stage_label(status))


_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("FxiOS/", "Firefox"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Mac OS X", "macOS"),
    ("Windows", "Windows"),
    ("Linux", "Linux"),
)


@register.filter
def browser(user_agent: str) -> str:
    """A session's browser in words, for its owner to recognise: "Chrome, Linux"; what says nothing is unknown."""
    agent = user_agent or ""
    found = [next((name for mark, name in marks if mark in agent), None) for marks in (_BROWSERS, _SYSTEMS)]
    return ", ".join(name for name in found if name) or str(_("Unknown browser"))


@register.filter
def undo_url(message: Any) -> str:
    """The address in a message's `extra_tags="undo:/app/…"`: its toast gets an Undo button (a plain POST form)."""
    for part in (getattr(message, "extra_tags", "") or "").split():
        if part.startswith("undo:/") and not part.startswith("undo://"):  # our own site only
            return str(part.removeprefix("undo:"))
    return ""
