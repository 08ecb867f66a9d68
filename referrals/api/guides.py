"""`/docs/guides/`: the Markdown pages of this repository's docs/ as web pages, and as the Markdown that they are written in.

What is served are the files that are there; an address only picks one of them, so none can lead out of the folder.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

INDEX = "README"


@dataclass(frozen=True, slots=True)
class Guide:
    """A page: its title, its parts as (id, title), and its HTML, made by us from our own text."""

    title: str
    parts: tuple[tuple[str, str], ...]
    html: SafeString


@cache
def files() -> dict[str, Path]:
    """Every page by its name in an address: `rules`, `connections/stripe`; a folder's README has the folder's name."""
    root: Path = settings.BASE_DIR / "docs"
    found = {}
    for path in sorted(root.rglob("*.md")):
        name = path.relative_to(root).with_suffix("").as_posix()
        found[name.removesuffix(f"/{INDEX}")] = path
    return found


@cache
def guide(name: str) -> Guide:
    """The page; raises KeyError when there is none of this name."""
    text = files()[name].read_text(encoding="utf-8")
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(text)
    parts = []
    title = name
    folder = name if files()[name].stem == INDEX else posixpath.dirname(name)
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            words = re.sub(r"[`*]", "", tokens[at + 1].content)
            if token.tag == "h1":
                title = words
            else:
                token.attrSet("id", _anchor(words))
                parts += [(_anchor(words), words)] if token.tag == "h2" else []
        elif token.type in {"fence", "code_block"}:
            token.attrSet("dir", "ltr")
        elif token.type == "inline":
            _point(token.children or [], folder)
    html = reader.renderer.render(_framed(tokens), reader.options, {})
    return Guide(title, tuple(parts), mark_safe(html))  # noqa: S308 - our own text, and raw HTML in it is escaped


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """All pages by folder."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name in files():
        folder = name if files()[name].stem == INDEX else posixpath.dirname(name)
        groups.setdefault(folder, []).append((reverse("api:docs-guide", args=[name]), guide(name).title))
    context = {"here": "guides", "groups": sorted(groups.items())}
    return render(request, "docs/guides.html", context)


@require_safe
def show(request: HttpRequest, name: str) -> HttpResponse:
    """One page."""
    if name not in files():
        raise Http404
    return render(request, "docs/guide.html", {"here": "guides", "guide": guide(name), "name": name})


@require_safe
def markdown(_request: HttpRequest, name: str) -> HttpResponse:
    """The same as the Markdown that it is written in."""
    if name not in files():
        raise Http404
    return HttpResponse(files()[name].read_bytes(), content_type="text/markdown; charset=utf-8")


def _anchor(words: str) -> str:
    """As GitHub names a heading, so that the same link works in both places."""
    return re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")


def _point(tokens: Sequence[Token], folder: str) -> None:
    """Links between the files become links between the pages; one to a file that is no page keeps its text only."""
    for token in tokens:
        if token.type != "link_open":
            continue
        target, _, part = str(token.attrGet("href")).partition("#")
        if "://" in target or not target.endswith(".md"):
            continue
        name = posixpath.normpath(posixpath.join(folder, target)).removesuffix(".md").removesuffix(f"/{INDEX}")
        if name in files():
            token.attrSet("href", reverse("api:docs-guide", args=[name]) + (f"#{part}" if part else ""))


def _framed(tokens: Sequence[Token]) -> list[Token]:
    """Wide tables and code scroll by themselves, also by keyboard."""
    framed: list[Token] = []
    number = 0
    for token in tokens:
        if token.type in {"table_open", "fence", "code_block"}:
            number += 1
            label = "Table" if token.type == "table_open" else "Code"
            framed.append(_html(f'<div class="scroll" tabindex="0" role="region" aria-label="{label} {number}">'))
        framed.append(token)
        if token.type in {"table_close", "fence", "code_block"}:
            framed.append(_html("</div>"))
    return framed


def _html(content: str) -> Token:
    return Token("html_block", "", 0, content=content)
