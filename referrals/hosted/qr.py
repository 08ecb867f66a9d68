"""QR codes of referral links, as inline SVG for pages and as files to keep."""

from __future__ import annotations

import io
from functools import lru_cache

import segno
from django.utils.safestring import SafeString, mark_safe


@lru_cache(maxsize=1024)
def inline(text: str) -> SafeString:
    """An SVG element without colours of its own; `.qr .qrline` of the pages' style sheet draws it."""
    code = segno.make(text, error="m", micro=False)
    markup = code.svg_inline(border=0, omitsize=True, svgclass="qrcode", lineclass="qrline")
    # Segno's own markup; the text is in its geometry only.
    return mark_safe(markup)  # noqa: S308


def file(text: str, kind: str) -> bytes:
    """An `svg` or `png` file, black on white with its quiet zone, large enough to print."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind=kind, scale=16, border=4, light="white")
    return out.getvalue()
