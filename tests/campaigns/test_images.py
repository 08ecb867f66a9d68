"""Uploaded pictures: only pixels survive, and what is no small picture is refused (RELIABILITY section 6, row 26)."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from campaigns.images import MAX_BYTES, read_image
from referrals.lib.errors import Refused


def picture(fmt: str, size: tuple[int, int] = (40, 20), mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, "#c93a17").save(out, fmt, **options)
    return out.getvalue()


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize(("kind", "written"), [("logo", "PNG"), ("hero", "WEBP")])
def test_the_three_formats_are_written_anew(fmt: str, kind: str, written: str) -> None:
    made = read_image(SimpleUploadedFile("a.gif", picture(fmt)), kind)
    with Image.open(io.BytesIO(made.content)) as image:
        assert (image.format, image.size) == (written, (40, 20))
    assert (made.width, made.height, len(made.digest)) == (40, 20, 16)


def test_transparency_is_kept() -> None:
    made = read_image(picture("PNG", mode="RGBA"), "logo")
    with Image.open(io.BytesIO(made.content)) as image:
        assert image.mode == "RGBA"


def test_a_photograph_loses_its_place_and_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010E] = "taken at home"
    made = read_image(picture("JPEG", (40, 20), exif=exif), "hero")
    with Image.open(io.BytesIO(made.content)) as image:
        assert (image.size, dict(image.getexif())) == ((20, 40), {})
    assert b"taken at home" not in made.content


def test_what_follows_the_picture_is_dropped() -> None:
    made = read_image(picture("PNG") + b"<script>alert(1)</script>PK\x03\x04", "logo")
    assert b"script" not in made.content


def test_large_pictures_are_made_to_fit() -> None:
    made = read_image(picture("PNG", (2000, 1000)), "logo")
    assert (made.width, made.height) == (480, 240)


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims to be huge and is small."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * ((width // 8 + 1) * height), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(bomb(20_000, 20_000), "20000 by 20000|no PNG", id="pixel bomb"),
        pytest.param(bomb(4_000, 2_001), "4000 by 2001", id="just over 8 million pixels"),
        pytest.param(picture("GIF"), "no PNG, JPEG or WebP", id="gif"),
        pytest.param(picture("EPS"), "no PNG, JPEG or WebP", id="eps"),
        pytest.param(picture("BMP"), "no PNG, JPEG or WebP", id="bmp"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no PNG, JPEG or WebP", id="svg"),
        pytest.param(b"GIF89a" + picture("PNG"), "no PNG, JPEG or WebP", id="polyglot"),
        pytest.param(picture("PNG")[:60], "damaged|no PNG", id="cut off"),
        pytest.param(picture("JPEG")[:200], "damaged|no PNG", id="half a jpeg"),
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"\0" * (MAX_BYTES + 1), "larger than 2 MB", id="too many bytes"),
    ],
)
def test_anything_else_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(Refused, match=words) as refusal:
        read_image(data, "logo")
    assert (refusal.value.code, refusal.value.field, refusal.value.status) == ("image", "image", 422)
