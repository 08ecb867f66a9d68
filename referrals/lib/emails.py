"""E-mail addresses: check one, fold it for look-ups, and reduce it to the person behind it (PRODUCT.md, "Attribution")."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

# Domains of one mailbox service under which a name is the same mailbox, by the name they are folded to. Others of the same company
# are mailboxes of their own: maya@outlook.com and maya@hotmail.com are two people.
ALIASES: dict[str, tuple[str, ...]] = {
    "gmail.com": ("googlemail.com",),
    "proton.me": ("protonmail.com", "protonmail.ch", "pm.me"),
    "icloud.com": ("me.com", "mac.com"),
    "yandex.ru": ("ya.ru", "yandex.com", "yandex.by", "yandex.kz", "yandex.ua"),
}
# Services that deliver name+anything to name; dots are dropped at Gmail only, elsewhere they tell two people apart.
_DOT_BLIND = frozenset({"gmail.com"})
# Fastmail delivers anything@name.<its domain> to name@<its domain>.
SUBDOMAIN_ADDRESSING = frozenset({"fastmail.com", "fastmail.fm", "fastmail.net", "fastmail.org", "fastmail.us"})
_SAME_DOMAIN = {alias: domain for domain, aliases in ALIASES.items() for alias in aliases}

# The name of nearly every address: what all checks of it say is known beforehand.
_PLAIN = re.compile(r"([A-Za-z0-9]+(?:[._+-][A-Za-z0-9]+)*)@([A-Za-z0-9.-]{1,253})", re.ASCII)


class EmailError(ValueError):
    """Text that is no deliverable address; the message says why (RELIABILITY section 6, row 12)."""


@dataclass(frozen=True, slots=True)
class Email:
    """`address` as written (trimmed), `key` for look-ups (folded, punycode domain), `identity` for "the same person".

    The identity drops what still reaches one mailbox: a +tag, dots at Gmail, another of a service's own domains. Two participants may
    share one: it tells that somebody refers themselves or was a customer before, and never merges what two addresses did.
    """

    address: str
    key: str
    identity: str


def parse_email(text: str) -> Email:
    """Check and fold an address; raises EmailError. No network is asked.

    Refused: no top-level domain, two @, control characters, over 254 characters, quoted local parts, IP literals.
    """
    text = text.strip(" ")
    if not text or len(text) > 254:
        raise EmailError("Enter an e-mail address of at most 254 characters." if text else "Enter an e-mail address.")
    if (plain := _PLAIN.fullmatch(text)) and len(plain[1]) <= 64 and (domain := _plain_domain(plain[2].lower())):
        local = plain[1].lower()
        return Email(text, f"{local}@{domain}", _identity(local, domain))
    return _parse(text)


@lru_cache(maxsize=4096)
def _plain_domain(domain: str) -> str:
    """A domain as addresses at it are folded, "" for none: a file has the same few domains again and again."""
    try:
        return _parse(f"a@{domain}").key[2:]
    except EmailError:
        return ""


def _parse(text: str) -> Email:
    if any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in text):
        raise EmailError("The e-mail address has invisible characters; type it again.")
    try:
        found = validate_email(
            text,
            check_deliverability=False,
            allow_quoted_local=False,
            allow_domain_literal=False,
            globally_deliverable=False,
        )
    except EmailNotValidError as error:
        raise EmailError(f"{text[:80]!r} is not an e-mail address: {error}") from error
    domain = (found.ascii_domain or found.domain).lower()
    if "." not in domain:
        raise EmailError(f"{text[:80]!r} has no full domain, such as example.com.")
    local = unicodedata.normalize("NFKC", found.local_part).casefold()
    key = f"{local}@{domain}"
    # Some characters stand for whole words: unfolded they may be longer than any address, or have spaces.
    # A full-width @ in the name would unfold to a second one.
    if len(key) > 254 or "@" in local or any(c.isspace() for c in local):
        raise EmailError(f"{text[:80]!r} has characters that no e-mail address has.")
    return Email(text, key, _identity(local, domain))


def _identity(local: str, domain: str) -> str:
    """Drop what still reaches the same mailbox.

    A +tag is dropped at every domain. Nearly all servers that take a + deliver to the name before it; where one does not, two people
    of one company would have to share the part before it. The price of folding is that one of those two can't refer the other; the
    price of not folding is that everybody can refer themselves at every domain of their own.
    """
    domain = _SAME_DOMAIN.get(domain, domain)
    user, _, parent = domain.partition(".")
    if parent in SUBDOMAIN_ADDRESSING:
        return f"{user}@{parent}"
    bare = local.split("+", 1)[0] or local
    if domain in _DOT_BLIND:
        bare = bare.replace(".", "") or bare
    return f"{bare}@{domain}"


def mask_email(address: str) -> str:
    """m•••@example.com: enough for the owner to recognise, too little to write to."""
    local, _, domain = address.partition("@")
    return f"{local[:1]}•••@{domain}"
