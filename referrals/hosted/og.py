"""The picture that a shared link shows: the ticket, with both halves, in the merchant's colour (UX.md, 4.2). 1200 by 630 pixels.

Drawn with Pillow's built-in font, which knows Latin letters only: a line with other letters is left out rather than drawn as boxes,
and the amounts stay.
"""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache

from django.urls import reverse
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from campaigns.models import Campaign, CampaignImage
from campaigns.texts import texts_for
from campaigns.theme import palette
from referrals.hosted.offer import Half, friend_offer

SIZE = (1200, 630)
_DRAWING = 2  # counts changes of draw(), so that kept pictures are asked for anew
_TICKET = (430, 500)
_INK, _GREY, _LINE = "#1c1917", "#57504b", "#d6d0ca"

Font = ImageFont.FreeTypeFont


def image_address(campaign: Campaign, language: str) -> str:
    """The picture's path; it changes whenever the picture would."""
    return reverse(
        "hosted:og",
        kwargs={"campaign_id": campaign.public_id, "language": language, "digest": digest(campaign, language)},
    )


def digest(campaign: Campaign, language: str) -> str:
    """12 hex characters over everything that the picture shows. Call it with `language` active."""
    shown = (
        _DRAWING,
        campaign.public_id,
        campaign.revision,
        campaign.merchant.name,
        campaign.brand_color,
        campaign.version_id,
        language,
    )
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:12]


def draw(campaign: Campaign, language: str) -> bytes:
    """The PNG. Call it with `language` active."""
    offer = friend_offer(campaign, "")
    colors = palette(campaign.brand_color)
    image = Image.new("RGB", SIZE, colors.brand)
    logo = CampaignImage.objects.filter(campaign=campaign, kind="logo").first()
    left = _left(
        campaign.merchant.name,
        texts_for(campaign, language).reward_header,
        colors.on_brand,
        bytes(logo.content) if logo else None,
    )
    image.paste(left, (72, 0), left)
    ticket = _ticket(offer.top, offer.bottom, colors.figure).rotate(-2.2, Image.Resampling.BICUBIC, expand=True)
    shadow = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    place = (SIZE[0] - ticket.width - 72, (SIZE[1] - ticket.height) // 2)
    shadow.paste((20, 8, 4, 90), (place[0], place[1] + 18), ticket.getchannel("A"))
    shadow = shadow.filter(ImageFilter.GaussianBlur(24))
    image.paste(shadow, (0, 0), shadow)
    image.paste(ticket, place, ticket)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _left(merchant: str, headline: str, color: str, logo: bytes | None) -> Image.Image:
    """Merchant above, headline below, on a transparent sheet."""
    sheet = Image.new("RGBA", (580, SIZE[1]), (0, 0, 0, 0))
    pen = ImageDraw.Draw(sheet)
    at = 0
    if logo is not None:
        with Image.open(io.BytesIO(logo), formats=["PNG"]) as picture:
            mark = picture.convert("RGBA")
        mark.thumbnail((240, 64), Image.Resampling.LANCZOS)
        sheet.paste(mark, (0, 76), mark)
        at = mark.width + 22
    _text(pen, (at, 90), _fit(merchant, 36, 560 - at), 36, color, bold=True)
    lines = _wrap(headline, 78, 560, 4)
    size = 78 if len(lines) <= 3 and all(_width(line, 78) <= 560 for line in lines) else 58
    lines = _wrap(headline, size, 560, 5)
    top = (SIZE[1] - len(lines) * size * 1.08) / 2 + 24
    for number, line in enumerate(lines):
        _text(pen, (0, top + number * size * 1.08), line, size, color, bold=True)
    return sheet


def _ticket(top: Half, bottom: Half | None, figure: str) -> Image.Image:
    """The sheet with two halves: drawn twice as large, cut at the sides, and made smaller for smooth edges."""
    width, height = _TICKET[0] * 2, _TICKET[1] * 2
    cut = round(height * 0.61)
    mask = Image.new("L", (width, height), 0)
    shape = ImageDraw.Draw(mask)
    shape.rounded_rectangle((0, 0, width - 1, height - 1), 44, fill=255)
    for x in (0, width):
        shape.ellipse((x - 30, cut - 30, x + 30, cut + 30), fill=0)
    sheet = Image.new("RGBA", (width, height), (255, 255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    for x in range(64, width - 64, 28):
        pen.line((x, cut, x + 16, cut), fill=_LINE, width=4)
    inner = width - 128
    _text(pen, (64, 60), _fit(top.who, 38, inner), 38, _GREY, bold=True)
    size = next((size for size in (250, 200, 150, 110, 84, 64) if _width(top.amount, size) <= inner), 48)
    _text(pen, (56, 330 - size * 0.62), _fit(top.amount, size, inner), size, figure, bold=True)
    _text(pen, (64, cut - 140), _fit(top.what, 44, inner), 44, _INK, bold=True)
    _text(pen, (64, cut - 84), _fit(top.when, 36, inner), 36, _GREY)
    if bottom is not None:
        _text(pen, (64, cut + 60), _fit(bottom.who, 36, inner), 36, _GREY)
        _text(pen, (64, cut + 112), _fit(f"{bottom.amount} {bottom.what}", 52, inner), 52, _INK, bold=True)
        _text(pen, (64, cut + 186), _fit(bottom.when, 36, inner), 36, _GREY)
    sheet.putalpha(mask)
    return sheet.resize(_TICKET, Image.Resampling.LANCZOS)


@lru_cache(maxsize=64)
def _font(size: int) -> Font:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType; install its ordinary wheel.")
    return font


@lru_cache(maxsize=4096)
def _known(char: str) -> bool:
    """Whether the font has the letter, rather than the box it shows for unknown ones."""
    font = _font(40)
    return char.isspace() or bytes(font.getmask(char)) != bytes(font.getmask("\uffff"))


def _width(text: str, size: int) -> float:
    return _font(size).getlength(text)


def _text(
    pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, color: str, *, bold: bool = False
) -> None:
    pen.text(at, text, font=_font(size), fill=color, stroke_width=max(1, size // 34) if bold else 0, stroke_fill=color)


def _drawable(text: str) -> str:
    """The text if the font has its letters (narrow and no-break spaces as plain ones), else nothing."""
    plain = "".join(" " if c.isspace() else c for c in text if c.isprintable() or c.isspace())
    return plain if all(_known(c) for c in plain) else ""


def _fit(text: str, size: int, width: float) -> str:
    """As much of a text as fits on one line, with an ellipsis where it was cut."""
    text = _drawable(text)
    if _width(text, size) <= width:
        return text
    while text and _width(f"{text}…", size) > width:
        text = text[:-1]
    return f"{text.rstrip()}…" if text else ""


def _wrap(text: str, size: int, width: float, most: int) -> list[str]:
    """The text in at most `most` lines; the last one is cut when there is more."""
    lines: list[str] = []
    for word in _drawable(text).split():
        if lines and _width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] = f"{lines[-1]} {word}"
        else:
            lines.append(word)
    if len(lines) > most:
        lines = [*lines[: most - 1], " ".join(lines[most - 1 :])]
    return [_fit(line, size, width) for line in lines]
