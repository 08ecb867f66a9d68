"""Made-up people with addresses in reserved domains, in the order in which the demo meets them."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

FIRST = """Asha Tomás Yuki Priya Jonas Grace Sam Marta Omar Maya Ines Ken Dev Lena Chidi Ruth Adam Sara Lucía Hana Devon Nora
Mateo Freya Ali Chloé Bram Aiko Elif Noah Ida Kofi Mina Leo Zara Emil Anna Ravi Tess Hugo Lila Otto Nia Felix Amara Jin Rosa
Viktor Yara Oskar Meera Pavel June Tariq Signe Diego Wren Aziz Clara Bela Rowan Ivo""".split()
LAST = """Verma Rivera Tanaka Nair Weber Okafor Whitfield Kowalska Haddad Chen Duarte Mori Menon Vogt Eze Bell Nowak Aziz Ferrer
Suzuki Price Lindqvist García Berg Rahman Dubois Visser Sato Demir Clarke Holm Mensah Karimi Rossi Khan Nygaard Schmidt Iyer
Moreau Laurent Das Krause Obi Meyer Adeyemi Park Conti Novák Saleh Larsen Pillai Orlov Ashby Farouk Dahl Vega Hart Malik""".split()
DOMAINS = ("example.com", "example.net", "example.org", "mail.example.com", "post.example.net")


@dataclass(frozen=True, slots=True)
class Person:
    """A name and an address that nobody can have."""

    first: str
    last: str
    email: str


def people(dice: random.Random) -> Iterator[Person]:
    """An endless row of different people. The first is always Asha Verma."""
    taken: set[str] = set()
    yield _person("Asha", "Verma", "example.com", taken)
    while True:
        yield _person(dice.choice(FIRST), dice.choice(LAST), dice.choice(DOMAINS), taken)


def _person(first: str, last: str, domain: str, taken: set[str]) -> Person:
    plain = unicodedata.normalize("NFKD", f"{first}.{last}").encode("ascii", "ignore").decode().lower()
    local, number = plain, 2
    while f"{local}@{domain}" in taken:
        local, number = f"{plain}{number}", number + 1
    taken.add(f"{local}@{domain}")
    return Person(first, last, f"{local}@{domain}")
