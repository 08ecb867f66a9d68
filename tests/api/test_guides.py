"""The guides below /docs/guides/: every Markdown page is served, its links lead to pages that exist, and nothing else is served."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from django.test import Client

from integrations import registry
from referrals.api import guides


class _Page(HTMLParser):
    """The targets and the ids of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.ids: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "a" and values.get("href"):
            self.targets.append(str(values["href"]))
        if values.get("id"):
            self.ids.add(str(values["id"]))


def test_every_link_between_guides_leads_to_a_page_and_a_heading_that_exist() -> None:
    pages = {f"/docs/guides/{name}/": _Page(guides.guide(name).html) for name in guides.files()}
    broken = []
    for url, page in pages.items():
        for target in page.targets:
            path, _, part = target.partition("#")
            if path.startswith("/docs/guides/") and path not in pages:
                broken.append((url, target))
            if part and (path or url) in pages and part not in pages[path or url].ids:
                broken.append((url, target))
            if re.search(r"connections/.*\.md|^\w+\.md", target):
                broken.append((url, target))
    assert broken == []


@pytest.mark.parametrize("slug", list(registry.SLUGS))
def test_every_provider_has_its_page(client: Client, slug: str) -> None:
    page = client.get(f"/docs/guides/connections/{slug}/").content.decode()
    assert f"<h1>{registry.get(slug).label}</h1>" in page
    assert '<article class="docs__guide" lang="en" dir="ltr">' in page
    assert "/docs/guides/connections/" in page


def test_what_is_served_and_what_is_not(client: Client) -> None:
    text = client.get("/docs/guides/connections/stripe.md")
    assert text["Content-Type"] == "text/markdown; charset=utf-8"
    assert text.content.decode().startswith("# Stripe\n")
    assert "/docs/guides/connections/stripe/" in client.get("/docs/guides/").content.decode()
    for path in (
        "nothing/",
        "nothing.md",
        "../README/",
        "connections/../../README/",
        "connections//stripe/",
        "images/",
    ):
        assert client.get(f"/docs/guides/{path}").status_code == 404
