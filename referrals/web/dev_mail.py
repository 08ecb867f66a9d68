"""In a demo no mail leaves the machine: this page shows what would have been sent, so that mailed links can be opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_safe

FILES = 60
_SEPARATOR = re.compile(rb"^-{79}\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as it was handed to the file back end."""

    to: str
    subject: str
    date: str
    text: str


@require_safe
def mails(request: HttpRequest) -> HttpResponse:
    """The newest mails, newest first; `to` filters by address. 404 unless this is a demo."""
    folder = getattr(settings, "EMAIL_FILE_PATH", None)
    if not settings.DEMO or not folder:
        raise Http404
    wanted = request.GET.get("to", "").strip().lower()
    found = [mail for mail in _newest(Path(folder)) if wanted in mail.to.lower()]
    response = render(request, "public/mails.html", {"mails": found, "wanted": wanted})
    add_never_cache_headers(response)
    return response


def _newest(folder: Path) -> list[Mail]:
    if not folder.is_dir():
        return []
    files = sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime_ns, reverse=True)[:FILES]
    found: list[Mail] = []
    for path in files:
        parts = [part for part in _SEPARATOR.split(path.read_bytes()) if part.strip()]
        found += [_read(part) for part in reversed(parts)]
    return found


def _read(raw: bytes) -> Mail:
    message = message_from_bytes(raw, policy=default)
    body = message.get_body(preferencelist=("plain", "html"))
    text = str(body.get_content()) if body is not None else ""
    return Mail(str(message["To"] or ""), str(message["Subject"] or ""), str(message["Date"] or ""), text.strip())
