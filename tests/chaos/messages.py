"""What may happen to messages in the broker: doubled, reordered, lost."""

import random
from typing import TYPE_CHECKING

import amqp
import psycopg

from tasks.catalog import QUEUES
from tasks.settings import Settings
from workers.settings import make_app

if TYPE_CHECKING:
    from tests.chaos.faults import Site

_RECENT = """
SELECT id, type, queue, attempt - (dispatched_at IS NULL)::integer AS sent FROM jobs
ORDER BY id DESC LIMIT 300
"""
_COPIED = 30
_AT_ONCE = 200


def duplicate(site: "Site", rng: random.Random) -> int:
    """Publish messages of recent jobs again, also of attempts long past."""
    with psycopg.connect(site.stack.environ["FOREBAY_DATABASE_URL"]) as connection:
        rows = connection.execute(_RECENT).fetchall()
    copies = [
        (kind, queue, job_id, at)
        for job_id, kind, queue, sent in rng.sample(rows, min(_COPIED, len(rows)))
        for at in range(1, sent + 1)
        for _ in range(rng.choice((1, 2)))
    ]
    rng.shuffle(copies)
    app = make_app(Settings.from_environ(site.stack.environ))
    with (
        app.connection_for_write() as connection,
        app.amqp.Producer(connection, auto_declare=False) as producer,
    ):
        for kind, queue, job_id, attempt in copies:
            app.send_task(
                kind,
                kwargs={"job_id": job_id, "attempt": attempt},
                queue=queue,
                producer=producer,
                retry=False,
                task_id=f"{job_id}:{attempt}",
            )
    return len(copies)


def reorder(site: "Site", rng: random.Random) -> int:
    """Take what waits in each queue and put it back in another order."""
    moved = 0
    with site.rabbitmq._connect(site.vhost) as connection:
        channel = connection.channel()
        for queue in QUEUES:
            taken: list[amqp.Message] = []
            while len(taken) < _AT_ONCE and (found := channel.basic_get(queue)):
                taken.append(found)
            rng.shuffle(taken)
            for one in taken:
                again = amqp.Message(one.body, **one.properties)
                channel.basic_publish(again, exchange="jobs", routing_key=queue)
            for one in taken:
                channel.basic_ack(one.delivery_tag)
            moved += len(taken)
    return moved


def lose(site: "Site", rng: random.Random) -> int:
    """Throw away what waits in the queues."""
    with site.rabbitmq._connect(site.vhost) as connection:
        channel = connection.channel()
        return sum(channel.queue_purge(queue) for queue in QUEUES)
