"""``python -m db upgrade|downgrade|new-key``: care for the database by hand."""

import argparse
import os
import sys

from db import keys, migrate
from db.session import Database


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
    database = Database(url, pool_size=0)
    with database.system() as connection:
        tenant_id = keys.ensure_tenant(connection, name=arguments.tenant)
        return keys.issue(
            connection, tenant_id=tenant_id, name="by hand", role=arguments.role
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
