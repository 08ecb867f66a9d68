"""`make run`: demo data, web server and worker, from a clone to a page in the browser.

Everything it makes is in DATA_DIR (var/): the SQLite database, mails, and the development secrets.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import hashlib
import io
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import django
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from scripts.translations import compile_stale

ROOT = Path(__file__).resolve().parent.parent
START_LIMIT = 60  # seconds until a web server that does not answer counts as broken


def development_secrets(folder: Path) -> dict[str, str]:
    """SECRET_KEY and SECRETS_KEYS for this machine, made once, readable by the owner only."""
    path = folder / "development.env"
    if not path.exists():
        ring = base64.b64encode(secrets.token_bytes(32)).decode()
        lines = f"SECRET_KEY={secrets.token_urlsafe(50)}\nSECRETS_KEYS=dev:{ring}\n"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(lines)
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)


def prepare_environment() -> None:
    """Fill in what was not set by hand; SQLite does best with one web process of one thread (ADR 0004)."""
    folder = Path(os.environ.setdefault("DATA_DIR", str(ROOT / "var"))).resolve()
    (folder / "static").mkdir(parents=True, exist_ok=True)  # whitenoise warns where there is none
    os.environ["DATA_DIR"] = str(folder)
    port = os.environ.setdefault("PORT", "8000")
    server = os.environ.get("DATABASE_URL", "").startswith(("postgres", "pg"))
    defaults = {
        "DEMO": "1",
        "DJANGO_SETTINGS_MODULE": "referrals.settings",
        "HOST": "127.0.0.1",
        "SITE_URL": f"http://localhost:{port}",
        "WEB_WORKERS": "2" if server else "1",
        "WEB_THREADS": "2" if server else "1",
        "WEB_POOL": "4" if server else "0",
        **development_secrets(folder),
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def port_problem(host: str, port: str) -> str:
    """Why the server cannot listen there, in words for the person at the keyboard; empty when it can."""
    if not port.isdigit() or not 0 < int(port) < 65536:
        return f"PORT={port} is not a port number. Choose one from 1024 to 65535: make run PORT=8080"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except PermissionError:
            return f"Port {port} needs more rights than you have. Choose another: make run PORT=8080"
        except OSError:
            return f"Port {port} is in use by another program. Choose another: make run PORT={int(port) + 1}"
    return ""


def prepare_database() -> None:
    """Bring the tables up to date, fill an empty database with the demo; quick when nothing is to do."""
    django.setup()
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        print("Preparing the database", flush=True)
        call_command("migrate", verbosity=0, interactive=False)
    if not apps.get_model("accounts", "Merchant").objects.exists():
        print("Filling it with demo data, which takes a moment", flush=True)
        call_command("demo", stdout=io.StringIO())  # its summary comes at the end
    connection.close()


def fingerprint() -> str:
    """What the tables depend on: our migrations by name, and the locked packages with theirs."""
    found = [*ROOT.glob("*/migrations/[0-9]*.py"), *ROOT.glob("*/*/migrations/[0-9]*.py")]
    migrations = sorted(str(path.relative_to(ROOT)) for path in found)
    return hashlib.sha256("\n".join([(ROOT / "requirements.txt").read_text(), *migrations]).encode()).hexdigest()


def looks_prepared(folder: Path) -> bool:
    """Whether the server may start before the database is looked at: same code, same SQLite file as last time."""
    stamp = folder / "prepared"
    return (
        not os.environ.get("DATABASE_URL")
        and (folder / "passalong.sqlite3").exists()
        and stamp.exists()
        and stamp.read_text() == fingerprint()
    )


def answers(url: str) -> bool:
    """Whether the web server gives an answer; any status will do that is not its own failure."""
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 -- our own address
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


class Supervisor:
    """supervisord in the foreground, in a session of its own so that Ctrl-C reaches only us.

    On Linux it ends when we are killed outright, and processes whose parent was killed come to us instead of
    staying behind with the port in their hands.
    """

    PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>

    def __init__(self) -> None:
        program = Path(sys.executable).parent / "supervisord"
        command = [str(program), "-n", "-c", str(ROOT / "ops/supervisord.conf")]
        if os.geteuid() == 0:
            command += ["-u", "root"]  # says that running as root is meant
        linux = ctypes.CDLL(None) if sys.platform == "linux" else None
        if linux:
            linux.prctl(self.PR_SET_CHILD_SUBREAPER, 1)
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            start_new_session=True,
            preexec_fn=lambda: linux and linux.prctl(self.PR_SET_PDEATHSIG, signal.SIGTERM),
        )

    def wait_until_up(self, url: str) -> bool:
        """Wait for the first answer; False when supervisord ended or START_LIMIT is over."""
        end = time.monotonic() + START_LIMIT
        while time.monotonic() < end and self.process.poll() is None:
            if answers(url):
                return True
            time.sleep(0.05)
        return False

    def wait(self) -> int:
        """Wait until supervisord ends, ending stray processes on the way; its exit code."""
        while self.process.poll() is None:
            time.sleep(1)
            self._end_strays()
        return int(self.process.returncode)

    def stop(self) -> None:
        """End both processes and whatever they left; return when all are gone."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=40)
        self._end_strays()

    def _end_strays(self) -> None:
        """Kill adopted children: workers whose own parent was killed before it could end them."""
        children = Path(f"/proc/self/task/{os.getpid()}/children")
        if not children.exists():
            return
        for pid in map(int, children.read_text().split()):
            if pid != self.process.pid:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)


def main() -> int:
    """Start everything, say where it is, and wait for Ctrl-C."""
    os.chdir(ROOT)
    prepare_environment()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled modules are what makes the second start quick
    if problem := port_problem(os.environ["HOST"], os.environ["PORT"]):
        print(problem, file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    supervisor: Supervisor | None = None
    folder = Path(os.environ["DATA_DIR"])
    try:
        compile_stale()
        if not looks_prepared(folder):
            prepare_database()
        supervisor = Supervisor()
        if not supervisor.wait_until_up(f"http://127.0.0.1:{os.environ['PORT']}/livez"):
            print("The web server did not start; the lines above say why.", file=sys.stderr)
            return 1
        prepare_database()
        (folder / "prepared").write_text(fingerprint())
        print(f"\nPassalong runs at {os.environ['SITE_URL']}", flush=True)
        call_command("demo", summary=True)
        print("Mails are written to", folder / "mail")
        print("Stop with Ctrl-C.", flush=True)
        connection.close()
        return supervisor.wait()
    except KeyboardInterrupt:
        print("\nStopping", flush=True)
        return 0
    finally:
        if supervisor:
            supervisor.stop()


if __name__ == "__main__":
    sys.exit(main())
