"""A PostgreSQL server for one run: started in a temporary folder, always stopped and removed.

`python -m scripts.postgres COMMAND ...` runs the command with DATABASE_URL naming such a server. With
`--durable` first, commits reach the disk (for benchmarks); otherwise safety is traded for speed, as the data
lives for a minute.
"""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

OLDEST = 15
USER = "passalong"
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# PERFORMANCE.md, section 9: what the measured server ran with.
DURABLE = {"random_page_cost": "1.1", "jit": "off", "max_wal_size": "4GB", "checkpoint_timeout": "15min"}


class Missing(RuntimeError):
    """No usable PostgreSQL on this machine; the message says what to install."""


def find_binaries() -> Path:
    """The folder that holds `initdb` and `postgres` 15 or newer. Raises Missing."""
    folders = [Path(found).parent for found in [shutil.which("initdb")] if found]
    folders += [Path(name) for name in glob.glob("/usr/lib/postgresql/*/bin")]
    folders += [Path(name) for name in glob.glob("/opt/homebrew/opt/postgresql@*/bin")]
    versions = {folder: _major(folder) for folder in folders if (folder / "initdb").exists()}
    if not versions or max(versions.values()) < OLDEST:
        raise Missing(
            f"PostgreSQL {OLDEST} or newer was not found. Install its server (Debian, Ubuntu: apt install"
            " postgresql) or set DATABASE_URL to a server whose user may create databases."
        )
    return max(versions, key=lambda folder: versions[folder])


def _major(folder: Path) -> int:
    try:
        answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"(\d+)", answer.stdout)
    return int(found[1]) if found else 0


def _unprivileged() -> pwd.struct_passwd | None:
    """Whom the server runs as: PostgreSQL refuses root. None means: as whoever we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Missing("PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def temporary_server(*, durable: bool = False) -> Iterator[str]:
    """Start a server on loopback, give its DATABASE_URL, stop and remove it in the end. Raises Missing."""
    binaries, owner = find_binaries(), _unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="passalong-pg-"))
    server: subprocess.Popen[bytes] | None = None
    try:
        password = secrets.token_hex(16)
        (folder / "password").write_text(password)
        if owner:
            for path in (folder, folder / "password"):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        user, group = (owner.pw_uid, owner.pw_gid) if owner else (None, None)
        others: list[int] | None = [] if owner else None
        subprocess.run(
            [
                *(binaries / "initdb", "--pgdata", folder / "data", "--username", USER),
                *("--pwfile", folder / "password", "--auth", "scram-sha-256", "--encoding", "UTF8"),
                *("--locale", "C", "--no-sync"),
            ],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
            user=user,
            group=group,
            extra_groups=others,
        )
        port = _free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(folder),
            "max_connections": "200",
            "shared_buffers": "1GB" if durable else "256MB",
            **(DURABLE if durable else FAST),
        }
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [str(binaries / "postgres"), "-D", str(folder / "data"), *(f"--{k}={v}" for k, v in settings.items())],
                cwd=folder,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C must reach the tests first
                user=user,
                group=group,
                extra_groups=others,
            )
        _wait(server, port, folder / "log")
        yield f"postgres://{USER}:{password}@127.0.0.1:{port}/postgres"
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)  # PostgreSQL's "fast" shutdown
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.send_signal(signal.SIGQUIT)
                server.wait(timeout=10)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(300):
        if server.poll() is not None:
            break
        if "ready to accept connections" in log.read_text(errors="replace"):
            return
        time.sleep(0.1)
    raise RuntimeError(f"PostgreSQL did not start on port {port}:\n{log.read_text(errors='replace')}")


def stop_on_sigterm() -> None:
    """Let SIGTERM and a closed terminal unwind the stack, so that `finally` blocks run."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda signum, _frame: sys.exit(128 + signum))


def main(arguments: list[str]) -> int:
    """Run a command against a temporary server; its exit code is ours."""
    durable = arguments[:1] == ["--durable"]
    command = arguments[1:] if durable else arguments
    if not command:
        print(__doc__)
        return 2
    stop_on_sigterm()
    try:
        with temporary_server(durable=durable) as url:
            return subprocess.run(command, env={**os.environ, "DATABASE_URL": url}, check=False).returncode
    except Missing as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
