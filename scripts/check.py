"""`make test`: every check there is, in groups; a group with a failure ends the run.

Names as arguments run only those steps. The static checks run beside the tests on SQLite, as most of them
keep one core busy at most.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from scripts import postgres
from scripts.browser import find_chromium
from scripts.translations import compile_stale

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
SPECS = Path(os.environ.get("SPECS_DIR", ROOT.parent / "shared" / "specs"))
PYTEST = [f"{BIN}/python", "-m", "pytest"]
# A worker that has finished its half takes from the other one.
ON_TWO_CORES = ["-n", "2", "--dist", "worksteal"]
EVERYWHERE = "not browser and not conformance and not localstripe"
NOTHING_COLLECTED = 5  # pytest's exit code

# What a production start sets, so that `check --deploy` judges production and not this machine.
PRODUCTION = {
    "DEBUG": "0",
    "DEMO": "0",
    "SITE_URL": "https://passalong.example.com",
    "ALLOWED_HOSTS": "passalong.example.com",
    "SECRET_KEY": "Zr3fQ8vK1pXw6tYb0uHs9eLm4cNa7dJg2iOk5rTz-VxBqUnWyEhRjPlMfGsDcAo",
    "SECRETS_KEYS": "check:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "PROXY_SSL_HEADER": "1",
    "TRUSTED_PROXY_COUNT": "1",
    "EMAIL_URL": "smtp+tls://user:password@mail.example.com:587",
    "DATABASE_URL": "",
    "STATIC_FROM_SOURCE": "1",
}


@dataclass
class Step:
    """One check: a command, what it needs in its environment, and what became of it."""

    name: str
    command: Sequence[str | Path]
    environment: dict[str, str] = field(default_factory=dict)
    may_be_empty: bool = False
    skipped: str = ""
    seconds: float = 0.0
    code: int | None = None
    output: str = ""

    def run(self, *, aloud: bool) -> None:
        """Run it; aloud shows the output as it comes, otherwise it is kept for `report`."""
        if self.skipped:
            return
        start = time.monotonic()
        if aloud:
            print(f"\n== {self.name}", flush=True)
        done = subprocess.run(
            self.command,
            cwd=ROOT,
            env={**os.environ, **self.environment},
            stdout=None if aloud else subprocess.PIPE,
            stderr=None if aloud else subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.seconds, self.code, self.output = time.monotonic() - start, done.returncode, done.stdout or ""
        if self.may_be_empty and self.code == NOTHING_COLLECTED:
            self.code, self.skipped = 0, "no tests yet"

    @property
    def failed(self) -> bool:
        """Whether it ran and found something."""
        return self.code not in (None, 0)

    def report(self) -> None:
        """Show the kept output of a quiet step that failed."""
        if self.failed and self.output:
            print(f"\n== {self.name}\n{self.output.rstrip()}", flush=True)


def template_check() -> Step:
    """djade keeps templates in one style; --check names files that are not."""
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "templates").rglob("*.html"))
    step = Step("templates", [BIN / "djade", "--check", "--target-version", "5.2", *files])
    if not files:
        step.skipped = "no templates"
    return step


def static_steps() -> list[Step]:
    """Everything that looks at the code without running the tests; quickest first."""
    manage = [f"{BIN}/python", "manage.py"]
    return [
        Step("locks", [f"{BIN}/python", "-m", "scripts.check_locks"]),
        Step("lint", [BIN / "ruff", "check", "."]),
        Step("format", [BIN / "ruff", "format", "--check", "."]),
        template_check(),
        Step("imports", [BIN / "lint-imports"]),
        Step("migrations", [*manage, "makemigrations", "--check", "--dry-run"], PRODUCTION),
        Step("deploy", [*manage, "check", "--deploy", "--fail-level", "WARNING"], PRODUCTION),
        Step("types", [BIN / "mypy"]),
    ]


def sqlite_step() -> Step:
    """The tests on SQLite, on two cores."""
    return Step("sqlite", [*PYTEST, *ON_TWO_CORES, "-m", EVERYWHERE], {"DATABASE_URL": ""})


def postgres_step(url: str) -> Step:
    """The same tests on PostgreSQL, and those about real concurrency."""
    return Step("postgres", [*PYTEST, *ON_TWO_CORES, "-m", EVERYWHERE], {"DATABASE_URL": url})


def browser_step() -> Step:
    """The tests in Chromium, on SQLite."""
    command = [*PYTEST, *ON_TWO_CORES, "-m", "browser"]
    return Step("browser", command, {"DATABASE_URL": ""}, may_be_empty=True)


def conformance_step() -> Step:
    """Replays published specifications; they are not part of this repository."""
    command = [*PYTEST, "-m", "conformance"]
    step = Step("conformance", command, {"DATABASE_URL": "", "SPECS_DIR": str(SPECS)}, may_be_empty=True)
    if not SPECS.is_dir():
        step.skipped = "no specifications at SPECS_DIR (default ../shared/specs)"
    return step


def install(packages: list[str]) -> bool:
    """Install Debian packages where that is allowed without asking; whether they are there now."""
    apt = ["apt-get"] if os.geteuid() == 0 else ["sudo", "-n", "apt-get"]
    if not shutil.which("apt-get") or not shutil.which(apt[0]):
        return False
    print(f"Installing {' and '.join(packages)}", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    commands = [[*apt, "update", "-q"], [*apt, "install", "-y", "-q", "--no-install-recommends", *packages]]
    return all(subprocess.call(command, env=quiet, stdout=subprocess.DEVNULL) == 0 for command in commands)


def missing_tools(*, server: bool, browser: bool) -> list[str]:
    """What is not on this machine, one line each saying how to get it; tries to install it first."""

    def look() -> dict[str, str]:
        problems = {}
        if server and not os.environ.get("DATABASE_URL"):
            try:
                postgres.find_binaries()
            except postgres.Missing as problem:
                problems["postgresql"] = str(problem)
        if browser and not find_chromium():
            problems["chromium"] = (
                "Chromium was not found. Install it (Debian, Ubuntu: apt install chromium)"
                " or name one: CHROMIUM=/path/to/chrome make test"
            )
        return problems

    problems = look()
    if problems and install(list(problems)):
        problems = look()
    return list(problems.values())


def table(steps: list[Step]) -> str:
    """The closing summary: a line per step with its result and its seconds."""
    lines = ["", f"{'step':<14}{'result':<10}{'seconds':>8}"]
    for step in steps:
        result = "skipped" if step.skipped else "FAILED" if step.failed else "ok" if step.code == 0 else "not run"
        lines.append(f"{step.name:<14}{result:<10}{step.seconds:>8.1f}  {step.skipped}".rstrip())
    return "\n".join(lines)


def run_beside(quiet: list[Step], aloud: Step) -> None:
    """Run the quiet steps one after another in a thread while `aloud` has the terminal."""

    def work() -> None:
        for step in quiet:
            step.run(aloud=False)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        aloud.run(aloud=True)
    finally:
        thread.join()
    for step in quiet:
        step.report()


def database_url(stack: ExitStack) -> str:
    """A PostgreSQL server for the tests: the one DATABASE_URL names, or one of our own."""
    given = os.environ.get("DATABASE_URL", "")
    if re.match(r"postgres|pgsql|psql", given):
        return given
    return stack.enter_context(postgres.temporary_server())


def everything() -> list[Step]:
    """All groups in order; later groups do not run after a failure."""
    static, sqlite, browser = static_steps(), sqlite_step(), browser_step()
    server, conformance = postgres_step(""), conformance_step()
    steps = [*static, sqlite, server, browser, conformance]
    run_beside(static, sqlite)
    if any(step.failed for step in steps):
        return steps
    with ExitStack() as stack:
        server.environment["DATABASE_URL"] = database_url(stack)
        server.run(aloud=True)
    for step in (browser, conformance):
        if not any(done.failed for done in steps):
            step.run(aloud=True)
    return steps


def selected(names: list[str]) -> list[Step]:
    """Only the named steps, aloud."""
    makers: dict[str, Callable[[], Step]] = {
        "sqlite": sqlite_step,
        "browser": browser_step,
        "conformance": conformance_step,
    }
    static = {step.name: step for step in static_steps()}
    steps = []
    with ExitStack() as stack:
        for name in names:
            if name == "postgres":
                step = postgres_step(database_url(stack))
            elif name in makers:
                step = makers[name]()
            elif name in static:
                step = static[name]
            else:
                sys.exit(f"There is no step {name!r}; there are: {', '.join([*static, 'postgres', *makers])}")
            step.run(aloud=True)
            steps.append(step)
    return steps


def main(names: list[str]) -> int:
    """Run what was asked for, close with the table; 0 when nothing failed."""
    postgres.stop_on_sigterm()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # three processes would compile every test on every run
    start = time.monotonic()
    compile_stale()
    missing = missing_tools(
        server=not names or "postgres" in names,
        browser=not names or "browser" in names,
    )
    if missing:
        print("\n".join(missing), file=sys.stderr)
        return 1
    try:
        steps = selected(names) if names else everything()
    except KeyboardInterrupt:
        print("\nStopped.")
        return 130
    print(table(steps))
    bad = [step.name for step in steps if step.failed]
    print(f"{'total':<24}{time.monotonic() - start:>8.1f}")
    print(f"\nFailed: {', '.join(bad)}" if bad else "\nEverything passed.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
