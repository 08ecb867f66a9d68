"""Whether requirements*.txt still belong to requirements*.in; offline, in a blink.

It resolves nothing: it compares the names and versions a person asked for with what `make lock` wrote.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)")


def asked_for(path: Path) -> dict[str, Requirement]:
    """The packages a requirements .in file names."""
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def locked(path: Path) -> dict[str, tuple[str, str]]:
    """Name to (version, the lines below it with hashes and origin) of a compiled file."""
    blocks: dict[str, tuple[str, str]] = {}
    name = ""
    for line in path.read_text().splitlines():
        if found := PIN.match(line):
            name = canonicalize_name(found["name"])
            blocks[name] = (found["version"], "")
        elif name:
            version, rest = blocks[name]
            blocks[name] = (version, f"{rest}{line}\n")
    return blocks


def problems(stem: str) -> list[str]:
    """What does not fit between <stem>.in and <stem>.txt."""
    asked, pins = asked_for(ROOT / f"{stem}.in"), locked(ROOT / f"{stem}.txt")
    origin = re.compile(rf"^ +#.*-r {re.escape(stem)}\.in$", re.MULTILINE)
    found = []
    for name, requirement in asked.items():
        if name not in pins:
            found.append(f"{stem}.txt lacks {name}")
        elif not requirement.specifier.contains(pins[name][0], prereleases=True):
            found.append(f"{stem}.txt pins {name} {pins[name][0]}, but {stem}.in wants {requirement.specifier}")
        elif not origin.search(pins[name][1]):
            found.append(f"{stem}.txt does not say that {name} comes from {stem}.in")
    for name, (_version, rest) in pins.items():
        if "--hash=sha256:" not in rest:
            found.append(f"{stem}.txt has no hash for {name}")
        if origin.search(rest) and name not in asked:
            found.append(f"{stem}.txt has {name}, which {stem}.in no longer asks for")
    return found


def main() -> int:
    """Print what does not fit; 0 when everything does."""
    found = problems("requirements") + problems("requirements-dev")
    runtime, test = locked(ROOT / "requirements.txt"), locked(ROOT / "requirements-dev.txt")
    for name in sorted(runtime.keys() & test.keys()):
        if runtime[name][0] != test[name][0]:
            found.append(f"{name} is {runtime[name][0]} in requirements.txt, {test[name][0]} in requirements-dev.txt")
    if found:
        print("\n".join(found))
        print("Run `make lock` and commit the result.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
