"""Every template compiles, and none holds what the content security policy would refuse."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template.loader import get_template

FOLDER = Path(settings.BASE_DIR) / "templates"
TEMPLATES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file())
# Mail programs want inline styles (css-inline writes most of them).
PAGES = [name for name in TEMPLATES if name.endswith(".html") and not name.startswith(("emails/", "account/email/"))]
REFUSED = {
    "inline style": re.compile(r"<[^>]*\sstyle\s*=", re.IGNORECASE),
    "inline handler": re.compile(r"<[^>]*\son[a-z]+\s*=", re.IGNORECASE),
    "inline script": re.compile(
        r"<script(?![^>]*\bsrc=)(?![^>]*type=\"application/(?:ld\+)?json\")[^>]*>", re.IGNORECASE
    ),
    "style element": re.compile(r"<style\b", re.IGNORECASE),
    "htmx code": re.compile(r"<[^>]*\shx-(?:on|vals=['\"]js:)", re.IGNORECASE),
    "javascript address": re.compile(r"javascript:", re.IGNORECASE),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_compiles(name: str) -> None:
    get_template(name)


@pytest.mark.parametrize("name", PAGES)
def test_it_holds_nothing_the_policy_refuses(name: str) -> None:
    text = (FOLDER / name).read_text()

    assert [what for what, pattern in REFUSED.items() if pattern.search(text)] == []
