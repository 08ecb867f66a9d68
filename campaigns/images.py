"""Uploaded logos and pictures: decoded and written anew, so that only pixels are kept (RELIABILITY section 6, row 26).

PNG, JPEG and WebP only; at most 2 MiB and 8 million pixels, counted before anything is unpacked. What comes out has no EXIF, no
second frame, no trailing data: a logo is a PNG, a picture a WebP.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from PIL import Image, ImageOps, UnidentifiedImageError

from referrals.lib.errors import Refused

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_BYTES = 2 * 1024 * 1024
MAX_PIXELS = 8_000_000
# The largest box that the pages show, twice for dense screens; bigger pictures are made to fit.
BOXES = {"logo": (640, 240), "hero": (1200, 1200), "product": (480, 320)}
CONTENT_TYPES = {"logo": "image/png", "hero": "image/webp", "product": "image/webp"}
EXTENSIONS = {"logo": "png", "hero": "webp", "product": "webp"}


@dataclass(frozen=True, slots=True)
class Picture:
    """What is kept: the file as we wrote it, its size in pixels, and 16 hex characters of its hash for the address."""

    content: bytes
    width: int
    height: int
    digest: str


def read_image(upload: UploadedFile[Any] | bytes, kind: str) -> Picture:
    """Decode an upload for `kind` ("logo", "hero" or "product") and write it anew. Raises Refused("image", ...) saying what to do."""
    data = _bytes(upload)
    try:
        # Pillow only warns about a bomb until twice its limit; ours is lower, and asked for before a pixel is unpacked.
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise _refused(
                        _("The picture is %(width)d by %(height)d pixels; at most 8 million fit. Make it smaller.")
                        % {"width": image.width, "height": image.height}
                    )
                picture = _flatten(image)
    except (UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _refused(_("This file is no PNG, JPEG or WebP picture. Choose one of those.")) from error
    except (OSError, ValueError, SyntaxError, EOFError, ArithmeticError) as error:
        raise _refused(_("This picture is damaged. Save it anew as PNG or JPEG and try again.")) from error
    picture.thumbnail(BOXES[kind], Image.Resampling.LANCZOS)
    out = io.BytesIO()
    if kind == "logo":
        picture.save(out, "PNG", optimize=True)
    else:
        picture.save(out, "WEBP", quality=80, method=4)
    content = out.getvalue()
    return Picture(content, picture.width, picture.height, hashlib.sha256(content).hexdigest()[:16])


def _bytes(upload: UploadedFile[Any] | bytes) -> bytes:
    size = len(upload) if isinstance(upload, bytes) else upload.size or 0
    if size > MAX_BYTES:
        raise _refused(_("The file is larger than 2 MB. Make it smaller."))
    data = upload if isinstance(upload, bytes) else upload.read(MAX_BYTES + 1)
    if not data:
        raise _refused(_("The file is empty. Choose another one."))
    if len(data) > MAX_BYTES:
        raise _refused(_("The file is larger than 2 MB. Make it smaller."))
    return data


def _flatten(image: Image.Image) -> Image.Image:
    """The first frame, upright, in plain RGB or RGBA, with nothing of the old file attached."""
    image.load()
    upright = ImageOps.exif_transpose(image)
    transparent = upright.mode in {"RGBA", "LA", "PA"} or "transparency" in upright.info
    plain = upright.convert("RGBA" if transparent else "RGB")
    bare = Image.new(plain.mode, plain.size)
    bare.paste(plain)
    return bare


def _refused(message: str) -> Refused:
    return Refused("image", message, field="image")
