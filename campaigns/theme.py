"""A campaign's colours: four values derived from the one a merchant picks, readable whatever it is (UX.md, 4.2).

Pure functions; contrast is WCAG 2's. The values are served as a small style sheet of the campaign's own, because the pages allow
no inline style (LIBRARIES.md, 1.4).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

from campaigns.models import Campaign

READABLE = 4.5  # text of any size, WCAG 2.2 AA
NEARLY = 3.0  # from here on a colour is darkened a little for white text rather than given dark text
INK = "#1c1917"  # the pages' own dark
WHITE = "#ffffff"
FALLBACK = "#0a6470"
_SHEET = 4  # counts changes of stylesheet(), so that cached sheets are asked for anew

DRAWN = 3.0  # bars, marks and boxes against what is next to them, WCAG 2.2 AA (1.4.11)
# Grounds of static/css/hosted.css: --paper, and --line, on which bars are drawn, each on light and dark pages.
PAPER = {"light": "#ffffff", "dark": "#211c19"}
TRACK = {"light": "#e9e4e0", "dark": "#38302b"}

_Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Palette:
    """`brand` for surfaces, `on_brand` for text on it, `deep` for text on white or on `soft`, `soft` a tint; `#rrggbb` each.

    The `_dark` pair stands in for `deep` and `soft` on dark pages; `figure` is for large text in the brand's colour on white.
    """

    brand: str
    on_brand: str
    deep: str
    soft: str
    figure: str
    deep_dark: str
    soft_dark: str
    # Bars and ticked boxes, on light and on dark pages.
    mark: str
    mark_dark: str


@dataclass(frozen=True, slots=True)
class Check:
    """One place where a colour stands: "text" (white text on it), "light" or "dark" (drawn on such a page). `nearest` is the nearest
    colour that passes there."""

    place: str
    ratio: float
    needed: float
    nearest: str

    @property
    def passes(self) -> bool:
        """Whether the colour can be used there as it is."""
        return self.ratio >= self.needed


def checks(color: str) -> list[Check]:
    """How a colour (`#rrggbb`) does against WCAG AA where the pages use it. What fails is replaced by palette()."""
    rgb = _parse(color) or _rgb(FALLBACK)
    white, light, dark = _rgb(WHITE), _rgb(PAPER["light"]), _rgb(PAPER["dark"])
    return [
        Check("text", _contrast(rgb, white), READABLE, _hex(_darken(rgb, white, READABLE))),
        Check("light", _contrast(rgb, light), DRAWN, _hex(_darken(rgb, light, DRAWN))),
        Check("dark", _contrast(rgb, dark), DRAWN, _hex(_lighten(rgb, dark, DRAWN))),
    ]


@lru_cache(maxsize=1024)
def palette(color: str) -> Palette:
    """The palette of a colour (`#rrggbb`); anything else gives that of our own colour.

    White text when the colour carries it, darkened to 4.5 where it nearly does (3.0 and up); dark text on light colours.
    """
    rgb = _parse(color) or _rgb(FALLBACK)
    if _contrast(rgb, _rgb(WHITE)) >= NEARLY:
        brand, on_brand = _darken(rgb, _rgb(WHITE), READABLE), WHITE
    else:
        brand, on_brand = rgb, INK
    soft = _mix(brand, _rgb(WHITE), 0.1)
    soft_dark = _mix(brand, _rgb("#211c19"), 0.22)
    deep = _darken(brand, soft, 7.0)
    return Palette(
        brand=_hex(brand),
        on_brand=on_brand,
        deep=_hex(deep),
        soft=_hex(soft),
        figure=_hex(brand if _contrast(brand, _rgb(WHITE)) >= READABLE else deep),
        deep_dark=_hex(_lighten(brand, soft_dark, 7.0)),
        soft_dark=_hex(soft_dark),
        mark=_hex(_darken(brand, _rgb(TRACK["light"]), DRAWN)),
        mark_dark=_hex(_lighten(brand, _rgb(TRACK["dark"]), DRAWN)),
    )


def stylesheet(color: str) -> str:
    """The style sheet that sets the pages' custom properties for a brand colour."""
    p = palette(color)
    return (
        "@layer theme{:root{"
        f"--brand:{p.brand};--on-brand:{p.on_brand};--brand-figure:{p.figure};"
        f"--brand-deep:light-dark({p.deep},{p.deep_dark});--brand-soft:light-dark({p.soft},{p.soft_dark});"
        f"--brand-mark:light-dark({p.mark},{p.mark_dark})"
        "}.from__ava,.logo__mark{--brand-deep:" + (p.deep if p.on_brand == WHITE else p.soft) + "}}\n"
    )


def theme_hash(campaign: Campaign) -> str:
    """12 hex characters that change with the style sheet: part of its address, so that it can be cached for ever."""
    return color_hash(campaign.brand_color)


@lru_cache(maxsize=1024)
def color_hash(color: str) -> str:
    """theme_hash() of a colour that is not saved yet."""
    return hashlib.sha256(f"{_SHEET}{stylesheet(color)}".encode()).hexdigest()[:12]


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two `#rrggbb` colours, 1 to 21."""
    return _contrast(_rgb(one), _rgb(other))


def _parse(color: str) -> _Rgb | None:
    return _rgb(color) if re.fullmatch(r"#[0-9a-fA-F]{6}", color, re.ASCII) else None


def _rgb(color: str) -> _Rgb:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _hex(rgb: _Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def _luminance(rgb: _Rgb) -> float:
    def channel(value: int) -> float:
        share = value / 255
        return share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = (channel(value) for value in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: _Rgb, other: _Rgb) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _mix(rgb: _Rgb, other: _Rgb, share: float) -> _Rgb:
    """`share` of the first colour in the second."""
    red, green, blue = (round(a * share + b * (1 - share)) for a, b in zip(rgb, other, strict=True))
    return red, green, blue


def _darken(rgb: _Rgb, against: _Rgb, ratio: float) -> _Rgb:
    return _towards(rgb, (0, 0, 0), against, ratio)


def _lighten(rgb: _Rgb, against: _Rgb, ratio: float) -> _Rgb:
    return _towards(rgb, (255, 255, 255), against, ratio)


def _towards(rgb: _Rgb, end: _Rgb, against: _Rgb, ratio: float) -> _Rgb:
    """The colour moved towards `end` in hundredths until it stands off `against` by `ratio` (or has reached the end)."""
    for step in range(101):
        moved = _mix(end, rgb, step / 100)
        if _contrast(moved, against) >= ratio:
            return moved
    return end
