"""``python -m bench.job_path``: Forebay's job path beside a hand-written peer.

One run, one machine, the same PostgreSQL, RabbitMQ and Redis, started for the
purpose. The sides are measured in turn while the other one is idle.
"""

import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import machine
from bench.figures import Line, compare
from bench.plans import asked
from bench.report import table
from bench.rounds import Plan, Rounds, alternate
from bench.sides import running_forebay, running_peer
from tests.servers import choice


@dataclass(frozen=True)
class Servers:
    """The running servers both sides share."""

    postgres: Any
    rabbitmq: Any
    redis: Any


def measure(servers: Servers, plan: Plan, *, queue_type: str, folder: Path) -> Rounds:
    """Run both sides on the servers and measure them in turn."""
    name = f"bench_{queue_type}"
    broker_url = servers.rabbitmq.add_vhost(name)
    with ExitStack() as stack:
        peer = stack.enter_context(
            running_peer(
                broker_url=servers.rabbitmq.url(),
                result_url=servers.redis.url(),
                folder=folder,
            )
        )
        forebay = stack.enter_context(
            running_forebay(
                database_url=servers.postgres.create_database(name),
                broker_url=broker_url,
                queue_type=queue_type,
                batch=plan.batch,
                folder=folder / "forebay",
            )
        )
        return alternate([peer, forebay], plan, say=_say)


_QUEUES: dict[str, dict[str, Any]] = {
    "queue_type": {"choices": ("quorum", "classic"), "default": "quorum"}
}


def main(words: list[str]) -> None:
    """Measure and print."""
    given = asked(Plan, words, name="job_path", about=__doc__, more=_QUEUES)
    plan = given.plan
    queue_type = given.more["queue_type"]
    # PostgreSQL flushes to disk at every commit, and has the memory it has by default.
    postgres = choice.postgres(fsync=True, settings={"shared_buffers": "128MB"})
    with postgres, choice.rabbitmq() as rabbitmq, choice.redis() as redis:
        about = machine.describe(postgres.url())
        servers = Servers(postgres, rabbitmq, redis)
        with tempfile.TemporaryDirectory() as folder:
            rounds = measure(servers, plan, queue_type=queue_type, folder=Path(folder))
    lines = compare(rounds["forebay"], rounds["peer"])
    if given.json:
        print(_json(lines, rounds, plan, about, queue_type))
    else:
        print(table(lines, plan, about, queue_type=queue_type))


def _json(
    lines: list[Line],
    rounds: Rounds,
    plan: Plan,
    about: dict[str, str],
    queue_type: str,
) -> str:
    found = {
        "queue_type": queue_type,
        "plan": asdict(plan),
        "machine": about,
        "lines": [asdict(line) for line in lines],
        "rounds": rounds,
    }
    return json.dumps(found, indent=2)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
