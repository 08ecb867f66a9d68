"""Countries by their ISO 3166 codes, with their names in a language, from Babel's data."""

from __future__ import annotations

import re
from functools import lru_cache

from babel.core import Locale, UnknownLocaleError
from django.utils.translation import to_locale

# Groups and private codes among Babel's territories.
_NO_COUNTRIES = frozenset({"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"})


@lru_cache(maxsize=16)
def names(language: str) -> dict[str, str]:
    """Code -> name in the language (a language tag), in the order of the names."""
    try:
        locale = Locale.parse(to_locale(language))
    except (ValueError, UnknownLocaleError):
        locale = Locale.parse("en")
    found = {code: name for code, name in locale.territories.items() if re.fullmatch(r"[A-Z]{2}", code)}
    return dict(
        sorted(((c, n) for c, n in found.items() if c not in _NO_COUNTRIES), key=lambda item: item[1].casefold())
    )


def find(text: str, language: str) -> str:
    """The code of a country that somebody wrote as a code or by its name, in the language or in English; "" for no country."""
    wanted = text.strip().casefold()
    for known in (names(language), names("en")):
        if wanted.upper() in known:
            return wanted.upper()
        for code, name in known.items():
            if name.casefold() == wanted:
                return code
    return ""
