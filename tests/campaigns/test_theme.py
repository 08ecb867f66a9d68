"""A merchant's colour becomes a palette that can be read, whatever the colour is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from campaigns.theme import INK, PAPER, TRACK, WHITE, checks, color_hash, contrast, palette, stylesheet

COLORS = st.integers(0, 0xFFFFFF).map(lambda value: f"#{value:06x}")


def test_the_demo_colour_keeps_its_white_text() -> None:
    found = palette("#c93a17")
    assert (found.brand, found.on_brand, found.figure) == ("#c93a17", WHITE, "#c93a17")


@pytest.mark.parametrize(
    ("color", "brand_stays", "on_brand"),
    [
        pytest.param("#000000", True, WHITE, id="black"),
        pytest.param("#ffffff", True, INK, id="white"),
        pytest.param("#ffe000", True, INK, id="yellow keeps its brightness and gets dark text"),
        pytest.param("#e85d04", False, WHITE, id="orange is darkened a little for white text"),
        pytest.param("#0a6470", True, WHITE, id="our own"),
    ],
)
def test_text_on_the_brand_colour(color: str, brand_stays: bool, on_brand: str) -> None:
    found = palette(color)
    assert (found.brand == color, found.on_brand) == (brand_stays, on_brand)


@given(COLORS)
def test_every_pair_of_text_and_ground_can_be_read(color: str) -> None:
    found = palette(color)
    assert contrast(found.brand, found.on_brand) >= 4.5
    assert contrast(found.deep, found.soft) >= 4.5
    assert contrast(found.deep, WHITE) >= 4.5
    assert contrast(found.figure, WHITE) >= 4.5
    assert contrast(found.deep_dark, found.soft_dark) >= 4.5
    assert contrast(found.mark, TRACK["light"]) >= 3
    assert contrast(found.mark_dark, TRACK["dark"]) >= 3


@given(COLORS)
def test_the_nearest_colour_passes_and_one_that_passes_stays(color: str) -> None:
    against = {"text": WHITE, "light": PAPER["light"], "dark": PAPER["dark"]}
    for check in checks(color):
        assert contrast(check.nearest, against[check.place]) >= check.needed
        assert (check.nearest == color) == check.passes


def test_the_grounds_are_those_of_the_pages() -> None:
    sheet = (Path(settings.BASE_DIR) / "static" / "css" / "hosted.css").read_text(encoding="utf-8")
    assert f"--paper: light-dark(#fff, {PAPER['dark']})" in sheet
    assert f"--line: light-dark({TRACK['light']}, {TRACK['dark']})" in sheet


@pytest.mark.parametrize("text", ["", "red", "#12345", "#1234567", "#12345g", "#c93a17;}body{}", "#١٢٣٤٥٦"])
def test_anything_but_a_colour_gives_our_own(text: str) -> None:
    assert palette(text) == palette("#0a6470")


@given(COLORS)
def test_the_style_sheet_holds_colours_and_nothing_else(color: str) -> None:
    sheet = stylesheet(color)
    assert re.fullmatch(
        r"@layer theme\{:root\{[a-z0-9#:;(),-]+\}\.from__ava,\.logo__mark\{--brand-deep:#[0-9a-f]{6}\}\}\n", sheet
    )
    assert sheet.count("{") == sheet.count("}") == 3


def test_the_hash_changes_with_the_colour_only() -> None:
    assert color_hash("#c93a17") == color_hash("#c93a17")
    assert color_hash("#c93a17") != color_hash("#c93a18")
    assert re.fullmatch("[0-9a-f]{12}", color_hash("#c93a17"))
