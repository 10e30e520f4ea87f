"""``python -m db upgrade|downgrade|new-key|revoke-key|limit``: care by hand."""

import argparse
import os
import sys

from db import keys, limits, migrate
from db.limits import Limits
from db.session import Connection, Database


def main(words: list[str]) -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m db", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("upgrade", help="migrate to the newest revision")
    up.add_argument("--revision", default="head")
    down = commands.add_parser("downgrade", help="migrate back; drops tables")
    down.add_argument("--revision", required=True)
    new = commands.add_parser("new-key", help="issue an API key and show it once")
    new.add_argument("--tenant", required=True)
    new.add_argument("--role", choices=keys.ROLES, default="member")
    revoke = commands.add_parser("revoke-key", help="end a key at once")
    revoke.add_argument("--id", required=True, help="key_..., as the audit shows it")
    limit = commands.add_parser("limit", help="set what a tenant may use")
    limit.add_argument("--tenant", required=True)
    limit.add_argument("--weight", type=float, default=1.0, help="in the fair line")
    for name in ("max-running", "max-queued", "starts-per-minute"):
        limit.add_argument(f"--{name}", type=int, help="no limit if left out")
    arguments = parser.parse_args(words)
    url = os.environ.get("FOREBAY_DATABASE_URL")
    if not url:
        print("FOREBAY_DATABASE_URL is not set", file=sys.stderr)  # noqa: T201
        return 2
    print(_run(arguments, url))  # noqa: T201 - a command line's answer
    return 0


def _run(arguments: argparse.Namespace, url: str) -> str:
    if arguments.command == "upgrade":
        stored = migrate.upgrade(url, arguments.revision)
        return f"at {arguments.revision}; observations in: {stored}"
    if arguments.command == "downgrade":
        migrate.downgrade(url, arguments.revision)
        return f"at {arguments.revision}"
    with Database(url, pool_size=0).system() as connection:
        if arguments.command == "revoke-key":
            done = keys.revoke(connection, key_id=arguments.id)
            return "revoked" if done else "there is no such key, or it was revoked"
        tenant_id = keys.ensure_tenant(connection, name=arguments.tenant)
        if arguments.command == "limit":
            return _limit(connection, tenant_id, arguments)
        return keys.issue(
            connection, tenant_id=tenant_id, name="by hand", role=arguments.role
        )


def _limit(
    connection: Connection, tenant_id: int, arguments: argparse.Namespace
) -> str:
    wanted = Limits(
        weight=arguments.weight,
        max_running=arguments.max_running,
        max_queued=arguments.max_queued,
        starts_per_minute=arguments.starts_per_minute,
    )
    limits.put(connection, tenant_id=tenant_id, limits=wanted)
    return f"{arguments.tenant}: {wanted}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
