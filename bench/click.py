"""Only the click, beside the empty view: `python -m bench click` (PostgreSQL), when the click path was touched."""

from __future__ import annotations

import json

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection, connections  # noqa: E402

from bench import data, servers  # noqa: E402
from bench.one import run, write_cases  # noqa: E402


def main() -> None:
    """One case; the same measuring as in `make bench`."""
    call_command("migrate", verbosity=0, interactive=False)
    on_server = connection.vendor == "postgresql"
    database = servers.postgres_pid() if on_server else None
    case = next(write_cases(data.make_world()))
    connections.close_all()
    with (
        servers.granian("referrals.wsgi:application", {}, server_database=on_server) as product,
        servers.granian("bench.empty_wsgi:application", {}, server_database=on_server) as empty,
    ):
        print(json.dumps(run(case, product, empty, database)))


if __name__ == "__main__":
    main()
