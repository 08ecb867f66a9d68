"""Compile the readable translations (locale/*/LC_MESSAGES/*.po) where that has not been done since they changed.

`make run` and `make test` call it; a production start runs `python -m scripts.translations` once, beside collectstatic.
"""

from __future__ import annotations

from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LOCALES = Path(__file__).resolve().parent.parent / "locale"


def compile_stale() -> int:
    """Write the .mo beside every .po that is newer than it. Returns how many were written."""
    written = 0
    for path in LOCALES.glob("*/LC_MESSAGES/*.po"):
        compiled = path.with_suffix(".mo")
        if compiled.exists() and compiled.stat().st_mtime >= path.stat().st_mtime:
            continue
        with path.open("rb") as source:
            catalogue = read_po(source)
        with compiled.open("wb") as target:
            write_mo(target, catalogue)
        written += 1
    return written


if __name__ == "__main__":
    print(f"{compile_stale()} translations compiled.")
